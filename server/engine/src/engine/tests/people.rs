//! A meeting of scripted people: they speak SRTP for themselves and remember what they were sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use baton_protocol::{
    Epoch, Grants, HostCommand, HostMessage, LayerInfo, LegId, Negotiate, ParticipantId,
    PathFromHost, PathToHost, PauseReason, RoomId, Source, TrackId, TrackInfo, Tracks, ViewMode,
};

use crate::arrivals::Arrivals;
use crate::codec::Codec;
use crate::engine::Engine;
use crate::io::{Config, Datagram, Event, KeyedLeg, Routed};
use crate::relay::RelayServer;
use crate::rtcp::{self, RtcpPacket};
use crate::rtp::extension::{AudioLevel, ExtensionKind, ExtensionMap};
use crate::rtp::{
    Extensions, Header, HeaderWriter, Origin, OutExtensions, PayloadType, Ssrc, padding_len, rtx,
};
use crate::sdp::CandidatePolicy;
use crate::srtp::{Inbound, InboundStream, MasterKey, Outbound, Profile, Unsealed};
use crate::stats::Stats;
use crate::time::Tick;
use crate::transport::{Certificate, SrtpKeys, SrtpMaster, SrtpProfile};

/// One packet as a participant got it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) ssrc: Ssrc,
    pub(super) seq: u16,
    pub(super) timestamp: u32,
    pub(super) csrc: Option<u32>,
    pub(super) payload: Vec<u8>,
    pub(super) picture_id: u16,
    pub(super) original_seq: Option<u16>,
    pub(super) origin: Option<Origin>,
}

/// What a layer of a publisher counts.
#[derive(Clone, Copy, Debug, Default)]
struct Sending {
    seq: u16,
    timestamp: u32,
    picture: u16,
    is_fresh: bool,
}

pub(super) struct Person {
    id: ParticipantId,
    address: SocketAddr,
    inbound: Inbound,
    outbound: Outbound,
    streams: BTreeMap<Ssrc, InboundStream>,
    video_slots: usize,
    sends: usize,
    layers: BTreeMap<usize, Sending>,
    seen: Vec<Seen>,
    repaired: Vec<Seen>,
    calls: Vec<usize>,
    keyframes_asked: usize,
    nacked: usize,
    path: Vec<PathFromHost>,
    arrivals: Arrivals,
    padding: usize,
    /// Packets since the line lost one; it loses every so many, 0: none.
    since_loss: usize,
    loses_every: usize,
    /// Added to every SSRC: an encoder that starts anew takes others.
    ssrc_offset: u32,
}

impl Person {
    pub(super) fn video_mid(&self, slot: usize) -> String {
        (self.sends + 3 + slot).to_string()
    }
}

/// A handle of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Who(usize);

pub(super) struct Meeting {
    engine: Engine,
    started: Instant,
    now: Instant,
    people: Vec<Person>,
    /// What the host said to signaling and nobody took.
    messages: Vec<HostMessage>,
    /// What went to nobody of these.
    strays: Vec<(SocketAddr, Vec<u8>)>,
    farewells: Vec<SocketAddr>,
    seed: u8,
    address: SocketAddr,
    /// Where the next who joins is.
    ip: [u8; 4],
    /// Numbers of the next who joins.
    number: usize,
}

/// Id of the header extension with transport-wide sequence numbers, where it is negotiated.
const ARRIVALS: u8 = 5;
const TRANSPORT_SEQUENCE: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// Id of the header extension that says what a packet was before.
const ORIGIN: u8 = 6;

const VP8: u8 = 96;
const VP8_RTX: u8 = 97;
const OPUS: u8 = 111;

impl Meeting {
    pub(super) fn new(seed: u8) -> Self {
        Self::at(seed, "192.0.2.1:7881", true)
    }

    /// On a host that is reached under this address.
    #[expect(
        clippy::disallowed_methods,
        reason = "a meeting has to begin somewhere"
    )]
    pub(super) fn at(seed: u8, address: &str, ice_lite: bool) -> Self {
        let now = Instant::now();
        let address = address.parse().expect("address");
        let config = Config {
            announced: vec![address],
            has_tcp: false,
            ice_lite,
            candidates: CandidatePolicy::default(),
            reflects: true,
            uplink: None,
        };
        let certificate = Certificate::generate().expect("certificate");
        let engine = Engine::new(config, certificate, u64::from(seed), now).expect("engine");
        Self {
            engine,
            started: now,
            now,
            people: Vec::new(),
            messages: Vec::new(),
            strays: Vec::new(),
            farewells: Vec::new(),
            seed,
            address,
            number: 0,
            ip: [192, 0, 2, 100],
        }
    }

    /// Who joins from now on comes from there.
    pub(super) fn people_at(&mut self, ip: [u8; 4]) {
        self.ip = ip;
    }

    /// Who joins from now on has this number and the following ones.
    pub(super) fn number_from(&mut self, number: usize) {
        self.number = number;
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn set_relay(&mut self, server: Option<RelayServer>) {
        self.engine.set_relay(server, self.now);
        self.drain();
    }

    /// Says goodbye to everybody.
    pub(super) fn close(&mut self) {
        self.engine.close(self.now);
        self.drain();
    }

    /// Where the last words of legs that are gone went.
    pub(super) fn farewells(&self) -> &[SocketAddr] {
        &self.farewells
    }

    /// A datagram from another host.
    pub(super) fn receive(&mut self, remote: SocketAddr, bytes: &mut [u8]) {
        let local = self.address;
        let datagram = Datagram {
            remote,
            local,
            bytes,
        };
        self.engine.handle_datagram(datagram, self.now);
        self.drain();
    }

    pub(super) fn join(&mut self, name: &str, sources: &[Source], video_slots: usize) -> Who {
        self.join_as(name, sources, video_slots, |_| {})
    }

    /// Somebody who is not let in, and why.
    pub(super) fn join_refused(&mut self) -> String {
        self.command(HostCommand::Negotiate(negotiate(self.people.len(), &[], 1)));
        match self.messages.pop() {
            Some(HostMessage::Refused(refusal)) => refusal.message,
            other => panic!("{other:?}"),
        }
    }

    /// What the host said to signaling since this was last asked.
    pub(super) fn take_messages(&mut self) -> Vec<HostMessage> {
        std::mem::take(&mut self.messages)
    }

    /// What went to addresses of nobody since this was last asked.
    pub(super) fn take_strays(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.strays)
    }

    /// Somebody who only watches, and says when packets arrive.
    pub(super) fn join_reporting(&mut self, name: &str, video_slots: usize) -> Who {
        self.join_as(name, &[], video_slots, |negotiate| {
            let reporting = format!(
                "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 transport-cc\r\na=extmap:{ARRIVALS} {TRANSPORT_SEQUENCE}\r\n"
            );
            negotiate.sdp = negotiate.sdp.replace("a=rtpmap:96 VP8/90000\r\n", &reporting);
        })
    }

    /// Reports what arrived since the last time.
    pub(super) fn report_arrivals(&mut self, who: Who) {
        let person = &mut self.people[who.0];
        let mut compound = Vec::new();
        let writer = &mut rtcp::Writer::new(&mut compound);
        person.arrivals.report(Ssrc(1), writer);
        self.send_rtcp(who, compound);
    }

    /// From now on somebody's line loses every so many packets; 0: none.
    pub(super) fn lose_every(&mut self, who: Who, packets: usize) {
        let person = &mut self.people[who.0];
        (person.since_loss, person.loses_every) = (0, packets);
    }

    /// Packets of padding that somebody got.
    pub(super) fn padding(&self, who: Who) -> usize {
        self.people[who.0].padding
    }

    fn join_as(
        &mut self,
        _name: &str,
        sources: &[Source],
        video_slots: usize,
        change: impl FnOnce(&mut Negotiate),
    ) -> Who {
        let index = self.people.len();
        let number = self.number;
        self.number += 1;
        let id = ParticipantId(1 + u32::try_from(number).expect("few"));
        let address = SocketAddr::from((self.ip, 5000 + u16::try_from(index).expect("few")));
        let byte = self
            .seed
            .wrapping_mul(16)
            .wrapping_add(u8::try_from(index).expect("few"));
        let master = |side: u8| SrtpMaster {
            key: [byte ^ side; 16],
            salt: [byte ^ side ^ 0x55; 14],
        };
        let (host, own) = (master(0x80), master(0x40));
        let keys = SrtpKeys {
            profile: SrtpProfile::AeadAes128Gcm,
            local: host.clone(),
            remote: own.clone(),
        };
        let key = |side: &SrtpMaster| {
            MasterKey::new(Profile::Aes128Gcm, &side.key, &side.salt[..12]).expect("key")
        };
        let mut negotiate = negotiate(number, sources, video_slots);
        change(&mut negotiate);
        self.engine.handle_keyed_offer(
            &negotiate,
            KeyedLeg {
                remote: address,
                keys,
            },
            self.now,
        );
        self.people.push(Person {
            id,
            address,
            inbound: Inbound::new(&key(&host)),
            outbound: Outbound::new(&key(&own)),
            streams: BTreeMap::new(),
            video_slots,
            sends: sources.len(),
            layers: BTreeMap::new(),
            seen: Vec::new(),
            repaired: Vec::new(),
            calls: Vec::new(),
            keyframes_asked: 0,
            nacked: 0,
            path: Vec::new(),
            arrivals: Arrivals::default(),
            padding: 0,
            since_loss: 0,
            loses_every: 0,
            ssrc_offset: 0,
        });
        let mut answered = false;
        while let Some(event) = self.engine.poll_event() {
            match event {
                Event::Message(HostMessage::Answer(_)) => answered = true,
                Event::Message(HostMessage::Refused(refusal)) => panic!("{}", refusal.message),
                other @ (Event::Message(_)
                | Event::Reachable { .. }
                | Event::Unreachable { .. }
                | Event::Farewell { .. }
                | Event::Path { .. }) => self.note_event(other),
            }
        }
        assert!(answered, "the host answers an offer");
        Who(index)
    }

    /// An offer of somebody who is there already, perhaps changed by `change`.
    pub(super) fn offer_again(
        &mut self,
        who: Who,
        sources: &[Source],
        video_slots: usize,
        change: impl FnOnce(&mut Negotiate),
    ) {
        let mut negotiate = negotiate(who.0, sources, video_slots);
        change(&mut negotiate);
        self.command(HostCommand::Negotiate(negotiate));
    }

    /// From now on the streams of somebody have other SSRCs, and numbers from elsewhere; by `offset` 0 the old ones again.
    pub(super) fn change_streams(&mut self, who: Who, offset: u32) {
        self.people[who.0].ssrc_offset = offset;
    }

    /// What somebody was told over the control channel so far.
    pub(super) fn told(&self, who: Who) -> &[PathFromHost] {
        &self.people[who.0].path
    }

    pub(super) fn command(&mut self, command: HostCommand) {
        self.engine.handle_command(command, self.now);
        while let Some(event) = self.engine.poll_event() {
            self.note_event(event);
        }
    }

    /// The host gets a picture of three packets that do not fit one call, and its socket takes only the first call.
    pub(super) fn publish_and_stall(&mut self, who: Who) {
        let state = self.layer(who, 2);
        state.timestamp = state.timestamp.wrapping_add(2970);
        let timestamp = state.timestamp;
        for size in [400, 1000, 1000] {
            let payload = vec![0; size];
            self.send_rtp(who, 2, VP8, timestamp, size == 1000, &payload, None);
        }
        let transmit = self.engine.poll_transmit(&mut Vec::new(), self.now);
        assert!(transmit.is_some(), "there is something to send");
    }

    /// Bytes from anywhere, or (`from`) as if from a participant.
    pub(super) fn inject(&mut self, from: Option<Who>, port: u16, bytes: &mut [u8]) {
        let remote = from.map_or(SocketAddr::from(([203, 0, 113, 9], port)), |who| {
            self.people[who.0].address
        });
        let local = "192.0.2.1:7881".parse().expect("address");
        let datagram = Datagram {
            remote,
            local,
            bytes,
        };
        self.engine.handle_datagram(datagram, self.now);
        self.drain();
    }

    /// A picture of somebody whose leg may be gone by now.
    pub(super) fn try_publish_frame(&mut self, who: Who, keyframe: bool) {
        let address = self.people[who.0].address;
        if self.engine.demux.by_address(address).is_some() {
            self.publish_frame(who, 2, keyframe, 3);
        }
    }

    /// The socket takes one call, and the rest has to wait.
    pub(super) fn stall(&mut self) {
        self.engine.poll_transmit(&mut Vec::new(), self.now);
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn person(&self, who: Who) -> &Person {
        &self.people[who.0]
    }

    pub(super) fn participant(&self, who: Who) -> u32 {
        self.people[who.0].id.0
    }

    pub(super) fn say(&mut self, who: Who, message: PathToHost) {
        let id = self.people[who.0].id;
        assert!(self.people[who.0].video_slots > 0, "a view needs slots");
        self.engine
            .handle_path(&room(), id, LegId(1), message, self.now);
        self.drain();
    }

    pub(super) fn mute(&mut self, track: u32, muted: bool) {
        let command = HostCommand::SetMuted {
            room: room(),
            track: TrackId(track),
            muted,
        };
        self.engine.handle_command(command, self.now);
        self.drain();
    }

    pub(super) fn leave(&mut self, who: Who) {
        let participant = self.people[who.0].id;
        self.engine.handle_command(
            HostCommand::Close {
                room: room(),
                participant,
                leg: None,
            },
            self.now,
        );
        self.drain();
    }

    pub(super) fn stats(&mut self) -> Stats {
        self.engine.stats().clone()
    }

    /// Lets time pass, waking the engine whenever it wants to.
    pub(super) fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        self.drain();
        for _ in 0..10_000 {
            let Some(due) = self.engine.poll_timeout().filter(|due| *due <= end) else {
                break;
            };
            self.now = self.now.max(due);
            self.engine.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// The caller has sent everything, and has a moment.
    pub(super) fn spare_a_moment(&mut self) {
        self.engine.handle_served(self.now);
        self.drain();
    }

    /// A VP8 picture of one layer (0 smallest) in equal packets.
    pub(super) fn publish_frame(&mut self, who: Who, layer: usize, keyframe: bool, packets: usize) {
        self.publish_sized(who, layer, keyframe, &vec![1000; packets]);
    }

    /// A VP8 picture of one packet of `size` bytes in a temporal layer. `sync`: it needs no picture of that layer before it.
    pub(super) fn publish_temporal(
        &mut self,
        who: Who,
        layer: usize,
        size: usize,
        temporal: u8,
        sync: bool,
    ) {
        let state = self.layer(who, layer);
        state.timestamp = state.timestamp.wrapping_add(2970);
        state.picture = (state.picture + 1) & 0x7fff;
        let (timestamp, picture, keyframe) = (state.timestamp, state.picture, state.is_fresh);
        state.is_fresh = false;
        // RFC 7741 section 4.2: X, S; I and T; picture id; TID and Y.
        let mut payload = vec![0x90, 0xa0];
        payload.extend((picture | 0x8000).to_be_bytes());
        payload.push(temporal << 6 | u8::from(sync) << 5);
        payload.extend([u8::from(!keyframe), 0, 0, 0x9d, 0x01, 0x2a, 0, 5, 0xd0, 2]);
        payload.resize(size, 0);
        self.send_rtp(who, layer, VP8, timestamp, true, &payload, None);
        self.drain();
    }

    /// A VP8 picture of one packet that no base picture needs. `says_so`: its descriptor has the number of its base picture.
    pub(super) fn publish_enhancement(&mut self, who: Who, layer: usize, says_so: bool) {
        let state = self.layer(who, layer);
        state.timestamp = state.timestamp.wrapping_add(2970);
        state.picture = (state.picture + 1) & 0x7fff;
        let (timestamp, picture) = (state.timestamp, state.picture);
        // RFC 7741 section 4.2: X, S; I, L and T; picture id; TL0PICIDX; TID and Y.
        let mut payload = vec![0x90, 0xa0 | u8::from(says_so) << 6];
        payload.extend((picture | 0x8000).to_be_bytes());
        if says_so {
            payload.push(1);
        }
        payload.extend([1 << 6 | 1 << 5, 1]);
        payload.resize(500, 0);
        self.send_rtp(who, layer, VP8, timestamp, true, &payload, None);
        self.drain();
    }

    /// What all legs together may be sent.
    pub(super) fn set_uplink(&mut self, kbps: Option<u64>) {
        self.engine.set_uplink(kbps.map(crate::Bitrate::from_kbps));
    }

    /// A picture whose packets differ by a byte, as browsers cut them.
    pub(super) fn publish_uneven_frame(&mut self, who: Who, layer: usize, packets: usize) {
        let sizes: Vec<_> = (0..packets).map(|index| 1000 + index % 2).collect();
        self.publish_sized(who, layer, false, &sizes);
    }

    pub(super) fn publish_sized(
        &mut self,
        who: Who,
        layer: usize,
        keyframe: bool,
        sizes: &[usize],
    ) {
        let state = self.layer(who, layer);
        state.timestamp = state.timestamp.wrapping_add(2970);
        state.picture = (state.picture + 1) & 0x7fff;
        let (timestamp, picture) = (state.timestamp, state.picture);
        for (index, size) in sizes.iter().enumerate() {
            let mut payload = vec![0x80 | if index == 0 { 0x10 } else { 0 }, 0x80];
            payload.extend((picture | 0x8000).to_be_bytes());
            if index == 0 {
                // VP8 payload header: the low bit of the first byte is clear for a keyframe.
                let [width, height] =
                    [[320_u16, 180], [640, 360], [1280, 720]][layer].map(u16::to_le_bytes);
                payload.extend([u8::from(!keyframe), 0, 0, 0x9d, 0x01, 0x2a]);
                payload.extend(width.into_iter().chain(height));
            }
            payload.resize(*size, u8::try_from(index).expect("few"));
            self.send_rtp(
                who,
                layer,
                VP8,
                timestamp,
                index + 1 == sizes.len(),
                &payload,
                None,
            );
        }
        self.drain();
    }

    /// Two packets of a keyframe of any codec, on the largest layer.
    pub(super) fn publish_codec(&mut self, who: Who, codec: Codec) {
        let (payload_type, first): (u8, &[u8]) = match codec {
            Codec::Vp8 => (VP8, &[0x10, 0x00, 0, 0, 0x9d, 0x01, 0x2a, 0, 5, 0xd0, 2]),
            Codec::Vp9 => (98, &[0x08, 1, 2, 3]),
            Codec::H264 => (102, &[0x65, 0x88, 2, 3]),
            Codec::Av1 => (45, &[0x18, 0x0a, 0x01, 0x00]),
            Codec::Opus | Codec::Red => unreachable!("video only"),
        };
        let mut payload = first.to_vec();
        payload.resize(200, 7);
        self.send_rtp(who, 2, payload_type, 5000, false, &payload, None);
        self.send_rtp(who, 2, payload_type, 5000, true, &payload, None);
        self.drain();
    }

    pub(super) fn publish_audio(&mut self, who: Who, level: u8) {
        let state = self.layer(who, 9);
        state.timestamp = state.timestamp.wrapping_add(960);
        let timestamp = state.timestamp;
        self.send_rtp(
            who,
            9,
            OPUS,
            timestamp,
            false,
            &[0x78; 80],
            Some(AudioLevel { voice: true, level }),
        );
        self.drain();
    }

    /// The next packet of a layer is lost on its way.
    pub(super) fn skip_packet(&mut self, who: Who, layer: usize) {
        let state = self.layer(who, layer);
        state.seq = state.seq.wrapping_add(1);
    }

    pub(super) fn nack(&mut self, who: Who, media: Ssrc, seq: u16) {
        let mut compound = Vec::new();
        rtcp::Writer::new(&mut compound).nack(Ssrc(1), media, &[seq]);
        self.send_rtcp(who, compound);
    }

    pub(super) fn pli(&mut self, who: Who, media: Ssrc) {
        let mut compound = Vec::new();
        rtcp::Writer::new(&mut compound).pli(Ssrc(1), media);
        self.send_rtcp(who, compound);
    }

    pub(super) fn take_packets(&mut self, who: Who) -> Vec<Seen> {
        std::mem::take(&mut self.people[who.0].seen)
    }

    pub(super) fn take_retransmissions(&mut self, who: Who) -> Vec<Seen> {
        std::mem::take(&mut self.people[who.0].repaired)
    }

    pub(super) fn keyframes_asked(&self, who: Who) -> usize {
        self.people[who.0].keyframes_asked
    }

    pub(super) fn nacked(&self, who: Who) -> usize {
        self.people[who.0].nacked
    }

    pub(super) fn forget_calls(&mut self) {
        self.people
            .iter_mut()
            .for_each(|person| person.calls.clear());
    }

    /// Packets of each send call that carried media.
    pub(super) fn media_calls(&self, who: Who) -> Vec<usize> {
        self.people[who.0].calls.clone()
    }

    pub(super) fn paused(&self, who: Who) -> Option<PauseReason> {
        let slots = self.people[who.0]
            .path
            .iter()
            .rev()
            .find_map(|message| match message {
                PathFromHost::Slots { slots } => Some(slots),
                PathFromHost::Speakers { .. }
                | PathFromHost::Wanted { .. }
                | PathFromHost::Line { .. }
                | PathFromHost::Lines { .. }
                | PathFromHost::Pulse { .. }
                | PathFromHost::Unknown => None,
            });
        slots
            .and_then(|slots| slots.first())
            .and_then(|slot| slot.paused)
    }

    /// Which layers of each of their own pictures somebody was told are wanted, smallest first.
    pub(super) fn wanted(&self, who: Who) -> Option<Vec<Vec<bool>>> {
        let wanted = self.people[who.0]
            .path
            .iter()
            .rev()
            .find_map(|message| match message {
                PathFromHost::Wanted { tracks } => Some(tracks),
                PathFromHost::Slots { .. }
                | PathFromHost::Speakers { .. }
                | PathFromHost::Line { .. }
                | PathFromHost::Lines { .. }
                | PathFromHost::Pulse { .. }
                | PathFromHost::Unknown => None,
            });
        let layers = |track: &baton_protocol::TrackWanted| {
            track.layers.iter().map(|layer| layer.wanted).collect()
        };
        wanted.map(|tracks| tracks.iter().map(layers).collect())
    }

    pub(super) fn last_speakers(&self, who: Who) -> Option<PathFromHost> {
        let is_speakers =
            |message: &&PathFromHost| matches!(message, PathFromHost::Speakers { .. });
        self.people[who.0]
            .path
            .iter()
            .rev()
            .find(is_speakers)
            .cloned()
    }

    fn layer(&mut self, who: Who, layer: usize) -> &mut Sending {
        self.people[who.0].layers.entry(layer).or_insert(Sending {
            seq: 100 * u16::try_from(layer + 1).expect("few"),
            timestamp: 1_000_000 * u32::try_from(layer + 1).expect("few"),
            picture: 1000 * u16::try_from(layer + 1).expect("few"),
            is_fresh: true,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a packet")]
    fn send_rtp(
        &mut self,
        who: Who,
        layer: usize,
        payload_type: u8,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
        audio_level: Option<AudioLevel>,
    ) {
        let state = self.layer(who, layer);
        let seq = state.seq;
        state.seq = state.seq.wrapping_add(1);
        let person = &mut self.people[who.0];
        let layer_number = u32::try_from(layer).expect("few");
        let ssrc = Ssrc(1000 * (person.id.0 + 1) + layer_number + person.ssrc_offset);
        let writer = HeaderWriter {
            payload_type: PayloadType::new(payload_type).expect("7 bits"),
            marker,
            seq,
            timestamp,
            ssrc,
            csrc: None,
            has_padding: false,
        };
        let mut bytes = vec![0; 1500];
        // What a participant says of this is not believed.
        let forged = Origin {
            ssrc: Ssrc(1),
            seq: 2,
            timestamp: 3,
        };
        let extensions = OutExtensions {
            audio_level,
            origin: Some(forged),
            ..OutExtensions::default()
        };
        let mut header_len = writer
            .write(&extensions, &extension_map(), &mut bytes)
            .expect("room");
        if audio_level.is_none() {
            // One-byte header extension with the rid under id 2 (RFC 8285 section 4.2).
            bytes[0] |= 0x10;
            bytes[12..20].copy_from_slice(&[0xbe, 0xde, 0, 1, 0x20, b"qhf"[layer], 0, 0]);
            header_len = 20;
        }
        let unsealed = Unsealed {
            header_len,
            prefix_len: 0,
            rest: payload,
            pad: 0,
            ssrc: ssrc.0,
            index: u64::from(seq),
        };
        let len = person
            .outbound
            .seal_rtp(&mut bytes, &unsealed)
            .expect("room");
        let remote = person.address;
        self.feed(remote, &mut bytes[..len]);
    }

    fn send_rtcp(&mut self, who: Who, mut compound: Vec<u8>) {
        let person = &mut self.people[who.0];
        person.outbound.seal_rtcp(&mut compound).expect("sealed");
        let remote = person.address;
        self.feed(remote, &mut compound);
        self.drain();
    }

    fn feed(&mut self, remote: SocketAddr, bytes: &mut [u8]) {
        let local = "192.0.2.1:7881".parse().expect("address");
        let routed = self.engine.handle_datagram(
            Datagram {
                remote,
                local,
                bytes,
            },
            self.now,
        );
        assert_eq!(routed, Routed::Here);
    }

    fn drain(&mut self) {
        let mut buf = Vec::new();
        while let Some(transmit) = self.engine.poll_transmit(&mut buf, self.now) {
            let person = self
                .people
                .iter_mut()
                .find(|person| person.address == transmit.destination);
            let segment = transmit.segment_size.unwrap_or(transmit.size);
            let Some(person) = person else {
                let datagrams = buf[..transmit.size].chunks(segment);
                let strays = datagrams.map(|bytes| (transmit.destination, bytes.to_vec()));
                self.strays.extend(strays);
                continue;
            };
            let mut media = 0;
            for datagram in buf[..transmit.size].chunks_mut(segment) {
                media += usize::from(person.receive(datagram, self.now - self.started));
            }
            if media > 0 {
                person.calls.push(media);
            }
        }
        while let Some(event) = self.engine.poll_event() {
            self.note_event(event);
        }
    }

    fn note_event(&mut self, event: Event) {
        if let Event::Message(message) = &event {
            self.messages.push(message.clone());
        }
        if let Event::Farewell { destination, .. } = &event {
            self.farewells.push(*destination);
        }
        if let Event::Path {
            participant,
            message,
            ..
        } = event
            && let Some(person) = self
                .people
                .iter_mut()
                .find(|person| person.id == participant)
        {
            person.path.push(message);
        }
    }
}

impl Person {
    /// Opens what came. True for media.
    fn receive(&mut self, datagram: &mut [u8], at: Duration) -> bool {
        if crate::rtp::is_rtcp(datagram) {
            let compound = self
                .inbound
                .open_rtcp(datagram)
                .expect("authentic")
                .to_vec();
            for packet in rtcp::packets(&compound) {
                match packet {
                    RtcpPacket::Pli { .. } => self.keyframes_asked += 1,
                    RtcpPacket::Nack { lost, .. } => self.nacked += lost.count(),
                    RtcpPacket::SenderReport { .. }
                    | RtcpPacket::ReceiverReport { .. }
                    | RtcpPacket::Sdes
                    | RtcpPacket::Bye { .. }
                    | RtcpPacket::Fir { .. }
                    | RtcpPacket::Remb { .. }
                    | RtcpPacket::TransportFeedback(_)
                    | RtcpPacket::Unknown { .. } => {}
                }
            }
            return false;
        }
        self.since_loss += 1;
        if self.since_loss == self.loses_every {
            self.since_loss = 0;
            return true;
        }
        let header = Header::parse(datagram).expect("RTP");
        let map: ExtensionMap = [(ARRIVALS, ExtensionKind::TransportSequence)]
            .into_iter()
            .collect();
        if let Some(seq) = Extensions::parse(&map, datagram, &header).transport_sequence {
            self.arrivals.record(seq, header.ssrc, Tick(0) + at);
        }
        let stream = self.streams.entry(header.ssrc).or_default();
        let mut payload = vec![0; 1600];
        let opened = self
            .inbound
            .open_rtp(
                stream,
                datagram,
                header.header_len,
                header.seq,
                header.ssrc.0,
                &mut payload,
            )
            .expect("authentic, and never twice");
        payload.truncate(opened.payload_len);
        let padding = padding_len(&header, &payload).expect("valid padding");
        payload.truncate(payload.len() - padding);
        let mut seen = Seen {
            ssrc: header.ssrc,
            seq: header.seq,
            timestamp: header.timestamp,
            csrc: header.csrcs(datagram).next().map(|csrc| csrc.0),
            picture_id: 0,
            original_seq: None,
            origin: Extensions::parse(&extension_map(), datagram, &header).origin,
            payload,
        };
        if seen.payload.is_empty() && padding > 0 {
            self.padding += 1;
            return false;
        }
        if header.payload_type.as_u8() == VP8_RTX {
            let (original, payload) = rtx::split(&seen.payload).expect("RTX");
            (seen.original_seq, seen.payload) = (Some(original), payload.to_vec());
            self.repaired.push(seen);
            return true;
        }
        if seen.payload.len() > 4 {
            seen.picture_id = u16::from_be_bytes([seen.payload[2] & 0x7f, seen.payload[3]]);
        }
        self.seen.push(seen);
        true
    }
}

/// What signaling asks for on behalf of a participant.
pub(super) fn negotiate(index: usize, sources: &[Source], video_slots: usize) -> Negotiate {
    let tracks = sources.iter().enumerate().map(|(mid, source)| TrackInfo {
        id: TrackId(100 + u32::try_from(index * 10 + mid).expect("few")),
        mid: mid.to_string(),
        source: *source,
        layers: layers(*source),
        muted: false,
    });
    Negotiate {
        ticket: None,
        room: room(),
        epoch: Epoch::FIRST,
        participant: ParticipantId(1 + u32::try_from(index).expect("few")),
        leg: LegId(1),
        request: 1,
        grants: Grants {
            subscribe: true,
            publish: Source::ALL.to_vec(),
            ..Grants::default()
        },
        sdp: offer(sources, video_slots),
        tracks: Tracks::Declared(tracks.collect()),
        view: ViewMode::Wanted,
    }
}

pub(super) fn room() -> RoomId {
    "test".parse().expect("a room name")
}

fn layers(source: Source) -> Vec<LayerInfo> {
    let layer = |rid: &str, width, height| LayerInfo {
        rid: Some(rid.to_owned()),
        width,
        height,
        max_bitrate: 0,
    };
    match source {
        Source::Camera | Source::Screen => {
            vec![
                layer("q", 320, 180),
                layer("h", 640, 360),
                layer("f", 1280, 720),
            ]
        }
        Source::Microphone | Source::ScreenAudio => Vec::new(),
    }
}

fn extension_map() -> ExtensionMap {
    let mut map = ExtensionMap::default();
    map.insert(1, ExtensionKind::AudioLevel);
    map.insert(2, ExtensionKind::Rid);
    map.insert(ORIGIN, ExtensionKind::Origin);
    map
}

/// An offer with the given sending lines, three audio slots and some video slots.
fn offer(sources: &[Source], video_slots: usize) -> String {
    let audio = |mid: usize, direction: &str| {
        format!(
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\n\
             a=rtpmap:111 opus/48000/2\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
             a=extmap:{ORIGIN} urn:x-baton:rtp-hdrext:origin\r\n"
        )
    };
    let video = |mid: usize, direction: &str| {
        let layers = "a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n";
        format!(
            "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 102 103 45 46\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\n\
             a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
             a=rtpmap:98 VP9/90000\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\n\
             a=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=1;profile-level-id=42e01f\r\na=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=102\r\n\
             a=rtpmap:45 AV1/90000\r\na=rtpmap:46 rtx/90000\r\na=fmtp:46 apt=45\r\n\
             a=extmap:2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
             a=extmap:{ORIGIN} urn:x-baton:rtp-hdrext:origin\r\n{}",
            if direction == "sendonly" { layers } else { "" }
        )
    };
    let mut lines: Vec<String> = Vec::new();
    for source in sources {
        let mid = lines.len();
        lines.push(match source {
            Source::Microphone | Source::ScreenAudio => audio(mid, "sendonly"),
            Source::Camera | Source::Screen => video(mid, "sendonly"),
        });
    }
    for _ in 0..3 {
        lines.push(audio(lines.len(), "recvonly"));
    }
    for _ in 0..video_slots {
        lines.push(video(lines.len(), "recvonly"));
    }
    let bundle: Vec<_> = (0..lines.len()).map(|mid| mid.to_string()).collect();
    let fingerprint = vec!["AB"; 32].join(":");
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=ice-ufrag:abcd\r\n\
         a=ice-pwd:0123456789012345678901234\r\na=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\n{}",
        bundle.join(" "),
        lines.concat()
    )
}
