//! What hosts say, and which host a room has.

use baton_protocol::{
    ErrorCode, HostCommand, HostHello, HostId, HostKind, HostMessage, LeaveReason,
    OLDEST_PROTOCOL_VERSION, RoomId, ServiceMessage,
};

use super::{Output, Refused, Registry};
use crate::host::{Accepted, LinkId};
use crate::now::Now;
use crate::participant::Presence;
use crate::text::checked_name;

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
            // Said by participants' computers; nothing is decided on it yet.
            HostMessage::Hello(_)
            | HostMessage::Prepared { .. }
            | HostMessage::Declined { .. }
            | HostMessage::Renew { .. }
            | HostMessage::StepDown { .. }
            | HostMessage::Fitness { .. }
            | HostMessage::Lines { .. }
            | HostMessage::Unknown => {}
        }
    }

    fn hello(&mut self, link: LinkId, hello: HostHello, now: Now) {
        let Ok(name) = checked_name(&hello.name) else {
            return self.reject_host(link, "a host has a name of 1 to 128 bytes");
        };
        if hello.protocol < OLDEST_PROTOCOL_VERSION {
            return self.reject_host(link, "the host's protocol is too old; update it");
        }
        let (wanted, kind) = (hello.host, hello.kind);
        let accepted = self.hosts.accept(link, wanted, &name, kind, &mut self.rng);
        let Some(Accepted { host, replaced }) = accepted else {
            return self.reject_host(link, "the service knows too many hosts");
        };
        if let Some(old) = replaced {
            self.reject_host(old, "the host has linked again");
            self.fail_pending(host, now);
        }
        let command = HostCommand::Accepted {
            host,
            signing_key: None,
        };
        self.outputs.push_back(Output::Host { link, command });
        // Only the operator's hosts keep removals: a promoted participant could forget them.
        if kind == HostKind::Central {
            self.renew_denials(hello.denials, now);
            self.entrust_denials(host, now);
        }
        self.reconcile(host, hello.rooms, now);
    }

    /// Makes sure that the room's host can be asked; gives the room another one if it has been gone for long.
    pub(super) fn ensure_host(&mut self, room: &RoomId, now: Now) -> Result<(), Refused> {
        let Some(entry) = self.rooms.get(room) else {
            return Err(super::negotiation::internal());
        };
        let host = entry.term.host;
        if self.hosts.link_of(host).is_some() {
            return Ok(());
        }
        let since = self.hosts.gone_since(host).unwrap_or(self.started);
        let is_given_up = now.instant >= since + self.config.limits.host_grace;
        let next = self.hosts.least_loaded().filter(|_| is_given_up);
        let Some(next) = next else {
            let message = "the room's host is not there now; offer again in a moment";
            return Err(Refused::new(ErrorCode::NoHost, message));
        };
        self.change_host(room, next, now);
        let message = "the room has a new host; offer again in its epoch";
        Err(Refused::new(ErrorCode::StaleEpoch, message))
    }

    /// Starts the next term. Legs belong to a host, so none of them outlives its term here.
    fn change_host(&mut self, room: &RoomId, next: HostId, now: Now) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let Some(term) = self.hosts.term(next, entry.term.epoch.next()) else {
            return;
        };
        let before = std::mem::replace(&mut entry.term, term.clone());
        self.hosts.release(before.host, room);
        self.hosts.assign(next, room);
        self.outputs
            .push_back(entry.tell_all(ServiceMessage::HostChanged { host: term }));
        let mut silenced = Vec::new();
        let mut sessions = Vec::new();
        for one in entry.participants.values_mut() {
            if matches!(one.presence, Presence::Session(_)) {
                sessions.push(one.id);
            } else if one.tracks().next().is_some() {
                silenced.push(one.id);
            }
            one.legs.clear();
        }
        for participant in silenced {
            self.announce(room, participant);
        }
        for participant in sessions {
            self.remove(room, participant, LeaveReason::Left, now);
        }
    }

    fn reject_host(&mut self, link: LinkId, message: &str) {
        self.outputs.push_back(Output::CloseHost {
            link,
            message: message.to_owned(),
        });
    }
}
