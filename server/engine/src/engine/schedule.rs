//! When legs and rooms are woken next.

use std::cmp::Reverse;
use std::time::Duration;

use super::{Engine, Sleeper, leg_deadline};
use crate::feedback::REPORTS_TOGETHER;
use crate::leg::Link;
use crate::slab::Key;
use crate::time::Tick;

/// Timers of connected legs wait so long at most for those of others, to be woken together.
pub(crate) const COMPANY: Duration = Duration::from_millis(20);

/// What is not due for so long anyway waits for the moments of reports.
const FAR: Duration = Duration::from_millis(500);

impl Engine {
    pub(super) fn reschedule(&mut self, key: Key, now: Tick) {
        let due = self.full_deadline(key, now);
        self.schedule_leg(key, due);
    }

    fn full_deadline(&mut self, key: Key, now: Tick) -> Tick {
        let own = leg_deadline(self.legs.get(key));
        let Some(leg) = self.legs.get_mut(key) else {
            return own;
        };
        let due = match &mut leg.link {
            Link::Full(transport) => transport.poll_timeout(),
            Link::Keyed => None,
        };
        let Some(due) = due.map(|due| self.epoch.tick_from(due)) else {
            return own;
        };
        own.min(match leg.is_connected {
            true => in_company(due, now),
            false => due,
        })
    }

    pub(super) fn schedule_leg(&mut self, key: Key, due: Tick) {
        if let Some(leg) = self.legs.get_mut(key)
            && due < leg.scheduled
        {
            leg.scheduled = due;
            self.sleepers.push(Reverse((due, Sleeper::Leg(key))));
        }
    }

    pub(super) fn schedule_room(&mut self, key: Key, now: Tick) {
        if let Some(room) = self.rooms.get_mut(key) {
            let due = room.deadline().max(now);
            if due < room.scheduled {
                room.scheduled = due;
                self.sleepers.push(Reverse((due, Sleeper::Room(key))));
            }
        }
    }
}

/// The moment for what is due, shared with others that may wait: the farther off, the longer.
fn in_company(due: Tick, now: Tick) -> Tick {
    match due.since(now) > FAR {
        true => due.round_up(REPORTS_TOGETHER),
        false => due.round_up(COMPANY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_off_waits_for_the_moments_of_reports_and_what_is_near_for_its_neighbours() {
        let now = Tick(1_000_001);
        assert_eq!(in_company(Tick(1_100_001), now), Tick(1_120_000));
        assert_eq!(in_company(Tick(1_500_001), now), Tick(1_520_000));
        assert_eq!(in_company(Tick(1_600_001), now), Tick(1_800_000));
        assert_eq!(in_company(Tick::NEVER, now), Tick::NEVER);
    }
}
