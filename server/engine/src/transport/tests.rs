//! Two ends against each other, on a clock of their own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

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
