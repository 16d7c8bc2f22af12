//! Which legs live, learned from the messages that pass by. Pure.

use std::collections::BTreeMap;

use baton_protocol::{
    Answer, Epoch, HostCommand, HostMessage, LegId, LegState, ParticipantId, RoomId, RosterLeg,
    RosterRoom, TrackId, TrackInfo,
};

/// Rooms with living legs, as [`baton_protocol::HostHello`] needs them.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    rooms: BTreeMap<RoomId, Room>,
}

#[derive(Clone, Debug)]
struct Room {
    epoch: Epoch,
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
            HostMessage::Hello(_)
            | HostMessage::IceRestarted { .. }
            | HostMessage::Refused(_)
            | HostMessage::Leg { .. }
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
            }
            HostCommand::SetMuted { room, track, muted } => self.set_muted(room, *track, *muted),
            HostCommand::Accepted { .. }
            | HostCommand::Negotiate(_)
            | HostCommand::RestartIce { .. }
            | HostCommand::Candidate { .. }
            | HostCommand::Unknown => {}
        }
    }

    /// Everything that lives, in the order of names and numbers.
    pub fn rooms(&self) -> Vec<RosterRoom> {
        let room = |(name, room): (&RoomId, &Room)| RosterRoom {
            room: name.clone(),
            epoch: room.epoch,
            legs: room.legs.iter().map(leg).collect(),
        };
        self.rooms.iter().map(room).collect()
    }

    fn answered(&mut self, answer: &Answer) {
        let room = self.rooms.entry(answer.room.clone()).or_insert(Room {
            epoch: answer.epoch,
            legs: BTreeMap::new(),
        });
        room.epoch = room.epoch.max(answer.epoch);
        room.legs
            .insert((answer.participant, answer.leg), answer.tracks.clone());
    }

    fn remove(&mut self, name: &RoomId, is_gone: impl Fn(&(ParticipantId, LegId)) -> bool) {
        let Some(room) = self.rooms.get_mut(name) else {
            return;
        };
        room.legs.retain(|key, _| !is_gone(key));
        if room.legs.is_empty() {
            self.rooms.remove(name);
        }
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

fn leg(((participant, leg), tracks): (&(ParticipantId, LegId), &Vec<TrackInfo>)) -> RosterLeg {
    RosterLeg {
        participant: *participant,
        leg: *leg,
        tracks: tracks.clone(),
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
}
