//! From feedback to arrivals: when each packet reached the receiver, by the receiver's clock.
//!
//! Only differences between arrivals mean anything: the two clocks have nothing in common but their pace.

use crate::rtcp::{REFERENCE_MICROS, TransportFeedback};
use crate::time::Tick;

use super::sent::ProbeId;

/// The receiver's clock went on by so much more or less than ours: it was set, or the receiver is another one.
const IMPLAUSIBLE_STEP_MICROS: i64 = 5_000_000;

/// A packet that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) sent: Tick,
    /// Microseconds of the receiver's clock.
    pub(super) at: i64,
    pub(super) bytes: u16,
    pub(super) probe: Option<ProbeId>,
    pub(super) is_limited: bool,
}

impl Arrival {
    /// Time on the way plus an unknown constant, in microseconds.
    pub(super) fn transit(&self) -> i64 {
        self.at
            .saturating_sub(i64::try_from(self.sent.0).unwrap_or(i64::MAX))
    }
}

/// Follows the receiver's clock, whose reference time has 24 bits.
#[derive(Debug, Default)]
pub(super) struct RemoteClock {
    last: Option<(i32, i64, Tick)>,
}

/// Where a feedback packet's deltas count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// Microseconds of the receiver's clock.
    pub(super) micros: i64,
    /// The clock jumped: nothing before can be compared.
    pub(super) has_jumped: bool,
}

impl RemoteClock {
    /// Widens the reference time of a feedback packet.
    pub(super) fn reference(&mut self, feedback: &TransportFeedback<'_>, now: Tick) -> Reference {
        let wire = feedback.reference_time;
        let Some((last, micros, at)) = self.last else {
            let micros = i64::from(wire) * REFERENCE_MICROS;
            self.last = Some((wire, micros, now));
            return Reference {
                micros,
                has_jumped: true,
            };
        };
        // The shifts carry the sign of 24 bits.
        let step = i64::from((wire.wrapping_sub(last) << 8) >> 8) * REFERENCE_MICROS;
        let elapsed = i64::try_from(now.since(at).as_micros()).unwrap_or(i64::MAX);
        let micros = micros.saturating_add(step);
        self.last = Some((wire, micros, now));
        Reference {
            micros,
            has_jumped: step.saturating_sub(elapsed).saturating_abs() > IMPLAUSIBLE_STEP_MICROS,
        }
    }
}
