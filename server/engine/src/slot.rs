//! One receive slot of a leg: what it shall show, what it shows, and the packets it is to be sent next.
//!
//! A slot reads its source's ring by a cursor. It changes layer or source only where decoding can begin, and keeps showing the old
//! layer until then. Sealing and sending is the leg's business (`seal`), choosing tracks the room's (`room`).

mod repair;
mod trim;

use std::cmp::Ordering;
use std::time::Duration;

use baton_protocol::{MediaKind, ParticipantId, PauseReason, Pull, SlotView, TrackId};
use rand::Rng;

use crate::allocate::{Quality, Target};
use crate::codec::Codec;
use crate::forwarder::{Alignment, DropReason, Forwarder, Rewrite, Verdict};
use crate::history::History;
use crate::layer::OVERHEAD;
use crate::pace::Pacer;
use crate::prefetch;
use crate::publication::Publication;
use crate::rtp::{Mid, PayloadType, Ssrc};
use crate::slab::Key;
use crate::stats::Stats;
use crate::time::Tick;

pub(crate) use repair::{Receiver, Repair};
use trim::{Passage, Trim};

/// A picture that waited for the line so long is sent without its higher temporal layers.
const HURRY: Duration = Duration::from_millis(100);

/// And after so long not at all: the next keyframe is sooner there.
const MAX_WAIT: Duration = Duration::from_millis(200);

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
    trim: Trim,
    /// Timestamp of the picture that was sent last; none before the first.
    picture: Option<u32>,
}

/// What may be sent of a layer that is to be left for a smaller one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lingering {
    All,
    /// Its lowest temporal layer.
    Base,
    /// What goes out would only be lost on the line, and other things with it.
    Nothing,
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
    /// Since when the line has no room for what its size asks for.
    pub(crate) short_since: Option<Tick>,
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
    /// More is there than may be sent now.
    pub(crate) is_held_back: bool,
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
    /// On a bridge: the one layer of the one track that it is for.
    pub(crate) pin: Option<Pull>,
    /// How much of it the line has room for.
    pub(crate) target: Target,
    /// What the line has room for of a layer that it leaves for less, until the keyframe of that is there.
    pub(crate) lingering: Lingering,
    /// Sound goes out without the redundancy (RED) that it came with.
    pub(crate) is_plain: bool,
    /// Sound goes out twice.
    pub(crate) is_doubled: bool,
    pub(crate) forwarder: Forwarder,
    pub(crate) history: History,
    /// Number under which the newest keyframe began.
    keyframe_seq: u64,
    /// Next sequence number of the retransmission stream, extended.
    pub(crate) rtx_seq: u64,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
}

impl Slot {
    /// A slot that shows nothing yet. `streams`: SSRCs of media and retransmissions.
    pub(crate) fn new(
        mid: Mid,
        kind: MediaKind,
        (ssrc, rtx_ssrc): (Ssrc, Ssrc),
        codecs: Vec<SlotCodec>,
        rng: &mut impl Rng,
    ) -> Self {
        let clock_rate = match kind {
            MediaKind::Audio => 48_000,
            MediaKind::Video => 90_000,
        };
        // Below 2^15, so that a receiver that misses the first packets cannot misjudge the rollover (RFC 3711 section 3.3.1).
        let first = |[a, b]: [u8; 2]| u16::from_be_bytes([a & 0x7f, b]) | 1;
        let [a, b, c, d] = rng.next_u32().to_be_bytes();
        Self {
            mid,
            kind,
            ssrc,
            rtx_ssrc,
            codecs,
            is_off: false,
            speaker: None,
            view: None,
            showing: None,
            pin: None,
            target: Target::Fresh,
            lingering: Lingering::All,
            is_plain: false,
            is_doubled: false,
            forwarder: Forwarder::new(first([a, b]), rng.next_u32(), clock_rate),
            history: History::default(),
            keyframe_seq: 0,
            rtx_seq: u64::from(first([c, d])),
            packets: 0,
            octets: 0,
        }
    }

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
                self.target = Target::Fresh;
                self.showing = Some(Showing {
                    publication,
                    track: source.0,
                    width,
                    height,
                    waiting: None,
                    reading: None,
                    paused: None,
                    short_since: None,
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

    /// Asks for the memory that it points to, where the next `packets` will be noted.
    pub(crate) fn fetch_notes(&self, packets: usize) {
        prefetch::fetch_at(self.codecs.as_ptr(), size_of_val(self.codecs.as_slice()));
        self.history
            .fetch(self.forwarder.highest_seq() + 1, packets);
    }

    /// Can its receiver take several packets of sound in one (RED)?
    pub(crate) fn takes_redundancy(&self) -> bool {
        self.codecs.iter().any(|known| known.codec == Codec::Red)
    }

    /// Shows nothing.
    pub(crate) fn clear(&mut self) {
        self.showing = None;
        self.target = Target::Fresh;
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
        pacer: &mut Pacer,
        out: &mut Vec<Outgoing>,
        stats: &mut Stats,
    ) -> Collected {
        let before = self
            .showing
            .as_ref()
            .map(|showing| (self.layer(), showing.paused));
        let keyframe_of = self.choose(publication, now);
        let is_held_back = self.read(index, publication, now, pacer, out, stats);
        let after = self
            .showing
            .as_ref()
            .map(|showing| (self.layer(), showing.paused));
        Collected {
            keyframe_of: keyframe_of.or_else(|| self.needs_keyframe(publication)),
            changed: before != after,
            is_held_back,
        }
    }

    /// The layer whose keyframe it takes to show another of its spatial layers.
    fn needs_keyframe(&self, publication: &Publication) -> Option<usize> {
        let reading = self.showing.as_ref()?.reading?;
        let highest = publication
            .layers
            .get(reading.layer)?
            .meter
            .highest_spatial();
        let target = passing(self.target, reading.layer, self.lingering);
        reading
            .trim
            .needs_keyframe(target, highest)
            .then_some(reading.layer)
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
        let ceiling = match self.target {
            Target::UpTo(quality) => quality,
            Target::Fresh => Quality::BEST,
            Target::Paused => {
                showing.reading = None;
                showing.waiting = None;
                showing.paused = Some(PauseReason::Bandwidth);
                return None;
            }
        };
        let size = (showing.width, showing.height);
        let wanted = match self.pin {
            Some(pull) => Some(usize::from(pull.layer)),
            None => publication.layer_for(size, ceiling.layer),
        };
        let Some(wanted) = wanted else {
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
            trim: Trim::at_keyframe(passing(self.target, index, self.lingering)),
            picture: None,
        });
        showing.paused = None;
    }

    /// Lists the packets between the cursor and what is ready, as far as the pace allows. True when something is left.
    fn read(
        &mut self,
        index: u16,
        publication: &Publication,
        now: Tick,
        pacer: &mut Pacer,
        out: &mut Vec<Outgoing>,
        stats: &mut Stats,
    ) -> bool {
        let Some(showing) = self.showing.as_mut() else {
            return false;
        };
        let Some(reading) = showing.reading.as_mut() else {
            return false;
        };
        let Some(layer) = publication.layers.get(reading.layer) else {
            return false;
        };
        if reading.cursor < layer.ring.tail() {
            stats.drop_packets(DropReason::Overtaken, layer.ring.tail() - reading.cursor);
            reading.cursor = layer.ring.tail();
        }
        let ring = &layer.ring;
        let target = passing(self.target, reading.layer, self.lingering);
        let is_paced = self.kind == MediaKind::Video && pacer.is_paced(now);
        let mut is_begun = false;
        while reading.cursor < layer.ready() {
            let position = reading.cursor;
            let Some(stored) = layer.ring.at(position) else {
                reading.cursor += 1;
                continue;
            };
            let mut target = target;
            if is_paced {
                let is_new_picture = reading.picture != Some(stored.entry.timestamp);
                let may_go = if is_begun && !is_new_picture {
                    pacer.may_go_on(now)
                } else {
                    pacer.may_begin(now)
                };
                let waited = now.since(stored.entry.arrival);
                let is_left =
                    self.lingering == Lingering::Nothing && is_above(self.target, reading.layer);
                if is_new_picture && reading.picture.is_some() && is_left {
                    stats.drop_packets(DropReason::Late, layer.ready() - position);
                    showing.reading = None;
                    return false;
                }
                if is_new_picture && reading.picture.is_some() && waited > MAX_WAIT {
                    stats.drop_packets(DropReason::Late, layer.ready() - position);
                    showing.waiting = Some((reading.layer, stored.entry.arrival));
                    showing.reading = None;
                    return true;
                }
                if !may_go {
                    return true;
                }
                if waited > HURRY {
                    target.temporal = 0;
                }
                is_begun = true;
            }
            reading.cursor += 1;
            reading.picture = Some(stored.entry.timestamp);
            let Some(codec) = codec_for(&self.codecs, stored.entry.codec, self.is_plain) else {
                showing.paused = Some(PauseReason::Codec);
                stats.drop_packets(DropReason::Codec, 1);
                continue;
            };
            let layer = u8::try_from(reading.layer).unwrap_or(u8::MAX);
            let mut outgoing = Outgoing {
                slot: index,
                publication: showing.publication,
                layer,
                position,
                rewrite: Rewrite::default(),
                codec,
                weight: stored.entry.weight(),
                retransmission_of: None,
            };
            let Passage::Keep { ends_picture } =
                reading
                    .trim
                    .judge(&stored.entry.peek, stored.entry.seq, target)
            else {
                stats.drop_packets(DropReason::Layer, 1);
                if let Some(rewrite) = self.forwarder.skip(stored.entry) {
                    fill(&mut self.history, outgoing, rewrite, out);
                }
                continue;
            };
            if self.kind == MediaKind::Audio {
                self.forwarder.set_doubled(self.is_doubled, stored.entry);
                let before = position.checked_sub(1).filter(|_| self.is_doubled);
                let before = before.and_then(|before| Some((before, ring.at(before)?)));
                if let Some((position, before)) = before
                    && let Some(codec) = codec_for(&self.codecs, before.entry.codec, self.is_plain)
                    && let Some(rewrite) = self.forwarder.copy(before.entry)
                {
                    let weight = before.entry.weight();
                    pacer.charge(u32::from(weight) + OVERHEAD, now);
                    out.push(Outgoing {
                        position,
                        rewrite,
                        codec,
                        weight,
                        ..outgoing
                    });
                }
            }
            match self.forwarder.judge(&stored, ends_picture) {
                Verdict::Drop(reason) => stats.drop_packets(reason, 1),
                Verdict::Fill(reason, rewrite) => {
                    stats.drop_packets(reason, 1);
                    fill(&mut self.history, outgoing, rewrite, out);
                }
                Verdict::Forward(rewrite) => {
                    showing.paused = None;
                    if stored.entry.peek.keyframe && stored.entry.peek.starts_frame {
                        self.keyframe_seq = rewrite.seq;
                    }
                    if codec.retransmission.is_some() {
                        self.history
                            .record(rewrite.seq, History::note(position, layer, &rewrite));
                    }
                    pacer.charge(u32::from(outgoing.weight) + OVERHEAD, now);
                    outgoing.rewrite = rewrite;
                    out.push(outgoing);
                }
            }
        }
        false
    }
}

/// Lists an empty packet under the number that belongs to one which is left out.
fn fill(history: &mut History, mut outgoing: Outgoing, rewrite: Rewrite, out: &mut Vec<Outgoing>) {
    if outgoing.codec.retransmission.is_some() {
        let note = History::note(outgoing.position, outgoing.layer, &rewrite);
        history.record(rewrite.seq, note);
    }
    (outgoing.rewrite, outgoing.weight) = (rewrite, 0);
    out.push(outgoing);
}

/// What of a layer passes: all of one that is smaller than the target, what the target says of its own, and of one that is to be left all
/// that the line has room for, at least its base pictures.
fn passing(target: Target, layer: usize, lingering: Lingering) -> Quality {
    let Target::UpTo(quality) = target else {
        return Quality::BEST;
    };
    match usize::from(quality.layer).cmp(&layer) {
        Ordering::Equal => quality,
        Ordering::Greater if quality.layer < u8::MAX => Quality::BEST,
        // No layer was named: what is said of the others' holds for each.
        Ordering::Greater => quality,
        Ordering::Less if lingering == Lingering::All => Quality::BEST,
        Ordering::Less => Quality {
            temporal: 0,
            ..Quality::BEST
        },
    }
}

/// Is the layer better than what is given?
fn is_above(target: Target, layer: usize) -> bool {
    matches!(target, Target::UpTo(quality) if layer > usize::from(quality.layer))
}

/// The codec entry that carries `codec`: RED falls back to the Opus inside it, and always where `is_plain`.
fn codec_for(codecs: &[SlotCodec], codec: Codec, is_plain: bool) -> Option<SlotCodec> {
    let find = |wanted| codecs.iter().find(|known| known.codec == wanted).copied();
    let inside = || (codec == Codec::Red).then(|| find(Codec::Opus)).flatten();
    inside()
        .filter(|_| is_plain)
        .or_else(|| find(codec))
        .or_else(inside)
}
