//! The link over a WebSocket to signaling's `/host`: it comes back by itself, and media never waits for it.
//!
//! While the link is down the host's messages only change the roster; the `hello` of the next connection carries
//! the whole of it, which supersedes everything that could not be said.

use std::time::Duration;

use baton_protocol::limits::MAX_MESSAGE;
use baton_protocol::{HostCommand, HostHello, HostId, HostKind, HostMessage, PROTOCOL_VERSION};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, header::AUTHORIZATION};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::{HostLink, Roster};

/// Where signaling is and who calls.
#[derive(Clone)]
pub struct RemoteLink {
    /// Base address of signaling (`http`, `https`, `ws` or `wss`); `/host` is added.
    pub url: String,
    /// Host token, sent as a bearer token.
    pub token: String,
    /// What people call this host.
    pub name: String,
    /// Whose computer it runs on.
    pub kind: HostKind,
}

/// The address or the token cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLink {
    /// The address is not one.
    #[error(
        "the signaling address is not usable: {0}; expected something like https://call.example.org"
    )]
    Url(String),
    /// The token has characters that no header can carry.
    #[error("the host token has characters that a token cannot have")]
    Token,
}

/// Starts the link. It lives until the host drops its end; must be called inside a tokio runtime.
pub fn connect(link: &RemoteLink) -> Result<HostLink, InvalidLink> {
    let request = request(link)?;
    let (commands, command_inbox) = mpsc::channel(QUEUE);
    let (message_outbox, messages) = mpsc::channel(QUEUE);
    let session = Session {
        request,
        name: link.name.clone(),
        kind: link.kind,
        host: None,
        roster: Roster::default(),
        commands,
        messages,
    };
    tokio::spawn(session.run());
    Ok(HostLink {
        commands: command_inbox,
        messages: message_outbox,
    })
}

fn request(link: &RemoteLink) -> Result<Request<()>, InvalidLink> {
    let base = link.url.trim_end_matches('/');
    let base = match base.split_once("://") {
        Some(("http", rest)) => format!("ws://{rest}"),
        Some(("https", rest)) => format!("wss://{rest}"),
        _ => base.to_owned(),
    };
    let invalid = |error: tungstenite::Error| InvalidLink::Url(error.to_string());
    let mut request = format!("{base}/host")
        .into_client_request()
        .map_err(invalid)?;
    let bearer = format!("Bearer {}", link.token);
    let mut value = HeaderValue::from_str(&bearer).map_err(|_| InvalidLink::Token)?;
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(request)
}

struct Session {
    request: Request<()>,
    name: String,
    kind: HostKind,
    host: Option<HostId>,
    roster: Roster,
    commands: mpsc::Sender<HostCommand>,
    messages: mpsc::Receiver<HostMessage>,
}

/// Why a connection ended.
enum Ended {
    /// It broke; another one is tried.
    Lost(String),
    /// The host is gone.
    Done,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Session {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            let pause = BACKOFF
                .get(failures)
                .or(BACKOFF.last())
                .copied()
                .unwrap_or_default();
            if self.wait(pause).await.is_err() {
                return;
            }
            let attempt = Instant::now();
            let reason = match self.open().await {
                Ok(socket) => match self.converse(socket).await {
                    Ended::Lost(reason) => reason,
                    Ended::Done => return,
                },
                Err(reason) => reason,
            };
            failures = if attempt.elapsed() > LASTING {
                0
            } else {
                failures + 1
            };
            tracing::warn!(reason, "the link to signaling is down; running calls go on");
        }
    }

    /// Lets `pause` pass; what the host says meanwhile changes the roster only. `Err`: the host is gone.
    async fn wait(&mut self, pause: Duration) -> Result<(), ()> {
        let rest = sleep(pause);
        tokio::pin!(rest);
        loop {
            tokio::select! {
                () = &mut rest => return Ok(()),
                message = self.messages.recv() => match message {
                    Some(message) => self.roster.note_message(&message),
                    None => return Err(()),
                },
            }
        }
    }

    async fn open(&mut self) -> Result<Socket, String> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let connect = connect_async_with_config(self.request.clone(), Some(config), true);
        match timeout(CONNECT, connect).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(tungstenite::Error::Http(answer))) if matches!(answer.status().as_u16(), 401 | 403) => {
                Err("signaling refused the host token; check host_token, or that both sides have the same secret".to_owned())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("signaling did not answer in time".to_owned()),
        }
    }

    /// One connection, from `hello` to its end.
    async fn converse(&mut self, mut socket: Socket) -> Ended {
        while let Ok(message) = self.messages.try_recv() {
            self.roster.note_message(&message);
        }
        if let Err(lost) = say(&mut socket, &HostMessage::Hello(self.hello())).await {
            return lost;
        }
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                frame = socket.next() => {
                    heard = Instant::now();
                    match frame {
                        Some(Ok(Message::Text(text))) => {
                            if let Some(ended) = self.hear(text.as_str()).await {
                                return ended;
                            }
                        }
                        Some(Ok(Message::Close(_))) | None => return Ended::Lost("signaling closed it".to_owned()),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Ended::Lost(error.to_string()),
                    }
                }
                message = self.messages.recv() => {
                    let Some(message) = message else {
                        let _ = timeout(CONNECT, socket.close(None)).await;
                        return Ended::Done;
                    };
                    self.roster.note_message(&message);
                    if let Err(lost) = say(&mut socket, &message).await {
                        return lost;
                    }
                }
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE {
                        return Ended::Lost("signaling fell silent".to_owned());
                    }
                    if let Err(lost) = write(&mut socket, Message::Ping(Vec::new().into())).await {
                        return lost;
                    }
                }
            }
        }
    }

    async fn hear(&mut self, text: &str) -> Option<Ended> {
        let command = match serde_json::from_str::<HostCommand>(text) {
            Ok(HostCommand::Unknown) => return None,
            Ok(command) => command,
            Err(error) => {
                tracing::warn!(%error, "signaling sent a message that makes no sense; it is ignored");
                return None;
            }
        };
        if let HostCommand::Accepted { host } = command {
            tracing::info!(%host, "signaling accepted this host");
            self.host = Some(host);
        }
        self.roster.note_command(&command);
        self.commands
            .send(command)
            .await
            .is_err()
            .then_some(Ended::Done)
    }

    fn hello(&self) -> HostHello {
        HostHello {
            protocol: PROTOCOL_VERSION,
            name: self.name.clone(),
            kind: self.kind,
            host: self.host,
            rooms: self.roster.rooms(),
            denials: self.roster.denials(),
        }
    }
}

async fn say(socket: &mut Socket, message: &HostMessage) -> Result<(), Ended> {
    let text = serde_json::to_string(message).expect("a host message is always JSON");
    write(socket, Message::Text(text.into())).await
}

async fn write(socket: &mut Socket, message: Message) -> Result<(), Ended> {
    match timeout(SILENCE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Ended::Lost(error.to_string())),
        Err(_) => Err(Ended::Lost("signaling stopped reading".to_owned())),
    }
}

/// Pauses before the first attempt, the second, and so on; the last one repeats.
const BACKOFF: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// A connection that lasted this long starts the pauses anew.
const LASTING: Duration = Duration::from_secs(5);

const CONNECT: Duration = Duration::from_secs(5);
const PING: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(15);

/// Commands or messages that wait between host and link.
const QUEUE: usize = 1024;

#[cfg(test)]
mod tests;
