//! Opening a call's legs, giving them up, and when: by their condition, whatever their hosts are.

use std::time::{Duration, Instant};

use baton_protocol::{LegId, PeerMessage};
use baton_server::link::backoff;

use super::course::{Part, Wanted, fingerprint, wanted};
use super::current::Current;
use super::{Call, CallEvent};
use crate::ladder::Condition;
use crate::leg::{Leg, LegPlan, Offer};
use crate::room::Room;

impl Call {
    pub(super) fn handle_deadline(&mut self, now: Instant) {
        let main = self.main();
        if self.reopen_at.is_some_and(|at| at <= now)
            && let Some(main) = main
        {
            self.replace(main, "the host refused the offer");
        }
        let attempt = self.attempt;
        let is_late = |current: &Current| {
            let due = current.condition.deadline(attempt);
            due.is_some_and(|due| due <= now)
        };
        let late = self.legs.iter().filter(|current| is_late(current));
        let late: Vec<LegId> = late.map(Current::id).collect();
        for leg in late {
            self.replace(leg, "the host was not heard for too long");
        }
        if let Some(room) = &mut self.room {
            let changes = room.handle_deadline(now);
            self.news
                .extend(changes.into_iter().map(CallEvent::Changed));
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
        }
        self.settle(now);
    }

    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let legs = self.legs.iter();
        let troubles = legs.filter_map(|current| current.condition.deadline(self.attempt));
        let reopen = self.reopen_at.filter(|_| self.is_joined);
        troubles
            .chain(reopen)
            .chain(self.hosting_deadline(now))
            .chain(self.room.as_ref().and_then(Room::deadline))
            .min()
    }

    pub(super) fn replace_main(&mut self, reason: &str) {
        if let Some(main) = self.main() {
            self.replace(main, reason);
        }
    }

    /// Gives a leg up; another one is opened at once or after a pause that grows.
    pub(super) fn replace(&mut self, leg: LegId, reason: &str) {
        let now = Instant::now();
        let Some(current) = self.legs.iter().find(|current| current.id() == leg) else {
            return;
        };
        let was_connected = current.condition == Condition::Connected;
        match current.part {
            Part::Main => {
                self.pulses.cut();
                if was_connected || self.reopen_at.is_some() {
                    self.reopen_at = None;
                } else {
                    self.note_unreached(current.host);
                    self.attempt += 1;
                    self.reopen_at = Some(now + backoff(self.attempt, rand::random()));
                }
            }
            Part::Standby => self.retry_at = Some(now + RETRY),
            Part::Next | Part::Arriving => {
                let hosting = self.hosting.as_ref();
                let moving = hosting.and_then(|hosting| hosting.moving.as_ref());
                self.failed_move = moving.map(|moving| moving.epoch);
            }
        }
        self.close(leg, reason);
        self.settle(now);
    }

    /// Ends a leg. What its host is, and whether another one follows, is decided elsewhere.
    pub(super) fn close(&mut self, leg: LegId, reason: &str) {
        self.legs.retain(|current| current.id() != leg);
        self.stage.iter().for_each(|stage| stage.close(leg));
        if self.shown == Some(leg) {
            self.shown = None;
        }
        if self.is_joined {
            self.session.say(PeerMessage::CloseLeg { leg });
        }
        let reason = reason.to_owned();
        self.news.push_back(CallEvent::Disconnected { leg, reason });
    }

    /// Without signaling there is nobody to offer to; the next `joined` opens one.
    pub(super) fn open(&mut self, to: Wanted, now: Instant) {
        if to.part == Part::Main {
            self.reopen_at = None;
        }
        if !self.is_joined || !self.plan.has_media() {
            return;
        }
        self.last_leg += 1;
        let id = LegId(self.last_leg);
        let plan = LegPlan {
            id,
            ice_servers: self.ice_servers.clone(),
            is_loopback: self.plan.invite.is_loopback,
            audio_slots: self.plan.audio_slots,
            video_slots: self.plan.video_slots,
            publications: self.plan.publications.clone(),
            is_probed: self.plan.hosting.is_some(),
            frames: self.stage.clone(),
            inside: self.inside_of(to.host),
        };
        let leg = Leg::open(plan, self.outbox.clone());
        self.legs.push(Current::new(leg, to.host, to.part, now));
        self.news.push_back(CallEvent::Connecting { leg: id });
    }

    /// Takes a leg's offer to signaling, if it waits for an answer.
    pub(super) fn say_offer(&self, index: usize) {
        let (Some(room), Some(current)) = (&self.room, self.legs.get(index)) else {
            return;
        };
        let Some(offer) = current.unanswered.as_ref().filter(|_| self.is_joined) else {
            return;
        };
        let Offer { sdp, tracks, .. } = offer.clone();
        let avoids = self.plan.uses_server.then_some(room.me());
        let wanted = wanted(self.hosting.as_ref(), room.host(), avoids);
        let Some(to) = wanted.iter().find(|one| one.host == current.host) else {
            return;
        };
        self.session.say(PeerMessage::Offer {
            host: (!to.is_mine).then_some(to.host),
            fingerprint: fingerprint(&sdp),
            leg: current.id(),
            epoch: to.epoch,
            sdp,
            tracks,
        });
    }

    pub(super) fn main(&self) -> Option<LegId> {
        let mut legs = self.legs.iter();
        let main = legs.find(|current| current.part == Part::Main && current.leaves_at.is_none());
        main.map(Current::id)
    }

    pub(super) fn is_main(&self, leg: LegId) -> bool {
        self.main() == Some(leg)
    }

    pub(super) fn is_open(&self, leg: LegId) -> bool {
        self.legs.iter().any(|current| current.id() == leg)
    }

    /// Does one hear and see what is shown?
    pub fn is_connected(&self) -> bool {
        let is_shown = |current: &&Current| Some(current.id()) == self.shown;
        let shown = self.legs.iter().find(is_shown);
        shown.is_some_and(|current| current.condition == Condition::Connected)
    }
}

/// Between two tries to reach a host that is not needed at once.
const RETRY: Duration = Duration::from_secs(3);
