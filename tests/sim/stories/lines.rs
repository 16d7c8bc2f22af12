//! Hosts whose line does not carry everything, and people who do not need everything.

use baton_protocol::PauseReason;

use crate::story::{Lab, Person, all_watch_each_other, millis, secs};

/// Four people who all watch each other in full size; three speak.
fn four(lab: &Lab) -> [Person; 4] {
    let room = lab.room("standup");
    let people = ["ana", "ben", "cleo", "dan"].map(|name| room.join(name));
    all_watch_each_other(&people, 1280, 720);
    people.iter().take(3).for_each(Person::speaks);
    lab.run_for(secs(3));
    people
}

/// Everybody who watches, and whom.
fn pairs(people: &[Person]) -> impl Iterator<Item = (&Person, &Person)> {
    let others = |viewer: &Person| {
        let own = viewer.number;
        people.iter().filter(move |other| other.number != own)
    };
    people
        .iter()
        .flat_map(move |viewer| others(viewer).map(move |other| (viewer, other)))
}

#[test]
fn a_host_behind_a_home_line_shows_everybody_and_sends_no_more_than_the_line_carries() {
    let lab = Lab::seeded(81);
    let people = four(&lab);
    // Where several speak at once, who speaks first changes, and with that who goes first.
    people.iter().skip(1).for_each(Person::falls_silent);
    lab.limits_uplink(Some(2500));
    lab.run_for(secs(4));
    people.iter().for_each(Person::begins_diary);
    let (before, switches) = (lab.stats(0).bytes_out, lab.stats(0).switches);
    lab.run_for(secs(20));
    let rate = (lab.stats(0).bytes_out - before) * 8 / 20;
    lab.expect(
        (1_200_000..2_500_000).contains(&rate),
        &format!("{rate} b/s"),
    );
    for (viewer, shown) in pairs(&people) {
        lab.expect(
            viewer.longest_freeze(shown) < millis(300),
            "a small picture is shown all the time",
        );
        assert_eq!(viewer.numbers_left_out(), 0);
    }
    let changes = lab.stats(0).switches - switches;
    lab.expect(
        changes <= 12,
        &format!("{changes} changes of layer in 20 s"),
    );
}

#[test]
fn where_pictures_do_not_fit_sound_goes_on_and_they_come_back_by_themselves() {
    let lab = Lab::seeded(82);
    let people = four(&lab);
    lab.limits_uplink(Some(480));
    lab.run_for(secs(2));
    people.iter().for_each(Person::begins_diary);
    lab.run_for(secs(5));
    for (viewer, shown) in pairs(&people) {
        lab.expect(viewer.saw(shown).is_none(), "there is no room for pictures");
        assert_eq!(viewer.paused(shown), Some(PauseReason::Bandwidth));
        if shown.number < 3 {
            assert_eq!(viewer.heard(shown).concealed, 0);
            assert!(viewer.heard(shown).packets > 240, "every packet of sound");
        }
    }
    lab.limits_uplink(Some(30_000));
    lab.run_for(secs(15));
    people.iter().for_each(Person::begins_diary);
    lab.run_for(secs(1));
    for (viewer, shown) in pairs(&people) {
        let saw = viewer.saw(shown).expect("a picture again");
        assert_eq!(saw.layer, 2, "in full size within 15 s");
    }
}

#[test]
fn who_needs_few_pictures_a_second_gets_few_and_each_can_be_decoded() {
    let lab = Lab::seeded(83);
    let [ana, ben, cleo, _] = four(&lab);
    for (fps, expected) in [(8, 75), (15, 150), (0, 300), (15, 150)] {
        ben.needs_only(fps);
        lab.run_for(secs(1));
        [&ben, &cleo].iter().for_each(|one| one.begins_diary());
        lab.run_for(secs(10));
        let pictures = ben.saw(&ana).expect("a picture").pictures;
        lab.expect(
            pictures.abs_diff(expected) < 10,
            &format!("{pictures} pictures in 10 s at {fps}"),
        );
        let all = cleo.saw(&ana).expect("a picture").pictures;
        lab.expect(all > 290, "nobody else notices");
    }
    assert_eq!(ben.numbers_left_out(), 0);
}
