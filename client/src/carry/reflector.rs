//! Whom to ask under which address this computer is seen: the first STUN server that participants are told of, by IPv4, which is where
//! NATs are. Does not own the asking, which happens from the host's own socket.

use std::net::SocketAddr;

/// Port of STUN (RFC 8489 section 18.6).
const PORT: u16 = 3478;

/// The address of the first server that has one; TURN servers are none of these.
pub(super) async fn find(urls: &[String]) -> Option<SocketAddr> {
    for (name, port) in urls.iter().filter_map(|url| server(url)) {
        match tokio::net::lookup_host((name, port)).await {
            Ok(mut found) => {
                if let Some(found) = found.find(SocketAddr::is_ipv4) {
                    return Some(found);
                }
            }
            Err(error) => tracing::debug!(%error, name, "a STUN server was not found"),
        }
    }
    None
}

/// Name and port of `stun:name[:port]` (RFC 7064); an IPv6 address is none, in brackets or not.
fn server(url: &str) -> Option<(&str, u16)> {
    let rest = url.strip_prefix("stun:")?;
    let (name, port) = match rest.split_once(':') {
        Some((name, port)) => (name, port.parse().ok()?),
        None => (rest, PORT),
    };
    (!name.is_empty() && !name.starts_with('[')).then_some((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_name_and_perhaps_a_port() {
        assert_eq!(
            server("stun:stun.example.org"),
            Some(("stun.example.org", 3478))
        );
        assert_eq!(server("stun:203.0.113.7:7881"), Some(("203.0.113.7", 7881)));
        for none in [
            "turn:turn.example.org",
            "stun:",
            "stun:[2001:db8::1]:3478",
            "stun:a:b",
            "stun:a:70000",
        ] {
            assert_eq!(server(none), None, "{none}");
        }
    }

    #[tokio::test]
    async fn the_first_one_that_has_an_address_is_asked() {
        let urls = [
            "turn:192.0.2.1",
            "stun:[2001:db8::1]",
            "stun:192.0.2.7:7881",
            "stun:192.0.2.8",
        ];
        let urls = urls.map(str::to_owned);
        assert_eq!(find(&urls).await, "192.0.2.7:7881".parse().ok());
    }
}
