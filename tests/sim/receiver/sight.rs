//! One video slot's decoder: puts packets in order, asks for holes, shows whole pictures in order, and begins anew only at a keyframe.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::{Moment, Packet, is_steady};

/// Reordering is given so long before a hole is asked for.
const GRACE: Duration = Duration::from_millis(15);

/// A hole is asked for so often.
const MAX_REQUESTS: u8 = 10;

/// Nothing could be decoded for so long: a keyframe is asked for (libwebrtc's `kMaxWaitForFrame`).
const PATIENCE: Duration = Duration::from_millis(3000);

/// Round trips for which repairs of a picture are awaited that others can do without.
const REPAIRS: u32 = 5;

/// How far the clock may stray within one source, and where one picture source follows another.
const SAME_TOLERANCE: Duration = Duration::from_millis(100);
const CHANGE_TOLERANCE: Duration = Duration::from_millis(300);

/// How a complaint begins that is the host's fault only where nothing was lost on the way to it.
pub(crate) const TORN: &str = "torn:";

/// One picture that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) person: u32,
    pub(crate) layer: u8,
    pub(crate) stream: u8,
    pub(crate) at: Instant,
}

#[derive(Default)]
pub(crate) struct Sight {
    /// Next packet to decode.
    next: Option<u64>,
    highest: Option<u64>,
    waiting: BTreeMap<u64, Packet>,
    /// Numbers that carry nothing.
    empty: BTreeSet<u64>,
    /// A picture was given a number and then left out: what needs it is not shown, and the base layer goes on (as libwebrtc does).
    is_gapped: bool,
    /// Which pictures of the present stream were shown lately.
    shown: VecDeque<u32>,
    holes: BTreeMap<u64, Hole>,
    last: Option<Packet>,
    /// Since when nothing could be decoded though something came.
    stuck: Option<Instant>,
    asked: Option<Instant>,
    needs_keyframe: bool,
    seen: Vec<Seen>,
}

#[derive(Clone, Copy)]
struct Hole {
    noticed: Instant,
    requested: Option<Instant>,
    requests: u8,
}

impl Sight {
    pub(super) fn highest(&self) -> Option<u64> {
        self.highest
    }

    pub(super) fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    /// A packet without a payload: its number is accounted for.
    pub(super) fn insert_empty(&mut self, index: u64) {
        self.holes.remove(&index);
        if self.next.is_none_or(|next| index >= next) {
            self.empty.insert(index);
        }
    }

    pub(super) fn insert(&mut self, index: u64, packet: Packet, moment: Moment) {
        self.holes.remove(&index);
        if self.next.is_some_and(|next| index < next) {
            return;
        }
        let hole = Hole {
            noticed: moment.now,
            requested: None,
            requests: 0,
        };
        if let Some(highest) = self.highest {
            for missing in highest + 1..index {
                self.holes.insert(missing, hole);
            }
        }
        self.highest = self.highest.max(Some(index));
        self.waiting.insert(index, packet);
    }

    /// Shows what can be shown.
    pub(super) fn advance(&mut self, moment: Moment, complaints: &mut Vec<String>) {
        loop {
            while let Some(next) = self.next.filter(|next| self.empty.remove(next)) {
                self.next = Some(next + 1);
            }
            let whole = self.next.and_then(|next| self.whole_picture(next));
            if let (Some(first), Some(end)) = (self.next, whole) {
                self.show(first, end, false, moment, complaints);
                continue;
            }
            let is_hole_old = self
                .stuck
                .is_some_and(|since| moment.now - since > GRACE * 2);
            let skip = self.next.is_none() || self.needs_keyframe || is_hole_old;
            // A repair of what is no base picture is awaited, as browsers do whose jitter buffer has learnt the round trip.
            let is_hole_hopeless = self
                .stuck
                .is_some_and(|since| moment.now - since > moment.round_trip * REPAIRS);
            let goes_on = is_hole_hopeless && !self.needs_keyframe;
            let base = || self.next_base().filter(|_| goes_on);
            let Some((first, end)) = self.next_keyframe().filter(|_| skip).or_else(base) else {
                break;
            };
            self.show(first, end, true, moment, complaints);
        }
        if self.waiting.is_empty() {
            self.stuck = None;
        } else if self.stuck.is_none() {
            self.stuck = Some(moment.now);
        }
    }

    /// The packet behind a picture that is there from `first` to its marker.
    fn whole_picture(&self, first: u64) -> Option<u64> {
        let mut expected = first;
        for (index, packet) in self.waiting.range(first..) {
            while self.empty.contains(&expected) {
                expected += 1;
            }
            let is_next = *index == expected && (expected == first) == packet.picture.starts;
            if !is_next {
                return None;
            }
            expected += 1;
            if packet.marker {
                return Some(expected);
            }
        }
        None
    }

    fn next_keyframe(&self) -> Option<(u64, u64)> {
        let starts = self
            .waiting
            .iter()
            .filter(|(_, packet)| packet.picture.starts && packet.picture.stamp.is_key);
        starts
            .filter_map(|(first, _)| Some((*first, self.whole_picture(*first)?)))
            .next()
    }

    /// The next picture of the base layer, if nothing of that layer is missing before it (libwebrtc goes by TL0PICIDX too).
    fn next_base(&self) -> Option<(u64, u64)> {
        let last = self.last?.picture.tl0;
        let mut starts = self.waiting.iter().filter(|(_, packet)| {
            let picture = &packet.picture;
            picture.starts && picture.stamp.temporal == 0 && picture.tl0 == last.wrapping_add(1)
        });
        let (first, _) = starts.next()?;
        Some((*first, self.whole_picture(*first)?))
    }

    fn show(
        &mut self,
        first: u64,
        end: u64,
        is_jump: bool,
        moment: Moment,
        complaints: &mut Vec<String>,
    ) {
        let Some(packet) = self.waiting.get(&first).copied() else {
            return;
        };
        let is_torn = self
            .waiting
            .range(..first)
            .next_back()
            .is_some_and(|(index, before)| *index + 1 == first && !before.marker);
        if is_torn {
            complaints.push(format!(
                "{TORN} the picture before packet {first} was left without its end"
            ));
        }
        self.waiting = self.waiting.split_off(&end);
        self.holes = self.holes.split_off(&end);
        self.empty = self.empty.split_off(&end);
        self.next = Some(end);
        self.stuck = None;
        let stamp = packet.picture.stamp;
        if let Some(last) = &self.last {
            complaints.extend(self.complaint(last, &packet, is_jump, moment));
            let follows = packet.picture.picture_id == (last.picture.picture_id + 1) & 0x7fff;
            let base = u8::from(stamp.temporal == 0);
            let is_base_whole = packet.picture.tl0 == last.picture.tl0.wrapping_add(base);
            self.is_gapped = !follows || (self.is_gapped && stamp.temporal > 0);
            self.needs_keyframe |= !is_base_whole && !stamp.is_key;
        } else {
            self.needs_keyframe |= !stamp.is_key;
        }
        if stamp.is_key {
            self.needs_keyframe = false;
            self.shown.clear();
        }
        self.last = Some(packet);
        if self.needs_keyframe {
            return;
        }
        let needed = stamp.count.wrapping_sub(stamp.needs.into());
        if !stamp.is_key && !self.shown.contains(&needed) {
            if self.is_gapped {
                return;
            }
            complaints.push(format!(
                "picture {} of layer {} in {} needs {needed}, which was not shown",
                stamp.count, stamp.layer, stamp.temporal
            ));
        }
        self.shown.push_back(stamp.count);
        if self.shown.len() > 16 {
            self.shown.pop_front();
        }
        self.asked = None;
        self.seen.push(Seen {
            person: stamp.person,
            layer: stamp.layer,
            stream: stamp.stream,
            at: moment.now,
        });
    }

    /// What a strict decoder says about one picture after another.
    fn complaint(
        &self,
        last: &Packet,
        packet: &Packet,
        is_jump: bool,
        moment: Moment,
    ) -> Option<String> {
        let (before, after) = (&last.picture, &packet.picture);
        let from = (before.stamp.person, before.stamp.stream);
        let to = (after.stamp.person, after.stamp.stream);
        let place = format!(
            "picture {} of {to:?} after {} of {from:?}",
            after.picture_id, before.picture_id
        );
        let ids = after.picture_id.wrapping_sub(before.picture_id) & 0x7fff;
        let tl0 = after.tl0.wrapping_sub(before.tl0);
        if !is_jump && (ids != 1 || tl0 != u8::from(after.stamp.temporal == 0)) {
            // A picture whose packets were late had its number before it was known to be left out.
            let torn = if ids == 1 { "" } else { TORN };
            return Some(format!(
                "{torn}{place}: picture id goes on by {ids} and TL0PICIDX by {tl0} though no packet is missing"
            ));
        }
        if ids == 0 || ids > 1 << 14 {
            return Some(format!("{place}: the picture id goes back"));
        }
        if (from, before.stamp.layer) != (to, after.stamp.layer) && !after.stamp.is_key {
            return Some(format!(
                "{place}: another source or layer begins without a keyframe"
            ));
        }
        let ticks = packet.timestamp.wrapping_sub(last.timestamp);
        // Stamps of all people tell the same time.
        let real = after.stamp.captured.saturating_sub(before.stamp.captured);
        let real = Duration::from_micros(real);
        let is_same_layer = (from, before.stamp.layer) == (to, after.stamp.layer);
        let tolerance = if is_same_layer {
            SAME_TOLERANCE
        } else if from == to {
            // Layers that have sent no report yet are lined up by their arrival.
            SAME_TOLERANCE + moment.unrest
        } else {
            CHANGE_TOLERANCE + moment.unrest
        };
        if ticks == 0 || ticks >= 1 << 31 || !is_steady(ticks, 90_000, real, tolerance) {
            return Some(format!(
                "{place}: {} ticks of the clock in {real:?}",
                ticks.cast_signed()
            ));
        }
        None
    }

    /// Holes to ask for now.
    pub(super) fn poll_nacks(&mut self, moment: Moment) -> Vec<u16> {
        let mut lost = Vec::new();
        for (index, hole) in &mut self.holes {
            let due = match hole.requested {
                None => hole.noticed + GRACE,
                Some(requested) => requested + moment.round_trip,
            };
            if due <= moment.now && hole.requests < MAX_REQUESTS {
                hole.requests += 1;
                hole.requested = Some(moment.now);
                lost.push(u16::try_from(index & 0xffff).expect("masked"));
            }
        }
        self.holes.retain(|_, hole| hole.requests < MAX_REQUESTS);
        lost
    }

    /// Is a keyframe to be asked for now?
    pub(super) fn poll_keyframe_request(&mut self, moment: Moment) -> bool {
        let is_stuck = self
            .stuck
            .is_some_and(|since| moment.now - since >= PATIENCE)
            || self.needs_keyframe;
        let is_due = self
            .asked
            .is_none_or(|asked| moment.now - asked >= PATIENCE * 2);
        if is_stuck && is_due {
            self.asked = Some(moment.now);
        }
        is_stuck && is_due
    }
}
