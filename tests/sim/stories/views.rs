//! What is shown, at which size, and what is not.

use super::ana_and_ben;
use crate::camera::Camera;
use crate::story::{Lab, all_watch_each_other, millis, secs};

#[test]
fn a_resized_tile_changes_its_layer_within_a_second_and_nothing_freezes() {
    let lab = Lab::seeded(41);
    let (ana, ben) = ana_and_ben(&lab);
    lab.run_for(secs(3));
    ben.begins_diary();
    for (size, layer) in [
        ((320, 180), 0),
        ((640, 360), 1),
        ((1280, 720), 2),
        ((160, 90), 0),
        ((1920, 1080), 2),
    ] {
        let asked = ben.now();
        ben.watches(&ana, size.0, size.1);
        lab.run_for(secs(3));
        let saw = ben.saw(&ana).expect("a picture");
        assert_eq!(saw.layer, layer, "for {size:?}");
        lab.expect(saw.layer_since - asked < secs(1), "within a second");
    }
    lab.expect(
        ben.longest_freeze(&ana) < millis(120),
        "the old layer is shown until the new one begins",
    );
    assert_eq!(ben.numbers_left_out(), 0);
}

#[test]
fn a_tile_that_shrinks_and_grows_again_waits_for_one_keyframe_each_time() {
    let lab = Lab::seeded(45);
    let (ana, ben) = ana_and_ben(&lab);
    lab.run_for(secs(6));
    ben.begins_diary();
    let requests = ana.camera(Camera::requests);
    ben.watches(&ana, 320, 180);
    lab.run_for(millis(200));
    assert_eq!(ben.saw(&ana).map(|saw| saw.layer), Some(0));
    let asked = ben.now();
    ben.watches(&ana, 1280, 720);
    lab.run_for(secs(2));
    let saw = ben.saw(&ana).expect("a picture");
    assert_eq!(saw.layer, 2);
    lab.expect(
        saw.layer_since - asked < millis(450),
        "a camera that was just asked is asked again as soon as it hears",
    );
    lab.expect(
        ben.longest_freeze(&ana) < millis(80),
        "all pictures of the old layer are shown until the new one begins",
    );
    assert_eq!(ana.camera(Camera::requests) - requests, 2);
}

#[test]
fn a_hidden_tile_costs_nothing() {
    let lab = Lab::seeded(42);
    let (ana, ben) = ana_and_ben(&lab);
    ana.falls_silent();
    ana.mutes(baton_protocol::Source::Microphone, true);
    lab.run_for(secs(3));
    ben.begins_diary();
    lab.run_for(secs(5));
    let visible = ben.media_bytes();
    ben.hides(&ana);
    lab.run_for(millis(200));
    ben.begins_diary();
    lab.run_for(secs(5));
    lab.expect(visible > 200_000, "a large tile is not free");
    assert_eq!(ben.media_bytes(), 0);
    ben.watches(&ana, 1280, 720);
    lab.run_for(millis(700));
    lab.expect(ben.saw(&ana).is_some(), "it is back within 700 ms");
}

#[test]
fn a_slot_changes_whom_it_shows_and_its_numbers_go_on() {
    let lab = Lab::seeded(43);
    let room = lab.room("standup");
    let people = ["ana", "ben", "cleo", "dan"].map(|name| room.join(name));
    lab.run_for(secs(1));
    let [ana, others @ ..] = &people;
    for turn in 0..24 {
        let (now, before) = (&others[turn % 3], &others[(turn + 2) % 3]);
        ana.hides(before);
        ana.watches(now, 640, 360);
        ana.begins_diary();
        lab.run_for(millis(900));
        lab.expect(
            ana.saw(now).is_some(),
            "whoever is asked for is shown within 900 ms",
        );
    }
    assert_eq!(ana.numbers_left_out(), 0);
}

#[test]
fn a_camera_that_makes_its_streams_anew_is_shown_on() {
    let lab = Lab::seeded(44);
    let room = lab.room("standup");
    let people = ["ana", "ben", "cleo"].map(|name| room.join(name));
    all_watch_each_other(&people, 640, 360);
    let [ana, ben, cleo] = &people;
    lab.run_for(secs(3));
    people.iter().for_each(|one| one.begins_diary());
    for _ in 0..5 {
        ana.recreates_camera();
        lab.run_for(secs(2));
    }
    for viewer in [ben, cleo] {
        lab.expect(
            viewer.longest_freeze(ana) < millis(150),
            "the first picture of the new stream is a keyframe",
        );
        assert_eq!(viewer.numbers_left_out(), 0);
    }
}
