//! What hosts say, and which host a room has.

use baton_protocol::{
    ErrorCode, HostCommand, HostHello, HostId, HostKind, HostMessage, OLDEST_PROTOCOL_VERSION,
    RoomId,
};

use super::{Output, Refused, Registry};
use crate::denied::Mark;
use crate::grant::is_fingerprint;
use crate::host::{Accepted, Introduction, LinkId};
use crate::now::Now;
use crate::text::checked_name;
use crate::token::ComputerOwner;

impl Registry {
    pub(super) fn host_message(&mut self, link: LinkId, message: HostMessage, now: Now) {
        if let HostMessage::Hello(hello) = message {
            return self.hello(link, hello, now);
        }
        let Some(host) = self.hosts.host_of(link) else {
            return self.reject_host(link, "the first message of a link is `hello`");
        };
        match message {
            HostMessage::Answer(answer) => self.answer(host, answer),
            HostMessage::Refused(refusal) => self.refusal(host, &refusal, now),
            HostMessage::IceRestarted {
                room,
                participant,
                leg,
                request,
                ice,
                candidates,
            } => {
                let pending = self.settle(host, &room, participant, leg, request);
                self.ice_restarted(&room, participant, pending, ice, candidates);
            }
            HostMessage::Leg {
                room,
                participant,
                leg,
                state,
            } => self.leg_changed(host, &room, participant, leg, state, now),
            HostMessage::Prepared { room, epoch } => self.prepared(host, &room, epoch, now),
            HostMessage::Declined {
                room,
                epoch,
                reason,
            } => self.declined(host, &room, epoch, &reason, now),
            HostMessage::Renew {
                room,
                epoch,
                count,
                load,
            } => self.renewed(host, &room, (epoch, count), &load, now),
            HostMessage::StepDown { room, reason, .. } => self.step_down(host, &room, reason, now),
            HostMessage::Fitness { room, fitness } => self.fitness(host, &room, fitness, now),
            HostMessage::Lines { room, lines } => self.lines(host, &room, &lines, now),
            HostMessage::BridgeOffered { room, bridge, end } => {
                self.bridge_offered(host, &room, bridge, end);
            }
            HostMessage::BridgeAnswered { room, bridge, end } => {
                self.bridge_answered(host, &room, bridge, end, now);
            }
            HostMessage::Reflects { at } => self.hosts.set_reflectors(host, &at),
            HostMessage::Bridge {
                room,
                bridge,
                state,
            } => self.bridge_changed(host, &room, bridge, state, now),
            HostMessage::Hello(_) | HostMessage::Unknown => {}
        }
    }

    fn hello(&mut self, link: LinkId, hello: HostHello, now: Now) {
        let Ok(name) = checked_name(&hello.name) else {
            return self.reject_host(link, "a host has a name of 1 to 128 bytes");
        };
        if hello.protocol < OLDEST_PROTOCOL_VERSION {
            return self.reject_host(link, "the host's protocol is too old; update it");
        }
        let kind = hello.kind;
        if let Err(message) = self.check_kind(link, kind, now) {
            return self.reject_host(link, message);
        }
        let introduction = Introduction {
            wanted: hello.host,
            name: &name,
            kind,
            fingerprint: hello.fingerprint.filter(|text| is_fingerprint(text)),
        };
        let accepted = self
            .hosts
            .accept(link, introduction, now.instant, &mut self.rng);
        let Some(Accepted { host, replaced }) = accepted else {
            return self.reject_host(link, "the service knows too many hosts");
        };
        // A link begins with who the host is, and with all removals.
        let command = HostCommand::Accepted {
            host,
            signing_key: Some(self.signer.public_key().to_owned()),
        };
        self.outputs.push_back(Output::Host { link, command });
        // Only the operator's hosts keep removals: a promoted participant could forget them.
        if kind == HostKind::Central {
            self.renew_denials(hello.denials, now);
            self.entrust_denials(host, now);
        }
        if let Some(old) = replaced {
            self.reject_host(old, "the host has linked again");
            self.fail_pending(host, now);
            // What was said last on the old link may be lost.
            for room in self.rooms.values_mut() {
                if let Some(told) = room.baton.told.get_mut(&host) {
                    told.role = None;
                }
            }
        }
        self.reconcile(host, hello.rooms, now);
        let owner = self.hosts.owner(host).map(|owner| owner.room.clone());
        if let Some(room) = owner {
            self.tend(&room, now);
        }
    }

    /// Whose computer it is, is in the token: a participant's never passes for the operator's.
    fn check_kind(&self, link: LinkId, kind: HostKind, now: Now) -> Result<(), &'static str> {
        match (kind, self.hosts.owner_of_link(link)) {
            (HostKind::Central, None) => Ok(()),
            (HostKind::Central, Some(_)) => Err("this token is for a participant's computer"),
            (HostKind::Participant, None) => {
                Err("a participant's computer links with the token of `offer_hosting`")
            }
            (HostKind::Participant, Some(owner)) => {
                let room = self.rooms.get(&owner.room);
                let is_there = room.is_some_and(|room| {
                    let one = room.participants.get(&owner.participant);
                    one.is_some_and(|one| one.grants.host || room.is_unclaimed(one.id))
                });
                // After a restart a computer may be back before its owner.
                match is_there || (self.is_settling(now) && !self.is_owner_denied(owner, now)) {
                    true => Ok(()),
                    false => Err("whoever offered this computer is not in the room"),
                }
            }
        }
    }

    fn is_owner_denied(&self, owner: &ComputerOwner, now: Now) -> bool {
        self.is_denied(
            &owner.room,
            [Some(Mark::Participant(owner.participant))],
            0,
            now,
        )
    }

    /// Makes sure that a host of the room can be asked; gives the room another one if its own has been gone for long.
    pub(super) fn ensure_host(
        &mut self,
        room: &RoomId,
        host: HostId,
        now: Now,
    ) -> Result<(), Refused> {
        let Some(entry) = self.rooms.get(room) else {
            return Err(super::negotiation::internal());
        };
        if self.hosts.link_of(host).is_some() {
            return Ok(());
        }
        if host != entry.term.host {
            let message = "that host is not there now; offer again in a moment";
            return Err(Refused::new(ErrorCode::NoHost, message));
        }
        let since = self.hosts.gone_since(host).unwrap_or(self.started);
        let is_given_up = now.instant >= since + self.config.limits.host_grace;
        let next = self.hosts.least_loaded().filter(|_| is_given_up);
        let Some(next) = next else {
            let message = "the room's host is not there now; offer again in a moment";
            return Err(Refused::new(ErrorCode::NoHost, message));
        };
        if let Some(entry) = self.rooms.get_mut(room) {
            let epoch = entry.baton.fresh_epoch();
            self.give_reason(room, "the server that carried it did not come back");
            self.begin_term(room, next, epoch, now);
        }
        let message = "the room has a new host; offer again in its epoch";
        Err(Refused::new(ErrorCode::StaleEpoch, message))
    }

    pub(super) fn reject_host(&mut self, link: LinkId, message: &str) {
        self.outputs.push_back(Output::CloseHost {
            link,
            message: message.to_owned(),
        });
    }
}
