//! Keeps what one slot sends continuous, whatever it shows: sequence numbers without holes of our making, timestamps that follow
//! the wall clock over a change of source, picture ids that go on counting (research: a jump of half a second freezes browsers).
//!
//! Judges one packet at a time; does not choose layers (`slot`) and does not write bytes (`seal`).

mod numbering;

use std::time::Duration;

use crate::codec::{MappedIds, PictureIdMap};
use crate::ring::{Entry, Stored};
use crate::time::Tick;

use numbering::{Numbering, Skipped};

/// Forward a packet as this, drop it for a reason that is counted, or drop it and send an empty one under the number that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Forward(Rewrite),
    Drop(DropReason),
    Fill(DropReason, Rewrite),
}

/// The numbers a forwarded packet carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rewrite {
    /// Extended: its upper bits are the SRTP rollover counter.
    pub(crate) seq: u64,
    pub(crate) timestamp: u32,
    pub(crate) picture_id: u16,
    pub(crate) tl0: u8,
    /// Of the dependency descriptor.
    pub(crate) frame_number: u16,
    /// The last packet of its picture, as this subscriber gets it.
    pub(crate) marker: bool,
    /// Only the number is sent: what it was given to is left out.
    pub(crate) is_empty: bool,
}

/// Why a packet was not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// It precedes the keyframe at which the slot changed to its layer.
    BeforeSwitch,
    /// The slot cannot carry the packet's codec.
    Codec,
    /// It was overwritten in the ring before the subscriber could be served.
    Overtaken,
    /// It does not fit a datagram.
    TooLarge,
    /// It belongs to a picture that the slot has left behind.
    Stale,
    /// It belongs to a spatial or temporal layer that the slot is not given.
    Layer,
    /// It waited for the line longer than its receiver could use it.
    Late,
}

impl DropReason {
    /// Every reason, in the order of [`crate::Stats::dropped`].
    pub const ALL: [Self; 7] = [
        Self::BeforeSwitch,
        Self::Codec,
        Self::Overtaken,
        Self::TooLarge,
        Self::Stale,
        Self::Layer,
        Self::Late,
    ];

    /// For metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeSwitch => "before_switch",
            Self::Codec => "codec",
            Self::Overtaken => "overtaken",
            Self::TooLarge => "too_large",
            Self::Stale => "stale",
            Self::Layer => "layer",
            Self::Late => "late",
        }
    }
}

/// Where a slot's numbers stand.
#[derive(Debug)]
pub(crate) struct Forwarder {
    /// Highest sequence number sent, extended.
    highest: u64,
    /// Sequence numbers of the present layer.
    numbers: Numbering,
    /// Each packet is sent twice, the second time behind the next one's.
    is_doubled: bool,
    /// Highest number of a copy: no two packets may have one, the nonce is in it.
    copied: u64,
    timestamp_offset: u32,
    /// Newest timestamp sent, and when its first packet arrived.
    newest: Option<(u32, Tick)>,
    pictures: PictureIdMap,
    frame_offset: u16,
    highest_frame: u16,
    switched: bool,
    clock_rate: u32,
}

/// A wish to line up timestamps of two layers of one source by their sender reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alignment {
    /// The new packet's timestamp in the old layer's timeline.
    pub(crate) timestamp: u32,
}

/// Least step between two pictures of different sources: a step of nothing makes receivers drop one.
const MIN_STEP: Duration = Duration::from_millis(10);

/// Sender reports that disagree with the clock by more than this are not believed.
const MAX_DISAGREEMENT: Duration = Duration::from_millis(250);

impl Forwarder {
    /// `first_seq` should be random and below 2^15 (RFC 3711 section 3.3.1).
    pub(crate) fn new(first_seq: u16, timestamp_offset: u32, clock_rate: u32) -> Self {
        let first_out = u64::from(first_seq);
        Self {
            highest: first_out.saturating_sub(1),
            numbers: Numbering::new(first_out),
            is_doubled: false,
            copied: 0,
            timestamp_offset,
            newest: None,
            pictures: PictureIdMap::default(),
            frame_offset: 0,
            highest_frame: 0,
            switched: false,
            clock_rate,
        }
    }

    /// Highest sequence number sent, extended.
    pub(crate) fn highest_seq(&self) -> u64 {
        self.highest
    }

    /// Has anything been sent?
    pub(crate) fn has_sent(&self) -> bool {
        self.newest.is_some()
    }

    /// Newest timestamp sent and when it arrived, for sender reports.
    pub(crate) fn newest(&self) -> Option<(u32, Tick)> {
        self.newest
    }

    /// From here on the slot shows the stream whose first packet is `first`.
    pub(crate) fn switch(&mut self, first: &Entry, alignment: Option<Alignment>) {
        self.numbers
            .switch(first.seq, self.highest + 1, self.is_doubled);
        self.switched = true;
        let Some((newest, at)) = self.newest else {
            return;
        };
        let step = self.ticks(first.arrival.since(at).max(MIN_STEP));
        let by_clock = newest.wrapping_add(step);
        let out = alignment
            .map(|aligned| aligned.timestamp.wrapping_add(self.timestamp_offset))
            .filter(|exact| {
                #[expect(clippy::cast_possible_wrap, reason = "distance of two timestamps")]
                let (ahead, error) = (
                    exact.wrapping_sub(newest) as i32,
                    exact.wrapping_sub(by_clock) as i32,
                );
                ahead > 0 && error.unsigned_abs() <= self.ticks(MAX_DISAGREEMENT)
            })
            .unwrap_or(by_clock);
        self.timestamp_offset = out.wrapping_sub(first.timestamp);
    }

    /// From `first` on, has each packet a copy?
    pub(crate) fn set_doubled(&mut self, is_doubled: bool, first: &Entry) {
        if is_doubled != self.is_doubled {
            self.is_doubled = is_doubled;
            self.numbers.switch(first.seq, self.highest + 1, is_doubled);
        }
    }

    /// A copy of a packet that was sent. `None`: it was not, or has had its copy.
    pub(crate) fn copy(&mut self, entry: &Entry) -> Option<Rewrite> {
        let seq = self.numbers.copy(entry.seq)?;
        if seq <= self.copied {
            return None;
        }
        self.copied = seq;
        self.highest = self.highest.max(seq);
        Some(Rewrite {
            seq,
            timestamp: entry.timestamp.wrapping_add(self.timestamp_offset),
            marker: entry.marker,
            ..Rewrite::default()
        })
    }

    /// Judges a packet of the present layer. `ends_picture`: what follows of its picture is left out.
    pub(crate) fn judge(&mut self, packet: &Stored<'_>, ends_picture: bool) -> Verdict {
        let entry = packet.entry;
        let Some(seq) = self.numbers.forward(entry.seq) else {
            return Verdict::Drop(DropReason::BeforeSwitch);
        };
        let (picture_id, tl0) = match self.pictures.map(entry.peek.ids, self.switched) {
            MappedIds::Absent => (0, 0),
            MappedIds::Patch { picture_id, tl0 } => (picture_id, tl0),
            MappedIds::Stale => return Verdict::Fill(DropReason::Stale, self.empty(seq, entry)),
        };
        let frame_number =
            frame_number(packet.descriptor).map_or(0, |number| self.map_frame(number));
        self.switched = false;
        let timestamp = entry.timestamp.wrapping_add(self.timestamp_offset);
        let is_newer = self
            .newest
            .is_none_or(|(newest, _)| is_ahead(timestamp.wrapping_sub(newest)));
        if is_newer {
            self.newest = Some((timestamp, entry.arrival));
        }
        self.highest = self.highest.max(seq);
        Verdict::Forward(Rewrite {
            seq,
            timestamp,
            picture_id,
            tl0,
            frame_number,
            marker: entry.marker || ends_picture,
            is_empty: false,
        })
    }

    /// Leaves a packet of the present layer out: its number and its picture's are given to those behind it. If it is too late for that,
    /// gives what an empty packet in its place has to carry.
    pub(crate) fn skip(&mut self, entry: &Entry) -> Option<Rewrite> {
        let skipped = self.numbers.skip(entry.seq);
        self.pictures.skip(entry.peek.ids);
        let Skipped::Numbered(seq) = skipped else {
            return None;
        };
        Some(self.empty(seq, entry))
    }

    /// What an empty packet in the place of this one carries.
    fn empty(&mut self, seq: u64, entry: &Entry) -> Rewrite {
        // It may lie above all that was sent, if what came behind it was left out: a switch must not give it again.
        self.highest = self.highest.max(seq);
        Rewrite {
            seq,
            timestamp: entry.timestamp.wrapping_add(self.timestamp_offset),
            is_empty: true,
            ..Rewrite::default()
        }
    }

    /// Frame numbers count on over a switch: a receiver discards a keyframe whose number lies behind the last one.
    fn map_frame(&mut self, number: u16) -> u16 {
        if self.switched {
            self.frame_offset = self.highest_frame.wrapping_add(1).wrapping_sub(number);
        }
        let out = number.wrapping_add(self.frame_offset);
        let ahead = out.wrapping_sub(self.highest_frame);
        if ahead != 0 && ahead < 1 << 15 {
            self.highest_frame = out;
        }
        out
    }

    fn ticks(&self, span: Duration) -> u32 {
        let ticks = span.as_micros() * u128::from(self.clock_rate) / 1_000_000;
        u32::try_from(ticks).unwrap_or(u32::MAX / 4)
    }
}

fn is_ahead(distance: u32) -> bool {
    distance != 0 && distance < 1 << 31
}

/// Frame number of a dependency descriptor: the second and third byte (AV1 RTP specification, A.8.1).
fn frame_number(descriptor: &[u8]) -> Option<u16> {
    let (&[_, high, low], _) = descriptor.split_first_chunk()?;
    Some(u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, Peek, PictureId, PictureIdWidth, PictureIds};
    use crate::rtp::{Origin, Ssrc};

    fn entry(seq: u64) -> Entry {
        Entry {
            seq,
            timestamp: 0,
            arrival: Tick(0),
            marker: false,
            codec: Codec::H264,
            peek: Peek::default(),
            payload_len: 0,
            descriptor_len: 0,
            audio_level: None,
            video_orientation: None,
            playout_delay: None,
            origin: Origin {
                ssrc: Ssrc(1),
                seq: 0,
                timestamp: 0,
            },
        }
    }

    fn number(forwarder: &mut Forwarder, seq: u64) -> Option<u64> {
        let packet = Stored {
            entry: &entry(seq),
            payload: &[],
            descriptor: &[],
        };
        match forwarder.judge(&packet, false) {
            Verdict::Forward(rewrite) => Some(rewrite.seq),
            Verdict::Drop(_) | Verdict::Fill(..) => None,
        }
    }

    #[test]
    fn a_packet_of_a_picture_that_was_left_behind_fills_its_number() {
        let vp8 = |seq, picture| Entry {
            codec: Codec::Vp8,
            peek: Peek {
                ids: PictureIds::Vp8 {
                    picture_id: Some(PictureId {
                        value: picture,
                        width: PictureIdWidth::Bits15,
                    }),
                    tl0: None,
                    key_index: None,
                },
                ..Peek::default()
            },
            ..entry(seq)
        };
        let judge = |forwarder: &mut Forwarder, entry: &Entry| {
            let (payload, descriptor) = (&[][..], &[][..]);
            forwarder.judge(
                &Stored {
                    entry,
                    payload,
                    descriptor,
                },
                false,
            )
        };
        let mut forwarder = Forwarder::new(7, 0, 90_000);
        forwarder.switch(&vp8(100, 40), None);
        assert!(matches!(
            judge(&mut forwarder, &vp8(100, 40)),
            Verdict::Forward(_)
        ));
        assert!(matches!(
            judge(&mut forwarder, &vp8(102, 41)),
            Verdict::Forward(_)
        ));
        let Verdict::Fill(DropReason::Stale, empty) = judge(&mut forwarder, &vp8(101, 20)) else {
            panic!("it is of a picture before the first");
        };
        assert!(empty.is_empty && empty.seq == 8, "{empty:?}");
    }

    #[test]
    fn a_number_that_an_empty_packet_was_sent_under_is_not_given_again_by_a_switch() {
        let mut forwarder = Forwarder::new(7, 0, 90_000);
        forwarder.switch(&entry(100), None);
        assert_eq!(number(&mut forwarder, 100), Some(7));
        assert_eq!(forwarder.skip(&entry(102)), None);
        let filled = forwarder.skip(&entry(101)).expect("it has its number");
        assert_eq!(filled.seq, 8);
        forwarder.switch(&entry(500), None);
        assert_eq!(number(&mut forwarder, 500), Some(9), "the nonce is in it");
    }

    #[test]
    fn no_number_is_used_twice_where_packets_are_sent_twice_for_a_while() {
        let mut forwarder = Forwarder::new(7, 0, 48_000);
        forwarder.switch(&entry(100), None);
        let mut used = Vec::new();
        for seq in 100..130 {
            forwarder.set_doubled((105..120).contains(&seq), &entry(seq));
            // Now and then one comes late, as copies of those before it are asked for more than once.
            let late = if seq % 7 == 0 { seq - 3 } else { seq - 1 };
            used.extend(forwarder.copy(&entry(late)).map(|copy| copy.seq));
            used.extend(number(&mut forwarder, seq));
        }
        let copies = 119 - 105;
        assert!(used.len() >= 30 + copies - 4, "{used:?}");
        assert!(used.is_sorted_by(|a, b| a < b), "{used:?}");
    }
}
