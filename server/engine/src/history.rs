//! What a slot sent under which sequence number, so that a NACK finds the packet in the publication's ring.
//!
//! Twenty bytes a packet; the payload itself is kept once, by the publication.

use crate::forwarder::Rewrite;
use crate::prefetch;
use crate::time::Tick;

/// Packets a slot remembers: more than a second of 4 Mb/s video.
const CAPACITY: usize = 512;

/// Times one packet is retransmitted at most.
const MAX_RETRANSMISSIONS: u8 = 3;

/// A packet that is asked for once more than this will never be there in time: receivers ask ten times at most, a round trip apart.
const MAX_ASKED: u8 = 6;

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
    asked: u8,
}

/// Why a packet is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is not known, or was repeated a moment ago.
    NotNow,
    /// It was repeated, or asked for, so often that it is given up.
    GivenUp(Sent),
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
            asked: 0,
        }
    }

    /// The packet sent as `seq`, if it may be retransmitted now and the line has room for it; counts the retransmission.
    pub(crate) fn retransmit(
        &mut self,
        seq: u64,
        has_room: bool,
        now: Tick,
    ) -> Result<Sent, Refusal> {
        let (index, lap) = Self::place(seq);
        let sent = self.sent.get_mut(index).and_then(Option::as_mut);
        let sent = sent.filter(|sent| sent.lap == lap);
        let (Some(sent), Some(last)) = (sent, self.retransmitted_ms.get_mut(index)) else {
            return Err(Refusal::NotNow);
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a clock that wraps after a minute is enough"
        )]
        let now_ms = now.as_millis() as u16;
        if sent.asked > 0 && now_ms.wrapping_sub(*last) < MIN_INTERVAL_MS {
            return Err(Refusal::NotNow);
        }
        *last = now_ms;
        sent.asked = sent.asked.saturating_add(1);
        if sent.retransmissions >= MAX_RETRANSMISSIONS || sent.asked > MAX_ASKED {
            return Err(Refusal::GivenUp(*sent));
        }
        if !has_room {
            return Err(Refusal::NotNow);
        }
        sent.retransmissions += 1;
        Ok(*sent)
    }

    /// Asks for the places of the next `packets` that will be sent, from `seq` on.
    pub(crate) fn fetch(&self, seq: u64, packets: usize) {
        let place = self.sent.get(Self::place(seq).0..).unwrap_or_default();
        prefetch::fetch_at(place.as_ptr(), packets * size_of::<Option<Sent>>());
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
        let mut at = 5_000_000;
        let mut ask = |history: &mut History, seq, has_room| {
            at += 30_000;
            history.retransmit(seq, has_room, Tick(at))
        };
        let overwritten = ask(&mut history, 70_000, true);
        assert_eq!(overwritten, Err(Refusal::NotNow));
        let found = ask(&mut history, 70_599, true).expect("fresh");
        assert_eq!(
            (found.position, found.layer, found.picture_id),
            (141_198, 1, 3)
        );
        assert!(ask(&mut history, 70_599, true).is_ok());
        assert_eq!(
            history.retransmit(70_599, true, Tick(5_095_000)),
            Err(Refusal::NotNow),
            "too soon"
        );
        assert!(ask(&mut history, 70_599, true).is_ok());
        let often = ask(&mut history, 70_599, true);
        assert!(matches!(often, Err(Refusal::GivenUp(_))), "{often:?}");
        for _ in 0..6 {
            let full = ask(&mut history, 70_598, false);
            assert_eq!(full, Err(Refusal::NotNow), "there is no room");
        }
        let late = ask(&mut history, 70_598, true);
        assert!(matches!(late, Err(Refusal::GivenUp(_))), "{late:?}");
        history.clear();
        assert_eq!(ask(&mut history, 70_597, true), Err(Refusal::NotNow));
    }
}
