//! Mute and removal: what the host was told holds, whatever a participant goes on sending.

use baton_protocol::{LeaveReason, Source};

use super::ana_and_ben;
use crate::participant::Seat;
use crate::story::{Lab, all_watch_each_other, millis, secs};

#[test]
fn a_muted_camera_shows_nothing_and_comes_back_at_once() {
    let lab = Lab::seeded(31);
    let (ana, ben) = ana_and_ben(&lab);
    lab.run_for(secs(5));
    ana.mutes(Source::Camera, true);
    lab.run_for(millis(200));
    ben.begins_diary();
    lab.run_for(secs(5));
    lab.expect(ben.saw(&ana).is_none(), "the camera is off");
    lab.expect(ben.heard(&ana).voiced > 240, "the microphone is not");
    ana.mutes(Source::Camera, false);
    lab.run_for(millis(600));
    lab.expect(ben.saw(&ana).is_some(), "a picture within 600 ms");
}

#[test]
fn a_moderators_mute_holds_against_a_stubborn_sender() {
    let lab = Lab::seeded(32);
    let (ana, ben) = ana_and_ben(&lab);
    ana.is_stubborn();
    lab.run_for(secs(5));
    ben.mutes_other(&ana, Source::Microphone);
    ben.mutes_other(&ana, Source::Camera);
    lab.run_for(millis(200));
    ben.begins_diary();
    lab.run_for(secs(5));
    assert_eq!(ben.media_bytes(), 0);
    ana.mutes(Source::Microphone, false);
    lab.run_for(secs(2));
    lab.expect(ben.heard(&ana).voiced > 80, "she may unmute herself");
}

#[test]
fn who_is_removed_neither_hears_nor_is_heard() {
    let lab = Lab::seeded(33);
    let room = lab.room("standup");
    let people = ["ana", "ben", "mallory"].map(|name| room.join(name));
    all_watch_each_other(&people, 640, 360);
    let [ana, ben, mallory] = &people;
    people.iter().for_each(|one| one.speaks());
    mallory.is_stubborn();
    lab.run_for(secs(5));
    ana.kicks(mallory);
    lab.run_for(millis(200));
    assert_eq!(mallory.seat(), Seat::Gone(LeaveReason::Kicked));
    people.iter().for_each(|one| one.begins_diary());
    lab.run_for(secs(5));
    assert_eq!(mallory.media_bytes(), 0);
    lab.expect(
        ana.saw(mallory).is_none() && ana.heard(mallory).packets == 0,
        "ana is rid of mallory",
    );
    lab.expect(ben.longest_freeze(ana) < millis(80), "the others go on");
    assert_eq!(ana.lists(), ["ana", "ben"]);
    assert_eq!(lab.stats(0).legs, 2);
}
