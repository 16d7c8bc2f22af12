//! RTP headers and header extensions (RFC 3550 section 5, RFC 8285): bounded reading and writing.
//!
//! Owns what every datagram is sorted by (first byte, RTCP or RTP) and the bytes in front of a payload: parsed once
//! for each received packet, written once for each forwarded one, without allocating. Does not own payloads and their
//! descriptors (`codec`), encryption (`srtp`), or what a sequence number means for a stream.

pub mod extension;
mod header;
mod label;
pub mod rtx;
pub mod seq;
mod writer;

use std::fmt;

pub use extension::{AudioLevel, ExtensionKind, ExtensionMap, Extensions, Origin};
pub use header::{ExtensionBlock, Header, padding_len};
pub use label::{LabelError, Mid, Rid};
pub use seq::ts_diff;
pub use writer::{HeaderWriter, OutExtensions};

/// Synchronization source: the number that names one RTP stream on one leg (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ssrc(pub u32);

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which negotiated format a payload has: 0..=127 (RFC 3550 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadType(u8);

impl PayloadType {
    /// `None` above 127.
    pub const fn new(value: u8) -> Option<Self> {
        if value <= 0x7f {
            Some(Self(value))
        } else {
            None
        }
    }

    /// From the second byte of a packet, whose top bit is the marker.
    const fn from_wire(byte: u8) -> Self {
        Self(byte & 0x7f)
    }

    /// 0..=127.
    pub const fn as_u8(self) -> u8 {
        self.0
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a datagram is, told by its first byte (RFC 7983 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 0..=3.
    Stun,
    /// 20..=63.
    Dtls,
    /// 64..=79.
    TurnChannel,
    /// 128..=191: RTP or RTCP, see [`is_rtcp`].
    Rtp,
    /// Everything else (ZRTP, QUIC, noise).
    Unknown,
}

/// Sorts a datagram by its first byte.
pub const fn class(first: u8) -> Class {
    match first {
        128..=191 => Class::Rtp,
        0..=3 => Class::Stun,
        20..=63 => Class::Dtls,
        64..=79 => Class::TurnChannel,
        _ => Class::Unknown,
    }
}

/// Is this datagram of [`Class::Rtp`] an RTCP packet? Its second byte says so (RFC 5761 section 4).
pub const fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [128..=191, 192..=223, ..])
}

#[cfg(test)]
mod tests;
