//! What can be told of an encoded picture without decoding it: is it a keyframe, and how large.

use super::Codec;
use super::annexb;

/// Can decoding begin with this frame? Sound always can.
pub fn is_keyframe(codec: Codec, frame: &[u8]) -> bool {
    match codec {
        Codec::Opus => true,
        // RFC 6386 section 9.1: the lowest bit of the frame tag is 0.
        Codec::Vp8 => frame.first().is_some_and(|tag| tag & 1 == 0),
        Codec::Vp9 => vp9_header(frame).is_some(),
        Codec::H264 => annexb::units(frame).any(|unit| nal_type(unit) == Some(NAL_IDR)),
        Codec::Av1 => has_sequence_header(frame),
    }
}

/// Width and height of a keyframe, where the codec says it in a place that is easy to read.
pub fn size(codec: Codec, frame: &[u8]) -> Option<(u16, u16)> {
    match codec {
        Codec::Vp8 if is_keyframe(codec, frame) => {
            // Section 9.1: tag, start code, then 14 bits of each side with 2 bits of scale above.
            let sides = frame.get(6..10)?;
            let [a, b, c, d] = sides.try_into().ok()?;
            let side = |low, high| u16::from_le_bytes([low, high]) & 0x3fff;
            Some((side(a, b), side(c, d)))
        }
        Codec::Vp9 => vp9_header(frame),
        Codec::Opus | Codec::Vp8 | Codec::H264 | Codec::Av1 => None,
    }
}

/// Size in the uncompressed header of a VP9 keyframe (bitstream specification section 6.2); absent for other frames.
fn vp9_header(frame: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits { frame, at: 0 };
    if bits.take(2)? != 2 {
        return None;
    }
    let profile = bits.take(1)? | bits.take(1)? << 1;
    let reserved = if profile == 3 { bits.take(1)? } else { 0 };
    let shows_existing = bits.take(1)?;
    let is_inter = bits.take(1)?;
    bits.take(2)?;
    if reserved + shows_existing + is_inter > 0 || bits.take(24)? != 0x49_8342 {
        return None;
    }
    if profile >= 2 {
        bits.take(1)?;
    }
    let color_space = bits.take(3)?;
    let is_rgb = color_space == 7;
    if !is_rgb {
        bits.take(1)?;
    }
    if profile == 1 || profile == 3 {
        bits.take(if is_rgb { 1 } else { 3 })?;
    }
    let side = |less_one: u32| u16::try_from(less_one + 1).ok();
    Some((side(bits.take(16)?)?, side(bits.take(16)?)?))
}

/// A sequence header stands before every AV1 keyframe of a live stream (RTP payload specification section 5).
fn has_sequence_header(mut unit: &[u8]) -> bool {
    while let Some((header, after)) = unit.split_first() {
        if (header >> 3) & 0xf == OBU_SEQUENCE_HEADER {
            return true;
        }
        let extension = usize::from(header >> 2 & 1);
        if header & 0b10 == 0 {
            return false;
        }
        let rest = after.get(extension..).and_then(read_leb128);
        let Some(next) = rest.and_then(|(size, payload)| payload.get(size..)) else {
            return false;
        };
        unit = next;
    }
    false
}

/// A number of AV1 (bitstream specification section 4.10.5) and what follows it.
pub(crate) fn read_leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(index + 1..)?));
        }
    }
    None
}

pub(crate) fn nal_type(unit: &[u8]) -> Option<u8> {
    unit.first().map(|header| header & 0x1f)
}

struct Bits<'a> {
    frame: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.frame.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }
}

/// Coded slice of an instantaneous refresh (H.264 table 7-1).
const NAL_IDR: u8 = 5;

const OBU_SEQUENCE_HEADER: u8 = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_vp8_keyframe_says_its_size() {
        let frame = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x41];
        assert!(is_keyframe(Codec::Vp8, &frame));
        assert_eq!(size(Codec::Vp8, &frame), Some((640, 360)));
        assert!(!is_keyframe(Codec::Vp8, &[0x11]));
    }

    #[test]
    fn an_av1_sequence_header_is_found_behind_a_temporal_delimiter() {
        let unit = [0x12, 0x00, 0x0a, 0x01, 0x00];
        assert!(is_keyframe(Codec::Av1, &unit));
        assert!(!is_keyframe(Codec::Av1, &unit[..2]));
        assert!(!is_keyframe(Codec::Av1, &[0x32, 0x01, 0x00]));
    }

    #[test]
    fn an_h264_picture_is_a_keyframe_if_one_of_its_units_is_a_refresh() {
        let unit = |kind: u8| [0, 0, 0, 1, kind, 9, 9];
        assert!(is_keyframe(Codec::H264, &[unit(7), unit(0x65)].concat()));
        assert!(!is_keyframe(Codec::H264, &unit(0x41)));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_asked(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            for codec in [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
                is_keyframe(codec, &bytes);
                size(codec, &bytes);
            }
        }
    }
}
