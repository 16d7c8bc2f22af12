//! The shell: sockets, queues, HTTP and the clock around [`crate::Registry`].
//!
//! One task owns the registry; everybody else sends it events through one bounded queue. A slow reader is cut off
//! (it may resume), a fast writer waits; nobody slows the others.

mod actor;
mod admission;
mod api;
mod guard;
mod host_socket;
mod hosting;
mod lockout;
mod openapi;
mod outbox;
mod peer_socket;
mod pings;
mod problem;
mod sdpfrag;
mod stats;
mod whip;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::get;
use baton_protocol::{
    HostCommand, HostHello, HostKind, HostMessage, IceServer, PROTOCOL_VERSION, ParticipantId,
    ParticipantInfo, RoomId,
};
use rand::TryRng;
use rand::rngs::SysRng;
use tokio::sync::{mpsc, oneshot};

use crate::access::Access;
use crate::host::LinkId;
use crate::limits::Limits;
use crate::now::Now;
use crate::registry::{ConnectionId, Registry, RegistryConfig};
use crate::token::{Keys, Secret, Token};
use crate::turn::Turn;
use actor::{Actor, Event};
use admission::Admission;
use lockout::Lockout;
use stats::Counters;

pub use stats::Stats;

/// Events waiting for the registry's task.
const EVENTS: usize = 1024;

/// Commands waiting for one host, and messages waiting from it.
const HOST_QUEUE: usize = 4096;

/// How a service is set up.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Who may come in.
    pub access: Access,
    /// Signs resume tokens and what REST mints. Keep it over a restart, or nobody can resume across it.
    pub secret: Secret,
    /// STUN and TURN servers that everybody is told.
    pub ice_servers: Vec<IceServer>,
    /// A TURN server for which everybody gets credentials of their own.
    pub turn: Option<Turn>,
    /// Origins of pages elsewhere that may use this service, as `https://example.org` (no path).
    pub allowed_origins: Vec<String>,
    /// Bounds.
    pub limits: Limits,
}

impl ServiceConfig {
    /// A service with default bounds and nothing more allowed than `access` says.
    pub fn new(access: Access, secret: Secret) -> Self {
        Self {
            access,
            secret,
            ice_servers: Vec::new(),
            turn: None,
            allowed_origins: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// A running signaling service. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Service {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ServiceConfig,
    /// Keys for tokens that are shown to the shell: hosts' and administrators'.
    keys: Keys,
    events: mpsc::Sender<Event>,
    counters: Arc<Counters>,
    admission: Admission,
    lockout: Lockout,
    numbers: AtomicU64,
    /// What the moments of pings are counted from.
    began: tokio::time::Instant,
}

/// The link of a host in the same process: what a WebSocket on `/host` is to a remote one.
#[derive(Debug)]
pub struct LocalHostLink {
    /// What the host shall do. Ends when the service stops, or cut the link because the host did not keep up;
    /// ask for a new link then and say hello with the roster.
    pub commands: mpsc::Receiver<HostCommand>,
    /// What the host says. A `hello` is said for it already; another one, with a roster, may follow.
    pub messages: mpsc::Sender<HostMessage>,
}

impl Service {
    /// Starts the service's task on the present tokio runtime.
    pub fn new(config: ServiceConfig) -> Self {
        let registry = RegistryConfig {
            access: config.access.clone(),
            secret: config.secret.clone(),
            ice_servers: config.ice_servers.clone(),
            turn: config.turn.clone(),
            limits: config.limits.clone(),
            first_epoch: now().first_epoch(),
        };
        let mut seed = [0; 32];
        SysRng
            .try_fill_bytes(&mut seed)
            .expect("the operating system has randomness");
        let own = Keys::default()
            .with_secret(&config.secret)
            .expect("one key is within the bound");
        let keys = match &config.access {
            Access::Open | Access::Code { .. } => own,
            Access::Tokens { keys } => keys.joined(&own),
        };
        let (events, inbox) = mpsc::channel(EVENTS);
        let counters = Arc::new(Counters::default());
        let actor = Actor::new(Registry::new(registry, seed, now()), Arc::clone(&counters));
        tokio::spawn(actor.run(inbox));
        Self {
            inner: Arc::new(Inner {
                admission: Admission::new(&config.limits),
                lockout: Lockout::new(config.limits.failed_tokens),
                config,
                keys,
                events,
                counters,
                numbers: AtomicU64::new(1),
                began: tokio::time::Instant::now(),
            }),
        }
    }

    /// Links a host of the same process, which serves new rooms from now on. `name` is what people call it.
    pub fn local_host(&self, name: &str) -> LocalHostLink {
        let (commands, inbox) = mpsc::channel(HOST_QUEUE);
        let (messages, mut outbox) = mpsc::channel(HOST_QUEUE);
        let link = self.fresh_link();
        let opened = Event::HostOpened {
            link,
            subject: Some(LOCAL_SUBJECT.to_owned()),
            owner: None,
            commands,
        };
        let hello = HostHello {
            fingerprint: None,
            protocol: PROTOCOL_VERSION,
            name: name.to_owned(),
            kind: HostKind::Central,
            host: None,
            rooms: Vec::new(),
            denials: Vec::new(),
        };
        let first = [
            opened,
            Event::Host {
                link,
                message: HostMessage::Hello(hello),
            },
        ];
        let events = self.inner.events.clone();
        let late = first.map(|event| {
            events
                .try_send(event)
                .err()
                .map(mpsc::error::TrySendError::into_inner)
        });
        tokio::spawn(async move {
            for event in late.into_iter().flatten() {
                if events.send(event).await.is_err() {
                    return;
                }
            }
            while let Some(message) = outbox.recv().await {
                if events.send(Event::Host { link, message }).await.is_err() {
                    return;
                }
            }
            events.send(Event::HostGone { link }).await.ok();
        });
        LocalHostLink {
            commands: inbox,
            messages,
        }
    }

    /// Closes all sockets so that participants resume with the next service; media is left alone.
    pub async fn shutdown(&self) {
        let (done, finished) = oneshot::channel();
        if self
            .inner
            .events
            .send(Event::Shutdown { done })
            .await
            .is_ok()
        {
            finished.await.ok();
        }
    }

    /// The people in a room, those who may come back included. Empty where there is no such room.
    pub async fn participants(&self, room: &RoomId) -> Vec<ParticipantInfo> {
        let room = room.clone();
        let view = self.ask(move |registry, _| registry.room(&room)).await;
        view.flatten()
            .map_or_else(Vec::new, |view| view.participants)
    }

    /// These people were in a room that another signaling served until now.
    pub async fn introduce(&self, room: RoomId, people: Vec<(ParticipantId, String)>) {
        self.ask(move |registry, _| registry.introduce(&room, people))
            .await;
    }

    /// Ends a call: everybody is sent away and told so.
    pub async fn close_room(&self, room: &RoomId) {
        let room = room.clone();
        self.ask(move |registry, now| registry.delete_room(&room, now))
            .await;
    }

    /// Waits until no participant's socket is open any more: a process that ends before then takes the last words with it.
    pub async fn heard_out(&self) {
        while self.inner.admission.open() > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Has it been shut down?
    pub fn is_stopped(&self) -> bool {
        self.inner.events.is_closed()
    }

    /// Numbers of now, for metrics.
    pub fn stats(&self) -> Stats {
        self.inner.counters.snapshot()
    }

    /// Runs `question` on the registry. `None`: the service has stopped.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Registry, Now) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let ask = Event::Ask(Box::new(move |registry, now| {
            reply.send(question(registry, now)).ok();
        }));
        self.inner.events.send(ask).await.ok()?;
        answer.await.ok()
    }

    fn verify(&self, token: &str) -> Result<Token, crate::TokenError> {
        self.inner.keys.verify(token, now().unix_s())
    }

    fn is_open(&self) -> bool {
        self.inner.config.access.is_open()
    }

    fn limits(&self) -> &Limits {
        &self.inner.config.limits
    }

    fn fresh_connection(&self) -> ConnectionId {
        ConnectionId(self.inner.numbers.fetch_add(1, Ordering::Relaxed))
    }

    fn fresh_link(&self) -> LinkId {
        LinkId(self.inner.numbers.fetch_add(1, Ordering::Relaxed))
    }
}

/// Everything the service serves: `/ws`, `/host`, `/api/v1`, `/whip` and `/whep`. Merge it with the page's routes;
/// serve it with connect info (`into_make_service_with_connect_info::<SocketAddr>()`) for the limits per address.
pub fn router(service: Service) -> Router {
    let sockets = Router::new()
        .route("/ws", get(peer_socket::upgrade))
        .route("/host", get(host_socket::upgrade));
    let cors = guard::cors(&service);
    let http = Router::new()
        .nest("/api/v1", api::routes().layer(cors.clone()))
        .merge(whip::routes(cors));
    sockets
        .merge(http)
        .layer(axum::middleware::from_fn_with_state(
            service.clone(),
            guard::check_host,
        ))
        .layer(axum::middleware::from_fn_with_state(
            service.clone(),
            lockout::guard_tokens,
        ))
        .with_state(service)
}

/// Both clocks. Nothing below the shell reads them.
fn now() -> Now {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since_1970
        .map(|since| since.as_millis())
        .unwrap_or_default();
    Now {
        instant: Instant::now(),
        unix_ms: u64::try_from(millis).unwrap_or(u64::MAX),
    }
}

/// Host of the same process, which needs no token. No token has an empty subject.
const LOCAL_SUBJECT: &str = "";

/// How often the end waits to see whether all sockets are closed.
const LOOK: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests;
