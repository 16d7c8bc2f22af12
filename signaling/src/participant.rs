//! One participant of a room: who they are, what they may do, how they are reached, and their legs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use baton_protocol::limits::MAX_LEGS;
use baton_protocol::{
    Epoch, Grants, HostId, LegId, ParticipantId, ParticipantInfo, TrackId, TrackInfo,
};

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
    /// Never connects to another participant's computer.
    pub(crate) uses_server: bool,
    /// Which word about the room's hosts they were told last on their present socket.
    pub(crate) told: Option<(u32, Stay)>,
    /// Of which heir of the service, and in which term, they were told last on their present socket.
    pub(crate) told_heir: Option<(u32, Epoch)>,
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

/// Does somebody stay on the server while a participant's computer carries the call?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    /// No.
    No,
    /// They could not reach that computer.
    Unreached,
    /// They want to, or cannot do anything else.
    Always,
}

/// One association with a host, as signaling knows it.
#[derive(Debug)]
pub(crate) struct Leg {
    /// With which host, for as long as it lives: also over its terms.
    pub(crate) host: HostId,
    /// The epoch of the newest offer.
    pub(crate) epoch: Epoch,
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

impl Leg {
    pub(crate) fn new(host: HostId, epoch: Epoch) -> Self {
        Self {
            host,
            epoch,
            tracks: Vec::new(),
            pending: None,
            is_open: false,
        }
    }

    /// What it publishes, or what its newest offer names.
    pub(crate) fn named_tracks(&self) -> impl Iterator<Item = &TrackInfo> {
        let waiting: &[TrackInfo] = match self.pending.as_ref().map(|pending| &pending.asked) {
            Some(Asked::Offer { tracks }) => tracks,
            _ => &[],
        };
        waiting.iter().chain(&self.tracks)
    }
}

impl Participant {
    /// Everything published on all legs, each once: legs to several hosts carry the same tracks.
    pub(crate) fn tracks(&self) -> impl Iterator<Item = &TrackInfo> {
        let all = self.legs.values().flat_map(|leg| &leg.tracks);
        let mut seen: Vec<TrackId> = Vec::new();
        all.filter(move |track| {
            let is_first = !seen.contains(&track.id);
            if is_first {
                seen.push(track.id);
            }
            is_first
        })
    }

    /// The hosts with which there are legs, each once.
    pub(crate) fn hosts(&self) -> BTreeSet<HostId> {
        self.legs.values().map(|leg| leg.host).collect()
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
        let is_known = !matches!(self.presence, Presence::Unclaimed { .. });
        !self.grants.hidden && (is_known || !self.name.is_empty())
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
