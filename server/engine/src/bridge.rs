//! What two hosts that are joined agree on without words: numbers, payload types and header extensions of what they send each other;
//! and what was said on one bridge last.
//!
//! Does not own the association (`leg`), who is asked for what (`room/shared`), nor when it is said (`engine/bridges`).

use baton_protocol::limits::{MAX_BRIDGE_TRACKS, MAX_LAYERS};
use baton_protocol::{BridgeId, BridgeMessage, BridgeTrack, LayerInfo, MediaKind, Pull};

use crate::allocate::Ladder;
use crate::bitrate::Bitrate;
use crate::codec::Codec;
use crate::inbound::{Bound, Stream};
use crate::layer::Layer;
use crate::leg::Leg;
use crate::publication::{Carries, Publication};
use crate::room::Room;
use crate::rtp::extension::{ExtensionKind, ExtensionMap};
use crate::rtp::{PayloadType, Rid, Ssrc};
use crate::seal::OutMaps;
use crate::slab::Key;
use crate::slot::SlotCodec;
use crate::speaker::Loudness;
use crate::srtp::InboundStream;
use crate::time::Tick;

/// SSRC of slot 0; each slot has two.
const FIRST_SSRC: u32 = 1 << 30;

/// Numbers of slots end here.
const MAX_SLOT: u32 = 1 << 28;

/// Codec, payload type, that of its retransmissions.
const CODECS: [(Codec, u8, Option<u8>); 6] = [
    (Codec::Opus, 111, None),
    (Codec::Red, 63, None),
    (Codec::Vp8, 96, Some(97)),
    (Codec::Vp9, 98, Some(99)),
    (Codec::H264, 102, Some(103)),
    (Codec::Av1, 45, Some(46)),
];

/// Element numbers of header extensions, by kind.
const EXTENSIONS: [(u8, ExtensionKind, Carrier); 6] = [
    (1, ExtensionKind::AudioLevel, Carrier::Sound),
    (2, ExtensionKind::TransportSequence, Carrier::Both),
    (3, ExtensionKind::DependencyDescriptor, Carrier::Pictures),
    (4, ExtensionKind::VideoOrientation, Carrier::Pictures),
    (5, ExtensionKind::PlayoutDelay, Carrier::Pictures),
    (6, ExtensionKind::Origin, Carrier::Both),
];

/// What an extension goes with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Sound,
    Pictures,
    Both,
}

/// What a leg to another host knows beside what every leg does.
#[derive(Debug)]
pub(crate) struct Bridge {
    pub(crate) id: BridgeId,
    /// The next number for what is asked for. None is given twice: late packets of one stream must not be taken for another's.
    next_slot: u32,
    /// What was said last; nothing before the channel is open.
    pub(crate) said_has: Option<Vec<BridgeTrack>>,
    pub(crate) said_pulls: Option<Vec<Pull>>,
}

/// A publication that another host has at first hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    /// Slot of its smallest layer; the others follow.
    pub(crate) first_slot: u32,
    /// The other host was sent it within the last moments.
    pub(crate) is_live: bool,
    /// Since when something of it is asked for.
    pub(crate) asked: Option<Tick>,
}

impl Bridge {
    pub(crate) fn new(id: BridgeId) -> Self {
        Self {
            id,
            next_slot: 0,
            said_has: None,
            said_pulls: None,
        }
    }

    /// Numbers for a track with so many layers.
    fn number(&mut self, layers: usize) -> Option<u32> {
        let first = self.next_slot;
        let next = first.checked_add(u32::try_from(layers).ok()?)?;
        (next <= MAX_SLOT).then(|| {
            self.next_slot = next;
            first
        })
    }
}

/// SSRCs of media and retransmissions of a slot.
pub(crate) fn ssrcs(slot: u32) -> (Ssrc, Ssrc) {
    let media = FIRST_SSRC + 2 * slot.min(MAX_SLOT);
    (Ssrc(media), Ssrc(media + 1))
}

/// Is it a number that [`ssrcs`] has streams for?
pub(crate) fn is_slot(slot: u32) -> bool {
    slot < MAX_SLOT
}

/// How a slot sends.
pub(crate) fn codecs(kind: MediaKind) -> Vec<SlotCodec> {
    let own = CODECS.iter().filter(|(codec, _, _)| codec.kind() == kind);
    let codecs = own.filter_map(|&(codec, media, retransmission)| {
        Some(SlotCodec {
            codec,
            payload_type: PayloadType::new(media)?,
            retransmission: retransmission.and_then(PayloadType::new),
        })
    });
    codecs.collect()
}

fn payload_types(kind: MediaKind) -> Vec<(PayloadType, Carries)> {
    let all = codecs(kind).into_iter().flat_map(|known| {
        let retransmission = known.retransmission;
        [
            Some((known.payload_type, Carries::Media(known.codec))),
            retransmission.map(|number| (number, Carries::Retransmission(known.codec))),
        ]
    });
    all.flatten().collect()
}

/// Header extensions in and out.
pub(crate) fn extensions() -> (ExtensionMap, OutMaps) {
    let (mut inward, mut outward) = (ExtensionMap::default(), OutMaps::default());
    for (number, kind, carrier) in EXTENSIONS {
        inward.insert(number, kind);
        if carrier != Carrier::Pictures {
            outward.audio.insert(number, kind);
        }
        if carrier != Carrier::Sound {
            outward.video.insert(number, kind);
        }
    }
    (inward, outward)
}

/// What this host has at first hand.
pub(crate) fn offered(room: &Room, now: Tick) -> Vec<BridgeTrack> {
    let own = room.publications.iter().map(|(_, publication)| publication);
    let own = own.filter(|publication| publication.remote.is_none());
    let track = |publication: &Publication| {
        let mut track = publication.track.clone();
        track.mid.clear();
        track.layers = match publication.kind() {
            MediaKind::Audio => Vec::new(),
            MediaKind::Video => publication.layers.iter().map(info).collect(),
        };
        BridgeTrack {
            participant: publication.participant,
            track,
            live: publication.is_sent(now),
        }
    };
    let mut offered: Vec<BridgeTrack> = Vec::new();
    for one in own.map(track) {
        // Somebody who opens a leg anew has the same track on two for a while.
        match offered
            .iter_mut()
            .find(|known| known.track.id == one.track.id)
        {
            Some(known) => known.live |= one.live,
            None => offered.push(one),
        }
    }
    offered.truncate(MAX_BRIDGE_TRACKS);
    offered
}

fn info(layer: &Layer) -> LayerInfo {
    LayerInfo {
        rid: layer.rid.map(|rid| rid.to_string()),
        width: layer.size.0,
        height: layer.size.1,
        max_bitrate: u32::try_from(layer.declared.0).unwrap_or(u32::MAX),
    }
}

/// What is to be asked of the other host now. Needs the room's shared tracks to be settled.
pub(crate) fn pulls(leg: &Leg, room: &Room) -> Vec<Pull> {
    let mut pulls = Vec::new();
    for key in &leg.publications {
        let Some(publication) = room.publications.get(*key) else {
            continue;
        };
        let Some(remote) = publication.remote else {
            continue;
        };
        if publication.track.muted || room.is_spare(*key) {
            continue;
        }
        let is_sound = publication.kind() == MediaKind::Audio;
        for (index, layer) in (0..).zip(&publication.layers) {
            if is_sound || layer.demand.is_on() {
                pulls.push(Pull {
                    slot: remote.first_slot + u32::from(index),
                    track: publication.track.id,
                    layer: index,
                });
            }
        }
    }
    pulls.truncate(baton_protocol::limits::MAX_PULLS);
    pulls
}

/// Makes the publications of a bridge what the other host says it has.
pub(crate) fn take_offer(
    leg: &mut Leg,
    key: Key,
    room: &mut Room,
    mut tracks: Vec<BridgeTrack>,
    now: Tick,
) {
    tracks.truncate(MAX_BRIDGE_TRACKS);
    tracks.retain(|offer| offer.participant.0 != 0 && offer.track.layers.len() <= MAX_LAYERS);
    leg.publications.retain(|old| {
        let known = room.publications.get(*old);
        let goes_on = known.is_some_and(|known| tracks.iter().any(|offer| is_same(known, offer)));
        if !goes_on {
            room.publications.remove(*old);
            leg.streams.retain(|stream| !feeds(stream, *old));
        }
        goes_on
    });
    for offer in tracks {
        let known = leg.publications.iter().copied().find(|known| {
            let known = room.publications.get(*known);
            known.is_some_and(|known| known.track.id == offer.track.id)
        });
        match known.and_then(|known| room.publications.get_mut(known)) {
            Some(known) => {
                known.track.muted = offer.track.muted;
                if let Some(remote) = &mut known.remote {
                    remote.is_live = offer.live;
                }
                for (layer, told) in known.layers.iter_mut().zip(&offer.track.layers) {
                    if layer.newest_size().is_none() {
                        layer.size = (told.width, told.height);
                    }
                    layer.declared = Bitrate(told.max_bitrate.into());
                }
            }
            None => add(leg, key, room, offer, now),
        }
    }
}

fn is_same(known: &Publication, offer: &BridgeTrack) -> bool {
    let rids = known
        .layers
        .iter()
        .map(|layer| layer.rid.map(|rid| rid.to_string()));
    let is_sound = known.kind() == MediaKind::Audio;
    known.track.id == offer.track.id
        && known.track.source == offer.track.source
        && known.participant == offer.participant
        && (is_sound || rids.eq(offer.track.layers.iter().map(|layer| layer.rid.clone())))
}

fn feeds(stream: &Stream, gone: Key) -> bool {
    match stream.bound {
        Bound::Media { publication, .. } | Bound::Retransmission { publication, .. } => {
            publication == gone
        }
        Bound::Unbound | Bound::Retired => false,
    }
}

fn add(leg: &mut Leg, key: Key, room: &mut Room, offer: BridgeTrack, now: Tick) {
    let kind = offer.track.source.kind();
    let (is_video, clock_rate) = match kind {
        MediaKind::Video => (true, 90_000),
        MediaKind::Audio => (false, 48_000),
    };
    let mut layers: Vec<_> = match kind {
        MediaKind::Video => {
            let layer = |info: &LayerInfo| {
                let rid = info.rid.as_deref().and_then(|rid| Rid::try_from(rid).ok());
                let size = (info.width, info.height);
                let mut layer = Layer::resting(rid, size, is_video, clock_rate);
                layer.declared = Bitrate(info.max_bitrate.into());
                layer
            };
            offer.track.layers.iter().map(layer).collect()
        }
        MediaKind::Audio => vec![Layer::resting(None, (0, 0), is_video, clock_rate)],
    };
    let Some(first_slot) = leg
        .bridge
        .as_mut()
        .filter(|_| !layers.is_empty())
        .and_then(|bridge| bridge.number(layers.len()))
    else {
        return;
    };
    for (slot, layer) in (first_slot..).zip(&mut layers) {
        layer.ssrc = Some(ssrcs(slot).0);
    }
    let count = layers.len();
    let publication = room.publications.insert(Publication {
        track: offer.track,
        participant: offer.participant,
        leg: key,
        layers,
        payload_types: payload_types(kind),
        loudness: Loudness::default(),
        resumed: Tick(0),
        ladder: Ladder::default(),
        is_demand_stale: false,
        remote: Some(Remote {
            first_slot,
            is_live: offer.live,
            asked: None,
        }),
    });
    leg.publications.push(publication);
    for (slot, layer) in (first_slot..).zip(0..count) {
        let (media, retransmission) = ssrcs(slot);
        let bounds = [
            (media, Bound::Media { publication, layer }),
            (retransmission, Bound::Retransmission { publication, layer }),
        ];
        for (ssrc, bound) in bounds {
            leg.add_stream(Stream {
                ssrc,
                crypto: InboundStream::new(),
                bound,
                heard: now,
            });
        }
    }
}

/// Reads a message; what is too long or no message is nothing.
pub(crate) fn read(bytes: &[u8]) -> Option<BridgeMessage> {
    let is_short = bytes.len() <= baton_protocol::limits::MAX_BRIDGE_MESSAGE;
    is_short.then(|| serde_json::from_slice(bytes).ok())?
}
