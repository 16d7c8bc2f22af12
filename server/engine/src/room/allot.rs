//! What each leg of a room is given of the pictures it watches, and which layers are wanted for that.
//!
//! Gathers what the allocator needs and writes its targets into the slots. The rules are the allocator's; who is told what publishers shall
//! send is the engine's business.

use std::time::Duration;

use baton_protocol::{LayerWanted, MediaKind, PathFromHost, PauseReason, TrackWanted};

use super::Room;
use crate::allocate::{Allocator, Importance, Line, Loss, Outcome, Quality, Redundancy, Target};
use crate::bitrate::Bitrate;
use crate::codec::Codec;
use crate::leg::Leg;
use crate::publication::Publication;
use crate::slot::{Lingering, Slot};
use crate::time::Tick;

/// Sound that is quiet now may be loud the next moment.
const LEAST_SOUND: Bitrate = Bitrate::from_kbps(24);

/// What a line has no room for is wanted for so long all the same: lines are measured within this time, and browsers make all their encoders
/// anew when one begins.
const HOPE: Duration = Duration::from_millis(5000);

impl Room {
    /// Measures what every track costs, and gives up layers that nobody uses.
    pub(crate) fn measure(&mut self, now: Tick) {
        for (_, publication) in self.publications.iter_mut() {
            publication.measure(now);
            if publication.kind() == MediaKind::Video {
                publication.expire_demand(now);
            }
        }
    }

    /// Looks at tracks that were published since the last look.
    pub(crate) fn measure_new(&mut self, now: Tick) {
        let publications = self.publications.iter_mut().map(|(_, found)| found);
        publications
            .filter(|publication| publication.ladder.is_empty())
            .for_each(|publication| publication.measure(now));
    }

    /// Divides what the leg's line carries among its slots.
    pub(crate) fn allot(&mut self, leg: &mut Leg, allocator: &mut Allocator, now: Tick) {
        if !leg.is_connected {
            return;
        }
        let can_probe = leg.can_probe();
        leg.estimator.set_can_probe(can_probe);
        let ceiling = leg.ceiling();
        allocator.clear();
        let Outcome { given, wants, .. } = leg.allotment.outcome;
        let room = ceiling.map_or(u64::MAX, |ceiling| ceiling.0.saturating_sub(given.0));
        let (loss, is_short) = (self.loss_of_sound(leg), given < wants);
        leg.allotment
            .redundancy
            .update(loss, is_short, Bitrate(room), now);
        let is_plain = leg.allotment.redundancy.is_left_out();
        let is_doubled = leg.allotment.redundancy.is_doubled(now);
        let sounds = leg.slots.iter_mut();
        sounds
            .filter(|slot| slot.kind == MediaKind::Audio)
            .for_each(|slot| {
                slot.is_plain = is_plain;
                slot.is_doubled = is_doubled && !slot.takes_redundancy();
            });
        leg.allotment.sound = self.sound_of(leg);
        leg.allotment.views.clear();
        for (index, slot) in leg.slots.iter().enumerate() {
            let (Some((importance, limit, publication)), Ok(index)) =
                (self.claim(slot), u16::try_from(index))
            else {
                continue;
            };
            allocator.add(importance, slot.target, publication.ladder.up_to(limit));
            leg.allotment.views.push(index);
        }
        let outcome = allocator.allocate(&Line {
            budget: ceiling,
            sound: leg.allotment.sound,
            may_rise: leg.allotment.patience.may_rise(now),
            may_return: leg.allotment.patience.may_return(now),
            is_calm: leg.estimator.is_calm(),
        });
        if ceiling.is_some() && outcome.fell {
            let is_sudden = leg.estimator.is_fragile(now);
            leg.allotment.patience.note_fall(is_sudden, now);
        } else if ceiling.is_some() && outcome.rose {
            leg.allotment.patience.note_rise(now);
        }
        leg.allotment.outcome = outcome;
        leg.allotment.is_least = outcome.given <= leg.allotment.sound;
        leg.estimator.set_wanted(outcome.wants);
        if outcome.wants > outcome.given {
            leg.estimator.want_probe(outcome.wants, now);
        }
        let is_fragile = leg.estimator.is_fragile(now);
        leg.pacer.set_budget(ceiling, outcome.given, is_fragile);
        for (view, index) in leg.allotment.views.iter().enumerate() {
            let Some(slot) = leg.slots.get_mut(usize::from(*index)) else {
                continue;
            };
            let target = allocator.target(view);
            slot.target = match self.claim(slot) {
                Some((_, limit, publication)) if ceiling.is_none() => Target::UpTo(Quality {
                    // Whatever layer comes, in the time between two looks.
                    layer: u8::MAX,
                    spatial: if publication.ladder.has_spatial() {
                        limit.spatial
                    } else {
                        u8::MAX
                    },
                    temporal: limit.temporal,
                }),
                Some(_) | None => target,
            };
            self.note_shortage(slot, now);
            slot.lingering = self.lingering(slot, outcome.given, leg.allotment.sound, ceiling);
        }
        for slot in &leg.slots {
            self.note_use(slot, now);
        }
        leg.sort_slots(allocator.order());
    }

    /// Which layers of a leg's own tracks are of use, for its participant. `None`: it has no pictures.
    pub(crate) fn wanted(&self, leg: &Leg) -> Option<PathFromHost> {
        let videos = leg
            .publications
            .iter()
            .filter_map(|key| self.publications.get(*key))
            .filter(|publication| publication.kind() == MediaKind::Video);
        let track = |publication: &Publication| TrackWanted {
            track: publication.track.id,
            layers: publication
                .layers
                .iter()
                .map(|layer| LayerWanted {
                    rid: layer.rid.map(|rid| rid.to_string()),
                    wanted: layer.demand.is_on(),
                })
                .collect(),
        };
        let tracks: Vec<_> = videos.map(track).collect();
        (!tracks.is_empty()).then_some(PathFromHost::Wanted { tracks })
    }

    /// A slot that wants a part of the line: how important it is, the best it has use for, and of what.
    fn claim(&self, slot: &Slot) -> Option<(Importance, Quality, &Publication)> {
        let showing = slot.showing.as_ref().filter(|_| !slot.is_off)?;
        let publication = self.publications.get(showing.publication)?;
        let can_be_shown = publication.kind() == MediaKind::Video
            && !publication.track.muted
            && showing.paused != Some(PauseReason::Codec);
        let view = slot.view.as_ref().filter(|_| can_be_shown)?;
        let size = (showing.width, showing.height);
        let limit = publication.ladder.limit(size, view.fps)?;
        let importance = Importance {
            is_screen: publication.is_screen(),
            is_speaker: self.speakers.first() == Some(&publication.participant),
            priority: view.priority,
        };
        Some((importance, limit, publication))
    }

    /// How much of the layer that a slot reads there is room for until it has left it: beside everything that is `given` for all of it, beside
    /// sound for its base pictures.
    fn lingering(
        &self,
        slot: &Slot,
        given: Bitrate,
        sound: Bitrate,
        ceiling: Option<Bitrate>,
    ) -> Lingering {
        let Some(ceiling) = ceiling else {
            return Lingering::All;
        };
        let showing = slot.showing.as_ref();
        let publication = showing.and_then(|showing| self.publications.get(showing.publication));
        let layer = publication.zip(slot.layer());
        let layer = layer.and_then(|(publication, layer)| publication.layers.get(layer));
        let Some(layer) = layer else {
            return Lingering::Base;
        };
        let rate = |temporal| match layer.meter.rate_up_to(u8::MAX, temporal) {
            Bitrate(0) => layer.declared,
            measured => measured,
        };
        let fits = |beside: Bitrate, rate: Bitrate| beside.0.saturating_add(rate.0) <= ceiling.0;
        if fits(given, rate(u8::MAX)) {
            Lingering::All
        } else if fits(sound, rate(0)) {
            Lingering::Base
        } else {
            Lingering::Nothing
        }
    }

    /// Notes since when a slot is given less than its size asks for.
    fn note_shortage(&self, slot: &mut Slot, now: Tick) {
        let limit = self.claim(slot).map(|(_, limit, _)| limit.layer);
        let is_short = match (slot.target, limit) {
            (Target::UpTo(quality), Some(limit)) => quality.layer < limit,
            (Target::Fresh | Target::Paused, _) | (_, None) => false,
        };
        if let Some(showing) = slot.showing.as_mut() {
            showing.short_since = is_short.then(|| showing.short_since.unwrap_or(now));
        }
    }

    /// What a leg hears, and in which slots.
    fn heard<'a>(&'a self, leg: &'a Leg) -> impl Iterator<Item = (&'a Slot, &'a Publication)> {
        leg.slots
            .iter()
            .filter(|slot| slot.kind == MediaKind::Audio && !slot.is_off)
            .filter_map(|slot| {
                let source = slot.showing.as_ref()?.publication;
                Some((slot, self.publications.get(source)?))
            })
    }

    /// Share of sound that is lost on the way to a leg: on its own line, and before that on the line of somebody who is heard.
    fn loss_of_sound(&self, leg: &Leg) -> Loss {
        let before = self.heard(leg).filter_map(|(_, publication)| {
            let layer = publication.layers.first()?;
            Some(layer.reception.loss())
        });
        Loss {
            line: leg.estimate().loss,
            before: before.fold(0.0, f64::max),
        }
    }

    /// What a leg hears, at the rate it has now.
    pub(super) fn sound_of(&self, leg: &Leg) -> Bitrate {
        let rate = |(slot, publication): (&Slot, &Publication)| {
            let layer = publication.layers.first();
            let rate = layer.map_or(LEAST_SOUND, |layer| {
                let rate = layer.meter.rate_up_to(0, 0);
                let rate = match layer.newest_codec() {
                    Some(Codec::Red) if !slot.takes_redundancy() => Redundancy::plain(rate),
                    Some(Codec::Red) => leg.allotment.redundancy.rate(rate),
                    Some(_) | None => rate,
                };
                rate.max(LEAST_SOUND)
            });
            rate.0 * (1 + u64::from(slot.is_doubled))
        };
        Bitrate(self.heard(leg).map(rate).sum())
    }

    /// Notes which layers a slot has use for: what it shows, what it is to show, and the lowest, which is the way out when the line gets worse.
    fn note_use(&mut self, slot: &Slot, now: Tick) {
        let Some(showing) = slot.showing.as_ref().filter(|_| !slot.is_off) else {
            return;
        };
        let limit = self.claim(slot).map(|(_, limit, _)| limit.layer);
        let Some(publication) = self.publications.get_mut(showing.publication) else {
            return;
        };
        if publication.kind() != MediaKind::Video {
            return;
        }
        publication.note_use(0, now);
        if let Some(reading) = slot.layer() {
            publication.note_use(reading, now);
        }
        let ideal = publication.ideal_layer((showing.width, showing.height));
        let given = match slot.target {
            Target::Paused => return,
            Target::Fresh => u8::MAX,
            Target::UpTo(quality) => quality.layer,
        };
        match limit {
            Some(limit) if given < limit => {
                publication.note_use(usize::from(given), now);
                if showing
                    .short_since
                    .is_none_or(|since| now.since(since) < HOPE)
                {
                    publication.note_use(usize::from(limit), now);
                }
            }
            Some(limit) => {
                publication.note_use(usize::from(limit), now);
                // It may be that it does not come because the publisher's line is bad; once it can, it shall.
                publication.note_use(ideal, now);
            }
            None => publication.note_use(ideal, now),
        }
    }
}
