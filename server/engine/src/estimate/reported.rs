//! Estimating without transport-wide feedback: what the receiver estimates itself (REMB), and the loss in its reports.
//!
//! draft-alvestrand-rmcat-remb-03 and the loss-based controller of draft-ietf-rmcat-gcc-02 section 6.

use std::time::Duration;

use crate::time::Tick;

/// A receiver that says nothing for so long has no opinion any more.
const FRESH: Duration = Duration::from_secs(10);

/// Reports of several streams count once in this time.
const INTERVAL: Duration = Duration::from_millis(900);

/// Draft section 6: more loss lowers the rate by half of it, less lets it grow by 5 %.
const HIGH: f64 = 0.1;
const LOW: f64 = 0.02;
const GROWTH: f64 = 1.05;

/// Without any sign of a queue the rate grows no further than this.
const BLIND_LIMIT: f64 = 2_500_000.0;

/// What the receiver reports.
#[derive(Debug)]
pub(super) struct Reported {
    rate: f64,
    remb: Option<(f64, Tick)>,
    updated: Option<Tick>,
    /// Worst of the streams since the last update, and at it.
    worst: f64,
    loss: f64,
}

impl Reported {
    /// Begins at `start` bits per second.
    pub(super) fn new(start: f64) -> Self {
        Self {
            rate: start,
            remb: None,
            updated: None,
            worst: 0.0,
            loss: 0.0,
        }
    }

    /// Takes the receiver's own estimate in bits per second. It has looked at delays; only heavy loss counts more.
    pub(super) fn handle_remb(&mut self, rate: f64, now: Tick) {
        self.remb = Some((rate, now));
        self.rate = if self.loss > HIGH {
            self.rate.min(rate)
        } else {
            rate
        };
    }

    /// Takes the share of packets that one stream lost.
    pub(super) fn handle_loss(&mut self, loss: f64, now: Tick) {
        self.worst = self.worst.max(loss);
        if self.updated.is_some_and(|at| now.since(at) < INTERVAL) {
            return;
        }
        self.updated = Some(now);
        self.loss = std::mem::take(&mut self.worst);
        let remb = self.remb.filter(|(_, at)| now.since(*at) < FRESH);
        let limit = remb.map_or(BLIND_LIMIT, |(rate, _)| rate);
        if self.loss > HIGH {
            self.rate *= 1.0 - 0.5 * self.loss;
        } else if self.loss < LOW {
            self.rate = (self.rate * GROWTH).min(limit.max(self.rate));
        }
    }

    /// Has anything been reported?
    pub(super) fn has_any(&self) -> bool {
        self.remb.is_some() || self.updated.is_some()
    }

    /// Bits per second.
    pub(super) fn target(&self) -> f64 {
        self.rate
    }

    /// Share of packets lost as of the last reports.
    pub(super) fn loss(&self) -> f64 {
        self.loss
    }
}
