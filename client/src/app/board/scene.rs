//! What is on the screen at one moment, in words and numbers.

use baton_client::{Call, Room};
use baton_protocol::{MediaKind, Source, TrackInfo};

use super::{Board, Path};
use crate::app::lines::{badge, printable, shown, word};
use crate::app::meter::{Quality, SlotRate};

/// One moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scene {
    /// Room and host; empty before the room is known.
    pub(super) title: String,
    pub(super) path: Path,
    pub(super) people: Vec<Person>,
    pub(super) streams: Vec<Stream>,
    /// Absent where nothing is sent.
    pub(super) own: Option<Own>,
    /// Newest last.
    pub(super) news: Vec<String>,
    pub(super) is_help: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) is_me: bool,
    pub(super) is_speaking: bool,
    pub(super) is_away: bool,
    /// What they share.
    pub(super) tracks: String,
}

/// Something that is received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) label: String,
    pub(super) bitrate: u64,
    /// Absent for sound.
    pub(super) fps: Option<u64>,
    pub(super) quality: Quality,
    pub(super) plot: Vec<u64>,
}

/// What one sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) is_muted: bool,
    pub(super) bitrate: u64,
    pub(super) plot: Vec<u64>,
}

impl Scene {
    pub(super) fn of(call: &Call, board: &Board) -> Self {
        let mut scene = Self {
            path: board.path,
            own: own(call, board),
            news: board.news.iter().cloned().collect(),
            is_help: board.is_help,
            ..Self::default()
        };
        let Some(room) = call.room() else {
            return scene;
        };
        let host = printable(&room.host().name);
        scene.title = format!("{}, carried by {host}", room.name());
        if let Some((guests, sent_bps)) = board.badge {
            scene.title += &format!("; {}", badge(guests, sent_bps));
        }
        let speaker = call.speakers().first();
        let person = room.participants().map(|one| Person {
            name: printable(&one.name),
            is_me: one.id == room.me(),
            is_speaking: speaker == Some(&one.id),
            is_away: !one.connected,
            tracks: tracks(&one.tracks),
        });
        scene.people = person.collect();
        let slots = board.rates.slots.iter();
        scene.streams = slots.filter_map(|slot| stream(room, board, slot)).collect();
        scene
    }
}

fn own(call: &Call, board: &Board) -> Option<Own> {
    if board.rates.sent.is_empty() {
        return None;
    }
    Some(Own {
        is_muted: call.is_muted(Source::Microphone),
        bitrate: board.sent.back().copied().unwrap_or_default(),
        plot: board.sent.iter().copied().collect(),
    })
}

/// A slot that shows something, or has not stopped long ago.
fn stream(room: &Room, board: &Board, slot: &SlotRate) -> Option<Stream> {
    let plot = board.plots.get(&slot.report.slot)?;
    let is_idle = plot.iter().all(|rate| *rate == 0);
    let label = match (&slot.report.shown, slot.report.participant) {
        (Some(report), _) => shown(Some(room), report),
        (None, Some(speaker)) if !is_idle => format!("{}'s sound", room.name_of(speaker)),
        (None, _) => return None,
    };
    Some(Stream {
        label: printable(&label),
        bitrate: slot.bitrate,
        fps: (slot.report.kind == MediaKind::Video).then_some(slot.fps),
        quality: slot.quality,
        plot: plot.iter().copied().collect(),
    })
}

fn tracks(tracks: &[TrackInfo]) -> String {
    let track = |track: &TrackInfo| match track.muted {
        true => format!("{} (muted)", word(track.source)),
        false => word(track.source).to_owned(),
    };
    tracks.iter().map(track).collect::<Vec<_>>().join(", ")
}
