//! The engine: rooms, legs, and what happens when something arrives.
//!
//! Every input is handled to the end by plain calls; what has to be sent is queued by leg and drained by `poll_transmit`.

mod allotment;
mod bridges;
mod fanout;
mod lifecycle;
mod lines;
mod negotiation;
mod receive;
mod relaying;
pub(crate) mod schedule;
mod terms;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use baton_protocol::{
    HostCommand, LegId, MediaKind, Negotiate, ParticipantId, PathFromHost, PathToHost, RoomId,
    RosterRoom, TrackId,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::allocate::{Allocator, Claim};
use crate::asker::Asker;
use crate::bitrate::Bitrate;
use crate::demux::Demux;
use crate::io::{Config, EngineError, Event, KeyedLeg};
use crate::leg::{Leg, Link};
use crate::reflect::Reflections;
use crate::relay::Relay;
use crate::room::Room;
use crate::sdp::Candidate;
use crate::slab::{Key, Slab};
use crate::stats::Stats;
use crate::time::{Epoch, Tick};
use crate::transport::Certificate;

/// Events that wait for the caller at most; a caller that does not drain loses the oldest.
const MAX_EVENTS: usize = 4096;

/// What a served room wants looked at within this time is done at once, and the next time may be so much later, for the picture
/// that is there by then.
const EARLY: Duration = Duration::from_millis(25);
const LATE: Duration = Duration::from_millis(15);

/// Rooms that are remembered as served.
const MAX_SERVED: usize = 64;

/// What has a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sleeper {
    Leg(Key),
    Room(Key),
}

/// Forwards the media of all rooms of one worker.
pub struct Engine {
    config: Config,
    certificate: Certificate,
    epoch: Epoch,
    rng: StdRng,
    rooms: Slab<Room>,
    rooms_by_id: HashMap<RoomId, Key>,
    legs: Slab<Leg>,
    demux: Demux,
    sleepers: BinaryHeap<Reverse<(Tick, Sleeper)>>,
    /// Who is being woken, kept for its memory.
    due: Vec<(Tick, Sleeper)>,
    dirty: Vec<Key>,
    /// Rooms that were served and are to be looked at soon.
    served: Vec<Key>,
    serving: Option<fanout::Serving>,
    sending: VecDeque<Key>,
    wanted_keyframes: Vec<(Key, usize)>,
    /// Kept for their memory.
    allocator: Allocator,
    claims: Vec<Claim>,
    shares: Vec<Bitrate>,
    events: VecDeque<Event>,
    stats: Stats,
    /// Most engines have none, and are spared the search.
    keyed_legs: usize,
    /// Replies to those who ask for their own address.
    reflections: Reflections,
    asker: Asker,
    relay: Relay,
    /// Bridges that were offered to other hosts.
    calls: Vec<bridges::Call>,
}

impl Engine {
    /// An engine without rooms. All randomness that decisions depend on comes from `seed`.
    ///
    /// # Errors
    /// If the crypto library cannot make a certificate.
    pub fn new(
        config: Config,
        certificate: Certificate,
        seed: u64,
        now: Instant,
    ) -> Result<Self, EngineError> {
        if config.announced.is_empty() {
            return Err(EngineError::NoAddress);
        }
        let relay = Relay::new(config.announced.iter().map(SocketAddr::ip).collect());
        Ok(Self {
            config,
            certificate,
            epoch: Epoch::new(now),
            rng: StdRng::seed_from_u64(seed),
            rooms: Slab::default(),
            rooms_by_id: HashMap::new(),
            legs: Slab::default(),
            demux: Demux::default(),
            sleepers: BinaryHeap::new(),
            due: Vec::new(),
            dirty: Vec::new(),
            served: Vec::new(),
            serving: None,
            sending: VecDeque::new(),
            wanted_keyframes: Vec::new(),
            allocator: Allocator::default(),
            claims: Vec::new(),
            shares: Vec::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
            keyed_legs: 0,
            reflections: Reflections::default(),
            asker: Asker::default(),
            relay,
            calls: Vec::new(),
        })
    }

    /// Takes a command of signaling.
    pub fn handle_command(&mut self, command: HostCommand, now: Instant) {
        match command {
            HostCommand::Negotiate(negotiate) => self.negotiate(&negotiate, None, now),
            HostCommand::RestartIce {
                room,
                participant,
                leg,
                request,
                ice,
            } => {
                self.restart_ice((room, participant, leg), request, &ice, now);
            }
            HostCommand::Candidate {
                room,
                participant,
                leg,
                candidate,
            } => {
                let candidate =
                    Candidate::parse(candidate.strip_prefix("candidate:").unwrap_or(&candidate));
                let key = self.find_leg(&room, participant, leg);
                if let Some(Link::Full(transport)) = key
                    .and_then(|key| self.legs.get_mut(key))
                    .map(|leg| &mut leg.link)
                    && let Some(candidate) = candidate
                {
                    transport.add_remote_candidate(&candidate);
                    self.permit(&[candidate], now);
                }
                if let Some(key) = key {
                    self.drain_transport(key, now);
                    self.queue(key);
                }
            }
            HostCommand::SetMuted { room, track, muted } => {
                self.set_muted(&room, track, muted, now)
            }
            HostCommand::Close {
                room,
                participant,
                leg,
            } => {
                let keys: Vec<_> = self
                    .legs_of(&room, participant)
                    .filter(|(_, known)| leg.is_none_or(|leg| known.id == leg))
                    .map(|(key, _)| key)
                    .collect();
                for key in keys {
                    self.close_leg(key, now);
                }
            }
            HostCommand::CloseRoom { room } => self.close_room(&room, now),
            HostCommand::Serve { .. } => self.take_role(command, now),
            HostCommand::OpenBridge { .. }
            | HostCommand::AnswerBridge { .. }
            | HostCommand::JoinBridge { .. }
            | HostCommand::CloseBridge { .. } => self.handle_bridge(command, now),
            // What signaling wants to be told again is kept by the link, and whether a lease still holds by the caller.
            HostCommand::Accepted { .. }
            | HostCommand::Lease { .. }
            | HostCommand::ProbeUplink { .. }
            | HostCommand::Deny { .. }
            | HostCommand::Remember { .. }
            | HostCommand::Inherit { .. }
            | HostCommand::Unknown => {}
        }
    }

    /// Opens a leg whose address and keys were agreed elsewhere: no ICE, no DTLS, no data channel. Its answer comes as an event like any
    /// other's; what the data channel would carry goes through [`Self::handle_path`] and [`Event::Path`].
    pub fn handle_keyed_offer(&mut self, negotiate: &Negotiate, keyed: KeyedLeg, now: Instant) {
        self.negotiate(negotiate, Some(keyed), now);
    }

    /// Takes a path message of a keyed leg.
    pub fn handle_path(
        &mut self,
        room: &RoomId,
        participant: ParticipantId,
        leg: LegId,
        message: PathToHost,
        now: Instant,
    ) {
        if let Some(key) = self.find_leg(room, participant, leg) {
            self.apply_path(key, message, self.epoch.tick(now));
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let tick = self.epoch.tick(now);
        let mut due = std::mem::take(&mut self.due);
        while let Some(&Reverse((at, sleeper))) = self.sleepers.peek() {
            if at > tick {
                break;
            }
            self.sleepers.pop();
            due.push((at, sleeper));
        }
        // Who wants to be woken again at once waits for the next call, so that each call ends.
        for (at, sleeper) in due.drain(..) {
            match sleeper {
                Sleeper::Leg(key) => {
                    if self.legs.get(key).is_some_and(|leg| leg.scheduled == at) {
                        self.wake_leg(key, now);
                    }
                }
                Sleeper::Room(key) => {
                    if self.rooms.get(key).is_some_and(|room| room.scheduled == at) {
                        self.wake_room(key, tick);
                    }
                }
            }
        }
        self.due = due;
    }

    fn wake_leg(&mut self, key: Key, now: Instant) {
        let tick = self.epoch.tick(now);
        let Some(leg) = self.legs.get_mut(key) else {
            return;
        };
        leg.scheduled = Tick::NEVER;
        if let Link::Full(transport) = &mut leg.link
            && transport.poll_timeout().is_some_and(|due| due <= now)
        {
            transport.handle_timeout(now);
        }
        if let Some(room) = self.rooms.get_mut(leg.room) {
            leg.write_feedback(&mut room.publications, tick, &mut self.stats);
        }
        self.resume(key, tick);
        self.drain_transport(key, now);
        self.report_state(key, now);
        self.queue(key);
        self.reschedule(key, tick);
    }

    fn wake_room(&mut self, key: Key, now: Tick) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        room.scheduled = Tick::NEVER;
        self.keep_term(key, now);
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        if room.refresh_due <= now {
            self.refresh_room(key, now);
        }
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        // What was held long enough must not be due again at once.
        room.release(now);
        if !room.is_dirty {
            room.is_dirty = true;
            self.dirty.push(key);
        }
        self.schedule_room(key, now);
    }

    /// Does what is due soon for the rooms that were just served, while their memory is still in the cache: whoever never calls it
    /// has all of it done in time by [`Self::handle_timeout`]. Call it when what [`Self::poll_transmit`] gave was sent, and poll again.
    pub fn handle_served(&mut self, now: Instant) {
        let now = self.epoch.tick(now);
        while let Some(key) = self.served.pop() {
            let is_near = |room: &&mut Room| room.refresh_due <= now + EARLY;
            if self.rooms.get_mut(key).filter(is_near).is_none() {
                continue;
            }
            self.refresh_room(key, now);
            if let Some(room) = self.rooms.get_mut(key) {
                room.refresh_due = room.refresh_due + LATE;
                room.scheduled = Tick::NEVER;
            }
            self.schedule_room(key, now);
        }
    }

    fn note_served(&mut self, key: Key, now: Tick) {
        let refresh_due = self.rooms.get(key).map(|room| room.refresh_due);
        if refresh_due.is_some_and(|due| due <= now + EARLY)
            && self.served.len() < MAX_SERVED
            && !self.served.contains(&key)
        {
            self.served.push(key);
        }
    }

    fn refresh_room(&mut self, key: Key, now: Tick) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        let speakers_changed = room.refresh(now);
        self.share_uplink();
        self.assign_room(key, now);
        if speakers_changed {
            self.tell_speakers(key, now);
        }
        self.tell_lines(key, now);
    }

    /// What the process around the engine has to know next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front().or_else(|| self.poll_keyed_path())
    }

    fn poll_keyed_path(&mut self) -> Option<Event> {
        if self.keyed_legs == 0 {
            return None;
        }
        let rooms = &self.rooms;
        self.legs.iter_mut().find_map(|(_, leg)| {
            let message = leg.keyed_path.pop_front()?;
            let room = rooms.get(leg.room)?.id.clone();
            Some(Event::Path {
                room,
                participant: leg.participant,
                leg: leg.id,
                message,
            })
        })
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        while let Some(&Reverse((due, sleeper))) = self.sleepers.peek() {
            let is_current = match sleeper {
                Sleeper::Leg(key) => self.legs.get(key).is_some_and(|leg| leg.scheduled == due),
                Sleeper::Room(key) => self
                    .rooms
                    .get(key)
                    .is_some_and(|room| room.scheduled == due),
            };
            if is_current {
                return Some(self.epoch.instant(due.min(self.own_deadline())));
            }
            self.sleepers.pop();
        }
        let asks = self.own_deadline();
        (asks < Tick::NEVER).then(|| self.epoch.instant(asks))
    }

    /// Counters so far.
    pub fn stats(&mut self) -> &Stats {
        self.stats.legs = self.legs.len() as u64;
        self.stats.rooms = self.rooms.len() as u64;
        self.stats.legs_connected =
            self.legs.iter().filter(|(_, leg)| leg.is_connected).count() as u64;
        self.count_estimates();
        &self.stats
    }

    /// How many RTP packets were sealed so far: [`Stats::packets_out`] without looking at every leg for the rest.
    pub fn packets_out(&self) -> u64 {
        self.stats.packets_out
    }

    /// All rooms with living legs, for a signaling service that starts over.
    pub fn roster(&self) -> Vec<RosterRoom> {
        let rooms = self.rooms.iter().map(|(_, room)| {
            let legs = room.legs.iter().filter_map(|key| self.legs.get(*key));
            let legs = legs.filter(|leg| leg.bridge.is_none());
            RosterRoom {
                role: room.term.as_ref().map(|term| term.role),
                grant: room.term.as_ref().and_then(|term| term.grant.clone()),
                room: room.id.clone(),
                epoch: room.epoch,
                legs: legs.map(|leg| room.roster(leg)).collect(),
            }
        });
        rooms.collect()
    }

    /// Says goodbye on every leg.
    pub fn close(&mut self, now: Instant) {
        let keys: Vec<_> = self.legs.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(leg) = self.legs.get_mut(key)
                && let Link::Full(transport) = &mut leg.link
            {
                transport.close(now);
            }
            self.queue(key);
        }
        self.set_relay(None, now);
    }

    fn set_muted(&mut self, room: &RoomId, track: TrackId, muted: bool, now: Instant) {
        let Some(&key) = self.rooms_by_id.get(room) else {
            return;
        };
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        for (_, publication) in room.publications.iter_mut() {
            if publication.track.id == track {
                publication.track.muted = muted;
            }
        }
        let tick = self.epoch.tick(now);
        self.assign_room(key, tick);
    }

    fn apply_path(&mut self, key: Key, message: PathToHost, now: Tick) {
        let Some(leg) = self.legs.get_mut(key) else {
            return;
        };
        match message {
            PathToHost::View { slots } => {
                for slot in leg
                    .slots
                    .iter_mut()
                    .filter(|slot| slot.kind == MediaKind::Video)
                {
                    slot.view = slots
                        .iter()
                        .find(|view| view.slot == slot.mid.as_str())
                        .cloned();
                }
                leg.is_view_stale = true;
                // What was said as the channel opened may have shared a datagram with the end of the SCTP handshake,
                // and rtc's side loses it then; who speaks up hears for certain.
                if !std::mem::replace(&mut leg.has_viewed, true)
                    && let Some(room) = self.rooms.get(leg.room)
                {
                    let now = self.epoch.instant(now);
                    leg.send_path(&room.speakers(), now);
                    if !room.lines.is_empty() {
                        leg.send_path(&room.lines(), now);
                    }
                }
            }
            PathToHost::Upload { is_slow } => {
                leg.is_upload_slow = is_slow;
                return;
            }
            PathToHost::Unknown => return,
        }
        let room_key = leg.room;
        let Some(room) = self.rooms.get_mut(room_key) else {
            return;
        };
        room.assign(leg, now);
        room.allot(leg, &mut self.allocator, now);
        if !room.is_dirty {
            room.is_dirty = true;
            self.dirty.push(room_key);
        }
        self.tell_demand(room_key, now);
        self.tend_bridges(room_key, now);
    }

    fn tell_speakers(&mut self, key: Key, now: Tick) {
        let now = self.epoch.instant(now);
        let Some(room) = self.rooms.get(key) else {
            return;
        };
        let message = room.speakers();
        for leg_key in &room.legs {
            let Some(leg) = self.legs.get_mut(*leg_key) else {
                continue;
            };
            leg.send_path(&message, now);
            if !leg.is_queued {
                leg.is_queued = true;
                self.sending.push_back(*leg_key);
            }
        }
    }

    fn legs_of(
        &self,
        room: &RoomId,
        participant: ParticipantId,
    ) -> impl Iterator<Item = (Key, &Leg)> {
        let room = self
            .rooms_by_id
            .get(room)
            .and_then(|key| self.rooms.get(*key));
        let keys = room.map(|room| room.legs.as_slice()).unwrap_or_default();
        keys.iter()
            .filter_map(|key| Some((*key, self.legs.get(*key)?)))
            .filter(move |(_, leg)| leg.participant == participant)
    }

    fn find_leg(&self, room: &RoomId, participant: ParticipantId, leg: LegId) -> Option<Key> {
        self.legs_of(room, participant)
            .find(|(_, known)| known.id == leg)
            .map(|(key, _)| key)
    }

    fn queue(&mut self, key: Key) {
        if let Some(leg) = self.legs.get_mut(key).filter(|leg| !leg.is_queued) {
            leg.is_queued = true;
            self.sending.push_back(key);
        }
    }

    fn push_event(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

fn leg_deadline(leg: Option<&Leg>) -> Tick {
    leg.map_or(Tick::NEVER, Leg::deadline)
}

/// Tells a participant what the slots show.
fn tell_view(leg: &mut Leg, room: &Room, now: Instant) {
    if leg.channels_open == 0 {
        return;
    }
    leg.is_view_stale = false;
    let message: PathFromHost = room.shown(leg);
    leg.send_path(&message, now);
}
