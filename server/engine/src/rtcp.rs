//! RTCP (RFC 3550 section 6, RFC 4585, RFC 5104, transport-wide congestion control): bounded reading and writing.
//!
//! Owns the bytes of compound packets after SRTCP was removed or before it is added. Reading borrows and never
//! allocates; writing appends to a buffer whose capacity the caller reuses. Does not own when reports and requests are
//! sent, nor what follows from those received.

mod feedback;
mod feedback_writer;
mod lists;
mod ntp;
mod reader;
mod writer;

use std::time::Duration;

pub use feedback::{REFERENCE_MICROS, Statuses, TICK_MICROS, TransportFeedback};
pub use lists::{Blocks, FirEntries, Lost, Ssrcs};
pub use ntp::Ntp;
pub use reader::{MAX_PACKETS, MAX_STATUSES, Packets, RtcpPacket, packets};
pub use writer::Writer;

use crate::rtp::Ssrc;

/// Packet types (RFC 3550 section 12.1, RFC 4585 section 6.1).
mod packet_type {
    pub(super) const SENDER_REPORT: u8 = 200;
    pub(super) const RECEIVER_REPORT: u8 = 201;
    pub(super) const SDES: u8 = 202;
    pub(super) const BYE: u8 = 203;
    pub(super) const TRANSPORT_FEEDBACK: u8 = 205;
    pub(super) const PAYLOAD_FEEDBACK: u8 = 206;
}

/// Feedback message types: the five bits that count reports in other packets.
mod format {
    /// RFC 4585 section 6.2.1.
    pub(super) const NACK: u8 = 1;
    /// draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.
    pub(super) const TRANSPORT_CC: u8 = 15;
    /// RFC 4585 section 6.3.1.
    pub(super) const PLI: u8 = 1;
    /// RFC 5104 section 4.3.1.
    pub(super) const FIR: u8 = 4;
    /// RFC 4585 section 6.4; REMB lives here.
    pub(super) const APPLICATION: u8 = 15;
}

/// "REMB" (draft-alvestrand-rmcat-remb-03 section 2.2).
const REMB_NAME: [u8; 4] = *b"REMB";
/// Most items that the five bits of a header can count.
const MAX_COUNT: usize = 31;

/// What a receiver says about one stream (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream reported on.
    pub ssrc: Ssrc,
    /// Share of packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; negative when duplicates arrived. 24 bits on the wire.
    pub cumulative_lost: i32,
    /// Highest sequence number received, with the count of wraps in the upper half.
    pub highest_seq: u32,
    /// Interarrival jitter, in ticks of the media clock.
    pub jitter: u32,
    /// [`Ntp::middle32`] of the last sender report, 0 when there was none.
    pub last_sr: u32,
    /// Time between that report's arrival and this one's departure, in 1/65536 seconds.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    /// Round-trip time, given when this block arrived by the clock of the sender reports. `None`: no sender report
    /// was seen yet, or the figures make no sense.
    pub fn round_trip(&self, arrival: Ntp) -> Option<Duration> {
        if self.last_sr == 0 {
            return None;
        }
        let elapsed = arrival.middle32().wrapping_sub(self.last_sr);
        elapsed
            .checked_sub(self.delay_since_last_sr)
            .map(ntp::duration_from_units)
    }

    /// The unit of [`Self::delay_since_last_sr`]; at most 18 hours.
    pub fn delay_units(delay: Duration) -> u32 {
        ntp::units_from_duration(delay)
    }
}

#[cfg(test)]
mod tests;
