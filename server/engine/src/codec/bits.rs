//! A bounded reader of bit fields, most significant bit first.

/// Reads bits until there are none. Never panics; every read past the end is `None`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits of the first byte that are already read; below 8.
    used: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    /// `f(count)`: an unsigned number of at most 32 bits.
    pub(super) fn read(&mut self, count: u32) -> Option<u32> {
        let mut value = 0u64;
        let mut missing = count.min(u32::BITS);
        while missing > 0 {
            let (&byte, rest) = self.bytes.split_first()?;
            let taken = missing.min(8 - self.used);
            let shifted = (u32::from(byte) >> (8 - self.used - taken)) & ((1 << taken) - 1);
            value = (value << taken) | u64::from(shifted);
            missing -= taken;
            self.used += taken;
            if self.used == 8 {
                self.used = 0;
                self.bytes = rest;
            }
        }
        u32::try_from(value).ok()
    }

    /// A number of at most 8 bits.
    pub(super) fn read_u8(&mut self, count: u32) -> Option<u8> {
        u8::try_from(self.read(count)?).ok()
    }

    /// One bit.
    pub(super) fn flag(&mut self) -> Option<bool> {
        Some(self.read(1)? == 1)
    }

    /// Passes over any number of bits.
    pub(super) fn skip(&mut self, mut count: u32) -> Option<()> {
        while count > 0 {
            let step = count.min(u32::BITS);
            self.read(step)?;
            count -= step;
        }
        Some(())
    }

    /// `ns(count)`: a number below `count`, in as few bits as its value allows (AV1 RTP, appendix A.8.2).
    pub(super) fn read_below(&mut self, count: u32) -> Option<u32> {
        let width = u32::BITS - count.leading_zeros();
        let short = (1u32.checked_shl(width)?).checked_sub(count)?;
        let value = self.read(width.checked_sub(1)?)?;
        if value < short {
            return Some(value);
        }
        let extra = self.read(1)?;
        Some((value << 1) - short + extra)
    }

    /// `ue(v)` of H.264 (9.1) and `uvlc()` of AV1 (4.10.3): as many zeros as bits follow the first one.
    /// Numbers of 32 bits and more are `None`.
    pub(super) fn read_exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros == u32::BITS {
                return None;
            }
        }
        let base = (1u32 << zeros) - 1;
        base.checked_add(self.read(zeros)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_cross_byte_borders() {
        let mut bits = Bits::new(&[0b1010_0110, 0b1100_0000]);
        assert_eq!(bits.read(3), Some(0b101));
        assert_eq!(bits.read(7), Some(0b00_11011));
        assert_eq!(bits.read(6), Some(0));
        assert_eq!(bits.read(1), None);
    }

    #[test]
    fn thirty_two_bits_fit() {
        let mut bits = Bits::new(&[0x7f, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(bits.flag(), Some(false));
        assert_eq!(bits.read(32), Some(u32::MAX));
    }

    #[test]
    fn a_number_below_five_takes_two_or_three_bits() {
        // AV1: ns(5) is 00, 01, 10, 110, 111.
        let mut bits = Bits::new(&[0b0001_1011, 0b0111_0000]);
        let read: Vec<_> = (0..5).map(|_| bits.read_below(5)).collect();
        assert_eq!(read, [0, 1, 2, 3, 4].map(Some));
    }

    #[test]
    fn a_number_below_one_takes_no_bit() {
        assert_eq!(Bits::new(&[]).read_below(1), Some(0));
    }

    #[test]
    fn exp_golomb_counts_zeros() {
        // 1, 010, 011, 00100, 00101
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let read: Vec<_> = (0..5).map(|_| bits.read_exp_golomb()).collect();
        assert_eq!(read, [0, 1, 2, 3, 4].map(Some));
        assert_eq!(Bits::new(&[0; 16]).read_exp_golomb(), None);
    }
}
