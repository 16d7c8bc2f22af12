//! Publishers: the smallest media that is valid, and the test media that ships with the program.

use std::collections::HashMap;
use std::time::Duration;

use baton_client::media::{Clip, Codec, Frame, test_clip};
use baton_client::publish::{Feed, play};
use baton_client::{Publication, assembly::Received};
use baton_protocol::{LayerInfo, Source};
use bytes::Bytes;
use tokio::task::JoinHandle;

/// VP8 keyframes of 16 by 16 pixels and loud Opus packets, fifty a second.
pub(crate) struct Media {
    pub(crate) publications: Vec<Publication>,
    sound: Feed,
    picture: Feed,
}

/// RFC 6386 section 9.1.
const KEYFRAME: [u8; 12] = [
    0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x10, 0x00, 0x10, 0x00, 0x00, 0x00,
];

impl Media {
    pub(crate) fn new() -> Self {
        let layer = LayerInfo {
            rid: None,
            width: 16,
            height: 16,
            max_bitrate: 0,
        };
        let (microphone, sound) = Publication::new(Source::Microphone, Codec::Opus, Vec::new());
        let (camera, picture) = Publication::new(Source::Camera, Codec::Vp8, vec![layer]);
        Self {
            publications: vec![microphone, camera],
            sound,
            picture,
        }
    }

    /// Sends until it is aborted.
    pub(crate) fn send(mut self) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            for count in 0_u32.. {
                ticks.tick().await;
                let at = Duration::from_millis(20) * count;
                let frame = |data: &'static [u8]| Frame {
                    at,
                    is_key: true,
                    data: Bytes::from_static(data),
                };
                let sound = frame(&[0xf8, 0xff, 0xfe]);
                self.sound.send(0, &sound, at).await;
                self.picture.send(0, &frame(&KEYFRAME), at).await;
            }
        })
    }
}

/// What ships with the program, being played, and the number that each of its pictures shows.
pub(crate) struct TestMedia {
    pub(crate) publications: Vec<Publication>,
    pub(crate) playing: Vec<JoinHandle<()>>,
    numbers: HashMap<Bytes, (usize, u64)>,
}

impl TestMedia {
    pub(crate) fn play() -> Self {
        let (layers, clips): (Vec<LayerInfo>, Vec<Clip>) =
            test_clip::pictures().into_iter().unzip();
        let numbers = clips.iter().enumerate().flat_map(|(layer, clip)| {
            let frames = (0..).zip(clip.frames());
            frames.map(move |(number, frame)| (frame.data.clone(), (layer, number)))
        });
        let numbers = numbers.collect();
        let (microphone, sound) = Publication::new(Source::Microphone, Codec::Opus, Vec::new());
        let (camera, picture) = Publication::new(Source::Camera, Codec::Vp8, layers);
        Self {
            publications: vec![microphone, camera],
            playing: vec![
                tokio::spawn(play(sound, vec![test_clip::sound()])),
                tokio::spawn(play(picture, clips)),
            ],
            numbers,
        }
    }

    /// Which layer a received picture is of, and the number that is burned into it.
    pub(crate) fn number(&self, frame: &Received) -> Option<(usize, u64)> {
        self.numbers.get(&frame.data).copied()
    }
}
