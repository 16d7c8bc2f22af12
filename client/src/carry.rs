//! Lets this computer carry the call for the others: a host in the same process, and somebody who watches over it for its owner.
//!
//! A [`Carrier`] is a handle; a task beside it stands between signaling and the host (`baton_server::Host`). It says how fit the
//! computer is, declines what its owner does not allow, and steps down when the owner, the battery, the line or the end of the
//! program wants it. Does not own: who becomes host (signaling decides), nor by whose leave the host serves whom (the host knows).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use baton_protocol::{
    Epoch, HostId, HostKind, HostRole, IceServer, ParticipantId, RoomId, StepDownReason,
};
use baton_server::link::{Credential, InvalidLink, RemoteLink, Trust, connect_along};
use baton_server::{Certificate, Host, HostConfig, HostLink, Inside, RelayServer, StartError};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::caps::Caps;
use crate::invite::Secret;
use crate::ramp::{ProbePlan, ProbeReport};
use heir::{Heir, People};
use keeper::Keeper;
pub use mapping::Protocol as PortProtocol;

mod heir;
mod keeper;
mod mapping;
mod processor;
mod reflector;
mod sleep;
mod suspend;
mod watch;

/// What the owner of this computer agreed to.
#[derive(Clone, Debug, Default)]
pub struct Consent {
    /// How much of it.
    pub caps: Caps,
    /// What was sent for others this month is kept here; without a file it is forgotten with the program.
    pub ledger: Option<PathBuf>,
}

/// What a carrier is made of.
#[derive(Clone, Debug)]
pub(crate) struct CarrierPlan {
    /// WebSocket address of signaling, as invites have it.
    pub(crate) signaling: String,
    pub(crate) room: RoomId,
    /// What people call the computer.
    pub(crate) name: String,
    /// From signaling, for this room.
    pub(crate) token: Secret,
    pub(crate) trust: Trust,
    /// Signaling is on this computer: then guests are too.
    pub(crate) is_loopback: bool,
    pub(crate) consent: Consent,
    /// Who offers it.
    pub(crate) owner: ParticipantId,
    /// The call is on one computer alone, whose signaling somebody inherits.
    pub(crate) has_heir: bool,
}

/// What this computer does for the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "carrying", rename_all = "snake_case")]
pub enum Carrying {
    /// It was offered, and can be chosen.
    Offered,
    /// What it is in the room.
    Part {
        /// In which term.
        epoch: Epoch,
        /// What.
        role: HostRole,
    },
    /// How much it does, once a second while it carries the call.
    Load {
        /// Who is served.
        guests: u16,
        /// Bits per second that are sent.
        sent_bps: u64,
    },
    /// Its router lets others in at this address, or does not any more.
    Opened {
        /// Where.
        outside: Option<SocketAddr>,
        /// How the router was asked.
        by: Option<PortProtocol>,
    },
    /// Its line was probed, so that the host could measure it.
    Probed(ProbeReport),
    /// It was chosen, and its owner does not allow it.
    Declined {
        /// For people.
        reason: String,
    },
    /// It wants to be rid of the call.
    SteppedDown {
        /// Why.
        reason: StepDownReason,
    },
    /// It serves signaling, because that of the call is gone; or not any more.
    Signaling {
        /// A link for newcomers, while it does.
        #[serde(skip_serializing_if = "Option::is_none")]
        invite: Option<String>,
    },
    /// It cannot be offered.
    Failed {
        /// For people.
        reason: String,
    },
}

/// Why a computer cannot be offered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CarrierError {
    #[error("cannot make a DTLS certificate: {0}")]
    Certificate(String),
    #[error("{0}")]
    Link(#[from] InvalidLink),
    #[error("{0}")]
    Host(#[from] StartError),
}

/// What the task has for the call.
#[derive(Debug)]
pub(crate) enum News {
    /// For whoever listens.
    Said(Carrying),
    /// Signaling wants to know what the line carries; the call has legs over which that can be found out.
    Probe(ProbePlan),
}

/// What the task is told.
#[derive(Debug)]
enum Request {
    StepDown(StepDownReason),
    /// So many bytes went out for a probe.
    Spent(u64),
    Reflector(SocketAddr),
    Relay(RelayServer),
    /// Signaling is away, with these people in the room; or it is there.
    Signaling(Option<People>),
}

/// A computer that was offered. Dropping it takes the offer back.
#[derive(Debug)]
pub(crate) struct Carrier {
    requests: mpsc::Sender<Request>,
    task: JoinHandle<()>,
    news: mpsc::Receiver<News>,
    role: Option<HostRole>,
    inside: Inside,
    /// What signaling calls the host.
    name: tokio::sync::watch::Receiver<Option<HostId>>,
}

impl Carrier {
    /// Starts the host and its link; must be called inside a tokio runtime.
    pub(crate) fn start(plan: CarrierPlan) -> Result<Self, CarrierError> {
        let certificate = Certificate::generate()
            .map_err(|error| CarrierError::Certificate(error.to_string()))?;
        let base = plan.signaling.trim_end_matches('/');
        let link = RemoteLink {
            url: base.strip_suffix("/ws").unwrap_or(base).to_owned(),
            credential: Credential::Fixed(plan.token.0.clone()),
            trust: plan.trust.clone(),
            name: plan.name.clone(),
            kind: HostKind::Participant,
            fingerprint: certificate.fingerprint(),
        };
        let (routes, route) = tokio::sync::watch::channel(link.route());
        let heir = plan.has_heir.then(|| {
            let call = (plan.room.clone(), plan.name.clone());
            let own = (plan.owner, certificate.fingerprint());
            Heir::new(call, own, link.route(), routes, Instant::now())
        });
        let link = connect_along(&link, route)?;
        let (commands, inbox) = mpsc::channel(QUEUE);
        let (outbox, messages) = mpsc::channel(QUEUE);
        let inner = HostLink {
            commands: inbox,
            messages: outbox,
        };
        let host = start_host(&plan, &certificate, inner)?;
        let inside = host.inside();
        let (requests, asked) = mpsc::channel(QUEUE);
        let (outgoing, news) = mpsc::channel(QUEUE);
        let (named, name) = tokio::sync::watch::channel(None);
        let keeper = Keeper::new(plan, (link, heir), (commands, messages), (host, named));
        let task = tokio::spawn(keeper.run(asked, outgoing));
        Ok(Self {
            requests,
            task,
            news,
            role: None,
            inside,
            name,
        })
    }

    /// What signaling calls the host, once it has let it in.
    pub(crate) fn host(&self) -> Option<HostId> {
        *self.name.borrow()
    }

    /// A way into the host for own legs.
    pub(crate) fn inside(&self) -> Inside {
        self.inside.clone()
    }

    /// What happens next; `None` when the task is gone. May be given up and asked again.
    pub(crate) async fn next(&mut self) -> Option<News> {
        let news = self.news.recv().await?;
        if let News::Said(Carrying::Part { role, .. }) = &news {
            self.role = Some(*role);
        }
        Some(news)
    }

    /// Does it carry the call, or is it about to?
    pub(crate) fn is_carrying(&self) -> bool {
        matches!(self.role, Some(HostRole::Active | HostRole::Next))
    }

    /// Hands the call back.
    pub(crate) fn step_down(&self, reason: StepDownReason) {
        self.ask(Request::StepDown(reason));
    }

    /// So many bytes went out for a probe: they count as sent for others.
    pub(crate) fn note_spent(&self, bytes: u64) {
        self.ask(Request::Spent(bytes));
    }

    /// STUN and TURN servers, of which the first that has an address is asked how this host is seen, and for an address.
    pub(crate) fn follow_servers(&self, servers: Vec<IceServer>) {
        let requests = self.requests.clone();
        tokio::spawn(async move {
            // An error means that the host is gone.
            if let Some(server) = reflector::find(&servers).await {
                let _ = requests.send(Request::Reflector(server)).await;
            }
            if let Some(server) = reflector::find_relay(&servers).await {
                let _ = requests.send(Request::Relay(server)).await;
            }
        });
    }

    /// Takes the offer back; what is returned ends, soon, when all is put away: the router's port, and what was counted.
    pub(crate) fn end(self) -> JoinHandle<()> {
        self.task
    }

    /// Signaling is away, with these people in the room; or it is there.
    pub(crate) fn note_signaling(&self, lost: Option<People>) {
        self.ask(Request::Signaling(lost));
    }

    fn ask(&self, request: Request) {
        if self.requests.try_send(request).is_err() {
            tracing::warn!("the host of this computer does not keep up or is gone");
        }
    }
}

/// On all addresses of both families, or of the one there is.
fn start_host(
    plan: &CarrierPlan,
    certificate: &Certificate,
    link: HostLink,
) -> Result<Host, CarrierError> {
    let config = |ip: std::net::IpAddr| HostConfig {
        media: SocketAddr::new(ip, 0),
        announce: Vec::new(),
        workers: NonZeroUsize::MIN,
        // Whoever has no way by UDP stays on the server.
        tcp: false,
        kind: HostKind::Participant,
        certificate: certificate.clone(),
        uplink_bps: plan.consent.caps.uplink_bps,
    };
    let ip = if plan.is_loopback {
        Ipv4Addr::LOCALHOST.into()
    } else if std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok() {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    Ok(Host::start(&config(ip), link)?)
}

/// Messages that wait in each direction.
const QUEUE: usize = 256;

/// How long the last datagrams of a host may take, and giving a port back to the router.
const GOODBYE: Duration = Duration::from_secs(1);
