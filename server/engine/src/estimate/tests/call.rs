//! A host that sends a picture and a voice over a line, as much as the estimator allows, and the receiver that reports arrivals.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::line::Line;
use super::tcp::{SEGMENT, Tcp};
use crate::bitrate::{Bitrate, IP_UDP};
use crate::estimate::{Estimator, Kind};
use crate::rtcp::{self, RtcpPacket};
use crate::rtp::{Ssrc, seq};
use crate::time::Tick;

const STEP: Duration = Duration::from_micros(500);

/// Chromium's usual interval between two reports.
const FEEDBACK: Duration = Duration::from_millis(100);

const PACKET: usize = 1200;
const PADDING: usize = 255 + 36;
const VOICE: usize = 120;

/// What travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    Media { seq: u16, bytes: usize },
    Segment(u64),
}

/// The call at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Tick,
    pub(super) target: f64,
    pub(super) queue: Duration,
}

/// Reports arrivals as Chromium does: late packets too, with all that came after them once more.
#[derive(Debug, Default)]
struct Receiver {
    arrived: BTreeMap<u64, Tick>,
    highest: u64,
    /// First packet of the next report, if there is news.
    next: Option<u64>,
    count: u8,
}

impl Receiver {
    fn note(&mut self, wire: u16, at: Tick) {
        let seq = seq::extend(self.highest.max(0x1_0000), wire);
        let is_next = seq > self.highest && self.highest > 0;
        let first = if is_next { self.highest + 1 } else { seq };
        self.next = Some(self.next.map_or(first, |next| next.min(first)));
        self.highest = self.highest.max(seq);
        self.arrived.insert(seq, at);
        while self.arrived.len() > 1000 {
            self.arrived.pop_first();
        }
    }

    fn report(&mut self) -> Vec<u8> {
        let first = self.next.take().unwrap_or(self.highest);
        let arrivals: Vec<_> = (first..=self.highest)
            .map(|seq| {
                let at = self
                    .arrived
                    .get(&seq)
                    .map(|at| i64::try_from(at.0).unwrap());
                (u16::try_from(seq & 0xffff).unwrap(), at)
            })
            .collect();
        let mut bytes = Vec::new();
        let base = arrivals[0].0;
        let mut writer = rtcp::Writer::new(&mut bytes);
        self.count = writer.transport_feedback(Ssrc(2), Ssrc(1), base, self.count, &arrivals);
        bytes
    }
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) estimator: Estimator,
    pub(super) line: Line<Packet>,
    pub(super) tcp: Option<Tcp>,
    /// The picture takes no more bits per second than this.
    pub(super) most: f64,
    pub(super) samples: Vec<Sample>,
    /// Bytes of the call that arrived.
    pub(super) received: u64,
    pub(super) padding: u64,
    /// No feedback comes through.
    pub(super) is_deaf: bool,
    /// Nothing is sent but probes.
    pub(super) is_paused: bool,
    now: Tick,
    seq: u16,
    picture_due: Tick,
    voice_due: Tick,
    feedback_due: Tick,
    sample_due: Tick,
    receiver: Receiver,
    feedback: VecDeque<(Tick, Vec<u8>)>,
    segments: u64,
}

impl Call {
    pub(super) fn new(line: Line<Packet>) -> Self {
        let mut estimator = Estimator::new(super::START);
        estimator.set_can_probe(true);
        Self {
            estimator,
            line,
            tcp: None,
            most: f64::MAX,
            samples: Vec::new(),
            received: 0,
            padding: 0,
            is_deaf: false,
            is_paused: false,
            now: Tick(1_000_000),
            seq: 65_000,
            picture_due: Tick(0),
            voice_due: Tick(0),
            feedback_due: Tick(0),
            sample_due: Tick(0),
            receiver: Receiver::default(),
            feedback: VecDeque::new(),
            segments: 0,
        }
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + STEP;
            self.line.carry(self.now, STEP);
            self.receive();
            self.hear();
            self.send();
            self.download();
            if self.now >= self.sample_due {
                self.sample_due = self.now + Duration::from_millis(100);
                self.samples.push(Sample {
                    at: self.now,
                    target: self.target(),
                    queue: self.line.waited,
                });
            }
        }
    }

    /// More than there is room for is of use.
    pub(super) fn want(&mut self, rate: Bitrate) {
        self.estimator.set_wanted(rate);
        self.estimator.want_probe(rate, self.now);
    }

    pub(super) fn target(&self) -> f64 {
        self.estimator.target().0 as f64
    }

    /// Samples of the last `span`.
    pub(super) fn last(&self, span: Duration) -> &[Sample] {
        let from = self.now - span;
        let first = self.samples.partition_point(|sample| sample.at <= from);
        &self.samples[first..]
    }

    /// Mean target of the last `span`.
    pub(super) fn mean(&self, span: Duration) -> f64 {
        let last = self.last(span);
        last.iter().map(|sample| sample.target).sum::<f64>() / last.len() as f64
    }

    /// Longest wait in the queue in the last `span`.
    pub(super) fn longest_queue(&self, span: Duration) -> Duration {
        self.last(span)
            .iter()
            .map(|sample| sample.queue)
            .max()
            .unwrap_or_default()
    }

    fn receive(&mut self) {
        while let Some((at, packet)) = self.line.receive(self.now) {
            match packet {
                Packet::Media { seq, bytes } => {
                    self.received += bytes as u64;
                    self.receiver.note(seq, at);
                }
                Packet::Segment(number) => {
                    if let Some(tcp) = &mut self.tcp {
                        tcp.echoes.insert((at + self.line.delay, number), true);
                    }
                }
            }
        }
        if self.now >= self.feedback_due && self.receiver.next.is_some() {
            self.feedback_due = self.now + FEEDBACK;
            let bytes = self.receiver.report();
            self.feedback.push_back((self.now + self.line.delay, bytes));
        }
    }

    fn hear(&mut self) {
        self.estimator.handle_timeout(self.now);
        while self.feedback.front().is_some_and(|(at, _)| *at <= self.now) {
            let Some((_, bytes)) = self.feedback.pop_front() else {
                return;
            };
            if self.is_deaf {
                continue;
            }
            for packet in rtcp::packets(&bytes) {
                if let RtcpPacket::TransportFeedback(feedback) = packet {
                    self.estimator.handle_feedback(&feedback, self.now);
                }
            }
        }
    }

    fn send(&mut self) {
        if self.now >= self.voice_due && !self.is_paused {
            self.voice_due = self.now + Duration::from_millis(20);
            self.send_one(VOICE, Kind::Media);
        }
        if self.now >= self.picture_due && !self.is_paused {
            self.picture_due = self.now + Duration::from_micros(33_333);
            let rate = (self.target() - 48_000.0).clamp(10_000.0, self.most);
            let size = rate / 30.0 / 8.0 * (0.8 + 0.4 * self.line.chance());
            #[expect(clippy::cast_possible_truncation, reason = "a picture's bytes")]
            let mut left = size.round() as usize;
            while left > 0 {
                let bytes = left.min(PACKET);
                self.send_one(bytes.max(60), Kind::Media);
                left -= bytes;
            }
        }
        if self.estimator.deadline() <= self.now {
            let mut left = self.estimator.poll_probe(self.now).unwrap_or(0);
            while left > 0 {
                self.padding += PADDING as u64;
                self.send_one(PADDING, Kind::Padding);
                left = left.saturating_sub(PADDING);
            }
        }
    }

    /// `bytes` are those of the IP packet.
    fn send_one(&mut self, bytes: usize, kind: Kind) {
        let datagram = bytes - usize::from(IP_UDP);
        self.estimator.note_sent(self.seq, datagram, kind, self.now);
        let packet = Packet::Media {
            seq: self.seq,
            bytes,
        };
        self.line.send(packet, bytes, self.now);
        self.seq = self.seq.wrapping_add(1);
    }

    fn download(&mut self) {
        let Some(tcp) = &mut self.tcp else { return };
        tcp.handle_echoes(self.now);
        while let Some(number) = tcp.poll() {
            self.segments += 1;
            if !self.line.send(Packet::Segment(number), SEGMENT, self.now) {
                let known = self.now + self.line.delay * 2 + self.line.waited;
                tcp.echoes.insert((known, number), false);
            }
        }
    }
}
