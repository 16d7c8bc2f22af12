//! An offer as a whole: bounds, session lines, what BUNDLE puts underneath all m-lines.

use std::collections::HashSet;
use std::fmt;

use baton_protocol::limits::{MAX_CANDIDATES, MAX_MEDIA_LINES, MAX_SDP};

use super::builder::MediaBuilder;
use super::candidate::Candidate;
use super::media::{Direction, MediaKind, MediaLine};

/// Longest line, in bytes.
const MAX_LINE: usize = 4096;

/// What is wrong with a description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SdpProblem {
    /// The text as a whole.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The bound, in bytes.
        limit: usize,
    },
    /// One line.
    #[error("line longer than {MAX_LINE} bytes")]
    LineTooLong,
    /// A control character inside a line.
    #[error("control character")]
    ControlCharacter,
    /// Not `x=…`.
    #[error("not a line of SDP: expected a letter and '='")]
    NotSdp,
    /// A line whose value cannot be read.
    #[error("{0} cannot be read")]
    Malformed(&'static str),
    /// More of something than a host is willing to hold.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Plural.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// No m-line at all.
    #[error("no m-line: nothing is offered")]
    NoMedia,
    /// An m-line without a mid, or with another's.
    #[error("m-line without a=mid of its own")]
    NoMid,
    /// `a=group:BUNDLE` does not name it.
    #[error("m-line {0:?} is not in a=group:BUNDLE: only bundled offers are accepted")]
    NotBundled(String),
    /// RTCP on a port of its own.
    #[error("m-line {0:?} has no a=rtcp-mux: only multiplexed RTCP is accepted")]
    NoRtcpMux(String),
    /// m-line 0 was stopped: both browsers lose the connection by it, so the leg must be rebuilt.
    #[error("the first m-line is stopped (port 0): close this connection and open a new one")]
    FirstLineStopped,
    /// Nothing on m-line 0 is known here, and rejecting it would take the transport with it.
    #[error("the first m-line offers no codec that is forwarded here")]
    FirstLineUnusable,
    /// A transport attribute that is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// RFC 8839 section 5.4.
    #[error("ICE user fragment or password has a wrong length or character")]
    BadCredentials,
    /// Only SHA-256 is believed (RFC 8122 section 5).
    #[error("a=fingerprint is not a sha-256 of 32 bytes")]
    BadFingerprint,
}

/// What is wrong with a description, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SDP line {line}: {problem}")]
pub struct SdpError {
    /// Line number, from 1; 0 when the text as a whole is meant.
    pub line: usize,
    /// What is wrong.
    pub problem: SdpProblem,
}

impl SdpError {
    pub(super) fn new(line: usize, problem: SdpProblem) -> Self {
        Self { line, problem }
    }

    /// Must the participant open a new connection (rather than repair its offer)?
    #[must_use]
    pub fn is_rebuild_needed(&self) -> bool {
        self.problem == SdpProblem::FirstLineStopped
    }
}

/// SHA-256 of a DTLS certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Reads `sha-256 AB:CD:…`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (algorithm, value) = text.trim().split_once(' ')?;
        if !algorithm.eq_ignore_ascii_case("sha-256") {
            return None;
        }
        let mut bytes = [0; 32];
        let mut parts = value.trim().split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2)?;
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        parts.next().is_none().then_some(Self(bytes))
    }

    /// The pairs of digits alone, as grants and tickets have them.
    #[must_use]
    pub fn digits(self) -> String {
        let text = self.to_string();
        text.split_once(' ')
            .map(|(_, digits)| digits.to_owned())
            .unwrap_or_default()
    }

    /// Reads the pairs of digits alone.
    #[must_use]
    pub fn parse_digits(text: &str) -> Option<Self> {
        Self::parse(&format!("sha-256 {text}"))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha-256 ")?;
        for (index, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if index == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

/// Who starts the DTLS handshake (RFC 8842).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// The writer starts.
    Active,
    /// The writer waits.
    Passive,
    /// The writer leaves the choice to the answer.
    ActPass,
}

impl Setup {
    /// The attribute's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "active" => Some(Self::Active),
            "passive" => Some(Self::Passive),
            "actpass" => Some(Self::ActPass),
            _ => None,
        }
    }
}

/// An ICE password: never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct IcePassword(String);

impl IcePassword {
    /// 22 to 256 ice-chars (RFC 8839 section 5.4).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        ((22..=256).contains(&text.len()) && text.bytes().all(is_ice_char))
            .then(|| Self(text.to_owned()))
    }

    /// The password itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IcePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IcePassword(..)")
    }
}

fn is_ice_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

/// 4 to 256 ice-chars (RFC 8839 section 5.4).
pub(crate) fn is_ufrag(text: &str) -> bool {
    (4..=256).contains(&text.len()) && text.bytes().all(is_ice_char)
}

/// What an offer says of the data channel line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelLine {
    /// `a=sctp-port`.
    pub sctp_port: u16,
    /// `a=max-message-size`, in bytes (RFC 8841 section 6: 64 KiB when not written, 0 without limit).
    pub max_message_size: u64,
}

/// The offerer's side of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteTransport {
    /// ICE user fragment.
    pub ufrag: String,
    /// ICE password.
    pub pwd: IcePassword,
    /// Of the certificate it will show.
    pub fingerprint: Fingerprint,
    /// Its DTLS role.
    pub setup: Setup,
    /// `a=ice-lite`.
    pub is_lite: bool,
    /// The data channel line; WHIP and WHEP have none.
    pub channels: Option<ChannelLine>,
    /// Candidates in the offer, unfiltered: see [`Candidate::usable`].
    pub candidates: Vec<Candidate>,
}

/// An offer that may be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What is underneath all m-lines.
    pub transport: RemoteTransport,
    /// In order; never empty, the first never rejected.
    pub media: Vec<MediaLine>,
    /// `a=extmap-allow-mixed`, on the session or on every media line that carries RTP.
    pub is_extmap_mixed: bool,
    /// `a=ice-options:trickle`.
    pub is_trickle: bool,
    /// `a=end-of-candidates`.
    pub is_end_of_candidates: bool,
}

/// Transport attributes, of the session or of one m-line.
#[derive(Default)]
pub(super) struct TransportLines {
    ufrag: Option<String>,
    pwd: Option<IcePassword>,
    fingerprint: Option<Fingerprint>,
    is_fingerprint_unknown: bool,
    setup: Option<Setup>,
}

impl TransportLines {
    /// Takes the attribute if it is one of these.
    pub(super) fn read(&mut self, name: &str, value: &str) -> Result<bool, SdpProblem> {
        match name {
            "ice-ufrag" if is_ufrag(value) => self.ufrag = Some(value.to_owned()),
            "ice-ufrag" => return Err(SdpProblem::BadCredentials),
            "ice-pwd" => {
                self.pwd = Some(IcePassword::parse(value).ok_or(SdpProblem::BadCredentials)?);
            }
            // Several hashes of one certificate are allowed: the first SHA-256 counts.
            "fingerprint" => match Fingerprint::parse(value) {
                Some(fingerprint) => {
                    self.fingerprint.get_or_insert(fingerprint);
                }
                None => self.is_fingerprint_unknown = true,
            },
            "setup" => {
                self.setup = Some(Setup::parse(value).ok_or(SdpProblem::Malformed("a=setup"))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Session-level state while reading.
#[derive(Default)]
struct Session {
    transport: TransportLines,
    bundle: HashSet<String>,
    direction: Direction,
    is_lite: bool,
    is_extmap_mixed: bool,
    is_trickle: bool,
    is_end_of_candidates: bool,
    candidates: Vec<Candidate>,
}

impl Session {
    fn read(&mut self, name: &str, value: &str) -> Result<(), SdpProblem> {
        if self.transport.read(name, value)? {
            return Ok(());
        }
        match name {
            "group" => {
                if let Some(mids) = value.strip_prefix("BUNDLE ") {
                    self.bundle.extend(
                        mids.split_ascii_whitespace()
                            .take(MAX_MEDIA_LINES)
                            .map(String::from),
                    );
                }
            }
            "ice-lite" => self.is_lite = true,
            "extmap-allow-mixed" => self.is_extmap_mixed = true,
            _ => {
                self.read_candidates(name, value);
                if let Some(direction) = Direction::from_name(name) {
                    self.direction = direction;
                }
            }
        }
        Ok(())
    }

    /// Candidate lines count wherever they stand: BUNDLE puts one transport underneath all m-lines.
    fn read_candidates(&mut self, name: &str, value: &str) {
        match name {
            "candidate" if self.candidates.len() < MAX_CANDIDATES => {
                self.candidates.extend(Candidate::parse(value));
            }
            "end-of-candidates" => self.is_end_of_candidates = true,
            "ice-options" => {
                self.is_trickle |= value
                    .split_ascii_whitespace()
                    .any(|option| option == "trickle");
            }
            _ => {}
        }
    }
}

/// Lines with their number, bounds checked. Line ends may be CRLF or LF.
pub(super) fn lines(
    text: &str,
    limit: usize,
) -> Result<impl Iterator<Item = (usize, &str)>, SdpError> {
    if text.len() > limit {
        return Err(SdpError::new(0, SdpProblem::TooLarge { limit }));
    }
    for (line, text) in (1..).zip(text.lines()) {
        if text.len() > MAX_LINE {
            return Err(SdpError::new(line, SdpProblem::LineTooLong));
        }
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(SdpError::new(line, SdpProblem::ControlCharacter));
        }
    }
    Ok((1..).zip(text.lines()).filter(|(_, text)| !text.is_empty()))
}

impl Offer {
    /// Reads an offer in one pass.
    ///
    /// # Errors
    /// If a bound is exceeded, a line that matters cannot be read, or the offer cannot be answered by a host: not
    /// bundled, without rtcp-mux, without credentials, or with m-line 0 stopped ([`SdpError::is_rebuild_needed`]).
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let mut session = Session::default();
        let mut first_transport = TransportLines::default();
        let mut current: Option<MediaBuilder> = None;
        let mut media: Vec<MediaLine> = Vec::new();
        let mut mids = HashSet::new();
        let mut last_line = 0;
        for (line, text) in lines(text, MAX_SDP)? {
            last_line = line;
            let at = |problem| SdpError::new(line, problem);
            let (kind, value) = text.split_once('=').ok_or_else(|| at(SdpProblem::NotSdp))?;
            match kind {
                "m" => {
                    if let Some(builder) = current.take() {
                        media.push(finish(builder, &session, &mut mids)?);
                    }
                    if media.len() == MAX_MEDIA_LINES {
                        let what = "m-lines";
                        return Err(at(SdpProblem::TooMany {
                            what,
                            limit: MAX_MEDIA_LINES,
                        }));
                    }
                    let builder = MediaBuilder::new(line, value, session.direction);
                    current = Some(builder.map_err(at)?);
                }
                "a" => {
                    let (name, value) = value.split_once(':').unwrap_or((value, ""));
                    match &mut current {
                        None => session.read(name, value).map_err(at)?,
                        Some(builder) => {
                            session.read_candidates(name, value);
                            let is_first = media.is_empty();
                            if !(is_first && first_transport.read(name, value).map_err(at)?) {
                                builder.read(name, value).map_err(at)?;
                            }
                        }
                    }
                }
                _ if matches!(kind.as_bytes(), [b'a'..=b'z']) => {}
                _ => return Err(at(SdpProblem::NotSdp)),
            }
        }
        let builder = current.ok_or_else(|| SdpError::new(last_line, SdpProblem::NoMedia))?;
        media.push(finish(builder, &session, &mut mids)?);
        let transport = transport(first_transport, &mut session, &media)
            .map_err(|problem| SdpError::new(last_line, problem))?;
        Ok(Self {
            transport,
            is_extmap_mixed: session.is_extmap_mixed
                || media
                    .iter()
                    .filter(|m| matches!(m.kind, MediaKind::Audio | MediaKind::Video))
                    .all(|m| m.is_extmap_mixed),
            is_trickle: session.is_trickle,
            is_end_of_candidates: session.is_end_of_candidates,
            media,
        })
    }
}

/// Ends an m-line: checks what only the whole line shows.
fn finish(
    builder: MediaBuilder,
    session: &Session,
    mids: &mut HashSet<String>,
) -> Result<MediaLine, SdpError> {
    let line = builder.line();
    let at = |problem| SdpError::new(line, problem);
    let is_bundle_only = builder.is_bundle_only();
    let media = builder.finish();
    let is_first = mids.is_empty();
    if is_first && media.is_rejected {
        return Err(at(SdpProblem::FirstLineStopped));
    }
    // A line that was rejected for good may have lost its mid; nothing refers to it any more.
    if media.mid.is_empty() && media.is_rejected {
        return Ok(media);
    }
    if media.mid.is_empty() || !mids.insert(media.mid.clone()) {
        return Err(at(SdpProblem::NoMid));
    }
    if media.is_rejected {
        return Ok(media);
    }
    if !session.bundle.contains(&media.mid) {
        return Err(at(SdpProblem::NotBundled(media.mid)));
    }
    if is_first && !media.is_answerable() {
        return Err(at(SdpProblem::FirstLineUnusable));
    }
    let is_rtp = matches!(media.kind, MediaKind::Audio | MediaKind::Video);
    if is_rtp && !media.has_rtcp_mux && !is_bundle_only {
        return Err(at(SdpProblem::NoRtcpMux(media.mid)));
    }
    Ok(media)
}

/// Media level wins over session level (RFC 8866 section 6); m-line 0 is the BUNDLE tag and never rejected here.
fn transport(
    first: TransportLines,
    session: &mut Session,
    media: &[MediaLine],
) -> Result<RemoteTransport, SdpProblem> {
    let outer = std::mem::take(&mut session.transport);
    let is_unknown = first.is_fingerprint_unknown || outer.is_fingerprint_unknown;
    let fingerprint = first.fingerprint.or(outer.fingerprint);
    Ok(RemoteTransport {
        ufrag: first
            .ufrag
            .or(outer.ufrag)
            .ok_or(SdpProblem::Missing("a=ice-ufrag"))?,
        pwd: first
            .pwd
            .or(outer.pwd)
            .ok_or(SdpProblem::Missing("a=ice-pwd"))?,
        fingerprint: fingerprint.ok_or(if is_unknown {
            SdpProblem::BadFingerprint
        } else {
            SdpProblem::Missing("a=fingerprint")
        })?,
        setup: first.setup.or(outer.setup).unwrap_or(Setup::ActPass),
        is_lite: session.is_lite,
        channels: media
            .iter()
            .find(|m| m.kind == MediaKind::Application && !m.is_rejected)
            .map(|m| ChannelLine {
                sctp_port: m.sctp_port.unwrap_or(5000),
                max_message_size: m.max_message_size.unwrap_or(65_536),
            }),
        candidates: std::mem::take(&mut session.candidates),
    })
}
