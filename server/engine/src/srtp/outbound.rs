//! Sealing what a leg sends.
//!
//! Owns the keys and the SRTCP index. Does not own RTP indices: one outbound stream is a counter in the forwarder.

use super::cipher::{Cipher, Plain};
use super::keys::{Purpose, SessionKeys};
use super::{INDEX_END, MasterKey, Profile};

/// SRTCP indices end here (RFC 3711 section 3.4).
const RTCP_INDEX_END: u32 = 1 << 31;

/// The sending direction of a leg.
///
/// The caller never lets two different packets have the same SSRC and index under one `Outbound`: with AES-GCM that
/// would give away the authentication key, with either family the two plaintexts. Sealing the *same* packet again is
/// harmless, which is why a retransmission goes into an RTX stream with indices of its own (RFC 4588). A stream's first
/// sequence number lies below 2^15, so that a receiver that misses the first packets cannot misjudge the roll-over.
pub struct Outbound {
    profile: Profile,
    rtp: Cipher,
    rtcp: Cipher,
    next_rtcp_index: u32,
}

/// An RTP packet before sealing: its bytes lie in two places.
#[derive(Clone, Copy, Debug)]
pub struct Unsealed<'a> {
    /// Bytes of the finished header, extensions included, at the start of the output. Authenticated, not encrypted.
    pub header_len: usize,
    /// Bytes of plaintext behind the header in the output: what the forwarder rewrote.
    pub prefix_len: usize,
    /// The plaintext that follows them, still in the ring that all subscribers share.
    pub rest: &'a [u8],
    /// RTP padding to add (RFC 3550 section 5.1): none, or this many bytes of which the last is the count. The header's
    /// P bit says so already, and `rest` has no padding of its own.
    pub pad: u8,
    /// The SSRC that the header carries.
    pub ssrc: u32,
    /// Roll-over counter << 16 | the sequence number that the header carries.
    pub index: u64,
}

impl Outbound {
    /// Derives the session keys of one direction.
    pub fn new(master: &MasterKey) -> Self {
        Self {
            profile: master.profile(),
            rtp: Cipher::new(&SessionKeys::derive(master, Purpose::Rtp)),
            rtcp: Cipher::new(&SessionKeys::derive(master, Purpose::Rtcp)),
            next_rtcp_index: 0,
        }
    }

    /// How this leg's media is protected.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Seals one RTP packet into `out`, which holds the header and the prefix already, and returns the packet's length:
    /// header + prefix + rest + pad + [`Profile::rtp_tag_len`]. `None` when `out` is too small for that, or when the
    /// index is not below [`INDEX_END`] and the stream needs new keys; `out` is then not to be sent.
    #[must_use]
    pub fn seal_rtp(&self, out: &mut [u8], packet: &Unsealed<'_>) -> Option<usize> {
        if packet.index >= INDEX_END {
            return None;
        }
        let mut buffer;
        let padding: &[u8] = match packet.pad {
            0 => &[],
            count => {
                buffer = [0; u8::MAX as usize];
                let padding = &mut buffer[..usize::from(count)];
                padding[usize::from(count) - 1] = count;
                padding
            }
        };
        let plain = Plain {
            header_len: packet.header_len,
            prefix_len: packet.prefix_len,
            rest: packet.rest,
            padding,
        };
        self.rtp.seal_rtp(out, &plain, packet.ssrc, packet.index)
    }

    /// Seals an RTCP compound in place; it grows by [`Profile::rtcp_overhead`]. `None` when it has no sender SSRC, or
    /// after 2^31 compounds, when the leg needs new keys; it is then not to be sent.
    #[must_use]
    pub fn seal_rtcp(&mut self, compound: &mut Vec<u8>) -> Option<usize> {
        if self.next_rtcp_index >= RTCP_INDEX_END {
            return None;
        }
        self.rtcp.seal_rtcp(compound, self.next_rtcp_index)?;
        self.next_rtcp_index += 1;
        Some(compound.len())
    }

    #[cfg(test)]
    pub(super) fn exhaust_rtcp(&mut self) {
        self.next_rtcp_index = RTCP_INDEX_END - 1;
    }
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}
