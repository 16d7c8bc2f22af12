//! One encoding of a published track: its packets, its keyframes, and what its publisher is asked for.
//!
//! Holds the packets of a picture back until the picture is whole, for a millisecond at most, so that each subscriber is served
//! by one send call. Does not know who subscribes.

mod demand;
mod meter;

use std::time::Duration;

use crate::bitrate::Bitrate;
use crate::codec::{Codec, DependencyReader};
use crate::reception::{Arrival, Reception};
use crate::ring::{Entry, Ring};
use crate::rtcp::Ntp;
use crate::rtp::{Rid, Ssrc, seq};
use crate::time::Tick;

pub(crate) use demand::Demand;
pub(crate) use meter::{Meter, OVERHEAD};

/// How long a picture may wait for its last packet: Chromium sends a picture within 0.5 ms (p95).
pub(crate) const HOLD: Duration = Duration::from_millis(1);

/// Least time between two keyframe requests to a publisher.
pub(crate) const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);

/// And between two to the same publisher, whatever their layers: libwebrtc does not hear one within 300 ms of another, and answers with
/// keyframes of all layers.
const DEAF_FOR: Duration = Duration::from_millis(340);

/// A fresh slot may begin with a keyframe of this age, from the ring.
const CACHE_AGE: Duration = Duration::from_millis(500);

/// A slot that already shows something accepts no older keyframe: its timestamps would step back.
const SWITCH_AGE: Duration = Duration::from_millis(60);

/// A layer is over when another one of its track was heard so much later, whatever its pictures come at.
pub(crate) const LAYER_LOST: Duration = Duration::from_millis(500);

/// So many of its pictures in a row are not left out by chance: browsers drop their largest layer when their line gets worse, and everybody
/// waits for the next. Not before so long: encoders leave out some.
const MISSED_PICTURES: f64 = 5.0;
const LEAST_LOST: Duration = Duration::from_millis(200);

/// A still picture of a screen is sent again this often at least.
const SELDOM: Duration = Duration::from_millis(2500);

/// A layer that came back counts after so long.
pub(crate) const STEADY: Duration = Duration::from_millis(2000);

/// Sound that is older than this is not worth beginning with.
const RECENT: Duration = Duration::from_millis(100);

/// Packets of a keyframe that may have come before its first one.
const REORDERED: u64 = 64;

/// Ring sizes in packets: a second of 4 Mb/s video, two and a half of audio.
const VIDEO_PACKETS: usize = 512;
const AUDIO_PACKETS: usize = 128;

/// A picture at which decoding can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keyframe {
    /// Where its first packet lies in the ring.
    pub(crate) position: u64,
    pub(crate) seq: u64,
    pub(crate) timestamp: u32,
    pub(crate) arrival: Tick,
}

/// Sender's clock as told by its last sender report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SenderClock {
    pub(crate) ntp: Ntp,
    pub(crate) timestamp: u32,
}

/// One encoding.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) rid: Option<Rid>,
    /// Width and height: as declared, until a keyframe tells better.
    pub(crate) size: (u16, u16),
    /// Rate that the publisher named as its highest; 0 if it did not.
    pub(crate) declared: Bitrate,
    pub(crate) meter: Meter,
    pub(crate) demand: Demand,
    pub(crate) ssrc: Option<Ssrc>,
    pub(crate) ring: Ring,
    /// Where the present stream begins in the ring; what lies before has other numbers.
    begin: u64,
    pub(crate) reception: Reception,
    pub(crate) descriptors: DependencyReader,
    pub(crate) clock_rate: u32,
    /// Subscribers may read up to here.
    ready: u64,
    held_since: Option<Tick>,
    keyframe: Option<Keyframe>,
    keyframe_wanted: bool,
    keyframe_asked: Option<Tick>,
    /// The publisher does not hear a request before.
    deaf_until: Tick,
    last_packet: Option<Tick>,
    /// Highest timestamp so far.
    newest: Option<u32>,
    /// After so long without a packet it is over.
    lost_after: Duration,
    /// When it last began to send again after a silence.
    revived: Option<Tick>,
    clock: Option<SenderClock>,
    is_video: bool,
    /// Grows when the numbers start over: whoever reads the layer has to begin anew.
    pub(crate) generation: u32,
}

impl Layer {
    /// A layer that has not sent yet.
    pub(crate) fn new(rid: Option<Rid>, size: (u16, u16), is_video: bool, clock_rate: u32) -> Self {
        Self {
            rid,
            size,
            declared: Bitrate::default(),
            meter: Meter::default(),
            demand: Demand::default(),
            ssrc: None,
            ring: Ring::new(if is_video {
                VIDEO_PACKETS
            } else {
                AUDIO_PACKETS
            }),
            begin: 0,
            reception: Reception::default(),
            descriptors: DependencyReader::default(),
            clock_rate,
            ready: 0,
            held_since: None,
            keyframe: None,
            keyframe_wanted: false,
            keyframe_asked: None,
            deaf_until: Tick(0),
            last_packet: None,
            newest: None,
            lost_after: LAYER_LOST,
            revived: None,
            clock: None,
            is_video,
            generation: 0,
        }
    }

    /// A layer that is not sent before somebody asks for it.
    pub(crate) fn resting(
        rid: Option<Rid>,
        size: (u16, u16),
        is_video: bool,
        clock_rate: u32,
    ) -> Self {
        Self {
            demand: Demand::resting(),
            ..Self::new(rid, size, is_video, clock_rate)
        }
    }

    /// Takes the packet whose bytes lie in the ring's spare slot. False: it was not wanted.
    pub(crate) fn admit(&mut self, entry: Entry, is_retransmission: bool) -> bool {
        let now = entry.arrival;
        let arrival = self
            .reception
            .handle_packet(entry.seq, is_retransmission, now);
        if arrival == Arrival::Useless {
            return false;
        }
        if !is_retransmission {
            self.reception
                .handle_timing(entry.timestamp, self.clock_rate, now);
        }
        if self.reception.take_gave_up() && self.is_video {
            self.want_keyframe();
        }
        self.last_packet = Some(now);
        self.meter.count(&entry.peek, entry.weight(), entry.marker);
        let is_newer = |newest| seq::ts_diff(entry.timestamp, newest) > 0;
        if self.newest.is_none_or(is_newer) {
            self.newest = Some(entry.timestamp);
        }
        let is_new_picture = self.is_new_picture(entry.timestamp);
        let position = self.ring.push(entry);
        if is_new_picture {
            self.ready = position;
        }
        // Every packet of sound can be begun with; that makes those before it no less wanted.
        if entry.peek.keyframe && self.is_video {
            self.note_keyframe(position, &entry);
        }
        if !self.is_video || entry.marker || entry.peek.ends_frame || arrival == Arrival::Late {
            self.ready = self.ring.head();
            self.held_since = None;
        } else if self.held_since.is_none() {
            self.held_since = Some(now);
        }
        true
    }

    /// Gives up waiting for the rest of a picture that was held long enough.
    pub(crate) fn release(&mut self, now: Tick) {
        if self.held_since.is_some_and(|since| now >= since + HOLD) {
            self.ready = self.ring.head();
            self.held_since = None;
        }
    }

    /// The position up to which subscribers are served.
    pub(crate) fn ready(&self) -> u64 {
        self.ready
    }

    /// When a picture that is not whole yet will be served anyway.
    pub(crate) fn hold_deadline(&self) -> Option<Tick> {
        self.held_since.map(|since| since + HOLD)
    }

    /// The keyframe at which a slot may begin to show this layer now. `fresh`: the slot has sent nothing yet. `asked`: when it began to wait.
    pub(crate) fn entry_point(&self, fresh: bool, asked: Tick, now: Tick) -> Option<Keyframe> {
        let keyframe = self.keyframe?;
        let max_age = if fresh { CACHE_AGE } else { SWITCH_AGE };
        let is_recent = keyframe.arrival >= asked || now.since(keyframe.arrival) <= max_age;
        let is_there = keyframe.position >= self.ring.tail() && keyframe.position < self.ready;
        (is_recent && is_there && !self.is_behind(keyframe)).then_some(keyframe)
    }

    /// Was a keyframe repaired so late that its layer is far ahead? Who began with it would show the past from then on.
    fn is_behind(&self, keyframe: Keyframe) -> bool {
        let ahead = self
            .newest
            .map_or(0, |newest| seq::ts_diff(newest, keyframe.timestamp));
        let most = CACHE_AGE.as_micros() * u128::from(self.clock_rate) / 1_000_000;
        u128::try_from(ahead).is_ok_and(|ahead| ahead > most)
    }

    /// The entry at which a slot that begins to read at `position` starts counting: a keyframe's own first packet, though packets
    /// that overtook it may lie before it.
    pub(crate) fn keyframe_entry(&self, position: u64) -> Option<Entry> {
        let keyframe = self
            .keyframe
            .filter(|keyframe| keyframe.position == position)?;
        (position..self.ring.head())
            .filter_map(|at| self.ring.at(at))
            .map(|stored| *stored.entry)
            .find(|entry| entry.seq == keyframe.seq)
    }

    /// A subscriber cannot go on without a keyframe. One that is coming in is waited for.
    pub(crate) fn want_keyframe(&mut self) {
        let is_coming = |keyframe: Keyframe| keyframe.position >= self.ready;
        self.keyframe_wanted |= !self.keyframe.is_some_and(is_coming);
    }

    /// A keyframe was asked for of one of its track's layers.
    pub(crate) fn note_request(&mut self, now: Tick) {
        self.deaf_until = now + DEAF_FOR;
    }

    /// Should a keyframe be asked for now? Notes that it was.
    pub(crate) fn poll_keyframe_request(&mut self, now: Tick) -> bool {
        if self.keyframe_deadline().is_none_or(|due| now < due) {
            return false;
        }
        self.keyframe_asked = Some(now);
        self.keyframe_wanted = false;
        true
    }

    /// When a keyframe that is wanted may be asked for.
    pub(crate) fn keyframe_deadline(&self) -> Option<Tick> {
        (self.keyframe_wanted && self.ssrc.is_some()).then(|| {
            let own = self
                .keyframe_asked
                .map_or(Tick(0), |asked| asked + KEYFRAME_INTERVAL);
            own.max(self.deaf_until)
        })
    }

    /// Position of the newest packet, if it came within the last moments.
    pub(crate) fn newest_packet(&self, now: Tick) -> Option<u64> {
        let is_recent = self
            .last_packet
            .is_some_and(|last| now.since(last) < RECENT);
        (is_recent && self.reception.has_received())
            .then(|| self.ring.head().checked_sub(1))
            .flatten()
    }

    /// When the newest packet came.
    pub(crate) fn last_packet(&self) -> Option<Tick> {
        self.last_packet
    }

    /// Codec of the newest packet.
    pub(crate) fn newest_codec(&self) -> Option<Codec> {
        let newest = self.ring.head().checked_sub(1)?;
        Some(self.ring.at(newest)?.entry.codec)
    }

    /// Size told by a keyframe, if one came.
    pub(crate) fn newest_size(&self) -> Option<(u16, u16)> {
        self.keyframe.map(|_| self.size)
    }

    /// Notes a return from silence while the rest of the track went on. To be called before the packet is admitted.
    pub(crate) fn note_return(&mut self, now: Tick) {
        if self
            .last_packet
            .is_some_and(|last| now.since(last) >= self.lost_after)
        {
            // One that was switched off and asked back did not stutter.
            self.revived = (!self.demand.is_returning(now)).then_some(now);
        }
    }

    /// Is it being sent, steadily, at `now`? One that stutters is not chased: each return would cost a keyframe.
    pub(crate) fn is_live(&self, now: Tick) -> bool {
        let is_sent = self
            .last_packet
            .is_some_and(|last| now.since(last) < self.lost_after);
        is_sent
            && self
                .revived
                .is_none_or(|revived| now.since(revived) >= STEADY)
    }

    /// Ends an interval of measuring.
    pub(crate) fn measure(&mut self, now: Tick) {
        let is_recent = |last: Tick| now.since(last) < SELDOM;
        let is_sent = self.demand.is_on() && self.last_packet.is_some_and(is_recent);
        self.meter.refresh(is_sent, now);
        let frequency = self.meter.frequency_up_to(u8::MAX);
        let missed = MISSED_PICTURES / frequency.max(1.0);
        self.lost_after = Duration::from_secs_f64(missed).clamp(LEAST_LOST, LAYER_LOST);
    }

    /// The sender's clock, to line up layers of one source.
    pub(crate) fn sender_clock(&self) -> Option<SenderClock> {
        self.clock
    }

    /// Notes a sender report of the layer's stream.
    pub(crate) fn handle_sender_report(&mut self, ntp: Ntp, timestamp: u32, now: Tick) {
        self.reception.handle_sender_report(ntp.middle32(), now);
        self.clock = Some(SenderClock { ntp, timestamp });
    }

    /// The stream got a new SSRC (the publisher re-created it): numbers start over, subscribers need a keyframe.
    pub(crate) fn rebind(&mut self, ssrc: Ssrc) {
        if self.ssrc.replace(ssrc).is_some() {
            self.generation = self.generation.wrapping_add(1);
            self.begin = self.ring.head();
            self.ready = self.begin;
            self.held_since = None;
            self.reception = Reception::default();
            self.descriptors = DependencyReader::default();
            self.keyframe = None;
            self.newest = None;
            self.clock = None;
        }
    }

    fn is_new_picture(&self, timestamp: u32) -> bool {
        let last = self
            .ring
            .head()
            .checked_sub(1)
            .and_then(|last| self.ring.at(last));
        self.held_since.is_some() && last.is_some_and(|last| last.entry.timestamp != timestamp)
    }

    fn note_keyframe(&mut self, position: u64, entry: &Entry) {
        // Parameter sets and the first slice behind them both begin an H.264 keyframe: the earlier counts.
        let is_same = |known: Keyframe| known.timestamp == entry.timestamp && known.seq < entry.seq;
        if self
            .keyframe
            .is_some_and(|known| known.seq > entry.seq || is_same(known))
        {
            return;
        }
        if let Some(size) = entry.peek.resolution {
            self.size = size;
        }
        self.keyframe_wanted = false;
        self.reception.forget_before(entry.seq);
        let earliest = position.saturating_sub(REORDERED).max(self.begin);
        let first = (earliest..position).find(|&at| {
            self.ring
                .at(at)
                .is_some_and(|stored| stored.entry.seq >= entry.seq)
        });
        let position = first.unwrap_or(position);
        self.keyframe = Some(Keyframe {
            position,
            seq: entry.seq,
            timestamp: entry.timestamp,
            arrival: entry.arrival,
        });
    }
}
