//! Random meetings: any people, lines, mishaps and wishes. Whatever happens, nobody gets what is not theirs and all numbers go on; when
//! it is over everybody sees everybody again; and when all have left, nothing of them remains.

use std::time::Duration;

use baton_protocol::Source;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::network::{Faults, Weather};
use crate::offer::VIDEO_SLOTS;
use crate::participant::Seat;
use crate::story::{Lab, Person, Room, millis, secs};

/// Meetings that are held every time; a seed that finds a fault is added here.
pub(crate) const COMMITTED: std::ops::Range<u64> = 1000..1064;

/// A host asks a publisher for a keyframe of a layer at most so often.
const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);

/// Sizes that tiles have.
const SIZES: [(u16, u16); 4] = [(160, 90), (320, 180), (640, 360), (1280, 720)];

/// What is left of a meeting that went as it should.
pub(crate) struct Outcome {
    pub(crate) trace: u64,
    pub(crate) faults: Faults,
}

/// A meeting of which only the seed is known.
struct Meeting {
    lab: Lab,
    rng: StdRng,
    rooms: Vec<Room>,
    people: Vec<(usize, Person)>,
    is_wild: bool,
}

impl Meeting {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let lab = Lab::with_hosts(seed, rng.random_range(1..=2));
        lab.films_at(10);
        let rooms = ["north", "south"].map(|name| lab.room(name)).into();
        let mut meeting = Self {
            lab,
            is_wild: rng.random_bool(0.75),
            rng,
            rooms,
            people: Vec::new(),
        };
        for _ in 0..meeting.rng.random_range(2..=6) {
            meeting.arrive();
        }
        meeting
    }

    fn weather(&mut self) -> Weather {
        let kinds = [
            Weather::CLEAN,
            Weather::WIFI,
            Weather::losing(0.02),
            Weather::CELLULAR,
            Weather::STORM,
        ];
        if self.is_wild {
            self.any(&kinds)
        } else {
            Weather::CLEAN
        }
    }

    fn any<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.rng.random_range(0..all.len())].clone()
    }

    fn arrive(&mut self) {
        // Most meet in the first room; whoever is in the second must not notice.
        let room = usize::from(self.rng.random_bool(0.3));
        let (up, down) = (self.weather(), self.weather());
        let name = format!("person-{}", self.people.len());
        let person = self.rooms[room].join_over(&name, up, down);
        // Not everybody is a page: the third sends all layers all the time.
        if self.people.len() % 5 == 2 {
            person.ignores_what_is_wanted();
        }
        // And some have little time for pictures, or a host with a narrow line.
        if self.people.len() % 4 == 1 {
            person.needs_only(4);
        }
        self.people.push((room, person));
    }

    fn inside(&self) -> Vec<(usize, Person)> {
        let inside = self
            .people
            .iter()
            .filter(|(_, person)| person.seat() == Seat::Inside);
        inside.cloned().collect()
    }

    /// One random thing.
    fn act(&mut self) {
        let inside = self.inside();
        if inside.is_empty() {
            return self.arrive();
        }
        let (room, one) = self.any(&inside);
        let (other_room, other) = self.any(&inside);
        let is_pair = room == other_room && one.number != other.number;
        let (width, height) = self.any(&SIZES);
        let on = self.rng.random_bool(0.5);
        match self.rng.random_range(0..100) {
            0..35 if is_pair => one.watches(&other, width, height),
            35..42 if is_pair => one.hides(&other),
            42..58 if on => one.speaks(),
            42..58 => one.falls_silent(),
            58..64 => one.mutes(Source::Microphone, on),
            64..70 => one.mutes(Source::Camera, on),
            70..76 => one.recreates_camera(),
            76..80 if self.is_wild => {
                let (up, down) = (self.weather(), self.weather());
                self.lab.world().set_weather(one.number, up, down);
            }
            80..83 if self.is_wild => self.lab.world().cut_line(one.number, millis(1500)),
            83..87 => {
                let span = if on { millis(800) } else { secs(34) };
                one.loses_socket_for(span);
            }
            87..89 => self.lab.restart_signaling(secs(2)),
            89..91 if inside.len() > 3 => one.crashes(),
            91..93 if inside.len() > 3 => one.leaves(),
            93..95 if is_pair && inside.len() > 3 => one.kicks(&other),
            95.. if self.people.len() < 9 => self.arrive(),
            _ => {}
        }
    }

    /// All is well from now on; within twenty seconds everybody must see everybody.
    fn heal(&mut self) {
        for (_, person) in &self.people {
            self.lab
                .world()
                .set_weather(person.number, Weather::CLEAN, Weather::CLEAN);
        }
        // Whoever lost a socket for long is back by then, as somebody new.
        self.lab.run_for(secs(36));
        let inside = self.inside();
        for room in 0..self.rooms.len() {
            let here: Vec<_> = inside
                .iter()
                .filter(|(place, _)| *place == room)
                .map(|(_, person)| person.clone())
                .collect();
            for person in &here {
                person.mutes(Source::Camera, false);
            }
            self.lab.run_for(millis(500));
            for viewer in &here {
                viewer.hides_all();
                for shown in others(viewer, &here) {
                    viewer.watches(shown, 320, 180);
                }
            }
            // A line that was bad has to prove that it is not any more.
            self.lab.run_for(secs(15));
            here.iter().for_each(Person::begins_diary);
            self.lab.run_for(secs(2));
            for viewer in &here {
                for shown in others(viewer, &here) {
                    let freeze = viewer.longest_freeze(shown);
                    let what = format!(
                        "p{} sees p{}: without a picture for {freeze:?}",
                        viewer.number, shown.number
                    );
                    self.lab.expect(freeze < secs(1), &what);
                }
            }
        }
    }

    /// Everybody goes.
    fn end(&self) {
        for (_, person) in self.inside() {
            person.leaves();
        }
        self.lab.run_for(secs(130));
        let remains = self.lab.remains();
        self.lab.expect(
            remains == (0, 0, 0, 0),
            &format!("rooms, legs, rooms and people remain: {remains:?}"),
        );
    }
}

/// Whom somebody can be shown at a time: as many as there are slots.
fn others<'a>(viewer: &Person, here: &'a [Person]) -> impl Iterator<Item = &'a Person> {
    let own = viewer.number;
    here.iter()
        .filter(move |shown| shown.number != own)
        .take(VIDEO_SLOTS)
}

/// Holds the meeting of a seed to its end.
pub(crate) fn hold(seed: u64) -> Outcome {
    let mut meeting = Meeting::new(seed);
    meeting.lab.run_for(secs(2));
    let length = meeting.rng.random_range(20..40);
    let mut passed = Duration::ZERO;
    while passed < secs(length) {
        let pause = millis(meeting.rng.random_range(50..1500));
        meeting.act();
        meeting.lab.run_for(pause);
        passed += pause;
    }
    for (_, person) in &meeting.people {
        let closest = person.camera(crate::camera::Camera::closest_requests);
        let is_spaced = closest.is_none_or(|closest| closest >= KEYFRAME_INTERVAL);
        meeting.lab.expect(
            is_spaced,
            &format!(
                "p{} was asked for two keyframes within {closest:?}",
                person.number
            ),
        );
    }
    meeting.heal();
    meeting.end();
    Outcome {
        trace: meeting.lab.trace(),
        faults: meeting.lab.faults(),
    }
}

/// Holds every fourth meeting, so that two cores share the work. Seeds beyond the committed ones, for whoever has time: `BATON_SEEDS=500`.
fn hold_quarter(quarter: u64) {
    let wanted = std::env::var("BATON_SEEDS").ok();
    let wanted = wanted.map(|count| count.parse::<u64>().expect("BATON_SEEDS is a number"));
    let end = COMMITTED.start + wanted.unwrap_or(COMMITTED.end - COMMITTED.start);
    for seed in (COMMITTED.start..end).filter(|seed| seed % 4 == quarter) {
        hold(seed);
    }
}

#[test]
fn random_meetings_keep_their_promises_first_quarter() {
    hold_quarter(0);
}

#[test]
fn random_meetings_keep_their_promises_second_quarter() {
    hold_quarter(1);
}

#[test]
fn random_meetings_keep_their_promises_third_quarter() {
    hold_quarter(2);
}

#[test]
fn random_meetings_keep_their_promises_fourth_quarter() {
    hold_quarter(3);
}
