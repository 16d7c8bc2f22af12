//! Guests that say their host is silent, and when that is enough to believe it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use baton_protocol::ParticipantId;

/// How long a report counts.
const MEMORY: Duration = Duration::from_secs(2);

/// Reports about the present term.
#[derive(Debug, Default)]
pub(crate) struct Losses(BTreeMap<ParticipantId, Instant>);

impl Losses {
    /// Somebody hears nothing.
    pub(crate) fn report(&mut self, who: ParticipantId, now: Instant) {
        self.0.insert(who, now);
    }

    /// Two guests, or half of them if that is more; all of them if there are fewer; a single one if the host also missed
    /// its lease. One alone may have lost only its own path.
    pub(crate) fn is_lost(
        &self,
        guests: &BTreeSet<ParticipantId>,
        is_lease_missed: bool,
        now: Instant,
    ) -> bool {
        let counts = |(who, at): &(&ParticipantId, &Instant)| {
            guests.contains(who) && now.saturating_duration_since(**at) <= MEMORY
        };
        let reports = self.0.iter().filter(counts).count();
        let needed = match is_lease_missed {
            true => 1,
            false => guests.len().div_ceil(2).max(2).min(guests.len()),
        };
        reports >= needed.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(range: std::ops::Range<u32>) -> BTreeSet<ParticipantId> {
        range.map(ParticipantId).collect()
    }

    fn reports(range: std::ops::Range<u32>, at: Instant) -> Losses {
        let mut losses = Losses::default();
        ids(range)
            .into_iter()
            .for_each(|who| losses.report(who, at));
        losses
    }

    #[test]
    fn half_of_the_guests_are_believed_and_at_least_two() {
        let now = Instant::now();
        for (guests, needed) in [(1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (8, 4)] {
            let guests = ids(1..guests + 1);
            assert!(reports(1..needed + 1, now).is_lost(&guests, false, now));
            assert!(!reports(1..needed, now).is_lost(&guests, false, now));
        }
        assert!(!Losses::default().is_lost(&ids(1..1), false, now), "nobody");
    }

    #[test]
    fn a_missed_lease_makes_one_report_enough() {
        let now = Instant::now();
        assert!(reports(1..2, now).is_lost(&ids(1..9), true, now));
        assert!(!Losses::default().is_lost(&ids(1..9), true, now));
    }

    #[test]
    fn old_reports_and_those_of_strangers_do_not_count() {
        let now = Instant::now();
        let later = now + Duration::from_millis(2001);
        assert!(!reports(1..9, now).is_lost(&ids(1..9), false, later));
        assert!(!reports(10..19, now).is_lost(&ids(1..9), false, now));
    }
}
