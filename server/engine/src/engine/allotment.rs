//! Who gets how much: the uplink among the legs, each leg's line among its slots, and the word to publishers about what nobody watches.

use std::time::Duration;

use super::Engine;
use crate::ahead;
use crate::allocate::{Claim, share};
use crate::bitrate::Bitrate;
use crate::leg::{Allotment, Leg};
use crate::score::is_short;
use crate::slab::Key;
use crate::time::Tick;

/// Packets that wait longer on a line are heard and seen.
const LONG_QUEUE: Duration = Duration::from_millis(100);

/// Share of what was sent that is lost on a line that does badly: repair hides it, and costs.
const MUCH_LOSS: f64 = 0.02;

/// Below this share of what is given, in percent, a line has broken in.
const SHORT: u64 = 70;

impl Engine {
    /// What all legs together may send from now on. `None`: no limit is known.
    pub fn set_uplink(&mut self, uplink: Option<Bitrate>) {
        self.config.uplink = uplink;
        if uplink.is_none() {
            self.legs
                .iter_mut()
                .for_each(|(_, leg)| leg.allotment.share = None);
        }
    }

    /// What all legs together may send, where that is limited.
    pub fn uplink(&self) -> Option<Bitrate> {
        self.config.uplink
    }

    /// Compares what every leg of a room shows with what it shall show, and divides each line anew.
    pub(super) fn assign_room(&mut self, key: Key, now: Tick) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        room.measure_new(now);
        room.settle_shared(now);
        for index in 0..room.legs.len() {
            let Some(&leg_key) = room.legs.get(index) else {
                continue;
            };
            ahead::for_serving(&self.legs, &room.legs, index + 1);
            if let Some(leg) = self.legs.get_mut(leg_key) {
                if leg.bridge.is_some() {
                    room.assign_pinned(leg);
                    room.allot_pinned(leg, now);
                } else {
                    room.assign(leg, now);
                    room.allot(leg, &mut self.allocator, now);
                }
                if leg.estimator.deadline() <= now && !leg.is_queued {
                    leg.is_queued = true;
                    self.sending.push_back(leg_key);
                }
            }
        }
        if !room.is_dirty {
            room.is_dirty = true;
            self.dirty.push(key);
        }
        self.tell_demand(key, now);
        self.tend_bridges(key, now);
    }

    /// Divides a leg's line anew at once where it carries far less than is given: each tenth of a second fills its queue.
    pub(super) fn divide_if_short(&mut self, key: Key, now: Tick) {
        let Some(leg) = self.legs.get_mut(key) else {
            return;
        };
        let given = leg.allotment.outcome.given.0;
        let is_short = |ceiling: Bitrate| ceiling.0 < given / 100 * SHORT;
        if !leg.ceiling().is_some_and(is_short) || leg.allotment.is_least {
            return;
        }
        if let Some(room) = self.rooms.get_mut(leg.room) {
            match leg.bridge {
                Some(_) => room.allot_pinned(leg, now),
                None => room.allot(leg, &mut self.allocator, now),
            }
            if !room.is_dirty {
                room.is_dirty = true;
                self.dirty.push(leg.room);
            }
        }
    }

    /// Divides the uplink among all legs of all rooms by what they want. Who is on this computer needs none of it.
    pub(super) fn share_uplink(&mut self) {
        let Some(uplink) = self.config.uplink else {
            return;
        };
        // Where everybody is on this computer the limit is not the line's.
        let is_loopback = self.config.candidates.is_loopback_allowed;
        let is_claimed = |leg: &Leg| is_loopback || !leg.is_local();
        let legs = self.legs.iter().filter(|(_, leg)| is_claimed(leg));
        let claims = legs.map(|(_, leg)| {
            let Allotment { outcome, sound, .. } = &leg.allotment;
            // A leg whose own line is bad needs no more than it can carry, and a little to find out that it got better.
            let most = leg.budget().map_or(u64::MAX, |budget| budget.0 / 2 * 3);
            // Rates are not steady: a share that fits exactly would be too small the next moment.
            let wants = outcome.wants.0 / 4 * 5;
            Claim {
                sound: *sound,
                wants: Bitrate(wants.min(most)),
            }
        });
        self.claims.clear();
        self.claims.extend(claims);
        share(uplink, &self.claims, &mut self.shares);
        let mut shares = self.shares.iter().copied();
        for (_, leg) in self.legs.iter_mut() {
            leg.allotment.share = is_claimed(leg).then(|| shares.next()).flatten();
        }
    }

    /// Tells publishers which of their layers are wanted, where that changed.
    pub(super) fn tell_demand(&mut self, key: Key, now: Tick) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        let mut is_news = false;
        for (_, publication) in room.publications.iter_mut() {
            if std::mem::take(&mut publication.is_demand_stale)
                && let Some(leg) = self.legs.get_mut(publication.leg)
            {
                leg.is_demand_stale = true;
                is_news = true;
            }
        }
        if !is_news {
            return;
        }
        let now = self.epoch.instant(now);
        for leg_key in &room.legs {
            let Some(leg) = self.legs.get_mut(*leg_key) else {
                continue;
            };
            if !leg.is_demand_stale || leg.channels_open == 0 {
                continue;
            }
            leg.is_demand_stale = false;
            if let Some(message) = room.wanted(leg) {
                leg.send_path(&message, now);
            }
            if !leg.is_queued {
                leg.is_queued = true;
                self.sending.push_back(*leg_key);
            }
        }
    }

    /// Counts what lines carry, for whoever watches over the host.
    pub(super) fn count_estimates(&mut self) {
        let mut targets = (0, 0, u64::MAX);
        let (mut queueing, mut losing, mut short) = (0, 0, 0);
        let (mut longest, mut worst) = (Duration::ZERO, 0.0_f64);
        for (_, leg) in self.legs.iter().filter(|(_, leg)| leg.is_connected) {
            if let Some(target) = leg.budget() {
                targets = (targets.0 + 1, targets.1 + target.0, targets.2.min(target.0));
                let line = leg.estimate();
                queueing += u64::from(line.queueing > LONG_QUEUE);
                longest = longest.max(line.queueing);
                worst = worst.max(line.loss);
                losing += u64::from(line.loss > MUCH_LOSS);
                let outcome = leg.allotment.outcome;
                short += u64::from(is_short(outcome.given.0, outcome.wants.0));
            }
        }
        let (count, sum, least) = targets;
        self.stats.legs_estimated = count;
        self.stats.estimate_sum = sum;
        self.stats.estimate_least = if count > 0 { least } else { 0 };
        self.stats.legs_queueing = queueing;
        self.stats.legs_losing = losing;
        self.stats.legs_short = short;
        self.stats.queue_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share is between 0 and 1"
        )]
        let loss = (worst.clamp(0.0, 1.0) * 1e6) as u64;
        self.stats.loss_ppm = loss;
    }
}
