//! The simulation tested: it repeats itself, it differs by seed, every mishap it knows happens, and its bounds can fail.

use crate::network::{Fault, Faults, Weather};
use crate::properties::{COMMITTED, hold};
use crate::story::{Lab, all_watch_each_other, millis, secs};

#[test]
fn the_same_seed_is_the_same_meeting_and_another_seed_another() {
    let first = COMMITTED.start;
    let traces = [first, first, first + 1].map(|seed| hold(seed).trace);
    assert_eq!(traces[0], traces[1], "seed {first} twice");
    assert_ne!(traces[0], traces[2], "seeds {first} and {}", first + 1);
}

#[test]
fn every_fault_happens_in_the_committed_meetings() {
    let mut faults = Faults::default();
    for seed in COMMITTED {
        faults.add(&hold(seed).faults);
        if Fault::ALL.iter().all(|fault| faults.count(*fault) > 0) {
            return;
        }
    }
    let never: Vec<_> = Fault::ALL
        .iter()
        .filter(|fault| faults.count(**fault) == 0)
        .collect();
    panic!("these never happened: {never:?}");
}

/// A lab in which Ben's line loses what is sent to him and from him.
fn lossy() -> (Lab, [crate::story::Person; 2]) {
    let lab = Lab::seeded(3);
    let room = lab.room("standup");
    let ana = room.join("ana");
    let ben = room.join_over("ben", Weather::losing(0.15), Weather::losing(0.15));
    let people = [ana, ben];
    all_watch_each_other(&people, 640, 360);
    lab.run_for(secs(10));
    (lab, people)
}

#[test]
fn bounds_of_zero_fail() {
    let (lab, [ana, ben]) = lossy();
    ben.watches(&ana, 160, 90);
    lab.run_for(secs(1));
    assert!(ben.longest_freeze(&ana) > millis(0));
    assert!(ana.numbers_left_out() >= 0 && ben.refused() == 0);
    assert!(ben.media_bytes() > 0);
    assert!(
        ana.camera(|camera| camera.requests()) > 0,
        "somebody asked for keyframes"
    );
    assert!(ana.saw(&ben).expect("a picture").first < ana.now());
}

#[test]
fn the_oracle_complains_of_pictures_that_nobody_asked_for() {
    let (lab, [ana, ben]) = lossy();
    // The hosts were never told what the oracle is told here.
    let mut world = lab.world();
    let now = world.now;
    world.oracle.note_view(ben.number, Default::default(), now);
    drop(world);
    let complaints = lab.watch_for(secs(1));
    assert!(
        complaints.iter().any(|what| what.contains("nobody asked")),
        "{complaints:?}"
    );
    drop(ana);
}

#[test]
fn the_oracle_complains_of_media_of_somebody_who_is_gone() {
    let (lab, [ana, _]) = lossy();
    let mut world = lab.world();
    let now = world.now;
    world.oracle.note_closed(ana.number, now);
    drop(world);
    let complaints = lab.watch_for(secs(1));
    assert!(
        complaints.iter().any(|what| what.contains("is gone")),
        "{complaints:?}"
    );
}

#[test]
fn the_tap_complains_of_an_index_sealed_twice() {
    let mut tap = crate::tap::Tap::default();
    let packet = |last: u8| [0x80, 96, 0, 7, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3, last];
    tap.note(0, 1, &packet(1), secs(1));
    tap.note(0, 1, &packet(2), secs(1));
    assert!(
        tap.complaints
            .iter()
            .any(|what| what.contains("nonce is used twice")),
        "{:?}",
        tap.complaints
    );
}
