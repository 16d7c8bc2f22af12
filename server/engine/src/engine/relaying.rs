//! Guests who are reached by a relay: which of them it lets through, and how what they send and are sent is unwrapped and wrapped.

use std::net::SocketAddr;
use std::time::Instant;

use rand::Rng;

use super::Engine;
use super::receive::Way;
use crate::io::{Datagram, Event, Transmit};
use crate::leg::fill;
use crate::reflect::TransactionId;
use crate::relay::{RelayServer, Unwrapped};
use crate::rtp;
use crate::sdp::Candidate;
use crate::time::Tick;
use crate::transport::Outgoing;

impl Engine {
    /// Asks this TURN server for an address, by UDP from the socket that serves, and tells guests that one too; `None`: gives it back. What
    /// is in use is kept when other servers or credentials are told, which are for the next time.
    pub fn set_relay(&mut self, server: Option<RelayServer>, now: Instant) {
        let now = self.epoch.tick(now);
        self.relay.set_server(server, now);
    }

    /// The address at the TURN server, while there is one.
    pub fn relayed(&self) -> Option<SocketAddr> {
        self.relay.relayed()
    }

    /// When the host itself has something to ask.
    pub(super) fn own_deadline(&self) -> Tick {
        self.asker.deadline().min(self.relay.deadline())
    }

    /// These guests' addresses may come by the relay.
    pub(super) fn permit(&mut self, candidates: &[Candidate], now: Instant) {
        let (policy, now) = (self.config.candidates, self.epoch.tick(now));
        let usable = candidates.iter().filter_map(|one| one.usable(policy));
        for address in usable {
            self.relay.permit(address, now);
        }
    }

    /// Takes what came from the TURN server's address. False: it is nothing of the relay's.
    pub(super) fn take_relayed(&mut self, datagram: &mut Datagram<'_>, now: Instant) -> bool {
        let (peer, local, place) = match self.relay.handle(datagram.bytes, self.epoch.tick(now)) {
            Unwrapped::Foreign => return false,
            Unwrapped::Taken => return true,
            Unwrapped::Data { peer, local, place } => (peer, local, place),
        };
        let class = match datagram.bytes.get(place.clone()) {
            Some([first, ..]) => rtp::class(*first),
            _ => return true,
        };
        if let Some(bytes) = datagram.bytes.get_mut(place) {
            let inner = Datagram {
                remote: peer,
                local,
                bytes,
            };
            // Whoever sent the rest of the batch is the server all the same.
            let _ = self.route(inner, class, Way::Relayed, now);
        }
        true
    }

    /// The next thing that the host itself has to say to those who help it to be reached.
    pub(super) fn poll_own(&mut self, buf: &mut Vec<u8>, now: Tick) -> Option<Transmit> {
        if self.own_deadline() > now {
            return None;
        }
        let rng = &mut self.rng;
        if let Some((destination, question)) = self.asker.poll(|| fresh(rng), now) {
            return Some(plain(destination, &question, buf));
        }
        let (destination, request) = self.relay.poll(|| fresh(rng), now)?;
        Some(plain(destination, &request, buf))
    }

    /// Its last word, when all else was said.
    pub(super) fn poll_leave(&mut self, buf: &mut Vec<u8>, now: Tick) -> Option<Transmit> {
        let rng = &mut self.rng;
        let (destination, request) = self.relay.poll_leave(|| fresh(rng), now)?;
        Some(plain(destination, &request, buf))
    }

    /// A send call as it has to be made: by the relay, if it leaves from there. `None`: there is no way any more.
    pub(super) fn outward(&mut self, transmit: Transmit, buf: &mut Vec<u8>) -> Option<Transmit> {
        if !self.relay.is_way(transmit.source) {
            return Some(transmit);
        }
        let rng = &mut self.rng;
        self.relay.wrap(transmit, buf, || fresh(rng))
    }

    /// Last words of a leg.
    pub(super) fn farewell(&mut self, words: &Outgoing) -> Option<Event> {
        let mut bytes = words.bytes.to_vec();
        let transmit = Transmit {
            destination: words.remote,
            source: words.source,
            size: bytes.len(),
            segment_size: None,
        };
        let Transmit {
            destination, size, ..
        } = self.outward(transmit, &mut bytes)?;
        bytes.truncate(size);
        Some(Event::Farewell { destination, bytes })
    }
}

fn fresh(rng: &mut impl Rng) -> TransactionId {
    std::array::from_fn(|_| rng.next_u32().to_le_bytes()[0])
}

fn plain(destination: SocketAddr, bytes: &[u8], buf: &mut Vec<u8>) -> Transmit {
    Transmit {
        destination,
        source: None,
        size: fill(buf, bytes),
        segment_size: None,
    }
}
