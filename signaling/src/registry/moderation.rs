//! What participants do to their own tracks and names, to each other, and say to each other.

use baton_protocol::{
    Denial, ErrorCode, HostCommand, HostId, LeaveReason, ParticipantId, RoomId, ServiceMessage,
    TrackId,
};

use super::negotiation::internal;
use super::{ConnectionId, Output, Refused, Registry, Seat};
use crate::denied::{DenySet, Mark};
use crate::now::Now;
use crate::participant::Participant;
use crate::room::Room;
use crate::text::{checked_name, is_chat};
use crate::token::MAX_TOKEN_LIFE;

impl Registry {
    pub(super) fn mute_own(
        &mut self,
        seat: &Seat,
        track: TrackId,
        muted: bool,
    ) -> Result<(), Refused> {
        let (_, me) = self.place(seat)?;
        if !me.has_track(track) {
            let message = "you publish no such track";
            return Err(Refused::new(ErrorCode::NotFound, message));
        }
        self.set_muted(&seat.room, seat.participant, track, muted);
        Ok(())
    }

    pub(super) fn mute_other(&mut self, seat: &Seat, track: TrackId) -> Result<(), Refused> {
        let room = self.moderated(seat)?;
        let Some((owner, _)) = room.track(track) else {
            return Err(Refused::new(ErrorCode::NotFound, "there is no such track"));
        };
        self.mute_by(&seat.room, owner, track, Some(seat.participant));
        Ok(())
    }

    /// Mutes somebody's track and tells them, if a participant did it.
    pub(super) fn mute_by(
        &mut self,
        room: &RoomId,
        owner: ParticipantId,
        track: TrackId,
        by: Option<ParticipantId>,
    ) {
        self.set_muted(room, owner, track, true);
        let connection = self
            .rooms
            .get(room)
            .and_then(|room| room.participants.get(&owner)?.connection());
        if let Some(connection) = connection {
            let by = by.unwrap_or(ADMINISTRATOR);
            self.send(connection, ServiceMessage::MutedByModerator { track, by });
        }
    }

    pub(super) fn kick(
        &mut self,
        seat: &Seat,
        participant: ParticipantId,
        now: Now,
    ) -> Result<(), Refused> {
        let room = self.moderated(seat)?;
        let target = room.participants.get(&participant);
        if !target.is_some_and(Participant::is_visible) {
            return Err(Refused::new(
                ErrorCode::NotFound,
                "there is no such participant",
            ));
        }
        self.expel(&seat.room, participant, now);
        Ok(())
    }

    /// Removes somebody for good: the tokens they have now do not let them in again.
    pub(super) fn expel(&mut self, room: &RoomId, participant: ParticipantId, now: Now) {
        let one = self
            .rooms
            .get(room)
            .and_then(|room| room.participants.get(&participant));
        let Some(one) = one else {
            return;
        };
        let marks = marks_of(one).into_iter().flatten();
        let (secret, now_s) = (&self.config.secret, now.unix_s());
        let until = now_s + MAX_TOKEN_LIFE.as_secs();
        let denials = DenySet::denials(room, marks, secret, now_s, until);
        self.denied.merge(denials.clone(), now_s);
        for host in self.hosts.central() {
            let denials = denials.clone();
            self.command(host, HostCommand::Deny { denials });
        }
        self.remove(room, participant, LeaveReason::Kicked, now);
    }

    /// Takes removals that a host has kept from an earlier life of the service: who has slipped in since goes.
    pub(super) fn renew_denials(&mut self, denials: Vec<Denial>, now: Now) {
        if !self.denied.merge(denials, now.unix_s()) {
            return;
        }
        let mut removed = Vec::new();
        for room in self.rooms.values() {
            for one in room.participants.values() {
                if self.is_denied(&room.id, marks_of(one), one.issued_at, now) {
                    removed.push((room.id.clone(), one.id));
                }
            }
        }
        for (room, participant) in removed {
            self.remove(&room, participant, LeaveReason::Kicked, now);
        }
    }

    /// Tells a host all removals, so that it can say them again.
    pub(super) fn entrust_denials(&mut self, host: HostId, now: Now) {
        let standing = self.denied.standing(now.unix_s());
        for denials in standing.chunks(DENIALS_PER_MESSAGE) {
            let denials = denials.to_vec();
            self.command(host, HostCommand::Deny { denials });
        }
    }

    pub(super) fn rename(&mut self, seat: &Seat, name: &str) -> Result<(), Refused> {
        let name =
            checked_name(name).map_err(|message| Refused::new(ErrorCode::Invalid, message))?;
        let room = self.rooms.get_mut(&seat.room).ok_or_else(internal)?;
        let me = room
            .participants
            .get_mut(&seat.participant)
            .ok_or_else(internal)?;
        me.name = name;
        self.announce(&seat.room, seat.participant);
        Ok(())
    }

    pub(super) fn chat(
        &mut self,
        seat: &Seat,
        connection: ConnectionId,
        text: String,
        to: Option<ParticipantId>,
        now: Now,
    ) -> Result<(), Refused> {
        let (room, me) = self.place(seat)?;
        if !me.grants.chat {
            return Err(Refused::new(ErrorCode::Forbidden, "you may not write here"));
        }
        if !is_chat(&text) {
            return Err(Refused::new(
                ErrorCode::Invalid,
                "a chat message has 1 to 4096 bytes",
            ));
        }
        let message = ServiceMessage::Chat {
            from: seat.participant,
            name: me.name.clone(),
            text,
            to,
            at_ms: now.unix_ms,
        };
        let output = match to {
            None => room.tell_all(message),
            Some(to) => {
                let other = room.participants.get(&to).filter(|one| one.is_visible());
                let reached = other.and_then(Participant::connection).ok_or_else(|| {
                    Refused::new(
                        ErrorCode::NotFound,
                        "that participant cannot be reached now",
                    )
                })?;
                let mut connections = vec![connection];
                if reached != connection {
                    connections.push(reached);
                }
                Output::Peers {
                    connections,
                    message,
                }
            }
        };
        self.outputs.push_back(output);
        Ok(())
    }

    fn set_muted(&mut self, room: &RoomId, owner: ParticipantId, track: TrackId, muted: bool) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let Some(one) = entry.participants.get_mut(&owner) else {
            return;
        };
        if one.set_muted(track, muted) {
            for host in one.hosts() {
                let command = HostCommand::SetMuted {
                    room: room.clone(),
                    track,
                    muted,
                };
                self.command(host, command);
            }
            self.announce(room, owner);
        }
    }

    pub(super) fn moderated(&self, seat: &Seat) -> Result<&Room, Refused> {
        let (room, me) = self.place(seat)?;
        if !me.grants.moderate {
            let message = "only a moderator may do that";
            return Err(Refused::new(ErrorCode::Forbidden, message));
        }
        Ok(room)
    }

    fn place(&self, seat: &Seat) -> Result<(&Room, &Participant), Refused> {
        let room = self.rooms.get(&seat.room).ok_or_else(internal)?;
        let me = room
            .participants
            .get(&seat.participant)
            .ok_or_else(internal)?;
        Ok((room, me))
    }
}

/// By what somebody is known again.
fn marks_of(one: &Participant) -> [Option<Mark>; 3] {
    [
        Some(Mark::Participant(one.id)),
        one.subject.clone().map(Mark::Subject),
        one.token_id.clone().map(Mark::TokenId),
    ]
}

/// About 100 bytes each, in a message of 576 KiB at most.
const DENIALS_PER_MESSAGE: usize = 1000;

/// Who muted, where it was the administrator by REST and nobody in the room. No participant has this number.
const ADMINISTRATOR: ParticipantId = ParticipantId(0);
