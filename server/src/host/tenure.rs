//! A participant's computer as host of one room: by whose leave it is so, until when, and whom it lets in.
//!
//! Everything that signaling commands passes here before the engine hears of it. Nobody is served before signaling has made this
//! computer the next host; each offer needs a ticket that signaling signed for this room, term, guest and computer; without a lease
//! nobody new is let in; and a thread that stood still sends nothing before signaling has confirmed the term.
//! The operator's own hosts have no tenure: they are signaling's own.
//!
//! Pure: time comes in by argument, messages go out by a queue. Does not own sockets, media, nor the owner's wishes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use baton_engine::sdp::{Fingerprint, Offer};
use baton_protocol::{
    BridgeId, Epoch, GrantClaims, HostCommand, HostId, HostLoad, HostMessage, HostRole, LegId,
    LegState, Negotiate, ParticipantId, Refusal, RoomId, StepDownReason,
};

use super::clock::{BootTime, Moment};
use crate::papers::{SigningKey, in_time};
use fence::Fence;
use lease::Lease;

mod fence;
mod lease;
#[cfg(test)]
mod tests;

/// What the engine is to be told.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// The command as it is.
    Pass(HostCommand),
    /// Nothing.
    Refused,
}

/// See the module.
pub struct Tenure {
    fingerprint: Fingerprint,
    host: Option<HostId>,
    key: Option<SigningKey>,
    term: Option<Term>,
    fence: Fence,
    /// The term in which it said that it wants to be rid of the call.
    stepped_down: Option<Epoch>,
    /// Tickets that were used, by number, with their end: each is good once.
    used: BTreeMap<u64, u64>,
    served: BTreeSet<(ParticipantId, LegId)>,
    outbox: VecDeque<HostMessage>,
    refusals: u64,
}

struct Term {
    room: RoomId,
    epoch: Epoch,
    role: HostRole,
    grant: Option<String>,
    lease: Option<Lease>,
}

impl Tenure {
    /// Of a computer whose legs show this certificate. It serves nobody yet.
    pub fn new(fingerprint: Fingerprint) -> Self {
        Self {
            fingerprint,
            host: None,
            key: None,
            term: None,
            fence: Fence::default(),
            stepped_down: None,
            used: BTreeMap::new(),
            served: BTreeSet::new(),
            outbox: VecDeque::new(),
            refusals: 0,
        }
    }

    /// The forwarding thread is here. Must be said before everything that it sends, and at least every half second.
    pub fn look(&mut self, now: BootTime) {
        let has_stood = self.fence.look(now);
        let Some(term) = self.term.as_mut() else {
            return self.fence.open();
        };
        if has_stood {
            tracing::warn!(room = %term.room, epoch = term.epoch.0,
                "this computer stood still; nothing is sent until signaling confirms that it carries the call");
            // The renewal that asks for it does not wait for its turn.
            if let Some(lease) = &mut term.lease {
                lease.hurry(now);
            }
        }
    }

    /// May anything be sent? Only who carried the call can have been replaced: others are silent, or send doubles.
    pub fn may_send(&self) -> bool {
        let carries = |term: &Term| matches!(term.role, HostRole::Active | HostRole::Draining);
        !self.fence.is_closed() || !self.term.as_ref().is_some_and(carries)
    }

    /// Does this computer carry a call?
    pub(crate) fn is_active(&self) -> bool {
        let term = self.term.as_ref();
        term.is_some_and(|term| term.role == HostRole::Active)
    }

    /// Tells signaling, once in a term, that the call should go elsewhere. False where that was told.
    pub(crate) fn step_down(&mut self, reason: StepDownReason) -> bool {
        let Some(term) = self.term.as_ref() else {
            return false;
        };
        let told = self.stepped_down.replace(term.epoch);
        if told == Some(term.epoch) {
            return false;
        }
        let (room, epoch) = (term.room.clone(), term.epoch);
        self.outbox.push_back(HostMessage::StepDown {
            room,
            epoch,
            reason,
        });
        true
    }

    /// Offers and roles that were refused so far.
    #[cfg(test)]
    pub(crate) fn refusals(&self) -> u64 {
        self.refusals
    }

    /// Decides about one command of signaling.
    pub fn handle_command(&mut self, command: HostCommand, now: Moment) -> Verdict {
        match &command {
            HostCommand::Accepted { host, signing_key } => {
                self.host = Some(*host);
                let key = signing_key.as_deref().and_then(SigningKey::parse);
                if key.is_none() {
                    tracing::warn!("signaling told no usable key: nobody can be let in");
                }
                self.key = key;
            }
            HostCommand::Serve { .. } => return self.handle_role(command, now),
            HostCommand::Lease {
                room,
                epoch,
                count,
                valid_ms,
            } => self.handle_lease(room, *epoch, (*count, *valid_ms), now.boot),
            HostCommand::Negotiate(negotiate) => {
                if let Err(reason) = self.admit(negotiate, now) {
                    self.refuse(negotiate, reason);
                    return self.give_way(&negotiate.room, negotiate.epoch);
                }
            }
            HostCommand::OpenBridge {
                room,
                epoch,
                bridge,
            } => {
                if let Err(reason) = self.check_term(room, *epoch, None, now) {
                    return self.refuse_bridge(room, *bridge, &reason);
                }
            }
            HostCommand::JoinBridge {
                room,
                epoch,
                bridge,
                end,
                ticket,
            } => {
                let leg = (ParticipantId(0), LegId(bridge.0));
                let shown = Fingerprint::parse_digits(&end.fingerprint);
                let admitted = shown
                    .ok_or_else(|| "the other host shows no certificate".to_owned())
                    .and_then(|shown| {
                        self.check_term(room, *epoch, None, now)?;
                        self.check_ticket((room, *epoch), leg, Some(ticket.as_str()), shown, now)
                    });
                if let Err(reason) = admitted {
                    return self.refuse_bridge(room, *bridge, &reason);
                }
            }
            // Only the operator's hosts are called.
            HostCommand::AnswerBridge { room, bridge, .. } => {
                return self.refuse_bridge(room, *bridge, "this is a participant's computer");
            }
            HostCommand::Close {
                participant, leg, ..
            } => self.served.retain(|(whose, which)| {
                whose != participant || leg.is_some_and(|leg| leg != *which)
            }),
            HostCommand::CloseRoom { room } => {
                if self.term.as_ref().is_some_and(|term| term.room == *room) {
                    self.term = None;
                    self.served.clear();
                }
            }
            // Nobody but those who were let in has a leg that these could be about.
            HostCommand::RestartIce { .. }
            | HostCommand::Candidate { .. }
            | HostCommand::SetMuted { .. }
            | HostCommand::ProbeUplink { .. }
            | HostCommand::Deny { .. }
            | HostCommand::Remember { .. }
            | HostCommand::CloseBridge { .. }
            | HostCommand::Inherit { .. }
            | HostCommand::Unknown => {}
        }
        Verdict::Pass(command)
    }

    /// The engine said something to signaling.
    pub fn note_message(&mut self, message: &HostMessage) {
        if let HostMessage::Leg {
            participant,
            leg,
            state: LegState::Closed,
            ..
        } = message
        {
            self.served.remove(&(*participant, *leg));
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<BootTime> {
        let lease = self.term.as_ref()?.lease.as_ref()?;
        Some(lease.deadline())
    }

    /// Renews the lease where that is due. `load` says how the host is doing.
    pub fn handle_timeout(&mut self, load: HostLoad, now: BootTime) {
        let Some(term) = &mut self.term else { return };
        let Some(count) = term.lease.as_mut().and_then(|lease| lease.poll(now)) else {
            return;
        };
        let (room, epoch) = (term.room.clone(), term.epoch);
        self.outbox.push_back(HostMessage::Renew {
            room,
            epoch,
            count,
            load,
        });
    }

    /// What signaling is to be told.
    pub fn poll_message(&mut self) -> Option<HostMessage> {
        self.outbox.pop_front()
    }

    fn handle_role(&mut self, command: HostCommand, now: Moment) -> Verdict {
        let HostCommand::Serve {
            room,
            epoch,
            role,
            grant,
            lease_ms,
            ..
        } = &command
        else {
            return Verdict::Pass(command);
        };
        if let Err(reason) = self.check_role(room, *epoch, *role, grant.as_deref(), now) {
            self.refusals += 1;
            tracing::warn!(%room, epoch = epoch.0, ?role, reason, "a role was refused");
            if *role == HostRole::Next {
                self.outbox.push_back(HostMessage::Declined {
                    room: room.clone(),
                    epoch: *epoch,
                    reason,
                });
            }
            return Verdict::Refused;
        }
        let before = self.term.take();
        let is_new = before.as_ref().is_none_or(|term| term.epoch < *epoch);
        let valid = lease_ms.map(|ms| Duration::from_millis(ms.into()));
        // Renewals go on being counted: the answer to the last one may be on its way.
        let known = before.filter(|_| !is_new).and_then(|term| term.lease);
        let lease = valid.map(|valid| match known {
            // Behind the fence this word may have waited in the socket like any other: it is asked whether it still holds.
            Some(lease) if self.fence.is_closed() => lease,
            None if self.fence.is_closed() => Lease::unconfirmed(now.boot),
            Some(lease) => lease.extended(valid, now.boot),
            None => Lease::new(valid, now.boot),
        });
        self.term = Some(Term {
            room: room.clone(),
            epoch: *epoch,
            role: *role,
            grant: grant.clone(),
            lease,
        });
        if *role == HostRole::Next {
            self.outbox.push_back(HostMessage::Prepared {
                room: room.clone(),
                epoch: *epoch,
            });
        }
        Verdict::Pass(command)
    }

    fn check_role(
        &self,
        room: &RoomId,
        epoch: Epoch,
        role: HostRole,
        grant: Option<&str>,
        now: Moment,
    ) -> Result<(), String> {
        let before = self.term.as_ref();
        if let Some(term) = before {
            if term.room != *room {
                return Err("this computer serves another room".to_owned());
            }
            if epoch < term.epoch {
                return Err(format!(
                    "it is of epoch {}, and {} has begun",
                    epoch.0, term.epoch.0
                ));
            }
        }
        if !matches!(role, HostRole::Next | HostRole::Active) {
            return Ok(());
        }
        // The word by which it became so comes only once; said again it would take the call away from whoever carries it.
        let is_past = |term: &Term| term.epoch == epoch && term.role == HostRole::Active;
        if role == HostRole::Next && before.is_some_and(is_past) {
            return Err("it carries the call of that epoch already".to_owned());
        }
        let grant = grant.ok_or("there is no grant")?;
        // Once the term is its own, clocks that differ since take nothing away.
        let known = before.is_some_and(|term| term.epoch == epoch && term.grant.is_some());
        let key = self.key.as_ref().ok_or("signaling told no key")?;
        let claims = key
            .grant(grant)
            .map_err(|why| format!("its grant: {why}"))?;
        if !known {
            in_time(claims.iat, claims.exp, now.unix_s)
                .map_err(|why| format!("its grant: {why}"))?;
        }
        let GrantClaims {
            room: granted_room,
            epoch: granted_epoch,
            host,
            fingerprint,
            ..
        } = claims;
        let is_mine = Some(host) == self.host && is_same(&fingerprint, self.fingerprint);
        if granted_room != *room || granted_epoch != epoch || !is_mine {
            return Err("its grant is for another room, term or computer".to_owned());
        }
        Ok(())
    }

    fn handle_lease(
        &mut self,
        room: &RoomId,
        epoch: Epoch,
        (count, valid_ms): (u32, u32),
        now: BootTime,
    ) {
        let Some(term) = self.term.as_mut() else {
            return;
        };
        if term.room != *room || term.epoch != epoch {
            return;
        }
        let valid = Duration::from_millis(valid_ms.into());
        let asked = term
            .lease
            .as_mut()
            .and_then(|lease| lease.renew(count, valid, now));
        if asked.is_some_and(|asked| self.fence.confirm(asked)) {
            tracing::info!(%room, epoch = epoch.0, "signaling confirmed that this computer carries the call");
        }
    }

    /// Lets a guest in, or says why not.
    fn admit(&mut self, negotiate: &Negotiate, now: Moment) -> Result<(), String> {
        let leg = (negotiate.participant, negotiate.leg);
        self.check_term(&negotiate.room, negotiate.epoch, Some(leg), now)?;
        let offer = Offer::parse(&negotiate.sdp).map_err(|error| error.to_string())?;
        let term = (&negotiate.room, negotiate.epoch);
        let ticket = negotiate.ticket.as_deref();
        self.check_ticket(term, leg, ticket, offer.transport.fingerprint, now)?;
        self.served.insert(leg);
        Ok(())
    }

    /// Is it this computer's call, and may somebody new be let in? Those who are served go on whatever happens.
    fn check_term(
        &self,
        room: &RoomId,
        epoch: Epoch,
        leg: Option<(ParticipantId, LegId)>,
        now: Moment,
    ) -> Result<(), String> {
        let Some(term) = &self.term else {
            return Err("this computer carries no call".to_owned());
        };
        if term.room != *room {
            return Err("this computer carries another call".to_owned());
        }
        if epoch < term.epoch {
            return Err(format!(
                "epoch {} is over: this computer is in epoch {}",
                epoch.0, term.epoch.0
            ));
        }
        if epoch > term.epoch {
            return Err(format!(
                "this computer was not made host of epoch {}",
                epoch.0
            ));
        }
        let is_served = leg.is_some_and(|leg| self.served.contains(&leg));
        if !is_served && term.role == HostRole::Draining {
            return Err("this computer hands the call over".to_owned());
        }
        if !is_served
            && term
                .lease
                .as_ref()
                .is_some_and(|lease| !lease.holds(now.boot))
        {
            return Err(
                "signaling has not confirmed for too long that this computer is host".to_owned(),
            );
        }
        Ok(())
    }

    /// Is the ticket for this room, term, leg and certificate, and not used yet?
    fn check_ticket(
        &mut self,
        (room, epoch): (&RoomId, Epoch),
        leg: (ParticipantId, LegId),
        ticket: Option<&str>,
        shown: Fingerprint,
        now: Moment,
    ) -> Result<(), String> {
        let key = self.key.as_ref().ok_or("signaling told no key")?;
        let ticket = ticket.ok_or("there is no ticket")?;
        let ticket = key
            .ticket(ticket, now.unix_s)
            .map_err(|why| format!("its ticket: {why}"))?;
        let is_for_this =
            ticket.room == *room && ticket.epoch == epoch && (ticket.sub, ticket.leg) == leg;
        if !is_for_this {
            return Err("its ticket is for another room, term or guest".to_owned());
        }
        if !is_same(&ticket.aud, self.fingerprint) {
            return Err("its ticket is for another computer".to_owned());
        }
        if !is_same(&ticket.cnf, shown) {
            return Err("its ticket is for another certificate than the offer shows".to_owned());
        }
        if self.used.contains_key(&ticket.jti) {
            return Err("its ticket was used before".to_owned());
        }
        // Not before it must: a calendar that goes forth and back again makes tickets good once more.
        if self.used.len() >= MAX_TICKETS {
            self.used
                .retain(|_, exp| exp.saturating_add(FORGET) >= now.unix_s);
        }
        if self.used.len() >= MAX_TICKETS {
            return Err("too many offers within a minute".to_owned());
        }
        self.used.insert(ticket.jti, ticket.exp);
        Ok(())
    }

    /// Where another term has begun and this computer was not told, the call is not its own any more.
    fn give_way(&mut self, room: &RoomId, epoch: Epoch) -> Verdict {
        let Some(term) = self.term.as_mut() else {
            return Verdict::Refused;
        };
        if term.room != *room || epoch <= term.epoch {
            return Verdict::Refused;
        }
        (term.epoch, term.role) = (epoch, HostRole::Draining);
        (term.grant, term.lease) = (None, None);
        Verdict::Pass(HostCommand::Serve {
            room: room.clone(),
            epoch,
            role: HostRole::Draining,
            grant: None,
            lease_ms: None,
            beats: false,
        })
    }

    fn refuse_bridge(&mut self, room: &RoomId, bridge: BridgeId, reason: &str) -> Verdict {
        self.refusals += 1;
        tracing::warn!(%room, bridge = bridge.0, reason, "a bridge was refused");
        self.outbox.push_back(HostMessage::Bridge {
            room: room.clone(),
            bridge,
            state: LegState::Closed,
        });
        Verdict::Refused
    }

    fn refuse(&mut self, negotiate: &Negotiate, message: String) {
        self.refusals += 1;
        let Negotiate {
            room,
            participant,
            leg,
            request,
            ..
        } = negotiate;
        tracing::warn!(%room, %participant, %leg, reason = message, "an offer was refused");
        self.outbox.push_back(HostMessage::Refused(Refusal {
            room: room.clone(),
            participant: *participant,
            leg: *leg,
            request: *request,
            message,
        }));
    }
}

fn is_same(claimed: &str, shown: Fingerprint) -> bool {
    Fingerprint::parse_digits(claimed).is_some_and(|claimed| claimed == shown)
}

/// Tickets remembered at a time.
const MAX_TICKETS: usize = 4096;

/// Seconds after its end for which a used ticket is remembered at least: twice what clocks may differ.
const FORGET: u64 = 60;
