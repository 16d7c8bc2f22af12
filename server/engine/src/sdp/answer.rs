//! The answer to an offer: every m-line mirrored, what is not known left out.

use std::fmt::{Arguments, Write};

use super::candidate::{
    host_candidates, passive_candidates, reflexive_candidates, relayed_candidate,
};
use super::media::{
    CodecLine, CodecName, Direction, ExtensionLine, MediaKind, MediaLine, SsrcPair,
};
use super::offer::{Fingerprint, IcePassword, Offer, Setup};
use super::policy::{DEPENDENCY_DESCRIPTOR, is_extension_kept};

use std::net::SocketAddr;

/// The host's side of the connection, as its transport chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTransport {
    /// ICE user fragment.
    pub ufrag: String,
    /// ICE password.
    pub pwd: IcePassword,
    /// Of the certificate shown.
    pub fingerprint: Fingerprint,
    /// DTLS role.
    pub setup: Setup,
    /// SCTP port.
    pub sctp_port: u16,
    /// Largest data channel message that is taken, in bytes.
    pub max_message_size: u64,
}

/// A stream that the host sends on one m-line (which the offerer only receives).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Stream id of `a=msid`.
    pub stream: String,
    /// Media stream.
    pub ssrc: u32,
    /// Its retransmissions; used only where the answer has a retransmission payload type.
    pub rtx: Option<u32>,
}

/// What an answer says beyond the offer.
#[derive(Clone, Debug)]
pub struct AnswerParams<'a> {
    /// From the transport.
    pub transport: &'a LocalTransport,
    /// Addresses under which the host is reached.
    pub announced: &'a [SocketAddr],
    /// Addresses that lead to this host through a NAT, best first.
    pub reflexive: &'a [SocketAddr],
    /// An address of this host's at a TURN server.
    pub relayed: Option<SocketAddr>,
    /// They are reached by TCP too.
    pub has_tcp: bool,
    /// ICE-lite.
    pub is_lite: bool,
    /// `o=` line: stays the same for a leg's life.
    pub session: u64,
    /// `o=` line: grows by one with each answer of the leg.
    pub version: u64,
    /// Canonical name of everything the host sends (RFC 3550 section 6.5.1).
    pub cname: &'a str,
    /// Written as `x-google-start-bitrate` to video that the host receives, in kb/s: Chromium then starts there
    /// instead of at 300; nobody else reads it.
    pub start_bitrate: Option<u32>,
}

/// Writes the answer. `slot` gives the stream of an m-line that the host may send on, by mid.
///
/// Every m-line of the offer has its counterpart: rejected ones stay rejected, and lines without a known codec
/// become rejected. An inactive slot keeps its m-line and comes back with the offer that revives it.
#[must_use]
pub fn answer(
    offer: &Offer,
    params: &AnswerParams<'_>,
    slot: impl Fn(&MediaLine) -> Option<Slot>,
) -> String {
    let mut writer = Writer(String::with_capacity(1024 + offer.media.len() * 1024));
    writer.session(offer, params);
    for (index, media) in offer.media.iter().enumerate() {
        if !media.is_answerable() {
            writer.rejection(media);
            continue;
        }
        writer.opening(media);
        writer.transport(params, index == 0);
        match media.kind {
            MediaKind::Audio | MediaKind::Video => {
                let slot = slot(media).filter(|_| {
                    matches!(media.direction, Direction::RecvOnly | Direction::SendRecv)
                });
                writer.media(media, params, slot.as_ref());
            }
            MediaKind::Application | MediaKind::Other => {
                let LocalTransport {
                    sctp_port,
                    max_message_size,
                    ..
                } = params.transport;
                writer.line(format_args!("a=sctp-port:{sctp_port}"));
                writer.line(format_args!("a=max-message-size:{max_message_size}"));
            }
        }
    }
    writer.0
}

/// Chromium that may send dependency descriptors leaves the picture ids and layers out of VP8, and who reads no descriptors (Firefox) then
/// takes every picture for the base of the next one: with one that is lost, all that follow wait.
fn is_harmful(uri: &str, media: &MediaLine) -> bool {
    let is_sent_only = media.direction == Direction::SendOnly;
    let first = media.codecs.first().map(|codec| codec.name);
    uri == DEPENDENCY_DESCRIPTOR && is_sent_only && first == Some(CodecName::Vp8)
}

struct Writer(String);

impl Writer {
    fn line(&mut self, line: Arguments<'_>) {
        write!(self.0, "{line}\r\n").expect("writing to a String does not fail");
    }

    fn session(&mut self, offer: &Offer, params: &AnswerParams<'_>) {
        let AnswerParams {
            session, version, ..
        } = params;
        self.line(format_args!("v=0"));
        self.line(format_args!("o=- {session} {version} IN IP4 127.0.0.1"));
        self.line(format_args!("s=-"));
        self.line(format_args!("t=0 0"));
        self.0.push_str("a=group:BUNDLE");
        for media in offer.media.iter().filter(|media| media.is_answerable()) {
            self.0.push(' ');
            self.0.push_str(&media.mid);
        }
        self.0.push_str("\r\n");
        if params.is_lite {
            self.line(format_args!("a=ice-lite"));
        }
        if offer.is_extmap_mixed {
            self.line(format_args!("a=extmap-allow-mixed"));
        }
        self.line(format_args!("a=msid-semantic: WMS *"));
    }

    fn rejection(&mut self, media: &MediaLine) {
        let MediaLine {
            media: word,
            proto,
            formats,
            mid,
            ..
        } = media;
        self.line(format_args!("m={word} 0 {proto} {formats}"));
        self.line(format_args!("c=IN IP4 0.0.0.0"));
        self.line(format_args!("a=inactive"));
        if !mid.is_empty() {
            self.line(format_args!("a=mid:{mid}"));
        }
    }

    fn opening(&mut self, media: &MediaLine) {
        let MediaLine {
            media: word,
            proto,
            formats,
            mid,
            ..
        } = media;
        write!(self.0, "m={word} 9 {proto}").expect("writing to a String does not fail");
        if media.kind == MediaKind::Application {
            self.line(format_args!(" {formats}"));
        } else {
            for payload_type in media
                .codecs
                .iter()
                .flat_map(|c| [Some(c.payload_type), c.rtx])
                .flatten()
            {
                write!(self.0, " {payload_type}").expect("writing to a String does not fail");
            }
            self.0.push_str("\r\n");
        }
        self.line(format_args!("c=IN IP4 0.0.0.0"));
        self.line(format_args!("a=mid:{mid}"));
    }

    fn transport(&mut self, params: &AnswerParams<'_>, is_first: bool) {
        let LocalTransport {
            ufrag,
            pwd,
            fingerprint,
            setup,
            ..
        } = params.transport;
        self.line(format_args!("a=ice-ufrag:{ufrag}"));
        self.line(format_args!("a=ice-pwd:{}", pwd.as_str()));
        self.line(format_args!("a=fingerprint:{fingerprint}"));
        self.line(format_args!("a=setup:{}", setup.as_str()));
        if is_first {
            for candidate in host_candidates(params.announced) {
                self.line(format_args!("a=candidate:{candidate}"));
            }
            for candidate in reflexive_candidates(params.reflexive) {
                self.line(format_args!("a=candidate:{candidate}"));
            }
            let tcp = params.announced.iter().filter(|_| params.has_tcp);
            for candidate in passive_candidates(&tcp.copied().collect::<Vec<_>>()) {
                self.line(format_args!("a=candidate:{candidate}"));
            }
            if let Some(candidate) = params.relayed.map(relayed_candidate) {
                self.line(format_args!("a=candidate:{candidate}"));
            }
            self.line(format_args!("a=end-of-candidates"));
        }
    }

    fn media(&mut self, media: &MediaLine, params: &AnswerParams<'_>, slot: Option<&Slot>) {
        let direction = media.direction.mirrored();
        self.line(format_args!("a={direction}"));
        self.line(format_args!("a=rtcp-mux"));
        self.line(format_args!("a=rtcp-rsize"));
        let is_received = matches!(direction, Direction::RecvOnly | Direction::SendRecv);
        let start_bitrate = params
            .start_bitrate
            .filter(|_| is_received && media.kind == MediaKind::Video);
        for codec in &media.codecs {
            self.codec(codec, media.kind, start_bitrate);
        }
        let kept = media.extensions.iter();
        let kept = kept.filter(|e| is_extension_kept(&e.uri) && !is_harmful(&e.uri, media));
        for extension in kept {
            self.extension(extension);
        }
        if is_received && !media.simulcast.rids.is_empty() {
            for rid in &media.simulcast.rids {
                self.line(format_args!("a=rid:{rid} recv"));
            }
            self.line(format_args!(
                "a=simulcast:recv {}",
                media.simulcast.rids.join(";")
            ));
        }
        if let Some(slot) = slot {
            self.slot(media, slot, params.cname);
        }
    }

    fn codec(&mut self, codec: &CodecLine, kind: MediaKind, start_bitrate: Option<u32>) {
        let CodecLine {
            payload_type,
            clock_rate,
            channels,
            feedback,
            fmtp,
            ..
        } = codec;
        let name = codec.name.as_encoding();
        match channels {
            0 | 1 => self.line(format_args!("a=rtpmap:{payload_type} {name}/{clock_rate}")),
            _ => self.line(format_args!(
                "a=rtpmap:{payload_type} {name}/{clock_rate}/{channels}"
            )),
        }
        let fmtp = fmtp.0.as_str();
        match (fmtp, start_bitrate) {
            ("", None) => {}
            (_, None) => self.line(format_args!("a=fmtp:{payload_type} {fmtp}")),
            ("", Some(rate)) => {
                self.line(format_args!(
                    "a=fmtp:{payload_type} x-google-start-bitrate={rate}"
                ));
            }
            (_, Some(rate)) => self.line(format_args!(
                "a=fmtp:{payload_type} {fmtp};x-google-start-bitrate={rate}"
            )),
        }
        let is_video = kind == MediaKind::Video;
        let kept = [
            (feedback.nack, "nack"),
            (feedback.pli && is_video, "nack pli"),
            (feedback.fir && is_video, "ccm fir"),
            (feedback.transport_cc, "transport-cc"),
            (feedback.remb && !feedback.transport_cc, "goog-remb"),
        ];
        for (_, feedback) in kept.iter().filter(|(is_kept, _)| *is_kept) {
            self.line(format_args!("a=rtcp-fb:{payload_type} {feedback}"));
        }
        if let Some(rtx) = codec.rtx {
            let name = CodecName::Rtx.as_encoding();
            self.line(format_args!("a=rtpmap:{rtx} {name}/{clock_rate}"));
            self.line(format_args!("a=fmtp:{rtx} apt={payload_type}"));
        }
    }

    fn extension(&mut self, extension: &ExtensionLine) {
        let ExtensionLine { id, uri, direction } = extension;
        match direction.map(Direction::mirrored) {
            None => self.line(format_args!("a=extmap:{id} {uri}")),
            Some(direction) => self.line(format_args!("a=extmap:{id}/{direction} {uri}")),
        }
    }

    /// Chromium plays a slot only if the media stream's a=ssrc comes before the retransmission's.
    fn slot(&mut self, media: &MediaLine, slot: &Slot, cname: &str) {
        let Slot { stream, ssrc, .. } = slot;
        let rtx = slot
            .rtx
            .filter(|_| media.codecs.iter().any(|codec| codec.rtx.is_some()));
        self.line(format_args!("a=msid:{stream} {stream}"));
        if let Some(rtx) = rtx {
            let SsrcPair { primary, rtx } = SsrcPair {
                primary: *ssrc,
                rtx,
            };
            self.line(format_args!("a=ssrc-group:FID {primary} {rtx}"));
        }
        self.line(format_args!("a=ssrc:{ssrc} cname:{cname}"));
        if let Some(rtx) = rtx {
            self.line(format_args!("a=ssrc:{rtx} cname:{cname}"));
        }
    }
}
