//! Which legs live, learned from the messages that pass by. Pure.

use std::collections::{BTreeMap, BTreeSet};

use baton_protocol::limits::MAX_DENIALS;
use baton_protocol::{
    Answer, Denial, Epoch, HostCommand, HostMessage, HostRole, LegId, LegState, ParticipantId,
    RoomId, RosterLeg, RosterRoom, TrackId, TrackInfo,
};

/// Rooms that the engine knows, as [`baton_protocol::HostHello`] needs them, and what signaling asked to be told again.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    rooms: BTreeMap<RoomId, Room>,
    /// By room, of legs that live or wait for their answer.
    mementos: BTreeMap<RoomId, BTreeMap<(ParticipantId, LegId), String>>,
    /// The one that expires first comes first.
    denials: BTreeSet<(u64, Denial)>,
    /// Said once, and again on each new link.
    reflects: Option<HostMessage>,
}

#[derive(Clone, Debug)]
struct Room {
    epoch: Epoch,
    /// What signaling said the host is there, and by which grant.
    part: Option<(HostRole, Option<String>)>,
    legs: BTreeMap<(ParticipantId, LegId), Vec<TrackInfo>>,
}

impl Roster {
    /// A message of the host passed by.
    pub fn note_message(&mut self, message: &HostMessage) {
        match message {
            HostMessage::Answer(answer) => self.answered(answer),
            HostMessage::Leg {
                room,
                participant,
                leg,
                state: LegState::Closed,
            } => {
                self.remove(room, |key| *key == (*participant, *leg));
            }
            HostMessage::Refused(refusal) => {
                let key = (refusal.participant, refusal.leg);
                let room = self.rooms.get(&refusal.room);
                if room.is_none_or(|room| !room.legs.contains_key(&key)) {
                    self.remove(&refusal.room, |refused| *refused == key);
                }
            }
            HostMessage::Reflects { .. } => self.reflects = Some(message.clone()),
            HostMessage::Hello(_)
            | HostMessage::Prepared { .. }
            | HostMessage::Declined { .. }
            | HostMessage::Renew { .. }
            | HostMessage::StepDown { .. }
            | HostMessage::Fitness { .. }
            | HostMessage::Lines { .. }
            | HostMessage::IceRestarted { .. }
            | HostMessage::Leg { .. }
            | HostMessage::BridgeOffered { .. }
            | HostMessage::BridgeAnswered { .. }
            | HostMessage::Bridge { .. }
            | HostMessage::Unknown => {}
        }
    }

    /// A command of signaling passed by.
    pub fn note_command(&mut self, command: &HostCommand) {
        match command {
            HostCommand::Close {
                room,
                participant,
                leg,
            } => self.remove(room, |(whose, which)| {
                whose == participant && leg.is_none_or(|leg| leg == *which)
            }),
            HostCommand::CloseRoom { room } => {
                self.rooms.remove(room);
                self.mementos.remove(room);
            }
            HostCommand::Deny { denials } => self.note_denials(denials),
            HostCommand::Remember {
                room,
                participant,
                leg,
                memento,
            } => {
                let mementos = self.mementos.entry(room.clone()).or_default();
                mementos.insert((*participant, *leg), memento.clone());
            }
            HostCommand::SetMuted { room, track, muted } => self.set_muted(room, *track, *muted),
            HostCommand::Serve {
                room,
                epoch,
                role,
                grant,
                ..
            } => self.note_part(room, *epoch, (*role, grant.clone())),
            HostCommand::Accepted { .. }
            | HostCommand::Lease { .. }
            | HostCommand::ProbeUplink { .. }
            | HostCommand::Negotiate(_)
            | HostCommand::RestartIce { .. }
            | HostCommand::Candidate { .. }
            | HostCommand::OpenBridge { .. }
            | HostCommand::AnswerBridge { .. }
            | HostCommand::JoinBridge { .. }
            | HostCommand::CloseBridge { .. }
            | HostCommand::Inherit { .. }
            | HostCommand::Unknown => {}
        }
    }

    /// Everything that lives, in the order of names and numbers. A room in which nobody is served is told too: the engine refuses
    /// whatever is of an older epoch than it has seen there, so signaling has to know that epoch.
    pub fn rooms(&self) -> Vec<RosterRoom> {
        let room = |(name, room): (&RoomId, &Room)| {
            let mementos = self.mementos.get(name);
            let leg = |(key, tracks): (&(ParticipantId, LegId), &Vec<TrackInfo>)| RosterLeg {
                participant: key.0,
                leg: key.1,
                tracks: tracks.clone(),
                memento: mementos.and_then(|mementos| mementos.get(key).cloned()),
            };
            RosterRoom {
                role: room.part.as_ref().map(|(role, _)| *role),
                grant: room.part.as_ref().and_then(|(_, grant)| grant.clone()),
                room: name.clone(),
                epoch: room.epoch,
                legs: room.legs.iter().map(leg).collect(),
            }
        };
        self.rooms.iter().map(room).collect()
    }

    /// Removals that signaling entrusted to this host.
    pub fn denials(&self) -> Vec<Denial> {
        self.denials
            .iter()
            .map(|(_, denial)| denial.clone())
            .collect()
    }

    /// What is said after the hello: where the host tells whoever asks how it is seen.
    pub fn reflects(&self) -> Option<&HostMessage> {
        self.reflects.as_ref()
    }

    /// The time of a new removal says which old ones have expired.
    fn note_denials(&mut self, denials: &[Denial]) {
        for denial in denials {
            self.denials.insert((denial.until, denial.clone()));
            let is_over = |until: u64| until <= denial.removed_at;
            while self.denials.len() > MAX_DENIALS
                || self
                    .denials
                    .first()
                    .is_some_and(|(until, _)| is_over(*until))
            {
                self.denials.pop_first();
            }
        }
    }

    /// A part is remembered before there are legs, and forgotten with the last one where it was over.
    fn note_part(&mut self, name: &RoomId, epoch: Epoch, part: (HostRole, Option<String>)) {
        let room = self.rooms.entry(name.clone()).or_insert(Room {
            epoch,
            part: None,
            legs: BTreeMap::new(),
        });
        if epoch >= room.epoch {
            room.epoch = epoch;
            room.part = Some(part);
        }
        self.forget_empty(name);
    }

    fn forget_empty(&mut self, name: &RoomId) {
        let is_over = |room: &Room| {
            let role = room.part.as_ref().map(|(role, _)| *role);
            room.legs.is_empty() && matches!(role, None | Some(HostRole::Draining))
        };
        if self.rooms.get(name).is_some_and(is_over) {
            self.rooms.remove(name);
        }
    }

    fn answered(&mut self, answer: &Answer) {
        let room = self.rooms.entry(answer.room.clone()).or_insert(Room {
            epoch: answer.epoch,
            part: None,
            legs: BTreeMap::new(),
        });
        room.epoch = room.epoch.max(answer.epoch);
        room.legs
            .insert((answer.participant, answer.leg), answer.tracks.clone());
    }

    fn remove(&mut self, name: &RoomId, is_gone: impl Fn(&(ParticipantId, LegId)) -> bool) {
        if let Some(mementos) = self.mementos.get_mut(name) {
            mementos.retain(|key, _| !is_gone(key));
            if mementos.is_empty() {
                self.mementos.remove(name);
            }
        }
        let Some(room) = self.rooms.get_mut(name) else {
            return;
        };
        room.legs.retain(|key, _| !is_gone(key));
        self.forget_empty(name);
    }

    fn set_muted(&mut self, name: &RoomId, id: TrackId, muted: bool) {
        let tracks = self
            .rooms
            .get_mut(name)
            .into_iter()
            .flat_map(|room| room.legs.values_mut());
        for track in tracks.flatten().filter(|track| track.id == id) {
            track.muted = muted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_protocol::Source;

    fn room() -> RoomId {
        "daily".parse().unwrap()
    }

    fn answer(participant: u32, leg: u32, epoch: u32) -> HostMessage {
        HostMessage::Answer(Answer {
            room: room(),
            epoch: Epoch(epoch),
            participant: ParticipantId(participant),
            leg: LegId(leg),
            request: 1,
            sdp: String::new(),
            tracks: vec![TrackInfo {
                id: TrackId(participant),
                mid: "0".to_owned(),
                source: Source::Camera,
                layers: Vec::new(),
                muted: false,
            }],
            slots: Vec::new(),
        })
    }

    fn legs(roster: &Roster) -> Vec<(u32, u32)> {
        let rooms = roster.rooms();
        let legs = rooms.iter().flat_map(|room| &room.legs);
        legs.map(|leg| (leg.participant.0, leg.leg.0)).collect()
    }

    #[test]
    fn answered_legs_live_until_the_host_or_signaling_closes_them() {
        let mut roster = Roster::default();
        for (participant, leg) in [(1, 1), (1, 2), (2, 1), (3, 1)] {
            roster.note_message(&answer(participant, leg, 1));
        }
        assert_eq!(legs(&roster), [(1, 1), (1, 2), (2, 1), (3, 1)]);
        let (participant, leg) = (ParticipantId(1), LegId(1));
        let state = |state| HostMessage::Leg {
            room: room(),
            participant,
            leg,
            state,
        };
        roster.note_message(&state(LegState::Silent));
        assert_eq!(legs(&roster).len(), 4);
        roster.note_message(&state(LegState::Closed));
        assert_eq!(legs(&roster), [(1, 2), (2, 1), (3, 1)]);
        roster.note_command(&HostCommand::Close {
            room: room(),
            participant,
            leg: None,
        });
        assert_eq!(legs(&roster), [(2, 1), (3, 1)]);
        roster.note_command(&HostCommand::CloseRoom { room: room() });
        assert_eq!(roster.rooms(), []);
    }

    #[test]
    fn a_room_without_legs_is_forgotten_so_the_roster_is_bounded_by_what_lives() {
        let mut roster = Roster::default();
        roster.note_message(&answer(1, 1, 1));
        let leg = Some(LegId(1));
        roster.note_command(&HostCommand::Close {
            room: room(),
            participant: ParticipantId(1),
            leg,
        });
        assert!(roster.rooms.is_empty());
    }

    #[test]
    fn the_epoch_only_grows_and_mutes_are_remembered() {
        let mut roster = Roster::default();
        roster.note_message(&answer(1, 1, 4));
        roster.note_message(&answer(2, 1, 3));
        let mute = HostCommand::SetMuted {
            room: room(),
            track: TrackId(2),
            muted: true,
        };
        roster.note_command(&mute);
        let rooms = roster.rooms();
        assert_eq!(rooms[0].epoch, Epoch(4));
        let muted: Vec<_> = rooms[0]
            .legs
            .iter()
            .map(|leg| leg.tracks[0].muted)
            .collect();
        assert_eq!(muted, [false, true]);
    }
    #[test]
    fn what_signaling_entrusted_comes_back_with_its_leg_and_ends_with_it() {
        let mut roster = Roster::default();
        let remember = |participant| HostCommand::Remember {
            room: room(),
            participant: ParticipantId(participant),
            leg: LegId(1),
            memento: format!("memento of {participant}"),
        };
        for participant in [1, 2] {
            roster.note_command(&remember(participant));
            roster.note_message(&answer(participant, 1, 1));
        }
        roster.note_message(&answer(3, 1, 1));
        let mementos = |roster: &Roster| -> Vec<Option<String>> {
            let legs = roster.rooms().into_iter().flat_map(|room| room.legs);
            legs.map(|leg| leg.memento).collect()
        };
        let kept = |n: u32| Some(format!("memento of {n}"));
        assert_eq!(mementos(&roster), [kept(1), kept(2), None]);
        roster.note_command(&HostCommand::Close {
            room: room(),
            participant: ParticipantId(1),
            leg: None,
        });
        assert_eq!(mementos(&roster), [kept(2), None]);
        roster.note_command(&HostCommand::CloseRoom { room: room() });
        assert!(roster.mementos.is_empty());
    }

    #[test]
    fn a_host_says_again_what_it_is_in_its_rooms_and_by_which_grant() {
        let mut roster = Roster::default();
        let serve = |epoch, role, grant: Option<&str>| HostCommand::Serve {
            room: room(),
            epoch: Epoch(epoch),
            role,
            grant: grant.map(str::to_owned),
            lease_ms: None,
            beats: false,
        };
        roster.note_command(&serve(4, HostRole::Next, Some("signed")));
        assert_eq!(roster.rooms().len(), 1, "before anybody is served");
        roster.note_message(&answer(1, 1, 4));
        roster.note_command(&serve(3, HostRole::Draining, None));
        let known = &roster.rooms()[0];
        assert_eq!((known.epoch, known.role), (Epoch(4), Some(HostRole::Next)));
        assert_eq!(known.grant.as_deref(), Some("signed"));
        roster.note_command(&HostCommand::Close {
            room: room(),
            participant: ParticipantId(1),
            leg: None,
        });
        roster.note_message(&answer(2, 1, 4));
        assert_eq!(roster.rooms()[0].role, Some(HostRole::Next), "still");
        roster.note_command(&serve(5, HostRole::Draining, None));
        roster.note_command(&HostCommand::Close {
            room: room(),
            participant: ParticipantId(2),
            leg: None,
        });
        assert!(roster.rooms.is_empty());
    }

    #[test]
    fn removals_outlive_their_rooms_until_they_expire() {
        let mut roster = Roster::default();
        let deny = |mark: &str, removed_at| {
            let denial = Denial {
                mark: mark.to_owned(),
                removed_at,
                until: removed_at + 100,
            };
            HostCommand::Deny {
                denials: vec![denial],
            }
        };
        roster.note_command(&deny("ana", 10));
        roster.note_command(&HostCommand::CloseRoom { room: room() });
        roster.note_command(&deny("ben", 50));
        roster.note_command(&deny("ben", 50));
        let marks = |roster: &Roster| -> Vec<String> {
            let denials = roster.denials().into_iter();
            denials.map(|denial| denial.mark).collect()
        };
        assert_eq!(marks(&roster), ["ana", "ben"]);
        roster.note_command(&deny("cleo", 110));
        assert_eq!(marks(&roster), ["ben", "cleo"], "ana's is over");
    }
}
