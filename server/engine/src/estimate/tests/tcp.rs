//! A download beside the call: additive increase, halving on loss, clocked by its acknowledgements (RFC 5681).

use std::collections::BTreeMap;

use crate::time::Tick;

/// Bytes of a segment on the line.
pub(super) const SEGMENT: usize = 1500;

#[derive(Debug)]
pub(super) struct Tcp {
    window: f64,
    threshold: f64,
    flying: u32,
    next: u64,
    /// Losses of segments below this belong to a halving that was done.
    recovered: u64,
    /// Acknowledgements (true) and losses (false) on their way back.
    pub(super) echoes: BTreeMap<(Tick, u64), bool>,
    received: u64,
}

impl Tcp {
    pub(super) fn new() -> Self {
        Self {
            window: 10.0,
            threshold: f64::MAX,
            flying: 0,
            next: 0,
            recovered: 0,
            echoes: BTreeMap::new(),
            received: 0,
        }
    }

    /// Bytes that arrived.
    pub(super) fn received(&self) -> u64 {
        self.received * SEGMENT as u64
    }

    /// The number of the next segment, if the window has room.
    pub(super) fn poll(&mut self) -> Option<u64> {
        if f64::from(self.flying) >= self.window {
            return None;
        }
        self.flying += 1;
        self.next += 1;
        Some(self.next)
    }

    pub(super) fn handle_echoes(&mut self, now: Tick) {
        while let Some((&(at, number), &arrived)) = self.echoes.first_key_value() {
            if at > now {
                return;
            }
            self.echoes.remove(&(at, number));
            self.flying = self.flying.saturating_sub(1);
            if arrived {
                self.received += 1;
                self.window += if self.window < self.threshold {
                    1.0
                } else {
                    1.0 / self.window
                };
            } else if number > self.recovered {
                self.recovered = self.next;
                self.window = (self.window / 2.0).max(2.0);
                self.threshold = self.window;
            }
        }
    }
}
