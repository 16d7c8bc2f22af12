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

use crate::invite::{Invite, Secret};

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
            heir: None,
            is_at_heir: false,
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
    /// Where else signaling may be: each other try goes there.
    heir: Option<Heir>,
    /// The present try, or connection, is the heir's.
    is_at_heir: bool,
    /// The newest term that one was told of as who one is.
    believed: Option<Epoch>,
    /// Tries since one was last joined.
    attempt: usize,
    inbox: mpsc::Receiver<PeerMessage>,
    events: mpsc::Sender<SessionEvent>,
}

/// Who serves signaling when the service that the invite names is gone.
struct Heir {
    invites: Vec<Invite>,
    resume: Option<String>,
}

impl Line {
    /// Where the next try goes: home first, then in turn.
    fn choose(&mut self) -> (String, Trust) {
        let invites = self.heir.as_ref().map_or(&[][..], |heir| &heir.invites);
        let invite = match invites.len() {
            count if count > 0 && self.attempt % 2 == 1 => invites.get(self.attempt / 2 % count),
            _ => None,
        };
        let chosen = invite.map(|invite| (invite.signaling.clone(), invite.trust()));
        self.is_at_heir = chosen.is_some();
        chosen.unwrap_or_else(|| (self.entrance.signaling.clone(), self.entrance.trust.clone()))
    }

    fn note_heir(&mut self, invites: &[String], resume: String) {
        let invites = invites.iter().take(MOST_INVITES);
        let invites: Vec<Invite> = invites.filter_map(|link| link.parse().ok()).collect();
        // A place without a certificate to believe is not asked: anybody could be there.
        let is_sure =
            |invite: &Invite| invite.certificate.is_some() && invite.room == self.entrance.room;
        let invites: Vec<Invite> = invites.into_iter().filter(is_sure).collect();
        let resume = Some(resume);
        self.heir = (!invites.is_empty()).then_some(Heir { invites, resume });
    }

    /// The token for where one is.
    fn resume(&mut self) -> &mut Option<String> {
        match &mut self.heir {
            Some(heir) if self.is_at_heir => &mut heir.resume,
            _ => &mut self.resume,
        }
    }

    async fn run(mut self) {
        let ended = loop {
            let ended = match self.connect().await {
                Ok(socket) => self.converse(socket).await,
                Err(reason) => Ended::Lost(reason),
            };
            let Ended::Lost(reason) = ended else {
                break ended;
            };
            let attempt = match self.heir {
                // Two places to look at, and people around who wait.
                Some(_) => self.attempt.min(SOON),
                None => self.attempt,
            };
            let pause = backoff(attempt, rand::random());
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

    async fn connect(&mut self) -> Result<Socket, String> {
        let (signaling, trust) = self.choose();
        let opened = Socket::open(signaling.as_str(), &trust).await;
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
        if let ServiceMessage::Heir { invites, resume } = &message {
            // The heir has one of its own; whose place is lost is for the service that one comes back to.
            if !self.is_at_heir {
                self.note_heir(invites, resume.clone());
            }
        }
        if let ServiceMessage::Joined(joined) = &message {
            *self.resume() = Some(joined.resume.clone());
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
            && self.resume().take().is_some();
        let message = message.to_owned();
        // What the heir refuses, home may not.
        if is_passing || is_about_resume || self.is_at_heir {
            Ended::Lost(message)
        } else {
            Ended::Over(Ending::Refused { code, message })
        }
    }

    fn join(&mut self) -> PeerMessage {
        let resume = self.resume().clone();
        let Entrance {
            room, name, token, ..
        } = self.entrance.clone();
        PeerMessage::Join(Join {
            protocol: PROTOCOL_VERSION,
            room,
            name,
            token: token.map(|Secret(token)| token),
            resume: resume.map(|token| Resume {
                token,
                epoch: self.believed,
            }),
        })
    }
}

/// Messages that wait in each direction.
const QUEUE: usize = 256;

/// Where there is an heir, pauses grow no longer than after so many tries: a second.
const SOON: usize = 2;

/// Addresses of an heir that are tried.
const MOST_INVITES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "wss://192.0.2.1:7880/ws";

    fn line() -> Line {
        let (_, inbox) = mpsc::channel(1);
        let (events, _) = mpsc::channel(1);
        Line {
            entrance: Entrance {
                signaling: HOME.to_owned(),
                room: "kitchen".parse().unwrap(),
                name: "Ana".to_owned(),
                token: None,
                trust: Trust::default(),
            },
            resume: Some("home".to_owned()),
            heir: None,
            is_at_heir: false,
            believed: None,
            attempt: 0,
            inbox,
            events,
        }
    }

    fn tries(line: &mut Line) -> Vec<(String, Option<String>)> {
        let tried = (0..5).map(|attempt| {
            line.attempt = attempt;
            let (url, _) = line.choose();
            (url, line.resume().clone())
        });
        tried.collect()
    }

    #[test]
    fn each_other_try_goes_to_the_heir_with_a_token_for_it() {
        let mut line = line();
        let home = (HOME.to_owned(), Some("home".to_owned()));
        assert_eq!(tries(&mut line), vec![home.clone(); 5]);
        let certificate = "ab".repeat(32);
        let link = |rest: &str| format!("https://192.0.2.{rest}");
        let invites = [
            link(&format!("7:1/r/kitchen?token=x#sha256={certificate}")),
            link(&format!("8:1/r/cellar#sha256={certificate}")),
            link("9:1/r/kitchen"),
            "nonsense".to_owned(),
            link(&format!("10:1/r/kitchen#sha256={certificate}")),
        ];
        line.note_heir(&invites, "heir".to_owned());
        let heir = |url: &str| (format!("wss://192.0.2.{url}:1/ws"), Some("heir".to_owned()));
        let expected = [home.clone(), heir("7"), home.clone(), heir("10"), home];
        assert_eq!(tries(&mut line), expected);
    }

    #[test]
    fn what_the_heir_refuses_is_no_end() {
        let mut line = line();
        let link = format!("https://192.0.2.7:1/r/kitchen#sha256={}", "ab".repeat(32));
        line.note_heir(&[link], "heir".to_owned());
        line.attempt = 1;
        line.choose();
        let ended = line.handle_refusal(ErrorCode::Forbidden, "no");
        assert!(matches!(ended, Ended::Lost(_)));
        line.attempt = 2;
        line.choose();
        let ended = line.handle_refusal(ErrorCode::Forbidden, "no");
        assert!(matches!(ended, Ended::Over(_)));
        assert_eq!(line.resume().as_deref(), Some("home"));
    }
}
