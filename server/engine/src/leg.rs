//! One leg: the association with a participant, and everything the engine keeps for it.
//!
//! Owns connection state, keys, timers and the queue of what is to be sent. What arrives is handled in `inbound`, what is reported
//! in `feedback`, what is sealed in `seal`; which tracks its slots show is decided by `room` and `view`.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use baton_protocol::{
    BridgeMessage, CONTROL_CHANNEL, Grants, LegId, LegState, LineReport, MediaKind, PULSE_CHANNEL,
    ParticipantId, PathFromHost, ViewMode,
};

use crate::allocate::{Outcome, Patience, Redundancy};
use crate::arrivals::Arrivals;
use crate::bitrate::Bitrate;
use crate::bridge::Bridge;
use crate::estimate::{EstimateView, Estimator, START};
use crate::inbound::Stream;
use crate::io::Transmit;
use crate::pace::Pacer;
use crate::publication::Publication;
use crate::rtp::Ssrc;
use crate::rtp::extension::ExtensionMap;
use crate::score::Standing;
use crate::seal::{MAX_CALL, OutMaps, Sealer};
use crate::slab::{Key, Slab};
use crate::slot::{Outgoing, Slot};
use crate::srtp::{Inbound, Outbound, Profile};
use crate::stats::Stats;
use crate::time::Tick;
use crate::transport::Held;
use crate::uplink::Uplink;

/// Nothing authentic was heard for so long: the leg is silent. Firefox checks consent every five seconds.
const SILENT_AFTER: Duration = Duration::from_secs(15);

/// And for so long: it is over.
const CLOSED_AFTER: Duration = Duration::from_secs(45);

/// The same for another host, which sends something every two seconds: signaling joins the two anew.
const HOST_SILENT_AFTER: Duration = Duration::from_secs(5);
const HOST_CLOSED_AFTER: Duration = Duration::from_secs(10);

/// A leg that has not connected within this time is over.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);

/// Control packets that wait to be sent.
const MAX_CONTROL: usize = 64;

/// Packets that wait to be sealed; more than a second of nine videos.
const MAX_OUTBOX: usize = 4096;

/// Round trip assumed until one was measured.
const DEFAULT_ROUND_TRIP: Duration = Duration::from_millis(100);

/// How datagrams of a leg are protected and carried.
pub(crate) enum Link {
    /// ICE, DTLS and SCTP.
    Full(Held),
    /// Address and keys were agreed elsewhere: own media of this process, simulated meetings, load generators.
    Keyed,
}

/// Keys of both directions.
#[derive(Debug)]
pub(crate) struct Crypto {
    pub(crate) inbound: Inbound,
    pub(crate) outbound: Outbound,
}

/// One leg.
pub(crate) struct Leg {
    pub(crate) room: Key,
    pub(crate) participant: ParticipantId,
    pub(crate) id: LegId,
    pub(crate) grants: Grants,
    pub(crate) mode: ViewMode,
    pub(crate) link: Link,
    pub(crate) crypto: Option<Crypto>,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) local: Option<IpAddr>,
    /// `local` is at a relay.
    pub(crate) is_relayed: bool,
    pub(crate) state: LegState,
    /// Media may flow: keys and address are known.
    pub(crate) is_connected: bool,
    pub(crate) streams: Vec<Stream>,
    pub(crate) maps_in: ExtensionMap,
    pub(crate) maps_out: OutMaps,
    pub(crate) slots: Vec<Slot>,
    /// Places of those that show something. A participant may have thirty, and each look at one costs as much as a packet.
    pub(crate) busy: Vec<u16>,
    pub(crate) publications: Vec<Key>,
    pub(crate) arrivals: Arrivals,
    pub(crate) uplink: Uplink,
    /// Sender of this host's RTCP.
    pub(crate) ssrc: Ssrc,
    pub(crate) cname: String,
    pub(crate) session: u64,
    pub(crate) answers: u64,
    pub(crate) ufrags: Vec<String>,
    pub(crate) round_trip: Option<Duration>,
    /// What the line towards the participant carries.
    /// Apart, because most of it is needed for reports only.
    pub(crate) estimator: Box<Estimator>,
    pub(crate) heard: Tick,
    pub(crate) opened: Tick,
    pub(crate) allotment: Allotment,
    /// How its line does, as people are told.
    pub(crate) standing: Standing,
    /// What the participant was last told of it.
    pub(crate) told_line: Option<(LineReport, Tick)>,
    /// The participant says that it cannot send all that is wanted.
    pub(crate) is_upload_slow: bool,
    pub(crate) pacer: Pacer,
    /// When a picture that was held back may go.
    pub(crate) pace_due: Tick,
    pub(crate) outbox: Vec<Outgoing>,
    sealed: usize,
    /// Sealed SRTCP, oldest first.
    pub(crate) control: VecDeque<Vec<u8>>,
    /// The compound that is being written.
    pub(crate) compound: Vec<u8>,
    /// A compound that was sent, kept for its memory.
    spare_control: Vec<u8>,
    pub(crate) nacks: Vec<u16>,
    pub(crate) feedback_due: Tick,
    pub(crate) report_due: Tick,
    /// What the slots show changed since the participant was told.
    pub(crate) is_view_stale: bool,
    /// Which of its layers are wanted changed since the participant was told.
    pub(crate) is_demand_stale: bool,
    /// Path messages of a keyed leg, which has no data channel.
    pub(crate) keyed_path: VecDeque<PathFromHost>,
    pub(crate) channels_open: u8,
    /// The participant has said what its slots shall show.
    pub(crate) has_viewed: bool,
    /// It is no participant's but another host's.
    pub(crate) bridge: Option<Box<Bridge>>,
    /// Deadline that is in the engine's heap.
    pub(crate) scheduled: Tick,
    pub(crate) is_queued: bool,
    /// Transport-wide number of the next packet.
    pub(crate) transport_seq: u16,
}

/// What became of a leg's last allocation.
#[derive(Debug, Default)]
pub(crate) struct Allotment {
    pub(crate) patience: Patience,
    pub(crate) redundancy: Redundancy,
    pub(crate) outcome: Outcome,
    /// Nothing is left to be taken away.
    pub(crate) is_least: bool,
    /// Rate of what is heard.
    pub(crate) sound: Bitrate,
    /// Share of the host's uplink, where that is limited.
    pub(crate) share: Option<Bitrate>,
    /// Slot of each view that took part.
    pub(crate) views: Vec<u16>,
    /// The slots that show pictures, most important first.
    pub(crate) order: Vec<u16>,
}

/// What a new leg starts from.
pub(crate) struct Opening {
    pub(crate) room: Key,
    pub(crate) participant: ParticipantId,
    pub(crate) id: LegId,
    pub(crate) grants: Grants,
    pub(crate) mode: ViewMode,
    pub(crate) link: Link,
    pub(crate) ssrc: Ssrc,
    pub(crate) session: u64,
}

impl Leg {
    pub(crate) fn new(opening: Opening, now: Tick) -> Self {
        Self {
            room: opening.room,
            participant: opening.participant,
            id: opening.id,
            grants: opening.grants,
            mode: opening.mode,
            link: opening.link,
            crypto: None,
            remote: None,
            local: None,
            is_relayed: false,
            state: LegState::Silent,
            is_connected: false,
            streams: Vec::new(),
            maps_in: ExtensionMap::default(),
            maps_out: OutMaps::default(),
            slots: Vec::new(),
            busy: Vec::new(),
            publications: Vec::new(),
            arrivals: Arrivals::default(),
            uplink: Uplink::default(),
            ssrc: opening.ssrc,
            cname: format!("baton-{:08x}", opening.ssrc.0),
            session: opening.session,
            answers: 0,
            ufrags: Vec::new(),
            round_trip: None,
            estimator: Box::new(Estimator::new(START)),
            heard: now,
            opened: now,
            allotment: Allotment::default(),
            standing: Standing::default(),
            told_line: None,
            is_upload_slow: false,
            pacer: Pacer::default(),
            pace_due: Tick::NEVER,
            outbox: Vec::new(),
            sealed: 0,
            control: VecDeque::new(),
            compound: Vec::new(),
            spare_control: Vec::new(),
            nacks: Vec::new(),
            feedback_due: Tick::NEVER,
            report_due: Tick::NEVER,
            is_view_stale: false,
            is_demand_stale: false,
            keyed_path: VecDeque::new(),
            channels_open: 0,
            has_viewed: false,
            bridge: None,
            scheduled: Tick::NEVER,
            is_queued: false,
            transport_seq: 1,
        }
    }

    /// Round trip to the participant, or a guess.
    pub(crate) fn round_trip(&self) -> Duration {
        self.round_trip.unwrap_or(DEFAULT_ROUND_TRIP)
    }

    /// What its line carries, if that is known.
    pub(crate) fn budget(&self) -> Option<Bitrate> {
        self.estimator.budget()
    }

    /// What its line carries and what that rests on.
    pub(crate) fn estimate(&self) -> EstimateView {
        self.estimator.view()
    }

    /// What it may be sent: what its line carries, and its share of the host's.
    pub(crate) fn ceiling(&self) -> Option<Bitrate> {
        match (self.budget(), self.allotment.share) {
            (Some(budget), Some(share)) => Some(budget.min(share)),
            (budget, share) => budget.or(share),
        }
    }

    /// Notes which slots show something, after what they show was chosen anew. Each with pictures has a place in the order.
    pub(crate) fn note_showing(&mut self) {
        self.busy.clear();
        for (index, slot) in (0..).zip(&self.slots) {
            if slot.showing.is_some() && !slot.is_off {
                self.busy.push(index);
                let order = &mut self.allotment.order;
                if slot.kind == MediaKind::Video && !order.contains(&index) {
                    order.push(index);
                }
            }
        }
    }

    /// Puts the slots that show pictures into the order in which they are served. `views`: those that took part in an allocation.
    pub(crate) fn sort_slots(&mut self, views: &[usize]) {
        let Allotment {
            views: slots,
            order,
            ..
        } = &mut self.allotment;
        order.clear();
        order.extend(views.iter().filter_map(|view| slots.get(*view)));
        for index in &self.busy {
            let slot = self.slots.get(usize::from(*index));
            if slot.is_some_and(|slot| slot.kind == MediaKind::Video) && !order.contains(index) {
                order.push(*index);
            }
        }
    }

    /// Keys and address are there: media may flow from now on.
    pub(crate) fn connect(&mut self, now: Tick, stats: &mut Stats) {
        if self.is_connected || self.crypto.is_none() || self.remote.is_none() {
            return;
        }
        self.is_connected = true;
        self.heard = now;
        self.report_due = now + Duration::from_millis(200);
        let is_gcm = self
            .crypto
            .as_ref()
            .is_some_and(|crypto| crypto.outbound.profile() != Profile::Aes128CmSha1_80);
        if is_gcm {
            stats.legs_gcm += 1;
        } else {
            stats.legs_cm += 1;
        }
    }

    /// Tells the participant something on the control channel. What does not fit the channel's buffer is lost: the next message
    /// carries the whole state again.
    pub(crate) fn send_path(&mut self, message: &PathFromHost, now: Instant) {
        if self.bridge.is_some() {
            return;
        }
        match &mut self.link {
            Link::Full(transport) => {
                let text = serde_json::to_string(message).unwrap_or_default();
                let sent = transport.send(CONTROL_CHANNEL, &text, now);
                if let Err(error) = sent {
                    tracing::debug!(participant = %self.participant, %error, "a path message was not sent");
                }
            }
            Link::Keyed => self.push_keyed(message),
        }
    }

    /// Sends a heartbeat, which is `text`. One that cannot leave now is no news later.
    pub(crate) fn send_pulse(&mut self, message: &PathFromHost, text: &str, now: Instant) {
        if self.bridge.is_some() {
            return;
        }
        match &mut self.link {
            Link::Full(transport) => {
                let _ = transport.send(PULSE_CHANNEL, text, now);
            }
            Link::Keyed => self.push_keyed(message),
        }
    }

    /// Its path changed: `source` is the own end of it, perhaps at a relay.
    pub(crate) fn note_way(&mut self, source: Option<IpAddr>, is_relayed: bool) {
        if is_relayed || self.is_relayed {
            self.local = source.filter(|ip| !ip.is_unspecified());
        }
        self.is_relayed = is_relayed;
    }

    /// Is its other end on this computer? What comes from there says nothing about the line.
    pub(crate) fn is_local(&self) -> bool {
        self.remote.is_some_and(|remote| {
            let remote = remote.ip().to_canonical();
            remote.is_loopback()
                || self
                    .local
                    .is_some_and(|local| local.to_canonical() == remote)
        })
    }

    /// Tells another host something. False: it has to be said again.
    pub(crate) fn send_bridge(&mut self, message: &BridgeMessage, now: Instant) -> bool {
        let Link::Full(transport) = &mut self.link else {
            return false;
        };
        let text = serde_json::to_string(message).unwrap_or_default();
        let sent = transport.send(CONTROL_CHANNEL, &text, now);
        if let Err(error) = sent {
            tracing::debug!(%error, "a message to another host was not sent");
        }
        sent.is_ok()
    }

    fn push_keyed(&mut self, message: &PathFromHost) {
        if self.keyed_path.len() >= MAX_CONTROL {
            self.keyed_path.pop_front();
        }
        self.keyed_path.push_back(message.clone());
    }

    /// Is there something to be sent?
    pub(crate) fn has_output(&self) -> bool {
        self.sealed < self.outbox.len() || !self.control.is_empty()
    }

    /// Queues the sealed compound; the oldest goes when there are too many.
    pub(crate) fn push_compound(&mut self) {
        if self.control.len() >= MAX_CONTROL {
            self.control.pop_front();
        }
        let mut next = std::mem::take(&mut self.spare_control);
        next.clear();
        let packet = std::mem::replace(&mut self.compound, next);
        self.control.push_back(packet);
    }

    /// Drops what cannot be sent in time.
    pub(crate) fn trim_outbox(&mut self) {
        if self.outbox.len() - self.sealed > MAX_OUTBOX {
            self.clear_outbox();
        }
    }

    /// Drops everything that waits to be sealed.
    pub(crate) fn clear_outbox(&mut self) {
        self.outbox.clear();
        self.sealed = 0;
    }

    /// Fills `buf` with the next call of this leg.
    pub(crate) fn poll_transmit(
        &mut self,
        publications: &Slab<Publication>,
        buf: &mut Vec<u8>,
        now: Tick,
        stats: &mut Stats,
    ) -> Option<Transmit> {
        if let Link::Full(transport) = &mut self.link
            && let Some(datagram) = transport.poll_transmit()
        {
            // Whoever was not heard yet is called directly.
            let local = self.local.filter(|_| !self.is_relayed);
            let source = datagram.source.or(local);
            return Some(Transmit {
                destination: datagram.remote,
                source,
                size: fill(buf, &datagram.bytes),
                segment_size: None,
            });
        }
        let destination = self.remote?;
        if let Some(packet) = self.control.pop_front() {
            let size = fill(buf, &packet);
            self.spare_control = packet;
            stats.rtcp_out += 1;
            return Some(Transmit {
                destination,
                source: self.local,
                size,
                segment_size: None,
            });
        }
        let outbound = &self.crypto.as_ref()?.outbound;
        if buf.len() < MAX_CALL {
            buf.resize(MAX_CALL, 0);
        }
        let mut sealer = Sealer {
            outbound,
            slots: &mut self.slots,
            maps: &self.maps_out,
            transport_seq: &mut self.transport_seq,
            estimator: &mut self.estimator,
            now,
        };
        loop {
            let queue = self
                .outbox
                .get(self.sealed..)
                .filter(|queue| !queue.is_empty());
            let Some(queue) = queue else {
                let call = sealer.seal_padding(buf, stats);
                self.clear_outbox();
                return (call.packets > 0).then_some(Transmit {
                    destination,
                    source: self.local,
                    size: call.size,
                    segment_size: (call.packets > 1).then_some(call.segment_size),
                });
            };
            let call = sealer.seal(queue, publications, buf, stats);
            self.sealed += call.taken.max(1);
            if call.packets > 0 {
                let segment_size = (call.packets > 1).then_some(call.segment_size);
                return Some(Transmit {
                    destination,
                    source: self.local,
                    size: call.size,
                    segment_size,
                });
            }
        }
    }

    /// What became of the leg since it was last asked, if anything.
    pub(crate) fn poll_state(&mut self, now: Tick) -> Option<LegState> {
        let silence = now.since(self.heard);
        let state = if !self.is_connected {
            if now.since(self.opened) < CONNECT_WITHIN {
                self.state
            } else {
                LegState::Closed
            }
        } else if silence >= self.patience().1 {
            LegState::Closed
        } else if silence >= self.patience().0 {
            LegState::Silent
        } else {
            LegState::Connected
        };
        let changed = state != self.state;
        self.state = state;
        changed.then_some(state)
    }

    /// After how long a silence it is silent, and over.
    fn patience(&self) -> (Duration, Duration) {
        match self.bridge {
            Some(_) => (HOST_SILENT_AFTER, HOST_CLOSED_AFTER),
            None => (SILENT_AFTER, CLOSED_AFTER),
        }
    }

    /// When the leg next wants to be woken.
    pub(crate) fn deadline(&self) -> Tick {
        let liveness = if self.is_connected {
            self.heard + self.patience().0
        } else {
            self.opened + CONNECT_WITHIN
        };
        // A silent leg is looked at once a second until it is over.
        let liveness = if self.state == LegState::Silent && self.is_connected {
            self.heard + self.patience().1
        } else {
            liveness
        };
        liveness
            .min(self.feedback_due)
            .min(self.report_due)
            .min(self.pace_due)
            .min(self.estimator.deadline())
    }
}

/// Puts one datagram at the start of the buffer, which keeps its length: growing it again for media would clear all of it.
pub(crate) fn fill(buf: &mut Vec<u8>, datagram: &[u8]) -> usize {
    if buf.len() < datagram.len() {
        buf.resize(datagram.len(), 0);
    }
    if let Some(place) = buf.get_mut(..datagram.len()) {
        place.copy_from_slice(datagram);
    }
    datagram.len()
}
