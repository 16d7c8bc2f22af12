use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::media::Codec;

const OLD: LegId = LegId(1);
const NEW: LegId = LegId(2);
const ANA: ParticipantId = ParticipantId(7);

/// NTP ticks of a thirtieth of a second.
const STEP: u64 = (1 << 32) / 30;

struct Scene {
    stage: Stage,
    frames: mpsc::Receiver<Received>,
    zero: Instant,
}

impl Scene {
    fn new() -> Self {
        let (to, frames) = mpsc::channel(4096);
        let stage = Stage::new(to);
        stage.direct(Some(OLD), None, false);
        Self {
            stage,
            frames,
            zero: Instant::now(),
        }
    }

    /// Picture `number` comes on a leg at `ms`; every tenth one is a keyframe. `width` says which encoding.
    fn picture(&self, leg: LegId, number: u64, ms: u64, width: u8) {
        self.bring(leg, Some(number), number.is_multiple_of(10), ms, width);
    }

    fn bring(&self, leg: LegId, number: Option<u64>, is_key: bool, ms: u64, width: u8) {
        let arrived = self.zero + Duration::from_millis(ms);
        let tag = u8::from(!is_key);
        let data = vec![tag, 0, 0, 0x9d, 1, 0x2a, width, 0, 9, 0];
        let frame = Received {
            slot: "5".to_owned(),
            participant: Some(ANA),
            codec: Codec::Vp8,
            timestamp: 0,
            captured: number.map(|number| 1000 * STEP + number * STEP),
            is_key,
            data: Bytes::from(data),
            arrived,
        };
        self.stage.handle_frame(leg, frame, arrived);
    }

    /// What went out: number and encoding.
    fn shown(&mut self) -> Vec<(u64, u8)> {
        std::iter::from_fn(|| self.frames.try_recv().ok())
            .map(|frame| {
                let captured = frame.captured.map_or(0, |at| at / STEP - 1000);
                (captured, frame.data[6])
            })
            .collect()
    }

    fn numbers(&mut self) -> Vec<u64> {
        self.shown().into_iter().map(|(number, _)| number).collect()
    }
}

/// Both legs bring thirty pictures a second, the new one `lag` milliseconds later (or earlier) and from picture `begin` on.
fn move_over(lag: i64, begin: u64, new_width: u8) -> Vec<(u64, u8)> {
    let mut scene = Scene::new();
    scene.stage.direct(Some(OLD), None, true);
    let mut events = Vec::new();
    for number in 0..120_u64 {
        let at = 1000 + i64::try_from(number * 33).unwrap();
        events.push((at, OLD, number));
        if number >= begin {
            events.push((at + lag, NEW, number));
        }
    }
    events.sort_unstable();
    let mut is_arriving = false;
    for (at, leg, number) in events {
        if leg == NEW && !is_arriving {
            is_arriving = true;
            scene.stage.direct(Some(OLD), Some(NEW), true);
        }
        let width = if leg == OLD { 1 } else { new_width };
        scene.picture(leg, number, u64::try_from(at).unwrap(), width);
    }
    scene.stage.direct(Some(NEW), None, false);
    scene.stage.flush();
    scene.shown()
}

#[test]
fn between_two_lines_no_picture_is_missing_and_none_comes_twice() {
    for lag in [-200, -20, 0, 20, 200, 600] {
        let shown = move_over(lag, 40, 2);
        let numbers: Vec<u64> = shown.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (0..120).collect::<Vec<_>>(), "{lag} ms later");
        let first_new = shown.iter().position(|(_, width)| *width == 2);
        assert_eq!(first_new, Some(40), "{lag} ms later: at the first keyframe");
        assert!(shown[40..].iter().all(|(_, width)| *width == 2));
    }
}

#[test]
fn where_frames_do_not_say_when_they_were_captured_a_keyframe_is_the_point() {
    let mut scene = Scene::new();
    scene.stage.direct(Some(OLD), Some(NEW), true);
    scene.bring(OLD, None, true, 0, 1);
    scene.bring(NEW, None, false, 10, 2);
    scene.bring(OLD, None, false, 33, 1);
    scene.bring(NEW, None, true, 50, 2);
    scene.bring(OLD, None, false, 66, 1);
    scene.bring(NEW, None, false, 80, 2);
    let widths: Vec<u8> = scene.shown().iter().map(|(_, width)| *width).collect();
    assert_eq!(widths, [1, 1, 2, 2]);
}

#[test]
fn a_leg_that_comes_to_nothing_gives_back_what_it_took() {
    let mut scene = Scene::new();
    scene.stage.direct(Some(OLD), Some(NEW), true);
    for number in 0..15 {
        scene.picture(OLD, number, number * 33, 1);
        scene.picture(NEW, number, number * 33 + 5, 1);
    }
    scene.stage.direct(Some(OLD), None, false);
    for number in 15..20 {
        scene.picture(OLD, number, number * 33, 1);
        scene.picture(NEW, number, number * 33 + 5, 1);
    }
    assert_eq!(scene.numbers(), (0..20).collect::<Vec<_>>());
}

#[test]
fn what_was_captured_before_and_never_comes_is_waited_for_only_so_long() {
    let mut scene = Scene::new();
    scene.stage.direct(Some(OLD), Some(NEW), true);
    scene.picture(OLD, 8, 0, 1);
    // The old leg is dead; picture 9 does not come.
    for number in 10..40 {
        scene.picture(NEW, number, number * 33, 1);
    }
    scene.stage.flush();
    let expected: Vec<u64> = std::iter::once(8).chain(10..40).collect();
    assert_eq!(scene.numbers(), expected);
}

#[test]
fn a_standby_begins_at_once_and_repeats_nothing_of_the_same_encoding() {
    let mut scene = Scene::new();
    for number in 0..16 {
        scene.picture(OLD, number, number * 33, 1);
    }
    // The old leg fell silent; the standby's keyframe is from before that.
    scene.stage.direct(Some(OLD), Some(NEW), false);
    for number in 10..20 {
        scene.picture(NEW, number, 800 + number, 1);
    }
    scene.stage.flush();
    assert_eq!(scene.numbers(), (0..20).collect::<Vec<_>>());
}

#[test]
fn a_voice_changes_over_between_two_packets_whatever_slots_it_is_in() {
    let mut scene = Scene::new();
    let voice = |scene: &Scene, leg, slot: &str, number: u64, ms| {
        let arrived = scene.zero + Duration::from_millis(ms);
        let frame = Received {
            slot: slot.to_owned(),
            participant: Some(ANA),
            codec: Codec::Opus,
            timestamp: 0,
            captured: Some(1000 * STEP + number * STEP),
            is_key: true,
            data: Bytes::from_static(&[0; 10]),
            arrived,
        };
        scene.stage.handle_frame(leg, frame, arrived);
    };
    scene.stage.direct(Some(OLD), None, true);
    for number in 0..40 {
        voice(&scene, OLD, "1", number, number * 20);
        if number == 10 {
            scene.stage.direct(Some(OLD), Some(NEW), true);
        }
        if number >= 15 {
            voice(&scene, NEW, "2", number - 5, number * 20 + 3);
        }
    }
    scene.stage.direct(Some(NEW), None, false);
    for number in 35..50 {
        voice(&scene, NEW, "2", number, number * 20 + 103);
    }
    let numbers: Vec<u64> = std::iter::from_fn(|| scene.frames.try_recv().ok())
        .filter_map(|frame| frame.captured.map(|at| at / STEP - 1000))
        .collect();
    assert_eq!(numbers, (0..50).collect::<Vec<_>>());
}

proptest! {
    /// Whatever the lines are like, and whichever encoding the new host begins with.
    #[test]
    fn a_move_shows_every_picture_once(lag in -300_i64..600, begin in 35_u64..60, width in 1_u8..3) {
        let numbers: Vec<u64> = move_over(lag, begin, width).into_iter().map(|(number, _)| number).collect();
        prop_assert_eq!(numbers, (0..120).collect::<Vec<_>>());
    }
}
