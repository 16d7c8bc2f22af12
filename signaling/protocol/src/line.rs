//! How lines do, in figures for the participant whose line it is and in one word for everybody.
//!
//! Owns the words. What they rest on is measured by the host (`engine`), what people read is the page's.

use serde::{Deserialize, Serialize};

use crate::ParticipantId;

/// What the host knows of a leg's line. Rates are bits per second of RTP with header and tag; shares are in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct LineReport {
    /// What the line towards the participant carries; absent until something is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub estimate: Option<u32>,
    /// Rate of everything that is given to the participant.
    pub given: u32,
    /// Rate at which every picture would be at its best, with room to spare; `given` where all are.
    pub wanted: u32,
    /// Milliseconds that packets towards the participant wait on the line.
    pub queue: u32,
    /// Packets lost towards the participant in the last second.
    pub loss: u16,
    /// Packets lost on the way from the participant in the last second, repaired ones included.
    pub loss_up: u16,
    /// Round trip in milliseconds; absent until it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub rtt: Option<u32>,
}

/// How well a participant's line does.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Score {
    /// Nothing to say.
    #[default]
    Good,
    /// One can see or hear it.
    Fair,
    /// Pictures are paused, or much is lost.
    Poor,
}

/// Which direction of a participant's line is the worse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Direction {
    /// From the participant: others see and hear them badly.
    Upload,
    /// To the participant: they see and hear others badly.
    Download,
}

/// A participant whose line is not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct LineScore {
    /// Whose line.
    pub participant: ParticipantId,
    /// How it does.
    pub score: Score,
    /// Where the trouble is.
    pub cause: Direction,
}
