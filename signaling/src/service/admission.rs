//! How many sockets there may be: in all, not joined yet, and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::limits::Limits;
use crate::rate::Bucket;

/// Upgrades per second of one address, and at once.
const UPGRADES: (u32, u32) = (10, 30);

/// Addresses whose rate is remembered.
const ADDRESSES: usize = 10_000;

/// Counts sockets.
#[derive(Debug)]
pub(super) struct Admission {
    counts: Arc<Mutex<Counts>>,
    sockets: usize,
    strangers: usize,
    per_address: usize,
}

#[derive(Debug, Default)]
struct Counts {
    sockets: usize,
    strangers: usize,
    addresses: HashMap<IpAddr, Address>,
}

#[derive(Debug)]
struct Address {
    sockets: usize,
    upgrades: Bucket,
}

/// The place of one socket, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    counts: Arc<Mutex<Counts>>,
    address: Option<IpAddr>,
    is_stranger: bool,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// One address wants too much.
    #[error("too many connections from your address; wait a moment")]
    Address,
    /// The service is full.
    #[error("the service has no place for another connection; try again in a moment")]
    Service,
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            counts: Arc::default(),
            sockets: limits.sockets,
            strangers: limits.strangers,
            per_address: limits.sockets_per_address,
        }
    }

    /// Sockets now, those included that are heard out.
    pub(super) fn open(&self) -> usize {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.sockets
    }

    /// A place for a socket from `remote`; loopback and unknown addresses (proxies, in-process) count only in all.
    pub(super) fn admit(&self, remote: Option<IpAddr>, now: Instant) -> Result<Ticket, Refusal> {
        let address = remote.and_then(household);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.sockets >= self.sockets || counts.strangers >= self.strangers {
            return Err(Refusal::Service);
        }
        if let Some(address) = address {
            if counts.addresses.len() >= ADDRESSES {
                counts.addresses.retain(|_, address| address.sockets > 0);
            }
            let entry = counts.addresses.entry(address).or_insert_with(|| Address {
                sockets: 0,
                upgrades: Bucket::new(UPGRADES.0, UPGRADES.1, now),
            });
            if !entry.upgrades.take(now) || entry.sockets >= self.per_address {
                return Err(Refusal::Address);
            }
            entry.sockets += 1;
        }
        counts.sockets += 1;
        counts.strangers += 1;
        Ok(Ticket {
            counts: Arc::clone(&self.counts),
            address,
            is_stranger: true,
        })
    }
}

impl Ticket {
    /// Has the socket not said `join` yet?
    pub(super) fn is_stranger(&self) -> bool {
        self.is_stranger
    }

    /// The socket has said `join`.
    pub(super) fn join(&mut self) {
        if std::mem::take(&mut self.is_stranger) {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            counts.strangers -= 1;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.join();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.sockets -= 1;
        if let Some(entry) = self
            .address
            .and_then(|address| counts.addresses.get_mut(&address))
        {
            entry.sockets -= 1;
        }
    }
}

/// By what a household is counted; loopback is not.
pub(super) fn household(address: IpAddr) -> Option<IpAddr> {
    Some(prefix(address)).filter(|address| !address.is_loopback())
}

/// What one household has: an IPv4 address, or the /64 of an IPv6 one.
fn prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) if address.is_loopback() => IpAddr::V6(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Admission {
        Admission::new(&Limits {
            sockets: 100,
            strangers: 50,
            sockets_per_address: 2,
            ..Limits::default()
        })
    }

    #[test]
    fn one_address_has_few_places_and_gives_them_back() {
        let (admission, now) = (admission(), Instant::now());
        let admit = |text: &str| admission.admit(Some(text.parse().expect("address")), now);
        let first = admit("2001:db8::1").expect("place");
        let _second = admit("2001:db8::2").expect("place");
        assert_eq!(
            admit("2001:db8::3").err(),
            Some(Refusal::Address),
            "one /64"
        );
        assert!(admit("2001:db8:0:1::1").is_ok(), "another /64");
        drop(first);
        assert!(admit("2001:db8::3").is_ok());
    }

    #[test]
    fn strangers_have_fewer_places_than_guests() {
        let (admission, now) = (admission(), Instant::now());
        let mut tickets: Vec<_> = (0..50)
            .map(|_| admission.admit(None, now).expect("place"))
            .collect();
        assert_eq!(admission.admit(None, now).err(), Some(Refusal::Service));
        tickets.iter_mut().for_each(Ticket::join);
        assert!(admission.admit(None, now).is_ok());
    }
}
