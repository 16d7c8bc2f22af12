//! What a participant publishes: a track is one source, a layer one encoding of it.

use serde::{Deserialize, Serialize};

use crate::TrackId;

/// Sound or picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

/// Where a track comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Source {
    /// A person's voice.
    Microphone,
    /// A person's picture.
    Camera,
    /// A shared screen or window.
    Screen,
    /// Sound that belongs to a shared screen.
    ScreenAudio,
}

impl Source {
    /// Every source there is.
    pub const ALL: [Self; 4] = [
        Self::Microphone,
        Self::Camera,
        Self::Screen,
        Self::ScreenAudio,
    ];

    /// Sound or picture?
    pub fn kind(self) -> MediaKind {
        match self {
            Self::Microphone | Self::ScreenAudio => MediaKind::Audio,
            Self::Camera | Self::Screen => MediaKind::Video,
        }
    }
}

/// One encoding of a video track, as its publisher sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct LayerInfo {
    /// RTP stream id (RFC 8852), at most 16 letters and digits. Absent where the track has a single encoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub rid: Option<String>,
    /// Width in pixels.
    pub width: u16,
    /// Height in pixels.
    pub height: u16,
    /// Highest rate in bits per second; 0 where the publisher does not say.
    #[serde(default)]
    pub max_bitrate: u32,
}

/// A track as its publisher offers it, bound to an m-line of the offer that carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TrackOffer {
    /// `a=mid` of the m-line.
    pub mid: String,
    /// Where it comes from.
    pub source: Source,
    /// Encodings of a video track, smallest first. Empty for audio.
    #[serde(default)]
    pub layers: Vec<LayerInfo>,
    /// Muted from the start?
    #[serde(default)]
    pub muted: bool,
}

/// A track as the room knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TrackInfo {
    /// Its number in the room.
    pub id: TrackId,
    /// `a=mid` of the publisher's m-line.
    pub mid: String,
    /// Where it comes from.
    pub source: Source,
    /// Encodings of a video track, smallest first. Empty for audio.
    #[serde(default)]
    pub layers: Vec<LayerInfo>,
    /// Nothing is sent while true.
    #[serde(default)]
    pub muted: bool,
}
