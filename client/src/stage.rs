//! What goes to whoever wants frames, where several legs bring the same: each frame once, in order.
//!
//! Owns which legs there are to choose from, and what of them is one picture or one voice (`lane` merges it). Does not own: why a
//! leg is chosen (`call`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use baton_protocol::{LegId, MediaKind, ParticipantId};
use tokio::sync::mpsc;

use crate::assembly::Received;
use lane::{Choice, Lane};

mod lane;

/// Shared by all legs of a call.
#[derive(Clone, Debug)]
pub(crate) struct Stage(Arc<Mutex<Play>>);

#[derive(Debug)]
struct Play {
    to: mpsc::Sender<Received>,
    choice: Choice,
    lanes: BTreeMap<Key, Lane>,
    voices: Vec<Voice>,
}

/// What is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Slot(String),
    /// A stream of somebody's: which voice is in which slot is each host's own choice.
    Voice(ParticipantId, u32),
}

/// A stream that a leg brought lately.
#[derive(Clone, Copy, Debug)]
struct Voice {
    whose: ParticipantId,
    ssrc: u32,
    leg: LegId,
    heard: Instant,
}

impl Stage {
    /// Frames that count go to `to`; a full queue loses them.
    pub(crate) fn new(to: mpsc::Sender<Received>) -> Self {
        Self(Arc::new(Mutex::new(Play {
            to,
            choice: Choice::default(),
            lanes: BTreeMap::new(),
            voices: Vec::new(),
        })))
    }

    /// Which leg everything shall come from, and which one takes over meanwhile. `is_urgent`: the current one is silent.
    pub(crate) fn direct(
        &self,
        current: Option<LegId>,
        arriving: Option<LegId>,
        is_urgent: bool,
        now: Instant,
    ) {
        let mut play = self.lock();
        let arriving = arriving.filter(|_| arriving != current);
        let since = play
            .choice
            .since
            .filter(|_| play.choice.arriving == arriving);
        play.choice = Choice {
            current: current.or(play.choice.current),
            arriving,
            since: arriving.map(|_| since.unwrap_or(now)),
            is_urgent: is_urgent && arriving.is_some(),
        };
    }

    /// A frame came on this leg. True where a keyframe is needed before any of its frames can count.
    pub(crate) fn handle_frame(&self, leg: LegId, frame: Received, now: Instant) -> bool {
        let mut play = self.lock();
        let identity = frame
            .identity
            .filter(|_| frame.codec.kind() == MediaKind::Audio);
        let key = match identity.zip(frame.participant) {
            Some((identity, whose)) => {
                if !play.admits(leg, whose, identity.ssrc, now) {
                    return false;
                }
                Key::Voice(whose, identity.ssrc)
            }
            None => Key::Slot(frame.slot.clone()),
        };
        if play.lanes.len() >= MOST_LANES && !play.lanes.contains_key(&key) {
            play.each_lane(Lane::flush);
            play.lanes.clear();
        }
        let choice = play.choice;
        let mut out = Vec::new();
        let lane = play.lanes.entry(key).or_default();
        let is_stuck = lane.handle_frame(leg, frame, &choice, now, &mut out);
        play.emit(out);
        is_stuck
    }

    /// Would nothing be missed if all other legs ended?
    pub(crate) fn is_taken(&self, leg: LegId, now: Instant) -> bool {
        let play = self.lock();
        play.lanes.iter().all(|(key, lane)| match key {
            Key::Slot(_) => lane.is_taken(leg, now),
            Key::Voice(whose, _) => {
                lane.is_taken(leg, now) || play.voices_of(*whose, now).any(|one| one.leg == leg)
            }
        })
    }

    /// Nothing comes from this leg any more.
    pub(crate) fn close(&self, leg: LegId) {
        let mut play = self.lock();
        play.each_lane(|lane, out| lane.close(leg, out));
        play.voices.retain(|voice| voice.leg != leg);
    }

    /// Nothing follows: what waits goes out.
    pub(crate) fn flush(&self) {
        self.lock().each_lane(Lane::flush);
    }

    /// It is whole after every change, whatever happened to a thread that held the lock.
    fn lock(&self) -> std::sync::MutexGuard<'_, Play> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Play {
    /// Of two streams of one person that are not copies of each other, only the current leg's counts.
    fn admits(&mut self, leg: LegId, whose: ParticipantId, ssrc: u32, now: Instant) -> bool {
        self.voices.retain(|one| {
            let is_this = (one.whose, one.ssrc, one.leg) == (whose, ssrc, leg);
            !is_this && now.saturating_duration_since(one.heard) < VOICE
        });
        if self.voices.len() < MOST_LANES {
            self.voices.push(Voice {
                whose,
                ssrc,
                leg,
                heard: now,
            });
        }
        let Some(current) = self.choice.current.filter(|current| *current != leg) else {
            return true;
        };
        let mut streams = self.voices_of(whose, now).filter(|one| one.leg == current);
        let first = streams.next();
        first.is_none_or(|first| first.ssrc == ssrc || streams.any(|one| one.ssrc == ssrc))
    }

    fn voices_of(&self, whose: ParticipantId, now: Instant) -> impl Iterator<Item = &Voice> {
        let voices = self.voices.iter();
        voices.filter(move |one| {
            one.whose == whose && now.saturating_duration_since(one.heard) < VOICE
        })
    }

    fn each_lane(&mut self, change: impl Fn(&mut Lane, &mut Vec<Received>)) {
        let mut out = Vec::new();
        self.lanes
            .values_mut()
            .for_each(|lane| change(lane, &mut out));
        self.emit(out);
    }

    /// Under the lock, so that frames of two legs stay in order.
    fn emit(&self, out: Vec<Received>) {
        for frame in out {
            if let Err(error) = self.to.try_send(frame) {
                let slot = error.into_inner().slot;
                tracing::warn!(slot, "frames come faster than they are taken; one is lost");
            }
        }
    }
}

/// More than anybody receives at a time, and than have spoken in most calls.
const MOST_LANES: usize = 512;

/// Who was heard so lately is heard.
const VOICE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
