//! Payloads back to the bytes that a container holds.
//!
//! Every byte here was written by somebody else: nothing is indexed, what makes no sense gives `None`, and a picture has a
//! largest size.

use bytes::Bytes;

use crate::media::Codec;
use crate::media::annexb::START_CODE;
use crate::media::picture::{nal_type, read_leb128};

/// A picture of which some packets have come, all from its first on.
#[derive(Debug, Default)]
pub(super) struct Partial {
    data: Vec<u8>,
    /// A unit that was split over packets and has not ended.
    unit: Option<Vec<u8>>,
}

impl Partial {
    /// Takes the next payload. `None`: it makes no sense here, and the picture is lost.
    pub(super) fn append(&mut self, codec: Codec, payload: &[u8]) -> Option<()> {
        match codec {
            Codec::Opus => self.push(payload),
            Codec::Vp8 => {
                let part = vp8(payload, self.data.is_empty())?;
                self.push(part)
            }
            Codec::Vp9 => {
                let part = vp9(payload, self.data.is_empty())?;
                self.push(part)
            }
            Codec::H264 => self.append_h264(payload),
            Codec::Av1 => self.append_av1(payload),
        }
    }

    /// The picture, if nothing of it is missing.
    pub(super) fn finish(self, codec: Codec) -> Option<Bytes> {
        if self.data.is_empty() || self.unit.is_some() {
            return None;
        }
        if codec != Codec::Av1 {
            return Some(self.data.into());
        }
        // A temporal unit in a file begins with a delimiter, which packets leave out.
        let mut unit = DELIMITER.to_vec();
        unit.extend_from_slice(&self.data);
        Some(unit.into())
    }

    fn push(&mut self, part: &[u8]) -> Option<()> {
        let length = self.data.len() + self.unit.as_ref().map_or(0, Vec::len) + part.len();
        (length <= LARGEST).then(|| self.data.extend_from_slice(part))
    }

    /// RFC 6184 section 5.2: single units, STAP-A and FU-A.
    fn append_h264(&mut self, payload: &[u8]) -> Option<()> {
        let (indicator, rest) = payload.split_first()?;
        match nal_type(payload)? {
            1..=23 => self.push_unit(payload),
            24 => {
                let mut rest = rest;
                while let Some((length, after)) = rest.split_first_chunk() {
                    let length = usize::from(u16::from_be_bytes(*length));
                    let (unit, after) = after.split_at_checked(length)?;
                    self.push_unit(unit)?;
                    rest = after;
                }
                rest.is_empty().then_some(())
            }
            28 => {
                let (header, part) = rest.split_first()?;
                if header & 0x80 != 0 {
                    self.unit = Some(vec![indicator & 0xe0 | header & 0x1f]);
                }
                self.grow_unit(part)?;
                if header & 0x40 != 0 {
                    let unit = self.unit.take()?;
                    self.push_unit(&unit)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    fn push_unit(&mut self, unit: &[u8]) -> Option<()> {
        self.push(&START_CODE)?;
        self.push(unit)
    }

    fn grow_unit(&mut self, part: &[u8]) -> Option<()> {
        let unit = self.unit.as_mut()?;
        unit.extend_from_slice(part);
        (self.data.len() + unit.len() <= LARGEST).then_some(())
    }

    /// AV1 RTP payload specification section 4.4: an aggregation header, then elements with or without a length.
    fn append_av1(&mut self, payload: &[u8]) -> Option<()> {
        let (header, mut rest) = payload.split_first()?;
        let is_continued = header & 0x80 != 0;
        let continues = header & 0x40 != 0;
        let count = usize::from(header >> 4 & 0b11);
        if is_continued != self.unit.is_some() {
            return None;
        }
        let mut index = 0;
        while !rest.is_empty() {
            index += 1;
            let element = if index == count {
                std::mem::take(&mut rest)
            } else {
                let (length, after) = read_leb128(rest)?;
                let (element, after) = after.split_at_checked(length)?;
                rest = after;
                element
            };
            self.unit.get_or_insert_default();
            self.grow_unit(element)?;
            if !(rest.is_empty() && continues) {
                let unit = self.unit.take()?;
                self.push_obu(&unit)?;
            }
        }
        Some(())
    }

    /// In a file every unit says its length (AV1 specification section 5.3.1).
    fn push_obu(&mut self, unit: &[u8]) -> Option<()> {
        let (header, mut payload) = unit.split_first()?;
        if matches!(
            header >> 3 & 0xf,
            OBU_DELIMITER | OBU_TILE_LIST | OBU_PADDING
        ) {
            return Some(());
        }
        self.push(&[header | 0b10])?;
        if header & 0b100 != 0 {
            let (extension, after) = payload.split_first()?;
            self.push(&[*extension])?;
            payload = after;
        }
        if header & 0b10 != 0 {
            let (length, after) = read_leb128(payload)?;
            payload = after.get(..length)?;
        }
        let mut length = payload.len();
        while length > 0x7f {
            self.push(&[low_bits(length) | 0x80])?;
            length >>= 7;
        }
        self.push(&[low_bits(length)])?;
        self.push(payload)
    }
}

/// RFC 7741 section 4.2.
fn vp8(payload: &[u8], is_first: bool) -> Option<&[u8]> {
    let (b0, mut rest) = payload.split_first()?;
    // S, and partition 0.
    if is_first && b0 & 0x17 != 0x10 {
        return None;
    }
    if b0 & 0x80 != 0 {
        let (present, after) = rest.split_first()?;
        rest = after;
        if present & 0x80 != 0 {
            rest = skip_picture_id(rest)?;
        }
        let others = usize::from(present & 0x40 != 0) + usize::from(present & 0x30 != 0);
        rest = rest.get(others..)?;
    }
    (!rest.is_empty()).then_some(rest)
}

/// RFC 9628 section 4.2.
fn vp9(payload: &[u8], is_first: bool) -> Option<&[u8]> {
    let (b0, mut rest) = payload.split_first()?;
    let has = |bit: u8| b0 & bit != 0;
    let (id, predicted, layers, flexible, begin, structure) = (
        has(0x80),
        has(0x40),
        has(0x20),
        has(0x10),
        has(0x08),
        has(0x02),
    );
    if is_first && !begin {
        return None;
    }
    if id {
        rest = skip_picture_id(rest)?;
    }
    if layers {
        rest = rest.get(if flexible { 1 } else { 2 }..)?;
    }
    if flexible && predicted {
        let mut has_more = true;
        for _ in 0..3 {
            if has_more {
                let (difference, after) = rest.split_first()?;
                has_more = difference & 1 != 0;
                rest = after;
            }
        }
    }
    if structure {
        rest = skip_structure(rest)?;
    }
    (!rest.is_empty()).then_some(rest)
}

/// Section 4.2.1: sizes of the spatial layers, then the pictures of a group.
fn skip_structure(structure: &[u8]) -> Option<&[u8]> {
    let (b0, mut rest) = structure.split_first()?;
    if b0 & 0x10 != 0 {
        rest = rest.get(4 * (usize::from(b0 >> 5) + 1)..)?;
    }
    if b0 & 0x08 != 0 {
        let (count, after) = rest.split_first()?;
        rest = after;
        for _ in 0..*count {
            let (picture, after) = rest.split_first()?;
            rest = after.get(usize::from(picture >> 2 & 0b11)..)?;
        }
    }
    Some(rest)
}

/// 7 bits, or 15 where the first bit says so.
fn skip_picture_id(rest: &[u8]) -> Option<&[u8]> {
    let is_long = rest.first()? & 0x80 != 0;
    rest.get(if is_long { 2 } else { 1 }..)
}

fn low_bits(number: usize) -> u8 {
    u8::try_from(number & 0x7f).expect("seven bits fit")
}

/// Largest picture that is assembled.
const LARGEST: usize = 8 * 1024 * 1024;

const DELIMITER: [u8; 2] = [0x12, 0];
const OBU_DELIMITER: u8 = 2;
const OBU_TILE_LIST: u8 = 8;
const OBU_PADDING: u8 = 15;
