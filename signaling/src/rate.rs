//! A token bucket: so many at once, so many per second. Pure: the caller brings the time.

use std::time::Instant;

/// Milli-units, so that a slow rate loses nothing between two close calls.
const UNIT: u64 = 1000;

/// Admits `burst` at once and `rate` per second.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: u64,
    capacity: u64,
    level: u64,
    filled: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(rate: u32, burst: u32, now: Instant) -> Self {
        let capacity = u64::from(burst) * UNIT;
        Self {
            rate: u64::from(rate),
            capacity,
            level: capacity,
            filled: now,
        }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        if millis > 0 {
            self.filled = now;
            let gained = millis.saturating_mul(self.rate);
            self.level = self.level.saturating_add(gained).min(self.capacity);
        }
        let admitted = self.level >= UNIT;
        if admitted {
            self.level -= UNIT;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_is_admitted_then_only_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(50, 200, start);
        let admitted = (0..1000).filter(|_| bucket.take(start)).count();
        assert_eq!(admitted, 200);
        let later = start + Duration::from_secs(1);
        let admitted = (0..1000).filter(|_| bucket.take(later)).count();
        assert_eq!(admitted, 50);
    }
}
