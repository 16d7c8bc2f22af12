//! Does the application send less than it might? Then what arrives says nothing about the line.
//!
//! A bucket that fills at a share of the target and is emptied by what is sent, after libwebrtc's `AlrDetector`.

use crate::time::Tick;

/// An application that uses less of its target is limited by itself (libwebrtc `kDefaultBandwidthUsageRatio`).
const SHARE: f64 = 0.65;

/// The bucket holds half a second (`IntervalBudget`).
const BUCKET_SECONDS: f64 = 0.5;

/// Limited when the bucket is fuller than the second, no longer when emptier than the first (`kDefaultStopBudgetLevel`, `kDefaultStartBudgetLevel`).
const LEVELS: (f64, f64) = (0.5, 0.8);

/// Watches what is sent.
#[derive(Debug, Default)]
pub(super) struct LimitDetector {
    /// Bits that might have been sent.
    bucket: f64,
    /// Bytes sent since the last update.
    bytes: u64,
    updated: Tick,
    is_limited: bool,
}

impl LimitDetector {
    /// Notes bytes of media.
    #[inline]
    pub(super) fn note(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Lets the bucket fill at `target` bits per second.
    pub(super) fn update(&mut self, target: f64, now: Tick) {
        let elapsed = now.since(self.updated).as_secs_f64().min(1.0);
        self.updated = now;
        let capacity = target * SHARE * BUCKET_SECONDS;
        let spent = std::mem::take(&mut self.bytes) as f64 * 8.0;
        self.bucket = (self.bucket + target * SHARE * elapsed - spent).clamp(-capacity, capacity);
        let level = self.bucket / capacity.max(1.0);
        let (stop, start) = LEVELS;
        self.is_limited = level > if self.is_limited { stop } else { start };
    }

    /// Was it so at the last update?
    #[inline]
    pub(super) fn is_limited(&self) -> bool {
        self.is_limited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_half_of_its_target_is_limited_and_who_sends_all_is_not() {
        let mut detector = LimitDetector::default();
        let mut feed = |kbps: usize, from_ms: u64| {
            for step in 1..=20 {
                detector.note(kbps * 100 / 8);
                detector.update(1e6, Tick((from_ms + step * 100) * 1000));
            }
            detector.is_limited()
        };
        assert!(!feed(1000, 0));
        assert!(feed(300, 2000));
        assert!(!feed(900, 4000));
    }
}
