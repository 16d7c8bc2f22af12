//! How much a leg can carry towards its participant, estimated here, where the packets leave.
//!
//! Google Congestion Control (draft-ietf-rmcat-gcc-02) in the form that libwebrtc gave it, from transport-wide feedback: a delay-based rate
//! (`groups`, `trend`, `queueing`, `rate`), a bound by loss (`loss`), the rate that arrives (`acked`), probes (`probe`) and whether the
//! application sends enough for any of it to mean something (`limit`). Without that feedback, REMB and receiver reports (`reported`).
//! Constants carry the names they have there. What differs is said where it stands: overuse has to survive a look at jitter, the rate
//! resumes when the queue has drained, and loss is weighed by evidence.
//!
//! Rates are of IP packets, as those of lines are. Pure: no clock and no randomness, and after the first
//! packet no allocation. Does not decide what is sent (allocator) nor when (pacer), and does not make padding (`padding`).

mod acked;
mod arrival;
mod floor;
mod groups;
mod limit;
mod loss;
mod probe;
mod queueing;
mod rate;
mod reported;
mod sent;
mod standing;
mod surge;
#[cfg(test)]
mod tests;
mod trend;
mod view;

use std::time::Duration;

use crate::bitrate::{Bitrate, IP_UDP};
use crate::prefetch;
use crate::rtcp::{TICK_MICROS, TransportFeedback};
use crate::time::Tick;

use acked::Acked;
use arrival::{Arrival, RemoteClock};
use groups::Groups;
use limit::LimitDetector;
use loss::LossControl;
use probe::{Prober, Situation};
use queueing::Queueing;
use rate::{RateControl, Report};
use reported::Reported;
use sent::{Fate, History, Sent};
use surge::Surge;
use trend::Trend;
pub(crate) use view::EstimateView;

/// Where an estimate begins when nothing is known: libwebrtc's `kDefaultStartBitrateBps`. On a slow line more would do harm before the
/// first feedback; on a fast one the first probes lift it within two round trips.
pub(crate) const START: Bitrate = Bitrate::from_kbps(300);

/// Least and highest estimate (libwebrtc's least target is 5 kb/s; sound alone needs 30).
pub(crate) const LEAST: Bitrate = Bitrate::from_kbps(30);
pub(crate) const HIGHEST: Bitrate = Bitrate::from_kbps(50_000);

/// What a leg is taken to have use for until the allocator says it.
const WANTED: Bitrate = Bitrate::from_kbps(5_000);

/// Feedback that comes at least ten times a second is missing.
const SILENCE: Duration = Duration::from_millis(1500);

/// What remains of the estimate after each such time.
const SILENCE_FACTOR: f64 = 0.7;

/// Below this share of what it was before it fell, an estimate is doubted and probed.
const FALLEN: f64 = 0.66;

/// How much steeper than usual a queue has to grow that others fill anyway.
const CROWDED_PATIENCE: f64 = 2.0;

/// Packets in a row that wait long before it is a queue.
const SURGE_ARRIVALS: usize = 4;

/// A line that has broken in is sent no more at once than it carries, for so long.
const FRAGILE: Duration = Duration::from_secs(5);

/// Share of packets that a full queue loses.
const OVERFLOWING: f64 = 0.02;

/// An estimate that has grown by so much at once is soon followed by what is sent.
const LEAP: f64 = 1.2;

/// A probe that has raised the estimate by so much is followed by another.
const WORTHWHILE: f64 = 1.1;

/// A queue that has not swayed for so long is none: the way has become longer. The first where sending less has not shortened it.
const UNSWAYING: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(4));

/// Milliseconds of queue that a probe may leave.
const PROBE_QUEUE: f64 = 60.0;

/// Sending less than this share of the estimate, a leg has left room on the line.
const LITTLE: f64 = 0.8;

/// Where no probe can be sent, a limit that has shown itself is believed for so long.
const LIMIT_MEMORY: Duration = Duration::from_secs(30);

/// Packets that one report tells of, usually.
const ARRIVALS: usize = 8;

/// Round trip until one is measured (libwebrtc `kDefaultRtt`).
const ROUND_TRIP: Duration = Duration::from_millis(200);

/// What a line's queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Usage {
    /// It drains.
    Under,
    /// It neither grows nor drains.
    #[default]
    Normal,
    /// It grows: more is sent than the line carries.
    Over,
}

/// What was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Media,
    /// Sent only to see whether it arrives.
    Padding,
}

/// Estimates one leg.
#[derive(Debug)]
pub(crate) struct Estimator {
    history: History,
    /// Arrivals of the feedback at hand, kept for its memory.
    arrivals: Vec<Arrival>,
    clock: RemoteClock,
    groups: Groups,
    trend: Trend,
    queueing: Queueing,
    surge: Surge,
    acked: Acked,
    rate: RateControl,
    loss: LossControl,
    limit: LimitDetector,
    prober: Prober,
    reported: Reported,
    usage: Usage,
    round_trip: Option<Duration>,
    /// The target before it last fell, until it is nearly there again.
    fallen_from: f64,
    /// Transport-wide feedback has come: nothing else counts from then on.
    has_feedback: bool,
    heard: Tick,
    /// The participant has agreed to send it.
    expects_feedback: bool,
    /// First packet since the last feedback.
    unheard: Option<Tick>,
    /// Others fill the line's queue.
    is_crowded: bool,
    can_probe: bool,
    /// No probe can be sent, and nothing has shown a limit lately: only trying finds it.
    is_untried: bool,
}

impl Estimator {
    /// Begins at `start`: [`START`], or what is known of this line.
    pub(crate) fn new(start: Bitrate) -> Self {
        let start = start.clamp(LEAST, HIGHEST).0 as f64;
        Self {
            history: History::default(),
            arrivals: Vec::new(),
            clock: RemoteClock::default(),
            groups: Groups::default(),
            trend: Trend::default(),
            queueing: Queueing::default(),
            surge: Surge::default(),
            acked: Acked::default(),
            rate: RateControl::new(start),
            loss: LossControl::default(),
            limit: LimitDetector::default(),
            prober: Prober::new(WANTED.0 as f64),
            reported: Reported::new(start),
            usage: Usage::Normal,
            round_trip: None,
            fallen_from: 0.0,
            has_feedback: false,
            heard: Tick(0),
            expects_feedback: false,
            unheard: None,
            is_crowded: false,
            can_probe: false,
            is_untried: false,
        }
    }

    /// Can the leg send padding? It can as soon as a video slot with retransmissions has sent media. Probes begin with the next feedback.
    pub(crate) fn set_can_probe(&mut self, can_probe: bool) {
        self.can_probe = can_probe;
        self.is_untried &= !can_probe;
    }

    /// Has the participant agreed to report arrivals? Then the start value counts until it does.
    pub(crate) fn expect_feedback(&mut self, expects_feedback: bool) {
        self.expects_feedback = expects_feedback;
    }

    /// Says how much the leg has use for; probes go no further than a reserve above it.
    pub(crate) fn set_wanted(&mut self, wanted: Bitrate) {
        self.prober
            .set_wanted(wanted.clamp(LEAST, HIGHEST).0 as f64);
    }

    /// Asks for a probe before an upgrade to `wanted`, as soon as the line allows one.
    pub(crate) fn want_probe(&mut self, wanted: Bitrate, now: Tick) {
        let wanted = wanted.clamp(LEAST, HIGHEST).0 as f64;
        self.prober.set_wanted(self.prober.wanted().max(wanted));
        self.prober.request();
        // Where nothing is sent because nothing fits, there is nothing to report either.
        if self.can_probe && self.expects_feedback {
            let situation = self.situation();
            self.prober.begin(&situation, now);
            self.prober.consider(&situation, now);
        }
    }

    /// Notes that a datagram of `bytes` went out under this transport-wide sequence number.
    #[inline]
    pub(crate) fn note_sent(&mut self, seq: u16, bytes: usize, kind: Kind, now: Tick) {
        let bytes = bytes + usize::from(IP_UDP);
        if kind == Kind::Media {
            self.limit.note(bytes);
        }
        self.unheard.get_or_insert(now);
        let probe = self.prober.note(bytes, now);
        self.history.note(Sent {
            at: now,
            seq,
            bytes: u16::try_from(bytes).unwrap_or(u16::MAX),
            probe,
            fate: Fate::Unknown,
            is_limited: self.limit.is_limited(),
        });
    }

    /// Asks for what noting a packet needs.
    pub(crate) fn fetch_for_sending(&self) {
        prefetch::fetch(&self.limit);
        prefetch::fetch(&self.prober);
        prefetch::fetch(&self.history);
        prefetch::fetch(&self.unheard);
    }

    /// Asks for where the next packet is noted, and those before it were. `seq`: of the next.
    pub(crate) fn fetch_notes(&self, seq: u16) {
        self.history.fetch(seq);
        prefetch::fetch_at(self.arrivals.as_ptr(), ARRIVALS * size_of::<Arrival>());
    }

    /// Takes transport-wide feedback.
    pub(crate) fn handle_feedback(&mut self, feedback: &TransportFeedback<'_>, now: Tick) {
        self.has_feedback = true;
        self.heard = now;
        self.unheard = None;
        let reference = self.clock.reference(feedback, now);
        if reference.has_jumped {
            self.restart_clock();
        }
        self.read(feedback, reference.micros);
        let newest = self.arrivals.iter().map(|arrival| arrival.sent).max();
        if let Some(newest) = newest {
            let sample = now.since(newest);
            self.round_trip = Some(
                self.round_trip
                    .map_or(sample, |known| (known * 7 + sample) / 8),
            );
        }
        for arrival in &self.arrivals {
            self.acked.add(arrival);
            if let Some(id) = arrival.probe {
                self.prober.note_arrival(id, arrival);
            }
            if let Some(delta) = self.groups.add(arrival) {
                self.queueing.add(&delta);
                let patience = if self.is_crowded {
                    CROWDED_PATIENCE
                } else {
                    1.0
                };
                self.trend.add(&delta, patience);
            }
        }
        let last = self.arrivals.iter().rev().take(SURGE_ARRIVALS);
        if let Some(least) = last.map(Arrival::transit).min() {
            self.queueing.note_newest(least);
        }
        self.update(now);
    }

    /// Had it better be sent no more at once than it carries?
    pub(crate) fn is_fragile(&self, now: Tick) -> bool {
        self.surge.was_on(FRAGILE, now)
    }

    /// Lists what arrived, in order of arrival, and counts what did not.
    fn read(&mut self, feedback: &TransportFeedback<'_>, reference: i64) {
        let mut at = reference;
        self.arrivals.clear();
        for (seq, delta) in feedback.statuses() {
            if let Some(delta) = delta {
                at = at.saturating_add(i64::from(delta) * TICK_MICROS);
            }
            let Some(sent) = self.history.find(seq) else {
                continue;
            };
            match (delta, sent.fate) {
                (None, Fate::Unknown) => {
                    sent.fate = Fate::Missing;
                    self.loss.note(sent, true);
                    if let Some(id) = sent.probe {
                        self.prober.note_missing(id);
                    }
                    continue;
                }
                (None, Fate::Missing | Fate::Arrived) | (Some(_), Fate::Arrived) => continue,
                (Some(_), Fate::Unknown) => self.loss.note(sent, false),
                (Some(_), Fate::Missing) => self.loss.note_late(),
            }
            sent.fate = Fate::Arrived;
            self.arrivals.push(Arrival {
                sent: sent.at,
                at,
                bytes: sent.bytes,
                probe: sent.probe,
                is_limited: sent.is_limited,
            });
        }
        if !self.arrivals.is_sorted_by_key(|arrival| arrival.at) {
            self.arrivals
                .sort_unstable_by_key(|arrival| (arrival.at, arrival.sent));
        }
    }

    fn restart_clock(&mut self) {
        self.groups.clear();
        self.trend.clear();
        self.queueing.clear();
        self.surge = Surge::default();
        self.acked.restart();
    }

    fn update(&mut self, now: Tick) {
        self.limit.update(self.rate.target(), now);
        let was_limited = self.arrivals.iter().all(|arrival| arrival.is_limited);
        let is_surging = self.judge_surge(now);
        let needs_test = self.judge_standing(now);
        self.usage = match self.trend.usage() {
            _ if is_surging || needs_test => Usage::Over,
            // A probe's own queue says nothing about what is sent beside it, be it that far less is sent than could be.
            Usage::Over
                if self.queueing.delay() < PROBE_QUEUE
                    && (self.prober.is_busy() || self.sends_little()) =>
            {
                Usage::Normal
            }
            Usage::Over if !self.queueing.is_standing() => Usage::Under,
            usage @ (Usage::Under | Usage::Normal | Usage::Over) => usage,
        };
        let before = self.rate.target();
        let report = Report {
            usage: self.usage,
            acked: self.acked.average(),
            newest: self.acked.newest().map(|newest| match self.surge.served() {
                Some(served) => newest.min(served),
                None if is_surging || self.rate.is_draining_surge() => {
                    newest.min(self.acked.last())
                }
                None => newest,
            }),
            is_held_back: self.acked.is_held_back(),
            is_limited: was_limited && self.limit.is_limited(),
            is_surging,
            sends_little: self.sends_little(),
            is_overflowing: self.is_crowded && self.loss.recent() > OVERFLOWING,
            queue: self.queueing.delay().max(if is_surging {
                self.queueing.newest()
            } else {
                0.0
            }),
            round_trip: self.round_trip.unwrap_or(ROUND_TRIP),
            can_probe: self.can_probe,
        };
        self.rate.update(&report, now);
        if self.rate.target() < before {
            self.fallen_from = self.fallen_from.max(before);
            self.prober.hold(now);
        }
        self.loss.update(self.rate.target(), report.is_limited);
        self.conclude_probes(now);
        if self.rate.target() > LEAP * before {
            self.acked.expect_more();
        }
        if self.rate.target() > 0.85 * self.fallen_from {
            self.fallen_from = 0.0;
        }
        self.rate.confine(LEAST.0 as f64, HIGHEST.0 as f64);
        let situation = self.situation();
        if self.can_probe {
            self.prober.begin(&situation, now);
        }
        self.prober.consider(&situation, now);
    }

    /// Does far less arrive than the line is taken to carry? Layers leave such steps.
    fn sends_little(&self) -> bool {
        let acked = self.acked.average();
        acked.is_some_and(|acked| acked < LITTLE * self.rate.target())
    }

    /// Is there new proof that the line carries far less than it was taken for?
    fn judge_surge(&mut self, now: Tick) -> bool {
        let is_probe = self.prober.is_busy() && self.queueing.newest() < 2.0 * PROBE_QUEUE;
        let target = self.rate.target();
        let begins = self
            .surge
            .update(&self.arrivals, &self.queueing, !is_probe, target, now);
        if begins {
            self.prober.hold(now);
        }
        if self.surge.ends(now) {
            self.queueing.settle();
        }
        // While the queue drains, only a new one is one.
        let is_news = !self.rate.is_draining_surge() || self.queueing.is_surging();
        let is_proved = self.acked.is_held_back() || self.surge.served().is_some();
        self.surge.is_on() && is_news && is_proved
    }

    /// Has the line just broken in? Then pictures had better wait, so that sound does not.
    pub(crate) fn is_breaking_in(&self) -> bool {
        self.surge.is_on()
    }

    /// Is less to be sent now because of a queue that does not empty?
    fn judge_standing(&mut self, now: Tick) -> bool {
        let verdict = standing::judge(
            self.queueing.standing(),
            self.queueing.delay(),
            self.rate.trials(),
            self.round_trip.unwrap_or(ROUND_TRIP),
            now,
        );
        let steady = self.queueing.steady();
        let is_longer_way = self.loss.recent() < OVERFLOWING
            && (verdict.is_crowded && steady > UNSWAYING.0
                || verdict.needs_test && steady > UNSWAYING.1);
        if is_longer_way {
            self.queueing.rebase();
        }
        self.is_crowded = verdict.is_crowded && !is_longer_way;
        verdict.needs_test && !is_longer_way
    }

    fn conclude_probes(&mut self, now: Tick) {
        while let Some(outcome) = self.prober.poll_outcome(now) {
            let before = self.rate.target();
            let carried = outcome.carried.filter(|_| self.usage != Usage::Over);
            if let Some(carried) = carried.filter(|carried| *carried > before) {
                self.rate.set(carried);
                self.rate.confine(LEAST.0 as f64, HIGHEST.0 as f64);
            }
            let has_grown = self.rate.target() > WORTHWHILE * before;
            let situation = self.situation();
            self.prober.judge(&outcome, has_grown, &situation, now);
        }
    }

    fn situation(&self) -> Situation {
        let target = self.rate.target();
        Situation {
            target,
            highest: HIGHEST.0 as f64,
            is_in_doubt: self.can_probe
                && (self.limit.is_limited() || target < FALLEN * self.fallen_from),
            is_calm: self.can_probe && self.is_calm(),
        }
    }

    /// Does the line show no sign of a queue, and of no loss that counts?
    pub(crate) fn is_calm(&self) -> bool {
        self.usage == Usage::Normal && self.loss.bound().is_none() && !self.surge.is_on()
    }

    /// Takes the receiver's own estimate.
    pub(crate) fn handle_remb(&mut self, rate: Bitrate, now: Tick) {
        self.reported.handle_remb(rate.0 as f64, now);
    }

    /// Takes the share of packets that a stream lost, from a receiver report's block in 1/256.
    pub(crate) fn handle_report_loss(&mut self, fraction: u8, now: Tick) {
        self.reported.handle_loss(f64::from(fraction) / 256.0, now);
    }

    /// Takes a round trip measured elsewhere, unless feedback knows better.
    pub(crate) fn handle_round_trip(&mut self, sample: Duration) {
        if !self.has_feedback {
            self.round_trip = Some(sample);
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Tick) {
        self.prober.handle_timeout(now);
        let has_limit = self
            .rate
            .lowered()
            .is_some_and(|lowered| now.since(lowered.at) < LIMIT_MEMORY);
        self.is_untried = !self.can_probe && self.has_feedback && !has_limit;
        self.probe_in_silence(now);
        let is_silent = self.unheard.is_some_and(|at| now.since(at) > SILENCE);
        // Who has agreed to report arrivals and does not, never will.
        self.expects_feedback &= self.has_feedback || !is_silent;
        if is_silent && self.has_feedback {
            self.unheard = Some(now);
            let before = self.rate.target();
            self.fallen_from = self.fallen_from.max(before);
            self.rate.set(before * SILENCE_FACTOR);
            self.rate.confine(LEAST.0 as f64, HIGHEST.0 as f64);
        }
    }

    /// Where everything is paused nothing is reported: only a probe can find out that the line is better now.
    fn probe_in_silence(&mut self, now: Tick) {
        if !self.has_feedback || !self.can_probe || now.since(self.heard) < SILENCE {
            return;
        }
        if self.usage != Usage::Normal {
            self.usage = Usage::Normal;
            self.trend.clear();
        }
        if self.unheard.is_none() {
            self.loss.forget();
        }
        self.limit.update(self.rate.target(), now);
        self.conclude_probes(now);
        let situation = self.situation();
        self.prober.consider(&situation, now);
    }

    /// When [`Self::poll_probe`] has something to say.
    pub(crate) fn deadline(&self) -> Tick {
        self.prober.deadline()
    }

    /// Bytes of padding to be sent now.
    #[inline]
    pub(crate) fn poll_probe(&mut self, now: Tick) -> Option<usize> {
        if !self.can_probe {
            return None;
        }
        self.prober.poll(now)
    }

    /// What may be sent.
    pub(crate) fn target(&self) -> Bitrate {
        let target = if self.has_feedback {
            let bound = self.loss.bound().unwrap_or(f64::MAX);
            self.rate.target().min(bound)
        } else {
            self.reported.target()
        };
        bitrate(target).clamp(LEAST, HIGHEST)
    }

    /// What may be sent, if anything is known about it: no participant has to report anything.
    pub(crate) fn budget(&self) -> Option<Bitrate> {
        let is_known = self.has_feedback || self.expects_feedback || self.reported.has_any();
        (is_known && !self.is_untried).then(|| self.target())
    }
}

/// Bits per second of `bytes` in `span`.
fn rate(bytes: u64, span: Duration) -> f64 {
    bytes as f64 * 8.0 / span.as_secs_f64().max(1e-6)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is no rate becomes the nearest one"
)]
fn bitrate(rate: f64) -> Bitrate {
    Bitrate(rate as u64)
}
