//! The socket to signaling: joining, noticing a dead line, coming back as who one was.
//!
//! Owns: the connection and the resume token. Does not own: what the messages mean, nor media, which goes on without it.
//! While the socket is away what is said is lost; whoever speaks hears of [`SessionEvent::Lost`] and of the next
//! `joined`, and says again what still matters.

use std::time::Duration;

use baton_protocol::limits::MAX_MESSAGE;
use baton_protocol::{
    ErrorCode, Join, LeaveReason, PROTOCOL_VERSION, PeerMessage, Resume, RoomId, ServiceMessage,
};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::backoff::backoff;
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

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why a connection ended.
enum Ended {
    /// It broke; another one is tried.
    Lost(String),
    /// It is over for good, and everybody who wants to know is told.
    Over(Ending),
    /// Nobody listens any more.
    Forgotten,
}

struct Line {
    entrance: Entrance,
    resume: Option<String>,
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
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let connect = connect_async_with_config(&self.entrance.signaling, Some(config), true);
        match timeout(CONNECT, connect).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("signaling did not answer in time".to_owned()),
        }
    }

    /// One connection, from `join` to its end.
    async fn converse(&mut self, mut socket: Socket) -> Ended {
        let mut is_joined = false;
        if let Err(lost) = write(&mut socket, &self.join()).await {
            return lost;
        }
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut nonce = 0_u32;
        loop {
            tokio::select! {
                frame = socket.next() => {
                    heard = Instant::now();
                    match frame {
                        Some(Ok(Message::Text(text))) => {
                            if let Err(ended) = self.hear(text.as_str(), &mut is_joined).await {
                                return ended;
                            }
                        }
                        Some(Ok(Message::Close(_))) | None => return Ended::Lost("signaling closed it".to_owned()),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Ended::Lost(error.to_string()),
                    }
                }
                message = self.inbox.recv(), if is_joined => match message {
                    Some(message) => {
                        let is_last = message == PeerMessage::Leave;
                        let written = write(&mut socket, &message).await;
                        if is_last {
                            // A socket dropped with unread messages is reset, and the goodbye lost with it.
                            let farewell = async {
                                let _ = socket.close(None).await;
                                while let Some(Ok(_)) = socket.next().await {}
                            };
                            let _ = timeout(GOODBYE, farewell).await;
                            return Ended::Over(Ending::Left);
                        }
                        if let Err(lost) = written {
                            return lost;
                        }
                    }
                    None => return Ended::Forgotten,
                },
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE {
                        return Ended::Lost("signaling fell silent".to_owned());
                    }
                    nonce = nonce.wrapping_add(1);
                    if is_joined && let Err(lost) = write(&mut socket, &PeerMessage::Ping { nonce }).await {
                        return lost;
                    }
                }
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
            self.attempt = 0;
            *is_joined = true;
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
            resume: self.resume.clone().map(|token| Resume { token }),
        })
    }
}

async fn write(socket: &mut Socket, message: &PeerMessage) -> Result<(), Ended> {
    let text = serde_json::to_string(message).expect("a message is always JSON");
    match timeout(SILENCE, socket.send(Message::Text(text.into()))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(tungstenite::Error::AlreadyClosed | tungstenite::Error::ConnectionClosed)) => {
            Err(Ended::Lost("signaling closed it".to_owned()))
        }
        Ok(Err(error)) => Err(Ended::Lost(error.to_string())),
        Err(_) => Err(Ended::Lost("signaling stopped reading".to_owned())),
    }
}

/// Messages that wait in each direction.
const QUEUE: usize = 256;

const CONNECT: Duration = Duration::from_secs(5);
const PING: Duration = Duration::from_secs(8);
const SILENCE: Duration = Duration::from_secs(15);
const GOODBYE: Duration = Duration::from_millis(500);
