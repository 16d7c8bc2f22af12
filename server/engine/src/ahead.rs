//! Reading ahead. What a leg keeps lies on several pages of memory that nothing has touched since its last picture, and one after the other
//! is waited for as work comes to it. Read together beforehand, they come at the same time, and while the leg before is being sealed.
//!
//! Owns which parts are read. Changes nothing.

use std::hint::black_box;

use crate::leg::Leg;
use crate::slab::{Key, Slab};
use crate::slot::Slot;

/// Slots of a leg that are read; most legs show no more.
const SLOTS: usize = 4;

/// Reads what serving a leg, and taking its reports, will read first.
pub(crate) fn read(legs: &Slab<Leg>, key: Option<Key>) {
    if let Some(leg) = key.and_then(|key| legs.get(key)) {
        black_box(of_leg(leg));
    }
}

fn of_leg(leg: &Leg) -> u64 {
    let busy = leg.busy.iter().take(SLOTS);
    let slots = busy.filter_map(|index| leg.slots.get(usize::from(*index)));
    let slots = slots.fold(0, |all, slot| all ^ of_slot(slot));
    let order = leg.allotment.order.first().copied().unwrap_or(0);
    let profile = leg
        .crypto
        .as_ref()
        .map(|crypto| crypto.outbound.profile().rtp_tag_len());
    let estimate = leg.estimator.glance(leg.transport_seq);
    let port = leg.remote.map_or(0, |remote| remote.port());
    slots
        ^ estimate
        ^ profile.unwrap_or(0) as u64
        ^ u64::from(order ^ port)
        ^ leg.heard.0
        ^ leg.pace_due.0
        ^ leg.pacer.deadline().0
        ^ leg.allotment.outcome.given.0
        ^ leg.control.len() as u64
        ^ leg.nacks.len() as u64
}

fn of_slot(slot: &Slot) -> u64 {
    let showing = slot.showing.as_ref();
    let showing = showing.map_or(0, |showing| showing.publication.index());
    let codec = slot.codecs.first().map_or(0, |known| known.codec as u64);
    let next = slot.forwarder.highest_seq() + 1;
    showing as u64 ^ codec ^ u64::from(slot.packets) ^ u64::from(slot.history.glance(next))
}
