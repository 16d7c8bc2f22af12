//! When a worker rests a moment before it looks again, so that small datagrams come together instead of each waking it.
//!
//! Browsers report what arrived up to twenty times a second each, a hundred and fifty of them 3,000 times, and a wake-up costs
//! as much as sending a picture. The thread is deaf meanwhile: the runtime's sleep wakes for each of them all the same. A turn
//! that forwarded something is never followed by a rest, and a worker with little to do never rests.

use std::time::{Duration, Instant};

/// How long a rest is: what a picture may come later by, in a host that is so busy.
pub(super) const REST: Duration = Duration::from_millis(4);

/// Turns for nothing that are no burden: one every so often.
const IDLE_EVERY: Duration = Duration::from_millis(4);

/// Turns for nothing in a row that are no burden either.
const IDLE_BURST: Duration = Duration::from_millis(40);

/// Counts turns that forwarded nothing.
#[derive(Debug)]
pub(super) struct Rest {
    /// When the turns so far would have happened if they came evenly.
    evenly: Instant,
}

impl Rest {
    pub(super) fn new(now: Instant) -> Self {
        Self { evenly: now }
    }

    /// A turn ended. True: too many of late were for nothing, so rest.
    pub(super) fn note_turn(&mut self, has_forwarded: bool, now: Instant) -> bool {
        if has_forwarded {
            return false;
        }
        let most = now + IDLE_BURST + IDLE_EVERY;
        self.evenly = (self.evenly.max(now) + IDLE_EVERY).min(most);
        self.evenly - now > IDLE_BURST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of the turns, one every `every`, are followed by a rest.
    fn rests(turns: u32, every: Duration, has_forwarded: bool) -> usize {
        let start = Instant::now();
        let mut rest = Rest::new(start);
        let mut is_rest = |turn| rest.note_turn(has_forwarded, start + every * turn);
        (0..turns).filter(|&turn| is_rest(turn)).count()
    }

    #[test]
    fn a_worker_with_little_to_do_never_rests() {
        assert_eq!(rests(1000, Duration::from_millis(5), false), 0);
    }

    #[test]
    fn a_storm_of_reports_makes_it_rest() {
        assert!(rests(1000, Duration::from_micros(300), false) > 900);
    }

    #[test]
    fn who_sends_goes_on_at_once() {
        assert_eq!(rests(1000, Duration::from_micros(300), true), 0);
    }

    #[test]
    fn a_storm_is_soon_forgotten() {
        let start = Instant::now();
        let mut rest = Rest::new(start);
        for turn in 0..10_000 {
            rest.note_turn(false, start + Duration::from_micros(300) * turn);
        }
        let later = start + Duration::from_secs(3) + Duration::from_millis(60);
        assert!(!rest.note_turn(false, later));
    }
}
