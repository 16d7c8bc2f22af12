//! Once a second: how each leg's line does, told to its participant in figures and to the room in one word.

use std::time::Duration;

use baton_protocol::limits::MAX_LINES;
use baton_protocol::{LineReport, LineScore, PathFromHost};

use super::Engine;
use crate::allocate::Target;
use crate::leg::Leg;
use crate::room::Room;
use crate::score::{Signs, is_short};
use crate::slab::Key;
use crate::time::Tick;

/// Time between two reports.
const REPORT: Duration = Duration::from_secs(1);

impl Engine {
    /// Tells a room's participants how their lines do, if a second is over.
    pub(super) fn tell_lines(&mut self, key: Key, now: Tick) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        if now < room.lines_due {
            return;
        }
        room.lines_due = now + REPORT;
        let at = self.epoch.instant(now);
        let mut lines = Vec::new();
        for leg_key in &room.legs {
            let is_theirs = |leg: &&mut Leg| leg.is_connected && leg.bridge.is_none();
            let Some(leg) = self.legs.get_mut(*leg_key).filter(is_theirs) else {
                continue;
            };
            let line = look(leg);
            // A participant that replaces its leg has two for a while: the newer one counts.
            lines.retain(|other: &LineScore| other.participant != leg.participant);
            if let Some((score, cause)) = leg.standing.trouble() {
                lines.push(LineScore {
                    participant: leg.participant,
                    score,
                    cause,
                });
            }
            if leg.channels_open > 0 {
                leg.send_path(&PathFromHost::Line { line }, at);
                if !leg.is_queued {
                    leg.is_queued = true;
                    self.sending.push_back(*leg_key);
                }
            }
        }
        lines.sort_by(|a, b| {
            b.score
                .cmp(&a.score)
                .then(a.participant.cmp(&b.participant))
        });
        lines.truncate(MAX_LINES);
        if room.lines == lines {
            return;
        }
        room.lines = lines;
        let message = room.lines();
        for leg_key in &room.legs {
            let leg = self.legs.get_mut(*leg_key);
            if let Some(leg) = leg.filter(|leg| leg.channels_open > 0) {
                leg.send_path(&message, at);
            }
        }
    }
}

impl Room {
    /// Whose line does badly, for participants.
    pub(crate) fn lines(&self) -> PathFromHost {
        PathFromHost::Lines {
            lines: self.lines.clone(),
        }
    }
}

/// Judges the second that is over, and gives its figures.
fn look(leg: &mut Leg) -> LineReport {
    let estimate = leg.estimate();
    let budget = leg.budget();
    let loss_up = leg.arrivals.take_loss();
    let outcome = leg.allotment.outcome;
    // Where this host's own line is the limit, the participant's is not to blame.
    let is_limit = budget.is_some() && budget == leg.ceiling();
    let is_paused = leg
        .slots
        .iter()
        .any(|slot| slot.view.is_some() && slot.showing.is_some() && slot.target == Target::Paused);
    let round_trip = leg.round_trip.or(estimate.round_trip);
    let down = Signs {
        loss: estimate.loss,
        queue: estimate.queueing,
        round_trip: round_trip.unwrap_or_default(),
        is_short: is_limit && is_short(outcome.given.0, outcome.wants.0),
        is_paused: is_limit && is_paused,
    };
    let up = Signs {
        loss: loss_up,
        is_short: leg.is_upload_slow,
        ..Signs::default()
    };
    leg.standing.look(&up, &down);
    let rate = |rate: u64| u32::try_from(rate).unwrap_or(u32::MAX);
    let millis = |span: Duration| u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
    LineReport {
        estimate: budget.map(|budget| rate(budget.0)),
        given: rate(outcome.given.0),
        wanted: rate(outcome.wants.0),
        queue: millis(estimate.queueing),
        loss: thousandths(estimate.loss),
        loss_up: thousandths(loss_up),
        rtt: round_trip.map(millis),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of one, held within its bounds"
)]
fn thousandths(share: f64) -> u16 {
    (share.clamp(0.0, 1.0) * 1000.0).round() as u16
}
