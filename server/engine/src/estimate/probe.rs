//! Asking the line for more than the application sends: short bursts at a higher rate, and what arrived of them.
//!
//! Timing after libwebrtc's `ProbeController` and `BitrateProber`, evaluation after its `ProbeBitrateEstimator`. Decides when and how
//! much; padding is made and sent by the leg.

use std::num::NonZeroU8;
use std::time::Duration;

use super::arrival::Arrival;
use super::sent::ProbeId;
use crate::time::Tick;

/// The first probes, as multiples of the start value (`first_exponential_probe_scale`, `second_exponential_probe_scale`).
const FIRST: [f64; 2] = [3.0, 6.0];

/// Every later one, as a multiple of the estimate (`further_exponential_probe_scale`).
const FURTHER: f64 = 2.0;

/// A probe of which so much arrived was carried: a higher one may follow at once (`further_probe_threshold`).
const CARRIED: f64 = 0.7;

/// A probe goes beyond what is wanted by so much, because an upgrade needs some reserve.
const RESERVE: f64 = 1.25;

/// A probe is sent in so many pieces, this far apart: 15 ms from first to last (`min_probe_duration`). A slow one takes longer: it is
/// few packets, and each that a radio or a scheduler holds up by some milliseconds would change the result by a tenth.
const PIECES: u32 = 4;
const SLOW_PIECES: u32 = 6;
const SLOW: f64 = 2_500_000.0;
const PIECE: Duration = Duration::from_millis(5);

/// Least bytes of a piece: one packet of padding.
const MIN_PIECE: f64 = 255.0;

/// Pause after a probe that was not carried; doubled each time (`alr_probing_interval` 5 s lies between).
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(8));

/// So many times what the last probe was for is something new, and is probed for without a pause.
const NEWLY_WANTED: f64 = 1.2;

/// Pause after overuse.
const AFTER_OVERUSE: Duration = Duration::from_secs(2);

/// Feedback about a probe is awaited for so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// A piece that could not be sent for so long ends its probe.
const OVERDUE: Duration = Duration::from_millis(100);

/// Share of a probe's bytes that must have arrived (`kMinReceivedBytesRatio` is 0.8; a tenth may be lost by chance).
const MIN_ARRIVED: f64 = 0.7;

/// Packets that seem to arrive so much faster than they were sent were held up together: nothing is learnt (`kMaxValidRatio`).
const MAX_RATIO: f64 = 2.0;

/// Arriving slower than this share of the sending rate, the probe has met the line's limit (`kMinRatioForUnsaturatedLink`), and so much
/// of it is used (`kTargetUtilizationFraction`).
const UNSATURATED: f64 = 0.9;
const UTILISATION: f64 = 0.95;

/// Probes whose results are awaited.
const PENDING: usize = 4;

/// A probe that is being sent.
#[derive(Clone, Copy, Debug)]
struct Active {
    id: ProbeId,
    /// Bits per second.
    rate: f64,
    started: Tick,
    piece: Duration,
    pieces: u32,
    /// Bytes of padding asked for.
    asked: f64,
    due: Tick,
}

/// A probe and what is known of it.
#[derive(Clone, Copy, Debug)]
struct Cluster {
    id: ProbeId,
    rate: f64,
    /// When the last piece had been sent.
    closed: Option<Tick>,
    packets: u32,
    known: u32,
    sent_bytes: f64,
    sent: Option<(Tick, Tick)>,
    last_tick_bytes: f64,
    arrived_bytes: f64,
    arrived: Option<(i64, i64)>,
    first_bytes: f64,
}

/// What a probe has shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outcome {
    /// Bits per second asked for.
    pub(super) asked: f64,
    /// Bits per second that the line carried.
    pub(super) carried: Option<f64>,
}

/// What the next probe depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    /// Bits per second.
    pub(super) target: f64,
    pub(super) highest: f64,
    /// The estimate may be too low without anybody noticing.
    pub(super) is_in_doubt: bool,
    /// The line shows no sign of a queue.
    pub(super) is_calm: bool,
}

/// Plans, sends and evaluates probes.
#[derive(Debug)]
pub(super) struct Prober {
    planned: [Option<f64>; 2],
    planned_at: Tick,
    active: Option<Active>,
    pending: [Option<Cluster>; PENDING],
    next_id: NonZeroU8,
    has_begun: bool,
    /// Bits per second that the application could use.
    wanted: f64,
    is_requested: bool,
    /// What was of use when the last probe was planned, in bits per second.
    probed_for: f64,
    pause: Duration,
    not_before: Tick,
    /// The line was overused before.
    held_until: Tick,
}

impl Prober {
    /// Probes towards `wanted` bits per second.
    pub(super) fn new(wanted: f64) -> Self {
        Self {
            planned: [None; 2],
            planned_at: Tick(0),
            active: None,
            pending: [None; PENDING],
            next_id: NonZeroU8::MIN,
            has_begun: false,
            wanted,
            is_requested: false,
            probed_for: wanted,
            pause: PAUSES.0,
            not_before: Tick(0),
            held_until: Tick(0),
        }
    }

    /// Nothing beyond `wanted` bits per second is of use from now on.
    pub(super) fn set_wanted(&mut self, wanted: f64) {
        self.wanted = wanted;
    }

    /// Bits per second that are of use.
    pub(super) fn wanted(&self) -> f64 {
        self.wanted
    }

    /// Asks for a probe as soon as the line allows one.
    pub(super) fn request(&mut self) {
        self.is_requested = true;
    }

    /// The first probes of a leg that begins to send.
    pub(super) fn begin(&mut self, situation: &Situation, now: Tick) {
        if self.has_begun {
            return;
        }
        self.has_begun = true;
        if situation.target < self.wanted {
            let limit = self.limit(situation);
            self.planned = FIRST.map(|scale| Some((scale * situation.target).min(limit)));
            self.planned_at = now;
            self.probed_for = self.wanted;
        }
    }

    /// Is a probe under way, or its result awaited?
    pub(super) fn is_busy(&self) -> bool {
        self.active.is_some() || self.pending.iter().any(Option::is_some)
    }

    /// Plans a probe if one is of use now.
    pub(super) fn consider(&mut self, situation: &Situation, now: Tick) {
        let is_busy = self.active.is_some()
            || self.planned.iter().any(Option::is_some)
            || self.pending.iter().any(Option::is_some);
        let is_due = situation.is_in_doubt || self.is_requested;
        // A pause is for what was tried in vain. Who shares a screen wants it seen at once.
        let is_new = self.pause == PAUSES.0
            && now >= self.held_until
            && self.wanted > NEWLY_WANTED * self.probed_for;
        let is_early = now < self.not_before && !is_new;
        if !self.has_begun || is_busy || !is_due || !situation.is_calm || is_early {
            return;
        }
        self.is_requested = false;
        if situation.target < self.wanted {
            self.plan(situation, now);
            self.not_before = now + self.pause;
        }
    }

    fn plan(&mut self, situation: &Situation, now: Tick) {
        let rate = (FURTHER * situation.target).min(self.limit(situation));
        self.planned = [Some(rate), None];
        self.planned_at = now;
        self.probed_for = self.wanted;
    }

    fn limit(&self, situation: &Situation) -> f64 {
        (self.wanted * RESERVE).min(situation.highest)
    }

    /// The line is overused: no probe for a while.
    pub(super) fn hold(&mut self, now: Tick) {
        self.held_until = now + AFTER_OVERUSE;
        self.not_before = self.not_before.max(now + AFTER_OVERUSE);
        self.planned = [None; 2];
    }

    /// Gives up what could not be sent.
    pub(super) fn handle_timeout(&mut self, now: Tick) {
        if now > self.planned_at + PATIENCE * 2 {
            self.planned = [None; 2];
        }
        if self.active.is_some_and(|active| now > active.due + OVERDUE) {
            self.close(now);
        }
    }

    /// When [`Self::poll`] has something to say.
    pub(super) fn deadline(&self) -> Tick {
        match &self.active {
            Some(active) => active.due,
            None if self.planned.iter().any(Option::is_some) => self.planned_at,
            None => Tick::NEVER,
        }
    }

    /// Bytes of padding to be sent now.
    pub(super) fn poll(&mut self, now: Tick) -> Option<usize> {
        if self
            .active
            .is_some_and(|active| active.due <= now && active.is_complete())
        {
            self.close(now);
        }
        if self.active.is_none() {
            let rate = self.planned.iter_mut().find_map(Option::take)?;
            self.open(rate, now);
        }
        let active = self.active.as_mut().filter(|active| active.due <= now)?;
        let elapsed = now.since(active.started) + active.piece;
        let planned = elapsed.min(active.piece * active.pieces).as_secs_f64() * active.rate / 8.0;
        let bytes = (planned - active.asked).max(0.0);
        active.asked = planned;
        active.due = now + active.piece;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate times milliseconds, not negative"
        )]
        let bytes = bytes as usize;
        (bytes > 0).then_some(bytes)
    }

    fn open(&mut self, rate: f64, now: Tick) {
        let id = ProbeId(self.next_id);
        self.next_id = self.next_id.checked_add(1).unwrap_or(NonZeroU8::MIN);
        let piece = Duration::from_secs_f64((MIN_PIECE * 8.0 / rate.max(1.0)).min(1.0)).max(PIECE);
        self.active = Some(Active {
            id,
            rate,
            started: now,
            piece,
            pieces: if rate < SLOW { SLOW_PIECES } else { PIECES },
            asked: 0.0,
            due: now,
        });
        self.pending.rotate_right(1);
        if let Some(place) = self.pending.first_mut() {
            *place = Some(Cluster::new(id, rate));
        }
    }

    fn close(&mut self, now: Tick) {
        let Some(active) = self.active.take() else {
            return;
        };
        if let Some(cluster) = self.find(active.id) {
            cluster.closed = Some(now);
        }
    }

    fn find(&mut self, id: ProbeId) -> Option<&mut Cluster> {
        let mut pending = self.pending.iter_mut().flatten();
        pending.find(|cluster| cluster.id == id)
    }

    /// Notes a packet of any kind. Gives the probe that it is part of.
    #[inline]
    pub(super) fn note(&mut self, bytes: usize, now: Tick) -> Option<ProbeId> {
        let id = self.active.as_ref()?.id;
        let cluster = self.find(id)?;
        let bytes = bytes as f64;
        cluster.packets += 1;
        cluster.sent_bytes += bytes;
        let (first, last) = cluster.sent.unwrap_or((now, now));
        if last != now {
            cluster.last_tick_bytes = 0.0;
        }
        cluster.last_tick_bytes += bytes;
        cluster.sent = Some((first, now));
        Some(id)
    }

    /// A packet of a probe arrived.
    pub(super) fn note_arrival(&mut self, id: ProbeId, arrival: &Arrival) {
        let Some(cluster) = self.find(id) else { return };
        let bytes = f64::from(arrival.bytes);
        cluster.known += 1;
        cluster.arrived_bytes += bytes;
        let (first, last) = cluster.arrived.unwrap_or((i64::MAX, i64::MIN));
        if arrival.at < first {
            cluster.first_bytes = bytes;
        }
        cluster.arrived = Some((first.min(arrival.at), last.max(arrival.at)));
    }

    /// A packet of a probe is missing.
    pub(super) fn note_missing(&mut self, id: ProbeId) {
        if let Some(cluster) = self.find(id) {
            cluster.known += 1;
        }
    }

    /// The next probe that all is known about, or as much as ever will be.
    pub(super) fn poll_outcome(&mut self, now: Tick) -> Option<Outcome> {
        let place = self.pending.iter_mut().rev().find(|place| {
            place.is_some_and(|cluster| {
                cluster
                    .closed
                    .is_some_and(|at| cluster.known >= cluster.packets || now.since(at) > PATIENCE)
            })
        })?;
        let cluster = place.take()?;
        Some(Outcome {
            asked: cluster.rate,
            carried: cluster
                .carried()
                .map(|rate| rate.min(FURTHER * cluster.rate)),
        })
    }

    /// Goes on from an outcome: higher at once if the estimate `has_grown` by it, or a pause. `situation` has the estimate that came of it.
    pub(super) fn judge(
        &mut self,
        outcome: &Outcome,
        has_grown: bool,
        situation: &Situation,
        now: Tick,
    ) {
        let is_last = self.active.is_none()
            && self.planned.iter().all(Option::is_none)
            && self.pending.iter().all(Option::is_none);
        let is_carried = outcome
            .carried
            .is_some_and(|carried| carried >= CARRIED * outcome.asked);
        if !is_carried || !has_grown {
            let (least, most) = PAUSES;
            self.pause = (self.pause * 2).clamp(least, most);
            self.not_before = self.not_before.max(now + self.pause);
            return;
        }
        self.pause = PAUSES.0;
        if is_last && situation.is_calm && situation.target < self.wanted {
            self.plan(situation, now);
        }
    }
}

impl Active {
    fn is_complete(&self) -> bool {
        let all = (self.piece * self.pieces).as_secs_f64() * self.rate / 8.0;
        self.asked >= all
    }
}

impl Cluster {
    fn new(id: ProbeId, rate: f64) -> Self {
        Self {
            id,
            rate,
            closed: None,
            packets: 0,
            known: 0,
            sent_bytes: 0.0,
            sent: None,
            last_tick_bytes: 0.0,
            arrived_bytes: 0.0,
            arrived: None,
            first_bytes: 0.0,
        }
    }

    /// Bits per second. The packets at one end of each span are left out: they take no time in it.
    fn carried(&self) -> Option<f64> {
        let (first_sent, last_sent) = self.sent?;
        let (first_at, last_at) = self.arrived?;
        let sent_span = last_sent.since(first_sent);
        let span = Duration::from_micros(u64::try_from(last_at.checked_sub(first_at)?).ok()?);
        if sent_span.is_zero()
            || span.is_zero()
            || self.arrived_bytes < MIN_ARRIVED * self.sent_bytes
        {
            return None;
        }
        let sent = (self.sent_bytes - self.last_tick_bytes) * 8.0 / sent_span.as_secs_f64();
        let arrived = (self.arrived_bytes - self.first_bytes) * 8.0 / span.as_secs_f64();
        if arrived > MAX_RATIO * sent {
            return None;
        }
        Some(if arrived < UNSATURATED * sent {
            UTILISATION * arrived
        } else {
            arrived.min(sent)
        })
    }
}
