//! Which host an offer is for, in which term, and the ticket that a participant's computer wants to see.

use baton_protocol::{Epoch, ErrorCode, HostId, HostKind, TicketClaims};
use rand::Rng;

use super::{Offer, internal};
use crate::grant::is_fingerprint;
use crate::now::Now;
use crate::participant::Stay;
use crate::registry::{Refused, Registry, Seat};

/// How long a ticket is good, in seconds.
const TICKET_LIFE: u64 = 60;

/// Where an offer goes.
pub(super) struct Target {
    pub(super) host: HostId,
    /// The term in which the host is asked: the newest that it knows of.
    pub(super) epoch: Epoch,
}

impl Registry {
    /// The host that an offer means, if there may be a leg to it.
    pub(super) fn target(&self, seat: &Seat, offer: &Offer) -> Result<Target, Refused> {
        let room = self.rooms.get(&seat.room).ok_or_else(internal)?;
        let baton = &room.baton;
        let home = room.home(seat.participant, &self.hosts);
        let Some(host) = offer.host.or(home) else {
            let message = "no server is there for you now; offer again in a moment";
            return Err(Refused::new(ErrorCode::NoHost, message));
        };
        // Other hosts are not told yet what they are: one with legs, asked after another restart, would take the term for its own.
        if baton.guess.is_some() && (offer.epoch, host) != (room.term.epoch, room.term.host) {
            let message = "it is not known yet who carries the call; offer again in a moment";
            return Err(Refused::new(ErrorCode::NoHost, message));
        }
        let moving = baton.moving.as_ref().filter(|one| one.phase().is_some());
        let is_next = moving.is_some_and(|one| (one.to, one.epoch) == (host, offer.epoch));
        let is_named = host == room.term.host || home == Some(host) || baton.standby == Some(host);
        if !is_next && !is_named {
            let message = "that host does not carry this call; offer again to the present one";
            return Err(Refused::new(ErrorCode::StaleEpoch, message));
        }
        if !is_next && offer.epoch != room.term.epoch {
            let message = format!(
                "the room is in epoch {}, the offer is for {}; offer again to the present host",
                room.term.epoch.0, offer.epoch.0
            );
            return Err(Refused::new(ErrorCode::StaleEpoch, message));
        }
        let is_computer = self.hosts.kind(host) == Some(HostKind::Participant);
        if is_computer && room.stay(seat.participant) == Stay::Always {
            let message = "you use the server only, and this is somebody's computer";
            return Err(Refused::new(ErrorCode::Forbidden, message));
        }
        Ok(Target {
            host,
            epoch: baton.epoch_for(host, offer.epoch),
        })
    }

    /// The ticket for a participant's computer; the operator's hosts need none.
    pub(super) fn ticket(
        &mut self,
        seat: &Seat,
        offer: &Offer,
        target: &Target,
        now: Now,
    ) -> Result<Option<String>, Refused> {
        if self.hosts.kind(target.host) != Some(HostKind::Participant) {
            return Ok(None);
        }
        let own = offer.fingerprint.as_ref().filter(|one| is_fingerprint(one));
        let Some(own) = own else {
            let message = "an offer to a participant's computer says the SHA-256 fingerprint of its own certificate";
            return Err(Refused::new(ErrorCode::Invalid, message));
        };
        let Some(aud) = self.hosts.fingerprint(target.host) else {
            let message = "that computer has not shown its certificate";
            return Err(Refused::new(ErrorCode::NoHost, message));
        };
        let claims = TicketClaims {
            room: seat.room.clone(),
            epoch: target.epoch,
            sub: seat.participant,
            leg: offer.leg,
            cnf: own.clone(),
            aud: aud.to_owned(),
            jti: self.rng.next_u64(),
            exp: now.unix_s() + TICKET_LIFE,
            iat: now.unix_s(),
        };
        Ok(Some(self.signer.ticket(&claims)))
    }
}
