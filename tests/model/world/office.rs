//! Signaling and everybody's sockets to it: what it is told, what it sends, and how each side finds out that a socket is over.

use std::rc::Rc;
use std::time::Duration;

use baton_protocol::{Epoch, HostCommand, HostKind, LeaveReason, ServiceMessage};
use baton_signaling::{Access, ConnectionId, LinkId, Now, Output, Registry, RegistryConfig, Token};

use super::{Event, START_S, World, index_of};
use crate::agenda::Ms;
use crate::invariants::Broken;
use crate::network::{Frame, Line, Node, Way};
use crate::words::brief;

impl World {
    pub(crate) fn start_signaling(&mut self) {
        if self.service.registry.is_some() {
            return;
        }
        let config = RegistryConfig {
            access: Access::Open,
            secret: self.secret.clone(),
            ice_servers: Vec::new(),
            turn: None,
            limits: self.limits.clone(),
            // As the shell's calendar does it, which is finer here because lives are shorter.
            first_epoch: Epoch(1 + u32::try_from(self.now).expect("a short run")),
        };
        let registry = Registry::new(config, self.dice.bytes(), self.service_now());
        self.service.registry = Some(registry);
        self.service.due = None;
        self.note(|| "signaling starts".to_owned());
    }

    pub(super) fn service_now(&self) -> Now {
        let wall = i64::try_from(START_S * 1000 + self.now).expect("this century");
        Now {
            instant: self.base + Duration::from_millis(self.now),
            unix_ms: u64::try_from(wall + self.service.wall_ahead).expect("after 1970"),
        }
    }

    pub(super) fn timer(&mut self) -> Result<(), Broken> {
        self.service.due = None;
        let now = self.service_now();
        if let Some(registry) = &mut self.service.registry {
            registry.handle_timeout(now);
        }
        self.drain()
    }

    /// Sends what signaling wants sent.
    pub(crate) fn drain(&mut self) -> Result<(), Broken> {
        let now = self.service_now();
        while let Some(output) = self
            .service
            .registry
            .as_mut()
            .and_then(Registry::poll_output)
        {
            match output {
                Output::Peer {
                    connection,
                    message,
                } => self.tell(&[connection], message),
                Output::Peers {
                    connections,
                    message,
                } => self.tell(&connections, message),
                Output::ClosePeer { connection, .. } => self.hang_up(index_of(connection.0)),
                Output::Host { link, command } => {
                    self.watch_command(&command)?;
                    self.watch_owner(index_of(link.0), &command)?;
                    self.note(|| format!("signaling -> link {}: {}", link.0, brief(&command)));
                    self.send(index_of(link.0), Way::Down, Frame::ToHost(command));
                }
                Output::CloseHost { link, message } => {
                    self.note(|| format!("signaling turns link {} away: {message}", link.0));
                    self.hang_up(index_of(link.0));
                    if let Some(registry) = &mut self.service.registry {
                        registry.handle_host_gone(link, now);
                    }
                }
                Output::Reply { .. } => {}
            }
        }
        let due = self
            .service
            .registry
            .as_ref()
            .and_then(Registry::poll_timeout);
        if let Some(due) = due {
            let due = due.saturating_duration_since(self.base).as_millis();
            let due = u64::try_from(due).expect("a short run").max(self.now + 1);
            if self.service.due.is_none_or(|planned| due < planned) {
                self.service.due = Some(due);
                self.plan(due - self.now, Event::Timer);
            }
        }
        Ok(())
    }

    /// Who was removed is not let in by their computer either.
    fn watch_owner(&self, socket: usize, command: &HostCommand) -> Result<(), Broken> {
        let owner = self.owners.get(&socket);
        let removed = owner.filter(|owner| self.oracle.kicked.contains_key(owner));
        match (command, removed) {
            (HostCommand::Accepted { .. }, Some(owner)) => {
                let why =
                    format!("signaling takes a computer of {owner}, who was removed, for a host");
                Err(Broken(why))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn watch_command(&mut self, command: &HostCommand) -> Result<(), Broken> {
        if let HostCommand::Negotiate(offer) = command {
            self.oracle.asks(offer)?;
            if offer.ticket.is_some() {
                self.papers.push(command.clone());
            }
        }
        if let HostCommand::Serve {
            grant: Some(grant), ..
        } = command
        {
            self.oracle.grants(grant);
            self.papers.push(command.clone());
        }
        Ok(())
    }

    pub(super) fn tell(&mut self, to: &[ConnectionId], message: ServiceMessage) {
        if let ServiceMessage::ParticipantLeft {
            participant,
            reason,
        } = &message
            && *reason == LeaveReason::Kicked
        {
            self.oracle.kicked.insert(*participant, self.now);
        }
        self.count_change(&message);
        let message = Rc::new(message);
        for connection in to {
            self.send(
                index_of(connection.0),
                Way::Down,
                Frame::ToPeer(message.clone()),
            );
        }
    }

    /// Signaling has begun another term.
    pub(super) fn count_change(&mut self, message: &ServiceMessage) {
        if let ServiceMessage::Hosting { hosting } = message {
            let moving = hosting.moving.as_ref();
            self.moving = moving.map(|moving| moving.epoch).or(self.moving);
        }
        let ServiceMessage::HostChanged { host } = message else {
            return;
        };
        let (before, after) = (self.kind, host.kind);
        self.kind = after;
        match (before, after) {
            (HostKind::Central, HostKind::Participant) => self.tally.to_computer += 1,
            (HostKind::Participant, HostKind::Central) => self.tally.to_server += 1,
            (HostKind::Participant, HostKind::Participant) => self.tally.between_computers += 1,
            (HostKind::Central, HostKind::Central) => {}
        }
        if self.moving == Some(host.epoch) {
            self.tally.moves += 1;
        } else if before == HostKind::Participant {
            self.tally.fail_overs += 1;
        }
    }

    /// Signaling closes a socket after what was sent on it.
    pub(super) fn hang_up(&mut self, socket: usize) {
        if self.net.sockets[socket].is_service_open {
            self.send(socket, Way::Down, Frame::End);
            self.net.sockets[socket].is_service_open = false;
        }
    }

    pub(crate) fn send(&mut self, socket: usize, way: Way, frame: Frame) {
        let delay = match self.dice.between(0, 40) {
            0 => self.dice.between(100, 1500),
            _ => self.dice.between(2, 60),
        };
        if let Some(at) = self.net.send(socket, way, frame, (self.now, delay)) {
            self.agenda.push(at, Event::Arrival(socket, way));
        }
    }

    pub(super) fn arrive(&mut self, socket: usize, way: Way) -> Result<(), Broken> {
        let Some((said_at, frame)) = self.net.arrive(socket, way) else {
            return Ok(());
        };
        let known = &self.net.sockets[socket];
        match way {
            Way::Up if known.is_service_open => self.hear(socket, frame),
            Way::Down if known.is_client_open => match known.node {
                Node::Guest(guest) => self.guest_hears(guest, socket, (said_at, frame)),
                Node::Host(host) => self.host_hears(host, socket, (said_at, frame)),
            },
            Way::Up | Way::Down => Ok(()),
        }
    }

    pub(super) fn hear(&mut self, socket: usize, frame: Frame) -> Result<(), Broken> {
        let now = self.service_now();
        let number = socket as u64 + 1;
        let Some(registry) = &mut self.service.registry else {
            return Ok(());
        };
        match frame {
            Frame::Link(None) => registry.handle_host_linked(LinkId(number), None),
            Frame::Link(Some(token)) => {
                let owner = match self.keys.verify(&token, now.unix_s()) {
                    Ok(Token::Host(host)) => host.owner.map(|owner| (host.subject, owner)),
                    _ => None,
                };
                let Some((subject, owner)) = owner else {
                    self.hang_up(socket);
                    return Ok(());
                };
                self.owners.insert(socket, owner.participant);
                registry.handle_computer_linked(LinkId(number), subject, owner);
            }
            Frame::FromHost(message) => {
                let is_server = self.net.sockets[socket].node == Node::Host(0);
                registry.handle_host(LinkId(number), message, now);
                if is_server && !self.service.has_heard_server {
                    self.service.has_heard_server = true;
                    self.oracle.reminds(self.now);
                }
            }
            Frame::FromPeer(message) => registry.handle_peer(ConnectionId(number), message, now),
            Frame::End => self.service_loses(socket),
            Frame::ToHost(_) | Frame::ToPeer(_) => {}
        }
        self.drain()
    }

    pub(super) fn service_loses(&mut self, socket: usize) {
        let now = self.service_now();
        let number = socket as u64 + 1;
        let known = &mut self.net.sockets[socket];
        if !std::mem::replace(&mut known.is_service_open, false) {
            return;
        }
        let node = known.node;
        let Some(registry) = &mut self.service.registry else {
            return;
        };
        match node {
            Node::Guest(_) => registry.handle_peer_gone(ConnectionId(number), now),
            Node::Host(_) => registry.handle_host_gone(LinkId(number), now),
        }
    }

    /// One side of a socket learns that it is over.
    pub(super) fn gone(&mut self, socket: usize, way: Way) {
        match way {
            Way::Up => self.service_loses(socket),
            Way::Down => self.client_loses(socket),
        }
        // A broken rule is found with the next event.
        self.drain().ok();
    }

    pub(super) fn client_loses(&mut self, socket: usize) {
        let known = &mut self.net.sockets[socket];
        if !std::mem::replace(&mut known.is_client_open, false) {
            return;
        }
        let node = known.node;
        match node {
            Node::Guest(guest) if self.guests[guest].socket == Some(socket) => {
                self.guests[guest].lose();
                self.redial(node);
            }
            Node::Host(host) => {
                let process = self.hosts[host].process.as_mut();
                if let Some(process) = process.filter(|one| one.socket == Some(socket)) {
                    process.socket = None;
                    self.redial(node);
                }
            }
            Node::Guest(_) => {}
        }
    }

    pub(crate) fn redial(&mut self, node: Node) {
        let pause = self.dice.between(100, 2500);
        let life = self.life(node);
        self.plan(pause, Event::Dial(node, life));
    }

    pub(crate) fn life(&self, node: Node) -> u64 {
        match node {
            Node::Guest(guest) => self.guests[guest].life,
            Node::Host(host) => self.hosts[host].life,
        }
    }

    /// Whoever has heard nothing for too long takes the socket for dead.
    pub(super) fn deaf(&mut self, line: Line, way: Way, since: Ms) {
        let Line::Signal(node) = line else { return };
        if self.net.cut_since(line, way) != Some(since) {
            return;
        }
        for socket in 0..self.net.sockets.len() {
            if self.net.sockets[socket].node != node {
                continue;
            }
            match way {
                Way::Up if self.net.sockets[socket].is_service_open => {
                    self.send(socket, Way::Down, Frame::End);
                    self.gone(socket, Way::Up);
                }
                Way::Down if self.net.sockets[socket].is_client_open => {
                    self.send(socket, Way::Up, Frame::End);
                    self.gone(socket, Way::Down);
                }
                Way::Up | Way::Down => {}
            }
        }
    }

    pub(crate) fn heal(&mut self, line: Line, way: Way) {
        self.note(|| format!("{line:?} is whole again, {way:?}"));
        for (socket, count) in self.net.heal(line, way) {
            for _ in 0..count {
                let delay = self.dice.between(1, 20);
                self.plan(delay, Event::Arrival(socket, way));
            }
        }
    }

    pub(super) fn dial(&mut self, node: Node, life: u64) {
        if self.life(node) != life {
            return;
        }
        let is_idle = match node {
            Node::Guest(guest) => {
                let guest = &self.guests[guest];
                (guest.is_in || guest.is_out) && guest.socket.is_none()
            }
            Node::Host(host) => match self.hosts[host].process.as_ref() {
                Some(process) => process.socket.is_none(),
                None => false,
            },
        };
        if !is_idle {
            return;
        }
        let is_stopped = matches!(node, Node::Host(host) if self.hosts[host].stopped.is_some());
        let is_reachable = self.net.is_whole(Line::Signal(node));
        if self.service.registry.is_none() || !is_reachable || is_stopped {
            return self.redial(node);
        }
        let socket = self.net.open(node);
        match node {
            Node::Guest(guest) => {
                self.guests[guest].socket = Some(socket);
                let join = self.guests[guest].join(&self.room);
                self.send(socket, Way::Up, Frame::FromPeer(join));
            }
            Node::Host(host) => {
                let lie = self.lie(host);
                if let Some(process) = self.hosts[host].process.as_mut() {
                    process.socket = Some(socket);
                    let (token, hello) = (process.token.clone(), process.hello());
                    let hello = lie.unwrap_or(hello);
                    self.send(socket, Way::Up, Frame::Link(token));
                    self.send(socket, Way::Up, Frame::FromHost(hello));
                }
            }
        }
    }
}
