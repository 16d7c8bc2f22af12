//! Tracks of offers and answers: what they may say, and which numbers they get.

use baton_protocol::limits::{MAX_LAYERS, MAX_TRACKS};
use baton_protocol::{ErrorCode, Grants, HostId, LegId, TrackId, TrackInfo, TrackOffer};

use crate::participant::Participant;
use crate::registry::Refused;

/// Longest `a=mid`, in bytes.
const MAX_MID: usize = 32;

/// Longest rid (RFC 8852), in bytes.
const MAX_RID: usize = 16;

/// The earlier track that an offered one is. On its own leg that is the one with the same m-line; else the one from the same
/// source on a leg to another host, where it is the same track on another way.
pub(super) fn earlier_track<'a>(
    me: &'a Participant,
    leg: LegId,
    host: HostId,
    offer: &TrackOffer,
    taken: &[TrackId],
) -> Option<&'a TrackInfo> {
    let own = me.legs.get(&leg);
    let mut own = own.into_iter().flat_map(|leg| leg.named_tracks());
    let same = own.find(|track| track.mid == offer.mid && track.source == offer.source);
    same.or_else(|| {
        let here = me.legs.values().filter(|other| other.host == host);
        let here: Vec<_> = here
            .flat_map(|other| other.named_tracks())
            .map(|track| track.id)
            .collect();
        let others = me.legs.values().filter(|other| other.host != host);
        let mut others = others.flat_map(|other| other.named_tracks());
        others.find(|track| {
            track.source == offer.source && !taken.contains(&track.id) && !here.contains(&track.id)
        })
    })
}

pub(super) fn check_tracks(offers: &[TrackOffer]) -> Result<(), Refused> {
    if offers.len() > MAX_TRACKS {
        let message = format!("a leg publishes at most {MAX_TRACKS} tracks");
        return Err(Refused::new(ErrorCode::Limit, message));
    }
    for (index, offer) in offers.iter().enumerate() {
        let is_twice = offers
            .iter()
            .skip(index + 1)
            .any(|other| other.mid == offer.mid);
        if offer.mid.is_empty() || offer.mid.len() > MAX_MID || is_twice {
            let message = format!("a mid has 1 to {MAX_MID} bytes and names one track");
            return Err(Refused::new(ErrorCode::Invalid, message));
        }
        if offer.layers.len() > MAX_LAYERS {
            let message = format!("a track has at most {MAX_LAYERS} layers");
            return Err(Refused::new(ErrorCode::Limit, message));
        }
        let is_rid = |rid: &String| {
            !rid.is_empty()
                && rid.len() <= MAX_RID
                && rid.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        if !offer
            .layers
            .iter()
            .filter_map(|layer| layer.rid.as_ref())
            .all(is_rid)
        {
            let message = format!("a rid has 1 to {MAX_RID} letters and digits");
            return Err(Refused::new(ErrorCode::Invalid, message));
        }
    }
    Ok(())
}

/// What was offered and what the host took of it.
pub(super) fn agreed(offered: &[TrackInfo], answered: &[TrackInfo]) -> Vec<TrackInfo> {
    let taken = |track: &&TrackInfo| answered.iter().any(|other| other.id == track.id);
    offered.iter().filter(taken).cloned().collect()
}

/// What a host found in an offer without names, as far as the numbers are the given ones and the grants allow it.
pub(super) fn derived(
    given: &[TrackId],
    answered: Vec<TrackInfo>,
    grants: &Grants,
) -> Vec<TrackInfo> {
    let mut tracks: Vec<TrackInfo> = Vec::new();
    for track in answered {
        let is_new = tracks.iter().all(|other| other.id != track.id);
        if is_new && given.contains(&track.id) && grants.may_publish(track.source) {
            tracks.push(track);
        }
    }
    tracks
}
