//! From counters that grow to rates per second, and what they mean.

use std::collections::HashMap;
use std::time::Duration;

use baton_client::publish::SentReport;
use baton_client::{Call, SlotReport, Tally};
use baton_protocol::Source;
use serde::Serialize;

/// Remembers the counters of the last time.
#[derive(Debug, Default)]
pub(super) struct Meter {
    slots: HashMap<String, Tally>,
    sent: HashMap<(Source, Option<String>), u64>,
}

/// What flowed since the last time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "stats")]
pub(super) struct Rates {
    pub(super) slots: Vec<SlotRate>,
    pub(super) sent: Vec<SentRate>,
}

/// What one slot gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct SlotRate {
    #[serde(flatten)]
    pub(super) report: SlotReport,
    /// Bits per second.
    pub(super) bitrate: u64,
    /// Pictures per second.
    pub(super) fps: u64,
    pub(super) quality: Quality,
}

/// What one own stream sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct SentRate {
    #[serde(flatten)]
    pub(super) report: SentReport,
    /// Bits per second.
    pub(super) bitrate: u64,
}

/// How well a slot is served, by what was lost and not repaired since the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Quality {
    /// Nothing comes.
    Silent,
    /// Less than one packet of a hundred is missing.
    Good,
    /// Less than five of a hundred.
    Fair,
    /// More.
    Poor,
}

impl Quality {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Poor => "poor",
        }
    }

    fn of(came: u64, lost: u64) -> Self {
        match (came, 100 * lost) {
            (0, _) => Self::Silent,
            (_, lost) if lost < came + lost / 100 => Self::Good,
            (_, lost) if lost < 5 * (came + lost / 100) => Self::Fair,
            _ => Self::Poor,
        }
    }
}

impl Meter {
    /// Another leg counts from zero.
    pub(super) fn reset(&mut self) {
        self.slots.clear();
    }

    /// Reads the counters; call it every `period`.
    pub(super) fn measure(&mut self, call: &Call, period: Duration) -> Rates {
        let slots = call.slots().into_iter();
        let sent = call.sent().into_iter();
        Rates {
            slots: slots.map(|slot| self.slot(slot, period)).collect(),
            sent: sent.map(|stream| self.stream(stream, period)).collect(),
        }
    }

    fn slot(&mut self, report: SlotReport, period: Duration) -> SlotRate {
        let now = report.tally;
        let before = self.slots.insert(report.slot.clone(), now);
        let before = before.unwrap_or_default();
        let came = now.packets.saturating_sub(before.packets);
        let lost = now.lost.saturating_sub(before.lost);
        SlotRate {
            bitrate: per_second(now.bytes.saturating_sub(before.bytes) * 8, period),
            fps: per_second(now.frames.saturating_sub(before.frames), period),
            quality: Quality::of(came, lost),
            report,
        }
    }

    fn stream(&mut self, report: SentReport, period: Duration) -> SentRate {
        let key = (report.source, report.rid.clone());
        let before = self.sent.insert(key, report.bytes).unwrap_or_default();
        SentRate {
            bitrate: per_second(report.bytes.saturating_sub(before) * 8, period),
            report,
        }
    }
}

fn per_second(amount: u64, period: Duration) -> u64 {
    let millis = u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1);
    amount.saturating_mul(1000) / millis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_is_told_by_what_is_missing() {
        assert_eq!(Quality::of(0, 7), Quality::Silent);
        assert_eq!(Quality::of(100, 0), Quality::Good);
        assert_eq!(Quality::of(1000, 9), Quality::Good);
        assert_eq!(Quality::of(98, 2), Quality::Fair);
        assert_eq!(Quality::of(90, 10), Quality::Poor);
    }
}
