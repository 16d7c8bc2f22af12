//! Going: one participant, or a whole room.

use std::collections::BTreeSet;

use baton_protocol::{HostCommand, LeaveReason, ParticipantId, RoomId, ServiceMessage};

use super::timers::Timer;
use super::{CallError, CloseReason, Output, Registry};
use crate::now::Now;
use crate::participant::{Participant, Presence};

impl Registry {
    /// Takes a participant out of a room: socket, legs and tracks go with them.
    pub(super) fn remove(
        &mut self,
        room: &RoomId,
        participant: ParticipantId,
        reason: LeaveReason,
        now: Now,
    ) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let Some(gone) = entry.participants.remove(&participant) else {
            return;
        };
        if gone.is_visible() {
            let left = ServiceMessage::ParticipantLeft {
                participant,
                reason,
            };
            self.outputs.push_back(entry.tell_all(left));
        }
        entry.baton.stays.remove(&participant);
        entry.baton.trials.remove(&participant);
        entry.baton.lines.remove(&participant);
        entry.baton.failures.remove(&participant);
        if entry.is_empty() {
            entry.vacancy = entry.vacancy.wrapping_add(1);
            let due = now.instant + self.config.limits.empty_room;
            self.timers
                .insert(due, Timer::Vacancy(room.clone(), entry.vacancy));
        }
        for host in gone.hosts() {
            let command = HostCommand::Close {
                room: room.clone(),
                participant,
                leg: None,
            };
            self.command(host, command);
        }
        self.dismiss(&gone, reason);
        self.dismiss_computers(room, participant, now);
        self.tend(room, now);
    }

    /// Tells somebody who was taken out, and closes what they were reached by.
    fn dismiss(&mut self, gone: &Participant, reason: LeaveReason) {
        match &gone.presence {
            Presence::Socket(connection) => {
                self.seats.remove(connection);
                if reason != LeaveReason::Left {
                    self.send(*connection, ServiceMessage::Removed { reason });
                }
                self.outputs.push_back(Output::ClosePeer {
                    connection: *connection,
                    reason: CloseReason::Over,
                });
            }
            Presence::Session(session) => {
                self.sessions.remove(session);
                self.fail_calls(gone, &CallError::Gone);
            }
            Presence::Lost { .. } | Presence::Unclaimed { .. } => {}
        }
    }

    /// Forgets a room; everybody in it is sent away.
    pub(super) fn close_room(&mut self, room: &RoomId, now: Now) {
        let ids: Vec<_> = match self.rooms.get(room) {
            Some(entry) => entry.participants.keys().copied().collect(),
            None => return,
        };
        for participant in ids {
            self.remove(room, participant, LeaveReason::RoomClosed, now);
        }
        if let Some(entry) = self.rooms.remove(room) {
            let others = entry.baton.told.into_keys();
            let hosts: BTreeSet<_> = others.chain([entry.term.host]).collect();
            for host in hosts {
                self.hosts.release(host, room);
                self.command(host, HostCommand::CloseRoom { room: room.clone() });
            }
        }
    }
}
