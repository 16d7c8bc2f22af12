//! Writing transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
//!
//! Three passes over the arrivals of one packet (how far it reaches, chunks, deltas), so that nothing is stored.

use super::feedback::{REFERENCE_MICROS, Symbol, TICK_MICROS};
use super::writer::{packet, put};
use super::{format, packet_type::TRANSPORT_FEEDBACK};
use crate::rtp::{Ssrc, seq};

/// Received packets that one feedback packet describes: it then stays within about 1200 bytes in the worst case.
const MAX_RECEIVED: usize = 200;
/// Longest run of one chunk: 13 bits.
const MAX_RUN: usize = 0x1fff;
const TICKS_PER_REFERENCE: i64 = REFERENCE_MICROS / TICK_MICROS;

/// See [`super::Writer::transport_feedback`].
pub(super) fn write(
    out: &mut Vec<u8>,
    sender: Ssrc,
    media: Ssrc,
    base_seq: u16,
    feedback_count: u8,
    arrivals: &[(u16, Option<i64>)],
) -> u8 {
    let mut ticks = Ticks {
        seq: base_seq,
        rest: arrivals,
    };
    let mut feedback_count = feedback_count;
    while let Some(first) = ticks.clone().flatten().next() {
        let reference = first.div_euclid(TICKS_PER_REFERENCE);
        let symbols = Deltas {
            ticks: ticks.clone(),
            last: reference * TICKS_PER_REFERENCE,
        };
        let status_count = reach(symbols.clone());
        packet(out, format::TRANSPORT_CC, TRANSPORT_FEEDBACK, |out| {
            put(out, sender.0);
            put(out, media.0);
            let [.., r0, r1, r2] = reference.to_be_bytes();
            out.extend_from_slice(&ticks.seq.to_be_bytes());
            out.extend_from_slice(&status_count.to_be_bytes());
            out.extend_from_slice(&[r0, r1, r2, feedback_count]);
            put_chunks(out, symbols.clone().take(usize::from(status_count)));
            put_deltas(out, symbols.take(usize::from(status_count)));
        });
        feedback_count = feedback_count.wrapping_add(1);
        ticks
            .by_ref()
            .take(usize::from(status_count))
            .for_each(drop);
    }
    feedback_count
}

/// Arrival in ticks of every sequence number, gaps included.
#[derive(Clone)]
struct Ticks<'a> {
    seq: u16,
    rest: &'a [(u16, Option<i64>)],
}

impl Iterator for Ticks<'_> {
    type Item = Option<i64>;

    fn next(&mut self) -> Option<Option<i64>> {
        loop {
            let (&(seq, arrival), rest) = self.rest.split_first()?;
            let ahead = seq::diff(seq, self.seq);
            if ahead <= 0 {
                self.rest = rest;
            }
            if ahead >= 0 {
                self.seq = self.seq.wrapping_add(1);
                let arrival = arrival.filter(|_| ahead == 0);
                return Some(arrival.map(|micros| micros.div_euclid(TICK_MICROS)));
            }
        }
    }
}

/// A status of the packet being written.
#[derive(Clone, Copy)]
enum Status {
    Lost,
    Small(u8),
    Large(i16),
    /// Too far from the packet before it: the next feedback packet starts here.
    OutOfReach,
}

impl Status {
    const fn symbol(self) -> Symbol {
        match self {
            Self::Lost | Self::OutOfReach => Symbol::Lost,
            Self::Small(_) => Symbol::Small,
            Self::Large(_) => Symbol::Large,
        }
    }
}

#[derive(Clone)]
struct Deltas<'a> {
    ticks: Ticks<'a>,
    last: i64,
}

impl Iterator for Deltas<'_> {
    type Item = Status;

    fn next(&mut self) -> Option<Status> {
        let Some(tick) = self.ticks.next()? else {
            return Some(Status::Lost);
        };
        let delta = tick - self.last;
        self.last = tick;
        Some(if let Ok(small) = u8::try_from(delta) {
            Status::Small(small)
        } else if let Ok(large) = i16::try_from(delta) {
            Status::Large(large)
        } else {
            Status::OutOfReach
        })
    }
}

/// How many statuses one packet takes. Ends before a received packet, so that the next one starts with an arrival.
fn reach(statuses: impl Iterator<Item = Status>) -> u16 {
    let mut reach = 0_u16;
    let mut received = 0;
    for status in statuses {
        match status {
            Status::Lost => {}
            Status::Small(_) | Status::Large(_) if received < MAX_RECEIVED => received += 1,
            Status::Small(_) | Status::Large(_) | Status::OutOfReach => break,
        }
        let Some(next) = reach.checked_add(1) else {
            break;
        };
        reach = next;
    }
    reach
}

/// Packet status chunks (sections 3.1.3 and 3.1.4): runs where they are long, else one bit a packet where no delta is
/// large, else two.
fn put_chunks(out: &mut Vec<u8>, statuses: impl Iterator<Item = Status> + Clone) {
    let mut symbols = statuses.map(Status::symbol);
    while let Some(first) = symbols.clone().next() {
        let run = symbols
            .clone()
            .take(MAX_RUN)
            .take_while(|symbol| *symbol == first)
            .count();
        let ahead = symbols.clone().take(14);
        let is_wide = ahead.clone().any(|symbol| symbol == Symbol::Large);
        let vector_len = if is_wide { 7 } else { 14 };
        let (chunk, len) = if run >= vector_len || run == ahead.clone().count() {
            (
                first.bits() << 13 | u16::try_from(run).expect("at most 13 bits"),
                run,
            )
        } else if is_wide {
            (0xc000 | vector(ahead, 7, 2), 7)
        } else {
            (0x8000 | vector(ahead, 14, 1), 14)
        };
        out.extend_from_slice(&chunk.to_be_bytes());
        symbols.by_ref().take(len).for_each(drop);
    }
}

/// `len` symbols of `width` bits, the first at the top of 14 bits; what is missing at the end is zero.
fn vector(symbols: impl Iterator<Item = Symbol>, len: usize, width: u32) -> u16 {
    let padded = symbols
        .map(Symbol::bits)
        .chain(std::iter::repeat(0))
        .take(len);
    padded.fold(0, |bits, symbol| bits << width | symbol)
}

fn put_deltas(out: &mut Vec<u8>, statuses: impl Iterator<Item = Status>) {
    for status in statuses {
        match status {
            Status::Lost | Status::OutOfReach => {}
            Status::Small(delta) => out.push(delta),
            Status::Large(delta) => out.extend_from_slice(&delta.to_be_bytes()),
        }
    }
}
