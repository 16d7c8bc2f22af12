//! Offers on their way to the room's host and answers on their way back. The session descriptions are opaque here;
//! what is checked is who may publish what, in which term, and how much.

use baton_protocol::limits::MAX_SDP;
use baton_protocol::{
    Answer, Epoch, ErrorCode, HostCommand, HostId, LeaveReason, LegId, LegState, Negotiate,
    ParticipantId, Refusal, RoomId, ServiceMessage, TrackInfo, TrackOffer, Tracks, ViewMode,
};

use super::timers::Timer;
use super::{CallError, Refused, Registry, Seat};
use crate::now::Now;
use crate::participant::{Asked, Leg, Participant, Pending, Presence};
use target::Target;
use tracks::{agreed, check_tracks, derived, earlier_track};

mod target;
mod tracks;

/// What a participant offers: a new leg, or a change of one.
pub(super) struct Offer {
    pub(super) leg: LegId,
    pub(super) epoch: Epoch,
    /// Which host; none: the own one.
    pub(super) host: Option<HostId>,
    pub(super) fingerprint: Option<String>,
    pub(super) sdp: String,
    pub(super) tracks: Vec<TrackOffer>,
}

/// Longest ICE candidate, in bytes.
const MAX_CANDIDATE: usize = 512;

impl Registry {
    pub(super) fn offer(&mut self, seat: &Seat, offer: Offer, now: Now) -> Result<(), Refused> {
        if offer.sdp.is_empty() || offer.sdp.len() > MAX_SDP {
            let message = format!("an offer has 1 to {MAX_SDP} bytes");
            return Err(Refused::new(ErrorCode::Limit, message));
        }
        check_tracks(&offer.tracks)?;
        self.note_belief(&seat.room, offer.epoch, now);
        self.tend(&seat.room, now);
        let target = self.target(seat, &offer)?;
        let room = self.rooms.get(&seat.room).ok_or_else(internal)?;
        let me = room
            .participants
            .get(&seat.participant)
            .ok_or_else(internal)?;
        if let Some(denied) = offer
            .tracks
            .iter()
            .find(|track| !me.grants.may_publish(track.source))
        {
            let message = format!("you may not publish {:?} here", denied.source);
            return Err(Refused::new(ErrorCode::Forbidden, message));
        }
        if !me.has_room_for(offer.leg) {
            return Err(Refused::new(
                ErrorCode::Limit,
                "close a leg before opening another one",
            ));
        }
        let other = me.legs.get(&offer.leg).map(|leg| leg.host);
        if other.is_some_and(|other| other != target.host) {
            let message = "this leg goes to another host; open one with a new number";
            return Err(Refused::new(ErrorCode::Invalid, message));
        }
        self.ensure_host(&seat.room, target.host, now)?;
        let ticket = self.ticket(seat, &offer, &target, now)?;
        let tracks = self.number_tracks(seat, &offer, &target)?;
        let asked = Asked::Offer {
            tracks: tracks.clone(),
        };
        let leg = (offer.leg, target.host, offer.epoch);
        let request = self.ask(seat, leg, asked, now).ok_or_else(internal)?;
        if other.is_none() {
            self.stayer_moved(seat, now);
        }
        let room = self.rooms.get(&seat.room).ok_or_else(internal)?;
        let me = room.participants.get(&seat.participant);
        let command = Negotiate {
            room: seat.room.clone(),
            epoch: target.epoch,
            participant: seat.participant,
            leg: offer.leg,
            request,
            grants: me.ok_or_else(internal)?.grants.clone(),
            sdp: offer.sdp,
            tracks: Tracks::Declared(tracks),
            view: ViewMode::Wanted,
            ticket,
        };
        self.command(target.host, HostCommand::Negotiate(command));
        Ok(())
    }

    /// Notes what a host is asked about a leg, in place of an earlier question. Gives the number of the request.
    pub(super) fn ask(
        &mut self,
        seat: &Seat,
        (leg, host, epoch): (LegId, HostId, Epoch),
        asked: Asked,
        now: Now,
    ) -> Option<u32> {
        self.requests = self.requests.wrapping_add(1);
        let request = self.requests;
        let until = now.instant + self.config.limits.answer_timeout;
        let room = self.rooms.get_mut(&seat.room)?;
        let me = room.participants.get_mut(&seat.participant)?;
        let entry = me.legs.entry(leg).or_insert_with(|| Leg::new(host, epoch));
        entry.epoch = epoch;
        entry.pending = Some(Pending { request, asked });
        let timer = Timer::Answer(seat.room.clone(), seat.participant, leg, request);
        self.timers.insert(until, timer);
        Some(request)
    }

    /// Numbers of an offer's tracks: what was there before keeps its number.
    fn number_tracks(
        &mut self,
        seat: &Seat,
        offer: &Offer,
        target: &Target,
    ) -> Result<Vec<TrackInfo>, Refused> {
        let room = self.rooms.get(&seat.room).ok_or_else(internal)?;
        let me = room
            .participants
            .get(&seat.participant)
            .ok_or_else(internal)?;
        let mut tracks: Vec<TrackInfo> = Vec::with_capacity(offer.tracks.len());
        let mut taken = Vec::with_capacity(offer.tracks.len());
        for one in &offer.tracks {
            let earlier = earlier_track(me, offer.leg, target.host, one, &taken);
            let id = match earlier {
                Some(track) => track.id,
                None => room.fresh_track(&taken, &mut self.rng),
            };
            taken.push(id);
            tracks.push(TrackInfo {
                id,
                mid: one.mid.clone(),
                source: one.source,
                layers: one.layers.clone(),
                // An offer never unmutes: it may have crossed a moderator's mute.
                muted: one.muted || earlier.is_some_and(|track| track.muted),
            });
        }
        Ok(tracks)
    }

    pub(super) fn candidate(
        &mut self,
        seat: &Seat,
        leg: LegId,
        candidate: String,
    ) -> Result<(), Refused> {
        if candidate.len() > MAX_CANDIDATE {
            let message = format!("a candidate has at most {MAX_CANDIDATE} bytes");
            return Err(Refused::new(ErrorCode::Limit, message).about(leg));
        }
        let host = self.host_of_leg(seat, leg)?;
        let command = HostCommand::Candidate {
            room: seat.room.clone(),
            participant: seat.participant,
            leg,
            candidate,
        };
        self.command(host, command);
        Ok(())
    }

    /// Closing what is closed already is no fault: legs end on the host's side as well, and with its term.
    pub(super) fn close_leg(&mut self, seat: &Seat, leg: LegId) {
        let Ok(host) = self.host_of_leg(seat, leg) else {
            return;
        };
        let command = HostCommand::Close {
            room: seat.room.clone(),
            participant: seat.participant,
            leg: Some(leg),
        };
        self.command(host, command);
        self.drop_leg(&seat.room, seat.participant, leg);
    }

    /// A host has answered an offer.
    pub(super) fn answer(&mut self, host: HostId, answer: Answer) {
        let Some(pending) = self.settle(
            host,
            &answer.room,
            answer.participant,
            answer.leg,
            answer.request,
        ) else {
            return;
        };
        let Some(room) = self.rooms.get_mut(&answer.room) else {
            return;
        };
        let Some(participant) = room.participants.get_mut(&answer.participant) else {
            return;
        };
        let tracks = match &pending.asked {
            Asked::Offer { tracks } => agreed(tracks, &answer.tracks),
            Asked::Session { tracks, .. } => derived(tracks, answer.tracks, &participant.grants),
            Asked::Restart { .. } => return,
        };
        let known: Vec<_> = participant.tracks().cloned().collect();
        let Some(leg) = participant.legs.get_mut(&answer.leg) else {
            return;
        };
        leg.is_open = true;
        let epoch = leg.epoch;
        let before = std::mem::replace(&mut leg.tracks, tracks.clone());
        // The same tracks on a leg to another host are no news.
        let is_news =
            before != tracks && participant.tracks().cloned().collect::<Vec<_>>() != known;
        match (&participant.presence, pending.asked) {
            (Presence::Socket(connection), Asked::Offer { .. }) => {
                let connection = *connection;
                let message = ServiceMessage::Answer {
                    leg: answer.leg,
                    epoch,
                    sdp: answer.sdp,
                    tracks,
                };
                self.outputs.push_back(super::Output::Peer {
                    connection,
                    message,
                });
            }
            (Presence::Session(session), Asked::Session { call, .. }) => {
                let session = session.clone();
                self.session_answered(call, &session, answer.sdp);
            }
            _ => {}
        }
        if is_news {
            self.announce(&answer.room, answer.participant);
        }
    }

    /// A host has refused an offer or a restart. What the leg was before stays.
    pub(super) fn refusal(&mut self, host: HostId, refusal: &Refusal, now: Now) {
        let Some(pending) = self.settle(
            host,
            &refusal.room,
            refusal.participant,
            refusal.leg,
            refusal.request,
        ) else {
            return;
        };
        let message = refusal.message.chars().take(500).collect::<String>();
        let error = CallError::Rejected(message.clone());
        let refused = Refused::new(ErrorCode::OfferRejected, message);
        let place = Place {
            room: &refusal.room,
            participant: refusal.participant,
            leg: refusal.leg,
        };
        self.give_up(&place, &pending, refused, error, now);
    }

    /// The host's time to answer is over.
    pub(super) fn answer_overdue(
        &mut self,
        room: &RoomId,
        participant: ParticipantId,
        leg: LegId,
        request: u32,
        now: Now,
    ) {
        let entry = self.rooms.get(room);
        let one = entry.and_then(|entry| entry.participants.get(&participant));
        let Some(host) = one.and_then(|one| one.legs.get(&leg)).map(|leg| leg.host) else {
            return;
        };
        let Some(pending) = self.settle(host, room, participant, leg, request) else {
            return;
        };
        let refused = Refused::new(ErrorCode::NoHost, "the host did not answer; offer again");
        let place = Place {
            room,
            participant,
            leg,
        };
        self.give_up(&place, &pending, refused, CallError::Timeout, now);
    }

    /// All that a vanished host was asked is answered in its place.
    pub(super) fn fail_pending(&mut self, host: HostId, now: Now) {
        let mut failed = Vec::new();
        for room in self.rooms.values_mut() {
            for one in room.participants.values_mut() {
                for (id, leg) in one.legs.iter_mut().filter(|(_, leg)| leg.host == host) {
                    if let Some(pending) = leg.pending.take() {
                        failed.push((room.id.clone(), one.id, *id, pending));
                    }
                }
            }
        }
        for (room, participant, leg, pending) in failed {
            let message = "the host is gone for now; offer again in a moment";
            let refused = Refused::new(ErrorCode::NoHost, message);
            let place = Place {
                room: &room,
                participant,
                leg,
            };
            self.give_up(&place, &pending, refused, CallError::NoHost, now);
        }
    }

    /// A leg changed on the host's side.
    pub(super) fn leg_changed(
        &mut self,
        host: HostId,
        room: &RoomId,
        participant: ParticipantId,
        leg: LegId,
        state: LegState,
        now: Now,
    ) {
        let is_over = state == LegState::Closed;
        let entry = self.rooms.get(room);
        let one = entry.and_then(|entry| entry.participants.get(&participant));
        let is_theirs = |one: &&Participant| one.legs.get(&leg).is_some_and(|leg| leg.host == host);
        let Some(one) = one.filter(is_theirs).filter(|_| is_over) else {
            return;
        };
        match one.presence {
            Presence::Session(_) => {
                self.remove(room, participant, LeaveReason::Left, now);
            }
            Presence::Socket(connection) => {
                let message = "the connection to the host ended; offer a new leg".to_owned();
                self.send(connection, ServiceMessage::LegClosed { leg, message });
                self.drop_leg(room, participant, leg);
            }
            Presence::Unclaimed { .. } if one.legs.len() == 1 => {
                self.remove(room, participant, LeaveReason::TimedOut, now);
            }
            Presence::Lost { .. } | Presence::Unclaimed { .. } => {
                self.drop_leg(room, participant, leg);
            }
        }
    }

    pub(super) fn announce(&mut self, room: &RoomId, participant: ParticipantId) {
        let output = self
            .rooms
            .get(room)
            .and_then(|room| room.announce(participant));
        self.outputs.extend(output);
    }

    /// Takes the open question that a reply belongs to, if it came from the leg's host and is not overtaken.
    pub(super) fn settle(
        &mut self,
        host: HostId,
        room: &RoomId,
        participant: ParticipantId,
        leg: LegId,
        request: u32,
    ) -> Option<Pending> {
        let room = self.rooms.get_mut(room)?;
        let legs = &mut room.participants.get_mut(&participant)?.legs;
        let leg = legs.get_mut(&leg).filter(|leg| leg.host == host)?;
        leg.pending.take_if(|pending| pending.request == request)
    }

    /// Answers a question in the host's place. A session without its first answer is over.
    fn give_up(
        &mut self,
        place: &Place<'_>,
        pending: &Pending,
        refused: Refused,
        error: CallError,
        now: Now,
    ) {
        let Place {
            room,
            participant,
            leg,
        } = *place;
        match pending.asked {
            Asked::Offer { .. } => {
                let entry = self.rooms.get(room);
                let one = entry.and_then(|entry| entry.participants.get(&participant));
                if let Some(connection) = one.and_then(Participant::connection) {
                    self.refuse(connection, refused.about(leg));
                }
                self.drop_unopened(room, participant, leg);
            }
            Asked::Session { call, .. } => {
                self.fail_call(call, error);
                self.remove(room, participant, LeaveReason::Left, now);
            }
            Asked::Restart { call } => self.fail_call(call, error),
        }
    }

    /// Forgets a leg that no host has ever agreed to, so that it does not count.
    fn drop_unopened(&mut self, room: &RoomId, participant: ParticipantId, leg: LegId) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let Some(one) = entry.participants.get_mut(&participant) else {
            return;
        };
        let known = one.legs.get(&leg);
        let unopened = known.filter(|leg| !leg.is_open && leg.pending.is_none());
        if let Some(host) = unopened.map(|leg| leg.host) {
            one.legs.remove(&leg);
            let command = HostCommand::Close {
                room: room.clone(),
                participant,
                leg: Some(leg),
            };
            self.command(host, command);
        }
    }

    /// Forgets a leg and what it published.
    pub(super) fn drop_leg(&mut self, room: &RoomId, participant: ParticipantId, leg: LegId) {
        let entry = self.rooms.get_mut(room);
        let one = entry.and_then(|entry| entry.participants.get_mut(&participant));
        let Some(one) = one else {
            return;
        };
        let before = one.tracks().count();
        one.legs.remove(&leg);
        // What goes on by a leg to another host is still there.
        if one.tracks().count() != before {
            self.announce(room, participant);
        }
    }

    fn host_of_leg(&self, seat: &Seat, leg: LegId) -> Result<HostId, Refused> {
        let room = self.rooms.get(&seat.room).ok_or_else(internal)?;
        let me = room
            .participants
            .get(&seat.participant)
            .ok_or_else(internal)?;
        let known = me.legs.get(&leg).map(|leg| leg.host);
        known.ok_or_else(|| Refused::new(ErrorCode::NotFound, "there is no such leg").about(leg))
    }
}

/// Where a leg belongs.
struct Place<'a> {
    room: &'a RoomId,
    participant: ParticipantId,
    leg: LegId,
}

pub(super) fn internal() -> Refused {
    Refused::new(ErrorCode::Internal, "the room is gone; join again")
}
