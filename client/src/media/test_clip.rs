//! The media that ships with the program: ten seconds of a picture that says its own number, in three sizes, and a sound.
//!
//! `media/make.sh` makes it. A keyframe comes each second, and all sizes show the same picture at the same time.

use baton_protocol::LayerInfo;
use bytes::Bytes;

use super::{Clip, ivf, ogg};

/// The picture, smallest first, each with what is said of it as a layer.
pub fn pictures() -> Vec<(LayerInfo, Clip)> {
    PICTURES
        .iter()
        .map(|(rid, file)| {
            let clip = ivf::read(&Bytes::from_static(file)).expect("the file was made to be read");
            let (width, height) = clip.size();
            let layer = LayerInfo {
                rid: Some((*rid).to_owned()),
                width,
                height,
                max_bitrate: u32::try_from(clip.bitrate()).unwrap_or(u32::MAX),
            };
            (layer, clip)
        })
        .collect()
}

/// The sound.
pub fn sound() -> Clip {
    ogg::read(&Bytes::from_static(SOUND)).expect("the file was made to be read")
}

const PICTURES: [(&str, &[u8]); 3] = [
    ("q", include_bytes!("../../media/small.ivf")),
    ("h", include_bytes!("../../media/medium.ivf")),
    ("f", include_bytes!("../../media/large.ivf")),
];

const SOUND: &[u8] = include_bytes!("../../media/sound.ogg");

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn three_sizes_show_the_same_ten_seconds_with_a_keyframe_each_second() {
        let pictures = pictures();
        let sizes: Vec<(u16, u16)> = pictures.iter().map(|(_, clip)| clip.size()).collect();
        assert_eq!(sizes, [(320, 180), (640, 360), (1280, 720)]);
        for (layer, clip) in &pictures {
            assert_eq!(clip.frames().len(), 300, "{layer:?}");
            let off = clip.length().abs_diff(Duration::from_secs(10));
            assert!(off < Duration::from_millis(1), "{layer:?}");
            let keys = clip.frames().iter().filter(|frame| frame.is_key);
            let keys: Vec<u128> = keys.map(|frame| frame.at.as_millis()).collect();
            assert_eq!(keys, (0..10_000).step_by(1000).collect::<Vec<_>>());
        }
        assert!(pictures.is_sorted_by_key(|(layer, _)| layer.max_bitrate));
    }

    #[test]
    fn the_sound_is_as_long_as_the_picture_give_or_take_a_packet() {
        let length = sound().length();
        assert!(length.abs_diff(Duration::from_secs(10)) <= Duration::from_millis(20));
    }
}
