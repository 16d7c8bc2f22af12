//! What of an offer is kept: codecs and header extensions.

use super::media::{CodecName, Fmtp, MediaKind};

/// Header extensions (RFC 8285) that an answer keeps where they are offered.
pub const EXTENSIONS: [&str; 12] = [
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "urn:ietf:params:rtp-hdrext:csrc-audio-level",
    "urn:3gpp:video-orientation",
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
    "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00",
    DEPENDENCY_DESCRIPTOR,
];

/// What of a picture others need, for whoever forwards it (AV1 RTP specification, appendix A).
pub(super) const DEPENDENCY_DESCRIPTOR: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/// Is this extension answered?
#[must_use]
pub fn is_extension_kept(uri: &str) -> bool {
    EXTENSIONS.contains(&uri)
}

/// Is this codec answered? Retransmission types follow their primary and are not asked about.
pub(super) fn is_codec_kept(
    kind: MediaKind,
    name: CodecName,
    clock_rate: u32,
    fmtp: &Fmtp,
) -> bool {
    match (kind, name) {
        (MediaKind::Audio, CodecName::Opus | CodecName::Red) => clock_rate == 48_000,
        (MediaKind::Video, CodecName::Vp8) => clock_rate == 90_000,
        (MediaKind::Video, CodecName::Vp9) => {
            clock_rate == 90_000 && matches!(fmtp.value("profile-id"), None | Some("0"))
        }
        (MediaKind::Video, CodecName::Av1) => {
            clock_rate == 90_000 && matches!(fmtp.value("profile"), None | Some("0"))
        }
        (MediaKind::Video, CodecName::H264) => {
            clock_rate == 90_000
                && fmtp.value("packetization-mode") == Some("1")
                && fmtp
                    .value("profile-level-id")
                    .is_some_and(is_h264_profile_kept)
        }
        (MediaKind::Audio | MediaKind::Video, _)
        | (MediaKind::Application | MediaKind::Other, _) => false,
    }
}

/// Baseline and constrained baseline (profile_idc 0x42) and main (0x4d), RFC 6184 section 8.1: what every browser decodes.
fn is_h264_profile_kept(profile_level_id: &str) -> bool {
    profile_level_id.len() == 6
        && profile_level_id
            .get(..2)
            .is_some_and(|profile| profile == "42" || profile.eq_ignore_ascii_case("4d"))
}
