//! One m-line of an offer, as far as a host needs it.

use std::fmt;

/// What an m-line carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// `m=audio`.
    Audio,
    /// `m=video`.
    Video,
    /// `m=application … webrtc-datachannel`.
    Application,
    /// Anything else: always rejected.
    Other,
}

/// Who sends on an m-line, seen from the side that wrote the description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both (also when nothing is written, RFC 8866 section 6.7).
    #[default]
    SendRecv,
    /// The writer sends.
    SendOnly,
    /// The writer receives: for a host this is a slot.
    RecvOnly,
    /// Nobody, for now.
    Inactive,
}

impl Direction {
    /// The same agreement seen from the other side.
    #[must_use]
    pub fn mirrored(self) -> Self {
        match self {
            Self::SendRecv => Self::SendRecv,
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::Inactive => Self::Inactive,
        }
    }

    /// The attribute's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// Reads an attribute's name; `None` if it is another attribute.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "sendrecv" => Some(Self::SendRecv),
            "sendonly" => Some(Self::SendOnly),
            "recvonly" => Some(Self::RecvOnly),
            "inactive" => Some(Self::Inactive),
            _ => None,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Encoding names of `a=rtpmap` that a host forwards, and the two that only accompany others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodecName {
    /// RFC 7587.
    Opus,
    /// Redundant audio, RFC 2198.
    Red,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// AOM's payload format.
    Av1,
    /// Retransmission, RFC 4588.
    Rtx,
    /// Known to nobody here: never answered.
    Other,
}

impl CodecName {
    /// Reads an encoding name; names are case-insensitive (RFC 8866 section 6.6).
    #[must_use]
    pub fn from_encoding(name: &str) -> Self {
        const NAMES: [(&str, CodecName); 7] = [
            ("opus", CodecName::Opus),
            ("red", CodecName::Red),
            ("VP8", CodecName::Vp8),
            ("VP9", CodecName::Vp9),
            ("H264", CodecName::H264),
            ("AV1", CodecName::Av1),
            ("rtx", CodecName::Rtx),
        ];
        NAMES
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
            .map_or(Self::Other, |&(_, codec)| codec)
    }

    /// How the name is written in an answer.
    #[must_use]
    pub fn as_encoding(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Red => "red",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H264 => "H264",
            Self::Av1 => "AV1",
            Self::Rtx => "rtx",
            Self::Other => "",
        }
    }
}

/// Feedback that an offer allows for one payload type, as far as it is ever answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    /// `nack` (RFC 4585).
    pub nack: bool,
    /// `nack pli`.
    pub pli: bool,
    /// `ccm fir` (RFC 5104).
    pub fir: bool,
    /// `transport-cc`.
    pub transport_cc: bool,
    /// `goog-remb`, answered where `transport-cc` is not offered.
    pub remb: bool,
}

/// The parameters of one `a=fmtp` line, unparsed: `key=value;key=value`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fmtp(pub String);

impl Fmtp {
    /// Value of a parameter; keys are case-insensitive.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case(key).then(|| value.trim())
        })
    }
}

/// One payload type of an m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecLine {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// Encoding name.
    pub name: CodecName,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// Channels; 1 when not written.
    pub channels: u8,
    /// Format parameters; empty when there are none.
    pub fmtp: Fmtp,
    /// Payload type of the retransmissions, by `apt`.
    pub rtx: Option<u8>,
    /// Feedback allowed, wildcard lines included.
    pub feedback: Feedback,
}

/// One `a=extmap` (RFC 8285).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionLine {
    /// Local identifier: 1 to 14, or to 255 where mixing is allowed.
    pub id: u8,
    /// What it is.
    pub uri: String,
    /// The offer's direction suffix, if it has one.
    pub direction: Option<Direction>,
}

/// Two streams of an `a=ssrc-group:FID`: media and its retransmissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SsrcPair {
    /// The media stream.
    pub primary: u32,
    /// The retransmission stream (RFC 4588).
    pub rtx: u32,
}

/// The rids an offer sends, in the order of `a=simulcast:send`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulcast {
    /// Restriction identifiers, lowest layer first by convention only.
    pub rids: Vec<String>,
}

/// One m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaLine {
    /// What it carries.
    pub kind: MediaKind,
    /// The word after `m=`, for mirroring.
    pub(super) media: String,
    /// The transport protocol, for mirroring.
    pub(super) proto: String,
    /// The formats as written, for mirroring a rejection.
    pub(super) formats: String,
    /// `a=mid`.
    pub mid: String,
    /// Port 0 without `a=bundle-only`: the offerer wants nothing here.
    pub is_rejected: bool,
    /// The offerer's direction.
    pub direction: Direction,
    /// Kept codecs in the offer's order; retransmission types are their `rtx`.
    pub codecs: Vec<CodecLine>,
    /// All extensions offered.
    pub extensions: Vec<ExtensionLine>,
    /// What the offerer sends in layers.
    pub simulcast: Simulcast,
    /// Sending streams named by `a=ssrc`, in order of appearance.
    pub ssrcs: Vec<u32>,
    /// Pairs of media and retransmission streams.
    pub fid: Vec<SsrcPair>,
    /// First `a=msid`: stream id and track id.
    pub msid: Option<(String, String)>,
    /// `a=rtcp-mux`.
    pub(super) has_rtcp_mux: bool,
    /// `a=extmap-allow-mixed` on this line.
    pub(super) is_extmap_mixed: bool,
    /// `a=sctp-port`, on the application line.
    pub sctp_port: Option<u16>,
    /// `a=max-message-size`, on the application line; 0 means unlimited.
    pub max_message_size: Option<u64>,
}

impl MediaLine {
    /// Is this a slot, i.e. does the offerer only receive here?
    #[must_use]
    pub fn is_slot(&self) -> bool {
        !self.is_rejected
            && matches!(self.kind, MediaKind::Audio | MediaKind::Video)
            && self.direction == Direction::RecvOnly
    }

    /// Does an answer accept this line?
    #[must_use]
    pub fn is_answerable(&self) -> bool {
        !self.is_rejected
            && match self.kind {
                MediaKind::Audio | MediaKind::Video => !self.codecs.is_empty(),
                MediaKind::Application => true,
                MediaKind::Other => false,
            }
    }

    /// Identifier of an extension.
    #[must_use]
    pub fn extension(&self, uri: &str) -> Option<u8> {
        self.extensions.iter().find(|e| e.uri == uri).map(|e| e.id)
    }
}
