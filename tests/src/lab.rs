//! Scenarios: who sits behind which line, what happens to it, and what is expected. One file plays in two worlds: simulated meetings
//! (`tests/sim`) and real browsers behind real packets (`tests/e2e/lab.mjs`).
//!
//! Owns the format (`tests/lab/*.json`), the figures (`figures`), so that both worlds mean the same by a word, and the table
//! (`table`). Does not play anything.

mod figures;
mod table;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

pub use figures::{Measured, Picture, Recording, Sample, measure};
pub use table::{Row, World, table};

use crate::link::{Burst, Line};

/// One scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One sentence.
    pub says: String,
    /// Seconds that it takes, counted from the moment at which everybody who does not join later sees whom they watch.
    pub seconds: f64,
    /// By name.
    pub people: BTreeMap<String, Person>,
    /// In order of time.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// What is measured.
    pub figures: Vec<Figure>,
    /// The same with other lines. None: once as it is.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// Worlds in which it cannot be played, and why.
    #[serde(default)]
    pub not_in: BTreeMap<World, String>,
    /// Simulated runs, each from a seed of its own, of which the figures are means: where chance decides, one says little.
    #[serde(default = "one")]
    pub runs: u64,
}

const fn one() -> u64 {
    1
}

/// Somebody in the call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Person {
    /// Sends a camera's picture (1280x720, layers of 0.15, 0.5 and 1.7 Mb/s at most).
    pub films: bool,
    /// Whose pictures are shown, and at which size in pixels.
    pub watches: BTreeMap<String, (u16, u16)>,
    /// The way from them. Nothing said: a line without fault.
    pub up: Way,
    /// The way to them.
    pub down: Way,
    /// Comes only at this second, on a page that is loaded already.
    pub joins: Option<f64>,
    /// UDP does not leave their network.
    pub udp_blocked: bool,
    /// Has a line of their own even if nothing is wrong with it.
    pub away: bool,
}

/// One direction of a line. What is not said stays as it was, at first perfect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Way {
    /// Milliseconds.
    pub delay: Option<f64>,
    /// At random up to so many milliseconds more, in order.
    pub jitter: Option<f64>,
    /// Percent of the packets lost by chance.
    pub loss: Option<f64>,
    /// Loss in bursts; a `loss` of 0 ends them.
    pub burst: Option<Bursts>,
    /// kb/s with IP headers.
    pub rate: Option<f64>,
    /// Milliseconds that a packet may wait for its turn; 200 if nothing is said.
    pub queue: Option<f64>,
}

/// Loss in bursts; times are means of exponential distributions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bursts {
    /// Milliseconds.
    pub lasts: f64,
    /// Milliseconds between two.
    pub pause: f64,
    /// Percent lost in one.
    pub loss: f64,
}

/// Something that happens.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Second.
    pub at: f64,
    /// To whom.
    pub who: String,
    /// What becomes different on the way from them.
    #[serde(default)]
    pub up: Way,
    /// And on the way to them.
    #[serde(default)]
    pub down: Way,
    /// A download begins beside the call, to them.
    #[serde(default)]
    pub downloads: bool,
    /// They have another address from now on.
    #[serde(default)]
    pub moves: bool,
    /// They show other pictures from now on.
    #[serde(default)]
    pub watches: Option<BTreeMap<String, (u16, u16)>>,
}

/// A figure and its bounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// For the table.
    pub name: String,
    /// Of whom.
    pub who: String,
    /// What is measured.
    pub what: What,
    /// Seconds between which it is measured.
    pub from: f64,
    /// The end of that.
    pub until: f64,
    /// Bounds.
    #[serde(default)]
    pub most: Option<f64>,
    /// Bounds.
    #[serde(default)]
    pub least: Option<f64>,
    /// Worlds that do not know it, or for which the bound does not hold, and why.
    #[serde(default)]
    pub not_in: BTreeMap<World, String>,
    /// What worlds have reached that do not keep to the bound: a test holds them to that until they do.
    #[serde(default)]
    pub reached: BTreeMap<World, f64>,
}

/// What can be measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// Milliseconds that a packet towards them waits on the line, exceeded in one look of twenty.
    Queue,
    /// Seconds until packets wait for less than so many milliseconds, and go on so.
    QueueSettles {
        /// Milliseconds.
        below: f64,
    },
    /// Seconds until a picture of at most, or at least, this width is shown.
    Shows {
        /// Whose picture.
        of: String,
        /// Pixels; a narrower picture is not enough.
        #[serde(default)]
        least: Option<u32>,
        /// A wider one is too much.
        #[serde(default)]
        most: Option<u32>,
    },
    /// Milliseconds made up in a row, for want of sound.
    SoundGap,
    /// Percent of sound that was made up.
    MadeUp,
    /// Longest time without a new picture, in milliseconds.
    Gap {
        /// Whose picture.
        of: String,
    },
    /// Times that a picture stood still, as browsers count.
    Freezes {
        /// Whose picture.
        of: String,
    },
    /// Pictures a second.
    Fps {
        /// Whose picture.
        of: String,
    },
    /// Percent of the time in which the picture was paused.
    Paused {
        /// Whose picture.
        of: String,
    },
    /// The host's estimate in percent of the line's rate, on average.
    Estimate {
        /// kb/s.
        rate: f64,
    },
    /// Percent of the line's bytes that are the call's, beside a download.
    Share,
    /// kb/s of media that they send.
    Upload,
    /// By how many percent their upload is smaller than between two other seconds.
    Saved {
        /// Seconds.
        than_from: f64,
        /// Seconds.
        than_until: f64,
    },
    /// Seconds until connected.
    Connects,
    /// Milliseconds that sound waits in the jitter buffer, on average.
    Playout,
    /// Does their page show whose line is slow: seconds until it says so of this person, in this direction.
    Says {
        /// Whose line.
        of: String,
        /// `upload` or `download`.
        cause: String,
    },
}

/// The same scenario with other lines.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// For the table.
    pub name: String,
    /// Whose line differs.
    pub who: String,
    /// How.
    #[serde(default)]
    pub up: Way,
    /// How.
    #[serde(default)]
    pub down: Way,
    /// Downloads something from this second on.
    #[serde(default)]
    pub downloads: Option<f64>,
    /// As in the scenario.
    #[serde(default = "one")]
    pub runs: u64,
    /// Figures that this variant has beside the others.
    #[serde(default)]
    pub figures: Vec<Figure>,
}

impl Way {
    /// This one with what `change` says.
    #[must_use]
    pub fn over(self, change: Self) -> Self {
        Self {
            delay: change.delay.or(self.delay),
            jitter: change.jitter.or(self.jitter),
            loss: change.loss.or(self.loss),
            burst: change.burst.or(self.burst),
            rate: change.rate.or(self.rate),
            queue: change.queue.or(self.queue),
        }
    }

    /// Says nothing at all?
    pub fn is_perfect(&self) -> bool {
        *self == Self::default()
    }

    /// Time that a packet may wait.
    pub fn queue(&self) -> Duration {
        millis(self.queue.unwrap_or(200.0))
    }

    /// Bits per second.
    pub fn bits(&self) -> Option<u64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate in a file of ours"
        )]
        self.rate.map(|kbps| (kbps * 1000.0) as u64)
    }

    /// Bursts of loss.
    pub fn gusts(&self) -> Option<Burst> {
        let burst = self.burst.filter(|burst| burst.loss > 0.0)?;
        Some(Burst {
            lasts: millis(burst.lasts),
            pause: millis(burst.pause),
            loss: burst.loss / 100.0,
        })
    }

    /// As the emulator between namespaces understands it.
    pub fn line(&self) -> Line {
        let half = millis(self.jitter.unwrap_or(0.0) / 2.0);
        let rate = self.bits();
        let bytes = rate.map_or(0.0, |rate| self.queue().as_secs_f64() * rate as f64 / 8.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bytes of a queue in a file of ours"
        )]
        let queue = bytes as usize;
        Line {
            delay: millis(self.delay.unwrap_or(0.0)) + half,
            jitter: half,
            loss: self.loss.unwrap_or(0.0) / 100.0,
            burst: self.gusts(),
            rate,
            queue: queue.max(3000),
            reorders: false,
        }
    }
}

/// So many milliseconds.
pub fn millis(count: f64) -> Duration {
    Duration::from_secs_f64(count.max(0.0) / 1000.0)
}

impl Scenario {
    /// Every scenario in a folder with its name, variants as scenarios of their own.
    ///
    /// # Errors
    /// With the file and what is wrong in it.
    pub fn all(folder: &Path) -> Result<Vec<(String, Self)>> {
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .with_context(|| format!("read {}", folder.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "json")
            })
            .collect();
        files.sort();
        let mut all = Vec::new();
        for path in files {
            let text = std::fs::read_to_string(&path)?;
            let scenario: Self = serde_json::from_str(&text)
                .with_context(|| format!("{} is no scenario", path.display()))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            scenario
                .check()
                .with_context(|| path.display().to_string())?;
            all.extend(scenario.variants(&name));
        }
        Ok(all)
    }

    fn check(&self) -> Result<()> {
        let is_known = |name: &String| self.people.contains_key(name);
        let names = self.changes.iter().map(|change| &change.who);
        let names = names.chain(self.figures.iter().map(|figure| &figure.who));
        let watched = self.people.values().flat_map(|one| one.watches.keys());
        for name in names.chain(watched) {
            ensure!(is_known(name), "nobody here is called {name}");
        }
        for figure in &self.figures {
            let fits = figure.from < figure.until && figure.until <= self.seconds;
            ensure!(fits, "{}: measured while nothing happens", figure.name);
        }
        Ok(())
    }

    fn variants(self, name: &str) -> Vec<(String, Self)> {
        if self.variants.is_empty() {
            return vec![(name.to_owned(), self)];
        }
        let with = |variant: &Variant| {
            let mut scenario = self.clone();
            scenario.variants.clear();
            scenario.runs = scenario.runs.max(variant.runs);
            scenario.says = format!("{}: {}", self.says, variant.name);
            if let Some(person) = scenario.people.get_mut(&variant.who) {
                person.up = person.up.over(variant.up);
                person.down = person.down.over(variant.down);
            }
            scenario.figures.extend(variant.figures.iter().cloned());
            if let Some(at) = variant.downloads {
                scenario.changes.push(Change {
                    at,
                    who: variant.who.clone(),
                    up: Way::default(),
                    down: Way::default(),
                    downloads: true,
                    moves: false,
                    watches: None,
                });
            }
            (format!("{name}, {}", variant.name), scenario)
        };
        self.variants.iter().map(with).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lab");
        let all = Scenario::all(&folder).unwrap();
        assert!(all.len() >= 10, "{} scenarios", all.len());
    }

    #[test]
    fn a_change_says_only_what_is_different() {
        let before: Way = serde_json::from_str(r#"{"delay": 20, "rate": 3000}"#).unwrap();
        let change: Way = serde_json::from_str(r#"{"rate": 300}"#).unwrap();
        let after = before.over(change);
        assert_eq!((after.delay, after.bits()), (Some(20.0), Some(300_000)));
        assert_eq!(after.line().queue, 7500, "200 ms of 300 kb/s");
        assert!(serde_json::from_str::<Way>(r#"{"dalay": 20}"#).is_err());
    }
}
