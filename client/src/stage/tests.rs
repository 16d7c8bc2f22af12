//! Scripted legs bring numbered frames of one publisher, and what goes out is read back.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::assembly::Identity;
use crate::media::Codec;

const OLD: LegId = LegId(1);
const NEW: LegId = LegId(2);
const ANA: ParticipantId = ParticipantId(7);

/// Ticks of a frame.
const STEP: u32 = 3000;

/// Packets of a frame.
const PACKETS: u16 = 3;

/// One publication's encodings.
const SMALL: u32 = 0x700;
const LARGE: u32 = 0x701;

/// What a browser sends to another host.
const FOREIGN: u32 = 0x1234_5678;

struct Scene {
    stage: Stage,
    frames: mpsc::Receiver<Received>,
    zero: Instant,
}

impl Scene {
    fn new() -> Self {
        let (to, frames) = mpsc::channel(4096);
        let scene = Self {
            stage: Stage::new(to),
            frames,
            zero: Instant::now(),
        };
        scene.direct(OLD, None, 0);
        scene
    }

    fn at(&self, ms: u64) -> Instant {
        self.zero + Duration::from_millis(ms)
    }

    fn direct(&self, current: LegId, arriving: Option<LegId>, ms: u64) {
        self.stage
            .direct(Some(current), arriving, false, self.at(ms));
    }

    /// Picture `number` of an encoding comes on a leg at `ms`. True: a keyframe is asked for.
    fn picture(&self, leg: LegId, ssrc: u32, number: u16, is_key: bool, ms: u64) -> bool {
        let frame = Received {
            slot: "5".to_owned(),
            participant: Some(ANA),
            codec: Codec::Vp8,
            timestamp: 0,
            identity: Some(Identity {
                ssrc,
                timestamp: u32::from(number).wrapping_sub(20).wrapping_mul(STEP),
                first: number.wrapping_mul(PACKETS),
                last: number.wrapping_mul(PACKETS) + PACKETS - 1,
            }),
            is_key,
            data: Bytes::new(),
            arrived: self.at(ms),
        };
        self.stage.handle_frame(leg, frame, self.at(ms))
    }

    fn voice(&self, leg: LegId, slot: &str, ssrc: u32, number: u16, ms: u64) {
        let frame = Received {
            slot: slot.to_owned(),
            participant: Some(ANA),
            codec: Codec::Opus,
            timestamp: 0,
            identity: Some(Identity {
                ssrc,
                timestamp: u32::from(number) * 960,
                first: number,
                last: number,
            }),
            is_key: true,
            data: Bytes::new(),
            arrived: self.at(ms),
        };
        self.stage.handle_frame(leg, frame, self.at(ms));
    }

    /// What went out: encoding and number.
    fn shown(&mut self) -> Vec<(u32, u16)> {
        let frames = std::iter::from_fn(|| self.frames.try_recv().ok());
        let shown = frames.filter_map(|frame| {
            let identity = frame.identity?;
            let packets = if frame.codec == Codec::Opus {
                1
            } else {
                PACKETS
            };
            Some((identity.ssrc, identity.first / packets))
        });
        shown.collect()
    }

    fn numbers(&mut self) -> Vec<u16> {
        self.shown().into_iter().map(|(_, number)| number).collect()
    }
}

/// How the two legs of a move are.
#[derive(Clone, Debug)]
struct Lines {
    /// The new leg's is so much longer.
    lag: i64,
    /// The new leg begins with this picture.
    begin: u16,
    /// The old one's last.
    end: u16,
    /// With this encoding, and after so many more with the old one's.
    ssrc: u32,
    better_after: Option<u16>,
    /// Pictures that do not come by the old and the new one.
    lost: (Vec<u16>, Vec<u16>),
}

const LINES: Lines = Lines {
    lag: 20,
    begin: 40,
    end: 100,
    ssrc: LARGE,
    better_after: None,
    lost: (Vec::new(), Vec::new()),
};

/// Thirty pictures a second, all of the large encoding by the old leg; a keyframe that is asked for is the next picture.
fn move_over(lines: &Lines) -> Vec<(u32, u16)> {
    let mut scene = Scene::new();
    let mut events = Vec::new();
    for number in 0..=200_u16 {
        let at = 1000 + i64::from(number) * 33;
        if number <= lines.end && !lines.lost.0.contains(&number) {
            events.push((at, OLD, number));
        }
        if number >= lines.begin && !lines.lost.1.contains(&number) {
            events.push((at + lines.lag, NEW, number));
        }
    }
    events.sort_unstable();
    let arriving = 1000 + u64::from(lines.begin) * 33 - 5;
    let better = lines.better_after.map(|after| lines.begin + after);
    let (mut is_arriving, mut is_current) = (false, false);
    let mut keys = vec![lines.begin];
    for (at, leg, number) in events {
        let ms = u64::try_from(at).unwrap();
        if ms >= arriving && !is_arriving {
            is_arriving = true;
            scene.direct(OLD, Some(NEW), arriving);
        }
        // A word to signaling and back.
        if is_arriving
            && !is_current
            && (scene.stage.is_taken(NEW, scene.at(ms)) || ms > arriving + 3000)
        {
            is_current = true;
            scene.direct(NEW, None, ms);
        }
        if leg == OLD {
            scene.picture(OLD, LARGE, number, number == 0, ms);
            continue;
        }
        let is_better = better.is_some_and(|better| number >= better);
        let ssrc = if is_better { LARGE } else { lines.ssrc };
        let is_key = keys.contains(&number) || better == Some(number);
        if scene.picture(NEW, ssrc, number, is_key, ms) {
            // A round trip later.
            keys.push(number + 3);
        }
    }
    scene.stage.close(OLD);
    scene.stage.flush();
    scene.shown()
}

fn numbers(shown: &[(u32, u16)]) -> Vec<u16> {
    shown.iter().map(|(_, number)| *number).collect()
}

#[test]
fn copies_of_one_encoding_are_merged_whichever_line_is_longer() {
    for lag in [-200, -20, 0, 20, 200, 600] {
        let shown = move_over(&Lines { lag, ..LINES });
        assert_eq!(
            numbers(&shown),
            (0..=200).collect::<Vec<_>>(),
            "{lag} ms later"
        );
    }
}

#[test]
fn what_one_leg_loses_the_other_one_brings() {
    let lost = (vec![60, 61, 75], vec![50, 70]);
    for lag in [-100, 20, 100] {
        let lost = lost.clone();
        let shown = move_over(&Lines { lag, lost, ..LINES });
        assert_eq!(
            numbers(&shown),
            (0..=200).collect::<Vec<_>>(),
            "{lag} ms later"
        );
    }
}

#[test]
fn what_the_old_leg_loses_before_the_new_one_has_brought_anything_is_waited_for() {
    let lost = (vec![62], Vec::new());
    let lines = Lines {
        lag: 165,
        begin: 58,
        end: 190,
        lost,
        ..LINES
    };
    assert_eq!(numbers(&move_over(&lines)), (0..=200).collect::<Vec<_>>());
}

#[test]
fn pictures_of_which_every_second_comes_do_not_wait_for_a_new_leg() {
    let mut scene = Scene::new();
    scene.direct(OLD, Some(NEW), 0);
    for number in (30..40_u16).step_by(2) {
        scene.picture(OLD, LARGE, number, number == 30, u64::from(number) * 33);
        assert_eq!(scene.numbers(), [number]);
    }
}

#[test]
fn a_new_line_is_given_a_moment_to_bring_the_encoding_that_is_shown() {
    let lines = Lines {
        ssrc: SMALL,
        better_after: Some(20),
        ..LINES
    };
    let shown = move_over(&lines);
    let all: Vec<_> = (0..=200).map(|number| (LARGE, number)).collect();
    assert_eq!(shown, all);
}

#[test]
fn another_encoding_follows_at_a_keyframe_and_nothing_is_missing_or_shown_twice() {
    for lag in [-200, -20, 0, 20, 200] {
        let lines = Lines {
            lag,
            ssrc: SMALL,
            ..LINES
        };
        let shown = move_over(&lines);
        assert_eq!(
            numbers(&shown),
            (0..=200).collect::<Vec<_>>(),
            "{lag} ms later"
        );
        let first = shown.iter().position(|(ssrc, _)| *ssrc == SMALL).unwrap();
        assert!((70..90).contains(&first), "{lag} ms later: at {first}");
        assert!(shown[first..].iter().all(|(ssrc, _)| *ssrc == SMALL));
    }
}

#[test]
fn where_encodings_have_nothing_in_common_a_keyframe_is_the_point() {
    let mut scene = Scene::new();
    scene.direct(OLD, Some(NEW), 0);
    scene.picture(OLD, LARGE, 30, true, 0);
    assert!(!scene.picture(NEW, FOREIGN, 930, false, 10), "not yet");
    scene.picture(OLD, LARGE, 31, false, 33);
    scene.picture(NEW, FOREIGN, 931, true, 50);
    scene.picture(OLD, LARGE, 32, false, 66);
    scene.picture(NEW, FOREIGN, 932, false, 80);
    assert_eq!(scene.numbers(), [30, 31, 931, 932]);
    // It comes to nothing: the old one goes on at once.
    scene.direct(OLD, None, 90);
    scene.picture(OLD, LARGE, 33, false, 99);
    assert_eq!(scene.numbers(), [33]);
}

#[test]
fn whoever_is_shown_and_begins_in_the_middle_asks_for_a_keyframe() {
    let mut scene = Scene::new();
    scene.picture(OLD, LARGE, 30, true, 0);
    scene.stage.close(OLD);
    scene.direct(NEW, None, 10);
    assert!(scene.picture(NEW, FOREIGN, 931, false, 50));
    assert!(!scene.picture(NEW, FOREIGN, 932, true, 80));
    assert_eq!(scene.numbers(), [30, 932]);
}

#[test]
fn a_standby_goes_on_where_a_host_fell_silent_and_repeats_nothing() {
    let mut scene = Scene::new();
    for number in 30..46 {
        scene.picture(OLD, LARGE, number, number == 30, u64::from(number) * 33);
    }
    let silent = 46 * 33 + 150;
    let now = scene.at(silent);
    scene.stage.direct(Some(OLD), Some(NEW), true, now);
    // Its keyframe is from before that.
    for number in 40..60 {
        scene.picture(NEW, LARGE, number, number == 40, silent + u64::from(number));
    }
    assert_eq!(scene.numbers(), (30..60).collect::<Vec<_>>());
}

#[test]
fn a_voice_is_one_whatever_slots_it_is_in() {
    let mut scene = Scene::new();
    scene.direct(OLD, Some(NEW), 0);
    for number in 0..40_u16 {
        let ms = u64::from(number) * 20;
        scene.voice(OLD, "1", 9, number, ms);
        if number > 15 {
            scene.voice(NEW, "2", 9, number - 5, ms + 3);
        }
    }
    scene.direct(NEW, None, 800);
    scene.stage.close(OLD);
    for number in 35..50_u16 {
        scene.voice(NEW, "2", 9, number, u64::from(number) * 20 + 103);
    }
    assert_eq!(scene.numbers(), (0..50).collect::<Vec<_>>());
}

#[test]
fn of_two_streams_of_one_voice_the_current_leg_s_is_heard() {
    let mut scene = Scene::new();
    scene.direct(OLD, Some(NEW), 0);
    for number in 0..10_u16 {
        let ms = u64::from(number) * 20;
        scene.voice(OLD, "1", 9, number, ms);
        scene.voice(NEW, "1", FOREIGN, number, ms + 3);
    }
    assert_eq!(
        scene.shown(),
        (0..10).map(|number| (9, number)).collect::<Vec<_>>()
    );
    assert!(scene.stage.is_taken(NEW, scene.at(200)));
    scene.direct(NEW, None, 200);
    scene.voice(NEW, "1", FOREIGN, 10, 203);
    scene.voice(OLD, "1", 9, 10, 204);
    assert_eq!(scene.shown(), [(FOREIGN, 10)]);
}

#[test]
fn what_builds_on_pictures_that_were_left_out_waits_for_a_keyframe() {
    let mut scene = Scene::new();
    scene.direct(OLD, Some(NEW), 0);
    // The old leg gets every second picture only, and is ahead of the new one, which gets all.
    for number in 30..50_u16 {
        let ms = u64::from(number) * 33;
        if number % 2 == 0 && number < 46 {
            scene.picture(OLD, LARGE, number, number == 30, ms);
        }
        if number >= 33 {
            scene.picture(NEW, LARGE, number - 3, number == 33, ms);
        }
    }
    let before = scene.numbers();
    assert_eq!(before, (30..46).step_by(2).collect::<Vec<_>>());
    scene.direct(NEW, None, 1650);
    assert!(
        scene.picture(NEW, LARGE, 47, false, 2000),
        "it asks for one"
    );
    assert!(!scene.picture(NEW, LARGE, 48, true, 2033));
    scene.picture(NEW, LARGE, 49, false, 2066);
    assert_eq!(scene.numbers(), [48, 49]);
}

proptest! {
    /// Whatever the lines are like, and whatever the new one begins with.
    #[test]
    fn a_move_shows_every_picture_once(
        lag in -250_i64..250,
        begin in 35_u16..60,
        is_small in any::<bool>(),
        better in proptest::option::of(1_u16..28),
        lost in proptest::collection::btree_set(62_u16..200, 0..8),
    ) {
        // A picture that neither brings is missed whatever is done: of two that are lost only one by each.
        let lost: Vec<u16> = if is_small { Vec::new() } else { lost.into_iter().filter(|number| *number < 100).collect() };
        let halves = lost.iter().partition(|number| *number % 2 == 0);
        let ssrc = if is_small { SMALL } else { LARGE };
        let lines = Lines { lag, begin, ssrc, better_after: better.filter(|_| is_small), lost: halves, ..LINES };
        let lines = Lines { end: 190, ..lines };
        prop_assert_eq!(numbers(&move_over(&lines)), (0..=200).collect::<Vec<_>>());
    }
}
