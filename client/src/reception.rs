//! What one receive slot got: packets, bytes, loss, frames, and whose they are.
//!
//! Pure. Loss is counted as in RFC 3550 appendix A.3: what the sequence numbers span, less what came. A packet that is
//! repaired late is therefore not lost.

use baton_protocol::ParticipantId;

/// What is read of one RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Sequence number.
    pub seq: u16,
    /// Last packet of a frame?
    pub marker: bool,
    /// First contributing source: the host writes the participant there.
    pub csrc: Option<u32>,
    /// Bytes of the payload.
    pub payload: usize,
}

/// Counters since the slot was opened. They only grow, but for `lost`, which a late packet lowers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Packets, duplicates included.
    pub packets: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Packets that are missing.
    pub lost: u64,
    /// Packets that ended a frame.
    pub frames: u64,
}

/// Reception of one slot.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    span: Option<Span>,
    packets: u64,
    bytes: u64,
    frames: u64,
    heard: Option<ParticipantId>,
}

/// First and highest sequence number, extended to 64 bits.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: u64,
    highest: u64,
}

impl Reception {
    /// Notes one packet.
    pub fn handle_packet(&mut self, seen: Seen) {
        self.packets += 1;
        self.bytes += seen.payload as u64;
        self.frames += u64::from(seen.marker);
        self.heard = seen.csrc.map(ParticipantId).or(self.heard);
        let span = self.span.get_or_insert_with(|| {
            // One cycle up, so that what was sent before the first that came has a number too.
            let start = (1 << 16) | u64::from(seen.seq);
            Span {
                first: start,
                highest: start,
            }
        });
        let seq = extend(span.highest, seen.seq);
        span.highest = span.highest.max(seq);
        span.first = span.first.min(seq);
    }

    /// The counters now.
    pub fn tally(&self) -> Tally {
        let expected = self.span.map_or(0, |span| span.highest - span.first + 1);
        Tally {
            packets: self.packets,
            bytes: self.bytes,
            lost: expected.saturating_sub(self.packets),
            frames: self.frames,
        }
    }

    /// Whose packets came last.
    pub fn heard(&self) -> Option<ParticipantId> {
        self.heard
    }
}

/// The extended number nearest to `highest` that ends in `seq`.
fn extend(highest: u64, seq: u16) -> u64 {
    let ahead = seq.wrapping_sub((highest & 0xffff) as u16);
    if ahead < 0x8000 {
        highest + u64::from(ahead)
    } else {
        highest.saturating_sub(u64::from(ahead.wrapping_neg()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gap_is_lost_until_the_packet_comes_after_all() {
        let mut reception = received([65_534, 65_535, 1]);
        assert_eq!(reception.tally().lost, 1);
        reception.handle_packet(packet(0));
        assert_eq!(reception.tally().lost, 0);
        assert_eq!(reception.tally().packets, 4);
    }

    #[test]
    fn a_marker_ends_a_frame_and_the_csrc_says_whose_it_is() {
        let mut reception = received([7]);
        assert_eq!(reception.heard(), None);
        reception.handle_packet(Seen {
            marker: true,
            csrc: Some(3),
            ..packet(8)
        });
        reception.handle_packet(packet(9));
        assert_eq!(reception.heard(), Some(ParticipantId(3)));
        assert_eq!(reception.tally().frames, 1);
        assert_eq!(reception.tally().bytes, 300);
    }

    #[test]
    fn nothing_received_is_nothing_lost() {
        assert_eq!(Reception::default().tally(), Tally::default());
    }

    proptest! {
        #[test]
        fn loss_is_what_was_left_out_whatever_the_order(
            start in any::<u16>(),
            kept in proptest::collection::vec(any::<bool>(), 1..300),
            swaps in proptest::collection::vec(any::<prop::sample::Index>(), 0..50),
        ) {
            let mut numbers: Vec<u16> = (0..kept.len())
                .filter(|n| kept[*n] || *n == 0 || *n + 1 == kept.len())
                .map(|n| start.wrapping_add(u16::try_from(n).unwrap()))
                .collect();
            let lost = kept.len() - numbers.len();
            for swap in swaps {
                let at = swap.index(numbers.len());
                numbers.swap(at, 0);
            }
            prop_assert_eq!(received(numbers).tally().lost, lost as u64);
        }

        #[test]
        fn any_sequence_numbers_are_counted(numbers in proptest::collection::vec(any::<u16>(), 0..200)) {
            let count = numbers.len() as u64;
            prop_assert_eq!(received(numbers).tally().packets, count);
        }
    }

    fn received(numbers: impl IntoIterator<Item = u16>) -> Reception {
        let mut reception = Reception::default();
        numbers
            .into_iter()
            .for_each(|seq| reception.handle_packet(packet(seq)));
        reception
    }

    fn packet(seq: u16) -> Seen {
        Seen {
            seq,
            marker: false,
            csrc: None,
            payload: 100,
        }
    }
}
