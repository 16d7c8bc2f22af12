//! Starts the workers, gives every room to one of them, and stops them.
//!
//! Owns: which worker serves which room. Does not own: what a worker does (`worker`), where commands come from
//! ([`crate::link`]).

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use baton_engine::sdp::{CandidatePolicy, Fingerprint};
use baton_engine::transport::Certificate;
use baton_engine::{Bitrate, Config, RelayServer};
use baton_protocol::limits::MAX_REFLECTORS;
use baton_protocol::{HostCommand, HostKind, HostMessage, RoomId};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::link::HostLink;
use announce::{Announced, reachable_addresses};
use handover::Neighbours;
use inside::Inside;
use snapshot::{Snapshot, Snapshots};
use streams::Exchange;
use tenure::Tenure;
use worker::{Control, Engine, Worker};

pub(crate) mod announce;
pub(crate) mod clock;
mod framing;
mod handover;
pub(crate) mod inside;
#[cfg(target_os = "linux")]
mod queues;
pub(crate) mod snapshot;
mod socket;
mod streams;
pub(crate) mod tenure;
mod worker;

/// How a host is set up.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Address of the media. Port 0 takes a free one. `[::]` means every address of both families.
    pub media: SocketAddr,
    /// Addresses under which participants reach `media`. Empty: those of the network interfaces.
    pub announce: Vec<Announced>,
    /// Threads that forward. More than one needs Linux (SO_REUSEPORT); elsewhere one is used.
    pub workers: NonZeroUsize,
    /// Serve participants without UDP on the same port by TCP (RFC 6544).
    pub tcp: bool,
    /// Whose computer it is. The operator's has an address of its own (ICE-lite) and serves whom signaling sends; a participant's looks
    /// for ways through NATs, and needs grants, leases and tickets.
    pub kind: HostKind,
    /// The certificate of every leg.
    pub certificate: Certificate,
    /// Bits per second that all legs together may be sent; `None`: no limit is known.
    pub uplink_bps: Option<u64>,
}

impl HostConfig {
    /// As many workers as the machine has cores, at most four.
    pub fn default_workers() -> NonZeroUsize {
        let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        cores.min(MOST_DEFAULT_WORKERS)
    }
}

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The media address could not be used.
    #[error("cannot open the media address {address} (UDP): {source}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The same port could not be used for TCP.
    #[error("cannot open the media address {address} (TCP): {source}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The network interfaces could not be read.
    #[error("cannot list the network interfaces: {0}; set `announce` instead")]
    Interfaces(io::Error),
    /// A forwarding thread could not be made.
    #[error("cannot start a media thread: {0}")]
    Thread(io::Error),
    /// The engine refused its configuration.
    #[error("cannot start the engine: {0}")]
    Engine(String),
}

/// A running host. Dropping it stops the media; [`Host::stop`] also waits until every goodbye is out.
#[derive(Debug)]
pub struct Host {
    media: SocketAddr,
    announced: Vec<SocketAddr>,
    fingerprint: Fingerprint,
    workers: Vec<mpsc::Sender<Control>>,
    snapshots: Snapshots,
    inside: Inside,
    /// What carries commands and accepts connections.
    tasks: Vec<AbortHandle>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Host {
    /// Opens the sockets, starts the workers, and serves `link` until it closes or the host is stopped.
    ///
    /// Must be called inside a tokio runtime, which then carries commands to the workers; media never passes through it.
    pub fn start(config: &HostConfig, link: HostLink) -> Result<Self, StartError> {
        let is_participant = config.kind == HostKind::Participant;
        // An uplink is divided by one engine.
        let can_share = !is_participant && config.uplink_bps.is_none();
        let workers = if cfg!(target_os = "linux") && can_share {
            config.workers.get()
        } else {
            1
        };
        let (sockets, listeners) = open(config, workers)?;
        let media = sockets.address;
        let announced = reachable_addresses(media, sockets.is_dual, &config.announce)
            .map_err(StartError::Interfaces)?;

        let certificate = &config.certificate;
        let setup = Config {
            announced: announced.clone(),
            has_tcp: config.tcp,
            ice_lite: !is_participant,
            candidates: CandidatePolicy {
                is_loopback_allowed: media.ip().is_loopback(),
            },
            reflects: !is_participant,
            uplink: config.uplink_bps.map(Bitrate),
        };
        let neighbours = Neighbours::introduce(workers);
        let directory = neighbours
            .iter()
            .flatten()
            .next()
            .map(Neighbours::directory);
        let seats = sockets.per_worker.into_iter().zip(neighbours);
        let mut streams = Vec::with_capacity(workers);
        let mut controls = Vec::with_capacity(workers);
        let mut readers = Vec::with_capacity(workers);
        for (index, (sockets, neighbours)) in seats.enumerate() {
            let engine = Engine::new(
                setup.clone(),
                certificate.clone(),
                rand::random(),
                Instant::now(),
            )
            .map_err(|error| StartError::Engine(error.to_string()))?;
            let (control, inbox) = mpsc::channel(CONTROL_QUEUE);
            let (publisher, reader) = watch::channel(Snapshot::default());
            let (stream, happenings) = mpsc::channel(streams::QUEUE);
            let messages = link.messages.clone();
            let tenure = is_participant.then(|| Tenure::new(certificate.fingerprint()));
            let inlets = (inbox, happenings);
            let worker = Worker::new((engine, tenure), neighbours, inlets, messages, publisher);
            spawn(index, worker, sockets)?;
            streams.push(stream);
            controls.push(control);
            readers.push(reader);
        }
        if !is_participant {
            let at = announced.iter().copied().take(MAX_REFLECTORS).collect();
            // The queue is as long as that of a call's messages, and this is the first one.
            let _ = link.messages.try_send(HostMessage::Reflects { at });
        }
        let exchange = Exchange::new(streams, directory);
        let mut tasks =
            vec![tokio::spawn(dispatch(link.commands, controls.clone())).abort_handle()];
        for listener in listeners {
            let address = config.media;
            let listener = tokio::net::TcpListener::from_std(listener)
                .map_err(|source| StartError::Listen { address, source })?;
            tasks.push(tokio::spawn(exchange.clone().accept(listener)).abort_handle());
        }
        let inside = Inside::new(exchange, &announced);
        Ok(Self {
            media,
            inside,
            announced,
            fingerprint: certificate.fingerprint(),
            workers: controls,
            snapshots: Snapshots::new(readers),
            tasks,
        })
    }

    /// The address in use, with the port that was chosen.
    pub fn media(&self) -> SocketAddr {
        self.media
    }

    /// The addresses participants are told.
    pub fn announced(&self) -> &[SocketAddr] {
        &self.announced
    }

    /// SHA-256 of the certificate of every leg: what a grant names.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Asks another host, which tells whoever asks, under which address this one is seen from outside.
    pub async fn set_reflector(&self, server: SocketAddr) {
        for worker in &self.workers {
            // An error means that the worker is gone already.
            let _ = worker.send(Control::Reflector(server)).await;
        }
    }

    /// A router lets others in at this address, or does not any more.
    pub async fn set_mapped(&self, outside: Option<SocketAddr>) {
        for worker in &self.workers {
            // An error means that the worker is gone already.
            let _ = worker.send(Control::Mapped(outside)).await;
        }
    }

    /// A TURN server that may lend this host an address, for guests who reach it in no other way.
    pub async fn set_relay(&self, server: RelayServer) {
        for worker in &self.workers {
            // An error means that the worker is gone already.
            let _ = worker.send(Control::Relay(server.clone())).await;
        }
    }

    /// A way in for whoever is in the same process.
    pub fn inside(&self) -> Inside {
        self.inside.clone()
    }

    /// Reader of the workers' counters; stays valid after the host is gone.
    pub fn snapshots(&self) -> Snapshots {
        self.snapshots.clone()
    }

    /// Says goodbye on every leg and waits, at most for `patience`, until the last datagram is out.
    pub async fn stop(self, patience: Duration) {
        let stopped = async {
            for worker in &self.workers {
                // An error means that the worker is gone already.
                let _ = worker.send(Control::Stop).await;
            }
            self.snapshots.closed().await;
        };
        if tokio::time::timeout(patience, stopped).await.is_err() {
            tracing::warn!("a media thread did not stop in time");
        }
    }
}

/// The sockets of the workers, and the listeners on the same port.
fn open(
    config: &HostConfig,
    workers: usize,
) -> Result<(socket::Bound, Vec<std::net::TcpListener>), StartError> {
    let address = config.media;
    let mut attempts = if address.port() == 0 {
        socket::PORT_ATTEMPTS
    } else {
        1
    };
    loop {
        attempts -= 1;
        let bound = socket::bind_all(address, workers)
            .map_err(|source| StartError::Bind { address, source })?;
        if !config.tcp {
            return Ok((bound, Vec::new()));
        }
        match streams::listen(bound.address, bound.is_dual) {
            Ok(listeners) => return Ok((bound, listeners)),
            // The port that was free for UDP is not for TCP: another one may be.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {}
            Err(source) => return Err(StartError::Listen { address, source }),
        }
    }
}

fn spawn(index: usize, worker: Worker, places: Vec<socket::Place>) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(StartError::Thread)?;
    let task = move || {
        if let Err(error) = runtime.block_on(worker.run(places)) {
            tracing::error!(worker = index, %error, "a media thread ended");
        }
    };
    thread::Builder::new()
        .name(format!("media-{index}"))
        .spawn(task)
        .map_err(StartError::Thread)?;
    Ok(())
}

/// Carries commands to the worker of their room. A full worker holds signaling back; nothing is dropped.
async fn dispatch(mut commands: mpsc::Receiver<HostCommand>, workers: Vec<mpsc::Sender<Control>>) {
    let pins = RandomState::new();
    while let Some(command) = commands.recv().await {
        let worker = match room_of(&command) {
            Some(room) => workers.get(pin(&pins, room, workers.len())),
            // A participant's computer learns by it whose word it has to believe; it has one worker.
            None if matches!(command, HostCommand::Accepted { .. }) => workers.first(),
            None => continue,
        };
        let Some(worker) = worker else { continue };
        if worker.send(Control::Command(command)).await.is_err() {
            tracing::error!("a media thread is gone; its rooms are not served any more");
        }
    }
}

/// Keyed hash: nobody can choose room names that all land on one worker.
fn pin(pins: &RandomState, room: &RoomId, workers: usize) -> usize {
    let hash = pins.hash_one(room) % workers.max(1) as u64;
    usize::try_from(hash).expect("smaller than the number of workers")
}

fn room_of(command: &HostCommand) -> Option<&RoomId> {
    match command {
        HostCommand::Negotiate(negotiate) => Some(&negotiate.room),
        HostCommand::RestartIce { room, .. }
        | HostCommand::Candidate { room, .. }
        | HostCommand::SetMuted { room, .. }
        | HostCommand::Close { room, .. }
        | HostCommand::CloseRoom { room } => Some(room),
        HostCommand::Serve { room, .. }
        | HostCommand::Lease { room, .. }
        | HostCommand::ProbeUplink { room, .. }
        | HostCommand::OpenBridge { room, .. }
        | HostCommand::AnswerBridge { room, .. }
        | HostCommand::JoinBridge { room, .. }
        | HostCommand::CloseBridge { room, .. } => Some(room),
        HostCommand::Accepted { .. }
        | HostCommand::Deny { .. }
        | HostCommand::Remember { .. }
        | HostCommand::Inherit { .. }
        | HostCommand::Unknown => None,
    }
}

const MOST_DEFAULT_WORKERS: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");

/// Commands waiting for one worker.
const CONTROL_QUEUE: usize = 1024;

#[cfg(test)]
mod tests;
