//! What a leg sent under which transport-wide sequence number, until feedback says what became of it.
//!
//! A ring of sixteen bytes a packet. Does not own what arrivals mean.

use std::num::NonZeroU8;

use crate::time::Tick;

/// Packets remembered: a second of 20 Mb/s in full packets, many seconds of a usual call.
const CAPACITY: usize = 2048;

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
    ring: Vec<Option<Sent>>,
}

impl History {
    /// Notes a packet. Memory is taken with the first one.
    #[inline]
    pub(super) fn note(&mut self, sent: Sent) {
        if self.ring.is_empty() {
            self.ring = vec![None; CAPACITY];
        }
        if let Some(place) = self.ring.get_mut(usize::from(sent.seq) % CAPACITY) {
            *place = Some(sent);
        }
    }

    /// The packet that was last sent as `seq`, unless later ones took its place.
    pub(super) fn find(&mut self, seq: u16) -> Option<&mut Sent> {
        let place = self.ring.get_mut(usize::from(seq) % CAPACITY)?;
        place.as_mut().filter(|sent| sent.seq == seq)
    }
}

const _: () = assert!(size_of::<Option<Sent>>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(seq: u16) -> Sent {
        Sent {
            at: Tick(u64::from(seq)),
            seq,
            bytes: 1200,
            probe: None,
            fate: Fate::Unknown,
            is_limited: false,
        }
    }

    #[test]
    fn a_packet_is_found_until_another_takes_its_place() {
        let mut history = History::default();
        assert_eq!(history.find(7), None, "nothing was sent");
        history.note(sent(7));
        assert_eq!(history.find(7).copied(), Some(sent(7)));
        assert_eq!(history.find(7 + 2048), None, "not that one");
        history.note(sent(7 + 2048));
        assert_eq!(history.find(7), None, "overwritten");
    }
}
