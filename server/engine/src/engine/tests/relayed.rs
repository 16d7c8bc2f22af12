//! A guest whom the host reaches by a TURN server only: real ICE, DTLS and SRTP, with the server of the relay's own tests in between.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use baton_protocol::{HostCommand, HostMessage, ParticipantId, Source, ViewMode};

use super::people::{Meeting, negotiate, room};
use crate::relay::tests::{Does, RELAYED, SERVER, Server, at, server};
use crate::rtp::{Header, Ssrc};
use crate::sdp::{
    Candidate, CandidateKind, CandidatePolicy, Fingerprint, IcePassword, RemoteTransport, Setup,
};
use crate::srtp::{Inbound, InboundStream, MasterKey, Profile};
use crate::transport::{
    Caller, Certificate, PROFILES, SrtpKeys, Transport, TransportConfig, TransportEvent,
};

/// The guest, as the relay sees it, and as the guest sees itself.
const GUEST: &str = "203.0.113.7:40000";
const AT_HOME: &str = "10.0.9.2:5000";

/// A native guest waits two seconds for something better than a relay.
const NOMINATED: Duration = Duration::from_secs(4);

struct Scene {
    meeting: Meeting,
    server: Server,
    guest: Option<Transport>,
    keys: Option<SrtpKeys>,
    /// What reached the guest, RTP and RTCP.
    media: Vec<Vec<u8>>,
    /// What the host sent to the guest's address past the relay, in vain.
    direct: usize,
    /// DTLS records that reached the guest.
    records: usize,
}

impl Scene {
    fn new(seed: u8) -> Self {
        let mut scene = Self {
            meeting: Meeting::at(seed, "198.51.100.7:40000", false),
            server: Server::default(),
            guest: None,
            keys: None,
            media: Vec::new(),
            direct: 0,
            records: 0,
        };
        scene.meeting.set_relay(Some(server()));
        scene.advance(Duration::from_millis(5));
        scene
    }

    fn advance(&mut self, span: Duration) {
        for _ in 0..span.as_millis() {
            self.meeting.advance(Duration::from_millis(1));
            self.carry();
        }
    }

    fn carry(&mut self) {
        let now = self.meeting.now();
        for (to, bytes) in self.meeting.take_strays() {
            if to != at(SERVER) {
                assert!([at(GUEST), at(AT_HOME)].contains(&to), "{to}");
                self.direct += 1;
                continue;
            }
            match self.server.handle(&bytes) {
                Does::Nothing => {}
                Does::Reply(mut reply) => self.meeting.receive(at(SERVER), &mut reply),
                Does::Forward(to, data) if to == at(GUEST) => self.reach(&data, now),
                Does::Forward(..) => self.direct += 1,
            }
        }
        let Some(guest) = &mut self.guest else { return };
        if guest.poll_timeout().is_some_and(|due| due <= now) {
            guest.handle_timeout(now);
        }
        let mut said = Vec::new();
        while let Some(datagram) = guest.poll_transmit() {
            said.push(datagram);
        }
        while let Some(event) = guest.poll_event() {
            match event {
                TransportEvent::Keys(keys) => self.keys = Some(keys),
                TransportEvent::Path { .. }
                | TransportEvent::ChannelOpen { .. }
                | TransportEvent::Message { .. }
                | TransportEvent::Closed
                | TransportEvent::Failed(_) => {}
            }
        }
        for datagram in said {
            assert_eq!(datagram.remote, at(RELAYED));
            if let Some(mut bytes) = self.server.bring(at(GUEST), &datagram.bytes) {
                self.meeting.receive(at(SERVER), &mut bytes);
            }
        }
    }

    fn reach(&mut self, data: &[u8], now: Instant) {
        if data.first().is_some_and(|first| (128..192).contains(first)) {
            self.media.push(data.to_vec());
        } else if let Some(guest) = &mut self.guest {
            self.records += usize::from(data.first().is_some_and(|first| *first >= 20));
            guest.handle_datagram(now, at(AT_HOME), at(RELAYED), data);
        }
    }

    /// A guest offers; it knows no other address of the host than that at the relay. Its own is told in the offer, or later.
    fn invite(&mut self, is_trickled: bool) {
        let now = self.meeting.now();
        let certificate = Certificate::generate().expect("a certificate");
        let here = [at(AT_HOME)];
        let config = TransportConfig {
            certificate: &certificate,
            is_lite: false,
            announced: &here,
            policy: CandidatePolicy::default(),
            profiles: &PROFILES,
        };
        let caller = Caller::new(&config, now).expect("a guest");
        let own = caller.local().clone();
        let mut wanted = negotiate(7, &[], 1);
        wanted.view = ViewMode::Auto;
        let address = at(GUEST);
        let candidate = format!(
            "candidate:1 1 udp 1677721855 {} {} typ srflx raddr 0.0.0.0 rport 0",
            address.ip(),
            address.port()
        );
        let told = if is_trickled {
            String::new()
        } else {
            format!("a={candidate}\r\n")
        };
        wanted.sdp = wanted
            .sdp
            .replace("a=ice-ufrag:abcd", &format!("a=ice-ufrag:{}", own.ufrag))
            .replace("0123456789012345678901234", own.pwd.as_str())
            .replace(&vec!["AB"; 32].join(":"), &own.fingerprint.digits())
            .replacen("a=mid:0\r\n", &format!("a=mid:0\r\n{told}"), 1);
        let (participant, leg) = (wanted.participant, wanted.leg);
        self.meeting.command(HostCommand::Negotiate(wanted));
        if is_trickled {
            self.meeting.command(HostCommand::Candidate {
                room: room(),
                participant,
                leg,
                candidate,
            });
        }
        let said = self.meeting.take_messages().into_iter();
        let mut answers = said.filter_map(|message| {
            if let HostMessage::Answer(answer) = message {
                Some(answer.sdp)
            } else {
                None
            }
        });
        let answer = answers.next().expect("an answer");
        let remote = read(&answer);
        let guest = caller.answered(&config, &remote, now).expect("accepted");
        self.guest = Some(guest);
    }

    fn opened(&self) -> Vec<Vec<u8>> {
        let keys = self.keys.as_ref().expect("keys");
        let master = MasterKey::new(
            Profile::Aes128Gcm,
            &keys.remote.key,
            &keys.remote.salt[..12],
        );
        let inbound = Inbound::new(&master.expect("a key"));
        let mut streams: BTreeMap<Ssrc, InboundStream> = BTreeMap::new();
        let rtp = self
            .media
            .iter()
            .filter(|bytes| !crate::rtp::is_rtcp(bytes));
        let open = |bytes: &Vec<u8>| {
            let header = Header::parse(bytes).expect("RTP");
            let mut payload = vec![0; 1600];
            let opened = inbound.open_rtp(
                streams.entry(header.ssrc).or_default(),
                bytes,
                header.header_len,
                header.seq,
                header.ssrc.0,
                &mut payload,
            );
            payload.truncate(opened.expect("authentic").payload_len);
            payload
        };
        rtp.map(open).collect()
    }
}

/// The answer, of which the guest believes the relay only.
fn read(answer: &str) -> RemoteTransport {
    let value = |name: &str| {
        let mut lines = answer.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)).expect(name);
        line.to_owned()
    };
    let relayed = at(RELAYED);
    let expected = format!(
        "{} {} typ relay raddr 0.0.0.0 rport 0",
        relayed.ip(),
        relayed.port()
    );
    let lines = answer
        .lines()
        .filter_map(|line| line.strip_prefix("a=candidate:"));
    assert!(
        lines.clone().any(|line| line.ends_with(&expected)),
        "{answer}"
    );
    let mut candidates: Vec<_> = lines.filter_map(Candidate::parse).collect();
    let least = candidates.iter().map(|one| one.priority).min();
    candidates.retain(|one| one.kind == CandidateKind::Relay);
    assert_eq!(candidates.len(), 1);
    assert_eq!(Some(candidates[0].priority), least, "the last resort");
    RemoteTransport {
        ufrag: value("a=ice-ufrag:"),
        pwd: IcePassword::parse(&value("a=ice-pwd:")).expect("a password"),
        fingerprint: Fingerprint::parse(&value("a=fingerprint:")).expect("a fingerprint"),
        setup: Setup::Passive,
        is_lite: false,
        channels: None,
        candidates,
    }
}

#[test]
fn a_guest_is_reached_by_the_relay_and_by_nothing_else() {
    for is_trickled in [false, true] {
        let mut scene = Scene::new(80);
        let ana = scene.meeting.join("ana", &[Source::Camera], 0);
        let bea = scene.meeting.join("bea", &[Source::Microphone], 0);
        scene.invite(is_trickled);
        scene.advance(NOMINATED);
        assert!(scene.keys.is_some(), "the guest is connected");
        assert_eq!(scene.server.channels.len(), 1, "with a short header");
        let before = scene.direct;
        for frame in 0..30 {
            scene.meeting.publish_audio(bea, 10);
            scene.meeting.publish_frame(ana, 2, frame == 0, 3);
            scene.advance(Duration::from_millis(33));
        }
        let (heard, seen): (Vec<_>, Vec<_>) = scene
            .opened()
            .into_iter()
            .partition(|payload| payload[..] == [0x78; 80]);
        assert!(heard.len() >= 25, "{} packets of sound", heard.len());
        // Three of a picture share a call, and come out one by one.
        let pictures = seen.iter().filter(|payload| payload.len() >= 1000).count();
        assert!(pictures >= 75, "{pictures} packets of pictures");
        assert_eq!(scene.direct, before, "nothing goes past the relay");
        assert_eq!(scene.server.nonce, 0);
    }
}

#[test]
fn goodbyes_go_by_the_relay_too_and_then_the_address_is_given_back() {
    let mut scene = Scene::new(81);
    scene.invite(false);
    scene.advance(NOMINATED);
    assert!(scene.keys.is_some());
    scene.meeting.command(HostCommand::Close {
        room: room(),
        participant: ParticipantId(8),
        leg: None,
    });
    let farewells = scene.meeting.farewells();
    assert!(!farewells.is_empty() && farewells.iter().all(|to| *to == at(SERVER)));

    let mut scene = Scene::new(82);
    scene.invite(false);
    scene.advance(NOMINATED);
    let before = scene.records;
    scene.meeting.close();
    scene.carry();
    assert!(scene.records > before, "the guest hears the goodbye");
    assert!(!scene.server.is_allocated);
}

#[test]
fn without_a_relay_nothing_of_it_is_offered() {
    let mut meeting = Meeting::at(83, "198.51.100.7:40000", false);
    meeting.command(HostCommand::Negotiate(negotiate(7, &[], 1)));
    let said = meeting.take_messages();
    let is_relay = |message: &HostMessage| matches!(message, HostMessage::Answer(one) if one.sdp.contains("typ relay"));
    assert!(!said.is_empty() && !said.iter().any(is_relay));
}

#[test]
fn whoever_claims_to_be_the_relay_is_dropped_and_counted() {
    let mut scene = Scene::new(84);
    let bytes = scene
        .server
        .bring(SocketAddr::from(([203, 0, 113, 9], 9)), b"x");
    assert_eq!(bytes, None, "nobody was let in");
    let before = scene.meeting.stats().unroutable;
    let mut forged = [0x40, 0, 0, 1, 0x80, 0, 0, 0];
    scene.meeting.inject(None, 5, &mut forged);
    assert_eq!(scene.meeting.stats().unroutable, before + 1);
    scene.meeting.receive(at(SERVER), &mut forged);
    let stats = scene.meeting.stats();
    assert_eq!((stats.unroutable, stats.malformed), (before + 1, 0));
}
