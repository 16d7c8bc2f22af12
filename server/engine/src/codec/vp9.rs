//! VP9 payload descriptor (RFC 9628 section 4.2).

use super::Peek;
use super::picture_ids::{self, PictureIds};

// The flags of the first byte.
const HAS_PICTURE_ID: u8 = 0x80;
const INTER_PREDICTED: u8 = 0x40;
const HAS_LAYER: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const STARTS_FRAME: u8 = 0x08;
const ENDS_FRAME: u8 = 0x04;
const HAS_STRUCTURE: u8 = 0x02;

pub(super) fn peek(payload: &[u8], marker: bool) -> Option<Peek> {
    let (&flags, mut rest) = payload.split_first()?;
    let has = |flag: u8| flags & flag != 0;

    let mut picture_id = None;
    if has(HAS_PICTURE_ID) {
        let id = picture_ids::read(rest)?;
        rest = rest.get(id.width.len()..)?;
        picture_id = Some(id);
    }
    // TID (3 bits), U, SID (3 bits), D.
    let mut layer = 0;
    let mut tl0 = None;
    if has(HAS_LAYER) {
        let (&byte, behind) = rest.split_first()?;
        (layer, rest) = (byte, behind);
        if !has(FLEXIBLE) {
            let (&byte, behind) = rest.split_first()?;
            (tl0, rest) = (Some(byte), behind);
        }
    }
    if has(FLEXIBLE) && has(INTER_PREDICTED) {
        rest = after_references(rest)?;
    }
    let spatial = (layer >> 1) & 0x07;
    let keyframe = has(STARTS_FRAME) && !has(INTER_PREDICTED) && spatial == 0;
    Some(Peek {
        starts_frame: has(STARTS_FRAME),
        ends_frame: has(ENDS_FRAME) || marker,
        keyframe,
        temporal: layer >> 5,
        spatial,
        switch_up: layer & 0x10 != 0,
        ids: PictureIds::Vp9 { picture_id, tl0 },
        resolution: (keyframe && has(HAS_STRUCTURE))
            .then(|| largest_layer(rest))
            .flatten(),
        ..Peek::default()
    })
}

/// What is behind the reference indices: at most three bytes of P_DIFF (7 bits) and N, "another one follows".
fn after_references(mut rest: &[u8]) -> Option<&[u8]> {
    for _ in 0..3 {
        let (&byte, behind) = rest.split_first()?;
        rest = behind;
        if byte & 0x01 == 0 {
            break;
        }
    }
    Some(rest)
}

/// The last resolution of a scalability structure (section 4.2.1), the largest.
fn largest_layer(structure: &[u8]) -> Option<(u16, u16)> {
    // N_S (3 bits, layers less one), Y (resolutions follow), G, 3 bits reserved.
    let (&head, resolutions) = structure.split_first()?;
    if head & 0x10 == 0 {
        return None;
    }
    let last = usize::from(head >> 5) * 4;
    let (&[w0, w1, h0, h1], _) = resolutions.get(last..)?.split_first_chunk()?;
    Some((u16::from_be_bytes([w0, w1]), u16::from_be_bytes([h0, h1])))
}

pub(super) fn descriptor_len(payload: &[u8]) -> usize {
    let Some((&flags, rest)) = payload.split_first() else {
        return 0;
    };
    let id_len = if flags & HAS_PICTURE_ID == 0 {
        0
    } else {
        picture_ids::read(rest).map_or(0, |id| id.width.len())
    };
    let has_tl0 = flags & HAS_LAYER != 0 && flags & FLEXIBLE == 0;
    (1 + id_len + if has_tl0 { 2 } else { 0 }).min(payload.len())
}

pub(super) fn patch(head: &mut [u8], picture_id: u16, tl0: u8) {
    let Some((&mut flags, rest)) = head.split_first_mut() else {
        return;
    };
    let rest = if flags & HAS_PICTURE_ID != 0 {
        picture_ids::write(rest, picture_id)
    } else {
        rest
    };
    if flags & HAS_LAYER != 0
        && flags & FLEXIBLE == 0
        && let Some(byte) = rest.get_mut(1)
    {
        *byte = tl0;
    }
}
