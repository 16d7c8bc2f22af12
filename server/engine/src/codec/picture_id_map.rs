//! Picture ids of a slot, continuous over every change of source and layer.
//!
//! A receiver waits for pictures whose numbers it misses, and freezes on a step backwards. So a subscription counts on
//! from its own last picture, whatever its source counts. Owns the arithmetic only: where a switch happens and what is
//! dropped is the forwarder's decision.

use super::{PictureId, PictureIdWidth, PictureIds};

/// What to write into a packet of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MappedIds {
    /// Nothing: the packet has no such numbers.
    Absent,
    /// These, by [`patch`](super::patch).
    Patch {
        /// Picture id, 15 bits; [`patch`](super::patch) cuts it to the packet's width.
        picture_id: u16,
        /// TL0PICIDX.
        tl0: u8,
    },
    /// The picture was skipped, is from before the switch to this source, or too old to know: do not forward it.
    Stale,
}

/// Gives the pictures of changing sources one running number. One per subscription.
///
/// A picture gets the number of the one before plus the source's own difference; the first after a switch gets the last
/// one plus one. A skipped picture leaves no gap in VP8, whose receivers would wait for it. VP9 refers to pictures by
/// their numbers, so there the gap stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct PictureIdMap {
    pictures: Pictures,
    base_layer: BaseLayer,
}

impl PictureIdMap {
    /// The numbers under which a packet is forwarded. `switched`: this packet starts the keyframe at which the
    /// subscription changes to another source or layer, or comes back after a pause.
    pub fn map(&mut self, ids: PictureIds, switched: bool) -> MappedIds {
        if switched {
            self.pictures.source = None;
            self.base_layer.newest = None;
        }
        let (picture_id, tl0) = fields(ids);
        if let Some(id) = picture_id {
            self.pictures.advance(id, false);
        }
        if let Some(tl0) = tl0 {
            self.base_layer.advance(tl0);
        }
        self.look_up(ids)
    }

    /// The numbers under which a packet of the present source was forwarded before, for sending it again.
    pub fn look_up(&self, ids: PictureIds) -> MappedIds {
        let (picture_id, tl0) = fields(ids);
        if picture_id.is_none() && tl0.is_none() {
            return MappedIds::Absent;
        }
        let picture_id = match picture_id.map(|id| self.pictures.sent_as(id)) {
            Some(None) => return MappedIds::Stale,
            Some(Some(sent)) => sent & PictureIdWidth::Bits15.mask(),
            None => 0,
        };
        let tl0 = tl0.map_or(0, |tl0| self.base_layer.sent_as(tl0));
        MappedIds::Patch { picture_id, tl0 }
    }

    /// This packet's picture is left out on purpose (its temporal layer is above the target): those behind it move up.
    /// Harmless for a picture of which something was already forwarded.
    pub fn skip(&mut self, ids: PictureIds) {
        if let PictureIds::Vp8 {
            picture_id: Some(id),
            ..
        } = ids
            && self.pictures.source.is_some()
        {
            self.pictures.advance(id, true);
        }
    }
}

fn fields(ids: PictureIds) -> (Option<PictureId>, Option<u8>) {
    match ids {
        PictureIds::None => (None, None),
        PictureIds::Vp8 {
            picture_id, tl0, ..
        }
        | PictureIds::Vp9 { picture_id, tl0 } => (picture_id, tl0),
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Pictures {
    /// Number of the newest picture that was not skipped; wraps at 16 bits, cut to 15 on the way out.
    sent: Option<u16>,
    /// `None` until the first picture of a new source.
    source: Option<Source>,
}

/// The present source's last pictures.
#[derive(Clone, Copy, Debug)]
struct Source {
    newest: PictureId,
    /// How many pictures before the newest are also this source's, at most [`WINDOW`] - 1.
    before: u16,
    /// Bit `n`: the picture `n` before the newest was skipped.
    skipped: u64,
}

/// How many pictures back a packet can still be told from one far ahead. Two seconds at 30 pictures per second, and half
/// of what 7 bits can count.
const WINDOW: u16 = 64;

enum Distance {
    Back(u16),
    Ahead(u16),
}

impl Source {
    fn distance_to(&self, id: PictureId) -> Distance {
        // A sender may grow from 7 to 15 bits after 127 (RFC 7741 section 4.2); only the common bits can be compared.
        let mask = self.newest.width.mask() & id.width.mask();
        let back = self.newest.value.wrapping_sub(id.value) & mask;
        if back < WINDOW {
            Distance::Back(back)
        } else {
            Distance::Ahead(mask - back + 1)
        }
    }
}

impl Pictures {
    fn advance(&mut self, id: PictureId, skip: bool) {
        let Some(source) = &mut self.source else {
            self.sent = Some(self.sent.map_or(id.value, |sent| sent.wrapping_add(1)));
            self.source = Some(Source {
                newest: id,
                before: 0,
                skipped: 0,
            });
            return;
        };
        let sent = self.sent.unwrap_or(id.value);
        let step = match source.distance_to(id) {
            Distance::Ahead(step) => {
                source.newest = id;
                source.before = source.before.saturating_add(step).min(WINDOW - 1);
                source.skipped = source.skipped.checked_shl(step.into()).unwrap_or(0);
                source.skipped |= u64::from(skip);
                step - u16::from(skip)
            }
            Distance::Back(0) if !skip && source.skipped & 1 == 1 => {
                source.skipped &= !1;
                1
            }
            Distance::Back(_) => 0,
        };
        self.sent = Some(sent.wrapping_add(step));
    }

    fn sent_as(&self, id: PictureId) -> Option<u16> {
        let (sent, source) = (self.sent?, self.source?);
        let Distance::Back(back) = source.distance_to(id) else {
            return None;
        };
        if back > source.before || source.skipped >> back & 1 == 1 {
            return None;
        }
        // Of the pictures behind this one, those that were skipped have no number.
        let behind = source.skipped & ((1 << back) - 1);
        let unnumbered = u16::try_from(behind.count_ones()).ok()?;
        Some(sent.wrapping_sub(back - unnumbered))
    }
}

/// TL0PICIDX counts base layer pictures, which are never skipped, in 8 bits.
#[derive(Clone, Copy, Debug, Default)]
struct BaseLayer {
    /// Highest number sent.
    sent: Option<u8>,
    /// The present source's number that was sent as that.
    newest: Option<u8>,
}

impl BaseLayer {
    fn advance(&mut self, tl0: u8) {
        let step = match self.newest {
            Some(newest) => tl0.wrapping_sub(newest),
            None => 1,
        };
        if step < 128 {
            self.newest = Some(tl0);
            self.sent = Some(self.sent.map_or(tl0, |sent| sent.wrapping_add(step)));
        }
    }

    fn sent_as(&self, tl0: u8) -> u8 {
        let (Some(sent), Some(newest)) = (self.sent, self.newest) else {
            return tl0;
        };
        sent.wrapping_sub(newest.wrapping_sub(tl0))
    }
}

#[cfg(test)]
mod tests;
