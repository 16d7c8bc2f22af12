//! From what arrived to what is sent: serves every leg of a room that has news, and passes keyframe wishes up to the publishers.

use std::time::{Duration, Instant};

use baton_protocol::MediaKind;

use super::{Engine, leg_deadline, tell_view};
use crate::ahead;
use crate::io::Transmit;
use crate::leg::fill;
use crate::slab::Key;
use crate::time::Tick;

/// Timers are not finer than this anyway.
const LEAST_PAUSE: Duration = Duration::from_millis(1);

/// A room whose legs are being served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Serving {
    room: Key,
    /// Place of the leg whose turn is next.
    next: usize,
}

impl Engine {
    /// Fills `buf` with the next datagrams to send. `None`: nothing is left until the next input. Call it after feeding everything there is.
    pub fn poll_transmit(&mut self, buf: &mut Vec<u8>, now: Instant) -> Option<Transmit> {
        let tick = self.epoch.tick(now);
        if let Some(transmit) = self.poll_own(buf, tick) {
            return Some(transmit);
        }
        if let Some((destination, source, reply)) = self.reflections.poll() {
            return Some(Transmit {
                destination,
                source,
                size: fill(buf, reply.as_bytes()),
                segment_size: None,
            });
        }
        loop {
            if let Some(&key) = self.sending.front() {
                let transmit = self.legs.get_mut(key).and_then(|leg| {
                    let room = self.rooms.get(leg.room)?;
                    leg.poll_transmit(&room.publications, buf, tick, &mut self.stats)
                });
                if let Some(transmit) = transmit {
                    match self.outward(transmit, buf) {
                        None => continue,
                        outward => return outward,
                    }
                }
                self.sending.pop_front();
                if let Some(leg) = self.legs.get_mut(key) {
                    leg.is_queued = false;
                }
                // A probe goes on a few milliseconds later.
                self.schedule_leg(key, leg_deadline(self.legs.get(key)));
                continue;
            }
            let serving = match self.serving.take() {
                Some(serving) => serving,
                None => match self.begin_serving(tick) {
                    Some(serving) => serving,
                    None => return self.poll_leave(buf, tick),
                },
            };
            self.serve(serving, tick);
        }
    }

    /// Takes up a room in which there is something new.
    fn begin_serving(&mut self, now: Tick) -> Option<Serving> {
        let room = self.dirty.pop()?;
        if let Some(room) = self.rooms.get_mut(room) {
            room.is_dirty = false;
            room.release(now);
        }
        Some(Serving { room, next: 0 })
    }

    /// Lists what the next leg of a room is to be sent that is to be sent something. One at a time, so that it is sealed while its
    /// state is still in the cache.
    fn serve(&mut self, serving: Serving, now: Tick) {
        let Serving { room, mut next } = serving;
        while let Some(&leg) = self.rooms.get(room).and_then(|room| room.legs.get(next)) {
            next += 1;
            self.serve_leg(room, leg, now);
            if !self.sending.is_empty() {
                let legs = self.rooms.get(room).map(|room| room.legs.as_slice());
                ahead::for_serving(&self.legs, legs.unwrap_or_default(), next);
                if !self.wanted_keyframes.is_empty() {
                    self.pass_wishes(room, now);
                }
                self.serving = Some(Serving { room, next });
                return;
            }
        }
        self.pass_wishes(room, now);
        self.schedule_room(room, now);
        self.note_served(room, now);
    }

    /// Goes on with what had to wait for a leg's line.
    pub(super) fn resume(&mut self, key: Key, now: Tick) {
        let Some(leg) = self.legs.get_mut(key).filter(|leg| leg.pace_due <= now) else {
            return;
        };
        leg.pace_due = Tick::NEVER;
        let room = leg.room;
        self.serve_leg(room, key, now);
        self.pass_wishes(room, now);
    }

    /// Lists what one leg is to be sent: sound, then pictures by importance, as far as its pace allows.
    fn serve_leg(&mut self, room: Key, key: Key, now: Tick) {
        let Some(room) = self.rooms.get(room) else {
            return;
        };
        let Some(leg) = self.legs.get_mut(key).filter(|leg| leg.is_connected) else {
            return;
        };
        let mut is_held_back = false;
        let (sounds, pictures) = (leg.busy.len(), leg.allotment.order.len());
        for at in 0..sounds + pictures {
            // What shows pictures is in both lists, and served by the order.
            let (index, is_sound) = match at.checked_sub(sounds) {
                None => (leg.busy.get(at), true),
                Some(place) => (leg.allotment.order.get(place), false),
            };
            let Some(&number) = index else {
                continue;
            };
            let index = usize::from(number);
            let Some(slot) = leg.slots.get_mut(index) else {
                continue;
            };
            let Some(showing) = slot.showing.as_ref().filter(|_| !slot.is_off) else {
                continue;
            };
            if is_sound != (slot.kind == MediaKind::Audio) {
                continue;
            }
            let source = showing.publication;
            let Some(publication) = room.publications.get(source) else {
                slot.clear();
                leg.is_view_stale = true;
                continue;
            };
            let collected = slot.collect(
                number,
                publication,
                now,
                &mut leg.pacer,
                &mut leg.outbox,
                &mut self.stats,
            );
            self.wanted_keyframes
                .extend(collected.keyframe_of.map(|layer| (source, layer)));
            if collected.changed {
                self.stats.switches += 1;
                leg.is_view_stale |= slot.kind == MediaKind::Video;
            }
            is_held_back |= collected.is_held_back;
        }
        leg.trim_outbox();
        if leg.is_view_stale {
            tell_view(leg, room, self.epoch.instant(now));
        }
        leg.pace_due = if is_held_back {
            leg.pacer.deadline().max(now + LEAST_PAUSE)
        } else {
            Tick::NEVER
        };
        let has_output = leg.has_output() && !leg.is_queued;
        if has_output {
            leg.is_queued = true;
            self.sending.push_back(key);
        }
        if is_held_back {
            self.schedule_leg(key, leg_deadline(self.legs.get(key)));
        }
    }

    /// Passes on the keyframes that slots wait for.
    fn pass_wishes(&mut self, key: Key, now: Tick) {
        let mut wanted = std::mem::take(&mut self.wanted_keyframes);
        if let Some(room) = self.rooms.get_mut(key) {
            for (source, layer) in wanted.drain(..) {
                let layer = room
                    .publications
                    .get_mut(source)
                    .and_then(|publication| publication.layers.get_mut(layer));
                if let Some(layer) = layer {
                    layer.want_keyframe();
                }
            }
        }
        wanted.clear();
        self.wanted_keyframes = wanted;
        self.ask_room_for_keyframes(key, now);
    }

    /// Passes keyframe wishes of one leg's room on to the publishers.
    pub(super) fn ask_for_keyframes(&mut self, key: Key, now: Tick) {
        if let Some(room) = self.legs.get(key).map(|leg| leg.room) {
            self.ask_room_for_keyframes(room, now);
        }
    }

    fn ask_room_for_keyframes(&mut self, key: Key, now: Tick) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        let mut publishers = [None; 8];
        let mut later = Vec::new();
        for (_, publication) in room.publications.iter() {
            let due = publication
                .layers
                .iter()
                .filter_map(crate::layer::Layer::keyframe_deadline)
                .min();
            let Some(due) = due else { continue };
            let free = publishers
                .iter_mut()
                .find(|known| known.is_none_or(|known| known == publication.leg));
            match free {
                Some(place) if due <= now => *place = Some(publication.leg),
                Some(_) | None => later.push((publication.leg, due.max(now))),
            }
        }
        for leg_key in publishers.into_iter().flatten() {
            let Some(leg) = self.legs.get_mut(leg_key) else {
                continue;
            };
            leg.hasten_feedback(now);
            leg.write_feedback(&mut room.publications, now, &mut self.stats);
            if leg.has_output() && !leg.is_queued {
                leg.is_queued = true;
                self.sending.push_back(leg_key);
            }
        }
        for (leg_key, due) in later {
            if let Some(leg) = self.legs.get_mut(leg_key) {
                leg.hasten_feedback(due);
            }
            self.schedule_leg(leg_key, leg_deadline(self.legs.get(leg_key)));
        }
    }
}
