//! One connection to one host: what is published, the receive slots, the data channels.
//!
//! A [`Leg`] is a handle; a task beside it owns the `webrtc` peer connection and reports [`LegEvent`]s. Does not own: which
//! host it is, what the slots shall show, when to open another ([`crate::Call`] decides that). The leg offers and the host
//! answers; no transceiver is ever stopped, so that m-line 0, which carries the transport for all, stays.

use std::sync::{Arc, Mutex, PoisonError};

use baton_protocol::{
    IceServer, LegId, MediaKind, ParticipantId, PathFromHost, PathToHost, TrackOffer,
};
use baton_server::Inside;
use tokio::sync::mpsc;

use crate::publish::Publication;
use crate::ramp::{ProbePlan, ProbeReport};
use crate::reception::{Reception, Seen, Tally};
use crate::stage::Stage;

mod arrivals;
mod connection;
mod echoes;
mod indoors;
mod keyframes;
mod outlet;
mod passage;
mod prober;
mod receiver;
mod reporter;
mod sender;

/// What a leg is made of.
#[derive(Clone, Debug)]
pub struct LegPlan {
    /// Its number; one that was not used before.
    pub id: LegId,
    /// STUN and TURN servers.
    pub ice_servers: Vec<IceServer>,
    /// Also gather candidates of the loopback interface.
    pub is_loopback: bool,
    /// Receive slots for sound.
    pub audio_slots: usize,
    /// Receive slots for pictures.
    pub video_slots: usize,
    /// What is sent.
    pub publications: Vec<Publication>,
    /// Shall the host be able to measure what this computer's line carries? Nothing is sent for that before it is asked for.
    pub is_probed: bool,
    /// Where the frames go that come; without it they are only counted.
    pub(crate) frames: Option<Stage>,
    /// The host is this one, in the same process: no network is between it and the leg.
    pub(crate) inside: Option<Inside>,
}

/// A place for one received track.
#[derive(Clone, Debug)]
pub struct Slot {
    /// `a=mid` of its m-line.
    pub mid: String,
    /// Sound or picture?
    pub kind: MediaKind,
    reception: Arc<Mutex<Reception>>,
}

impl Slot {
    fn handle_packet(&self, seen: Seen) {
        self.lock().handle_packet(seen);
    }

    /// What came so far.
    pub fn tally(&self) -> Tally {
        self.lock().tally()
    }

    /// Whose packets came last.
    pub fn heard(&self) -> Option<ParticipantId> {
        self.lock().heard()
    }

    /// Counters are whole after every packet, whatever happened to a thread that held the lock.
    fn lock(&self) -> std::sync::MutexGuard<'_, Reception> {
        self.reception
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// An offer that waits for its answer, and what it is about.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Session description.
    pub sdp: String,
    /// What the leg publishes.
    pub tracks: Vec<TrackOffer>,
    /// The receive slots, sound first.
    pub slots: Vec<Slot>,
}

/// What a leg has to say.
#[derive(Clone, Debug)]
pub enum LegEvent {
    /// Signaling shall take this to the host. Comes once, and first.
    Offer(Offer),
    /// One more candidate; an empty text ends the list.
    Candidate(String),
    /// ICE and DTLS are up.
    Connected,
    /// The host was not heard for a while.
    Shaky,
    /// The control channel is open: the host may be told what to show.
    Ready,
    /// The host says something.
    Path(PathFromHost),
    /// A probe of the line is over.
    Probed(ProbeReport),
    /// No use any more; another one has to be opened.
    Ended(String),
}

/// Events of all legs come by one queue.
pub type LegEvents = mpsc::Sender<(LegId, LegEvent)>;

/// What the task is told.
enum Command {
    Accept(String),
    Tell(PathToHost),
    Publish(bool),
    Probe(Option<ProbePlan>),
}

/// A leg. Dropping it closes the connection.
#[derive(Debug)]
pub struct Leg {
    id: LegId,
    is_inside: bool,
    commands: mpsc::Sender<Command>,
}

impl Leg {
    /// Starts to open a leg; must be called inside a tokio runtime.
    pub fn open(plan: LegPlan, events: LegEvents) -> Self {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (id, is_inside) = (plan.id, plan.inside.is_some());
        tokio::spawn(async move {
            if let Err(error) = connection::run(plan, inbox, events.clone()).await {
                // Nobody listens: then nobody has to be told.
                let _ = events.send((id, LegEvent::Ended(error.to_string()))).await;
            }
        });
        Self {
            id,
            is_inside,
            commands,
        }
    }

    /// Its number.
    pub fn id(&self) -> LegId {
        self.id
    }

    /// Is its host in the same process, and no network between the two?
    pub fn is_inside(&self) -> bool {
        self.is_inside
    }

    /// Takes the host's answer.
    pub fn accept(&self, sdp: String) {
        self.command(Command::Accept(sdp));
    }

    /// Says something to the host on the control channel.
    pub fn tell(&self, message: PathToHost) {
        self.command(Command::Tell(message));
    }

    /// Sends what is published on this leg too, or no more. A leg begins silent.
    pub fn publish(&self, is_publishing: bool) {
        self.command(Command::Publish(is_publishing));
    }

    /// Sends padding, so that the host can measure the line.
    pub fn probe(&self, plan: ProbePlan) {
        self.command(Command::Probe(Some(plan)));
    }

    /// Ends a probe at once.
    pub fn stop_probe(&self) {
        self.command(Command::Probe(None));
    }

    fn command(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            tracing::warn!(leg = %self.id, "the leg does not keep up or is gone; a command is lost");
        }
    }
}

/// Commands that wait for the task.
const COMMANDS: usize = 64;
