//! A leg whose participant reports arrivals: its line is known, and probed with padding that receivers bear.

use std::collections::BTreeSet;
use std::time::Duration;

use baton_protocol::Source;

use super::people::Meeting;
use super::view;

const FRAME: Duration = Duration::from_millis(33);

#[test]
fn arrivals_that_are_reported_make_an_estimate_and_padding_finds_out_more() {
    let mut meeting = Meeting::new(30);
    let ana = meeting.join("ana", &[Source::Camera], 0);
    let ben = meeting.join_reporting("ben", 1);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
    assert_eq!(
        meeting.stats().legs_estimated,
        1,
        "who has agreed to report"
    );
    assert_eq!(meeting.stats().estimate_sum, 300_000, "the start value");
    for number in 0..150 {
        for layer in 0..3 {
            meeting.publish_frame(ana, layer, number % 30 == 0, 1 + 2 * layer);
        }
        meeting.advance(FRAME);
        if number % 3 == 2 {
            meeting.report_arrivals(ben);
        }
    }
    let stats = meeting.stats();
    assert!(stats.arrival_reports_in > 30, "{stats:?}");
    assert!(stats.padding_out > 10, "{stats:?}");
    assert!(stats.estimate_sum > 1_200_000, "{stats:?}");
    assert_eq!(stats.estimate_sum, stats.estimate_least);
    assert!(meeting.padding(ben) > 10, "all of it authentic");
    let seen = meeting.take_packets(ben);
    let gaps = seen
        .windows(2)
        .filter(|pair| pair[1].seq != pair[0].seq.wrapping_add(1));
    assert_eq!(gaps.count(), 0, "padding has numbers of its own");
}

#[test]
fn who_reports_nothing_is_sent_no_padding_and_has_no_limit() {
    let mut meeting = Meeting::new(31);
    let ana = meeting.join("ana", &[Source::Camera], 0);
    let ben = meeting.join("ben", &[], 1);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
    for number in 0..60 {
        meeting.publish_frame(ana, 2, number % 30 == 0, 5);
        meeting.advance(FRAME);
    }
    let stats = meeting.stats();
    assert_eq!((stats.legs_estimated, stats.padding_out), (0, 0));
}

#[test]
fn who_takes_no_red_gets_sound_twice_while_the_line_loses() {
    let mut meeting = Meeting::new(32);
    let ana = meeting.join("ana", &[Source::Microphone, Source::Camera], 0);
    let ben = meeting.join_reporting("ben", 1);
    meeting.say(ben, view(meeting.person(ben), 0, 101, 1280, 720));
    let mut pictures = 0;
    // Timestamps of sound that came, and how many packets it took.
    let mut listen = |meeting: &mut Meeting, seconds: usize| {
        meeting.take_packets(ben);
        for _ in 0..seconds * 30 {
            meeting.publish_frame(ana, 2, pictures % 30 == 0, 3);
            meeting.publish_audio(ana, 30);
            meeting.advance(FRAME);
            pictures += 1;
            if pictures % 3 == 0 {
                meeting.report_arrivals(ben);
            }
        }
        let seen = meeting.take_packets(ben).into_iter();
        let sound = seen.filter(|seen| seen.payload.iter().all(|byte| *byte == 0x78));
        let sound: Vec<_> = sound.map(|seen| (seen.seq, seen.timestamp)).collect();
        let numbers: BTreeSet<_> = sound.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(numbers.len(), sound.len(), "each number once: {sound:?}");
        let heard: BTreeSet<_> = sound.iter().map(|(_, timestamp)| *timestamp).collect();
        (heard.len(), sound.len())
    };
    assert_eq!(listen(&mut meeting, 4), (120, 120));
    meeting.lose_every(ben, 7);
    listen(&mut meeting, 2);
    let (heard, packets) = listen(&mut meeting, 4);
    assert!(heard >= 119, "{heard} of 120 are heard");
    assert!((190..=220).contains(&packets), "{packets} packets");
    meeting.lose_every(ben, 0);
    listen(&mut meeting, 6);
    assert_eq!(listen(&mut meeting, 4), (120, 120), "once is enough again");
}
