//! What a slot sends again, and when it gives a packet up: then a keyframe has to take its place, because browsers wait three seconds
//! before they ask for one.

use std::time::Duration;

use super::{OVERHEAD, Outgoing, Slot, codec_for};
use crate::forwarder::Rewrite;
use crate::history::{Refusal, Sent};
use crate::pace::Pacer;
use crate::publication::Publication;
use crate::ring::Stored;
use crate::rtp::seq;
use crate::time::Tick;

/// A repair that reaches its receiver later than this after the packet first came is of no use to it.
const MAX_REPAIR_AGE: Duration = Duration::from_millis(1000);

/// What becomes of a packet that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repair {
    /// It goes out again.
    Repeats,
    /// Not this time, or nobody misses it.
    NotNow,
    /// It will never be there, and nothing after it can be shown before this layer's next keyframe.
    GivenUp { layer: usize },
}

/// What matters of the receiver that asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiver {
    pub(crate) round_trip: Duration,
    /// It is sent dependency descriptors.
    pub(crate) reads_descriptors: bool,
}

impl Slot {
    /// Lists a retransmission of what was sent as `wire`, if it is still there, may be repeated and is of use after half a round trip.
    pub(crate) fn retransmit(
        &mut self,
        index: u16,
        wire: u16,
        publication: &Publication,
        (pacer, receiver): (&mut Pacer, Receiver),
        now: Tick,
        out: &mut Vec<Outgoing>,
    ) -> Repair {
        let Some(source) = self.showing.as_ref().map(|showing| showing.publication) else {
            return Repair::NotNow;
        };
        let number = seq::extend(self.forwarder.highest_seq(), wire);
        let sent = match self.history.retransmit(number, pacer.may_repair(now), now) {
            Ok(sent) => sent,
            Err(Refusal::NotNow) => return Repair::NotNow,
            Err(Refusal::GivenUp(sent)) => {
                return self.give_up(number, &sent, publication, receiver);
            }
        };
        let found = find(publication, &sent).filter(|(_, stored)| {
            now.since(stored.entry.arrival) + receiver.round_trip / 2 <= MAX_REPAIR_AGE
        });
        let Some((position, stored)) = found else {
            return self.give_up(number, &sent, publication, receiver);
        };
        let Some(codec) = codec_for(&self.codecs, stored.entry.codec, false) else {
            return Repair::NotNow;
        };
        let rewrite = Rewrite {
            seq: self.rtx_seq,
            timestamp: sent.timestamp,
            picture_id: sent.picture_id,
            tl0: sent.tl0,
            frame_number: sent.frame_number,
            marker: sent.marker,
            is_empty: sent.is_empty,
        };
        self.rtx_seq += 1;
        pacer.charge_repair(u32::from(stored.entry.weight()) + OVERHEAD, now);
        out.push(Outgoing {
            slot: index,
            publication: source,
            layer: sent.layer,
            position,
            rewrite,
            codec,
            weight: stored.entry.weight(),
            retransmission_of: Some(wire),
        });
        Repair::Repeats
    }

    /// Is a packet that will not be repeated missed? Not when a keyframe followed it, nor when no other picture needs its own, if the
    /// receiver can tell: Firefox reads no dependency descriptors, and VP8 beside those says nothing of its layers.
    fn give_up(
        &self,
        number: u64,
        sent: &Sent,
        publication: &Publication,
        receiver: Receiver,
    ) -> Repair {
        let layer = usize::from(sent.layer);
        let is_behind = self.layer() != Some(layer) || number < self.keyframe_seq;
        let is_spared = find(publication, sent).is_some_and(|(_, stored)| {
            let peek = &stored.entry.peek;
            let has_descriptor = receiver.reads_descriptors && !stored.descriptor.is_empty();
            let can_tell = has_descriptor || peek.ids.tell_layers();
            can_tell && (sent.is_empty || peek.temporal > 0)
        });
        if is_behind || is_spared {
            return Repair::NotNow;
        }
        Repair::GivenUp { layer }
    }
}

/// Where a packet lies that was sent, if it is still there.
fn find<'a>(publication: &'a Publication, sent: &Sent) -> Option<(u64, Stored<'a>)> {
    let ring = &publication.layers.get(usize::from(sent.layer))?.ring;
    let head = ring.head();
    let low = u32::try_from(head & 0xffff_ffff).unwrap_or(0);
    let position = head.checked_sub(u64::from(low.wrapping_sub(sent.position)))?;
    Some((position, ring.at(position)?))
}
