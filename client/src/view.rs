//! Which track each video slot shows, and how large.
//!
//! Pure. One picture is featured at the full size asked for: a shared screen, else the active speaker, else whoever has
//! a camera on. The others are thumbnails. Where slots run out the most important stay; who has a slot keeps it, so
//! that a change of speaker moves sizes, not pictures.

use std::collections::{BTreeMap, BTreeSet};

use baton_protocol::{MediaKind, ParticipantId, SlotView, Source, TrackId};

use crate::room::Room;

/// Size of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Width.
    pub width: u16,
    /// Height.
    pub height: u16,
}

impl Size {
    /// A quarter of both sides, as a row of others beside a large picture has.
    fn thumbnail(self) -> Self {
        Self {
            width: (self.width / 4).max(1),
            height: (self.height / 4).max(1),
        }
    }
}

/// A picture that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// Which track.
    pub track: TrackId,
    /// How large.
    pub size: Size,
    /// 0 is least important.
    pub priority: u8,
}

/// Everything the others show, most important first. `speakers` is loudest first, `featured` the size of the large picture.
pub fn wants(room: &Room, speakers: &[ParticipantId], featured: Size) -> Vec<Want> {
    let others = room.participants().filter(|one| one.id != room.me());
    let mut pictures: Vec<(u8, TrackId)> = others
        .flat_map(|one| one.tracks.iter().map(move |track| (one.id, track)))
        .filter(|(_, track)| track.source.kind() == MediaKind::Video && !track.muted)
        .map(|(by, track)| (priority(track.source, by, speakers), track.id))
        .collect();
    pictures.sort_by_key(|(priority, track)| (std::cmp::Reverse(*priority), *track));
    let want = |(rank, (priority, track)): (usize, (u8, TrackId))| Want {
        track,
        size: if rank == 0 {
            featured
        } else {
            featured.thumbnail()
        },
        priority,
    };
    pictures.into_iter().enumerate().map(want).collect()
}

fn priority(source: Source, by: ParticipantId, speakers: &[ParticipantId]) -> u8 {
    let place = speakers.iter().position(|speaker| *speaker == by);
    match (source, place) {
        (Source::Screen, _) => 3,
        (_, Some(0)) => 2,
        (_, Some(_)) => 1,
        (_, None) => 0,
    }
}

/// What the slots show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    assigned: BTreeMap<String, TrackId>,
}

impl View {
    /// Gives the first wants a slot each and says the whole view in the words of the wire. `slots` are the mids of the
    /// video slots.
    pub fn assign(&mut self, slots: &[String], wants: &[Want]) -> Vec<SlotView> {
        let wants = wants.get(..slots.len()).unwrap_or(wants);
        let mut homeless: BTreeSet<TrackId> = wants.iter().map(|want| want.track).collect();
        let before = std::mem::take(&mut self.assigned);
        for slot in slots {
            if let Some(track) = before.get(slot).filter(|track| homeless.remove(track)) {
                self.assigned.insert(slot.clone(), *track);
            }
        }
        // A slot that showed nothing has no old picture to be replaced.
        let (used, fresh): (Vec<&String>, Vec<&String>) = slots
            .iter()
            .filter(|slot| !self.assigned.contains_key(*slot))
            .partition(|slot| before.contains_key(*slot));
        let homeless = wants.iter().filter(|want| homeless.contains(&want.track));
        for (slot, want) in fresh.into_iter().chain(used).zip(homeless) {
            self.assigned.insert(slot.clone(), want.track);
        }
        let shown = |(slot, track): (&String, &TrackId)| {
            let want = wants.iter().find(|want| want.track == *track)?;
            Some(SlotView {
                slot: slot.clone(),
                track: want.track,
                width: want.size.width,
                height: want.size.height,
                fps: 0,
                priority: want.priority,
            })
        };
        self.assigned.iter().filter_map(shown).collect()
    }
}

#[cfg(test)]
mod tests;
