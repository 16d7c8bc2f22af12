//! One speaker and many viewers on keyed legs: real SRTP, no network, scripted time. Shared by the count of allocations and the benchmark.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use baton_engine::rtp::{
    ExtensionKind, ExtensionMap, HeaderWriter, OutExtensions, PayloadType, Ssrc,
};
use baton_engine::sdp::CandidatePolicy;
use baton_engine::srtp::{MasterKey, Outbound, Profile, Unsealed};
use baton_engine::transport::{Certificate, SrtpKeys, SrtpMaster, SrtpProfile};
use baton_engine::{Config, Datagram, Engine, KeyedLeg, Routed};
use baton_protocol::{
    Epoch, Grants, LegId, Negotiate, ParticipantId, PathToHost, RoomId, SlotView, Source, TrackId,
    TrackInfo, Tracks, ViewMode,
};

/// Packets of a picture: what Chromium makes of 1.2 Mb/s at 30 pictures a second.
pub(crate) const PACKETS: usize = 5;

/// Payload bytes of a packet.
pub(crate) const PAYLOAD: usize = 1200;

/// Time between two pictures.
const FRAME: Duration = Duration::from_millis(33);

const SSRC: Ssrc = Ssrc(1000);
const VP8: u8 = 96;
const RTX: u8 = 97;
const TRANSPORT_CC: u8 = 3;

/// What one drain of the engine gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) calls: usize,
    /// Packets of the picture.
    pub(crate) packets: usize,
    /// Packets that only ask whether the line carries more.
    pub(crate) padding: usize,
}

/// What a viewer reports of its arrivals.
struct Reporter {
    seal: Outbound,
    /// The first number not reported yet, and when it and those after it were sent.
    next: u16,
    sent: Vec<Instant>,
    report: Vec<u8>,
    reports: u8,
}

pub(crate) struct Webinar {
    engine: Engine,
    start: Instant,
    now: Instant,
    /// One per viewer, if they report.
    reporters: Vec<Reporter>,
    speaker: Outbound,
    seq: u64,
    picture: u16,
    /// The datagrams of the next picture, sealed by the speaker.
    frame: Vec<Vec<u8>>,
    buf: Vec<u8>,
}

impl Webinar {
    /// A running room of viewers who report nothing: everyone has seen the first keyframe.
    pub(crate) fn new(viewers: u16) -> Self {
        let mut webinar = Self::open(viewers, false);
        webinar.seal_frame();
        webinar.receive();
        assert_eq!(webinar.send().packets, PACKETS * usize::from(viewers));
        webinar.advance();
        webinar
    }

    /// A room of viewers who report arrivals: their lines are estimated, probed and paced.
    #[allow(dead_code, reason = "the benchmark has no use for it")]
    pub(crate) fn reporting(viewers: u16) -> Self {
        Self::open(viewers, true)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a webinar has to begin somewhere"
    )]
    fn open(viewers: u16, reports: bool) -> Self {
        let now = Instant::now();
        let config = Config {
            announced: vec![host()],
            has_tcp: false,
            ice_lite: true,
            candidates: CandidatePolicy::default(),
            reflects: false,
            uplink: None,
        };
        let certificate = Certificate::generate().expect("certificate");
        let mut engine = Engine::new(config, certificate, 1, now).expect("engine");
        for index in 0..=viewers {
            let (negotiate, keyed) = offer(index, reports);
            engine.handle_keyed_offer(&negotiate, keyed, now);
            let view = SlotView {
                slot: "3".to_owned(),
                track: TrackId(1),
                width: 1280,
                height: 720,
                fps: 0,
                priority: 0,
            };
            let view = PathToHost::View { slots: vec![view] };
            engine.handle_path(&room(), negotiate.participant, LegId(1), view, now);
        }
        let key = master(0, 0x40);
        let key = MasterKey::new(Profile::Aes128Gcm, &key.key, &key.salt[..12]).expect("key");
        let reporter = |index| {
            let key = master(index, 0x40);
            let key = MasterKey::new(Profile::Aes128Gcm, &key.key, &key.salt[..12]);
            Reporter {
                seal: Outbound::new(&key.expect("key")),
                next: 1,
                sent: Vec::new(),
                report: Vec::new(),
                reports: 0,
            }
        };
        let reporters = (1..=viewers).filter(|_| reports).map(reporter).collect();
        Self {
            engine,
            start: now,
            now,
            reporters,
            speaker: Outbound::new(&key),
            seq: 100,
            picture: 0,
            frame: vec![vec![0; 2000]; PACKETS],
            buf: Vec::new(),
        }
    }

    /// The speaker makes the next picture.
    pub(crate) fn seal_frame(&mut self) {
        let map: ExtensionMap = [(TRANSPORT_CC, ExtensionKind::TransportSequence)]
            .into_iter()
            .collect();
        for (index, bytes) in self.frame.iter_mut().enumerate() {
            let seq = u16::try_from(self.seq & 0xffff).expect("16 bits");
            let writer = HeaderWriter {
                payload_type: PayloadType::new(VP8).expect("7 bits"),
                marker: index + 1 == PACKETS,
                seq,
                timestamp: 3000 * u32::from(self.picture),
                ssrc: SSRC,
                csrc: None,
                has_padding: false,
            };
            let extensions = OutExtensions {
                transport_sequence: Some(seq),
                ..OutExtensions::default()
            };
            bytes.resize(2000, 0);
            let header_len = writer.write(&extensions, &map, bytes).expect("room");
            let unsealed = Unsealed {
                header_len,
                prefix_len: 0,
                rest: &payload(self.picture, index),
                pad: 0,
                ssrc: SSRC.0,
                index: self.seq,
            };
            let len = self.speaker.seal_rtp(bytes, &unsealed).expect("room");
            bytes.truncate(len);
            self.seq += 1;
        }
        self.picture += 1;
    }

    /// The host takes the picture.
    pub(crate) fn receive(&mut self) {
        let mut frame = std::mem::take(&mut self.frame);
        for bytes in &mut frame {
            self.hear(address(0), bytes);
        }
        self.frame = frame;
    }

    /// The host takes a datagram of anybody.
    pub(crate) fn hear(&mut self, remote: SocketAddr, bytes: &mut [u8]) -> Routed {
        let datagram = Datagram {
            remote,
            local: host(),
            bytes,
        };
        self.engine.handle_datagram(datagram, self.now)
    }

    /// Every viewer writes what arrived since its last report: all of it, with the time it was sent.
    #[allow(dead_code, reason = "the benchmark has no use for it")]
    pub(crate) fn write_reports(&mut self) {
        let start = self.start;
        for reporter in &mut self.reporters {
            reporter.write(start);
        }
    }

    /// The host takes the reports.
    #[allow(dead_code, reason = "the benchmark has no use for it")]
    pub(crate) fn receive_reports(&mut self) {
        let mut reporters = std::mem::take(&mut self.reporters);
        for (reporter, index) in reporters.iter_mut().zip(1..) {
            if !reporter.report.is_empty() {
                self.hear(address(index), &mut reporter.report);
            }
        }
        self.reporters = reporters;
    }

    /// The host sends all it has.
    pub(crate) fn send(&mut self) -> Sent {
        let mut sent = Sent::default();
        while let Some(transmit) = self.engine.poll_transmit(&mut self.buf, self.now) {
            let segment = transmit.segment_size.unwrap_or(transmit.size);
            let packets = transmit.size.div_ceil(segment);
            let is_rtcp = (192..224).contains(&self.buf[1]);
            sent.calls += 1;
            if is_rtcp {
                continue;
            }
            if self.buf[1] & 0x7f == RTX {
                sent.padding += packets;
            } else {
                sent.packets += packets;
            }
            let viewer = usize::from(transmit.destination.port() - address(1).port());
            if let Some(reporter) = self.reporters.get_mut(viewer) {
                reporter.sent.extend((0..packets).map(|_| self.now));
            }
        }
        sent
    }

    /// Time passes until the next picture; feedback and reports are written.
    pub(crate) fn advance(&mut self) -> Sent {
        let mut sent = Sent::default();
        let end = self.now + FRAME;
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.engine.handle_timeout(self.now);
            let more = self.send();
            sent.calls += more.calls;
            sent.packets += more.packets;
            sent.padding += more.padding;
            while self.engine.poll_event().is_some() {}
        }
        self.now = end;
        sent
    }
}

impl Reporter {
    /// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1) in one run of small deltas.
    fn write(&mut self, start: Instant) {
        self.report.clear();
        let Some(first) = self.sent.first() else {
            return;
        };
        let ticks = |at: &Instant| (*at - start).as_micros() / 250;
        let count = u16::try_from(self.sent.len()).expect("few packets in a report");
        let reference = u32::try_from(ticks(first) / 256).expect("a short meeting");
        self.report
            .extend([0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
        self.report.extend(self.next.to_be_bytes());
        self.report.extend(count.to_be_bytes());
        self.report.extend(&reference.to_be_bytes()[1..]);
        self.report.push(self.reports);
        self.report.extend((0x2000 | count).to_be_bytes());
        let mut before = u128::from(reference) * 256;
        for at in &self.sent {
            let delta = u8::try_from(ticks(at) - before).expect("less than 64 ms");
            self.report.push(delta);
            before = ticks(at);
        }
        while !self.report.len().is_multiple_of(4) {
            self.report.push(0);
        }
        let words = u16::try_from(self.report.len() / 4 - 1).expect("short");
        self.report[2..4].copy_from_slice(&words.to_be_bytes());
        self.next = self.next.wrapping_add(count);
        self.reports = self.reports.wrapping_add(1);
        self.sent.clear();
        self.seal.seal_rtcp(&mut self.report).expect("room");
    }
}

/// A VP8 payload with a picture id (RFC 7741 section 4.2); one picture a second is a keyframe.
fn payload(picture: u16, index: usize) -> [u8; PAYLOAD] {
    let mut payload = [0x55; PAYLOAD];
    let [high, low] = (picture | 0x8000).to_be_bytes();
    let starts = if index == 0 { 0x10 } else { 0 };
    payload[..4].copy_from_slice(&[0x80 | starts, 0x80, high, low]);
    if index == 0 {
        let is_delta = u8::from(!picture.is_multiple_of(30));
        payload[4..14].copy_from_slice(&[is_delta, 0, 0, 0x9d, 1, 0x2a, 0, 5, 0xd0, 2]);
    }
    payload
}

fn room() -> RoomId {
    "webinar".parse().expect("a room name")
}

fn host() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 7881))
}

fn address(index: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 2], 5000 + index))
}

fn master(index: u16, side: u8) -> SrtpMaster {
    let [high, low] = index.to_be_bytes();
    let mut key = [side; 16];
    key[..2].copy_from_slice(&[high, low]);
    SrtpMaster {
        key,
        salt: [side ^ low; 14],
    }
}

/// The speaker is number 0 and sends one camera; everyone else has three audio slots and one video slot.
fn offer(index: u16, reports: bool) -> (Negotiate, KeyedLeg) {
    let feedback = if reports {
        "a=rtcp-fb:96 transport-cc\r\n"
    } else {
        ""
    };
    let video = |mid: u8, rest: &str| {
        format!(
            "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n\
             a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
             a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n{feedback}{rest}"
        )
    };
    let audio = |mid: u8| {
        format!(
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
             a=recvonly\r\n"
        )
    };
    let is_speaker = index == 0;
    let (lines, bundle) = if is_speaker {
        let streams = "a=sendonly\r\na=ssrc-group:FID 1000 1001\r\na=ssrc:1000 cname:x\r\na=ssrc:1001 cname:x\r\n";
        (video(0, streams), "0")
    } else {
        let audio: String = (0..3).map(audio).collect();
        (audio + &video(3, "a=recvonly\r\n"), "0 1 2 3")
    };
    let fingerprint = ["AB"; 32].join(":");
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {bundle}\r\na=ice-ufrag:abcd\r\n\
         a=ice-pwd:0123456789012345678901234\r\na=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\n{lines}"
    );
    let track = TrackInfo {
        id: TrackId(1),
        mid: "0".to_owned(),
        source: Source::Camera,
        layers: Vec::new(),
        muted: false,
    };
    let negotiate = Negotiate {
        ticket: None,
        room: room(),
        epoch: Epoch::FIRST,
        participant: ParticipantId(u32::from(index) + 1),
        leg: LegId(1),
        request: 1,
        grants: Grants {
            subscribe: true,
            publish: Source::ALL.to_vec(),
            ..Grants::default()
        },
        sdp,
        tracks: Tracks::Declared(is_speaker.then_some(track).into_iter().collect()),
        view: ViewMode::Wanted,
    };
    let keys = SrtpKeys {
        profile: SrtpProfile::AeadAes128Gcm,
        local: master(index, 0x80),
        remote: master(index, 0x40),
    };
    let remote = address(index);
    (negotiate, KeyedLeg { remote, keys })
}
