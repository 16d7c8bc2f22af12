//! Time inside the engine: microseconds since it was made, so that a moment fits in eight bytes of a ring entry.

use std::ops::{Add, Sub};
use std::time::{Duration, Instant};

/// A moment, in microseconds since the engine's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tick(pub(crate) u64);

impl Tick {
    /// Later than every other moment.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// Time since `earlier`, zero if that lies ahead.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The next moment of a grid of `step`, so that what is not urgent shares wake-ups: on a virtual machine one costs as much as sealing
    /// ten packets.
    pub(crate) fn round_up(self, step: Duration) -> Self {
        let step = u64::try_from(step.as_micros()).unwrap_or(u64::MAX).max(1);
        self.0
            .checked_next_multiple_of(step)
            .map_or(Self::NEVER, Self)
    }

    /// Milliseconds since the engine's start.
    pub(crate) fn as_millis(self) -> u64 {
        self.0 / 1000
    }
}

impl Add<Duration> for Tick {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl Sub<Duration> for Tick {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(micros))
    }
}

/// Turns the caller's clock into ticks and back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch(Instant);

impl Epoch {
    /// Ticks are counted from `start`.
    pub(crate) fn new(start: Instant) -> Self {
        Self(start)
    }

    /// The caller's moment as ticks; moments before the start are zero.
    pub(crate) fn tick(self, at: Instant) -> Tick {
        Tick(0) + at.saturating_duration_since(self.0)
    }

    /// The first tick that is not before the caller's moment: for deadlines, which must not seem due early.
    pub(crate) fn tick_from(self, at: Instant) -> Tick {
        let rounded = at.checked_add(Duration::from_nanos(999)).unwrap_or(at);
        self.tick(rounded)
    }

    /// Ticks as the caller's moment.
    pub(crate) fn instant(self, at: Tick) -> Instant {
        self.0 + Duration::from_micros(at.0.min(u64::from(u32::MAX) * 1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_moves_to_the_grid_and_never_to_before_itself() {
        let step = Duration::from_millis(20);
        for (at, rounded) in [(0, 0), (1, 20_000), (20_000, 20_000), (20_001, 40_000)] {
            assert_eq!(Tick(at).round_up(step), Tick(rounded));
        }
        assert_eq!(Tick::NEVER.round_up(step), Tick::NEVER);
    }
}
