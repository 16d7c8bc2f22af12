//! Who helps this computer to be reached, of the servers that participants are told of: the first STUN server says under which address it is
//! seen, and the first TURN server by UDP lends it one. By IPv4, which is where NATs are.
//!
//! Does not own the asking, which happens from the host's own socket.

use std::net::SocketAddr;

use baton_protocol::IceServer;
use baton_server::RelayServer;

/// Port of STUN (RFC 8489 section 18.6) and TURN (RFC 8656 section 4).
const PORT: u16 = 3478;

/// The address of the first STUN server that has one; TURN servers are none of these.
pub(super) async fn find(servers: &[IceServer]) -> Option<SocketAddr> {
    let urls = servers.iter().flat_map(|one| &one.urls);
    for (name, port) in urls.filter_map(|url| stun(url)) {
        if let Some(found) = look_up(name, port).await {
            return Some(found);
        }
    }
    None
}

/// The first TURN server by UDP that has an address, and what opens it.
pub(super) async fn find_relay(servers: &[IceServer]) -> Option<RelayServer> {
    for server in servers {
        let (Some(username), Some(credential)) = (&server.username, &server.credential) else {
            continue;
        };
        for (name, port) in server.urls.iter().filter_map(|url| turn(url)) {
            if let Some(address) = look_up(name, port).await {
                return Some(RelayServer {
                    address,
                    username: username.clone(),
                    credential: credential.clone(),
                });
            }
        }
    }
    None
}

async fn look_up(name: &str, port: u16) -> Option<SocketAddr> {
    match tokio::net::lookup_host((name, port)).await {
        Ok(mut found) => found.find(SocketAddr::is_ipv4),
        Err(error) => {
            tracing::debug!(%error, name, "a STUN or TURN server was not found");
            None
        }
    }
}

/// Of `stun:name[:port]` (RFC 7064).
fn stun(url: &str) -> Option<(&str, u16)> {
    place(url.strip_prefix("stun:")?)
}

/// Of `turn:name[:port][?transport=udp]` (RFC 7065). Media of a host goes out by UDP only, so no other transport will do.
fn turn(url: &str) -> Option<(&str, u16)> {
    let rest = url.strip_prefix("turn:")?;
    place(rest.strip_suffix("?transport=udp").unwrap_or(rest))
}

/// Name and port; an IPv6 address is none, in brackets or not.
fn place(text: &str) -> Option<(&str, u16)> {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, port.parse().ok()?),
        None => (text, PORT),
    };
    let is_name = !name.is_empty() && !name.starts_with('[') && !name.contains('?');
    is_name.then_some((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_name_and_perhaps_a_port() {
        let of = |read: fn(&str) -> Option<(&str, u16)>, url| {
            read(url).map(|(name, port)| format!("{name} {port}"))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            of(stun, "stun:stun.example.org"),
            some("stun.example.org 3478")
        );
        assert_eq!(of(stun, "stun:203.0.113.7:7881"), some("203.0.113.7 7881"));
        for url in [
            "turn:turn.example.org",
            "turn:turn.example.org?transport=udp",
        ] {
            assert_eq!(of(turn, url), some("turn.example.org 3478"), "{url}");
        }
        assert_eq!(
            of(turn, "turn:203.0.113.7:443?transport=udp"),
            some("203.0.113.7 443")
        );
        for none in [
            "turn:turn.example.org",
            "stun:",
            "stun:[2001:db8::1]:3478",
            "stun:a:b",
            "stun:a:70000",
        ] {
            assert_eq!(of(stun, none), None, "{none}");
        }
        for none in [
            "stun:turn.example.org",
            "turns:turn.example.org",
            "turn:turn.example.org?transport=tcp",
            "turn:turn.example.org:3478?transport=tcp",
            "turn:[2001:db8::1]",
            "turn:?transport=udp",
        ] {
            assert_eq!(of(turn, none), None, "{none}");
        }
    }

    #[tokio::test]
    async fn the_first_one_that_has_an_address_is_used() {
        let server = |urls: &[&str], password: Option<&str>| IceServer {
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            username: password.map(|_| "ana".to_owned()),
            credential: password.map(str::to_owned),
        };
        let servers = [
            server(&["turn:192.0.2.1", "stun:[2001:db8::1]"], None),
            server(&["stun:192.0.2.7:7881", "stun:192.0.2.8"], None),
            server(
                &["turns:192.0.2.9", "turn:192.0.2.10?transport=tcp"],
                Some("a"),
            ),
            server(
                &["turn:192.0.2.11:443?transport=udp", "turn:192.0.2.12"],
                Some("b"),
            ),
        ];
        assert_eq!(find(&servers).await, "192.0.2.7:7881".parse().ok());
        let relay = find_relay(&servers).await.expect("a relay");
        assert_eq!(Some(relay.address), "192.0.2.11:443".parse().ok());
        assert_eq!((&*relay.username, &*relay.credential), ("ana", "b"));
        assert!(!format!("{relay:?}").contains("ana"));
        assert_eq!(find_relay(&servers[..3]).await, None);
    }
}
