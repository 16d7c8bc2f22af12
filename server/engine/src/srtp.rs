//! SRTP and SRTCP (RFC 3711, RFC 7714) with the keys that DTLS hands over (RFC 5764).
//!
//! Owns the keys of a leg, the order of bytes inside a sealed packet, the receiver's estimate of the packet index and
//! its replay windows. Deliberately does not own the streams: the caller counts sequence numbers, decides which SSRC
//! gets an [`InboundStream`] and how many there may be. No clock, no randomness, no allocation per packet.

mod cipher;
mod inbound;
mod keys;
mod outbound;
mod replay;
#[cfg(test)]
mod tests;

pub use inbound::{Inbound, OpenError, Opened};
pub use keys::{MasterKey, MasterKeyError};
pub use outbound::{Outbound, Unsealed};
pub use replay::InboundStream;

/// Packet indices end here (RFC 3711 section 3.3.1: 32 bits of roll-over counter and 16 of sequence number).
pub const INDEX_END: u64 = 1 << 48;

/// How a leg's media is protected: what DTLS chose from the `use_srtp` extension (RFC 5764, RFC 7714 section 14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// AES-128 in Galois/counter mode: the cheapest to seal, and the one to negotiate.
    Aes128Gcm,
    /// AES-256 in Galois/counter mode.
    Aes256Gcm,
    /// AES-128 in counter mode with an 80-bit HMAC-SHA1 tag: what every WebRTC peer must speak (RFC 8827), at several
    /// times the cost.
    Aes128CmSha1_80,
}

impl Profile {
    /// Every profile, the preferred first.
    pub const ALL: [Self; 3] = [Self::Aes128Gcm, Self::Aes256Gcm, Self::Aes128CmSha1_80];

    /// The name in IANA's registry of SRTP crypto suites, as browsers print it in their statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "AEAD_AES_128_GCM",
            Self::Aes256Gcm => "AEAD_AES_256_GCM",
            Self::Aes128CmSha1_80 => "AES_CM_128_HMAC_SHA1_80",
        }
    }

    /// The number in the `use_srtp` extension of DTLS.
    pub const fn dtls_id(self) -> u16 {
        match self {
            Self::Aes128Gcm => 0x0007,
            Self::Aes256Gcm => 0x0008,
            Self::Aes128CmSha1_80 => 0x0001,
        }
    }

    /// The profile with this number in the `use_srtp` extension, if it is one that is spoken here.
    pub fn from_dtls_id(id: u16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.dtls_id() == id)
    }

    /// Bytes of a master key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes128CmSha1_80 => 16,
            Self::Aes256Gcm => 32,
        }
    }

    /// Bytes of a master salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 12,
            Self::Aes128CmSha1_80 => 14,
        }
    }

    /// Bytes that sealing adds to an RTP packet.
    pub const fn rtp_tag_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 16,
            Self::Aes128CmSha1_80 => 10,
        }
    }

    /// Bytes that sealing adds to an RTCP compound: the tag and the word with the index.
    pub const fn rtcp_overhead(self) -> usize {
        self.rtp_tag_len() + 4
    }
}
