//! Walking over a compound packet (RFC 3550 section 6.1; reduced size, RFC 5506, is accepted).
//!
//! Checks lengths before anything is handed out: the lists inside a packet that was yielded are whole.

use super::{
    Blocks, FirEntries, Lost, Ntp, REMB_NAME, Ssrcs, TransportFeedback, format,
    packet_type::{
        BYE, PAYLOAD_FEEDBACK, RECEIVER_REPORT, SDES, SENDER_REPORT, TRANSPORT_FEEDBACK,
    },
};
use crate::rtp::Ssrc;

/// Most packets read of one compound.
pub const MAX_PACKETS: usize = 64;
/// Most packet statuses that the transport feedback of one compound may describe. Without it, 64 packets of 24 bytes
/// could ask for four million steps.
pub const MAX_STATUSES: usize = 65_535;

/// One packet of a compound.
#[derive(Clone, Debug)]
pub enum RtcpPacket<'a> {
    /// RFC 3550 section 6.4.1.
    SenderReport {
        /// Who sends.
        ssrc: Ssrc,
        /// When the report was sent, by the sender's clock.
        ntp: Ntp,
        /// The same instant in the stream's media clock.
        rtp_timestamp: u32,
        /// Packets sent since the beginning, wrapping.
        packets: u32,
        /// Payload bytes sent since the beginning, wrapping.
        octets: u32,
        /// What the sender receives.
        blocks: Blocks<'a>,
    },
    /// RFC 3550 section 6.4.2.
    ReceiverReport {
        /// Who receives.
        ssrc: Ssrc,
        /// What it receives.
        blocks: Blocks<'a>,
    },
    /// RFC 3550 section 6.5. Unparsed: streams are told apart by what was negotiated.
    Sdes,
    /// RFC 3550 section 6.6.
    Bye {
        /// Streams that ended.
        ssrcs: Ssrcs<'a>,
    },
    /// RFC 4585 section 6.2.1.
    Nack {
        /// Who misses packets.
        sender: Ssrc,
        /// Of which stream.
        media: Ssrc,
        /// Which.
        lost: Lost<'a>,
    },
    /// RFC 4585 section 6.3.1.
    Pli {
        /// Who needs a keyframe.
        sender: Ssrc,
        /// Of which stream.
        media: Ssrc,
    },
    /// RFC 5104 section 4.3.1.
    Fir {
        /// Who needs keyframes.
        sender: Ssrc,
        /// Of which streams; the number grows with each new request.
        entries: FirEntries<'a>,
    },
    /// draft-alvestrand-rmcat-remb-03.
    Remb {
        /// Who estimates.
        sender: Ssrc,
        /// Bits per second.
        bitrate: u64,
        /// Streams that share it.
        ssrcs: Ssrcs<'a>,
    },
    /// draft-holmer-rmcat-transport-wide-cc-extensions-01.
    TransportFeedback(TransportFeedback<'a>),
    /// Well framed, but not understood here.
    Unknown {
        /// 192..=223 when it came through demultiplexing.
        packet_type: u8,
        /// Number of reports or feedback message type, 0..=31.
        count: u8,
    },
}

/// The packets of a compound, after SRTCP was removed. Ends at the first malformed packet, after [`MAX_PACKETS`], and
/// before transport feedback that goes beyond [`MAX_STATUSES`].
pub fn packets(compound: &[u8]) -> Packets<'_> {
    Packets {
        rest: compound,
        packets_left: MAX_PACKETS,
        statuses_left: MAX_STATUSES,
    }
}

/// See [`packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
    packets_left: usize,
    statuses_left: usize,
}

impl<'a> Packets<'a> {
    fn read(&mut self) -> Option<RtcpPacket<'a>> {
        self.packets_left = self.packets_left.checked_sub(1)?;
        let (&[b0, packet_type, l0, l1], rest) = self.rest.split_first_chunk::<4>()?;
        if b0 >> 6 != 2 {
            return None;
        }
        let (body, rest) = rest.split_at_checked(4 * usize::from(u16::from_be_bytes([l0, l1])))?;
        self.rest = rest;
        let body = if b0 & 0x20 == 0 {
            body
        } else {
            without_padding(body)?
        };
        let packet = parse(packet_type, b0 & 0x1f, body)?;
        if let RtcpPacket::TransportFeedback(feedback) = &packet {
            self.statuses_left = self
                .statuses_left
                .checked_sub(usize::from(feedback.status_count))?;
        }
        Some(packet)
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = RtcpPacket<'a>;

    fn next(&mut self) -> Option<RtcpPacket<'a>> {
        let packet = self.read();
        if packet.is_none() {
            self.packets_left = 0;
        }
        packet
    }
}

/// The last byte counts the padding, itself included (RFC 3550 section 6.4.1).
fn without_padding(body: &[u8]) -> Option<&[u8]> {
    let padding = usize::from(*body.last()?);
    if padding == 0 {
        return None;
    }
    body.get(..body.len().checked_sub(padding)?)
}

fn parse(packet_type: u8, count: u8, body: &[u8]) -> Option<RtcpPacket<'_>> {
    let packet = match (packet_type, count) {
        (SENDER_REPORT, _) => sender_report(count, body)?,
        (RECEIVER_REPORT, _) => {
            let (ssrc, rest) = ssrc(body)?;
            RtcpPacket::ReceiverReport {
                ssrc,
                blocks: Blocks::new(rest, count)?,
            }
        }
        (SDES, _) => RtcpPacket::Sdes,
        (BYE, _) => RtcpPacket::Bye {
            ssrcs: Ssrcs::new(body, count)?,
        },
        (TRANSPORT_FEEDBACK, format::NACK) => {
            let (sender, media, entries) = feedback_head(body)?;
            RtcpPacket::Nack {
                sender,
                media,
                lost: Lost::new(entries),
            }
        }
        (TRANSPORT_FEEDBACK, format::TRANSPORT_CC) => {
            let (sender, media, rest) = feedback_head(body)?;
            RtcpPacket::TransportFeedback(TransportFeedback::parse(sender, media, rest)?)
        }
        (PAYLOAD_FEEDBACK, format::PLI) => {
            let (sender, media, _) = feedback_head(body)?;
            RtcpPacket::Pli { sender, media }
        }
        (PAYLOAD_FEEDBACK, format::FIR) => {
            let (sender, _, entries) = feedback_head(body)?;
            RtcpPacket::Fir {
                sender,
                entries: FirEntries::new(entries),
            }
        }
        (PAYLOAD_FEEDBACK, format::APPLICATION) => {
            let (sender, _, rest) = feedback_head(body)?;
            match rest.split_first_chunk() {
                Some((&REMB_NAME, rest)) => remb(sender, rest)?,
                Some(_) | None => RtcpPacket::Unknown { packet_type, count },
            }
        }
        (packet_type, count) => RtcpPacket::Unknown { packet_type, count },
    };
    Some(packet)
}

fn sender_report(count: u8, body: &[u8]) -> Option<RtcpPacket<'_>> {
    let (ssrc, rest) = ssrc(body)?;
    let (ntp, rest) = rest.split_first_chunk()?;
    let (rtp_timestamp, rest) = word(rest)?;
    let (packets, rest) = word(rest)?;
    let (octets, rest) = word(rest)?;
    Some(RtcpPacket::SenderReport {
        ssrc,
        ntp: Ntp(u64::from_be_bytes(*ntp)),
        rtp_timestamp,
        packets,
        octets,
        blocks: Blocks::new(rest, count)?,
    })
}

/// Number of streams, then 6 bits of exponent and 18 of mantissa.
fn remb(sender: Ssrc, body: &[u8]) -> Option<RtcpPacket<'_>> {
    let (&[count, b0, b1, b2], rest) = body.split_first_chunk()?;
    let mantissa = u64::from(u32::from_be_bytes([0, b0 & 0x03, b1, b2]));
    let exponent = u32::from(b0 >> 2);
    let bitrate = if exponent <= mantissa.leading_zeros() {
        mantissa << exponent
    } else {
        u64::MAX
    };
    Some(RtcpPacket::Remb {
        sender,
        bitrate,
        ssrcs: Ssrcs::new(rest, count)?,
    })
}

/// Sender and media source of a feedback message (RFC 4585 section 6.1).
fn feedback_head(body: &[u8]) -> Option<(Ssrc, Ssrc, &[u8])> {
    let (sender, rest) = ssrc(body)?;
    let (media, rest) = ssrc(rest)?;
    Some((sender, media, rest))
}

fn ssrc(bytes: &[u8]) -> Option<(Ssrc, &[u8])> {
    word(bytes).map(|(word, rest)| (Ssrc(word), rest))
}

fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*word), rest))
}
