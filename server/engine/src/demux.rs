//! Which leg a datagram belongs to: by the sender's address, or by the user fragment in a STUN request of a newcomer.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::slab::Key;

/// Addresses one leg may use at a time.
const MAX_ADDRESSES: usize = 16;

/// STUN attribute USERNAME (RFC 8489 section 14.3).
const USERNAME: u16 = 0x0006;

/// STUN magic cookie (RFC 8489 section 5).
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Binding request (RFC 8489 section 5).
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];

/// Addresses and user fragments of all legs. Nothing here takes longer because there are more legs.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    by_address: HashMap<SocketAddr, Key>,
    by_ufrag: HashMap<String, Key>,
    by_leg: HashMap<Key, Names>,
}

/// What leads to one leg.
#[derive(Debug, Default)]
struct Names {
    addresses: Vec<SocketAddr>,
    ufrags: Vec<String>,
}

impl Demux {
    /// The leg that was heard from `remote` before.
    pub(crate) fn by_address(&self, remote: SocketAddr) -> Option<Key> {
        self.by_address.get(&remote).copied()
    }

    /// The leg of a STUN request by its user fragment.
    pub(crate) fn by_request(&self, bytes: &[u8]) -> Option<Key> {
        self.by_ufrag.get(stun_ufrag(bytes)?).copied()
    }

    /// `remote` speaks for `leg` from now on. False when the leg has too many addresses already.
    pub(crate) fn learn(&mut self, remote: SocketAddr, leg: Key) -> bool {
        if self.by_address(remote) == Some(leg) {
            return true;
        }
        let names = self.by_leg.entry(leg).or_default();
        if names.addresses.len() >= MAX_ADDRESSES {
            return false;
        }
        names.addresses.push(remote);
        let before = self.by_address.insert(remote, leg);
        if let Some(names) = before.and_then(|leg| self.by_leg.get_mut(&leg)) {
            names.addresses.retain(|address| *address != remote);
        }
        true
    }

    /// Requests for `ufrag` belong to `leg` from now on.
    pub(crate) fn add_ufrag(&mut self, ufrag: &str, leg: Key) {
        self.by_ufrag.insert(ufrag.to_owned(), leg);
        let names = self.by_leg.entry(leg).or_default();
        names.ufrags.push(ufrag.to_owned());
    }

    /// Addresses that are known.
    #[cfg(test)]
    pub(crate) fn addresses(&self) -> usize {
        self.by_address.len()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.by_address.is_empty() && self.by_ufrag.is_empty() && self.by_leg.is_empty()
    }

    /// Forgets everything that leads to `leg`.
    pub(crate) fn forget(&mut self, leg: Key) {
        let Some(names) = self.by_leg.remove(&leg) else {
            return;
        };
        for address in names.addresses {
            self.by_address.remove(&address);
        }
        for ufrag in names.ufrags {
            if self.by_ufrag.get(&ufrag) == Some(&leg) {
                self.by_ufrag.remove(&ufrag);
            }
        }
    }
}

/// The receiver's half of the user name of a STUN binding request (RFC 8445 section 7.2.2). Everything else gives `None`.
pub fn stun_ufrag(bytes: &[u8]) -> Option<&str> {
    let (header, mut rest) = bytes.split_first_chunk::<20>()?;
    if header.get(..2)? != BINDING_REQUEST || header.get(4..8)? != MAGIC_COOKIE {
        return None;
    }
    while let Some((&[t0, t1, l0, l1], after)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let value = after.get(..len)?;
        if u16::from_be_bytes([t0, t1]) == USERNAME {
            let name = std::str::from_utf8(value).ok()?;
            return name.split(':').next();
        }
        rest = after.get(len.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0x00, 0x01, 0, 0];
        bytes.extend(MAGIC_COOKIE);
        bytes.extend([7; 12]);
        for (kind, value) in attributes {
            bytes.extend(kind.to_be_bytes());
            bytes.extend(u16::try_from(value.len()).expect("short").to_be_bytes());
            bytes.extend(*value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        bytes
    }

    #[test]
    fn a_newcomer_is_known_by_the_first_half_of_its_user_name() {
        let bytes = request(&[
            (0x8022, b"abc"),
            (USERNAME, b"host:guest"),
            (0x0024, &[0; 4]),
        ]);
        assert_eq!(stun_ufrag(&bytes), Some("host"));
        assert_eq!(stun_ufrag(&request(&[(0x8022, b"abc")])), None);
        for len in 0..bytes.len() {
            let _ = stun_ufrag(&bytes[..len]);
        }
        assert_eq!(stun_ufrag(&[0xff; 40]), None);
    }

    #[test]
    fn an_address_that_moves_on_counts_for_its_new_leg_only() {
        let mut legs = crate::slab::Slab::default();
        let (ana, ben) = (legs.insert(()), legs.insert(()));
        let address = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
        let mut demux = Demux::default();
        let most = u16::try_from(MAX_ADDRESSES).expect("few");
        assert!((0..most).all(|port| demux.learn(address(port), ana)));
        assert!(demux.learn(address(0), ana), "known already");
        assert!(!demux.learn(address(most), ana), "one too many");
        assert!(demux.learn(address(0), ben));
        assert!(demux.learn(address(most), ana), "there is room again");
        demux.add_ufrag("abcd", ana);
        demux.forget(ana);
        assert_eq!(demux.by_address(address(0)), Some(ben));
        assert_eq!(demux.by_address(address(1)), None);
        demux.forget(ben);
        assert!(demux.is_empty());
    }
}
