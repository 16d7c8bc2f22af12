//! A camera in three simulcast layers of VP8, with a browser's habits: keyframes of all layers 50 ms after one was asked for, none within
//! 300 ms of another request for any of them, retransmissions by RTX.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use baton_protocol::LayerWanted;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::offer::{CAMERA_MID, LAYERS, REPAIRED_RID, RID, VP8, VP8_RTX};
use crate::packets::{Kind, PicturePacket, Stamp, picture};

/// From a request to the keyframe.
const KEYFRAME_DELAY: Duration = Duration::from_millis(50);

/// A request so soon after another one is not heard (libwebrtc).
const DEAF_FOR: Duration = Duration::from_millis(300);

/// Packets of a layer that can be sent again.
const REMEMBERED: usize = 256;

/// Packets and stamped bytes of a picture, by layer.
const SHAPES: [(u8, usize); 3] = [(1, 150), (1, 500), (3, 800)];

/// The same at the rates of the page's ladder: at 30 pictures a second 0.13, 0.46 and 1.4 Mb/s.
const FULL_SHAPES: [(u8, usize); 3] = [(1, 560), (2, 950), (5, 1150)];

/// Temporal layers as libvpx has them, and how many pictures before each the one lies that it needs. The second and third need only the base
/// picture before them.
const TEMPORAL: [(u8, u8); 4] = [(0, 4), (2, 1), (1, 2), (2, 1)];

/// A packet before it gets a header and is sealed.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) ssrc: u32,
    /// Extended sequence number.
    pub(crate) index: u64,
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) timestamp: u32,
    pub(crate) payload: Vec<u8>,
    pub(crate) mid: &'static str,
    /// Number of the extension, and the rid.
    pub(crate) rid: Option<(u8, &'static str)>,
    pub(crate) level: Option<u8>,
}

/// What a publisher says about one stream in a sender report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) ssrc: u32,
    pub(crate) timestamp: u32,
    pub(crate) packets: u32,
}

pub(crate) struct Camera {
    pub(crate) is_on: bool,
    /// Sends as much as a browser does, instead of what tests are quick with.
    pub(crate) is_full: bool,
    layers: Vec<Layer>,
    stream: u8,
    seed: u64,
    /// When it last heard a request.
    asked: Option<Instant>,
}

struct Layer {
    ssrc: u32,
    repair: u32,
    next: u64,
    next_repair: u64,
    timestamp: u32,
    picture_id: u16,
    tl0: u8,
    count: u32,
    /// Pictures since the last keyframe.
    since_key: u32,
    packets: u32,
    keyframe_due: Option<Instant>,
    /// Requests heard, by when the host sent them.
    requests: Vec<Instant>,
    /// The host has use for it.
    is_wanted: bool,
    /// When it last sent.
    last_sent: Option<Instant>,
    sent: BTreeMap<u64, Outgoing>,
}

impl Camera {
    pub(crate) fn new(seed: u64) -> Self {
        let mut camera = Self {
            is_on: true,
            is_full: false,
            layers: Vec::new(),
            stream: 0,
            seed,
            asked: None,
        };
        camera.recreate();
        camera
    }

    /// The browser makes its streams anew: other SSRCs, all numbers start elsewhere.
    pub(crate) fn recreate(&mut self) {
        self.stream = self.stream.wrapping_add(1);
        let mut rng = StdRng::seed_from_u64(self.seed ^ (u64::from(self.stream) << 56));
        let mut layers: Vec<_> = LAYERS.iter().map(|_| Layer::new(&mut rng)).collect();
        for (layer, before) in layers.iter_mut().zip(&self.layers) {
            layer.is_wanted = before.is_wanted;
        }
        self.layers = layers;
    }

    /// One picture of every layer.
    pub(crate) fn capture(
        &mut self,
        room: u32,
        person: u32,
        now: Instant,
        elapsed: Duration,
    ) -> Vec<Outgoing> {
        let mut out = Vec::new();
        if !self.is_on {
            return out;
        }
        let shapes = if self.is_full { FULL_SHAPES } else { SHAPES };
        let wanted = self.layers.iter_mut().enumerate();
        for (index, layer) in wanted.filter(|(_, layer)| layer.is_wanted) {
            layer.last_sent = Some(now);
            let is_key = layer.take_keyframe(now);
            layer.since_key = if is_key { 0 } else { layer.since_key + 1 };
            let (temporal, needs) = TEMPORAL[layer.since_key as usize % TEMPORAL.len()];
            let stamp = Stamp {
                room,
                person,
                kind: Kind::Picture,
                layer: u8::try_from(index).expect("three layers"),
                stream: self.stream,
                is_key,
                temporal,
                needs: if is_key { 0 } else { needs },
                is_voiced: false,
                count: layer.count,
                captured: micros(elapsed),
            };
            layer.draw(index, shapes[index], &stamp, elapsed, &mut out);
        }
        out
    }

    /// What the host has use for changed. An encoding that begins again does so with a keyframe.
    pub(crate) fn handle_wanted(&mut self, layers: &[LayerWanted], now: Instant) {
        for said in layers {
            let index = LAYERS
                .iter()
                .position(|(rid, ..)| said.rid.as_deref() == Some(*rid));
            let Some(layer) = index.and_then(|index| self.layers.get_mut(index)) else {
                continue;
            };
            if said.wanted && !layer.is_wanted {
                layer.keyframe_due = Some(now);
            }
            layer.is_wanted = said.wanted;
        }
    }

    /// On a new leg everything is sent until the host says more.
    pub(crate) fn want_all(&mut self) {
        for layer in &mut self.layers {
            layer.is_wanted = true;
        }
    }

    /// When each layer last sent, smallest first.
    pub(crate) fn last_sent(&self) -> [Option<Instant>; LAYERS.len()] {
        std::array::from_fn(|index| self.layers.get(index).and_then(|layer| layer.last_sent))
    }

    /// A keyframe was asked for.
    pub(crate) fn handle_keyframe_request(&mut self, ssrc: u32, sent: Instant, now: Instant) {
        let Some(layer) = self.layers.iter_mut().find(|layer| layer.ssrc == ssrc) else {
            return;
        };
        layer.requests.push(sent);
        if self
            .asked
            .is_some_and(|asked| now.duration_since(asked) < DEAF_FOR)
        {
            return;
        }
        self.asked = Some(now);
        for layer in &mut self.layers {
            layer.keyframe_due = Some(now + KEYFRAME_DELAY);
        }
    }

    /// What was asked for again.
    pub(crate) fn repeat(&mut self, ssrc: u32, seq: u16) -> Option<Outgoing> {
        let index = self.layers.iter().position(|layer| layer.ssrc == ssrc)?;
        let layer = self.layers.get_mut(index)?;
        let original = layer
            .sent
            .iter()
            .rev()
            .find(|(known, _)| **known & 0xffff == u64::from(seq))?
            .1;
        let mut payload = seq.to_be_bytes().to_vec();
        payload.extend(&original.payload);
        let repeated = Outgoing {
            ssrc: layer.repair,
            index: layer.next_repair,
            payload_type: VP8_RTX,
            payload,
            rid: Some((REPAIRED_RID, LAYERS[index].0)),
            ..original.clone()
        };
        layer.next_repair += 1;
        Some(repeated)
    }

    /// Every stream that has sent, for reports.
    pub(crate) fn sent(&self, elapsed: Duration) -> Vec<Sent> {
        let started = self.layers.iter().filter(|layer| layer.packets > 0);
        started
            .map(|layer| Sent {
                ssrc: layer.ssrc,
                timestamp: layer.timestamp_at(elapsed),
                packets: layer.packets,
            })
            .collect()
    }

    /// The shortest time between two requests for the same layer, if there were two.
    pub(crate) fn closest_requests(&self) -> Option<Duration> {
        let pairs = self
            .layers
            .iter()
            .flat_map(|layer| layer.requests.windows(2));
        pairs
            .map(|pair| pair[1].saturating_duration_since(pair[0]))
            .min()
    }

    /// Requests heard so far on streams that still exist.
    pub(crate) fn requests(&self) -> usize {
        self.layers.iter().map(|layer| layer.requests.len()).sum()
    }
}

impl Layer {
    fn new(rng: &mut StdRng) -> Self {
        Self {
            ssrc: rng.random::<u32>() | 1,
            repair: rng.random::<u32>() & !1,
            next: rng.random_range(0..0x7fff),
            next_repair: rng.random_range(0..0x7fff),
            timestamp: rng.random(),
            picture_id: rng.random_range(0..0x7fff),
            tl0: rng.random(),
            count: 0,
            since_key: 0,
            packets: 0,
            keyframe_due: None,
            requests: Vec::new(),
            is_wanted: true,
            last_sent: None,
            sent: BTreeMap::new(),
        }
    }

    /// Is the next picture a keyframe? The first one is.
    fn take_keyframe(&mut self, now: Instant) -> bool {
        self.count += 1;
        let is_due = self.keyframe_due.is_some_and(|due| due <= now);
        if is_due {
            self.keyframe_due = None;
        }
        is_due || self.count == 1
    }

    fn timestamp_at(&self, elapsed: Duration) -> u32 {
        self.timestamp.wrapping_add(ticks(elapsed, 90_000))
    }

    fn draw(
        &mut self,
        index: usize,
        (packets, len): (u8, usize),
        stamp: &Stamp,
        elapsed: Duration,
        out: &mut Vec<Outgoing>,
    ) {
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        self.tl0 = self.tl0.wrapping_add(u8::from(stamp.temporal == 0));
        let (rid, width, height) = LAYERS[index];
        // A keyframe is three times as large.
        let packets = if stamp.is_key { packets * 3 } else { packets };
        for packet in 0..packets {
            let drawn = PicturePacket {
                picture_id: self.picture_id,
                tl0: self.tl0,
                starts: packet == 0,
                is_sync: matches!(self.since_key % 4, 1 | 2),
                stamp: *stamp,
            };
            let outgoing = Outgoing {
                ssrc: self.ssrc,
                index: self.next,
                payload_type: VP8,
                marker: packet + 1 == packets,
                timestamp: self.timestamp_at(elapsed),
                payload: picture(&drawn, (width, height), len - usize::from(packet % 2)),
                mid: CAMERA_MID,
                rid: Some((RID, rid)),
                level: None,
            };
            self.sent.insert(self.next, outgoing.clone());
            self.next += 1;
            self.packets += 1;
            out.push(outgoing);
        }
        while self.sent.len() > REMEMBERED {
            self.sent.pop_first();
        }
    }
}

/// Microseconds, as stamps count them.
pub(crate) fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).expect("meetings end")
}

/// Ticks of a media clock, which wraps.
pub(crate) fn ticks(elapsed: Duration, rate: u32) -> u32 {
    let ticks = elapsed.as_micros() * u128::from(rate) / 1_000_000;
    u32::try_from(ticks & 0xffff_ffff).expect("masked")
}
