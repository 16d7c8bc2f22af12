//! A call as a program sees it: ask [`Call::next`] until it is over.
//!
//! Owns: the leg in use, what its slots show, and when another one is opened. The loop is the caller's: every step takes
//! one event of the session or the leg, changes the state, and leaves what is worth a word in a queue. Nothing here
//! waits but `next`, and giving `next` up loses nothing.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Instant;

use baton_protocol::{
    ErrorCode, IceServer, Joined, LegId, MediaKind, ParticipantId, PathFromHost, PathToHost,
    PeerMessage, ServiceMessage, SlotShown, SlotView, Source, TrackId, TrackWanted,
};
use baton_server::link::{Trust, backoff};
use tokio::sync::mpsc;

use crate::assembly::Received;
use crate::invite::{Invite, Secret};
use crate::ladder::Condition;
use crate::leg::{Leg, LegEvent, LegEvents, LegPlan, Offer, Slot};
use crate::publish::{Publication, SentReport};
use crate::room::{Change, Room};
use crate::session::{Entrance, Session, SessionEvent};
use crate::view::{Size, View, wants};

pub use crate::session::Ending;
pub use event::{CallEvent, SlotReport};

mod event;

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
}

impl Plan {
    /// Without any there is nothing a leg would be for.
    fn has_media(&self) -> bool {
        self.audio_slots + self.video_slots + self.publications.len() > 0
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
    leg: Option<Current>,
    legs: u32,
    /// Legs opened since one was last connected.
    attempt: usize,
    reopen_at: Option<Instant>,
    outbox: LegEvents,
    leg_events: mpsc::Receiver<(LegId, LegEvent)>,
    speakers: Vec<ParticipantId>,
    /// Sources that one muted or unmuted and the room does not know it yet.
    unsaid: Vec<Source>,
    news: VecDeque<CallEvent>,
}

/// The leg in use and what is known of it.
#[derive(Debug)]
struct Current {
    leg: Leg,
    condition: Condition,
    slots: Vec<Slot>,
    unanswered: Option<Offer>,
    is_ready: bool,
    view: View,
    /// Absent before the first view. That one is said even if empty: its reply is what the host said when the channel
    /// opened, which `rtc` loses where it shares a datagram with the end of the SCTP handshake.
    said: Option<Vec<SlotView>>,
    shown: Vec<SlotShown>,
    /// What the host said of own tracks.
    wanted: Vec<TrackWanted>,
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
        let (outbox, leg_events) = mpsc::channel(LEG_EVENTS);
        Self {
            plan,
            session,
            is_joined: false,
            is_over: false,
            room: None,
            ice_servers: Vec::new(),
            leg: None,
            legs: 0,
            attempt: 0,
            reopen_at: None,
            outbox,
            leg_events,
            speakers: Vec::new(),
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
            let due = self.reopen_at.or_else(|| self.deadline());
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = due => self.handle_deadline(Instant::now()),
                event = self.session.next() => self.handle_session(event),
                Some((leg, event)) = self.leg_events.recv() => self.handle_leg(leg, event, Instant::now()),
            }
        }
    }

    /// Says goodbye. [`CallEvent::Over`] follows.
    pub fn leave(&mut self) {
        self.leg = None;
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

    /// What each slot shows and got since its leg was opened.
    pub fn slots(&self) -> Vec<SlotReport> {
        let current = self.leg.iter();
        current
            .flat_map(|current| current.slots.iter().map(|slot| current.report(slot)))
            .collect()
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
                let pause_ms = pause.as_millis();
                self.news
                    .push_back(CallEvent::SignalingLost { reason, pause_ms });
            }
            Some(SessionEvent::Over(ending)) => self.finish(ending),
            None => self.finish(Ending::Left),
        }
    }

    fn handle_message(&mut self, message: ServiceMessage) {
        let changes = self
            .room
            .as_mut()
            .map(|room| room.handle_message(&message))
            .unwrap_or_default();
        let is_moved = changes
            .iter()
            .any(|change| matches!(change, Change::Host(_)));
        self.news
            .extend(changes.into_iter().map(CallEvent::Changed));
        match message {
            ServiceMessage::Joined(joined) => self.handle_joined(&joined, is_moved),
            ServiceMessage::HostChanged { .. } if is_moved => {
                self.replace("the call moved to another host")
            }
            ServiceMessage::Answer { leg, sdp, .. } => {
                if let Some(current) = self.leg.as_mut().filter(|current| current.leg.id() == leg)
                    && current.unanswered.take().is_some()
                {
                    current.leg.accept(sdp);
                }
            }
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
            ServiceMessage::LegClosed { leg, message } if self.is_current(leg) => {
                self.replace(&message)
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
            | ServiceMessage::Hosting { .. }
            | ServiceMessage::HostToken { .. }
            | ServiceMessage::Pong { .. }
            | ServiceMessage::Unknown => {}
        }
        self.show();
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
        let (Some(room), Some(current)) = (&self.room, &self.leg) else {
            return;
        };
        for wanted in &current.wanted {
            // Of a track that is not known yet all layers are sent.
            if let Some(source) = room.source_of(room.me(), wanted.track) {
                self.publications(source)
                    .for_each(|one| one.set_wanted(current.leg.id(), &wanted.layers));
            }
        }
    }

    fn publications(&self, source: Source) -> impl Iterator<Item = &Publication> {
        let publications = self.plan.publications.iter();
        publications.filter(move |publication| publication.source() == source)
    }

    /// A leg to the same host outlives the socket; what was said into the gap is said again.
    fn handle_joined(&mut self, joined: &Joined, is_moved: bool) {
        let &Joined { me, resumed, .. } = joined;
        self.is_joined = true;
        self.ice_servers.clone_from(&joined.ice_servers);
        self.room.get_or_insert_with(|| Room::new(joined));
        self.news.push_back(CallEvent::Joined { me, resumed });
        match &self.leg {
            Some(current) if resumed && !is_moved => {
                if let Some(offer) = current.unanswered.clone() {
                    self.say_offer(current.leg.id(), &offer);
                }
            }
            Some(_) => self.replace("signaling knows this leg no more"),
            None => self.open(),
        }
        self.settle_mutes();
    }

    /// Candidates may come after the end of their leg; only what was said of an offer matters.
    fn handle_refusal(&mut self, code: ErrorCode, message: String, leg: Option<LegId>) {
        match leg {
            Some(leg) if code == ErrorCode::NotFound || !self.is_current(leg) => return,
            Some(_) => {
                self.attempt += 1;
                self.reopen_at = Some(Instant::now() + backoff(self.attempt, rand::random()));
            }
            None => {}
        }
        self.news.push_back(CallEvent::Refused { code, message });
    }

    fn handle_leg(&mut self, leg: LegId, event: LegEvent, now: Instant) {
        let is_joined = self.is_joined;
        let Some(current) = self.leg.as_mut().filter(|current| current.leg.id() == leg) else {
            return;
        };
        match event {
            LegEvent::Offer(offer) => {
                current.slots.clone_from(&offer.slots);
                current.unanswered = Some(offer.clone());
                self.say_offer(leg, &offer);
            }
            LegEvent::Candidate(candidate) if is_joined => {
                self.session.say(PeerMessage::Candidate { leg, candidate });
            }
            LegEvent::Candidate(_) => {}
            LegEvent::Connected => {
                if current.condition != Condition::Connected {
                    current.condition = Condition::Connected;
                    self.attempt = 0;
                    self.news.push_back(CallEvent::Connected { leg });
                }
            }
            LegEvent::Shaky => current.condition = Condition::Shaky { since: now },
            LegEvent::Ready => {
                current.is_ready = true;
                self.show();
            }
            LegEvent::Path(message) => self.handle_path(message),
            LegEvent::Ended(reason) => self.replace(&reason),
        }
    }

    fn handle_path(&mut self, message: PathFromHost) {
        match message {
            PathFromHost::Slots { slots } => {
                if let Some(current) = &mut self.leg {
                    current.shown.clone_from(&slots);
                }
                self.news.push_back(CallEvent::Shown { slots });
            }
            PathFromHost::Speakers { speakers } => {
                self.speakers.clone_from(&speakers);
                self.news.push_back(CallEvent::Speakers { speakers });
                self.show();
            }
            // Its media are made already: leaving layers out would save nothing here.
            PathFromHost::Wanted { tracks } => {
                if let Some(current) = &mut self.leg {
                    current.wanted = tracks;
                }
                self.settle_wanted();
            }
            PathFromHost::Pulse { .. } | PathFromHost::Unknown => {}
        }
    }

    fn handle_deadline(&mut self, now: Instant) {
        if self.reopen_at.is_some_and(|at| at <= now) {
            self.replace("the host refused the offer");
        } else if self.deadline().is_some_and(|at| at <= now) {
            self.replace("the host was not heard for too long");
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.leg.as_ref()?.condition.deadline(self.attempt)
    }

    /// Gives the leg up and opens another, at once or after a pause that grows.
    fn replace(&mut self, reason: &str) {
        let Some(old) = self.leg.take() else {
            self.open();
            return;
        };
        let leg = old.leg.id();
        if self.is_joined {
            self.session.say(PeerMessage::CloseLeg { leg });
        }
        let reason = reason.to_owned();
        self.news.push_back(CallEvent::Disconnected { leg, reason });
        let was_connected = old.condition == Condition::Connected;
        if was_connected || self.reopen_at.is_some() {
            self.open();
        } else {
            self.attempt += 1;
            self.reopen_at = Some(Instant::now() + backoff(self.attempt, rand::random()));
        }
    }

    /// Without signaling there is nobody to offer to; the next `joined` opens one.
    fn open(&mut self) {
        self.reopen_at = None;
        if !self.is_joined || !self.plan.has_media() {
            return;
        }
        self.legs += 1;
        let id = LegId(self.legs);
        let plan = LegPlan {
            id,
            ice_servers: self.ice_servers.clone(),
            is_loopback: self.plan.invite.is_loopback,
            audio_slots: self.plan.audio_slots,
            video_slots: self.plan.video_slots,
            publications: self.plan.publications.clone(),
            frames: self.plan.frames.clone(),
        };
        self.leg = Some(Current {
            leg: Leg::open(plan, self.outbox.clone()),
            condition: Condition::Connecting {
                since: Instant::now(),
            },
            slots: Vec::new(),
            unanswered: None,
            is_ready: false,
            view: View::default(),
            said: None,
            shown: Vec::new(),
            wanted: Vec::new(),
        });
        self.news.push_back(CallEvent::Connecting { leg: id });
    }

    fn say_offer(&self, leg: LegId, offer: &Offer) {
        let Some(room) = self.room.as_ref().filter(|_| self.is_joined) else {
            return;
        };
        let Offer { sdp, tracks, .. } = offer.clone();
        let epoch = room.host().epoch;
        self.session.say(PeerMessage::Offer {
            host: None,
            fingerprint: None,
            leg,
            epoch,
            sdp,
            tracks,
        });
    }

    /// Tells the host what the slots shall show, if that is new.
    fn show(&mut self) {
        let (Some(room), Some(current)) = (&self.room, &mut self.leg) else {
            return;
        };
        if !current.is_ready {
            return;
        }
        let video = current
            .slots
            .iter()
            .filter(|slot| slot.kind == MediaKind::Video);
        let mids: Vec<String> = video.map(|slot| slot.mid.clone()).collect();
        let slots = current
            .view
            .assign(&mids, &wants(room, &self.speakers, self.plan.watch));
        if current.said.as_ref() != Some(&slots) {
            current.said = Some(slots.clone());
            current.leg.tell(PathToHost::View { slots });
        }
    }

    fn is_current(&self, leg: LegId) -> bool {
        self.leg
            .as_ref()
            .is_some_and(|current| current.leg.id() == leg)
    }

    fn finish(&mut self, ending: Ending) {
        self.leg = None;
        if !self.is_over {
            self.is_over = true;
            self.news.push_back(CallEvent::Over(ending));
        }
    }
}

impl Current {
    fn report(&self, slot: &Slot) -> SlotReport {
        let shown = self
            .shown
            .iter()
            .find(|shown| shown.slot == slot.mid)
            .cloned();
        SlotReport {
            slot: slot.mid.clone(),
            kind: slot.kind,
            participant: shown
                .as_ref()
                .map(|shown| shown.participant)
                .or(slot.heard()),
            shown,
            tally: slot.tally(),
        }
    }
}

/// Reports of legs that wait for [`Call::next`].
const LEG_EVENTS: usize = 256;
