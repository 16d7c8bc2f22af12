//! Appending RTCP packets to a buffer.
//!
//! What does not fit into one packet goes into several of the same type; only a CNAME is cut. SRTCP and the size of a
//! datagram are the caller's business.

use super::{
    MAX_COUNT, Ntp, REMB_NAME, ReportBlock, feedback_writer, format,
    packet_type::{
        BYE, PAYLOAD_FEEDBACK, RECEIVER_REPORT, SDES, SENDER_REPORT, TRANSPORT_FEEDBACK,
    },
};
use crate::rtp::{Ssrc, seq};

/// Pairs of PID and BLP in one NACK: about a kilobyte.
const MAX_NACK_ENTRIES: usize = 250;
/// Streams in one FIR.
const MAX_FIR_ENTRIES: usize = 125;
/// Streams that a REMB can count.
const MAX_REMB_SSRCS: usize = 255;
/// Item type (RFC 3550 section 6.5.1).
const CNAME: u8 = 1;

/// Appends packets to a buffer that the caller clears, sends and reuses.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Appends to what `out` holds already.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// What a stream has sent by now (RFC 3550 section 6.4.1). More than 31 blocks are continued in receiver reports.
    pub fn sender_report(
        &mut self,
        ssrc: Ssrc,
        ntp: Ntp,
        rtp_timestamp: u32,
        packets: u32,
        octets: u32,
        blocks: &[ReportBlock],
    ) {
        let (blocks, more) = blocks.split_at_checked(MAX_COUNT).unwrap_or((blocks, &[]));
        packet(self.out, count(blocks.len()), SENDER_REPORT, |out| {
            put(out, ssrc.0);
            out.extend_from_slice(&ntp.0.to_be_bytes());
            for word in [rtp_timestamp, packets, octets] {
                put(out, word);
            }
            put_blocks(out, blocks);
        });
        if !more.is_empty() {
            self.receiver_report(ssrc, more);
        }
    }

    /// What is received (RFC 3550 section 6.4.2), possibly nothing.
    pub fn receiver_report(&mut self, ssrc: Ssrc, blocks: &[ReportBlock]) {
        let mut rest = blocks;
        loop {
            let (blocks, more) = rest.split_at_checked(MAX_COUNT).unwrap_or((rest, &[]));
            packet(self.out, count(blocks.len()), RECEIVER_REPORT, |out| {
                put(out, ssrc.0);
                put_blocks(out, blocks);
            });
            if more.is_empty() {
                return;
            }
            rest = more;
        }
    }

    /// The canonical name of a stream's origin (RFC 3550 section 6.5.1), cut after 255 bytes.
    pub fn sdes_cname(&mut self, ssrc: Ssrc, cname: &str) {
        let end = cname.floor_char_boundary(255);
        let name = cname.get(..end).unwrap_or_default().as_bytes();
        packet(self.out, 1, SDES, |out| {
            put(out, ssrc.0);
            out.extend_from_slice(&[CNAME, u8::try_from(name.len()).unwrap_or(0)]);
            out.extend_from_slice(name);
            // The end of the list of items: at least one zero, up to the next word.
            out.push(0);
        });
    }

    /// Streams that ended (RFC 3550 section 6.6).
    pub fn bye(&mut self, ssrcs: &[Ssrc]) {
        for ssrcs in ssrcs.chunks(MAX_COUNT) {
            packet(self.out, count(ssrcs.len()), BYE, |out| {
                ssrcs.iter().for_each(|ssrc| put(out, ssrc.0))
            });
        }
    }

    /// Asks for packets again (RFC 4585 section 6.2.1). `lost` ascends, across a wrap too; nothing is written when it
    /// is empty.
    pub fn nack(&mut self, sender: Ssrc, media: Ssrc, lost: &[u16]) {
        let mut rest = lost;
        while !rest.is_empty() {
            packet(self.out, format::NACK, TRANSPORT_FEEDBACK, |out| {
                put(out, sender.0);
                put(out, media.0);
                for _ in 0..MAX_NACK_ENTRIES {
                    let Some((entry, more)) = nack_entry(rest) else {
                        return;
                    };
                    out.extend_from_slice(&entry);
                    rest = more;
                }
            });
        }
    }

    /// Asks for a keyframe (RFC 4585 section 6.3.1).
    pub fn pli(&mut self, sender: Ssrc, media: Ssrc) {
        packet(self.out, format::PLI, PAYLOAD_FEEDBACK, |out| {
            put(out, sender.0);
            put(out, media.0);
        });
    }

    /// Asks for keyframes (RFC 5104 section 4.3.1): stream and command number, which grows with each new request.
    pub fn fir(&mut self, sender: Ssrc, entries: &[(Ssrc, u8)]) {
        for entries in entries.chunks(MAX_FIR_ENTRIES) {
            packet(self.out, format::FIR, PAYLOAD_FEEDBACK, |out| {
                put(out, sender.0);
                put(out, 0);
                for (ssrc, seq_nr) in entries {
                    put(out, ssrc.0);
                    out.extend_from_slice(&[*seq_nr, 0, 0, 0]);
                }
            });
        }
    }

    /// What the sender may send in all, in bits per second, rounded down to 18 significant bits
    /// (draft-alvestrand-rmcat-remb-03). Names the first 255 streams.
    pub fn remb(&mut self, sender: Ssrc, bitrate: u64, ssrcs: &[Ssrc]) {
        let ssrcs = ssrcs.get(..MAX_REMB_SSRCS).unwrap_or(ssrcs);
        let exponent = 46_u32.saturating_sub(bitrate.leading_zeros());
        let [.., m0, m1, m2] = (bitrate >> exponent).to_be_bytes();
        let exponent = u8::try_from(exponent).expect("at most 46");
        packet(self.out, format::APPLICATION, PAYLOAD_FEEDBACK, |out| {
            put(out, sender.0);
            put(out, 0);
            out.extend_from_slice(&REMB_NAME);
            out.extend_from_slice(&[
                u8::try_from(ssrcs.len()).unwrap_or(u8::MAX),
                (exponent << 2) | m0,
                m1,
                m2,
            ]);
            ssrcs.iter().for_each(|ssrc| put(out, ssrc.0));
        });
    }

    /// Which packets of a leg arrived, and when (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    ///
    /// `arrivals`: transport-wide sequence number, and microseconds since an epoch of the caller's (`None`: lost), in
    /// ascending order from `base_seq`; numbers that are left out count as lost, those out of order are skipped.
    /// Writes as many packets as it takes, none when nothing arrived, and returns the next feedback count.
    pub fn transport_feedback(
        &mut self,
        sender: Ssrc,
        media: Ssrc,
        base_seq: u16,
        feedback_count: u8,
        arrivals: &[(u16, Option<i64>)],
    ) -> u8 {
        feedback_writer::write(self.out, sender, media, base_seq, feedback_count, arrivals)
    }
}

/// Header, body, zeros up to the next word, length.
pub(super) fn packet(
    out: &mut Vec<u8>,
    count: u8,
    packet_type: u8,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend_from_slice(&[0x80 | count, packet_type, 0, 0]);
    body(out);
    let written = out.len() - start;
    out.resize(start + written.next_multiple_of(4), 0);
    let words = u16::try_from((out.len() - start) / 4 - 1)
        .expect("every packet is limited to a few kilobytes");
    if let Some(length) = out
        .get_mut(start + 2..)
        .and_then(|tail| tail.first_chunk_mut())
    {
        *length = words.to_be_bytes();
    }
}

pub(super) fn put(out: &mut Vec<u8>, word: u32) {
    out.extend_from_slice(&word.to_be_bytes());
}

fn count(len: usize) -> u8 {
    u8::try_from(len.min(MAX_COUNT)).expect("at most 31")
}

fn put_blocks(out: &mut Vec<u8>, blocks: &[ReportBlock]) {
    for block in blocks {
        let [_, l0, l1, l2] = block
            .cumulative_lost
            .clamp(-0x80_0000, 0x7f_ffff)
            .to_be_bytes();
        put(out, block.ssrc.0);
        out.extend_from_slice(&[block.fraction_lost, l0, l1, l2]);
        for word in [
            block.highest_seq,
            block.jitter,
            block.last_sr,
            block.delay_since_last_sr,
        ] {
            put(out, word);
        }
    }
}

/// One PID with its BLP, and what it does not cover.
fn nack_entry(lost: &[u16]) -> Option<([u8; 4], &[u16])> {
    let (&pid, mut rest) = lost.split_first()?;
    let mut following = 0_u16;
    while let Some((&next, more)) = rest.split_first() {
        match seq::diff(next, pid) {
            0 => {}
            distance @ 1..=16 => following |= 1 << (distance - 1),
            _ => break,
        }
        rest = more;
    }
    let ([p0, p1], [b0, b1]) = (pid.to_be_bytes(), following.to_be_bytes());
    Some(([p0, p1, b0, b1], rest))
}
