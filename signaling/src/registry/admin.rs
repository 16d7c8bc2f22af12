//! What the REST interface sees and does.

use baton_protocol::{HostTerm, ParticipantId, ParticipantInfo, RoomId, TrackId};

use super::Registry;
use crate::now::Now;
use crate::room::Room;

/// A room as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomView {
    /// Its name.
    pub id: RoomId,
    /// Who forwards.
    pub term: HostTerm,
    /// Everybody whose name is known, hidden ones included.
    pub participants: Vec<ParticipantInfo>,
}

impl From<&Room> for RoomView {
    fn from(room: &Room) -> Self {
        let known = room
            .participants
            .values()
            .filter(|one| !room.is_unclaimed(one.id));
        Self {
            id: room.id.clone(),
            term: room.term.clone(),
            participants: known.map(crate::participant::Participant::info).collect(),
        }
    }
}

impl Registry {
    /// All rooms, by name.
    pub fn rooms(&self) -> impl Iterator<Item = RoomView> {
        self.rooms.values().map(RoomView::from)
    }

    /// One room.
    pub fn room(&self, room: &RoomId) -> Option<RoomView> {
        self.rooms.get(room).map(RoomView::from)
    }

    /// Sends everybody away and forgets the room. Was there one?
    pub fn delete_room(&mut self, room: &RoomId, now: Now) -> bool {
        let is_known = self.rooms.contains_key(room);
        self.close_room(room, now);
        is_known
    }

    /// Removes a participant for good. Was there one?
    pub fn kick_participant(
        &mut self,
        room: &RoomId,
        participant: ParticipantId,
        now: Now,
    ) -> bool {
        let entry = self.rooms.get(room);
        let is_known = entry.is_some_and(|entry| entry.participants.contains_key(&participant));
        self.expel(room, participant, now);
        is_known
    }

    /// Mutes a track of a participant. Was there one?
    pub fn mute_track(
        &mut self,
        room: &RoomId,
        participant: ParticipantId,
        track: TrackId,
    ) -> bool {
        let owner = self
            .rooms
            .get(room)
            .and_then(|entry| entry.track(track))
            .map(|(owner, _)| owner);
        if owner != Some(participant) {
            return false;
        }
        self.mute_by(room, participant, track, None);
        true
    }
}
