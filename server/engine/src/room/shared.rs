//! Tracks that come to a host on more than one way: from their publisher, and over a bridge from another host.
//!
//! One copy of each is shown and heard; the others are spare. While a call moves, publishers change over from one host to the other, and
//! who stays on either shall miss nothing: the copy that shall be used from then on is fetched beside the other, and taken where decoding
//! can begin.

use std::time::Duration;

use baton_protocol::{HostRole, MediaKind, TrackId};

use super::Room;
use crate::publication::Publication;
use crate::slab::Key;
use crate::time::Tick;

/// A copy of which nothing came for so long is not being sent. Silence that is not transmitted is told of every 400 ms.
const PICTURES_LOST: Duration = Duration::from_millis(500);
const SOUND_LOST: Duration = Duration::from_millis(1000);

/// So long after this host has handed the call over, its participants are about to stop sending here. After that what goes on goes on.
const HANDING_OVER: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Which copy is in use, of each track that comes over a bridge.
    chosen: Vec<(TrackId, Key)>,
    spare: Vec<Key>,
    /// Spare, and to be in use as soon as it can begin.
    coming: Vec<Key>,
    /// Kept for its memory.
    copies: Vec<(TrackId, Key)>,
}

impl Shared {
    pub(super) fn has_spare(&self, key: Key) -> bool {
        !self.spare.is_empty() && self.spare.contains(&key)
    }
}

impl Room {
    /// Publications that are shown and heard: of each track one.
    pub(crate) fn in_use(&self) -> impl Iterator<Item = (Key, &Publication)> {
        let all = self.publications.iter();
        all.filter(|(key, _)| !self.shared.has_spare(*key))
    }

    /// What this host's own participants send of a track.
    pub(crate) fn first_hand(&self, track: TrackId) -> Option<(Key, &Publication)> {
        let mut all = self.publications.iter();
        all.find(|(_, known)| known.track.id == track && known.remote.is_none())
    }

    /// Is it of no use now, nor about to be?
    pub(crate) fn is_spare(&self, key: Key) -> bool {
        self.shared.has_spare(key) && !self.shared.coming.contains(&key)
    }

    /// Is a copy waited for that can be taken since this moment?
    pub(crate) fn has_come(&self, now: Tick) -> bool {
        let mut coming = self.shared.coming.iter();
        coming.any(|key| {
            let publication = self.publications.get(*key);
            publication.is_some_and(|publication| is_ready(publication, now))
        })
    }

    /// Chooses the copy of each track that is used.
    pub(crate) fn settle_shared(&mut self, now: Tick) {
        self.shared.spare.clear();
        self.shared.coming.clear();
        if !self
            .publications
            .iter()
            .any(|(_, one)| one.remote.is_some())
        {
            self.shared.chosen.clear();
            return;
        }
        let mut copies = std::mem::take(&mut self.shared.copies);
        copies.clear();
        let all = self.publications.iter();
        copies.extend(all.map(|(key, publication)| (publication.track.id, key)));
        copies.sort_unstable();
        for same in copies.chunk_by(|a, b| a.0 == b.0) {
            let track = same.first().map(|(track, _)| *track);
            // Somebody who opens a leg anew has two copies here for a while, and both are first hand.
            let Some(chosen) = track.and_then(|track| self.choose(track, same, now)) else {
                continue;
            };
            let spare = same.iter().map(|(_, key)| *key);
            self.shared.spare.extend(spare.filter(|key| *key != chosen));
        }
        let is_there = |track: TrackId| copies.iter().any(|(known, _)| *known == track);
        self.shared.chosen.retain(|(track, _)| is_there(*track));
        self.shared.copies = copies;
        self.note_asked(now);
    }

    /// None: nothing of it comes over a bridge.
    fn choose(&mut self, track: TrackId, same: &[(TrackId, Key)], now: Tick) -> Option<Key> {
        let keys = || same.iter().map(|(_, key)| *key);
        let is_remote = |key: &Key| {
            let publication = self.publications.get(*key);
            publication.is_some_and(|one| one.remote.is_some())
        };
        if !keys().any(|key| is_remote(&key)) {
            self.shared.chosen.retain(|(known, _)| *known != track);
            return None;
        }
        let before = self
            .shared
            .chosen
            .iter()
            .position(|(known, _)| *known == track);
        let current = before
            .and_then(|index| Some(self.shared.chosen.get(index)?.1))
            .filter(|current| keys().any(|key| key == *current))
            .or_else(|| keys().find(|key| !is_remote(key)))
            .or_else(|| keys().next())?;
        let best = keys().max_by_key(|key| (self.rank(*key, now), *key == current))?;
        let mut chosen = current;
        if best != current {
            let of = |key: Key| self.publications.get(key);
            let goes_on = of(current).is_some_and(|current| is_alive(current, now));
            if !goes_on || of(best).is_some_and(|best| is_ready(best, now)) {
                chosen = best;
            } else {
                self.shared.coming.push(best);
                self.fetch(best, current, now);
            }
        }
        match before.and_then(|index| self.shared.chosen.get_mut(index)) {
            Some(known) => known.1 = chosen,
            None => self.shared.chosen.push((track, chosen)),
        }
        Some(chosen)
    }

    /// What is being sent counts before what is not. Then: who serves those who stay takes from the other host what it has handed over,
    /// every other host what it has itself.
    fn rank(&self, key: Key, now: Tick) -> (bool, bool) {
        let Some(publication) = self.publications.get(key) else {
            return (false, false);
        };
        let aside = self
            .term
            .as_ref()
            .filter(|term| term.role == HostRole::Aside);
        let hands_over = aside.is_some_and(|term| now.since(term.since) < HANDING_OVER);
        let is_alive = is_alive(publication, now);
        let is_remote = publication.remote.is_some();
        let is_better = match (is_alive, aside) {
            // A silent copy that wakes up for a moment is no reason to change.
            (true, Some(_)) => is_remote || !hands_over,
            (true, None) => !is_remote,
            (false, aside) => is_remote == aside.is_some(),
        };
        (is_alive, is_better)
    }

    /// Gets the layers of `best` that are used of `current`, so that it can be taken.
    fn fetch(&mut self, best: Key, current: Key, now: Tick) {
        let Some(used) = self.publications.get(current) else {
            return;
        };
        let mut layers = 0_u32;
        for (index, layer) in used.layers.iter().enumerate() {
            layers |= u32::from(layer.demand.is_on()) << index;
        }
        let Some(best) = self.publications.get_mut(best) else {
            return;
        };
        if best.kind() == MediaKind::Audio {
            return;
        }
        for index in 0..best.layers.len() {
            if layers >> index & 1 == 1 {
                best.note_use(index, now);
            }
        }
        for layer in &mut best.layers {
            let is_sent = layer
                .last_packet()
                .is_some_and(|last| now.since(last) < PICTURES_LOST);
            if is_sent {
                layer.want_keyframe();
            }
        }
    }

    /// Notes since when something of each remote copy is asked for: what does not come then is not there.
    fn note_asked(&mut self, now: Tick) {
        let Self {
            publications,
            shared,
            ..
        } = self;
        for (key, publication) in publications.iter_mut() {
            let is_sound = publication.kind() == MediaKind::Audio;
            let is_idle = shared.spare.contains(&key) && !shared.coming.contains(&key);
            let is_asked = !is_idle
                && !publication.track.muted
                && (is_sound || publication.layers.iter().any(|layer| layer.demand.is_on()));
            if let Some(remote) = &mut publication.remote {
                remote.asked = is_asked.then(|| remote.asked.unwrap_or(now));
            }
        }
    }
}

fn lost_after(publication: &Publication) -> Duration {
    match publication.kind() {
        MediaKind::Audio => SOUND_LOST,
        MediaKind::Video => PICTURES_LOST,
    }
}

/// Is it being sent, or would it be if it were asked for?
fn is_alive(publication: &Publication, now: Tick) -> bool {
    let lost = lost_after(publication);
    let comes = publication
        .last_packet()
        .is_some_and(|last| now.since(last) < lost);
    comes
        || publication.remote.is_some_and(|remote| {
            let is_awaited = remote.asked.is_none_or(|asked| now.since(asked) < lost * 2);
            remote.is_live && is_awaited
        })
}

/// Can it be begun with now?
fn is_ready(publication: &Publication, now: Tick) -> bool {
    let mut layers = publication.layers.iter();
    match publication.kind() {
        MediaKind::Audio => layers.any(|layer| layer.newest_packet(now).is_some()),
        MediaKind::Video => layers.any(|layer| layer.entry_point(false, now, now).is_some()),
    }
}
