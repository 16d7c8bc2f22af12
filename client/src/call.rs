//! A call as a program sees it: ask [`Call::next`] until it is over.
//!
//! Owns: the legs in use, what their slots show, and when another one is opened. The loop is the caller's: every step takes
//! one event of the session or the leg, changes the state, and leaves what is worth a word in a queue. Nothing here
//! waits but `next`, and giving `next` up loses nothing.

use std::collections::VecDeque;
use std::future::pending;
use std::time::{Duration, Instant};

use baton_protocol::{
    Epoch, ErrorCode, Hosting, IceServer, Joined, LegId, MoveStep, ParticipantId, PathFromHost,
    PauseReason, PeerMessage, ServiceMessage, SlotShown, Source, TrackId,
};
use baton_server::link::{Trust, backoff};
use baton_server::papers::SigningKey;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::assembly::Received;
use crate::carry::{Carrier, Consent};
use crate::invite::{Invite, Secret};
use crate::ladder::Condition;
use crate::leg::{LegEvent, LegEvents};
use crate::publish::{Publication, SentReport};
use crate::room::{Change, Room};
use crate::session::{Entrance, Session, SessionEvent};
use crate::stage::Stage;
use crate::view::Size;
use course::Part;
use current::Current;
use pulses::Pulses;

pub use crate::session::Ending;
pub use event::{CallEvent, SlotReport};

mod carrying;
#[doc(hidden)]
pub mod course;
mod current;
mod event;
mod hosting;
mod legs;
mod probing;
mod pulses;

/// What to join, and what for. Without slots and publications no leg is opened.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Room and signaling.
    pub invite: Invite,
    /// Name to show.
    pub name: String,
    /// Join token; wins over the invite's.
    pub token: Option<Secret>,
    /// Whose certificates are believed when signaling is reached by HTTPS.
    pub trust: Trust,
    /// Size of the large picture.
    pub watch: Size,
    /// How many are heard at a time.
    pub audio_slots: usize,
    /// How many pictures are received at a time.
    pub video_slots: usize,
    /// What is sent.
    pub publications: Vec<Publication>,
    /// Who gets the frames that come; without it they are only counted. A full queue loses frames.
    pub frames: Option<mpsc::Sender<Received>>,
    /// May this computer carry the call for the others? Without consent it never does.
    pub hosting: Option<Consent>,
    /// What people call this computer.
    pub computer: String,
    /// Who sits at the page while this is their computer, by name: their line is this one.
    pub owner: Option<String>,
    /// Never connect to the computer of another participant. Can be changed in the call.
    pub uses_server: bool,
}

impl Plan {
    /// Without any there is nothing a leg would be for.
    fn has_media(&self) -> bool {
        // A computer that is offered has a leg too: over it one learns what its line carries.
        self.audio_slots + self.video_slots + self.publications.len() > 0 || self.hosting.is_some()
    }
}

/// A participant's call.
#[derive(Debug)]
pub struct Call {
    plan: Plan,
    session: Session,
    is_joined: bool,
    is_over: bool,
    room: Option<Room>,
    ice_servers: Vec<IceServer>,
    hosting: Option<Hosting>,
    signing_key: Option<SigningKey>,
    /// One per host that is named.
    legs: Vec<Current>,
    /// The leg whose pictures and sound count.
    shown: Option<LegId>,
    /// Where frames go, if anybody wants them.
    stage: Option<Stage>,
    pulses: Pulses,
    is_loss_said: bool,
    said_step: Option<(Epoch, MoveStep)>,
    /// The move in which the new host could not be reached.
    failed_move: Option<Epoch>,
    last_leg: u32,
    /// Main legs opened since one was last connected.
    attempt: usize,
    reopen_at: Option<Instant>,
    /// When a leg to another host than the main one is tried again.
    retry_at: Option<Instant>,
    carrier: Option<Carrier>,
    /// A carrier that still puts things away.
    parting: Option<JoinHandle<()>>,
    outbox: LegEvents,
    leg_events: mpsc::Receiver<(LegId, LegEvent)>,
    speakers: Vec<ParticipantId>,
    /// Whose lines do badly, by the host's word.
    poor_lines: Vec<ParticipantId>,
    /// Sources that one muted or unmuted and the room does not know it yet.
    unsaid: Vec<Source>,
    news: VecDeque<CallEvent>,
}

impl Call {
    /// Starts to join; must be called inside a tokio runtime.
    pub fn join(plan: Plan) -> Self {
        let session = Session::open(Entrance {
            signaling: plan.invite.signaling.clone(),
            room: plan.invite.room.clone(),
            name: plan.name.clone(),
            token: plan.token.clone().or_else(|| plan.invite.token.clone()),
            trust: plan.trust.clone(),
        });
        let stage = plan.frames.clone().map(Stage::new);
        let (outbox, leg_events) = mpsc::channel(LEG_EVENTS);
        Self {
            plan,
            session,
            is_joined: false,
            is_over: false,
            room: None,
            ice_servers: Vec::new(),
            hosting: None,
            signing_key: None,
            legs: Vec::new(),
            shown: None,
            stage,
            pulses: Pulses::default(),
            is_loss_said: false,
            said_step: None,
            failed_move: None,
            last_leg: 0,
            attempt: 0,
            reopen_at: None,
            retry_at: None,
            carrier: None,
            parting: None,
            outbox,
            leg_events,
            speakers: Vec::new(),
            poor_lines: Vec::new(),
            unsaid: Vec::new(),
            news: VecDeque::new(),
        }
    }

    /// The next thing that happens; `None` after [`CallEvent::Over`]. May be given up and asked again.
    pub async fn next(&mut self) -> Option<CallEvent> {
        loop {
            if let Some(news) = self.news.pop_front() {
                return Some(news);
            }
            if self.is_over {
                return None;
            }
            let due = self.deadline(Instant::now());
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => pending().await,
                }
            };
            let carrier = &mut self.carrier;
            let carrying = async {
                match carrier {
                    Some(carrier) => carrier.next().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = due => self.handle_deadline(Instant::now()),
                news = carrying => self.handle_carrier(news),
                event = self.session.next() => self.handle_session(event),
                Some((leg, event)) = self.leg_events.recv() => self.handle_leg(leg, event, Instant::now()),
            }
        }
    }

    /// Waits until what the call needed of this computer and its router is given back, a second or two: before the program ends.
    pub async fn put_away(&mut self) {
        if let Some(parting) = self.parting.take() {
            // It keeps to deadlines of its own.
            let _ = parting.await;
        }
    }

    /// Says goodbye. [`CallEvent::Over`] follows.
    pub fn leave(&mut self) {
        self.legs.clear();
        self.end_carrier();
        if !self.session.say(PeerMessage::Leave) {
            self.finish(Ending::Left);
        }
    }

    /// Says something to everybody. False where signaling is away and nobody heard it.
    pub fn chat(&self, text: &str) -> bool {
        let text = text.to_owned();
        self.is_joined && self.session.say(PeerMessage::Chat { text, to: None })
    }

    /// Mutes or unmutes what one sends of a source, and lets everybody know.
    pub fn set_muted(&mut self, source: Source, is_muted: bool) {
        self.publications(source)
            .for_each(|publication| publication.set_muted(is_muted));
        if !self.unsaid.contains(&source) {
            self.unsaid.push(source);
        }
        self.settle_mutes();
    }

    /// Is nothing sent of a source? Also where there is nothing to send.
    pub fn is_muted(&self, source: Source) -> bool {
        self.publications(source).all(Publication::is_muted)
    }

    /// The room, once one was let in.
    pub fn room(&self) -> Option<&Room> {
        self.room.as_ref()
    }

    /// Who speaks, loudest first.
    pub fn speakers(&self) -> &[ParticipantId] {
        &self.speakers
    }

    /// What each slot of the leg that counts shows, and got since that was opened.
    pub fn slots(&self) -> Vec<SlotReport> {
        let shown = self.shown.or_else(|| self.legs.first().map(Current::id));
        let current = self.legs.iter().find(|current| Some(current.id()) == shown);
        let slots = current.iter().flat_map(|current| &current.slots);
        slots
            .filter_map(|slot| current.map(|current| current.report(slot)))
            .collect()
    }

    /// Who carries the call, as signaling last said.
    pub fn hosting(&self) -> Option<&Hosting> {
        self.hosting.as_ref()
    }

    /// What each own stream sent so far.
    pub fn sent(&self) -> Vec<SentReport> {
        let publications = self.plan.publications.iter();
        publications.flat_map(Publication::sent).collect()
    }

    fn handle_session(&mut self, event: Option<SessionEvent>) {
        match event {
            Some(SessionEvent::Message(message)) => self.handle_message(message),
            Some(SessionEvent::Lost { reason, pause }) => {
                self.is_joined = false;
                self.note_signaling(true);
                (self.said_step, self.is_loss_said) = (None, false);
                let pause_ms = pause.as_millis();
                self.news
                    .push_back(CallEvent::SignalingLost { reason, pause_ms });
            }
            Some(SessionEvent::Over(ending)) => self.finish(ending),
            None => self.finish(Ending::Left),
        }
    }

    fn handle_message(&mut self, message: ServiceMessage) {
        let now = Instant::now();
        let changes = self
            .room
            .as_mut()
            .map(|room| room.handle_message(&message, now))
            .unwrap_or_default();
        let is_moved = changes
            .iter()
            .any(|change| matches!(change, Change::Host(_)));
        self.news
            .extend(changes.into_iter().map(CallEvent::Changed));
        match message {
            ServiceMessage::Joined(joined) => self.handle_joined(&joined, is_moved),
            // Whoever is told the whole of it has legs to both already.
            ServiceMessage::HostChanged { .. } if is_moved && self.hosting.is_none() => {
                self.replace_main("the call moved to another host")
            }
            ServiceMessage::Hosting { hosting } => self.handle_hosting(hosting, now),
            ServiceMessage::HostToken { token } => self.handle_host_token(token),
            ServiceMessage::IceServers { ice_servers } => {
                self.ice_servers = ice_servers;
                self.follow_servers();
            }
            ServiceMessage::Answer { leg, sdp, .. } => self.handle_answer(leg, sdp),
            ServiceMessage::Participant { participant }
                if self
                    .room
                    .as_ref()
                    .is_some_and(|room| room.me() == participant.id) =>
            {
                self.settle_mutes();
                self.settle_wanted();
            }
            ServiceMessage::MutedByModerator { track, .. } => self.handle_muted(track),
            ServiceMessage::LegClosed { leg, message } if self.is_open(leg) => {
                self.replace(leg, &message)
            }
            ServiceMessage::Chat {
                from, name, text, ..
            } => {
                self.news.push_back(CallEvent::Chat { from, name, text });
            }
            ServiceMessage::Error {
                code, message, leg, ..
            } => self.handle_refusal(code, message, leg),
            ServiceMessage::Participant { .. }
            | ServiceMessage::ParticipantLeft { .. }
            | ServiceMessage::HostChanged { .. }
            | ServiceMessage::LegClosed { .. }
            | ServiceMessage::Removed { .. }
            | ServiceMessage::Heir { .. }
            | ServiceMessage::Pong { .. }
            | ServiceMessage::Unknown => {}
        }
        self.settle(Instant::now());
    }

    /// The answer of a host is taken only if it is the one that signaling means.
    fn handle_answer(&mut self, leg: LegId, sdp: String) {
        let Some(index) = self.legs.iter().position(|current| current.id() == leg) else {
            return;
        };
        let Some(current) = self.legs.get_mut(index) else {
            return;
        };
        if current.unanswered.take().is_none() {
            return;
        }
        let checked = self
            .legs
            .get(index)
            .map_or(Ok(()), |current| self.check_answer(current, &sdp));
        if let Err(reason) = checked {
            return self.replace(leg, &reason);
        }
        if let Some(current) = self.legs.get(index) {
            current.leg.accept(sdp);
        }
    }

    /// A moderator's mute is obeyed until one unmutes oneself.
    fn handle_muted(&mut self, track: TrackId) {
        let room = self.room.as_ref();
        if let Some(source) = room.and_then(|room| room.source_of(room.me(), track)) {
            self.unsaid.retain(|unsaid| *unsaid != source);
            self.publications(source)
                .for_each(|publication| publication.set_muted(true));
        }
    }

    /// Compares own tracks with what the room knows of them: what one said oneself is said until it is known, and what others
    /// muted is muted.
    fn settle_mutes(&mut self) {
        let Some(room) = self.room.as_ref().filter(|_| self.is_joined) else {
            return;
        };
        let mut settled = Vec::new();
        for track in room.participant(room.me()).iter().flat_map(|me| &me.tracks) {
            let source = track.source;
            let Some(publication) = self.publications(source).next() else {
                continue;
            };
            let muted = publication.is_muted();
            if muted == track.muted {
                settled.push(source);
            } else if self.unsaid.contains(&source) {
                let track = track.id;
                self.session.say(PeerMessage::Mute { track, muted });
            } else if track.muted {
                publication.set_muted(true);
            }
        }
        self.unsaid.retain(|source| !settled.contains(source));
    }

    /// Lets layers rest that nobody shows.
    fn settle_wanted(&self) {
        let Some(room) = &self.room else { return };
        for current in &self.legs {
            for wanted in &current.wanted {
                // Of a track that is not known yet all layers are sent.
                if let Some(source) = room.source_of(room.me(), wanted.track) {
                    self.publications(source)
                        .for_each(|one| one.set_wanted(current.id(), &wanted.layers));
                }
            }
        }
    }

    fn publications(&self, source: Source) -> impl Iterator<Item = &Publication> {
        let publications = self.plan.publications.iter();
        publications.filter(move |publication| publication.source() == source)
    }

    /// Legs to the same hosts outlive the socket; what was said into the gap is said again.
    fn handle_joined(&mut self, joined: &Joined, is_moved: bool) {
        let &Joined { me, resumed, .. } = joined;
        self.is_joined = true;
        self.ice_servers.clone_from(&joined.ice_servers);
        self.follow_servers();
        let key = joined.signing_key.as_deref();
        self.signing_key = key.and_then(SigningKey::parse);
        self.room.get_or_insert_with(|| Room::new(joined));
        self.news.push_back(CallEvent::Joined { me, resumed });
        if !resumed || (is_moved && self.hosting.is_none()) {
            self.hosting = None;
            let legs: Vec<LegId> = self.legs.iter().map(Current::id).collect();
            for leg in legs {
                self.close(leg, "signaling knows this leg no more");
            }
        }
        for index in 0..self.legs.len() {
            self.say_offer(index);
        }
        if self.plan.uses_server {
            self.session.say(PeerMessage::UseServer { always: true });
        }
        // Whoever is somebody else now offers it anew: its token names who one was.
        self.carrier = self.carrier.take().filter(|_| resumed);
        self.note_signaling(false);
        self.offer_computer();
        self.settle_mutes();
    }

    /// Candidates may come after the end of their leg; only what was said of an offer matters.
    fn handle_refusal(&mut self, code: ErrorCode, message: String, leg: Option<LegId>) {
        match leg {
            Some(leg) if code == ErrorCode::NotFound || !self.is_open(leg) => return,
            Some(leg) if !self.is_main(leg) => self.replace(leg, &message),
            Some(_) => {
                self.attempt += 1;
                self.reopen_at = Some(Instant::now() + backoff(self.attempt, rand::random()));
            }
            None => {}
        }
        self.news.push_back(CallEvent::Refused { code, message });
    }

    fn handle_leg(&mut self, leg: LegId, event: LegEvent, now: Instant) {
        let Some(index) = self.legs.iter().position(|current| current.id() == leg) else {
            return;
        };
        let is_main = self.is_main(leg);
        let Some(current) = self.legs.get_mut(index) else {
            return;
        };
        match event {
            LegEvent::Offer(offer) => {
                current.slots.clone_from(&offer.slots);
                current.unanswered = Some(offer);
                self.say_offer(index);
            }
            // The own host needs no way to here: it is called from inside.
            LegEvent::Candidate(candidate) if self.is_joined && !current.leg.is_inside() => {
                self.session.say(PeerMessage::Candidate { leg, candidate });
            }
            LegEvent::Candidate(_) => {}
            LegEvent::Connected => {
                if current.condition != Condition::Connected {
                    current.condition = Condition::Connected;
                    if is_main {
                        self.attempt = 0;
                    }
                    let inside = current.leg.is_inside();
                    self.news.push_back(CallEvent::Connected { leg, inside });
                }
            }
            LegEvent::Shaky => current.condition = Condition::Shaky { since: now },
            LegEvent::Ready => current.is_ready = true,
            LegEvent::Path(message) => self.handle_path(index, message, now),
            LegEvent::Probed(report) => self.handle_probed(report),
            LegEvent::Ended(reason) => self.replace(leg, &reason),
        }
        self.settle(now);
    }

    fn handle_path(&mut self, index: usize, message: PathFromHost, now: Instant) {
        let Some(current) = self.legs.get_mut(index) else {
            return;
        };
        let counts = self.shown == Some(current.id());
        match message {
            PathFromHost::Slots { slots } => {
                current.shown.clone_from(&slots);
                if counts {
                    self.handle_ends(&slots);
                    self.news.push_back(CallEvent::Shown { slots });
                }
            }
            PathFromHost::Speakers { speakers } if counts => {
                self.speakers.clone_from(&speakers);
                self.news.push_back(CallEvent::Speakers { speakers });
            }
            // Its media are made already: leaving layers out would save nothing here.
            PathFromHost::Wanted { tracks } => {
                current.wanted = tracks;
                self.settle_wanted();
            }
            PathFromHost::Lines { lines } if counts => self.handle_lines(&lines),
            PathFromHost::Pulse { deaf_ms, .. } if current.part == Part::Main => {
                let deaf = deaf_ms.map(|ms| Duration::from_millis(ms.into()));
                self.pulses.note(now, deaf);
            }
            PathFromHost::Speakers { .. }
            | PathFromHost::Line { .. }
            | PathFromHost::Lines { .. }
            | PathFromHost::Pulse { .. }
            | PathFromHost::Unknown => {}
        }
    }

    fn handle_ends(&mut self, slots: &[SlotShown]) {
        let gone = slots
            .iter()
            .filter(|shown| shown.paused == Some(PauseReason::Gone));
        if let Some(room) = &mut self.room {
            let changes = gone.flat_map(|shown| room.handle_end(shown.track));
            self.news.extend(changes.map(CallEvent::Changed));
        }
    }

    fn finish(&mut self, ending: Ending) {
        self.legs.clear();
        self.end_carrier();
        self.stage.iter().for_each(Stage::flush);
        if !self.is_over {
            self.is_over = true;
            self.news.push_back(CallEvent::Over(ending));
        }
    }
}

/// Reports of legs that wait for [`Call::next`].
const LEG_EVENTS: usize = 256;
