//! ICE candidates as text (RFC 8839 section 5.1), and which of them are believed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Transport protocol of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateProtocol {
    /// UDP.
    Udp,
    /// TCP (RFC 6544).
    Tcp,
}

/// How a candidate was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateKind {
    /// An address of the computer itself.
    Host,
    /// Seen by a STUN server.
    ServerReflexive,
    /// Seen by the other peer.
    PeerReflexive,
    /// Of a TURN server.
    Relay,
}

impl CandidateKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relay => "relay",
        }
    }
}

/// Where a candidate points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidateAddress {
    /// An address.
    Ip(IpAddr),
    /// A host name (`….local` of mDNS, RFC 8828): never resolved here.
    Name(String),
}

/// One candidate, without the extensions that follow its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Equal for candidates of one kind, base and server.
    pub foundation: String,
    /// 1 is RTP; with rtcp-mux nothing else is used.
    pub component: u16,
    /// UDP or TCP.
    pub protocol: CandidateProtocol,
    /// RFC 8445 section 5.1.2.
    pub priority: u32,
    /// Where.
    pub address: CandidateAddress,
    /// Where.
    pub port: u16,
    /// How it was found.
    pub kind: CandidateKind,
}

impl Candidate {
    /// Reads an attribute's value, with or without `a=` and `candidate:` in front. `None` if it is not a candidate.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix("a=").unwrap_or(text);
        let text = text.strip_prefix("candidate:").unwrap_or(text);
        let mut words = text.split_ascii_whitespace();
        let foundation = words.next().filter(|f| is_foundation(f))?;
        let component = words
            .next()?
            .parse()
            .ok()
            .filter(|c| (1..=256).contains(c))?;
        let protocol = match words.next()? {
            p if p.eq_ignore_ascii_case("udp") => CandidateProtocol::Udp,
            p if p.eq_ignore_ascii_case("tcp") => CandidateProtocol::Tcp,
            _ => return None,
        };
        let priority = words.next()?.parse().ok()?;
        let address = words.next()?;
        let address = match address.parse() {
            Ok(ip) => CandidateAddress::Ip(ip),
            Err(_) if address.len() <= 253 => CandidateAddress::Name(address.to_owned()),
            Err(_) => return None,
        };
        let port = words.next()?.parse().ok()?;
        if words.next()? != "typ" {
            return None;
        }
        let kind = match words.next()? {
            "host" => CandidateKind::Host,
            "srflx" => CandidateKind::ServerReflexive,
            "prflx" => CandidateKind::PeerReflexive,
            "relay" => CandidateKind::Relay,
            _ => return None,
        };
        Some(Self {
            foundation: foundation.to_owned(),
            component,
            protocol,
            priority,
            address,
            port,
            kind,
        })
    }

    /// The address to check, if this is a UDP candidate of component 1 that `policy` allows.
    #[must_use]
    pub fn usable(&self, policy: CandidatePolicy) -> Option<SocketAddr> {
        let CandidateAddress::Ip(ip) = self.address else {
            return None;
        };
        (self.component == 1
            && self.protocol == CandidateProtocol::Udp
            && self.port != 0
            && policy.allows(ip))
        .then_some(SocketAddr::new(ip, self.port))
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            foundation,
            component,
            priority,
            port,
            ..
        } = self;
        write!(f, "{foundation} {component} ")?;
        f.write_str(match self.protocol {
            CandidateProtocol::Udp => "udp",
            CandidateProtocol::Tcp => "tcp",
        })?;
        write!(f, " {priority} ")?;
        match &self.address {
            CandidateAddress::Ip(ip) => write!(f, "{ip}")?,
            CandidateAddress::Name(name) => f.write_str(name)?,
        }
        write!(f, " {port} typ {}", self.kind.as_str())?;
        // RFC 6544 section 4.5. Of TCP only a host's own are ever written, and it waits to be called.
        if self.protocol == CandidateProtocol::Tcp {
            f.write_str(" tcptype passive")?;
        }
        // A reflexive or relayed candidate must name a related address; the unspecified one gives nothing away.
        if self.kind != CandidateKind::Host {
            f.write_str(" raddr 0.0.0.0 rport 0")?;
        }
        Ok(())
    }
}

fn is_foundation(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

/// Which remote addresses a host is willing to send connectivity checks to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CandidatePolicy {
    /// Allow 127.0.0.0/8 and ::1: for development and tests only.
    pub is_loopback_allowed: bool,
}

impl CandidatePolicy {
    /// Refuses what is no participant's address: loopback, link-local (cloud metadata services live there),
    /// multicast, broadcast, unspecified, and the metadata addresses outside link-local.
    #[must_use]
    pub fn allows(self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(v4) => self.allows_v4(v4),
            IpAddr::V6(v6) => self.allows_v6(v6),
        }
    }

    fn allows_v4(self, ip: Ipv4Addr) -> bool {
        /// Metadata service of one large cloud, in its shared address space.
        const METADATA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
        if ip.is_loopback() {
            return self.is_loopback_allowed;
        }
        let is_this_network = ip.octets()[0] == 0;
        !(is_this_network
            || ip.is_link_local()
            || ip.is_multicast()
            || ip.is_broadcast()
            || ip == METADATA)
    }

    fn allows_v6(self, ip: Ipv6Addr) -> bool {
        /// IPv6 address of the metadata service of another.
        const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
        if ip.is_loopback() {
            return self.is_loopback_allowed;
        }
        !(ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local() || ip == METADATA)
    }
}

/// Host candidates of component 1 for the announced addresses, IPv6 first (RFC 8421), priorities by RFC 8445 section 5.1.2.
#[must_use]
pub fn host_candidates(announced: &[SocketAddr]) -> Vec<Candidate> {
    const HOST_PREFERENCE: u32 = 126;
    let local_preference = |index| u32::from(u16::MAX - index);
    candidates(
        announced,
        CandidateProtocol::Udp,
        HOST_PREFERENCE,
        local_preference,
    )
}

/// The same addresses by TCP (RFC 6544, passive): for networks without UDP, so any candidate of that is better.
#[must_use]
pub fn passive_candidates(announced: &[SocketAddr]) -> Vec<Candidate> {
    /// Below all of UDP but relays; the recommendation of RFC 6544 section 4.2 leaves the number open.
    const TCP_PREFERENCE: u32 = 90;
    /// Section 4.2: 3 bits of direction, passive being 4, then 13 bits of choice.
    const PASSIVE: u32 = 4 << 13;
    let local_preference = |index| PASSIVE + (0x1fff - u32::from(index).min(0x1fff));
    candidates(
        announced,
        CandidateProtocol::Tcp,
        TCP_PREFERENCE,
        local_preference,
    )
}

/// Addresses that somebody outside a NAT sees, best first (RFC 8445 section 5.1.2: preferred less than a host's own).
pub fn reflexive_candidates(seen: &[SocketAddr]) -> impl Iterator<Item = Candidate> {
    const REFLEXIVE_PREFERENCE: u32 = 100;
    (0_u16..).zip(seen).map(|(index, seen)| Candidate {
        foundation: format!("r{}", index + 1),
        component: 1,
        protocol: CandidateProtocol::Udp,
        priority: (REFLEXIVE_PREFERENCE << 24) + (u32::from(u16::MAX - index) << 8) + 255,
        address: CandidateAddress::Ip(seen.ip()),
        port: seen.port(),
        kind: CandidateKind::ServerReflexive,
    })
}

/// An address at a TURN server: the last resort (RFC 8445 section 5.1.2.2). A guest's own relay, where there is one, is better for the
/// host, which then sends as usual.
pub fn relayed_candidate(relayed: SocketAddr) -> Candidate {
    const RELAYED_PREFERENCE: u32 = 0;
    Candidate {
        foundation: "y1".to_owned(),
        component: 1,
        protocol: CandidateProtocol::Udp,
        priority: (RELAYED_PREFERENCE << 24) + (u32::from(u16::MAX) << 8) + 255,
        address: CandidateAddress::Ip(relayed.ip()),
        port: relayed.port(),
        kind: CandidateKind::Relay,
    }
}

fn candidates(
    announced: &[SocketAddr],
    protocol: CandidateProtocol,
    type_preference: u32,
    local_preference: impl Fn(u16) -> u32,
) -> Vec<Candidate> {
    const COMPONENT: u16 = 1;
    let mut addresses = announced.to_vec();
    addresses.sort_by_key(|address| address.is_ipv4());
    let foundation = |index: u16| match protocol {
        CandidateProtocol::Udp => (index + 1).to_string(),
        CandidateProtocol::Tcp => format!("t{}", index + 1),
    };
    (0_u16..)
        .zip(addresses)
        .map(|(index, address)| Candidate {
            foundation: foundation(index),
            component: COMPONENT,
            protocol,
            priority: (type_preference << 24)
                + (local_preference(index) << 8)
                + (256 - u32::from(COMPONENT)),
            address: CandidateAddress::Ip(address.ip()),
            port: address.port(),
            kind: CandidateKind::Host,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_is_offered_passively_and_after_every_address_of_udp() {
        let announced: Vec<SocketAddr> = ["203.0.113.7:7881", "[2001:db8::7]:7881"]
            .map(|text| text.parse().expect("address"))
            .to_vec();
        let tcp = passive_candidates(&announced);
        assert_eq!(
            tcp[1].to_string(),
            "t2 1 tcp 1520434943 203.0.113.7 7881 typ host tcptype passive"
        );
        let least = host_candidates(&announced)
            .into_iter()
            .map(|udp| udp.priority)
            .min();
        assert!(tcp.iter().all(|tcp| Some(tcp.priority) < least));
        assert!(tcp[0].priority > tcp[1].priority, "IPv6 first");
        let read = Candidate::parse(&tcp[0].to_string()).expect("a candidate");
        assert_eq!(read, tcp[0]);
        assert_eq!(
            read.usable(CandidatePolicy::default()),
            None,
            "nobody is called"
        );
    }
}
