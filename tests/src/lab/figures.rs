//! What is measured in a recording, whichever world it comes from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Figure, Scenario, What, World};

/// What somebody saw and heard at one moment. Counters count from the beginning.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// Seconds.
    pub t: f64,
    /// Milliseconds that a packet towards them waits on the line.
    pub queue: f64,
    /// Bits per second that the host takes their line for.
    pub estimate: Option<f64>,
    /// Bytes of a download beside the call that have arrived.
    pub downloaded: f64,
    /// Bytes of the call that have arrived.
    pub received: f64,
    /// Bytes of media that they have sent.
    pub sent: f64,
    /// Is there a connection?
    pub connected: bool,
    /// Milliseconds of sound made up, and played in all.
    pub made_up: f64,
    /// Milliseconds of sound played.
    pub played: f64,
    /// Sums of time that sound waited in the jitter buffer, and of samples that did, in seconds.
    pub buffered: f64,
    /// How many samples that was.
    pub emitted: f64,
    /// By name of the person.
    pub pictures: BTreeMap<String, Picture>,
    /// Whose line does badly, and in which direction, by name.
    pub lines: BTreeMap<String, String>,
}

/// Somebody's picture at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Picture {
    /// Pixels; 0 until one was shown.
    pub width: u32,
    /// Shown so far.
    pub frames: f64,
    /// Freezes so far.
    pub freezes: f64,
    /// Longest time without a new one since the look before, in milliseconds.
    pub gap: Option<f64>,
    /// Paused by the host for want of room.
    pub paused: bool,
}

/// A scenario played once: samples by name of the person, in order of time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Recording {
    /// Which world.
    pub world: World,
    /// Samples of everybody.
    pub people: BTreeMap<String, Vec<Sample>>,
}

/// A figure that was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// As in the scenario.
    pub figure: Figure,
    /// `None`: it did not happen, or nothing can be said.
    pub value: Option<f64>,
}

impl Measured {
    /// Is it within its bounds?
    pub fn holds(&self) -> bool {
        let Some(value) = self.value else {
            return false;
        };
        self.figure.most.is_none_or(|most| value <= most)
            && self.figure.least.is_none_or(|least| value >= least)
    }

    /// Is it at least no worse than what a world had reached that does not keep to the bounds?
    pub fn is_as_reached(&self, world: World) -> bool {
        let reached = self.figure.reached.get(&world);
        let is_as_good = |reached: &f64| match (self.value, self.figure.least) {
            (Some(value), None) => value <= *reached,
            (Some(value), Some(_)) => value >= *reached,
            (None, _) => false,
        };
        self.holds() || reached.is_some_and(is_as_good)
    }
}

/// Measures all figures of a scenario that this world knows.
pub fn measure(scenario: &Scenario, recording: &Recording) -> Vec<Measured> {
    let figures = scenario.figures.iter();
    let known = figures.filter(|figure| !figure.not_in.contains_key(&recording.world));
    known
        .map(|figure| {
            let samples = recording.people.get(&figure.who);
            let samples = samples.map(Vec::as_slice).unwrap_or_default();
            Measured {
                figure: figure.clone(),
                value: value(figure, samples),
            }
        })
        .collect()
}

fn value(figure: &Figure, samples: &[Sample]) -> Option<f64> {
    let window = between(samples, figure.from, figure.until);
    let (first, last) = (window.first()?, window.last()?);
    let seconds = (last.t - first.t).max(0.001);
    let picture = |sample: &Sample, of: &str| sample.pictures.get(of).cloned().unwrap_or_default();
    let since = |is_so: &dyn Fn(&Sample) -> bool| {
        let found = window.iter().find(|sample| is_so(sample))?;
        Some(found.t - figure.from)
    };
    match &figure.what {
        What::Queue => {
            let mut waits: Vec<_> = window.iter().map(|sample| sample.queue).collect();
            waits.sort_by(f64::total_cmp);
            waits.get(waits.len() * 19 / 20).copied()
        }
        What::QueueSettles { below } => {
            let late = window.iter().rposition(|sample| sample.queue >= *below);
            match late {
                None => Some(0.0),
                // Of the very end nothing can be said.
                Some(late) => Some(window.get(late + 1)?.t - figure.from),
            }
        }
        What::Shows { of, least, most } => since(&|sample| {
            let width = picture(sample, of).width;
            width > 0
                && least.is_none_or(|least| width >= least)
                && most.is_none_or(|most| width <= most)
        }),
        What::SoundGap => {
            let steps = window
                .windows(2)
                .map(|pair| (pair[1].made_up - pair[0].made_up).max(0.0));
            let (mut run, mut longest) = (0.0, 0.0_f64);
            for step in steps {
                // A step in which nothing was made up ends the run.
                run = if step > 0.0 { run + step } else { 0.0 };
                longest = longest.max(run);
            }
            (last.played > first.played).then_some(longest)
        }
        What::MadeUp => share(last.made_up - first.made_up, last.played - first.played),
        What::Gap { of } => {
            let gaps = window.iter().skip(1);
            let gaps = gaps.filter_map(|sample| sample.pictures.get(of)?.gap);
            gaps.max_by(f64::total_cmp)
        }
        What::Freezes { of } => Some(picture(last, of).freezes - picture(first, of).freezes),
        What::Fps { of } => Some((picture(last, of).frames - picture(first, of).frames) / seconds),
        What::Paused { of } => {
            let paused = window.iter().filter(|sample| picture(sample, of).paused);
            share(paused.count() as f64, window.len() as f64)
        }
        What::Estimate { rate } => {
            let known: Vec<_> = window.iter().filter_map(|sample| sample.estimate).collect();
            let mean = known.iter().sum::<f64>() / known.len() as f64;
            (!known.is_empty()).then_some(mean / (rate * 10.0))
        }
        What::Share => {
            let call = last.received - first.received;
            share(call, call + last.downloaded - first.downloaded)
        }
        What::Upload => Some((last.sent - first.sent) * 8.0 / 1000.0 / seconds),
        What::Saved {
            than_from,
            than_until,
        } => {
            let before = between(samples, *than_from, *than_until);
            let (from, until) = (before.first()?, before.last()?);
            let rate = (until.sent - from.sent) / (until.t - from.t).max(0.001);
            let now = (last.sent - first.sent) / seconds;
            share(rate - now, rate)
        }
        What::Connects => since(&|sample| sample.connected),
        What::Playout => {
            let waited = last.buffered - first.buffered;
            let emitted = last.emitted - first.emitted;
            (emitted > 0.0).then(|| waited / emitted * 1000.0)
        }
        What::Says { of, cause } => since(&|sample| sample.lines.get(of) == Some(cause)),
    }
}

fn between(samples: &[Sample], from: f64, until: f64) -> &[Sample] {
    let first = samples.partition_point(|sample| sample.t < from);
    let end = samples.partition_point(|sample| sample.t <= until);
    samples.get(first..end).unwrap_or_default()
}

/// Percent.
fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(what: What, from: f64, until: f64) -> Figure {
        Figure {
            name: String::new(),
            who: "ben".to_owned(),
            what,
            from,
            until,
            most: None,
            least: None,
            not_in: BTreeMap::new(),
            reached: BTreeMap::new(),
        }
    }

    fn samples(change: impl Fn(f64, &mut Sample)) -> Vec<Sample> {
        let sample = |tenth: u32| {
            let t = f64::from(tenth) / 10.0;
            let mut sample = Sample {
                t,
                played: t * 1000.0,
                ..Sample::default()
            };
            change(t, &mut sample);
            sample
        };
        (0..=200).map(sample).collect()
    }

    #[test]
    fn a_queue_has_settled_when_it_stays_short() {
        let waits = samples(|t, sample| {
            sample.queue = if (2.0..4.0).contains(&t) || (5.0..6.5).contains(&t) {
                300.0
            } else {
                10.0
            };
        });
        let settles = figure(What::QueueSettles { below: 200.0 }, 2.0, 20.0);
        let found = value(&settles, &waits).unwrap();
        assert!((found - 4.5).abs() < 0.01, "{found}");
        let never = figure(What::QueueSettles { below: 5.0 }, 2.0, 20.0);
        assert_eq!(value(&never, &waits), None);
    }

    #[test]
    fn what_is_made_up_in_a_row_is_one_gap() {
        let heard = samples(|t, sample| {
            sample.made_up = if t < 3.0 {
                0.0
            } else {
                ((t - 3.0) * 500.0).min(120.0)
            } + if t > 9.0 { 60.0 } else { 0.0 };
        });
        let gap = value(&figure(What::SoundGap, 0.0, 20.0), &heard).unwrap();
        assert!((gap - 120.0).abs() < 0.01, "{gap}");
        let made_up = value(&figure(What::MadeUp, 0.0, 20.0), &heard).unwrap();
        assert!((made_up - 0.9).abs() < 0.01, "{made_up}");
    }

    #[test]
    fn a_picture_is_shown_when_it_has_the_size() {
        let seen = samples(|t, sample| {
            let picture = sample.pictures.entry("ana".to_owned()).or_default();
            picture.width = if t < 1.0 {
                0
            } else if t < 5.0 {
                320
            } else {
                1280
            };
            picture.frames = t * 25.0;
        });
        let shows = |least, most| What::Shows {
            of: "ana".to_owned(),
            least,
            most,
        };
        let small = value(&figure(shows(None, Some(320)), 0.0, 20.0), &seen);
        let large = value(&figure(shows(Some(1280), None), 2.0, 20.0), &seen);
        assert_eq!((small, large), (Some(1.0), Some(3.0)));
        assert_eq!(
            value(&figure(shows(Some(1920), None), 0.0, 20.0), &seen),
            None
        );
        let fps = value(
            &figure(
                What::Fps {
                    of: "ana".to_owned(),
                },
                5.0,
                15.0,
            ),
            &seen,
        );
        assert_eq!(fps, Some(25.0));
    }
}
