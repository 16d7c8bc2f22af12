//! Opus (RFC 7587): every packet can be decoded on its own.

use super::Peek;

/// Does the encoder say that there is nothing to hear (DTX)?
///
/// A frame of discontinuous transmission is the table-of-contents byte alone, or with one byte behind it
/// (RFC 6716 section 3.1; an encoder never needs as little for sound). Empty payloads are not audio at all.
pub fn is_dtx(payload: &[u8]) -> bool {
    matches!(payload.len(), 1 | 2)
}

pub(super) fn peek(payload: &[u8]) -> Option<Peek> {
    if payload.is_empty() {
        return None;
    }
    Some(Peek {
        starts_frame: true,
        ends_frame: true,
        keyframe: true,
        silence: is_dtx(payload),
        ..Peek::default()
    })
}
