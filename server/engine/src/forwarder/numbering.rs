//! Sequence numbers of a slot without holes of our making: packets that are left out on purpose get no number.
//!
//! A packet that is late has its number already, given when a later one was sent. Does not know why a packet is left out.

/// Packets back that a late one is still known.
const WINDOW: u64 = 1024;

/// Bits of one word.
const WORD: u64 = 64;

/// Words that hold one bit for each packet of the window.
const WORDS: usize = (WINDOW / WORD) as usize;

/// What became of a packet that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// It leaves no trace.
    Unnumbered,
    /// It was late: this number was kept for it and has to be filled, or its receiver asks for it again and again.
    Numbered(u64),
    /// It is too old to say, or was left out before.
    Unknown,
}

/// The mapping from a source's extended sequence numbers to a slot's.
#[derive(Clone, Debug)]
pub(crate) struct Numbering {
    first_in: u64,
    first_out: u64,
    /// Numbers for each packet: two where each is sent twice.
    stride: u64,
    /// Highest incoming number seen; nothing before the first.
    highest_in: Option<u64>,
    /// How many up to `highest_in` were left out.
    left_out: u64,
    /// A ring of bits by incoming number: this one was left out.
    bits: [u64; WORDS],
}

impl Numbering {
    /// Counts from `first_out`.
    pub(crate) fn new(first_out: u64) -> Self {
        Self {
            first_in: 0,
            first_out,
            stride: 1,
            highest_in: None,
            left_out: 0,
            bits: [0; WORDS],
        }
    }

    /// From here on `first_in` becomes `first_out`. `is_doubled`: each packet has a second number, for a copy.
    pub(crate) fn switch(&mut self, first_in: u64, first_out: u64, is_doubled: bool) {
        *self = Self {
            first_in,
            stride: 1 + u64::from(is_doubled),
            ..Self::new(first_out)
        };
    }

    /// The number of a copy of a packet that has one already.
    pub(crate) fn copy(&self, seq: u64) -> Option<u64> {
        let highest = self.highest_in.filter(|highest| seq <= *highest)?;
        if self.stride == 1 || seq < self.first_in {
            return None;
        }
        Some(self.known(seq, highest)? + 1)
    }

    fn number(&self, seq: u64, left_out: u64) -> u64 {
        self.first_out + (seq - self.first_in - left_out) * self.stride
    }

    /// The number under which a packet is sent. `None`: it is from before the switch, was left out before or is too old.
    pub(crate) fn forward(&mut self, seq: u64) -> Option<u64> {
        if seq < self.first_in {
            return None;
        }
        match self.highest_in {
            Some(highest) if seq <= highest => self.known(seq, highest),
            Some(_) | None => {
                self.advance(seq);
                Some(self.number(seq, self.left_out))
            }
        }
    }

    /// Leaves a packet out.
    pub(crate) fn skip(&mut self, seq: u64) -> Skipped {
        if seq < self.first_in {
            return Skipped::Unknown;
        }
        match self.highest_in {
            Some(highest) if seq <= highest => self
                .known(seq, highest)
                .map_or(Skipped::Unknown, Skipped::Numbered),
            Some(_) | None => {
                self.advance(seq);
                self.set(seq);
                self.left_out += 1;
                Skipped::Unnumbered
            }
        }
    }

    /// The number of a packet behind the highest.
    fn known(&self, seq: u64, highest: u64) -> Option<u64> {
        if highest - seq >= WINDOW || self.is_left_out(seq) {
            return None;
        }
        let behind = (seq + 1..=highest)
            .filter(|&later| self.is_left_out(later))
            .count() as u64;
        Some(self.number(seq, self.left_out - behind))
    }

    /// Makes room for packets up to `seq`.
    fn advance(&mut self, seq: u64) {
        let from = self.highest_in.map_or(self.first_in, |highest| highest + 1);
        if seq - from >= WINDOW {
            self.bits = [0; WORDS];
        } else {
            (from..=seq).for_each(|fresh| self.clear(fresh));
        }
        self.highest_in = Some(seq);
    }

    fn is_left_out(&self, seq: u64) -> bool {
        let (word, bit) = place(seq);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }

    fn set(&mut self, seq: u64) {
        let (word, bit) = place(seq);
        if let Some(word) = self.bits.get_mut(word) {
            *word |= bit;
        }
    }

    fn clear(&mut self, seq: u64) {
        let (word, bit) = place(seq);
        if let Some(word) = self.bits.get_mut(word) {
            *word &= !bit;
        }
    }
}

fn place(seq: u64) -> (usize, u64) {
    let at = seq % WINDOW;
    (usize::try_from(at / WORD).unwrap_or(0), 1 << (at % WORD))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_out_leaves_no_hole_and_what_is_late_has_its_number() {
        let mut numbers = Numbering::new(0);
        numbers.switch(100, 7, false);
        assert_eq!(numbers.forward(99), None, "from before");
        assert_eq!(numbers.forward(100), Some(7));
        assert_eq!(numbers.skip(101), Skipped::Unnumbered);
        assert_eq!(numbers.forward(103), Some(9), "102 may still come");
        assert_eq!(numbers.skip(104), Skipped::Unnumbered);
        assert_eq!(numbers.forward(105), Some(10));
        assert_eq!(numbers.forward(102), Some(8));
        assert_eq!(numbers.skip(102), Skipped::Numbered(8));
        assert_eq!(numbers.forward(101), None, "left out is left out");
    }

    #[test]
    fn each_packet_has_a_number_for_its_copy_which_no_other_has() {
        let mut numbers = Numbering::new(0);
        numbers.switch(100, 7, true);
        assert_eq!(numbers.copy(100), None, "it was not sent yet");
        assert_eq!(numbers.forward(100), Some(7));
        assert_eq!(numbers.copy(99), None);
        assert_eq!(numbers.forward(102), Some(11));
        assert_eq!((numbers.copy(100), numbers.copy(102)), (Some(8), Some(12)));
        assert_eq!(numbers.forward(101), Some(9), "late");
        numbers.switch(103, 13, false);
        assert_eq!(numbers.forward(103), Some(13));
        assert_eq!((numbers.copy(102), numbers.copy(103)), (None, None));
    }

    proptest! {
        /// In whatever order packets come: numbers are unique, in the order of the source's, and only what never came leaves a hole.
        #[test]
        fn numbers_are_dense_and_in_order(
            steps in proptest::collection::vec((0u64..6, 0u64..40, any::<bool>()), 1..600),
            first_out in 1u64..70_000,
        ) {
            let mut numbers = Numbering::new(1);
            numbers.switch(5000, first_out, false);
            let (mut head, mut given, mut unnumbered) = (5000, BTreeMap::new(), BTreeSet::new());
            let mut came = BTreeSet::new();
            for (ahead, back, skip) in steps {
                let seq = if ahead > 0 { head += ahead; head } else { head.saturating_sub(back) };
                if seq < 5000 || !came.insert(seq) {
                    continue;
                }
                let number = if skip {
                    match numbers.skip(seq) {
                        Skipped::Unnumbered => { unnumbered.insert(seq); None }
                        Skipped::Numbered(number) => Some(number),
                        Skipped::Unknown => panic!("{seq} is neither old nor known"),
                    }
                } else {
                    Some(numbers.forward(seq).expect("fresh"))
                };
                if let Some(number) = number {
                    prop_assert!(given.insert(seq, number).is_none());
                }
            }
            for (seq, number) in &given {
                let before = unnumbered.range(..seq).count() as u64;
                prop_assert_eq!(*number, first_out + (seq - 5000) - before);
            }
        }
    }
}
