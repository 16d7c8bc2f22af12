//! What a slot sent under which sequence number, so that a NACK finds the packet in the publication's ring.
//!
//! Twenty bytes a packet; the payload itself is kept once, by the publication.

use crate::forwarder::Rewrite;
use crate::time::Tick;

/// Packets a slot remembers: more than a second of 4 Mb/s video.
const CAPACITY: usize = 512;

/// Times one packet is retransmitted at most.
const MAX_RETRANSMISSIONS: u8 = 3;

/// Shortest time between two retransmissions of a packet, in milliseconds.
const MIN_INTERVAL_MS: u16 = 25;

/// One packet as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Low half of the position in the layer's ring.
    pub(crate) position: u32,
    pub(crate) timestamp: u32,
    pub(crate) picture_id: u16,
    pub(crate) frame_number: u16,
    /// Bits 9 to 24 of the outgoing sequence number: tells a packet from its predecessor in the same place.
    lap: u16,
    pub(crate) tl0: u8,
    pub(crate) layer: u8,
    pub(crate) marker: bool,
    pub(crate) is_empty: bool,
    retransmissions: u8,
}

/// Ring of [`Sent`] by outgoing sequence number.
#[derive(Debug, Default)]
pub(crate) struct History {
    sent: Vec<Option<Sent>>,
    retransmitted_ms: Vec<u16>,
}

impl History {
    /// Notes that `seq` went out.
    pub(crate) fn record(&mut self, seq: u64, mut sent: Sent) {
        if self.sent.is_empty() {
            self.sent = vec![None; CAPACITY];
            self.retransmitted_ms = vec![0; CAPACITY];
        }
        let (index, lap) = Self::place(seq);
        sent.lap = lap;
        if let Some(place) = self.sent.get_mut(index) {
            *place = Some(sent);
        }
    }

    /// A note for [`Self::record`].
    pub(crate) fn note(position: u64, layer: u8, rewrite: &Rewrite) -> Sent {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low half is what is kept"
        )]
        let position = position as u32;
        Sent {
            position,
            timestamp: rewrite.timestamp,
            picture_id: rewrite.picture_id,
            frame_number: rewrite.frame_number,
            lap: 0,
            tl0: rewrite.tl0,
            layer,
            marker: rewrite.marker,
            is_empty: rewrite.is_empty,
            retransmissions: 0,
        }
    }

    /// The packet sent as `seq`, if it is still known.
    pub(crate) fn find(&self, seq: u64) -> Option<Sent> {
        let (index, lap) = Self::place(seq);
        let sent = self.sent.get(index).copied().flatten()?;
        (sent.lap == lap).then_some(sent)
    }

    /// Counts a retransmission of what [`Self::find`] found; false where the last one was only a moment ago, or there were enough.
    pub(crate) fn retransmit(&mut self, seq: u64, now: Tick) -> bool {
        let (index, _) = Self::place(seq);
        let (Some(Some(sent)), Some(last)) = (
            self.sent.get_mut(index),
            self.retransmitted_ms.get_mut(index),
        ) else {
            return false;
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a clock that wraps after a minute is enough"
        )]
        let now_ms = now.as_millis() as u16;
        let too_soon = sent.retransmissions > 0 && now_ms.wrapping_sub(*last) < MIN_INTERVAL_MS;
        if too_soon || sent.retransmissions >= MAX_RETRANSMISSIONS {
            return false;
        }
        sent.retransmissions += 1;
        *last = now_ms;
        true
    }

    /// Forgets everything: the slot shows another source.
    pub(crate) fn clear(&mut self) {
        self.sent.fill(None);
    }

    fn place(seq: u64) -> (usize, u16) {
        #[expect(clippy::cast_possible_truncation, reason = "16 bits are kept")]
        let lap = (seq / CAPACITY as u64) as u16;
        (usize::try_from(seq % CAPACITY as u64).unwrap_or(0), lap)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_packet_is_found_until_it_is_overwritten_and_retransmitted_three_times_at_most() {
        let mut history = History::default();
        for seq in 70_000..70_600u64 {
            let rewrite = Rewrite {
                seq,
                timestamp: 9,
                picture_id: 3,
                tl0: 4,
                frame_number: 5,
                marker: false,
                is_empty: false,
            };
            history.record(seq, History::note(seq * 2, 1, &rewrite));
        }
        let now = Tick(5_000_000);
        assert_eq!(history.find(70_000), None, "overwritten");
        let found = history.find(70_599).expect("fresh");
        assert_eq!(
            (found.position, found.layer, found.picture_id),
            (141_198, 1, 3)
        );
        let mut retransmit = |after| history.retransmit(70_599, now + Duration::from_millis(after));
        assert!(retransmit(0));
        assert!(!retransmit(5), "too soon");
        assert!(retransmit(30));
        assert!(retransmit(60));
        assert!(!retransmit(90), "three times");
        history.clear();
        assert_eq!(history.find(70_598), None);
        assert!(!history.retransmit(70_598, now));
    }
}
