//! The delay-based rate: grows while the queue does not, falls below what arrives when it does.
//!
//! draft-ietf-rmcat-gcc-02 section 5.5 with libwebrtc's `AimdRateControl` and `LinkCapacityEstimator`. Two things differ: an overuse
//! that a leg cannot have caused, because it sends far less than its estimate, leaves the estimate alone; and once the queue is empty
//! again the rate goes straight back to just below the capacity that the overuse has shown, instead of climbing there for ten seconds.

use std::time::Duration;

use super::Usage;
use crate::time::Tick;

/// What remains of the acknowledged rate after overuse (draft section 5.5, beta).
const BETA: f64 = 0.85;

/// After a break-in the queue has to drain in about this time, in milliseconds; sound and a little more is always sent.
const DRAIN: f64 = 700.0;
const MIN_BETA: f64 = 0.2;

/// What remains of the rate when a queue that others fill overflows; they halve theirs (RFC 5681), but react to each loss.
const OVERFLOW: f64 = 0.7;

const OVERFLOW_PAUSE: Duration = Duration::from_millis(1500);

/// What is taken of the known capacity when the queue has drained: beside the measured capacity there is room for a picture's burst.
const RESUME: f64 = 0.95;

/// Growth per second while the capacity is unknown (draft section 5.5, eta).
const GROWTH: f64 = 1.08;

/// The estimate stays below this multiple of what arrives, and so many bits per second. The draft has 1.5 (section 5.5), for senders that
/// follow the estimate; layers leave steps, and what lies above them is a probe's to find out.
const MAX_AHEAD: f64 = 1.15;
const AHEAD_BITS: f64 = 10_000.0;

/// The same where no probe can be sent: the application may then try the next layer untested.
const MAX_AHEAD_UNPROBED: f64 = 3.0;

/// Beside the round trip, the time that overuse takes to be noticed (draft section 5.5, response time).
const RESPONSE: Duration = Duration::from_millis(100);

/// Bits of a full packet, and pictures a second, for the additive step (draft section 5.5).
const PACKET_BITS: f64 = 1200.0 * 8.0;
const PICTURES: f64 = 30.0;

/// Least additive growth, in bits per second each second (libwebrtc).
const MIN_GROWTH: f64 = 4_000.0;

/// Decreases within so long are one attempt to empty the queue.
const SERIES: Duration = Duration::from_secs(10);

/// Milliseconds of queue that count as none.
const EMPTY_QUEUE: f64 = 10.0;

/// What one round of feedback says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) usage: Usage,
    /// Bits per second that arrive, averaged, and as of the last moment.
    pub(super) acked: Option<f64>,
    pub(super) newest: Option<f64>,
    /// The queue has grown far beyond the usual: the line has broken in.
    pub(super) is_surging: bool,
    /// Far less is sent than the estimate.
    pub(super) sends_little: bool,
    /// The queue overflows.
    pub(super) is_overflowing: bool,
    /// Packets arrive slower than they are sent.
    pub(super) is_held_back: bool,
    /// The application sends less than it might.
    pub(super) is_limited: bool,
    /// Milliseconds that packets wait.
    pub(super) queue: f64,
    pub(super) round_trip: Duration,
    pub(super) can_probe: bool,
}

/// Is a queue being let out?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drain {
    No,
    /// After overuse.
    Usual,
    /// After a break-in.
    Surge,
}

/// A decrease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lowered {
    pub(super) at: Tick,
    /// Milliseconds that packets waited then.
    pub(super) queue: f64,
}

/// Milliseconds by which a decrease shortens this leg's own queue in `span`.
pub(super) fn drained(span: Duration) -> f64 {
    (1.0 - BETA) * span.as_secs_f64() * 1000.0
}

/// Follows one line.
#[derive(Debug)]
pub(super) struct RateControl {
    target: f64,
    capacity: Capacity,
    drain: Drain,
    lowered: Option<Lowered>,
    /// The first decrease since the queue was last empty, of the last [`SERIES`].
    first: Option<Lowered>,
    updated: Option<Tick>,
}

impl RateControl {
    /// Begins at `start` bits per second.
    pub(super) fn new(start: f64) -> Self {
        Self {
            target: start,
            capacity: Capacity::default(),
            drain: Drain::No,
            lowered: None,
            first: None,
            updated: None,
        }
    }

    /// Bits per second.
    pub(super) fn target(&self) -> f64 {
        self.target
    }

    /// Keeps the target within these limits.
    pub(super) fn confine(&mut self, least: f64, most: f64) {
        let confined = self.target().clamp(least, most);
        if confined != self.target() {
            self.set(confined);
        }
    }

    /// Another start value, a proven rate, or a limit.
    pub(super) fn set(&mut self, target: f64) {
        self.target = target;
        self.drain = Drain::No;
    }

    /// The last decrease.
    pub(super) fn lowered(&self) -> Option<Lowered> {
        self.lowered
    }

    /// Decreases whose effect tells whose queue it is. One after the other would put that off for ever, so the first comes first.
    pub(super) fn trials(&self) -> [Option<Lowered>; 2] {
        [self.first, self.lowered]
    }

    /// Does a queue drain that a break-in has left?
    pub(super) fn is_draining_surge(&self) -> bool {
        self.drain == Drain::Surge
    }

    /// Takes what feedback has shown.
    pub(super) fn update(&mut self, report: &Report, now: Tick) {
        let elapsed = self.updated.map_or(Duration::ZERO, |at| now.since(at));
        self.updated = Some(now);
        if let Some(acked) = report.acked {
            self.capacity.forget_if_exceeded(acked);
        }
        if report.queue < EMPTY_QUEUE {
            self.first = None;
        }
        if report.is_overflowing && self.is_past(OVERFLOW_PAUSE, now) {
            self.target *= OVERFLOW;
            self.begin_drain(report, now);
            return;
        }
        match report.usage {
            Usage::Over => self.decrease(report, now),
            Usage::Normal => self.increase(report, elapsed.min(Duration::from_secs(1)), now),
            Usage::Under => {
                self.resume(report, now);
            }
        }
    }

    fn decrease(&mut self, report: &Report, now: Tick) {
        let Some(newest) = report.newest else {
            // Nothing is known but that it is too much.
            if self.may_decrease(report, f64::MAX, now) {
                self.target *= BETA;
                self.note_lowered(report, now);
            }
            return;
        };
        if report.is_limited && !report.is_held_back {
            return;
        }
        if !self.may_decrease(report, newest, now) {
            return;
        }
        let keep = if report.is_surging {
            (1.0 - report.queue / DRAIN).clamp(MIN_BETA, BETA)
        } else {
            BETA
        };
        // Who sends far less than the line was taken to carry has not shown that it carries no more.
        let shown = if report.sends_little && !report.is_surging {
            self.target
        } else {
            newest
        };
        let mut lower = keep * shown;
        if lower > self.target {
            lower = self.capacity.rate.map_or(lower, |rate| BETA * rate);
        }
        if report.is_surging {
            self.capacity.forget();
        }
        self.target = self.target.min(lower);
        self.begin_drain(report, now);
    }

    fn begin_drain(&mut self, report: &Report, now: Tick) {
        if let Some(newest) = report.newest {
            self.capacity.observe(newest);
        }
        if self.drain != Drain::Surge {
            self.drain = if report.is_surging {
                Drain::Surge
            } else {
                Drain::Usual
            };
        }
        self.note_lowered(report, now);
    }

    fn note_lowered(&mut self, report: &Report, now: Tick) {
        let lowered = Lowered {
            at: now,
            queue: report.queue,
        };
        self.lowered = Some(lowered);
        let is_going_on = |first: &Lowered| now.since(first.at) < SERIES;
        self.first = self.first.filter(is_going_on).or(Some(lowered));
    }

    fn is_past(&self, pause: Duration, now: Tick) -> bool {
        self.lowered
            .is_none_or(|lowered| now.since(lowered.at) > pause)
    }

    /// The effect of one decrease is awaited before the next, unless far too much is sent.
    fn may_decrease(&self, report: &Report, newest: f64, now: Tick) -> bool {
        let pause = report
            .round_trip
            .clamp(Duration::from_millis(10), Duration::from_millis(200));
        self.is_past(pause, now) || newest < 0.5 * self.target
    }

    /// Goes back to the capacity when the queue is empty. False: the last decrease has yet to show its effect.
    fn resume(&mut self, report: &Report, now: Tick) -> bool {
        let pause = report.round_trip + RESPONSE;
        if !self.is_past(pause, now) {
            return false;
        }
        if let Some(rate) = self
            .capacity
            .rate
            .filter(|_| self.drain != Drain::No && report.queue < EMPTY_QUEUE)
        {
            self.drain = Drain::No;
            self.target = self.target.max(RESUME * rate);
        }
        true
    }

    fn increase(&mut self, report: &Report, elapsed: Duration, now: Tick) {
        let round_trip = report.round_trip;
        if self.drain != Drain::No && !self.resume(report, now) {
            return;
        }
        if report.is_limited && report.can_probe {
            return;
        }
        let seconds = elapsed.as_secs_f64();
        let grown = if self.capacity.rate.is_some() {
            let picture_bits = self.target / PICTURES;
            let packet_bits = picture_bits / (picture_bits / PACKET_BITS).ceil().max(1.0);
            let response = (round_trip + RESPONSE).as_secs_f64();
            self.target + (packet_bits / response).max(MIN_GROWTH) * seconds
        } else {
            self.target * GROWTH.powf(seconds)
        };
        let ahead = if report.can_probe {
            MAX_AHEAD
        } else {
            MAX_AHEAD_UNPROBED
        };
        let limit = report
            .acked
            .map_or(f64::MAX, |acked| acked * ahead + AHEAD_BITS);
        self.target = grown.min(limit.max(self.target));
    }
}

/// What the line carried when it was overused: libwebrtc's `LinkCapacityEstimator`, its values in kb/s.
#[derive(Debug, Default)]
struct Capacity {
    /// Bits per second.
    rate: Option<f64>,
    /// Variance relative to the rate, in kb/s.
    variance: f64,
}

/// Weight of a new sample, and the limits of the variance (libwebrtc: 0.05, 0.4, 2.5; here the weight is larger, because the sample
/// decides where the rate resumes).
const CAPACITY_WEIGHT: f64 = 0.2;
const VARIANCES: (f64, f64) = (0.4, 2.5);

impl Capacity {
    fn observe(&mut self, sample: f64) {
        let (low, high) = VARIANCES;
        let known = self
            .rate
            .filter(|rate| (sample - rate).abs() <= self.spread(*rate));
        let Some(rate) = known else {
            self.rate = Some(sample);
            self.variance = low;
            return;
        };
        let updated = rate + CAPACITY_WEIGHT * (sample - rate);
        let error = (updated - sample) / 1000.0;
        let relative = error * error / (updated / 1000.0).max(1.0);
        self.variance += CAPACITY_WEIGHT * (relative - self.variance);
        self.variance = self.variance.clamp(low, high);
        self.rate = Some(updated);
    }

    fn forget(&mut self) {
        self.rate = None;
    }

    fn forget_if_exceeded(&mut self, acked: f64) {
        self.rate = self.rate.filter(|rate| acked <= rate + self.spread(*rate));
    }

    /// Three standard deviations, in bits per second.
    fn spread(&self, rate: f64) -> f64 {
        3.0 * (self.variance * rate / 1000.0).sqrt() * 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(usage: Usage, queue: f64) -> Report {
        Report {
            usage,
            acked: Some(800_000.0),
            newest: Some(800_000.0),
            is_surging: false,
            sends_little: false,
            is_overflowing: false,
            is_held_back: true,
            is_limited: false,
            queue,
            round_trip: Duration::from_millis(200),
            can_probe: true,
        }
    }

    #[test]
    fn the_first_decrease_is_known_until_the_queue_is_empty() {
        let mut rate = RateControl::new(1e6);
        let (first, second) = (Tick(1_000_000), Tick(2_500_000));
        rate.update(&report(Usage::Over, 130.0), first);
        rate.update(&report(Usage::Over, 130.0), second);
        let at = |rate: &RateControl| rate.trials().map(|trial| trial.map(|one| one.at));
        assert_eq!(at(&rate), [Some(first), Some(second)]);
        rate.update(&report(Usage::Normal, 0.0), Tick(3_000_000));
        assert_eq!(at(&rate), [None, Some(second)]);
    }
}
