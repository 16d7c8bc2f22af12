//! How fast padding goes out while an uplink is probed, and when that ends: faster step by step, until enough came through, the
//! budget is used up, or the line shows that it is full.
//!
//! Pure: time and what the other side says come in by argument. Does not own packets, nor the measurement that counts, which
//! is the other side's: this only keeps the line from being filled for longer than it takes to see that it is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;

/// What is to be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbePlan {
    /// Highest rate that is of interest, in bits per second.
    pub up_to_bps: u64,
    /// Bytes that may be spent.
    pub budget_bytes: u64,
}

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeEnd {
    /// The highest rate went through for as long as it takes to measure it.
    Top,
    /// The bytes are spent.
    Budget,
    /// Packets begin to wait.
    Delay,
    /// Packets are lost.
    Loss,
    /// Nothing is heard of what was sent.
    Deaf,
    /// Somebody needs the line more.
    Interrupted,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProbeReport {
    /// Why it ended.
    pub end: ProbeEnd,
    /// Bits per second that were sent last.
    pub reached_bps: u64,
    /// Bytes that were sent.
    pub sent_bytes: u64,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send so many packets, numbered on from the last; perhaps none yet.
    Send(u16),
    /// It is over.
    End(ProbeEnd),
}

/// A probe under way.
#[derive(Debug)]
pub(crate) struct Ramp {
    plan: ProbePlan,
    began: Instant,
    rate: f64,
    /// When the rate last rose.
    raised: Instant,
    polled: Instant,
    /// Bytes that are due.
    due: f64,
    sent_bytes: u64,
    /// When each packet went out of which nothing was heard yet; the number is that of the first.
    sent: (u16, VecDeque<Instant>),
    heard: Instant,
    /// Least time from sending to arrival, by two clocks that have nothing in common, in microseconds.
    least: Option<i64>,
    /// Reports in a row in which every packet had waited.
    waiting: u8,
    /// Packets that were reported of late, and those of them that did not come.
    counted: (u32, u32),
    end: Option<ProbeEnd>,
}

impl Ramp {
    /// The first packet will have the number `first`.
    pub(crate) fn new(plan: ProbePlan, first: u16, now: Instant) -> Self {
        Self {
            plan,
            began: now,
            rate: (FIRST_BPS as f64).min(plan.up_to_bps as f64),
            raised: now,
            polled: now,
            due: 0.0,
            sent_bytes: 0,
            sent: (first, VecDeque::new()),
            heard: now,
            least: None,
            waiting: 0,
            counted: (0, 0),
            end: None,
        }
    }

    /// To be asked every few milliseconds. What is to be sent counts as sent.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few packets"
    )]
    pub(crate) fn poll(&mut self, now: Instant) -> Step {
        let is_top = self.rate >= self.plan.up_to_bps as f64;
        let at_rate = now - self.raised;
        if is_top && at_rate >= HOLD {
            self.end.get_or_insert(ProbeEnd::Top);
        } else if now - self.heard >= DEAF {
            self.end.get_or_insert(ProbeEnd::Deaf);
        }
        if let Some(end) = self.end {
            return Step::End(end);
        }
        if !is_top && at_rate >= STEP {
            self.rate = (self.rate * FACTOR).min(self.plan.up_to_bps as f64);
            self.raised = now;
        }
        // Who comes late does not make up for it at once: that would be a burst, and no rate.
        let span = (now - self.polled).min(LATE);
        self.polled = now;
        self.due += self.rate / 8.0 * span.as_secs_f64();
        let count = (self.due / WIRE_BYTES as f64) as u64;
        let left = (self.plan.budget_bytes - self.sent_bytes) / WIRE_BYTES;
        if left == 0 {
            self.end = Some(ProbeEnd::Budget);
            return Step::End(ProbeEnd::Budget);
        }
        let count = count.min(left);
        self.due -= (count * WIRE_BYTES) as f64;
        self.sent_bytes += count * WIRE_BYTES;
        for _ in 0..count {
            self.sent.1.push_back(now);
        }
        while self.sent.1.len() > MOST_UNHEARD {
            self.forget_first();
        }
        Step::Send(count as u16)
    }

    /// The other side says what came when, in microseconds of its clock; `None` is what has not come.
    pub(crate) fn note_arrivals(&mut self, arrivals: &[(u16, Option<i64>)], now: Instant) {
        let mut least: Option<i64> = None;
        for (number, arrived) in arrivals {
            let index = usize::from(number.wrapping_sub(self.sent.0));
            let Some(sent) = self.sent.1.get(index) else {
                continue;
            };
            let since = i64::try_from((*sent - self.began).as_micros()).unwrap_or(i64::MAX);
            self.heard = now;
            self.counted.0 += 1;
            match arrived {
                Some(at) => {
                    let took = at.saturating_sub(since);
                    least = Some(least.map_or(took, |known| known.min(took)));
                }
                None => self.counted.1 += 1,
            }
        }
        if let Some((last, _)) = arrivals.last() {
            while !self.sent.1.is_empty() && !is_after(self.sent.0, *last) {
                self.forget_first();
            }
        }
        self.judge(least);
    }

    /// Ends it.
    pub(crate) fn interrupt(&mut self) {
        self.end.get_or_insert(ProbeEnd::Interrupted);
    }

    pub(crate) fn report(&self) -> ProbeReport {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is a whole number of bits"
        )]
        let reached_bps = self.rate as u64;
        ProbeReport {
            end: self.end.unwrap_or(ProbeEnd::Interrupted),
            reached_bps,
            sent_bytes: self.sent_bytes,
        }
    }

    fn judge(&mut self, least: Option<i64>) {
        if let Some(took) = least {
            let base = self.least.map_or(took, |known| known.min(took));
            self.least = Some(base);
            self.waiting = if took.saturating_sub(base) > WAIT_US {
                self.waiting.saturating_add(1)
            } else {
                0
            };
            if self.waiting >= WAITING {
                self.end.get_or_insert(ProbeEnd::Delay);
            }
        }
        let (all, lost) = self.counted;
        if all >= COUNTED {
            if lost * 100 > all * LOSS_PERCENT {
                self.end.get_or_insert(ProbeEnd::Loss);
            }
            self.counted = (0, 0);
        }
    }

    fn forget_first(&mut self) {
        self.sent.1.pop_front();
        self.sent.0 = self.sent.0.wrapping_add(1);
    }
}

/// Is `number` after `last`, on a circle of 16 bits?
fn is_after(number: u16, last: u16) -> bool {
    let ahead = number.wrapping_sub(last);
    ahead != 0 && ahead < 0x8000
}

/// A first step that every line of today carries beside a call.
const FIRST_BPS: u64 = 1_000_000;

/// Each step is so much faster than the one before, and so long: a report of arrivals, a round trip, and time to judge.
const FACTOR: f64 = 1.5;
const STEP: Duration = Duration::from_millis(200);

/// The other side measures whole half seconds: one lies within this, wherever they begin.
const HOLD: Duration = Duration::from_millis(1100);

/// Nothing heard for so long: what is sent comes nowhere, or so late that it is no use to know.
const DEAF: Duration = Duration::from_millis(600);

/// Time that a poll may be late.
const LATE: Duration = Duration::from_millis(20);

/// Longer waiting than this of the fastest packet of a report, in so many reports in a row: the line is full.
const WAIT_US: i64 = 50_000;
const WAITING: u8 = 2;

/// Loss in so many packets that a line is full, in percent; chance loses less where a computer may carry a call at all.
const COUNTED: u32 = 100;
const LOSS_PERCENT: u32 = 2;

/// Payload of a packet, and its size on the line.
pub(crate) const PAYLOAD_BYTES: usize = 1100;
const WIRE_BYTES: u64 = PAYLOAD_BYTES as u64 + 75;

/// Packets that nothing was heard of yet.
const MOST_UNHEARD: usize = 8192;

#[cfg(test)]
mod tests;
