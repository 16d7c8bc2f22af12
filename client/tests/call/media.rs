//! A publisher of the smallest media that is valid: VP8 keyframes and loud Opus packets, fifty a second.

use std::sync::Arc;
use std::time::Duration;

use baton_client::Publication;
use baton_protocol::{LayerInfo, Source};
use bytes::Bytes;
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp;
use rtc::rtp::extension::HeaderExtension;
use rtc::rtp::extension::audio_level_extension::AudioLevelExtension;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use tokio::task::JoinHandle;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

pub(crate) struct Media {
    sound: Arc<TrackLocalStaticRTP>,
    picture: Arc<TrackLocalStaticRTP>,
}

const SOUND: u32 = 0x5011;
const PICTURE: u32 = 0x51de;

/// Extended descriptor with a 15 bit picture id (RFC 7741 section 4.2), then a keyframe of 16 by 16 pixels (RFC 6386
/// section 9.1).
const KEYFRAME: [u8; 16] = [
    0x90, 0x80, 0x80, 0x00, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x10, 0x00, 0x10, 0x00, 0x00, 0x00,
];

impl Media {
    pub(crate) fn new() -> Self {
        Self {
            sound: track(RtpCodecKind::Audio, "audio/opus", 48_000, 2, SOUND),
            picture: track(RtpCodecKind::Video, "video/VP8", 90_000, 0, PICTURE),
        }
    }

    pub(crate) fn publications(&self) -> Vec<Publication> {
        let layer = LayerInfo {
            rid: None,
            width: 16,
            height: 16,
            max_bitrate: 0,
        };
        vec![
            Publication {
                source: Source::Microphone,
                layers: Vec::new(),
                track: Arc::clone(&self.sound) as Arc<dyn TrackLocal>,
            },
            Publication {
                source: Source::Camera,
                layers: vec![layer],
                track: Arc::clone(&self.picture) as Arc<dyn TrackLocal>,
            },
        ]
    }

    /// Sends until it is aborted.
    pub(crate) fn send(&self) -> JoinHandle<()> {
        let (sound, picture) = (Arc::clone(&self.sound), Arc::clone(&self.picture));
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            for count in 0_u16.. {
                ticks.tick().await;
                let loud = AudioLevelExtension {
                    level: 10,
                    voice: true,
                };
                let packet = packet(111, SOUND, count, 960, &[0xf8, 0xff, 0xfe]);
                sound
                    .write_rtp_with_extensions(packet, &[HeaderExtension::AudioLevel(loud)])
                    .await
                    .unwrap();
                let mut frame = KEYFRAME;
                frame[2] = 0x80 | count.to_be_bytes()[0] & 0x7f;
                frame[3] = count.to_be_bytes()[1];
                picture
                    .write_rtp(self::packet(96, PICTURE, count, 1800, &frame))
                    .await
                    .unwrap();
            }
        })
    }
}

fn packet(payload_type: u8, ssrc: u32, count: u16, pace: u32, payload: &[u8]) -> rtp::Packet {
    rtp::Packet {
        header: rtp::Header {
            version: 2,
            marker: true,
            payload_type,
            sequence_number: count,
            timestamp: u32::from(count) * pace,
            ssrc,
            ..rtp::Header::default()
        },
        payload: Bytes::copy_from_slice(payload),
    }
}

fn track(
    kind: RtpCodecKind,
    mime_type: &str,
    clock_rate: u32,
    channels: u16,
    ssrc: u32,
) -> Arc<TrackLocalStaticRTP> {
    let codec = RTCRtpCodec {
        mime_type: mime_type.to_owned(),
        clock_rate,
        channels,
        ..RTCRtpCodec::default()
    };
    let coding = RTCRtpCodingParameters {
        ssrc: Some(ssrc),
        ..RTCRtpCodingParameters::default()
    };
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: coding,
        codec,
        ..RTCRtpEncodingParameters::default()
    };
    let name = mime_type.to_owned();
    Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        name.clone(),
        name.clone(),
        name,
        kind,
        vec![encoding],
    )))
}
