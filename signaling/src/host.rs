//! The hosts that signaling knows: their links, which of them can take a new room, and which have vanished.
//! Does not know rooms beyond their names.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use baton_protocol::limits::MAX_REFLECTORS;
use baton_protocol::{Epoch, Fitness, HostId, HostKind, HostSeat, HostTerm, ParticipantId, RoomId};
use rand::Rng;

use crate::token::ComputerOwner;

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
    /// Whose computer it is; none: the operator's.
    owner: Option<ComputerOwner>,
    host: Option<HostId>,
}

#[derive(Debug)]
struct Host {
    name: String,
    kind: HostKind,
    subject: Option<String>,
    owner: Option<ComputerOwner>,
    fingerprint: Option<String>,
    fitness: Option<Fitness>,
    /// Where it tells whoever asks how it is seen.
    reflector: Option<SocketAddr>,
    /// When its present link came up.
    since: Instant,
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

/// What a hello says of the host itself.
#[derive(Debug)]
pub(crate) struct Introduction<'a> {
    pub(crate) wanted: Option<HostId>,
    pub(crate) name: &'a str,
    pub(crate) kind: HostKind,
    pub(crate) fingerprint: Option<String>,
}

/// A participant's computer that was offered for one room.
#[derive(Debug)]
pub(crate) struct Computer<'a> {
    pub(crate) id: HostId,
    host: &'a Host,
}

impl Computer<'_> {
    pub(crate) fn owner(&self) -> Option<ParticipantId> {
        self.host.owner.as_ref().map(|owner| owner.participant)
    }

    pub(crate) fn link(&self) -> Option<LinkId> {
        match self.host.presence {
            HostPresence::Linked(link) => Some(link),
            HostPresence::Gone { .. } => None,
        }
    }

    /// What it says of itself.
    pub(crate) fn fitness(&self) -> Option<&Fitness> {
        self.host.fitness.as_ref()
    }

    pub(crate) fn has_certificate(&self) -> bool {
        self.host.fingerprint.is_some()
    }

    /// When its present link came up.
    pub(crate) fn since(&self) -> Instant {
        self.host.since
    }

    /// Could it carry a call if there is nothing better?
    pub(crate) fn is_usable(&self) -> bool {
        let fitness = self.host.fitness.as_ref();
        self.has_certificate() && fitness.is_some_and(|one| one.objections.is_empty())
    }
}

impl Hosts {
    pub(crate) fn insert_link(
        &mut self,
        link: LinkId,
        subject: Option<String>,
        owner: Option<ComputerOwner>,
    ) {
        let fresh = Link {
            subject,
            owner,
            host: None,
        };
        self.links.insert(link, fresh);
    }

    /// A host said who it is. It gets the number it asks for unless that is somebody else's.
    pub(crate) fn accept(
        &mut self,
        link: LinkId,
        hello: Introduction<'_>,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Option<Accepted> {
        let entry = self.links.get(&link)?;
        let (subject, owner) = (entry.subject.clone(), entry.owner.clone());
        let known = entry.host;
        if self.hosts.len() >= CAPACITY {
            self.forget_idle();
        }
        let is_free = |id: &HostId| {
            let holder = self.hosts.get(id);
            id.0 != 0
                && holder.is_none_or(|host| (&host.subject, &host.owner) == (&subject, &owner))
        };
        let host = known
            .or(hello.wanted.filter(is_free))
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
            name: owner
                .as_ref()
                .map_or(hello.name, |owner| &owner.name)
                .to_owned(),
            kind: hello.kind,
            subject,
            owner,
            fingerprint: hello.fingerprint,
            fitness: None,
            reflector: None,
            since: now,
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

    pub(crate) fn kind(&self, host: HostId) -> Option<HostKind> {
        Some(self.hosts.get(&host)?.kind)
    }

    /// Whose computer a link is for.
    pub(crate) fn owner_of_link(&self, link: LinkId) -> Option<&ComputerOwner> {
        self.links.get(&link)?.owner.as_ref()
    }

    /// Whose computer it is; none: the operator's.
    pub(crate) fn owner(&self, host: HostId) -> Option<&ComputerOwner> {
        self.hosts.get(&host)?.owner.as_ref()
    }

    pub(crate) fn fingerprint(&self, host: HostId) -> Option<&str> {
        self.hosts.get(&host)?.fingerprint.as_deref()
    }

    pub(crate) fn seat(&self, host: HostId) -> Option<HostSeat> {
        let entry = self.hosts.get(&host)?;
        Some(HostSeat {
            host,
            kind: entry.kind,
            name: entry.name.clone(),
            owner: entry.owner.as_ref().map(|owner| owner.participant),
        })
    }

    /// The linked computers that were offered for a room.
    pub(crate) fn computers(&self, room: &RoomId) -> impl Iterator<Item = Computer<'_>> {
        let offered = self.hosts.iter().filter(move |(_, host)| {
            let is_linked = matches!(host.presence, HostPresence::Linked(_));
            is_linked && host.owner.as_ref().is_some_and(|owner| owner.room == *room)
        });
        offered.map(|(id, host)| Computer { id: *id, host })
    }

    /// A computer said how it is. True if that may change what is said of it.
    pub(crate) fn set_fitness(&mut self, host: HostId, room: &RoomId, fitness: Fitness) -> bool {
        let entry = self.hosts.get_mut(&host);
        let entry = entry.filter(|one| one.owner.as_ref().is_some_and(|own| own.room == *room));
        let Some(entry) = entry else {
            return false;
        };
        entry.fitness.replace(fitness.clone()) != Some(fitness)
    }

    /// Where a host tells whoever asks how it is seen. Only the operator's are believed. One address by IPv4 is kept, where NATs are;
    /// of several a public one, which is outside of most.
    pub(crate) fn set_reflectors(&mut self, host: HostId, at: &[SocketAddr]) {
        let entry = self.hosts.get_mut(&host);
        let Some(entry) = entry.filter(|one| one.kind == HostKind::Central) else {
            return;
        };
        let usable = at.iter().take(MAX_REFLECTORS).filter_map(|at| match at {
            SocketAddr::V4(v4) if !v4.ip().is_loopback() && v4.port() != 0 => Some(*v4),
            SocketAddr::V4(_) | SocketAddr::V6(_) => None,
        });
        let best = usable.min_by_key(|at| at.ip().is_private());
        entry.reflector = best.map(SocketAddr::V4);
    }

    /// A server that can be asked, which is up. Not each participant a different one: the answer is the same.
    pub(crate) fn reflector(&self) -> Option<SocketAddr> {
        let mut up = self.hosts.values().filter(|host| {
            matches!(host.presence, HostPresence::Linked(_)) && host.reflector.is_some()
        });
        up.next().and_then(|host| host.reflector)
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
        hosts.insert_link(LinkId(link), Some(subject.to_owned()), None);
        let hello = Introduction {
            wanted,
            name: "sfu",
            kind: HostKind::Central,
            fingerprint: None,
        };
        hosts
            .accept(LinkId(link), hello, Instant::now(), &mut rng)
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
