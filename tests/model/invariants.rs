//! What must never be, told apart from the code under test: by true time, by what signaling really signed and when it really said it.
//!
//! 1. One host per epoch, ever: among those that guests believe in, and those that carry the call in their own eyes.
//! 2. A participant's computer lets in nobody but by a ticket that signaling signed for this very leg, once, within its lease; nobody
//!    comes back whom it was told to let go. No host that hears signaling goes on sending to somebody who was removed.
//!    It takes no part but by a grant that signaling signed for this room, term and computer.
//! 3. A computer that carries the call and stood still sends nothing before it heard a word of signaling that was said after that.
//! 4. When all is quiet, everybody has the same host in the same epoch (`World::is_settled`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use baton_protocol::{
    Epoch, GrantClaims, HostCommand, HostId, HostKind, HostMessage, HostRole, HostTerm, Negotiate,
    ParticipantId, RoomId, TicketClaims,
};
use baton_server::{BootTime, Fingerprint, Moment};
use serde::de::DeserializeOwned;

use crate::agenda::Ms;
use crate::host::Part;

/// A rule that was broken, in words.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

/// From here on a computer may have been replaced without knowing.
const STANDSTILL: Duration = Duration::from_secs(1);

/// What signaling gives: nobody new is let in later than this after the last word that the call is the computer's.
const LEASE: Duration = Duration::from_secs(6);

/// Whoever was removed is served no longer than this after signaling knows: what is under way arrives, and what drains is closed.
const PARTING: Ms = 15_000;

/// Clocks may differ by so much, in seconds.
const LEEWAY: u64 = 30;

/// What is known of one host's process from outside.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    seen: Option<BootTime>,
    /// It stood still, and since then nothing fresh was heard: true time of the first look after.
    pub(crate) fenced: Option<Ms>,
    asked: BTreeMap<(Epoch, u32), BootTime>,
    /// Since when, by the newest word of signaling, the call has been this computer's to carry.
    confirmed: Option<BootTime>,
    /// Signaling took it for a host by a word that was said then.
    accepted: Option<Ms>,
    /// It has been told of all removals until then: a link keeps the order, and begins with all of them.
    denials: Option<Ms>,
    /// It has heard everything that was said until then on its present link.
    knows: Option<Ms>,
    /// Whom signaling told it to let go.
    pub(crate) dismissed: BTreeSet<ParticipantId>,
    admitted: BTreeSet<u64>,
    /// Set by [`Audit::admits`], for the tally.
    pub(crate) admissions: u64,
    /// The ticket of the newest offer that passed.
    pub(crate) newest: Option<u64>,
    /// By which the newest part was taken.
    pub(crate) newest_grant: Option<String>,
    own: Option<Fingerprint>,
    pub(crate) standstills: u64,
}

impl Audit {
    pub(crate) fn of(own: Fingerprint) -> Self {
        Self {
            own: Some(own),
            ..Self::default()
        }
    }

    pub(crate) fn look(&mut self, now: Ms, boot: BootTime, has_term: bool) {
        let before = self.seen.replace(boot);
        let stood = before.is_some_and(|before| boot.since(before) >= STANDSTILL);
        if !has_term {
            self.fenced = None;
        } else if stood {
            self.fenced = Some(now);
            self.standstills += 1;
        }
    }

    /// A word of signaling, and when it was said.
    pub(crate) fn heard(&mut self, command: &HostCommand, said_at: Ms, boot: BootTime) {
        if let HostCommand::Lease { epoch, count, .. } = command {
            // An answer that comes so late gives no lease, and is no news of who carries the call.
            let asked = self.asked.get(&(*epoch, *count)).copied();
            if let Some(asked) = asked.filter(|asked| boot.since(*asked) < LEASE) {
                self.confirmed = self.confirmed.max(Some(asked));
                self.refresh(said_at);
            }
        }
        if let HostCommand::Serve { role, .. } = command
            && matches!(role, HostRole::Active | HostRole::Next)
        {
            self.refresh(said_at);
            // What may have waited in the socket while this computer stood still lets nobody new in.
            if self.fenced.is_none() {
                self.confirmed = self.confirmed.max(Some(boot));
            }
        }
        if let HostCommand::Accepted { .. } = command {
            (self.accepted, self.knows) = (Some(said_at), None);
        } else if self.accepted.is_some_and(|accepted| accepted < said_at) {
            self.knows = self.knows.max(Some(said_at));
            // What is said in the same breath may follow.
            self.denials = self.denials.max(said_at.checked_sub(1));
        }
    }

    /// The tenure took a part in a call. Ought it to have?
    pub(crate) fn takes_part(
        &mut self,
        (room, epoch, role): (&RoomId, Epoch, HostRole),
        grant: Option<&str>,
        id: Option<HostId>,
        known: Option<Part>,
        wall: u64,
    ) -> Result<(), Broken> {
        let broken = |why: &str| {
            let epoch = epoch.0;
            Err(Broken(format!(
                "{role:?} of epoch {epoch} was taken, {why}"
            )))
        };
        if known.is_some_and(|known| epoch < known.epoch) {
            return broken("though a newer one has begun");
        }
        if !matches!(role, HostRole::Active | HostRole::Next) {
            return Ok(());
        }
        let Some(claims) = grant.and_then(claims_of::<GrantClaims>) else {
            return broken("without a grant");
        };
        self.newest_grant = grant.map(str::to_owned);
        let is_own = Fingerprint::parse_digits(&claims.fingerprint) == self.own;
        if claims.room != *room || claims.epoch != epoch || Some(claims.host) != id || !is_own {
            return broken("by the grant of another room, term or computer");
        }
        // Dates matter where something begins: clocks may jump between two words of one term.
        let is_known = known.is_some_and(|known| {
            known.epoch == epoch && matches!(known.role, Some(HostRole::Next | HostRole::Active))
        });
        if !is_known && (wall > claims.exp + LEEWAY || wall + LEEWAY < claims.iat) {
            return broken("by a grant that has expired");
        }
        Ok(())
    }

    /// Does it send to somebody of whom signaling has known for long that they were removed, and has it heard all since?
    pub(crate) fn keeps_on(&self, removed_at: Ms) -> bool {
        self.knows
            .is_some_and(|knows| knows >= removed_at + PARTING)
    }

    /// What signaling said before the standstill ended may have waited in the socket all the time.
    fn refresh(&mut self, said_at: Ms) {
        self.fenced = self.fenced.filter(|since| said_at < *since);
    }

    pub(crate) fn said(&mut self, message: &HostMessage, boot: BootTime) {
        if let HostMessage::Renew { epoch, count, .. } = message {
            self.asked.insert((*epoch, *count), boot);
        }
    }

    /// The tenure let an offer pass. Ought it to have?
    pub(crate) fn admits(
        &mut self,
        offer: &Negotiate,
        (part, is_served): (Option<Part>, bool),
        moment: Moment,
    ) -> Result<(), Broken> {
        let who = format!("{} on leg {}", offer.participant, offer.leg);
        let broken = |why: &str| Err(Broken(format!("{who} was let in, but {why}")));
        let Some(part) = part else {
            return broken("this computer has no part in the call");
        };
        let Some(claims) = offer.ticket.as_deref().and_then(claims_of::<TicketClaims>) else {
            return broken("there is no ticket");
        };
        if part.epoch != offer.epoch || claims.epoch != offer.epoch {
            return broken("the ticket, the offer and the computer are of different terms");
        }
        if claims.room != offer.room || (claims.sub, claims.leg) != (offer.participant, offer.leg) {
            return broken("the ticket is for somebody else");
        }
        if Fingerprint::parse_digits(&claims.aud) != self.own {
            return broken("the ticket is for another computer");
        }
        let shown = offer
            .sdp
            .lines()
            .find_map(|line| Fingerprint::parse(line.strip_prefix("a=fingerprint:")?));
        if shown.is_none() || Fingerprint::parse_digits(&claims.cnf) != shown {
            return broken("the ticket is for another certificate");
        }
        let wall = moment.unix_s;
        if wall > claims.exp + LEEWAY || wall + LEEWAY < claims.iat {
            return broken("the ticket has expired");
        }
        if !self.admitted.insert(claims.jti) {
            return broken("the ticket was used before");
        }
        self.newest = Some(claims.jti);
        if is_served {
            return Ok(());
        }
        if part.role == Some(HostRole::Draining) {
            return broken("this computer hands the call over");
        }
        let is_leased = self
            .confirmed
            .is_some_and(|asked| moment.boot.since(asked) < LEASE);
        let needs_lease = matches!(part.role, Some(HostRole::Active | HostRole::Next));
        if needs_lease && !is_leased {
            return broken("its lease was over");
        }
        self.admissions += 1;
        Ok(())
    }
}

/// What a ticket or a grant says, whoever signed it.
fn claims_of<T: DeserializeOwned>(paper: &str) -> Option<T> {
    let payload = paper.split('.').nth(1)?;
    let bytes = URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// What holds for all of them together.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// Who was ever believed to be, or believed itself to be, host of an epoch.
    hosts: BTreeMap<Epoch, HostId>,
    /// Tickets and grants that signaling signed.
    signed: BTreeSet<u64>,
    granted: BTreeSet<String>,
    /// Who was removed by a moderator, and since when signaling knows.
    pub(crate) kicked: BTreeMap<ParticipantId, Ms>,
    /// Of an earlier life of signaling: it has to be told again.
    remembered: BTreeMap<ParticipantId, Ms>,
}

impl Oracle {
    /// Somebody believes that this is the host of that epoch.
    pub(crate) fn believes(
        &mut self,
        who: impl FnOnce() -> String,
        epoch: Epoch,
        host: HostId,
    ) -> Result<(), Broken> {
        if epoch < Epoch::FIRST {
            return Err(Broken(format!("{} carries a call in no term", who())));
        }
        let known = *self.hosts.entry(epoch).or_insert(host);
        if known == host {
            return Ok(());
        }
        Err(Broken(format!(
            "two hosts in epoch {}: {} takes {host} for it, and it was {known}",
            epoch.0,
            who()
        )))
    }

    /// A guest believes in this term.
    pub(crate) fn follows(
        &mut self,
        who: impl FnOnce() -> String,
        term: &HostTerm,
    ) -> Result<(), Broken> {
        // Epoch 0 is no term: until a restarted signaling knows who carries the call, who comes new is told of a server that says
        // it stood by, and of another one when the first is gone. Whoever knows a term does not believe it, since every term is
        // newer; and no host takes part in it (`asks` and `believes` say so of each), it lets newcomers in as what it was before.
        // Nobody's computer is believed so: that takes a grant, which names a term.
        match (term.epoch < Epoch::FIRST, term.kind) {
            (true, HostKind::Central) => Ok(()),
            (true, HostKind::Participant) => {
                let why = format!("{} believes {} without a term", who(), term.host);
                Err(Broken(why))
            }
            (false, _) => self.believes(who, term.epoch, term.host),
        }
    }

    /// Terms there were.
    pub(crate) fn epochs(&self) -> usize {
        self.hosts.len()
    }

    /// Signaling sends a host an offer.
    pub(crate) fn asks(&mut self, offer: &Negotiate) -> Result<(), Broken> {
        if self.kicked.contains_key(&offer.participant) {
            let who = offer.participant;
            return Err(Broken(format!("signaling lets {who} in, who was removed")));
        }
        if offer.epoch < Epoch::FIRST {
            return Err(Broken("a host is asked in no term".to_owned()));
        }
        let ticket = offer.ticket.as_deref();
        if let Some(claims) = ticket.and_then(claims_of::<TicketClaims>) {
            self.signed.insert(claims.jti);
        }
        Ok(())
    }

    /// Signaling makes a computer host.
    pub(crate) fn grants(&mut self, grant: &str) {
        self.granted.insert(grant.to_owned());
    }

    /// Signaling is no more. What it knew of removals it knows again only from the operator's server, if that has heard of them.
    pub(crate) fn forgets(&mut self, server: Option<&Audit>) {
        let heard = server.and_then(|audit| audit.denials);
        self.remembered.append(&mut self.kicked);
        self.remembered
            .retain(|_, at| heard.is_some_and(|heard| *at <= heard));
    }

    /// The operator's server has told a new life of signaling.
    pub(crate) fn reminds(&mut self, now: Ms) {
        let remembered = std::mem::take(&mut self.remembered);
        self.kicked
            .extend(remembered.into_keys().map(|who| (who, now)));
    }

    /// Nobody is left who could tell it.
    pub(crate) fn forgets_all(&mut self) {
        self.remembered.clear();
    }

    /// Was this grant ever signed by signaling, for whatever?
    pub(crate) fn is_granted(&self, grant: &str) -> bool {
        self.granted.contains(grant)
    }

    /// Was this ticket ever signed by signaling?
    pub(crate) fn is_signed(&self, ticket: u64) -> bool {
        self.signed.contains(&ticket)
    }
}
