//! Tells whoever asks plainly from which address they come (STUN Binding, RFC 8489): so a computer behind a NAT learns under
//! which address the others may reach it, from the same socket that will serve them.
//!
//! Pure. A question without USERNAME is no connectivity check and concerns no leg. The reply is 44 bytes at most for 20 or
//! more, so that nobody can be flooded by way of it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::io::Datagram;

/// RFC 8489 section 5.
pub(crate) const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
/// RFC 8489 sections 14.2 and 14.3.
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const USERNAME: u16 = 0x0006;

const HEADER: usize = 20;

/// Header, and an attribute with an IPv6 address.
pub(crate) const MAX_REPLY: usize = HEADER + 24;

/// A batch brings no more.
const MAX_WAITING: usize = 64;

/// Pairs a question with its reply.
pub(crate) type TransactionId = [u8; 12];

/// A reply, and how much of it there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    bytes: [u8; MAX_REPLY],
    len: usize,
}

impl Reply {
    /// What is sent.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Replies that wait to be sent.
#[derive(Debug, Default)]
pub(crate) struct Reflections {
    waiting: VecDeque<(SocketAddr, Option<IpAddr>, Reply)>,
}

impl Reflections {
    /// Takes a datagram that belongs to no leg. True if it was a question; of too many at a time the rest is not answered.
    pub(crate) fn handle(&mut self, datagram: &Datagram<'_>) -> bool {
        let Some(reply) = reply(datagram.bytes, datagram.remote) else {
            return false;
        };
        if self.waiting.len() < MAX_WAITING {
            let source = Some(datagram.local.ip()).filter(|ip| !ip.is_unspecified());
            self.waiting.push_back((datagram.remote, source, reply));
        }
        true
    }

    /// The next reply, where it goes, and from which own address.
    pub(crate) fn poll(&mut self) -> Option<(SocketAddr, Option<IpAddr>, Reply)> {
        self.waiting.pop_front()
    }
}

/// A question without anything but its number.
pub(crate) fn question(transaction: TransactionId) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..2].copy_from_slice(&BINDING_REQUEST);
    bytes[4..8].copy_from_slice(&MAGIC_COOKIE);
    bytes[8..].copy_from_slice(&transaction);
    bytes
}

/// The reply to a plain question that came from `remote`; `None` for everything else.
pub(crate) fn reply(datagram: &[u8], remote: SocketAddr) -> Option<Reply> {
    let (transaction, mut attributes) = split(datagram, BINDING_REQUEST)?;
    while let Some((kind, _, rest)) = next_attribute(attributes) {
        if kind == USERNAME {
            return None;
        }
        attributes = rest;
    }
    let mut bytes = [0; MAX_REPLY];
    let (veiled, size) = veil(remote, transaction);
    let value = u16::try_from(size).ok()?;
    bytes[..2].copy_from_slice(&BINDING_SUCCESS);
    bytes[2..4].copy_from_slice(&(4 + value).to_be_bytes());
    bytes[4..8].copy_from_slice(&MAGIC_COOKIE);
    bytes[8..20].copy_from_slice(&transaction);
    bytes[20..22].copy_from_slice(&XOR_MAPPED_ADDRESS.to_be_bytes());
    bytes[22..24].copy_from_slice(&value.to_be_bytes());
    bytes[24..].copy_from_slice(&veiled);
    Some(Reply {
        bytes,
        len: 24 + size,
    })
}

/// The address that a reply names, if it is one, and to which question.
pub(crate) fn answer(datagram: &[u8]) -> Option<(TransactionId, SocketAddr)> {
    let (transaction, mut attributes) = split(datagram, BINDING_SUCCESS)?;
    while let Some((kind, value, rest)) = next_attribute(attributes) {
        attributes = rest;
        if kind != XOR_MAPPED_ADDRESS {
            continue;
        }
        return Some((transaction, unveil(value, transaction)?));
    }
    None
}

/// The value of an XOR-MAPPED-ADDRESS or of an attribute like it, and how long it is (RFC 8489 section 14.2).
pub(crate) fn veil(address: SocketAddr, transaction: TransactionId) -> ([u8; 20], usize) {
    let (family, octets, size) = match address.ip().to_canonical() {
        IpAddr::V4(v4) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&v4.octets());
            (1, octets, 4)
        }
        IpAddr::V6(v6) => (2, v6.octets(), 16),
    };
    let port = address.port() ^ u16::from_be_bytes([MAGIC_COOKIE[0], MAGIC_COOKIE[1]]);
    let mut value = [0; 20];
    value[1] = family;
    value[2..4].copy_from_slice(&port.to_be_bytes());
    let masked = octets.iter().zip(mask(transaction)).take(size);
    for (to, (from, mask)) in value[4..].iter_mut().zip(masked) {
        *to = from ^ mask;
    }
    (value, 4 + size)
}

/// The address in such a value.
pub(crate) fn unveil(value: &[u8], transaction: TransactionId) -> Option<SocketAddr> {
    let (head, address) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([head[2] ^ MAGIC_COOKIE[0], head[3] ^ MAGIC_COOKIE[1]]);
    let mut plain = [0; 16];
    for (to, (from, mask)) in plain.iter_mut().zip(address.iter().zip(mask(transaction))) {
        *to = from ^ mask;
    }
    let ip = match (head[1], address.len()) {
        (1, 4) => IpAddr::from([plain[0], plain[1], plain[2], plain[3]]),
        (2, 16) => IpAddr::from(plain),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// What an address is veiled with (RFC 8489 section 14.2): some routers rewrite addresses that they recognise.
fn mask(transaction: TransactionId) -> [u8; 16] {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE);
    mask[4..].copy_from_slice(&transaction);
    mask
}

/// Number and attributes of a message of this kind.
fn split(datagram: &[u8], wanted: [u8; 2]) -> Option<(TransactionId, &[u8])> {
    let (kind, rest) = datagram.split_first_chunk::<2>()?;
    let (len, rest) = rest.split_first_chunk::<2>()?;
    let (cookie, rest) = rest.split_first_chunk::<4>()?;
    let (&transaction, attributes) = rest.split_first_chunk::<12>()?;
    let is_whole = usize::from(u16::from_be_bytes(*len)) == attributes.len();
    (*kind == wanted && *cookie == MAGIC_COOKIE && is_whole).then_some((transaction, attributes))
}

/// Kind and value of the first attribute, and what follows it (RFC 8489 section 14).
pub(crate) fn next_attribute(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&[k0, k1, l0, l1], rest) = bytes.split_first_chunk()?;
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    let value = rest.get(..len)?;
    let after = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    Some((u16::from_be_bytes([k0, k1]), value, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_asks_hears_the_own_address_in_either_family() {
        for address in ["203.0.113.7:40000", "[2001:db8::7]:65535"] {
            let address: SocketAddr = address.parse().expect("address");
            let asked = question([9; 12]);
            let reply = reply(&asked, address).expect("a reply");
            assert!(reply.as_bytes().len() <= 3 * asked.len());
            assert_eq!(answer(reply.as_bytes()), Some(([9; 12], address)));
        }
    }

    /// RFC 5769 section 2.2: the mapped address 192.0.2.1 port 32853 of its transaction.
    #[test]
    fn the_address_is_written_as_in_the_test_vector() {
        let transaction = [
            0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
        ];
        let address = "192.0.2.1:32853".parse().expect("address");
        let reply = reply(&question(transaction), address).expect("a reply");
        let expected = [
            0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
        ];
        assert_eq!(reply.as_bytes()[20..], expected);
    }

    #[test]
    fn a_connectivity_check_is_no_question() {
        let mut check = question([1; 12]).to_vec();
        check.extend([0x00, 0x06, 0x00, 0x04]);
        check.extend(b"a:bc");
        check[3] = 8;
        let remote = "203.0.113.7:40000".parse().expect("address");
        assert_eq!(reply(&check, remote), None);
        let mut indication = question([1; 12]);
        indication[1] = 0x11;
        assert_eq!(reply(&indication, remote), None);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..80), is_stun: bool) {
            let mut bytes = bytes;
            if is_stun && bytes.len() >= HEADER {
                let len = u16::try_from(bytes.len() - HEADER).expect("short");
                bytes[..2].copy_from_slice(&BINDING_REQUEST);
                bytes[2..4].copy_from_slice(&len.to_be_bytes());
                bytes[4..8].copy_from_slice(&MAGIC_COOKIE);
            }
            let remote = "203.0.113.7:40000".parse().expect("address");
            if let Some(reply) = reply(&bytes, remote) {
                prop_assert!(reply.as_bytes().len() <= 3 * bytes.len());
            }
            let _ = answer(&bytes);
        }
    }
}
