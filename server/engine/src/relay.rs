//! An address of this host's at a TURN server (RFC 8656), for guests that it reaches in no other way: allocated from the socket that
//! serves, kept, and given back.
//!
//! Pure. To the engine the relayed address is one more of its own: what comes by the server is unwrapped and was sent to it, what leaves
//! from it is wrapped. By UDP to the server and IPv4 only, which is where NATs are. Does not own the guests' legs, nor which server and
//! credentials are used.
//!
//! Not the `rtc-turn` crate: its queues are unbounded, it draws its own random numbers, and believes answers that nobody signed.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use crate::io::Transmit;
use crate::reflect::TransactionId;
use crate::time::Tick;
use account::Account;
pub use account::RelayServer;
use attempt::{Attempt, Step};
use message::{
    ALLOCATE, DATA, DATA_INDICATION, ERROR, LIFETIME, Message, NONCE, REALM, REFRESH,
    REQUESTED_TRANSPORT, SUCCESS, Writer, XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS,
};
use peers::Peers;
use wrap::Head;

mod account;
mod attempt;
mod message;
mod peers;
#[cfg(test)]
pub(crate) mod tests;
mod wrap;

/// How often the allocation is renewed: far more often than it ends (after 10 minutes), because NATs on the way to the server forget a way
/// after 30 s, some of them, and because so it is noticed soon when the server has forgotten.
const KEEP: Duration = Duration::from_secs(15);

/// Until a server that refused, or was not there, is asked again.
const AGAIN: Duration = Duration::from_secs(60);

/// Protocol number of UDP, and three bytes that mean nothing (RFC 8656 section 18.6).
const UDP: [u8; 4] = [17, 0, 0, 0];

/// What a server says when requests shall be signed, and when they were signed with a nonce that is over.
const UNAUTHENTICATED: u16 = 401;
const STALE_NONCE: u16 = 438;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No server, or nothing to do with it before `attempt` is due.
    Idle,
    /// An address was asked for.
    Asking,
    /// There it is.
    Allocated(SocketAddr),
    /// It is to be given back, once everything else was said.
    Leaving(SocketAddr),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Relay {
    /// This computer's addresses. A server on it is of no use, and what leaves from there does not leave from a relay.
    own: Vec<IpAddr>,
    server: Option<RelayServer>,
    /// Told since: for the next allocation. One that is in use belongs to the name under which it was made.
    newer: Option<RelayServer>,
    account: Option<Account>,
    state: State,
    attempt: Attempt,
    peers: Peers,
    /// Address of the last allocation: what is to leave from there goes nowhere else.
    way: Option<IpAddr>,
    due: Tick,
}

/// What a datagram of the server's was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unwrapped {
    /// Nothing of the relay's.
    Foreign,
    /// An answer, or of no use.
    Taken,
    /// What `peer` sent to the relayed address `local` is in `place` of the bytes.
    Data {
        peer: SocketAddr,
        local: SocketAddr,
        place: Range<usize>,
    },
}

impl Relay {
    /// Without a server. `own`: this computer's addresses.
    pub(crate) fn new(own: Vec<IpAddr>) -> Self {
        Self {
            own,
            server: None,
            newer: None,
            account: None,
            state: State::Idle,
            attempt: Attempt::at(Tick::NEVER),
            peers: Peers::default(),
            way: None,
            due: Tick::NEVER,
        }
    }

    /// Which server to use from now on. An address that is in use is kept until it ends, and given back when there shall be none.
    pub(crate) fn set_server(&mut self, server: Option<RelayServer>, now: Tick) {
        let server = server.filter(|server| server.is_sayable() && server.address.is_ipv4());
        match (server, self.state) {
            (None, State::Allocated(relayed)) => {
                self.newer = None;
                self.state = State::Leaving(relayed);
                self.attempt = Attempt::at(now);
            }
            (None, State::Leaving(_)) => self.newer = None,
            (None, State::Idle | State::Asking) => self.forget(),
            (Some(server), State::Leaving(_)) => self.newer = Some(server),
            (Some(server), _) if self.server.as_ref() == Some(&server) => self.newer = None,
            (Some(server), State::Allocated(_)) => self.newer = Some(server),
            (Some(server), State::Idle | State::Asking) => {
                self.server = Some(server);
                self.begin(now);
            }
        }
        self.arm();
    }

    /// The address that guests are told.
    pub(crate) fn relayed(&self) -> Option<SocketAddr> {
        match self.state {
            State::Allocated(relayed) => Some(relayed),
            State::Idle | State::Asking | State::Leaving(_) => None,
        }
    }

    /// Does what leaves from this address go by the relay?
    pub(crate) fn is_way(&self, source: Option<IpAddr>) -> bool {
        source.is_some() && source == self.way
    }

    /// Is it the server's address?
    pub(crate) fn is_server(&self, remote: SocketAddr) -> bool {
        self.server
            .as_ref()
            .is_some_and(|server| server.address == remote)
    }

    /// A guest may come from there.
    pub(crate) fn permit(&mut self, address: SocketAddr, now: Tick) {
        if address.is_ipv4() && self.server.is_some() {
            self.peers.permit(address.ip(), now);
            self.arm();
        }
    }

    /// When there is something to be said.
    pub(crate) fn deadline(&self) -> Tick {
        self.due
    }

    /// The next request that is due, and to whom. `fresh` numbers it.
    pub(crate) fn poll(
        &mut self,
        mut fresh: impl FnMut() -> TransactionId,
        now: Tick,
    ) -> Option<(SocketAddr, Vec<u8>)> {
        if self.due > now || matches!(self.state, State::Leaving(_)) {
            return None;
        }
        let server = self.server.as_ref()?.address;
        let request = self.poll_own(&mut fresh, now).or_else(|| {
            let is_up = matches!(self.state, State::Allocated(_));
            is_up
                .then(|| self.peers.poll(&mut fresh, now))
                .flatten()
                .map(|request| self.sign(request))
        });
        self.arm();
        Some((server, request?))
    }

    /// What concerns the allocation.
    fn poll_own(
        &mut self,
        fresh: &mut impl FnMut() -> TransactionId,
        now: Tick,
    ) -> Option<Vec<u8>> {
        if self.state == State::Idle && self.attempt.due() <= now {
            self.begin(now);
        }
        let step = self.attempt.poll(fresh, now)?;
        let Step::Say(transaction) = step else {
            match self.state {
                State::Allocated(_) => self.lose("the TURN server does not answer any more", now),
                State::Idle | State::Asking | State::Leaving(_) => self.rest(now),
            }
            return None;
        };
        match self.state {
            State::Idle | State::Leaving(_) => None,
            State::Asking => {
                let request = Writer::new(ALLOCATE, transaction);
                Some(self.sign(request.attribute(REQUESTED_TRANSPORT, &UDP)))
            }
            State::Allocated(_) => Some(self.sign(Writer::new(REFRESH, transaction))),
        }
    }

    /// When nothing else is left to be said: gives the address back, if that is wanted. The answer is not waited for, since it ends by
    /// itself otherwise.
    pub(crate) fn poll_leave(
        &mut self,
        fresh: impl FnOnce() -> TransactionId,
        now: Tick,
    ) -> Option<(SocketAddr, Vec<u8>)> {
        let State::Leaving(_) = self.state else {
            return None;
        };
        let server = self.server.as_ref()?.address;
        let request = Writer::new(REFRESH, fresh()).attribute(LIFETIME, &[0; 4]);
        let request = self.sign(request);
        let newer = self.newer.take();
        self.forget();
        if newer.is_some() {
            self.set_server(newer, now);
        }
        Some((server, request))
    }

    /// Takes a datagram that came from the server's address.
    pub(crate) fn handle(&mut self, bytes: &[u8], now: Tick) -> Unwrapped {
        let unwrapped = self.read(bytes, now);
        self.arm();
        unwrapped
    }

    fn read(&mut self, bytes: &[u8], now: Tick) -> Unwrapped {
        let data = |peer, local, place| Unwrapped::Data { peer, local, place };
        if bytes.first().is_some_and(|first| (64..80).contains(first)) {
            let Some(local) = self.address() else {
                return Unwrapped::Taken;
            };
            let read = wrap::read_channel(bytes);
            let read =
                read.and_then(|(number, place)| Some((self.peers.of_channel(number, now)?, place)));
            return read.map_or(Unwrapped::Taken, |(peer, place)| data(peer, local, place));
        }
        let Some(message) = Message::read(bytes) else {
            return Unwrapped::Foreign;
        };
        if message.kind == DATA_INDICATION {
            let peer = message.address(XOR_PEER_ADDRESS);
            return match (self.address(), peer, message.find(DATA)) {
                (Some(local), Some(peer), Some(place)) if self.peers.hear(peer, now) => {
                    data(peer, local, place)
                }
                _ => Unwrapped::Taken,
            };
        }
        if self.attempt.is_under(message.transaction) {
            self.take_answer(&message, now);
        } else if self.peers.is_asked(message.transaction) {
            self.take_peers_answer(&message, now);
        } else {
            return Unwrapped::Foreign;
        }
        Unwrapped::Taken
    }

    /// An answer about the allocation.
    fn take_answer(&mut self, message: &Message<'_>, now: Tick) {
        let request = match self.state {
            State::Asking => ALLOCATE,
            State::Allocated(_) => REFRESH,
            State::Idle | State::Leaving(_) => return,
        };
        if message.kind == request | SUCCESS && self.is_believed(message) {
            self.attempt = Attempt::at(now + KEEP);
            if self.state == State::Asking {
                self.take_address(message, now);
            }
        } else if message.kind == request | ERROR {
            let code = message.error().unwrap_or(0);
            if self.is_challenge(code, message) && self.attempt.is_challenged(now) {
                return;
            }
            match self.state {
                State::Allocated(_) => self.lose("the TURN server took its address back", now),
                State::Idle | State::Asking | State::Leaving(_) => {
                    tracing::info!(code, "a TURN server lends no address");
                    self.rest(now);
                }
            }
        }
    }

    fn take_address(&mut self, message: &Message<'_>, now: Tick) {
        let relayed = message.address(XOR_RELAYED_ADDRESS);
        let usable = |at: &SocketAddr| {
            let is_there = at.is_ipv4() && !at.ip().is_unspecified() && at.port() != 0;
            is_there && !self.own.contains(&at.ip())
        };
        let Some(relayed) = relayed.filter(usable) else {
            self.rest(now);
            return;
        };
        tracing::debug!(%relayed, "a TURN server lends an address");
        self.state = State::Allocated(relayed);
        self.way = Some(relayed.ip());
        self.peers.start_over(now);
    }

    /// An answer about one of the guests.
    fn take_peers_answer(&mut self, message: &Message<'_>, now: Tick) {
        let is_error = message.kind & ERROR == ERROR;
        if is_error && self.is_challenge(message.error().unwrap_or(0), message) {
            self.peers.note_challenge(message.transaction, now);
        } else if is_error || self.is_believed(message) {
            self.peers.note_answer(message.transaction, !is_error, now);
        }
    }

    /// Success is believed of whoever knows the password, once requests are signed.
    fn is_believed(&self, message: &Message<'_>) -> bool {
        let account = self.account.as_ref();
        account.is_none_or(|account| message.is_signed(account.key()))
    }

    /// Does the server want it to be signed, or signed with another nonce? Then it will be.
    fn is_challenge(&mut self, code: u16, message: &Message<'_>) -> bool {
        let Some(nonce) = message.value(NONCE) else {
            return false;
        };
        match (&mut self.account, code) {
            (Some(account), STALE_NONCE) => account.renew(nonce),
            (None, UNAUTHENTICATED) => {
                let realm = message.value(REALM);
                let server = self.server.as_ref();
                self.account = server
                    .zip(realm)
                    .and_then(|(server, realm)| Account::new(server, realm, nonce));
                self.account.is_some()
            }
            _ => false,
        }
    }

    fn sign(&self, request: Writer) -> Vec<u8> {
        match &self.account {
            Some(account) => account.sign(request),
            None => request.finish(),
        }
    }

    /// Turns a send call that leaves from the relayed address into one for the server. `None`: there is no way any more.
    pub(crate) fn wrap(
        &self,
        transmit: Transmit,
        buf: &mut Vec<u8>,
        fresh: impl FnOnce() -> TransactionId,
    ) -> Option<Transmit> {
        let server = self.server.as_ref()?;
        self.address()?;
        let head = match self.peers.channel_of(transmit.destination) {
            Some(number) => Head::channel(number),
            None => Head::indication(transmit.destination, fresh()),
        };
        let (size, segment_size) = head.wrap(buf, transmit.size, transmit.segment_size)?;
        Some(Transmit {
            destination: server.address,
            source: None,
            size,
            segment_size,
        })
    }

    /// The address that is there, whether guests are told of it or not.
    fn address(&self) -> Option<SocketAddr> {
        match self.state {
            State::Allocated(relayed) | State::Leaving(relayed) => Some(relayed),
            State::Idle | State::Asking => None,
        }
    }

    /// Asks for an address, with what was told last.
    fn begin(&mut self, now: Tick) {
        self.server = self.newer.take().or(self.server.take());
        self.account = None;
        self.state = State::Asking;
        self.attempt = Attempt::at(now);
    }

    fn rest(&mut self, now: Tick) {
        self.state = State::Idle;
        self.attempt = Attempt::at(now + AGAIN);
    }

    fn lose(&mut self, why: &str, now: Tick) {
        tracing::info!("{why}: it is asked for another one");
        self.begin(now);
    }

    /// All but where the address was.
    fn forget(&mut self) {
        let own = std::mem::take(&mut self.own);
        *self = Self {
            way: self.way,
            ..Self::new(own)
        };
    }

    fn arm(&mut self) {
        let peers = match self.state {
            State::Allocated(_) => self.peers.deadline(),
            State::Idle | State::Asking | State::Leaving(_) => Tick::NEVER,
        };
        self.due = self.attempt.due().min(peers);
    }
}
