//! This computer as the others' host: offered when one is in the room, taken back when one leaves.

use baton_protocol::{HostId, PeerMessage, StepDownReason};
use baton_server::Inside;

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
            Ok(carrier) => {
                self.carrier = Some(carrier);
                self.follow_servers();
            }
            Err(error) => {
                let reason = error.to_string();
                let failed = Carrying::Failed { reason };
                self.news.push_back(CallEvent::Carrying(failed));
            }
        }
    }

    /// A way into a host that is this computer's own.
    pub(super) fn inside_of(&self, host: HostId) -> Option<Inside> {
        let carrier = self.carrier.as_ref()?;
        (carrier.host() == Some(host)).then(|| carrier.inside())
    }

    /// Takes the offer back.
    pub(super) fn end_carrier(&mut self) {
        if let Some(carrier) = self.carrier.take() {
            self.parting = Some(carrier.end());
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

    /// Signaling said who helps this computer to be reached from outside.
    pub(super) fn follow_servers(&self) {
        let carrier = self.carrier.as_ref();
        if let Some(carrier) = carrier.filter(|_| !self.plan.invite.is_loopback) {
            carrier.follow_servers(self.ice_servers.clone());
        }
    }
}
