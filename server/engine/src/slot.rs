//! One receive slot of a leg: what it shall show, what it shows, and the packets it is to be sent next.
//!
//! A slot reads its source's ring by a cursor. It changes layer or source only where decoding can begin, and keeps showing the old
//! layer until then. Sealing and sending is the leg's business (`seal`), choosing tracks the room's (`room`).

use baton_protocol::{MediaKind, ParticipantId, PauseReason, SlotView, TrackId};

use crate::codec::Codec;
use crate::forwarder::{Alignment, DropReason, Forwarder, Rewrite, Verdict};
use crate::history::History;
use crate::publication::Publication;
use crate::rtp::{Mid, PayloadType, Ssrc};
use crate::slab::Key;
use crate::stats::Stats;
use crate::time::Tick;

/// Payload types of a slot for one codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotCodec {
    pub(crate) codec: Codec,
    pub(crate) payload_type: PayloadType,
    pub(crate) retransmission: Option<PayloadType>,
}

/// Which part of a ring a slot reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    layer: usize,
    /// Next position to send.
    cursor: u64,
    generation: u32,
}

/// What a slot is to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Showing {
    pub(crate) publication: Key,
    pub(crate) track: TrackId,
    pub(crate) width: u16,
    pub(crate) height: u16,
    /// A layer it does not read yet, and since when it waits for that layer's keyframe.
    waiting: Option<(usize, Tick)>,
    reading: Option<Reading>,
    pub(crate) paused: Option<PauseReason>,
}

/// A packet to be sent, by reference into a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    pub(crate) slot: u16,
    pub(crate) publication: Key,
    pub(crate) layer: u8,
    pub(crate) position: u64,
    pub(crate) rewrite: Rewrite,
    pub(crate) codec: SlotCodec,
    /// Bytes of payload and descriptor.
    pub(crate) weight: u16,
    /// Sent as a retransmission of this original sequence number.
    pub(crate) retransmission_of: Option<u16>,
}

/// What a slot tells the leg after [`Slot::collect`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Collected {
    /// A layer whose keyframe it waits for.
    pub(crate) keyframe_of: Option<usize>,
    /// What it shows changed: the participant has to be told.
    pub(crate) changed: bool,
}

/// One slot.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) mid: Mid,
    pub(crate) kind: MediaKind,
    pub(crate) ssrc: Ssrc,
    pub(crate) rtx_ssrc: Ssrc,
    pub(crate) codecs: Vec<SlotCodec>,
    /// The m-line is inactive or gone: nothing may be sent.
    pub(crate) is_off: bool,
    /// Who is heard or seen in it: the CSRC of its packets.
    pub(crate) speaker: Option<ParticipantId>,
    /// What the participant asked for, kept while the track may still come.
    pub(crate) view: Option<SlotView>,
    pub(crate) showing: Option<Showing>,
    pub(crate) forwarder: Forwarder,
    pub(crate) history: History,
    /// Next sequence number of the retransmission stream, extended.
    pub(crate) rtx_seq: u64,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
}

impl Slot {
    /// Shows `publication` from now on, at `width` by `height` pixels; keeps what it has if that is the same track.
    pub(crate) fn show(
        &mut self,
        publication: Key,
        source: (TrackId, ParticipantId),
        size: (u16, u16),
    ) {
        let (width, height) = size;
        self.speaker = Some(source.1);
        match &mut self.showing {
            Some(showing) if showing.publication == publication => {
                (showing.width, showing.height) = (width, height);
            }
            Some(_) | None => {
                self.history.clear();
                self.showing = Some(Showing {
                    publication,
                    track: source.0,
                    width,
                    height,
                    waiting: None,
                    reading: None,
                    paused: None,
                });
            }
        }
    }

    /// Ticks per second of the slot's timestamps.
    pub(crate) fn clock_rate(&self) -> u32 {
        match self.kind {
            MediaKind::Audio => 48_000,
            MediaKind::Video => 90_000,
        }
    }

    /// Shows nothing.
    pub(crate) fn clear(&mut self) {
        self.showing = None;
        self.history.clear();
    }

    /// The layer it reads, for reports.
    pub(crate) fn layer(&self) -> Option<usize> {
        self.showing.as_ref()?.reading.map(|reading| reading.layer)
    }

    /// Brings the slot to the layer it should show and lists what is to be sent of it.
    pub(crate) fn collect(
        &mut self,
        index: u16,
        publication: &Publication,
        now: Tick,
        out: &mut Vec<Outgoing>,
        stats: &mut Stats,
    ) -> Collected {
        let before = self
            .showing
            .as_ref()
            .map(|showing| (self.layer(), showing.paused));
        let keyframe_of = self.choose(publication, now);
        self.read(index, publication, out, stats);
        let after = self
            .showing
            .as_ref()
            .map(|showing| (self.layer(), showing.paused));
        Collected {
            keyframe_of,
            changed: before != after,
        }
    }

    /// Moves towards the wanted layer. Gives the layer whose keyframe has to be asked for.
    fn choose(&mut self, publication: &Publication, now: Tick) -> Option<usize> {
        let (fresh, newest) = (!self.forwarder.has_sent(), self.forwarder.newest());
        let showing = self.showing.as_mut()?;
        let is_same_stream = |reading: &Reading| {
            publication
                .layers
                .get(reading.layer)
                .is_some_and(|layer| layer.generation == reading.generation)
        };
        if showing
            .reading
            .is_some_and(|reading| !is_same_stream(&reading))
        {
            showing.reading = None;
            showing.waiting = None;
            self.history.clear();
        }
        if publication.track.muted {
            showing.reading = None;
            showing.waiting = None;
            showing.paused = Some(PauseReason::Muted);
            return None;
        }
        if publication.kind() == MediaKind::Audio {
            if showing.reading.is_none() {
                let layer = publication.layers.first()?;
                let cursor = layer.newest_packet(now);
                let Some(cursor) = cursor else {
                    showing.paused = Some(PauseReason::Waiting);
                    return None;
                };
                self.begin(publication, 0, cursor, None);
            }
            return None;
        }
        let Some(wanted) = publication.layer_for(showing.width, showing.height) else {
            showing.paused = Some(PauseReason::Waiting);
            return Some(0);
        };
        if showing
            .reading
            .is_some_and(|reading| reading.layer == wanted)
        {
            // Only a packet that goes out shows that the codec fits again.
            showing.paused = showing
                .paused
                .filter(|reason| *reason == PauseReason::Codec);
            showing.waiting = None;
            return None;
        }
        let since = match showing.waiting {
            Some((layer, since)) if layer == wanted => since,
            Some(_) | None => {
                showing.waiting = Some((wanted, now));
                now
            }
        };
        let layer = publication.layers.get(wanted)?;
        let Some(keyframe) = layer.entry_point(fresh, since, now) else {
            if showing.reading.is_none() {
                showing.paused = Some(PauseReason::Waiting);
            }
            return Some(wanted);
        };
        let alignment = showing.reading.zip(newest).and_then(|(old, _)| {
            publication
                .align(keyframe.timestamp, wanted, old.layer)
                .map(|timestamp| Alignment { timestamp })
        });
        self.begin(publication, wanted, keyframe.position, alignment);
        None
    }

    fn begin(
        &mut self,
        publication: &Publication,
        layer: usize,
        cursor: u64,
        alignment: Option<Alignment>,
    ) {
        let Some((index, layer)) = publication.layers.get(layer).map(|found| (layer, found)) else {
            return;
        };
        let first = layer
            .keyframe_entry(cursor)
            .or_else(|| layer.ring.at(cursor).map(|stored| *stored.entry));
        let (Some(first), Some(showing)) = (first, self.showing.as_mut()) else {
            return;
        };
        self.forwarder.switch(&first, alignment);
        showing.reading = Some(Reading {
            layer: index,
            cursor,
            generation: layer.generation,
        });
        showing.paused = None;
    }

    /// Lists the packets between the cursor and what is ready.
    fn read(
        &mut self,
        index: u16,
        publication: &Publication,
        out: &mut Vec<Outgoing>,
        stats: &mut Stats,
    ) {
        let Some(showing) = self.showing.as_mut() else {
            return;
        };
        let Some(reading) = showing.reading.as_mut() else {
            return;
        };
        let Some(layer) = publication.layers.get(reading.layer) else {
            return;
        };
        if reading.cursor < layer.ring.tail() {
            stats.drop_packets(DropReason::Overtaken, layer.ring.tail() - reading.cursor);
            reading.cursor = layer.ring.tail();
        }
        while reading.cursor < layer.ready() {
            let position = reading.cursor;
            reading.cursor += 1;
            let Some(stored) = layer.ring.at(position) else {
                continue;
            };
            let Some(codec) = codec_for(&self.codecs, stored.entry.codec) else {
                showing.paused = Some(PauseReason::Codec);
                stats.drop_packets(DropReason::Codec, 1);
                continue;
            };
            match self.forwarder.judge(&stored) {
                Verdict::Drop(reason) => stats.drop_packets(reason, 1),
                Verdict::Forward(rewrite) => {
                    showing.paused = None;
                    let layer = u8::try_from(reading.layer).unwrap_or(u8::MAX);
                    if codec.retransmission.is_some() {
                        self.history
                            .record(rewrite.seq, History::note(position, layer, &rewrite));
                    }
                    out.push(Outgoing {
                        slot: index,
                        publication: showing.publication,
                        layer,
                        position,
                        rewrite,
                        codec,
                        weight: stored.entry.weight(),
                        retransmission_of: None,
                    });
                }
            }
        }
    }

    /// Lists a retransmission of what was sent as `wire`, if it is still there and may be repeated.
    pub(crate) fn retransmit(
        &mut self,
        index: u16,
        wire: u16,
        publication: &Publication,
        now: Tick,
        out: &mut Vec<Outgoing>,
    ) -> bool {
        let Some(showing) = &self.showing else {
            return false;
        };
        let seq = crate::rtp::seq::extend(self.forwarder.highest_seq(), wire);
        let Some(sent) = self.history.retransmit(seq, now) else {
            return false;
        };
        let Some(layer) = publication.layers.get(usize::from(sent.layer)) else {
            return false;
        };
        let head = layer.ring.head();
        let behind = u64::from(
            u32::try_from(head & 0xffff_ffff)
                .unwrap_or(0)
                .wrapping_sub(sent.position),
        );
        let Some(position) = head.checked_sub(behind) else {
            return false;
        };
        let Some(stored) = layer.ring.at(position) else {
            return false;
        };
        let Some(codec) = codec_for(&self.codecs, stored.entry.codec) else {
            return false;
        };
        let rewrite = Rewrite {
            seq: self.rtx_seq,
            timestamp: sent.timestamp,
            picture_id: sent.picture_id,
            tl0: sent.tl0,
            frame_number: sent.frame_number,
        };
        self.rtx_seq += 1;
        out.push(Outgoing {
            slot: index,
            publication: showing.publication,
            layer: sent.layer,
            position,
            rewrite,
            codec,
            weight: stored.entry.weight(),
            retransmission_of: Some(wire),
        });
        true
    }
}

/// The codec entry that carries `codec`: RED falls back to the Opus inside it.
fn codec_for(codecs: &[SlotCodec], codec: Codec) -> Option<SlotCodec> {
    let find = |wanted| codecs.iter().find(|known| known.codec == wanted).copied();
    find(codec).or_else(|| {
        if codec == Codec::Red {
            find(Codec::Opus)
        } else {
            None
        }
    })
}
