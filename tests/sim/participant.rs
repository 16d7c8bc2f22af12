//! One simulated person: a seat in a room, a browser's leg to the host, camera, microphone, and a diary of what was seen and heard.
//!
//! Plain state and what follows from it alone; what travels between people, host and signaling is moved by the `world`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use baton_engine::rtcp;
use baton_engine::rtp::Ssrc;
use baton_engine::srtp::{Inbound, MasterKey, Outbound, Profile, Unsealed};
use baton_engine::transport::{SrtpKeys, SrtpMaster, SrtpProfile};
use baton_protocol::{
    Epoch, LeaveReason, LegId, LineReport, LineScore, ParticipantId, ParticipantInfo, PathToHost,
    RoomId, SlotShown, SlotView, Source, TrackId,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::camera::{Camera, Outgoing, Sent};
use crate::download::Download;
use crate::microphone::Microphone;
use crate::network::Link;
use crate::offer;
use crate::receiver::{Moment, Receiver, Requests, ntp};

use baton_signaling::ConnectionId;

/// Where somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// On the way in, or on the way back.
    Outside,
    Inside,
    Gone(LeaveReason),
    /// The computer stopped: nothing is sent, nothing heard.
    Crashed,
}

pub(crate) struct Participant {
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) room: RoomId,
    pub(crate) room_number: u32,
    pub(crate) seat: Seat,
    pub(crate) me: Option<ParticipantId>,
    pub(crate) connection: Option<ConnectionId>,
    /// Has signaling answered `join` on this connection?
    pub(crate) is_welcome: bool,
    pub(crate) resume: Option<String>,
    /// Answers to `join` that continued an earlier connection.
    pub(crate) resumed: u32,
    pub(crate) epoch: Epoch,
    pub(crate) roster: BTreeMap<ParticipantId, ParticipantInfo>,
    pub(crate) leg: Option<LegEnd>,
    pub(crate) legs: u32,
    pub(crate) camera: Camera,
    pub(crate) microphone: Microphone,
    /// Ignores what moderators say.
    pub(crate) is_stubborn: bool,
    /// Stops sending layers that nobody has use for, as the page does; other doors know nothing of that.
    pub(crate) obeys: bool,
    /// Who is to be shown at which size.
    pub(crate) wishes: BTreeMap<usize, (u16, u16)>,
    /// Highest useful pictures per second of all views; 0: any.
    pub(crate) fps: u8,
    pub(crate) up: Link,
    pub(crate) down: Link,
    pub(crate) diary: Diary,
    pub(crate) beats: u64,
    /// Bytes of media that left.
    pub(crate) sent_bytes: u64,
    pub(crate) download: Option<Download>,
}

/// The participant's end of a leg.
pub(crate) struct LegEnd {
    pub(crate) id: LegId,
    pub(crate) address: SocketAddr,
    /// Which host answered.
    pub(crate) host: Option<usize>,
    pub(crate) is_answered: bool,
    /// When anything of the host's was last heard.
    pub(crate) heard: Option<Instant>,
    pub(crate) receiver: Receiver,
    pub(crate) assigned: BTreeMap<usize, String>,
    pub(crate) view: Option<Vec<SlotView>>,
    pub(crate) shown: Vec<SlotShown>,
    pub(crate) speakers: Vec<ParticipantId>,
    /// What the host said last of this line, and of lines that do badly.
    pub(crate) line: Option<LineReport>,
    pub(crate) lines: Vec<LineScore>,
    outbound: Outbound,
    transport_seq: u16,
}

/// What somebody saw and heard since the diary was begun.
#[derive(Default)]
pub(crate) struct Diary {
    pub(crate) seen: BTreeMap<usize, Sighting>,
    pub(crate) heard: BTreeMap<usize, Voice>,
    pub(crate) media_bytes: u64,
    pub(crate) refused: u64,
    /// Everything one by one, where that is wanted.
    pub(crate) log: Option<Log>,
}

/// Pictures (of whom, when, which layer) and sounds (of whom, when, how many were lost before it, does it have the one before it) since the log was taken the last time.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) pictures: Vec<(usize, Instant, u8)>,
    pub(crate) sounds: Vec<(usize, Instant, u32, bool)>,
}

/// One person's picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighting {
    pub(crate) first: Instant,
    pub(crate) last: Instant,
    pub(crate) longest_gap: Duration,
    pub(crate) pictures: u64,
    pub(crate) layer: u8,
    pub(crate) layer_since: Instant,
}

/// One person's voice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Voice {
    pub(crate) packets: u64,
    pub(crate) voiced: u64,
    /// Packets that never came while the voice had a slot.
    pub(crate) concealed: i64,
    pub(crate) last: Option<Instant>,
}

/// Keys of a leg, as the host sees them; both ends derive them from the meeting's seed.
pub(crate) fn keys(seed: u64, person: usize, leg: u32) -> SrtpKeys {
    let place = seed ^ ((person as u64) << 40) ^ (u64::from(leg) << 20);
    let mut rng = StdRng::seed_from_u64(place);
    let mut master = || {
        let mut master = SrtpMaster {
            key: [0; 16],
            salt: [0; 14],
        };
        rng.fill_bytes(&mut master.key);
        rng.fill_bytes(&mut master.salt[..12]);
        master
    };
    SrtpKeys {
        profile: SrtpProfile::AeadAes128Gcm,
        local: master(),
        remote: master(),
    }
}

/// Where a leg sends from: says whose it is.
pub(crate) fn address(person: usize, leg: u32) -> SocketAddr {
    let [_, _, high, low] = u32::try_from(person).expect("few people").to_be_bytes();
    let port = 10_000 + u16::try_from(leg).expect("few legs");
    SocketAddr::from(([198, 18, high, low], port))
}

/// The person and leg behind an address.
pub(crate) fn whose(address: SocketAddr) -> (usize, u32) {
    let SocketAddr::V4(v4) = address else {
        unreachable!("people have IPv4 addresses");
    };
    let [_, _, high, low] = v4.ip().octets();
    (
        usize::from(u16::from_be_bytes([high, low])),
        u32::from(address.port()) - 10_000,
    )
}

impl Participant {
    /// Begins a new leg; the old one, if any, is forgotten.
    pub(crate) fn open_leg(&mut self, seed: u64) -> LegId {
        self.legs += 1;
        let keys = keys(seed, self.number, self.legs);
        let key = |side: &SrtpMaster| {
            MasterKey::new(Profile::Aes128Gcm, &side.key, &side.salt[..12])
                .expect("lengths of the profile")
        };
        let id = LegId(self.legs);
        self.camera.want_all();
        self.leg = Some(LegEnd {
            id,
            address: address(self.number, self.legs),
            host: None,
            is_answered: false,
            heard: None,
            receiver: Receiver::new(Inbound::new(&key(&keys.local))),
            assigned: BTreeMap::new(),
            view: None,
            shown: Vec::new(),
            speakers: Vec::new(),
            line: None,
            lines: Vec::new(),
            outbound: Outbound::new(&key(&keys.remote)),
            transport_seq: 1,
        });
        id
    }

    /// Is this person's browser running and in the room?
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.seat, Seat::Inside | Seat::Outside)
            || (self.is_stubborn && matches!(self.seat, Seat::Gone(_)))
    }

    /// The number of somebody's track of this source, as the roster tells it.
    pub(crate) fn track_of(&self, name: &str, source: Source) -> Option<TrackId> {
        let owner = self.roster.values().find(|one| one.name == name)?;
        let track = owner.tracks.iter().find(|track| track.source == source)?;
        Some(track.id)
    }

    /// The message that says what the slots shall show, if it is news. `cameras`: the track of each person.
    pub(crate) fn poll_view(&mut self, cameras: &BTreeMap<usize, TrackId>) -> Option<PathToHost> {
        let (wishes, fps) = (&self.wishes, self.fps);
        let leg = self.leg.as_mut().filter(|leg| leg.is_answered)?;
        leg.assigned.retain(|person, _| wishes.contains_key(person));
        let mut slots = Vec::new();
        for (person, (width, height)) in wishes {
            let Some(track) = cameras.get(person) else {
                continue;
            };
            let free = || {
                let mut mids = leg.receiver.video_mids();
                let is_taken = |mid: &&str| leg.assigned.values().any(|taken| taken == mid);
                mids.find(|mid| !is_taken(mid)).map(str::to_owned)
            };
            let Some(mid) = leg.assigned.get(person).cloned().or_else(free) else {
                continue;
            };
            leg.assigned.insert(*person, mid.clone());
            slots.push(SlotView {
                slot: mid,
                track: *track,
                width: *width,
                height: *height,
                fps,
                priority: 0,
            });
        }
        (leg.view.as_ref() != Some(&slots)).then(|| {
            leg.view = Some(slots.clone());
            PathToHost::View { slots }
        })
    }

    /// What the decoders need to know.
    pub(crate) fn moment(&self, now: Instant, unrest: Duration) -> Moment {
        let down = self.down.weather();
        let line = self.up.weather().delay + down.delay;
        Moment {
            now,
            round_trip: line + Duration::from_millis(30),
            unrest: unrest + down.jitter + down.queue,
        }
    }

    /// Writes down what the decoders showed and played.
    pub(crate) fn keep_diary(&mut self) {
        let Some(leg) = &mut self.leg else { return };
        for seen in leg.receiver.seen() {
            if let Some(log) = &mut self.diary.log {
                log.pictures
                    .push((seen.person as usize, seen.at, seen.layer));
            }
            let fresh = Sighting {
                first: seen.at,
                last: seen.at,
                longest_gap: Duration::ZERO,
                pictures: 0,
                layer: seen.layer,
                layer_since: seen.at,
            };
            let sighting = self.diary.seen.entry(seen.person as usize).or_insert(fresh);
            sighting.longest_gap = sighting.longest_gap.max(seen.at - sighting.last);
            sighting.last = seen.at;
            sighting.pictures += 1;
            if sighting.layer != seen.layer {
                (sighting.layer, sighting.layer_since) = (seen.layer, seen.at);
            }
        }
        for heard in leg.receiver.heard() {
            if let Some(log) = &mut self.diary.log
                && let Ok(missing) = u32::try_from(heard.missing)
            {
                let whose = heard.person as usize;
                log.sounds.push((whose, heard.at, missing, heard.is_twice));
            }
            let voice = self.diary.heard.entry(heard.person as usize).or_default();
            voice.packets += 1;
            voice.voiced += u64::from(heard.is_voiced);
            voice.concealed += heard.missing;
            voice.last = Some(heard.at);
        }
    }
}

impl LegEnd {
    /// Header and seal for a packet of media.
    pub(crate) fn seal(&mut self, outgoing: &Outgoing) -> Vec<u8> {
        let [s0, s1] = self.transport_seq.to_be_bytes();
        self.transport_seq = self.transport_seq.wrapping_add(1);
        // One-byte form (RFC 8285 section 4.2): number and length minus one, then the data.
        let mut elements = vec![offer::TRANSPORT_CC << 4 | 1, s0, s1];
        let mut put = |id: u8, data: &[u8]| {
            elements.push(id << 4 | (u8::try_from(data.len()).expect("short") - 1));
            elements.extend(data);
        };
        put(offer::MID, outgoing.mid.as_bytes());
        if let Some((id, rid)) = outgoing.rid {
            put(id, rid.as_bytes());
        }
        if let Some(level) = outgoing.level {
            put(offer::AUDIO_LEVEL, &[level | u8::from(level < 127) << 7]);
        }
        elements.resize(elements.len().next_multiple_of(4), 0);
        let seq = u16::try_from(outgoing.index & 0xffff).expect("masked");
        let mut bytes = vec![0x90, outgoing.payload_type | u8::from(outgoing.marker) << 7];
        bytes.extend(seq.to_be_bytes());
        bytes.extend(outgoing.timestamp.to_be_bytes());
        bytes.extend(outgoing.ssrc.to_be_bytes());
        bytes.extend([0xbe, 0xde]);
        bytes.extend(
            u16::try_from(elements.len() / 4)
                .expect("short")
                .to_be_bytes(),
        );
        bytes.extend(elements);
        let header_len = bytes.len();
        bytes.resize(header_len + outgoing.payload.len() + 16, 0);
        let unsealed = Unsealed {
            header_len,
            prefix_len: 0,
            rest: &outgoing.payload,
            pad: 0,
            ssrc: outgoing.ssrc,
            index: outgoing.index,
        };
        let len = self
            .outbound
            .seal_rtp(&mut bytes, &unsealed)
            .expect("there is room");
        bytes.truncate(len);
        bytes
    }

    /// Requests, sealed.
    pub(crate) fn seal_requests(&mut self, requests: &Requests) -> Option<Vec<u8>> {
        let mut compound = Vec::new();
        let mut writer = rtcp::Writer::new(&mut compound);
        for (media, lost) in &requests.nacks {
            writer.nack(Ssrc(1), Ssrc(*media), lost);
        }
        for media in &requests.keyframes {
            writer.pli(Ssrc(1), Ssrc(*media));
        }
        self.seal_control(compound)
    }

    /// Sender and receiver reports, sealed.
    pub(crate) fn seal_reports(
        &mut self,
        sent: &[Sent],
        elapsed: Duration,
        now: Instant,
    ) -> Option<Vec<u8>> {
        let blocks = self.receiver.reports(now);
        let mut compound = Vec::new();
        let mut writer = rtcp::Writer::new(&mut compound);
        for stream in sent {
            let bytes = stream.packets.wrapping_mul(500);
            writer.sender_report(
                Ssrc(stream.ssrc),
                ntp(elapsed),
                stream.timestamp,
                stream.packets,
                bytes,
                &[],
            );
        }
        writer.receiver_report(Ssrc(1), &blocks);
        self.seal_control(compound)
    }

    /// What arrived since the last report, sealed.
    pub(crate) fn seal_arrivals(&mut self) -> Option<Vec<u8>> {
        let compound = self.receiver.arrivals.report()?;
        self.seal_control(compound)
    }

    fn seal_control(&mut self, mut compound: Vec<u8>) -> Option<Vec<u8>> {
        if compound.is_empty() {
            return None;
        }
        self.outbound
            .seal_rtcp(&mut compound)
            .expect("a sender's SSRC comes first");
        Some(compound)
    }
}
