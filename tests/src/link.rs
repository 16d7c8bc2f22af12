//! A line between two namespaces that behaves badly on purpose: delay, jitter, loss, a rate and a queue,
//! each changeable while packets flow.
//!
//! Owns a TUN device on either side and one thread per direction between them. When a packet leaves is decided by
//! the pure [`Shaper`]. Works where the kernel has no netem.

mod gusts;
mod shaper;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tun_rs::{DeviceBuilder, SyncDevice};

pub use gusts::{Burst, Gusts};
pub use shaper::{Line, Shaper, Verdict};

use crate::netns::Namespace;

/// How long a quiet thread sleeps before it looks whether the link still exists.
const LOOK_UP: Duration = Duration::from_millis(50);

/// A running link. Ends when dropped.
#[derive(Debug)]
pub struct Link {
    laid: Instant,
    directions: [Arc<Direction>; 2],
    threads: Vec<JoinHandle<()>>,
}

/// What became of the packets of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Arrived.
    pub passed: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Lost because the queue was full.
    pub overflowed: u64,
    /// Bytes that arrived, IP headers included.
    pub bytes: u64,
    /// How long a packet that comes now waits for its turn.
    pub waiting: Duration,
}

#[derive(Debug, Default)]
struct Direction {
    line: Mutex<Line>,
    over: AtomicBool,
    passed: AtomicU64,
    lost: AtomicU64,
    overflowed: AtomicU64,
    bytes: AtomicU64,
    /// When the line is free again, in microseconds since the link was laid.
    free_at: AtomicU64,
}

impl Link {
    /// Lays a line from `left` to `right`, at first without any fault. The interface is called `line` on both sides, with these addresses
    /// in one /24 network. The same `seed` loses the same packets.
    ///
    /// # Errors
    /// Without root, or where `/dev/net/tun` is missing.
    pub fn between(
        left: (&Namespace, Ipv4Addr),
        right: (&Namespace, Ipv4Addr),
        seed: u64,
    ) -> Result<Self> {
        Self::named("line", left, right, seed)
    }

    /// Likewise, where the interface on the left has another name: several lines may begin in one place.
    ///
    /// # Errors
    /// Without root, or where `/dev/net/tun` is missing.
    pub fn named(
        name: &str,
        left: (&Namespace, Ipv4Addr),
        right: (&Namespace, Ipv4Addr),
        seed: u64,
    ) -> Result<Self> {
        let laid = Instant::now();
        let ends = [device(name, left)?, device("line", right)?];
        let directions = [
            Arc::new(Direction::default()),
            Arc::new(Direction::default()),
        ];
        let threads = [0, 1].map(|side: usize| {
            let (from, to) = (ends[side].clone(), ends[1 - side].clone());
            let direction = directions[side].clone();
            std::thread::spawn(move || carry(&from, &to, &direction, (laid, seed ^ side as u64)))
        });
        Ok(Self {
            laid,
            directions,
            threads: threads.into(),
        })
    }

    /// Changes the way from left to right.
    pub fn set_forward(&self, line: Line) {
        self.directions[0].set(line);
    }

    /// Changes the way from right to left.
    pub fn set_backward(&self, line: Line) {
        self.directions[1].set(line);
    }

    /// Changes both ways.
    pub fn set_both(&self, line: Line) {
        self.set_forward(line);
        self.set_backward(line);
    }

    /// What became of the packets, left to right first.
    pub fn counts(&self) -> [Counts; 2] {
        let now = micros(self.laid.elapsed());
        [0, 1].map(|side: usize| {
            let direction = &self.directions[side];
            let free_at = direction.free_at.load(Ordering::Relaxed);
            Counts {
                bytes: direction.bytes.load(Ordering::Relaxed),
                waiting: Duration::from_micros(free_at.saturating_sub(now)),
                passed: direction.passed.load(Ordering::Relaxed),
                lost: direction.lost.load(Ordering::Relaxed),
                overflowed: direction.overflowed.load(Ordering::Relaxed),
            }
        })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for direction in &self.directions {
            direction.over.store(true, Ordering::Relaxed);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Direction {
    fn set(&self, line: Line) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = line;
    }

    fn line(&self) -> Line {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn device(name: &str, (place, address): (&Namespace, Ipv4Addr)) -> Result<Arc<SyncDevice>> {
    let device = place.enter(|| DeviceBuilder::new().name(name).mtu(1500).build_sync())?;
    let device = device.context("make a TUN device (is /dev/net/tun there?)")?;
    device.set_nonblocking(true)?;
    place.ip(&["addr", "add", &format!("{address}/24"), "dev", name])?;
    place.ip(&["link", "set", name, "up", "txqueuelen", "2000"])?;
    Ok(Arc::new(device))
}

/// Carries packets one way until the link is over.
fn carry(from: &SyncDevice, to: &SyncDevice, direction: &Direction, (laid, seed): (Instant, u64)) {
    let mut shaper = Shaper::new(seed);
    let mut buffer = [0; 2048];
    while !direction.over.load(Ordering::Relaxed) {
        let wait = shaper.next_departure().map_or(LOOK_UP, |at| {
            at.saturating_duration_since(Instant::now()).min(LOOK_UP)
        });
        let wait = Timespec::try_from(wait).expect("50 ms fit");
        let _ = poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&wait));
        let line = direction.line();
        while let Ok(size) = from.recv(&mut buffer) {
            match shaper.admit(&buffer[..size], &line, Instant::now()) {
                Verdict::Queued => {}
                Verdict::Lost => drop(direction.lost.fetch_add(1, Ordering::Relaxed)),
                Verdict::Overflowed => drop(direction.overflowed.fetch_add(1, Ordering::Relaxed)),
            }
        }
        let now = Instant::now();
        let free_at = micros(now - laid + shaper.waiting(now));
        direction.free_at.store(free_at, Ordering::Relaxed);
        while let Some(packet) = shaper.depart(now) {
            if to.send(&packet).is_ok() {
                let size = packet.len() as u64;
                direction.bytes.fetch_add(size, Ordering::Relaxed);
                direction.passed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests;
