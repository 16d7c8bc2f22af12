//! What came from one participant in the last two seconds: the rate of the best half second, and what was lost on the way.
//!
//! Pure. Measured where it arrives, because what a computer says of its own line would be believed by nobody.

use crate::rtp::seq;
use crate::time::Tick;

/// A keyframe or a probe lasts about that long.
const BUCKET_US: u64 = 500_000;

/// Whole buckets that count: two seconds.
const COUNTED: u64 = 4;

/// Those and the one that is being filled.
const BUCKETS: usize = 5;

/// Sequence numbers that may be missing at a time; more is another numbering.
const MAX_GAP: u64 = 10_000;

/// Reception of one leg, whatever the stream.
#[derive(Debug, Default)]
pub(crate) struct Uplink {
    /// Number of a half second since the engine's start, and the bytes that came in it.
    buckets: [(u64, u64); BUCKETS],
    highest: Option<u64>,
    expected: u64,
    received: u64,
}

impl Uplink {
    /// Notes an authentic packet of `bytes` with its transport-wide number, if it has one.
    pub(crate) fn note(&mut self, bytes: usize, wire: Option<u16>, now: Tick) {
        let number = now.0 / BUCKET_US;
        let place = usize::try_from(number % (COUNTED + 1)).unwrap_or(0);
        if let Some(bucket) = self.buckets.get_mut(place) {
            if bucket.0 != number {
                *bucket = (number, 0);
            }
            bucket.1 += bytes as u64;
        }
        let Some(wire) = wire else { return };
        self.received += 1;
        let seq = seq::extend(self.highest.unwrap_or(0), wire);
        match self.highest {
            Some(highest) if seq > highest && seq - highest < MAX_GAP => {
                self.expected += seq - highest;
            }
            Some(highest) if seq <= highest => return,
            Some(_) | None => self.expected += 1,
        }
        self.highest = Some(seq);
    }

    /// Bits per second of the best of the last whole half seconds.
    pub(crate) fn best(&self, now: Tick) -> u64 {
        let current = now.0 / BUCKET_US;
        let counts = |number: u64| number < current && number + COUNTED >= current;
        let whole = self.buckets.iter().filter(|(number, _)| counts(*number));
        whole.map(|(_, bytes)| bytes * 16).max().unwrap_or(0)
    }

    /// Parts per million that were lost since this was last asked; `None` where nothing had a number.
    pub(crate) fn take_loss(&mut self) -> Option<u32> {
        let (expected, received) = (self.expected, self.received);
        (self.expected, self.received) = (0, 0);
        let lost = expected.saturating_sub(received);
        let ppm = (lost * 1_000_000).checked_div(expected)?;
        u32::try_from(ppm).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_best_half_second_of_the_last_two_counts_and_older_ones_do_not() {
        let mut uplink = Uplink::default();
        let at = |ms| Tick(0) + Duration::from_millis(ms);
        assert_eq!(uplink.best(at(0)), 0);
        uplink.note(1000, None, at(100));
        uplink.note(500, None, at(499));
        assert_eq!(uplink.best(at(499)), 0, "not over yet");
        assert_eq!(uplink.best(at(500)), 24_000);
        uplink.note(100, None, at(1200));
        assert_eq!(uplink.best(at(2499)), 24_000);
        assert_eq!(uplink.best(at(2500)), 1600);
        assert_eq!(uplink.best(at(9000)), 0);
    }

    #[test]
    fn loss_is_what_the_numbers_span_less_what_came() {
        let mut uplink = Uplink::default();
        assert_eq!(uplink.take_loss(), None);
        for seq in (65_530..65_536_u32).chain(65_537..65_540).chain([65_536]) {
            #[expect(clippy::cast_possible_truncation, reason = "the wire carries 16 bits")]
            uplink.note(100, Some(seq as u16), Tick(0));
        }
        assert_eq!(uplink.take_loss(), Some(0), "late is not lost");
        for seq in [4, 5, 8, 13] {
            uplink.note(100, Some(seq), Tick(0));
        }
        assert_eq!(uplink.take_loss(), Some(600_000));
        assert_eq!(uplink.take_loss(), None);
    }
}
