//! Trickle ICE fragments (RFC 8840): the three attributes that WHIP needs, and nothing else of SDP.

use baton_protocol::IceParameters;
use baton_protocol::limits::MAX_CANDIDATES;

/// Largest fragment, in bytes.
pub(super) const MAX_FRAGMENT: usize = 16 * 1024;

/// What a fragment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fragment {
    /// `a=ice-ufrag` and `a=ice-pwd`, where both are there.
    pub(super) ice: Option<IceParameters>,
    /// Values of `a=candidate`, with the word; an empty one stands for `a=end-of-candidates`.
    pub(super) candidates: Vec<String>,
}

/// Why a fragment cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FragmentError {
    /// RFC 8839 section 5.4: 4 to 256 characters, and 22 to 256.
    #[error("ice-ufrag has 4 to 256 and ice-pwd 22 to 256 letters, digits, '+' and '/'")]
    Credentials,
    /// Too many candidates.
    #[error("a fragment has at most 20 candidates")]
    Candidates,
}

/// Reads a fragment; lines that mean nothing here are passed over.
pub(super) fn parse(text: &str) -> Result<Fragment, FragmentError> {
    let (mut ufrag, mut pwd) = (None, None);
    let mut candidates = Vec::new();
    for line in text.lines() {
        let Some(attribute) = line.trim_end().strip_prefix("a=") else {
            continue;
        };
        if let Some(value) = attribute.strip_prefix("ice-ufrag:") {
            ufrag = Some(credential(value, 4)?);
        } else if let Some(value) = attribute.strip_prefix("ice-pwd:") {
            pwd = Some(credential(value, 22)?);
        } else if attribute.starts_with("candidate:") {
            candidates.push(attribute.to_owned());
        } else if attribute == "end-of-candidates" {
            candidates.push(String::new());
        }
        // One more, for the end of the list.
        if candidates.len() > MAX_CANDIDATES + 1 {
            return Err(FragmentError::Candidates);
        }
    }
    let ice = ufrag
        .zip(pwd)
        .map(|(ufrag, pwd)| IceParameters { ufrag, pwd });
    Ok(Fragment { ice, candidates })
}

/// Writes a host's side of an ICE restart.
pub(super) fn write(ice: &IceParameters, candidates: &[String]) -> String {
    let IceParameters { ufrag, pwd } = ice;
    let mut text = format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n");
    for candidate in candidates {
        let value = candidate.strip_prefix("candidate:").unwrap_or(candidate);
        text.push_str(&format!("a=candidate:{value}\r\n"));
    }
    text.push_str("a=end-of-candidates\r\n");
    text
}

fn credential(value: &str, shortest: usize) -> Result<String, FragmentError> {
    let is_ice_char = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    if value.len() < shortest || value.len() > 256 || !value.bytes().all(is_ice_char) {
        return Err(FragmentError::Credentials);
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fragment_has_credentials_and_candidates() {
        let text = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
                    a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host\r\na=end-of-candidates\r\n";
        let fragment = parse(text).expect("a fragment");
        assert_eq!(fragment.ice.expect("credentials").ufrag, "EsAw");
        assert_eq!(fragment.candidates.len(), 2);
        assert!(fragment.candidates[0].starts_with("candidate:1387637174 1 udp"));
        assert_eq!(fragment.candidates[1], "");
    }

    #[test]
    fn too_much_is_refused() {
        assert_eq!(parse("a=ice-ufrag:abc"), Err(FragmentError::Credentials));
        assert_eq!(
            parse("a=ice-pwd:<script>alert(1)</script>"),
            Err(FragmentError::Credentials)
        );
        let many = "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\n".repeat(22);
        assert_eq!(parse(&many), Err(FragmentError::Candidates));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_written_reads_the_same(
            text in "[a=icedfrugpw:\\-\r\n0-9 ]{0,400}",
            ufrag in "[a-zA-Z0-9+/]{4,32}",
            pwd in "[a-zA-Z0-9+/]{22,64}",
        ) {
            parse(&text).ok();
            let ice = IceParameters { ufrag, pwd };
            let read = parse(&write(&ice, &["candidate:1 1 udp 1 192.0.2.1 9 typ host".to_owned()]));
            prop_assert_eq!(read.expect("a fragment").ice, Some(ice));
        }
    }
}
