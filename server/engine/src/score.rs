//! How a participant's line does, in one word: what people are told when it is bad.
//!
//! A pure judgement of one second, and how many such seconds it takes until a word is believed. Does not measure and tells nobody.

use std::time::Duration;

use baton_protocol::{Direction, Score};

/// Share of packets lost from which it is heard and seen, and from which it hurts: repair hides the first.
const LOSS: (f64, f64) = (0.04, 0.12);

/// Time that packets wait, likewise. ITU-T G.114 calls 400 ms one way the end of what people bear.
const QUEUE: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(1000));

/// Round trip, likewise.
const ROUND_TRIP: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(1200));

/// Given less than this share of what is wanted, in percent, a picture is clearly worse than its place on the screen.
const SHORT: u64 = 60;

/// Seconds in a row until it is worse, and until it is better: a word that comes and goes helps nobody.
const WORSE_AFTER: u8 = 3;
const BETTER_AFTER: u8 = 5;

/// A line that begins is measured first.
const BEGINNING: u8 = 6;

/// What one direction of a line showed in the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Signs {
    /// Share of packets lost, 0 to 1.
    pub(crate) loss: f64,
    pub(crate) queue: Duration,
    pub(crate) round_trip: Duration,
    /// It carries clearly less than what is wanted.
    pub(crate) is_short: bool,
    /// Pictures are paused because it does not carry them.
    pub(crate) is_paused: bool,
}

impl Signs {
    fn score(&self) -> Score {
        let exceeds = |poor: bool| {
            let pick = |(fair, hurts)| if poor { hurts } else { fair };
            let loss = if poor { LOSS.1 } else { LOSS.0 };
            self.loss >= loss || self.queue >= pick(QUEUE) || self.round_trip >= pick(ROUND_TRIP)
        };
        if self.is_paused || exceeds(true) {
            Score::Poor
        } else if self.is_short || exceeds(false) {
            Score::Fair
        } else {
            Score::Good
        }
    }
}

/// Is `given` clearly less than what is `wanted`?
pub(crate) fn is_short(given: u64, wanted: u64) -> bool {
    u128::from(given) * 100 < u128::from(wanted) * u128::from(SHORT)
}

/// What is believed of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    score: Score,
    cause: Direction,
    /// Looks in a row that said otherwise, all worse or all better.
    otherwise: u8,
    looks: u8,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            score: Score::Good,
            cause: Direction::Download,
            otherwise: 0,
            looks: 0,
        }
    }
}

impl Standing {
    /// Takes what a second has shown of both directions.
    pub(crate) fn look(&mut self, up: &Signs, down: &Signs) {
        if self.looks < BEGINNING {
            self.looks += 1;
            return;
        }
        let (up, down) = (up.score(), down.score());
        let (score, cause) = if up >= down {
            (up, Direction::Upload)
        } else {
            (down, Direction::Download)
        };
        if score == self.score {
            self.otherwise = 0;
            return;
        }
        self.otherwise += 1;
        let enough = if score > self.score {
            WORSE_AFTER
        } else {
            BETTER_AFTER
        };
        if self.otherwise >= enough {
            (self.score, self.cause, self.otherwise) = (score, cause, 0);
        }
    }

    /// What is wrong, if anything is.
    pub(crate) fn trouble(&self) -> Option<(Score, Direction)> {
        (self.score > Score::Good).then_some((self.score, self.cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Signs = Signs {
        loss: 0.01,
        queue: Duration::from_millis(20),
        round_trip: Duration::from_millis(80),
        is_short: false,
        is_paused: false,
    };

    fn looked(standing: &mut Standing, up: Signs, down: Signs, times: u8) {
        (0..times).for_each(|_| standing.look(&up, &down));
    }

    #[test]
    fn a_word_comes_after_three_seconds_and_goes_after_five() {
        let mut standing = Standing::default();
        let lossy = Signs { loss: 0.05, ..WELL };
        looked(&mut standing, WELL, lossy, BEGINNING + WORSE_AFTER - 1);
        assert_eq!(standing.trouble(), None, "it begins, and two seconds");
        looked(&mut standing, WELL, lossy, 1);
        let fair = Some((Score::Fair, Direction::Download));
        assert_eq!(standing.trouble(), fair);
        looked(&mut standing, WELL, WELL, BETTER_AFTER - 1);
        looked(&mut standing, WELL, lossy, 1);
        looked(&mut standing, WELL, WELL, BETTER_AFTER - 1);
        assert_eq!(standing.trouble(), fair, "never five in a row");
        looked(&mut standing, WELL, WELL, 1);
        assert_eq!(standing.trouble(), None);
    }

    #[test]
    fn the_worse_direction_is_the_cause_and_a_pause_is_poor() {
        let mut standing = Standing::default();
        let paused = Signs {
            is_paused: true,
            ..WELL
        };
        let short = Signs {
            is_short: true,
            ..WELL
        };
        looked(&mut standing, short, paused, BEGINNING + WORSE_AFTER);
        let trouble = standing.trouble();
        assert_eq!(trouble, Some((Score::Poor, Direction::Download)));
        looked(&mut standing, short, WELL, BETTER_AFTER);
        assert_eq!(standing.trouble(), Some((Score::Fair, Direction::Upload)));
    }

    #[test]
    fn each_sign_has_a_bound() {
        let with = |change: fn(&mut Signs)| {
            let mut signs = WELL;
            change(&mut signs);
            signs.score()
        };
        assert_eq!(with(|_| {}), Score::Good);
        assert_eq!(with(|signs| signs.loss = 0.2), Score::Poor);
        assert_eq!(with(|signs| signs.queue = QUEUE.0), Score::Fair);
        assert_eq!(with(|signs| signs.queue = QUEUE.1), Score::Poor);
        assert_eq!(with(|signs| signs.round_trip = ROUND_TRIP.0), Score::Fair);
        assert!(is_short(500_000, 2_000_000) && !is_short(1_500_000, 2_000_000));
    }
}
