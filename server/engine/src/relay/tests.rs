//! The client against a TURN server of the tests, which loses, forgets and changes its mind.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proptest::prelude::*;

use super::account::long_term_key;
use super::message::{CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION, ERROR_CODE, USERNAME};
use super::peers::{MAX_CHANNELS, MAX_PERMISSIONS};
use super::*;
use crate::reflect::MAGIC_COOKIE;

/// Where the server of these tests is.
pub(crate) const SERVER: &str = "198.51.100.1:3478";
/// What it lends.
pub(crate) const RELAYED: &str = "198.51.100.1:50000";

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().expect("address")
}

pub(crate) fn server() -> RelayServer {
    RelayServer {
        address: at(SERVER),
        username: "1800086400:p7".to_owned(),
        credential: "a password".to_owned(),
    }
}

/// What a server does with a datagram of its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Nothing,
    Reply(Vec<u8>),
    /// Sends this on, from the relayed address.
    Forward(SocketAddr, Vec<u8>),
}

/// A TURN server with one client.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub(crate) nonce: u32,
    pub(crate) is_allocated: bool,
    pub(crate) permissions: BTreeSet<IpAddr>,
    pub(crate) channels: BTreeMap<u16, SocketAddr>,
    /// Signed requests that were taken, by kind.
    pub(crate) taken: BTreeMap<u16, usize>,
    /// It answers all that is signed with this.
    pub(crate) refuses: Option<u16>,
    /// How many of its signatures are to be wrong.
    pub(crate) forges: usize,
}

impl Server {
    fn key(&self) -> aws_lc_rs::hmac::Key {
        let words = b"1800086400:p7:realm of the tests:a password";
        let wrong = b"1800086400:p7:realm of the tests:another";
        long_term_key(if self.forges > 0 { wrong } else { words }).expect("a key")
    }

    fn nonce(&self) -> Vec<u8> {
        format!("nonce {}", self.nonce).into_bytes()
    }

    fn refusal(&self, message: &Message<'_>, code: u16) -> Does {
        let [_, hundreds] = (code / 100).to_be_bytes();
        let [_, rest] = (code % 100).to_be_bytes();
        let reply = Writer::new(message.kind | ERROR, message.transaction)
            .attribute(ERROR_CODE, &[0, 0, hundreds, rest])
            .attribute(REALM, b"realm of the tests")
            .attribute(NONCE, &self.nonce());
        Does::Reply(reply.finish())
    }

    pub(crate) fn handle(&mut self, bytes: &[u8]) -> Does {
        if let Some((number, place)) = wrap::read_channel(bytes)
            && number >= 0x4000
        {
            let peer = self.channels.get(&number);
            return peer.map_or(Does::Nothing, |peer| {
                Does::Forward(*peer, bytes[place].to_vec())
            });
        }
        let message = Message::read(bytes).expect("a STUN message");
        let peer = message.address(XOR_PEER_ADDRESS);
        if message.kind == message::SEND_INDICATION {
            let (peer, data) = (peer.expect("a peer"), message.value(DATA).expect("data"));
            let is_permitted = self.permissions.contains(&peer.ip());
            return match is_permitted {
                true => Does::Forward(peer, data.to_vec()),
                false => Does::Nothing,
            };
        }
        let Some(user) = message.value(USERNAME) else {
            return self.refusal(&message, UNAUTHENTICATED);
        };
        assert_eq!(user, b"1800086400:p7");
        if message.value(NONCE) != Some(&self.nonce()) {
            return self.refusal(&message, STALE_NONCE);
        }
        if let Some(code) = self.refuses {
            return self.refusal(&message, code);
        }
        let key = self.key();
        if self.forges == 0 && !message.is_signed(&key) {
            return self.refusal(&message, UNAUTHENTICATED);
        }
        let is_asked_first = message.kind == ALLOCATE;
        if is_asked_first == self.is_allocated {
            // Both are a mismatch (RFC 8656 sections 7.2 and 8.2).
            return self.refusal(&message, 437);
        }
        *self.taken.entry(message.kind).or_default() += 1;
        let mut reply = Writer::new(message.kind | SUCCESS, message.transaction);
        match message.kind {
            ALLOCATE => {
                assert_eq!(message.value(REQUESTED_TRANSPORT), Some(&UDP[..]));
                self.is_allocated = self.forges == 0;
                reply = reply
                    .address(XOR_RELAYED_ADDRESS, at(RELAYED))
                    .attribute(LIFETIME, &600_u32.to_be_bytes());
            }
            REFRESH => {
                let is_left = message.value(LIFETIME) == Some(&[0; 4]);
                if is_left {
                    *self = Self::default();
                }
            }
            CREATE_PERMISSION => {
                self.permissions.insert(peer.expect("a peer").ip());
            }
            CHANNEL_BIND => {
                let number = message.value(CHANNEL_NUMBER).expect("a number");
                let number = u16::from_be_bytes([number[0], number[1]]);
                let peer = peer.expect("a peer");
                assert!((0x4000..0x5000).contains(&number));
                assert_eq!(*self.channels.entry(number).or_insert(peer), peer);
                self.permissions.insert(peer.ip());
            }
            other => panic!("a request of kind {other:#x}"),
        }
        let reply = reply.sign(&key);
        self.forges = self.forges.saturating_sub(1);
        Does::Reply(reply)
    }

    /// Somebody sent this to the relayed address.
    pub(crate) fn bring(&self, peer: SocketAddr, data: &[u8]) -> Option<Vec<u8>> {
        if !self.is_allocated || !self.permissions.contains(&peer.ip()) {
            return None;
        }
        let channel = self.channels.iter().find(|(_, known)| **known == peer);
        let mut bytes = data.to_vec();
        let head = match channel {
            Some((number, _)) => Head::channel(*number),
            None => Head::indication(peer, [9; 12]),
        };
        let (size, _) = head.wrap(&mut bytes, data.len(), None)?;
        bytes.truncate(size);
        if channel.is_none() {
            bytes[..2].copy_from_slice(&DATA_INDICATION.to_be_bytes());
        }
        Some(bytes)
    }
}

/// Both, and a clock.
struct Pair {
    relay: Relay,
    server: Server,
    now: Tick,
    drawn: u64,
    /// Requests that were said.
    said: usize,
    loses: Box<dyn FnMut() -> bool>,
}

impl Pair {
    fn new() -> Self {
        Self {
            relay: Relay::new(vec![at("10.0.0.2:1").ip()]),
            server: Server::default(),
            now: Tick(0),
            drawn: 0,
            said: 0,
            loses: Box::new(|| false),
        }
    }

    fn allocated() -> Self {
        let mut pair = Self::new();
        pair.relay.set_server(Some(server()), pair.now);
        pair.pass(Duration::from_millis(10));
        assert_eq!(pair.relay.relayed(), Some(at(RELAYED)));
        pair
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let mut polls = 0;
            loop {
                let drawn = &mut self.drawn;
                let fresh = || {
                    *drawn += 1;
                    let mut transaction = [0; 12];
                    transaction[..8].copy_from_slice(&drawn.to_be_bytes());
                    transaction
                };
                let said = self.relay.poll(fresh, self.now);
                let Some((to, request)) = said else { break };
                polls += 1;
                assert!(polls < 2 * (MAX_PERMISSIONS + MAX_CHANNELS) + 8, "it spins");
                self.said += 1;
                assert_eq!(to, at(SERVER));
                if (self.loses)() {
                    continue;
                }
                let Does::Reply(reply) = self.server.handle(&request) else {
                    panic!("no reply");
                };
                if !(self.loses)() {
                    assert_eq!(self.relay.handle(&reply, self.now), Unwrapped::Taken);
                }
            }
            let due = self.relay.deadline();
            if due > end {
                break;
            }
            self.now = due.max(self.now + Duration::from_millis(1));
        }
        self.now = end;
    }

    fn bring(&mut self, peer: SocketAddr, data: &[u8]) -> Option<Vec<u8>> {
        let bytes = self.server.bring(peer, data)?;
        match self.relay.handle(&bytes, self.now) {
            Unwrapped::Data {
                peer: from,
                local,
                place,
            } => {
                assert_eq!((from, local), (peer, at(RELAYED)));
                Some(bytes[place].to_vec())
            }
            other @ (Unwrapped::Foreign | Unwrapped::Taken) => panic!("{other:?}"),
        }
    }

    fn send(&self, peer: SocketAddr, data: &[u8]) -> (usize, Vec<u8>) {
        let mut buf = data.to_vec();
        let transmit = Transmit {
            destination: peer,
            source: Some(at(RELAYED).ip()),
            size: data.len(),
            segment_size: None,
        };
        assert!(self.relay.is_way(transmit.source));
        let out = self
            .relay
            .wrap(transmit, &mut buf, || [3; 12])
            .expect("a way");
        assert_eq!((out.destination, out.source), (at(SERVER), None));
        buf.truncate(out.size);
        (out.size, buf)
    }
}

#[test]
fn an_address_is_allocated_with_the_password_kept_and_given_back() {
    let mut pair = Pair::new();
    assert_eq!(pair.relay.deadline(), Tick::NEVER);
    pair.relay.set_server(Some(server()), pair.now);
    pair.pass(Duration::ZERO);
    assert_eq!(pair.said, 2, "the first one asks what to sign with");
    assert_eq!(pair.relay.relayed(), Some(at(RELAYED)));
    pair.pass(Duration::from_secs(301));
    assert_eq!(pair.server.taken[&REFRESH], 20);
    pair.relay.set_server(None, pair.now);
    assert_eq!(pair.relay.relayed(), None, "nobody is told of it any more");
    assert_eq!(pair.relay.poll(|| [1; 12], pair.now), None, "not yet");
    // Goodbyes still get through.
    assert_eq!(
        pair.server.handle(&pair.send(at("203.0.113.7:9"), b"x").1),
        Does::Nothing
    );
    let (_, request) = pair
        .relay
        .poll_leave(|| [1; 12], pair.now)
        .expect("a request");
    assert!(matches!(pair.server.handle(&request), Does::Reply(_)));
    assert!(!pair.server.is_allocated);
    assert_eq!(pair.relay.deadline(), Tick::NEVER);
    assert_eq!(pair.relay.poll_leave(|| [1; 12], pair.now), None);
}

#[test]
fn a_lost_request_and_a_lost_reply_are_made_up_for() {
    for lost in 0..4 {
        let mut pair = Pair::new();
        let mut count = 0;
        pair.loses = Box::new(move || {
            count += 1;
            count == lost + 1
        });
        pair.relay.set_server(Some(server()), pair.now);
        pair.pass(Duration::from_millis(499));
        // The reply to the signed request was the fourth: the server has the address and refuses to give another.
        let after = if lost == 3 { 62_000 } else { 600 };
        assert_eq!(pair.relay.relayed(), None);
        if lost == 3 {
            pair.server.is_allocated = false;
        }
        pair.pass(Duration::from_millis(after));
        assert_eq!(pair.relay.relayed(), Some(at(RELAYED)), "{lost}");
    }
}

#[test]
fn another_nonce_is_used_and_one_that_changes_all_the_time_is_not() {
    let mut pair = Pair::allocated();
    pair.server.nonce += 1;
    pair.relay.permit(at("203.0.113.7:1"), pair.now);
    pair.pass(Duration::ZERO);
    assert_eq!(pair.server.permissions.len(), 1);
    pair.server.nonce += 1;
    pair.pass(Duration::from_secs(16));
    assert_eq!(pair.server.taken.get(&REFRESH), Some(&1));
    // Now whatever is signed is stale.
    pair.server.refuses = Some(STALE_NONCE);
    let said = pair.said;
    pair.pass(Duration::from_secs(120));
    assert_eq!(pair.relay.relayed(), None);
    assert!(pair.said - said < 30, "{} in two minutes", pair.said - said);
    pair.server = Server::default();
    pair.pass(AGAIN);
    assert_eq!(pair.relay.relayed(), Some(at(RELAYED)));
}

#[test]
fn a_server_that_refuses_is_asked_again_after_a_while_with_what_was_told_last() {
    for code in [401, 437, 486, 500] {
        let mut pair = Pair::new();
        pair.server.refuses = Some(code);
        pair.relay.set_server(Some(server()), pair.now);
        pair.pass(Duration::from_secs(59));
        assert_eq!((pair.relay.relayed(), pair.said), (None, 2), "{code}");
        pair.server.refuses = None;
        pair.pass(Duration::from_secs(2));
        assert_eq!(pair.relay.relayed(), Some(at(RELAYED)), "{code}");
    }
    // Credentials end while the address is in use: it is lost, and got again with those that were told meanwhile.
    let mut pair = Pair::new();
    let old = RelayServer {
        credential: "of yesterday".to_owned(),
        ..server()
    };
    pair.relay.set_server(Some(old), pair.now);
    pair.pass(Duration::from_secs(1));
    assert_eq!(pair.relay.relayed(), None, "a wrong password");
    pair.relay.set_server(Some(server()), pair.now);
    pair.pass(Duration::ZERO);
    assert_eq!(pair.relay.relayed(), Some(at(RELAYED)));
    let newer = RelayServer {
        address: at("198.51.100.2:3478"),
        ..server()
    };
    pair.relay.set_server(Some(newer.clone()), pair.now);
    assert_eq!(
        pair.relay.relayed(),
        Some(at(RELAYED)),
        "what is in use stays"
    );
    pair.server.is_allocated = false;
    pair.now = pair.now + KEEP;
    let (_, request) = pair.relay.poll(|| [4; 12], pair.now).expect("a request");
    let Does::Reply(reply) = pair.server.handle(&request) else {
        panic!("no reply");
    };
    pair.relay.handle(&reply, pair.now);
    assert_eq!(pair.relay.relayed(), None);
    let (to, _) = pair.relay.poll(|| [5; 12], pair.now).expect("a request");
    assert_eq!(to, newer.address);
}

#[test]
fn what_nobody_signed_is_not_believed() {
    let mut pair = Pair::new();
    pair.server.forges = 1;
    pair.relay.set_server(Some(server()), pair.now);
    pair.pass(Duration::from_millis(100));
    assert_eq!(pair.relay.relayed(), None);
    pair.pass(Duration::from_secs(1));
    assert_eq!(
        pair.relay.relayed(),
        Some(at(RELAYED)),
        "the next one was right"
    );
}

#[test]
fn an_address_of_this_computer_is_of_no_use() {
    let mut pair = Pair::new();
    pair.relay = Relay::new(vec![at(RELAYED).ip()]);
    pair.relay.set_server(Some(server()), pair.now);
    pair.pass(Duration::from_secs(1));
    assert_eq!(pair.relay.relayed(), None);
    assert!(!pair.relay.is_way(Some(at(RELAYED).ip())));
}

#[test]
fn whoever_is_permitted_comes_through_and_is_soon_written_to_with_a_short_header() {
    let mut pair = Pair::new();
    let (ana, ben) = (at("203.0.113.7:40000"), at("203.0.113.8:40000"));
    pair.relay.set_server(Some(server()), pair.now);
    // Said before there is an address.
    pair.relay.permit(at("203.0.113.7:1"), pair.now);
    pair.pass(Duration::ZERO);
    assert_eq!(pair.bring(ana, b"hello"), Some(b"hello".to_vec()));
    assert_eq!(pair.bring(ben, b"hello"), None, "he was not announced");
    // The reply goes at once, whatever the server knows yet.
    let (size, bytes) = pair.send(ana, b"you too");
    assert_eq!(size, 36 + 8);
    let forwarded = Does::Forward(ana, b"you too".to_vec());
    assert_eq!(pair.server.handle(&bytes), forwarded);
    pair.pass(Duration::ZERO);
    let (size, bytes) = pair.send(ana, b"you too");
    assert_eq!(size, 4 + 7);
    assert_eq!(pair.server.handle(&bytes), forwarded);
    assert_eq!(pair.bring(ana, b"again"), Some(b"again".to_vec()));
    // Nothing is believed of somebody whose permission nobody asked for, even if the server brings it.
    pair.server.permissions.insert(ben.ip());
    let bytes = pair.server.bring(ben, b"hello").expect("brought");
    assert_eq!(pair.relay.handle(&bytes, pair.now), Unwrapped::Taken);
}

#[test]
fn permissions_and_numbers_of_those_who_are_there_are_renewed_and_no_others() {
    let mut pair = Pair::allocated();
    let (ana, ben) = (at("203.0.113.7:40000"), at("203.0.113.8:40000"));
    for who in [ana, ben] {
        pair.relay.permit(who, pair.now);
    }
    pair.pass(Duration::ZERO);
    assert!(pair.bring(ben, b"once").is_some());
    for _ in 0..20 {
        assert!(pair.bring(ana, b"here").is_some());
        pair.pass(Duration::from_secs(60));
    }
    let (bound, permitted) = (
        pair.server.taken[&CHANNEL_BIND],
        pair.server.taken[&CREATE_PERMISSION],
    );
    // Every four minutes for Ana, and once more for Ben.
    assert!((6..=8).contains(&bound), "{bound}");
    assert!((6..=8).contains(&permitted), "{permitted}");
    assert_eq!(pair.relay.peers.len(), (1, 1), "Ben is forgotten");
}

#[test]
fn who_comes_back_before_the_number_has_ended_is_known_by_it() {
    let mut pair = Pair::allocated();
    let ana = at("203.0.113.7:40000");
    pair.relay.permit(ana, pair.now);
    pair.pass(Duration::ZERO);
    assert!(pair.bring(ana, b"here").is_some());
    pair.pass(Duration::from_secs(600));
    assert_eq!(pair.send(ana, b"1234").0, 36 + 4, "it may have ended there");
    assert!(pair.bring(ana, b"back").is_some(), "by the old number");
    pair.pass(Duration::ZERO);
    assert_eq!(pair.send(ana, b"1234").0, 4 + 4);
}

#[test]
fn many_guests_cannot_make_it_forget_those_who_talk() {
    let mut pair = Pair::allocated();
    let ana = at("203.0.113.7:40000");
    pair.relay.permit(ana, pair.now);
    for round in 0..4_u8 {
        for index in 0..=255_u8 {
            let port = 1000 + u16::from(index);
            let other = SocketAddr::from(([192, 0, round, index], port));
            pair.relay.permit(other, pair.now);
            pair.pass(Duration::ZERO);
            let _ = pair.bring(other, b"there");
        }
        assert_eq!(pair.bring(ana, b"here"), Some(b"here".to_vec()));
        pair.pass(Duration::from_secs(29));
        assert_eq!(pair.bring(ana, b"here"), Some(b"here".to_vec()));
        pair.pass(Duration::from_secs(2));
    }
    let (permissions, channels) = pair.relay.peers.len();
    assert!(permissions <= MAX_PERMISSIONS && channels <= MAX_CHANNELS);
}

#[test]
fn a_server_that_is_gone_is_noticed_and_found_again() {
    let mut pair = Pair::allocated();
    pair.relay.permit(at("203.0.113.7:1"), pair.now);
    pair.pass(Duration::ZERO);
    pair.loses = Box::new(|| true);
    pair.pass(Duration::from_secs(40));
    assert_eq!(pair.relay.relayed(), None);
    let mut buf = b"data".to_vec();
    let transmit = Transmit {
        destination: at("203.0.113.7:1"),
        source: Some(at(RELAYED).ip()),
        size: 4,
        segment_size: None,
    };
    assert!(
        pair.relay.is_way(transmit.source),
        "it is sent nowhere else"
    );
    assert_eq!(pair.relay.wrap(transmit, &mut buf, || [1; 12]), None);
    pair.loses = Box::new(|| false);
    pair.server = Server::default();
    pair.pass(Duration::from_secs(100));
    assert_eq!(pair.relay.relayed(), Some(at(RELAYED)));
    assert_eq!(
        pair.server.permissions.len(),
        1,
        "what it let in is asked for anew"
    );
}

proptest! {
    #[test]
    fn whatever_is_lost_it_ends_up_with_an_address_and_says_little(
        lost in proptest::collection::vec(proptest::bool::weighted(0.4), 0..60),
    ) {
        let mut pair = Pair::new();
        let mut lost = lost.into_iter();
        pair.loses = Box::new(move || lost.next().unwrap_or(false));
        pair.relay.set_server(Some(server()), pair.now);
        for guest in 1..=3 {
            pair.relay.permit(SocketAddr::from(([203, 0, 113, guest], 1)), pair.now);
        }
        for _ in 0..40 {
            pair.pass(Duration::from_secs(30));
            // A server forgets what is not renewed.
            if pair.relay.relayed().is_none() {
                pair.server.is_allocated = false;
            }
        }
        prop_assert_eq!(pair.relay.relayed(), Some(at(RELAYED)));
        prop_assert!(pair.said < 400, "{} in 20 minutes", pair.said);
    }

    #[test]
    fn any_bytes_can_be_read(
        bytes in proptest::collection::vec(any::<u8>(), 0..120),
        kind in prop_oneof![Just(None), proptest::sample::select(vec![
            ALLOCATE | SUCCESS, ALLOCATE | ERROR, REFRESH | SUCCESS, REFRESH | ERROR, CREATE_PERMISSION | SUCCESS,
            CREATE_PERMISSION | ERROR, CHANNEL_BIND | ERROR, DATA_INDICATION, 0x4000,
        ]).prop_map(Some)],
        is_asked: bool,
    ) {
        let mut pair = if is_asked { Pair::new() } else { Pair::allocated() };
        pair.relay.set_server(Some(server()), pair.now);
        pair.relay.permit(at("203.0.113.7:1"), pair.now);
        let asked = pair.relay.poll(|| [7; 12], pair.now);
        prop_assert!(asked.is_some());
        let mut bytes = bytes;
        if let (Some(kind), true) = (kind, bytes.len() >= 20) {
            let len = bytes.len() & !3;
            bytes.truncate(len);
            let len = u16::try_from(len - 20).expect("short");
            bytes[..2].copy_from_slice(&kind.to_be_bytes());
            bytes[2..4].copy_from_slice(&len.to_be_bytes());
            bytes[4..8].copy_from_slice(&MAGIC_COOKIE);
            bytes[8..20].copy_from_slice(&[7; 12]);
        }
        if let Unwrapped::Data { place, .. } = pair.relay.handle(&bytes, pair.now) {
            prop_assert!(bytes.get(place).is_some());
        }
    }
}
