//! What this computer is in the call, whom it serves, and what speaks against going on.
//!
//! Pure: what passes by between signaling and host goes in, and so do the conditions once a second.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use baton_protocol::{
    Epoch, Fitness, HostCommand, HostMessage, HostRole, LegId, LegState, ParticipantId,
    PowerSource, RoomId, StepDownReason,
};

use super::{Carrying, PortProtocol};
use crate::caps::{Caps, Conditions, Metering, Objection, Power};

#[derive(Debug)]
pub(super) struct Watch {
    room: RoomId,
    caps: Caps,
    part: Option<(Epoch, HostRole)>,
    connected: BTreeSet<(ParticipantId, LegId)>,
    /// Round trips in milliseconds, as this computer's host measures them.
    round_trips: BTreeMap<ParticipantId, u32>,
    sent_bps: u64,
    /// One says it once per term.
    has_stepped_down: bool,
    news: VecDeque<Carrying>,
}

impl Watch {
    pub(super) fn new(room: RoomId, caps: Caps) -> Self {
        Self {
            room,
            caps,
            part: None,
            connected: BTreeSet::new(),
            round_trips: BTreeMap::new(),
            sent_bps: 0,
            has_stepped_down: false,
            news: VecDeque::new(),
        }
    }

    pub(super) fn poll_news(&mut self) -> Option<Carrying> {
        self.news.pop_front()
    }

    /// Does it carry the call?
    pub(super) fn is_active(&self) -> bool {
        matches!(self.part, Some((_, HostRole::Active)))
    }

    /// Who is served.
    pub(super) fn guests(&self) -> u16 {
        let guests: BTreeSet<ParticipantId> = self.connected.iter().map(|(who, _)| *who).collect();
        u16::try_from(guests.len()).unwrap_or(u16::MAX)
    }

    pub(super) fn sent_bps(&self) -> u64 {
        self.sent_bps
    }

    /// Signaling said something.
    pub(super) fn note_command(&mut self, command: &HostCommand) {
        match command {
            HostCommand::Accepted { .. } => self.news.push_back(Carrying::Offered),
            HostCommand::Serve {
                room, epoch, role, ..
            } if *room == self.room => {
                if self.part.is_none_or(|(known, _)| known < *epoch) {
                    self.has_stepped_down = false;
                }
                self.set_part(*epoch, *role);
            }
            HostCommand::CloseRoom { room } if *room == self.room => {
                if let Some((epoch, _)) = self.part {
                    self.set_part(epoch, HostRole::Draining);
                }
            }
            HostCommand::Close {
                participant, leg, ..
            } => self.connected.retain(|(whose, which)| {
                whose != participant || leg.is_some_and(|leg| leg != *which)
            }),
            HostCommand::Serve { .. }
            | HostCommand::CloseRoom { .. }
            | HostCommand::Negotiate(_)
            | HostCommand::RestartIce { .. }
            | HostCommand::Candidate { .. }
            | HostCommand::SetMuted { .. }
            | HostCommand::Lease { .. }
            | HostCommand::ProbeUplink { .. }
            | HostCommand::Deny { .. }
            | HostCommand::Remember { .. }
            | HostCommand::OpenBridge { .. }
            | HostCommand::AnswerBridge { .. }
            | HostCommand::JoinBridge { .. }
            | HostCommand::CloseBridge { .. }
            | HostCommand::Inherit { .. }
            | HostCommand::Unknown => {}
        }
    }

    fn set_part(&mut self, epoch: Epoch, role: HostRole) {
        if self.part != Some((epoch, role)) {
            self.part = Some((epoch, role));
            self.news.push_back(Carrying::Part { epoch, role });
        }
    }

    /// The host said something.
    pub(super) fn note_message(&mut self, message: &HostMessage) {
        if let HostMessage::Leg {
            participant,
            leg,
            state,
            ..
        } = message
        {
            let key = (*participant, *leg);
            match state {
                LegState::Connected => self.connected.insert(key),
                LegState::Silent | LegState::Closed => self.connected.remove(&key),
            };
        } else if let HostMessage::Lines { lines, .. } = message {
            let known = lines.iter().filter(|line| line.rtt_us > 0);
            self.round_trips = known
                .map(|line| (line.participant, line.rtt_us / 1000))
                .collect();
        } else if let HostMessage::StepDown { reason, .. } = message {
            // The thread that forwards saw first that its line is full.
            self.has_stepped_down = true;
            let reason = *reason;
            self.news.push_back(Carrying::SteppedDown { reason });
        } else if let HostMessage::Declined { reason, .. } = message {
            let reason = reason.clone();
            self.news.push_back(Carrying::Declined { reason });
        }
    }

    /// The router opened a way in, or closed it.
    pub(super) fn note_opening(&mut self, outside: Option<SocketAddr>, by: Option<PortProtocol>) {
        self.news.push_back(Carrying::Opened { outside, by });
    }

    /// Once a second: bits that were sent in it.
    pub(super) fn note_sent(&mut self, bits: u64) {
        self.sent_bps = bits;
        if self.is_active() {
            self.news.push_back(Carrying::Load {
                guests: self.guests(),
                sent_bps: bits,
            });
        }
    }

    /// What the owner has against beginning, in words.
    pub(super) fn objection_to_begin(&mut self, conditions: &Conditions) -> Option<String> {
        let objections = self.caps.objections_to_begin(conditions);
        let reason = objections.first()?.to_string();
        let said = reason.clone();
        self.news.push_back(Carrying::Declined { reason: said });
        Some(reason)
    }

    /// Why the call that is carried should go elsewhere, if it should.
    pub(super) fn reason_to_stop(&self, conditions: &Conditions) -> Option<StepDownReason> {
        if !self.is_active() {
            return None;
        }
        let is_over = !self.caps.objections(conditions).is_empty();
        is_over.then_some(StepDownReason::Cap)
    }

    /// What signaling is told of a wish to be rid of the call; nothing where there is none, or it was told.
    pub(super) fn step_down(&mut self, reason: StepDownReason) -> Option<HostMessage> {
        let (epoch, role) = self.part?;
        let carries = matches!(role, HostRole::Active | HostRole::Next | HostRole::Standby);
        if !carries || std::mem::replace(&mut self.has_stepped_down, true) {
            return None;
        }
        self.news.push_back(Carrying::SteppedDown { reason });
        let room = self.room.clone();
        Some(HostMessage::StepDown {
            room,
            epoch,
            reason,
        })
    }

    /// What it says of itself.
    pub(super) fn fitness(&self, conditions: &Conditions, cpu_free_percent: u16) -> Fitness {
        let objections = if self.is_active() {
            self.caps.objections(conditions)
        } else {
            self.caps.objections_to_begin(conditions)
        };
        let reached = self.connected.iter().map(|(who, _)| *who);
        let reached: BTreeSet<ParticipantId> = reached.collect();
        let round_trip = |who: ParticipantId| self.round_trips.get(&who).copied().unwrap_or(0);
        Fitness {
            cpu_free_percent,
            power: match conditions.power {
                Power::Mains => PowerSource::Mains,
                Power::Battery(percent) => PowerSource::Battery(percent),
                Power::Unknown => PowerSource::Unknown,
            },
            // Where its owner allows it, the price is no reason against it.
            metered: conditions.metering == Metering::Metered && !self.caps.is_metered_allowed,
            uplink_cap_bps: self.caps.uplink_bps,
            guests_cap: self.caps.guests,
            objections: objections.iter().map(Objection::to_string).collect(),
            reached: reached
                .into_iter()
                .map(|who| (who, round_trip(who)))
                .collect(),
            signaling: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(epoch: u32, role: HostRole) -> HostCommand {
        HostCommand::Serve {
            room: "standup".parse().unwrap(),
            epoch: Epoch(epoch),
            role,
            grant: None,
            lease_ms: None,
            beats: false,
        }
    }

    fn leg(participant: u32, state: LegState) -> HostMessage {
        HostMessage::Leg {
            room: "standup".parse().unwrap(),
            participant: ParticipantId(participant),
            leg: LegId(1),
            state,
        }
    }

    fn watch(caps: Caps) -> Watch {
        let mut watch = Watch::new("standup".parse().unwrap(), caps);
        watch.note_command(&serve(4, HostRole::Next));
        watch.note_command(&serve(4, HostRole::Active));
        watch
    }

    fn mains() -> Conditions {
        Conditions {
            power: Power::Mains,
            metering: Metering::Free,
            ..Conditions::default()
        }
    }

    #[test]
    fn it_steps_down_once_for_what_its_owner_does_not_allow_and_may_again_in_another_term() {
        let mut watch = watch(Caps::default());
        assert_eq!(watch.reason_to_stop(&mains()), None);
        let battery = Conditions {
            power: Power::Battery(60),
            ..mains()
        };
        assert_eq!(watch.reason_to_stop(&battery), Some(StepDownReason::Cap));
        assert!(watch.step_down(StepDownReason::Cap).is_some());
        assert_eq!(watch.step_down(StepDownReason::Cap), None);
        watch.note_command(&serve(5, HostRole::Draining));
        assert_eq!(watch.reason_to_stop(&battery), None);
        assert_eq!(watch.step_down(StepDownReason::Owner), None, "not its own");
        watch.note_command(&serve(6, HostRole::Next));
        assert!(watch.step_down(StepDownReason::Owner).is_some());
    }

    #[test]
    fn a_host_that_stepped_down_by_itself_is_known_and_does_not_do_it_twice() {
        let mut watch = watch(Caps::default());
        while watch.poll_news().is_some() {}
        watch.note_message(&HostMessage::StepDown {
            room: "standup".parse().unwrap(),
            epoch: Epoch(4),
            reason: StepDownReason::Overload,
        });
        let reason = StepDownReason::Overload;
        assert_eq!(watch.poll_news(), Some(Carrying::SteppedDown { reason }));
        assert_eq!(watch.step_down(StepDownReason::Owner), None);
    }

    #[test]
    fn guests_are_people_and_who_is_silent_is_none() {
        let mut watch = watch(Caps {
            guests: Some(1),
            ..Caps::default()
        });
        watch.note_message(&leg(1, LegState::Connected));
        watch.note_message(&leg(2, LegState::Connected));
        watch.note_message(&leg(1, LegState::Silent));
        assert_eq!(watch.guests(), 1);
        let fitness = watch.fitness(&mains(), 150);
        assert_eq!(fitness.reached, [(ParticipantId(2), 0)]);
        assert_eq!(fitness.objections, Vec::<String>::new());
        watch.note_message(&leg(1, LegState::Connected));
        let crowd = Conditions {
            guests: watch.guests(),
            ..mains()
        };
        assert_eq!(watch.reason_to_stop(&crowd), Some(StepDownReason::Cap));
    }
}
