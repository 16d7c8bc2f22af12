//! One participant of a room: who they are, what they may do, how they are reached, and their legs.

use std::collections::BTreeMap;
use std::time::Instant;

use baton_protocol::limits::MAX_LEGS;
use baton_protocol::{Grants, LegId, ParticipantId, ParticipantInfo, TrackId, TrackInfo};

use crate::registry::{CallId, ConnectionId, SessionId};

/// Somebody in a room.
#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) id: ParticipantId,
    pub(crate) name: String,
    pub(crate) grants: Grants,
    /// `sub` of the token they came with.
    pub(crate) subject: Option<String>,
    /// `jti` of it.
    pub(crate) token_id: Option<String>,
    /// `iat` of it, in seconds since 1970; without a token, when they came.
    pub(crate) issued_at: u64,
    /// How many resume tokens they were given.
    pub(crate) generation: u32,
    /// The life of the service that gave them the token with which they came, or 0.
    pub(crate) life: u64,
    pub(crate) presence: Presence,
    pub(crate) legs: BTreeMap<LegId, Leg>,
}

/// How a participant is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// By a signaling socket.
    Socket(ConnectionId),
    /// The socket was lost and may still be resumed.
    Lost { until: Instant },
    /// A host has legs of theirs, but since the service started they have not come back.
    Unclaimed { until: Instant },
    /// They only speak WHIP or WHEP.
    Session(SessionId),
}

/// One association with a host, as signaling knows it.
#[derive(Debug, Default)]
pub(crate) struct Leg {
    /// What it publishes. Only what a host has agreed to.
    pub(crate) tracks: Vec<TrackInfo>,
    /// The offer or restart that the host has not answered yet.
    pub(crate) pending: Option<Pending>,
    /// Has a host ever agreed to it?
    pub(crate) is_open: bool,
}

/// Something the host was asked.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) request: u32,
    pub(crate) asked: Asked,
}

/// What the host was asked.
#[derive(Debug)]
pub(crate) enum Asked {
    /// An offer whose tracks the participant named.
    Offer { tracks: Vec<TrackInfo> },
    /// An offer of a peer that only speaks SDP.
    Session { call: CallId, tracks: Vec<TrackId> },
    /// New ICE credentials.
    Restart { call: CallId },
}

impl Participant {
    /// Everything published on all legs.
    pub(crate) fn tracks(&self) -> impl Iterator<Item = &TrackInfo> {
        self.legs.values().flat_map(|leg| &leg.tracks)
    }

    pub(crate) fn info(&self) -> ParticipantInfo {
        ParticipantInfo {
            id: self.id,
            name: self.name.clone(),
            tracks: self.tracks().cloned().collect(),
            connected: matches!(self.presence, Presence::Socket(_) | Presence::Session(_)),
        }
    }

    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        match self.presence {
            Presence::Socket(connection) => Some(connection),
            Presence::Lost { .. } | Presence::Unclaimed { .. } | Presence::Session(_) => None,
        }
    }

    /// Do the others see this participant?
    pub(crate) fn is_visible(&self) -> bool {
        !self.grants.hidden && !matches!(self.presence, Presence::Unclaimed { .. })
    }

    /// Is there room for `leg`?
    pub(crate) fn has_room_for(&self, leg: LegId) -> bool {
        self.legs.contains_key(&leg) || self.legs.len() < MAX_LEGS
    }

    /// Marks an own track, also one that still waits for the host's answer. Was there one?
    pub(crate) fn set_muted(&mut self, track: TrackId, muted: bool) -> bool {
        let mut found = false;
        for leg in self.legs.values_mut() {
            let waiting = match leg.pending.as_mut().map(|pending| &mut pending.asked) {
                Some(Asked::Offer { tracks }) => tracks.iter_mut(),
                _ => [].iter_mut(),
            };
            for info in leg
                .tracks
                .iter_mut()
                .chain(waiting)
                .filter(|info| info.id == track)
            {
                info.muted = muted;
                found = true;
            }
        }
        found
    }

    /// Does any leg have this track, or wait for it?
    pub(crate) fn has_track(&self, track: TrackId) -> bool {
        self.legs.values().any(|leg| {
            let waits = match leg.pending.as_ref().map(|pending| &pending.asked) {
                Some(Asked::Offer { tracks }) => tracks.iter().any(|info| info.id == track),
                Some(Asked::Session { tracks, .. }) => tracks.contains(&track),
                Some(Asked::Restart { .. }) | None => false,
            };
            waits || leg.tracks.iter().any(|info| info.id == track)
        })
    }
}
