//! A download beside a call: additive increase, halving on loss, clocked by its acknowledgements (RFC 5681). What travels is moved by the
//! `world`.

/// Bytes of a segment on the line, without IP and TCP header.
pub(crate) const SEGMENT: usize = 1460;

pub(crate) struct Download {
    window: f64,
    threshold: f64,
    flying: u32,
    next: u64,
    /// Losses of segments below this belong to a halving that was done.
    recovered: u64,
    pub(crate) received: u64,
}

impl Download {
    pub(crate) fn new() -> Self {
        Self {
            window: 10.0,
            threshold: f64::MAX,
            flying: 0,
            next: 0,
            recovered: 0,
            received: 0,
        }
    }

    /// The number of the next segment, if the window has room.
    pub(crate) fn poll(&mut self) -> Option<u64> {
        if f64::from(self.flying) >= self.window {
            return None;
        }
        self.flying += 1;
        self.next += 1;
        Some(self.next)
    }

    /// A segment was acknowledged, or is known to be lost.
    pub(crate) fn handle_echo(&mut self, number: u64, has_arrived: bool) {
        self.flying = self.flying.saturating_sub(1);
        if has_arrived {
            self.received += SEGMENT as u64;
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
