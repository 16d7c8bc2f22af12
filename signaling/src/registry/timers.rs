//! Deadlines in order. A timer is never cancelled: when it fires, the state says whether it still means anything.

use std::collections::BTreeMap;
use std::time::Instant;

use baton_protocol::{HostId, LegId, ParticipantId, RoomId};

/// What may be due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// Somebody without a socket did not come back.
    Absence(RoomId, ParticipantId),
    /// A room stayed empty; the number is the room's `vacancy` at that time.
    Vacancy(RoomId, u32),
    /// A host did not answer a request.
    Answer(RoomId, ParticipantId, LegId, u32),
    /// Something about a room's hosts.
    Baton(RoomId),
    /// A host stayed away, so that nobody knows whether its sessions live.
    Orphans(HostId),
    /// Credentials for TURN that participants have will end some time.
    Credentials,
}

/// All deadlines.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeMap<(Instant, u64), Timer>,
    count: u64,
}

impl Timers {
    pub(super) fn insert(&mut self, due: Instant, timer: Timer) {
        self.count += 1;
        self.due.insert((due, self.count), timer);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let ((due, _), _) = self.due.first_key_value()?;
        Some(*due)
    }

    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.due.pop_first().map(|(_, timer)| timer)
    }
}
