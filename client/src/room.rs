//! The room as signaling tells it: who is here, what they publish, who is host.
//!
//! Pure: messages in, what changed out. Does not own the path (speakers, slots): that comes from the host.

use std::collections::BTreeMap;

use baton_protocol::{
    HostTerm, Joined, LeaveReason, ParticipantId, ParticipantInfo, RoomId, ServiceMessage, Source,
    TrackId, TrackInfo,
};

/// A room one is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    name: RoomId,
    me: ParticipantId,
    host: HostTerm,
    participants: BTreeMap<ParticipantId, ParticipantInfo>,
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
            participants: by_id(&joined.participants),
        }
    }

    /// Takes the room as it is after having been away.
    pub fn handle_joined(&mut self, joined: &Joined) -> Vec<Change> {
        self.me = joined.me;
        let mut changes = self.handle_host(&joined.host);
        let mut before = std::mem::take(&mut self.participants);
        for participant in &joined.participants {
            let known = before.remove(&participant.id);
            changes.extend(differences(known.as_ref(), participant));
        }
        let gone = before.into_values();
        changes.extend(gone.map(|participant| Change::Went {
            participant,
            reason: None,
        }));
        self.participants = by_id(&joined.participants);
        changes
    }

    /// Takes one message; those that do not concern the room change nothing.
    pub fn handle_message(&mut self, message: &ServiceMessage) -> Vec<Change> {
        match message {
            ServiceMessage::Joined(joined) => self.handle_joined(joined),
            ServiceMessage::Participant { participant } => {
                let known = self
                    .participants
                    .insert(participant.id, participant.clone());
                differences(known.as_ref(), participant)
            }
            ServiceMessage::ParticipantLeft {
                participant,
                reason,
            } => {
                let gone = self.participants.remove(participant);
                let went = |participant| Change::Went {
                    participant,
                    reason: Some(*reason),
                };
                gone.map(went).into_iter().collect()
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
            | ServiceMessage::Pong { .. }
            | ServiceMessage::Unknown => Vec::new(),
        }
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
