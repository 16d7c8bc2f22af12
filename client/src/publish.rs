//! What is sent: a track is described once, fed with frames from one side, and carried by any number of legs at a time.
//!
//! Owns: SSRCs, timestamps and the numbering of packets, so that two legs carry the same stream, packet by packet, and whoever
//! receives both can merge them. Does not own: where frames come from (`play`), nor the legs, which come and go.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_protocol::{LayerInfo, LayerWanted, LegId, MediaKind, Source};
use rtc::rtp::Packet;
use tokio::sync::mpsc;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use crate::assembly::FAMILY;
use crate::media::{Codec, Frame};
use packetizer::Packetizer;

pub(crate) use line::{AUDIO_LEVEL, Line, MID};
pub use play::play;
pub use player::Player;

mod line;
mod packetizer;
mod play;
mod player;

/// One track that is sent, as legs see it.
#[derive(Clone)]
pub struct Publication {
    shared: Arc<Shared>,
    requests: mpsc::Sender<usize>,
}

struct Shared {
    source: Source,
    codec: Codec,
    /// One per SSRC; sound has one that is not told.
    layers: Vec<LayerInfo>,
    ssrcs: Vec<u32>,
    /// What each stream sent, whatever the number of legs.
    sent: Vec<Sent>,
    is_muted: AtomicBool,
    outlets: Mutex<Vec<Outlet>>,
}

#[derive(Default)]
struct Sent {
    packets: AtomicU64,
    bytes: AtomicU64,
}

/// What one stream of a publication sent so far.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SentReport {
    /// Of which track.
    pub source: Source,
    /// Which encoding; absent for a track with a single one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rid: Option<String>,
    /// Packets, repetitions not counted.
    pub packets: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

/// A leg that carries the track.
#[derive(Clone)]
struct Outlet {
    leg: LegId,
    track: Arc<TrackLocalStaticRTP>,
    line: Line,
    /// Layers that nobody there shows, by their place.
    resting: Vec<usize>,
}

/// The other side of a publication: takes frames, and says which layers shall send a keyframe.
pub struct Feed {
    shared: Arc<Shared>,
    streams: Vec<Packetizer>,
    requests: mpsc::Receiver<usize>,
}

impl Publication {
    /// A track and the feed it is sent by. `layers` are the encodings of a picture, smallest first, each with a rid if there
    /// is more than one; sound has none.
    pub fn new(source: Source, codec: Codec, layers: Vec<LayerInfo>) -> (Self, Feed) {
        let count = layers.len().max(1);
        // By its lowest bits alone one encoding differs from the others, and all have one clock: so a receiver knows a moment again.
        let family = rand::random::<u32>() / FAMILY * FAMILY;
        let ssrcs: Vec<u32> = (family..).take(count).collect();
        let zero = rand::random();
        let streams = ssrcs
            .iter()
            .map(|ssrc| Packetizer::new(codec, *ssrc, rand::random(), zero))
            .collect();
        let shared = Arc::new(Shared {
            source,
            codec,
            layers,
            sent: ssrcs.iter().map(|_| Sent::default()).collect(),
            ssrcs,
            is_muted: AtomicBool::new(false),
            outlets: Mutex::default(),
        });
        let (requests, inbox) = mpsc::channel(REQUESTS);
        let publication = Self {
            shared: Arc::clone(&shared),
            requests,
        };
        let feed = Feed {
            shared,
            streams,
            requests: inbox,
        };
        (publication, feed)
    }

    /// Where it comes from.
    pub fn source(&self) -> Source {
        self.shared.source
    }

    /// How it is encoded.
    pub fn codec(&self) -> Codec {
        self.shared.codec
    }

    /// Encodings of a picture, smallest first. Empty for sound.
    pub fn layers(&self) -> &[LayerInfo] {
        match self.source().kind() {
            MediaKind::Audio => &[],
            MediaKind::Video => &self.shared.layers,
        }
    }

    /// Is nothing sent, although frames come?
    pub fn is_muted(&self) -> bool {
        self.shared.is_muted.load(Ordering::Relaxed)
    }

    /// Sends nothing any more, or again.
    pub fn set_muted(&self, is_muted: bool) {
        self.shared.is_muted.store(is_muted, Ordering::Relaxed);
    }

    /// What its streams sent so far.
    pub fn sent(&self) -> Vec<SentReport> {
        let report = |(sent, (_, rid)): (&Sent, (u32, Option<&str>))| SentReport {
            source: self.source(),
            rid: rid.map(str::to_owned),
            packets: sent.packets.load(Ordering::Relaxed),
            bytes: sent.bytes.load(Ordering::Relaxed),
        };
        let sent = self.shared.sent.iter();
        sent.zip(self.streams()).map(report).collect()
    }

    /// SSRC and rid of every stream.
    pub(crate) fn streams(&self) -> impl Iterator<Item = (u32, Option<&str>)> {
        let rids = self.shared.layers.iter().map(|layer| layer.rid.as_deref());
        let rids = rids.chain(std::iter::repeat(None));
        self.shared.ssrcs.iter().copied().zip(rids)
    }

    /// From now on `leg` carries the track too.
    pub(crate) fn attach(&self, leg: LegId, track: Arc<TrackLocalStaticRTP>, line: Line) {
        self.detach(leg);
        self.shared.lock().push(Outlet {
            leg,
            track,
            line,
            resting: Vec::new(),
        });
    }

    /// `leg` carries it no more.
    pub(crate) fn detach(&self, leg: LegId) {
        self.shared.lock().retain(|outlet| outlet.leg != leg);
    }

    /// What of it is of use at the other end of `leg`. A layer that is again begins with a keyframe.
    pub(crate) fn set_wanted(&self, leg: LegId, layers: &[LayerWanted]) {
        let is_resting = |rid: Option<&str>| {
            let mut layers = layers.iter();
            layers.any(|layer| layer.rid.as_deref() == rid && !layer.wanted)
        };
        let streams = self.streams().enumerate();
        let resting: Vec<usize> = streams
            .filter(|(_, (_, rid))| is_resting(*rid))
            .map(|(layer, _)| layer)
            .collect();
        let mut outlets = self.shared.lock();
        let Some(outlet) = outlets.iter_mut().find(|outlet| outlet.leg == leg) else {
            return;
        };
        let rested = std::mem::replace(&mut outlet.resting, resting.clone());
        drop(outlets);
        for layer in rested.into_iter().filter(|layer| !resting.contains(layer)) {
            // A full queue holds a request already.
            let _ = self.requests.try_send(layer);
        }
    }

    /// Asks for a keyframe of the stream; of others nothing is known here.
    pub(crate) fn request_keyframe(&self, ssrc: u32) {
        let layer = self.shared.ssrcs.iter().position(|known| *known == ssrc);
        if let Some(layer) = layer {
            // A full queue holds a request already.
            let _ = self.requests.try_send(layer);
        }
    }
}

impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publication")
            .field("source", &self.source())
            .field("codec", &self.codec())
            .field("layers", &self.layers())
            .finish_non_exhaustive()
    }
}

impl Feed {
    /// Sends a frame of a layer, which is due at `at` on a clock that all layers share. Frames of a layer come in order.
    pub async fn send(&mut self, layer: usize, frame: &Frame, at: Duration) {
        let Some(stream) = self.streams.get_mut(layer) else {
            return;
        };
        if self.shared.is_muted.load(Ordering::Relaxed) {
            return;
        }
        let mut outlets = self.shared.lock().clone();
        outlets.retain(|outlet| !outlet.resting.contains(&layer));
        if outlets.is_empty() {
            return;
        }
        let packets = stream.packets(frame, at);
        let rid = self.shared.layers.get(layer);
        let rid = rid.and_then(|layer| layer.rid.as_deref());
        if let Some(sent) = self.shared.sent.get(layer) {
            let bytes: usize = packets.iter().map(|packet| packet.payload.len()).sum();
            sent.packets
                .fetch_add(packets.len() as u64, Ordering::Relaxed);
            sent.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        for outlet in outlets {
            for packet in &packets {
                outlet.send(packet, rid, frame).await;
            }
        }
    }

    /// The next layer that shall send a keyframe. May be given up and asked again; never ready where nobody can ask.
    pub async fn keyframe_request(&mut self) -> usize {
        match self.requests.recv().await {
            Some(layer) => layer,
            None => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("source", &self.shared.source)
            .finish_non_exhaustive()
    }
}

impl Outlet {
    async fn send(&self, packet: &Packet, rid: Option<&str>, frame: &Frame) {
        let mut packet = packet.clone();
        self.line.label(&mut packet.header, rid, frame);
        // The leg is closing: it is detached next.
        if let Err(error) = self.track.write_rtp(packet).await {
            tracing::debug!(%error, "a packet was not sent");
        }
    }
}

impl Shared {
    /// The list is whole after every change, whatever happened to a thread that held the lock.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Outlet>> {
        self.outlets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keyframe requests that wait for the feed.
const REQUESTS: usize = 16;
