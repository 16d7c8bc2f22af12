//! Whom the relay lets through to this host, and the short numbers of those who came: permissions and channels (RFC 8656 sections 9 and 12).
//!
//! Does not own the allocation they belong to. Both lists are bounded: what is in use stays, and of the rest the oldest makes room.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::attempt::{Attempt, Step};
use super::message::{CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION, Writer, XOR_PEER_ADDRESS};
use crate::reflect::TransactionId;
use crate::time::Tick;

/// Addresses of guests that are let through at a time.
pub(super) const MAX_PERMISSIONS: usize = 128;

/// Guests' ports that have a number at a time; the others are reached with a longer header.
pub(super) const MAX_CHANNELS: usize = 128;

/// A permission ends after 5 minutes and a channel after 10, but with the permission that it brought.
const RENEW: Duration = Duration::from_secs(240);

/// What was of no use for so long is not renewed.
const FORGET: Duration = Duration::from_secs(300);

/// Longest life of a channel (RFC 8656 section 12).
const LAPSE: Duration = Duration::from_secs(600);

/// Until what was refused, or not answered, is asked for again.
const AGAIN: Duration = Duration::from_secs(30);

/// What was of use since then makes no room for others.
const IDLE: Duration = Duration::from_secs(30);

/// RFC 8656 section 12.
const FIRST_NUMBER: u16 = 0x4000;
const LAST_NUMBER: u16 = 0x4fff;

/// Something that the relay grants for a while.
#[derive(Clone, Copy, Debug)]
struct Claim {
    right: Right,
    is_granted: bool,
    /// It is not renewed any more, and kept until the relay has forgotten it too: until then it may still say the number.
    is_lapsing: bool,
    attempt: Attempt,
    used: Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Permission(IpAddr),
    Channel(SocketAddr, u16),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Peers {
    permissions: Vec<Claim>,
    channels: Vec<Claim>,
    next_number: u16,
}

impl Default for Peers {
    fn default() -> Self {
        Self {
            permissions: Vec::new(),
            channels: Vec::new(),
            next_number: FIRST_NUMBER,
        }
    }
}

impl Peers {
    /// Whoever comes from there shall be let through.
    pub(super) fn permit(&mut self, ip: IpAddr, now: Tick) {
        claim(
            &mut self.permissions,
            MAX_PERMISSIONS,
            Right::Permission(ip),
            now,
        );
    }

    /// Is it one of those whose permission was asked for? Whoever is heard gets a number.
    pub(super) fn hear(&mut self, peer: SocketAddr, now: Tick) -> bool {
        let right = Right::Permission(peer.ip());
        let Some(permission) = self.permissions.iter_mut().find(|one| one.right == right) else {
            return false;
        };
        permission.note_use(now);
        let known = self.channels.iter_mut().find(|one| one.is_of(peer));
        if let Some(channel) = known {
            channel.note_use(now);
        } else if claim(
            &mut self.channels,
            MAX_CHANNELS,
            Right::Channel(peer, self.next_number),
            now,
        ) {
            // The number of somebody who is gone stays taken for a while; there are enough.
            self.next_number = match self.next_number {
                LAST_NUMBER => FIRST_NUMBER,
                number => number + 1,
            };
        }
        true
    }

    /// Whose number it is.
    pub(super) fn of_channel(&mut self, number: u16, now: Tick) -> Option<SocketAddr> {
        let peer = self.channels.iter().find_map(|one| match one.right {
            Right::Channel(peer, known) if known == number => Some(peer),
            Right::Channel(..) | Right::Permission(_) => None,
        })?;
        self.hear(peer, now).then_some(peer)
    }

    /// Somebody's number, once the relay knows it too.
    pub(super) fn channel_of(&self, peer: SocketAddr) -> Option<u16> {
        let known = self.channels.iter().find(|one| one.is_of(peer));
        match known.filter(|one| one.is_granted)?.right {
            Right::Channel(_, number) => Some(number),
            Right::Permission(_) => None,
        }
    }

    /// When there is something to be said.
    pub(super) fn deadline(&self) -> Tick {
        let all = self.permissions.iter().chain(&self.channels);
        all.map(|one| one.attempt.due())
            .min()
            .unwrap_or(Tick::NEVER)
    }

    /// The next request that is due; who asks signs it.
    pub(super) fn poll(
        &mut self,
        fresh: &mut impl FnMut() -> TransactionId,
        now: Tick,
    ) -> Option<Writer> {
        for list in [&mut self.permissions, &mut self.channels] {
            list.retain(|one| !(one.is_lapsing && one.attempt.due() <= now));
            for one in list.iter_mut() {
                if one.attempt.due() <= now && now.since(one.used) >= FORGET {
                    one.is_lapsing = true;
                    one.rest(now + LAPSE);
                }
                match one.attempt.poll(fresh, now) {
                    None => {}
                    Some(Step::GiveUp) => one.rest(now + AGAIN),
                    Some(Step::Say(transaction)) => return Some(one.right.request(transaction)),
                }
            }
        }
        None
    }

    /// Was this asked here?
    pub(super) fn is_asked(&self, transaction: TransactionId) -> bool {
        let mut all = self.permissions.iter().chain(&self.channels);
        all.any(|one| one.attempt.is_under(transaction))
    }

    /// Takes the answer. `is_granted`: the relay agreed.
    pub(super) fn note_answer(&mut self, transaction: TransactionId, is_granted: bool, now: Tick) {
        if let Some(one) = self.asked(transaction) {
            one.is_granted = is_granted;
            one.attempt = Attempt::at(now + if is_granted { RENEW } else { AGAIN });
        }
    }

    /// It has to be signed otherwise.
    pub(super) fn note_challenge(&mut self, transaction: TransactionId, now: Tick) {
        if let Some(one) = self.asked(transaction)
            && !one.attempt.is_challenged(now)
        {
            one.rest(now + AGAIN);
        }
    }

    /// A new allocation grants nothing yet.
    pub(super) fn start_over(&mut self, now: Tick) {
        self.channels.clear();
        for one in &mut self.permissions {
            one.rest(now);
        }
    }

    fn asked(&mut self, transaction: TransactionId) -> Option<&mut Claim> {
        let mut all = self.permissions.iter_mut().chain(&mut self.channels);
        all.find(|one| one.attempt.is_under(transaction))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.permissions.len(), self.channels.len())
    }
}

impl Claim {
    /// It is of use, and renewed if that had ended.
    fn note_use(&mut self, now: Tick) {
        self.used = now;
        if std::mem::take(&mut self.is_lapsing) {
            self.attempt = Attempt::at(now);
        }
    }

    /// It is not granted; to be asked for again at `at`.
    fn rest(&mut self, at: Tick) {
        self.is_granted = false;
        self.attempt = Attempt::at(at);
    }

    fn is_of(&self, wanted: SocketAddr) -> bool {
        matches!(self.right, Right::Channel(peer, _) if peer == wanted)
    }
}

impl Right {
    fn request(self, transaction: TransactionId) -> Writer {
        match self {
            Self::Permission(ip) => Writer::new(CREATE_PERMISSION, transaction)
                .address(XOR_PEER_ADDRESS, SocketAddr::new(ip, 0)),
            Self::Channel(peer, number) => {
                let [n0, n1] = number.to_be_bytes();
                Writer::new(CHANNEL_BIND, transaction)
                    .attribute(CHANNEL_NUMBER, &[n0, n1, 0, 0])
                    .address(XOR_PEER_ADDRESS, peer)
            }
        }
    }
}

/// Adds what is not there yet, or notes that it is of use. False: nothing was added.
fn claim(list: &mut Vec<Claim>, most: usize, right: Right, now: Tick) -> bool {
    if let Some(known) = list.iter_mut().find(|one| one.right == right) {
        known.note_use(now);
        return false;
    }
    if list.len() >= most {
        let Some(oldest) = (0..list.len()).min_by_key(|index| list.get(*index).map(|one| one.used))
        else {
            return false;
        };
        let is_idle = |one: &Claim| now.since(one.used) >= IDLE;
        if !list.get(oldest).is_some_and(is_idle) {
            return false;
        }
        list.swap_remove(oldest);
    }
    list.push(Claim {
        right,
        is_granted: false,
        is_lapsing: false,
        attempt: Attempt::at(now),
        used: now,
    });
    true
}
