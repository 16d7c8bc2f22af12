//! Opens a sending m-line of a connection.

use std::sync::Arc;

use rtc::media_stream::MediaStreamTrack;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use webrtc::error::Result;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::PeerConnection;
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit, RtpTransceiver};

use crate::media::Codec;

/// An m-line, and what packets are written to.
pub(super) struct Outlet {
    pub(super) transceiver: Arc<dyn RtpTransceiver>,
    pub(super) track: Arc<TrackLocalStaticRTP>,
}

impl Outlet {
    /// Adds it to the next offer. `streams`: SSRC and rid of each encoding.
    pub(super) async fn add<'a>(
        connection: &impl PeerConnection,
        name: &str,
        codec: RTCRtpCodec,
        streams: impl Iterator<Item = (u32, Option<&'a str>)>,
    ) -> Result<Self> {
        // No stream of retransmissions: what is lost is sent again as it was, which needs no second SSRC to be told per layer.
        let encoding = |(ssrc, rid): (u32, Option<&str>)| RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(ssrc),
                rid: rid.unwrap_or_default().to_owned(),
                ..RTCRtpCodingParameters::default()
            },
            active: true,
            codec: codec.clone(),
            ..RTCRtpEncodingParameters::default()
        };
        let encodings: Vec<_> = streams.map(encoding).collect();
        let kind = match codec.mime_type.starts_with("audio/") {
            true => RtpCodecKind::Audio,
            false => RtpCodecKind::Video,
        };
        let track = MediaStreamTrack::new(
            "own".to_owned(),
            name.to_owned(),
            name.to_owned(),
            kind,
            encodings.clone(),
        );
        let track = Arc::new(TrackLocalStaticRTP::new(track));
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Sendonly,
            send_encodings: encodings,
            ..RTCRtpTransceiverInit::default()
        };
        let local = Arc::clone(&track) as Arc<dyn TrackLocal>;
        let transceiver = connection
            .add_transceiver_from_track(local, Some(init))
            .await?;
        Ok(Self { transceiver, track })
    }
}

/// As an m-line of its own offers it.
pub(super) fn offered(codec: Codec) -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: codec.mime_type().to_owned(),
        clock_rate: codec.clock_rate(),
        channels: if codec == Codec::Opus { 2 } else { 0 },
        sdp_fmtp_line: fmtp(codec).to_owned(),
        ..RTCRtpCodec::default()
    }
}

/// Of several formats of a codec, the one that is meant.
fn fmtp(codec: Codec) -> &'static str {
    match codec {
        Codec::Opus => "minptime=10;useinbandfec=1",
        Codec::Vp8 => "",
        Codec::Vp9 | Codec::Av1 => "profile-id=0",
        Codec::H264 => "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    }
}
