//! Bridges to other hosts: opening, answering and closing them, and telling the other host what there is and what is wanted.

use std::time::{Duration, Instant};

use baton_protocol::limits::MAX_CANDIDATES;
use baton_protocol::{
    BridgeEnd, BridgeId, BridgeMessage, Epoch, Grants, HostCommand, HostMessage, IceParameters,
    LegId, LegState, ParticipantId, RoomId, ViewMode,
};
use rand::Rng;

use super::Engine;
use crate::bitrate::Bitrate;
use crate::bridge::{self, Bridge};
use crate::estimate::Estimator;
use crate::io::Event;
use crate::leg::{Leg, Link, Opening};
use crate::room::Room;
use crate::rtp::Ssrc;
use crate::sdp::{
    Candidate, ChannelLine, Fingerprint, IcePassword, LocalTransport, RemoteTransport, Setup,
    host_candidates, reflexive_candidates,
};
use crate::slab::Key;
use crate::time::Tick;
use crate::transport::{Caller, Held, PROFILES, Transport, TransportConfig};

/// The other end answers within this time or not at all.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// What the line between two hosts is believed to carry until it was measured: one was chosen for its line, the other is a server.
const START: Bitrate = Bitrate::from_kbps(2000);

/// Bridges that wait for their answer.
const MAX_CALLS: usize = 8;

/// A bridge that was offered.
pub(super) struct Call {
    room: RoomId,
    bridge: BridgeId,
    caller: Caller,
    since: Tick,
}

impl Engine {
    /// Takes a command about a bridge.
    pub(super) fn handle_bridge(&mut self, command: HostCommand, now: Instant) {
        if let HostCommand::OpenBridge { room, bridge, .. } = command {
            let offered = self.call(&room, bridge, now);
            let end = offered.map(|end| HostMessage::BridgeOffered {
                room: room.clone(),
                bridge,
                end,
            });
            self.say_bridge(room, bridge, end);
        } else if let HostCommand::AnswerBridge {
            room,
            epoch,
            bridge,
            end,
        } = command
        {
            let answered = self.answer_call((&room, epoch), bridge, &end, now);
            let end = answered.map(|end| HostMessage::BridgeAnswered {
                room: room.clone(),
                bridge,
                end,
            });
            self.say_bridge(room, bridge, end);
        } else if let HostCommand::JoinBridge {
            room,
            epoch,
            bridge,
            end,
            ..
        } = command
        {
            let joined = self.join((&room, epoch), bridge, &end, now);
            if joined.is_none() {
                self.say_bridge(room, bridge, None);
            }
        } else if let HostCommand::CloseBridge { room, bridge } = command {
            self.calls.retain(|call| call.bridge != bridge);
            if let Some(key) = self.find_bridge(&room, bridge) {
                self.close_leg(key, now);
            }
        }
    }

    /// Without a message: it is over before it began.
    fn say_bridge(&mut self, room: RoomId, bridge: BridgeId, message: Option<HostMessage>) {
        let message = message.unwrap_or(HostMessage::Bridge {
            room,
            bridge,
            state: LegState::Closed,
        });
        self.push_event(Event::Message(message));
    }

    fn call(&mut self, room: &RoomId, bridge: BridgeId, now: Instant) -> Option<BridgeEnd> {
        let tick = self.epoch.tick(now);
        self.calls
            .retain(|call| tick.since(call.since) < ANSWER_WITHIN && call.bridge != bridge);
        if self.calls.len() >= MAX_CALLS {
            return None;
        }
        let caller = Caller::new(&self.bridge_config(), now).ok()?;
        let end = self.end(caller.local());
        self.calls.push(Call {
            room: room.clone(),
            bridge,
            caller,
            since: tick,
        });
        Some(end)
    }

    fn answer_call(
        &mut self,
        (room, epoch): (&RoomId, Epoch),
        bridge: BridgeId,
        end: &BridgeEnd,
        now: Instant,
    ) -> Option<BridgeEnd> {
        let remote = read_end(end, Setup::ActPass)?;
        let opened = Transport::new(&self.bridge_config(), &remote, now);
        let (transport, local) = opened.ok()?;
        self.open_bridge((room, epoch), bridge, (transport, &local), now);
        Some(self.end(&local))
    }

    fn join(
        &mut self,
        (room, epoch): (&RoomId, Epoch),
        bridge: BridgeId,
        end: &BridgeEnd,
        now: Instant,
    ) -> Option<()> {
        let remote = read_end(end, Setup::Passive)?;
        let mut calls = self.calls.iter();
        let index = calls.position(|call| call.bridge == bridge && call.room == *room)?;
        let Call { caller, .. } = self.calls.swap_remove(index);
        let local = caller.local().clone();
        let transport = caller.answered(&self.bridge_config(), &remote, now).ok()?;
        // A computer has one bridge: what is left of an earlier one is over.
        for old in self.bridges_of(room) {
            self.close_leg(old, now);
        }
        let key = self.open_bridge((room, epoch), bridge, (transport, &local), now);
        // A lite agent never calls by itself, so its addresses are not learned from what it asks.
        let policy = self.config.candidates;
        let addresses = remote.candidates.iter();
        for address in addresses.filter_map(|candidate| candidate.usable(policy)) {
            self.demux.learn(address, key);
        }
        Some(())
    }

    fn open_bridge(
        &mut self,
        (room, epoch): (&RoomId, Epoch),
        bridge: BridgeId,
        (transport, local): (Transport, &LocalTransport),
        now: Instant,
    ) -> Key {
        let tick = self.epoch.tick(now);
        let room_key = match self.rooms_by_id.get(room) {
            Some(&key) => key,
            None => {
                let key = self.rooms.insert(Room::new(room.clone(), epoch, tick));
                self.rooms_by_id.insert(room.clone(), key);
                key
            }
        };
        let opening = Opening {
            room: room_key,
            participant: ParticipantId(0),
            id: LegId(bridge.0),
            grants: Grants::default(),
            mode: ViewMode::Wanted,
            link: Link::Full(Held::new(transport)),
            ssrc: Ssrc(self.rng.next_u32()),
            session: 0,
        };
        let mut leg = Leg::new(opening, tick);
        leg.bridge = Some(Box::new(Bridge::new(bridge)));
        (leg.maps_in, leg.maps_out) = bridge::extensions();
        *leg.estimator = Estimator::new(START);
        leg.estimator.expect_feedback(true);
        let key = self.legs.insert(leg);
        if let Some(room) = self.rooms.get_mut(room_key) {
            room.legs.push(key);
            room.bridges += 1;
        }
        self.announce_ufrag(key, &local.ufrag);
        self.drain_transport(key, now);
        self.queue(key);
        self.reschedule(key, tick);
        self.schedule_room(room_key, tick);
        key
    }

    fn bridge_config(&self) -> TransportConfig<'_> {
        TransportConfig {
            certificate: &self.certificate,
            is_lite: self.config.ice_lite,
            announced: &self.config.announced,
            policy: self.config.candidates,
            profiles: &PROFILES,
        }
    }

    fn end(&self, local: &LocalTransport) -> BridgeEnd {
        let mut candidates = host_candidates(&self.config.announced);
        candidates.extend(reflexive_candidates(&self.reflexive()));
        candidates.truncate(MAX_CANDIDATES);
        BridgeEnd {
            ice: IceParameters {
                ufrag: local.ufrag.clone(),
                pwd: local.pwd.as_str().to_owned(),
            },
            fingerprint: local.fingerprint.digits(),
            lite: self.config.ice_lite,
            candidates: candidates.iter().map(ToString::to_string).collect(),
        }
    }

    fn bridges_of(&self, room: &RoomId) -> Vec<Key> {
        let legs = self.legs_of(room, ParticipantId(0));
        legs.filter(|(_, leg)| leg.bridge.is_some())
            .map(|(key, _)| key)
            .collect()
    }

    fn find_bridge(&self, room: &RoomId, bridge: BridgeId) -> Option<Key> {
        let mut legs = self.legs_of(room, ParticipantId(0));
        let found = legs.find(|(_, leg)| leg.bridge.as_ref().is_some_and(|one| one.id == bridge));
        found.map(|(key, _)| key)
    }

    /// The bridge's control channel is open.
    pub(super) fn greet_host(&mut self, key: Key, now: Instant) {
        let Some(leg) = self.legs.get_mut(key) else {
            return;
        };
        let room = leg.room;
        let Some(bridge) = &mut leg.bridge else {
            return;
        };
        let (id, name) = (bridge.id, self.rooms.get(room).map(|room| room.id.clone()));
        if let Some(room) = name {
            self.push_event(Event::Message(HostMessage::Bridge {
                room,
                bridge: id,
                state: LegState::Connected,
            }));
        }
        self.tend_bridges(room, self.epoch.tick(now));
    }

    /// Takes a message of the other host.
    pub(super) fn hear_host(&mut self, key: Key, bytes: &[u8], now: Tick) {
        let Some(leg) = self.legs.get_mut(key) else {
            return;
        };
        let room_key = leg.room;
        let Some(room) = self.rooms.get_mut(room_key) else {
            return;
        };
        match bridge::read(bytes) {
            Some(BridgeMessage::Has { tracks }) => bridge::take_offer(leg, key, room, tracks, now),
            Some(BridgeMessage::Pull { slots }) => room.take_pulls(leg, slots, &mut self.rng),
            Some(BridgeMessage::Unknown) => return,
            None => {
                self.stats.malformed += 1;
                return;
            }
        }
        self.assign_room(room_key, now);
    }

    /// Tells the other hosts of a room what there is and what is wanted, where that is news.
    pub(super) fn tend_bridges(&mut self, key: Key, now: Tick) {
        let Some(room) = self.rooms.get(key) else {
            return;
        };
        let at = self.epoch.instant(now);
        for leg_key in &room.legs {
            let Some(leg) = self.legs.get_mut(*leg_key) else {
                continue;
            };
            if leg.channels_open == 0 {
                continue;
            }
            let Some(mut bridge) = leg.bridge.take() else {
                continue;
            };
            let has = bridge::offered(room, now);
            let pulls = bridge::pulls(leg, room);
            if bridge.said_has.as_ref() != Some(&has) {
                let tracks = has.clone();
                let is_said = leg.send_bridge(&BridgeMessage::Has { tracks }, at);
                bridge.said_has = is_said.then_some(has);
            }
            if bridge.said_pulls.as_ref() != Some(&pulls) {
                let slots = pulls.clone();
                let is_said = leg.send_bridge(&BridgeMessage::Pull { slots }, at);
                bridge.said_pulls = is_said.then_some(pulls);
            }
            leg.bridge = Some(bridge);
            if !leg.is_queued {
                leg.is_queued = true;
                self.sending.push_back(*leg_key);
            }
        }
    }
}

fn read_end(end: &BridgeEnd, setup: Setup) -> Option<RemoteTransport> {
    let is_word = |text: &str| {
        (4..=256).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    };
    let candidates = end.candidates.iter().take(MAX_CANDIDATES);
    is_word(&end.ice.ufrag).then_some(())?;
    Some(RemoteTransport {
        ufrag: end.ice.ufrag.clone(),
        pwd: IcePassword::parse(&end.ice.pwd)?,
        fingerprint: Fingerprint::parse_digits(&end.fingerprint)?,
        setup,
        is_lite: end.lite,
        channels: Some(ChannelLine {
            sctp_port: 5000,
            max_message_size: 65_536,
        }),
        candidates: candidates
            .filter_map(|text| Candidate::parse(text))
            .collect(),
    })
}
