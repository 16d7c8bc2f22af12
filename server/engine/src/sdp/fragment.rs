//! `application/trickle-ice-sdpfrag` (RFC 8840): the body of a WHIP or WHEP PATCH (RFC 9725 section 4.3).

use std::fmt::Write;

use baton_protocol::limits::MAX_CANDIDATES;

use super::candidate::Candidate;
use super::offer::{IcePassword, SdpError, SdpProblem, is_ufrag, lines};

/// Largest fragment, in bytes.
const MAX_FRAGMENT: usize = 16 * 1024;

/// Candidates of one ICE generation; new credentials ask for an ICE restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IceFragment {
    /// The sender's user fragment.
    pub ufrag: Option<String>,
    /// The sender's password.
    pub pwd: Option<IcePassword>,
    /// m-line that the candidates belong to.
    pub mid: Option<String>,
    /// At most [`MAX_CANDIDATES`]; further ones are ignored.
    pub candidates: Vec<Candidate>,
    /// `a=end-of-candidates`.
    pub is_last: bool,
}

impl IceFragment {
    /// Reads a fragment. Unknown lines and unusable candidates are skipped.
    ///
    /// # Errors
    /// If it is too large or its credentials are not what RFC 8839 section 5.4 allows.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let mut fragment = Self::default();
        for (line, text) in lines(text, MAX_FRAGMENT)? {
            let Some(attribute) = text.strip_prefix("a=") else {
                continue;
            };
            let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
            match name {
                "ice-ufrag" if is_ufrag(value) => fragment.ufrag = Some(value.to_owned()),
                "ice-pwd" => {
                    let pwd = IcePassword::parse(value)
                        .ok_or_else(|| SdpError::new(line, SdpProblem::BadCredentials))?;
                    fragment.pwd = Some(pwd);
                }
                "ice-ufrag" => return Err(SdpError::new(line, SdpProblem::BadCredentials)),
                "mid" if fragment.mid.is_none() => fragment.mid = Some(value.to_owned()),
                "candidate" if fragment.candidates.len() < MAX_CANDIDATES => {
                    fragment.candidates.extend(Candidate::parse(value));
                }
                "end-of-candidates" => fragment.is_last = true,
                _ => {}
            }
        }
        Ok(fragment)
    }

    /// Writes a fragment.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        if let Some(ufrag) = &self.ufrag {
            push(&mut text, format_args!("a=ice-ufrag:{ufrag}"));
        }
        if let Some(pwd) = &self.pwd {
            push(&mut text, format_args!("a=ice-pwd:{}", pwd.as_str()));
        }
        if let Some(mid) = &self.mid {
            push(&mut text, format_args!("m=audio 9 UDP/TLS/RTP/SAVPF 0"));
            push(&mut text, format_args!("a=mid:{mid}"));
        }
        for candidate in &self.candidates {
            push(&mut text, format_args!("a=candidate:{candidate}"));
        }
        if self.is_last {
            push(&mut text, format_args!("a=end-of-candidates"));
        }
        text
    }
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    write!(text, "{line}\r\n").expect("writing to a String does not fail");
}
