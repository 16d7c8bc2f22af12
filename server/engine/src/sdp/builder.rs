//! One m-line while it is read: attributes refer to payload types that an earlier line named.

use super::media::{
    CodecLine, CodecName, Direction, ExtensionLine, Feedback, Fmtp, MediaKind, MediaLine,
    Simulcast, SsrcPair,
};
use super::offer::SdpProblem;
use super::policy::is_codec_kept;

/// Payload types of one m-line; there are 128 in all, and Chromium offers about 40.
const MAX_PAYLOAD_TYPES: usize = 64;
/// `a=extmap` lines of one m-line.
const MAX_EXTENSIONS: usize = 32;
/// Layers one track may send.
const MAX_RIDS: usize = 4;
/// Streams named by `a=ssrc` on one m-line: media and repair of each layer.
const MAX_SSRCS: usize = 16;
/// Longest mid: what a one-byte header extension can carry is 16, some encoders write more.
const MAX_MID: usize = 32;
/// Longest rid: what a one-byte header extension can carry.
const MAX_RID: usize = 16;
/// Longest id of `a=msid`.
const MAX_MSID: usize = 64;

/// One payload type before the filter.
struct Payload {
    payload_type: u8,
    name: CodecName,
    clock_rate: u32,
    channels: u8,
    fmtp: Fmtp,
    feedback: Feedback,
}

/// Reads the attributes of one m-line.
pub(super) struct MediaBuilder {
    line: usize,
    port: u16,
    is_bundle_only: bool,
    payloads: Vec<Payload>,
    /// Payload type to index of `payloads`, so that each attribute costs O(1).
    index: [Option<u8>; 128],
    any_feedback: Feedback,
    rids: Vec<String>,
    simulcast: Vec<String>,
    media: MediaLine,
}

impl MediaBuilder {
    /// Starts from the value of `m=`.
    pub(super) fn new(line: usize, value: &str, direction: Direction) -> Result<Self, SdpProblem> {
        let malformed = || SdpProblem::Malformed("m-line");
        let mut words = value.splitn(4, ' ');
        let media = words.next().filter(|m| is_token(m)).ok_or_else(malformed)?;
        let port = words
            .next()
            .and_then(|p| p.parse().ok())
            .ok_or_else(malformed)?;
        let proto = words.next().ok_or_else(malformed)?;
        let formats = words.next().ok_or_else(malformed)?;
        let is_rtp = proto.ends_with("RTP/SAVPF") || proto.ends_with("RTP/SAVP");
        let kind = match media {
            "audio" if is_rtp => MediaKind::Audio,
            "video" if is_rtp => MediaKind::Video,
            "application" if proto.ends_with("DTLS/SCTP") => MediaKind::Application,
            _ => MediaKind::Other,
        };
        let mut builder = Self {
            line,
            port,
            is_bundle_only: false,
            payloads: Vec::new(),
            index: [None; 128],
            any_feedback: Feedback::default(),
            rids: Vec::new(),
            simulcast: Vec::new(),
            media: MediaLine {
                kind,
                media: media.to_owned(),
                proto: proto.to_owned(),
                formats: formats.to_owned(),
                mid: String::new(),
                is_rejected: false,
                direction,
                codecs: Vec::new(),
                extensions: Vec::new(),
                simulcast: Simulcast::default(),
                ssrcs: Vec::new(),
                fid: Vec::new(),
                msid: None,
                has_rtcp_mux: false,
                is_extmap_mixed: false,
                sctp_port: None,
                max_message_size: None,
            },
        };
        if matches!(kind, MediaKind::Audio | MediaKind::Video) {
            builder.read_formats(formats)?;
        }
        Ok(builder)
    }

    fn read_formats(&mut self, formats: &str) -> Result<(), SdpProblem> {
        for format in formats.split_ascii_whitespace() {
            if self.payloads.len() == MAX_PAYLOAD_TYPES {
                let what = "payload types on one m-line";
                return Err(SdpProblem::TooMany {
                    what,
                    limit: MAX_PAYLOAD_TYPES,
                });
            }
            let payload_type: u8 = format
                .parse()
                .map_err(|_| SdpProblem::Malformed("payload type"))?;
            let slot = self
                .index
                .get_mut(usize::from(payload_type))
                .ok_or(SdpProblem::Malformed("payload type"))?;
            if slot.is_some() {
                continue;
            }
            *slot = u8::try_from(self.payloads.len()).ok();
            self.payloads.push(Payload {
                payload_type,
                name: CodecName::Other,
                clock_rate: 0,
                channels: 1,
                fmtp: Fmtp::default(),
                feedback: Feedback::default(),
            });
        }
        Ok(())
    }

    /// Where the m-line stands.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Does another m-line carry this one's transport attributes?
    pub(super) fn is_bundle_only(&self) -> bool {
        self.is_bundle_only
    }

    /// Reads one attribute; unknown ones are skipped.
    pub(super) fn read(&mut self, name: &str, value: &str) -> Result<(), SdpProblem> {
        match name {
            "rtpmap" => self.read_rtpmap(value),
            "fmtp" => self.read_fmtp(value),
            "rtcp-fb" => self.read_feedback(value),
            "extmap" => return self.read_extension(value),
            "rid" => return self.read_rid(value),
            "simulcast" => self.read_simulcast(value),
            "ssrc" => self.read_ssrc(value),
            "ssrc-group" => self.read_ssrc_group(value),
            "mid" if is_token(value) && value.len() <= MAX_MID => self.media.mid = value.to_owned(),
            "mid" => return Err(SdpProblem::Malformed("a=mid")),
            "msid" if self.media.msid.is_none() => self.read_msid(value),
            "bundle-only" => self.is_bundle_only = true,
            "rtcp-mux" => self.media.has_rtcp_mux = true,
            "extmap-allow-mixed" => self.media.is_extmap_mixed = true,
            "sctp-port" => self.media.sctp_port = value.trim().parse().ok(),
            "max-message-size" => self.media.max_message_size = value.trim().parse().ok(),
            _ => {
                if let Some(direction) = Direction::from_name(name) {
                    self.media.direction = direction;
                }
            }
        }
        Ok(())
    }

    /// Splits off the payload type in front of `value`.
    fn payload<'a>(&mut self, value: &'a str) -> Option<(&mut Payload, &'a str)> {
        let (payload_type, rest) = value.split_once(' ')?;
        let payload_type: usize = payload_type.parse().ok()?;
        let index = (*self.index.get(payload_type)?)?;
        Some((self.payloads.get_mut(usize::from(index))?, rest.trim()))
    }

    fn read_rtpmap(&mut self, value: &str) {
        let Some((payload, encoding)) = self.payload(value) else {
            return;
        };
        let mut parts = encoding.split('/');
        payload.name = CodecName::from_encoding(parts.next().unwrap_or_default());
        payload.clock_rate = parts.next().and_then(|rate| rate.parse().ok()).unwrap_or(0);
        payload.channels = parts
            .next()
            .and_then(|count| count.parse().ok())
            .unwrap_or(1);
    }

    fn read_fmtp(&mut self, value: &str) {
        if let Some((payload, parameters)) = self.payload(value) {
            payload.fmtp = Fmtp(parameters.to_owned());
        }
    }

    fn read_feedback(&mut self, value: &str) {
        let (feedback, kind) = if let Some(kind) = value.strip_prefix("* ") {
            (&mut self.any_feedback, kind.trim())
        } else if let Some((payload, kind)) = self.payload(value) {
            (&mut payload.feedback, kind)
        } else {
            return;
        };
        match kind {
            "nack" => feedback.nack = true,
            "nack pli" => feedback.pli = true,
            "ccm fir" => feedback.fir = true,
            "transport-cc" => feedback.transport_cc = true,
            "goog-remb" => feedback.remb = true,
            _ => {}
        }
    }

    /// RFC 8285 section 8: `id[/direction] uri [attributes]`.
    fn read_extension(&mut self, value: &str) -> Result<(), SdpProblem> {
        if self.media.extensions.len() == MAX_EXTENSIONS {
            let what = "header extensions on one m-line";
            return Err(SdpProblem::TooMany {
                what,
                limit: MAX_EXTENSIONS,
            });
        }
        let mut words = value.split_ascii_whitespace();
        let (Some(id), Some(uri)) = (words.next(), words.next()) else {
            return Err(SdpProblem::Malformed("a=extmap"));
        };
        let (id, direction) = match id.split_once('/') {
            Some((id, direction)) => (id, Direction::from_name(direction)),
            None => (id, None),
        };
        // Identifiers above 255 are placeholders for the other side to choose from: not offered by any browser.
        let Some(id) = id.parse().ok().filter(|&id: &u8| id != 0) else {
            return Err(SdpProblem::Malformed("a=extmap"));
        };
        self.media.extensions.push(ExtensionLine {
            id,
            uri: uri.to_owned(),
            direction,
        });
        Ok(())
    }

    /// RFC 8851: `id send [restrictions]`; what the offerer receives in layers does not concern a host.
    fn read_rid(&mut self, value: &str) -> Result<(), SdpProblem> {
        let mut words = value.split_ascii_whitespace();
        let (Some(rid), Some("send")) = (words.next(), words.next()) else {
            return Ok(());
        };
        if !is_rid(rid) {
            return Err(SdpProblem::Malformed("a=rid"));
        }
        if self.rids.len() == MAX_RIDS {
            return Err(SdpProblem::TooMany {
                what: "rids on one m-line",
                limit: MAX_RIDS,
            });
        }
        if !self.rids.iter().any(|known| known == rid) {
            self.rids.push(rid.to_owned());
        }
        Ok(())
    }

    /// RFC 8853 section 5.1: `send a;~b,c;d recv …`; of alternatives the first counts, `~` means paused at the start.
    fn read_simulcast(&mut self, value: &str) {
        let mut words = value.split_ascii_whitespace();
        while let Some(direction) = words.next() {
            let list = words.next().unwrap_or_default();
            if direction == "send" {
                self.simulcast = list
                    .split(';')
                    .take(MAX_RIDS)
                    .filter_map(|streams| streams.split(',').next())
                    .map(|rid| rid.trim_start_matches('~').to_owned())
                    .collect();
            }
        }
    }

    fn read_ssrc(&mut self, value: &str) {
        let ssrc = value.split(' ').next().and_then(|ssrc| ssrc.parse().ok());
        if let Some(ssrc) = ssrc
            && self.media.ssrcs.len() < MAX_SSRCS
            && !self.media.ssrcs.contains(&ssrc)
        {
            self.media.ssrcs.push(ssrc);
        }
    }

    fn read_ssrc_group(&mut self, value: &str) {
        let mut words = value.split_ascii_whitespace();
        if words.next() != Some("FID") || self.media.fid.len() == MAX_SSRCS / 2 {
            return;
        }
        let mut ssrc = || words.next().and_then(|ssrc| ssrc.parse().ok());
        if let (Some(primary), Some(rtx)) = (ssrc(), ssrc()) {
            self.media.fid.push(SsrcPair { primary, rtx });
        }
    }

    fn read_msid(&mut self, value: &str) {
        let (stream, track) = value.split_once(' ').unwrap_or((value, ""));
        if stream.len() <= MAX_MSID && track.len() <= MAX_MSID {
            self.media.msid = Some((stream.to_owned(), track.to_owned()));
        }
    }

    /// Applies the filter and ties retransmission types to what they repair.
    pub(super) fn finish(mut self) -> MediaLine {
        let mut media = self.media;
        media.is_rejected = self.port == 0 && !self.is_bundle_only;
        let mut rtx: [Option<u8>; 128] = [None; 128];
        for payload in self.payloads.iter().filter(|p| p.name == CodecName::Rtx) {
            let apt = payload
                .fmtp
                .value("apt")
                .and_then(|apt| apt.parse::<usize>().ok());
            if let Some(repair) = apt.and_then(|apt| rtx.get_mut(apt)) {
                repair.get_or_insert(payload.payload_type);
            }
        }
        let any = self.any_feedback;
        media.codecs = self
            .payloads
            .drain(..)
            .filter(|p| is_codec_kept(media.kind, p.name, p.clock_rate, &p.fmtp))
            .map(|p| CodecLine {
                payload_type: p.payload_type,
                name: p.name,
                clock_rate: p.clock_rate,
                channels: p.channels,
                fmtp: p.fmtp,
                rtx: rtx.get(usize::from(p.payload_type)).copied().flatten(),
                feedback: Feedback {
                    nack: p.feedback.nack || any.nack,
                    pli: p.feedback.pli || any.pli,
                    fir: p.feedback.fir || any.fir,
                    transport_cc: p.feedback.transport_cc || any.transport_cc,
                    remb: p.feedback.remb || any.remb,
                },
            })
            .collect();
        // `a=simulcast` gives the order; a rid without it still names a layer.
        let mut rids: Vec<String> = Vec::with_capacity(self.rids.len());
        for rid in self.simulcast.iter().chain(&self.rids) {
            if self.rids.contains(rid) && !rids.contains(rid) {
                rids.push(rid.clone());
            }
        }
        media.simulcast = Simulcast { rids };
        media
    }
}

/// RFC 8866 section 9, `token`.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&b))
}

/// RFC 8851 section 10, `rid-id`.
fn is_rid(text: &str) -> bool {
    (1..=MAX_RID).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
