//! The socket to signaling: joining, noticing a dead line, coming back as who one was.
//!
//! Owns: when a connection is tried, and the resume token. Does not own: the socket itself ([`Socket`], the same as a host's),
//! what the messages mean, nor media, which goes on without it.
//! While the socket is away what is said is lost; whoever speaks hears of [`SessionEvent::Lost`] and of the next
//! `joined`, and says again what still matters.

use std::time::Duration;

use baton_protocol::{
    Epoch, ErrorCode, Join, LeaveReason, PROTOCOL_VERSION, PeerMessage, Resume, RoomId,
    ServiceMessage,
};
use baton_server::link::{Lost, Socket, Trust, Unreachable, backoff};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::invite::Secret;

/// Where to, and as whom.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// WebSocket address of signaling.
    pub signaling: String,
    /// Which room.
    pub room: RoomId,
    /// Name to show.
    pub name: String,
    /// Join token, where the service asks for one.
    pub token: Option<Secret>,
    /// Whose certificates are believed.
    pub trust: Trust,
}

/// What a session has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// Signaling said something; the first is `joined`, and so is the first after a loss.
    Message(ServiceMessage),
    /// The socket is away; another try follows by itself.
    Lost {
        /// For people.
        reason: String,
        /// Until the next try.
        pause: Duration,
    },
    /// Nothing follows.
    Over(Ending),
}

/// Why there is no way back.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Ending {
    /// One left.
    Left,
    /// One was removed.
    Removed {
        /// Why.
        reason: LeaveReason,
    },
    /// Signaling does not let one in.
    Refused {
        /// For programs.
        code: ErrorCode,
        /// For people.
        message: String,
    },
}

/// A session. Dropping it closes the socket without a goodbye, so that one is missed for 30 s before one is gone.
#[derive(Debug)]
pub struct Session {
    outbox: mpsc::Sender<PeerMessage>,
    events: mpsc::Receiver<SessionEvent>,
}

impl Session {
    /// Starts to connect; must be called inside a tokio runtime.
    pub fn open(entrance: Entrance) -> Self {
        let (outbox, inbox) = mpsc::channel(QUEUE);
        let (reports, events) = mpsc::channel(QUEUE);
        let line = Line {
            entrance,
            resume: None,
            believed: None,
            attempt: 0,
            inbox,
            events: reports,
        };
        tokio::spawn(line.run());
        Self { outbox, events }
    }

    /// Says something. False where it is lost for certain: the queue is full or the session over.
    pub fn say(&self, message: PeerMessage) -> bool {
        self.outbox.try_send(message).is_ok()
    }

    /// The next event; `None` after [`SessionEvent::Over`]. May be given up and asked again.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        self.events.recv().await
    }
}

/// Why a connection ended.
enum Ended {
    /// It broke; another one is tried.
    Lost(String),
    /// It is over for good, and everybody who wants to know is told.
    Over(Ending),
    /// Nobody listens any more.
    Forgotten,
}

impl From<Lost> for Ended {
    fn from(Lost(reason): Lost) -> Self {
        Self::Lost(reason)
    }
}

struct Line {
    entrance: Entrance,
    resume: Option<String>,
    /// The newest term that one was told of as who one is.
    believed: Option<Epoch>,
    /// Tries since one was last joined.
    attempt: usize,
    inbox: mpsc::Receiver<PeerMessage>,
    events: mpsc::Sender<SessionEvent>,
}

impl Line {
    async fn run(mut self) {
        let ended = loop {
            let ended = match self.connect().await {
                Ok(socket) => self.converse(socket).await,
                Err(reason) => Ended::Lost(reason),
            };
            let Ended::Lost(reason) = ended else {
                break ended;
            };
            let pause = backoff(self.attempt, rand::random());
            self.attempt += 1;
            let lost = SessionEvent::Lost { reason, pause };
            if self.events.send(lost).await.is_err() {
                return;
            }
            if let Err(ended) = self.wait(pause).await {
                break ended;
            }
        };
        if let Ended::Over(ending) = ended {
            // Nobody listens: then nobody has to be told.
            let _ = self.events.send(SessionEvent::Over(ending)).await;
        }
    }

    /// Lets `pause` pass. What is said meanwhile is lost, but for a goodbye.
    async fn wait(&mut self, pause: Duration) -> Result<(), Ended> {
        let rest = sleep(pause);
        tokio::pin!(rest);
        loop {
            tokio::select! {
                () = &mut rest => return Ok(()),
                message = self.inbox.recv() => match message {
                    Some(PeerMessage::Leave) => return Err(Ended::Over(Ending::Left)),
                    Some(_) => {}
                    None => return Err(Ended::Forgotten),
                },
            }
        }
    }

    async fn connect(&self) -> Result<Socket, String> {
        let Entrance {
            signaling, trust, ..
        } = &self.entrance;
        let opened = Socket::open(signaling.as_str(), trust).await;
        opened.map_err(|unreachable: Unreachable| unreachable.to_string())
    }

    /// One connection, from `join` to its end.
    async fn converse(&mut self, mut socket: Socket) -> Ended {
        let mut is_joined = false;
        if let Err(lost) = socket.say(&self.join()).await {
            return lost.into();
        }
        loop {
            tokio::select! {
                text = socket.hear() => match text {
                    Ok(text) => {
                        if let Err(ended) = self.hear(text.as_str(), &mut is_joined).await {
                            return ended;
                        }
                    }
                    Err(lost) => return lost.into(),
                },
                message = self.inbox.recv(), if is_joined => match message {
                    Some(message) => {
                        let said = socket.say(&message).await;
                        if message == PeerMessage::Leave {
                            socket.close().await;
                            return Ended::Over(Ending::Left);
                        }
                        if let Err(lost) = said {
                            return lost.into();
                        }
                    }
                    None => return Ended::Forgotten,
                },
            }
        }
    }

    async fn hear(&mut self, text: &str, is_joined: &mut bool) -> Result<(), Ended> {
        let message = match serde_json::from_str::<ServiceMessage>(text) {
            Ok(ServiceMessage::Unknown | ServiceMessage::Pong { .. }) => return Ok(()),
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, "signaling sent a message that makes no sense; it is ignored");
                return Ok(());
            }
        };
        if let ServiceMessage::Joined(joined) = &message {
            self.resume = Some(joined.resume.clone());
            self.believed = self.believed.filter(|_| joined.resumed);
            self.attempt = 0;
            *is_joined = true;
        }
        if let ServiceMessage::Hosting { hosting } = &message {
            self.believed = self.believed.max(Some(hosting.term.epoch));
        }
        if let ServiceMessage::Removed { reason } = message {
            return Err(Ended::Over(Ending::Removed { reason }));
        }
        if let ServiceMessage::Error {
            code,
            message,
            fatal: true,
            ..
        } = &message
        {
            return Err(self.handle_refusal(*code, message));
        }
        let event = SessionEvent::Message(message);
        self.events.send(event).await.map_err(|_| Ended::Forgotten)
    }

    /// A resume token that is too old is forgotten: one comes back as somebody new.
    fn handle_refusal(&mut self, code: ErrorCode, message: &str) -> Ended {
        let is_passing = matches!(code, ErrorCode::Internal | ErrorCode::TooFast);
        let is_about_resume = matches!(code, ErrorCode::Unauthorized | ErrorCode::NotFound)
            && self.resume.take().is_some();
        let message = message.to_owned();
        if is_passing || is_about_resume {
            Ended::Lost(message)
        } else {
            Ended::Over(Ending::Refused { code, message })
        }
    }

    fn join(&self) -> PeerMessage {
        let Entrance {
            room, name, token, ..
        } = self.entrance.clone();
        PeerMessage::Join(Join {
            protocol: PROTOCOL_VERSION,
            room,
            name,
            token: token.map(|Secret(token)| token),
            resume: self.resume.clone().map(|token| Resume {
                token,
                epoch: self.believed,
            }),
        })
    }
}

/// Messages that wait in each direction.
const QUEUE: usize = 256;
