//! The clocks of a leased host: one that goes on while the computer sleeps, and the calendar's.
//!
//! Leases are counted on the first: a lid that was closed for a minute has cost a minute, which `Instant` does not know on Linux.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since the computer was started, sleep included (Linux; elsewhere since the first look, by the monotonic clock).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(pub Duration);

impl BootTime {
    /// Time since `earlier`, zero if that lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// `span` later.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// Now.
    #[cfg(target_os = "linux")]
    pub(crate) fn now() -> Self {
        use rustix::time::{ClockId, clock_gettime};

        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
        Self(Duration::new(seconds, nanos))
    }

    /// Now.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn now() -> Self {
        static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        Self(FIRST.get_or_init(std::time::Instant::now).elapsed())
    }
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// For leases and standstills.
    pub boot: BootTime,
    /// Seconds since 1970: by it the tickets of signaling expire.
    pub unix_s: u64,
}

impl Moment {
    pub(crate) fn now() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            boot: BootTime::now(),
            unix_s: since_1970.map_or(0, |since| since.as_secs()),
        }
    }
}
