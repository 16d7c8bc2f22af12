//! When legs and rooms are woken next.

use std::cmp::Reverse;
use std::time::Duration;

use super::{Engine, Sleeper, leg_deadline};
use crate::leg::Link;
use crate::slab::Key;
use crate::time::Tick;

/// Timers of connected legs wait so long at most for those of others, to be woken together.
pub(crate) const COMPANY: Duration = Duration::from_millis(20);

impl Engine {
    pub(super) fn reschedule(&mut self, key: Key) {
        let due = self.full_deadline(key);
        self.schedule_leg(key, due);
    }

    fn full_deadline(&mut self, key: Key) -> Tick {
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
        own.min(if leg.is_connected {
            due.round_up(COMPANY)
        } else {
            due
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
