//! Publishers send only what somebody watches.

use std::time::{Duration, Instant};

use super::ana_and_ben;
use crate::story::{Lab, Person, millis, secs};

/// A layer that sent nothing for so long is off: three pictures.
const OFF: Duration = Duration::from_millis(100);

/// Which layers somebody's camera sends, smallest first.
fn sends(person: &Person) -> [bool; 3] {
    let now = person.now();
    let is_recent = |last: Option<Instant>| last.is_some_and(|last| now - last < OFF);
    person.camera(|camera| camera.last_sent().map(is_recent))
}

#[test]
fn layers_that_nobody_watches_go_off_within_two_seconds() {
    let lab = Lab::seeded(71);
    let (ana, ben) = ana_and_ben(&lab);
    lab.run_for(secs(6));
    lab.expect(sends(&ana)[2], "it is watched in full size");
    ben.watches(&ana, 320, 180);
    lab.run_for(secs(2));
    assert_eq!(sends(&ana), [true, false, false]);
    ben.hides(&ana);
    lab.run_for(secs(2));
    assert_eq!(sends(&ana), [false; 3], "nobody watches at all");
    ben.begins_diary();
    lab.run_for(secs(1));
    assert!(ben.heard(&ana).packets > 40, "sound goes on");
}

#[test]
fn a_layer_that_is_wanted_again_is_shown_within_a_second() {
    let lab = Lab::seeded(72);
    let (ana, ben) = ana_and_ben(&lab);
    ben.watches(&ana, 160, 90);
    lab.run_for(secs(7));
    for (size, layer) in [((1280, 720), 2), ((160, 90), 0), ((640, 360), 1)] {
        ben.begins_diary();
        ben.watches(&ana, size.0, size.1);
        lab.run_for(secs(1));
        assert_eq!(ben.saw(&ana).map(|saw| saw.layer), Some(layer));
        lab.run_for(secs(3));
        lab.expect(
            ben.longest_freeze(&ana) < millis(80),
            "all of what was shown is shown until the other is there",
        );
    }
    ben.hides(&ana);
    lab.run_for(secs(4));
    assert_eq!(sends(&ana), [false; 3]);
    ben.begins_diary();
    ben.watches(&ana, 1280, 720);
    lab.run_for(secs(1));
    assert_eq!(ben.saw(&ana).map(|saw| saw.layer), Some(2));
    assert_eq!(ben.numbers_left_out(), 0);
}

#[test]
fn one_who_watches_is_enough_and_what_both_want_is_sent() {
    let lab = Lab::seeded(73);
    let room = lab.room("standup");
    let [ana, ben, cleo] = ["ana", "ben", "cleo"].map(|name| room.join(name));
    ben.watches(&ana, 1280, 720);
    cleo.watches(&ana, 160, 90);
    lab.run_for(secs(7));
    assert_eq!(sends(&ana), [true, false, true]);
    ben.leaves();
    cleo.begins_diary();
    lab.run_for(secs(2));
    assert_eq!(sends(&ana), [true, false, false]);
    lab.expect(
        cleo.longest_freeze(&ana) < millis(120),
        "the other notices nothing",
    );
}

#[test]
fn who_is_alone_encodes_nothing_and_is_seen_at_once_by_who_comes() {
    let lab = Lab::seeded(74);
    let room = lab.room("standup");
    let ana = room.join("ana");
    lab.run_for(secs(7));
    assert_eq!(sends(&ana), [false; 3]);
    let ben = room.join("ben");
    ben.watches(&ana, 640, 360);
    lab.run_for(millis(1500));
    lab.expect(ben.saw(&ana).is_some(), "within 1.5 s of coming");
}

#[test]
fn a_publisher_that_does_not_listen_is_watched_all_the_same() {
    let lab = Lab::seeded(75);
    let (ana, ben) = ana_and_ben(&lab);
    ana.ignores_what_is_wanted();
    for (size, layer) in [((160, 90), 0), ((1280, 720), 2), ((640, 360), 1)] {
        ben.watches(&ana, size.0, size.1);
        lab.run_for(secs(3));
        assert_eq!(sends(&ana), [true; 3]);
        assert_eq!(ben.saw(&ana).map(|saw| saw.layer), Some(layer));
    }
}
