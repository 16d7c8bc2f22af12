//! One leg's connection: rtc's peer connection, kept on a short lead.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc::data_channel::RTCDataChannelId;
use rtc::peer_connection::RTCPeerConnection;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::RTCMessage;
use rtc::peer_connection::state::RTCIceConnectionState;
use rtc::peer_connection::transport::RTCIceCandidateInit;
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};

use super::addresses::Addresses;
use super::config::TransportConfig;
use super::event::{Counters, Failure, Outgoing, SendError, TransportError, TransportEvent};
use super::hello::{HelloFilter, Passed};
use super::keys::{KeyTap, SrtpProfile};
use super::record::{self, Record};
use super::stun::Binding;
use super::synthetic;
use crate::sdp::{Candidate, CandidatePolicy, LocalTransport, RemoteTransport};
use caller::Begun;

/// Largest sum of bytes that wait to be sent on one channel.
const MAX_WAITING: usize = 256 * 1024;
/// DTLS datagrams kept while ICE has not chosen a path yet.
const MAX_EARLY: usize = 8;
/// Events that may wait; beyond it rtc keeps the messages and SCTP slows the other side down.
const MAX_EVENTS: usize = 256;
/// Datagrams that may wait; a handshake flight or a burst of messages has far fewer.
const MAX_OUTGOING: usize = 512;
/// From the first path to the keys. RFC 6347 section 4.2.4.1 doubles its timer from 1 s: this is four attempts.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// After DTLS or SCTP said something, timers of theirs may run: an SCTP retransmission waits a second or more (RFC 9260 section 16).
const BUSY: Duration = Duration::from_secs(3);
/// Once the handshakes are over, timers run only for what is not acknowledged: here so long at most (RFC 9260 section 6.2), there rtc tells.
/// A report a second would keep rtc awake for ever otherwise.
const ACKNOWLEDGED: Duration = Duration::from_millis(300);
/// rtc asks to be woken five times a second even where nothing can happen. This is often enough for keepalives, and where there are none (ICE-lite),
/// for noticing that nobody was heard.
const IDLE_WAKE: Duration = Duration::from_secs(1);
const IDLE_WAKE_LITE: Duration = Duration::from_secs(5);

mod caller;
mod check;

pub use caller::Caller;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No keys yet. The deadline runs from the first path.
    Handshaking {
        deadline: Option<Instant>,
    },
    /// Once a while has passed, every channel is open and nothing of the handshake is repeated.
    Connected {
        settled: Instant,
    },
    Ended,
}

/// One leg's connection.
pub struct Transport {
    peer: RTCPeerConnection,
    tap: Arc<KeyTap>,
    profiles: Vec<SrtpProfile>,
    policy: CandidatePolicy,
    announced: Vec<SocketAddr>,
    remote: RemoteTransport,
    local: LocalTransport,
    channels: [(u16, RTCDataChannelId); 2],
    hello: HelloFilter,
    addresses: Addresses,
    early: Vec<(SocketAddr, SocketAddr, BytesMut)>,
    state: State,
    now: Instant,
    /// Until then rtc is woken whenever it wants; after that it has nothing to repeat or to acknowledge.
    busy_until: Instant,
    woken: Instant,
    idle_wake: Duration,
    is_dirty: bool,
    events: VecDeque<TransportEvent>,
    outgoing: VecDeque<Outgoing>,
    counters: Counters,
}

impl Transport {
    /// Answers an offer's transport parameters.
    ///
    /// # Errors
    /// If rtc refuses them.
    pub fn new(
        config: &TransportConfig<'_>,
        remote: &RemoteTransport,
        now: Instant,
    ) -> Result<(Self, LocalTransport), TransportError> {
        let Begun {
            mut peer,
            tap,
            channels,
        } = Begun::new(config, now)?;
        let local = synthetic::negotiate(&mut peer, remote, now)?;
        let begun = Begun {
            peer,
            tap,
            channels,
        };
        let transport = Self::assemble(begun, config, (remote, &local), now);
        Ok((transport, local))
    }

    fn assemble(
        begun: Begun,
        config: &TransportConfig<'_>,
        (remote, local): (&RemoteTransport, &LocalTransport),
        now: Instant,
    ) -> Self {
        let mut transport = Self {
            peer: begun.peer,
            tap: begun.tap,
            profiles: config.profiles.to_vec(),
            policy: config.policy,
            announced: config.announced.to_vec(),
            remote: remote.clone(),
            local: local.clone(),
            channels: begun.channels,
            hello: HelloFilter::default(),
            addresses: Addresses::default(),
            early: Vec::new(),
            state: State::Handshaking { deadline: None },
            now,
            busy_until: now + BUSY,
            woken: now,
            idle_wake: match config.is_lite {
                true => IDLE_WAKE_LITE,
                false => IDLE_WAKE,
            },
            is_dirty: true,
            events: VecDeque::new(),
            outgoing: VecDeque::new(),
            counters: Counters::default(),
        };
        for candidate in &remote.candidates {
            transport.add_remote_candidate(candidate);
        }
        transport
    }

    /// Takes the transport parameters of a later offer: other credentials restart ICE (RFC 8445 section 9), the same
    /// ones change nothing. DTLS, keys and channels live on either way.
    ///
    /// # Errors
    /// If the certificate changed or rtc refuses the parameters.
    pub fn restart(
        &mut self,
        remote: &RemoteTransport,
        now: Instant,
    ) -> Result<LocalTransport, TransportError> {
        if remote.fingerprint != self.remote.fingerprint {
            return Err(TransportError::CertificateChanged);
        }
        if remote.ufrag != self.remote.ufrag || remote.pwd != self.remote.pwd {
            self.local = synthetic::negotiate(&mut self.peer, remote, now)?;
            self.addresses.forget_path();
            self.note_business();
        }
        self.remote = remote.clone();
        for candidate in &remote.candidates {
            self.add_remote_candidate(candidate);
        }
        Ok(self.local.clone())
    }

    /// Adds a trickled candidate; one that the policy refuses is ignored.
    pub fn add_remote_candidate(&mut self, candidate: &Candidate) {
        if candidate.usable(self.policy).is_none() {
            return;
        }
        let candidate = RTCIceCandidateInit {
            candidate: format!("candidate:{candidate}"),
            ..Default::default()
        };
        if self.peer.add_remote_candidate(candidate).is_err() {
            self.counters.refused += 1;
        }
        self.note_business();
    }

    /// Takes a STUN or DTLS datagram (RFC 7983: first byte 0 to 3 or 20 to 63); others are ignored.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) {
        self.now = self.now.max(now);
        match bytes.first() {
            _ if self.state == State::Ended => {}
            Some(0..=3) => self.handle_check(local, remote, bytes),
            Some(20..=63) if !self.addresses.is_verified(remote) => self.counters.unverified += 1,
            Some(20..=63) if self.addresses.path().is_none() => {
                // rtc would drop it, and the participant would repeat it only after its timer.
                self.keep_early(local, remote, bytes);
            }
            Some(20..=63) => self.handle_dtls(local, remote, bytes),
            _ => {}
        }
    }

    /// Something is coming by way of a relay, to this address there.
    pub fn note_relayed(&mut self, local: SocketAddr) {
        self.addresses.note_relayed(local.ip());
    }

    fn note_business(&mut self) {
        self.busy_until = self.now + BUSY;
        self.is_dirty = true;
    }

    /// Has everything of the handshakes been said?
    fn is_settled(&self) -> bool {
        matches!(self.state, State::Connected { settled } if self.now >= settled)
    }

    /// DTLS brought something or takes something along.
    fn note_record(&mut self) {
        if self.is_settled() {
            self.is_dirty = true;
        } else {
            self.note_business();
        }
    }

    /// May timers of DTLS or SCTP run?
    fn is_busy(&mut self) -> bool {
        let is_waiting = |peer: &mut RTCPeerConnection, id| {
            let channel = peer.data_channel(id);
            channel.is_some_and(|channel| channel.outstanding_bytes() > 0)
        };
        self.now < self.busy_until
            || self
                .channels
                .iter()
                .any(|&(_, id)| is_waiting(&mut self.peer, id))
    }

    fn keep_early(&mut self, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        if self.early.len() < MAX_EARLY {
            self.early.push((local, remote, BytesMut::from(bytes)));
        }
    }

    fn handle_dtls(&mut self, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        self.note_record();
        let State::Handshaking { .. } = self.state else {
            self.feed(local, remote, BytesMut::from(bytes));
            return;
        };
        if let Some(Record::FatalAlert(description)) = record::parse(bytes) {
            self.end(TransportEvent::Failed(Failure::Alert(description)));
            return;
        }
        match self.hello.pass(bytes, &self.profiles) {
            Passed::Untouched => self.feed(local, remote, BytesMut::from(bytes)),
            Passed::Rewritten(bytes) => self.feed(local, remote, BytesMut::from(bytes.as_slice())),
            Passed::Held => {}
        }
    }

    fn feed(&mut self, local: SocketAddr, remote: SocketAddr, message: BytesMut) {
        let transport = TransportContext {
            local_addr: self.announced_for(local),
            peer_addr: remote,
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        let datagram = TaggedBytesMut {
            now: self.now,
            transport,
            message,
        };
        if self.peer.handle_read(datagram).is_err() {
            self.counters.refused += 1;
        }
        self.is_dirty = true;
    }

    /// rtc knows its local candidates only; a socket behind a 1:1 NAT or on the wildcard address has another name.
    fn announced_for(&self, local: SocketAddr) -> SocketAddr {
        if self.announced.contains(&local) {
            return local;
        }
        let same_family = self
            .announced
            .iter()
            .find(|a| a.is_ipv4() == local.is_ipv4());
        same_family.copied().unwrap_or(local)
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.state == State::Ended {
            return;
        }
        if let State::Handshaking {
            deadline: Some(deadline),
        } = self.state
            && deadline <= now
        {
            self.end(TransportEvent::Failed(Failure::HandshakeTimeout));
            return;
        }
        self.woken = self.now;
        if self.peer.poll_timeout().is_some_and(|due| due <= now) {
            if self.peer.handle_timeout(now).is_err() {
                self.counters.refused += 1;
            }
            self.is_dirty = true;
        }
    }

    /// When `handle_timeout` is due. To be asked after the other two polls returned `None`.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        let is_busy = self.is_busy();
        let deadline = match self.state {
            State::Handshaking { deadline } => deadline,
            State::Connected { .. } if !is_busy => return Some(self.woken + self.idle_wake),
            State::Connected { .. } => None,
            State::Ended => return None,
        };
        self.peer.poll_timeout().into_iter().chain(deadline).min()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Outgoing> {
        self.drain();
        self.outgoing.pop_front()
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<TransportEvent> {
        self.drain();
        let event = self.events.pop_front();
        // There is room again for messages that rtc kept back.
        self.is_dirty |= event.is_some() && self.events.len() == MAX_EVENTS - 1;
        event
    }

    /// Sends a text message (JSON) on a channel.
    ///
    /// # Errors
    /// If it was not taken; nothing of it is kept then.
    pub fn send(&mut self, channel: u16, text: &str, now: Instant) -> Result<(), SendError> {
        self.now = self.now.max(now);
        let &(_, id) = self
            .channels
            .iter()
            .find(|(number, _)| *number == channel)
            .ok_or(SendError::NotOpen)?;
        if self.state == State::Ended {
            return Err(SendError::NotOpen);
        }
        let mut channel = self.peer.data_channel(id).ok_or(SendError::NotOpen)?;
        if channel.outstanding_bytes().saturating_add(text.len()) > MAX_WAITING {
            return Err(SendError::Full);
        }
        channel.send_text(self.now, text).map_err(|error| {
            if error == rtc::shared::error::Error::ErrOutboundPacketTooLarge {
                SendError::TooLarge
            } else {
                SendError::NotOpen
            }
        })?;
        self.note_record();
        Ok(())
    }

    /// Ends the connection and tells the other side. What is left to send is still polled.
    pub fn close(&mut self, now: Instant) {
        if self.state == State::Ended {
            return;
        }
        self.now = self.now.max(now);
        self.drain();
        // A failed close leaves nothing to do: the leg goes either way.
        if self.peer.close().is_err() {
            self.counters.refused += 1;
        }
        self.drain_writes();
        self.end(TransportEvent::Closed);
    }

    /// Has this address proven that it knows the leg's ICE password?
    #[must_use]
    pub fn is_verified(&self, remote: SocketAddr) -> bool {
        self.addresses.is_verified(remote)
    }

    /// The participant's address in use.
    #[must_use]
    pub fn path(&self) -> Option<SocketAddr> {
        self.addresses.path()
    }

    /// The participant's parameters as last offered.
    #[must_use]
    pub fn remote(&self) -> &RemoteTransport {
        &self.remote
    }

    /// The host's parameters as last answered.
    #[must_use]
    pub fn local(&self) -> &LocalTransport {
        &self.local
    }

    /// What was dropped so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn end(&mut self, event: TransportEvent) {
        self.state = State::Ended;
        self.early.clear();
        self.events.push_back(event);
    }

    fn drain(&mut self) {
        while std::mem::take(&mut self.is_dirty) && self.state != State::Ended {
            self.drain_events();
            self.drain_writes();
            self.take_keys();
            self.feed_early();
        }
    }

    fn drain_events(&mut self) {
        while let Some(event) = self.peer.poll_event() {
            if let RTCPeerConnectionEvent::OnIceConnectionStateChangeEvent(state) = event {
                self.handle_ice_state(state);
            } else if let RTCPeerConnectionEvent::OnDataChannel(event) = event {
                self.handle_channel_event(&event);
            }
        }
        while self.events.len() < MAX_EVENTS {
            let Some(message) = self.peer.poll_read() else {
                return;
            };
            if let RTCMessage::DataChannelMessage(id, message) = message.message
                && let Some(channel) = self.channel(id)
            {
                self.busy_until = self.busy_until.max(self.now + ACKNOWLEDGED);
                self.events.push_back(TransportEvent::Message {
                    channel,
                    bytes: message.data,
                });
            }
        }
    }

    fn channel(&self, id: RTCDataChannelId) -> Option<u16> {
        self.channels
            .iter()
            .find(|(_, known)| *known == id)
            .map(|&(number, _)| number)
    }

    fn handle_ice_state(&mut self, state: RTCIceConnectionState) {
        if state == RTCIceConnectionState::Failed {
            self.end(TransportEvent::Failed(Failure::Ice));
        } else if state == RTCIceConnectionState::Connected
            && self.addresses.path().is_none()
            && let Some(remote) = self.selected()
        {
            // The nomination normally came first; full ICE may also select by itself.
            self.addresses.select(remote);
            self.path_changed(remote);
        }
    }

    fn selected(&self) -> Option<SocketAddr> {
        let sctp = self.peer.sctp()?;
        let pair = sctp
            .transport()
            .ice_transport()
            .get_selected_candidate_pair()?;
        let ip = pair.remote().address.parse().ok()?;
        Some(SocketAddr::new(ip, pair.remote().port))
    }

    fn path_changed(&mut self, remote: SocketAddr) {
        if let State::Handshaking { deadline } = &mut self.state {
            deadline.get_or_insert(self.now + HANDSHAKE_TIMEOUT);
        }
        let source = self.addresses.path_source();
        self.events
            .push_back(TransportEvent::Path { remote, source });
    }

    fn handle_channel_event(&mut self, event: &RTCDataChannelEvent) {
        if let RTCDataChannelEvent::OnOpen(id) = event {
            let channel = self.channel(*id);
            self.events
                .extend(channel.map(|channel| TransportEvent::ChannelOpen { channel }));
        } else if let RTCDataChannelEvent::OnClose(id) = event
            && self.channel(*id).is_some()
            && self.state != State::Ended
        {
            self.end(TransportEvent::Closed);
        }
    }

    fn drain_writes(&mut self) {
        while let Some(datagram) = self.peer.poll_write() {
            let TaggedBytesMut {
                transport,
                message: bytes,
                ..
            } = datagram;
            let mut remote = transport.peer_addr;
            let mut source = None;
            match bytes.first() {
                Some(0..=3) => {
                    if let Some(Binding::Success { transaction }) = Binding::parse(&bytes)
                        && let Some(answered) = self.addresses.note_success(remote, transaction)
                    {
                        source = Some(answered.source);
                        if answered.is_new_path {
                            self.path_changed(remote);
                        }
                    }
                }
                _ => {
                    // rtc stays on its first pair; the participant may have nominated another since.
                    remote = self.addresses.path().unwrap_or(remote);
                    match record::parse(&bytes) {
                        Some(Record::ApplicationData) if self.remote.channels.is_none() => {
                            self.counters.channelless += 1;
                            continue;
                        }
                        Some(Record::FatalAlert(description))
                            if matches!(self.state, State::Handshaking { .. }) =>
                        {
                            self.end(TransportEvent::Failed(Failure::Alert(description)));
                        }
                        _ => {}
                    }
                }
            }
            if self.outgoing.len() == MAX_OUTGOING {
                self.counters.overflowed += 1;
                continue;
            }
            let source = source.or_else(|| self.addresses.source(remote));
            self.outgoing.push_back(Outgoing {
                remote,
                source,
                bytes,
            });
        }
    }

    fn take_keys(&mut self) {
        if !matches!(self.state, State::Handshaking { .. }) {
            return;
        }
        if let Some(keys) = self.tap.take() {
            if self.profiles.contains(&keys.profile) {
                let settled = self.now + BUSY;
                self.state = State::Connected { settled };
                self.hello = HelloFilter::default();
                self.events.push_back(TransportEvent::Keys(keys));
            } else {
                self.end(TransportEvent::Failed(Failure::Keys));
            }
        }
    }

    fn feed_early(&mut self) {
        // Without a pair of rtc's own the datagrams would be dropped inside.
        if self.early.is_empty() || self.addresses.path().is_none() || self.selected().is_none() {
            return;
        }
        for (local, remote, bytes) in std::mem::take(&mut self.early) {
            self.handle_dtls(local, remote, &bytes);
        }
    }
}
