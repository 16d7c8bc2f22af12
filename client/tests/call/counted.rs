//! A source whose every frame says its number, as a live encoder makes it: a keyframe that is asked for is the next frame, and
//! nothing is left out for it.

use std::time::Duration;

use baton_client::assembly::Received;
use baton_client::media::{Codec, Frame};
use baton_client::publish::Feed;
use baton_client::{Publication, media::size};
use baton_protocol::{LayerInfo, MediaKind, Source};
use bytes::{BufMut, Bytes, BytesMut};
use tokio::task::JoinHandle;
use tokio::time::interval;

const PICTURES: u32 = 30;
const PACKETS: u32 = 50;

/// Width, height, and bytes of a picture.
const LAYERS: [(&str, u16, u16, usize); 3] = [
    ("q", 320, 180, 500),
    ("h", 640, 360, 1800),
    ("f", 1280, 720, 5000),
];

/// Camera and microphone.
pub(crate) struct Counted {
    pub(crate) publications: Vec<Publication>,
    playing: Vec<JoinHandle<()>>,
}

impl Counted {
    pub(crate) fn play() -> Self {
        let layer = |(rid, width, height, bytes): (&str, u16, u16, usize)| LayerInfo {
            rid: Some(rid.to_owned()),
            width,
            height,
            max_bitrate: u32::try_from(bytes).unwrap() * 8 * PICTURES,
        };
        let layers = LAYERS.map(layer).into();
        let (microphone, sound) = Publication::new(Source::Microphone, Codec::Opus, Vec::new());
        let (camera, picture) = Publication::new(Source::Camera, Codec::Vp8, layers);
        Self {
            publications: vec![microphone, camera],
            playing: vec![tokio::spawn(hum(sound)), tokio::spawn(film(picture))],
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.playing.iter().for_each(JoinHandle::abort);
    }
}

async fn hum(mut feed: Feed) {
    let mut ticks = interval(Duration::from_secs(1) / PACKETS);
    for number in 0.. {
        ticks.tick().await;
        let at = Duration::from_secs(1) * number / PACKETS;
        let mut data = BytesMut::from(&[0xf8][..]);
        data.put_u32(number);
        data.resize(60, 0);
        let frame = Frame {
            at,
            is_key: true,
            data: data.freeze(),
        };
        feed.send(0, &frame, at).await;
    }
}

async fn film(mut feed: Feed) {
    let mut ticks = interval(Duration::from_secs(1) / PICTURES);
    let mut is_asked = [true; LAYERS.len()];
    for number in 0.. {
        loop {
            tokio::select! {
                layer = feed.keyframe_request() => is_asked[layer] = true,
                _ = ticks.tick() => break,
            }
        }
        let at = Duration::from_secs(1) * number / PICTURES;
        for (layer, is_asked) in is_asked.iter_mut().enumerate() {
            let is_key = std::mem::take(is_asked);
            let frame = Frame {
                at,
                is_key,
                data: picture(layer, number, is_key),
            };
            feed.send(layer, &frame, at).await;
        }
    }
}

/// RFC 6386 section 9.1: a shown frame, the start code and the sides of a keyframe; then the number.
fn picture(layer: usize, number: u32, is_key: bool) -> Bytes {
    let (_, width, height, bytes) = LAYERS[layer];
    let mut data = BytesMut::new();
    data.put_slice(&[0x10 | u8::from(!is_key), 0, 0]);
    if is_key {
        data.put_slice(&[0x9d, 0x01, 0x2a]);
        data.put_u16_le(width);
        data.put_u16_le(height);
    }
    data.put_u32(number);
    data.resize(bytes, 0);
    data.freeze()
}

/// The number that a received frame says.
pub(crate) fn number(frame: &Received) -> u32 {
    let at = match (frame.codec.kind(), frame.is_key) {
        (MediaKind::Audio, _) => 1,
        (MediaKind::Video, true) => 10,
        (MediaKind::Video, false) => 3,
    };
    u32::from_be_bytes(*frame.data[at..].first_chunk().unwrap())
}

/// Where decoding begins anew in another size.
pub(crate) fn sizes(frames: &[Received]) -> Vec<(u16, u16)> {
    let mut all: Vec<_> = frames
        .iter()
        .filter_map(|frame| size(frame.codec, &frame.data))
        .collect();
    all.dedup();
    all
}
