//! Reading transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
//!
//! Does not own what arrival times mean for an estimate, nor writing (`feedback_writer`).

use crate::rtp::Ssrc;

/// Microseconds in one unit of the reference time.
pub const REFERENCE_MICROS: i64 = 64_000;
/// Microseconds in one tick of a receive delta.
pub const TICK_MICROS: i64 = 250;

/// What became of one packet (section 3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Lost,
    /// Its delta takes one byte, without sign.
    Small,
    /// Its delta takes two bytes, with sign.
    Large,
}

impl Symbol {
    /// The fourth value is reserved.
    const fn from_bits(bits: u16) -> Option<Self> {
        match bits & 0b11 {
            0 => Some(Self::Lost),
            1 => Some(Self::Small),
            2 => Some(Self::Large),
            _ => None,
        }
    }

    pub(super) const fn bits(self) -> u16 {
        match self {
            Self::Lost => 0,
            Self::Small => 1,
            Self::Large => 2,
        }
    }

    pub(super) const fn delta_len(self) -> usize {
        match self {
            Self::Lost => 0,
            Self::Small => 1,
            Self::Large => 2,
        }
    }
}

/// Which packets of a leg arrived, and when. Was checked whole when it was read.
#[derive(Clone, Debug)]
pub struct TransportFeedback<'a> {
    /// Who received.
    pub sender: Ssrc,
    /// Any stream of the leg: the feedback is about all of them.
    pub media: Ssrc,
    /// Transport-wide sequence number of the first status.
    pub base_seq: u16,
    /// Number of statuses.
    pub status_count: u16,
    /// What the first delta counts from, in [`REFERENCE_MICROS`], by the receiver's clock. 24 bits with sign, wrapping.
    pub reference_time: i32,
    /// Counts feedback packets, wrapping.
    pub feedback_count: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> TransportFeedback<'a> {
    /// `None`: a reserved symbol, or fewer chunks or deltas than the statuses need.
    pub(super) fn parse(sender: Ssrc, media: Ssrc, body: &'a [u8]) -> Option<Self> {
        let (&[s0, s1, c0, c1, r0, r1, r2, feedback_count], rest) = body.split_first_chunk()?;
        let status_count = u16::from_be_bytes([c0, c1]);
        let (chunk_words, _) = rest.as_chunks::<2>();
        let mut left = usize::from(status_count);
        let (mut chunks_len, mut deltas_len) = (0, 0);
        for word in chunk_words {
            if left == 0 {
                break;
            }
            let mut chunk = Chunk::new(*word);
            let used = left.min(usize::from(chunk.left));
            deltas_len += chunk.deltas_len(used)?;
            left -= used;
            chunks_len += 2;
        }
        let (chunks, deltas) = rest.split_at_checked(chunks_len)?;
        (left == 0 && deltas_len <= deltas.len()).then_some(Self {
            sender,
            media,
            base_seq: u16::from_be_bytes([s0, s1]),
            status_count,
            // The shift carries the sign of 24 bits.
            reference_time: i32::from_be_bytes([r0, r1, r2, 0]) >> 8,
            feedback_count,
            chunks,
            deltas,
        })
    }

    /// Every sequence number with its receive delta in [`TICK_MICROS`] since the packet received before it (the
    /// first: since the reference time). `None`: not received.
    pub fn statuses(&self) -> Statuses<'a> {
        Statuses {
            seq: self.base_seq,
            left: self.status_count,
            chunk: Chunk {
                form: Form::Run,
                bits: 0,
                left: 0,
            },
            chunks: self.chunks,
            deltas: self.deltas,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Run,
    OneBit,
    TwoBit,
}

/// What is left of a packet status chunk (sections 3.1.3 and 3.1.4).
#[derive(Clone, Copy, Debug)]
struct Chunk {
    form: Form,
    /// Run: the symbol. Vectors: the next symbol is at the top.
    bits: u16,
    left: u16,
}

impl Chunk {
    const fn new(word: [u8; 2]) -> Self {
        let word = u16::from_be_bytes(word);
        match word >> 14 {
            0b10 => Self {
                form: Form::OneBit,
                bits: word << 2,
                left: 14,
            },
            0b11 => Self {
                form: Form::TwoBit,
                bits: word << 2,
                left: 7,
            },
            _ => Self {
                form: Form::Run,
                bits: word >> 13,
                left: word & 0x1fff,
            },
        }
    }

    /// `None`: reserved symbol. To be called only while `left` is not 0.
    fn next_symbol(&mut self) -> Option<Symbol> {
        self.left = self.left.saturating_sub(1);
        match self.form {
            Form::Run => Symbol::from_bits(self.bits),
            Form::OneBit => {
                let bits = self.bits >> 15;
                self.bits <<= 1;
                Symbol::from_bits(bits)
            }
            Form::TwoBit => {
                let bits = self.bits >> 14;
                self.bits <<= 2;
                Symbol::from_bits(bits)
            }
        }
    }

    /// Bytes of delta that the next `count` symbols need. `None`: reserved symbol.
    fn deltas_len(&mut self, count: usize) -> Option<usize> {
        if matches!(self.form, Form::Run) {
            return Some(self.next_symbol()?.delta_len() * count);
        }
        (0..count)
            .map(|_| self.next_symbol().map(Symbol::delta_len))
            .sum()
    }
}

/// See [`TransportFeedback::statuses`].
#[derive(Clone, Debug)]
pub struct Statuses<'a> {
    seq: u16,
    left: u16,
    chunk: Chunk,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl Iterator for Statuses<'_> {
    type Item = (u16, Option<i32>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        while self.chunk.left == 0 {
            let (word, rest) = self.chunks.split_first_chunk()?;
            self.chunk = Chunk::new(*word);
            self.chunks = rest;
        }
        let seq = self.seq;
        self.seq = seq.wrapping_add(1);
        let delta = match self.chunk.next_symbol()? {
            Symbol::Lost => None,
            Symbol::Small => {
                let (&delta, rest) = self.deltas.split_first()?;
                self.deltas = rest;
                Some(i32::from(delta))
            }
            Symbol::Large => {
                let (delta, rest) = self.deltas.split_first_chunk()?;
                self.deltas = rest;
                Some(i32::from(i16::from_be_bytes(*delta)))
            }
        };
        Some((seq, delta))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for Statuses<'_> {}
