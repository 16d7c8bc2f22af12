//! What outlives the service of a session: its name, which can be computed again, and a memento that its host keeps.

use std::collections::BTreeMap;

use baton_protocol::{Grants, HostCommand, HostId, ParticipantId, RoomId};
use serde::{Deserialize, Serialize};

use super::{LEG, Session, SessionId};
use crate::denied::Mark;
use crate::now::Now;
use crate::participant::{Participant, Presence};
use crate::registry::{Registry, Seat};
use crate::token::Secret;

/// What a host keeps of a session for a restarted service, because its peer does not come back by itself.
#[derive(Debug, Serialize, Deserialize)]
struct Memento {
    room: RoomId,
    participant: ParticipantId,
    name: String,
    grants: Grants,
    subject: Option<String>,
    token_id: Option<String>,
    issued_at: u64,
    bearer: Option<String>,
}

impl Memento {
    /// With a seal in front, so that no host can change a word.
    fn to_text(&self, secret: &Secret) -> String {
        let words = serde_json::to_string(self).expect("a memento is plain data");
        secret.seal("memento", &[&words]) + &words
    }

    fn from_text(text: &str, secret: &Secret) -> Option<Self> {
        let (seal, words) = text.split_at_checked(SEAL_LEN)?;
        let is_ours = seal == secret.seal("memento", &[words]);
        serde_json::from_str(words).ok().filter(|_| is_ours)
    }
}

/// Hex digits of a seal.
const SEAL_LEN: usize = 64;

impl Registry {
    /// Gives a host what a restarted service will need.
    pub(super) fn entrust_session(&mut self, host: HostId, seat: &Seat) {
        let id = self.session_id(&seat.room, seat.participant);
        let room = self.rooms.get(&seat.room);
        let one = room.and_then(|room| room.participants.get(&seat.participant));
        let (Some(session), Some(one)) = (self.sessions.get(&id), one) else {
            return;
        };
        let memento = Memento {
            room: seat.room.clone(),
            participant: seat.participant,
            name: one.name.clone(),
            grants: one.grants.clone(),
            subject: one.subject.clone(),
            token_id: one.token_id.clone(),
            issued_at: one.issued_at,
            bearer: session.bearer.clone(),
        };
        let command = HostCommand::Remember {
            room: seat.room.clone(),
            participant: seat.participant,
            leg: LEG,
            memento: memento.to_text(&self.config.secret),
        };
        self.command(host, command);
    }

    /// A host brings back a session of an earlier life of the service.
    pub(in crate::registry) fn recall_session(
        &mut self,
        room: &RoomId,
        owner: ParticipantId,
        memento: &str,
        now: Now,
    ) {
        let memento = Memento::from_text(memento, &self.config.secret);
        let Some(memento) = memento.filter(|one| one.room == *room && one.participant == owner)
        else {
            return;
        };
        let marks = [
            memento.subject.clone().map(Mark::Subject),
            memento.token_id.clone().map(Mark::TokenId),
        ];
        let limits = &self.config.limits;
        let is_full = self.sessions.len() >= limits.sessions;
        if is_full || self.is_denied(room, marks, memento.issued_at, now) {
            return;
        }
        let id = self.session_id(room, owner);
        let limit = limits.participants;
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let twin = memento.subject.as_deref();
        let is_twin = twin.is_some_and(|subject| entry.by_subject(subject).is_some());
        if is_twin || entry.participants.len() >= limit {
            return;
        }
        let participant = Participant {
            id: owner,
            name: memento.name,
            grants: memento.grants,
            subject: memento.subject,
            token_id: memento.token_id,
            issued_at: memento.issued_at,
            generation: 0,
            life: self.life,
            presence: Presence::Session(id.clone()),
            told: None,
            told_heir: None,
            uses_server: false,
            legs: BTreeMap::new(),
        };
        entry.participants.insert(owner, participant);
        let session = Session {
            room: room.clone(),
            participant: owner,
            etag: None,
            bearer: memento.bearer,
        };
        self.sessions.insert(id, session);
    }

    /// The same in every life of the service, and not to be guessed.
    pub(super) fn session_id(&self, room: &RoomId, participant: ParticipantId) -> SessionId {
        let number = participant.0.to_string();
        let mut name = self
            .config
            .secret
            .seal("session", &[room.as_str(), &number]);
        name.truncate(SESSION_LEN);
        SessionId(name)
    }

    pub(super) fn bearer_seal(&self, token: Option<&str>) -> Option<String> {
        token.map(|token| self.config.secret.seal("bearer", &[token]))
    }
}

/// Hex digits of a session's name.
const SESSION_LEN: usize = 32;
