//! From a datagram to what it changes: to whom it belongs, and what becomes of media.
//!
//! Does not own what a leg does with it (`inbound`, `transport`).

use std::net::SocketAddr;
use std::time::Instant;

use super::{Engine, leg_deadline};
use crate::ahead;
use crate::inbound::Admitted;
use crate::io::{Datagram, Routed};
use crate::leg::Link;
use crate::rtp::{self, Class};
use crate::slab::Key;
use crate::time::Tick;

/// How a datagram came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Straight from its sender.
    Direct,
    /// By the relay.
    Relayed,
}

impl Engine {
    /// Datagrams of these senders follow in a moment. Of more than sixteen the rest is not prepared for.
    pub fn expect(&self, remotes: impl Iterator<Item = SocketAddr>) {
        let mut keys = [None; 16];
        for (key, remote) in keys.iter_mut().zip(remotes) {
            *key = self.demux.by_address(remote);
        }
        ahead::for_reports(&self.legs, &keys);
    }

    /// Takes one datagram.
    pub fn handle_datagram(&mut self, mut datagram: Datagram<'_>, now: Instant) -> Routed {
        self.stats.datagrams_in += 1;
        let Some(&first) = datagram.bytes.first() else {
            self.stats.malformed += 1;
            return Routed::Here;
        };
        let class = rtp::class(first);
        if matches!(class, Class::TurnChannel | Class::Stun)
            && self.relay.is_server(datagram.remote)
            && self.take_relayed(&mut datagram, now)
        {
            return Routed::Here;
        }
        self.route(datagram, class, Way::Direct, now)
    }

    /// Gives a datagram to its leg.
    #[expect(clippy::needless_pass_by_value, reason = "the bytes are given away")]
    pub(super) fn route(
        &mut self,
        datagram: Datagram<'_>,
        class: Class,
        way: Way,
        now: Instant,
    ) -> Routed {
        // The server that is asked may be at the other end of a bridge as well: its answers are no news of that.
        if class == Class::Stun && self.asker.handle(&datagram, self.epoch.tick(now)) {
            return Routed::Here;
        }
        let known = self.demux.by_address(datagram.remote);
        let key = match class {
            Class::Rtp | Class::Dtls => known,
            // A request always says whose it is; an address may have moved on to another leg.
            Class::Stun => self.demux.by_request(datagram.bytes).or(known),
            Class::TurnChannel | Class::Unknown => None,
        };
        let Some(key) = key else {
            if self.config.reflects && class == Class::Stun && self.reflections.handle(&datagram) {
                self.stats.reflected += 1;
                return Routed::Here;
            }
            self.stats.unroutable += 1;
            return Routed::Elsewhere;
        };
        match class {
            Class::Rtp => self.handle_media(key, datagram.bytes, self.epoch.tick(now)),
            Class::Stun | Class::Dtls | Class::TurnChannel | Class::Unknown => {
                if known != Some(key) && !self.demux.learn(datagram.remote, key) {
                    self.stats.unroutable += 1;
                    return Routed::Here;
                }
                if let Some(leg) = self.legs.get_mut(key)
                    && let Link::Full(transport) = &mut leg.link
                {
                    match way {
                        Way::Relayed => transport.note_relayed(datagram.local),
                        // What is held in reserve does not draw a leg away from the relay.
                        Way::Direct if leg.is_relayed => {}
                        Way::Direct => {
                            leg.local = Some(datagram.local.ip()).filter(|ip| !ip.is_unspecified());
                        }
                    }
                    transport.handle_datagram(now, datagram.local, datagram.remote, datagram.bytes);
                    if transport.is_verified(datagram.remote) {
                        leg.heard = self.epoch.tick(now);
                    }
                }
                self.drain_transport(key, now);
                self.queue(key);
            }
        }
        Routed::Here
    }

    fn handle_media(&mut self, key: Key, bytes: &mut [u8], now: Tick) {
        let Some(leg) = self.legs.get_mut(key) else {
            return;
        };
        let Some(room) = self.rooms.get_mut(leg.room) else {
            return;
        };
        if rtp::is_rtcp(bytes) {
            let Some(crypto) = &mut leg.crypto else {
                return;
            };
            let Ok(compound) = crypto.inbound.open_rtcp(bytes) else {
                self.stats.open_failures += 1;
                return;
            };
            self.stats.rtcp_in += 1;
            leg.heard = now;
            if leg.handle_rtcp(compound, &mut room.publications, now, &mut self.stats) {
                self.queue(key);
            }
            self.divide_if_short(key, now);
            self.ask_for_keyframes(key, now);
            return;
        }
        if leg.handle_rtp(bytes, &mut room.publications, now, &mut self.stats) == Admitted::Media
            && !room.is_dirty
        {
            room.is_dirty = true;
            self.dirty.push(leg.room);
        }
        let has_come = room.has_come(now).then_some(leg.room);
        self.schedule_leg(key, leg_deadline(self.legs.get(key)));
        if let Some(room) = has_come {
            self.assign_room(room, now);
        }
    }
}
