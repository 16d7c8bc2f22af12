//! An engine for tests of the loop: it answers datagrams of senders it knows and knows those whose STUN names its rooms.

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use baton_engine::transport::Certificate;
use baton_engine::{Bitrate, Config, Datagram, Event, RelayServer, Routed, Stats, Transmit};
use baton_protocol::{HostCommand, HostMessage, LegId, LegState, ParticipantId, RoomId};

/// What moments are told from.
pub(crate) static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The user fragment of a room is its name.
pub(crate) struct Engine {
    rooms: Vec<RoomId>,
    known: HashSet<SocketAddr>,
    expected: RefCell<HashSet<SocketAddr>>,
    outgoing: Vec<(Transmit, Vec<u8>)>,
    events: Vec<Event>,
    due: Option<Instant>,
    stats: Stats,
}

impl Engine {
    pub(crate) fn new(
        _: Config,
        _: Certificate,
        _seed: u64,
        _now: Instant,
    ) -> Result<Self, std::fmt::Error> {
        Ok(Self {
            rooms: Vec::new(),
            known: HashSet::new(),
            expected: RefCell::default(),
            outgoing: Vec::new(),
            events: Vec::new(),
            due: None,
            stats: Stats::default(),
        })
    }

    pub(crate) fn uplink(&self) -> Option<Bitrate> {
        None
    }

    pub(crate) fn set_uplink(&mut self, _: Option<Bitrate>) {}

    pub(crate) fn set_reflector(&mut self, _: Option<SocketAddr>, _: Instant) {}

    pub(crate) fn set_relay(&mut self, _: Option<RelayServer>, _: Instant) {}

    pub(crate) fn set_mapped(&mut self, _: Option<SocketAddr>) {}

    /// Echoes in reverse. "burst" is answered by ten datagrams in one transmit, "later" by one datagram after 20 ms, and what looks
    /// like RTCP by the moment for which it is taken, if the loop has said that it comes.
    #[allow(clippy::needless_pass_by_value, reason = "as in the real engine")]
    pub(crate) fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant) -> Routed {
        if let Some(ufrag) = baton_engine::stun_ufrag(datagram.bytes)
            && self.rooms.iter().any(|room| room.as_str() == ufrag)
        {
            self.known.insert(datagram.remote);
        }
        if !self.known.contains(&datagram.remote) {
            return Routed::Elsewhere;
        }
        self.stats.datagrams_in += 1;
        match &*datagram.bytes {
            b"burst" => self.reply(datagram.remote, vec![1; 1000], Some(100)),
            b"later" => {
                self.due = Some(now + Duration::from_millis(20));
                self.known = HashSet::from([datagram.remote]);
            }
            [128..192, 192..=223, ..] if !self.expected.borrow().contains(&datagram.remote) => {
                self.reply(datagram.remote, b"not announced".to_vec(), None);
            }
            [128..192, 192..=223, ..] => {
                let at = now.saturating_duration_since(*START).as_micros();
                let at = u64::try_from(at).unwrap_or(u64::MAX).to_be_bytes();
                self.reply(datagram.remote, at.to_vec(), None);
            }
            bytes => {
                let reversed = bytes.iter().rev().copied().collect();
                self.reply(datagram.remote, reversed, None);
            }
        }
        Routed::Here
    }

    pub(crate) fn expect(&self, remotes: impl Iterator<Item = SocketAddr>) {
        self.expected.borrow_mut().extend(remotes);
    }

    pub(crate) fn handle_command(&mut self, command: HostCommand, _now: Instant) {
        if let HostCommand::CloseRoom { room } = command {
            // In these tests the command that opens a room: it is the shortest one.
            let ufrag = room.as_str().to_owned();
            self.events.push(Event::Reachable { ufrag });
            let message = HostMessage::Leg {
                room: room.clone(),
                participant: ParticipantId(1),
                leg: LegId(1),
                state: LegState::Connected,
            };
            self.events.push(Event::Message(message));
            self.rooms.push(room);
        }
    }

    pub(crate) fn handle_timeout(&mut self, _now: Instant) {
        self.due = None;
        for remote in self.known.clone() {
            self.reply(remote, b"now".to_vec(), None);
        }
    }

    pub(crate) fn handle_served(&mut self, _now: Instant) {}

    pub(crate) fn poll_transmit(&mut self, buf: &mut Vec<u8>, _now: Instant) -> Option<Transmit> {
        let (transmit, bytes) = self.outgoing.pop()?;
        buf.clear();
        buf.extend_from_slice(&bytes);
        self.stats.sends += 1;
        Some(transmit)
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        self.due
    }

    pub(crate) fn packets_out(&self) -> u64 {
        self.stats.packets_out
    }

    pub(crate) fn stats(&mut self) -> &Stats {
        &self.stats
    }

    pub(crate) fn close(&mut self, _now: Instant) {
        for remote in self.known.clone() {
            self.reply(remote, b"goodbye".to_vec(), None);
        }
    }

    fn reply(&mut self, destination: SocketAddr, bytes: Vec<u8>, segment_size: Option<usize>) {
        let transmit = Transmit {
            destination,
            source: None,
            size: bytes.len(),
            segment_size,
        };
        self.outgoing.push((transmit, bytes));
    }
}
