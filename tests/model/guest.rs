//! A participant, by the rules of the native client: the real functions decide which word about the hosting is believed, which legs
//! there shall be, whose answers are taken and what is said of a move (`baton_client::call::course`). What is around them there needs
//! a runtime and is restated here, on a clock of half seconds: when legs are opened, changed over to, given up, and what is said of it.
//!
//! Half of the guests also say what only the page says: that they cannot reach the computer that carries the call.

use std::rc::Rc;

use baton_client::call::course::{Part, Reached, changes_host, check_answer, progress, wanted};
use baton_protocol::{
    Epoch, ErrorCode, HostId, HostKind, HostTerm, Hosting, Join, Joined, LegId, MoveStep,
    PROTOCOL_VERSION, ParticipantId, PeerMessage, Resume, RoomId, ServiceMessage,
};
use baton_server::Fingerprint;
use baton_server::papers::SigningKey;

use crate::agenda::Ms;

/// Legs to hosts that are not named any more live on for so long.
const LEAVE: Ms = 3000;
/// A leg that does not connect, or falls silent, is replaced after so long.
const PATIENCE: Ms = 4000;
/// Between two tries.
const RETRY: Ms = 1500;
/// A host that is not heard for so long is silent, and after so long lost.
const SILENT: Ms = 700;
const LOST: Ms = 2000;
/// So many legs that did not connect make a host unreachable.
const MOST_MISSED: u32 = 2;

/// A person with a program.
pub(crate) struct Guest {
    pub(crate) index: usize,
    /// Counts runs of the program.
    pub(crate) life: u64,
    pub(crate) is_page: bool,
    /// Wants to be in the room.
    pub(crate) is_in: bool,
    /// Was removed, and tries to come back by the old token all the same.
    pub(crate) is_out: bool,
    pub(crate) socket: Option<usize>,
    pub(crate) is_joined: bool,
    pub(crate) me: Option<ParticipantId>,
    pub(crate) resume: Option<String>,
    pub(crate) hosting: Option<Rc<Hosting>>,
    pub(crate) key: Option<(String, SigningKey)>,
    term: Option<HostTerm>,
    pub(crate) legs: Vec<GuestLeg>,
    last_leg: u32,
    shown: Option<LegId>,
    failed_move: Option<Epoch>,
    said_step: Option<(Epoch, MoveStep)>,
    is_loss_said: bool,
    missed: u32,
    reopen_at: Ms,
    retry_at: Ms,
    /// What it wants said; lost while signaling is away.
    pub(crate) outbox: Vec<PeerMessage>,
    /// It got a token for its computer.
    pub(crate) host_token: Option<String>,
    pub(crate) takeovers: u64,
    pub(crate) refused_answers: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct GuestLeg {
    pub(crate) id: LegId,
    pub(crate) host: HostId,
    pub(crate) part: Part,
    /// The certificate that the host's answer showed, once it was taken.
    pub(crate) answered: Option<Fingerprint>,
    pub(crate) is_connected: bool,
    pub(crate) heard: Ms,
    since: Ms,
    leaves_at: Option<Ms>,
}

impl Guest {
    pub(crate) fn new(index: usize, is_page: bool) -> Self {
        Self {
            index,
            life: 0,
            is_page,
            is_in: false,
            is_out: false,
            socket: None,
            is_joined: false,
            me: None,
            resume: None,
            hosting: None,
            key: None,
            term: None,
            legs: Vec::new(),
            last_leg: 0,
            shown: None,
            failed_move: None,
            said_step: None,
            is_loss_said: false,
            missed: 0,
            reopen_at: 0,
            retry_at: 0,
            outbox: Vec::new(),
            host_token: None,
            takeovers: 0,
            refused_answers: 0,
        }
    }

    /// The program ends. `keeps`: the next one finds the resume token, as a page that is loaded again does.
    pub(crate) fn end(&mut self, keeps: bool) {
        let resume = self.resume.take().filter(|_| keeps);
        let (life, is_in, is_out) = (self.life + 1, self.is_in, self.is_out);
        let last_leg = self.last_leg;
        *self = Self {
            life,
            is_in,
            is_out,
            resume,
            // Legs of an earlier program may still be known.
            last_leg: last_leg + 100,
            takeovers: self.takeovers,
            refused_answers: self.refused_answers,
            ..Self::new(self.index, self.is_page)
        };
    }

    pub(crate) fn join(&self, room: &RoomId) -> PeerMessage {
        PeerMessage::Join(Join {
            protocol: PROTOCOL_VERSION,
            room: room.clone(),
            name: "guest".to_owned(),
            token: None,
            resume: self.resume.clone().map(|token| Resume {
                token,
                epoch: self.believed().map(|term| term.epoch),
            }),
        })
    }

    /// The socket is gone.
    pub(crate) fn lose(&mut self) {
        self.socket = None;
        self.is_joined = false;
        (self.said_step, self.is_loss_said) = (None, false);
        self.outbox.clear();
    }

    /// The term that it believes in.
    pub(crate) fn believed(&self) -> Option<&HostTerm> {
        self.hosting.as_ref().map(|hosting| &hosting.term)
    }

    pub(crate) fn main(&self) -> Option<&GuestLeg> {
        let mut legs = self.legs.iter();
        legs.find(|leg| leg.part == Part::Main && leg.leaves_at.is_none())
    }

    /// False: this socket is over for this person.
    pub(crate) fn hear(&mut self, message: &ServiceMessage, now: Ms) -> bool {
        match message {
            ServiceMessage::Joined(joined) => self.joined(joined, now),
            ServiceMessage::HostChanged { host } => {
                let is_moved = self.term.as_ref() != Some(host);
                self.term = Some(host.clone());
                if is_moved && self.hosting.is_none() {
                    self.forget_legs();
                }
            }
            ServiceMessage::Hosting { hosting } => self.hosting_said(hosting),
            ServiceMessage::HostToken { token } => self.host_token = Some(token.clone()),
            ServiceMessage::Answer { leg, sdp, .. } => self.answered(*leg, sdp, now),
            ServiceMessage::LegClosed { leg, .. } => self.replace(*leg, now),
            ServiceMessage::Error {
                code, leg, fatal, ..
            } => {
                if *fatal {
                    return false;
                }
                if let Some(leg) = leg.filter(|_| *code != ErrorCode::NotFound) {
                    self.refused(leg, now);
                }
            }
            ServiceMessage::Removed { .. } => return false,
            ServiceMessage::Participant { .. }
            | ServiceMessage::ParticipantLeft { .. }
            | ServiceMessage::MutedByModerator { .. }
            | ServiceMessage::Chat { .. }
            | ServiceMessage::Heir { .. }
            | ServiceMessage::IceServers { .. }
            | ServiceMessage::Pong { .. }
            | ServiceMessage::Unknown => {}
        }
        self.settle(now);
        true
    }

    fn joined(&mut self, joined: &Joined, _now: Ms) {
        let is_moved = self.term.as_ref() != Some(&joined.host);
        self.is_joined = true;
        self.resume = Some(joined.resume.clone());
        self.me = Some(joined.me);
        self.term = Some(joined.host.clone());
        let key = joined.signing_key.clone().unwrap_or_default();
        if self.key.as_ref().is_none_or(|(text, _)| *text != key) {
            self.key = SigningKey::parse(&key).map(|parsed| (key, parsed));
        }
        if !joined.resumed || (is_moved && self.hosting.is_none()) {
            self.hosting = None;
            self.forget_legs();
        }
        let waiting = self.legs.iter().filter(|leg| leg.answered.is_none());
        let waiting: Vec<LegId> = waiting.map(|leg| leg.id).collect();
        for leg in waiting {
            self.say_offer(leg);
        }
    }

    fn hosting_said(&mut self, hosting: &Hosting) {
        let Some(is_new_host) = changes_host(self.hosting.as_deref(), hosting) else {
            return;
        };
        if is_new_host {
            (self.is_loss_said, self.missed) = (false, 0);
        }
        self.hosting = Some(Rc::new(hosting.clone()));
    }

    fn answered(&mut self, id: LegId, sdp: &str, now: Ms) {
        let (hosting, key) = (self.hosting.as_deref(), self.key.as_ref());
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == id) else {
            return;
        };
        if leg.answered.is_some() {
            return;
        }
        if check_answer(hosting, key.map(|(_, key)| key), leg.host, sdp).is_err() {
            self.refused_answers += 1;
            return self.replace(id, now);
        }
        let shown = sdp
            .lines()
            .find_map(|line| Fingerprint::parse(line.strip_prefix("a=fingerprint:")?));
        leg.answered = shown;
    }

    fn refused(&mut self, id: LegId, now: Ms) {
        match self.legs.iter().find(|leg| leg.id == id) {
            Some(leg) if leg.part == Part::Main => self.reopen_at = now + RETRY,
            Some(_) => return self.replace(id, now),
            None => return,
        }
        self.legs.retain(|leg| leg.id != id);
    }

    /// Time passes.
    pub(crate) fn tick(&mut self, now: Ms) {
        let is_over = |leg: &GuestLeg| match leg.is_connected {
            true => now >= leg.heard + PATIENCE,
            false => now >= leg.since + PATIENCE,
        };
        let over = self.legs.iter().filter(|leg| is_over(leg));
        let over: Vec<LegId> = over.map(|leg| leg.id).collect();
        for leg in over {
            self.replace(leg, now);
        }
        self.settle(now);
    }

    /// Gives a leg up; another one follows.
    fn replace(&mut self, id: LegId, now: Ms) {
        let Some(leg) = self.legs.iter().find(|leg| leg.id == id) else {
            return;
        };
        match leg.part {
            Part::Main if leg.is_connected => self.reopen_at = now,
            Part::Main => {
                self.reopen_at = now + RETRY;
                self.missed += 1;
                self.say_missed();
            }
            Part::Standby => self.retry_at = now + RETRY,
            Part::Next | Part::Arriving => {
                let moving = self
                    .hosting
                    .as_ref()
                    .and_then(|known| known.moving.as_ref());
                self.failed_move = moving.map(|moving| moving.epoch);
            }
        }
        self.close(id);
    }

    fn say_missed(&mut self) {
        let Some(hosting) = self.hosting.as_ref().filter(|_| self.is_page) else {
            return;
        };
        let term = &hosting.term;
        let is_computer = term.kind == HostKind::Participant && hosting.mine == term.host;
        if is_computer && self.missed >= MOST_MISSED && self.is_joined {
            self.outbox.push(PeerMessage::MoveProgress {
                epoch: term.epoch,
                step: MoveStep::Failed,
            });
        }
    }

    fn close(&mut self, id: LegId) {
        self.legs.retain(|leg| leg.id != id);
        if self.shown == Some(id) {
            self.shown = None;
        }
        if self.is_joined {
            self.outbox.push(PeerMessage::CloseLeg { leg: id });
        }
    }

    fn forget_legs(&mut self) {
        let legs: Vec<LegId> = self.legs.iter().map(|leg| leg.id).collect();
        legs.into_iter().for_each(|leg| self.close(leg));
    }

    /// Makes the legs what they shall be.
    pub(crate) fn settle(&mut self, now: Ms) {
        let Some(term) = &self.term else { return };
        let wanted = wanted(self.hosting.as_deref(), term, None);
        for leg in &mut self.legs {
            match wanted.iter().find(|one| one.host == leg.host) {
                Some(one) => (leg.part, leg.leaves_at) = (one.part, None),
                None => {
                    leg.part = Part::Standby;
                    leg.leaves_at.get_or_insert(now + LEAVE);
                }
            }
        }
        let is_over = |leg: &GuestLeg| leg.leaves_at.is_some_and(|at| at <= now);
        let over = self.legs.iter().filter(|leg| is_over(leg));
        let over: Vec<LegId> = over.map(|leg| leg.id).collect();
        over.into_iter().for_each(|leg| self.close(leg));
        for one in wanted {
            if !self.is_joined || self.legs.iter().any(|leg| leg.host == one.host) {
                continue;
            }
            let due = match one.part {
                Part::Main => self.reopen_at,
                Part::Standby | Part::Next | Part::Arriving => self.retry_at,
            };
            if due <= now && !one.is_void(self.failed_move) {
                self.last_leg += 1;
                let id = LegId(self.last_leg);
                self.legs.push(GuestLeg {
                    id,
                    host: one.host,
                    part: one.part,
                    answered: None,
                    is_connected: false,
                    heard: now,
                    since: now,
                    leaves_at: None,
                });
                self.say_offer(id);
            }
        }
        self.change_over(now);
        self.report_progress();
    }

    fn say_offer(&mut self, id: LegId) {
        let Some(term) = &self.term else { return };
        let wanted = wanted(self.hosting.as_deref(), term, None);
        let leg = self.legs.iter().find(|leg| leg.id == id);
        let to = leg.and_then(|leg| wanted.iter().find(|one| one.host == leg.host));
        let Some(to) = to.filter(|_| self.is_joined) else {
            return;
        };
        let own = self.certificate(id);
        self.outbox.push(PeerMessage::Offer {
            leg: id,
            epoch: to.epoch,
            host: (!to.is_mine).then_some(to.host),
            fingerprint: Some(own.digits()),
            sdp: offer_of(own),
            tracks: Vec::new(),
        });
    }

    /// Of one leg.
    pub(crate) fn certificate(&self, leg: LegId) -> Fingerprint {
        let mut bytes = [0xC0; 32];
        bytes[0] = u8::try_from(self.index).expect("few guests");
        bytes[1..5].copy_from_slice(&leg.0.to_be_bytes());
        Fingerprint(bytes)
    }

    fn silent_for(&self, now: Ms) -> Ms {
        let leased = self.believed();
        let is_leased = leased.is_some_and(|term| term.kind == HostKind::Participant);
        let main = self.main().filter(|leg| leg.is_connected && is_leased);
        main.map_or(0, |leg| now - leg.heard)
    }

    fn change_over(&mut self, now: Ms) {
        let usable = |part| {
            let mut legs = self.legs.iter();
            let found =
                legs.find(|leg| leg.part == part && leg.leaves_at.is_none() && leg.is_connected);
            found.map(|leg| leg.id)
        };
        let silent = self.silent_for(now);
        let refuge = usable(Part::Standby).filter(|_| silent >= SILENT);
        let main = self.main().map(|leg| leg.id);
        let shown = refuge.or(usable(Part::Arriving)).or(main);
        if refuge.is_some() && self.shown != refuge {
            self.takeovers += 1;
        }
        self.shown = shown.or(self.shown);
        if silent >= LOST
            && !self.is_loss_said
            && self.is_joined
            && let Some(term) = self.believed()
        {
            let epoch = term.epoch;
            self.is_loss_said = true;
            self.outbox.push(PeerMessage::HostLost {
                epoch,
                silent_ms: u32::try_from(silent).unwrap_or(u32::MAX),
            });
        }
    }

    fn report_progress(&mut self) {
        let moving = self
            .hosting
            .as_ref()
            .and_then(|known| known.moving.as_ref());
        let Some(moving) = moving.filter(|_| self.is_joined) else {
            return;
        };
        let leg = self.legs.iter().find(|leg| leg.host == moving.to.host);
        let reached = match leg.filter(|leg| leg.is_connected) {
            Some(leg) if Some(leg.id) == self.shown => Reached::Shown,
            Some(_) => Reached::Usable,
            None => Reached::NotYet,
        };
        if let Some((epoch, step)) = progress(moving, self.failed_move, reached, self.said_step) {
            self.said_step = Some((epoch, step));
            self.outbox.push(PeerMessage::MoveProgress { epoch, step });
        }
    }
}

/// As short as the real parser takes it.
pub(crate) fn offer_of(own: Fingerprint) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=ice-ufrag:abcd\r\n\
         a=ice-pwd:0123456789012345678901234\r\na=fingerprint:{own}\r\na=setup:actpass\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sctp-port:5000\r\n"
    )
}
