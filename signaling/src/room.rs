//! One room: its participants and the host's term. Answers questions and picks numbers; what follows from an event is
//! decided in `registry`.

use std::collections::{BTreeMap, BTreeSet};

use baton_protocol::{
    HostId, HostKind, HostTerm, HostingPolicy, ParticipantId, ParticipantInfo, RoomId,
    ServiceMessage, TrackId, TrackInfo,
};
use rand::Rng;

use crate::host::Hosts;
use crate::hosting::Baton;
use crate::participant::{Participant, Presence, Stay};
use crate::registry::{ConnectionId, Output};

/// A meeting.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) id: RoomId,
    pub(crate) term: HostTerm,
    /// Who else is host in some way, and who will be.
    pub(crate) baton: Baton,
    pub(crate) participants: BTreeMap<ParticipantId, Participant>,
    /// Counts the times the room became empty, so that an old timer does not close it.
    pub(crate) vacancy: u32,
}

impl Room {
    pub(crate) fn new(id: RoomId, term: HostTerm, policy: HostingPolicy) -> Self {
        Self {
            id,
            baton: Baton::new(policy, term.epoch),
            term,
            participants: BTreeMap::new(),
            vacancy: 0,
        }
    }

    /// Everybody whom `viewer` may see: the visible ones and oneself.
    pub(crate) fn seen_by(&self, viewer: ParticipantId) -> Vec<ParticipantInfo> {
        let seen = self.participants.values();
        seen.filter(|one| one.is_visible() || one.id == viewer)
            .map(Participant::info)
            .collect()
    }

    /// Tells all who may know what `participant` is now, including that participant.
    pub(crate) fn announce(&self, participant: ParticipantId) -> Option<Output> {
        let one = self.participants.get(&participant)?;
        let connections = if one.is_visible() {
            self.connections()
                .map(|(_, connection)| connection)
                .collect()
        } else {
            one.connection().into_iter().collect()
        };
        let participant = one.info();
        Some(Output::Peers {
            connections,
            message: ServiceMessage::Participant { participant },
        })
    }

    /// Tells everybody but one.
    pub(crate) fn tell_others(&self, except: ParticipantId, message: ServiceMessage) -> Output {
        let others = self.connections().filter(|(id, _)| *id != except);
        Output::Peers {
            connections: others.map(|(_, connection)| connection).collect(),
            message,
        }
    }

    /// Tells everybody.
    pub(crate) fn tell_all(&self, message: ServiceMessage) -> Output {
        Output::Peers {
            connections: self
                .connections()
                .map(|(_, connection)| connection)
                .collect(),
            message,
        }
    }

    /// Who publishes a track, and what it is.
    pub(crate) fn track(&self, track: TrackId) -> Option<(ParticipantId, &TrackInfo)> {
        self.participants.values().find_map(|one| {
            let info = one.tracks().find(|info| info.id == track)?;
            Some((one.id, info))
        })
    }

    pub(crate) fn by_subject(&self, subject: &str) -> Option<ParticipantId> {
        let mut all = self.participants.values();
        let one = all.find(|one| one.subject.as_deref() == Some(subject))?;
        Some(one.id)
    }

    /// Whom a WHEP viewer means: a number, `p` and a number, or the exact name.
    pub(crate) fn by_text(&self, text: &str) -> Option<ParticipantId> {
        let number = text.strip_prefix('p').unwrap_or(text).parse().ok();
        let by_number = number.map(ParticipantId).filter(|id| {
            let one = self.participants.get(id);
            one.is_some_and(Participant::is_visible)
        });
        by_number.or_else(|| {
            let mut visible = self.participants.values().filter(|one| one.is_visible());
            visible.find(|one| one.name == text).map(|one| one.id)
        })
    }

    /// Has a host been asked for anything here?
    pub(crate) fn has_legs(&self) -> bool {
        self.participants.values().any(|one| !one.legs.is_empty())
    }

    /// Random rather than counted: after a restart a newcomer must not get the number of somebody who is coming back.
    pub(crate) fn fresh_participant(&self, rng: &mut impl Rng) -> ParticipantId {
        loop {
            let id = ParticipantId(rng.next_u32() >> 1);
            if id.0 != 0 && !self.participants.contains_key(&id) {
                return id;
            }
        }
    }

    /// Random for the same reason.
    pub(crate) fn fresh_track(&self, taken: &[TrackId], rng: &mut impl Rng) -> TrackId {
        loop {
            let id = TrackId(rng.next_u32() >> 1);
            let is_used = self.participants.values().any(|one| one.has_track(id));
            if id.0 != 0 && !is_used && !taken.contains(&id) {
                return id;
            }
        }
    }

    /// Number of people who are there or may come back.
    pub(crate) fn is_empty(&self) -> bool {
        self.participants.is_empty()
    }

    /// Does somebody stay on the server when a participant's computer carries the call?
    pub(crate) fn stay(&self, participant: ParticipantId) -> Stay {
        let one = self.participants.get(&participant);
        let is_bound =
            |one: &Participant| one.uses_server || matches!(one.presence, Presence::Session(_));
        if one.is_some_and(is_bound) {
            return Stay::Always;
        }
        match self.baton.stays.contains_key(&participant) {
            true => Stay::Unreached,
            false => Stay::No,
        }
    }

    /// Is there anybody whom the server serves for a participant's computer?
    pub(crate) fn has_stayers(&self) -> bool {
        let mut all = self.participants.keys();
        self.term.kind == HostKind::Participant && all.any(|id| self.stay(*id) != Stay::No)
    }

    /// Is there anybody who tries again to reach the computer that carries the call, and is served as before meanwhile?
    pub(crate) fn has_trials(&self) -> bool {
        self.term.kind == HostKind::Participant && !self.baton.trials.is_empty()
    }

    /// The server for those who stay there.
    pub(crate) fn server_for_stayers(&self, hosts: &Hosts) -> Option<HostId> {
        match self.term.kind {
            HostKind::Central => Some(self.term.host),
            HostKind::Participant => {
                let standby = self.baton.standby;
                standby.filter(|host| hosts.kind(*host) == Some(HostKind::Central))
            }
        }
    }

    /// The host to which somebody's media goes. None: they want a server, and there is none.
    pub(crate) fn home(&self, participant: ParticipantId, hosts: &Hosts) -> Option<HostId> {
        match self.stay(participant) {
            Stay::No => Some(self.term.host),
            Stay::Unreached | Stay::Always => self.server_for_stayers(hosts),
        }
    }

    /// Everybody who has to come along in the present move.
    pub(crate) fn movers(&self, hosts: &Hosts) -> BTreeSet<ParticipantId> {
        let Some(moving) = &self.baton.moving else {
            return BTreeSet::new();
        };
        let to_computer = hosts.kind(moving.to) == Some(HostKind::Participant);
        let movers = self.participants.values().filter(|one| {
            let is_there = one.connection().is_some() && !one.legs.is_empty();
            let stays = to_computer && self.stay(one.id) == Stay::Always;
            is_there && !stays && self.home(one.id, hosts) != Some(moving.to)
        });
        movers.map(|one| one.id).collect()
    }

    /// Does somebody believe in a term of an earlier life that is newer than this one?
    pub(crate) fn is_behind(&self) -> bool {
        self.baton.is_recalled && self.baton.believed > self.term.epoch
    }

    pub(crate) fn is_unclaimed(&self, participant: ParticipantId) -> bool {
        let presence = self.participants.get(&participant).map(|one| &one.presence);
        matches!(presence, Some(Presence::Unclaimed { .. }))
    }

    fn connections(&self) -> impl Iterator<Item = (ParticipantId, ConnectionId)> {
        let all = self.participants.values();
        all.filter_map(|one| Some((one.id, one.connection()?)))
    }
}
