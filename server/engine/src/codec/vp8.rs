//! VP8 payload descriptor and header (RFC 7741 sections 4.2 and 4.3).

use super::Peek;
use super::picture_ids::{self, PictureId, PictureIds};

/// The fields of a payload descriptor; those that are absent are `None`.
#[derive(Debug, Default)]
struct Descriptor {
    starts_partition: bool,
    partition: u8,
    non_reference: bool,
    picture_id: Option<PictureId>,
    tl0: Option<u8>,
    /// The byte that begins with TID (2 bits) and Y.
    layer: Option<u8>,
    key_index: Option<u8>,
    /// Bytes up to and including TL0PICIDX, 0 where there is nothing to patch.
    patched_len: usize,
    len: usize,
}

impl Descriptor {
    fn read(payload: &[u8]) -> Option<Self> {
        let &first = payload.first()?;
        let mut descriptor = Self {
            starts_partition: first & 0x10 != 0,
            partition: first & 0x07,
            non_reference: first & 0x20 != 0,
            len: 1,
            ..Self::default()
        };
        if first & 0x80 == 0 {
            return Some(descriptor);
        }
        let &extension = payload.get(1)?;
        let mut at = 2;
        if extension & 0x80 != 0 {
            let id = picture_ids::read(payload.get(at..)?)?;
            descriptor.picture_id = Some(id);
            at += id.width.len();
        }
        if extension & 0x40 != 0 {
            descriptor.tl0 = Some(*payload.get(at)?);
            at += 1;
        }
        if extension & 0xc0 != 0 {
            descriptor.patched_len = at;
        }
        if extension & 0x30 != 0 {
            let &byte = payload.get(at)?;
            descriptor.layer = (extension & 0x20 != 0).then_some(byte);
            descriptor.key_index = (extension & 0x10 != 0).then_some(byte & 0x1f);
            at += 1;
        }
        descriptor.len = at;
        Some(descriptor)
    }

    fn ids(&self) -> PictureIds {
        PictureIds::Vp8 {
            picture_id: self.picture_id,
            tl0: self.tl0,
            key_index: self.key_index,
        }
    }
}

pub(super) fn peek(payload: &[u8], marker: bool) -> Option<Peek> {
    let descriptor = Descriptor::read(payload)?;
    let frame = payload.get(descriptor.len..)?;
    let &head = frame.first()?;
    let starts_frame = descriptor.starts_partition && descriptor.partition == 0;
    // Section 4.3: the inverse key frame flag P is the lowest bit of the frame's first byte.
    let keyframe = starts_frame && head & 0x01 == 0;
    Some(Peek {
        starts_frame,
        ends_frame: marker,
        keyframe,
        temporal: descriptor.layer.map_or(0, |byte| byte >> 6),
        discardable: descriptor.non_reference,
        switch_up: descriptor.layer.is_some_and(|byte| byte & 0x20 != 0),
        ids: descriptor.ids(),
        resolution: keyframe.then(|| resolution(frame)).flatten(),
        ..Peek::default()
    })
}

/// Width and height of a keyframe (RFC 6386 section 9.1): 3 bytes of frame tag, the start code, then two little-endian
/// numbers of 14 bits, with a scale in the upper two.
fn resolution(frame: &[u8]) -> Option<(u16, u16)> {
    let (head, _) = frame.split_first_chunk::<10>()?;
    let &[_, _, _, 0x9d, 0x01, 0x2a, width @ .., h0, h1] = head else {
        return None;
    };
    let width = u16::from_le_bytes(width) & 0x3fff;
    let height = u16::from_le_bytes([h0, h1]) & 0x3fff;
    Some((width, height))
}

pub(super) fn descriptor_len(payload: &[u8]) -> usize {
    Descriptor::read(payload).map_or(0, |descriptor| descriptor.patched_len)
}

/// `head` may end behind TL0PICIDX, so the byte of TID and KEYIDX is not asked for.
///
/// KEYIDX counts the keyframes of one encoder and would jump where a slot changes its source; K=0 tells the receiver to pass
/// it over. Without TID the byte is there for KEYIDX alone and would have to go with it: then it stays (no encoder is known that
/// writes one).
pub(super) fn patch(head: &mut [u8], picture_id: u16, tl0: u8) {
    let Some(&[first, extension]) = head.first_chunk() else {
        return;
    };
    if first & 0x80 == 0 {
        return;
    }
    let has_numbers = extension & 0xc0 != 0;
    if has_numbers
        && extension & 0x30 == 0x30
        && let Some(extension) = head.get_mut(1)
    {
        *extension &= !0x10;
    }
    let rest = head.get_mut(2..).unwrap_or_default();
    let rest = if extension & 0x80 != 0 {
        picture_ids::write(rest, picture_id)
    } else {
        rest
    };
    if extension & 0x40 != 0
        && let Some(byte) = rest.first_mut()
    {
        *byte = tl0;
    }
}
