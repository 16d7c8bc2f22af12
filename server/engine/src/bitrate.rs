//! A rate of data. Owns the unit and how it is written; measuring and dividing rates belong to those who do it.

use std::fmt;

/// Bytes of IPv4 and UDP around a packet. They take room on the line as well (libwebrtc: `WebRTC-SendSideBwe-WithOverhead`), and with sound and
/// padding, whose packets are small, a tenth of it.
pub(crate) const IP_UDP: u16 = 28;

/// Bits per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Bitrate(pub u64);

impl Bitrate {
    /// From units of 1000 bits per second.
    pub const fn from_kbps(kbps: u64) -> Bitrate {
        Bitrate(kbps.saturating_mul(1000))
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1_000 => write!(f, "{} b/s", self.0),
            1_000..1_000_000 => write!(f, "{} kb/s", self.0 / 1_000),
            bits => write!(f, "{:.2} Mb/s", bits as f64 / 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_written_in_the_unit_that_suits_it() {
        assert_eq!(Bitrate(800).to_string(), "800 b/s");
        assert_eq!(Bitrate::from_kbps(150).to_string(), "150 kb/s");
        assert_eq!(Bitrate::from_kbps(2_500).to_string(), "2.50 Mb/s");
    }
}
