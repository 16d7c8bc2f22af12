//! Participant and host: JSON over the leg's data channels, because what concerns the path must not need signaling.
//!
//! Two channels, negotiated by number: [`CONTROL_CHANNEL`] is reliable and ordered, [`PULSE_CHANNEL`] is neither.

use serde::{Deserialize, Serialize};

use crate::{LineReport, LineScore, ParticipantId, TrackId};

/// Stream id of the reliable, ordered channel.
pub const CONTROL_CHANNEL: u16 = 0;

/// Stream id of the unordered channel without retransmissions (heartbeats).
pub const PULSE_CHANNEL: u16 = 1;

/// From a participant to the host, on the control channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum PathToHost {
    /// What the video slots shall show, whole: a slot that is not named shows nothing.
    View {
        /// At most one entry per slot.
        slots: Vec<SlotView>,
    },
    /// Does the participant's own congestion control keep it from sending all that is wanted? Said when it changes; nobody has to.
    Upload {
        /// It does: the line is too slow for it.
        is_slow: bool,
    },
    /// A type this version does not know: ignored.
    #[serde(other)]
    Unknown,
}

/// What one video slot shall show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SlotView {
    /// `a=mid` of the slot.
    pub slot: String,
    /// Which track.
    pub track: TrackId,
    /// Width on the screen, in device pixels.
    pub width: u16,
    /// Height on the screen, in device pixels.
    pub height: u16,
    /// Highest useful frame rate; 0 means no limit.
    #[serde(default)]
    pub fps: u8,
    /// 0 is least important. Screens and the active speaker go first whatever this says; from 10 on a picture is raised to its best before
    /// the others get more than their lowest layer.
    #[serde(default)]
    pub priority: u8,
}

/// From the host to a participant, on the control channel (`pulse` on the pulse channel).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum PathFromHost {
    /// What the slots show now, whole.
    Slots {
        /// One entry per slot that shows something or wants to.
        slots: Vec<SlotShown>,
    },
    /// Who speaks. The first of the list is the active speaker; empty when nobody has spoken yet.
    Speakers {
        /// Loudest first, at most as many as there are audio slots.
        speakers: Vec<ParticipantId>,
    },
    /// Which encodings of this participant's own video tracks are of use to anybody, whole. The others need not be sent; whoever sends
    /// them all the same does no harm.
    Wanted {
        /// One entry per video track of this leg.
        tracks: Vec<TrackWanted>,
    },
    /// How the line of this leg does, about once a second.
    Line {
        /// In figures.
        line: LineReport,
    },
    /// Whose line does badly, whole: who is not named does well. Said when it changes.
    Lines {
        /// At most [`crate::limits::MAX_LINES`], the worst first.
        lines: Vec<LineScore>,
    },
    /// Heartbeat of the forwarding thread, every 50 ms from a host that has a standby, whatever else is sent.
    Pulse {
        /// Grows by one each time.
        count: u32,
        /// Milliseconds for which this host has heard nobody, if that is longer than it ever lasts: what it forwards is nothing, although
        /// it forwards. The beat says no more than that one so much earlier.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        deaf_ms: Option<u32>,
    },
    /// A type this version does not know: ignored.
    #[serde(other)]
    Unknown,
}

/// Which encodings of a track are of use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TrackWanted {
    /// Which track.
    pub track: TrackId,
    /// Each of its encodings.
    pub layers: Vec<LayerWanted>,
}

/// Is one encoding of use?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct LayerWanted {
    /// Which encoding; absent for a track with a single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub rid: Option<String>,
    /// Somebody shows it or is about to.
    pub wanted: bool,
}

/// What one slot shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SlotShown {
    /// `a=mid` of the slot.
    pub slot: String,
    /// Which track.
    pub track: TrackId,
    /// Whose.
    pub participant: ParticipantId,
    /// Which encoding; absent for a track with a single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub rid: Option<String>,
    /// Why nothing is sent, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub paused: Option<PauseReason>,
}

/// Why a slot shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum PauseReason {
    /// The publisher muted the track.
    Muted,
    /// There is no such track any more.
    Gone,
    /// The publisher sends nothing now, or no picture to begin with has come yet.
    Waiting,
    /// The line cannot carry it.
    Bandwidth,
    /// The slot cannot decode the track's codec.
    Codec,
}
