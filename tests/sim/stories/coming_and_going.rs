//! Crashes, lost sockets, restarts of signaling, and a hundred people who come and go.

use super::ana_and_ben;
use crate::participant::Seat;
use crate::story::{Lab, all_watch_each_other, millis, secs};

#[test]
fn a_crash_harms_nobody_else_and_the_crashed_one_is_gone_after_the_timeouts() {
    let lab = Lab::seeded(21);
    let (ana, ben) = ana_and_ben(&lab);
    let cleo = lab.room("elsewhere").join("cleo");
    let third = lab.room("third");
    let (eve, fay) = (third.join("eve"), third.join("fay"));
    all_watch_each_other(&[eve.clone(), fay.clone()], 640, 360);
    lab.run_for(secs(5));
    [&ana, &ben, &eve, &fay]
        .iter()
        .for_each(|one| one.begins_diary());

    ana.crashes();
    lab.run_for(secs(14));
    lab.expect(
        eve.longest_freeze(&fay) < millis(80),
        "another room does not notice",
    );
    assert_eq!(ben.lists(), ["ana", "ben"], "she may come back");
    lab.run_for(secs(35));
    assert_eq!(ben.lists(), ["ben"]);
    assert_eq!(lab.stats(0).legs, 4, "ben, cleo, eve and fay");
    lab.expect(
        cleo.seat() == Seat::Inside,
        "who has nobody to see is there all the same",
    );
}

#[test]
fn a_socket_that_comes_back_within_thirty_seconds_costs_no_packet() {
    let lab = Lab::seeded(22);
    let (ana, ben) = ana_and_ben(&lab);
    lab.run_for(secs(5));
    [&ana, &ben].iter().for_each(|one| one.begins_diary());
    ana.loses_socket_for(secs(20));
    lab.run_for(secs(30));
    assert_eq!(ana.resumed(), 1);
    assert_eq!(ben.lists(), ["ana", "ben"]);
    lab.expect(
        ben.longest_freeze(&ana) < millis(80),
        "media does not notice",
    );
    lab.expect(
        ana.longest_freeze(&ben) < millis(80),
        "in neither direction",
    );
    assert_eq!(ben.heard(&ana).concealed, 0);
}

#[test]
fn a_socket_that_comes_back_too_late_begins_anew() {
    let lab = Lab::seeded(23);
    let (ana, ben) = ana_and_ben(&lab);
    lab.run_for(secs(5));
    ana.loses_socket_for(secs(33));
    lab.run_for(secs(31));
    assert_eq!(ben.lists(), ["ben"]);
    lab.run_for(secs(5));
    assert_eq!(
        (ana.resumed(), ben.lists()),
        (0, vec!["ana".to_owned(), "ben".to_owned()])
    );
    [&ana, &ben].iter().for_each(|one| one.begins_diary());
    lab.run_for(secs(5));
    lab.expect(ben.longest_freeze(&ana) < millis(80), "she is seen again");
    lab.expect(ana.longest_freeze(&ben) < millis(80), "and sees");
}

#[test]
fn a_restart_of_signaling_changes_no_bit_of_media() {
    let trace = |restart: bool| {
        let lab = Lab::seeded(24);
        let (ana, ben) = ana_and_ben(&lab);
        lab.run_for(secs(5));
        if restart {
            lab.restart_signaling(secs(10));
        }
        lab.run_for(secs(25));
        assert_eq!(ana.lists(), ["ana", "ben"]);
        assert_eq!(ben.resumed(), u32::from(restart));
        (lab.trace(), lab)
    };
    let ((calm, _), (restarted, lab)) = (trace(false), trace(true));
    lab.expect(calm == restarted, "the same datagrams at the same moments");
    let late = {
        let mut world = lab.world();
        world.add_person(
            0,
            "cleo",
            crate::network::Weather::CLEAN,
            crate::network::Weather::CLEAN,
        )
    };
    lab.run_for(secs(2));
    lab.expect(
        lab.world().people[late].roster.len() == 3,
        "newcomers find everybody",
    );
}

#[test]
fn a_socket_that_breaks_while_coming_back_after_a_restart_makes_no_ghost() {
    let lab = Lab::seeded(26);
    let (ana, ben) = ana_and_ben(&lab);
    lab.run_for(secs(5));
    lab.restart_signaling(secs(2));
    // Ana's return has reached signaling, its welcome has not reached her.
    lab.run_for(millis(2200 + 20));
    ana.loses_socket_for(millis(300));
    lab.run_for(secs(5));
    assert_eq!(
        (ana.resumed(), ben.lists()),
        (1, vec!["ana".to_owned(), "ben".to_owned()])
    );
    assert_eq!(lab.stats(0).legs, 2);
}

#[test]
fn a_hundred_people_come_and_go_and_nothing_of_them_remains() {
    let lab = Lab::seeded(25);
    lab.films_at(10);
    let room = lab.room("station");
    let (ana, ben) = (room.join("ana"), room.join("ben"));
    all_watch_each_other(&[ana.clone(), ben.clone()], 320, 180);
    lab.run_for(secs(2));
    [&ana, &ben].iter().for_each(|one| one.begins_diary());
    for number in 0..100 {
        let passenger = room.join(&format!("passenger-{number}"));
        passenger.watches(&ana, 320, 180);
        ana.watches(&passenger, 320, 180);
        lab.run_for(millis(700));
        lab.expect(
            passenger.saw(&ana).is_some(),
            "a picture within 700 ms of joining",
        );
        ana.hides(&passenger);
        match number % 3 {
            0 => passenger.crashes(),
            _ => passenger.leaves(),
        }
    }
    lab.expect(
        ben.longest_freeze(&ana) < millis(150),
        "who stays does not notice",
    );
    ana.leaves();
    ben.leaves();
    lab.run_for(secs(130));
    assert_eq!(lab.remains(), (0, 0, 0, 0));
}
