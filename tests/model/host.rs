//! A host: the real tenure of a participant's computer and the real roster of its link, with an engine that only knows which legs
//! there are. The operator's server is the same without a tenure, as in the real host.
//!
//! What the engine does is stated here: it takes no offer and no role of an older epoch than it has seen, and a leg lives until it is
//! closed, its room is, or nothing was heard of it for [`LEG_LIFE`].

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use baton_protocol::{
    Answer, BridgeEnd, Epoch, Fitness, HostCommand, HostHello, HostId, HostKind, HostLoad,
    HostMessage, HostRole, IceParameters, LegId, LegState, LineQuality, Negotiate,
    PROTOCOL_VERSION, ParticipantId, PowerSource, Refusal, RoomId, Tracks,
};
use baton_server::link::Roster;
use baton_server::{BootTime, Fingerprint, Moment, Tenure, Verdict};

use crate::agenda::Ms;
use crate::invariants::{Audit, Broken};
use crate::network::Frame;

/// A leg of which nothing was heard for so long is closed.
const LEG_LIFE: Ms = 20_000;

/// A computer that may run a host.
pub(crate) struct Host {
    pub(crate) kind: HostKind,
    /// Counts processes: what was planned for an earlier one is void.
    pub(crate) life: u64,
    pub(crate) process: Option<Process>,
    /// It stands still.
    pub(crate) stopped: Option<Stop>,
    /// How far its clocks are ahead of true time.
    pub(crate) boot_ahead: Ms,
    pub(crate) wall_ahead: i64,
}

/// A program that stands still and does not know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    pub(crate) since: Ms,
    /// In the middle of a turn, between obeying and sending.
    pub(crate) is_mid_turn: bool,
}

/// One run of the host's program.
pub(crate) struct Process {
    pub(crate) fingerprint: Fingerprint,
    kind: HostKind,
    pub(crate) tenure: Option<Tenure>,
    roster: Roster,
    pub(crate) id: Option<HostId>,
    pub(crate) socket: Option<usize>,
    /// On which socket signaling took it for a host.
    pub(crate) accepted: Option<usize>,
    pub(crate) token: Option<String>,
    /// What came while it stood still.
    pub(crate) waiting: VecDeque<(Ms, Frame)>,
    pub(crate) part: Option<Part>,
    pub(crate) legs: BTreeMap<(ParticipantId, LegId), HostLeg>,
    /// To signaling.
    pub(crate) outbox: Vec<HostMessage>,
    pub(crate) audit: Audit,
    /// Its owner's caps say no.
    pub(crate) is_reluctant: bool,
}

/// What the engine knows of the room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) epoch: Epoch,
    pub(crate) role: Option<HostRole>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct HostLeg {
    /// The certificate that the guest must show.
    pub(crate) guest: Fingerprint,
    pub(crate) is_connected: bool,
    pub(crate) heard: Ms,
}

impl Host {
    pub(crate) fn moment(&self, now: Ms, start_s: u64) -> Moment {
        let wall = i64::try_from(start_s * 1000 + now).expect("this century") + self.wall_ahead;
        Moment {
            boot: BootTime(Duration::from_millis(now + self.boot_ahead)),
            unix_s: u64::try_from(wall / 1000).expect("after 1970"),
        }
    }

    /// Is there a program that runs now?
    pub(crate) fn running(&self) -> Option<&Process> {
        self.process.as_ref().filter(|_| self.stopped.is_none())
    }

    pub(crate) fn running_mut(&mut self) -> Option<&mut Process> {
        let is_stopped = self.stopped.is_some();
        self.process.as_mut().filter(|_| !is_stopped)
    }
}

impl Process {
    pub(crate) fn new(kind: HostKind, fingerprint: Fingerprint, token: Option<String>) -> Self {
        Self {
            fingerprint,
            kind,
            tenure: (kind == HostKind::Participant).then(|| Tenure::new(fingerprint)),
            roster: Roster::default(),
            id: None,
            socket: None,
            accepted: None,
            token,
            waiting: VecDeque::new(),
            part: None,
            legs: BTreeMap::new(),
            outbox: Vec::new(),
            audit: Audit::of(fingerprint),
            is_reluctant: false,
        }
    }

    pub(crate) fn hello(&self) -> HostMessage {
        HostMessage::Hello(HostHello {
            protocol: PROTOCOL_VERSION,
            name: "host".to_owned(),
            kind: self.kind,
            host: self.id,
            fingerprint: Some(self.fingerprint.digits()),
            rooms: self.roster.rooms(),
            denials: self.roster.denials(),
        })
    }

    /// Something of signaling comes out of the socket: the link notes it, the owner's side may decline, the worker obeys.
    pub(crate) fn hear(
        &mut self,
        said_at: Ms,
        command: HostCommand,
        room: &RoomId,
        (now, moment): (Ms, Moment),
    ) -> Result<(), Broken> {
        self.roster.note_command(&command);
        if let HostCommand::Accepted { host, .. } = command {
            self.id = Some(host);
            self.accepted = self.socket;
            if self.kind == HostKind::Participant {
                self.say(HostMessage::Fitness {
                    room: room.clone(),
                    fitness: fitness(),
                });
            }
        }
        if let HostCommand::Serve {
            room,
            epoch,
            role: HostRole::Next,
            ..
        } = &command
            && self.is_reluctant
        {
            self.say(HostMessage::Declined {
                room: room.clone(),
                epoch: *epoch,
                reason: "its owner does not want to".to_owned(),
            });
            return Ok(());
        }
        self.judge(said_at, command, (now, moment))
    }

    /// The worker is told, and asks its tenure.
    pub(crate) fn judge(
        &mut self,
        said_at: Ms,
        command: HostCommand,
        (now, moment): (Ms, Moment),
    ) -> Result<(), Broken> {
        self.look(now, moment);
        self.audit.heard(&command, said_at, moment.boot);
        let verdict = match &mut self.tenure {
            None => Verdict::Pass(command),
            Some(tenure) => tenure.handle_command(command, moment),
        };
        if let Verdict::Pass(command) = verdict {
            self.obey(command, (now, moment))?;
        }
        self.flush(moment.boot);
        Ok(())
    }

    /// The forwarding thread is here.
    pub(crate) fn look(&mut self, now: Ms, moment: Moment) {
        let has_term = self.part.is_some_and(|part| part.role.is_some());
        self.audit.look(now, moment.boot, has_term);
        if let Some(tenure) = &mut self.tenure {
            tenure.look(moment.boot);
        }
    }

    /// The end of a turn: renews, and closes what is silent.
    pub(crate) fn tick(&mut self, room: &RoomId, (now, moment): (Ms, Moment)) {
        if let Some(tenure) = &mut self.tenure
            && tenure.poll_timeout().is_some_and(|due| due <= moment.boot)
        {
            tenure.handle_timeout(HostLoad::default(), moment.boot);
        }
        let is_dead = |leg: &HostLeg| now >= leg.heard + LEG_LIFE;
        let dead = self.legs.iter().filter(|(_, leg)| is_dead(leg));
        let dead: Vec<_> = dead.map(|(key, _)| *key).collect();
        for (participant, leg) in dead {
            self.legs.remove(&(participant, leg));
            self.forget();
            self.emit(HostMessage::Leg {
                room: room.clone(),
                participant,
                leg,
                state: LegState::Closed,
            });
        }
        self.flush(moment.boot);
    }

    /// May a packet go out now?
    pub(crate) fn may_send(&self) -> bool {
        self.tenure.as_ref().is_none_or(Tenure::may_send)
    }

    pub(crate) fn connected(&mut self, room: &RoomId, (participant, leg): (ParticipantId, LegId)) {
        if let Some(one) = self.legs.get_mut(&(participant, leg)) {
            one.is_connected = true;
        }
        self.emit(HostMessage::Leg {
            room: room.clone(),
            participant,
            leg,
            state: LegState::Connected,
        });
    }

    /// What the server measures of everybody's line.
    pub(crate) fn lines(&self, room: &RoomId) -> HostMessage {
        let line = |(participant, _): &(ParticipantId, LegId)| LineQuality {
            participant: *participant,
            received_bps: 80_000_000,
            loss_ppm: 0,
            jitter_us: 500,
            rtt_us: 20_000,
            estimate_bps: 80_000_000,
        };
        HostMessage::Lines {
            room: room.clone(),
            lines: self.legs.keys().map(line).collect(),
        }
    }

    fn obey(&mut self, command: HostCommand, (now, moment): (Ms, Moment)) -> Result<(), Broken> {
        match command {
            HostCommand::Negotiate(negotiate) => {
                if self.tenure.is_some() {
                    let part = self.part;
                    let is_served = self
                        .legs
                        .contains_key(&(negotiate.participant, negotiate.leg));
                    self.audit.admits(&negotiate, (part, is_served), moment)?;
                }
                self.negotiate(&negotiate, now);
            }
            HostCommand::Serve {
                room,
                epoch,
                role,
                grant,
                ..
            } => {
                if self.tenure.is_some() {
                    let part = (&room, epoch, role);
                    let (id, known) = (self.id, self.part);
                    let wall = moment.unix_s;
                    self.audit
                        .takes_part(part, grant.as_deref(), id, known, wall)?;
                }
                if self.part.is_none_or(|part| part.epoch <= epoch) {
                    self.part = Some(Part {
                        epoch,
                        role: Some(role),
                    });
                }
                self.forget();
            }
            HostCommand::Close {
                participant, leg, ..
            } => {
                let is_theirs = |key: &(ParticipantId, LegId)| {
                    key.0 == participant && leg.is_none_or(|leg| leg == key.1)
                };
                self.legs.retain(|key, _| !is_theirs(key));
                self.forget();
                if leg.is_none() {
                    self.audit.dismissed.insert(participant);
                }
            }
            HostCommand::CloseRoom { .. } => {
                self.part = None;
                self.legs.clear();
            }
            // Bridges always succeed here: what they carry is not this model's.
            HostCommand::OpenBridge { room, bridge, .. } => {
                let end = self.bridge_end();
                self.emit(HostMessage::BridgeOffered { room, bridge, end });
            }
            HostCommand::AnswerBridge { room, bridge, .. } => {
                let end = self.bridge_end();
                self.emit(HostMessage::BridgeAnswered {
                    room: room.clone(),
                    bridge,
                    end,
                });
                let state = LegState::Connected;
                self.emit(HostMessage::Bridge {
                    room,
                    bridge,
                    state,
                });
            }
            HostCommand::JoinBridge { room, bridge, .. } => {
                let state = LegState::Connected;
                self.emit(HostMessage::Bridge {
                    room,
                    bridge,
                    state,
                });
            }
            HostCommand::Accepted { .. }
            | HostCommand::CloseBridge { .. }
            | HostCommand::Inherit { .. }
            | HostCommand::Lease { .. }
            | HostCommand::ProbeUplink { .. }
            | HostCommand::RestartIce { .. }
            | HostCommand::Candidate { .. }
            | HostCommand::SetMuted { .. }
            | HostCommand::Deny { .. }
            | HostCommand::Remember { .. }
            | HostCommand::Unknown => {}
        }
        Ok(())
    }

    /// As the engine forgets a room, and the epoch that it was in.
    fn forget(&mut self) {
        let role = self.part.and_then(|part| part.role);
        if self.legs.is_empty() && matches!(role, None | Some(HostRole::Draining)) {
            self.part = None;
        }
    }

    fn negotiate(&mut self, wanted: &Negotiate, now: Ms) {
        let seen = self.part.map(|part| part.epoch);
        let guest = wanted
            .sdp
            .lines()
            .find_map(|line| Fingerprint::parse(line.strip_prefix("a=fingerprint:")?));
        let (Some(guest), true) = (guest, seen.is_none_or(|seen| seen <= wanted.epoch)) else {
            return self.emit(HostMessage::Refused(Refusal {
                room: wanted.room.clone(),
                participant: wanted.participant,
                leg: wanted.leg,
                request: wanted.request,
                message: "that epoch is over".to_owned(),
            }));
        };
        let role = self.part.and_then(|part| part.role);
        let epoch = wanted.epoch;
        self.part = Some(Part { epoch, role });
        let fresh = HostLeg {
            guest,
            is_connected: false,
            heard: now,
        };
        let leg = self
            .legs
            .entry((wanted.participant, wanted.leg))
            .or_insert(fresh);
        if leg.guest != guest {
            *leg = fresh;
        }
        let tracks = match &wanted.tracks {
            Tracks::Declared(tracks) => tracks.clone(),
            Tracks::Derived(_) => Vec::new(),
        };
        self.emit(HostMessage::Answer(Answer {
            room: wanted.room.clone(),
            epoch,
            participant: wanted.participant,
            leg: wanted.leg,
            request: wanted.request,
            sdp: format!("v=0\r\na=fingerprint:{}\r\n", self.fingerprint),
            tracks,
            slots: Vec::new(),
        }));
    }

    fn bridge_end(&self) -> BridgeEnd {
        BridgeEnd {
            ice: IceParameters {
                ufrag: "abcd".to_owned(),
                pwd: "0123456789012345678901234".to_owned(),
            },
            fingerprint: self.fingerprint.digits(),
            lite: self.kind == HostKind::Central,
            candidates: Vec::new(),
        }
    }

    /// The engine says something to signaling; the tenure hears it first.
    fn emit(&mut self, message: HostMessage) {
        if let Some(tenure) = &mut self.tenure {
            tenure.note_message(&message);
        }
        self.say(message);
    }

    fn flush(&mut self, boot: BootTime) {
        while let Some(message) = self.tenure.as_mut().and_then(Tenure::poll_message) {
            self.audit.said(&message, boot);
            self.say(message);
        }
    }

    /// Through the link, which keeps the roster whether it is up or not.
    pub(crate) fn say(&mut self, message: HostMessage) {
        self.roster.note_message(&message);
        self.outbox.push(message);
    }
}

fn fitness() -> Fitness {
    Fitness {
        cpu_free_percent: 200,
        power: PowerSource::Mains,
        metered: false,
        uplink_cap_bps: None,
        guests_cap: None,
        objections: Vec::new(),
        reached: Vec::new(),
        signaling: None,
    }
}
