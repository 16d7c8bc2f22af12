//! Two ends against each other, on a clock of their own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use super::stun::{Binding, TransactionId};
use super::*;
use crate::sdp::{Candidate, CandidatePolicy, ChannelLine, LocalTransport, RemoteTransport};

const CHANNEL: u16 = baton_protocol::CONTROL_CHANNEL;

/// Two ends of one connection and a clock of their own. The first answers, as a host does.
struct Pair {
    ends: [Transport; 2],
    addresses: [SocketAddr; 2],
    now: Instant,
    /// How often rtc of the first was woken.
    wakes: u32,
    messages: Vec<Vec<u8>>,
    open: usize,
    /// Datagrams of the first that are lost from now on.
    lost: usize,
}

/// What the other side hears of an end.
fn told(local: &LocalTransport, address: SocketAddr, is_lite: bool) -> RemoteTransport {
    let (ip, port) = (address.ip(), address.port());
    let candidate = format!("1 1 udp 2130706431 {ip} {port} typ host");
    RemoteTransport {
        ufrag: local.ufrag.clone(),
        pwd: local.pwd.clone(),
        fingerprint: local.fingerprint,
        setup: local.setup,
        is_lite,
        channels: Some(ChannelLine {
            sctp_port: local.sctp_port,
            max_message_size: local.max_message_size,
        }),
        candidates: Candidate::parse(&candidate).into_iter().collect(),
    }
}

impl Pair {
    #[expect(
        clippy::disallowed_methods,
        reason = "a connection has to begin somewhere"
    )]
    fn connected() -> Self {
        let now = Instant::now();
        let addresses: [SocketAddr; 2] =
            ["10.0.0.1:1000", "10.0.0.2:2000"].map(|a| a.parse().unwrap());
        let certificates = [(); 2].map(|()| Certificate::generate().unwrap());
        let config = |end: usize| TransportConfig {
            certificate: &certificates[end],
            is_lite: end == 0,
            announced: &addresses[end..=end],
            policy: CandidatePolicy::default(),
            profiles: &PROFILES,
        };
        let caller = Caller::new(&config(1), now).unwrap();
        let (answering, answer) =
            Transport::new(&config(0), &told(caller.local(), addresses[1], false), now).unwrap();
        let calling = caller
            .answered(&config(1), &told(&answer, addresses[0], true), now)
            .unwrap();
        let mut pair = Self {
            ends: [answering, calling],
            addresses,
            now,
            wakes: 0,
            messages: Vec::new(),
            open: 0,
            lost: 0,
        };
        pair.run(Duration::from_secs(8));
        assert_eq!(pair.open, 4, "two channels at both ends");
        pair
    }

    /// In steps of a millisecond, without a delay on the line.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now += Duration::from_millis(1);
            for (at, other) in [(0, 1), (1, 0)] {
                if self.ends[at]
                    .poll_timeout()
                    .is_some_and(|due| due <= self.now)
                {
                    self.ends[at].handle_timeout(self.now);
                    self.wakes += u32::from(at == 0);
                }
                while let Some(datagram) = self.ends[at].poll_transmit() {
                    if at == 0 && self.lost > 0 {
                        self.lost -= 1;
                        continue;
                    }
                    let (local, remote) = (self.addresses[other], self.addresses[at]);
                    self.ends[other].handle_datagram(self.now, local, remote, &datagram.bytes);
                }
                while let Some(event) = self.ends[at].poll_event() {
                    match event {
                        TransportEvent::ChannelOpen { .. } => self.open += 1,
                        TransportEvent::Message { bytes, .. } => self.messages.push(bytes.to_vec()),
                        TransportEvent::Path { .. }
                        | TransportEvent::Keys(_)
                        | TransportEvent::Closed
                        | TransportEvent::Failed(_) => {}
                    }
                }
            }
        }
    }
}

#[test]
fn a_message_a_second_does_not_keep_a_connection_awake() {
    let mut pair = Pair::connected();
    pair.wakes = 0;
    for _ in 0..10 {
        pair.ends[0].send(CHANNEL, "{}", pair.now).unwrap();
        pair.run(Duration::from_secs(1));
    }
    assert_eq!(pair.messages.len(), 10);
    assert!(pair.wakes <= 25, "{} in ten seconds", pair.wakes);
}

#[test]
fn a_message_that_was_lost_is_repeated_by_a_connection_that_was_idle() {
    let mut pair = Pair::connected();
    // At several moments between two wake-ups, which are a second apart.
    for sent in 1..=5 {
        // One that is acknowledged, or the wait for the next would be twice as long.
        pair.ends[0].send(CHANNEL, "{}", pair.now).unwrap();
        pair.run(Duration::from_millis(10_200));
        pair.lost = 1;
        pair.ends[0].send(CHANNEL, "{}", pair.now).unwrap();
        pair.run(Duration::from_millis(1300));
        assert_eq!((pair.lost, pair.messages.len()), (0, 2 * sent));
    }
}

/// A STUN message, signed (RFC 8489 section 14.5).
fn stun(
    kind: u16,
    transaction: TransactionId,
    attributes: &[(u16, &[u8])],
    password: &str,
) -> Vec<u8> {
    const HEADER: usize = 20;
    const INTEGRITY: usize = 24;
    let mut bytes = [&kind.to_be_bytes()[..], &[0, 0, 0x21, 0x12, 0xa4, 0x42]].concat();
    bytes.extend(transaction);
    let append = |bytes: &mut Vec<u8>, kind: u16, value: &[u8]| {
        bytes.extend(kind.to_be_bytes());
        bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    };
    for &(kind, value) in attributes {
        append(&mut bytes, kind, value);
    }
    let len = u16::try_from(bytes.len() - HEADER + INTEGRITY).unwrap();
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let tag = hmac::sign(&key, &bytes);
    append(&mut bytes, 0x0008, tag.as_ref());
    bytes
}

/// Firefox by TCP: it nominates in its first check, triggers another before it answers the host's, and says nothing more.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a connection has to begin somewhere"
)]
fn a_nomination_that_is_never_repeated_is_answered() {
    for is_lite in [true, false] {
        let now = Instant::now();
        let [own, guest]: [SocketAddr; 2] =
            ["10.0.0.1:1000", "10.0.0.2:2000"].map(|a| a.parse().unwrap());
        let announced = [own];
        let certificates = [(); 2].map(|()| Certificate::generate().unwrap());
        let config = |end: usize| TransportConfig {
            certificate: &certificates[end],
            is_lite: is_lite && end == 0,
            announced: &announced,
            policy: CandidatePolicy::default(),
            profiles: &PROFILES,
        };
        let caller = Caller::new(&config(1), now).unwrap();
        let mut remote = told(caller.local(), guest, false);
        remote.candidates.clear();
        let (mut host, local) = Transport::new(&config(0), &remote, now).unwrap();
        let username = format!("{}:{}", local.ufrag, remote.ufrag);
        let check = |transaction| {
            let attributes: [(u16, &[u8]); 4] = [
                (0x0006, username.as_bytes()),
                (0x0025, &[]),
                (0x0024, &[0x6d, 0x7f, 0x80, 0xff]),
                (0x802a, &[7; 8]),
            ];
            stun(0x0001, transaction, &attributes, local.pwd.as_str())
        };
        let mut say = |bytes: &[u8]| {
            host.handle_datagram(now, own, guest, bytes);
            let heard = std::iter::from_fn(|| host.poll_transmit());
            heard
                .filter_map(|datagram| Binding::parse(&datagram.bytes))
                .collect::<Vec<_>>()
        };
        let asked = say(&check([1; 12]))
            .into_iter()
            .find_map(|said| match said {
                Binding::Request(check) => Some(check.transaction),
                Binding::Success { .. } => None,
            });
        say(&check([2; 12]));
        let asked = asked.expect("the host checks the pair itself");
        let answer = [(0x0020, &[0, 1, 0, 0, 0, 0, 0, 0][..])];
        let heard = say(&stun(0x0101, asked, &answer, remote.pwd.as_str()));
        let answered = |transaction| heard.contains(&Binding::Success { transaction });
        assert!(answered([1; 12]) && answered([2; 12]), "{heard:?}");
        let events: Vec<_> = std::iter::from_fn(|| host.poll_event()).collect();
        assert!(
            matches!(events[..], [TransportEvent::Path { remote, .. }] if remote == guest),
            "{events:?}"
        );
    }
}

#[test]
fn what_had_nothing_to_send_is_asked_again_once_something_was_done_with_it() {
    let pair = Pair::connected();
    let [answering, _] = pair.ends;
    let mut held = Held::new(answering);
    while held.poll_transmit().is_some() {}
    assert!(held.is_quiet());
    held.poll_timeout();
    assert!(held.is_quiet(), "asking changes nothing");
    held.send(CHANNEL, "{}", pair.now).unwrap();
    assert!(held.poll_transmit().is_some(), "the message");
}

#[test]
fn what_had_nothing_to_tell_is_asked_again_once_something_was_done_with_it() {
    let pair = Pair::connected();
    let (now, [host, guest]) = (pair.now, pair.addresses);
    let [answering, mut calling] = pair.ends;
    let mut held = Held::new(answering);
    while held.poll_event().is_some() {}
    while held.poll_transmit().is_some() {}
    let due = held.poll_timeout();
    assert!(held.is_remembered() && due.is_some_and(|due| due > now));
    assert!(held.poll_event().is_none() && held.poll_transmit().is_none());
    assert!(held.is_remembered(), "asking changes nothing");
    calling.send(CHANNEL, "hear this", now).unwrap();
    let datagram = calling.poll_transmit().expect("the message");
    held.handle_datagram(now, host, guest, &datagram.bytes);
    assert!(!held.is_remembered());
    let told = held.poll_event();
    assert!(
        matches!(&told, Some(TransportEvent::Message { bytes, .. }) if bytes[..] == *b"hear this"),
        "{told:?}"
    );
    while held.poll_event().is_some() {}
    while held.poll_transmit().is_some() {}
    let sooner = held.poll_timeout();
    assert!(sooner < due, "{sooner:?}: what came has to be acknowledged");
}

#[test]
fn a_host_is_hardly_woken_for_a_connection_on_which_nothing_is_said_and_notices_its_end() {
    let mut pair = Pair::connected();
    pair.run(Duration::from_secs(5));
    pair.wakes = 0;
    pair.run(Duration::from_secs(60));
    assert!(pair.wakes <= 13, "{} in a minute", pair.wakes);
    let (mut now, [mut host, _]) = (pair.now, pair.ends);
    let failed = (0..45_u32).find(|_| {
        now += Duration::from_secs(1);
        if host.poll_timeout().is_some_and(|due| due <= now) {
            host.handle_timeout(now);
        }
        std::iter::from_fn(|| host.poll_event())
            .any(|event| matches!(event, TransportEvent::Failed(Failure::Ice)))
    });
    assert!(
        failed.is_some_and(|second| (25..42).contains(&second)),
        "{failed:?}: thirty seconds, and those until it is woken"
    );
}
