//! A service on port 0, a host that answers every offer, and people with WebSockets.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Extension;
use axum::extract::ConnectInfo;
use baton_protocol::{
    Answer, HostCommand, HostMessage, Join, Joined, PROTOCOL_VERSION, PeerMessage, Resume,
    ServiceMessage, Source, TrackInfo, TrackOffer, Tracks,
};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::service::{LocalHostLink, Service, ServiceConfig, router};
use crate::{Access, Secret};

/// Nothing on loopback takes longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// A service, its address, and what its host was told.
pub(super) struct Bench {
    pub(super) service: Service,
    pub(super) address: SocketAddr,
    pub(super) told: mpsc::UnboundedReceiver<HostCommand>,
}

/// A person's socket.
pub(super) struct Peer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

pub(super) fn secret() -> Secret {
    Secret::new("a secret of the tests, long enough").expect("32 bytes")
}

impl Bench {
    /// An open service with a host that answers.
    pub(super) async fn open() -> Self {
        Self::with(ServiceConfig::new(Access::Open, secret())).await
    }

    pub(super) async fn with(config: ServiceConfig) -> Self {
        let service = Service::new(config);
        let link = service.local_host("scripted");
        let told = answer_all(link);
        let address = listen(&service).await;
        Self {
            service,
            address,
            told,
        }
    }

    pub(super) async fn peer(&self) -> Peer {
        Peer::connect(self.address).await
    }

    /// The next command of that kind.
    pub(super) async fn told(&mut self, is_it: impl Fn(&HostCommand) -> bool) -> HostCommand {
        loop {
            let next = tokio::time::timeout(DEADLINE, self.told.recv()).await;
            let command = next.expect("in time").expect("the host lives");
            if is_it(&command) {
                return command;
            }
        }
    }
}

pub(super) async fn listen(service: &Service) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let app = router(service.clone()).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A service whose visitors all seem to come from `remote`.
pub(super) async fn listen_for(service: &Service, remote: IpAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let remote = ConnectInfo(SocketAddr::new(remote, 1));
    let app = router(service.clone()).layer(Extension(remote));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Agrees to every offer and says what it was told.
fn answer_all(mut link: LocalHostLink) -> mpsc::UnboundedReceiver<HostCommand> {
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(command) = link.commands.recv().await {
            if let Some(reply) = reply(&command) {
                link.messages.send(reply).await.ok();
            }
            tell.send(command).ok();
        }
    });
    told
}

fn reply(command: &HostCommand) -> Option<HostMessage> {
    let negotiate = match command {
        HostCommand::Negotiate(negotiate) => negotiate,
        HostCommand::RestartIce {
            room,
            participant,
            leg,
            request,
            ..
        } => {
            return Some(HostMessage::IceRestarted {
                room: room.clone(),
                participant: *participant,
                leg: *leg,
                request: *request,
                ice: baton_protocol::IceParameters {
                    ufrag: "host".to_owned(),
                    pwd: "hostpasswordhostpassword".to_owned(),
                },
                candidates: vec!["candidate:1 1 udp 1 127.0.0.1 7881 typ host".to_owned()],
            });
        }
        _ => return None,
    };
    if negotiate.sdp.contains("refuse me") {
        return Some(HostMessage::Refused(baton_protocol::Refusal {
            room: negotiate.room.clone(),
            participant: negotiate.participant,
            leg: negotiate.leg,
            request: negotiate.request,
            message: "line 3: no fingerprint".to_owned(),
        }));
    }
    if negotiate.sdp.contains("say nothing") {
        return None;
    }
    let tracks = match &negotiate.tracks {
        Tracks::Declared(tracks) => tracks.clone(),
        Tracks::Derived(ids) => ids
            .iter()
            .zip([Source::Microphone, Source::Camera])
            .map(|(id, source)| TrackInfo {
                id: *id,
                mid: format!("{source:?}"),
                source,
                layers: Vec::new(),
                muted: false,
            })
            .collect(),
    };
    Some(HostMessage::Answer(Answer {
        room: negotiate.room.clone(),
        epoch: negotiate.epoch,
        participant: negotiate.participant,
        leg: negotiate.leg,
        request: negotiate.request,
        sdp: format!("answer to {}", negotiate.sdp),
        tracks,
        slots: Vec::new(),
    }))
}

impl Peer {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let url = format!("ws://{address}/ws");
        let (socket, _) = tokio_tungstenite::connect_async(url)
            .await
            .expect("a socket");
        Self { socket }
    }

    pub(super) async fn send(&mut self, message: &PeerMessage) {
        let text = serde_json::to_string(message).expect("plain data");
        self.say(&text).await;
    }

    pub(super) async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.ok();
    }

    /// The next message, in time.
    pub(super) async fn next(&mut self) -> ServiceMessage {
        self.next_or_close().await.expect("a message, not the end")
    }

    /// The next message, or the code that the socket is closed with.
    pub(super) async fn next_or_close(&mut self) -> Result<ServiceMessage, u16> {
        loop {
            let frame = tokio::time::timeout(DEADLINE, self.socket.next()).await;
            match frame.expect("in time") {
                Some(Ok(Message::Text(text))) => {
                    let message = serde_json::from_str(&text).expect("a message");
                    // Said with every welcome; stories of the registry look at it.
                    if !matches!(message, ServiceMessage::Hosting { .. }) {
                        return Ok(message);
                    }
                }
                Some(Ok(Message::Close(Some(frame)))) => return Err(frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(0),
            }
        }
    }

    /// Skips to the next message for which `pick` has something.
    pub(super) async fn until<T>(&mut self, pick: impl Fn(ServiceMessage) -> Option<T>) -> T {
        loop {
            if let Some(found) = pick(self.next().await) {
                return found;
            }
        }
    }

    pub(super) async fn join(&mut self, room: &str, name: &str) -> Joined {
        self.join_with(room, name, None, None).await
    }

    pub(super) async fn join_with(
        &mut self,
        room: &str,
        name: &str,
        token: Option<String>,
        resume: Option<String>,
    ) -> Joined {
        self.send(&PeerMessage::Join(join(room, name, token, resume)))
            .await;
        self.until(|message| match message {
            ServiceMessage::Joined(joined) => Some(joined),
            _ => None,
        })
        .await
    }
}

pub(super) fn join(room: &str, name: &str, token: Option<String>, resume: Option<String>) -> Join {
    Join {
        protocol: PROTOCOL_VERSION,
        room: room.parse().expect("room name"),
        name: name.to_owned(),
        token,
        resume: resume.map(|token| Resume { token, epoch: None }),
    }
}

pub(super) fn track(mid: &str, source: Source) -> TrackOffer {
    TrackOffer {
        mid: mid.to_owned(),
        source,
        layers: Vec::new(),
        muted: false,
    }
}
