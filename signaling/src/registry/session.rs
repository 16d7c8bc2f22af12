//! Peers that only speak SDP over HTTP (WHIP, RFC 9725; WHEP, draft-ietf-wish-whep): participants whose session lives as
//! long as their one leg, and whose questions are answered to the shell instead of a socket.

use baton_protocol::{
    ErrorCode, Grants, HostCommand, HostId, HostKind, IceParameters, LeaveReason, LegId, Negotiate,
    ParticipantId, RoomId, Source, TrackId, Tracks, ViewMode,
};
use rand::Rng;

use super::{CallId, Output, Refused, Registry, Seat};
use crate::access::Access;
use crate::now::Now;
use crate::participant::{Asked, Participant, Pending, Presence};

mod memento;

/// The only leg of a session.
const LEG: LegId = LegId(1);

/// Name of one session: 128 bits in hex that nobody can guess. Knowing it is needed to change the session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(String);

impl SessionId {
    /// As in the path of its resource.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for SessionId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Which way the media of a session goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publisher {
    /// WHIP: the peer publishes.
    Yes,
    /// WHEP: the peer looks at something.
    No {
        /// One participant only: a number or an exact name.
        participant: Option<String>,
        /// One track only.
        track: Option<TrackId>,
    },
}

/// A WHIP or WHEP offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOpen {
    /// Which room.
    pub room: RoomId,
    /// Bearer token, if any.
    pub token: Option<String>,
    /// Name to show; a name in the token wins.
    pub name: String,
    /// Which way.
    pub publisher: Publisher,
    /// The offer.
    pub sdp: String,
}

/// A question about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Open one.
    Open(SessionOpen),
    /// More ICE candidates (values of `a=candidate`; an empty one ends the list).
    Trickle {
        /// Which session.
        key: SessionKey,
        /// `If-Match`.
        etag: String,
        /// Them.
        candidates: Vec<String>,
    },
    /// New ICE credentials.
    Restart {
        /// Which session.
        key: SessionKey,
        /// The peer's.
        ice: IceParameters,
        /// The peer's candidates that came with them.
        candidates: Vec<String>,
    },
    /// End it.
    Close {
        /// Which session.
        key: SessionKey,
    },
}

/// What names a session and proves the right to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKey {
    /// Room of the path.
    pub room: RoomId,
    /// Session of the path.
    pub session: SessionId,
    /// The bearer token of this request.
    pub token: Option<String>,
}

/// The answer to a [`Call`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallReply {
    /// The session is open.
    Opened {
        /// Its name.
        session: SessionId,
        /// Entity tag of its ICE generation, without quotes.
        etag: String,
        /// The host's answer.
        sdp: String,
    },
    /// Done; nothing to say.
    Done,
    /// ICE was restarted.
    Restarted {
        /// Entity tag of the new generation, without quotes.
        etag: String,
        /// The host's new credentials.
        ice: IceParameters,
        /// The host's candidates, as values of `a=candidate`.
        candidates: Vec<String>,
    },
    /// It was refused.
    Failed(CallError),
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// As a participant would be refused.
    #[error("{1}")]
    Refused(ErrorCode, String),
    /// The host refused the offer.
    #[error("{0}")]
    Rejected(String),
    /// There is no such session.
    #[error("there is no such session; it may have ended")]
    NotFound,
    /// `If-Match` names an older ICE generation.
    #[error("the ICE session has changed since; use the newest ETag")]
    Stale,
    /// The room's host is gone.
    #[error("no host can serve the room now; try again in a moment")]
    NoHost,
    /// The host did not answer in time.
    #[error("the host did not answer in time")]
    Timeout,
    /// The session ended meanwhile.
    #[error("the session ended before the host answered")]
    Gone,
    /// Something is being negotiated already.
    #[error("the session is being negotiated; try again in a moment")]
    Busy,
}

impl From<Refused> for CallError {
    fn from(refused: Refused) -> Self {
        if refused.code == ErrorCode::NoHost {
            return Self::NoHost;
        }
        Self::Refused(refused.code, refused.message)
    }
}

/// A session as the registry keeps it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) room: RoomId,
    pub(super) participant: ParticipantId,
    /// Not known after a restart, until ICE is restarted: then any one is good.
    etag: Option<String>,
    /// Seal of the bearer token it was opened with: every later request shows it again (RFC 9725 section 4.5).
    bearer: Option<String>,
}

impl Registry {
    pub(super) fn answer_call(
        &mut self,
        call: CallId,
        question: Call,
        now: Now,
    ) -> Result<(), CallError> {
        match question {
            Call::Open(open) => self.open_session(call, open, now),
            Call::Trickle {
                key,
                etag,
                candidates,
            } => {
                let (seat, current) = self.session_seat(&key)?;
                if etag != "*" && current.is_some_and(|current| etag != current) {
                    return Err(CallError::Stale);
                }
                self.trickle(&seat, candidates)?;
                self.reply(call, CallReply::Done);
                Ok(())
            }
            Call::Restart {
                key,
                ice,
                candidates,
            } => self.restart_ice(call, &key, ice, candidates, now),
            Call::Close { key } => {
                let (seat, _) = self.session_seat(&key)?;
                self.remove(&seat.room, seat.participant, LeaveReason::Left, now);
                self.reply(call, CallReply::Done);
                Ok(())
            }
        }
    }

    fn open_session(&mut self, call: CallId, open: SessionOpen, now: Now) -> Result<(), CallError> {
        if self.sessions.len() >= self.config.limits.sessions {
            let message = "the service has no room for another session; try again later";
            return Err(CallError::Refused(ErrorCode::Limit, message.to_owned()));
        }
        let mut newcomer =
            self.newcomer(&open.room, open.token.as_deref(), Some(&open.name), now)?;
        if open.token.is_none() && matches!(self.config.access, Access::Open) {
            newcomer.grants = open_grants(&open.publisher);
        }
        let forbidden =
            |message: &str| CallError::Refused(ErrorCode::Forbidden, message.to_owned());
        let view = match &open.publisher {
            Publisher::Yes
                if !Source::ALL
                    .iter()
                    .any(|source| newcomer.grants.may_publish(*source)) =>
            {
                return Err(forbidden("the token does not allow to publish anything"));
            }
            Publisher::No { .. } if !newcomer.grants.subscribe => {
                return Err(forbidden("the token does not allow to receive"));
            }
            Publisher::Yes => ViewMode::Auto,
            Publisher::No { participant, track } => {
                self.wanted_view(&open.room, participant.as_deref(), *track)?
            }
        };
        // Its name follows from the number that it gets.
        let presence = Presence::Session(SessionId(String::new()));
        let participant = self.admit(&open.room, newcomer, presence, now)?;
        let session = self.session_id(&open.room, participant);
        let room = self.rooms.get_mut(&open.room);
        if let Some(one) = room.and_then(|room| room.participants.get_mut(&participant)) {
            one.presence = Presence::Session(session.clone());
        }
        let seat = Seat {
            room: open.room,
            participant,
        };
        let may_stay = self.config.limits.hosting.moves.may_stay;
        let home = self.rooms.get(&seat.room);
        let is_elsewhere = home.is_some_and(|room| room.term.kind == HostKind::Participant);
        if is_elsewhere && !may_stay {
            self.remove(&seat.room, participant, LeaveReason::Left, now);
            self.retreat(&seat.room, "somebody can only use the server", now);
            return Err(CallError::NoHost);
        }
        let home = home.and_then(|room| room.home(participant, &self.hosts));
        let asked = match home {
            Some(home) => self.ensure_host(&seat.room, home, now),
            None => Err(Refused::new(ErrorCode::NoHost, "no server is there now")),
        };
        if let Err(refused) = asked {
            self.remove(&seat.room, participant, LeaveReason::Left, now);
            let is_moving = refused.code == ErrorCode::StaleEpoch;
            return Err(if is_moving {
                CallError::NoHost
            } else {
                refused.into()
            });
        }
        let entry = Session {
            room: seat.room.clone(),
            participant,
            etag: Some(self.fresh_etag()),
            bearer: self.bearer_seal(open.token.as_deref()),
        };
        self.sessions.insert(session, entry);
        let is_publisher = open.publisher == Publisher::Yes;
        self.negotiate_session(call, &seat, is_publisher, open.sdp, view, now);
        // Somebody stays on the server now, wherever the call is.
        self.tend(&seat.room, now);
        Ok(())
    }

    fn negotiate_session(
        &mut self,
        call: CallId,
        seat: &Seat,
        is_publisher: bool,
        sdp: String,
        view: ViewMode,
        now: Now,
    ) {
        let Some(room) = self.rooms.get(&seat.room) else {
            return;
        };
        let Some(host) = room.home(seat.participant, &self.hosts) else {
            return;
        };
        let epoch = room.baton.epoch_for(host, room.term.epoch);
        let Some(me) = room.participants.get(&seat.participant) else {
            return;
        };
        let mut tracks = Vec::new();
        if is_publisher {
            for _ in Source::ALL {
                tracks.push(room.fresh_track(&tracks, &mut self.rng));
            }
        }
        let mut command = Negotiate {
            ticket: None,
            room: seat.room.clone(),
            epoch,
            participant: seat.participant,
            leg: LEG,
            request: 0,
            grants: me.grants.clone(),
            sdp,
            tracks: Tracks::Derived(tracks.clone()),
            view,
        };
        let asked = Asked::Session { call, tracks };
        let Some(request) = self.ask(seat, (LEG, host, epoch), asked, now) else {
            return;
        };
        command.request = request;
        self.entrust_session(host, seat);
        self.command(host, HostCommand::Negotiate(command));
        self.announce(&seat.room, seat.participant);
    }

    /// What a viewer asks to see, in terms of the room.
    fn wanted_view(
        &self,
        room: &RoomId,
        participant: Option<&str>,
        track: Option<TrackId>,
    ) -> Result<ViewMode, CallError> {
        let entry = self.rooms.get(room);
        let missing = |what: &str| {
            let message = format!("there is no such {what} in the room now");
            CallError::Refused(ErrorCode::NotFound, message)
        };
        if let Some(track) = track {
            let known = entry.and_then(|room| room.track(track));
            return match known {
                Some(_) => Ok(ViewMode::Track { track }),
                None => Err(missing("track")),
            };
        }
        match participant {
            None => Ok(ViewMode::Auto),
            Some(text) => {
                let participant = entry.and_then(|room| room.by_text(text));
                let participant = participant.ok_or_else(|| missing("participant"))?;
                Ok(ViewMode::Participant { participant })
            }
        }
    }

    fn restart_ice(
        &mut self,
        call: CallId,
        key: &SessionKey,
        ice: IceParameters,
        candidates: Vec<String>,
        now: Now,
    ) -> Result<(), CallError> {
        let (seat, _) = self.session_seat(key)?;
        let room = self.rooms.get(&seat.room).ok_or(CallError::NotFound)?;
        let one = room.participants.get(&seat.participant);
        let leg = one
            .and_then(|one| one.legs.get(&LEG))
            .ok_or(CallError::NotFound)?;
        let (host, epoch) = (leg.host, leg.epoch);
        if self.hosts.link_of(host).is_none() {
            return Err(CallError::NoHost);
        }
        if leg.pending.is_some() {
            return Err(CallError::Busy);
        }
        let request = self.ask(&seat, (LEG, host, epoch), Asked::Restart { call }, now);
        let request = request.ok_or(CallError::NotFound)?;
        let command = HostCommand::RestartIce {
            room: seat.room.clone(),
            participant: seat.participant,
            leg: LEG,
            request,
            ice,
        };
        self.command(host, command);
        self.trickle(&seat, candidates)
    }

    fn trickle(&mut self, seat: &Seat, candidates: Vec<String>) -> Result<(), CallError> {
        for candidate in candidates {
            self.candidate(seat, LEG, candidate)?;
        }
        Ok(())
    }

    pub(super) fn session_answered(&mut self, call: CallId, session: &SessionId, sdp: String) {
        let Some(entry) = self.sessions.get(session) else {
            return;
        };
        let reply = CallReply::Opened {
            session: session.clone(),
            etag: entry.etag.clone().unwrap_or_default(),
            sdp,
        };
        self.reply(call, reply);
    }

    /// A host has new ICE credentials for a session.
    pub(super) fn ice_restarted(
        &mut self,
        room: &RoomId,
        participant: ParticipantId,
        pending: Option<Pending>,
        ice: IceParameters,
        candidates: Vec<String>,
    ) {
        let Some(Asked::Restart { call }) = pending.map(|pending| pending.asked) else {
            return;
        };
        let etag = self.fresh_etag();
        let mut sessions = self.sessions.values_mut();
        let Some(session) =
            sessions.find(|one| one.room == *room && one.participant == participant)
        else {
            return;
        };
        session.etag = Some(etag.clone());
        let reply = CallReply::Restarted {
            etag,
            ice,
            candidates,
        };
        self.reply(call, reply);
    }

    /// Ends the sessions of a host that is not coming back.
    pub(super) fn end_orphans(&mut self, host: HostId, now: Now) {
        let is_orphan = |session: &&Session| {
            let room = self.rooms.get(&session.room);
            let one = room.and_then(|room| room.participants.get(&session.participant));
            one.is_some_and(|one| one.hosts().contains(&host))
        };
        let orphans = self.sessions.values().filter(is_orphan);
        let orphans: Vec<_> = orphans
            .map(|session| (session.room.clone(), session.participant))
            .collect();
        for (room, participant) in orphans {
            self.remove(&room, participant, LeaveReason::Left, now);
        }
    }

    /// Answers whatever was asked about a participant who is gone.
    pub(super) fn fail_calls(&mut self, gone: &Participant, error: &CallError) {
        for pending in gone.legs.values().filter_map(|leg| leg.pending.as_ref()) {
            if let Asked::Session { call, .. } | Asked::Restart { call } = pending.asked {
                self.fail_call(call, error.clone());
            }
        }
    }

    pub(super) fn fail_call(&mut self, call: CallId, error: CallError) {
        self.reply(call, CallReply::Failed(error));
    }

    fn reply(&mut self, call: CallId, reply: CallReply) {
        self.outputs.push_back(Output::Reply { call, reply });
    }

    /// Where a session sits, and its entity tag where that is known.
    fn session_seat(&self, key: &SessionKey) -> Result<(Seat, Option<&str>), CallError> {
        let session = self.sessions.get(&key.session).ok_or(CallError::NotFound)?;
        if session.room != key.room {
            return Err(CallError::NotFound);
        }
        if session.bearer != self.bearer_seal(key.token.as_deref()) {
            let message = "show the bearer token that the session was opened with";
            return Err(CallError::Refused(
                ErrorCode::Unauthorized,
                message.to_owned(),
            ));
        }
        let seat = Seat {
            room: session.room.clone(),
            participant: session.participant,
        };
        Ok((seat, session.etag.as_deref()))
    }

    fn fresh_etag(&mut self) -> String {
        format!("{:016x}", self.rng.next_u64())
    }
}

/// What an anonymous peer may do in an open room: one way only.
fn open_grants(publisher: &Publisher) -> Grants {
    match publisher {
        Publisher::Yes => Grants {
            publish: Source::ALL.to_vec(),
            ..Grants::default()
        },
        Publisher::No { .. } => Grants {
            subscribe: true,
            ..Grants::default()
        },
    }
}
