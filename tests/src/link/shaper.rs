//! When does a packet leave a line, if at all? Time and chance come from outside: no thread, no clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::gusts::{Burst, Gusts};

/// How one direction of a line behaves. The default is a perfect line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// Time every packet is on its way.
    pub delay: Duration,
    /// Up to this much more or less, bell-shaped. Packets keep their order unless `reorders`.
    pub jitter: Duration,
    /// Share of packets lost by chance, 0 to 1.
    pub loss: f64,
    /// More loss now and then.
    pub burst: Option<Burst>,
    /// Bits per second; `None` is without limit.
    pub rate: Option<u64>,
    /// Bytes that wait for their turn at `rate`; more are lost. 0 stands for 256,000.
    pub queue: usize,
    /// May jitter change the order of packets?
    pub reorders: bool,
}

/// What a line did with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// On its way.
    Queued,
    /// Lost by chance.
    Lost,
    /// Lost because the queue was full.
    Overflowed,
}

/// The packets that are on their way in one direction.
#[derive(Debug)]
pub struct Shaper {
    chance: StdRng,
    travelling: BinaryHeap<Reverse<(Instant, u64, Vec<u8>)>>,
    count: u64,
    free_at: Option<Instant>,
    last_departure: Option<Instant>,
    gusts: Gusts,
}

impl Shaper {
    /// An empty line whose chance comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            chance: StdRng::seed_from_u64(seed),
            travelling: BinaryHeap::new(),
            count: 0,
            free_at: None,
            last_departure: None,
            gusts: Gusts::default(),
        }
    }

    /// How long a packet that comes now waits for its turn.
    pub fn waiting(&self, now: Instant) -> Duration {
        self.free_at
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// Takes a packet, or loses it.
    pub fn admit(&mut self, packet: &[u8], line: &Line, now: Instant) -> Verdict {
        if line.loss > 0.0 && self.chance.random::<f64>() < line.loss {
            return Verdict::Lost;
        }
        if let Some(burst) = line.burst
            && self.gusts.takes(&burst, now, &mut self.chance)
        {
            return Verdict::Lost;
        }
        let mut departure = now;
        if let Some(rate) = line.rate.filter(|&rate| rate > 0) {
            let seconds = |bytes: usize| Duration::from_secs_f64(bytes as f64 * 8.0 / rate as f64);
            let free_at = self.free_at.unwrap_or(now).max(now);
            let queue = if line.queue == 0 { 256_000 } else { line.queue };
            if free_at - now > seconds(queue) {
                return Verdict::Overflowed;
            }
            departure = free_at + seconds(packet.len());
            self.free_at = Some(departure);
        }
        departure += self.travel_time(line);
        if !line.reorders {
            departure = self
                .last_departure
                .map_or(departure, |last| departure.max(last));
            self.last_departure = Some(departure);
        }
        self.count += 1;
        self.travelling
            .push(Reverse((departure, self.count, packet.to_vec())));
        Verdict::Queued
    }

    /// The next packet that has arrived by `now`.
    pub fn depart(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.travelling
            .peek()
            .filter(|Reverse((at, _, _))| *at <= now)?;
        self.travelling.pop().map(|Reverse((_, _, packet))| packet)
    }

    /// When the next packet arrives.
    pub fn next_departure(&self) -> Option<Instant> {
        self.travelling.peek().map(|Reverse((at, _, _))| *at)
    }

    /// The delay with a bell-shaped share of the jitter: the mean of three throws.
    fn travel_time(&mut self, line: &Line) -> Duration {
        if line.jitter.is_zero() {
            return line.delay;
        }
        let throws: f64 = (0..3).map(|_| self.chance.random::<f64>()).sum();
        let shift = line.jitter.as_secs_f64() * (throws / 1.5 - 1.0);
        Duration::from_secs_f64((line.delay.as_secs_f64() + shift).max(0.0))
    }
}
