//! Offers and ICE restarts: from a command of signaling to a leg and its answer.

use std::time::Instant;

use baton_protocol::limits::MAX_LEGS;
use baton_protocol::{
    Answer, HostMessage, IceParameters, LegId, MediaKind, Negotiate, ParticipantId, Refusal, RoomId,
};
use rand::Rng;

use super::Engine;
use crate::io::{Event, KeyedLeg};
use crate::leg::{Leg, Link, Opening};
use crate::negotiate;
use crate::room::Room;
use crate::rtp::Ssrc;
use crate::sdp::{self, AnswerParams, IcePassword, Offer};
use crate::slab::Key;
use crate::time::Tick;
use crate::transport::{Held, PROFILES, Transport, TransportConfig};

/// Kilobits per second that a Chromium publisher starts with, instead of 300.
const START_BITRATE: u32 = 1200;

impl Engine {
    pub(super) fn negotiate(&mut self, wanted: &Negotiate, keyed: Option<KeyedLeg>, now: Instant) {
        let message = match self.try_negotiate(wanted, keyed, now) {
            Ok(answer) => HostMessage::Answer(answer),
            Err(message) => {
                self.forget_empty_room(&wanted.room);
                HostMessage::Refused(Refusal {
                    room: wanted.room.clone(),
                    participant: wanted.participant,
                    leg: wanted.leg,
                    request: wanted.request,
                    message,
                })
            }
        };
        self.push_event(Event::Message(message));
    }

    fn try_negotiate(
        &mut self,
        wanted: &Negotiate,
        keyed: Option<KeyedLeg>,
        now: Instant,
    ) -> Result<Answer, negotiate::Refused> {
        let tick = self.epoch.tick(now);
        let offer = Offer::parse(&wanted.sdp)
            .map_err(|error| format!("the offer cannot be read: {error}"))?;
        let room_key = self.room_for(wanted, tick)?;
        let existing = self.find_leg(&wanted.room, wanted.participant, wanted.leg);
        if existing.is_none() && self.legs_of(&wanted.room, wanted.participant).count() >= MAX_LEGS
        {
            return Err(format!("{MAX_LEGS} legs are open already: close one first"));
        }
        let (key, local) = match existing {
            Some(key) => (key, self.restart(key, &offer, now)?),
            None => self.open_leg(wanted, room_key, &offer, keyed, now)?,
        };
        self.permit(&offer.transport.candidates, now);
        let (reflexive, relayed) = (self.reflexive(), self.relayed());
        let (Some(leg), Some(room)) = (self.legs.get_mut(key), self.rooms.get_mut(room_key)) else {
            return Err("the room was closed".to_owned());
        };
        leg.grants = wanted.grants.clone();
        leg.mode = wanted.view;
        let applied = negotiate::apply(leg, key, room, &offer, &wanted.tracks, &mut self.rng, tick);
        let tracks = match applied {
            Ok(tracks) => tracks,
            Err(message) => {
                if existing.is_none() {
                    self.forget_leg(key);
                }
                return Err(message);
            }
        };
        leg.answers += 1;
        let params = AnswerParams {
            transport: &local,
            announced: &self.config.announced,
            reflexive: &reflexive,
            relayed,
            has_tcp: self.config.has_tcp,
            is_lite: self.config.ice_lite,
            session: leg.session,
            version: leg.answers,
            cname: &leg.cname,
            start_bitrate: Some(START_BITRATE),
        };
        let sdp = sdp::answer(&offer, &params, |media| {
            let slot = leg
                .slots
                .iter()
                .find(|slot| slot.mid.as_str() == media.mid)?;
            Some(sdp::Slot {
                stream: format!("slot{}", slot.mid),
                ssrc: slot.ssrc.0,
                rtx: (slot.kind == MediaKind::Video).then_some(slot.rtx_ssrc.0),
            })
        });
        let slots = leg.slots.iter().filter(|slot| !slot.is_off);
        let slots = slots
            .map(|slot| (slot.kind, slot.mid.to_string()))
            .collect();
        let answer = Answer {
            room: wanted.room.clone(),
            epoch: room.epoch,
            participant: wanted.participant,
            leg: wanted.leg,
            request: wanted.request,
            sdp,
            tracks,
            slots,
        };
        self.announce_ufrag(key, &local.ufrag);
        self.assign_room(room_key, tick);
        self.drain_transport(key, now);
        self.queue(key);
        self.reschedule(key, tick);
        self.schedule_room(room_key, tick);
        Ok(answer)
    }

    fn room_for(&mut self, wanted: &Negotiate, now: Tick) -> Result<Key, negotiate::Refused> {
        if let Some(&key) = self.rooms_by_id.get(&wanted.room)
            && let Some(room) = self.rooms.get_mut(key)
        {
            if wanted.epoch < room.epoch {
                return Err(format!(
                    "epoch {} is over: the room is in epoch {}",
                    wanted.epoch.0, room.epoch.0
                ));
            }
            room.epoch = wanted.epoch;
            return Ok(key);
        }
        let key = self
            .rooms
            .insert(Room::new(wanted.room.clone(), wanted.epoch, now));
        self.rooms_by_id.insert(wanted.room.clone(), key);
        Ok(key)
    }

    fn open_leg(
        &mut self,
        wanted: &Negotiate,
        room: Key,
        offer: &Offer,
        keyed: Option<KeyedLeg>,
        now: Instant,
    ) -> Result<(Key, sdp::LocalTransport), negotiate::Refused> {
        let tick = self.epoch.tick(now);
        let (link, local) = match &keyed {
            None => {
                let config = TransportConfig {
                    certificate: &self.certificate,
                    is_lite: self.config.ice_lite,
                    announced: &self.config.announced,
                    policy: self.config.candidates,
                    profiles: &PROFILES,
                };
                let opened = Transport::new(&config, &offer.transport, now);
                let (transport, local) = opened.map_err(|error| error.to_string())?;
                (Link::Full(Held::new(transport)), local)
            }
            Some(_) => (Link::Keyed, self.keyed_local()?),
        };
        let opening = Opening {
            room,
            participant: wanted.participant,
            id: wanted.leg,
            grants: wanted.grants.clone(),
            mode: wanted.view,
            link,
            ssrc: Ssrc(self.rng.next_u32()),
            session: self.rng.next_u64() >> 2,
        };
        let key = self.legs.insert(Leg::new(opening, tick));
        if let Some(room) = self.rooms.get_mut(room) {
            room.legs.push(key);
        }
        if let Some(keyed) = keyed {
            self.keyed_legs += 1;
            self.demux.learn(keyed.remote, key);
            if let Some(leg) = self.legs.get_mut(key) {
                leg.remote = Some(keyed.remote);
                leg.channels_open = 1;
                leg.is_view_stale = true;
            }
            self.take_keys(key, &keyed.keys, tick);
            self.report_state(key, now);
        }
        Ok((key, local))
    }

    /// Transport lines for the answer of a keyed leg, which nobody uses.
    fn keyed_local(&self) -> Result<sdp::LocalTransport, negotiate::Refused> {
        let pwd = IcePassword::parse("keyedlegsneedneithericenordtls").ok_or("no password")?;
        Ok(sdp::LocalTransport {
            ufrag: "keyed".to_owned(),
            pwd,
            fingerprint: self.certificate.fingerprint(),
            setup: sdp::Setup::Passive,
            sctp_port: 5000,
            max_message_size: 65_536,
        })
    }

    fn restart(
        &mut self,
        key: Key,
        offer: &Offer,
        now: Instant,
    ) -> Result<sdp::LocalTransport, negotiate::Refused> {
        match self.legs.get_mut(key).map(|leg| &mut leg.link) {
            Some(Link::Full(transport)) => transport
                .restart(&offer.transport, now)
                .map_err(|error| error.to_string()),
            Some(Link::Keyed) | None => self.keyed_local(),
        }
    }

    pub(super) fn restart_ice(
        &mut self,
        leg: (RoomId, ParticipantId, LegId),
        request: u32,
        ice: &IceParameters,
        now: Instant,
    ) {
        let (room, participant, leg) = leg;
        let key = self.find_leg(&room, participant, leg);
        let restarted = key
            .and_then(|key| self.legs.get_mut(key))
            .map(|leg| &mut leg.link)
            .and_then(|link| match link {
                Link::Full(transport) => {
                    let pwd = IcePassword::parse(&ice.pwd)?;
                    let mut remote = transport.remote().clone();
                    (remote.ufrag, remote.pwd) = (ice.ufrag.clone(), pwd);
                    remote.candidates.clear();
                    transport.restart(&remote, now).ok()
                }
                Link::Keyed => None,
            });
        let (Some(key), Some(local)) = (key, restarted) else {
            let message = "there is no such leg, or its ICE credentials cannot be used".to_owned();
            self.push_event(Event::Message(HostMessage::Refused(Refusal {
                room,
                participant,
                leg,
                request,
                message,
            })));
            return;
        };
        self.announce_ufrag(key, &local.ufrag);
        self.queue(key);
        let mut candidates = sdp::host_candidates(&self.config.announced);
        if self.config.has_tcp {
            candidates.extend(sdp::passive_candidates(&self.config.announced));
        }
        candidates.extend(sdp::reflexive_candidates(&self.reflexive()));
        candidates.extend(self.relayed().map(sdp::relayed_candidate));
        let candidates = candidates.iter().map(ToString::to_string).collect();
        let ice = IceParameters {
            ufrag: local.ufrag.clone(),
            pwd: local.pwd.as_str().to_owned(),
        };
        self.push_event(Event::Message(HostMessage::IceRestarted {
            room,
            participant,
            leg,
            request,
            ice,
            candidates,
        }));
    }

    pub(super) fn announce_ufrag(&mut self, key: Key, ufrag: &str) {
        let Some(leg) = self.legs.get_mut(key) else {
            return;
        };
        if leg.ufrags.iter().any(|known| known == ufrag) || matches!(leg.link, Link::Keyed) {
            return;
        }
        leg.ufrags.push(ufrag.to_owned());
        self.demux.add_ufrag(ufrag, key);
        self.push_event(Event::Reachable {
            ufrag: ufrag.to_owned(),
        });
    }
}
