//! Recordings are read back from the folder they were written to.

use std::time::{Duration, Instant};

use super::*;
use crate::media::{Clip, ivf, ogg, test_clip};

const ANA: ParticipantId = ParticipantId(3);

/// A folder of this test alone; it is removed when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("baton-record-{:016x}", rand::random::<u64>());
        Self(std::env::temp_dir().join(name))
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn bytes(&self, name: &str) -> bytes::Bytes {
        std::fs::read(self.0.join(name)).unwrap().into()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn labels(slots: &[(&str, Source)]) -> Labels {
    Labels {
        names: [(ANA, "Ana/../B".to_owned())].into(),
        slots: slots
            .iter()
            .map(|(slot, source)| ((*slot).to_owned(), (ANA, *source)))
            .collect(),
    }
}

/// The clip as it would come by a slot.
fn received(clip: &Clip, slot: &str, now: Instant) -> Vec<Received> {
    let frames = clip.frames().iter().map(|frame| Received {
        slot: slot.to_owned(),
        participant: Some(ANA),
        codec: clip.codec(),
        timestamp: u32::try_from(
            frame.at.as_micros() * u128::from(clip.codec().clock_rate()) / 1_000_000,
        )
        .unwrap(),
        identity: None,
        is_key: frame.is_key,
        data: frame.data.clone(),
        arrived: now + frame.at,
    });
    frames.collect()
}

#[test]
fn picture_and_sound_come_back_with_their_times_and_an_index_says_what_they_are() {
    let folder = Folder::new();
    let mut recording = Recording::open(&folder.0).unwrap();
    recording.set_labels(labels(&[("5", Source::Camera)]));
    let (_, picture) = test_clip::pictures().remove(0);
    let sound = test_clip::sound();
    let now = Instant::now();
    for frame in [received(&picture, "5", now), received(&sound, "1", now)].concat() {
        recording.write(&frame);
    }
    recording.close();
    assert_eq!(
        folder.files(),
        ["Ana____B-3-camera.ivf", "Ana____B-3-microphone.ogg", INDEX]
    );
    let picture_back = ivf::read(&folder.bytes("Ana____B-3-camera.ivf")).unwrap();
    assert_eq!(picture_back.size(), (320, 180));
    assert_eq!(picture_back.frames().len(), 300);
    for (back, sent) in picture_back.frames().iter().zip(picture.frames()) {
        assert_eq!(back.data, sent.data);
        assert!(back.at.abs_diff(sent.at) < Duration::from_millis(1));
    }
    let sound_back = ogg::read(&folder.bytes("Ana____B-3-microphone.ogg")).unwrap();
    assert_eq!(sound_back, sound);
    let index = String::from_utf8(folder.bytes(INDEX).to_vec()).unwrap();
    assert!(index.contains(r#""codec":"vp8""#) && index.contains(r#""source":"microphone""#));
}

#[test]
fn after_a_crash_what_was_flushed_is_there() {
    let folder = Folder::new();
    let mut recording = Recording::open(&folder.0).unwrap();
    recording.set_labels(labels(&[("5", Source::Camera)]));
    let (_, picture) = test_clip::pictures().remove(0);
    for frame in received(&picture, "5", Instant::now()).iter().take(40) {
        recording.write(frame);
    }
    recording.flush();
    let clip = ivf::read(&folder.bytes("Ana____B-3-camera.ivf")).unwrap();
    assert_eq!(clip.frames().len(), 40);
}

#[test]
fn a_screen_in_the_camera_s_place_is_another_file_and_so_is_another_recording() {
    let folder = Folder::new();
    let (_, picture) = test_clip::pictures().remove(0);
    let frames = received(&picture, "5", Instant::now());
    for _ in 0..2 {
        let mut recording = Recording::open(&folder.0).unwrap();
        recording.set_labels(labels(&[("5", Source::Camera)]));
        frames
            .iter()
            .take(35)
            .for_each(|frame| recording.write(frame));
        recording.set_labels(labels(&[("5", Source::Screen)]));
        // What follows no keyframe cannot begin a file.
        frames
            .iter()
            .skip(35)
            .take(30)
            .for_each(|frame| recording.write(frame));
        recording.close();
    }
    assert_eq!(
        folder.files(),
        [
            "Ana____B-3-camera-2.ivf",
            "Ana____B-3-camera.ivf",
            "Ana____B-3-screen-2.ivf",
            "Ana____B-3-screen.ivf",
            INDEX
        ]
    );
    let screen = ivf::read(&folder.bytes("Ana____B-3-screen.ivf")).unwrap();
    assert_eq!(screen.frames().len(), 5);
}

#[test]
fn frames_of_nobody_are_left_out() {
    let folder = Folder::new();
    let mut recording = Recording::open(&folder.0).unwrap();
    let mut frame = received(&test_clip::sound(), "1", Instant::now()).remove(0);
    frame.participant = None;
    recording.write(&frame);
    recording.close();
    assert!(folder.files().is_empty());
}
