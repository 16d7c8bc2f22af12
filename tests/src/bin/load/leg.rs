//! Everybody's sockets and legs in one loop: set-up goes to rtc, media is counted raw and reported as a browser reports it.

use std::io::{ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use baton_protocol::PathToHost;
use baton_tests::offer::{self, Part};
use baton_tests::peer::{LegKeys, Peer};
use baton_tests::srtp::rtp_header_size;
use baton_tests::traffic::{HEADER, TRANSPORT_SEQUENCE_EXTENSION, VP8};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

use crate::arrivals::Arrivals;
use crate::rtcp::{self, Wish};

/// Of so many packets, one is decrypted.
const SAMPLE: u64 = 64;
const REPORT_EVERY: Duration = Duration::from_secs(1);
const SET_UP_EVERY: Duration = Duration::from_millis(20);

/// What arrived at all subscribers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) media: u64,
    pub(crate) repairs: u64,
    /// Packets without content, which only ask whether the line carries more.
    pub(crate) padding: u64,
    pub(crate) sampled: u64,
    pub(crate) forged: u64,
    pub(crate) keyframe_requests: u64,
}

/// One participant.
pub(crate) struct Leg {
    socket: UdpSocket,
    state: UdpSocketState,
    peer: Peer,
    host: Option<SocketAddr>,
    keys: Option<LegKeys>,
    rtcp_index: u32,
    asked: Option<Instant>,
    stream: Stream,
    arrivals: Arrivals,
    /// The host's last sender report: the middle of its time, and when it came.
    heard: Option<(u32, Instant)>,
    report_due: Instant,
    feedback_due: Instant,
}

/// The stream a subscriber gets.
#[derive(Default)]
struct Stream {
    ssrc: u32,
    highest: u16,
    cycles: u32,
    packets: u64,
}

impl Leg {
    /// A leg and its offer.
    pub(crate) fn new(address: IpAddr, part: Part, now: Instant) -> Result<(Self, String)> {
        let socket = UdpSocket::bind((address, 0))?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        state.set_recv_buffer_size(UdpSockRef::from(&socket), 1 << 20)?;
        let local = socket.local_addr()?;
        let (peer, credentials) = Peer::new(local, now)?;
        let sdp = offer::offer(&credentials, part);
        let leg = Self {
            socket,
            state,
            peer,
            host: None,
            keys: None,
            rtcp_index: 0,
            asked: None,
            stream: Stream::default(),
            arrivals: Arrivals::default(),
            heard: None,
            report_due: now,
            feedback_due: now,
        };
        Ok((leg, sdp))
    }

    pub(crate) fn accept(&mut self, sdp: &str, now: Instant) -> Result<()> {
        let answer = offer::answer(sdp)?;
        self.host = Some(answer.address);
        self.peer.accept(&answer, now)
    }

    /// Lets rtc work and sends what it wants to.
    fn set_up(&mut self, now: Instant) -> Result<()> {
        self.peer.handle_timeout(now);
        while let Some((bytes, to)) = self.peer.poll_transmit() {
            send(&self.socket, &bytes, to)?;
        }
        if self.keys.is_none() {
            self.keys = self.peer.keys();
        }
        Ok(())
    }

    fn send_rtcp(&mut self, mut packet: Vec<u8>) -> Result<()> {
        let (Some(keys), Some(host)) = (&self.keys, self.host) else {
            return Ok(());
        };
        keys.local.seal_rtcp(self.rtcp_index, &mut packet);
        self.rtcp_index += 1;
        send(&self.socket, &packet, host)
    }

    /// Takes one datagram off the wire, which the kernel had `at` a moment of its own clock. Wishes go to `wishes`.
    fn take(
        &mut self,
        datagram: &mut [u8],
        (from, at): (SocketAddr, Option<Duration>),
        now: Instant,
        counts: &mut Counts,
        wishes: &mut dyn FnMut(Wish),
    ) {
        let [first, second, ..] = *datagram else {
            return;
        };
        match (first, second) {
            (128..=191, 192..=223) => {
                let keys = self.keys.as_ref();
                let Some(compound) = keys.and_then(|keys| keys.remote.open_rtcp(datagram)) else {
                    return;
                };
                if let Some(time) = rtcp::sender_time(&compound) {
                    self.heard = Some((time, now));
                }
                for wish in rtcp::wishes(&compound) {
                    counts.keyframe_requests += u64::from(wish == Wish::Keyframe);
                    wishes(wish);
                }
            }
            (128..=191, _) => {
                // Repairs and padding are numbered as well, and reported.
                if let Some((number, at)) = transport_sequence(datagram).zip(at) {
                    self.arrivals.note(number, at);
                }
                if second & 0x7f == VP8 && datagram.len() > HEADER {
                    self.take_media(datagram, counts);
                } else if first & 0x20 != 0 {
                    counts.padding += 1;
                } else {
                    counts.repairs += 1;
                }
            }
            _ => self.peer.handle_datagram(datagram, from, now),
        }
    }

    fn take_media(&mut self, packet: &mut [u8], counts: &mut Counts) {
        counts.media += 1;
        let stream = &mut self.stream;
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        if stream.packets == 0 {
            stream.highest = sequence;
            stream.ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
        } else if sequence.wrapping_sub(stream.highest) < 0x8000 {
            stream.cycles += u32::from(sequence < stream.highest);
            stream.highest = sequence;
        }
        stream.packets += 1;
        if stream.packets % SAMPLE == 1 {
            let rollovers =
                stream.cycles - u32::from(sequence > stream.highest && stream.cycles > 0);
            let opened = self
                .keys
                .as_ref()
                .and_then(|keys| keys.remote.open_rtp(rollovers, packet));
            counts.sampled += 1;
            counts.forged += u64::from(opened.is_none());
        }
    }

    /// Reports what is due.
    fn report(&mut self, now: Instant, every: Duration) -> Result<()> {
        if now >= self.report_due {
            self.report_due = now + REPORT_EVERY;
            self.report_stream(now)?;
        }
        if now >= self.feedback_due {
            self.feedback_due = (self.feedback_due + every).max(now);
            if let Some(report) = self.arrivals.report(1, self.stream.ssrc) {
                self.send_rtcp(report)?;
            }
        }
        Ok(())
    }

    fn report_stream(&mut self, now: Instant) -> Result<()> {
        let Stream {
            ssrc,
            cycles,
            highest,
            packets,
        } = self.stream;
        if packets == 0 {
            return Ok(());
        }
        let heard = self.heard.map_or((0, 0), |(time, at)| {
            let ago = (now - at).as_micros() * 65_536 / 1_000_000;
            (time, u32::try_from(ago).unwrap_or(u32::MAX))
        });
        let highest = (cycles << 16) | u32::from(highest);
        self.send_rtcp(rtcp::receiver_report(1, ssrc, highest, heard))
    }
}

/// Everybody. The publisher is the first.
pub(crate) struct Hall {
    legs: Vec<Leg>,
    poll: OwnedFd,
    counts: Counts,
    buffer: Vec<u8>,
    sent: (u32, u32),
    report_due: Instant,
    set_up_due: Instant,
    feedback_every: Duration,
}

impl Hall {
    /// Nobody yet. Subscribers report arrivals `feedback_every` so often, each at moments of its own.
    pub(crate) fn new(feedback_every: Duration) -> Result<Self> {
        let now = Instant::now();
        Ok(Self {
            legs: Vec::new(),
            poll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            counts: Counts::default(),
            buffer: vec![0; 65_536],
            sent: (0, 0),
            report_due: now,
            set_up_due: now,
            feedback_every,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.legs.len()
    }

    pub(crate) fn add(&mut self, mut leg: Leg) -> Result<usize> {
        let index = self.legs.len();
        // People do not report in chorus: the golden section spreads any number of them evenly.
        leg.feedback_due += self.feedback_every.mul_f64((0.618 * index as f64).fract());
        epoll::add(
            &self.poll,
            &leg.socket,
            epoll::EventData::new_u64(index as u64),
            epoll::EventFlags::IN,
        )?;
        self.legs.push(leg);
        Ok(index)
    }

    /// Are keys there and the control channel open?
    pub(crate) fn is_connected(&mut self, index: usize) -> bool {
        let leg = &mut self.legs[index];
        leg.keys.is_some() && leg.peer.is_open()
    }

    /// How many subscribers get the picture.
    pub(crate) fn watching(&self) -> usize {
        self.legs
            .iter()
            .filter(|leg| leg.stream.packets > 0)
            .count()
    }

    /// Those who see nothing yet ask for it, once a second.
    pub(crate) fn ask_for(&mut self, view: &PathToHost, now: Instant) {
        for leg in self
            .legs
            .iter_mut()
            .skip(1)
            .filter(|leg| leg.stream.packets == 0)
        {
            let is_due = leg
                .asked
                .is_none_or(|asked| now - asked > Duration::from_secs(1));
            if is_due && leg.peer.say(view, now).is_ok() {
                leg.asked = Some(now);
            }
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn forget_counts(&mut self) {
        self.counts = Counts::default();
    }

    /// Sends one frame; tells how many packets.
    pub(crate) fn publish(
        &mut self,
        frame: [(u32, Vec<u8>); 5],
        timestamp: u32,
        now: Instant,
    ) -> Result<u64> {
        let Some(publisher) = self.legs.first_mut() else {
            return Ok(0);
        };
        let (Some(keys), Some(host)) = (&publisher.keys, publisher.host) else {
            return Ok(0);
        };
        let count = frame.len() as u64;
        for (rollovers, mut packet) in frame {
            let payload = u32::try_from(packet.len() - HEADER).expect("a packet is short");
            keys.local.seal_rtp(rollovers, HEADER, &mut packet);
            send(&publisher.socket, &packet, host)?;
            self.sent.0 = self.sent.0.wrapping_add(1);
            self.sent.1 = self.sent.1.wrapping_add(payload);
        }
        if now >= self.report_due {
            self.report_due = now + REPORT_EVERY;
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH)?;
            let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
            let ntp = ((since_1970.as_secs() + 2_208_988_800) << 32) | fraction;
            let (packets, octets) = self.sent;
            publisher.send_rtcp(rtcp::sender_report(
                crate::SSRC,
                ntp,
                timestamp,
                packets,
                octets,
            ))?;
        }
        Ok(count)
    }

    /// Waits for datagrams, at most `wait`; takes them, and does what is due.
    pub(crate) fn turn(&mut self, wait: Duration, wishes: &mut dyn FnMut(Wish)) -> Result<()> {
        let due = self.legs.iter().map(|leg| leg.feedback_due).min();
        let due = due.map_or(self.set_up_due, |due| due.min(self.set_up_due));
        let wait = wait.min(due.saturating_duration_since(Instant::now()));
        let mut events = Vec::with_capacity(256);
        let wait = Timespec::try_from(wait)?;
        epoll::wait(&self.poll, spare_capacity(&mut events), Some(&wait))?;
        let now = Instant::now();
        for event in events {
            let index = usize::try_from(event.data.u64())?;
            self.drain(index, now, wishes)?;
        }
        if now >= self.set_up_due {
            self.set_up_due = now + SET_UP_EVERY;
            for leg in &mut self.legs {
                leg.set_up(now)?;
            }
        }
        for leg in &mut self.legs {
            leg.report(now, self.feedback_every)?;
        }
        Ok(())
    }

    fn drain(&mut self, index: usize, now: Instant, wishes: &mut dyn FnMut(Wish)) -> Result<()> {
        let leg = &mut self.legs[index];
        let mut is_set_up = false;
        loop {
            let mut meta = [RecvMeta::default()];
            match leg.state.recv(
                UdpSockRef::from(&leg.socket),
                &mut [IoSliceMut::new(&mut self.buffer)],
                &mut meta,
            ) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
            let [meta] = meta;
            for datagram in self.buffer[..meta.len].chunks_mut(meta.stride.max(1)) {
                is_set_up |= datagram.first().is_some_and(|&first| first < 128);
                let origin = (meta.addr, meta.timestamp);
                leg.take(datagram, origin, now, &mut self.counts, wishes);
            }
        }
        if is_set_up {
            leg.set_up(now)?;
        }
        Ok(())
    }
}

/// Sends a datagram; a full buffer loses it, like any line.
fn send(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) -> Result<()> {
    match socket.send_to(bytes, to) {
        Err(error)
            if error.kind() != ErrorKind::WouldBlock
                && error.kind() != ErrorKind::ConnectionRefused =>
        {
            Err(error.into())
        }
        _ => Ok(()),
    }
}

/// The transport-wide sequence number in the packet's one-byte header extensions.
fn transport_sequence(packet: &[u8]) -> Option<u16> {
    let header = packet.get(..rtp_header_size(packet)?)?;
    let plain = 12 + 4 * usize::from(packet[0] & 15);
    let mut rest = header.get(plain + 4..)?;
    while let [first, tail @ ..] = rest {
        let size = if *first == 0 {
            0
        } else {
            usize::from(first & 15) + 1
        };
        if first >> 4 == TRANSPORT_SEQUENCE_EXTENSION {
            return Some(u16::from_be_bytes(*tail.first_chunk()?));
        }
        rest = tail.get(size..)?;
    }
    None
}
