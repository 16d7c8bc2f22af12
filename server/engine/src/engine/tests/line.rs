//! Stories of lines that do not carry everything. The host's uplink is what is scarce: it is known without any feedback.

use std::time::Duration;

use baton_protocol::{PathToHost, PauseReason, Source};

use super::people::{Meeting, Who};
use super::{FRAME, view};

/// Two people with cameras; Ben watches Ana in full size.
fn ana_and_ben(seed: u8) -> (Meeting, Who, Who) {
    let mut meeting = Meeting::new(seed);
    let ana = meeting.join("ana", &[Source::Microphone, Source::Camera], 0);
    let ben = meeting.join("ben", &[], 1);
    meeting.say(ben, view(meeting.person(ben), 0, 101, 1280, 720));
    (meeting, ana, ben)
}

/// Ana films in three layers of about 40, 260 and 1300 kb/s and speaks, for so many pictures; a keyframe every second.
fn film(meeting: &mut Meeting, ana: Who, pictures: usize) {
    for picture in 0..pictures {
        let keyframe = picture % 30 == 0;
        meeting.publish_sized(ana, 0, keyframe, &[120]);
        meeting.publish_sized(ana, 1, keyframe, &[1000]);
        meeting.publish_sized(ana, 2, keyframe, &[1050; 5]);
        meeting.publish_audio(ana, 30);
        meeting.advance(FRAME);
    }
}

/// Bytes of pictures and packets of sound that somebody got.
fn got(meeting: &mut Meeting, who: Who) -> (usize, usize) {
    let packets = meeting.take_packets(who);
    let is_sound = |payload: &[u8]| payload.iter().all(|byte| *byte == 0x78);
    let sound = packets.iter().filter(|packet| is_sound(&packet.payload));
    let pictures = packets.iter().filter(|packet| !is_sound(&packet.payload));
    (
        pictures.map(|packet| packet.payload.len()).sum(),
        sound.count(),
    )
}

#[test]
fn the_layer_follows_the_line_and_video_is_paused_before_sound() {
    let (mut meeting, ana, ben) = ana_and_ben(20);
    film(&mut meeting, ana, 60);
    got(&mut meeting, ben);
    film(&mut meeting, ana, 30);
    let (free, _) = got(&mut meeting, ben);
    assert!(
        free > 30 * 5000,
        "without a limit the largest layer: {free}"
    );

    meeting.set_uplink(Some(500));
    film(&mut meeting, ana, 40);
    got(&mut meeting, ben);
    film(&mut meeting, ana, 30);
    let (middle, sound) = got(&mut meeting, ben);
    assert!(
        (25_000..40_000).contains(&middle),
        "the middle layer: {middle}"
    );
    assert_eq!((sound, meeting.paused(ben)), (30, None));

    meeting.set_uplink(Some(60));
    film(&mut meeting, ana, 40);
    got(&mut meeting, ben);
    film(&mut meeting, ana, 30);
    let (none, sound) = got(&mut meeting, ben);
    assert_eq!((none, sound), (0, 30), "no picture, all of the sound");
    assert_eq!(meeting.paused(ben), Some(PauseReason::Bandwidth));

    meeting.set_uplink(Some(4000));
    film(&mut meeting, ana, 150);
    got(&mut meeting, ben);
    film(&mut meeting, ana, 30);
    let (again, sound) = got(&mut meeting, ben);
    assert!(again > 30 * 5000, "it comes back by itself: {again}");
    assert_eq!((sound, meeting.paused(ben)), (30, None));
}

#[test]
fn an_uplink_that_trembles_does_not_make_layers_jump() {
    let (mut meeting, ana, ben) = ana_and_ben(21);
    film(&mut meeting, ana, 60);
    meeting.set_uplink(Some(430));
    film(&mut meeting, ana, 120);
    let before = meeting.stats().switches;
    for round in 0..60 {
        meeting.set_uplink(Some(410 + round * 17 % 40));
        film(&mut meeting, ana, 10);
    }
    let switches = meeting.stats().switches - before;
    assert!(switches <= 1, "{switches} switches in 20 s");
    assert_eq!(meeting.paused(ben), None);
}

#[test]
fn one_uplink_is_shared_and_everybody_hears() {
    let mut meeting = Meeting::new(22);
    let ana = meeting.join("ana", &[Source::Microphone, Source::Camera], 0);
    let [ben, carl] = ["ben", "carl"].map(|name| meeting.join(name, &[], 1));
    meeting.say(ben, view(meeting.person(ben), 0, 101, 1280, 720));
    meeting.say(carl, view(meeting.person(carl), 0, 101, 320, 180));
    meeting.set_uplink(Some(900));
    film(&mut meeting, ana, 150);
    let before = meeting.stats().bytes_out;
    for who in [ben, carl] {
        meeting.take_packets(who);
    }
    film(&mut meeting, ana, 90);
    let rate = (meeting.stats().bytes_out - before) * 8 / 3;
    assert!(rate <= 900_000, "{rate} b/s leave the host");
    let ([large, small], heard) = {
        let seen = [ben, carl].map(|who| got(&mut meeting, who));
        (seen.map(|(bytes, _)| bytes), seen.map(|(_, sound)| sound))
    };
    assert!(
        (75_000..120_000).contains(&large),
        "the middle layer: {large}"
    );
    assert!((9000..14_000).contains(&small), "the small one: {small}");
    assert_eq!(heard, [90, 90]);
}

#[test]
fn who_is_on_the_host_s_own_computer_takes_nothing_from_its_uplink() {
    let mut meeting = Meeting::new(24);
    let ana = meeting.join("ana", &[Source::Microphone, Source::Camera], 0);
    let far = meeting.join("ben", &[], 1);
    meeting.people_at([127, 0, 0, 1]);
    let own = meeting.join("carl", &[], 1);
    for who in [far, own] {
        meeting.say(who, view(meeting.person(who), 0, 101, 1280, 720));
    }
    meeting.set_uplink(Some(450));
    film(&mut meeting, ana, 150);
    for who in [far, own] {
        meeting.take_packets(who);
    }
    film(&mut meeting, ana, 90);
    let [(far, heard), (own, _)] = [far, own].map(|who| got(&mut meeting, who));
    assert!((75_000..120_000).contains(&far), "the middle layer: {far}");
    assert!(own > 90 * 5000, "the largest layer: {own}");
    assert_eq!(heard, 90);
}

#[test]
fn a_keyframe_does_not_flood_a_slow_line_and_goes_in_calls_of_many_packets() {
    let (mut meeting, ana, ben) = ana_and_ben(23);
    film(&mut meeting, ana, 60);
    meeting.set_uplink(Some(2000));
    film(&mut meeting, ana, 120);
    meeting.take_packets(ben);
    meeting.forget_calls();
    // 60 kB at two and a half times 2 Mb/s take 96 ms, of which 40 are sent at once.
    meeting.publish_sized(ana, 2, true, &[1050; 57]);
    let at_once = meeting.take_packets(ben).len();
    assert!((15..30).contains(&at_once), "{at_once} packets at once");
    meeting.advance(Duration::from_millis(100));
    assert_eq!(at_once + meeting.take_packets(ben).len(), 57);
    let calls = meeting.media_calls(ben);
    assert!(calls.len() <= 57 / 4, "{calls:?}");
}

#[test]
fn pictures_that_a_line_has_room_for_are_not_delayed() {
    let (mut meeting, ana, ben) = ana_and_ben(24);
    film(&mut meeting, ana, 60);
    meeting.set_uplink(Some(2000));
    film(&mut meeting, ana, 120);
    meeting.forget_calls();
    for _ in 0..30 {
        meeting.take_packets(ben);
        meeting.publish_sized(ana, 2, false, &[1050; 5]);
        assert_eq!(meeting.take_packets(ben).len(), 5, "at once");
        meeting.advance(FRAME);
    }
    let calls = meeting.media_calls(ben);
    assert!(calls.iter().all(|packets| *packets == 5), "{calls:?}");
}

#[test]
fn repairs_are_rationed_and_never_old() {
    let (mut meeting, ana, ben) = ana_and_ben(25);
    film(&mut meeting, ana, 60);
    meeting.set_uplink(Some(2000));
    film(&mut meeting, ana, 60);
    meeting.take_packets(ben);
    film(&mut meeting, ana, 24);
    let seen = meeting.take_packets(ben);
    let pictures: Vec<_> = seen
        .iter()
        .filter(|packet| packet.payload.len() > 1000)
        .collect();
    assert_eq!(pictures.len(), 24 * 5);
    for packet in &pictures {
        meeting.nack(ben, packet.ssrc, packet.seq);
    }
    // A fifth of 2 Mb/s for half a second are 25 kB.
    let repaired = meeting.take_retransmissions(ben).len();
    assert!((20..28).contains(&repaired), "{repaired} of 120");
    meeting.advance(Duration::from_millis(1100));
    let last = pictures.last().expect("pictures");
    meeting.nack(ben, last.ssrc, last.seq);
    assert_eq!(
        meeting.take_retransmissions(ben).len(),
        0,
        "too old to be of use"
    );
}

#[test]
fn fewer_pictures_a_second_are_asked_for_and_no_number_is_left_out() {
    let mut meeting = Meeting::new(26);
    let ana = meeting.join("ana", &[Source::Camera], 0);
    let ben = meeting.join("ben", &[], 1);
    let calm = |meeting: &Meeting, fps| {
        let PathToHost::View { mut slots } = view(meeting.person(ben), 0, 100, 1280, 720) else {
            unreachable!("a view");
        };
        slots[0].fps = fps;
        PathToHost::View { slots }
    };
    meeting.say(ben, calm(&meeting, 0));
    let film = |meeting: &mut Meeting, pictures: usize| {
        for picture in 0..pictures {
            let temporal = [0, 2, 1, 2][picture % 4];
            // The first of each higher layer after a base picture needs only that.
            meeting.publish_temporal(ana, 2, 600, temporal, matches!(picture % 4, 1 | 2));
            meeting.advance(FRAME);
        }
    };
    film(&mut meeting, 60);
    let mut all = meeting.take_packets(ben);
    assert_eq!(all.len(), 60);
    for (fps, expected) in [(8, 15), (15, 30), (0, 60)] {
        meeting.say(ben, calm(&meeting, fps));
        film(&mut meeting, 60);
        let seen = meeting.take_packets(ben);
        assert!(
            seen.len().abs_diff(expected) <= 4,
            "{} pictures at {fps} fps",
            seen.len()
        );
        all.extend(seen);
    }
    for pair in all.windows(2) {
        assert_eq!(pair[1].seq.wrapping_sub(pair[0].seq), 1);
        assert_eq!(
            pair[1].picture_id.wrapping_sub(pair[0].picture_id) & 0x7fff,
            1
        );
        assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp) >= 2970);
    }
}

#[test]
fn a_publisher_is_told_what_is_watched() {
    let (mut meeting, ana, ben) = ana_and_ben(27);
    assert_eq!(meeting.wanted(ana), Some(vec![vec![true; 3]]));
    film(&mut meeting, ana, 60);
    assert_eq!(
        meeting.wanted(ana),
        Some(vec![vec![true; 3]]),
        "it finds out what its line carries"
    );
    film(&mut meeting, ana, 100);
    assert_eq!(
        meeting.wanted(ana),
        Some(vec![vec![true, false, true]]),
        "the large and the spare one"
    );
    meeting.say(ben, view(meeting.person(ben), 0, 101, 500, 280));
    assert_eq!(meeting.wanted(ana), Some(vec![vec![true; 3]]), "at once");
    film(&mut meeting, ana, 60);
    assert_eq!(meeting.wanted(ana), Some(vec![vec![true, true, false]]));
    meeting.leave(ben);
    film(&mut meeting, ana, 60);
    assert_eq!(meeting.wanted(ana), Some(vec![vec![false; 3]]), "alone");
}
