//! The end of a run: everything is repaired, and then everybody has to come together again by themselves.

use baton_protocol::{Epoch, HostId, HostKind, HostRole, LegId};

use crate::host::Process;
use crate::invariants::Broken;
use crate::network::Node;
use crate::world::World;

impl World {
    /// Everything is repaired, and nothing more goes wrong.
    pub(crate) fn calm(&mut self) -> Result<(), Broken> {
        self.note(|| "CALM: everything is repaired".to_owned());
        self.calm_since = Some(self.now);
        self.start_signaling();
        self.service.wall_ahead = 0;
        for (line, way) in self.net.all_cuts() {
            self.heal(line, way);
        }
        for host in 0..self.hosts.len() {
            self.hosts[host].wall_ahead = 0;
            let life = self.hosts[host].life;
            self.resume(host, life)?;
        }
        let life = self.hosts[0].life;
        self.start(Node::Host(0), life);
        for guest in 0..self.guests.len() {
            let guest_ref = &self.guests[guest];
            if !guest_ref.is_in && !guest_ref.is_out {
                let life = guest_ref.life;
                self.start(Node::Guest(guest), life);
            }
        }
        Ok(())
    }

    /// Why not everybody is together, if so.
    pub(crate) fn unsettled(&self) -> Option<String> {
        let mut common = None;
        for (index, guest) in self.guests.iter().enumerate() {
            if !guest.is_in {
                continue;
            }
            let Some(hosting) = guest.hosting.as_ref().filter(|_| guest.is_joined) else {
                return Some(format!("guest {index} is not in the room"));
            };
            let term = (hosting.term.epoch, hosting.term.host);
            if *common.get_or_insert(term) != term {
                return Some(format!(
                    "guest {index} believes {term:?}, others {common:?}"
                ));
            }
            let main = guest.main().filter(|leg| leg.is_connected);
            let Some(leg) = main.filter(|leg| leg.host == hosting.mine) else {
                return Some(format!("guest {index} is not connected to its host"));
            };
            if leg.heard + 1500 < self.now {
                return Some(format!("guest {index} hears nothing"));
            }
            if let Err(why) = self.serves(index, leg.id) {
                return Some(why);
            }
        }
        // Who was removed and welcomed again, because nobody is left who knows of it, knows as well.
        let mut welcomed = self.guests.iter().filter(|guest| guest.is_joined);
        let believed = welcomed.find_map(|guest| guest.believed());
        self.unsettled_host(common.or(believed.map(|term| (term.epoch, term.host))))
    }

    fn serves(&self, guest: usize, leg: LegId) -> Result<(), String> {
        let Some(me) = self.guests[guest].me else {
            return Err("nobody".to_owned());
        };
        let mut hosts = self.hosts.iter().filter_map(|host| host.process.as_ref());
        let serves = hosts.any(|host| host.legs.contains_key(&(me, leg)));
        match serves {
            true => Ok(()),
            false => Err(format!("no host knows the leg of guest {guest}")),
        }
    }

    fn unsettled_host(&self, common: Option<(Epoch, HostId)>) -> Option<String> {
        for (index, host) in self.hosts.iter().enumerate() {
            let process = host.process.as_ref();
            let is_linked = |one: &&Process| one.socket.is_some() && one.accepted == one.socket;
            let Some(process) = process.filter(is_linked) else {
                continue;
            };
            let kicked = process
                .legs
                .keys()
                .find(|key| self.oracle.kicked.contains_key(&key.0));
            if let Some((who, _)) = kicked {
                return Some(format!(
                    "host {index} still has a leg of {who}, who was removed"
                ));
            }
            let is_active = process
                .part
                .is_some_and(|part| part.role == Some(HostRole::Active));
            let is_common = common.is_some_and(|(_, host)| process.id == Some(host));
            let knows = process.part.is_some_and(|part| {
                is_active && common.is_some_and(|(epoch, _)| part.epoch == epoch)
            });
            if is_common && !knows && host.kind == HostKind::Participant {
                return Some(format!(
                    "host {index} carries the call and does not know it"
                ));
            }
            // Where nobody is in the room, nobody says who carries it.
            let is_other = common.is_some() && !is_common;
            if is_active && is_other && host.kind == HostKind::Participant {
                return Some(format!("host {index} believes that it carries the call"));
            }
        }
        None
    }
}
