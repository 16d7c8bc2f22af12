//! AV1 payloads (AOMedia RTP payload format, section 4), without the dependency descriptor.

mod sequence;

use super::Peek;

// obu_type (AV1 6.2.2).
const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const TILE_GROUP: u8 = 4;
const METADATA: u8 = 5;
const FRAME: u8 = 6;

/// A packet with more elements than this is judged by the first ones.
const MAX_ELEMENTS: usize = 16;

pub(super) fn peek(payload: &[u8], marker: bool) -> Option<Peek> {
    // Aggregation header: Z (continues an element), Y, W (2 bits), N (new coded video sequence), 3 bits reserved.
    let (&aggregation, rest) = payload.split_first()?;
    let continues = aggregation & 0x80 != 0;
    let keyframe = aggregation & 0x08 != 0 && !continues;
    let mut elements = Elements {
        bytes: rest,
        announced: aggregation >> 4 & 0x03,
        passed: 0,
    };
    let mut peek = Peek {
        ends_frame: marker,
        keyframe,
        starts_frame: keyframe,
        continuation: true,
        ..Peek::default()
    };
    if rest.is_empty() {
        return None;
    }
    for index in 0..MAX_ELEMENTS {
        let Some(element) = elements.next() else {
            break;
        };
        if index == 0 && continues {
            continue;
        }
        let Some(unit) = Unit::read(element) else {
            continue;
        };
        match unit.kind {
            SEQUENCE_HEADER if keyframe => peek.resolution = sequence::resolution(unit.body),
            FRAME_HEADER | FRAME | TILE_GROUP if peek.continuation => {
                peek.continuation = false;
                (peek.temporal, peek.spatial) = unit.layer;
            }
            _ => {}
        }
        // A tile group may open a packet in the middle of a frame; everything else comes before a frame's first tile.
        if index == 0 {
            peek.starts_frame |= matches!(
                unit.kind,
                SEQUENCE_HEADER | TEMPORAL_DELIMITER | FRAME_HEADER | METADATA | FRAME
            );
        }
    }
    // What starts a frame but shows no header of it yet is in the base layer, as a sequence header is.
    peek.continuation &= !peek.starts_frame;
    Some(peek)
}

/// The OBU elements of a packet; each has a length in front, but the last one only where W is 0.
struct Elements<'a> {
    bytes: &'a [u8],
    /// W: how many there are, 0 for "each has a length".
    announced: u8,
    passed: u8,
}

impl<'a> Elements<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.bytes.is_empty() {
            return None;
        }
        self.passed = self.passed.saturating_add(1);
        if self.announced == self.passed {
            return Some(std::mem::take(&mut self.bytes));
        }
        let (len, rest) = read_leb128(self.bytes)?;
        let (element, rest) = rest.split_at_checked(len)?;
        self.bytes = rest;
        Some(element)
    }
}

/// One OBU: its header and what is behind.
struct Unit<'a> {
    kind: u8,
    /// Temporal and spatial id; 0 without an extension.
    layer: (u8, u8),
    body: &'a [u8],
}

impl<'a> Unit<'a> {
    /// AV1 5.3.2: forbidden bit, type (4 bits), extension flag, size flag, reserved bit; then temporal id (3 bits),
    /// spatial id (2 bits), 3 bits reserved; then the size.
    fn read(element: &'a [u8]) -> Option<Self> {
        let (&header, mut body) = element.split_first()?;
        let mut layer = (0, 0);
        if header & 0x04 != 0 {
            let (&extension, rest) = body.split_first()?;
            layer = (extension >> 5, extension >> 3 & 0x03);
            body = rest;
        }
        if header & 0x02 != 0 {
            (_, body) = read_leb128(body)?;
        }
        Some(Self {
            kind: header >> 3 & 0x0f,
            layer,
            body,
        })
    }
}

/// `leb128()` (AV1 4.10.5), at most 4 bytes: more than any datagram needs.
fn read_leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    let mut rest = bytes;
    for shift in [0, 7, 14, 21] {
        let (&byte, behind) = rest.split_first()?;
        rest = behind;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, rest));
        }
    }
    None
}
