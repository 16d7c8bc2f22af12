//! An ear: what a jitter buffer like the browsers' makes of the packets of one voice.
//!
//! Counts what has to be made up. Plays in order and knows no waveform; what it leaves out (browsers keep more in store after a bad time)
//! would make up less.

use std::time::{Duration, Instant};

/// Sound in a packet.
const PACKET: Duration = Duration::from_millis(20);

/// What is kept in store on a calm line, as Chromium does.
const STORE: Duration = Duration::from_millis(60);

/// What is in store beyond that is played faster by this part.
const FASTER: u32 = 10;

/// Follows one voice.
#[derive(Default)]
pub(crate) struct Ear {
    /// When everything that has come will have been played.
    ends: Option<Instant>,
    made_up: Duration,
}

impl Ear {
    /// A packet came, `missing` others before it did not, of which it has the last in it if it `is_twice`.
    pub(crate) fn hear(&mut self, at: Instant, missing: u32, is_twice: bool) {
        let Some(ends) = self.ends else {
            self.ends = Some(at + STORE + PACKET);
            return;
        };
        let repaired = missing.min(is_twice.into());
        let hole = (missing - repaired) * PACKET;
        let silence = at.saturating_duration_since(ends);
        // What was made up while nothing came stands for what is lost.
        let made_up = hole.max(silence);
        self.made_up += made_up;
        let ends = ends + made_up;
        let is_ample = ends.saturating_duration_since(at) > STORE + PACKET;
        let sound = (1 + repaired) * PACKET;
        let saved = if is_ample {
            sound / FASTER
        } else {
            Duration::ZERO
        };
        self.ends = Some(ends + sound - saved);
    }

    /// Has it heard anything?
    pub(crate) fn is_open(&self) -> bool {
        self.ends.is_some()
    }

    /// Made up so far.
    pub(crate) fn made_up(&self, now: Instant) -> Duration {
        let silence = |ends| now.saturating_duration_since(ends);
        self.made_up + self.ends.map_or(Duration::ZERO, silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made up of packets sent every 20 ms, of which each comes so many milliseconds late or not at all.
    fn heard(late: impl IntoIterator<Item = Option<u64>>) -> Duration {
        let start = Instant::now();
        let (mut ear, mut missing, mut last) = (Ear::default(), 0, start);
        for (late, number) in late.into_iter().zip(0..) {
            match late {
                None => missing += 1,
                Some(late) => {
                    last = start + number * PACKET + Duration::from_millis(late);
                    ear.hear(last, missing, true);
                    missing = 0;
                }
            }
        }
        ear.made_up(last)
    }

    #[test]
    fn one_lost_packet_in_a_row_and_a_wait_within_the_store_cost_nothing() {
        let calm = std::iter::repeat_n(Some(0), 10);
        let one_lost = calm.clone().chain([None, Some(0)]).chain(calm.clone());
        let late = calm.clone().chain([Some(60), Some(40)]).chain(calm);
        assert_eq!(heard(one_lost), Duration::ZERO);
        assert_eq!(heard(late), Duration::ZERO);
    }

    #[test]
    fn what_is_lost_or_late_beyond_that_is_made_up() {
        let calm = std::iter::repeat_n(Some(0), 10);
        let lost = calm.clone().chain([None, None, None, Some(0)]);
        assert_eq!(heard(lost), Duration::from_millis(40));
        let late = calm.chain((0..10).map(|_| Some(300)));
        assert_eq!(heard(late), Duration::from_millis(240));
    }
}
