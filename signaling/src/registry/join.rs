//! Coming in and coming back.

use baton_protocol::{
    Epoch, ErrorCode, Grants, HostTerm, IceServer, Join, Joined, LeaveReason,
    OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION, ParticipantId, RoomId, ServiceMessage,
};
use std::net::{IpAddr, SocketAddr};

use super::timers::Timer;
use super::{CloseReason, ConnectionId, Output, Refused, Registry, Seat};
use crate::access::Access;
use crate::denied::Mark;
use crate::now::Now;
use crate::participant::{Participant, Presence};
use crate::room::Room;
use crate::text::checked_name;
use crate::token::{JoinToken, MAX_TOKEN_LIFE, ResumeToken, Token, TokenError};
use crate::turn::RENEW;

/// Somebody whom a token, or an open service, lets in.
pub(super) struct Newcomer {
    pub(super) name: String,
    pub(super) grants: Grants,
    pub(super) subject: Option<String>,
    pub(super) token_id: Option<String>,
    pub(super) issued_at: u64,
}

impl Registry {
    pub(super) fn join(
        &mut self,
        connection: ConnectionId,
        join: &Join,
        now: Now,
    ) -> Result<(), Refused> {
        if self.seats.contains_key(&connection) {
            let message = "this connection has joined already; open another one";
            return Err(Refused::new(ErrorCode::Invalid, message));
        }
        if join.protocol < OLDEST_PROTOCOL_VERSION {
            let message = format!(
                "this service speaks protocol {OLDEST_PROTOCOL_VERSION} to {PROTOCOL_VERSION}, not {}; load the page again",
                join.protocol
            );
            return Err(Refused::fatal(ErrorCode::Version, message));
        }
        let protocol = join.protocol.min(PROTOCOL_VERSION);
        if let Some(resume) = &join.resume
            && let Some(participant) = self.resume(connection, &join.room, &resume.token, now)?
        {
            self.resumes += 1;
            let believed = resume.epoch.unwrap_or(Epoch(0));
            self.hear_of_heir(&join.room, believed, now);
            self.note_belief(&join.room, believed, now);
            self.welcome(connection, &join.room, participant, protocol, true, now);
            self.tend(&join.room, now);
            return Ok(());
        }
        let newcomer = self.newcomer(&join.room, join.token.as_deref(), Some(&join.name), now);
        let newcomer = newcomer.map_err(|refused| Refused {
            is_fatal: true,
            ..refused
        })?;
        let participant = self
            .admit(&join.room, newcomer, Presence::Socket(connection), now)
            .map_err(|refused| Refused {
                is_fatal: true,
                ..refused
            })?;
        self.welcome(connection, &join.room, participant, protocol, false, now);
        self.tend(&join.room, now);
        Ok(())
    }

    /// Checks the token, or that none is needed.
    pub(super) fn newcomer(
        &self,
        room: &RoomId,
        token: Option<&str>,
        name: Option<&str>,
        now: Now,
    ) -> Result<Newcomer, Refused> {
        let said = |name: Option<&str>| {
            let name = name.unwrap_or_default();
            checked_name(name).map_err(|message| Refused::new(ErrorCode::Invalid, message))
        };
        let Some(token) = token else {
            let Access::Open = self.config.access else {
                let message = "a token is needed to enter; ask whoever invited you";
                return Err(Refused::new(ErrorCode::Unauthorized, message));
            };
            return Ok(Newcomer {
                name: said(name)?,
                grants: Access::open_grants(),
                subject: None,
                token_id: None,
                issued_at: now.unix_s(),
            });
        };
        if self.config.access.is_guest(room, token) {
            return Ok(Newcomer {
                name: said(name)?,
                grants: Grants::talk(),
                subject: None,
                token_id: None,
                issued_at: now.unix_s(),
            });
        }
        let token = self.join_token(room, token, now)?;
        Ok(Newcomer {
            name: match token.name {
                Some(name) => name,
                None => said(name)?,
            },
            grants: token.grants,
            subject: Some(token.subject),
            token_id: token.token_id,
            issued_at: token.issued_at,
        })
    }

    fn join_token(&self, room: &RoomId, token: &str, now: Now) -> Result<JoinToken, Refused> {
        let unauthorized =
            |error: TokenError| Refused::new(ErrorCode::Unauthorized, error.to_string());
        let token = match self
            .keys
            .verify(token, now.unix_s())
            .map_err(unauthorized)?
        {
            Token::Join(token) => token,
            Token::Resume(_) | Token::Host(_) | Token::Admin(_) => {
                return Err(unauthorized(TokenError::Purpose));
            }
        };
        if token.room != *room {
            let message = "the token is for another room";
            return Err(Refused::new(ErrorCode::Unauthorized, message));
        }
        let marks = [
            Some(Mark::Subject(token.subject.clone())),
            token.token_id.clone().map(Mark::TokenId),
        ];
        if self.is_denied(room, marks, token.issued_at, now) {
            return Err(removed_before());
        }
        Ok(token)
    }

    /// Puts somebody into a room, which is made if need be.
    pub(super) fn admit(
        &mut self,
        room: &RoomId,
        newcomer: Newcomer,
        presence: Presence,
        now: Now,
    ) -> Result<ParticipantId, Refused> {
        if !self.rooms.contains_key(room) {
            let term = self.first_term()?;
            self.create_room(room, term)?;
        }
        let twin = newcomer.subject.as_deref();
        let twin = twin.and_then(|subject| self.rooms.get(room)?.by_subject(subject));
        if let Some(twin) = twin {
            self.remove(room, twin, LeaveReason::Replaced, now);
        }
        let limit = self.config.limits.participants;
        let entry = self.rooms.get_mut(room).expect("the room was made above");
        if entry.participants.len() >= limit {
            return Err(Refused::new(ErrorCode::Limit, "the room is full"));
        }
        let id = entry.fresh_participant(&mut self.rng);
        let participant = Participant {
            id,
            name: newcomer.name,
            grants: newcomer.grants,
            subject: newcomer.subject,
            token_id: newcomer.token_id,
            issued_at: newcomer.issued_at,
            generation: 0,
            life: self.life,
            presence,
            told: None,
            told_heir: None,
            uses_server: false,
            legs: std::collections::BTreeMap::new(),
        };
        entry.participants.insert(id, participant);
        Ok(id)
    }

    pub(super) fn create_room(&mut self, room: &RoomId, term: HostTerm) -> Result<(), Refused> {
        if self.rooms.len() >= self.config.limits.rooms {
            let message = "the service has no room for another room; try again later";
            return Err(Refused::new(ErrorCode::Limit, message));
        }
        self.hosts.assign(term.host, room);
        let policy = self.config.limits.hosting.policy;
        self.rooms
            .insert(room.clone(), Room::new(room.clone(), term, policy));
        Ok(())
    }

    /// The term of a new room: the host with the fewest rooms.
    fn first_term(&self) -> Result<HostTerm, Refused> {
        let host = self.hosts.least_loaded();
        let term = host.and_then(|host| self.hosts.term(host, self.config.first_epoch));
        term.ok_or_else(|| {
            Refused::new(
                ErrorCode::NoHost,
                "no host can serve a room now; try again in a moment",
            )
        })
    }

    /// Somebody shows a resume token. `None`: it leads nowhere any more, so that they join like anybody else.
    fn resume(
        &mut self,
        connection: ConnectionId,
        room: &RoomId,
        token: &str,
        now: Now,
    ) -> Result<Option<ParticipantId>, Refused> {
        let Ok(Token::Resume(token)) = self.own.verify(token, now.unix_s()) else {
            return Ok(None);
        };
        if token.room != *room {
            return Ok(None);
        }
        let marks = [
            Some(Mark::Participant(token.participant)),
            token.subject.clone().map(Mark::Subject),
            token.token_id.clone().map(Mark::TokenId),
        ];
        if self.is_denied(room, marks, token.issued_at, now) {
            return Err(Refused {
                is_fatal: true,
                ..removed_before()
            });
        }
        let known = self
            .rooms
            .get(room)
            .is_some_and(|entry| entry.participants.contains_key(&token.participant));
        let id = token.participant;
        let is_back = match known {
            true => self.reclaim(connection, token),
            false => self.readmit(connection, token, now),
        };
        Ok(is_back.then_some(id))
    }

    /// Gives a participant who is still in the room the new socket.
    fn reclaim(&mut self, connection: ConnectionId, token: ResumeToken) -> bool {
        let Some(entry) = self.rooms.get_mut(&token.room) else {
            return false;
        };
        let was_unclaimed = entry.is_unclaimed(token.participant);
        let Some(participant) = entry.participants.get_mut(&token.participant) else {
            return false;
        };
        if was_unclaimed {
            participant.name = token.name;
            participant.grants = token.grants;
            participant.subject = token.subject;
            participant.token_id = token.token_id;
            participant.issued_at = token.issued_at;
            participant.generation = token.generation;
            participant.life = token.life;
            participant.uses_server = token.uses_server;
            let grants = &participant.grants;
            for leg in participant.legs.values_mut() {
                leg.tracks.retain(|track| grants.may_publish(track.source));
            }
        } else if (token.life != self.life && token.life != participant.life)
            || token.generation.saturating_add(1) < participant.generation
        {
            // The welcome with the newest token may have been lost with the socket, so one older is good too, also one of the life
            // from which the participant came back.
            return false;
        }
        let before = std::mem::replace(&mut participant.presence, Presence::Socket(connection));
        if let Presence::Socket(old) = before {
            self.seats.remove(&old);
            let reason = LeaveReason::Replaced;
            self.send(old, ServiceMessage::Removed { reason });
            let reason = CloseReason::Over;
            self.outputs.push_back(Output::ClosePeer {
                connection: old,
                reason,
            });
        }
        true
    }

    /// Lets somebody in again whom an earlier life of the service knew.
    fn readmit(&mut self, connection: ConnectionId, token: ResumeToken, now: Now) -> bool {
        if token.life == self.life || !self.is_settling(now) {
            return false;
        }
        if !self.recall_term(&token.room, &token.term, now) {
            return false;
        }
        let limit = self.config.limits.participants;
        let Some(entry) = self.rooms.get_mut(&token.room) else {
            return false;
        };
        let is_twin = token
            .subject
            .as_deref()
            .is_some_and(|subject| entry.by_subject(subject).is_some());
        if entry.participants.len() >= limit || is_twin {
            return false;
        }
        let participant = Participant {
            id: token.participant,
            name: token.name,
            grants: token.grants,
            subject: token.subject,
            token_id: token.token_id,
            issued_at: token.issued_at,
            generation: token.generation,
            life: token.life,
            presence: Presence::Socket(connection),
            told: None,
            told_heir: None,
            uses_server: token.uses_server,
            legs: std::collections::BTreeMap::new(),
        };
        entry.participants.insert(token.participant, participant);
        true
    }

    /// Is the service so young that people and hosts of its earlier life may still come back?
    pub(super) fn is_settling(&self, now: Now) -> bool {
        now.instant < self.started + self.config.limits.resume_window
    }

    fn welcome(
        &mut self,
        connection: ConnectionId,
        room: &RoomId,
        id: ParticipantId,
        protocol: u16,
        resumed: bool,
        now: Now,
    ) {
        let gathering = resumed && self.is_settling(now);
        let ice_servers = self.ice_servers(id, now);
        let (life, secret) = (self.life, &self.config.secret);
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let term = entry.term.clone();
        let Some(me) = entry.participants.get_mut(&id) else {
            return;
        };
        (me.told, me.told_heir) = (None, None);
        me.generation = me.generation.saturating_add(1);
        let token = Token::Resume(ResumeToken {
            room: room.clone(),
            participant: id,
            name: me.name.clone(),
            grants: me.grants.clone(),
            subject: me.subject.clone(),
            token_id: me.token_id.clone(),
            life,
            generation: me.generation,
            term: term.clone(),
            uses_server: me.uses_server,
            issued_at: now.unix_s(),
            expires_at: now.unix_s() + MAX_TOKEN_LIFE.as_secs(),
        });
        let grants = me.grants.clone();
        let announcement = me.is_visible().then(|| me.info());
        let joined = Joined {
            signing_key: Some(self.signer.public_key().to_owned()),
            protocol,
            room: room.clone(),
            me: id,
            resumed,
            resume: secret.mint(&token),
            grants,
            host: term,
            participants: entry.seen_by(id),
            gathering,
            ice_servers,
        };
        if let Some(participant) = announcement {
            let message = ServiceMessage::Participant { participant };
            self.outputs.push_back(entry.tell_others(id, message));
        }
        let seat = Seat {
            room: room.clone(),
            participant: id,
        };
        self.seats.insert(connection, seat);
        self.send(connection, ServiceMessage::Joined(joined));
    }

    /// STUN and TURN servers for a participant, with credentials of their own.
    fn ice_servers(&self, id: ParticipantId, now: Now) -> Vec<IceServer> {
        let turn = self.config.turn.as_ref();
        let turn = turn.map(|turn| turn.server(&id.to_string(), now.unix_s()));
        // What the operator wrote down counts more.
        let mut urls = self.config.ice_servers.iter().flat_map(|one| &one.urls);
        let is_written = urls.any(|url| url.starts_with("stun:"));
        // Whoever reaches a private address is on this side of every NAT.
        let is_outside = |at: &SocketAddr| match at.ip().to_canonical() {
            IpAddr::V4(ip) => !(ip.is_private() || ip.is_loopback() || ip.is_link_local()),
            IpAddr::V6(ip) => {
                !(ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local())
            }
        };
        let reflector = self.hosts.reflector().filter(|_| !is_written);
        let reflector = reflector.filter(is_outside);
        let reflector = reflector.map(|at| IceServer {
            urls: vec![format!("stun:{at}")],
            username: None,
            credential: None,
        });
        let ice_servers = self.config.ice_servers.iter().cloned();
        ice_servers.chain(reflector).chain(turn).collect()
    }

    /// Tells everybody new credentials long before the old ones end.
    pub(super) fn renew_credentials(&mut self, now: Now) {
        let seats = self.seats.iter();
        let seats: Vec<_> = seats
            .map(|(connection, seat)| (*connection, seat.participant))
            .collect();
        for (connection, participant) in seats {
            let ice_servers = self.ice_servers(participant, now);
            self.send(connection, ServiceMessage::IceServers { ice_servers });
        }
        self.timers.insert(now.instant + RENEW, Timer::Credentials);
    }

    pub(super) fn is_denied(
        &self,
        room: &RoomId,
        marks: impl IntoIterator<Item = Option<Mark>>,
        issued_at: u64,
        now: Now,
    ) -> bool {
        let (secret, now) = (&self.config.secret, now.unix_s());
        let mut marks = marks.into_iter().flatten();
        marks.any(|mark| self.denied.contains(room, &mark, secret, issued_at, now))
    }
}

fn removed_before() -> Refused {
    let message = "you were removed from this room; only a new invitation lets you in again";
    Refused::new(ErrorCode::Forbidden, message)
}
