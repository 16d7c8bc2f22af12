//! The time of an event, read once by the shell and handed to everything pure.

use std::time::Instant;

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
}
