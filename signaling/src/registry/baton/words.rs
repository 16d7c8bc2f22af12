//! What hosts and participants are told about who carries the call: whole, and only where it differs from what they were
//! told last.

use baton_protocol::{
    CandidateInfo, GrantClaims, HostCommand, HostId, HostKind, HostRole, HostSeat, HostTerm,
    Hosting, Moving, RoomId, ServiceMessage,
};

use super::elections::why_not;
use crate::hosting::{Baton, Signed, Told};
use crate::now::Now;
use crate::participant::Stay;
use crate::registry::{ConnectionId, Output, Registry};
use crate::room::Room;

/// How long a grant may be used to begin, in seconds. A leg that comes late to a long call needs it still.
const GRANT_LIFE: u64 = 24 * 3600;

impl Registry {
    /// Tells every host what it is, where that has changed.
    pub(super) fn tell_hosts(&mut self, room: &RoomId, now: Now) {
        self.sign_grants(room, now);
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        if entry.baton.guess.is_some() {
            return;
        }
        let serves_aside = entry.has_stayers();
        let Room { term, baton, .. } = entry;
        let roles = baton.roles(term, serves_aside);
        let has_candidates = self.hosts.computers(room).next().is_some();
        let lease = self.config.limits.hosting.lease;
        let lease = u32::try_from(lease.as_millis()).unwrap_or(u32::MAX);
        for (host, role) in &roles {
            self.hosts.assign(*host, room);
            let (Some(link), Some(kind)) = (self.hosts.link_of(*host), self.hosts.kind(*host))
            else {
                continue;
            };
            let mut next = told(*host, *role, term, baton);
            // A server that was never told anything serves whoever it is asked to serve. Once there are computers it has to
            // know that it is the host, whose part it is to measure their lines.
            let was_unsaid = baton.told.get(host).is_none_or(|told| told.is_unsaid);
            let is_server = *role == HostRole::Active && kind == HostKind::Central;
            next.beats = is_server && baton.standby.is_some();
            next.is_unsaid = was_unsaid && is_server && !has_candidates;
            let before = baton.told.insert(*host, next.clone());
            if next.is_unsaid || before.as_ref() == Some(&next) {
                continue;
            }
            let needs_lease =
                kind == HostKind::Participant && matches!(role, HostRole::Active | HostRole::Next);
            let command = HostCommand::Serve {
                room: room.clone(),
                epoch: next.epoch,
                role: *role,
                grant: next.grant,
                lease_ms: needs_lease.then_some(lease),
                beats: next.beats,
            };
            self.outputs.push_back(Output::Host { link, command });
        }
        let hosts = &mut self.hosts;
        baton.told.retain(|host, told| {
            let is_named = roles.contains_key(host);
            if !is_named {
                hosts.release(*host, room);
                told.role = None;
            }
            // Whoever has seen a newer epoch than the term's is never asked in an older one, whenever it is back.
            is_named || hosts.link_of(*host).is_some() || told.epoch > term.epoch
        });
    }

    /// Signs what is needed and forgets the rest.
    fn sign_grants(&mut self, room: &RoomId, now: Now) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let Room { term, baton, .. } = entry;
        let mut wanted = vec![(term.host, term.epoch, baton.standby)];
        if let Some(moving) = &baton.moving {
            let standby = (term.kind == HostKind::Central).then_some(term.host);
            wanted.push((moving.to, moving.epoch, standby));
        }
        let mut grants = Vec::with_capacity(wanted.len());
        for (host, epoch, standby) in wanted {
            let Some(fingerprint) = self.hosts.fingerprint(host) else {
                continue;
            };
            let known = baton.grants.iter().find(|one| {
                (one.host, one.epoch, one.standby) == (host, epoch, standby)
                    && one.fingerprint == fingerprint
                    && now.unix_s() < one.renew_at
            });
            if let Some(known) = known {
                grants.push(known.clone());
                continue;
            }
            let claims = GrantClaims {
                room: room.clone(),
                epoch,
                host,
                fingerprint: fingerprint.to_owned(),
                standby,
                iat: now.unix_s(),
                exp: now.unix_s() + GRANT_LIFE,
            };
            grants.push(Signed {
                host,
                epoch,
                standby,
                fingerprint: fingerprint.to_owned(),
                renew_at: now.unix_s() + GRANT_LIFE / 2,
                text: self.signer.grant(&claims),
            });
        }
        baton.grants = grants;
    }

    /// Tells participants who carries the call, where that is news to them.
    pub(super) fn spread_hosting(&mut self, room: &RoomId) {
        let Some(entry) = self.rooms.get(room) else {
            return;
        };
        let usual = self.hosting(entry);
        let aside = entry.server_for_stayers(&self.hosts);
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        if entry.baton.said.as_ref() != Some(&usual) {
            entry.baton.said = Some(usual.clone());
            entry.baton.said_count = entry.baton.said_count.wrapping_add(1);
        }
        let count = entry.baton.said_count;
        let mut audiences: [Vec<ConnectionId>; 3] = Default::default();
        let ids: Vec<_> = entry.participants.keys().copied().collect();
        for id in ids {
            let stay = entry.stay(id);
            let Some(one) = entry.participants.get_mut(&id) else {
                continue;
            };
            let Some(connection) = one.connection() else {
                continue;
            };
            if one.told != Some((count, stay)) {
                one.told = Some((count, stay));
                audiences[stay as usize].push(connection);
            }
        }
        for (stay, connections) in [Stay::No, Stay::Unreached, Stay::Always]
            .into_iter()
            .zip(audiences)
        {
            if !connections.is_empty() {
                let hosting = varied(usual.clone(), stay, aside);
                let message = ServiceMessage::Hosting { hosting };
                self.outputs.push_back(Output::Peers {
                    connections,
                    message,
                });
            }
        }
    }

    /// As it is for those who move with the call.
    fn hosting(&self, room: &Room) -> Hosting {
        let baton = &room.baton;
        let seat = |host: HostId| self.hosts.seat(host);
        let moving = baton.moving.as_ref().and_then(|one| {
            Some(Moving {
                epoch: one.epoch,
                to: seat(one.to)?,
                phase: one.phase()?,
                grant: baton.grant(one.to, one.epoch).map(str::to_owned),
            })
        });
        let computers = self.hosts.computers(&room.id);
        let candidates = computers.filter_map(|one| {
            let why_not = why_not(baton.judged.get(&one.id));
            Some(CandidateInfo {
                seat: seat(one.id)?,
                fit: why_not.is_empty(),
                why_not,
            })
        });
        let term: &HostTerm = &room.term;
        Hosting {
            owner: seat(term.host).and_then(|seat: HostSeat| seat.owner),
            grant: baton.grant(term.host, term.epoch).map(str::to_owned),
            mine: term.host,
            standby: baton.standby.and_then(seat),
            moving,
            policy: baton.policy,
            candidates: candidates.collect(),
            term: term.clone(),
        }
    }
}

/// As it is for somebody who stays on the server.
fn varied(mut hosting: Hosting, stay: Stay, server: Option<HostId>) -> Hosting {
    let Some(server) = server.filter(|_| stay != Stay::No) else {
        return hosting;
    };
    hosting.mine = server;
    hosting.standby = None;
    let keeps = |moving: &Moving| {
        moving.to.host != server && (stay == Stay::Unreached || moving.to.kind == HostKind::Central)
    };
    hosting.moving = hosting.moving.filter(keeps);
    hosting
}

/// What a host is to be told.
fn told(host: HostId, role: HostRole, term: &HostTerm, baton: &Baton) -> Told {
    let epoch = match (role, &baton.moving) {
        (HostRole::Next, Some(moving)) => moving.epoch,
        _ => term.epoch,
    };
    let grant = match role {
        HostRole::Active | HostRole::Next => baton.grant(host, epoch).map(str::to_owned),
        HostRole::Standby | HostRole::Aside | HostRole::Draining => None,
    };
    Told {
        epoch: baton.epoch_for(host, epoch),
        role: Some(role),
        grant,
        beats: false,
        is_unsaid: false,
    }
}
