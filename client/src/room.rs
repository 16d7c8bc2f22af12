//! The room as signaling tells it: who is here, what they publish, who is host, and what is kept of it where a restarted service has
//! not heard of everybody again.
//!
//! Pure: messages and time in, what changed out. Does not own the path (speakers, slots): that comes from the host.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use baton_protocol::{
    HostTerm, Joined, LeaveReason, ParticipantId, ParticipantInfo, RoomId, ServiceMessage, Source,
    TrackId, TrackInfo,
};

/// How long signaling itself waits for somebody to come back.
const RETURN_WITHIN: Duration = Duration::from_secs(30);

/// A room one is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    name: RoomId,
    me: ParticipantId,
    host: HostTerm,
    told: BTreeMap<ParticipantId, ParticipantInfo>,
    kept: Option<Kept>,
    /// What was told, with what is kept.
    participants: BTreeMap<ParticipantId, ParticipantInfo>,
}

/// As they were before the service was restarted: those who are missing, and those of whose tracks nothing was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    people: BTreeMap<ParticipantId, ParticipantInfo>,
    until: Instant,
}

/// One difference between the room before and after a message.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// Somebody came.
    Came(ParticipantInfo),
    /// Somebody went.
    Went {
        /// As they last were.
        participant: ParticipantInfo,
        /// Absent where it was found out only after having been away.
        reason: Option<LeaveReason>,
    },
    /// Name or connection of somebody changed.
    Changed(ParticipantInfo),
    /// Somebody publishes a track.
    Published {
        /// Who.
        by: ParticipantId,
        /// What.
        track: TrackInfo,
    },
    /// Somebody publishes a track no more.
    Unpublished {
        /// Who.
        by: ParticipantId,
        /// What it was.
        track: TrackInfo,
    },
    /// A track was muted, unmuted, or has other layers.
    Track {
        /// Whose.
        by: ParticipantId,
        /// As it is now.
        track: TrackInfo,
    },
    /// Another host, or the same one in another term.
    Host(HostTerm),
}

impl Room {
    /// The room at the moment of joining.
    pub fn new(joined: &Joined) -> Self {
        Self {
            name: joined.room.clone(),
            me: joined.me,
            host: joined.host.clone(),
            told: by_id(&joined.participants),
            kept: None,
            participants: by_id(&joined.participants),
        }
    }

    /// Takes the room as it is after having been away.
    pub fn handle_joined(&mut self, joined: &Joined, now: Instant) -> Vec<Change> {
        self.me = joined.me;
        let mut changes = self.handle_host(&joined.host);
        self.told = by_id(&joined.participants);
        self.kept = joined.gathering.then(|| {
            let has_more = |old: &ParticipantInfo| {
                let now = self.told.get(&old.id);
                now.is_none_or(|now| now.tracks.is_empty() && !old.tracks.is_empty())
            };
            let mut people = self.participants.clone();
            people.retain(|_, old| has_more(old));
            let until = now + RETURN_WITHIN;
            Kept { people, until }
        });
        changes.extend(self.settle(None));
        changes
    }

    /// Takes one message; those that do not concern the room change nothing.
    pub fn handle_message(&mut self, message: &ServiceMessage, now: Instant) -> Vec<Change> {
        match message {
            ServiceMessage::Joined(joined) => self.handle_joined(joined, now),
            ServiceMessage::Participant { participant } => {
                if !participant.tracks.is_empty() {
                    self.forget(|old| old.id == participant.id);
                }
                self.told.insert(participant.id, participant.clone());
                self.settle(None)
            }
            ServiceMessage::ParticipantLeft {
                participant,
                reason,
            } => {
                self.forget(|old| old.id == *participant);
                self.told.remove(participant);
                self.settle(Some(*reason))
            }
            ServiceMessage::HostChanged { host } => self.handle_host(host),
            ServiceMessage::Answer { .. }
            | ServiceMessage::LegClosed { .. }
            | ServiceMessage::MutedByModerator { .. }
            | ServiceMessage::Chat { .. }
            | ServiceMessage::Removed { .. }
            | ServiceMessage::Error { .. }
            | ServiceMessage::Hosting { .. }
            | ServiceMessage::HostToken { .. }
            | ServiceMessage::Heir { .. }
            | ServiceMessage::IceServers { .. }
            | ServiceMessage::Pong { .. }
            | ServiceMessage::Unknown => Vec::new(),
        }
    }

    /// The host says that a track ended: whose it was does not come back with it.
    pub fn handle_end(&mut self, track: TrackId) -> Vec<Change> {
        self.forget(|old| old.tracks.iter().any(|known| known.id == track));
        self.settle(None)
    }

    /// When [`handle_deadline`](Self::handle_deadline) has to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.kept.as_ref().map(|kept| kept.until)
    }

    /// Who is not back by now does not come back.
    pub fn handle_deadline(&mut self, now: Instant) -> Vec<Change> {
        if self.deadline().is_none_or(|until| now < until) {
            return Vec::new();
        }
        self.kept = None;
        self.settle(None)
    }

    fn forget(&mut self, is_gone: impl Fn(&ParticipantInfo) -> bool) {
        if let Some(kept) = &mut self.kept {
            kept.people.retain(|_, old| !is_gone(old));
        }
    }

    /// Everybody as they are now, and what is different from before. `reason`: why somebody is missing, where that was told.
    fn settle(&mut self, reason: Option<LeaveReason>) -> Vec<Change> {
        let mut now = self.told.clone();
        for old in self.kept.iter().flat_map(|kept| kept.people.values()) {
            let away = || ParticipantInfo {
                connected: false,
                ..old.clone()
            };
            let one = now.entry(old.id).or_insert_with(away);
            if one.tracks.is_empty() {
                one.tracks.clone_from(&old.tracks);
            }
        }
        let mut before = std::mem::replace(&mut self.participants, now);
        let mut changes = Vec::new();
        for participant in self.participants.values() {
            let known = before.remove(&participant.id);
            changes.extend(differences(known.as_ref(), participant));
        }
        let went = |participant| Change::Went {
            participant,
            reason,
        };
        changes.extend(before.into_values().map(went));
        changes
    }

    /// An older term than the present one is not believed.
    fn handle_host(&mut self, host: &HostTerm) -> Vec<Change> {
        if host.epoch < self.host.epoch || *host == self.host {
            return Vec::new();
        }
        self.host = host.clone();
        vec![Change::Host(host.clone())]
    }

    /// Its name.
    pub fn name(&self) -> &RoomId {
        &self.name
    }

    /// Who one is.
    pub fn me(&self) -> ParticipantId {
        self.me
    }

    /// Who forwards.
    pub fn host(&self) -> &HostTerm {
        &self.host
    }

    /// Everybody, by number, oneself included.
    pub fn participants(&self) -> impl Iterator<Item = &ParticipantInfo> {
        self.participants.values()
    }

    /// One of them.
    pub fn participant(&self, id: ParticipantId) -> Option<&ParticipantInfo> {
        self.participants.get(&id)
    }

    /// What people call somebody; their number where they are not known (any more).
    pub fn name_of(&self, id: ParticipantId) -> String {
        self.participant(id)
            .map_or_else(|| id.to_string(), |known| known.name.clone())
    }

    /// The source of a track of somebody.
    pub fn source_of(&self, by: ParticipantId, track: TrackId) -> Option<Source> {
        let tracks = &self.participant(by)?.tracks;
        tracks
            .iter()
            .find(|known| known.id == track)
            .map(|known| known.source)
    }
}

fn by_id(participants: &[ParticipantInfo]) -> BTreeMap<ParticipantId, ParticipantInfo> {
    participants
        .iter()
        .map(|one| (one.id, one.clone()))
        .collect()
}

fn differences(before: Option<&ParticipantInfo>, after: &ParticipantInfo) -> Vec<Change> {
    let by = after.id;
    let Some(before) = before else {
        let published = |track: &TrackInfo| Change::Published {
            by,
            track: track.clone(),
        };
        return std::iter::once(Change::Came(after.clone()))
            .chain(after.tracks.iter().map(published))
            .collect();
    };
    let mut changes = Vec::new();
    if (&before.name, before.connected) != (&after.name, after.connected) {
        changes.push(Change::Changed(after.clone()));
    }
    for track in &before.tracks {
        if !after.tracks.iter().any(|kept| kept.id == track.id) {
            changes.push(Change::Unpublished {
                by,
                track: track.clone(),
            });
        }
    }
    for track in &after.tracks {
        match before.tracks.iter().find(|known| known.id == track.id) {
            None => changes.push(Change::Published {
                by,
                track: track.clone(),
            }),
            Some(known) if known != track => changes.push(Change::Track {
                by,
                track: track.clone(),
            }),
            Some(_) => {}
        }
    }
    changes
}

#[cfg(test)]
pub(crate) mod tests;
