//! Chance and time of one run: a generator that its seed explains, and what will happen, in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// True time since the run began, in milliseconds. Nobody in the world sees it but by a clock of their own.
pub(crate) type Ms = u64;

/// Chance (splitmix64): small, quick and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` up to, and not including, `high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low).max(1)
    }

    /// An index below `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.between(0, count as u64)).expect("below a usize")
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.between(0, 100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.below(from.len())])
    }

    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for part in bytes.chunks_exact_mut(8) {
            part.copy_from_slice(&self.next().to_le_bytes());
        }
        bytes
    }
}

/// All that is planned; what is due at the same moment happens in the order in which it was planned.
pub(crate) struct Agenda<T> {
    order: BinaryHeap<Reverse<(Ms, usize)>>,
    planned: Vec<Option<T>>,
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self {
            order: BinaryHeap::new(),
            planned: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, at: Ms, what: T) {
        self.order.push(Reverse((at, self.planned.len())));
        self.planned.push(Some(what));
    }

    pub(crate) fn pop(&mut self) -> Option<(Ms, T)> {
        let Reverse((at, index)) = self.order.pop()?;
        Some((at, self.planned[index].take()?))
    }
}
