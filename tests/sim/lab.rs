//! Plays the scenarios of `tests/lab` in simulated time and holds their figures to their bounds. The same files play in real browsers
//! (`make lab`).
//!
//! `BATON_ROWS` names a folder into which the rows of the table are written.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use baton_protocol::PauseReason;
use baton_tests::lab::{
    Change, Measured, Picture, Recording, Row, Sample, Scenario, Way, World, measure, millis,
};

use crate::ear::Ear;
use crate::network::Weather;
use crate::participant::Log;
use crate::story::{Lab, Person};

/// Seed of all scenarios.
const SEED: u64 = 20_261_128;

/// Widths of a camera's layers.
const WIDTHS: [u32; 3] = [320, 640, 1280];

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Time in which those who are there from the beginning come to see each other.
const PRELUDE: Duration = Duration::from_secs(4);

/// A picture later than this is a freeze: browsers count what is 150 ms later than usual.
const FREEZE: Duration = Duration::from_millis(183);

fn weather(way: &Way) -> Weather {
    Weather {
        delay: millis(way.delay.unwrap_or(0.0)).max(Duration::from_micros(100)),
        jitter: millis(way.jitter.unwrap_or(0.0)),
        loss: way.loss.unwrap_or(0.0) / 100.0,
        gusts: way.gusts(),
        rate: way.bits(),
        queue: way.queue(),
        ..Weather::CLEAN
    }
}

/// Somebody, and what was counted of what they saw and heard.
struct Seat {
    person: Person,
    ways: (Way, Way),
    voice: Option<String>,
    samples: Vec<Sample>,
    views: BTreeMap<String, View>,
    ear: Ear,
}

#[derive(Default)]
struct View {
    picture: Picture,
    last: Option<Instant>,
}

impl Seat {
    /// Counts what was noted since the last look.
    fn count(&mut self, log: Log, names: &BTreeMap<usize, String>, now: Instant) {
        for view in self.views.values_mut() {
            view.picture.gap = view.last.map(|last| as_millis(now - last));
        }
        for (number, at, layer) in log.pictures {
            let Some(name) = names.get(&number) else {
                continue;
            };
            let view = self.views.entry(name.clone()).or_default();
            let gap = view.last.map_or(Duration::ZERO, |last| at - last);
            view.picture.freezes += f64::from(u8::from(gap > FREEZE));
            view.picture.frames += 1.0;
            view.picture.width = WIDTHS[usize::from(layer)];
            let longest = view.picture.gap.unwrap_or(0.0).max(as_millis(gap));
            view.picture.gap = Some(longest);
            view.last = Some(at);
        }
        // One voice is listened to: that of the first who is watched.
        let voices = log.sounds.into_iter();
        for (_, at, missing, is_twice) in
            voices.filter(|(whose, ..)| names.get(whose) == self.voice.as_ref())
        {
            self.ear.hear(at, missing, is_twice);
        }
    }
}

fn as_millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

/// Plays one scenario.
fn play(scenario: &Scenario, seed: u64) -> Recording {
    let lab = Lab::seeded(seed);
    let room = lab.room("standup");
    let mut seats: BTreeMap<String, Seat> = BTreeMap::new();
    let mut names = BTreeMap::new();
    let mut latecomers = Vec::new();
    for (name, one) in &scenario.people {
        if let Some(at) = one.joins {
            latecomers.push((millis(at * 1000.0), name));
        }
    }
    let mut enter = |name: &String, seats: &mut BTreeMap<String, Seat>| {
        let one = &scenario.people[name];
        let person = room.join_over(name, weather(&one.up), weather(&one.down));
        person.films_in_full(one.films);
        person.speaks();
        person.keeps_log();
        names.insert(person.number, name.clone());
        let seat = Seat {
            person,
            ways: (one.up, one.down),
            voice: one.watches.keys().next().cloned(),
            samples: Vec::new(),
            views: BTreeMap::new(),
            ear: Ear::default(),
        };
        seats.insert(name.clone(), seat);
        names.clone()
    };
    let mut known = BTreeMap::new();
    for (name, one) in &scenario.people {
        if one.joins.is_none() {
            known = enter(name, &mut seats);
        }
    }
    watch(scenario, &seats);
    lab.run_for(PRELUDE);
    for seat in seats.values() {
        seat.person.takes_log();
    }
    let start = lab.now();
    let mut changes = scenario.changes.iter().peekable();
    let end = start + millis(scenario.seconds * 1000.0);
    while lab.now() < end {
        let elapsed = lab.now() - start;
        latecomers.retain(|(at, name)| {
            let is_due = *at <= elapsed;
            if is_due {
                known = enter(name, &mut seats);
                watch(scenario, &seats);
            }
            !is_due
        });
        while let Some(change) = changes.next_if(|change| millis(change.at * 1000.0) <= elapsed) {
            apply(change, &mut seats);
        }
        lab.run_for(LOOK);
        let (now, t) = (lab.now(), (lab.now() - start).as_secs_f64());
        for seat in seats.values_mut() {
            let log = seat.person.takes_log();
            seat.count(log, &known, now);
            let sample = look(seat, &known, now, t);
            seat.samples.push(sample);
        }
    }
    Recording {
        world: World::Simulator,
        people: seats
            .into_iter()
            .map(|(name, seat)| (name, seat.samples))
            .collect(),
    }
}

/// Points everybody who is there at what they watch.
fn watch(scenario: &Scenario, seats: &BTreeMap<String, Seat>) {
    for (name, seat) in seats {
        for (shown, (width, height)) in &scenario.people[name].watches {
            if let Some(other) = seats.get(shown) {
                seat.person.watches(&other.person, *width, *height);
            }
        }
    }
}

fn apply(change: &Change, seats: &mut BTreeMap<String, Seat>) {
    if let Some(watches) = &change.watches {
        let shown: Vec<_> = watches
            .iter()
            .filter_map(|(name, size)| Some((seats.get(name)?.person.clone(), *size)))
            .collect();
        let viewer = &seats[&change.who].person;
        viewer.hides_all();
        for (other, (width, height)) in shown {
            viewer.watches(&other, width, height);
        }
    }
    let Some(seat) = seats.get_mut(&change.who) else {
        return;
    };
    seat.ways = (seat.ways.0.over(change.up), seat.ways.1.over(change.down));
    let (up, down) = (weather(&seat.ways.0), weather(&seat.ways.1));
    seat.person.has_line(up, down);
    if change.downloads {
        seat.person.downloads();
    }
}

fn look(seat: &Seat, names: &BTreeMap<usize, String>, now: Instant, t: f64) -> Sample {
    let person = &seat.person;
    let line = person.line();
    let mut pictures = BTreeMap::new();
    for (name, view) in &seat.views {
        pictures.insert(name.clone(), view.picture.clone());
    }
    for (number, name) in names {
        if person.paused_at(*number) == Some(PauseReason::Bandwidth) {
            pictures.entry(name.clone()).or_default().paused = true;
        }
    }
    Sample {
        t,
        queue: as_millis(person.queue()),
        estimate: line.and_then(|line| line.estimate).map(f64::from),
        downloaded: person.downloaded() as f64,
        received: person.media_bytes() as f64,
        sent: person.sent_bytes() as f64,
        connected: line.is_some(),
        made_up: as_millis(seat.ear.made_up(now)),
        played: if seat.ear.is_open() { t * 1000.0 } else { 0.0 },
        buffered: 0.0,
        emitted: 0.0,
        pictures,
        lines: person.slow_lines(names),
    }
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("lab")
}

/// The figures of a scenario, means over all its runs. What did not happen in one of them has no mean.
fn measured(scenario: &Scenario) -> Vec<Measured> {
    let run = |number| measure(scenario, &play(scenario, SEED + number));
    let mut figures = run(0);
    for other in (1..scenario.runs).map(run) {
        for (sum, one) in figures.iter_mut().zip(other) {
            sum.value = sum.value.zip(one.value).map(|(sum, one)| sum + one);
        }
    }
    for figure in &mut figures {
        figure.value = figure.value.map(|sum| sum / scenario.runs as f64);
    }
    figures
}

/// Plays every scenario of a file and complains of each figure beyond its bound.
fn hold(file: &str) {
    let all = Scenario::all(&folder()).expect("scenarios");
    let is_of = |name: &str| name == file || name.starts_with(&format!("{file}, "));
    let mut complaints = Vec::new();
    let mut count = 0;
    for (name, scenario) in all.iter().filter(|(name, _)| is_of(name)) {
        if scenario.not_in.contains_key(&World::Simulator) {
            continue;
        }
        count += 1;
        let figures = measured(scenario);
        for one in figures
            .iter()
            .filter(|one| !one.is_as_reached(World::Simulator))
        {
            let bounds = (one.figure.least, one.figure.most);
            complaints.push(format!(
                "{name}: {} is {:?}, not within {bounds:?}",
                one.figure.name, one.value
            ));
        }
        if let Some(folder) = std::env::var_os("BATON_ROWS") {
            let row = Row {
                scenario: name.clone(),
                world: World::Simulator,
                figures,
                failed: None,
            };
            let plain = |letter: char| {
                if letter.is_ascii_alphanumeric() {
                    letter
                } else {
                    '-'
                }
            };
            let file: String = name.chars().map(plain).collect();
            let path = Path::new(&folder).join(format!("simulator {file}.json"));
            std::fs::write(path, serde_json::to_string(&row).expect("plain data"))
                .expect("a folder for rows");
        }
    }
    assert!(count > 0, "no scenario {file} for the simulator");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// One test for each file, so that they run beside each other.
macro_rules! scenarios {
    ($($test:ident $file:literal)*) => {
        $(#[test]
        fn $test() {
            hold($file);
        })*

        #[test]
        fn every_scenario_of_the_simulator_is_played() {
            let played = [$($file),*];
            for (name, scenario) in Scenario::all(&folder()).expect("scenarios") {
                let file = name.split(", ").next().unwrap_or_default();
                let is_elsewhere = scenario.not_in.contains_key(&World::Simulator);
                assert!(is_elsewhere || played.contains(&file), "{name} is played nowhere");
            }
        }
    };
}

scenarios! {
    a_line_that_drops_and_comes_back "drop"
    a_start_on_a_good_and_on_a_slow_line "start"
    two_people_with_different_lines "two"
    a_steady_bottleneck_is_estimated "bottleneck"
    a_bottleneck_shared_with_a_download_is_shared "beside-a-download"
    jitter_loss_and_bursts "weather"
    nine_tiles_cost_their_publisher_little "tiles"
}
