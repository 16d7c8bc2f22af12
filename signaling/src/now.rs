//! The time of an event, read once by the shell and handed to everything pure.

use std::time::Instant;

use baton_protocol::Epoch;

/// One moment on both clocks: the monotonic one for deadlines, the wall clock for tokens and chat.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For deadlines.
    pub instant: Instant,
    /// Milliseconds since 1970.
    pub unix_ms: u64,
}

impl Now {
    /// Seconds since 1970, as tokens count them.
    pub fn unix_s(self) -> u64 {
        self.unix_ms / 1000
    }

    /// Higher than what an earlier life of the service, or one before that, can have given out: it would have had to change hosts of
    /// one room eight times a second, from its start to its end.
    pub(crate) fn first_epoch(self) -> Epoch {
        let epoch = self.unix_s().saturating_sub(NEW_YEAR_2026) * 8;
        Epoch(u32::try_from(epoch).unwrap_or(u32::MAX / 2)).max(Epoch::FIRST)
    }

    /// No earlier life can have given out a higher one, unless its calendar was more than a day ahead.
    pub(crate) fn last_epoch(self) -> Epoch {
        Epoch(self.first_epoch().0.saturating_add(24 * 3600 * 8))
    }
}

/// In seconds since 1970.
const NEW_YEAR_2026: u64 = 1_767_225_600;
