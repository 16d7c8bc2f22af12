//! Stories of a room with keyed legs: real SRTP, no handshake, no clock.

mod abuse;
mod bridges;
mod estimate;
mod line;
mod people;
mod relayed;
mod terms;

use std::time::Duration;

use baton_protocol::{PathFromHost, PathToHost, PauseReason, SlotView, Source};
use people::{Meeting, Person};

use crate::codec::Codec;

const FRAME: Duration = Duration::from_millis(33);

fn view(person: &Person, slot: usize, track: u32, width: u16, height: u16) -> PathToHost {
    let slot = person.video_mid(slot);
    PathToHost::View {
        slots: vec![SlotView {
            slot,
            track: baton_protocol::TrackId(track),
            width,
            height,
            fps: 0,
            priority: 0,
        }],
    }
}

#[test]
fn a_picture_reaches_the_other_and_nobody_else() {
    let mut meeting = Meeting::new(1);
    let ana = meeting.join("ana", &[Source::Camera], 2);
    let ben = meeting.join("ben", &[], 2);
    let carl = meeting.join("carl", &[], 2);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 640, 360));
    for frame in 0..30 {
        meeting.publish_frame(ana, 0, frame == 0, 3);
        meeting.advance(FRAME);
    }
    let seen = meeting.take_packets(ben);
    assert_eq!(seen.len(), 90, "every packet of every frame");
    assert!(
        seen.iter()
            .all(|packet| packet.csrc == Some(meeting.participant(ana)))
    );
    assert!(meeting.take_packets(ana).is_empty() && meeting.take_packets(carl).is_empty());
}

#[test]
fn a_room_that_was_just_served_is_looked_at_a_little_early_and_then_later() {
    let mut meeting = Meeting::new(1);
    let ana = meeting.join("ana", &[Source::Camera], 2);
    let ben = meeting.join("ben", &[], 2);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 640, 360));
    let (mut frame, ms) = (0, Duration::from_millis);
    let left = |meeting: &Meeting| {
        let engine = meeting.engine();
        let due = engine.rooms.iter().next().unwrap().1.refresh_due;
        due.since(engine.epoch.tick(meeting.now()))
    };
    let mut until = |meeting: &mut Meeting, span| {
        meeting.advance(left(meeting) - span);
        meeting.publish_frame(ana, 0, frame == 0, 3);
        frame += 1;
        meeting.spare_a_moment();
        left(meeting)
    };
    meeting.advance(ms(150));
    meeting.advance(left(&meeting));
    assert_eq!(until(&mut meeting, ms(60)), ms(60), "too early");
    assert_eq!(until(&mut meeting, ms(20)), ms(115), "at once");
    meeting.spare_a_moment();
    meeting.advance(ms(30));
    assert_eq!(left(&meeting), ms(85), "its old moment passes");
    assert_eq!(until(&mut meeting, ms(15)), ms(115), "by the next picture");
    meeting.advance(ms(120));
    assert_eq!(left(&meeting), ms(95), "where there is none, by itself");
    assert_eq!(meeting.take_packets(ben).len(), 9);
}

#[test]
fn numbers_are_continuous_over_a_change_of_layer_which_waits_for_a_keyframe() {
    let mut meeting = Meeting::new(2);
    let ana = meeting.join("ana", &[Source::Camera], 0);
    let ben = meeting.join("ben", &[], 1);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
    for frame in 0..60 {
        if frame == 1 {
            meeting.take_packets(ben);
        }
        if frame == 20 {
            meeting.say(ben, view(meeting.person(ben), 0, 100, 160, 90));
        }
        let keyframe = frame == 0 || frame == 40;
        meeting.publish_frame(ana, 0, keyframe, 1);
        meeting.publish_frame(ana, 2, keyframe, 5);
        meeting.advance(FRAME);
    }
    let seen = meeting.take_packets(ben);
    assert_eq!(
        seen.len(),
        39 * 5 + 20,
        "the large layer until the small one has a keyframe"
    );
    for pair in seen.windows(2) {
        let [a, b] = pair else { continue };
        assert_eq!(b.seq.wrapping_sub(a.seq), 1, "no hole and no repetition");
        let step = b.timestamp.wrapping_sub(a.timestamp);
        assert!(
            step == 0 || (2500..3500).contains(&step),
            "{step} ticks between pictures"
        );
        let pictures = b.picture_id.wrapping_sub(a.picture_id) & 0x7fff;
        assert_eq!(pictures, u16::from(step != 0), "picture ids count on");
    }
    assert!(meeting.keyframes_asked(ana) >= 1);
}

#[test]
fn a_whole_frame_is_one_send_call_per_subscriber() {
    let mut meeting = Meeting::new(3);
    let ana = meeting.join("ana", &[Source::Camera], 0);
    let ben = meeting.join("ben", &[], 1);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
    meeting.publish_frame(ana, 2, true, 5);
    meeting.advance(FRAME);
    meeting.forget_calls();
    for _ in 0..10 {
        meeting.publish_uneven_frame(ana, 2, 5);
        meeting.advance(FRAME);
    }
    let calls = meeting.media_calls(ben);
    assert_eq!(calls.len(), 10, "{calls:?}");
    assert!(calls.iter().all(|packets| *packets == 5), "{calls:?}");
}

#[test]
fn a_lost_packet_is_sent_again_from_the_ring_and_upstream_holes_are_asked_for() {
    let mut meeting = Meeting::new(4);
    let ana = meeting.join("ana", &[Source::Camera], 0);
    let ben = meeting.join("ben", &[], 1);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
    meeting.publish_frame(ana, 2, true, 4);
    meeting.advance(FRAME);
    let seen = meeting.take_packets(ben);
    let lost = seen[2].clone();
    meeting.nack(ben, lost.ssrc, lost.seq);
    meeting.advance(Duration::from_millis(5));
    let repairs = meeting.take_retransmissions(ben);
    assert_eq!(repairs.len(), 1);
    assert_eq!(repairs[0].original_seq, Some(lost.seq));
    assert_eq!(repairs[0].payload, lost.payload, "the same bytes");
    meeting.skip_packet(ana, 2);
    meeting.publish_frame(ana, 2, false, 3);
    meeting.advance(Duration::from_millis(30));
    assert_eq!(meeting.nacked(ana), 1);
}

#[test]
fn what_is_lost_for_too_long_to_be_repaired_is_replaced_by_a_keyframe() {
    let mut meeting = Meeting::new(4);
    let ana = meeting.join("ana", &[Source::Camera], 0);
    let ben = meeting.join("ben", &[], 1);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
    meeting.publish_frame(ana, 2, true, 4);
    meeting.advance(FRAME);
    let lost = meeting.take_packets(ben)[3].clone();
    let asked = meeting.keyframes_asked(ana);
    meeting.nack(ben, lost.ssrc, lost.seq);
    meeting.advance(FRAME);
    assert_eq!(meeting.take_retransmissions(ben).len(), 1);
    assert_eq!(meeting.keyframes_asked(ana), asked, "it can be repaired");
    for _ in 0..60 {
        meeting.publish_frame(ana, 2, false, 4);
        meeting.advance(FRAME);
    }
    for _ in 0..3 {
        meeting.nack(ben, lost.ssrc, lost.seq);
        meeting.advance(Duration::from_millis(5));
    }
    assert_eq!(meeting.take_retransmissions(ben).len(), 0);
    assert_eq!(meeting.keyframes_asked(ana), asked + 1);
}

#[test]
fn a_picture_that_no_other_needs_is_missed_by_who_cannot_tell() {
    for says_so in [true, false] {
        let mut meeting = Meeting::new(4);
        let ana = meeting.join("ana", &[Source::Camera], 0);
        let ben = meeting.join("ben", &[], 1);
        meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
        meeting.publish_frame(ana, 2, true, 4);
        meeting.publish_enhancement(ana, 2, says_so);
        meeting.advance(FRAME);
        let lost = meeting.take_packets(ben)[4].clone();
        let asked = meeting.keyframes_asked(ana);
        for _ in 0..6 {
            meeting.nack(ben, lost.ssrc, lost.seq);
            meeting.advance(FRAME);
        }
        assert_eq!(meeting.take_retransmissions(ben).len(), 3);
        meeting.advance(Duration::from_millis(600));
        let keyframes = meeting.keyframes_asked(ana) - asked;
        assert_eq!(keyframes > 0, !says_so, "{keyframes} keyframes");
    }
}

#[test]
fn mute_takes_effect_at_once_and_unmute_waits_for_a_keyframe() {
    let mut meeting = Meeting::new(5);
    let ana = meeting.join("ana", &[Source::Camera], 0);
    let ben = meeting.join("ben", &[], 1);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
    meeting.publish_frame(ana, 2, true, 3);
    meeting.advance(FRAME);
    assert_eq!(meeting.take_packets(ben).len(), 3);
    meeting.mute(100, true);
    meeting.publish_frame(ana, 2, false, 3);
    meeting.advance(FRAME);
    assert!(meeting.take_packets(ben).is_empty());
    assert_eq!(meeting.paused(ben), Some(PauseReason::Muted));
    meeting.mute(100, false);
    meeting.publish_frame(ana, 2, false, 3);
    meeting.advance(FRAME);
    assert!(
        meeting.take_packets(ben).is_empty(),
        "no picture without a keyframe"
    );
    meeting.publish_frame(ana, 2, true, 3);
    meeting.advance(FRAME);
    assert_eq!(meeting.take_packets(ben).len(), 3);
    assert_eq!(meeting.paused(ben), None);
}

#[test]
fn a_hundred_requests_become_two_keyframes_a_second() {
    let mut meeting = Meeting::new(6);
    let ana = meeting.join("ana", &[Source::Camera], 0);
    let ben = meeting.join("ben", &[], 1);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
    meeting.publish_frame(ana, 2, true, 3);
    meeting.advance(FRAME);
    let ssrc = meeting.take_packets(ben)[0].ssrc;
    let before = meeting.keyframes_asked(ana);
    for _ in 0..100 {
        meeting.pli(ben, ssrc);
        meeting.advance(Duration::from_millis(10));
    }
    let asked = meeting.keyframes_asked(ana) - before;
    assert!(
        (1..=3).contains(&asked),
        "{asked} keyframes asked for within a second"
    );
}

#[test]
fn the_loudest_three_of_five_are_heard_with_their_names() {
    let mut meeting = Meeting::new(7);
    let people: Vec<_> = (0..5)
        .map(|n| meeting.join(&format!("p{n}"), &[Source::Microphone], 0))
        .collect();
    let listener = meeting.join("listener", &[], 0);
    for round in 0..200 {
        for (index, person) in people.iter().enumerate() {
            let level = if index == 1 || (index >= 3 && round > 50) {
                30
            } else {
                90
            };
            meeting.publish_audio(*person, level);
        }
        meeting.advance(Duration::from_millis(20));
    }
    let heard: Vec<_> = meeting.take_packets(listener).split_off(300);
    for loud in [1, 3, 4] {
        let name = Some(meeting.participant(people[loud]));
        let packets = heard.iter().filter(|packet| packet.csrc == name).count();
        assert!(
            packets > 80,
            "participant {loud} is heard: {packets} packets"
        );
    }
    let streams: std::collections::BTreeSet<_> = heard.iter().map(|packet| packet.ssrc).collect();
    assert_eq!(streams.len(), 3);
    assert!(matches!(
        meeting.last_speakers(listener),
        Some(PathFromHost::Speakers { speakers }) if speakers.len() == 3
    ));
}

#[test]
fn who_leaves_is_gone_at_once_and_the_room_forgets() {
    let mut meeting = Meeting::new(8);
    let ana = meeting.join("ana", &[Source::Camera], 0);
    let ben = meeting.join("ben", &[], 1);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
    meeting.publish_frame(ana, 2, true, 3);
    meeting.advance(FRAME);
    meeting.leave(ana);
    meeting.advance(FRAME);
    assert_eq!(meeting.paused(ben), Some(PauseReason::Gone));
    meeting.leave(ben);
    assert_eq!((meeting.stats().legs, meeting.stats().rooms), (0, 0));
}

#[test]
fn late_packets_of_a_stream_that_was_replaced_reach_nobody() {
    let mut meeting = Meeting::new(11);
    let ana = meeting.join("ana", &[Source::Camera], 0);
    let ben = meeting.join("ben", &[], 1);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
    meeting.publish_frame(ana, 2, true, 3);
    meeting.advance(FRAME);
    meeting.change_streams(ana, 500);
    meeting.publish_frame(ana, 2, true, 3);
    meeting.advance(FRAME);
    assert_eq!(meeting.take_packets(ben).len(), 6, "both streams, in turn");
    meeting.change_streams(ana, 0);
    for _ in 0..3 {
        meeting.publish_frame(ana, 2, true, 3);
        meeting.advance(FRAME);
    }
    assert!(meeting.take_packets(ben).is_empty(), "the old one is over");
    meeting.change_streams(ana, 500);
    meeting.publish_frame(ana, 2, true, 3);
    meeting.advance(FRAME);
    assert_eq!(meeting.take_packets(ben).len(), 3, "the new one goes on");
}

#[test]
fn who_says_for_the_first_time_what_to_show_is_told_again_who_speaks() {
    let mut meeting = Meeting::new(12);
    let ana = meeting.join("ana", &[Source::Microphone], 0);
    for _ in 0..100 {
        meeting.publish_audio(ana, 20);
        meeting.advance(Duration::from_millis(20));
    }
    let ben = meeting.join("ben", &[], 1);
    let speakers = |meeting: &Meeting| {
        let told = meeting.told(ben).iter();
        told.filter(
            |message| matches!(message, PathFromHost::Speakers { speakers } if speakers.len() == 1),
        )
        .count()
    };
    meeting.advance(FRAME);
    assert_eq!(speakers(&meeting), 0, "nothing has changed since");
    for _ in 0..2 {
        meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
        meeting.advance(FRAME);
    }
    assert_eq!(speakers(&meeting), 1);
}

#[test]
fn all_four_codecs_are_forwarded_unchanged() {
    for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
        let mut meeting = Meeting::new(9);
        let ana = meeting.join("ana", &[Source::Camera], 0);
        let ben = meeting.join("ben", &[], 1);
        meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
        meeting.publish_codec(ana, codec);
        meeting.advance(FRAME);
        let seen = meeting.take_packets(ben);
        assert_eq!(seen.len(), 2, "{codec:?}");
    }
}

#[test]
fn a_layer_that_stutters_is_not_chased() {
    let mut meeting = Meeting::new(10);
    let ana = meeting.join("ana", &[Source::Camera], 0);
    let ben = meeting.join("ben", &[], 1);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
    for frame in 0..600 {
        meeting.publish_frame(ana, 0, frame % 30 == 0, 1);
        // The large layer sends for a second and rests for 1.3 s, again and again.
        if frame % 70 < 30 {
            meeting.publish_frame(ana, 2, frame % 70 == 0, 3);
        }
        meeting.advance(FRAME);
    }
    let switches = meeting.stats().switches;
    assert!(switches <= 4, "{switches} switches within 20 s");
}

/// Ana's large layer sends at this many pictures a second and then stops, while her small one goes on. For how long does Ben see nothing,
/// and how often did he change layers in all?
fn hole_where_the_large_layer_stops(fps: u32) -> (Duration, u64) {
    let mut meeting = Meeting::new(10);
    let ana = meeting.join("ana", &[Source::Camera], 0);
    let ben = meeting.join("ben", &[], 1);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
    let picture = Duration::from_secs(1) / fps;
    for frame in 0..4 * fps {
        meeting.publish_frame(ana, 0, frame == 0, 1);
        meeting.publish_frame(ana, 2, frame == 0, 3);
        meeting.advance(picture);
    }
    meeting.take_packets(ben);
    let before = meeting.stats().switches;
    for missed in 1..=fps {
        meeting.publish_frame(ana, 0, true, 1);
        meeting.advance(picture);
        if !meeting.take_packets(ben).is_empty() {
            return (picture * missed, meeting.stats().switches - before);
        }
    }
    panic!("Ben sees nothing any more");
}

#[test]
fn a_layer_that_ends_is_left_as_soon_as_some_pictures_of_it_are_missing() {
    let ms = Duration::from_millis;
    let (hole, switches) = hole_where_the_large_layer_stops(30);
    assert!(hole > ms(180) && hole < ms(280), "{hole:?}");
    assert_eq!(switches, 1);
    let (hole, _) = hole_where_the_large_layer_stops(15);
    assert!(hole > ms(330) && hole < ms(450), "{hole:?}");
    let (hole, _) = hole_where_the_large_layer_stops(5);
    assert!(hole >= ms(500) && hole < ms(900), "{hole:?}");
}
