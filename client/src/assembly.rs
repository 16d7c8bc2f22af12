//! Packets of a slot to frames, in order.
//!
//! Pure: time comes in by argument. A packet that is missing is waited for as long as a retransmission may take; then its
//! picture is given up, and those after it up to the next keyframe. Does not own: asking for that keyframe.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use baton_protocol::{MediaKind, ParticipantId};
use baton_server::Origin;
use bytes::Bytes;

use crate::media::{Codec, is_keyframe};
use payload::Partial;

pub use identity::Identity;
pub(crate) use identity::{FAMILY, Kinship};

mod identity;
mod payload;

/// One packet, as far as a frame is made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Sequence number.
    pub seq: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Last packet of a frame?
    pub marker: bool,
    /// What its payload type means.
    pub codec: Codec,
    /// Whose it is, where it says so.
    pub participant: Option<ParticipantId>,
    /// What it was before the host numbered it, if that says so.
    pub origin: Option<Origin>,
    /// Without padding.
    pub payload: Bytes,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// `a=mid` of its slot.
    pub slot: String,
    /// Whose it is, where the packets say so.
    pub participant: Option<ParticipantId>,
    /// How it is encoded.
    pub codec: Codec,
    /// RTP timestamp: in ticks of the codec's clock, continuous within a slot.
    pub timestamp: u32,
    /// What it is by its publisher's numbers, if the host says so.
    pub identity: Option<Identity>,
    /// Decoding can begin here.
    pub is_key: bool,
    /// As a container would hold it.
    pub data: Bytes,
    /// When its last packet came.
    pub arrived: Instant,
}

/// Assembles the frames of one slot.
#[derive(Debug)]
pub struct Assembler {
    slot: String,
    waiting: BTreeMap<u64, (Instant, Piece)>,
    /// Number of the packet that comes next.
    next: Option<u64>,
    picture: Option<Picture>,
    /// Pictures are missing, and what follows builds on them.
    is_broken: bool,
    wants_keyframe: bool,
    frames: VecDeque<Received>,
}

/// A frame whose last packet has not come.
#[derive(Debug)]
struct Picture {
    codec: Codec,
    timestamp: u32,
    participant: Option<ParticipantId>,
    identity: Option<Identity>,
    partial: Partial,
}

impl Assembler {
    /// Nothing has come yet.
    pub fn new(slot: String) -> Self {
        Self {
            slot,
            waiting: BTreeMap::new(),
            next: None,
            picture: None,
            is_broken: true,
            wants_keyframe: false,
            frames: VecDeque::new(),
        }
    }

    /// Takes a packet; frames may be ready after it.
    pub fn handle_packet(&mut self, piece: Piece, now: Instant) {
        // One cycle up, so that numbers before the first have a place too.
        let start = (1 << 16) | u64::from(piece.seq);
        let next = *self.next.get_or_insert(start);
        let highest = self.waiting.keys().next_back().copied();
        let seq = extend(highest.map_or(next, |highest| highest.max(next)), piece.seq);
        if seq < next {
            return;
        }
        self.waiting.entry(seq).or_insert((now, piece));
        while let Some(entry) = self.waiting.first_entry() {
            let next = self.next.get_or_insert(start);
            if *entry.key() > *next {
                let (arrived, _) = entry.get();
                let is_lost = now.saturating_duration_since(*arrived) > PATIENCE;
                if !is_lost && self.waiting.len() < MOST_WAITING {
                    break;
                }
                *next = *self.waiting.first_entry().expect("it was just seen").key();
                self.give_up();
                continue;
            }
            *next += 1;
            let (_, piece) = entry.remove();
            self.append(piece, now);
        }
    }

    /// The next frame that is whole.
    pub fn poll_frame(&mut self) -> Option<Received> {
        self.frames.pop_front()
    }

    /// Was a picture lost or refused since this was last asked, so that a keyframe is needed?
    pub fn take_wants_keyframe(&mut self) -> bool {
        std::mem::take(&mut self.wants_keyframe)
    }

    fn append(&mut self, piece: Piece, now: Instant) {
        if piece.payload.is_empty() {
            return;
        }
        if piece.codec.kind() == MediaKind::Audio {
            let sound = Picture::begin(&piece);
            return self.finish(&sound, piece.payload, now);
        }
        let is_other = |picture: &Picture| {
            (picture.timestamp, picture.codec) != (piece.timestamp, piece.codec)
        };
        // The one before had no marker; all its packets came.
        if self.picture.as_ref().is_some_and(is_other) {
            self.finish_picture(now);
        }
        let picture = self.picture.get_or_insert_with(|| Picture::begin(&piece));
        if let (Some(identity), Some(origin)) = (&mut picture.identity, piece.origin) {
            identity.extend(origin);
        }
        if picture
            .partial
            .append(piece.codec, &piece.payload)
            .is_none()
        {
            self.give_up();
        } else if piece.marker {
            self.finish_picture(now);
        }
    }

    fn finish_picture(&mut self, now: Instant) {
        if let Some(mut picture) = self.picture.take() {
            match std::mem::take(&mut picture.partial).finish(picture.codec) {
                Some(data) => self.finish(&picture, data, now),
                None => self.give_up(),
            }
        }
    }

    fn finish(&mut self, picture: &Picture, data: Bytes, arrived: Instant) {
        let &Picture {
            codec,
            timestamp,
            participant,
            identity,
            ..
        } = picture;
        let is_key = is_keyframe(codec, &data);
        if self.is_broken && !is_key {
            self.wants_keyframe = true;
            return;
        }
        self.is_broken = false;
        if self.frames.len() >= MOST_FRAMES {
            self.frames.pop_front();
        }
        self.frames.push_back(Received {
            slot: self.slot.clone(),
            participant,
            codec,
            timestamp,
            identity,
            is_key,
            data,
            arrived,
        });
    }

    fn give_up(&mut self) {
        self.picture = None;
        self.is_broken = true;
    }
}

impl Picture {
    fn begin(first: &Piece) -> Self {
        Self {
            codec: first.codec,
            timestamp: first.timestamp,
            participant: first.participant,
            identity: first.origin.map(Identity::begin),
            partial: Partial::default(),
        }
    }
}

/// The extended number nearest to `reference` that ends in `seq`.
fn extend(reference: u64, seq: u16) -> u64 {
    let ahead = seq.wrapping_sub((reference & 0xffff) as u16);
    if ahead < 0x8000 {
        reference + u64::from(ahead)
    } else {
        reference.saturating_sub(u64::from(ahead.wrapping_neg()))
    }
}

/// Longer than two round trips to most places.
const PATIENCE: Duration = Duration::from_millis(400);

/// Packets that wait for one before them: a second of 5 Mb/s.
const MOST_WAITING: usize = 512;

/// Frames that nobody fetched.
const MOST_FRAMES: usize = 512;

#[cfg(test)]
mod tests;
