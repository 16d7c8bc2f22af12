//! The link over a WebSocket to signaling's `/host`: it comes back by itself, and media never waits for it.
//!
//! While the link is down the host's messages only change the roster; the `hello` of the next connection carries
//! the whole of it, which supersedes everything that could not be said.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton_engine::sdp::Fingerprint;
use baton_protocol::{HostCommand, HostHello, HostId, HostKind, HostMessage, PROTOCOL_VERSION};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, header::AUTHORIZATION};

use super::socket::{Lost, Socket, Trust, Unreachable};
use super::{Credential, HostLink, Roster, backoff};

/// Where signaling is and who calls.
#[derive(Clone)]
pub struct RemoteLink {
    /// Base address of signaling (`http`, `https`, `ws` or `wss`); `/host` is added.
    pub url: String,
    /// Host token, sent as a bearer token.
    pub credential: Credential,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// What people call this host.
    pub name: String,
    /// Whose computer it runs on.
    pub kind: HostKind,
    /// Of the certificate that its legs show.
    pub fingerprint: Fingerprint,
}

/// Where signaling is at the moment, as in [`RemoteLink`].
#[derive(Clone)]
pub struct Route {
    /// Base address.
    pub url: String,
    /// Host token.
    pub credential: Credential,
    /// Whose certificates are believed.
    pub trust: Trust,
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
    /// There is no token.
    #[error("{0}")]
    Credential(#[from] io::Error),
}

/// Starts the link. It lives until the host drops its end; must be called inside a tokio runtime.
pub fn connect(link: &RemoteLink) -> Result<HostLink, InvalidLink> {
    let (_, routes) = watch::channel(link.route());
    connect_along(link, routes)
}

/// The same, where signaling may move: the link follows the newest of `routes` at once.
pub fn connect_along(
    link: &RemoteLink,
    routes: watch::Receiver<Route>,
) -> Result<HostLink, InvalidLink> {
    // What cannot work is told at once.
    request(&link.route())?;
    let (commands, command_inbox) = mpsc::channel(QUEUE);
    let (message_outbox, messages) = mpsc::channel(QUEUE);
    let session = Session {
        link: link.clone(),
        routes,
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

/// Is signaling there, and does it know this host's token?
pub async fn is_reached(route: &Route) -> bool {
    let Ok(request) = request(route) else {
        return false;
    };
    match Socket::open(request, &route.trust).await {
        Ok(socket) => {
            socket.close().await;
            true
        }
        Err(_) => false,
    }
}

impl RemoteLink {
    /// Where it goes at first.
    pub fn route(&self) -> Route {
        Route {
            url: self.url.clone(),
            credential: self.credential.clone(),
            trust: self.trust.clone(),
        }
    }
}

fn request(route: &Route) -> Result<Request<()>, InvalidLink> {
    let base = route.url.trim_end_matches('/');
    let base = match base.split_once("://") {
        Some(("http", rest)) => format!("ws://{rest}"),
        Some(("https", rest)) => format!("wss://{rest}"),
        _ => base.to_owned(),
    };
    let mut request = format!("{base}/host")
        .into_client_request()
        .map_err(|error| InvalidLink::Url(error.to_string()))?;
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let token = route
        .credential
        .token(since_1970.map_or(0, |since| since.as_secs()))?;
    let bearer = format!("Bearer {token}");
    let mut value = HeaderValue::from_str(&bearer).map_err(|_| InvalidLink::Token)?;
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(request)
}

struct Session {
    link: RemoteLink,
    routes: watch::Receiver<Route>,
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

impl From<Lost> for Ended {
    fn from(Lost(reason): Lost) -> Self {
        Self::Lost(reason)
    }
}

impl Session {
    async fn run(mut self) {
        let mut failures = 0;
        loop {
            let pause = backoff(failures, rand::random());
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
                () = moved(&mut self.routes) => return Ok(()),
                message = self.messages.recv() => match message {
                    Some(message) => self.roster.note_message(&message),
                    None => return Err(()),
                },
            }
        }
    }

    async fn open(&mut self) -> Result<Socket, String> {
        let route = self.routes.borrow_and_update().clone();
        let request = request(&route).map_err(|invalid| invalid.to_string())?;
        let opened = Socket::open(request, &route.trust).await;
        opened.map_err(|unreachable| match unreachable {
            Unreachable::Refused => {
                "signaling refused the host token; check host_token, or that both sides have the same secret".to_owned()
            }
            Unreachable::Failed(reason) => reason,
        })
    }

    /// One connection, from `hello` to its end.
    async fn converse(&mut self, mut socket: Socket) -> Ended {
        while let Ok(message) = self.messages.try_recv() {
            self.roster.note_message(&message);
        }
        if let Err(lost) = socket.say(&HostMessage::Hello(self.hello())).await {
            return lost.into();
        }
        if let Some(message) = self.roster.reflects()
            && let Err(lost) = socket.say(message).await
        {
            return lost.into();
        }
        loop {
            tokio::select! {
                text = socket.hear() => match text {
                    Ok(text) => {
                        if let Some(ended) = self.hear(text.as_str()).await {
                            return ended;
                        }
                    }
                    Err(lost) => return lost.into(),
                },
                () = moved(&mut self.routes) => {
                    socket.close().await;
                    return Ended::Lost("signaling is elsewhere now".to_owned());
                }
                message = self.messages.recv() => {
                    let Some(message) = message else {
                        socket.close().await;
                        return Ended::Done;
                    };
                    self.roster.note_message(&message);
                    if let Err(lost) = socket.say(&message).await {
                        return lost.into();
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
        if let HostCommand::Accepted { host, .. } = command {
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
            fingerprint: Some(self.link.fingerprint.digits()),
            protocol: PROTOCOL_VERSION,
            name: self.link.name.clone(),
            kind: self.link.kind,
            host: self.host,
            rooms: self.roster.rooms(),
            denials: self.roster.denials(),
        }
    }
}

/// When there is another route.
async fn moved(routes: &mut watch::Receiver<Route>) {
    if routes.changed().await.is_err() {
        // Nobody can name another one any more.
        std::future::pending().await
    }
}

/// A connection that lasted this long starts the pauses anew.
const LASTING: Duration = Duration::from_secs(5);

/// Commands or messages that wait between host and link.
const QUEUE: usize = 1024;

#[cfg(test)]
mod tests;
