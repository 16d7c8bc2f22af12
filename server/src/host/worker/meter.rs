//! How the thread that forwards is doing on a participant's computer: what signaling is told with each renewal of the lease.
//!
//! Pure but for [`thread_time`]. Does not own whether that is too much: signaling and the computer's owner decide.

use std::time::{Duration, Instant};

use baton_protocol::HostLoad;

use crate::host::clock::BootTime;

/// Counters at the last renewal.
#[derive(Debug, Default)]
pub(super) struct Meter {
    at: Option<BootTime>,
    bytes_out: u64,
    /// Longest queue since then, in milliseconds.
    queue_ms: u64,
    /// Processor time of the thread.
    busy: Duration,
    /// How late it came to what was due, all in all, and how often.
    late: (Duration, u32),
    looked: Option<Instant>,
    /// Since when several lines have had long queues.
    queueing: Option<Instant>,
    /// Since when little is sent because of that.
    held_back: Option<Instant>,
}

impl Meter {
    /// Notes how long packets wait, between renewals.
    pub(super) fn note(&mut self, stats: &baton_engine::Stats) {
        self.queue_ms = self.queue_ms.max(stats.queue_ms);
    }

    /// The thread came so late to something.
    pub(super) fn note_late(&mut self, late: Duration) {
        self.late = (self.late.0 + late, self.late.1.saturating_add(1));
    }

    /// Is it time to look at the queues again?
    pub(super) fn is_look_due(&mut self, now: Instant) -> bool {
        let is_due = self.looked.is_none_or(|at| now >= at + LOOK);
        if is_due {
            self.looked = Some(now);
        }
        is_due
    }

    /// Have packets waited on several lines without a break for as long as can be borne?
    pub(super) fn queues_for_long(&mut self, stats: &baton_engine::Stats, now: Instant) -> bool {
        self.note(stats);
        let load = HostLoad {
            legs: legs(stats.legs_connected),
            ..HostLoad::default()
        };
        if !load.is_general(legs(stats.legs_queueing)) {
            self.queueing = None;
            return false;
        }
        now >= *self.queueing.get_or_insert(now) + BORNE
    }

    pub(super) fn hold_back(&mut self, now: Instant) {
        self.held_back = Some(now);
    }

    /// True once, when nothing has waited for so long that as much may be sent as before.
    pub(super) fn has_held_back_for_long(&mut self, now: Instant) -> bool {
        self.held_back
            .take_if(|since| now >= *since + HELD)
            .is_some()
    }

    pub(super) fn forget_queue(&mut self) {
        (self.queueing, self.held_back) = (None, None);
    }

    /// What came since the last time. `busy` is the processor time that the thread had since its beginning, if that is known.
    pub(super) fn measure(
        &mut self,
        stats: &baton_engine::Stats,
        busy: Option<Duration>,
        now: BootTime,
    ) -> HostLoad {
        self.note(stats);
        let span = self
            .at
            .replace(now)
            .map_or(Duration::ZERO, |at| now.since(at));
        let bytes = stats.bytes_out + stats.padding_bytes_out;
        let bits = (bytes - std::mem::replace(&mut self.bytes_out, bytes)) * 8;
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let queue_ms = std::mem::take(&mut self.queue_ms);
        HostLoad {
            legs: legs(stats.legs_connected),
            sent_bps: (bits * 1000).checked_div(millis).unwrap_or(0),
            queue_ms: u32::try_from(queue_ms).unwrap_or(u32::MAX),
            loss_ppm: u32::try_from(stats.loss_ppm).unwrap_or(u32::MAX),
            cpu_free_percent: self.free_percent(busy, span),
            legs_queueing: legs(stats.legs_queueing),
            legs_losing: legs(stats.legs_losing),
            legs_short: legs(stats.legs_short),
        }
    }

    /// At least 1: 0 says that it is not known.
    fn free_percent(&mut self, busy: Option<Duration>, span: Duration) -> u16 {
        let (late, times) = std::mem::take(&mut self.late);
        let Some(busy) = busy.filter(|_| !span.is_zero()) else {
            return 0;
        };
        let used = busy.saturating_sub(std::mem::replace(&mut self.busy, busy));
        let is_waiting = times > 0 && late / times >= MUCH_TOO_LATE;
        let used = 100 * used.as_millis() / span.as_millis().max(1);
        match is_waiting {
            true => 1,
            false => u16::try_from(100_u128.saturating_sub(used)).map_or(1, |free| free.max(1)),
        }
    }
}

fn legs(count: u64) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// Between two looks at the queues.
const LOOK: Duration = Duration::from_millis(100);

/// Packets that wait for more than a tenth of a second may do so for this long, which is half of what anybody shall notice.
const BORNE: Duration = Duration::from_secs(1);

/// A move that succeeds is over by then.
const HELD: Duration = Duration::from_secs(15);

/// A thread that comes so late on average waits for a processor that others have, however little it does itself.
const MUCH_TOO_LATE: Duration = Duration::from_millis(50);

/// Processor time that this thread has had.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(super) fn thread_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};

    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).ok()?;
    Some(Duration::new(seconds, u32::try_from(time.tv_nsec).ok()?))
}

/// The system does not say.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(super) fn thread_time() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(meter: &mut Meter, busy_ms: u64, at_s: u64) -> u16 {
        let busy = Some(Duration::from_millis(busy_ms));
        let now = BootTime(Duration::from_secs(at_s));
        let load = meter.measure(&baton_engine::Stats::default(), busy, now);
        load.cpu_free_percent
    }

    #[test]
    fn what_the_thread_used_since_the_last_time_is_not_free() {
        let mut meter = Meter::default();
        assert_eq!(free(&mut meter, 700, 10), 0, "not known yet");
        assert_eq!(free(&mut meter, 1200, 12), 40, "1200 of 2000 ms");
        assert_eq!(free(&mut meter, 1400, 14), 90);
        assert_eq!(free(&mut meter, 3500, 16), 1, "known, and nothing");
    }

    #[test]
    fn a_thread_that_waits_for_a_processor_has_none_free() {
        let mut meter = Meter::default();
        free(&mut meter, 0, 10);
        for late in [1, 2, 200, 1] {
            meter.note_late(Duration::from_millis(late));
        }
        assert_eq!(free(&mut meter, 100, 12), 1);
        for late in [1, 2, 150, 1] {
            meter.note_late(Duration::from_millis(late));
        }
        assert_eq!(free(&mut meter, 200, 14), 95, "one moment is none");
    }

    #[test]
    fn queues_on_several_lines_are_borne_for_a_second_and_one_guest_s_own_for_ever() {
        let mut meter = Meter::default();
        let start = Instant::now();
        let mut look = |ms: u64, queueing: u64| {
            let stats = baton_engine::Stats {
                legs_connected: 4,
                legs_queueing: queueing,
                ..baton_engine::Stats::default()
            };
            meter.queues_for_long(&stats, start + Duration::from_millis(ms))
        };
        assert!(!look(0, 2));
        assert!(!look(900, 3));
        assert!(!look(950, 1), "a break");
        assert!(!look(1100, 2));
        assert!(!look(2000, 2));
        assert!(look(2100, 2));
        assert!(!look(2200, 1));
        assert!(!look(9000, 1));
    }

    #[test]
    fn what_was_held_back_is_let_go_when_nobody_took_the_call() {
        let mut meter = Meter::default();
        let start = Instant::now();
        assert!(!meter.has_held_back_for_long(start));
        meter.hold_back(start);
        assert!(!meter.has_held_back_for_long(start + HELD / 2));
        assert!(meter.has_held_back_for_long(start + HELD));
        assert!(!meter.has_held_back_for_long(start + HELD * 2), "once");
    }

    #[test]
    fn the_thread_s_own_time_grows_while_it_works() {
        let Some(before) = thread_time() else { return };
        let mut sum = 0_u64;
        while thread_time() == Some(before) {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(thread_time() > Some(before), "{sum}");
    }
}
