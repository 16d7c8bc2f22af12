//! NTP timestamps (RFC 3550 section 4): conversions only, no clock is read.

use std::time::Duration;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// From 1900 to 1970: 70 years with 17 leap days.
const UNIX_EPOCH_SECONDS: u64 = 2_208_988_800;

/// Seconds since an epoch in 32.32 fixed point. The epoch is 1900 for wall-clock time, but any will do for reports
/// (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ntp(pub u64);

impl Ntp {
    /// The middle 32 bits, in 1/65536 seconds: what report blocks refer to.
    pub const fn middle32(self) -> u32 {
        let [_, _, b2, b3, b4, b5, _, _] = self.0.to_be_bytes();
        u32::from_be_bytes([b2, b3, b4, b5])
    }

    /// From time since 1970. Wraps in 2036, as NTP does.
    pub const fn from_unix(since_1970: Duration) -> Self {
        Self(
            Self::from_duration(since_1970)
                .0
                .wrapping_add(UNIX_EPOCH_SECONDS << 32),
        )
    }

    /// From time since the epoch of the caller's choice. Whole seconds wrap after 136 years.
    pub const fn from_duration(since_epoch: Duration) -> Self {
        // Rounded up, so that going back to nanoseconds gives the same number.
        let fraction = ((since_epoch.subsec_nanos() as u64) << 32).div_ceil(NANOS_PER_SECOND);
        Self((since_epoch.as_secs() << 32) + fraction)
    }

    /// Time since the epoch.
    pub const fn to_duration(self) -> Duration {
        let nanos = ((self.0 & 0xffff_ffff) * NANOS_PER_SECOND) >> 32;
        Duration::from_secs(self.0 >> 32).saturating_add(Duration::from_nanos(nanos))
    }
}

impl From<Duration> for Ntp {
    fn from(since_epoch: Duration) -> Self {
        Self::from_duration(since_epoch)
    }
}

/// From 1/65536 seconds.
pub(super) fn duration_from_units(units: u32) -> Duration {
    Duration::from_nanos((u64::from(units) * NANOS_PER_SECOND) >> 16)
}

/// To 1/65536 seconds, saturating.
pub(super) fn units_from_duration(duration: Duration) -> u32 {
    u32::try_from((duration.as_nanos() << 16) / u128::from(NANOS_PER_SECOND)).unwrap_or(u32::MAX)
}
