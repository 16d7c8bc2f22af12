//! Divides what a line carries among the pictures that somebody watches.
//!
//! A pure function of budget, views, the qualities there are and what was given before. Sound is taken off first. Everybody gets the lowest
//! layer before anybody gets a better one; screens and the speaker go first. What is given stays until the budget does not cover it any
//! more, and more is given only with room to spare, so that a budget that trembles changes nothing. Does not measure and does not send.

mod ladder;
mod patience;
mod redundancy;
mod share;

pub(crate) use ladder::{Ladder, Rung, covers};
pub(crate) use patience::Patience;
pub(crate) use redundancy::{Loss, Redundancy};
pub(crate) use share::{Claim, share};

use crate::bitrate::Bitrate;

/// How much of a picture is sent: the encoding, and how many of its spatial and temporal layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quality {
    /// Encoding (simulcast layer), 0 is the smallest.
    pub(crate) layer: u8,
    /// Highest spatial layer.
    pub(crate) spatial: u8,
    /// Highest temporal layer.
    pub(crate) temporal: u8,
}

impl Quality {
    /// Everything there is.
    pub(crate) const BEST: Self = Self {
        layer: u8::MAX,
        spatial: u8::MAX,
        temporal: u8::MAX,
    };
}

/// What a view gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nothing was decided yet.
    Fresh,
    /// At most this.
    UpTo(Quality),
    /// The line cannot carry it beside what is more important.
    Paused,
}

/// Who goes first when there is not enough for all; larger is more important.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Importance {
    pub(crate) is_screen: bool,
    pub(crate) is_speaker: bool,
    /// As the participant said.
    pub(crate) priority: u8,
}

/// From this priority on a picture is raised to its best before the others get more than their lowest layer.
const PINNED: u8 = 10;

impl Importance {
    fn is_focus(self) -> bool {
        self.is_screen || self.is_speaker || self.priority >= PINNED
    }
}

/// Room that is left when something better is given, in percent: rates are not steady.
const HEADROOM: u64 = 15;

/// What the most important screen may take at its lowest, in percent of the budget, while the line shows no sign of a queue: estimates of
/// lines that carried little are low, and a screen that is not seen is no use at all.
const SCREEN_TRIAL: u64 = 150;

/// What came of an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Rate of everything that is given, sound included.
    pub(crate) given: Bitrate,
    /// Rate at which everybody would get their best, with room to spare; [`Self::given`] where they have.
    pub(crate) wants: Bitrate,
    /// Something got less than before because it does not fit.
    pub(crate) fell: bool,
    /// Something got more than before.
    pub(crate) rose: bool,
}

/// One view on its way through an allocation.
#[derive(Clone, Debug)]
struct View {
    importance: Importance,
    /// Its qualities among all rungs, lowest first.
    first: usize,
    len: usize,
    /// Rungs below this one it has already.
    held: usize,
    is_fresh: bool,
    /// Rungs given; 0 is a pause.
    given: usize,
    /// Rungs given when nothing may rise.
    kept: usize,
    is_closed: bool,
}

impl View {
    /// Did it get less than it had?
    fn fell(&self) -> bool {
        self.given < self.held
    }
}

/// Allocates; kept for its memory.
#[derive(Debug, Default)]
pub(crate) struct Allocator {
    views: Vec<View>,
    rungs: Vec<Rung>,
    order: Vec<usize>,
}

/// A picture that is paused comes back early in its smallest form where the line is taken to carry so many times all that is sent then:
/// beside a download an estimate falls and rises every few seconds, and never is that too much.
const AMPLE: u64 = 3;

/// What there is to divide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    /// `None`: no limit is known, everybody gets their best.
    pub(crate) budget: Option<Bitrate>,
    /// Of that, what sound takes.
    pub(crate) sound: Bitrate,
    /// Nothing failed lately.
    pub(crate) may_rise: bool,
    /// Nothing failed a moment ago: what is paused may come back where there is ample room for it.
    pub(crate) may_return: bool,
    /// Nothing queues or is lost.
    pub(crate) is_calm: bool,
}

/// What everything must fit into.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// For the lowest quality of the most important screen.
    screen: u64,
    /// For what was given before.
    keep: u64,
    /// For more than that.
    raise: u64,
    /// Nothing is raised for now.
    may_rise: bool,
    /// What is paused may come back.
    may_return: bool,
}

impl Allocator {
    /// Begins a new allocation.
    pub(crate) fn clear(&mut self) {
        self.views.clear();
        self.rungs.clear();
        self.order.clear();
    }

    /// Adds a view with the qualities that are of use to it, lowest first, and what it has. Gives its number.
    pub(crate) fn add(
        &mut self,
        importance: Importance,
        before: Target,
        rungs: impl Iterator<Item = Rung>,
    ) -> usize {
        let first = self.rungs.len();
        self.rungs.extend(rungs);
        let own = self.rungs.get(first..).unwrap_or_default();
        let held = match before {
            Target::UpTo(quality) => own.partition_point(|rung| rung.quality <= quality),
            Target::Fresh | Target::Paused => 0,
        };
        self.views.push(View {
            importance,
            first,
            len: own.len(),
            held,
            is_fresh: before == Target::Fresh,
            given: 0,
            kept: 0,
            is_closed: false,
        });
        self.views.len() - 1
    }

    /// What a view got. A view without qualities of its own gets whatever comes.
    pub(crate) fn target(&self, view: usize) -> Target {
        let Some(view) = self.views.get(view).filter(|view| view.len > 0) else {
            return Target::UpTo(Quality::BEST);
        };
        match self.rung(view, view.given.wrapping_sub(1)) {
            Some(rung) => Target::UpTo(rung.quality),
            None => Target::Paused,
        }
    }

    /// Numbers of the views, most important first.
    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }

    /// Divides what the line carries beside sound.
    pub(crate) fn allocate(&mut self, line: &Line) -> Outcome {
        let (budget, sound) = (line.budget, line.sound);
        let views = &self.views;
        self.order.extend(0..views.len());
        self.order.sort_unstable_by(|&a, &b| {
            let rank = |view: usize| views.get(view).map(|view| view.importance);
            rank(b).cmp(&rank(a)).then(a.cmp(&b))
        });
        let room = budget.map_or(u64::MAX, |budget| budget.0.saturating_sub(sound.0));
        let mut limits = Limits {
            screen: match line.is_calm {
                true => room.saturating_mul(SCREEN_TRIAL) / 100,
                false => room,
            },
            keep: room,
            raise: budget.map_or(u64::MAX, |_| without_headroom(room)),
            may_rise: false,
            may_return: line.may_return,
        };
        let mut used = self.fill(limits);
        let fell = self.views.iter().any(View::fell);
        if budget.is_none() || (line.may_rise && !fell) {
            self.views
                .iter_mut()
                .for_each(|view| view.kept = view.given);
            let kept = used;
            limits.may_rise = true;
            used = self.fill(limits);
            if !self.is_justified() {
                self.views
                    .iter_mut()
                    .for_each(|view| view.given = view.kept);
                used = kept;
            }
        }
        self.outcome(used, sound)
    }

    /// Gives rung after rung, from none. What is said first goes first. Gives the rate of it all.
    fn fill(&mut self, limits: Limits) -> u64 {
        for view in &mut self.views {
            (view.given, view.is_closed) = (0, false);
        }
        let mut used = 0;
        self.sweep(&mut used, limits, |view, _| view.given == 0);
        while self.sweep(&mut used, limits, |_, is_lowest_layer| is_lowest_layer) {}
        for at in 0..self.order.len() {
            let Some(&view) = self.order.get(at) else {
                continue;
            };
            let is_focus = self
                .views
                .get(view)
                .is_some_and(|view| view.importance.is_focus());
            while is_focus && self.raise(view, &mut used, limits) {}
        }
        while self.sweep(&mut used, limits, |_, _| true) {}
        used
    }

    /// Is what was taken away less important than something that was given for it? Equals do not take from each other.
    fn is_justified(&self) -> bool {
        let importance = |view: &View| view.importance;
        let fallen = self.views.iter().filter(|view| view.fell());
        let risen = self.views.iter().filter(|view| view.given > view.held);
        match (fallen.map(importance).max(), risen.map(importance).max()) {
            (Some(fallen), Some(risen)) => risen > fallen,
            (fallen, _) => fallen.is_none(),
        }
    }

    /// One more rung for every view that is meant, by importance. `is_meant` is told whether the next rung is still of the lowest layer.
    fn sweep(
        &mut self,
        used: &mut u64,
        limits: Limits,
        is_meant: impl Fn(&View, bool) -> bool,
    ) -> bool {
        let mut any = false;
        for at in 0..self.order.len() {
            let Some(&number) = self.order.get(at) else {
                continue;
            };
            let Some(view) = self.views.get(number) else {
                continue;
            };
            let place = |rung: &Rung| (rung.quality.layer, rung.quality.spatial);
            let lowest = self.rung(view, 0).map(place);
            let is_lowest = view.given > 0 && self.rung(view, view.given).map(place) == lowest;
            if is_meant(view, is_lowest) {
                any |= self.raise(number, used, limits);
            }
        }
        any
    }

    /// One more rung for a view, if it fits.
    fn raise(&mut self, number: usize, used: &mut u64, limits: Limits) -> bool {
        let Some(view) = self.views.get(number).filter(|view| !view.is_closed) else {
            return false;
        };
        let Some(next) = self.rung(view, view.given) else {
            return false;
        };
        let present = view.given.checked_sub(1);
        let present = present.and_then(|present| self.rung(view, present));
        let without = *used - present.map_or(0, |rung| rung.rate.0);
        let total = without.saturating_add(next.rate.0);
        let is_first_of_all = view.given == 0 && view.is_fresh;
        let is_most_important = self.order.first() == Some(&number);
        let is_screen = view.importance.is_screen && view.given == 0 && is_most_important;
        let fits = if view.given < view.held || is_first_of_all {
            let keep = if is_screen {
                limits.screen
            } else {
                limits.keep
            };
            total <= keep
        } else {
            let is_back = view.held == 0 && view.given == 0 && limits.may_return;
            let is_ample = is_back && total.saturating_mul(AMPLE) <= limits.raise;
            // A view that never had more than its first picture need not wait for others' failures.
            (limits.may_rise || view.is_fresh || is_ample) && total <= limits.raise
        };
        let Some(view) = self.views.get_mut(number) else {
            return false;
        };
        if fits {
            view.given += 1;
            *used = total;
        } else {
            view.is_closed = true;
        }
        fits
    }

    fn outcome(&self, used: u64, sound: Bitrate) -> Outcome {
        let last = |view: &View| {
            self.rung(view, view.len.wrapping_sub(1))
                .map_or(0, |rung| rung.rate.0)
        };
        let best: u64 = self.views.iter().map(last).fold(0, u64::saturating_add);
        let is_best = self.views.iter().all(|view| view.given == view.len);
        let given = Bitrate(used.saturating_add(sound.0));
        let had = |view: &&View| !view.is_fresh && view.len > 0;
        Outcome {
            given,
            wants: if is_best {
                given
            } else {
                // Room is left on top of what fits without it; rounding must not leave the last bit out.
                Bitrate(with_headroom(best.max(used)).saturating_add(sound.0))
            },
            fell: self.views.iter().any(View::fell),
            rose: self
                .views
                .iter()
                .filter(had)
                .any(|view| view.given > view.held),
        }
    }

    fn rung(&self, view: &View, at: usize) -> Option<&Rung> {
        (at < view.len)
            .then(|| self.rungs.get(view.first + at))
            .flatten()
    }
}

fn without_headroom(rate: u64) -> u64 {
    u64::try_from(u128::from(rate) * 100 / u128::from(100 + HEADROOM)).unwrap_or(u64::MAX)
}

fn with_headroom(rate: u64) -> u64 {
    let room = u128::from(rate) * u128::from(100 + HEADROOM);
    u64::try_from(room.div_ceil(100) + 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
