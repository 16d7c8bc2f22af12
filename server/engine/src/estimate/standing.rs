//! Whose queue is it that does not empty? The leg sends less; if the queue does not shrink by half of what that should do, others fill it.
//!
//! Copa (NSDI 2018, section 2.2) tells by the same sign that it competes with what fills buffers.

use std::time::Duration;

use super::rate::{Lowered, drained};
use crate::time::Tick;

/// A queue that stands for so long is put to the test, whose result shows after this time and holds for this long.
const STANDING: Duration = Duration::from_secs(2);
const LOWERED: Duration = Duration::from_secs(1);
const RETEST: Duration = Duration::from_secs(10);

/// Milliseconds by which others' queue may grow before it is put to the test again.
const MAX_GROWTH: f64 = 120.0;

/// What a queue that stands calls for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Less has to be sent now.
    pub(super) needs_test: bool,
    /// Others fill it.
    pub(super) is_crowded: bool,
}

/// Judges a queue that has stood for so long and keeps packets waiting for `queue` milliseconds, by what became of it after `trials`.
pub(super) fn judge(
    stood: Duration,
    queue: f64,
    trials: [Option<Lowered>; 2],
    round_trip: Duration,
    now: Tick,
) -> Standing {
    if stood < STANDING {
        return Standing::default();
    }
    let within = stood.min(RETEST);
    let is_recent = |trial: &Lowered| now.since(trial.at) < within;
    let Some(last) = trials.into_iter().flatten().rfind(is_recent) else {
        return Standing {
            needs_test: true,
            is_crowded: false,
        };
    };
    let is_in_vain = |trial: &Lowered| {
        let effective = now.since(trial.at).saturating_sub(2 * round_trip);
        let expected = drained(effective).min(trial.queue);
        let shrunk = trial.queue - queue;
        effective > LOWERED && (-MAX_GROWTH..0.5 * expected).contains(&shrunk)
    };
    let is_crowded = trials
        .iter()
        .flatten()
        .any(|trial| is_recent(trial) && is_in_vain(trial));
    let since = now.since(last.at);
    let is_over = since > STANDING && since > 2 * round_trip + LOWERED;
    Standing {
        needs_test: is_over && !is_crowded,
        is_crowded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decreases_one_after_the_other_do_not_put_the_verdict_off() {
        let now = Tick(60_000_000);
        let lowered = |ago: u64| {
            let at = now - Duration::from_millis(ago);
            Some(Lowered { at, queue: 130.0 })
        };
        let verdict = |trials| {
            let (stood, round_trip) = (Duration::from_secs(8), Duration::from_millis(320));
            judge(stood, 130.0, trials, round_trip, now)
        };
        let crowded = Standing {
            needs_test: false,
            is_crowded: true,
        };
        assert_eq!(verdict([None, lowered(1500)]), Standing::default());
        assert_eq!(verdict([lowered(6000), lowered(1500)]), crowded);
        assert!(verdict([lowered(9000), None]).needs_test, "too long ago");
    }
}
