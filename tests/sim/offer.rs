//! The offer of a simulated browser, and what it reads of the answer.

use baton_protocol::{LayerInfo, MediaKind, Source, TrackOffer};

pub(crate) const OPUS: u8 = 111;
pub(crate) const RED: u8 = 63;
pub(crate) const VP8: u8 = 96;
pub(crate) const VP8_RTX: u8 = 97;

/// Numbers of header extensions.
pub(crate) const AUDIO_LEVEL: u8 = 1;
pub(crate) const RID: u8 = 2;
pub(crate) const REPAIRED_RID: u8 = 3;
pub(crate) const TRANSPORT_CC: u8 = 4;
pub(crate) const MID: u8 = 5;

/// m-lines that send.
pub(crate) const MICROPHONE_MID: &str = "0";
pub(crate) const CAMERA_MID: &str = "1";

/// Audio slots of every participant.
pub(crate) const AUDIO_SLOTS: usize = 3;

/// Video slots of every participant.
pub(crate) const VIDEO_SLOTS: usize = 6;

/// Name, width and height of each simulcast layer, smallest first.
pub(crate) const LAYERS: [(&str, u16, u16); 3] =
    [("q", 320, 180), ("h", 640, 360), ("f", 1280, 720)];

/// Microphone, camera, audio slots, then video slots.
pub(crate) fn offer(video_slots: usize) -> String {
    let receiving = 2..2 + AUDIO_SLOTS + video_slots;
    let mids = receiving
        .clone()
        .fold(format!("{MICROPHONE_MID} {CAMERA_MID}"), |mids, mid| {
            format!("{mids} {mid}")
        });
    let fingerprint = vec!["5A"; 32].join(":");
    let mut sdp = format!(
        "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mids}\r\na=ice-ufrag:simu\r\n\
         a=ice-pwd:simulatedsimulatedsimula\r\na=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\n"
    );
    sdp += &line(MediaKind::Audio, MICROPHONE_MID, "sendonly");
    sdp += &line(MediaKind::Video, CAMERA_MID, "sendonly");
    let rids: Vec<_> = LAYERS.iter().map(|(rid, ..)| *rid).collect();
    for rid in &rids {
        sdp += &format!("a=rid:{rid} send\r\n");
    }
    sdp += &format!("a=simulcast:send {}\r\n", rids.join(";"));
    for (index, mid) in receiving.enumerate() {
        let kind = if index < AUDIO_SLOTS {
            MediaKind::Audio
        } else {
            MediaKind::Video
        };
        sdp += &line(kind, &mid.to_string(), "recvonly");
    }
    sdp
}

fn line(kind: MediaKind, mid: &str, direction: &str) -> String {
    let (media, codecs) = match kind {
        MediaKind::Audio => (
            format!("audio 9 UDP/TLS/RTP/SAVPF {OPUS} {RED}"),
            format!(
                "a=rtpmap:{OPUS} opus/48000/2\r\na=fmtp:{OPUS} useinbandfec=1;usedtx=1\r\na=rtcp-fb:{OPUS} transport-cc\r\n\
                 a=rtpmap:{RED} red/48000/2\r\na=fmtp:{RED} {OPUS}/{OPUS}\r\n\
                 a=extmap:{AUDIO_LEVEL} urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
            ),
        ),
        MediaKind::Video => (
            format!("video 9 UDP/TLS/RTP/SAVPF {VP8} {VP8_RTX}"),
            format!(
                "a=rtpmap:{VP8} VP8/90000\r\na=rtcp-fb:{VP8} nack\r\na=rtcp-fb:{VP8} nack pli\r\na=rtcp-fb:{VP8} transport-cc\r\n\
                 a=rtpmap:{VP8_RTX} rtx/90000\r\na=fmtp:{VP8_RTX} apt={VP8}\r\n\
                 a=extmap:{RID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
                 a=extmap:{REPAIRED_RID} urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n"
            ),
        ),
    };
    format!(
        "m={media}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\n{codecs}\
         a=extmap:{TRANSPORT_CC} http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
         a=extmap:{MID} urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    )
}

/// What the offer publishes.
pub(crate) fn tracks(is_muted: bool, is_camera_off: bool) -> Vec<TrackOffer> {
    let layers = LAYERS.map(|(rid, width, height)| LayerInfo {
        rid: Some(rid.to_owned()),
        width,
        height,
        max_bitrate: 0,
    });
    let track = |mid: &str, source, layers, muted| TrackOffer {
        mid: mid.to_owned(),
        source,
        layers,
        muted,
    };
    vec![
        track(MICROPHONE_MID, Source::Microphone, Vec::new(), is_muted),
        track(CAMERA_MID, Source::Camera, layers.to_vec(), is_camera_off),
    ]
}

/// One receive slot, as the answer tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnsweredSlot {
    pub(crate) mid: String,
    pub(crate) kind: MediaKind,
    pub(crate) ssrc: u32,
    /// Retransmissions.
    pub(crate) repair: Option<u32>,
}

/// The slots of an answer, in its order.
pub(crate) fn slots(answer: &str) -> Vec<AnsweredSlot> {
    let mut slots = Vec::new();
    for section in answer.split("\r\nm=").skip(1) {
        let value = |name: &str| section.lines().find_map(|line| line.strip_prefix(name));
        let numbers = |text: &str| {
            text.split_whitespace()
                .filter_map(|word| word.parse::<u32>().ok())
                .collect::<Vec<_>>()
        };
        let pair = value("a=ssrc-group:FID ").map(numbers);
        let first = value("a=ssrc:").map(numbers);
        let (Some(mid), Some(ssrc)) = (
            value("a=mid:"),
            pair.as_ref().or(first.as_ref()).and_then(|all| all.first()),
        ) else {
            continue;
        };
        slots.push(AnsweredSlot {
            mid: mid.to_owned(),
            kind: if section.starts_with("audio") {
                MediaKind::Audio
            } else {
                MediaKind::Video
            },
            ssrc: *ssrc,
            repair: pair.as_ref().and_then(|all| all.get(1).copied()),
        });
    }
    slots
}
