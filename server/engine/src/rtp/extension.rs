//! Header extensions (RFC 8285): which exist, which number they have on a leg, and reading them in one pass.
//!
//! Does not own what a dependency descriptor or a layers allocation says (`codec`), nor writing (`writer`).

use super::{Header, Ssrc};

/// Element numbers 1..=14 with 1..=16 bytes each (RFC 8285 section 4.2).
pub(super) const ONE_BYTE_PROFILE: u16 = 0xbede;
/// Element numbers 1..=255 with 0..=255 bytes each; the low four bits are free (RFC 8285 section 4.3).
pub(super) const TWO_BYTE_PROFILE: u16 = 0x1000;
/// Highest element number of the one-byte form.
pub(super) const ONE_BYTE_MAX_ID: u8 = 14;

/// The header extensions this host understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExtensionKind {
    /// Media identification (RFC 9143).
    Mid,
    /// Layer of a simulcast (RFC 8852).
    Rid,
    /// The layer that an RTX stream repairs (RFC 8852).
    RepairedRid,
    /// Client-to-mixer audio level (RFC 6464).
    AudioLevel,
    /// Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportSequence,
    /// Absolute send time, 6.18 seconds (webrtc.org experiment).
    AbsSendTime,
    /// Frame dependencies (AV1 RTP specification, appendix A).
    DependencyDescriptor,
    /// Coordination of video orientation (3GPP TS 26.114, section 7.4.5).
    VideoOrientation,
    /// Limits of the playout delay (webrtc.org experiment).
    PlayoutDelay,
    /// Which packet of its publisher it is: Baton's own, for whoever gets the same one from two hosts.
    Origin,
    /// Which layers a sender has active, at which rates (webrtc.org experiment).
    VideoLayersAllocation,
}

impl ExtensionKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 11] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::AudioLevel,
        Self::TransportSequence,
        Self::AbsSendTime,
        Self::DependencyDescriptor,
        Self::VideoOrientation,
        Self::PlayoutDelay,
        Self::Origin,
        Self::VideoLayersAllocation,
    ];

    /// As in `a=extmap`.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::TransportSequence => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::Origin => "urn:x-baton:rtp-hdrext:origin",
            Self::VideoLayersAllocation => {
                "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
            }
        }
    }

    /// `None` for an extension this host does not understand.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.uri() == uri)
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// Which element number each extension has (`a=extmap`, RFC 8285 section 6). A few bytes, copied freely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionMap {
    /// By kind; 0: not mapped.
    ids: [u8; ExtensionKind::ALL.len()],
    /// By number, for the numbers of the one-byte form.
    low_kinds: [Option<ExtensionKind>; 16],
}

impl ExtensionMap {
    /// Maps a number to a kind and replaces what either was mapped to before. `false`: 0 cannot be mapped.
    pub fn insert(&mut self, id: u8, kind: ExtensionKind) -> bool {
        if id == 0 {
            return false;
        }
        if let Some(old) = self.kind(id) {
            self.set(0, old);
        }
        let old_id = self.raw_id(kind);
        if let Some(slot) = self.low_kinds.get_mut(usize::from(old_id)) {
            *slot = None;
        }
        self.set(id, kind);
        if let Some(slot) = self.low_kinds.get_mut(usize::from(id)) {
            *slot = Some(kind);
        }
        true
    }

    /// The kind that this element number stands for.
    #[inline]
    pub fn kind(&self, id: u8) -> Option<ExtensionKind> {
        match self.low_kinds.get(usize::from(id)) {
            Some(kind) => *kind,
            None => ExtensionKind::ALL
                .into_iter()
                .find(|kind| self.raw_id(*kind) == id),
        }
    }

    /// The element number of this kind, 1..=255.
    #[inline]
    pub fn id(&self, kind: ExtensionKind) -> Option<u8> {
        let id = self.raw_id(kind);
        (id != 0).then_some(id)
    }

    /// Every mapped pair, ordered by kind.
    pub fn iter(&self) -> impl Iterator<Item = (u8, ExtensionKind)> {
        let map = *self;
        ExtensionKind::ALL
            .into_iter()
            .filter_map(move |kind| Some((map.id(kind)?, kind)))
    }

    /// 0: not mapped.
    #[inline]
    pub(super) const fn raw_id(&self, kind: ExtensionKind) -> u8 {
        self.ids[kind.index()]
    }

    const fn set(&mut self, id: u8, kind: ExtensionKind) {
        self.ids[kind.index()] = id;
    }
}

impl FromIterator<(u8, ExtensionKind)> for ExtensionMap {
    fn from_iter<I: IntoIterator<Item = (u8, ExtensionKind)>>(pairs: I) -> Self {
        let mut map = Self::default();
        for (id, kind) in pairs {
            map.insert(id, kind);
        }
        map
    }
}

/// How loud a packet of audio is (RFC 6464 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// The sender's encoder believes that it is speech.
    pub voice: bool,
    /// Minus dBov: 0 is the loudest, 127 is silence.
    pub level: u8,
}

impl AudioLevel {
    pub(super) const fn from_wire(byte: u8) -> Self {
        Self {
            voice: byte & 0x80 != 0,
            level: byte & 0x7f,
        }
    }

    pub(super) const fn to_wire(self) -> u8 {
        let level = if self.level > 0x7f { 0x7f } else { self.level };
        level | if self.voice { 0x80 } else { 0 }
    }
}

/// What a packet was before any host numbered it anew: the same for all who get it, whoever from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The publisher's stream.
    pub ssrc: Ssrc,
    /// In the publisher's numbering.
    pub seq: u16,
    /// By the publisher's clock.
    pub timestamp: u32,
}

impl Origin {
    /// Bytes of the element.
    pub const LEN: usize = 10;

    /// `None`: too short.
    pub fn from_wire(data: &[u8]) -> Option<Self> {
        let &[s0, s1, s2, s3, n0, n1, t0, t1, t2, t3] = data.first_chunk::<{ Self::LEN }>()?;
        Some(Self {
            ssrc: Ssrc(u32::from_be_bytes([s0, s1, s2, s3])),
            seq: u16::from_be_bytes([n0, n1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        })
    }

    /// As it is sent.
    pub const fn to_wire(self) -> [u8; Self::LEN] {
        let [s0, s1, s2, s3] = self.ssrc.0.to_be_bytes();
        let [n0, n1] = self.seq.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        [s0, s1, s2, s3, n0, n1, t0, t1, t2, t3]
    }
}

/// What a received packet's header extensions say. An element that is too short for its kind is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions<'a> {
    /// For `Mid::try_from`.
    pub mid: Option<&'a [u8]>,
    /// For `Rid::try_from`.
    pub rid: Option<&'a [u8]>,
    /// For `Rid::try_from`: present on RTX only.
    pub repaired_rid: Option<&'a [u8]>,
    /// Loudness.
    pub audio_level: Option<AudioLevel>,
    /// Transport-wide sequence number.
    pub transport_sequence: Option<u16>,
    /// 24 bits, seconds in 6.18 fixed point.
    pub abs_send_time: Option<u32>,
    /// Unparsed.
    pub dependency_descriptor: Option<&'a [u8]>,
    /// Unparsed: camera, flip and rotation bits.
    pub video_orientation: Option<u8>,
    /// Unparsed: two 12-bit numbers of 10 ms.
    pub playout_delay: Option<[u8; 3]>,
    /// Which packet it was before.
    pub origin: Option<Origin>,
    /// Unparsed.
    pub video_layers_allocation: Option<&'a [u8]>,
}

impl<'a> Extensions<'a> {
    /// Reads the extensions of the packet that `header` was parsed from. What comes after a malformed element is
    /// left out; of two elements of one kind the later one counts.
    #[inline]
    pub fn parse(map: &ExtensionMap, packet: &'a [u8], header: &Header) -> Self {
        let mut found = Self::default();
        let Some(block) = header.extension else {
            return found;
        };
        let Some(bytes) = packet.get(block.range()) else {
            return found;
        };
        for (id, data) in elements(block.profile, bytes) {
            let Some(kind) = map.kind(id) else { continue };
            match kind {
                ExtensionKind::Mid => found.mid = Some(data),
                ExtensionKind::Rid => found.rid = Some(data),
                ExtensionKind::RepairedRid => found.repaired_rid = Some(data),
                ExtensionKind::AudioLevel => {
                    found.audio_level = data.first().copied().map(AudioLevel::from_wire)
                }
                ExtensionKind::TransportSequence => {
                    found.transport_sequence = data.first_chunk().copied().map(u16::from_be_bytes);
                }
                ExtensionKind::AbsSendTime => {
                    found.abs_send_time = data
                        .first_chunk()
                        .map(|&[b0, b1, b2]| u32::from_be_bytes([0, b0, b1, b2]));
                }
                ExtensionKind::DependencyDescriptor => found.dependency_descriptor = Some(data),
                ExtensionKind::VideoOrientation => found.video_orientation = data.first().copied(),
                ExtensionKind::PlayoutDelay => found.playout_delay = data.first_chunk().copied(),
                ExtensionKind::Origin => found.origin = Origin::from_wire(data),
                ExtensionKind::VideoLayersAllocation => found.video_layers_allocation = Some(data),
            }
        }
        found
    }
}

/// The elements of an extension block: number and data. Ends at the first malformed element.
pub fn elements(profile: u16, block: &[u8]) -> Elements<'_> {
    let form = match profile {
        ONE_BYTE_PROFILE => Form::OneByte,
        _ if profile & 0xfff0 == TWO_BYTE_PROFILE => Form::TwoByte,
        _ => Form::Foreign,
    };
    Elements { form, rest: block }
}

#[derive(Clone, Copy, Debug)]
enum Form {
    OneByte,
    TwoByte,
    Foreign,
}

/// See [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    form: Form,
    rest: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            if first == 0 {
                self.rest = rest;
                continue;
            }
            let (id, len, rest) = match self.form {
                Form::OneByte => (first >> 4, usize::from(first & 0x0f) + 1, rest),
                Form::TwoByte => {
                    let (&len, rest) = rest.split_first()?;
                    (first, usize::from(len), rest)
                }
                Form::Foreign => return None,
            };
            // RFC 8285 section 4.2: number 15, and number 0 with a length, end the walk.
            if matches!(self.form, Form::OneByte) && !(1..=ONE_BYTE_MAX_ID).contains(&id) {
                self.rest = &[];
                return None;
            }
            let Some((data, rest)) = rest.split_at_checked(len) else {
                self.rest = &[];
                return None;
            };
            self.rest = rest;
            return Some((id, data));
        }
    }
}
