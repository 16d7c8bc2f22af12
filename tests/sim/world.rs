//! Everything there is in a simulated meeting, and its one loop: take what is due, hand it to whom it concerns, send what they say.
//!
//! Media is moved in `media`, signaling in `signaling`; what goes wrong on purpose is in `mishaps`.

mod media;
mod mishaps;
mod signaling;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use baton_engine::sdp::CandidatePolicy;
use baton_engine::transport::Certificate;
use baton_engine::{Config, Engine};
use baton_protocol::{
    Epoch, HostCommand, HostId, HostMessage, LegId, PathFromHost, PathToHost, PeerMessage, RoomId,
    ServiceMessage,
};
use baton_signaling::{ConnectionId, LinkId, Registry};
use tracing::subscriber::DefaultGuard;

use crate::camera::Camera;
use crate::microphone::Microphone;
use crate::network::{Faults, Link, Weather};
use crate::oracle::Oracle;
use crate::participant::{Diary, Participant, Seat};
use crate::queue::Queue;
use crate::tap::Tap;

/// Between two beats of a participant: the length of a sound packet.
const BEAT: Duration = Duration::from_millis(20);

/// Lines of the timeline that are told on failure.
const TOLD: usize = 60;

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    queue: Queue<Happening>,
    pub(crate) hosts: Vec<Site>,
    pub(crate) office: Office,
    pub(crate) rooms: Vec<RoomId>,
    pub(crate) people: Vec<Participant>,
    pub(crate) faults: Faults,
    pub(crate) tap: Tap,
    pub(crate) oracle: Oracle,
    pub(crate) complaints: Vec<String>,
    /// Time between two pictures of a camera.
    pub(crate) frame: Duration,
    timeline: Vec<(Duration, String)>,
    errors: Arc<Mutex<Vec<String>>>,
    _listening: DefaultGuard,
}

/// A host and its link to signaling.
pub(crate) struct Site {
    pub(crate) engine: Engine,
    pub(crate) id: Option<HostId>,
    address: SocketAddr,
    link: Option<LinkId>,
    timer: Option<Instant>,
}

/// The signaling service: one registry at a time, and its sockets.
#[derive(Default)]
pub(crate) struct Office {
    pub(crate) registry: Option<Registry>,
    timer: Option<Instant>,
    sockets: std::collections::BTreeMap<ConnectionId, usize>,
    connections: u64,
    links: u64,
    lives: u8,
}

/// What may happen.
enum Happening {
    ToHost {
        host: usize,
        from: SocketAddr,
        bytes: Vec<u8>,
    },
    ToPerson {
        person: usize,
        leg: u32,
        bytes: Vec<u8>,
        sent: Instant,
    },
    PathUp {
        person: usize,
        leg: LegId,
        message: PathToHost,
    },
    PathDown {
        person: usize,
        leg: LegId,
        message: PathFromHost,
    },
    PeerSays {
        connection: ConnectionId,
        message: PeerMessage,
    },
    PeerHears {
        connection: ConnectionId,
        message: ServiceMessage,
    },
    SocketClosed {
        connection: ConnectionId,
    },
    SocketGone {
        connection: ConnectionId,
    },
    HostSays {
        host: usize,
        link: LinkId,
        message: HostMessage,
    },
    HostHears {
        host: usize,
        link: LinkId,
        command: HostCommand,
    },
    Link {
        host: usize,
    },
    Connect {
        person: usize,
    },
    Offer {
        person: usize,
    },
    Beat {
        person: usize,
    },
    Echo {
        person: usize,
        number: u64,
        has_arrived: bool,
    },
    Frame {
        person: usize,
    },
    Calm {
        person: usize,
        up: Weather,
        down: Weather,
    },
    HostTimer {
        host: usize,
    },
    OfficeTimer,
}

impl World {
    pub(crate) fn new(seed: u64, hosts: usize) -> Self {
        let start = Instant::now();
        let errors = Arc::new(Mutex::new(Vec::new()));
        let listening = tracing::subscriber::set_default(ErrorEar(Arc::clone(&errors)));
        let mut world = Self {
            seed,
            start,
            now: start,
            queue: Queue::new(),
            hosts: (0..hosts)
                .map(|host| Site::new(seed, host, start))
                .collect(),
            office: Office::default(),
            rooms: Vec::new(),
            people: Vec::new(),
            faults: Faults::default(),
            tap: Tap::default(),
            oracle: Oracle::default(),
            complaints: Vec::new(),
            frame: Duration::from_micros(33_333),
            timeline: Vec::new(),
            errors,
            _listening: listening,
        };
        world.open_office();
        world
    }

    /// Somebody new, outside.
    pub(crate) fn add_person(
        &mut self,
        room: usize,
        name: &str,
        up: Weather,
        down: Weather,
    ) -> usize {
        let number = self.people.len();
        let seed = |what: u64| {
            self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ ((number as u64) << 8) ^ what
        };
        self.people.push(Participant {
            number,
            name: name.to_owned(),
            room: self.rooms[room].clone(),
            room_number: u32::try_from(room).expect("few rooms"),
            seat: Seat::Outside,
            me: None,
            connection: None,
            is_welcome: false,
            resume: None,
            resumed: 0,
            epoch: Epoch::FIRST,
            roster: std::collections::BTreeMap::new(),
            leg: None,
            legs: 0,
            camera: Camera::new(seed(1)),
            microphone: Microphone::new(seed(2)),
            is_stubborn: false,
            obeys: true,
            fps: 0,
            wishes: std::collections::BTreeMap::new(),
            up: Link::new(up, seed(3), self.now),
            down: Link::new(down, seed(4), self.now),
            diary: Diary::default(),
            beats: 0,
            sent_bytes: 0,
            download: None,
        });
        self.note(format!(
            "p{number} is {name} and enters {}",
            self.rooms[room]
        ));
        let phase = Duration::from_micros((number as u64 * 3_700) % 20_000);
        self.queue
            .push(self.now, Happening::Connect { person: number });
        self.queue
            .push(self.now + phase, Happening::Beat { person: number });
        self.queue
            .push(self.now + phase, Happening::Frame { person: number });
        number
    }

    /// Time since the meeting began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Writes a line of the timeline.
    pub(crate) fn note(&mut self, what: String) {
        self.timeline.push((self.elapsed(), what));
    }

    /// Something happened that may never happen.
    pub(crate) fn complain(&mut self, what: String) {
        if self.complaints.len() < 20 {
            self.note(format!("WRONG: {what}"));
            self.complaints.push(what);
        }
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        self.flush();
        while let Some(at) = self.queue.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            while let Some(happening) = self.queue.pop_due(self.now) {
                self.handle(happening);
            }
            self.flush();
        }
        self.now = end;
        let errors = std::mem::take(&mut *self.errors.lock().expect("one thread"));
        let tapped = std::mem::take(&mut self.tap.complaints);
        errors
            .into_iter()
            .chain(tapped)
            .for_each(|what| self.complain(what));
    }

    fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::ToHost { host, from, bytes } => self.reach_host(host, from, bytes),
            Happening::ToPerson {
                person,
                leg,
                bytes,
                sent,
            } => self.reach_person(person, leg, bytes, sent),
            Happening::PathUp {
                person,
                leg,
                message,
            } => self.path_up(person, leg, message),
            Happening::PathDown {
                person,
                leg,
                message,
            } => self.path_down(person, leg, message),
            Happening::PeerSays {
                connection,
                message,
            } => self.peer_says(connection, message),
            Happening::PeerHears {
                connection,
                message,
            } => self.peer_hears(connection, message),
            Happening::SocketClosed { connection } => self.socket_closed(connection),
            Happening::SocketGone { connection } => self.socket_gone(connection),
            Happening::HostSays {
                host,
                link,
                message,
            } => self.host_says(host, link, message),
            Happening::HostHears {
                host,
                link,
                command,
            } => self.host_hears(host, link, command),
            Happening::Link { host } => self.link_host(host),
            Happening::Connect { person } => self.connect(person),
            Happening::Offer { person } => self.offer(person),
            Happening::Beat { person } => self.beat(person),
            Happening::Echo {
                person,
                number,
                has_arrived,
            } => self.handle_echo(person, number, has_arrived),
            Happening::Frame { person } => self.capture(person),
            Happening::Calm { person, up, down } => self.set_weather(person, up, down),
            Happening::HostTimer { host } => {
                let site = &mut self.hosts[host];
                if site.timer.is_some_and(|due| due <= self.now) {
                    site.timer = None;
                    site.engine.handle_timeout(self.now);
                }
            }
            Happening::OfficeTimer => self.office_timer(),
        }
    }

    /// Takes out of hosts and signaling what they have to say.
    fn flush(&mut self) {
        for host in 0..self.hosts.len() {
            self.flush_host(host);
        }
        self.flush_office();
    }

    /// What happened last, for whoever reads a failure.
    pub(crate) fn report(&self) -> String {
        let mut text = format!("\nseed {}, after {:?}:\n", self.seed, self.elapsed());
        let skipped = self.timeline.len().saturating_sub(TOLD);
        for (at, what) in self.timeline.iter().skip(skipped) {
            writeln!(text, "  {:>9.3} s  {what}", at.as_secs_f64())
                .expect("a String takes everything");
        }
        text
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && self.complaints.is_empty() {
            let report = self.report();
            std::io::stderr().write_all(report.as_bytes()).ok();
        }
    }
}

impl Site {
    fn new(seed: u64, host: usize, now: Instant) -> Self {
        let address = SocketAddr::from((
            [203, 0, 113, u8::try_from(host + 1).expect("few hosts")],
            7881,
        ));
        let config = Config {
            announced: vec![address],
            has_tcp: false,
            ice_lite: true,
            candidates: CandidatePolicy::default(),
            reflects: false,
            uplink: None,
        };
        // The certificate is random, and no keyed leg ever looks at it.
        let certificate = Certificate::generate().expect("a certificate");
        let engine = Engine::new(config, certificate, seed ^ ((host as u64) << 32), now);
        Self {
            engine: engine.expect("an address is announced"),
            id: None,
            address,
            link: None,
            timer: None,
        }
    }
}

/// Hears every error that anybody logs: there shall be none.
struct ErrorEar(Arc<Mutex<Vec<String>>>);

struct Words(String);

impl tracing::field::Visit for Words {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").expect("a String takes everything");
    }
}

impl tracing::Subscriber for ErrorEar {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut words = Words("an error was logged:".to_owned());
        event.record(&mut words);
        self.0.lock().expect("one thread").push(words.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
