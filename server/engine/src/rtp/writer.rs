//! Writing the header of a forwarded packet.
//!
//! Owns the byte layout only: which numbers a subscriber sees is decided by the forwarder.

use super::extension::{ONE_BYTE_MAX_ID, ONE_BYTE_PROFILE, TWO_BYTE_PROFILE};
use super::header::FIXED_LEN;
use super::{AudioLevel, ExtensionKind, ExtensionMap, Mid, Origin, PayloadType, Ssrc};

/// Longest element data of the one-byte form.
const ONE_BYTE_MAX_DATA: usize = 16;

/// The fixed header of a packet to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderWriter {
    /// As negotiated with the receiver.
    pub payload_type: PayloadType,
    /// End of a frame, or start of a talk spurt.
    pub marker: bool,
    /// In the receiver's numbering.
    pub seq: u16,
    /// In the receiver's clock.
    pub timestamp: u32,
    /// The receiver's stream.
    pub ssrc: Ssrc,
    /// At most one contributing source: who speaks in an audio slot.
    pub csrc: Option<Ssrc>,
    /// Does the payload end in padding?
    pub has_padding: bool,
}

/// Header extensions of a packet to be sent. What the receiver's map does not know is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutExtensions<'a> {
    /// Transport-wide sequence number.
    pub transport_sequence: Option<u16>,
    /// Loudness.
    pub audio_level: Option<AudioLevel>,
    /// Seconds in 6.18 fixed point; the low 24 bits are sent.
    pub abs_send_time: Option<u32>,
    /// 1 to 255 bytes; more than 16 take the two-byte form, other lengths are left out.
    pub dependency_descriptor: Option<&'a [u8]>,
    /// As received.
    pub video_orientation: Option<u8>,
    /// As received.
    pub playout_delay: Option<[u8; 3]>,
    /// Which packet it was before.
    pub origin: Option<Origin>,
    /// The receiver's m-line.
    pub mid: Option<Mid>,
}

impl HeaderWriter {
    /// Writes the header at the start of `buffer` and returns its length. `None`: `buffer` is too small, and what is
    /// in it is undefined.
    #[inline]
    pub fn write(
        &self,
        extensions: &OutExtensions<'_>,
        map: &ExtensionMap,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let ids = Ids::new(extensions, map);
        let (fixed, rest) = buffer.split_first_chunk_mut::<FIXED_LEN>()?;
        let [s0, s1] = self.seq.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.0.to_be_bytes();
        let b0 = 0x80
            | (u8::from(self.has_padding) << 5)
            | (u8::from(!ids.is_empty()) << 4)
            | u8::from(self.csrc.is_some());
        let b1 = self.payload_type.as_u8() | (u8::from(self.marker) << 7);
        *fixed = [b0, b1, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3];
        let mut len = FIXED_LEN;
        let mut rest = rest;
        if let Some(csrc) = self.csrc {
            let (word, after) = rest.split_first_chunk_mut()?;
            *word = csrc.0.to_be_bytes();
            rest = after;
            len += 4;
        }
        if !ids.is_empty() {
            len += ids.write(extensions, rest)?;
        }
        Some(len)
    }
}

/// Element numbers of what is both present and mapped; 0: neither.
struct Ids {
    transport_sequence: u8,
    audio_level: u8,
    abs_send_time: u8,
    dependency_descriptor: u8,
    video_orientation: u8,
    playout_delay: u8,
    origin: u8,
    mid: u8,
    is_two_byte: bool,
}

impl Ids {
    #[inline]
    fn new(extensions: &OutExtensions<'_>, map: &ExtensionMap) -> Self {
        let id = |is_present: bool, kind| if is_present { map.raw_id(kind) } else { 0 };
        let descriptor_len = extensions.dependency_descriptor.map_or(0, <[u8]>::len);
        let mut ids = Self {
            transport_sequence: id(
                extensions.transport_sequence.is_some(),
                ExtensionKind::TransportSequence,
            ),
            audio_level: id(extensions.audio_level.is_some(), ExtensionKind::AudioLevel),
            abs_send_time: id(
                extensions.abs_send_time.is_some(),
                ExtensionKind::AbsSendTime,
            ),
            dependency_descriptor: id(
                (1..=255).contains(&descriptor_len),
                ExtensionKind::DependencyDescriptor,
            ),
            video_orientation: id(
                extensions.video_orientation.is_some(),
                ExtensionKind::VideoOrientation,
            ),
            playout_delay: id(
                extensions.playout_delay.is_some(),
                ExtensionKind::PlayoutDelay,
            ),
            origin: id(extensions.origin.is_some(), ExtensionKind::Origin),
            mid: id(extensions.mid.is_some(), ExtensionKind::Mid),
            is_two_byte: false,
        };
        ids.is_two_byte = ids.all().into_iter().any(|id| id > ONE_BYTE_MAX_ID)
            || (ids.dependency_descriptor != 0 && descriptor_len > ONE_BYTE_MAX_DATA);
        ids
    }

    #[inline]
    const fn all(&self) -> [u8; 8] {
        [
            self.transport_sequence,
            self.audio_level,
            self.abs_send_time,
            self.dependency_descriptor,
            self.video_orientation,
            self.playout_delay,
            self.origin,
            self.mid,
        ]
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.all() == [0; 8]
    }

    /// Returns the length of the extension block, its header included.
    #[inline]
    fn write(&self, extensions: &OutExtensions<'_>, buffer: &mut [u8]) -> Option<usize> {
        let (head, body) = buffer.split_first_chunk_mut::<4>()?;
        let capacity = body.len();
        let mut elements = ElementWriter {
            is_two_byte: self.is_two_byte,
            rest: body,
        };
        if let Some(seq) = extensions.transport_sequence {
            elements.put(self.transport_sequence, seq.to_be_bytes())?;
        }
        if let Some(level) = extensions.audio_level {
            elements.put(self.audio_level, [level.to_wire()])?;
        }
        if let Some(time) = extensions.abs_send_time {
            let [_, b0, b1, b2] = time.to_be_bytes();
            elements.put(self.abs_send_time, [b0, b1, b2])?;
        }
        if let Some(orientation) = extensions.video_orientation {
            elements.put(self.video_orientation, [orientation])?;
        }
        if let Some(delay) = extensions.playout_delay {
            elements.put(self.playout_delay, delay)?;
        }
        if let Some(origin) = extensions.origin {
            elements.put(self.origin, origin.to_wire())?;
        }
        if let Some(mid) = &extensions.mid {
            elements.put_slice(self.mid, mid.as_bytes())?;
        }
        if let Some(descriptor) = extensions.dependency_descriptor {
            elements.put_slice(self.dependency_descriptor, descriptor)?;
        }
        let written = capacity - elements.rest.len();
        let padding = written.wrapping_neg() % 4;
        elements.rest.get_mut(..padding)?.fill(0);
        let words = u16::try_from((written + padding) / 4).ok()?;
        let profile = if self.is_two_byte {
            TWO_BYTE_PROFILE
        } else {
            ONE_BYTE_PROFILE
        };
        let ([p0, p1], [l0, l1]) = (profile.to_be_bytes(), words.to_be_bytes());
        *head = [p0, p1, l0, l1];
        Some(4 + written + padding)
    }
}

struct ElementWriter<'b> {
    is_two_byte: bool,
    rest: &'b mut [u8],
}

impl ElementWriter<'_> {
    /// Number 0 writes nothing. `None`: no room.
    #[inline]
    fn put<const N: usize>(&mut self, id: u8, data: [u8; N]) -> Option<()> {
        if id == 0 {
            return Some(());
        }
        self.put_head(id, N)?;
        let (target, rest) = std::mem::take(&mut self.rest).split_first_chunk_mut::<N>()?;
        *target = data;
        self.rest = rest;
        Some(())
    }

    #[inline]
    fn put_slice(&mut self, id: u8, data: &[u8]) -> Option<()> {
        if id == 0 {
            return Some(());
        }
        self.put_head(id, data.len())?;
        let (target, rest) = std::mem::take(&mut self.rest).split_at_mut_checked(data.len())?;
        target.copy_from_slice(data);
        self.rest = rest;
        Some(())
    }

    #[inline]
    fn put_head(&mut self, id: u8, len: usize) -> Option<()> {
        let len = u8::try_from(len).ok()?;
        let rest = std::mem::take(&mut self.rest);
        self.rest = if self.is_two_byte {
            let (head, rest) = rest.split_first_chunk_mut()?;
            *head = [id, len];
            rest
        } else {
            let (head, rest) = rest.split_first_mut()?;
            *head = (id << 4) | len.checked_sub(1)?;
            rest
        };
        Some(())
    }
}
