//! Retransmission payloads (RFC 4588 section 4): the original sequence number in front of the original payload.
//!
//! Does not own which packets are repeated, nor for whom.

/// Bytes that a retransmission adds in front of the payload.
pub const OSN_LEN: usize = 2;

/// Original sequence number and original payload. `None` for an empty payload, which is padding sent as a probe.
#[inline]
pub fn split(payload: &[u8]) -> Option<(u16, &[u8])> {
    let (osn, original) = payload.split_first_chunk::<OSN_LEN>()?;
    Some((u16::from_be_bytes(*osn), original))
}

/// Writes the original sequence number at the start of a payload; the original payload follows at [`OSN_LEN`], which
/// is returned. `None`: no room.
#[inline]
pub fn write_original(seq: u16, payload: &mut [u8]) -> Option<usize> {
    *payload.first_chunk_mut::<OSN_LEN>()? = seq.to_be_bytes();
    Some(OSN_LEN)
}
