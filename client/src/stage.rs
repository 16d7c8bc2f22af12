//! Which leg's frames count, where several legs bring the same, and in which order they go to whoever wants them.
//!
//! Hosts number what they send anew, so two legs cannot be merged packet by packet. What survives every path is when a frame was
//! captured, by its publisher's clock: by it a lane (`lane`) changes over between two frames, and none is missing and none comes
//! twice. Owns which legs there are to choose from. Does not own: why one is chosen (`call`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

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
}

/// What changes over as one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Slot(String),
    /// Which voice is in which slot is each host's own choice.
    Voice(ParticipantId),
}

impl Stage {
    /// Frames that count go to `to`; a full queue loses them.
    pub(crate) fn new(to: mpsc::Sender<Received>) -> Self {
        Self(Arc::new(Mutex::new(Play {
            to,
            choice: Choice::default(),
            lanes: BTreeMap::new(),
        })))
    }

    /// Which leg everything shall come from, and which one takes over lane by lane meanwhile. `is_moving`: one will soon.
    pub(crate) fn direct(&self, current: Option<LegId>, arriving: Option<LegId>, is_moving: bool) {
        let mut play = self.lock();
        let choice = Choice {
            current: current.or(play.choice.current),
            arriving: arriving.filter(|_| arriving != current),
            is_kept: is_moving || arriving.is_some(),
        };
        if play.choice != choice {
            play.choice = choice;
            play.each_lane(|lane, out| lane.settle(choice, out));
        }
    }

    /// A frame came on this leg. True where a keyframe is needed before any of its frames can count.
    pub(crate) fn handle_frame(&self, leg: LegId, frame: Received, now: Instant) -> bool {
        let mut play = self.lock();
        let key = match (frame.codec.kind(), frame.participant, frame.captured) {
            (MediaKind::Audio, Some(whose), Some(_)) => Key::Voice(whose),
            (MediaKind::Audio | MediaKind::Video, ..) => Key::Slot(frame.slot.clone()),
        };
        if play.lanes.len() >= MOST_LANES && !play.lanes.contains_key(&key) {
            play.each_lane(Lane::flush);
            play.lanes.clear();
        }
        let choice = play.choice;
        let mut out = Vec::new();
        let lane = play.lanes.entry(key).or_default();
        let is_stuck = lane.handle_frame(leg, frame, choice, now, &mut out);
        play.emit(out);
        is_stuck
    }

    /// Nothing follows: what was kept goes out.
    pub(crate) fn flush(&self) {
        self.lock().each_lane(Lane::flush);
    }

    /// It is whole after every change, whatever happened to a thread that held the lock.
    fn lock(&self) -> std::sync::MutexGuard<'_, Play> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Play {
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

#[cfg(test)]
mod tests;
