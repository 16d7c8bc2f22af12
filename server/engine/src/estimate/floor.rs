//! Does the way itself take longer than it did? Then the fastest packets all take the same time, however much is sent; a queue sways.
//!
//! Follows the least transit of short spans. Says since when they agree; what that means is for others to judge.

use std::time::Duration;

/// A span whose fastest packet counts, in microseconds: some pictures and voices.
const SPAN_MICROS: i64 = 250_000;

/// How far the fastest packets of several spans may lie apart, in microseconds: what clocks and schedulers do.
const AGREEING_MICROS: i64 = 4_000;

/// Follows the fastest packets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Floor {
    span: Option<Span>,
    run: Option<Run>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    since: i64,
    least: i64,
}

/// Spans in a row that agree.
#[derive(Clone, Copy, Debug)]
struct Run {
    since: i64,
    until: i64,
    least: i64,
    most: i64,
}

impl Floor {
    /// Takes the transit of what arrived `at`, both in microseconds.
    pub(super) fn add(&mut self, at: i64, transit: i64) {
        let span = self.span.get_or_insert(Span {
            since: at,
            least: transit,
        });
        if at.saturating_sub(span.since) < SPAN_MICROS {
            span.least = span.least.min(transit);
            return;
        }
        let Span { since, least } = *span;
        self.span = Some(Span {
            since: at,
            least: transit,
        });
        let fresh = Run {
            since,
            until: at,
            least,
            most: least,
        };
        self.run = Some(self.run.map_or(fresh, |run| {
            let joined = Run {
                since: run.since,
                until: at,
                least: run.least.min(least),
                most: run.most.max(least),
            };
            let agrees = joined.most - joined.least <= AGREEING_MICROS;
            if agrees { joined } else { fresh }
        }));
    }

    /// For how long the fastest packets have agreed.
    pub(super) fn steady(&self) -> Duration {
        let micros = self
            .run
            .map_or(0, |run| run.until.saturating_sub(run.since));
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// The least transit while they have agreed.
    pub(super) fn least(&self) -> Option<i64> {
        self.run.map(|run| run.least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(transits: impl Fn(i64) -> i64) -> Floor {
        let mut floor = Floor::default();
        for number in 0..200 {
            floor.add(number * 20_000, transits(number));
        }
        floor
    }

    #[test]
    fn a_longer_way_is_steady_and_a_queue_is_not() {
        let way = after(|number| 57_000 + (number % 7) * 5_000);
        assert!(way.steady() > Duration::from_secs(3), "{way:?}");
        assert_eq!(way.least(), Some(57_000));
        let queue = after(|number| 57_000 + (number % 100) * 800);
        assert!(queue.steady() < Duration::from_secs(1), "{queue:?}");
    }
}
