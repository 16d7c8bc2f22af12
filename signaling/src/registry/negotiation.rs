//! Offers on their way to the room's host and answers on their way back. The session descriptions are opaque here;
//! what is checked is who may publish what, in which term, and how much.

use baton_protocol::limits::{MAX_LAYERS, MAX_SDP, MAX_TRACKS};
use baton_protocol::{
    Answer, Epoch, ErrorCode, Grants, HostCommand, HostId, LeaveReason, LegId, LegState, Negotiate,
    ParticipantId, Refusal, RoomId, ServiceMessage, TrackId, TrackInfo, TrackOffer, Tracks,
    ViewMode,
};

use super::timers::Timer;
use super::{CallError, Refused, Registry, Seat};
use crate::now::Now;
use crate::participant::{Asked, Leg, Participant, Pending, Presence};

/// Longest `a=mid`, in bytes.
const MAX_MID: usize = 32;

/// Longest rid (RFC 8852), in bytes.
const MAX_RID: usize = 16;

/// Longest ICE candidate, in bytes.
const MAX_CANDIDATE: usize = 512;

impl Registry {
    pub(super) fn offer(
        &mut self,
        seat: &Seat,
        leg: LegId,
        epoch: Epoch,
        sdp: String,
        offers: Vec<TrackOffer>,
        now: Now,
    ) -> Result<(), Refused> {
        if sdp.is_empty() || sdp.len() > MAX_SDP {
            let message = format!("an offer has 1 to {MAX_SDP} bytes");
            return Err(Refused::new(ErrorCode::Limit, message));
        }
        check_tracks(&offers)?;
        let room = self.rooms.get(&seat.room).ok_or_else(internal)?;
        if epoch != room.term.epoch {
            let message = format!(
                "the room is in epoch {}, the offer is for {}; offer again to the present host",
                room.term.epoch.0, epoch.0
            );
            return Err(Refused::new(ErrorCode::StaleEpoch, message));
        }
        let me = room
            .participants
            .get(&seat.participant)
            .ok_or_else(internal)?;
        if let Some(denied) = offers
            .iter()
            .find(|offer| !me.grants.may_publish(offer.source))
        {
            let message = format!("you may not publish {:?} here", denied.source);
            return Err(Refused::new(ErrorCode::Forbidden, message));
        }
        if !me.has_room_for(leg) {
            return Err(Refused::new(
                ErrorCode::Limit,
                "close a leg before opening another one",
            ));
        }
        self.ensure_host(&seat.room, now)?;
        let tracks = self.number_tracks(seat, leg, offers)?;
        let negotiate = |request, grants: Grants, tracks: Vec<TrackInfo>, view| Negotiate {
            ticket: None,
            room: seat.room.clone(),
            epoch,
            participant: seat.participant,
            leg,
            request,
            grants,
            sdp,
            tracks: Tracks::Declared(tracks),
            view,
        };
        let asked = Asked::Offer {
            tracks: tracks.clone(),
        };
        let request = self.ask(seat, leg, asked, now).ok_or_else(internal)?;
        let room = self.rooms.get(&seat.room).ok_or_else(internal)?;
        let me = room
            .participants
            .get(&seat.participant)
            .ok_or_else(internal)?;
        let command = negotiate(request, me.grants.clone(), tracks, ViewMode::Wanted);
        let host = room.term.host;
        self.command(host, HostCommand::Negotiate(command));
        Ok(())
    }

    /// Notes what a host is asked about a leg, in place of an earlier question. Gives the number of the request.
    pub(super) fn ask(&mut self, seat: &Seat, leg: LegId, asked: Asked, now: Now) -> Option<u32> {
        self.requests = self.requests.wrapping_add(1);
        let request = self.requests;
        let until = now.instant + self.config.limits.answer_timeout;
        let room = self.rooms.get_mut(&seat.room)?;
        let me = room.participants.get_mut(&seat.participant)?;
        let entry = me.legs.entry(leg).or_default();
        entry.pending = Some(Pending { request, asked });
        let timer = Timer::Answer(seat.room.clone(), seat.participant, leg, request);
        self.timers.insert(until, timer);
        Some(request)
    }

    /// Numbers of an offer's tracks: the same m-line of the same leg with the same source keeps its number.
    fn number_tracks(
        &mut self,
        seat: &Seat,
        leg: LegId,
        offers: Vec<TrackOffer>,
    ) -> Result<Vec<TrackInfo>, Refused> {
        let room = self.rooms.get(&seat.room).ok_or_else(internal)?;
        let me = room
            .participants
            .get(&seat.participant)
            .ok_or_else(internal)?;
        let known = me.legs.get(&leg);
        let mut tracks: Vec<TrackInfo> = Vec::with_capacity(offers.len());
        let mut taken = Vec::with_capacity(offers.len());
        for offer in offers {
            let earlier = known.and_then(|leg| earlier_track(leg, &offer));
            let id = match earlier {
                Some(track) => track.id,
                None => room.fresh_track(&taken, &mut self.rng),
            };
            taken.push(id);
            tracks.push(TrackInfo {
                id,
                mid: offer.mid,
                source: offer.source,
                layers: offer.layers,
                // An offer never unmutes: it may have crossed a moderator's mute.
                muted: offer.muted || earlier.is_some_and(|track| track.muted),
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

    pub(super) fn close_leg(&mut self, seat: &Seat, leg: LegId) -> Result<(), Refused> {
        let host = self.host_of_leg(seat, leg)?;
        let command = HostCommand::Close {
            room: seat.room.clone(),
            participant: seat.participant,
            leg: Some(leg),
        };
        self.command(host, command);
        self.drop_leg(&seat.room, seat.participant, leg);
        Ok(())
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
        let epoch = room.term.epoch;
        let Some(participant) = room.participants.get_mut(&answer.participant) else {
            return;
        };
        let tracks = match &pending.asked {
            Asked::Offer { tracks } => agreed(tracks, &answer.tracks),
            Asked::Session { tracks, .. } => derived(tracks, answer.tracks, &participant.grants),
            Asked::Restart { .. } => return,
        };
        let leg = participant.legs.entry(answer.leg).or_default();
        leg.is_open = true;
        let is_news = leg.tracks != tracks;
        leg.tracks.clone_from(&tracks);
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
        let Some(host) = self.rooms.get(room).map(|entry| entry.term.host) else {
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
        for room in self
            .rooms
            .values_mut()
            .filter(|room| room.term.host == host)
        {
            for one in room.participants.values_mut() {
                for (id, leg) in &mut one.legs {
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
        let entry = self.rooms.get(room).filter(|entry| entry.term.host == host);
        let one = entry.and_then(|entry| entry.participants.get(&participant));
        let Some(one) = one.filter(|one| is_over && one.legs.contains_key(&leg)) else {
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

    /// Takes the open question that a reply belongs to, if it came from the room's host and is not overtaken.
    pub(super) fn settle(
        &mut self,
        host: HostId,
        room: &RoomId,
        participant: ParticipantId,
        leg: LegId,
        request: u32,
    ) -> Option<Pending> {
        let room = self
            .rooms
            .get_mut(room)
            .filter(|room| room.term.host == host)?;
        let leg = room
            .participants
            .get_mut(&participant)?
            .legs
            .get_mut(&leg)?;
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
        let host = entry.term.host;
        let Some(one) = entry.participants.get_mut(&participant) else {
            return;
        };
        if one
            .legs
            .get(&leg)
            .is_some_and(|leg| !leg.is_open && leg.pending.is_none())
        {
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
        let Some(gone) = one.and_then(|one| one.legs.remove(&leg)) else {
            return;
        };
        if !gone.tracks.is_empty() {
            self.announce(room, participant);
        }
    }

    fn host_of_leg(&self, seat: &Seat, leg: LegId) -> Result<HostId, Refused> {
        let room = self.rooms.get(&seat.room).ok_or_else(internal)?;
        let me = room
            .participants
            .get(&seat.participant)
            .ok_or_else(internal)?;
        if !me.legs.contains_key(&leg) {
            return Err(Refused::new(ErrorCode::NotFound, "there is no such leg").about(leg));
        }
        Ok(room.term.host)
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

fn check_tracks(offers: &[TrackOffer]) -> Result<(), Refused> {
    if offers.len() > MAX_TRACKS {
        let message = format!("a leg publishes at most {MAX_TRACKS} tracks");
        return Err(Refused::new(ErrorCode::Limit, message));
    }
    for (index, offer) in offers.iter().enumerate() {
        let is_twice = offers
            .iter()
            .skip(index + 1)
            .any(|other| other.mid == offer.mid);
        if offer.mid.is_empty() || offer.mid.len() > MAX_MID || is_twice {
            let message = format!("a mid has 1 to {MAX_MID} bytes and names one track");
            return Err(Refused::new(ErrorCode::Invalid, message));
        }
        if offer.layers.len() > MAX_LAYERS {
            let message = format!("a track has at most {MAX_LAYERS} layers");
            return Err(Refused::new(ErrorCode::Limit, message));
        }
        let is_rid = |rid: &String| {
            !rid.is_empty()
                && rid.len() <= MAX_RID
                && rid.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        if !offer
            .layers
            .iter()
            .filter_map(|layer| layer.rid.as_ref())
            .all(is_rid)
        {
            let message = format!("a rid has 1 to {MAX_RID} letters and digits");
            return Err(Refused::new(ErrorCode::Invalid, message));
        }
    }
    Ok(())
}

/// The track that had this m-line before, in the newest offer of the leg or in its agreed state.
fn earlier_track<'a>(leg: &'a Leg, offer: &TrackOffer) -> Option<&'a TrackInfo> {
    let waiting: &[TrackInfo] = match leg.pending.as_ref().map(|pending| &pending.asked) {
        Some(Asked::Offer { tracks }) => tracks,
        _ => &[],
    };
    let mut all = waiting.iter().chain(&leg.tracks);
    all.find(|track| track.mid == offer.mid && track.source == offer.source)
}

/// What was offered and what the host took of it.
fn agreed(offered: &[TrackInfo], answered: &[TrackInfo]) -> Vec<TrackInfo> {
    let taken = |track: &&TrackInfo| answered.iter().any(|other| other.id == track.id);
    offered.iter().filter(taken).cloned().collect()
}

/// What a host found in an offer without names, as far as the numbers are the given ones and the grants allow it.
fn derived(given: &[TrackId], answered: Vec<TrackInfo>, grants: &Grants) -> Vec<TrackInfo> {
    let mut tracks: Vec<TrackInfo> = Vec::new();
    for track in answered {
        let is_new = tracks.iter().all(|other| other.id != track.id);
        if is_new && given.contains(&track.id) && grants.may_publish(track.source) {
            tracks.push(track);
        }
    }
    tracks
}
