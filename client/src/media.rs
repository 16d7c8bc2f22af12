//! Encoded media: frames, clips, and the files they come from and go to.
//!
//! Owns: what a codec is called, what a keyframe looks like, IVF, Ogg/Opus and Annex-B. Does not own: packets (`publish`
//! makes them, `assembly` takes them apart), nor time. Nothing here encodes or decodes.

use std::time::Duration;

use baton_protocol::MediaKind;
use bytes::Bytes;

pub mod annexb;
pub mod ivf;
pub mod ogg;
pub(crate) mod picture;
pub mod test_clip;

pub use picture::{is_keyframe, size};

/// How media is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Sound (RFC 6716).
    Opus,
    /// RFC 6386.
    Vp8,
    /// The VP9 bitstream of the WebM project.
    Vp9,
    /// ITU-T H.264, as an Annex-B byte stream.
    H264,
    /// The AV1 bitstream of the Alliance for Open Media.
    Av1,
}

impl Codec {
    /// Sound or picture?
    pub fn kind(self) -> MediaKind {
        match self {
            Self::Opus => MediaKind::Audio,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::Av1 => MediaKind::Video,
        }
    }

    /// Ticks of the RTP timestamp in a second.
    pub fn clock_rate(self) -> u32 {
        match self.kind() {
            MediaKind::Audio => 48_000,
            MediaKind::Video => 90_000,
        }
    }

    /// As registered with IANA.
    pub fn mime_type(self) -> &'static str {
        match self {
            Self::Opus => "audio/opus",
            Self::Vp8 => "video/VP8",
            Self::Vp9 => "video/VP9",
            Self::H264 => "video/H264",
            Self::Av1 => "video/AV1",
        }
    }

    /// The codec of a media type, whatever its case.
    pub fn from_mime_type(mime_type: &str) -> Option<Self> {
        let all = [Self::Opus, Self::Vp8, Self::Vp9, Self::H264, Self::Av1];
        all.into_iter()
            .find(|codec| codec.mime_type().eq_ignore_ascii_case(mime_type))
    }
}

/// One picture, or one packet of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When it is due, from the start of its clip.
    pub at: Duration,
    /// Decoding can begin here.
    pub is_key: bool,
    /// The encoded bytes, as a container would hold them.
    pub data: Bytes,
}

/// A piece of media that can be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    codec: Codec,
    size: (u16, u16),
    frames: Vec<Frame>,
    length: Duration,
}

/// Why bytes are no media.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMedia {
    /// The signature is another.
    #[error("this is no {0} file: its first bytes are not those of one")]
    Signature(&'static str),
    /// It ends within something.
    #[error("the file is cut off at byte {0}")]
    CutOff(usize),
    /// A codec or a feature that is not supported.
    #[error("{0} cannot be sent; VP8, VP9 and AV1 in IVF, H.264 in Annex-B and Opus in Ogg can")]
    Unsupported(String),
    /// Nothing in it.
    #[error("there is not one frame in the file")]
    Empty,
    /// Nobody could begin to watch.
    #[error("the file does not begin with a keyframe")]
    NoKeyframe,
}

impl Clip {
    /// A clip of `frames`, which are in order; it lasts `length`, or until a frame's time after its last frame.
    ///
    /// # Errors
    /// When there is no frame, or the first is not a keyframe.
    pub fn new(
        codec: Codec,
        size: (u16, u16),
        frames: Vec<Frame>,
        length: Option<Duration>,
    ) -> Result<Self, InvalidMedia> {
        let (first, last) = frames
            .first()
            .zip(frames.last())
            .ok_or(InvalidMedia::Empty)?;
        if !first.is_key {
            return Err(InvalidMedia::NoKeyframe);
        }
        let gaps = u32::try_from(frames.len() - 1).unwrap_or(u32::MAX).max(1);
        let gap = (last.at.saturating_sub(first.at) / gaps).max(SHORTEST_GAP);
        let length = length.unwrap_or_default().max(last.at + gap);
        Ok(Self {
            codec,
            size,
            frames,
            length,
        })
    }

    /// How it is encoded.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Width and height in pixels; 0 where that is not known.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// At least one, the first a keyframe.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// From its first frame until it may begin again; never zero.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// Bits per second, on average.
    pub fn bitrate(&self) -> u64 {
        let bytes: usize = self.frames.iter().map(|frame| frame.data.len()).sum();
        let millis = u64::try_from(self.length.as_millis()).unwrap_or(u64::MAX);
        (bytes as u64).saturating_mul(8000) / millis.max(1)
    }
}

/// A file that says all its frames are due at once would be sent as one burst.
const SHORTEST_GAP: Duration = Duration::from_millis(5);
