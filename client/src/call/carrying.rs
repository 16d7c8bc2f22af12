//! This computer as the others' host: offered when one is in the room, taken back when one leaves.

use std::net::SocketAddr;

use baton_protocol::{PeerMessage, StepDownReason};

use super::{Call, CallEvent};
use crate::carry::{Carrier, CarrierPlan, Carrying};
use crate::invite::Secret;

impl Call {
    /// Offers this computer, if its owner agreed and it is not offered yet.
    pub(super) fn offer_computer(&self) {
        if self.plan.hosting.is_some() && self.carrier.is_none() {
            let name = self.plan.computer.clone();
            self.session.say(PeerMessage::OfferHosting { name });
        }
    }

    /// Signaling lets this computer in as a host of this room.
    pub(super) fn handle_host_token(&mut self, token: String) {
        let (Some(consent), Some(room)) = (self.plan.hosting.clone(), &self.room) else {
            return;
        };
        let plan = CarrierPlan {
            signaling: self.plan.invite.signaling.clone(),
            room: self.plan.invite.room.clone(),
            name: self.plan.computer.clone(),
            token: Secret(token),
            trust: self.plan.trust.clone(),
            is_loopback: self.plan.invite.is_loopback,
            consent,
            owner: room.me(),
            has_heir: self.plan.invite.certificate.is_some(),
        };
        match Carrier::start(plan) {
            Ok(carrier) => self.carrier = Some(carrier),
            Err(error) => {
                let reason = error.to_string();
                let failed = Carrying::Failed { reason };
                self.news.push_back(CallEvent::Carrying(failed));
            }
        }
    }

    /// The carrier said something, or is gone.
    pub(super) fn handle_carrying(&mut self, news: Option<Carrying>) {
        match news {
            Some(news) => self.news.push_back(CallEvent::Carrying(news)),
            None => self.carrier = None,
        }
    }

    /// Signaling is away, or there again: this computer may have to serve it.
    pub(super) fn note_signaling(&self, is_lost: bool) {
        let (Some(carrier), Some(room)) = (&self.carrier, &self.room) else {
            return;
        };
        let people = room.participants().map(|one| (one.id, one.name.clone()));
        carrier.note_signaling(is_lost.then(|| people.collect()));
    }

    /// Hands the call back, if this computer carries it. False where it does not.
    pub fn step_down(&self, reason: StepDownReason) -> bool {
        let Some(carrier) = self
            .carrier
            .as_ref()
            .filter(|carrier| carrier.is_carrying())
        else {
            return false;
        };
        carrier.step_down(reason);
        true
    }

    /// Does this computer carry the call for the others, or is it about to?
    pub fn is_carrying(&self) -> bool {
        self.carrier.as_ref().is_some_and(Carrier::is_carrying)
    }

    /// The operator's host answered: it tells whoever asks under which address it sees them.
    pub(super) fn learn_reflector(&self, sdp: &str) {
        let Some(carrier) = self
            .carrier
            .as_ref()
            .filter(|_| !self.plan.invite.is_loopback)
        else {
            return;
        };
        if let Some(server) = udp_candidate(sdp) {
            carrier.set_reflector(server);
        }
    }
}

/// The first address of a host by UDP over IPv4, which is where NATs are.
fn udp_candidate(sdp: &str) -> Option<SocketAddr> {
    let mut lines = sdp
        .lines()
        .filter_map(|line| line.strip_prefix("a=candidate:"));
    lines.find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, _, protocol, _, address, port, _, "host", ..] = words.as_slice() else {
            return None;
        };
        let address = SocketAddr::new(address.parse().ok()?, port.parse().ok()?);
        (protocol.eq_ignore_ascii_case("udp") && address.is_ipv4()).then_some(address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_s_first_address_by_udp_is_asked() {
        let sdp = "v=0\r\na=candidate:1 1 udp 2130706431 2001:db8::7 7881 typ host\r\n\
                   a=candidate:t1 1 tcp 1520434943 203.0.113.7 7881 typ host tcptype passive\r\n\
                   a=candidate:2 1 udp 2130706175 203.0.113.7 7881 typ host\r\n";
        assert_eq!(udp_candidate(sdp), "203.0.113.7:7881".parse().ok());
        assert_eq!(udp_candidate("v=0\r\n"), None);
    }
}
