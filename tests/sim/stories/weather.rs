//! Lines that lose, delay, reorder, repeat and damage.

use super::ana_and_ben;
use crate::network::Weather;
use crate::story::{Lab, Person, all_watch_each_other, millis, secs};

/// A minute over Ben's line; what he loses is lost in both directions.
fn a_minute_over(seed: u64, weather: Weather) -> (Lab, Person, Person) {
    let lab = Lab::seeded(seed);
    let room = lab.room("standup");
    let ana = room.join("ana");
    let ben = room.join_over("ben", weather, weather);
    all_watch_each_other(&[ana.clone(), ben.clone()], 1280, 720);
    [&ana, &ben].iter().for_each(|one| one.speaks());
    lab.run_for(secs(3));
    [&ana, &ben].iter().for_each(|one| one.begins_diary());
    lab.run_for(secs(60));
    (lab, ana, ben)
}

#[test]
fn two_percent_loss_freezes_nothing_for_half_a_second() {
    let (lab, ana, ben) = a_minute_over(51, Weather::losing(0.02));
    lab.expect(ben.longest_freeze(&ana) <= millis(500), "down");
    lab.expect(ana.longest_freeze(&ben) <= millis(500), "up");
    lab.expect(
        ana.heard(&ben).concealed_share() < 0.03,
        "sound is not repeated: what is lost is concealed",
    );
}

#[test]
fn ten_percent_loss_is_bearable() {
    let (lab, ana, ben) = a_minute_over(52, Weather::losing(0.10));
    for (viewer, shown) in [(&ben, &ana), (&ana, &ben)] {
        lab.expect(
            viewer.longest_freeze(shown) <= secs(1),
            "retransmissions carry the picture over",
        );
        let saw = viewer.saw(shown).expect("a picture");
        lab.expect(saw.pictures > 60 * 30 * 9 / 10, "nine pictures of ten");
        // Without RED nothing makes up for a lost sound packet, and nothing worse may come of it.
        lab.expect(
            viewer.heard(shown).concealed_share() < 0.12,
            "sound suffers no more than the line",
        );
    }
}

#[test]
fn jitter_reordering_and_repetition_lose_nothing() {
    let weather = Weather {
        jitter: millis(50),
        reorder: 0.05,
        duplicate: 0.05,
        ..Weather::CLEAN
    };
    let (lab, ana, ben) = a_minute_over(53, weather);
    for (viewer, shown) in [(&ben, &ana), (&ana, &ben)] {
        lab.expect(
            viewer.longest_freeze(shown) <= millis(250),
            "nothing is lost, only late",
        );
        assert_eq!(viewer.heard(shown).concealed, 0);
        assert_eq!(viewer.numbers_left_out(), 0);
    }
    lab.expect(ben.refused() > 100, "repeated packets are thrown away");
    lab.expect(lab.stats(0).replayed > 100, "by the host too");
}

#[test]
fn damaged_packets_are_never_forwarded() {
    let weather = Weather {
        corrupt: 0.05,
        ..Weather::CLEAN
    };
    let (lab, ana, ben) = a_minute_over(54, weather);
    let stats = lab.stats(0);
    lab.expect(
        stats.open_failures > 100,
        "the host refuses what is damaged",
    );
    for (viewer, shown) in [(&ben, &ana), (&ana, &ben)] {
        lab.expect(
            viewer.longest_freeze(shown) <= millis(500),
            "and it is sent again",
        );
    }
}

#[test]
fn a_short_outage_heals_by_itself() {
    let lab = Lab::seeded(55);
    let (ana, ben) = ana_and_ben(&lab);
    lab.run_for(secs(5));
    lab.world().cut_line(ben.number, secs(4));
    lab.run_for(secs(6));
    [&ana, &ben].iter().for_each(|one| one.begins_diary());
    lab.run_for(secs(5));
    lab.expect(
        ben.longest_freeze(&ana) < millis(80),
        "two seconds after the outage all is well",
    );
    lab.expect(ana.longest_freeze(&ben) < millis(80), "in both directions");
}
