//! The lists inside RTCP packets, as iterators that borrow the packet.
//!
//! Each is bounded by the bytes it walks over.

use std::slice;

use super::ReportBlock;
use crate::rtp::Ssrc;

/// Report blocks of a sender or receiver report, at most 31.
#[derive(Clone, Debug)]
pub struct Blocks<'a>(slice::Iter<'a, [u8; 24]>);

impl<'a> Blocks<'a> {
    /// `None`: `body` holds fewer than `count`.
    pub(super) fn new(body: &'a [u8], count: u8) -> Option<Self> {
        let (blocks, _) = body.as_chunks();
        blocks
            .get(..usize::from(count))
            .map(|blocks| Self(blocks.iter()))
    }
}

impl Iterator for Blocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (words, _) = self.0.next()?.as_chunks::<4>();
        let &[ssrc, lost, highest_seq, jitter, last_sr, delay] = words else {
            return None;
        };
        let [fraction_lost, l0, l1, l2] = lost;
        Some(ReportBlock {
            ssrc: Ssrc(u32::from_be_bytes(ssrc)),
            fraction_lost,
            // The shift carries the sign of 24 bits.
            cumulative_lost: i32::from_be_bytes([l0, l1, l2, 0]) >> 8,
            highest_seq: u32::from_be_bytes(highest_seq),
            jitter: u32::from_be_bytes(jitter),
            last_sr: u32::from_be_bytes(last_sr),
            delay_since_last_sr: u32::from_be_bytes(delay),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Blocks<'_> {}

/// Sources of a BYE or REMB.
#[derive(Clone, Debug)]
pub struct Ssrcs<'a>(slice::Iter<'a, [u8; 4]>);

impl<'a> Ssrcs<'a> {
    /// `None`: `body` holds fewer than `count`.
    pub(super) fn new(body: &'a [u8], count: u8) -> Option<Self> {
        let (words, _) = body.as_chunks();
        words
            .get(..usize::from(count))
            .map(|words| Self(words.iter()))
    }
}

impl Iterator for Ssrcs<'_> {
    type Item = Ssrc;

    fn next(&mut self) -> Option<Ssrc> {
        self.0.next().map(|word| Ssrc(u32::from_be_bytes(*word)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Ssrcs<'_> {}

/// Entries of a full intra request (RFC 5104 section 4.3.1.1): stream and command number.
#[derive(Clone, Debug)]
pub struct FirEntries<'a>(slice::Iter<'a, [u8; 8]>);

impl<'a> FirEntries<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        let (entries, _) = body.as_chunks();
        Self(entries.iter())
    }
}

impl Iterator for FirEntries<'_> {
    type Item = (Ssrc, u8);

    fn next(&mut self) -> Option<(Ssrc, u8)> {
        let &[b0, b1, b2, b3, seq_nr, ..] = self.0.next()?;
        Some((Ssrc(u32::from_be_bytes([b0, b1, b2, b3])), seq_nr))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for FirEntries<'_> {}

/// Sequence numbers a receiver misses (RFC 4585 section 6.2.1), at most 17 for each four bytes.
#[derive(Clone, Debug)]
pub struct Lost<'a> {
    entries: slice::Iter<'a, [u8; 4]>,
    /// The number that bit 0 of `following` stands for.
    next_seq: u16,
    following: u16,
}

impl<'a> Lost<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        let (entries, _) = body.as_chunks();
        Self {
            entries: entries.iter(),
            next_seq: 0,
            following: 0,
        }
    }
}

impl Iterator for Lost<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.following == 0 {
            let &[p0, p1, b0, b1] = self.entries.next()?;
            let pid = u16::from_be_bytes([p0, p1]);
            self.next_seq = pid.wrapping_add(1);
            self.following = u16::from_be_bytes([b0, b1]);
            return Some(pid);
        }
        let skip = self.following.trailing_zeros();
        let offset = u16::try_from(skip).expect("a non-zero u16 has at most 15 trailing zeros");
        let seq = self.next_seq.wrapping_add(offset);
        self.next_seq = seq.wrapping_add(1);
        self.following = (self.following >> skip) >> 1;
        Some(seq)
    }
}
