//! Send calls that are made one straight after the other.
//!
//! The engine seals several before the first is sent: the kernel's code and the engine's stay in the cache longer, and a receiver
//! that was woken by the first call finds the rest without being woken again. How each is sent is the worker's business.

use std::time::Instant;

use baton_engine::Transmit;

use super::Engine;

/// Calls in one go. The pictures of so many subscribers, about 6 kB each, are still in the cache when the next so many are sealed in their place.
const CALLS: usize = 16;

/// Room for the largest, and something that is no power of two: buffers 64 kB apart would all want the same few places of the cache.
const LARGEST_TRANSMIT: usize = 72 * 1024;
const _: () = assert!(!LARGEST_TRANSMIT.is_multiple_of(64 * 1024));

/// Sealed, and not yet sent.
#[derive(Debug, Default)]
pub(super) struct Burst {
    buffers: Vec<Vec<u8>>,
    transmits: Vec<Transmit>,
}

impl Burst {
    /// Space for a whole burst. Only the pages that are used become resident.
    pub(super) fn new() -> Self {
        Self {
            buffers: (0..CALLS)
                .map(|_| Vec::with_capacity(LARGEST_TRANSMIT))
                .collect(),
            transmits: Vec::with_capacity(CALLS),
        }
    }

    /// Replaces what was there by the next the engine wants sent. False: nothing is left until the next input.
    pub(super) fn fill(&mut self, engine: &mut Engine, now: Instant) -> bool {
        self.transmits.clear();
        for buffer in &mut self.buffers {
            match engine.poll_transmit(buffer, now) {
                Some(transmit) => self.transmits.push(transmit),
                None => break,
            }
        }
        !self.transmits.is_empty()
    }

    /// Each call with its bytes, in the order in which the engine gave them.
    pub(super) fn calls(&self) -> impl Iterator<Item = (&Transmit, &[u8])> {
        let calls = self.transmits.iter().zip(&self.buffers);
        calls.map(|(transmit, buffer)| (transmit, buffer.get(..transmit.size).unwrap_or(buffer)))
    }
}
