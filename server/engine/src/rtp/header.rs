//! The fixed header, contributing sources and the bounds of the extension block (RFC 3550 sections 5.1 and 5.3.1).
//!
//! Knows where the extension block lies, not what is in it (`extension`).

use std::ops::Range;

use super::{PayloadType, Ssrc};

/// Bytes before contributing sources.
pub(super) const FIXED_LEN: usize = 12;

/// What stands in front of a payload. Holds no bytes: valid for the packet it was parsed from, encrypted or plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// For video: the last packet of a frame. For audio: the first after silence.
    pub marker: bool,
    /// Negotiated format of the payload.
    pub payload_type: PayloadType,
    /// Sequence number as on the wire.
    pub seq: u16,
    /// Media clock, in ticks of the payload type's rate.
    pub timestamp: u32,
    /// Which stream.
    pub ssrc: Ssrc,
    /// Does the payload end in padding? Its length can be read only after decryption: [`padding_len`].
    pub has_padding: bool,
    /// Number of contributing sources, 0..=15.
    pub csrc_count: u8,
    /// Bytes before the payload, extension block included.
    pub header_len: usize,
    /// Where the header extensions are.
    pub extension: Option<ExtensionBlock>,
}

/// Where a packet's header extensions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtensionBlock {
    /// "Defined by profile": tells the one-byte from the two-byte form.
    pub profile: u16,
    /// Offset in the packet of the first byte after profile and length.
    pub start: usize,
    /// Length in bytes, a multiple of 4.
    pub len: usize,
}

impl ExtensionBlock {
    /// The elements' bytes in the packet.
    pub const fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

impl Header {
    /// `None` when it is not RTP version 2 or when the header does not fit in `bytes`.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (&[b0, b1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3], _) =
            bytes.split_first_chunk::<FIXED_LEN>()?;
        if b0 >> 6 != 2 {
            return None;
        }
        let csrc_count = b0 & 0x0f;
        let mut header_len = FIXED_LEN + 4 * usize::from(csrc_count);
        let mut extension = None;
        if b0 & 0x10 != 0 {
            let &[p0, p1, l0, l1] = bytes.get(header_len..)?.first_chunk::<4>()?;
            let block = ExtensionBlock {
                profile: u16::from_be_bytes([p0, p1]),
                start: header_len + 4,
                len: 4 * usize::from(u16::from_be_bytes([l0, l1])),
            };
            header_len = block.start + block.len;
            extension = Some(block);
        }
        if header_len > bytes.len() {
            return None;
        }
        Some(Self {
            marker: b1 & 0x80 != 0,
            payload_type: PayloadType::from_wire(b1),
            seq: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: Ssrc(u32::from_be_bytes([c0, c1, c2, c3])),
            has_padding: b0 & 0x20 != 0,
            csrc_count,
            header_len,
            extension,
        })
    }

    /// The contributing sources of the packet this header was parsed from.
    pub fn csrcs(self, packet: &[u8]) -> impl Iterator<Item = Ssrc> {
        let listed = packet.get(FIXED_LEN..).unwrap_or_default();
        let (words, _) = listed.as_chunks::<4>();
        words
            .iter()
            .take(usize::from(self.csrc_count))
            .map(|word| Ssrc(u32::from_be_bytes(*word)))
    }

    /// The payload of the (decrypted) packet this header was parsed from, without padding. `None`: invalid padding.
    #[inline]
    pub fn payload<'a>(&self, packet: &'a [u8]) -> Option<&'a [u8]> {
        let payload = packet.get(self.header_len..)?;
        let padding = padding_len(self, payload)?;
        payload.get(..payload.len() - padding)
    }
}

/// How many bytes at the end of a decrypted payload are padding (RFC 3550 section 5.1). A payload may be nothing but
/// padding. `None`: the length is zero or longer than the payload, and the packet is to be dropped.
#[inline]
pub fn padding_len(header: &Header, payload: &[u8]) -> Option<usize> {
    if !header.has_padding {
        return Some(0);
    }
    let len = usize::from(*payload.last()?);
    (len != 0 && len <= payload.len()).then_some(len)
}
