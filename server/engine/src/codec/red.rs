//! Redundant audio (RFC 2198): finds the newest block, the one that a packet is sent for.

use super::{Peek, opus};

/// Where the newest block of a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Its RTP payload type.
    pub payload_type: u8,
    /// Its first byte; it reaches to the end of the payload.
    pub offset: usize,
}

/// Finds the primary block. `None`: the headers or the blocks are cut short.
pub fn primary(payload: &[u8]) -> Option<Primary> {
    let mut headers = payload;
    let mut redundant = 0usize;
    // Section 3: F=1, 7 bits payload type, 14 bits timestamp offset, 10 bits length; the last header is F=0 and the type.
    loop {
        let (&first, rest) = headers.split_first()?;
        let payload_type = first & 0x7f;
        if first & 0x80 == 0 {
            let offset = (payload.len() - rest.len()).checked_add(redundant)?;
            return (offset <= payload.len()).then_some(Primary {
                payload_type,
                offset,
            });
        }
        let (&[_, high, low], rest) = rest.split_first_chunk()?;
        redundant += usize::from(u16::from_be_bytes([high & 0x03, low]));
        headers = rest;
    }
}

pub(super) fn peek(payload: &[u8]) -> Option<Peek> {
    opus::peek(payload.get(primary(payload)?.offset..)?)
}
