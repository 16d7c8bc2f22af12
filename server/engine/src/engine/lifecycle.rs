//! A leg's life: what its transport says, when it connects, falls silent and ends.

use std::time::Instant;

use baton_protocol::limits::MAX_PATH_MESSAGE;
use baton_protocol::{CONTROL_CHANNEL, HostMessage, LegState, PathToHost, RoomId};

use super::{Engine, tell_view};
use crate::io::Event;
use crate::leg::{Crypto, Link};
use crate::room::Room;
use crate::slab::Key;
use crate::srtp::{Inbound, MasterKey, Outbound, Profile};
use crate::time::Tick;
use crate::transport::{SrtpKeys, SrtpMaster, SrtpProfile, TransportEvent};

impl Engine {
    /// Takes what ICE, DTLS and the data channels have to say.
    pub(super) fn drain_transport(&mut self, key: Key, now: Instant) {
        let tick = self.epoch.tick(now);
        loop {
            let Some(leg) = self.legs.get_mut(key) else {
                return;
            };
            let Link::Full(transport) = &mut leg.link else {
                return;
            };
            let Some(event) = transport.poll_event() else {
                break;
            };
            match event {
                TransportEvent::Path { remote, source } => {
                    leg.remote = Some(remote);
                    leg.note_way(source, self.relay.is_way(source));
                    leg.connect(tick, &mut self.stats);
                    self.demux.learn(remote, key);
                    self.report_state(key, now);
                }
                TransportEvent::Keys(keys) => {
                    self.take_keys(key, &keys, tick);
                    self.report_state(key, now);
                }
                TransportEvent::ChannelOpen { channel } => {
                    if channel == CONTROL_CHANNEL {
                        leg.channels_open = 1;
                        leg.is_view_stale = true;
                        match leg.bridge {
                            Some(_) => self.greet_host(key, now),
                            None => self.greet(key, now),
                        }
                    }
                }
                TransportEvent::Message { channel, bytes } if leg.bridge.is_some() => {
                    if channel == CONTROL_CHANNEL {
                        self.hear_host(key, &bytes, tick);
                    }
                }
                TransportEvent::Message { channel, bytes } => {
                    if channel == CONTROL_CHANNEL && bytes.len() <= MAX_PATH_MESSAGE {
                        match serde_json::from_slice::<PathToHost>(&bytes) {
                            Ok(message) => self.apply_path(key, message, tick),
                            Err(_) => self.stats.malformed += 1,
                        }
                    }
                }
                TransportEvent::Closed | TransportEvent::Failed(_) => {
                    self.close_leg(key, now);
                    return;
                }
            }
        }
        self.reschedule(key, tick);
    }

    pub(super) fn take_keys(&mut self, key: Key, keys: &SrtpKeys, now: Tick) {
        let profile = match keys.profile {
            SrtpProfile::AeadAes128Gcm => Profile::Aes128Gcm,
            SrtpProfile::Aes128CmHmacSha1_80 => Profile::Aes128CmSha1_80,
        };
        let master = |side: &SrtpMaster| {
            MasterKey::new(
                profile,
                &side.key,
                side.salt.get(..profile.salt_len()).unwrap_or_default(),
            )
        };
        let (Ok(local), Ok(remote)) = (master(&keys.local), master(&keys.remote)) else {
            return;
        };
        let Some(leg) = self.legs.get_mut(key) else {
            return;
        };
        if leg.crypto.is_some() {
            return;
        }
        leg.crypto = Some(Crypto {
            inbound: Inbound::new(&remote),
            outbound: Outbound::new(&local),
        });
        leg.connect(now, &mut self.stats);
        if let Some(room) = self.rooms.get_mut(leg.room)
            && !room.is_dirty
        {
            room.is_dirty = true;
            self.dirty.push(leg.room);
        }
    }

    /// First words on a new control channel.
    fn greet(&mut self, key: Key, now: Instant) {
        let Some(leg) = self.legs.get_mut(key) else {
            return;
        };
        let Some(room) = self.rooms.get_mut(leg.room) else {
            return;
        };
        leg.send_path(&room.speakers(), now);
        tell_view(leg, room, now);
        leg.is_demand_stale = false;
        if let Some(wanted) = room.wanted(leg) {
            leg.send_path(&wanted, now);
        }
        self.queue(key);
    }

    pub(super) fn report_state(&mut self, key: Key, now: Instant) {
        let tick = self.epoch.tick(now);
        let Some(leg) = self.legs.get_mut(key) else {
            return;
        };
        let Some(state) = leg.poll_state(tick) else {
            return;
        };
        if state == LegState::Closed {
            self.close_leg(key, now);
            return;
        }
        self.push_leg_state(key, state);
    }

    fn push_leg_state(&mut self, key: Key, state: LegState) {
        let Some(leg) = self.legs.get(key) else {
            return;
        };
        let Some(room) = self.rooms.get(leg.room) else {
            return;
        };
        let (room, participant, id) = (room.id.clone(), leg.participant, leg.id);
        if let Some(bridge) = &leg.bridge {
            let bridge = bridge.id;
            if state != LegState::Connected || leg.channels_open > 0 {
                let message = HostMessage::Bridge {
                    room,
                    bridge,
                    state,
                };
                self.push_event(Event::Message(message));
            }
            return;
        }
        self.push_event(Event::Message(HostMessage::Leg {
            room,
            participant,
            leg: id,
            state,
        }));
    }

    /// Ends a leg: says goodbye, takes its tracks away, tells signaling.
    pub(super) fn close_leg(&mut self, key: Key, now: Instant) {
        let Some(leg) = self.legs.get_mut(key) else {
            return;
        };
        if let Link::Full(transport) = &mut leg.link {
            transport.close(now);
            let farewells: Vec<_> = std::iter::from_fn(|| transport.poll_transmit()).collect();
            for farewell in farewells {
                if let Some(farewell) = self.farewell(&farewell) {
                    self.push_event(farewell);
                }
            }
        }
        self.push_leg_state(key, LegState::Closed);
        let room = self.legs.get(key).map(|leg| leg.room);
        self.forget_leg(key);
        if let Some(room) = room {
            self.assign_room(room, self.epoch.tick(now));
        }
    }

    pub(super) fn forget_leg(&mut self, key: Key) {
        let Some(leg) = self.legs.remove(key) else {
            return;
        };
        self.demux.forget(key);
        self.keyed_legs -= usize::from(matches!(leg.link, Link::Keyed));
        self.sending.retain(|queued| *queued != key);
        for ufrag in leg.ufrags {
            self.push_event(Event::Unreachable { ufrag });
        }
        let Some(room) = self.rooms.get_mut(leg.room) else {
            return;
        };
        room.legs.retain(|known| *known != key);
        room.bridges -= usize::from(leg.bridge.is_some());
        for publication in leg.publications {
            room.publications.remove(publication);
        }
        let id = room.id.clone();
        self.forget_empty_room(&id);
    }

    /// Ends a room with all its legs.
    pub(super) fn close_room(&mut self, id: &RoomId, now: Instant) {
        let room = self
            .rooms_by_id
            .get(id)
            .and_then(|key| self.rooms.get_mut(*key));
        let Some(room) = room else { return };
        room.term = None;
        for key in room.legs.clone() {
            self.close_leg(key, now);
        }
        self.forget_empty_room(id);
    }

    pub(super) fn forget_empty_room(&mut self, id: &RoomId) {
        if let Some(&key) = self.rooms_by_id.get(id)
            && self.rooms.get(key).is_none_or(Room::is_over)
        {
            self.rooms.remove(key);
            self.rooms_by_id.remove(id);
        }
    }
}
