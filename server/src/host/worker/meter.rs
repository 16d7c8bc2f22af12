//! How the thread that forwards is doing on a participant's computer: what signaling is told with each renewal of the lease.
//!
//! Pure but for [`thread_time`]. Does not own whether that is too much: signaling and the computer's owner decide.

use std::time::{Duration, Instant};

use baton_engine::Bitrate;
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
    queues: Queues,
}

/// Whether packets wait on several lines at once, and what is done about it.
#[derive(Debug, Default)]
struct Queues {
    /// Bits per second that are sent, smoothed, before anything is held back; and the bytes at the last look.
    flow: f64,
    seen: Option<(Instant, u64)>,
    /// Since when several lines have had long queues.
    since: Option<Instant>,
    /// To what is being held back, and when that began.
    held: Option<(Instant, Bitrate)>,
    /// When it was over last.
    freed: Option<Instant>,
}

/// What the queues ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strain {
    /// Nothing new.
    Same,
    /// Send no more than this for now; if it lasts, elsewhere the call would do better.
    HoldBack { to: Bitrate, is_lasting: bool },
    /// Send as before.
    Over,
}

impl Queues {
    fn look(&mut self, bytes: u64, estimates: u64, is_long: bool, now: Instant) -> Strain {
        let before = self.seen.replace((now, bytes));
        if !is_long {
            self.since = None;
            if let Some((began, _)) = self.held {
                if now < began + HELD {
                    return Strain::Same;
                }
                (self.held, self.freed) = (None, Some(now));
                return Strain::Over;
            }
            if let Some((at, sent)) = before.filter(|(at, _)| *at < now) {
                let rate = bytes.saturating_sub(sent) as f64 * 8.0 / (now - at).as_secs_f64();
                self.flow += (rate - self.flow) / SMOOTHING;
            }
            return Strain::Same;
        }
        let lasts = now - *self.since.get_or_insert(now);
        let is_again = self.freed.is_some_and(|freed| now < freed + AGAIN);
        let is_lasting = lasts >= BORNE || is_again;
        match self.held {
            Some((_, to)) if is_lasting => Strain::HoldBack { to, is_lasting },
            Some(_) => Strain::Same,
            None if lasts >= SHORTLY => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a rate is a whole number of bits"
                )]
                let to = Bitrate(estimates.min(self.flow as u64) / HELD_BACK);
                self.held = Some((now, to));
                Strain::HoldBack { to, is_lasting }
            }
            None => Strain::Same,
        }
    }
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

    /// Looks at the queues; see [`Strain`].
    pub(super) fn look(&mut self, stats: &baton_engine::Stats, now: Instant) -> Strain {
        self.note(stats);
        let load = HostLoad {
            legs: legs(stats.legs_connected),
            ..HostLoad::default()
        };
        let bytes = stats.bytes_out + stats.padding_bytes_out;
        let is_long = load.is_general(legs(stats.legs_queueing));
        self.queues.look(bytes, stats.estimate_sum, is_long, now)
    }

    /// The call is not this computer's any more. True if anything was held back.
    pub(super) fn forget_queue(&mut self) -> bool {
        std::mem::take(&mut self.queues).held.is_some()
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

/// Packets may wait for more than a tenth of a second for so long before less is sent, and before the call is handed back.
const SHORTLY: Duration = Duration::from_millis(200);
const BORNE: Duration = Duration::from_secs(1);

/// Of what was sent before, this part is sent then: sound, and small pictures.
const HELD_BACK: u64 = 4;

/// As long at least; and if it is needed again so soon after that, the line is too short.
const HELD: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_secs(10);

/// Looks over which the rate is smoothed.
const SMOOTHING: f64 = 10.0;

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

    /// Looks every 100 ms at a host with four legs that sends 2 Mb/s.
    struct Looks {
        meter: Meter,
        start: Instant,
        looks: u32,
    }

    impl Looks {
        fn new() -> Self {
            let mut looks = Self {
                meter: Meter::default(),
                start: Instant::now(),
                looks: 0,
            };
            looks.with(0, 100);
            looks
        }

        /// What is asked for in so many looks, each thing once.
        fn with(&mut self, queueing: u64, times: u32) -> Vec<Strain> {
            let mut asked = Vec::new();
            for _ in 0..times {
                self.looks += 1;
                let stats = baton_engine::Stats {
                    legs_connected: 4,
                    legs_queueing: queueing,
                    bytes_out: u64::from(self.looks) * 25_000,
                    estimate_sum: 9_000_000,
                    ..baton_engine::Stats::default()
                };
                let strain = self.meter.look(&stats, self.start + LOOK * self.looks);
                if strain != Strain::Same && asked.last() != Some(&strain) {
                    asked.push(strain);
                }
            }
            asked
        }
    }

    fn held(strain: &[Strain]) -> Vec<bool> {
        let lasting = |one: &Strain| match one {
            Strain::HoldBack { to, is_lasting } => {
                assert!((400_000..=500_000).contains(&to.0), "a quarter: {to:?}");
                *is_lasting
            }
            Strain::Same | Strain::Over => panic!("{one:?}"),
        };
        strain.iter().map(lasting).collect()
    }

    #[test]
    fn queues_on_several_lines_hold_back_at_once_and_hand_back_after_a_second() {
        let mut looks = Looks::new();
        assert_eq!(looks.with(1, 90), [], "one guest's own");
        assert_eq!(looks.with(2, 2), []);
        assert_eq!(held(&looks.with(2, 1)), [false]);
        assert_eq!(looks.with(2, 7), []);
        assert_eq!(held(&looks.with(2, 5)), [true]);
    }

    #[test]
    fn what_was_held_back_is_let_go_and_needed_again_at_once_it_is_too_much() {
        let mut looks = Looks::new();
        assert_eq!(held(&looks.with(3, 5)), [false]);
        assert_eq!(looks.with(0, 17), []);
        assert_eq!(looks.with(0, 2), [Strain::Over]);
        assert_eq!(looks.with(0, 20), []);
        assert_eq!(held(&looks.with(2, 4)), [true], "again within ten seconds");
        let mut looks = Looks::new();
        looks.with(3, 5);
        looks.with(0, 140);
        assert_eq!(held(&looks.with(2, 4)), [false], "long after");
        assert!(looks.meter.forget_queue());
        assert!(!looks.meter.forget_queue());
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
