//! How long packets wait in the line's queue, and how much of that is only jitter.
//!
//! Has no part in libwebrtc's control: there, a line whose jitter reaches 200 ms looks overused again and again until nothing is left of the
//! estimate. A queue differs from jitter in that *every* packet waits in it, so overuse is believed only when the fastest of
//! the packets within a few jitters was slow too. On a calm line that is the last packet alone, and nothing is delayed.

use std::time::Duration;

use super::floor::Floor;
use super::groups::Delta;

/// Groups remembered: the longest window, and what a leg sends in it.
const GROUPS: usize = 64;

/// The fastest packet of one or two such periods is what the line takes without a queue. Clocks drift by a few milliseconds in it.
const BASE_PERIOD_MICROS: i64 = 30_000_000;

/// Weight of a new difference in its mean and deviation.
const SMOOTHING: f64 = 1.0 / 16.0;

/// Window in mean deviations between groups: with jitter equally spread over 200 ms the deviation is 67 ms, the window 270.
const WINDOW_DEVIATIONS: f64 = 4.0;
const MAX_WINDOW_MILLIS: f64 = 500.0;

/// The fastest packet of the window is slow when it waits for so many deviations.
const SLOW_DEVIATIONS: f64 = 0.75;

/// A wait this much longer than the longest usual one is a surge: the line has broken in. The usual is forgotten in so many milliseconds.
const SURGE: f64 = 1.5;
const SURGE_MILLIS: f64 = 50.0;
const FORGETTING_MILLIS: f64 = 7_000.0;

/// What is usual is what was so this long ago, in microseconds, and up to twice as long: a queue that grows does not become usual meanwhile.
const SETTLING_MICROS: i64 = 1_000_000;

/// Milliseconds, and deviations, of queue that count as none.
const EMPTY_MILLIS: f64 = 25.0;
const EMPTY_DEVIATIONS: f64 = 2.0;

/// Follows transit times.
#[derive(Debug)]
pub(super) struct Queueing {
    /// Arrival and transit of the last groups, in microseconds.
    groups: [(i64, i64); GROUPS],
    next: usize,
    len: usize,
    base: Option<Base>,
    floor: Floor,
    mean: f64,
    deviation: f64,
    /// Longest usual wait in milliseconds, as of now, of a moment ago, and before that.
    swing: f64,
    settling: f64,
    settled: f64,
    settled_at: i64,
    /// It has been heard for so long that there is something usual.
    is_settled: bool,
    /// Wait of the last packet in milliseconds.
    wait: f64,
    last_at: i64,
    emptied_at: i64,
}

/// Least transit in this period and in the one before.
#[derive(Clone, Copy, Debug)]
struct Base {
    since: i64,
    current: i64,
    before: i64,
}

impl Default for Queueing {
    fn default() -> Self {
        Self {
            groups: [(0, 0); GROUPS],
            next: 0,
            len: 0,
            base: None,
            floor: Floor::default(),
            mean: 0.0,
            deviation: 0.0,
            swing: 0.0,
            settling: 0.0,
            settled: 0.0,
            settled_at: 0,
            is_settled: false,
            wait: 0.0,
            last_at: 0,
            emptied_at: 0,
        }
    }
}

impl Queueing {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes the next group.
    pub(super) fn add(&mut self, delta: &Delta) {
        let difference = delta.arrived - delta.sent;
        self.mean += SMOOTHING * (difference - self.mean);
        self.deviation += SMOOTHING * ((difference - self.mean).abs() - self.deviation);
        if let Some(place) = self.groups.get_mut(self.next) {
            *place = (delta.at, delta.transit);
        }
        self.floor.add(delta.at, delta.transit);
        self.next = (self.next + 1) % GROUPS;
        self.len = (self.len + 1).min(GROUPS);
        let base = self.base.get_or_insert(Base {
            since: delta.at,
            current: delta.transit,
            before: delta.transit,
        });
        if delta.at.saturating_sub(base.since) > BASE_PERIOD_MICROS {
            *base = Base {
                since: delta.at,
                current: delta.transit,
                before: base.current,
            };
        }
        base.current = base.current.min(delta.transit);
        if self.len == 1 {
            self.last_at = delta.at;
            self.emptied_at = delta.at;
            self.settled_at = delta.at;
        }
        let elapsed = delta.at.saturating_sub(self.last_at) as f64 / 1000.0;
        self.last_at = delta.at;
        self.swing *= (1.0 - elapsed / FORGETTING_MILLIS).clamp(0.0, 1.0);
        let wait = self.wait_of(delta.transit);
        self.swing += 0.3 * (wait - self.swing).max(0.0);
        if delta.at.saturating_sub(self.settled_at) > SETTLING_MICROS {
            self.settled_at = delta.at;
            self.settled = std::mem::replace(&mut self.settling, self.swing);
            self.is_settled = true;
        } else if !self.is_settled {
            self.settle();
        }
        if self.delay() < EMPTY_MILLIS + EMPTY_DEVIATIONS * self.deviation {
            self.emptied_at = delta.at;
        }
    }

    /// For how long the fastest packets have all taken the same time.
    pub(super) fn steady(&self) -> Duration {
        self.floor.steady()
    }

    /// What the fastest packets take now is what the line takes without a queue.
    pub(super) fn rebase(&mut self) {
        if let Some(least) = self.floor.least() {
            self.base = Some(Base {
                since: self.last_at,
                current: least,
                before: least,
            });
            self.emptied_at = self.last_at;
        }
    }

    /// What is so now is usual from now on.
    pub(super) fn settle(&mut self) {
        (self.settling, self.settled) = (self.swing, self.swing);
    }

    /// Notes the least transit of the newest packets, whose group may be long in coming.
    pub(super) fn note_newest(&mut self, transit: i64) {
        self.wait = self.wait_of(transit);
    }

    /// Milliseconds that a packet with this transit waited.
    pub(super) fn wait_of(&self, transit: i64) -> f64 {
        let base = self
            .base
            .map_or(transit, |base| base.current.min(base.before));
        transit.saturating_sub(base) as f64 / 1000.0
    }

    /// Do the newest packets wait far longer than was ever usual?
    pub(super) fn is_surging(&self) -> bool {
        self.base.is_some() && self.wait > SURGE * self.swing + SURGE_MILLIS
    }

    /// Milliseconds that the newest packets waited at least.
    pub(super) fn newest(&self) -> f64 {
        self.wait
    }

    /// Longest wait in milliseconds that was usual until a second ago.
    pub(super) fn usual(&self) -> f64 {
        self.settled
    }

    /// How long the queue has not been empty.
    pub(super) fn standing(&self) -> Duration {
        let micros = self.last_at.saturating_sub(self.emptied_at);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// Milliseconds that the fastest packet of the last `window` milliseconds waited.
    fn least(&self, window: f64) -> f64 {
        let Some(base) = &self.base else { return 0.0 };
        let newest = (self.next + GROUPS - 1) % GROUPS;
        let Some(&(last, mut least)) = self.groups.get(newest) else {
            return 0.0;
        };
        for age in 0..self.len {
            let index = (newest + GROUPS - age) % GROUPS;
            let Some(&(at, transit)) = self.groups.get(index) else {
                break;
            };
            if last.saturating_sub(at) as f64 > window * 1000.0 {
                break;
            }
            least = least.min(transit);
        }
        least.saturating_sub(base.current.min(base.before)) as f64 / 1000.0
    }

    /// Milliseconds that packets wait, jitter set aside.
    pub(super) fn delay(&self) -> f64 {
        self.least(self.window()).max(0.0)
    }

    /// Can what the trend sees be a queue?
    pub(super) fn is_standing(&self) -> bool {
        self.delay() > SLOW_DEVIATIONS * self.deviation
    }

    fn window(&self) -> f64 {
        (WINDOW_DEVIATIONS * self.deviation).min(MAX_WINDOW_MILLIS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(queueing: &mut Queueing, delays_ms: impl IntoIterator<Item = i64>) {
        let (mut at, mut last) = (0, 0);
        for delay in delays_ms {
            at += 20_000;
            let difference = (delay - last) as f64;
            last = delay;
            queueing.add(&Delta {
                sent: 20.0,
                arrived: 20.0 + difference,
                at: at + delay * 1000,
                transit: 7_000 + delay * 1000,
            });
        }
    }

    #[test]
    fn a_queue_stands_and_jitter_does_not() {
        let mut calm = Queueing::default();
        feed(&mut calm, (0..50).map(|_| 0).chain([3, 6, 9, 12]));
        assert!(calm.is_standing());
        assert!((9.0..=12.0).contains(&calm.delay()), "{}", calm.delay());
        let mut restless = Queueing::default();
        feed(&mut restless, (0..200).map(|n| (n * 77) % 200));
        assert!(!restless.is_standing());
        assert!(restless.delay() < 50.0, "{}", restless.delay());
    }

    #[test]
    fn a_queue_behind_jitter_stands_too() {
        let mut queueing = Queueing::default();
        let jitter = |n: i64| (n * 77) % 100;
        let growing = (0..100).map(|n| jitter(n) + n * 8);
        feed(&mut queueing, (0..200).map(jitter).chain(growing));
        assert!(queueing.is_standing());
        assert!(queueing.delay() > 400.0, "{}", queueing.delay());
    }
}
