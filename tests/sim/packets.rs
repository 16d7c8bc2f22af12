//! The payloads of simulated media. Each carries a stamp that says whose it is, so that a receiver can tell what it got from what it
//! should have got. The payload descriptor in front of it is real (VP8: RFC 7741): the host reads and rewrites it.

use baton_engine::codec;

use crate::offer::OPUS;

/// Length of a sound packet on its clock.
const SOUND_TICKS: u32 = 960;

/// Bytes of a stamp.
pub(crate) const STAMP_LEN: usize = 32;

/// Payload descriptor with a picture id of 15 bits, TL0PICIDX and TID.
const DESCRIPTOR_LEN: usize = 6;

/// VP8 frame tag, start code and size.
const FRAME_HEAD_LEN: usize = 10;

/// Microphone or camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Voice,
    Picture,
}

/// What a payload says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) room: u32,
    pub(crate) person: u32,
    pub(crate) kind: Kind,
    pub(crate) layer: u8,
    /// Grows when the publisher makes its stream anew.
    pub(crate) stream: u8,
    pub(crate) is_key: bool,
    /// Temporal layer.
    pub(crate) temporal: u8,
    /// How many pictures before it the one lies that it needs; 0 for a keyframe.
    pub(crate) needs: u8,
    /// Speech, not silence.
    pub(crate) is_voiced: bool,
    /// Counts the pictures or sound packets of a stream.
    pub(crate) count: u32,
    /// Microseconds since the meeting began.
    pub(crate) captured: u64,
}

/// What a VP8 packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PicturePacket {
    pub(crate) picture_id: u16,
    pub(crate) tl0: u8,
    pub(crate) starts: bool,
    /// Of its temporal layer it needs no picture before it.
    pub(crate) is_sync: bool,
    pub(crate) stamp: Stamp,
}

/// Spreads bytes over 64 bits; neither secret nor standard, only the same every time.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mix = |sum: u64, word: u64| (sum.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(bytes.len() as u64, |sum, word| {
        mix(sum, u64::from_le_bytes(*word))
    });
    rest.iter()
        .fold(sum, |sum, byte| mix(sum, u64::from(*byte)))
}

impl Stamp {
    fn write(&self, out: &mut Vec<u8>, len: usize) {
        let start = out.len();
        out.extend(self.room.to_le_bytes());
        out.extend(self.person.to_le_bytes());
        out.extend([self.kind as u8, self.layer, self.stream]);
        let flags = u8::from(self.is_key) | u8::from(self.is_voiced) << 1;
        out.push(flags | self.temporal << 2 | self.needs << 4);
        out.extend(self.count.to_le_bytes());
        out.extend(self.captured.to_le_bytes());
        out.extend(
            u16::try_from(len)
                .expect("a datagram's length")
                .to_le_bytes(),
        );
        let check = hash(&out[start..]).to_le_bytes();
        out.extend(&check[..6]);
        out.resize(start + len, check[6]);
    }

    /// `None`: these are not the bytes that were stamped.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (stamp, filler) = bytes.split_first_chunk::<STAMP_LEN>()?;
        let word =
            |at: usize| u32::from_le_bytes(stamp[at..at + 4].try_into().expect("four bytes"));
        let check = hash(&stamp[..26]).to_le_bytes();
        let len = usize::from(u16::from_le_bytes([stamp[24], stamp[25]]));
        let is_whole = check[..6] == stamp[26..]
            && len == bytes.len()
            && filler.iter().all(|byte| *byte == check[6]);
        is_whole.then(|| Self {
            room: word(0),
            person: word(4),
            kind: if stamp[8] == 0 {
                Kind::Voice
            } else {
                Kind::Picture
            },
            layer: stamp[9],
            stream: stamp[10],
            is_key: stamp[11] & 1 != 0,
            temporal: stamp[11] >> 2 & 3,
            needs: stamp[11] >> 4,
            is_voiced: stamp[11] & 2 != 0,
            count: word(12),
            captured: u64::from(word(16)) | u64::from(word(20)) << 32,
        })
    }
}

/// One packet of a VP8 picture; `len` bytes of stamp and filler.
pub(crate) fn picture(packet: &PicturePacket, size: (u16, u16), len: usize) -> Vec<u8> {
    let mut payload = Vec::with_capacity(DESCRIPTOR_LEN + FRAME_HEAD_LEN + len);
    payload.extend([0x80 | u8::from(packet.starts) << 4, 0xe0]);
    payload.extend((packet.picture_id | 0x8000).to_be_bytes());
    // TID and Y: of the two pictures that need only the base layer, both can be begun with.
    let (temporal, sync) = (packet.stamp.temporal, packet.is_sync);
    payload.extend([packet.tl0, temporal << 6 | u8::from(sync) << 5]);
    if packet.starts {
        payload.extend([u8::from(!packet.stamp.is_key), 0, 0, 0x9d, 0x01, 0x2a]);
        payload.extend(size.0.to_le_bytes().into_iter().chain(size.1.to_le_bytes()));
    }
    packet.stamp.write(&mut payload, len);
    payload
}

/// `None`: this is not what a publisher sent.
pub(crate) fn read_picture(payload: &[u8]) -> Option<PicturePacket> {
    let (&[first, _, high, low, tl0, layer], rest) =
        payload.split_first_chunk::<DESCRIPTOR_LEN>()?;
    let starts = first & 0x10 != 0;
    let stamped = if starts {
        rest.get(FRAME_HEAD_LEN..)?
    } else {
        rest
    };
    Some(PicturePacket {
        picture_id: u16::from_be_bytes([high & 0x7f, low]),
        tl0,
        starts,
        is_sync: layer & 0x20 != 0,
        stamp: Stamp::read(stamped)?,
    })
}

/// Opus together with the packet before it (RFC 2198 section 3).
pub(crate) fn red(before: Option<&[u8]>, newest: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    if let Some(before) = before {
        let len = u32::try_from(before.len()).expect("a datagram's length");
        let header = 1 << 31 | u32::from(OPUS) << 24 | SOUND_TICKS << 10 | len;
        payload.extend(header.to_be_bytes());
    }
    payload.push(OPUS);
    payload.extend(before.unwrap_or_default());
    payload.extend(newest);
    payload
}

/// The newest sound of a RED packet, and does it have the one before it?
pub(crate) fn read_red(payload: &[u8]) -> Option<(Stamp, bool)> {
    let primary = codec::red::primary(payload)?;
    let stamp = read_sound(payload.get(primary.offset..)?)?;
    Some((stamp, primary.offset > 1))
}

/// One packet of Opus; `len` bytes of stamp and filler.
pub(crate) fn sound(stamp: &Stamp, len: usize) -> Vec<u8> {
    let mut payload = vec![0x78];
    stamp.write(&mut payload, len);
    payload
}

/// `None`: this is not what a publisher sent.
pub(crate) fn read_sound(payload: &[u8]) -> Option<Stamp> {
    Stamp::read(payload.get(1..)?)
}
