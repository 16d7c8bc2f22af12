//! The hosts that signaling knows: their links, which of them can take a new room, and which have vanished.
//! Does not know rooms beyond their names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use baton_protocol::{Epoch, HostId, HostKind, HostTerm, RoomId};
use rand::Rng;

/// One link of a host, in-process or a WebSocket. Numbered by the shell, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Hosts remembered at a time.
const CAPACITY: usize = 1024;

/// All hosts, connected or vanished.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    links: BTreeMap<LinkId, Link>,
    hosts: BTreeMap<HostId, Host>,
}

#[derive(Debug)]
struct Link {
    /// `sub` of the host's token; none where no token is needed.
    subject: Option<String>,
    host: Option<HostId>,
}

#[derive(Debug)]
struct Host {
    name: String,
    kind: HostKind,
    subject: Option<String>,
    presence: HostPresence,
    rooms: BTreeSet<RoomId>,
}

/// Is there a link to a host?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostPresence {
    Linked(LinkId),
    Gone { since: Instant },
}

/// What a hello leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The host's number.
    pub(crate) host: HostId,
    /// An older link of the same host, which is over now.
    pub(crate) replaced: Option<LinkId>,
}

impl Hosts {
    pub(crate) fn insert_link(&mut self, link: LinkId, subject: Option<String>) {
        let fresh = Link {
            subject,
            host: None,
        };
        self.links.insert(link, fresh);
    }

    /// A host said who it is. It gets the number it asks for unless that is somebody else's.
    pub(crate) fn accept(
        &mut self,
        link: LinkId,
        wanted: Option<HostId>,
        name: &str,
        kind: HostKind,
        rng: &mut impl Rng,
    ) -> Option<Accepted> {
        let entry = self.links.get(&link)?;
        let subject = entry.subject.clone();
        let known = entry.host;
        if self.hosts.len() >= CAPACITY {
            self.forget_idle();
        }
        let is_free = |id: &HostId| {
            let holder = self.hosts.get(id);
            id.0 != 0 && holder.is_none_or(|host| host.subject == subject)
        };
        let host = known
            .or(wanted.filter(is_free))
            .unwrap_or_else(|| self.fresh_id(rng));
        let before = self.hosts.remove(&host);
        let replaced = match before.as_ref().map(|host| host.presence) {
            Some(HostPresence::Linked(old)) if old != link => Some(old),
            _ => None,
        };
        if let Some(old) = replaced {
            self.links.remove(&old);
        }
        if self.hosts.len() >= CAPACITY {
            return None;
        }
        let fresh = Host {
            name: name.to_owned(),
            kind,
            subject,
            presence: HostPresence::Linked(link),
            rooms: before.map(|host| host.rooms).unwrap_or_default(),
        };
        self.hosts.insert(host, fresh);
        if let Some(entry) = self.links.get_mut(&link) {
            entry.host = Some(host);
        }
        Some(Accepted { host, replaced })
    }

    /// A link is over; the host behind it, if it had said who it is.
    pub(crate) fn remove_link(&mut self, link: LinkId, now: Instant) -> Option<HostId> {
        let host = self.links.remove(&link)?.host?;
        let entry = self.hosts.get_mut(&host)?;
        if entry.presence != HostPresence::Linked(link) {
            return None;
        }
        entry.presence = HostPresence::Gone { since: now };
        Some(host)
    }

    /// Whose link is this?
    pub(crate) fn host_of(&self, link: LinkId) -> Option<HostId> {
        self.links.get(&link)?.host
    }

    pub(crate) fn link_of(&self, host: HostId) -> Option<LinkId> {
        match self.hosts.get(&host)?.presence {
            HostPresence::Linked(link) => Some(link),
            HostPresence::Gone { .. } => None,
        }
    }

    /// Since when a known host has had no link. `None` for one that is linked or was never seen.
    pub(crate) fn gone_since(&self, host: HostId) -> Option<Instant> {
        match self.hosts.get(&host)?.presence {
            HostPresence::Linked(_) => None,
            HostPresence::Gone { since } => Some(since),
        }
    }

    /// The linked central host with the fewest rooms.
    pub(crate) fn least_loaded(&self) -> Option<HostId> {
        let usable = self.hosts.iter().filter(|(_, host)| {
            host.kind == HostKind::Central && matches!(host.presence, HostPresence::Linked(_))
        });
        let least = usable.min_by_key(|(_, host)| host.rooms.len());
        least.map(|(id, _)| *id)
    }

    /// What participants are told about a host's term.
    pub(crate) fn term(&self, host: HostId, epoch: Epoch) -> Option<HostTerm> {
        let entry = self.hosts.get(&host)?;
        Some(HostTerm {
            epoch,
            host,
            kind: entry.kind,
            name: entry.name.clone(),
        })
    }

    pub(crate) fn assign(&mut self, host: HostId, room: &RoomId) {
        if let Some(entry) = self.hosts.get_mut(&host) {
            entry.rooms.insert(room.clone());
        }
    }

    pub(crate) fn release(&mut self, host: HostId, room: &RoomId) {
        if let Some(entry) = self.hosts.get_mut(&host) {
            entry.rooms.remove(room);
        }
    }

    /// The linked hosts of the operator.
    pub(crate) fn central(&self) -> Vec<HostId> {
        let central = self.hosts.iter().filter(|(_, host)| {
            host.kind == HostKind::Central && matches!(host.presence, HostPresence::Linked(_))
        });
        central.map(|(id, _)| *id).collect()
    }

    /// Number of linked hosts.
    pub(crate) fn linked(&self) -> usize {
        let presences = self.hosts.values().map(|host| host.presence);
        presences
            .filter(|presence| matches!(presence, HostPresence::Linked(_)))
            .count()
    }

    fn forget_idle(&mut self) {
        self.hosts.retain(|_, host| {
            !host.rooms.is_empty() || matches!(host.presence, HostPresence::Linked(_))
        });
    }

    /// Random, so that after a restart nobody gets the number of a host that is about to come back.
    fn fresh_id(&self, rng: &mut impl Rng) -> HostId {
        loop {
            let id = HostId(rng.next_u32() >> 1);
            if id.0 != 0 && !self.hosts.contains_key(&id) {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn hello(hosts: &mut Hosts, link: u64, wanted: Option<HostId>, subject: &str) -> Accepted {
        let mut rng = StdRng::seed_from_u64(link);
        hosts.insert_link(LinkId(link), Some(subject.to_owned()));
        hosts
            .accept(LinkId(link), wanted, "sfu", HostKind::Central, &mut rng)
            .expect("room for a host")
    }

    #[test]
    fn a_host_takes_its_number_again_but_nobody_elses() {
        let mut hosts = Hosts::default();
        let first = hello(&mut hosts, 1, None, "one").host;
        let thief = hello(&mut hosts, 2, Some(first), "two");
        assert_ne!(thief.host, first);
        let again = hello(&mut hosts, 3, Some(first), "one");
        assert_eq!(again.host, first);
        assert_eq!(
            again.replaced,
            Some(LinkId(1)),
            "the half-dead link is over"
        );
    }

    #[test]
    fn a_new_room_goes_where_the_fewest_are() {
        let mut hosts = Hosts::default();
        let (one, two) = (
            hello(&mut hosts, 1, None, "one").host,
            hello(&mut hosts, 2, None, "two").host,
        );
        let busy = hosts.least_loaded().expect("a host");
        hosts.assign(busy, &"tea".parse().expect("name"));
        let next = hosts.least_loaded().expect("a host");
        assert!(next != busy && [one, two].contains(&next));
        hosts.remove_link(
            if next == one { LinkId(1) } else { LinkId(2) },
            Instant::now(),
        );
        assert_eq!(
            hosts.least_loaded(),
            Some(busy),
            "a vanished host gets no room"
        );
    }
}
