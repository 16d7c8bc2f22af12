//! What a leg sent under which transport-wide sequence number, until feedback says what became of it.
//!
//! A ring of sixteen bytes a packet, no longer than what is sent needs: a host of fifty legs that remembers ten seconds of each finds none of
//! it in the processor's caches. Does not own what arrivals mean.

use std::num::NonZeroU8;
use std::time::Duration;

use crate::prefetch;
use crate::time::Tick;

/// Packets remembered at first, and at most: a second of 20 Mb/s in full packets.
const CAPACITY: usize = 256;
const MAX_CAPACITY: usize = 2048;

/// What was sent within so long may still be told of: round trip and interval of feedback, and a hiccup.
const KEPT: Duration = Duration::from_millis(1200);

/// One group of packets sent to learn whether a higher rate gets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProbeId(pub(super) NonZeroU8);

/// What is known of a packet that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Unknown,
    /// Reported missing. It may still turn up: late packets are reported again.
    Missing,
    Arrived,
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) at: Tick,
    pub(super) seq: u16,
    pub(super) bytes: u16,
    pub(super) probe: Option<ProbeId>,
    pub(super) fate: Fate,
    /// The application sent less than it might have.
    pub(super) is_limited: bool,
}

/// Ring of [`Sent`] by sequence number.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Empty, or a power of two.
    ring: Vec<Option<Sent>>,
}

impl History {
    /// Notes a packet. Memory is taken with the first one, and twice as much where one would be forgotten too soon.
    #[inline]
    pub(super) fn note(&mut self, sent: Sent) {
        if self.ring.is_empty() {
            self.ring = vec![None; CAPACITY];
        }
        let is_too_soon = |old: &Sent| sent.at.since(old.at) < KEPT;
        let place = self.place(sent.seq);
        if place.is_some_and(|place| place.as_ref().is_some_and(is_too_soon)) {
            self.grow();
        }
        if let Some(place) = self.place(sent.seq) {
            *place = Some(sent);
        }
    }

    /// The packet that was last sent as `seq`, unless later ones took its place.
    pub(super) fn find(&mut self, seq: u16) -> Option<&mut Sent> {
        let place = self.place(seq)?;
        place.as_mut().filter(|sent| sent.seq == seq)
    }

    /// Asks for the places of the last packets and of the next one.
    pub(super) fn fetch(&self, seq: u16) {
        let mask = self.ring.len().wrapping_sub(1);
        for back in [0, 4, 8, 12, 16] {
            if let Some(place) = self.ring.get(usize::from(seq.wrapping_sub(back)) & mask) {
                prefetch::fetch(place);
            }
        }
    }

    fn place(&mut self, seq: u16) -> Option<&mut Option<Sent>> {
        let mask = self.ring.len().wrapping_sub(1);
        self.ring.get_mut(usize::from(seq) & mask)
    }

    #[cold]
    fn grow(&mut self) {
        let capacity = self.ring.len() * 2;
        if capacity > MAX_CAPACITY {
            return;
        }
        let known = std::mem::replace(&mut self.ring, vec![None; capacity]);
        for sent in known.into_iter().flatten() {
            if let Some(place) = self.place(sent.seq) {
                *place = Some(sent);
            }
        }
    }
}

const _: () = assert!(size_of::<Option<Sent>>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(seq: u16, at: Tick) -> Sent {
        Sent {
            at,
            seq,
            bytes: 1200,
            probe: None,
            fate: Fate::Unknown,
            is_limited: false,
        }
    }

    #[test]
    fn a_packet_is_found_until_another_takes_its_place() {
        let sent = |seq: u16| sent(seq, Tick(u64::from(seq)));
        let mut history = History::default();
        assert_eq!(history.find(7), None, "nothing was sent");
        history.note(sent(7));
        assert_eq!(history.find(7).copied(), Some(sent(7)));
        assert_eq!(history.find(7 + 2048), None, "not that one");
        history.note(sent(7 + 2048));
        assert_eq!(history.find(7), None, "overwritten");
    }

    fn noted(history: &mut History, from: u16, count: u16, micros: u64) {
        for number in 0..count {
            let seq = from.wrapping_add(number);
            let passed = u64::from(seq.wrapping_sub(u16::MAX - 100));
            history.note(sent(seq, Tick(passed * micros)));
        }
    }

    #[test]
    fn what_was_sent_within_a_second_is_known_however_fast_it_was() {
        let mut slow = History::default();
        noted(&mut slow, u16::MAX - 100, 2000, 6_000);
        assert_eq!(slow.ring.len(), CAPACITY);
        let mut fast = History::default();
        noted(&mut fast, u16::MAX - 100, 2000, 700);
        assert_eq!(fast.ring.len(), MAX_CAPACITY);
        let newest = 2000 - 102;
        for (history, within) in [(&mut slow, 200), (&mut fast, 1700)] {
            for age in 0..within {
                let sent = history.find(newest - age).expect("sent a moment ago");
                assert_eq!(sent.seq, newest - age);
            }
        }
        assert!(slow.find(newest - 300).is_none());
        assert!(History::default().find(7).is_none());
    }
}
