//! What will happen, ordered by time; what is due at the same moment happens in the order in which it was planned.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Instant;

/// All that is planned.
pub(crate) struct Queue<T> {
    planned: BinaryHeap<Reverse<Planned<T>>>,
    count: u64,
}

struct Planned<T> {
    at: Instant,
    number: u64,
    what: T,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            planned: BinaryHeap::new(),
            count: 0,
        }
    }

    pub(crate) fn push(&mut self, at: Instant, what: T) {
        self.count += 1;
        let number = self.count;
        self.planned.push(Reverse(Planned { at, number, what }));
    }

    /// When the next thing happens.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.planned.peek().map(|Reverse(planned)| planned.at)
    }

    /// The next thing that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        self.planned.pop().map(|Reverse(planned)| planned.what)
    }
}

impl<T> PartialEq for Planned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Planned<T> {}

impl<T> PartialOrd for Planned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Planned<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
