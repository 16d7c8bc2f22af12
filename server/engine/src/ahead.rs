//! Fetching ahead. What a leg keeps lies in a hundred places of memory that nothing has touched since its last picture, and one after the other
//! is waited for as work comes to it. They are asked for beforehand, while other legs have their turn: what a leg is, then what it points to,
//! then what that points to.
//!
//! Owns which parts are fetched. Changes nothing.

use crate::leg::Leg;
use crate::prefetch::{fetch, fetch_at};
use crate::slab::{Key, Slab};
use crate::slot::{Outgoing, Slot};

/// Slots of a leg that are fetched; most legs show no more.
const SLOTS: usize = 4;

/// Packets of a picture whose places are fetched.
const PACKETS: usize = 5;

/// For serving legs one after the other: the leg at `next` is the next one, and those behind it take one step each.
pub(crate) fn for_serving(legs: &Slab<Leg>, keys: &[Key], next: usize) {
    let at = |ahead: usize| keys.get(next + ahead).copied();
    if let Some(key) = at(3) {
        legs.fetch(key);
    }
    let leg = |ahead| legs.get(at(ahead)?);
    if let Some(leg) = leg(2) {
        fetch_at(leg.busy.as_ptr(), 1);
        fetch_at(leg.allotment.order.as_ptr(), 1);
        fetch_at(leg.outbox.as_ptr(), PACKETS * size_of::<Outgoing>());
        leg.estimator.fetch_for_sending();
    }
    if let Some(leg) = leg(1) {
        shown(leg).for_each(fetch);
        leg.estimator.fetch_notes(leg.transport_seq);
    }
    if let Some(leg) = leg(0) {
        shown(leg).for_each(|slot| slot.fetch_notes(PACKETS));
    }
}

/// For taking reports of these legs, all of which take a step before the next one.
pub(crate) fn for_reports(legs: &Slab<Leg>, keys: &[Option<Key>]) {
    let keys = || keys.iter().flatten().copied();
    let legs_there = || keys().filter_map(|key| legs.get(key));
    keys().for_each(|key| legs.fetch(key));
    legs_there().for_each(|leg| fetch(&*leg.estimator));
    legs_there().for_each(|leg| leg.estimator.fetch_notes(leg.transport_seq));
}

/// Slots that show something.
fn shown(leg: &Leg) -> impl Iterator<Item = &Slot> {
    let busy = leg.busy.iter().take(SLOTS);
    busy.filter_map(|index| leg.slots.get(usize::from(*index)))
}
