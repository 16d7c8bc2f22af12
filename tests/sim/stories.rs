//! Meetings told as sentences. Each runs on a committed seed; every one of them also fails on anything the oracle, the decoders and
//! the tap complain of.

mod coming_and_going;
mod demand;
mod lines;
mod moderation;
mod views;
mod weather;

use crate::story::{Lab, Person, all_watch_each_other, millis, secs};

/// Ana and Ben, who see and hear each other.
fn ana_and_ben(lab: &Lab) -> (Person, Person) {
    let room = lab.room("standup");
    let (ana, ben) = (room.join("ana"), room.join("ben"));
    all_watch_each_other(&[ana.clone(), ben.clone()], 1280, 720);
    ana.speaks();
    (ana, ben)
}

#[test]
fn two_people_meet_and_see_and_hear_each_other() {
    let lab = Lab::seeded(7);
    let (ana, ben) = ana_and_ben(&lab);
    lab.run_for(secs(10));

    assert_eq!(ana.lists(), ["ana", "ben"]);
    for (viewer, shown) in [(&ana, &ben), (&ben, &ana)] {
        let saw = viewer.saw(shown).expect("a picture");
        lab.expect(
            saw.pictures > 280,
            "ten seconds of thirty pictures each, but for the beginning",
        );
        lab.expect(
            viewer.longest_freeze(shown) < millis(80),
            "nothing freezes on a clean line",
        );
        lab.expect(saw.layer == 2, "the largest layer for a large tile");
        assert_eq!(viewer.numbers_left_out(), 0);
    }
    let voice = ben.heard(&ana);
    lab.expect(voice.voiced > 480, "ten seconds of speech");
    assert_eq!(voice.concealed, 0);
    assert_eq!(ben.speaker().as_deref(), Some("ana"));
    lab.expect(
        ana.feedbacks() > 10 * 10,
        "a browser needs transport feedback ten times a second",
    );
}

#[test]
fn three_audio_slots_follow_those_who_speak_among_five() {
    let lab = Lab::seeded(11);
    let room = lab.room("panel");
    let people: Vec<_> = ["ana", "ben", "cleo", "dan", "eve"]
        .map(|name| room.join(name))
        .into();
    all_watch_each_other(&people, 320, 180);
    lab.run_for(secs(3));
    for turn in 0..5 {
        let speakers = [
            &people[turn],
            &people[(turn + 1) % 5],
            &people[(turn + 2) % 5],
        ];
        speakers.iter().for_each(|speaker| speaker.speaks());
        lab.run_for(millis(1500));
        people.iter().for_each(Person::begins_diary);
        lab.run_for(secs(3));
        for listener in &people {
            for speaker in speakers
                .iter()
                .filter(|speaker| speaker.number != listener.number)
            {
                let voice = listener.heard(speaker);
                lab.expect(
                    voice.voiced > 140,
                    &format!(
                        "p{} hears p{} all the time",
                        listener.number, speaker.number
                    ),
                );
            }
        }
        speakers.iter().for_each(|speaker| speaker.falls_silent());
    }
}
