//! H.264 payloads (RFC 6184): single NAL units, STAP-A and FU-A, which are what packetization modes 0 and 1 have.

mod sps;

use super::Peek;

// NAL unit types (H.264 table 7-1, RFC 6184 section 5.2).
const SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const PARAMETER_SET: u8 = 7;
const ACCESS_UNIT_DELIMITER: u8 = 9;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// A packet with more aggregated NAL units than this is judged by the first ones.
const MAX_AGGREGATED: usize = 16;

pub(super) fn peek(payload: &[u8], marker: bool) -> Option<Peek> {
    let (&header, rest) = payload.split_first()?;
    let mut peek = Peek {
        ends_frame: marker,
        // NRI 0: no other picture refers to these slices.
        discardable: header & 0x60 == 0 && matches!(header & 0x1f, SLICE | STAP_A | FU_A),
        ..Peek::default()
    };
    match header & 0x1f {
        STAP_A => {
            let mut units = rest;
            for _ in 0..MAX_AGGREGATED {
                let Some((unit, behind)) = split_unit(units) else {
                    break;
                };
                note(&mut peek, unit);
                units = behind;
            }
        }
        FU_A => {
            // Section 5.8: S, E, R, then the type of the NAL unit that is in fragments.
            let (&fragment, body) = rest.split_first()?;
            if fragment & 0x80 != 0 {
                note_unit(&mut peek, fragment & 0x1f, body);
            }
        }
        1..=23 => note(&mut peek, payload),
        _ => return None,
    }
    Some(peek)
}

/// Section 5.7.1: each unit of a STAP-A has its size in front, 16 bits.
fn split_unit(units: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&size, rest) = units.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(size).into())
}

fn note(peek: &mut Peek, unit: &[u8]) {
    if let Some((&header, body)) = unit.split_first() {
        note_unit(peek, header & 0x1f, body);
    }
}

fn note_unit(peek: &mut Peek, kind: u8, body: &[u8]) {
    // A slice begins with first_mb_in_slice, ue(v): a leading 1 is 0, the first slice of the picture.
    let is_first_slice = || body.first().is_some_and(|byte| byte & 0x80 != 0);
    match kind {
        PARAMETER_SET => {
            peek.starts_frame = true;
            peek.keyframe = true;
            peek.resolution = sps::resolution(body);
        }
        IDR_SLICE if is_first_slice() => {
            peek.starts_frame = true;
            peek.keyframe = true;
        }
        SLICE if is_first_slice() => peek.starts_frame = true,
        ACCESS_UNIT_DELIMITER => peek.starts_frame = true,
        _ => {}
    }
}
