//! The link people send each other, `https://call.example.org/r/standup`, and what it says about signaling.
//!
//! Owns: reading the link. Does not own: connecting.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use baton_protocol::{InvalidRoomId, RoomId};
use baton_server::link::Trust;
use baton_server::{CertificateDigest, InvalidDigest};

/// A room and where its signaling is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// WebSocket address of signaling, ending in `/ws`.
    pub signaling: String,
    /// Which room.
    pub room: RoomId,
    /// Signaling is on this computer, so the host may be reachable by the loopback interface alone.
    pub is_loopback: bool,
    /// The token that the link carries (`?token=`).
    pub token: Option<Secret>,
    /// The one certificate to believe, where the link names it (`#sha256=`): that of a computer which nobody vouches for.
    pub certificate: Option<CertificateDigest>,
}

impl Invite {
    /// Whose certificates are believed on the way to signaling: the one that the link names, else the public authorities'.
    pub fn trust(&self) -> Trust {
        self.certificate.map_or_else(Trust::default, Trust::in_one)
    }
}

/// A token that no log or debug output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A text that is not an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInvite {
    /// No scheme that is known.
    #[error("an invite starts with http:// or https://, as in https://call.example.org/r/standup")]
    Scheme,
    /// Nothing between scheme and path.
    #[error(
        "the invite names no computer; expected something like https://call.example.org/r/standup"
    )]
    Host,
    /// No `/r/`.
    #[error(
        "the invite names no room; its path ends in /r/ROOM, as in https://call.example.org/r/standup"
    )]
    Path,
    /// The room's name cannot be one.
    #[error("the room of the invite is not one: {0}")]
    Room(#[from] InvalidRoomId),
    /// What follows `#sha256=` cannot be one.
    #[error("the end of the invite was lost on the way: {0}")]
    Certificate(#[from] InvalidDigest),
}

impl FromStr for Invite {
    type Err = InvalidInvite;

    fn from_str(link: &str) -> Result<Self, InvalidInvite> {
        let (scheme, rest) = link.trim().split_once("://").ok_or(InvalidInvite::Scheme)?;
        let scheme = match scheme {
            "http" | "ws" => "ws",
            "https" | "wss" => "wss",
            _ => return Err(InvalidInvite::Scheme),
        };
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() || authority.contains('@') {
            return Err(InvalidInvite::Host);
        }
        let (base, room) = match path.strip_prefix("r/") {
            Some(room) => ("", room),
            None => path.rsplit_once("/r/").ok_or(InvalidInvite::Path)?,
        };
        let base = match base {
            "" => String::new(),
            base => format!("/{base}"),
        };
        Ok(Self {
            signaling: format!("{scheme}://{authority}{base}/ws"),
            room: room.trim_end_matches('/').parse()?,
            is_loopback: is_loopback(authority),
            token: parameter(query, "token").map(|token| Secret(token.to_owned())),
            certificate: parameter(fragment, "sha256").map(str::parse).transpose()?,
        })
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host),
    };
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Neither tokens nor digests have characters that a link would escape.
fn parameter<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_invite_says_where_signaling_is() {
        let invite: Invite = "http://localhost:7880/r/standup".parse().unwrap();
        assert_eq!(invite.signaling, "ws://localhost:7880/ws");
        assert_eq!(invite.room.as_str(), "standup");
        assert!(invite.is_loopback);
    }

    #[test]
    fn a_secure_invite_under_a_path_keeps_both() {
        let invite: Invite = "https://example.org/calls/r/standup/?name=Ana&token=a.b.c#top"
            .parse()
            .unwrap();
        assert_eq!(invite.signaling, "wss://example.org/calls/ws");
        assert_eq!(invite.room.as_str(), "standup");
        assert!(!invite.is_loopback);
        assert_eq!(invite.token, Some(Secret("a.b.c".to_owned())));
        assert!(!format!("{invite:?}").contains("a.b.c"));
    }

    #[test]
    fn a_link_that_names_a_certificate_is_read_whole_or_not_at_all() {
        let digest = "0f".repeat(32);
        let invite = format!("https://192.0.2.1:7880/r/call?token=abc#sha256={digest}");
        let invite: Invite = invite.parse().unwrap();
        assert_eq!(invite.certificate.map(|digest| digest.hex()), Some(digest));
        let cut = "https://192.0.2.1:7880/r/call?token=abc#sha256=0f0f";
        let error = cut.parse::<Invite>().unwrap_err();
        assert_eq!(error, InvalidInvite::Certificate(InvalidDigest));
    }

    #[test]
    fn loopback_is_known_by_name_and_by_both_families() {
        for link in [
            "http://127.0.0.1/r/a",
            "http://[::1]:80/r/a",
            "http://localhost/r/a",
        ] {
            assert!(link.parse::<Invite>().unwrap().is_loopback, "{link}");
        }
        for link in ["http://192.0.2.1/r/a", "http://[2001:db8::1]:80/r/a"] {
            assert!(!link.parse::<Invite>().unwrap().is_loopback, "{link}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_link_is_told() {
        let error = |link: &str| link.parse::<Invite>().unwrap_err();
        assert_eq!(error("standup"), InvalidInvite::Scheme);
        assert_eq!(error("ftp://example.org/r/a"), InvalidInvite::Scheme);
        assert_eq!(error("http:///r/a"), InvalidInvite::Host);
        assert_eq!(error("http://example.org/"), InvalidInvite::Path);
        assert_eq!(
            error("http://example.org/r/Not A Room"),
            InvalidInvite::Room(InvalidRoomId)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_an_invite_or_an_error(text in ".*") {
            let _ = text.parse::<Invite>();
        }

        #[test]
        fn every_room_comes_through(room in "[a-z0-9_-]{1,64}") {
            let invite: Invite = format!("https://example.org/r/{room}").parse().unwrap();
            prop_assert_eq!(invite.room.as_str(), room);
        }
    }
}
