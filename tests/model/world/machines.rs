//! Hosts among the others: their processes, what they hear, and what they send to whom.

use baton_protocol::{HostCommand, HostRole, LegId, ParticipantId};
use baton_server::{Fingerprint, Moment};

use super::{Event, GUEST_LOOK, HOST_TURN, LINES, SERVER_TURN, START_S, World};
use crate::agenda::Ms;
use crate::guest::Guest;
use crate::host::Process;
use crate::invariants::Broken;
use crate::network::{Frame, Line, Node, Way};
use crate::words::heard;

impl World {
    pub(crate) fn moment(&self, host: usize) -> Moment {
        self.hosts[host].moment(self.now, START_S)
    }

    pub(crate) fn start(&mut self, node: Node, life: u64) {
        if self.life(node) != life {
            return;
        }
        match node {
            Node::Host(0) if self.hosts[0].process.is_none() => self.start_process(0, None),
            Node::Host(_) => {}
            Node::Guest(guest) => {
                self.guests[guest].is_in = true;
                self.plan(0, Event::Dial(node, life));
                self.plan(GUEST_LOOK, Event::GuestLook(guest, life));
            }
        }
    }

    pub(crate) fn start_process(&mut self, index: usize, token: Option<String>) {
        self.certificates += 1;
        let mut bytes = [0xA0; 32];
        bytes[0] = u8::try_from(index).expect("few hosts");
        bytes[1..9].copy_from_slice(&self.certificates.to_be_bytes());
        let host = &mut self.hosts[index];
        host.process = Some(Process::new(host.kind, Fingerprint(bytes), token));
        let life = host.life;
        self.note(|| format!("host {index} starts"));
        self.plan(0, Event::Dial(Node::Host(index), life));
        self.plan(HOST_TURN, Event::HostTurn(index, life));
        if index == 0 {
            self.plan(LINES, Event::Lines(life));
        }
    }

    /// The process is no more; its sockets are closed by its system.
    pub(crate) fn end_process(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        host.life += 1;
        host.stopped = None;
        let Some(process) = host.process.take() else {
            return;
        };
        if index == 0 && !self.service.has_heard_server {
            // Nobody is left who remembers.
            self.oracle.forgets_all();
        }
        self.tally.standstills += process.audit.standstills;
        self.tally.admissions += process.audit.admissions;
        if let Some(socket) = process.socket {
            self.send(socket, Way::Up, Frame::End);
            self.net.sockets[socket].is_client_open = false;
        }
    }

    pub(crate) fn host_hears(
        &mut self,
        index: usize,
        socket: usize,
        (said_at, frame): (Ms, Frame),
    ) -> Result<(), Broken> {
        let is_stopped = self.hosts[index].stopped.is_some();
        let moment = self.moment(index);
        let (now, room) = (self.now, self.room.clone());
        let Some(process) = self.hosts[index].process.as_mut() else {
            return Ok(());
        };
        if process.socket != Some(socket) {
            return Ok(());
        }
        if is_stopped {
            process.waiting.push_back((said_at, frame));
            return Ok(());
        }
        let command = match frame {
            Frame::ToHost(command) => command,
            Frame::End => {
                self.client_loses(socket);
                return Ok(());
            }
            Frame::Link(_) | Frame::FromHost(_) | Frame::FromPeer(_) | Frame::ToPeer(_) => {
                return Ok(());
            }
        };
        let mut offer = None;
        if let HostCommand::Negotiate(negotiate) = &command {
            offer = Some(negotiate.participant);
        }
        process.hear(said_at, command, &room, (now, moment))?;
        self.look_at_papers(index)?;
        if let Some(process) = self.hosts[index].process.as_ref()
            && let Some(who) = offer
            && let Some(kicked) = self.oracle.kicked.get(&who)
            && said_at > *kicked
            && process.audit.dismissed.contains(&who)
            && process.legs.keys().any(|(whose, _)| *whose == who)
        {
            return Err(Broken(format!("host {index} serves {who} after the kick")));
        }
        self.after_host(index)
    }

    pub(crate) fn look_at_papers(&mut self, index: usize) -> Result<(), Broken> {
        let process = self.hosts[index].process.as_mut();
        let Some(process) = process else {
            return Ok(());
        };
        let grant = process.audit.newest_grant.take();
        if grant.is_some_and(|grant| !self.oracle.is_granted(&grant)) {
            return Err(Broken(format!(
                "host {index} took a grant that signaling never signed"
            )));
        }
        match process.audit.newest.take() {
            Some(ticket) if !self.oracle.is_signed(ticket) => Err(Broken(format!(
                "host {index} took a ticket that signaling never signed"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    /// What a host believes is looked at, and what it wants said is said.
    pub(crate) fn after_host(&mut self, index: usize) -> Result<(), Broken> {
        self.flush(index);
        let Some(process) = self.hosts[index].running() else {
            return Ok(());
        };
        if let (Some(part), Some(id)) = (process.part, process.id)
            && part.role == Some(HostRole::Active)
        {
            self.oracle
                .believes(|| format!("host {index}"), part.epoch, id)?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self, index: usize) {
        let Some(process) = self.hosts[index].process.as_mut() else {
            return;
        };
        let said = std::mem::take(&mut process.outbox);
        let Some(socket) = process.socket else { return };
        for message in said {
            self.note(|| format!("host {index} says {}", heard(&message)));
            self.send(socket, Way::Up, Frame::FromHost(message));
        }
    }

    pub(super) fn host_turn(&mut self, index: usize, life: u64) -> Result<(), Broken> {
        if self.hosts[index].life != life {
            return Ok(());
        }
        let every = match index {
            0 => SERVER_TURN,
            _ => HOST_TURN,
        };
        self.plan(every, Event::HostTurn(index, life));
        let moment = self.moment(index);
        let (now, room) = (self.now, self.room.clone());
        let Some(process) = self.hosts[index].running_mut() else {
            return Ok(());
        };
        process.look(now, moment);
        self.transmit(index)?;
        if let Some(process) = self.hosts[index].running_mut() {
            process.tick(&room, (now, moment));
        }
        self.after_host(index)
    }

    /// A packet to everybody whose leg is up, and one from them.
    pub(crate) fn transmit(&mut self, index: usize) -> Result<(), Broken> {
        let moment = self.moment(index);
        let now = self.now;
        let Some(process) = self.hosts[index].running_mut() else {
            return Ok(());
        };
        process.look(now, moment);
        let may_send = process.may_send();
        let carries = process
            .part
            .is_some_and(|part| matches!(part.role, Some(HostRole::Active | HostRole::Draining)));
        let is_computer = process.tenure.is_some();
        if may_send && carries && is_computer && process.audit.fenced.is_some() {
            let connected = process.legs.values().any(|leg| leg.is_connected);
            if connected {
                let part = process.part;
                return Err(Broken(format!(
                    "host {index} stood still and sends as {part:?}, unconfirmed"
                )));
            }
        }
        self.tally.withheld += u64::from(!may_send);
        let legs: Vec<_> = process
            .legs
            .iter()
            .filter(|(_, leg)| leg.is_connected)
            .map(|(key, _)| *key)
            .collect();
        for (participant, leg) in legs {
            let removed = self.oracle.kicked.get(&participant);
            let process = self.hosts[index].process.as_ref().filter(|_| may_send);
            if let (Some(removed), Some(process)) = (removed, process)
                && process.audit.keeps_on(*removed)
            {
                let why = format!("host {index} goes on sending to {participant}, who was removed");
                return Err(Broken(why));
            }
            let theirs = |guest: &Guest| guest.me == Some(participant);
            let Some(guest) = self.guests.iter().position(theirs) else {
                self.linger(index, (participant, leg));
                continue;
            };
            let line = Line::Media { guest, host: index };
            let (down, up) = (
                self.net.passes(line, Way::Down),
                self.net.passes(line, Way::Up),
            );
            let mut legs = self.guests[guest].legs.iter_mut();
            let Some(own) = legs.find(|one| one.id == leg && one.is_connected) else {
                continue;
            };
            if down && may_send {
                own.heard = now;
                self.tally.packets += 1;
            }
            if up
                && let Some(process) = self.hosts[index].process.as_mut()
                && let Some(leg) = process.legs.get_mut(&(participant, leg))
            {
                leg.heard = now;
            }
        }
        Ok(())
    }

    /// Whoever was removed may have a program that goes on all the same: its leg does not die by itself.
    fn linger(&mut self, index: usize, key: (ParticipantId, LegId)) {
        if !self.oracle.kicked.contains_key(&key.0) {
            return;
        }
        let process = self.hosts[index].process.as_mut();
        if let Some(leg) = process.and_then(|process| process.legs.get_mut(&key)) {
            leg.heard = self.now;
        }
    }

    pub(super) fn report_lines(&mut self, life: u64) {
        if self.hosts[0].life != life {
            return;
        }
        self.plan(LINES, Event::Lines(life));
        let room = self.room.clone();
        if let Some(process) = self.hosts[0].running_mut() {
            let lines = process.lines(&room);
            process.say(lines);
            self.flush(0);
        }
    }
}
