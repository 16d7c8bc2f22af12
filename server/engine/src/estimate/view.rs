//! What others are told of an estimate: the allocator's reports, scores and statistics. Decides nothing.

use std::time::Duration;

use super::{Estimator, Usage, bitrate};
use crate::bitrate::Bitrate;

/// An estimate and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct EstimateView {
    /// What may be sent.
    pub(crate) target: Bitrate,
    /// What arrives; `None` until it was measured.
    pub(crate) acked: Option<Bitrate>,
    /// Share of packets lost in the last second, 0 to 1.
    pub(crate) loss: f64,
    pub(crate) round_trip: Option<Duration>,
    /// Time that packets wait on the line.
    pub(crate) queueing: Duration,
    pub(crate) usage: Usage,
    /// The leg sends so little that the line could be better than the estimate.
    pub(crate) is_limited: bool,
}

impl Estimator {
    /// The estimate and what it rests on.
    pub(crate) fn view(&self) -> EstimateView {
        let loss = if self.has_feedback {
            self.loss.recent()
        } else {
            self.reported.loss()
        };
        EstimateView {
            target: self.target(),
            acked: self.acked.average().map(bitrate),
            loss,
            round_trip: self.round_trip,
            queueing: Duration::from_secs_f64(self.queueing.delay().clamp(0.0, 1e6) / 1000.0),
            usage: self.usage,
            is_limited: self.limit.is_limited(),
        }
    }
}
