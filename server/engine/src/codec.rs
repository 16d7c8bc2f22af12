//! Codec payloads, read only as far as forwarding needs: keyframes, layers, picture ids.
//!
//! Owns the answers to "does a picture start here, can decoding begin here, which layer is it, which numbers must stay
//! continuous when a slot changes its source". Nothing here allocates, keeps a payload or looks further than a header;
//! every input is allowed to be garbage. It does not decode, reorder or decide what is forwarded.
//!
//! Two sources of truth: the payload ([`peek`]) and the dependency descriptor header extension ([`DependencyReader`]),
//! which alone suffices where the payload is end-to-end encrypted. [`peek_with_descriptor`] joins them.

mod av1;
mod bits;
mod dependency_descriptor;
mod h264;
pub mod opus;
mod picture_id_map;
mod picture_ids;
pub mod red;
mod vp8;
mod vp9;

pub use dependency_descriptor::{DependencyReader, FrameDependency, Indication, Indications};
pub use picture_id_map::{MappedIds, PictureIdMap};
pub use picture_ids::{PictureId, PictureIdWidth, PictureIds};

use baton_protocol::MediaKind;

/// A payload format that can be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// Opus (RFC 7587).
    Opus,
    /// Redundant audio (RFC 2198) around Opus.
    Red,
    /// VP8 (RFC 7741).
    Vp8,
    /// VP9 (RFC 9628).
    Vp9,
    /// H.264 (RFC 6184).
    H264,
    /// AV1 (AOMedia's RTP payload format).
    Av1,
}

impl Codec {
    /// Every codec there is.
    pub const ALL: [Self; 6] = [
        Self::Opus,
        Self::Red,
        Self::Vp8,
        Self::Vp9,
        Self::H264,
        Self::Av1,
    ];

    /// The codec of an `a=rtpmap` encoding name, in any case. `None`: it is not forwarded.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// Encoding name as `a=rtpmap` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Red => "red",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H264 => "H264",
            Self::Av1 => "AV1",
        }
    }

    /// Sound or picture?
    pub fn kind(self) -> MediaKind {
        match self {
            Self::Opus | Self::Red => MediaKind::Audio,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::Av1 => MediaKind::Video,
        }
    }

    /// RTP timestamp units per second.
    pub fn clock_rate(self) -> u32 {
        match self.kind() {
            MediaKind::Audio => 48_000,
            MediaKind::Video => 90_000,
        }
    }
}

/// What one packet says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// First packet of a frame (of a layer's frame, where a picture has spatial layers).
    ///
    /// H.264 has no such mark: both a parameter set and the first slice behind it count.
    pub starts_frame: bool,
    /// Last packet of a frame (of a layer's frame, where the payload tells).
    pub ends_frame: bool,
    /// First packet of a picture at which decoding can begin.
    pub keyframe: bool,
    /// The packet carries the middle of a frame and no layer of its own: it belongs where the packet before it went.
    /// Only AV1 without a dependency descriptor does that.
    pub continuation: bool,
    /// Temporal layer, 0 is the base; below 8.
    pub temporal: u8,
    /// Spatial layer, 0 is the base; below 8.
    pub spatial: u8,
    /// Nothing later depends on it, and the sender says so. False where unknown.
    pub discardable: bool,
    /// From here on the receiver can take this temporal layer, whatever it took before. False where unknown.
    pub switch_up: bool,
    /// With this picture the receiver can take all temporal layers up to this one from here on. Only a dependency descriptor tells.
    pub switch_to: Option<u8>,
    /// Audio that says "nothing to hear" (Opus DTX).
    pub silence: bool,
    /// Numbers that must stay continuous for the receiver.
    pub ids: PictureIds,
    /// Width and height in pixels of the largest spatial layer; only on keyframes, and only where the sender tells.
    pub resolution: Option<(u16, u16)>,
}

/// Reads one payload. `marker` is the marker bit of its RTP header.
///
/// `None`: the payload is not of this codec, or cut short (an empty payload, such as padding, is).
pub fn peek(codec: Codec, payload: &[u8], marker: bool) -> Option<Peek> {
    match codec {
        Codec::Opus => opus::peek(payload),
        Codec::Red => red::peek(payload),
        Codec::Vp8 => vp8::peek(payload, marker),
        Codec::Vp9 => vp9::peek(payload, marker),
        Codec::H264 => h264::peek(payload, marker),
        Codec::Av1 => av1::peek(payload, marker),
    }
}

/// [`peek`], corrected by the packet's dependency descriptor: the descriptor wins wherever it speaks, so an encrypted
/// payload does no harm. Picture ids exist in the payload only.
pub fn peek_with_descriptor(
    codec: Codec,
    payload: &[u8],
    marker: bool,
    descriptor: Option<&FrameDependency>,
) -> Option<Peek> {
    let said = peek(codec, payload, marker);
    let Some(descriptor) = descriptor else {
        return said;
    };
    let said = said.unwrap_or_default();
    Some(Peek {
        starts_frame: descriptor.starts_frame,
        ends_frame: descriptor.ends_frame,
        keyframe: descriptor.keyframe,
        continuation: false,
        temporal: descriptor.temporal,
        spatial: descriptor.spatial,
        discardable: descriptor.indications.is_discardable(),
        switch_up: descriptor.indications.is_switch(),
        switch_to: descriptor.switch_to,
        resolution: if descriptor.keyframe {
            descriptor.resolution.or(said.resolution)
        } else {
            None
        },
        ..said
    })
}

/// How many leading bytes of the payload [`patch`] may touch; 0 where there is nothing to patch.
/// Never more than [`MAX_DESCRIPTOR_LEN`], never more than the payload has.
pub fn descriptor_len(codec: Codec, payload: &[u8]) -> usize {
    match codec {
        Codec::Vp8 => vp8::descriptor_len(payload),
        Codec::Vp9 => vp9::descriptor_len(payload),
        Codec::Opus | Codec::Red | Codec::H264 | Codec::Av1 => 0,
    }
}

/// Upper bound of [`descriptor_len`].
pub const MAX_DESCRIPTOR_LEN: usize = 5;

/// Writes a picture id and a TL0PICIDX over those that the head of a payload has, keeping the picture id's width (its
/// high bits are cut off where only 7 are sent). Fields that are not there stay away.
///
/// `payload_head` is the first [`descriptor_len`] bytes of the payload, or more.
pub fn patch(codec: Codec, payload_head: &mut [u8], picture_id: u16, tl0: u8) {
    match codec {
        Codec::Vp8 => vp8::patch(payload_head, picture_id, tl0),
        Codec::Vp9 => vp9::patch(payload_head, picture_id, tl0),
        Codec::Opus | Codec::Red | Codec::H264 | Codec::Av1 => {}
    }
}

#[cfg(test)]
mod tests;
