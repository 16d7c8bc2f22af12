//! All rooms and all hosts. Pure: messages and time in, messages out.
//!
//! Owns: who is in which room with which rights, which host serves it in which term, and every deadline. Does not own:
//! sockets, queues, clocks, and what a session description says.
//!
//! The caller feeds `handle_*`, then drains [`Registry::poll_output`], then sleeps until [`Registry::poll_timeout`].
//! What fails is answered to the one who asked; a broken participant or host cannot fail anybody else.

mod admin;
mod baton;
mod claims;
mod departure;
mod hosts;
mod join;
mod moderation;
mod negotiation;
mod roster;
mod session;
mod timers;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use baton_protocol::{
    Epoch, ErrorCode, HostCommand, HostMessage, IceServer, LeaveReason, LegId, ParticipantId,
    PeerMessage, RoomId, ServiceMessage,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::access::Access;
use crate::denied::DenySet;
use crate::grant::GrantSigner;
use crate::host::{Hosts, LinkId};
use crate::limits::Limits;
use crate::now::Now;
use crate::participant::Presence;
use crate::room::Room;
use crate::token::{ComputerOwner, Keys, Secret};
use crate::turn::{RENEW, Turn};

pub use admin::RoomView;
pub(crate) use baton::Heir;
pub use baton::{CandidateView, HostingChange, HostingOrder, HostingView, LineView};
use negotiation::Offer;
use session::Session;
pub use session::{Call, CallError, CallReply, Publisher, SessionId, SessionKey, SessionOpen};
use timers::{Timer, Timers};

/// One signaling socket. Numbered by the shell, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// One question of the shell that is answered later. Numbered by the shell, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// How a registry is set up.
#[derive(Clone, Debug)]
pub struct RegistryConfig {
    /// Who may come in.
    pub access: Access,
    /// Signs resume tokens, and verifies what it has signed.
    pub secret: Secret,
    /// STUN and TURN servers that everybody is told.
    pub ice_servers: Vec<IceServer>,
    /// A TURN server for which everybody gets credentials of their own.
    pub turn: Option<Turn>,
    /// Bounds.
    pub limits: Limits,
    /// Of rooms that nobody remembers. Above all that earlier lives of the service gave out: somebody may believe in that still.
    pub first_epoch: Epoch,
}

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send to one participant.
    Peer {
        /// Whose socket.
        connection: ConnectionId,
        /// What.
        message: ServiceMessage,
    },
    /// Send the same to several.
    Peers {
        /// Whose sockets.
        connections: Vec<ConnectionId>,
        /// What.
        message: ServiceMessage,
    },
    /// Close a socket after what was sent to it.
    ClosePeer {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// Send to a host.
    Host {
        /// Its link.
        link: LinkId,
        /// What.
        command: HostCommand,
    },
    /// Close a host's link.
    CloseHost {
        /// Which.
        link: LinkId,
        /// Why, for people.
        message: String,
    },
    /// Answer a question of the shell.
    Reply {
        /// Which question.
        call: CallId,
        /// The answer.
        reply: CallReply,
    },
}

/// Why a socket is closed; each has a WebSocket close code (RFC 6455 section 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The participant is no longer in the room.
    Over,
    /// What it sent was refused for good.
    Refused,
    /// The service stops and comes back: resume.
    Restart,
}

/// All rooms and hosts of one signaling service.
#[derive(Debug)]
pub struct Registry {
    config: RegistryConfig,
    /// Keys for tokens of people: the configured ones and the own secret.
    keys: Keys,
    /// Key for what the service itself has signed.
    own: Keys,
    /// Signs grants and tickets.
    signer: GrantSigner,
    rng: StdRng,
    /// Names of people whom an earlier signaling elsewhere knew, and who cannot say them here.
    introduced: BTreeMap<(RoomId, ParticipantId), String>,
    /// A random number per start: tells resume tokens of this life from those of an earlier one.
    life: u64,
    started: Instant,
    rooms: BTreeMap<RoomId, Room>,
    seats: BTreeMap<ConnectionId, Seat>,
    sessions: BTreeMap<SessionId, Session>,
    hosts: Hosts,
    denied: DenySet,
    timers: Timers,
    requests: u32,
    resumes: u64,
    outputs: VecDeque<Output>,
}

/// Where a socket sits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seat {
    room: RoomId,
    participant: ParticipantId,
}

/// Why somebody does not get what they asked for.
#[derive(Debug)]
struct Refused {
    code: ErrorCode,
    message: String,
    leg: Option<LegId>,
    is_fatal: bool,
}

impl Refused {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            leg: None,
            is_fatal: false,
        }
    }

    fn fatal(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            is_fatal: true,
            ..Self::new(code, message)
        }
    }

    fn about(mut self, leg: LegId) -> Self {
        self.leg = Some(leg);
        self
    }
}

impl Registry {
    /// An empty registry. The same seed and the same inputs give the same outputs.
    pub fn new(config: RegistryConfig, seed: [u8; 32], now: Now) -> Self {
        let own = Keys::default()
            .with_secret(&config.secret)
            .expect("one key is within the bound");
        let keys = match &config.access {
            Access::Open | Access::Code { .. } => own.clone(),
            Access::Tokens { keys } => keys.joined(&own),
        };
        let mut rng = StdRng::from_seed(seed);
        let mut timers = Timers::default();
        if config.turn.is_some() {
            timers.insert(now.instant + RENEW, Timer::Credentials);
        }
        Self {
            keys,
            own,
            signer: GrantSigner::new(&config.secret),
            introduced: BTreeMap::new(),
            life: rng.next_u64(),
            rng,
            started: now.instant,
            rooms: BTreeMap::new(),
            seats: BTreeMap::new(),
            sessions: BTreeMap::new(),
            hosts: Hosts::default(),
            denied: DenySet::default(),
            timers,
            requests: 0,
            resumes: 0,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Something came in on a participant's socket.
    pub fn handle_peer(&mut self, connection: ConnectionId, message: PeerMessage, now: Now) {
        if let Err(refused) = self.peer_message(connection, message, now) {
            self.refuse(connection, refused);
        }
    }

    /// A participant's socket is gone; they may come back.
    pub fn handle_peer_gone(&mut self, connection: ConnectionId, now: Now) {
        let Some(seat) = self.seats.remove(&connection) else {
            return;
        };
        let until = now.instant + self.config.limits.resume_window;
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return;
        };
        let Some(participant) = room.participants.get_mut(&seat.participant) else {
            return;
        };
        participant.presence = Presence::Lost { until };
        self.timers
            .insert(until, Timer::Absence(seat.room.clone(), seat.participant));
        participant.told = None;
        self.outputs.extend(room.announce(seat.participant));
        self.tend(&seat.room, now);
    }

    /// These people were in a room that another signaling served until now. Who is not introduced is nameless and unseen before they
    /// come back.
    pub fn introduce(&mut self, room: &RoomId, people: Vec<(ParticipantId, String)>) {
        let most = self.config.limits.participants;
        for (who, name) in people.into_iter().take(most) {
            self.introduced.insert((room.clone(), who), name);
        }
    }

    /// A host's link came up. `subject` is that of its token.
    pub fn handle_host_linked(&mut self, link: LinkId, subject: Option<String>) {
        self.hosts.insert_link(link, subject, None);
    }

    /// The link of a participant's computer came up; its token says whose it is.
    pub fn handle_computer_linked(&mut self, link: LinkId, subject: String, owner: ComputerOwner) {
        self.hosts.insert_link(link, Some(subject), Some(owner));
    }

    /// Something came in on a host's link.
    pub fn handle_host(&mut self, link: LinkId, message: HostMessage, now: Now) {
        self.host_message(link, message, now);
    }

    /// A host's link is gone; media of running calls is not touched.
    pub fn handle_host_gone(&mut self, link: LinkId, now: Now) {
        if let Some(host) = self.hosts.remove_link(link, now.instant) {
            self.fail_pending(host, now);
            let due = now.instant + self.config.limits.orphaned_session;
            self.timers.insert(due, Timer::Orphans(host));
            self.host_vanished(host, now);
        }
    }

    /// A question of the shell; answered by [`Output::Reply`], maybe later.
    pub fn handle_call(&mut self, call: CallId, question: Call, now: Now) {
        if let Err(error) = self.answer_call(call, question, now) {
            self.outputs.push_back(Output::Reply {
                call,
                reply: CallReply::Failed(error),
            });
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(timer) = self.timers.pop_due(now.instant) {
            self.timer_fired(timer, now);
        }
    }

    /// The service stops and will come back: sockets are closed, media is left alone.
    pub fn handle_shutdown(&mut self) {
        for connection in self.seats.keys() {
            self.outputs.push_back(Output::ClosePeer {
                connection: *connection,
                reason: CloseReason::Restart,
            });
        }
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The next thing to do, until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Rooms now.
    pub fn room_count(&self) -> usize {
        self.rooms.len()
    }

    /// Participants now, also those that may come back.
    pub fn participant_count(&self) -> usize {
        self.rooms
            .values()
            .map(|room| room.participants.len())
            .sum()
    }

    /// Linked hosts now.
    pub fn host_count(&self) -> usize {
        self.hosts.linked()
    }

    /// How often somebody came back.
    pub fn resume_count(&self) -> u64 {
        self.resumes
    }

    fn peer_message(
        &mut self,
        connection: ConnectionId,
        message: PeerMessage,
        now: Now,
    ) -> Result<(), Refused> {
        if let PeerMessage::Join(join) = &message {
            return self.join(connection, join, now);
        }
        if let PeerMessage::Ping { nonce } = message {
            self.send(connection, ServiceMessage::Pong { nonce });
            return Ok(());
        }
        if message == PeerMessage::Unknown {
            return Ok(());
        }
        let seat = self.seats.get(&connection).cloned();
        let seat = seat.ok_or_else(|| {
            Refused::new(
                ErrorCode::NotJoined,
                "the first message of a connection is `join`",
            )
        })?;
        match message {
            PeerMessage::Offer {
                leg,
                epoch,
                host,
                fingerprint,
                sdp,
                tracks,
            } => {
                let offer = Offer {
                    leg,
                    epoch,
                    host,
                    fingerprint,
                    sdp,
                    tracks,
                };
                self.offer(&seat, offer, now)
                    .map_err(|refused| refused.about(leg))
            }
            PeerMessage::Candidate { leg, candidate } => self.candidate(&seat, leg, candidate),
            PeerMessage::CloseLeg { leg } => {
                self.close_leg(&seat, leg);
                Ok(())
            }
            PeerMessage::Mute { track, muted } => self.mute_own(&seat, track, muted),
            PeerMessage::Rename { name } => self.rename(&seat, &name),
            PeerMessage::Chat { text, to } => self.chat(&seat, connection, text, to, now),
            PeerMessage::Kick { participant } => self.kick(&seat, participant, now),
            PeerMessage::MuteOther { track } => self.mute_other(&seat, track),
            PeerMessage::MoveProgress { epoch, step } => {
                self.move_progress(&seat, epoch, step, now);
                Ok(())
            }
            PeerMessage::HostLost { epoch, .. } => {
                self.host_lost(&seat, epoch, now);
                Ok(())
            }
            PeerMessage::PassBaton { to } => self.pass_baton(&seat, to, now),
            PeerMessage::SetHostingPolicy { policy } => self.set_hosting_policy(&seat, policy, now),
            PeerMessage::UseServer { always } => self.use_server(&seat, always, now),
            PeerMessage::OfferHosting { name } => self.offer_hosting(&seat, connection, &name, now),
            PeerMessage::Leave => {
                self.remove(&seat.room, seat.participant, LeaveReason::Left, now);
                Ok(())
            }
            PeerMessage::Join(_) | PeerMessage::Ping { .. } | PeerMessage::Unknown => Ok(()),
        }
    }

    fn timer_fired(&mut self, timer: Timer, now: Now) {
        match timer {
            Timer::Absence(room, participant) => {
                let entry = self.rooms.get(&room);
                let one = entry.and_then(|entry| entry.participants.get(&participant));
                let is_over = one.is_some_and(|one| match one.presence {
                    Presence::Lost { until } | Presence::Unclaimed { until } => {
                        until <= now.instant
                    }
                    Presence::Socket(_) | Presence::Session(_) => false,
                });
                if is_over {
                    self.remove(&room, participant, LeaveReason::TimedOut, now);
                }
            }
            Timer::Vacancy(room, vacancy) => {
                let entry = self.rooms.get(&room);
                if entry.is_some_and(|entry| entry.is_empty() && entry.vacancy == vacancy) {
                    self.close_room(&room, now);
                }
            }
            Timer::Answer(room, participant, leg, request) => {
                self.answer_overdue(&room, participant, leg, request, now);
            }
            Timer::Baton(room) => self.baton_due(&room, now),
            Timer::Credentials => self.renew_credentials(now),
            Timer::Orphans(host) => {
                let since = self.hosts.gone_since(host);
                let patience = self.config.limits.orphaned_session;
                if since.is_some_and(|since| since + patience <= now.instant) {
                    self.end_orphans(host, now);
                }
            }
        }
    }

    /// Sends to a host if it is linked. What it misses it learns from its next hello.
    fn command(&mut self, host: baton_protocol::HostId, command: HostCommand) {
        if let Some(link) = self.hosts.link_of(host) {
            self.outputs.push_back(Output::Host { link, command });
        }
    }

    fn send(&mut self, connection: ConnectionId, message: ServiceMessage) {
        self.outputs.push_back(Output::Peer {
            connection,
            message,
        });
    }

    fn refuse(&mut self, connection: ConnectionId, refused: Refused) {
        self.send(
            connection,
            ServiceMessage::Error {
                code: refused.code,
                message: refused.message,
                leg: refused.leg,
                fatal: refused.is_fatal,
            },
        );
        if refused.is_fatal {
            self.outputs.push_back(Output::ClosePeer {
                connection,
                reason: CloseReason::Refused,
            });
        }
    }
}

#[cfg(test)]
mod tests;
