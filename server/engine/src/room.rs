//! One room on this host: who publishes what, who speaks, and which track each slot shows.
//!
//! The wanted picture is computed whole and compared with what is there, so that joining, leaving, muting and scrolling are one path.

mod allot;
mod pinned;
mod shared;

use std::time::Duration;

use baton_protocol::{
    Epoch, HostRole, LineScore, MediaKind, ParticipantId, PathFromHost, RoomId, SlotShown,
    SlotView, Source, TrackId, ViewMode,
};
use baton_protocol::{PauseReason, RosterLeg};

use crate::leg::Leg;
use crate::publication::Publication;
use crate::slab::{Key, Slab};
use crate::speaker::{ActiveSpeaker, Loudness};
use crate::term::Term;
use crate::time::Tick;
use shared::Shared;

/// Time between two looks at who speaks.
pub(crate) const REFRESH: Duration = Duration::from_millis(100);

/// Speakers named to participants at most.
const MAX_SPEAKERS: usize = 8;

/// Size that a leg without a view of its own is sent (WHEP).
const AUTO_SIZE: (u16, u16) = (1280, 720);

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) id: RoomId,
    pub(crate) epoch: Epoch,
    pub(crate) legs: Vec<Key>,
    pub(crate) publications: Slab<Publication>,
    /// Legs of these that lead to other hosts.
    pub(crate) bridges: usize,
    /// Something came that subscribers have not been served.
    pub(crate) is_dirty: bool,
    /// Deadline that is in the engine's heap.
    pub(crate) scheduled: Tick,
    pub(crate) refresh_due: Tick,
    /// What signaling said this host is here; absent where it said nothing.
    pub(crate) term: Option<Term>,
    /// When participants are told next how their lines do, and whose did badly the last time.
    pub(crate) lines_due: Tick,
    pub(crate) lines: Vec<LineScore>,
    speaker: ActiveSpeaker,
    speakers: Vec<ParticipantId>,
    loudness: Vec<(u32, Loudness)>,
    /// Tracks that come on more than one way.
    shared: Shared,
}

impl Room {
    pub(crate) fn new(id: RoomId, epoch: Epoch, now: Tick) -> Self {
        Self {
            id,
            epoch,
            legs: Vec::new(),
            publications: Slab::default(),
            bridges: 0,
            is_dirty: false,
            scheduled: Tick::NEVER,
            refresh_due: now,
            term: None,
            lines_due: now,
            lines: Vec::new(),
            speaker: ActiveSpeaker::default(),
            speakers: Vec::new(),
            loudness: Vec::new(),
            shared: Shared::default(),
        }
    }

    /// The publication of a track that is shown and heard.
    pub(crate) fn find_track(&self, track: TrackId) -> Option<(Key, &Publication)> {
        self.in_use()
            .find(|(_, publication)| publication.track.id == track)
    }

    /// Lets go of pictures that were held long enough.
    pub(crate) fn release(&mut self, now: Tick) {
        for (_, publication) in self.publications.iter_mut() {
            publication
                .layers
                .iter_mut()
                .for_each(|layer| layer.release(now));
        }
    }

    /// When the room next wants to be woken.
    pub(crate) fn deadline(&self) -> Tick {
        let term = self.term.as_ref().map_or(Tick::NEVER, Term::deadline);
        if self.legs.is_empty() {
            return term;
        }
        let layers = self
            .publications
            .iter()
            .flat_map(|(_, publication)| &publication.layers);
        let hold = layers.filter_map(crate::layer::Layer::hold_deadline).min();
        self.refresh_due.min(hold.unwrap_or(Tick::NEVER)).min(term)
    }

    /// Is there nothing to remember? Whoever has a part here may get legs at any time, and no older epoch than it has seen.
    pub(crate) fn is_over(&self) -> bool {
        let has_part = |term: &Term| term.role != HostRole::Draining;
        self.legs.is_empty() && !self.term.as_ref().is_some_and(has_part)
    }

    /// Looks at who speaks. True when participants have to be told.
    pub(crate) fn refresh(&mut self, now: Tick) -> bool {
        self.refresh_due = now + REFRESH;
        self.measure(now);
        self.loudness.clear();
        let voices = self
            .publications
            .iter()
            .filter(|(key, _)| !self.shared.has_spare(*key))
            .filter(|(_, publication)| publication.track.source == Source::Microphone);
        self.loudness.extend(
            voices
                .filter(|(_, publication)| !publication.track.muted)
                .map(|(_, publication)| (publication.track.id.0, publication.loudness)),
        );
        self.speaker.update(&self.loudness, now);
        let active = self.speaker.active().map(TrackId);
        let mut speaking: Vec<_> = self
            .in_use()
            .map(|(_, publication)| publication)
            .filter(|publication| {
                Some(publication.track.id) == active || self.is_speaking(publication, now)
            })
            .collect();
        speaking.sort_by(|a, b| {
            let rank = |publication: &Publication| Some(publication.track.id) == active;
            rank(b)
                .cmp(&rank(a))
                .then(b.loudness.score(now).total_cmp(&a.loudness.score(now)))
        });
        let mut speakers = Vec::new();
        for publication in speaking.into_iter().take(MAX_SPEAKERS) {
            if !speakers.contains(&publication.participant) {
                speakers.push(publication.participant);
            }
        }
        // The order of those behind the first changes all the time and matters to nobody.
        if let Some((_, others)) = speakers.split_first_mut() {
            others.sort_unstable();
        }
        let changed = speakers != self.speakers;
        self.speakers = speakers;
        changed
    }

    /// Who speaks, for participants.
    pub(crate) fn speakers(&self) -> PathFromHost {
        PathFromHost::Speakers {
            speakers: self.speakers.clone(),
        }
    }

    fn is_speaking(&self, publication: &Publication, now: Tick) -> bool {
        publication.track.source == Source::Microphone
            && !publication.track.muted
            && publication.loudness.is_speaking(now)
    }

    /// Points every slot of a leg at what it shall show.
    pub(crate) fn assign(&self, leg: &mut Leg, now: Tick) {
        if !leg.grants.subscribe {
            leg.slots.iter_mut().for_each(crate::slot::Slot::clear);
        } else {
            self.assign_audio(leg, now);
            self.assign_video(leg);
        }
        leg.note_showing();
    }

    /// Publications that a leg may be sent.
    fn visible(
        &self,
        leg: &Leg,
        kind: MediaKind,
    ) -> impl Iterator<Item = (Key, &Publication)> + use<'_> {
        let (mode, receiver) = (leg.mode, leg.participant);
        let wanted = move |publication: &Publication| match mode {
            ViewMode::Wanted | ViewMode::Auto => true,
            ViewMode::Participant { participant } => publication.participant == participant,
            ViewMode::Track { track } => publication.track.id == track,
        };
        self.in_use()
            .filter(move |(_, publication)| {
                publication.kind() == kind && publication.participant != receiver
            })
            .filter(move |(_, publication)| wanted(publication))
    }

    /// The loudest in the audio slots. Who is in a slot stays there until a slot is needed for somebody who speaks.
    fn assign_audio(&self, leg: &mut Leg, now: Tick) {
        let room_for = leg
            .slots
            .iter()
            .filter(|slot| slot.kind == MediaKind::Audio && !slot.is_off)
            .count();
        let mut heard: Vec<_> = self
            .visible(leg, MediaKind::Audio)
            .filter(|(_, publication)| !publication.track.muted)
            .collect();
        let rank = |publication: &Publication| {
            let is_programme = publication.track.source == Source::ScreenAudio;
            (
                is_programme || publication.loudness.is_speaking(now),
                publication.loudness.spoke(),
            )
        };
        heard.sort_by(|a, b| {
            let score = |publication: &Publication| publication.loudness.score(now);
            rank(b.1)
                .cmp(&rank(a.1))
                .then(score(b.1).total_cmp(&score(a.1)))
                .then(a.0.cmp(&b.0))
        });
        let everybody_fits = heard.len() <= room_for;
        let loudest = heard.get(..room_for.min(heard.len())).unwrap_or_default();
        let is_there = |key: Key| heard.iter().any(|(known, _)| *known == key);
        let is_loud = |key: Key| loudest.iter().any(|(known, _)| *known == key);
        let mut placed = Vec::new();
        for slot in leg
            .slots
            .iter_mut()
            .filter(|slot| slot.kind == MediaKind::Audio)
        {
            let current = slot.showing.as_ref().map(|showing| showing.publication);
            match current.filter(|key| is_there(*key) && !slot.is_off) {
                Some(key) => placed.push(key),
                None if current.is_some() => slot.clear(),
                None => {}
            }
        }
        for (key, publication) in loudest
            .iter()
            .filter(|(key, _)| !placed.contains(key))
            .copied()
            .collect::<Vec<_>>()
        {
            let mut slots = leg
                .slots
                .iter_mut()
                .filter(|slot| slot.kind == MediaKind::Audio && !slot.is_off);
            let free = slots.find(|slot| slot.showing.is_none());
            let place = match free {
                Some(slot) => Some(slot),
                None if everybody_fits || !rank(publication).0 => None,
                None => leg
                    .slots
                    .iter_mut()
                    .filter(|slot| slot.kind == MediaKind::Audio && !slot.is_off)
                    .find(|slot| {
                        slot.showing
                            .as_ref()
                            .is_some_and(|showing| !is_loud(showing.publication))
                    }),
            };
            if let Some(slot) = place {
                slot.show(key, (publication.track.id, publication.participant), (0, 0));
            }
        }
    }

    fn assign_video(&self, leg: &mut Leg) {
        if leg.mode != ViewMode::Wanted {
            let wanted = self.programme(leg);
            let mut wanted = wanted.into_iter();
            let slots = leg
                .slots
                .iter_mut()
                .filter(|slot| slot.kind == MediaKind::Video && !slot.is_off);
            for slot in slots {
                slot.view = wanted.next().map(|track| SlotView {
                    slot: slot.mid.to_string(),
                    track,
                    width: AUTO_SIZE.0,
                    height: AUTO_SIZE.1,
                    fps: 0,
                    priority: 0,
                });
            }
        }
        let participant = leg.participant;
        for slot in leg
            .slots
            .iter_mut()
            .filter(|slot| slot.kind == MediaKind::Video)
        {
            let before = slot.showing.as_ref().map(|showing| showing.publication);
            let view = slot.view.as_ref().filter(|_| !slot.is_off);
            let found = view
                .and_then(|view| Some((self.find_track(view.track)?, (view.width, view.height))));
            match found {
                Some(((key, publication), size))
                    if publication.kind() == MediaKind::Video
                        && publication.participant != participant =>
                {
                    slot.show(key, (publication.track.id, publication.participant), size);
                }
                Some(_) | None => slot.clear(),
            }
            leg.is_view_stale |= before != slot.showing.as_ref().map(|showing| showing.publication);
        }
    }

    /// What a leg without a view of its own is shown: screens, then whoever speaks or spoke, then the rest. Stays as it is while it can.
    fn programme(&self, leg: &Leg) -> Vec<TrackId> {
        let speaks = |publication: &Publication| {
            self.speakers
                .iter()
                .position(|id| *id == publication.participant)
        };
        let shown = |publication: &Publication| {
            leg.slots.iter().any(|slot| {
                slot.view
                    .as_ref()
                    .is_some_and(|view| view.track == publication.track.id)
            })
        };
        let mut tracks: Vec<_> = self
            .visible(leg, MediaKind::Video)
            .map(|(_, publication)| publication)
            .collect();
        tracks.sort_by_key(|publication| {
            let speaker = speaks(publication).unwrap_or(usize::MAX);
            (
                publication.track.muted,
                !publication.is_screen(),
                speaker,
                !shown(publication),
                publication.track.id,
            )
        });
        tracks
            .into_iter()
            .map(|publication| publication.track.id)
            .collect()
    }

    /// What a leg's video slots show, for its participant.
    pub(crate) fn shown(&self, leg: &Leg) -> PathFromHost {
        let slots = leg
            .slots
            .iter()
            .filter(|slot| slot.kind == MediaKind::Video)
            .filter_map(|slot| {
                let view = slot.view.as_ref()?;
                let Some(showing) = &slot.showing else {
                    return Some(SlotShown {
                        slot: slot.mid.to_string(),
                        track: view.track,
                        participant: ParticipantId(0),
                        rid: None,
                        paused: Some(self.reason_of_absence()),
                    });
                };
                let publication = self.publications.get(showing.publication)?;
                let layer = slot.layer().and_then(|layer| publication.layers.get(layer));
                let rid = layer.and_then(|layer| layer.rid).map(|rid| rid.to_string());
                Some(SlotShown {
                    slot: slot.mid.to_string(),
                    track: showing.track,
                    participant: publication.participant,
                    rid,
                    paused: showing.paused,
                })
            });
        PathFromHost::Slots {
            slots: slots.collect(),
        }
    }

    /// Why there is no such track here. Where another host has what is not here, it may be about to come.
    fn reason_of_absence(&self) -> PauseReason {
        let is_aside = self
            .term
            .as_ref()
            .is_some_and(|term| term.role == HostRole::Aside);
        match self.bridges > 0 || is_aside {
            true => PauseReason::Waiting,
            false => PauseReason::Gone,
        }
    }

    /// A leg as signaling needs to know it.
    pub(crate) fn roster(&self, leg: &Leg) -> RosterLeg {
        let tracks = leg
            .publications
            .iter()
            .filter_map(|key| self.publications.get(*key));
        RosterLeg {
            participant: leg.participant,
            leg: leg.id,
            tracks: tracks
                .map(|publication| publication.track.clone())
                .collect(),
            memento: None,
        }
    }
}
