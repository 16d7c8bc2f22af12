//! What goes wrong, and what people do: drawn from the seed, one thing after the other, until it is enough. Papers that are not what
//! they seem are in `forgery`, and what comes after all of it in `together`.

use baton_protocol::{HostMessage, HostingPolicy, PeerMessage, StepDownReason};

use crate::agenda::Ms;
use crate::host::Stop;
use crate::invariants::Broken;
use crate::network::{Frame, Line, Node, WAYS, Way};
use crate::world::{Event, World};

/// Where people are removed all the time: kicks, and whatever makes somebody forget or miss them.
const HUNTED: [u64; 12] = [75, 75, 75, 75, 13, 13, 6, 16, 43, 77, 77, 92];

impl World {
    pub(crate) fn mischief(&mut self) -> Result<(), Broken> {
        if self.calm_since.is_some() {
            return Ok(());
        }
        let pause = match self.dice.chance(30) {
            true => self.dice.between(5, 300),
            false => self.dice.between(300, 3000),
        };
        self.plan(pause, Event::Mischief);
        let what = match self.is_hunt && self.dice.chance(60) {
            true => self.dice.pick(&HUNTED).unwrap_or_default(),
            false => self.dice.between(0, 100),
        };
        match what {
            0..6 => self.crash_host(),
            6..8 => self.crash_server(),
            8..13 => self.crash_guest(),
            13..16 => self.crash_signaling(),
            16..27 => self.pause_host(),
            27..36 => self.cut_signal(),
            36..43 => self.cut_media(),
            43..50 => self.break_socket(),
            50..54 => self.jump_boot(),
            54..60 => self.jump_wall(),
            60..67 => self.forge()?,
            67..72 => self.replay()?,
            72..75 => self.leave_or_come(),
            75..77 => self.kick(),
            77..92 => self.pass(),
            92..95 => self.step_down(),
            95..97 => self.change_policy(),
            97..98 => self.use_server(),
            _ => self.change_mind(),
        }
        Ok(())
    }

    pub(crate) fn computer(&mut self) -> Option<usize> {
        let there = (1..self.hosts.len()).filter(|host| self.hosts[*host].process.is_some());
        let there: Vec<_> = there.collect();
        self.dice.pick(&there)
    }

    fn crash_host(&mut self) {
        let Some(host) = self.computer() else { return };
        self.note(|| format!("FAULT host {host} dies"));
        self.tally.host_crashes += 1;
        self.end_process(host);
        // Its owner starts it again, and offers it anew.
        let owner = host - 1;
        if self.guests[owner].is_joined {
            let name = "computer".to_owned();
            let offer = PeerMessage::OfferHosting { name };
            self.guests[owner].outbox.push(offer);
        }
    }

    fn crash_server(&mut self) {
        self.note(|| "FAULT the server dies".to_owned());
        self.tally.server_crashes += 1;
        self.end_process(0);
        let (again, life) = (self.dice.between(300, 9000), self.hosts[0].life);
        self.plan(again, Event::Start(Node::Host(0), life));
    }

    fn crash_guest(&mut self) {
        let index = self.dice.below(self.guests.len());
        if !self.guests[index].is_in {
            return;
        }
        let keeps = self.dice.chance(60);
        self.note(|| format!("FAULT guest {index} dies, keeps its token: {keeps}"));
        self.tally.guest_crashes += 1;
        self.drop_guest(index, keeps);
        let (again, life) = (self.dice.between(100, 6000), self.guests[index].life);
        self.plan(again, Event::Start(Node::Guest(index), life));
    }

    fn drop_guest(&mut self, index: usize, keeps: bool) {
        if let Some(socket) = self.guests[index].socket {
            if self.dice.chance(50) {
                self.send(socket, Way::Up, Frame::End);
            }
            self.net.sockets[socket].is_client_open = false;
            // Without a goodbye signaling finds out by itself.
            let found = self.dice.between(100, 15_000);
            self.plan(found, Event::Gone(socket, Way::Up));
        }
        self.guests[index].end(keeps);
    }

    fn crash_signaling(&mut self) {
        if self.service.registry.take().is_none() {
            return;
        }
        self.note(|| "FAULT signaling dies".to_owned());
        self.tally.signaling_crashes += 1;
        let server = self.hosts[0].process.as_ref();
        self.oracle.forgets(server.map(|one| &one.audit));
        self.service.has_heard_server = false;
        for socket in 0..self.net.sockets.len() {
            self.net.sockets[socket].is_service_open = false;
            self.net.break_off(socket);
            let found = self.dice.between(1, 3000);
            self.plan(found, Event::Gone(socket, Way::Down));
        }
        let again = self.dice.between(100, 8000);
        self.plan(again, Event::StartSignaling);
    }

    fn pause_host(&mut self) {
        let host = match self.dice.chance(12) {
            true => Some(0).filter(|host| self.hosts[*host].process.is_some()),
            false => self.computer(),
        };
        let Some(host) = host.filter(|host| self.hosts[*host].stopped.is_none()) else {
            return;
        };
        let is_mid_turn = self.dice.chance(40);
        let time = match self.dice.between(0, 10) {
            0..3 => self.dice.between(200, 1500),
            3..8 => self.dice.between(1000, 9000),
            _ => self.dice.between(9000, 25_000),
        };
        self.note(|| format!("FAULT host {host} is stopped for {time} ms"));
        self.tally.pauses += 1;
        self.tally.mid_turn_pauses += u64::from(is_mid_turn);
        let since = self.now;
        self.hosts[host].stopped = Some(Stop { since, is_mid_turn });
        let life = self.hosts[host].life;
        self.plan(time, Event::Resume(host, life));
        let found = self.dice.between(10_000, 15_000);
        self.plan(found, Event::Unanswered(host, since));
    }

    pub(crate) fn unanswered(&mut self, host: usize, since: Ms) {
        let is_so = self.hosts[host]
            .stopped
            .is_some_and(|stop| stop.since == since);
        let process = self.hosts[host].process.as_ref().filter(|_| is_so);
        if let Some(socket) = process.and_then(|one| one.socket) {
            self.send(socket, Way::Down, Frame::End);
            self.plan(0, Event::Gone(socket, Way::Up));
        }
    }

    pub(crate) fn resume(&mut self, index: usize, life: u64) -> Result<(), Broken> {
        if self.hosts[index].life != life {
            return Ok(());
        }
        let Some(stop) = self.hosts[index].stopped.take() else {
            return Ok(());
        };
        self.note(|| format!("host {index} goes on"));
        if stop.is_mid_turn {
            self.transmit(index)?;
        }
        let Some(process) = self.hosts[index].process.as_mut() else {
            return Ok(());
        };
        let waiting = std::mem::take(&mut process.waiting);
        for frame in waiting {
            let process = self.hosts[index].process.as_ref();
            if let Some(socket) = process.and_then(|one| one.socket) {
                self.host_hears(index, socket, frame)?;
                self.transmit(index)?;
            }
        }
        let process = self.hosts[index].process.as_ref();
        if process.is_some_and(|one| one.socket.is_none()) {
            self.redial(Node::Host(index));
        }
        Ok(())
    }

    fn ways(&mut self) -> Vec<Way> {
        match self.dice.between(0, 3) {
            0 => vec![Way::Up],
            1 => vec![Way::Down],
            _ => WAYS.to_vec(),
        }
    }

    fn cut(&mut self, line: Line) {
        let ways = self.ways();
        self.note(|| format!("FAULT {line:?} is cut, {ways:?}"));
        self.tally.one_way_cuts += u64::from(ways.len() == 1);
        let time = match self.dice.chance(50) {
            true => self.dice.between(200, 4000),
            false => self.dice.between(4000, 25_000),
        };
        for way in ways {
            if !self.net.cut(line, way, self.now) {
                continue;
            }
            self.plan(time, Event::Heal(line, way, self.now));
            let deaf = self.dice.between(10_000, 15_000);
            self.plan(deaf, Event::Deaf(line, way, self.now));
        }
    }

    fn cut_signal(&mut self) {
        let node = match self.dice.chance(50) {
            true => Node::Host(self.dice.below(self.hosts.len())),
            false => Node::Guest(self.dice.below(self.guests.len())),
        };
        self.tally.signal_cuts += 1;
        self.cut(Line::Signal(node));
    }

    fn cut_media(&mut self) {
        let guest = self.dice.below(self.guests.len());
        let host = self.dice.below(self.hosts.len());
        self.tally.media_cuts += 1;
        self.cut(Line::Media { guest, host });
    }

    /// What is under way is lost; each side finds out in its own time.
    fn break_socket(&mut self) {
        let open = self.net.sockets.iter().enumerate();
        let open = open.filter(|(_, one)| one.is_client_open && one.is_service_open);
        let open: Vec<usize> = open.map(|(index, _)| index).collect();
        let Some(socket) = self.dice.pick(&open) else {
            return;
        };
        let node = self.net.sockets[socket].node;
        self.note(|| format!("FAULT the socket of {node:?} breaks"));
        self.tally.broken_sockets += 1;
        self.net.break_off(socket);
        let (client, service) = (self.dice.between(1, 3000), self.dice.between(1, 15_000));
        self.plan(client, Event::Gone(socket, Way::Down));
        self.plan(service, Event::Gone(socket, Way::Up));
    }

    /// A computer slept, or believes that it did.
    fn jump_boot(&mut self) {
        let Some(host) = self.computer() else { return };
        let by = self.dice.between(300, 20_000);
        self.note(|| format!("FAULT the boot clock of host {host} jumps {by} ms ahead"));
        self.tally.boot_jumps += 1;
        self.hosts[host].boot_ahead += by;
    }

    fn jump_wall(&mut self) {
        let far = match self.dice.between(0, 4) {
            0 => 7_200_000,
            1 => 25_000,
            _ => 180_000,
        };
        let by = i64::try_from(self.dice.between(0, 2 * far)).expect("small");
        let by = by - i64::try_from(far).expect("small");
        self.tally.wall_jumps += 1;
        if self.dice.chance(35) {
            self.note(|| format!("FAULT signaling's calendar is {by} ms off"));
            self.service.wall_ahead = by;
        } else {
            let host = self.dice.below(self.hosts.len());
            self.note(|| format!("FAULT the calendar of host {host} is {by} ms off"));
            self.hosts[host].wall_ahead = by;
        }
    }

    fn leave_or_come(&mut self) {
        let index = self.dice.below(self.guests.len());
        if !self.guests[index].is_joined {
            return;
        }
        self.note(|| format!("guest {index} leaves"));
        self.tally.leaves += 1;
        self.say(index, PeerMessage::Leave);
        self.guests[index].end(false);
        self.guests[index].is_in = false;
        let (again, life) = (self.dice.between(500, 8000), self.guests[index].life);
        self.plan(again, Event::Start(Node::Guest(index), life));
    }

    fn say(&mut self, guest: usize, message: PeerMessage) {
        if let Some(socket) = self.guests[guest].socket {
            self.note(|| format!("guest {guest} says {}", crate::words::asked(&message)));
            self.send(socket, Way::Up, Frame::FromPeer(message));
        }
    }

    fn kick(&mut self) {
        let (by, whom) = (
            self.dice.below(self.guests.len()),
            self.dice.below(self.guests.len()),
        );
        let Some(participant) = self.guests[whom].me.filter(|_| by != whom) else {
            return;
        };
        self.tally.kicks += 1;
        self.say(by, PeerMessage::Kick { participant });
    }

    fn pass(&mut self) {
        let by = self.dice.below(self.guests.len());
        let to = match self.dice.chance(65) {
            true => self.computer(),
            false => None,
        };
        let to = to.and_then(|host| self.hosts[host].process.as_ref()?.id);
        self.tally.passes += 1;
        self.say(by, PeerMessage::PassBaton { to });
    }

    fn step_down(&mut self) {
        let Some(host) = self.computer() else { return };
        let room = self.room.clone();
        let Some(process) = self.hosts[host].running_mut() else {
            return;
        };
        if let Some(part) = process.part {
            process.say(HostMessage::StepDown {
                room,
                epoch: part.epoch,
                reason: StepDownReason::Owner,
            });
            self.tally.step_downs += 1;
        }
    }

    fn change_policy(&mut self) {
        let by = self.dice.below(self.guests.len());
        let policy = self.dice.pick(&[
            HostingPolicy::Auto,
            HostingPolicy::PreferParticipant,
            HostingPolicy::Central,
        ]);
        let policy = policy.unwrap_or_default();
        self.say(by, PeerMessage::SetHostingPolicy { policy });
    }

    fn use_server(&mut self) {
        let by = self.dice.below(self.guests.len());
        let always = self.dice.chance(40);
        self.say(by, PeerMessage::UseServer { always });
    }

    fn change_mind(&mut self) {
        if let Some(host) = self.computer()
            && let Some(process) = self.hosts[host].process.as_mut()
        {
            process.is_reluctant = !process.is_reluctant;
        }
    }
}
