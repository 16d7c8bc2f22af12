//! From an offer and the tracks it carries to publications, slots and payload types of a leg.
//!
//! The offer states everything the leg is from now on; what was there before is kept where it still fits. Does not read SDP text
//! (`sdp`) and does not write the answer's transport lines (`transport`).

use baton_protocol::limits::{MAX_LAYERS, MAX_TRACKS};
use baton_protocol::{Grants, LayerInfo, MediaKind, Source, TrackId, TrackInfo, Tracks};
use rand::Rng;

use crate::allocate::Ladder;
use crate::bitrate::Bitrate;
use crate::codec::Codec;
use crate::inbound::{Bound, Stream};
use crate::layer::Layer;
use crate::leg::Leg;
use crate::publication::{Carries, Publication};
use crate::room::Room;
use crate::rtp::extension::{ExtensionKind, ExtensionMap};
use crate::rtp::{Mid, PayloadType, Rid, Ssrc};
use crate::sdp::{self, CodecName, Direction, MediaLine, Offer};
use crate::slab::Key;
use crate::slot::{Slot, SlotCodec};
use crate::speaker::Loudness;
use crate::srtp::InboundStream;
use crate::time::Tick;

/// Why an offer was refused; the text is for people.
pub(crate) type Refused = String;

/// Makes the leg what the offer says. Gives the tracks as understood; on an error nothing has changed.
pub(crate) fn apply(
    leg: &mut Leg,
    key: Key,
    room: &mut Room,
    offer: &Offer,
    tracks: &Tracks,
    rng: &mut impl Rng,
    now: Tick,
) -> Result<Vec<TrackInfo>, Refused> {
    let tracks = match tracks {
        Tracks::Declared(tracks) => tracks.clone(),
        Tracks::Derived(ids) => derive(offer, ids, &leg.grants),
    };
    check(offer, &tracks, &leg.grants)?;
    apply_extensions(leg, offer);
    leg.estimator.expect_feedback(reports_arrivals(leg, offer));
    apply_slots(leg, offer, rng);
    apply_tracks(leg, key, room, offer, &tracks, now);
    Ok(tracks)
}

/// Names the sending m-lines of a peer that only speaks SDP: first of a kind is a person, second a screen.
fn derive(offer: &Offer, ids: &[TrackId], grants: &Grants) -> Vec<TrackInfo> {
    let mut sources = [
        [Source::Microphone, Source::ScreenAudio].into_iter(),
        [Source::Camera, Source::Screen].into_iter(),
    ];
    let mut ids = ids.iter();
    let mut tracks = Vec::new();
    for media in offer.media.iter().filter(|media| is_sending(media)) {
        let [audio, video] = &mut sources;
        let next = if media.kind == sdp::MediaKind::Audio {
            audio
        } else {
            video
        };
        let source = next.find(|source| grants.may_publish(*source));
        let (Some(source), Some(&id)) = (source, ids.next()) else {
            continue;
        };
        let layers = if media.simulcast.rids.is_empty() {
            Vec::new()
        } else {
            media
                .simulcast
                .rids
                .iter()
                .map(|rid| layer_info(Some(rid.clone())))
                .collect()
        };
        tracks.push(TrackInfo {
            id,
            mid: media.mid.clone(),
            source,
            layers,
            muted: false,
        });
    }
    tracks
}

fn layer_info(rid: Option<String>) -> LayerInfo {
    LayerInfo {
        rid,
        width: 0,
        height: 0,
        max_bitrate: 0,
    }
}

fn is_sending(media: &MediaLine) -> bool {
    media.is_answerable()
        && matches!(media.kind, sdp::MediaKind::Audio | sdp::MediaKind::Video)
        && matches!(media.direction, Direction::SendOnly | Direction::SendRecv)
}

fn check(offer: &Offer, tracks: &[TrackInfo], grants: &Grants) -> Result<(), Refused> {
    if tracks.len() > MAX_TRACKS {
        return Err(format!(
            "{} tracks: a leg publishes at most {MAX_TRACKS}",
            tracks.len()
        ));
    }
    for track in tracks {
        if !grants.may_publish(track.source) {
            return Err(format!(
                "track {}: the token does not grant publishing {:?}",
                track.id, track.source
            ));
        }
        let media = offer.media.iter().find(|media| media.mid == track.mid);
        let media = media
            .ok_or_else(|| format!("track {}: no m-line has mid {:?}", track.id, track.mid))?;
        let wanted = match track.source.kind() {
            MediaKind::Audio => sdp::MediaKind::Audio,
            MediaKind::Video => sdp::MediaKind::Video,
        };
        if media.kind != wanted || media.direction == Direction::RecvOnly {
            return Err(format!(
                "track {}: the m-line with mid {:?} does not send {:?}",
                track.id,
                track.mid,
                track.source.kind()
            ));
        }
        if track.layers.len() > MAX_LAYERS {
            return Err(format!(
                "track {}: {} layers, at most {MAX_LAYERS}",
                track.id,
                track.layers.len()
            ));
        }
    }
    Ok(())
}

/// Ids of header extensions: what the participant sends, and what it takes on each kind of slot.
fn apply_extensions(leg: &mut Leg, offer: &Offer) {
    leg.maps_in = ExtensionMap::default();
    leg.maps_out.audio = ExtensionMap::default();
    leg.maps_out.video = ExtensionMap::default();
    for media in &offer.media {
        for line in &media.extensions {
            let Some(kind) = ExtensionKind::from_uri(&line.uri) else {
                continue;
            };
            if is_sending(media) && line.direction != Some(Direction::RecvOnly) {
                leg.maps_in.insert(line.id, kind);
            }
            if media.is_slot() && line.direction != Some(Direction::SendOnly) {
                let map = match media.kind {
                    sdp::MediaKind::Audio => &mut leg.maps_out.audio,
                    sdp::MediaKind::Video => &mut leg.maps_out.video,
                    sdp::MediaKind::Application | sdp::MediaKind::Other => continue,
                };
                map.insert(line.id, kind);
            }
        }
    }
}

/// Will the participant say when what it receives has arrived? It offers to, and the answer mirrors that.
fn reports_arrivals(leg: &Leg, offer: &Offer) -> bool {
    let number = leg.maps_out.video.id(ExtensionKind::TransportSequence);
    let mut slots = offer.media.iter().filter(|media| media.is_slot());
    let is_offered = |media: &MediaLine| media.codecs.iter().any(|line| line.feedback.transport_cc);
    number.is_some() && slots.any(is_offered)
}

fn apply_slots(leg: &mut Leg, offer: &Offer, rng: &mut impl Rng) {
    leg.clear_outbox();
    leg.slots.retain(|slot| {
        offer
            .media
            .iter()
            .any(|media| media.mid == slot.mid.as_str())
    });
    for slot in &mut leg.slots {
        slot.is_off = true;
    }
    for media in offer
        .media
        .iter()
        .filter(|media| media.is_slot() && media.is_answerable())
    {
        let Ok(mid) = Mid::try_from(media.mid.as_str()) else {
            continue;
        };
        let codecs = slot_codecs(media);
        if let Some(slot) = leg.slots.iter_mut().find(|slot| slot.mid == mid) {
            slot.codecs = codecs;
            slot.is_off = false;
            continue;
        }
        let kind = if media.kind == sdp::MediaKind::Audio {
            MediaKind::Audio
        } else {
            MediaKind::Video
        };
        let streams = (Ssrc(rng.next_u32() | 1), Ssrc(rng.next_u32() & !1));
        leg.slots.push(Slot::new(mid, kind, streams, codecs, rng));
    }
}

fn codec_of(name: CodecName) -> Option<Codec> {
    match name {
        CodecName::Opus => Some(Codec::Opus),
        CodecName::Red => Some(Codec::Red),
        CodecName::Vp8 => Some(Codec::Vp8),
        CodecName::Vp9 => Some(Codec::Vp9),
        CodecName::H264 => Some(Codec::H264),
        CodecName::Av1 => Some(Codec::Av1),
        CodecName::Rtx | CodecName::Other => None,
    }
}

fn slot_codecs(media: &MediaLine) -> Vec<SlotCodec> {
    let codecs = media.codecs.iter().filter_map(|line| {
        Some(SlotCodec {
            codec: codec_of(line.name)?,
            payload_type: PayloadType::new(line.payload_type)?,
            retransmission: line.rtx.and_then(PayloadType::new),
        })
    });
    codecs.collect()
}

fn payload_types(media: &MediaLine) -> Vec<(PayloadType, Carries)> {
    let mut types = Vec::new();
    for line in &media.codecs {
        let Some(codec) = codec_of(line.name) else {
            continue;
        };
        types.extend(
            PayloadType::new(line.payload_type).map(|known| (known, Carries::Media(codec))),
        );
        let retransmission = line.rtx.and_then(PayloadType::new);
        types.extend(retransmission.map(|known| (known, Carries::Retransmission(codec))));
    }
    types
}

fn apply_tracks(
    leg: &mut Leg,
    key: Key,
    room: &mut Room,
    offer: &Offer,
    tracks: &[TrackInfo],
    now: Tick,
) {
    for old in std::mem::take(&mut leg.publications) {
        let keeps = room
            .publications
            .get(old)
            .is_some_and(|old| tracks.iter().any(|track| continues(old, track, offer)));
        if keeps {
            leg.publications.push(old);
        } else {
            room.publications.remove(old);
            unbind(leg, old);
        }
    }
    for track in tracks {
        let Some(media) = offer.media.iter().find(|media| media.mid == track.mid) else {
            continue;
        };
        let known = leg.publications.iter().copied().find(|key| {
            room.publications
                .get(*key)
                .is_some_and(|publication| publication.track.id == track.id)
        });
        let layers = layers(track, media);
        let publication = match known.and_then(|key| Some((key, room.publications.get_mut(key)?))) {
            Some((key, publication)) => {
                for (layer, declared) in publication.layers.iter_mut().zip(&layers) {
                    if layer.newest_size().is_none() {
                        layer.size = declared.size;
                    }
                    layer.declared = declared.declared;
                }
                publication.track = track.clone();
                publication.payload_types = payload_types(media);
                key
            }
            None => {
                let key = room.publications.insert(Publication {
                    track: track.clone(),
                    participant: leg.participant,
                    leg: key,
                    layers,
                    payload_types: payload_types(media),
                    loudness: Loudness::default(),
                    resumed: Tick(0),
                    ladder: Ladder::default(),
                    is_demand_stale: true,
                    remote: None,
                });
                leg.publications.push(key);
                key
            }
        };
        bind_announced(leg, room, publication, media, now);
    }
}

/// Is it the same track with the same layers? With others it is a new publication, or who reads the old layers would go on in the new ones,
/// where the numbers start over.
fn continues(old: &Publication, track: &TrackInfo, offer: &Offer) -> bool {
    let media = offer.media.iter().find(|media| media.mid == track.mid);
    let rids = |layers: &[Layer]| layers.iter().map(|layer| layer.rid).collect::<Vec<_>>();
    old.track.id == track.id
        && media.is_some_and(|media| rids(&layers(track, media)) == rids(&old.layers))
}

/// Streams that fed a publication that is gone wait for a new binding.
fn unbind(leg: &mut Leg, gone: Key) {
    for stream in &mut leg.streams {
        let (Bound::Media { publication, .. } | Bound::Retransmission { publication, .. }) =
            stream.bound
        else {
            continue;
        };
        if publication == gone {
            stream.bound = Bound::Unbound;
        }
    }
}

fn layers(track: &TrackInfo, media: &MediaLine) -> Vec<Layer> {
    let is_video = track.source.kind() == MediaKind::Video;
    let clock_rate = if is_video { 90_000 } else { 48_000 };
    let mut infos: Vec<LayerInfo> = if is_video {
        track.layers.clone()
    } else {
        Vec::new()
    };
    if media.simulcast.rids.is_empty() {
        // Without rids there is one stream, whatever was declared.
        infos = vec![infos.pop().unwrap_or_else(|| layer_info(None))];
        infos.iter_mut().for_each(|info| info.rid = None);
    } else {
        infos.retain(|info| {
            info.rid
                .as_ref()
                .is_some_and(|rid| media.simulcast.rids.contains(rid))
        });
        for rid in &media.simulcast.rids {
            if !infos.iter().any(|info| info.rid.as_ref() == Some(rid)) {
                infos.push(layer_info(Some(rid.clone())));
            }
        }
        infos.truncate(MAX_LAYERS);
    }
    let rid = |info: &LayerInfo| info.rid.as_deref().and_then(|rid| Rid::try_from(rid).ok());
    let layer = |info: &LayerInfo| {
        let mut layer = Layer::new(rid(info), (info.width, info.height), is_video, clock_rate);
        layer.declared = Bitrate(info.max_bitrate.into());
        layer
    };
    infos.iter().map(layer).collect()
}

/// Streams that the offer names by `a=ssrc` need no header extension to be found.
fn bind_announced(leg: &mut Leg, room: &mut Room, key: Key, media: &MediaLine, now: Tick) {
    let Some(publication) = room.publications.get_mut(key) else {
        return;
    };
    if !media.simulcast.rids.is_empty() || publication.layers.len() != 1 {
        return;
    }
    let pair = media.fid.first();
    let primary = pair
        .map(|pair| pair.primary)
        .or_else(|| media.ssrcs.first().copied());
    let announced = [
        primary.map(|ssrc| {
            (
                Ssrc(ssrc),
                Bound::Media {
                    publication: key,
                    layer: 0,
                },
            )
        }),
        pair.map(|pair| {
            (
                Ssrc(pair.rtx),
                Bound::Retransmission {
                    publication: key,
                    layer: 0,
                },
            )
        }),
    ];
    for (ssrc, bound) in announced.into_iter().flatten() {
        match leg.streams.iter_mut().find(|stream| stream.ssrc == ssrc) {
            Some(stream) => stream.bound = bound,
            None => leg.add_stream(Stream {
                ssrc,
                crypto: InboundStream::new(),
                bound,
                heard: now,
            }),
        }
    }
    if let Some(primary) = primary {
        let rtx = pair.map_or(primary, |pair| pair.rtx);
        leg.retire_others(&[Ssrc(primary), Ssrc(rtx)], key, 0);
    }
    if let (Some(primary), Some(layer)) = (primary, publication.layers.first_mut())
        && layer.ssrc != Some(Ssrc(primary))
    {
        layer.rebind(Ssrc(primary));
    }
}
