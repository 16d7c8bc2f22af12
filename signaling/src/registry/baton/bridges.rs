//! Joins the computer that carries a call with the server that serves those who stay there, and passes on what both say for that.

use std::collections::BTreeMap;

use baton_protocol::limits::MAX_CANDIDATES;
use baton_protocol::{
    BridgeEnd, BridgeId, HostCommand, HostId, HostKind, LegId, LegState, ParticipantId, RoomId,
    TicketClaims,
};
use rand::Rng;

use crate::hosting::bridge::{Bridge, Ends, Step};
use crate::now::Now;
use crate::participant::Stay;
use crate::registry::Registry;
use crate::room::Room;

/// Longest word of an end, in bytes.
const MAX_WORD: usize = 512;

/// How long the computer may take to read its ticket, in seconds.
const TICKET_LIFE: u64 = 60;

impl Registry {
    /// Opens and closes what the present term and a move need.
    pub(super) fn tend_bridges(&mut self, room: &RoomId, now: Now) {
        let Some(entry) = self.rooms.get(room) else {
            return;
        };
        let wanted = self.wanted_bridges(entry);
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let rng = &mut self.rng;
        let steps = entry
            .baton
            .bridges
            .settle(&wanted, || rng.next_u32() >> 1, now.instant);
        for step in steps {
            match step {
                Step::Open(computer, bridge) => {
                    let command = HostCommand::OpenBridge {
                        room: room.clone(),
                        epoch: bridge.ends.epoch,
                        bridge: bridge.id,
                    };
                    self.command(computer, command);
                }
                Step::Close(computer, bridge) => self.close_bridge(room, computer, &bridge),
            }
        }
    }

    /// By the computer: those that carry the call or are about to, where somebody stays on the server.
    fn wanted_bridges(&self, room: &Room) -> BTreeMap<HostId, Ends> {
        let mut wanted = BTreeMap::new();
        let Some(server) = room.server_for_stayers(&self.hosts) else {
            return wanted;
        };
        if room.has_stayers() || room.has_trials() {
            let epoch = room.term.epoch;
            wanted.insert(room.term.host, Ends { server, epoch });
        }
        let moving = room.baton.moving.as_ref();
        let moving = moving.filter(|one| one.phase().is_some() && one.to != server);
        if let Some(moving) = moving
            && self.hosts.kind(moving.to) == Some(HostKind::Participant)
        {
            let mut people = room.participants.keys();
            let stays = people.any(|id| room.stay(*id) == Stay::Always);
            if stays || moving.leaves_somebody() {
                let epoch = moving.epoch;
                wanted.insert(moving.to, Ends { server, epoch });
            }
        }
        wanted
    }

    /// Does the present move wait for a bridge?
    pub(super) fn waits_for_bridge(&self, room: &Room) -> bool {
        let moving = room.baton.moving.as_ref().map(|one| one.to);
        moving.is_some_and(|to| {
            self.wanted_bridges(room).contains_key(&to) && !room.baton.bridges.is_up(to)
        })
    }

    fn close_bridge(&mut self, room: &RoomId, computer: HostId, bridge: &Bridge) {
        for host in [computer, bridge.ends.server] {
            let command = HostCommand::CloseBridge {
                room: room.clone(),
                bridge: bridge.id,
            };
            self.command(host, command);
        }
    }

    /// The computer has told its end.
    pub(in crate::registry) fn bridge_offered(
        &mut self,
        host: HostId,
        room: &RoomId,
        id: BridgeId,
        end: BridgeEnd,
    ) {
        let is_own = self.is_end_of(host, &end);
        let entry = self.rooms.get_mut(room);
        let found = entry.and_then(|entry| entry.baton.bridges.find(id));
        let Some((_, bridge)) = found.filter(|(computer, _)| *computer == host && is_own) else {
            return;
        };
        if !bridge.offered() {
            return;
        }
        let Ends { server, epoch } = bridge.ends;
        let command = HostCommand::AnswerBridge {
            room: room.clone(),
            epoch,
            bridge: id,
            end,
        };
        self.command(server, command);
    }

    /// The server has told its end.
    pub(in crate::registry) fn bridge_answered(
        &mut self,
        host: HostId,
        room: &RoomId,
        id: BridgeId,
        end: BridgeEnd,
        now: Now,
    ) {
        let is_own = self.is_end_of(host, &end);
        let entry = self.rooms.get_mut(room);
        let found = entry.and_then(|entry| entry.baton.bridges.find(id));
        let Some((computer, bridge)) =
            found.filter(|(_, bridge)| bridge.ends.server == host && is_own)
        else {
            return;
        };
        if !bridge.answered() {
            return;
        }
        let epoch = bridge.ends.epoch;
        let Some(aud) = self.hosts.fingerprint(computer) else {
            return;
        };
        let claims = TicketClaims {
            room: room.clone(),
            epoch,
            sub: ParticipantId(0),
            leg: LegId(id.0),
            cnf: end.fingerprint.clone(),
            aud: aud.to_owned(),
            jti: self.rng.next_u64(),
            exp: now.unix_s() + TICKET_LIFE,
            iat: now.unix_s(),
        };
        let command = HostCommand::JoinBridge {
            room: room.clone(),
            epoch,
            bridge: id,
            end,
            ticket: self.signer.ticket(&claims),
        };
        self.command(computer, command);
    }

    /// Is it small enough, and does it show the certificate that the host showed signaling?
    fn is_end_of(&self, host: HostId, end: &BridgeEnd) -> bool {
        let is_short = |text: &String| text.len() <= MAX_WORD;
        self.hosts.fingerprint(host) == Some(end.fingerprint.as_str())
            && end.candidates.len() <= MAX_CANDIDATES
            && end.candidates.iter().all(is_short)
            && is_short(&end.ice.ufrag)
            && is_short(&end.ice.pwd)
    }

    /// A bridge changed on the side of one of its hosts.
    pub(in crate::registry) fn bridge_changed(
        &mut self,
        host: HostId,
        room: &RoomId,
        id: BridgeId,
        state: LegState,
        now: Now,
    ) {
        let entry = self.rooms.get_mut(room);
        let found = entry.and_then(|entry| entry.baton.bridges.find(id));
        let Some((computer, bridge)) =
            found.filter(|(computer, bridge)| *computer == host || bridge.ends.server == host)
        else {
            return;
        };
        match state {
            LegState::Silent => return,
            LegState::Connected if !bridge.connected() => return,
            LegState::Connected => {}
            LegState::Closed => {
                bridge.ended(now.instant);
                let bridge = *bridge;
                self.close_bridge(room, computer, &bridge);
            }
        }
        self.tend(room, now);
    }
}
