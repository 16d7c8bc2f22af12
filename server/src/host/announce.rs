//! Under which addresses participants reach this host: as configured, or as the network interfaces say.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// An address to announce: an IP address, and a port where it is not the one of the socket (a port forwarded by a router).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The address.
    pub ip: IpAddr,
    /// The port, if another than the socket's.
    pub port: Option<u16>,
}

/// A text that is neither an IP address nor one with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an IP address, or one with a port: 203.0.113.7, 203.0.113.7:7881, [2001:db8::7]:7881"
)]
pub struct InvalidAnnounced;

impl FromStr for Announced {
    type Err = InvalidAnnounced;

    fn from_str(text: &str) -> Result<Self, InvalidAnnounced> {
        if let Ok(ip) = text.parse() {
            return Ok(Self { ip, port: None });
        }
        let address: SocketAddr = text.parse().map_err(|_| InvalidAnnounced)?;
        Ok(Self {
            ip: address.ip(),
            port: Some(address.port()),
        })
    }
}

/// The candidates for a socket bound to `bound`: `configured` where given, else the bound address, else (bound to
/// every address) all unicast addresses of the interfaces that are up.
///
/// `is_dual`: IPv4 is served as well although `bound` is IPv6.
pub fn reachable_addresses(
    bound: SocketAddr,
    is_dual: bool,
    configured: &[Announced],
) -> io::Result<Vec<SocketAddr>> {
    if !configured.is_empty() {
        let with_port = |a: &Announced| SocketAddr::new(a.ip, a.port.unwrap_or(bound.port()));
        return Ok(configured.iter().map(with_port).collect());
    }
    if !bound.ip().is_unspecified() {
        return Ok(vec![bound]);
    }
    let mut found: Vec<IpAddr> = if_addrs::get_if_addrs()?
        .into_iter()
        .filter(if_addrs::Interface::is_oper_up)
        .map(|interface| interface.ip())
        .filter(|ip| ip.is_ipv4() == bound.is_ipv4() || is_dual)
        .filter(is_usable)
        .collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        found.push(Ipv4Addr::LOCALHOST.into());
    }
    let with_port = |ip| SocketAddr::new(ip, bound.port());
    Ok(found.into_iter().map(with_port).collect())
}

/// Link-local addresses need a scope that a candidate cannot carry.
pub(crate) fn is_usable(ip: &IpAddr) -> bool {
    let is_link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && !is_link_local
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn configured_addresses_win_and_take_the_socket_port_unless_they_have_their_own() {
        let configured = ["203.0.113.7", "[2001:db8::7]:4000"].map(|t| t.parse().unwrap());
        let announced = reachable_addresses(address("0.0.0.0:7881"), false, &configured).unwrap();
        assert_eq!(
            announced,
            [address("203.0.113.7:7881"), address("[2001:db8::7]:4000")]
        );
    }

    #[test]
    fn a_socket_bound_to_one_address_announces_just_that() {
        let bound = address("127.0.0.1:7881");
        assert_eq!(reachable_addresses(bound, false, &[]).unwrap(), [bound]);
    }

    #[test]
    fn a_socket_bound_to_every_address_announces_its_own_family_and_no_local_one() {
        let announced = reachable_addresses(address("0.0.0.0:7881"), false, &[]).unwrap();
        assert!(!announced.is_empty());
        let is_fine = |a: &SocketAddr| a.is_ipv4() && !a.ip().is_unspecified() && a.port() == 7881;
        assert!(announced.iter().all(is_fine), "{announced:?}");
    }

    #[test]
    fn what_cannot_be_a_candidate_is_not_announced() {
        for text in [
            "127.0.0.1",
            "169.254.3.4",
            "fe80::1",
            "::1",
            "224.0.0.1",
            "0.0.0.0",
        ] {
            assert!(!is_usable(&text.parse().unwrap()), "{text}");
        }
        assert!(is_usable(&"2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn a_name_is_not_an_address() {
        assert_eq!("example.org".parse::<Announced>(), Err(InvalidAnnounced));
    }
}
