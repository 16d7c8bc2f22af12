//! Who carries a room's call: what signaling believes and has told, as data, and the pure parts that decide.
//!
//! Owns: the state beside the term (standby, move, leases, what each host was told) and its rules. Does not own: rooms,
//! participants and messages; `registry/baton` feeds this and carries out what follows.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use baton_protocol::{Epoch, HostId, HostRole, HostTerm, Hosting, HostingPolicy, ParticipantId};

pub(crate) mod bridge;
pub(crate) mod election;
pub(crate) mod losses;
pub(crate) mod moves;

use bridge::Bridges;
use election::{Election, Judgement, Line};
use losses::Losses;
use moves::Move;

use crate::now::Now;
use crate::registry::{Heir, HostingChange};

pub use election::ElectionRules;
pub use moves::MoveRules;

/// How long hosts may go on and how calls move.
#[derive(Clone, Debug)]
pub struct HostingRules {
    /// What may carry a new room.
    pub policy: HostingPolicy,
    /// Computers stand by for a server too: it is the only one, and one that dies does not come back.
    pub is_sole_server: bool,
    /// Certificate of the computer that this service itself runs on: its host's word needs no proof.
    pub own: Option<String>,
    /// A participant's computer stops this long after it last asked to go on.
    pub lease: Duration,
    /// After this a renewal is late, and one guest that hears nothing is believed.
    pub renewal_late: Duration,
    /// How long legs to a host that is not named any more are left alone.
    pub drain: Duration,
    /// How long somebody may take who tries again to reach a computer.
    pub trial: Duration,
    /// Planned moves.
    pub moves: MoveRules,
    /// Moves that nobody asked for.
    pub election: ElectionRules,
}

impl Default for HostingRules {
    fn default() -> Self {
        Self {
            policy: HostingPolicy::Auto,
            is_sole_server: false,
            own: None,
            lease: Duration::from_secs(6),
            renewal_late: Duration::from_secs(3),
            drain: Duration::from_secs(10),
            trial: Duration::from_secs(20),
            moves: MoveRules::default(),
            election: ElectionRules::default(),
        }
    }
}

/// More epochs than an earlier life of the service can have given out without anybody telling this one.
const LEAP: u32 = 64;

/// All about one room's hosts but the term itself.
#[derive(Debug)]
pub(crate) struct Baton {
    pub(crate) policy: HostingPolicy,
    /// Highest epoch that was given out or heard of, burnt ones included.
    pub(crate) newest: Epoch,
    /// Who takes over if the host dies.
    pub(crate) standby: Option<HostId>,
    pub(crate) moving: Option<Move>,
    /// Why the next change of hosts happens.
    pub(crate) reason: Option<String>,
    /// What happened lately, newest last.
    pub(crate) changes: VecDeque<HostingChange>,
    /// Who asked for the move, to be told if it fails.
    pub(crate) mover: Option<ParticipantId>,
    /// Hosts that are not named any more, and until when their legs are left alone.
    pub(crate) draining: BTreeMap<HostId, Instant>,
    pub(crate) losses: Losses,
    /// When the host last asked to go on; only participants' computers have to.
    pub(crate) renewed: Option<Instant>,
    /// What each host was told last.
    pub(crate) told: BTreeMap<HostId, Told>,
    /// Those who stay on the server because they cannot reach the present host, and when that is tried again.
    pub(crate) stays: BTreeMap<ParticipantId, Instant>,
    /// Those who are trying it again, and how long they are still served through the server meanwhile.
    pub(crate) trials: BTreeMap<ParticipantId, Instant>,
    /// What joins the host with the server that serves them.
    pub(crate) bridges: Bridges,
    pub(crate) election: Election,
    /// Somebody moved the call to the server by hand: it is not moved away from there by itself.
    pub(crate) is_pinned: bool,
    /// Since when the present host has carried the call, if it has changed at all.
    pub(crate) since: Option<Instant>,
    /// What the server measured of everybody's line.
    pub(crate) lines: BTreeMap<ParticipantId, Line>,
    /// Whose line was probed, when last, and how often.
    pub(crate) probed: BTreeMap<ParticipantId, (Instant, u32)>,
    /// Renewals in a row in which the present host was not up to it.
    pub(crate) strained: u8,
    /// Whose computers failed, and when.
    pub(crate) failures: BTreeMap<ParticipantId, Instant>,
    /// What came out for each computer at the last look.
    pub(crate) judged: BTreeMap<HostId, Judgement>,
    /// When the candidates were looked at last.
    pub(crate) looked: Option<Instant>,
    /// Grants of the present term and of the one that a move leads to.
    pub(crate) grants: Vec<Signed>,
    /// What participants were told last, as it is for most of them, and its number.
    pub(crate) said: Option<Hosting>,
    pub(crate) said_count: u32,
    /// The term is a guess of a restarted service: until then its host, or a better claim, is waited for.
    pub(crate) guess: Option<Instant>,
    /// The term is one of an earlier life, which may have begun others since that only participants know of.
    pub(crate) is_recalled: bool,
    /// The newest of those that they say they believe in. Anybody can say anything: it only tells that a newer one is needed.
    pub(crate) believed: Epoch,
    /// The newest of those that can be true. That of an earlier life whose calendar was ahead is above what this one's says.
    pub(crate) credible: Epoch,
    /// Epochs of an earlier life may be unknown here, so the next one leaves room for them, and is this at least.
    pub(crate) leaps: Option<Epoch>,
    /// Who serves signaling if this service dies, and how often that has changed.
    pub(crate) heir: Option<Heir>,
    pub(crate) heir_count: u32,
    /// The earliest timer that will look at the room.
    pub(crate) armed: Option<Instant>,
}

/// What a host was told about one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The newest epoch that it has seen.
    pub(crate) epoch: Epoch,
    /// Nothing is known of what it is now: it has linked again.
    pub(crate) role: Option<HostRole>,
    pub(crate) grant: Option<String>,
    /// It is to say that it lives, although it needs no lease.
    pub(crate) beats: bool,
    /// It was not said: a server serves whoever it is asked to serve.
    pub(crate) is_unsaid: bool,
}

/// A grant, signed.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) host: HostId,
    pub(crate) epoch: Epoch,
    pub(crate) standby: Option<HostId>,
    pub(crate) fingerprint: String,
    /// Sign it again after this, in seconds since 1970.
    pub(crate) renew_at: u64,
    pub(crate) text: String,
}

impl Baton {
    /// A room's first term.
    pub(crate) fn new(policy: HostingPolicy, newest: Epoch) -> Self {
        Self {
            policy,
            newest,
            standby: None,
            moving: None,
            reason: None,
            changes: VecDeque::new(),
            mover: None,
            draining: BTreeMap::new(),
            losses: Losses::default(),
            renewed: None,
            told: BTreeMap::new(),
            stays: BTreeMap::new(),
            trials: BTreeMap::new(),
            bridges: Bridges::default(),
            election: Election::default(),
            is_pinned: false,
            since: None,
            lines: BTreeMap::new(),
            probed: BTreeMap::new(),
            strained: 0,
            failures: BTreeMap::new(),
            judged: BTreeMap::new(),
            looked: None,
            grants: Vec::new(),
            said: None,
            said_count: 0,
            guess: None,
            is_recalled: false,
            believed: Epoch(0),
            credible: Epoch(0),
            leaps: None,
            heir: None,
            heir_count: 0,
            armed: None,
        }
    }

    /// What every host is, that is anything at all here.
    pub(crate) fn roles(&self, term: &HostTerm, serves_aside: bool) -> BTreeMap<HostId, HostRole> {
        let mut roles = BTreeMap::new();
        for host in self.draining.keys() {
            roles.insert(*host, HostRole::Draining);
        }
        if let Some(standby) = self.standby {
            let role = match serves_aside {
                true => HostRole::Aside,
                false => HostRole::Standby,
            };
            roles.insert(standby, role);
        }
        if let Some(moving) = &self.moving {
            roles.insert(moving.to, HostRole::Next);
        }
        roles.insert(term.host, HostRole::Active);
        roles
    }

    /// Has this host legs of the room that are to live?
    pub(crate) fn is_named(&self, term: &HostTerm, host: HostId) -> bool {
        term.host == host
            || self.standby == Some(host)
            || self.moving.as_ref().is_some_and(|one| one.to == host)
    }

    /// The epoch in which a host is asked for anything: never older than what it has seen.
    pub(crate) fn epoch_for(&self, host: HostId, epoch: Epoch) -> Epoch {
        let seen = self.told.get(&host).map(|told| told.epoch);
        seen.map_or(epoch, |seen| seen.max(epoch))
    }

    /// A host says which epoch it has seen, and nothing is known of what it is now. `is_news`: also where it was told nothing here.
    pub(crate) fn hear_of(&mut self, host: HostId, seen: Epoch, is_news: bool) {
        let unknown = Told {
            epoch: seen,
            role: None,
            grant: None,
            beats: false,
            is_unsaid: false,
        };
        match self.told.get_mut(&host) {
            Some(told) => (told.epoch, told.role) = (told.epoch.max(seen), None),
            None if is_news => drop(self.told.insert(host, unknown)),
            None => {}
        }
    }

    /// Somebody says in which epoch they believe. After a restart that may be one that no host has told of.
    pub(crate) fn note_belief(&mut self, epoch: Epoch, now: Now) {
        let moving = self.moving.as_ref().map(|moving| moving.epoch);
        if !self.is_recalled || moving == Some(epoch) {
            return;
        }
        self.believed = self.believed.max(epoch);
        if epoch <= now.last_epoch() {
            self.credible = self.credible.max(epoch);
        }
    }

    /// An epoch that nobody has had.
    pub(crate) fn fresh_epoch(&mut self) -> Epoch {
        let next = match self.leaps.take() {
            Some(least) => Epoch(self.newest.0.saturating_add(LEAP)).max(least),
            None => self.newest.next(),
        };
        self.newest = next.max(self.credible.next());
        self.newest
    }

    /// The grant of a host for an epoch.
    pub(crate) fn grant(&self, host: HostId, epoch: Epoch) -> Option<&str> {
        let mut all = self.grants.iter();
        let signed = all.find(|signed| signed.host == host && signed.epoch == epoch)?;
        Some(&signed.text)
    }
}
