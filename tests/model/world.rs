//! One run: signaling, the server, two participants' computers and three to five guests, and everything that happens to them, in
//! simulated time. Owns who hears what when. What goes wrong is drawn in `faults`; what must never be is in `invariants`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use baton_protocol::{Epoch, HostCommand, HostKind, HostingPolicy, ParticipantId, RoomId};
use baton_signaling::{ElectionRules, HostingRules, Keys, Limits, Registry, Secret};

use crate::agenda::{Agenda, Dice, Ms};
use crate::guest::Guest;
use crate::host::Host;
use crate::invariants::{Broken, Oracle};
use crate::network::{Line, Network, Node, Way};
use crate::tally::Tally;

mod machines;
mod office;
mod people;

/// Wall clock when a run begins, in seconds since 1970.
pub(crate) const START_S: u64 = 1_800_000_000;

/// Between two turns of a host that nothing wakes, and two looks of a guest.
const HOST_TURN: Ms = 250;
const SERVER_TURN: Ms = 500;
const GUEST_LOOK: Ms = 500;
const LINES: Ms = 4000;

/// Mishaps happen until then, at the latest.
const TROUBLE: (Ms, Ms) = (8_000, 40_000);

/// After the last mishap, everybody is together again within this.
const QUIET: Ms = 75_000;

/// And has been for so long.
const SETTLED: Ms = 2_500;

/// What happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Arrival(usize, Way),
    /// A side of a socket learns that it is over.
    Gone(usize, Way),
    /// A line has been cut since then, and whoever listens behind it gives up.
    Deaf(Line, Way, Ms),
    Heal(Line, Way, Ms),
    Dial(Node, u64),
    HostTurn(usize, u64),
    Lines(u64),
    GuestLook(usize, u64),
    Timer,
    Mischief,
    Resume(usize, u64),
    /// A host that stands still has not answered signaling's pings since then.
    Unanswered(usize, Ms),
    Start(Node, u64),
    StartSignaling,
    Calm,
}

/// Signaling, while it runs.
pub(crate) struct Service {
    pub(crate) registry: Option<Registry>,
    pub(crate) wall_ahead: i64,
    /// The server has told this life what it remembers of earlier ones.
    pub(crate) has_heard_server: bool,
    due: Option<Ms>,
}

pub(crate) struct World {
    pub(crate) now: Ms,
    base: Instant,
    pub(crate) dice: Dice,
    /// For what the model learned to do later: seeds that once failed go on telling the same story.
    pub(crate) spare: Dice,
    agenda: Agenda<Event>,
    pub(crate) room: RoomId,
    pub(crate) secret: Secret,
    keys: Keys,
    pub(crate) net: Network,
    pub(crate) service: Service,
    pub(crate) hosts: Vec<Host>,
    pub(crate) guests: Vec<Guest>,
    pub(crate) oracle: Oracle,
    pub(crate) tally: Tally,
    /// Offers and roles with papers that signaling sent, for those who say them again where they do not belong.
    pub(crate) papers: Vec<HostCommand>,
    /// The newest epoch that each program believed in, by guest, life and number in the room.
    believed: BTreeMap<(usize, u64, ParticipantId), u32>,
    limits: Limits,
    /// Whose computer links by a socket.
    owners: BTreeMap<usize, ParticipantId>,
    certificates: u64,
    pub(crate) calm_since: Option<Ms>,
    settled_since: Option<Ms>,
    pub(crate) trace: Option<Vec<String>>,
    /// Of the present host, and the newest epoch that a move leads to: for the tally.
    kind: HostKind,
    moving: Option<Epoch>,
    pub(crate) is_hunt: bool,
}

/// See [`World::new`].
pub(crate) const SOLE: u64 = 1 << 40;
pub(crate) const HUNT: u64 = 1 << 41;

impl World {
    /// In runs from [`SOLE`] on the server is the only one, and computers stand by for it. In runs from [`HUNT`] on people are removed
    /// all the time, and try at every moment whether somebody has forgotten that.
    pub(crate) fn new(seed: u64, traced: bool) -> Self {
        let mut dice = Dice::new(seed);
        let secret = Secret::new("a secret of the model, long enough").expect("32 bytes");
        let keys = Keys::default().with_secret(&secret).expect("one key");
        let host = |index: usize| Host {
            kind: match index {
                0 => HostKind::Central,
                _ => HostKind::Participant,
            },
            life: 0,
            process: None,
            stopped: None,
            boot_ahead: 500_000,
            wall_ahead: 0,
        };
        let guests = dice.between(3, 6);
        let policy = dice.pick(&[
            HostingPolicy::Auto,
            HostingPolicy::PreferParticipant,
            HostingPolicy::Central,
        ]);
        let mut limits = Limits::default();
        limits.hosting = HostingRules {
            policy: policy.unwrap_or_default(),
            election: quick_elections(),
            is_sole_server: seed & SOLE != 0,
            ..limits.hosting
        };
        let mut world = Self {
            now: 0,
            spare: Dice::new(!seed),
            base: Instant::now(),
            agenda: Agenda::new(),
            room: "call".parse().expect("a name"),
            secret,
            keys,
            net: Network::default(),
            service: Service {
                registry: None,
                wall_ahead: 0,
                has_heard_server: true,
                due: None,
            },
            hosts: (0..3).map(host).collect(),
            guests: (0..guests)
                .map(|index| Guest::new(usize::try_from(index).expect("few"), index % 2 == 0))
                .collect(),
            oracle: Oracle::default(),
            tally: Tally::default(),
            papers: Vec::new(),
            believed: BTreeMap::new(),
            limits,
            owners: BTreeMap::new(),
            certificates: 0,
            calm_since: None,
            settled_since: None,
            trace: traced.then(Vec::new),
            kind: HostKind::Central,
            moving: None,
            is_hunt: seed & HUNT != 0,
            dice,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.start_signaling();
        self.plan(0, Event::Start(Node::Host(0), 0));
        for guest in 0..self.guests.len() {
            let at = self.dice.between(50, 1500);
            self.plan(at, Event::Start(Node::Guest(guest), 0));
        }
        let trouble = self.dice.between(TROUBLE.0, TROUBLE.1);
        let first = self.dice.between(1500, 3500);
        self.plan(first, Event::Mischief);
        self.plan(trouble, Event::Calm);
    }

    /// Until everybody is together again, or a rule is broken.
    pub(crate) fn run(&mut self) -> Result<(), Broken> {
        while let Some((at, event)) = self.agenda.pop() {
            self.now = at;
            self.tally.events += 1;
            self.happen(event)?;
            if let Some(since) = self.calm_since
                && self.is_over(since)?
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What happened.
    pub(crate) fn tally(&mut self) -> Tally {
        for host in 0..self.hosts.len() {
            self.end_process(host);
        }
        self.tally.epochs = u64::try_from(self.oracle.epochs()).expect("few");
        self.tally.takeovers = self.guests.iter().map(|guest| guest.takeovers).sum();
        self.tally
    }

    fn is_over(&mut self, calm_since: Ms) -> Result<bool, Broken> {
        match self.unsettled() {
            None => {
                let since = *self.settled_since.get_or_insert(self.now);
                if self.now >= since + SETTLED {
                    self.tally.quiet_ms += since.saturating_sub(calm_since);
                    return Ok(true);
                }
            }
            Some(why) => {
                self.settled_since = None;
                if self.now >= calm_since + QUIET {
                    return Err(Broken(format!("not together again in time: {why}")));
                }
            }
        }
        Ok(false)
    }

    pub(crate) fn plan(&mut self, after: Ms, event: Event) {
        self.agenda.push(self.now + after, event);
    }

    /// A line for whoever reads the run.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>3}.{:03}  {}", now / 1000, now % 1000, line()));
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Arrival(socket, way) => self.arrive(socket, way)?,
            Event::Gone(socket, way) => self.gone(socket, way),
            Event::Deaf(line, way, since) => self.deaf(line, way, since),
            Event::Heal(line, way, since) => {
                if self.net.cut_since(line, way) == Some(since) {
                    self.heal(line, way);
                }
            }
            Event::Dial(node, life) => self.dial(node, life),
            Event::HostTurn(host, life) => self.host_turn(host, life)?,
            Event::Lines(life) => self.report_lines(life),
            Event::GuestLook(guest, life) => self.guest_look(guest, life)?,
            Event::Timer => self.timer()?,
            Event::Mischief => self.mischief()?,
            Event::Resume(host, life) => self.resume(host, life)?,
            Event::Unanswered(host, since) => self.unanswered(host, since),
            Event::Start(node, life) => self.start(node, life),
            Event::StartSignaling => self.start_signaling(),
            Event::Calm => self.calm()?,
        }
        Ok(())
    }
}

/// Elections that happen within a run.
fn quick_elections() -> ElectionRules {
    ElectionRules {
        seasoned: Duration::from_secs(2),
        leave_server: (5, Duration::from_secs(2)),
        change_computer: (20, Duration::from_secs(4)),
        tenure: Duration::from_secs(6),
        changes: 50,
        back_off: Duration::from_secs(8),
        probe_every: Duration::from_secs(3),
        ..ElectionRules::default()
    }
}

fn index_of(number: u64) -> usize {
    usize::try_from(number - 1).expect("few sockets")
}
