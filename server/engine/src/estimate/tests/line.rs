//! A line with a rate, a queue, a length, losses and jitter, all from a seed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::time::Tick;

/// How transit times vary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Jitter {
    None,
    /// Each packet is up to so much later, but none overtakes another.
    InOrder(Duration),
    /// Each packet is up to so much later.
    AnyOrder(Duration),
}

#[derive(Clone, Copy, Debug)]
struct Waiting<T> {
    packet: T,
    bits: f64,
    since: Tick,
}

/// One direction of a line.
#[derive(Debug)]
pub(super) struct Line<T> {
    /// Bits per second.
    pub(super) rate: f64,
    /// One way.
    pub(super) delay: Duration,
    /// Longest queue.
    pub(super) queue: Duration,
    /// Share of packets lost by chance, and lost in bursts of eight.
    pub(super) loss: f64,
    pub(super) burst_loss: f64,
    pub(super) jitter: Jitter,
    burst_left: u32,
    waiting: VecDeque<Waiting<T>>,
    waiting_bits: f64,
    credit: f64,
    last_arrival: Tick,
    arrivals: BTreeMap<(Tick, u64), T>,
    count: u64,
    rng: StdRng,
    /// How long the last packet waited.
    pub(super) waited: Duration,
}

impl<T: Copy> Line<T> {
    pub(super) fn new(rate: f64, delay: Duration, seed: u64) -> Self {
        Self {
            rate,
            delay,
            queue: Duration::from_millis(500),
            loss: 0.0,
            burst_loss: 0.0,
            jitter: Jitter::None,
            burst_left: 0,
            waiting: VecDeque::new(),
            waiting_bits: 0.0,
            credit: 0.0,
            last_arrival: Tick(0),
            arrivals: BTreeMap::new(),
            count: 0,
            rng: StdRng::seed_from_u64(seed),
            waited: Duration::ZERO,
        }
    }

    /// A number in 0..1.
    pub(super) fn chance(&mut self) -> f64 {
        f64::from(self.rng.next_u32()) / f64::from(u32::MAX)
    }

    /// False: the packet is lost.
    pub(super) fn send(&mut self, packet: T, bytes: usize, now: Tick) -> bool {
        if self.chance() < self.burst_loss / 8.0 {
            self.burst_left = 8;
        }
        if self.burst_left > 0 {
            self.burst_left -= 1;
            return false;
        }
        let is_lost = self.chance() < self.loss;
        let bits = bytes as f64 * 8.0;
        if is_lost || self.waiting_bits + bits > self.rate * self.queue.as_secs_f64() + 12_000.0 {
            return false;
        }
        self.waiting_bits += bits;
        self.waiting.push_back(Waiting {
            packet,
            bits,
            since: now,
        });
        true
    }

    /// Lets the line carry what it can until `now`, one `step` after the last time.
    pub(super) fn carry(&mut self, now: Tick, step: Duration) {
        self.credit += self.rate * step.as_secs_f64();
        while let Some(first) = self.waiting.front().copied() {
            if first.bits > self.credit {
                break;
            }
            self.credit -= first.bits;
            self.waiting_bits -= first.bits;
            self.waiting.pop_front();
            let left = now - Duration::from_secs_f64(self.credit.max(0.0) / self.rate);
            let left = left.max(first.since);
            self.waited = left.since(first.since);
            let (late, in_order) = match self.jitter {
                Jitter::None => (Duration::ZERO, true),
                Jitter::InOrder(most) => (most.mul_f64(self.chance()), true),
                Jitter::AnyOrder(most) => (most.mul_f64(self.chance()), false),
            };
            let mut at = left + self.delay + late;
            if in_order {
                at = at.max(self.last_arrival);
                self.last_arrival = at;
            }
            self.count += 1;
            self.arrivals.insert((at, self.count), first.packet);
        }
        if self.waiting.is_empty() {
            self.credit = 0.0;
        }
    }

    /// The next packet that has arrived by `now`, and when.
    pub(super) fn receive(&mut self, now: Tick) -> Option<(Tick, T)> {
        let (&(at, count), _) = self.arrivals.first_key_value()?;
        if at > now {
            return None;
        }
        let packet = self.arrivals.remove(&(at, count))?;
        Some((at, packet))
    }
}
