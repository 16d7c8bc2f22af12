//! What a receiver remembers of a stream: the highest packet index and which of the last ones it has seen
//! (RFC 3711 sections 3.3.1 and 3.3.2).
//!
//! Owns the estimate of the roll-over counter. Does not authenticate: only an index that proved genuine may be accepted.

use super::{INDEX_END, OpenError};

/// A receiver's state for one SSRC. The caller owns it and bounds how many there are.
#[derive(Clone, Debug, Default)]
pub struct InboundStream {
    window: ReplayWindow<16>,
}

impl InboundStream {
    /// A stream of which nothing was received. Its sender is taken to be in its first 65536 packets.
    pub fn new() -> Self {
        Self::default()
    }

    /// The highest packet index (roll-over counter << 16 | sequence number) that proved genuine.
    pub fn highest_index(&self) -> Option<u64> {
        self.window.highest
    }

    /// Which packet a sequence number means: the one nearest to the highest so far (RFC 3711 appendix A).
    pub(super) fn estimate(&self, seq: u16) -> Result<u64, OpenError> {
        let Some(highest) = self.window.highest else {
            return Ok(u64::from(seq));
        };
        let same_roll = (highest & !0xffff) | u64::from(seq);
        let index = if same_roll > highest + 0x8000 {
            same_roll.checked_sub(0x1_0000).ok_or(OpenError::TooOld)?
        } else if same_roll + 0x8000 < highest {
            same_roll + 0x1_0000
        } else {
            same_roll
        };
        if index < INDEX_END {
            Ok(index)
        } else {
            Err(OpenError::TooOld)
        }
    }

    pub(super) fn check(&self, index: u64) -> Result<(), OpenError> {
        self.window.check(index)
    }

    pub(super) fn accept(&mut self, index: u64) {
        self.window.accept(index);
    }
}

/// A set of recently seen indices: a ring of bits that is never shifted, only cleared ahead (RFC 6479).
/// It reaches back `(WORDS - 1) * 64` indices; `WORDS` is a power of two.
#[derive(Clone, Debug)]
pub(super) struct ReplayWindow<const WORDS: usize> {
    highest: Option<u64>,
    seen: [u64; WORDS],
}

impl<const WORDS: usize> Default for ReplayWindow<WORDS> {
    fn default() -> Self {
        Self {
            highest: None,
            seen: [0; WORDS],
        }
    }
}

impl<const WORDS: usize> ReplayWindow<WORDS> {
    /// How far behind the highest index one may be and still be told from a replay.
    pub(super) const REACH: u64 = (WORDS as u64 - 1) * 64;

    /// May this index be new?
    pub(super) fn check(&self, index: u64) -> Result<(), OpenError> {
        match self.highest {
            Some(highest) if index + Self::REACH <= highest => Err(OpenError::TooOld),
            Some(highest)
                if index <= highest && self.seen[Self::word(index)] & Self::bit(index) != 0 =>
            {
                Err(OpenError::Replayed)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Remembers an index that passed `check` and proved genuine.
    pub(super) fn accept(&mut self, index: u64) {
        match self.highest {
            Some(highest) if index <= highest => {}
            Some(highest) => {
                let fresh_words = (index / 64 - highest / 64).min(WORDS as u64);
                for ahead in 0..fresh_words {
                    self.seen[Self::word(index - ahead * 64)] = 0;
                }
                self.highest = Some(index);
            }
            None => self.highest = Some(index),
        }
        self.seen[Self::word(index)] |= Self::bit(index);
    }

    fn word(index: u64) -> usize {
        (index / 64 % WORDS as u64) as usize
    }

    fn bit(index: u64) -> u64 {
        1 << (index % 64)
    }
}

#[cfg(test)]
mod tests;
