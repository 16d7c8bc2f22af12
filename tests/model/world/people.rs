//! Guests among the others: what they hear, what they believe because of it, and how their legs connect.

use baton_protocol::{LeaveReason, PeerMessage, ServiceMessage};

use super::{Event, GUEST_LOOK, World};
use crate::agenda::Ms;
use crate::host::Host;
use crate::invariants::Broken;
use crate::network::{Frame, Line, Node, Way};
use crate::words::{asked, told};

impl World {
    pub(super) fn guest_hears(
        &mut self,
        index: usize,
        socket: usize,
        (said_at, frame): (Ms, Frame),
    ) -> Result<(), Broken> {
        if self.guests[index].socket != Some(socket) {
            return Ok(());
        }
        let message = match frame {
            Frame::ToPeer(message) => message,
            Frame::End => {
                self.client_loses(socket);
                return Ok(());
            }
            Frame::Link(_) | Frame::FromHost(_) | Frame::FromPeer(_) | Frame::ToHost(_) => {
                return Ok(());
            }
        };
        self.note(|| format!("guest {index} hears {}", told(&message)));
        let was = self.guests[index].me;
        let goes_on = self.guests[index].hear(&message, self.now);
        if let ServiceMessage::Joined(joined) = &*message
            && let Some(kicked) = self.oracle.kicked.get(&joined.me)
            && said_at > *kicked
        {
            return Err(Broken(format!("{} came back after a kick", joined.me)));
        }
        if !goes_on {
            self.shut_out(index, socket, &message);
            return Ok(());
        }
        if self.guests[index].me != was {
            self.offer_computer(index);
        }
        if let Some(token) = self.guests[index].host_token.take() {
            self.start_computer(index, token);
        }
        self.after_guest(index)
    }

    /// Signaling does not want this person, at least not so.
    pub(super) fn shut_out(&mut self, index: usize, socket: usize, message: &ServiceMessage) {
        let is_kick = matches!(
            message,
            ServiceMessage::Removed {
                reason: LeaveReason::Kicked
            }
        );
        let guest = &mut self.guests[index];
        let old = guest.resume.clone();
        let mut tries_again = false;
        guest.end(false);
        if is_kick {
            (guest.is_in, guest.is_out, guest.resume) = (false, true, old);
            self.tally.kicked += 1;
        } else if guest.is_out {
            self.tally.kept_out += 1;
            guest.resume = old;
            tries_again = true;
        }
        let life = guest.life;
        self.net.sockets[socket].is_client_open = false;
        if !tries_again {
            self.redial(Node::Guest(index));
        } else if self.calm_since.is_none() && (self.is_hunt || self.spare.chance(70)) {
            // Maybe signaling or the server has forgotten meanwhile.
            let pause = match self.is_hunt {
                true => self.spare.between(50, 800),
                false => self.spare.between(500, 12_000),
            };
            self.plan(pause, Event::Dial(Node::Guest(index), life));
        } else {
            let guest = &mut self.guests[index];
            (guest.is_out, guest.resume) = (false, None);
            self.redial(Node::Guest(index));
        }
        self.plan(GUEST_LOOK, Event::GuestLook(index, life));
    }

    pub(super) fn offer_computer(&mut self, guest: usize) {
        let host = guest + 1;
        if host < self.hosts.len() && self.guests[guest].is_joined {
            // It was offered by who one was.
            self.end_process(host);
            let name = "computer".to_owned();
            let offer = PeerMessage::OfferHosting { name };
            self.guests[guest].outbox.push(offer);
        }
    }

    pub(super) fn start_computer(&mut self, guest: usize, token: String) {
        let host = guest + 1;
        if host < self.hosts.len() && self.hosts[host].process.is_none() {
            self.start_process(host, Some(token));
        }
    }

    /// What a guest believes now is looked at, and what it wants said is said.
    pub(crate) fn after_guest(&mut self, index: usize) -> Result<(), Broken> {
        let guest = &mut self.guests[index];
        let said = std::mem::take(&mut guest.outbox);
        if let (Some(term), Some(me)) = (guest.believed(), guest.me) {
            let (epoch, life) = (term.epoch, guest.life);
            self.oracle.follows(|| format!("guest {index}"), term)?;
            let known = self.believed.entry((index, life, me)).or_insert(epoch.0);
            if epoch.0 < *known {
                let known = *known;
                return Err(Broken(format!(
                    "guest {index} went back from epoch {known} to {}",
                    epoch.0
                )));
            }
            *known = epoch.0;
        }
        let Some(socket) = self.guests[index].socket else {
            return Ok(());
        };
        let mut offered = Vec::new();
        for message in said {
            self.note(|| format!("guest {index} says {}", asked(&message)));
            if let PeerMessage::Offer { leg, .. } = &message {
                offered.push(*leg);
            }
            self.send(socket, Way::Up, Frame::FromPeer(message));
        }
        offered
            .into_iter()
            .try_for_each(|leg| self.impersonate(index, leg))
    }

    pub(super) fn guest_look(&mut self, index: usize, life: u64) -> Result<(), Broken> {
        if self.guests[index].life != life {
            return Ok(());
        }
        self.plan(GUEST_LOOK, Event::GuestLook(index, life));
        self.connect_legs(index);
        self.guests[index].tick(self.now);
        self.after_guest(index)
    }

    /// Legs whose answer was taken connect, if the host is there and lets them.
    pub(super) fn connect_legs(&mut self, index: usize) {
        let me = self.guests[index].me;
        for place in 0..self.guests[index].legs.len() {
            let leg = &self.guests[index].legs[place];
            let (Some(me), Some(shown), false) = (me, leg.answered, leg.is_connected) else {
                continue;
            };
            let (id, own) = (leg.id, self.guests[index].certificate(leg.id));
            let theirs = |host: &Host| host.running().is_some_and(|one| one.fingerprint == shown);
            let Some(host) = self.hosts.iter().position(theirs) else {
                continue;
            };
            let line = Line::Media { guest: index, host };
            let moment = self.moment(host);
            let (now, room) = (self.now, self.room.clone());
            let is_whole = self.net.is_whole(line);
            let Some(process) = self.hosts[host].running_mut().filter(|_| is_whole) else {
                continue;
            };
            process.look(now, moment);
            let is_expected = process
                .legs
                .get(&(me, id))
                .is_some_and(|leg| leg.guest == own);
            if is_expected && process.may_send() {
                process.connected(&room, (me, id));
                let leg = &mut self.guests[index].legs[place];
                (leg.is_connected, leg.heard) = (true, now);
                self.flush(host);
            }
        }
    }
}
