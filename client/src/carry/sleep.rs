//! Was the computer asleep? The calendar went on and the monotonic clock did not (Linux), or both looks lie far apart.
//!
//! Pure: times come in by argument. It is known only afterwards; the host has fenced itself by then.

use std::time::{Duration, Instant, SystemTime};

/// Looks come every second; so much more is no busy processor.
const ASLEEP: Duration = Duration::from_secs(4);

#[derive(Debug, Default)]
pub(super) struct Sleep {
    last: Option<(Instant, SystemTime)>,
}

impl Sleep {
    /// True if the computer slept since the last look.
    pub(super) fn look(&mut self, now: Instant, date: SystemTime) -> bool {
        let Some((at, then)) = self.last.replace((now, date)) else {
            return false;
        };
        let awake = now.saturating_duration_since(at);
        // A calendar that was set back says nothing.
        let passed = date.duration_since(then).unwrap_or_default();
        awake.max(passed) >= ASLEEP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_on_either_clock_is_a_sleep() {
        let (start, date) = (Instant::now(), SystemTime::UNIX_EPOCH);
        let mut sleep = Sleep::default();
        let mut look = |awake: u64, passed: u64| {
            sleep.look(
                start + Duration::from_secs(awake),
                date + Duration::from_secs(passed),
            )
        };
        assert!(!look(0, 100));
        assert!(!look(1, 101));
        assert!(look(2, 400), "the lid was closed");
        assert!(!look(3, 401));
        assert!(look(60, 460));
        assert!(!look(61, 0), "set back");
    }
}
