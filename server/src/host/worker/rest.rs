//! When a worker rests before it looks again, so that small datagrams come together instead of each waking it.
//!
//! Browsers report what arrived up to twenty times a second each, a hundred and fifty of them 3,000 times, and a wake-up costs
//! as much as sending a picture. A worker that rests is deaf to reports, and where nothing tells them apart (`queues`) to everything. It
//! waits without the runtime, whose sleep wakes for each datagram all the same. A worker with little to do never rests.

use std::time::{Duration, Instant};

use crate::host::socket::{self, MediaSocket};

/// How long reports wait where pictures do not wait with them: a little longer than it is to the next picture, after which what they
/// change has just been read.
const REPORTS: Duration = Duration::from_millis(36);

/// How long a rest is where they do: what a picture may come later by, in a host that is so busy.
const REST: Duration = Duration::from_millis(4);

/// How long something may have waited, in any case.
pub(super) const LONGEST: Duration = Duration::from_millis(60);

/// Things for nothing that are no burden: one every so often.
const IDLE_EVERY: Duration = Duration::from_millis(4);

/// Things for nothing in a row that are no burden either.
const IDLE_BURST: Duration = Duration::from_millis(40);

/// What ends a rest early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wakes {
    /// Nobody tells what is urgent.
    Nothing,
    Urgent,
    /// Pictures that come by TCP end no rest, so it is shorter.
    UrgentAndStreams,
}

/// Counts what the worker is woken for without anything to forward.
#[derive(Debug)]
pub(super) struct Rest {
    /// When everything so far would have come if it came evenly.
    evenly: Instant,
    /// When reports were looked at last, while they have to wait.
    looked: Option<Instant>,
}

impl Rest {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            evenly: now,
            looked: None,
        }
    }

    /// A turn ended in which so much came for nothing. True: it was too much of late, so rest.
    pub(super) fn note_turn(&mut self, idle: u32, now: Instant) -> bool {
        let most = now + IDLE_BURST + 2 * REPORTS;
        self.evenly = (self.evenly.max(now) + IDLE_EVERY * idle).min(most);
        let rests = self.evenly - now > IDLE_BURST;
        if !rests {
            self.looked = None;
        }
        rests
    }

    /// Is it time for reports? If it nearly is, they are taken along by whatever woke the worker.
    pub(super) fn is_time_for_reports(&mut self, now: Instant) -> bool {
        let is_time = self.looked.is_none_or(|looked| now >= looked + REPORTS / 2);
        if is_time {
            self.looked = Some(now);
        }
        is_time
    }

    /// Rests until there is something urgent, until it is time for reports, or until `due`; where nothing tells what is urgent, a moment.
    pub(super) fn rest(&self, sockets: &[MediaSocket], wakes: Wakes, due: Instant) {
        let most = match wakes {
            Wakes::Nothing => return std::thread::sleep(REST),
            Wakes::Urgent => REPORTS,
            Wakes::UrgentAndStreams => REST,
        };
        let now = Instant::now();
        let reports = self.looked.unwrap_or(now) + most;
        socket::await_urgent(sockets, due.min(reports).saturating_duration_since(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of the turns, one every `every`, are followed by a rest.
    fn rests(turns: u32, every: Duration, has_forwarded: bool) -> usize {
        let start = Instant::now();
        let mut rest = Rest::new(start);
        let mut is_rest = |turn| rest.note_turn(u32::from(!has_forwarded), start + every * turn);
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
    fn many_reports_are_a_storm_however_few_turns_take_them() {
        let start = Instant::now();
        let rests = |reports| {
            let mut rest = Rest::new(start);
            (0..100)
                .filter(|turn| rest.note_turn(reports, start + REPORTS * *turn))
                .count()
        };
        assert_eq!(rests(7), 0, "194 a second");
        assert!(rests(14) > 90, "389 a second");
    }

    #[test]
    fn reports_wait_while_the_worker_rests_and_are_taken_along_by_what_wakes_it() {
        let start = Instant::now();
        let mut rest = Rest::new(start);
        let at = |part| start + REPORTS * part / 10;
        assert!(rest.is_time_for_reports(at(0)));
        assert!(rest.note_turn(100, at(0)));
        assert!(!rest.is_time_for_reports(at(4)), "they came just now");
        assert!(rest.is_time_for_reports(at(5)));
        for turn in [100, 101] {
            assert!(!rest.note_turn(0, at(turn)));
            assert!(rest.is_time_for_reports(at(turn)), "at once");
        }
    }

    #[test]
    fn a_storm_is_soon_forgotten() {
        let start = Instant::now();
        let mut rest = Rest::new(start);
        for turn in 0..10_000 {
            rest.note_turn(1, start + Duration::from_micros(300) * turn);
        }
        let later = start + Duration::from_secs(3) + 2 * REPORTS + Duration::from_millis(20);
        assert!(!rest.note_turn(1, later));
    }
}
