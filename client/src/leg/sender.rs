//! A publication as one leg carries it: a sending m-line, and packets once the leg is up.

use std::sync::Arc;

use baton_protocol::{LegId, MediaKind, TrackOffer};
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
use crate::publish::{Line, Publication};

/// One publication of a leg. Packets flow from [`Sender::start`] until it is dropped.
pub(super) struct Sender {
    leg: LegId,
    publication: Publication,
    track: Arc<TrackLocalStaticRTP>,
    transceiver: Arc<dyn RtpTransceiver>,
    line: Option<Line>,
}

impl Sender {
    /// Adds an m-line.
    pub(super) async fn add(
        connection: &impl PeerConnection,
        leg: LegId,
        publication: Publication,
    ) -> Result<Self> {
        let encodings = encodings(&publication);
        let name = format!("{:?}", publication.source()).to_lowercase();
        let kind = match publication.source().kind() {
            MediaKind::Audio => RtpCodecKind::Audio,
            MediaKind::Video => RtpCodecKind::Video,
        };
        let track = MediaStreamTrack::new(
            "own".to_owned(),
            name.clone(),
            name,
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
        Ok(Self {
            leg,
            publication,
            track,
            transceiver,
            line: None,
        })
    }

    /// What the offer is about, once there is one.
    pub(super) async fn offer(&mut self, sdp: &str) -> Result<TrackOffer> {
        let mid = super::connection::mid(self.transceiver.as_ref()).await?;
        self.line = Line::find(sdp, &mid, self.publication.codec());
        Ok(TrackOffer {
            mid,
            source: self.publication.source(),
            layers: self.publication.layers().to_vec(),
            muted: self.publication.is_muted(),
        })
    }

    /// The leg is up: packets may come.
    pub(super) fn start(&self) {
        let Some(line) = self.line.clone() else {
            tracing::warn!(publication = ?self.publication, "no codec was offered that carries it; it is not sent");
            return;
        };
        self.publication
            .attach(self.leg, Arc::clone(&self.track), line);
    }

    /// Nothing is to be sent on this leg for now.
    pub(super) fn stop(&self) {
        self.publication.detach(self.leg);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.publication.detach(self.leg);
    }
}

/// No stream of retransmissions: what is lost is sent again as it was, which needs no second SSRC to be told per layer.
fn encodings(publication: &Publication) -> Vec<RTCRtpEncodingParameters> {
    let codec = publication.codec();
    let rtp_codec = RTCRtpCodec {
        mime_type: codec.mime_type().to_owned(),
        clock_rate: codec.clock_rate(),
        channels: if codec == Codec::Opus { 2 } else { 0 },
        sdp_fmtp_line: fmtp(codec).to_owned(),
        ..RTCRtpCodec::default()
    };
    let encoding = |(ssrc, rid): (u32, Option<&str>)| RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(ssrc),
            rid: rid.unwrap_or_default().to_owned(),
            ..RTCRtpCodingParameters::default()
        },
        active: true,
        codec: rtp_codec.clone(),
        ..RTCRtpEncodingParameters::default()
    };
    publication.streams().map(encoding).collect()
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
