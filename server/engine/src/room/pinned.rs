//! What a leg to another host is sent: each slot one layer of one track, as it was asked for.
//!
//! When the line between the two hosts is short, sound goes first, then the smallest layers of all, then the next ones: who cannot have the
//! larger layer shows the smaller one. What has no room is paused and comes back when there is room again.

use std::cmp::Reverse;

use baton_protocol::{MediaKind, Pull};
use rand::Rng;

use super::Room;
use crate::allocate::{Outcome, Quality, Target};
use crate::bitrate::Bitrate;
use crate::bridge;
use crate::leg::Leg;
use crate::publication::Publication;
use crate::rtp::Mid;
use crate::slot::Slot;
use crate::time::Tick;

/// What a layer is believed to cost that neither sent nor was declared.
const UNKNOWN_RATE: Bitrate = Bitrate::from_kbps(300);

/// Slots that are kept for what may be asked for again.
const MAX_SLOTS: usize = 2 * baton_protocol::limits::MAX_PULLS;

impl Room {
    /// Makes the slots of a bridge what the other host asks for.
    pub(crate) fn take_pulls(&self, leg: &mut Leg, mut pulls: Vec<Pull>, rng: &mut impl Rng) {
        pulls.truncate(baton_protocol::limits::MAX_PULLS);
        // Each layer is sent once, however often it is asked for.
        pulls.sort_unstable_by_key(|pull| (pull.track, pull.layer, Reverse(pull.slot)));
        pulls.dedup_by_key(|pull| (pull.track, pull.layer));
        for slot in &mut leg.slots {
            slot.is_off = !slot.pin.is_some_and(|pin| pulls.contains(&pin));
            if slot.is_off {
                slot.clear();
            }
        }
        if leg.slots.len() + pulls.len() > MAX_SLOTS {
            // What waits to be sent knows its slot by its place.
            leg.clear_outbox();
            leg.slots.retain(|slot| !slot.is_off);
        }
        for pull in pulls {
            let pinned = |slot: &Slot| slot.pin.is_some_and(|pin| pin.slot == pull.slot);
            let is_known = !bridge::is_slot(pull.slot) || leg.slots.iter().any(pinned);
            let Some((_, publication)) = self.first_hand(pull.track).filter(|_| !is_known) else {
                continue;
            };
            let Ok(mid) = Mid::try_from(pull.slot.to_string().as_str()) else {
                continue;
            };
            let kind = publication.kind();
            let streams = bridge::ssrcs(pull.slot);
            let mut slot = Slot::new(mid, kind, streams, bridge::codecs(kind), rng);
            slot.pin = Some(pull);
            leg.slots.push(slot);
        }
    }

    /// Points every slot of a bridge at its track.
    pub(crate) fn assign_pinned(&self, leg: &mut Leg) {
        for slot in &mut leg.slots {
            let pin = slot.pin.filter(|_| !slot.is_off);
            let found = pin.and_then(|pin| Some((pin, self.first_hand(pin.track)?)));
            let fits = |publication: &Publication, pin: Pull| {
                publication.kind() == slot.kind && usize::from(pin.layer) < publication.layers.len()
            };
            match found {
                Some((pin, (key, publication))) if fits(publication, pin) => {
                    let layer = publication.layers.get(usize::from(pin.layer));
                    let size = layer.map_or((0, 0), |layer| layer.size);
                    slot.show(key, (publication.track.id, publication.participant), size);
                }
                Some(_) | None => slot.clear(),
            }
        }
        leg.note_showing();
    }

    /// Divides what the line to the other host carries.
    pub(crate) fn allot_pinned(&mut self, leg: &mut Leg, now: Tick) {
        if !leg.is_connected {
            return;
        }
        let can_probe = leg.can_probe();
        leg.estimator.set_can_probe(can_probe);
        let ceiling = leg.ceiling();
        let may_rise = leg.allotment.patience.may_rise(now);
        let sound = self.sound_of(leg);
        let mut order: Vec<(u8, bool, u16)> = Vec::with_capacity(leg.slots.len());
        for (index, slot) in (0..).zip(&leg.slots) {
            let shown = self.shown_by(slot);
            if let (Some(publication), Some(pin)) = (shown, slot.pin)
                && slot.kind == MediaKind::Video
            {
                order.push((pin.layer, !publication.is_screen(), index));
            }
        }
        order.sort_unstable();
        let mut outcome = Outcome {
            given: sound,
            wants: sound,
            ..Outcome::default()
        };
        leg.allotment.views.clear();
        for (layer, _, index) in &order {
            let Some(slot) = leg.slots.get_mut(usize::from(*index)) else {
                continue;
            };
            let rate = self
                .shown_by(slot)
                .map_or(UNKNOWN_RATE, |shown| rate_of(shown, usize::from(*layer)));
            outcome.wants.0 = outcome.wants.0.saturating_add(rate.0);
            let sum = outcome.given.0.saturating_add(rate.0);
            let fits = ceiling.is_none_or(|ceiling| sum <= ceiling.0);
            let was_paused = slot.target == Target::Paused;
            let goes = fits && (!was_paused || may_rise);
            outcome.fell |= !goes && !was_paused;
            outcome.rose |= goes && was_paused;
            slot.target = Target::Paused;
            if goes {
                outcome.given.0 = sum;
                slot.target = Target::UpTo(Quality {
                    layer: *layer,
                    ..Quality::BEST
                });
            }
            leg.allotment.views.push(*index);
        }
        if ceiling.is_some() && outcome.fell {
            let is_sudden = leg.estimator.is_fragile(now);
            leg.allotment.patience.note_fall(is_sudden, now);
        } else if ceiling.is_some() && outcome.rose {
            leg.allotment.patience.note_rise(now);
        }
        leg.allotment.sound = sound;
        leg.allotment.outcome = outcome;
        leg.allotment.is_least = outcome.given <= sound;
        leg.estimator.set_wanted(outcome.wants);
        if outcome.wants > outcome.given {
            leg.estimator.want_probe(outcome.wants, now);
        }
        let is_fragile = leg.estimator.is_fragile(now);
        leg.pacer.set_budget(ceiling, outcome.given, is_fragile);
        for (layer, _, index) in &order {
            let slot = leg.slots.get(usize::from(*index));
            let source = slot.and_then(|slot| Some(slot.showing.as_ref()?.publication));
            if let Some(publication) = source.and_then(|key| self.publications.get_mut(key)) {
                publication.note_use(usize::from(*layer), now);
            }
        }
        let in_order: Vec<_> = (0..order.len()).collect();
        leg.sort_slots(&in_order);
    }

    fn shown_by(&self, slot: &Slot) -> Option<&Publication> {
        let showing = slot.showing.as_ref().filter(|_| !slot.is_off)?;
        self.publications.get(showing.publication)
    }
}

fn rate_of(publication: &Publication, layer: usize) -> Bitrate {
    let Some(layer) = publication.layers.get(layer) else {
        return UNKNOWN_RATE;
    };
    match (layer.meter.rate_up_to(u8::MAX, u8::MAX), layer.declared) {
        (Bitrate(0), Bitrate(0)) => UNKNOWN_RATE,
        (Bitrate(0), declared) => declared,
        (measured, _) => measured,
    }
}
