//! The loss-based bound: lowers the rate when loss comes from sending too much, and only then.
//!
//! The controller of draft-ietf-rmcat-gcc-02 section 6 falls to nothing on a radio link that always loses a tenth. libwebrtc's second one
//! (`LossBasedBweV2`) asks how likely the losses seen are under "so much is lost anyway, and everything above this rate". Here the
//! same question is put to a few candidate rates in closed form, and a bound needs clear evidence. Loss without a bound caps
//! the rate by its amount alone.

use std::time::Duration;

use super::sent::Sent;
use crate::time::Tick;

/// Shortest observation, and the packets it needs (libwebrtc `ObservationDurationLowerBound` 250 ms).
const OBSERVATION: Duration = Duration::from_millis(250);
const MIN_PACKETS: u32 = 10;

/// Observations that are weighed (`ObservationWindowSize`), and what age takes from them (`TemporalWeightFactor`).
const OBSERVATIONS: usize = 20;
const AGE: f64 = 0.9;

/// Observations of the loss that is shown and capped: a second.
const RECENT: usize = 4;

/// Below this nothing is done (draft section 6: below 2 % the rate grows).
const HARMLESS: f64 = 0.02;

/// The cap: loss above the offset, times the rate, stays below the balance (`InstantUpperBoundLossOffset`, `InstantUpperBoundBandwidthBalance`,
/// which is 75 kb/s: a radio link that loses a tenth by chance, and now and then an eighth, would then not get the largest layer of a usual
/// ladder. With 100 kb/s the simulator has 24 pictures a second at 10 % loss, with this 29 or 30, as many as are sent).
const OFFSET: f64 = 0.05;
const BALANCE: f64 = 120_000.0;

/// The cap takes at most so much of what arrived at a time.
const MAX_CUT: f64 = 0.85;

/// Rates that are tried as the line's capacity.
const CANDIDATES: usize = 16;

/// How much better, in natural logarithms of likelihood, a capacity has to explain the losses than chance.
const EVIDENCE: f64 = 4.0;

/// Growth of a bound that is no longer needed, each [`OBSERVATION`] of time: a leg that sends little is observed seldom.
const RELEASE: f64 = 1.05;

#[derive(Clone, Copy, Debug, Default)]
struct Observation {
    packets: u32,
    lost: u32,
    /// Bits per second sent.
    rate: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Open {
    first: Option<Tick>,
    last: Tick,
    packets: u32,
    lost: u32,
    bytes: u64,
}

/// Follows losses.
#[derive(Debug, Default)]
pub(super) struct LossControl {
    open: Open,
    /// Newest first.
    observations: [Observation; OBSERVATIONS],
    len: usize,
    bound: Option<f64>,
}

impl LossControl {
    /// Takes a packet whose fate has become known.
    pub(super) fn note(&mut self, sent: &Sent, is_lost: bool) {
        let open = &mut self.open;
        open.first.get_or_insert(sent.at);
        open.last = open.last.max(sent.at);
        open.packets += 1;
        open.lost += u32::from(is_lost);
        open.bytes = open.bytes.saturating_add(u64::from(sent.bytes));
    }

    /// A packet that had been given up has arrived.
    pub(super) fn note_late(&mut self) {
        if let Some(left) = self.open.lost.checked_sub(1) {
            self.open.lost = left;
        } else if let Some(newest) = self.observations.first_mut() {
            newest.lost = newest.lost.saturating_sub(1);
        }
    }

    /// Share of packets lost in the last second.
    pub(super) fn recent(&self) -> f64 {
        let recent = self.observations.iter().take(self.len.min(RECENT));
        let (packets, lost) = recent.fold((0, 0), |(packets, lost), seen| {
            (packets + seen.packets, lost + seen.lost)
        });
        f64::from(lost) / f64::from(packets).max(1.0)
    }

    /// Share of packets lost in all observations, the newest counting most: what the line always loses.
    fn lasting(&self) -> f64 {
        let mut weight = 1.0;
        let (mut packets, mut lost) = (0.0, 0.0);
        for seen in self.observations.iter().take(self.len) {
            packets += weight * f64::from(seen.packets);
            lost += weight * f64::from(seen.lost);
            weight *= AGE;
        }
        lost / f64::max(packets, 1.0)
    }

    /// Bits per second that loss allows; `None`: as much as you like.
    pub(super) fn bound(&self) -> Option<f64> {
        self.bound
    }

    /// Nothing was sent for long: old losses say nothing about the line as it is now.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Weighs what has come in, if it is enough. `target` is the delay-based rate; `is_limited`: the application sends less, so that
    /// losses cannot come from sending too much.
    pub(super) fn update(&mut self, target: f64, is_limited: bool) {
        let Some(first) = self.open.first else { return };
        let span = self.open.last.since(first);
        if span < OBSERVATION || self.open.packets < MIN_PACKETS {
            return;
        }
        let open = std::mem::take(&mut self.open);
        let seen = Observation {
            packets: open.packets,
            lost: open.lost,
            rate: super::rate(open.bytes, span),
        };
        self.observations.rotate_right(1);
        if let Some(place) = self.observations.first_mut() {
            *place = seen;
        }
        self.len = (self.len + 1).min(OBSERVATIONS);
        let lost = self.recent();
        let periods = span.as_secs_f64() / OBSERVATION.as_secs_f64();
        let released = self
            .bound
            .map_or(f64::MAX, |bound| bound.min(target) * RELEASE.powf(periods));
        let mut bound = released;
        if lost > HARMLESS && !is_limited {
            bound = bound.min(self.capacity().unwrap_or(f64::MAX));
        }
        // A second of packets loses twice its share by chance, now and then.
        let lost = lost.min(self.lasting());
        if lost > OFFSET {
            let arrived = seen.rate * (1.0 - f64::from(seen.lost) / f64::from(seen.packets));
            bound = bound.min((BALANCE / (lost - OFFSET)).max(MAX_CUT * arrived));
        }
        self.bound = (bound < target).then_some(bound);
    }

    /// The rate above which packets are lost, if the losses say so.
    fn capacity(&self) -> Option<f64> {
        let seen = self.observations.get(..self.len)?;
        let rates = seen.iter().map(|seen| seen.rate);
        let highest = rates.clone().fold(0.0, f64::max);
        let lowest = rates.fold(f64::MAX, f64::min) * 0.6;
        if highest <= lowest {
            return None;
        }
        let without = likelihood(seen, f64::MAX);
        let mut best = (without + EVIDENCE, None);
        for candidate in 0..CANDIDATES {
            let share = (candidate as f64 + 0.5) / CANDIDATES as f64;
            let rate = lowest + share * (highest - lowest);
            let found = likelihood(seen, rate);
            if found > best.0 {
                best = (found, Some(rate));
            }
        }
        best.1
    }
}

/// Logarithm of the likelihood of the losses, if a line carries `capacity` and loses a constant share of what it carries, whichever share fits best.
fn likelihood(seen: &[Observation], capacity: f64) -> f64 {
    let excess = |seen: &Observation| (1.0 - capacity / seen.rate.max(1.0)).max(0.0);
    let (mut carried, mut lost_anyway, mut weight) = (0.0, 0.0, 1.0);
    for seen in seen {
        let packets = f64::from(seen.packets);
        carried += weight * packets * (1.0 - excess(seen));
        lost_anyway += weight * (f64::from(seen.lost) - packets * excess(seen));
        weight *= AGE;
    }
    let inherent = (lost_anyway / f64::max(carried, 1.0)).clamp(0.0, 0.5);
    let (mut sum, mut weight) = (0.0, 1.0);
    for seen in seen {
        let lost = f64::from(seen.lost);
        let share = inherent + (1.0 - inherent) * excess(seen);
        let share = share.clamp(0.0005, 0.9995);
        sum += weight * (lost * share.ln() + (f64::from(seen.packets) - lost) * (1.0 - share).ln());
        weight *= AGE;
    }
    sum
}
