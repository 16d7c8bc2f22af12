//! Under which addresses the people around can reach this computer, the likeliest first.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::host::announce::is_usable;

/// For a listener bound to `bound`: that address, or all of the interfaces that are up where it is bound to every one.
/// Without any network that of this computer alone.
pub(crate) fn for_guests(bound: SocketAddr) -> io::Result<Vec<SocketAddr>> {
    if !bound.ip().is_unspecified() {
        return Ok(vec![bound]);
    }
    let interfaces = if_addrs::get_if_addrs()?.into_iter();
    let found = interfaces
        .filter(if_addrs::Interface::is_oper_up)
        .map(|interface| (interface.ip(), interface.name))
        .filter(|(ip, _)| ip.is_ipv4() || bound.is_ipv6());
    let ordered = ordered(found.collect());
    Ok(ordered
        .into_iter()
        .map(|ip| SocketAddr::new(ip, bound.port()))
        .collect())
}

fn ordered(mut found: Vec<(IpAddr, String)>) -> Vec<IpAddr> {
    found.retain(|(ip, _)| is_usable(ip));
    found.sort_by_key(|(ip, name)| (unlikelihood(*ip, name), *ip));
    found.dedup_by_key(|(ip, _)| *ip);
    let mut addresses: Vec<_> = found.into_iter().map(|(ip, _)| ip).collect();
    if addresses.is_empty() {
        addresses.push(Ipv4Addr::LOCALHOST.into());
    }
    addresses
}

/// People around are in a private IPv4 network nearly always, and hardly ever at the other end of a tunnel or a bridge for containers.
fn unlikelihood(ip: IpAddr, interface: &str) -> u8 {
    let is_inside = INSIDE.iter().any(|start| interface.starts_with(start));
    let family = match ip {
        IpAddr::V4(ip) if ip.is_private() => 0,
        IpAddr::V4(_) => 1,
        IpAddr::V6(_) => 2,
    };
    family + if is_inside { 3 } else { 0 }
}

/// Names of interfaces that lead to this computer's own guests, or far away.
const INSIDE: &[&str] = &[
    "docker",
    "br-",
    "veth",
    "virbr",
    "vboxnet",
    "vmnet",
    "lxc",
    "cni",
    "podman",
    "tun",
    "tap",
    "wg",
    "utun",
    "tailscale",
    "zt",
    "vEthernet",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_around_comes_first_and_what_nobody_can_reach_not_at_all() {
        let found = [
            ("172.17.0.1", "docker0"),
            ("2001:db8::7", "wlp2s0"),
            ("127.0.0.1", "lo"),
            ("fe80::1", "wlp2s0"),
            ("192.168.1.5", "wlp2s0"),
            ("10.8.0.2", "tun0"),
            ("203.0.113.7", "eth0"),
            ("192.168.1.5", "wlp2s0"),
        ];
        let found = found.map(|(ip, name)| (ip.parse().unwrap(), name.to_owned()));
        let expected = [
            "192.168.1.5",
            "203.0.113.7",
            "2001:db8::7",
            "10.8.0.2",
            "172.17.0.1",
        ];
        let expected = expected.map(|ip| ip.parse::<IpAddr>().unwrap());
        assert_eq!(ordered(found.into()), expected);
    }

    #[test]
    fn without_a_network_the_computer_still_reaches_itself() {
        assert_eq!(ordered(Vec::new()), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
    }

    #[test]
    fn a_listener_on_one_address_is_reached_there() {
        let bound = "192.0.2.1:7880".parse().unwrap();
        assert_eq!(for_guests(bound).unwrap(), [bound]);
    }
}
