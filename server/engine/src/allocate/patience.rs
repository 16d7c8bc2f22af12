//! When more may be given again after something had to be taken away: soon after the first time, later each time it fails.

use std::time::Duration;

use crate::time::Tick;

/// Pause after something was taken away.
const FIRST: Duration = Duration::from_millis(2000);

/// The same where a line has just broken in: its rate is a first guess, and the smallest picture shall be back within a second and a half.
const SUDDEN: Duration = Duration::from_millis(500);

/// And at most, after several failures.
const LONGEST: Duration = Duration::from_secs(10);

/// A raise that lasted shorter than this has failed.
const FAILED_WITHIN: Duration = Duration::from_secs(8);

/// So long without a failure, and the next pause is as short as the first.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// Falls that follow each other sooner are one break-in, with what was tried in vain meanwhile.
const ONE_BREAK: Duration = Duration::from_secs(20);

/// How long a line has to wait for better pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    until: Tick,
    pause: Duration,
    rose: Option<Tick>,
    fell: Option<Tick>,
    broke: Option<Tick>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            until: Tick(0),
            pause: FIRST,
            rose: None,
            fell: None,
            broke: None,
        }
    }
}

impl Patience {
    /// May something be raised now?
    pub(crate) fn may_rise(&self, now: Tick) -> bool {
        now >= self.until
    }

    /// May something paused come back that has ample room?
    pub(crate) fn may_return(&self, now: Tick) -> bool {
        let pause = self.pause.min(FIRST);
        self.fell.is_none_or(|fell| now >= fell + pause)
    }

    /// Something was raised.
    pub(crate) fn note_rise(&mut self, now: Tick) {
        self.rose = Some(now);
    }

    /// Something had to be taken away. `is_sudden`: because the line has broken in.
    pub(crate) fn note_fall(&mut self, is_sudden: bool, now: Tick) {
        let is_within = |at: Option<Tick>, span| at.is_some_and(|at| now.since(at) < span);
        let is_failure = is_within(self.rose.take(), FAILED_WITHIN);
        // What came before a line broke in says nothing of the line that it is now.
        if is_sudden && !is_within(self.broke, ONE_BREAK) {
            self.pause = SUDDEN;
        } else if is_failure {
            self.pause = (self.pause * 2).min(LONGEST);
        } else if !is_within(self.fell, FORGIVEN_AFTER) {
            self.pause = FIRST;
        }
        if is_sudden {
            self.broke = Some(now);
        }
        self.fell = Some(now);
        self.until = now + self.pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_paused_may_return_two_seconds_after_the_last_fall() {
        let (mut patience, now) = (Patience::default(), Tick(1_000_000));
        assert!(patience.may_return(now));
        for _ in 0..4 {
            patience.note_rise(now);
            patience.note_fall(false, now);
        }
        assert!(!patience.may_return(now + Duration::from_millis(1999)));
        assert!(patience.may_return(now + FIRST));
        assert!(!patience.may_rise(now + FIRST), "better pictures wait");
    }

    #[test]
    fn each_failure_doubles_the_pause_and_time_forgives() {
        let mut patience = Patience::default();
        let mut now = Tick(1_000_000);
        assert!(patience.may_rise(now));
        let mut pauses = Vec::new();
        for _ in 0..6 {
            patience.note_fall(false, now);
            pauses.push(patience.until.since(now).as_secs());
            assert!(!patience.may_rise(now));
            now = patience.until;
            assert!(patience.may_rise(now));
            patience.note_rise(now);
            now = now + Duration::from_secs(1);
        }
        assert_eq!(pauses, [2, 4, 8, 10, 10, 10]);
        now = now + Duration::from_secs(120);
        patience.note_fall(false, now);
        assert_eq!(patience.until.since(now), FIRST);
    }

    #[test]
    fn after_a_sudden_fall_the_first_try_is_soon_and_the_next_ones_later() {
        let (mut patience, mut now) = (Patience::default(), Tick(1_000_000));
        let mut pauses = Vec::new();
        for _ in 0..5 {
            patience.note_fall(true, now);
            // It falls in steps.
            patience.note_fall(true, now + Duration::from_millis(100));
            assert!(!patience.may_return(now + SUDDEN));
            pauses.push(patience.until.since(now).as_millis() - 100);
            now = patience.until;
            assert!(patience.may_rise(now));
            patience.note_rise(now);
            now = now + Duration::from_secs(1);
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000]);
    }

    #[test]
    fn a_line_that_breaks_in_is_not_blamed_for_what_failed_before() {
        let (mut patience, mut now) = (Patience::default(), Tick(1_000_000));
        patience.note_fall(false, now);
        now = now + Duration::from_secs(10);
        patience.note_rise(now);
        now = now + Duration::from_secs(5);
        patience.note_fall(true, now);
        assert_eq!(patience.until.since(now), SUDDEN, "nor is the rise");
        now = now + ONE_BREAK;
        patience.note_fall(true, now);
        assert_eq!(patience.until.since(now), SUDDEN, "it broke in again");
    }
}
