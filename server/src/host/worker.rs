//! A worker: one thread that owns an engine, its sockets and its rooms. The loop is a list.
//!
//! Feeding everything there is before draining is what lets one send call carry a whole frame. The clock is read
//! once per turn; nothing is allocated, locked or logged per packet.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[cfg(not(test))]
pub(crate) use baton_engine::Engine;
use baton_engine::{Bitrate, Datagram, Event, RelayServer, Routed, Transmit};
use baton_protocol::{HostCommand, HostMessage};
#[cfg(test)]
pub(crate) use standin::Engine;
use tokio::sync::{mpsc, watch};

use super::framing;
use super::handover::{Handover, Neighbours, Parcel};
use super::snapshot::{PERIOD, Snapshot, Traffic};
use super::socket::{Batch, MediaSocket, Place, Queue, is_last};
use super::streams::{Happening, Streams};
use super::tenure::Tenure;
use burst::Burst;
use meter::Meter;
use rest::{Rest, Wakes};

mod burst;
mod leave;
mod meter;
mod rest;
#[cfg(test)]
pub(crate) mod standin;

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Control {
    /// By signaling, for one of its rooms.
    Command(HostCommand),
    /// A host that tells others under which address it sees them.
    Reflector(SocketAddr),
    /// A router lets others in there.
    Mapped(Option<SocketAddr>),
    /// Where an address can be had that everybody reaches.
    Relay(RelayServer),
    /// Say goodbye and end.
    Stop,
}

/// Why a worker woke up.
enum Wake {
    /// A datagram, a deadline, room in a queue: the turn finds out.
    Look,
    Control(Option<Control>),
    Parcel(Parcel),
    Stream(Happening),
}

pub(crate) struct Worker {
    engine: Engine,
    /// By whose leave it forwards, on a participant's computer.
    tenure: Option<Tenure>,
    meter: Meter,
    /// What its owner lets it send.
    uplink: Option<Bitrate>,
    neighbours: Option<Neighbours>,
    control: mpsc::Receiver<Control>,
    messages: mpsc::Sender<HostMessage>,
    backlog: VecDeque<HostMessage>,
    /// Media by TCP, if somebody has no other way.
    streams: Streams,
    happenings: mpsc::Receiver<Happening>,
    batch: Batch,
    burst: Burst,
    rest: Rest,
    traffic: Traffic,
    snapshots: watch::Sender<Snapshot>,
    publish_at: Instant,
    revive_at: Instant,
}

impl Worker {
    pub(crate) fn new(
        (engine, tenure): (Engine, Option<Tenure>),
        neighbours: Option<Neighbours>,
        (control, happenings): (mpsc::Receiver<Control>, mpsc::Receiver<Happening>),
        messages: mpsc::Sender<HostMessage>,
        snapshots: watch::Sender<Snapshot>,
    ) -> Self {
        let now = Instant::now();
        Self {
            uplink: engine.uplink(),
            engine,
            tenure,
            meter: Meter::default(),
            neighbours,
            control,
            messages,
            backlog: VecDeque::new(),
            streams: Streams::default(),
            happenings,
            batch: Batch::new(),
            burst: Burst::new(),
            rest: Rest::new(now),
            traffic: Traffic::default(),
            snapshots,
            publish_at: now,
            revive_at: now + REVIVE,
        }
    }

    /// Turns until told to stop, or until nobody is left who could tell.
    pub(crate) async fn run(mut self, places: Vec<Place>) -> io::Result<()> {
        let mut sockets = places
            .into_iter()
            .map(MediaSocket::new)
            .collect::<io::Result<Vec<_>>>()?;
        let is_sorted = sockets.iter().all(MediaSocket::has_patient);
        let mut wake = Wake::Look;
        loop {
            let now = Instant::now();
            self.look();
            let is_last = self.obey(wake, now);
            self.receive(&sockets, Queue::Urgent, now);
            self.take_over(now);
            self.take_streams(now);
            self.expire(now);
            let forwarded = self.engine.packets_out();
            self.transmit(&sockets, now).await;
            let has_forwarded = self.engine.packets_out() != forwarded;
            let mut idle = u32::from(!has_forwarded);
            let takes_reports = is_sorted && self.rest.is_time_for_reports(now);
            if is_sorted {
                idle = 0;
            }
            // Behind the pictures, which they do not keep waiting.
            if takes_reports {
                idle = self.receive(&sockets, Queue::Patient, now);
            }
            if has_forwarded {
                self.engine.handle_served(now);
            }
            if takes_reports || has_forwarded {
                self.transmit(&sockets, now).await;
            }
            self.heed(now);
            self.renew();
            self.report(&sockets);
            self.publish(&mut sockets, now);
            if is_last {
                return Ok(());
            }
            wake = match self.rest.note_turn(idle, now) {
                true => {
                    self.rest(&sockets, is_sorted);
                    Wake::Look
                }
                false => self.sleep(&sockets).await,
            };
        }
    }

    /// Without the runtime, whose sleep would wake for every datagram.
    fn rest(&mut self, sockets: &[MediaSocket], is_sorted: bool) {
        let wakes = match is_sorted {
            false => Wakes::Nothing,
            true if self.streams.is_empty() => Wakes::Urgent,
            true => Wakes::UrgentAndStreams,
        };
        let due = self.deadline();
        self.rest.rest(sockets, wakes, due);
    }

    /// Commands, a bounded number per turn. True: this is the last turn.
    fn obey(&mut self, wake: Wake, now: Instant) -> bool {
        let mut next = match wake {
            Wake::Look => None,
            Wake::Control(None) => Some(Control::Stop),
            Wake::Control(some) => some,
            Wake::Parcel(parcel) => {
                self.unpack(parcel, now);
                None
            }
            Wake::Stream(happening) => {
                self.handle_stream(happening, now);
                None
            }
        };
        for _ in 0..COMMANDS_PER_TURN {
            match next.take().or_else(|| self.control.try_recv().ok()) {
                None => return false,
                Some(Control::Command(command)) => self.command(command, now),
                Some(Control::Reflector(server)) => self.engine.set_reflector(Some(server), now),
                Some(Control::Mapped(outside)) => self.engine.set_mapped(outside),
                Some(Control::Relay(server)) => self.engine.set_relay(Some(server), now),
                Some(Control::Stop) => {
                    self.engine.close(now);
                    return true;
                }
            }
        }
        false
    }

    /// Everything a queue has, up to a budget, so that sending and commands get their turn under a flood. Tells how much it was.
    fn receive(&mut self, sockets: &[MediaSocket], queue: Queue, now: Instant) -> u32 {
        let before = self.traffic.received;
        for socket in sockets {
            for _ in 0..BATCHES_PER_TURN {
                match socket.receive(queue, &mut self.batch) {
                    Ok(0) => break,
                    Ok(count) => {
                        self.feed(socket, count, queue, now);
                        if is_last(count) {
                            break;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => self.traffic.receive_errors += 1,
                }
            }
        }
        u32::try_from(self.traffic.received - before).unwrap_or(u32::MAX)
    }

    fn feed(&mut self, socket: &MediaSocket, count: usize, queue: Queue, now: Instant) {
        self.traffic.receive_calls += 1;
        let wall = (queue == Queue::Patient).then(|| SystemTime::now().duration_since(UNIX_EPOCH));
        let wall = wall.and_then(Result::ok);
        if queue == Queue::Patient {
            let senders = self.batch.filled(count).map(|(meta, _)| meta.addr);
            self.engine.expect(senders);
        }
        for (meta, bytes) in self.batch.filled(count) {
            // What waited is taken for when it came: round trips are measured by it.
            let waited = wall
                .zip(meta.timestamp)
                .map(|(wall, at)| wall.saturating_sub(at));
            let waited = waited.unwrap_or_default().min(rest::LONGEST);
            let now = now.checked_sub(waited).unwrap_or(now);
            let stride = meta.stride.max(1);
            let (remote, local) = (meta.addr, socket.local(meta.dst_ip));
            // An address is one or the other, or answers would take the wrong way.
            if self.streams.has(remote) {
                self.traffic.unknown += 1;
                continue;
            }
            let mut start = 0;
            while let Some(datagram) = next_datagram(bytes, start, stride) {
                self.traffic.received += 1;
                let size = datagram.len();
                let datagram = Datagram {
                    remote,
                    local,
                    bytes: datagram,
                };
                if self.engine.handle_datagram(datagram, now) == Routed::Elsewhere {
                    // The rest of the slot has the same sender, so it goes along.
                    let rest = bytes.get(start..).unwrap_or_default();
                    self.traffic.received += (rest.len() / stride) as u64;
                    pass_on(
                        &mut self.neighbours,
                        &mut self.traffic,
                        remote,
                        local,
                        stride,
                        rest,
                    );
                    break;
                }
                start += size;
            }
        }
    }

    /// What other workers received for legs of this one.
    fn take_over(&mut self, now: Instant) {
        for _ in 0..PARCELS_PER_TURN {
            let Some(parcel) = self.neighbours.as_mut().and_then(Neighbours::try_take) else {
                return;
            };
            self.unpack(parcel, now);
        }
    }

    fn unpack(&mut self, mut parcel: Parcel, now: Instant) {
        for bytes in parcel.bytes.chunks_mut(parcel.stride.max(1)) {
            let (remote, local) = (parcel.remote, parcel.local);
            let datagram = Datagram {
                remote,
                local,
                bytes,
            };
            if self.engine.handle_datagram(datagram, now) == Routed::Elsewhere {
                self.traffic.unknown += 1;
            }
        }
        if let Some(neighbours) = &self.neighbours {
            neighbours.give_back(parcel);
        }
    }

    /// What came by TCP, up to a budget.
    fn take_streams(&mut self, now: Instant) {
        for _ in 0..HAPPENINGS_PER_TURN {
            let Ok(happening) = self.happenings.try_recv() else {
                return;
            };
            self.handle_stream(happening, now);
        }
    }

    fn handle_stream(&mut self, happening: Happening, now: Instant) {
        let (remote, local, mut frames) = match happening {
            Happening::Opened { remote, outbox } => return self.streams.insert(remote, outbox),
            Happening::Closed { remote, number } => return self.streams.remove(remote, number),
            Happening::Frames {
                remote,
                local,
                frames,
                lost,
            } => {
                self.traffic.stream_dropped += u64::from(lost);
                (remote, local, frames)
            }
        };
        let mut at = 0;
        while let Some(bytes) = framing::next(&mut frames, &mut at) {
            self.traffic.received += 1;
            let datagram = Datagram {
                remote,
                local,
                bytes,
            };
            if self.engine.handle_datagram(datagram, now) == Routed::Elsewhere {
                // Its leg is gone, or it never had one: whoever needs another connection makes it.
                self.traffic.unknown += 1;
                return self.streams.close(remote);
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        let due = self.engine.poll_timeout();
        if let Some(due) = due.filter(|due| *due <= now) {
            self.meter.note_late(now - due);
            self.engine.handle_timeout(now);
        }
    }

    /// Everything the engine wants sent. A full send buffer is waited for once per turn; after that what does not fit is lost.
    async fn transmit(&mut self, sockets: &[MediaSocket], now: Instant) {
        let mut has_waited = false;
        let mut burst = std::mem::take(&mut self.burst);
        while burst.fill(&mut self.engine, now) {
            for (transmit, bytes) in burst.calls() {
                if !self.may_send() {
                    self.traffic.withheld += 1;
                    continue;
                }
                if self.streams.send(transmit, bytes, &mut self.traffic) {
                    continue;
                }
                let Some(socket) = sockets.iter().find(|s| s.reaches(transmit.destination)) else {
                    self.traffic.send_errors += 1;
                    continue;
                };
                send(socket, transmit, bytes, &mut self.traffic, &mut has_waited).await;
            }
        }
        self.burst = burst;
    }

    /// What the engine has to say, to signaling and to the other workers.
    fn report(&mut self, sockets: &[MediaSocket]) {
        while let Some(event) = self.engine.poll_event() {
            if let (Some(tenure), Event::Message(message)) = (&mut self.tenure, &event) {
                tenure.note_message(message);
            }
            match event {
                Event::Message(message) if self.backlog.len() < BACKLOG => {
                    self.backlog.push_back(message);
                }
                Event::Message(_) => self.traffic.messages_dropped += 1,
                Event::Farewell { destination, bytes } => {
                    self.part(sockets, destination, &bytes);
                }
                // Only for legs without a data channel, which no message of signaling makes.
                Event::Path { .. } => {}
                Event::Reachable { ufrag } => {
                    if let Some(neighbours) = &self.neighbours {
                        neighbours.claim(ufrag);
                    }
                }
                Event::Unreachable { ufrag } => {
                    if let Some(neighbours) = &self.neighbours {
                        neighbours.release(&ufrag);
                    }
                }
            }
        }
        while let Some(message) = self.backlog.pop_front() {
            match self.messages.try_send(message) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(message)) => {
                    self.backlog.push_front(message);
                    return;
                }
                // Nobody listens to this host any more.
                Err(mpsc::error::TrySendError::Closed(_)) => self.backlog.clear(),
            }
        }
    }

    /// Last words are not waited for: whoever misses them notices the silence.
    fn part(&mut self, sockets: &[MediaSocket], destination: SocketAddr, bytes: &[u8]) {
        if !self.may_send() {
            self.traffic.withheld += 1;
            return;
        }
        let transmit = Transmit {
            destination,
            source: None,
            size: bytes.len(),
            segment_size: None,
        };
        if self.streams.send(&transmit, bytes, &mut self.traffic) {
            return;
        }
        let socket = sockets.iter().find(|s| s.reaches(destination));
        let sent = socket.map(|socket| socket.send(&transmit, bytes, &mut 0, &mut self.traffic));
        if !matches!(sent, Some(Ok(()))) {
            self.traffic.send_dropped += 1;
        }
    }

    fn publish(&mut self, sockets: &mut [MediaSocket], now: Instant) {
        if now < self.publish_at {
            return;
        }
        self.publish_at = now + PERIOD;
        self.streams.sweep();
        self.traffic.streams = self.streams.len() as u64;
        self.meter.note(self.engine.stats());
        self.snapshots.send_replace(Snapshot {
            engine: self.engine.stats().clone(),
            traffic: self.traffic,
            taken: Some(now),
        });
        if now >= self.revive_at {
            self.revive_at = now + REVIVE;
            for socket in sockets {
                socket.revive_segmentation();
            }
        }
    }

    /// When there is something to do whatever comes.
    fn deadline(&mut self) -> Instant {
        let due = self.engine.poll_timeout().unwrap_or(self.publish_at);
        due.min(self.publish_at).min(self.next_look())
    }

    async fn sleep(&mut self, sockets: &[MediaSocket]) -> Wake {
        let deadline = self.deadline();
        let readable = poll_fn(|cx| {
            let is_readable = |socket: &MediaSocket| socket.poll_readable(cx).is_ready();
            // Every socket is asked, so that each one wakes.
            match sockets
                .iter()
                .map(is_readable)
                .fold(false, |any, one| any | one)
            {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        let neighbours = &mut self.neighbours;
        let parcel = async {
            match neighbours {
                Some(neighbours) => neighbours.arrived().await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = readable => Wake::Look,
            control = self.control.recv() => Wake::Control(control),
            Some(parcel) = parcel => Wake::Parcel(parcel),
            Some(happening) = self.happenings.recv() => Wake::Stream(happening),
            _ = self.messages.reserve(), if !self.backlog.is_empty() => Wake::Look,
            () = tokio::time::sleep_until(deadline.into()) => Wake::Look,
        }
    }
}

/// The datagram that starts at `start`, at most `stride` bytes; `None` at the end.
fn next_datagram(bytes: &mut [u8], start: usize, stride: usize) -> Option<&mut [u8]> {
    let rest = bytes.get_mut(start..).filter(|rest| !rest.is_empty())?;
    let size = rest.len().min(stride);
    rest.get_mut(..size)
}

fn pass_on(
    neighbours: &mut Option<Neighbours>,
    traffic: &mut Traffic,
    remote: SocketAddr,
    local: SocketAddr,
    stride: usize,
    rest: &[u8],
) {
    let outcome = match neighbours {
        Some(neighbours) => neighbours.hand_over(remote, local, stride, rest),
        None => Handover::Unknown,
    };
    match outcome {
        Handover::Sent => traffic.handed_over += 1,
        Handover::Full => traffic.handover_dropped += 1,
        Handover::Unknown => traffic.unknown += 1,
    }
}

async fn send(
    socket: &MediaSocket,
    transmit: &Transmit,
    bytes: &[u8],
    traffic: &mut Traffic,
    has_waited: &mut bool,
) {
    let mut sent = 0;
    while let Err(error) = socket.send(transmit, bytes, &mut sent, traffic) {
        if error.kind() != io::ErrorKind::WouldBlock {
            traffic.send_errors += 1;
            return;
        }
        if *has_waited {
            traffic.send_dropped += 1;
            return;
        }
        *has_waited = true;
        traffic.send_waits += 1;
        // Late or failed: the next attempt tells.
        let _ = tokio::time::timeout(SEND_PATIENCE, socket.writable()).await;
    }
}

const COMMANDS_PER_TURN: usize = 64;
const BATCHES_PER_TURN: usize = 32;
const PARCELS_PER_TURN: usize = 256;
const HAPPENINGS_PER_TURN: usize = 64;

/// Messages that wait in the worker while the link's queue is full.
const BACKLOG: usize = 4096;

/// Longest wait for a full send buffer; everything else of the worker waits with it.
const SEND_PATIENCE: Duration = Duration::from_millis(5);

/// How often switched-off segmentation is tried again.
const REVIVE: Duration = Duration::from_secs(60);
