//! A leg whose participant reports arrivals: its line is known, and probed with padding that receivers bear.

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
