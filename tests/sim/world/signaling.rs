//! The signaling service and everybody's words with it: sockets of people, links of hosts, and a page's answers to what it is told.

use std::time::Duration;

use baton_engine::KeyedLeg;
use baton_protocol::{
    Answer, Epoch, ErrorCode, HostCommand, HostHello, HostKind, HostMessage, Join, Joined,
    LeaveReason, LegId, Negotiate, PROTOCOL_VERSION, ParticipantId, PeerMessage, Resume, RoomId,
    ServiceMessage, Source, TrackInfo, Tracks,
};
use baton_signaling::{
    Access, ConnectionId, Limits, LinkId, Now, Output, Registry, RegistryConfig, Secret,
};

use super::{Happening, World};
use crate::network::Fault;
use crate::offer;
use crate::packets::Kind;
use crate::participant::{Seat, address, keys};

/// One way over a WebSocket.
const SOCKET_DELAY: Duration = Duration::from_millis(15);

/// One way between signaling and a host.
const LINK_DELAY: Duration = Duration::from_millis(1);

/// What was refused for now is tried again after this.
const RETRY: Duration = Duration::from_millis(500);

/// Wall clock at the start of every meeting.
const UNIX_START_MS: u64 = 1_800_000_000_000;

impl World {
    fn clock(&self) -> Now {
        Now {
            instant: self.now,
            unix_ms: UNIX_START_MS
                + u64::try_from(self.elapsed().as_millis()).expect("meetings end"),
        }
    }

    pub(super) fn open_office(&mut self) {
        self.office.lives += 1;
        let mut seed = [self.office.lives; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        let config = RegistryConfig {
            access: Access::Open,
            secret: Secret::new("simulated meetings have no secrets").expect("long enough"),
            ice_servers: Vec::new(),
            turn: None,
            limits: Limits::default(),
            first_epoch: Epoch::FIRST,
        };
        self.office.registry = Some(Registry::new(config, seed, self.clock()));
        for host in 0..self.hosts.len() {
            self.link_host(host);
        }
    }

    pub(super) fn close_office(&mut self) {
        self.office.registry = None;
        self.office.sockets.clear();
        self.hosts.iter_mut().for_each(|site| site.link = None);
    }

    pub(super) fn open_office_after(&mut self, down: Duration) {
        self.queue
            .push(self.now + down, Happening::Link { host: usize::MAX });
    }

    /// A host links and says what it serves. No such host: the service itself opens again.
    pub(super) fn link_host(&mut self, host: usize) {
        if host == usize::MAX {
            if self.office.registry.is_none() {
                self.open_office();
            }
            return;
        }
        let Some(registry) = &mut self.office.registry else {
            return;
        };
        self.office.links += 1;
        let link = LinkId(self.office.links);
        registry.handle_host_linked(link, None);
        let site = &mut self.hosts[host];
        site.link = Some(link);
        let hello = HostHello {
            fingerprint: None,
            protocol: PROTOCOL_VERSION,
            name: format!("host {host}"),
            kind: HostKind::Central,
            host: site.id,
            rooms: site.engine.roster(),
            denials: Vec::new(),
        };
        self.host_speaks(host, HostMessage::Hello(hello));
    }

    pub(super) fn host_speaks(&mut self, host: usize, message: HostMessage) {
        if let Some(link) = self.hosts[host].link {
            self.queue.push(
                self.now + LINK_DELAY,
                Happening::HostSays {
                    host,
                    link,
                    message,
                },
            );
        }
    }

    pub(super) fn host_says(&mut self, host: usize, link: LinkId, message: HostMessage) {
        if let HostMessage::Answer(answer) = &message {
            self.note_tracks(answer);
        }
        let now = self.clock();
        let is_current = self.hosts[host].link == Some(link);
        if let Some(registry) = self.office.registry.as_mut().filter(|_| is_current) {
            registry.handle_host(link, message, now);
        }
    }

    pub(super) fn office_timer(&mut self) {
        if self.office.timer.is_some_and(|due| due <= self.now) {
            self.office.timer = None;
            let now = self.clock();
            if let Some(registry) = &mut self.office.registry {
                registry.handle_timeout(now);
            }
        }
    }

    pub(super) fn flush_office(&mut self) {
        while let Some(output) = self
            .office
            .registry
            .as_mut()
            .and_then(Registry::poll_output)
        {
            match output {
                Output::Peer {
                    connection,
                    message,
                } => self.tell(connection, message),
                Output::Peers {
                    connections,
                    message,
                } => {
                    for connection in connections {
                        self.tell(connection, message.clone());
                    }
                }
                Output::ClosePeer { connection, .. } => {
                    self.queue.push(
                        self.now + SOCKET_DELAY,
                        Happening::SocketClosed { connection },
                    );
                }
                Output::Host { link, command } => {
                    if let Some(host) = self.hosts.iter().position(|site| site.link == Some(link)) {
                        self.queue.push(
                            self.now + LINK_DELAY,
                            Happening::HostHears {
                                host,
                                link,
                                command,
                            },
                        );
                    }
                }
                Output::CloseHost { message, .. } => {
                    self.complain(format!("a host was turned away: {message}"))
                }
                Output::Reply { .. } => self.complain("nobody asked by REST".to_owned()),
            }
        }
        let Some(due) = self
            .office
            .registry
            .as_ref()
            .and_then(Registry::poll_timeout)
        else {
            return;
        };
        if self.office.timer.is_none_or(|timer| due < timer) {
            self.office.timer = Some(due);
            self.queue.push(due.max(self.now), Happening::OfficeTimer);
        }
    }

    fn tell(&mut self, connection: ConnectionId, message: ServiceMessage) {
        self.queue.push(
            self.now + SOCKET_DELAY,
            Happening::PeerHears {
                connection,
                message,
            },
        );
    }

    pub(crate) fn say(&mut self, person: usize, message: PeerMessage) {
        if let Some(connection) = self.people[person].connection {
            self.queue.push(
                self.now + SOCKET_DELAY,
                Happening::PeerSays {
                    connection,
                    message,
                },
            );
        }
    }

    pub(super) fn peer_says(&mut self, connection: ConnectionId, message: PeerMessage) {
        let now = self.clock();
        if let Some(registry) = &mut self.office.registry
            && self.office.sockets.contains_key(&connection)
        {
            registry.handle_peer(connection, message, now);
        }
    }

    pub(super) fn socket_gone(&mut self, connection: ConnectionId) {
        let now = self.clock();
        if self.office.sockets.remove(&connection).is_some()
            && let Some(registry) = &mut self.office.registry
        {
            registry.handle_peer_gone(connection, now);
        }
    }

    pub(super) fn socket_closed(&mut self, connection: ConnectionId) {
        if let Some(person) = self.office.sockets.remove(&connection) {
            let someone = &mut self.people[person];
            if someone.connection == Some(connection) {
                someone.connection = None;
            }
        }
    }

    /// Opens a socket and comes in, or comes back.
    pub(super) fn connect(&mut self, person: usize) {
        let someone = &self.people[person];
        if someone.connection.is_some() || !matches!(someone.seat, Seat::Outside | Seat::Inside) {
            return;
        }
        if self.office.registry.is_none() {
            self.queue
                .push(self.now + RETRY, Happening::Connect { person });
            return;
        }
        self.office.connections += 1;
        let connection = ConnectionId(self.office.connections);
        self.office.sockets.insert(connection, person);
        let someone = &mut self.people[person];
        someone.connection = Some(connection);
        someone.is_welcome = false;
        let join = Join {
            protocol: PROTOCOL_VERSION,
            room: someone.room.clone(),
            name: someone.name.clone(),
            token: None,
            resume: someone
                .resume
                .clone()
                .map(|token| Resume { token, epoch: None }),
        };
        self.say(person, PeerMessage::Join(join));
    }

    /// Offers a leg: a new one, unless the present one has not been answered.
    pub(super) fn offer(&mut self, person: usize) {
        let seed = self.seed;
        let someone = &mut self.people[person];
        if someone.seat != Seat::Inside {
            return;
        }
        let waiting = someone
            .leg
            .as_ref()
            .filter(|leg| !leg.is_answered)
            .map(|leg| leg.id);
        let leg = waiting.unwrap_or_else(|| someone.open_leg(seed));
        let message = PeerMessage::Offer {
            host: None,
            fingerprint: None,
            leg,
            epoch: someone.epoch,
            sdp: offer::offer(offer::VIDEO_SLOTS),
            tracks: offer::tracks(!someone.microphone.is_on, !someone.camera.is_on),
        };
        self.say(person, message);
    }

    pub(super) fn peer_hears(&mut self, connection: ConnectionId, message: ServiceMessage) {
        let Some(&person) = self.office.sockets.get(&connection) else {
            return;
        };
        if self.people[person].connection != Some(connection)
            || self.people[person].seat == Seat::Crashed
        {
            return;
        }
        match message {
            ServiceMessage::Joined(joined) => self.joined(person, joined),
            ServiceMessage::Participant { participant } => {
                self.people[person]
                    .roster
                    .insert(participant.id, participant);
            }
            ServiceMessage::ParticipantLeft { participant, .. } => {
                self.people[person].roster.remove(&participant);
            }
            ServiceMessage::Answer { leg, sdp, .. } => {
                let end = self.people[person].leg.as_mut().filter(|end| end.id == leg);
                if let Some(end) = end {
                    end.receiver.set_slots(offer::slots(&sdp));
                    end.is_answered = true;
                }
            }
            ServiceMessage::LegClosed { leg, message } => {
                self.note(format!("p{person}'s leg {leg} was closed: {message}"));
                if self.people[person]
                    .leg
                    .as_ref()
                    .is_some_and(|end| end.id == leg)
                {
                    self.offer(person);
                }
            }
            ServiceMessage::HostChanged { host } => {
                self.people[person].epoch = host.epoch;
                self.offer(person);
            }
            ServiceMessage::MutedByModerator { track, .. } => {
                self.note(format!("p{person} is told that track {track} was muted"));
                let someone = &mut self.people[person];
                let owner = self.oracle.owner(&someone.room, track);
                if !someone.is_stubborn {
                    match owner.map(|(_, kind)| kind) {
                        Some(Kind::Voice) => someone.microphone.is_on = false,
                        Some(Kind::Picture) => someone.camera.is_on = false,
                        None => {}
                    }
                }
            }
            ServiceMessage::Removed { reason } => {
                self.note(format!("p{person} is out: {reason:?}"));
                self.people[person].seat = Seat::Gone(reason);
            }
            ServiceMessage::Error { code, message, .. } => {
                self.note(format!("p{person} is told: {code:?}, {message}"));
                if code == ErrorCode::Forbidden {
                    self.people[person].seat = Seat::Gone(LeaveReason::Kicked);
                    return;
                }
                let again = if self.people[person].seat == Seat::Inside {
                    Happening::Offer { person }
                } else {
                    Happening::Connect { person }
                };
                self.queue.push(self.now + RETRY, again);
            }
            ServiceMessage::Chat { .. }
            | ServiceMessage::Hosting { .. }
            | ServiceMessage::HostToken { .. }
            | ServiceMessage::Heir { .. }
            | ServiceMessage::IceServers { .. }
            | ServiceMessage::Pong { .. }
            | ServiceMessage::Unknown => {}
        }
    }

    fn joined(&mut self, person: usize, joined: Joined) {
        self.note(format!(
            "p{person} is in as {}{}",
            joined.me,
            if joined.resumed { " again" } else { "" }
        ));
        let someone = &mut self.people[person];
        someone.seat = Seat::Inside;
        someone.is_welcome = true;
        someone.resumed += u32::from(joined.resumed);
        someone.resume = Some(joined.resume);
        someone.epoch = joined.host.epoch;
        if !joined.resumed {
            someone.roster.clear();
        }
        // After a restart of signaling not everybody is back yet: who is missing is still shown until they are said to have left.
        someone
            .roster
            .extend(joined.participants.into_iter().map(|one| (one.id, one)));
        let is_same = joined.resumed && someone.me == Some(joined.me);
        someone.me = Some(joined.me);
        if !is_same || someone.leg.as_ref().is_none_or(|leg| !leg.is_answered) {
            self.offer(person);
        }
    }

    /// The person behind a participant's number.
    pub(crate) fn find(&self, room: &RoomId, participant: ParticipantId) -> Option<usize> {
        self.people
            .iter()
            .position(|someone| someone.room == *room && someone.me == Some(participant))
    }

    pub(super) fn host_hears(&mut self, host: usize, link: LinkId, command: HostCommand) {
        if self.hosts[host].link != Some(link) {
            return;
        }
        match &command {
            HostCommand::Accepted { host: id, .. } => self.hosts[host].id = Some(*id),
            HostCommand::Negotiate(negotiate) => return self.negotiate(host, negotiate),
            HostCommand::SetMuted { room, track, muted } => {
                if let Some((person, kind)) = self.oracle.owner(room, *track) {
                    self.note(format!(
                        "the host hears that p{person}'s {kind:?} is muted: {muted}"
                    ));
                    self.oracle.note_muted(person, kind, *muted, self.now);
                }
            }
            HostCommand::Close {
                room,
                participant,
                leg: None,
            } => {
                if let Some(person) = self.find(room, *participant) {
                    self.note(format!("the host hears that p{person} is gone"));
                    self.oracle.note_closed(person, self.now);
                }
            }
            HostCommand::CloseRoom { room } => {
                self.note(format!("the host hears that {room} is closed"));
                let inside = self.people.iter().filter(|someone| someone.room == *room);
                for person in inside.map(|someone| someone.number).collect::<Vec<_>>() {
                    self.oracle.note_closed(person, self.now);
                }
            }
            HostCommand::Close { .. }
            | HostCommand::RestartIce { .. }
            | HostCommand::Candidate { .. }
            | HostCommand::Serve { .. }
            | HostCommand::Lease { .. }
            | HostCommand::ProbeUplink { .. }
            | HostCommand::Deny { .. }
            | HostCommand::Remember { .. }
            | HostCommand::OpenBridge { .. }
            | HostCommand::AnswerBridge { .. }
            | HostCommand::JoinBridge { .. }
            | HostCommand::CloseBridge { .. }
            | HostCommand::Inherit { .. }
            | HostCommand::Unknown => {}
        }
        self.hosts[host].engine.handle_command(command, self.now);
    }

    fn negotiate(&mut self, host: usize, negotiate: &Negotiate) {
        let Some(person) = self.find(&negotiate.room, negotiate.participant) else {
            return self.complain(format!("an offer of nobody: {}", negotiate.participant));
        };
        let LegId(leg) = negotiate.leg;
        let keyed = KeyedLeg {
            remote: address(person, leg),
            keys: keys(self.seed, person, leg),
        };
        self.oracle.note_opened(person);
        if let Tracks::Declared(tracks) = &negotiate.tracks {
            self.note_own_tracks(&negotiate.room, person, tracks);
            for track in tracks {
                if let Some((_, kind)) = self.oracle.owner(&negotiate.room, track.id) {
                    self.oracle.note_muted(person, kind, track.muted, self.now);
                }
            }
        }
        if let Some(end) = self.people[person]
            .leg
            .as_mut()
            .filter(|end| end.id == negotiate.leg)
        {
            end.host = Some(host);
        }
        self.hosts[host]
            .engine
            .handle_keyed_offer(negotiate, keyed, self.now);
    }

    fn note_tracks(&mut self, answer: &Answer) {
        if let Some(person) = self.find(&answer.room, answer.participant) {
            self.note_own_tracks(&answer.room, person, &answer.tracks);
        }
    }

    fn note_own_tracks(&mut self, room: &RoomId, person: usize, tracks: &[TrackInfo]) {
        for track in tracks {
            let kind = match track.source {
                Source::Microphone | Source::ScreenAudio => Kind::Voice,
                Source::Camera | Source::Screen => Kind::Picture,
            };
            self.oracle.note_track(room, track.id, person, kind);
        }
    }

    /// Somebody removes somebody.
    pub(crate) fn kick(&mut self, moderator: usize, victim: usize) {
        let Some(participant) = self.people[victim].me else {
            return;
        };
        self.note(format!("p{moderator} removes p{victim}"));
        self.faults.note(Fault::Kick);
        self.say(moderator, PeerMessage::Kick { participant });
    }

    /// Somebody says goodbye.
    pub(crate) fn leave(&mut self, person: usize) {
        self.note(format!("p{person} leaves"));
        self.say(person, PeerMessage::Leave);
        self.people[person].seat = Seat::Gone(LeaveReason::Left);
    }

    /// Mutes or unmutes an own track; a browser also stops or starts sending.
    pub(crate) fn mute(&mut self, person: usize, source: Source, muted: bool) {
        self.note(format!("p{person} mutes {source:?}: {muted}"));
        let someone = &mut self.people[person];
        if !someone.is_stubborn {
            match source {
                Source::Microphone => someone.microphone.is_on = !muted,
                Source::Camera => someone.camera.is_on = !muted,
                Source::Screen | Source::ScreenAudio => {}
            }
        }
        let name = someone.name.clone();
        if let Some(track) = someone.track_of(&name, source) {
            self.say(person, PeerMessage::Mute { track, muted });
        }
    }
}
