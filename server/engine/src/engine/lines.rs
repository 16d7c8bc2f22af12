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

/// Time between two looks.
const REPORT: Duration = Duration::from_secs(1);

/// A line that does as before is told of again after so long: a message for each leg each second costs as much as thirty packets of
/// a picture.
const REPEAT: Duration = Duration::from_secs(5);

/// Figures that differ by less than this part of them, or by these steps, are as before.
const STEP: u32 = 32;
const STEP_MS: u32 = 10;
const STEP_LOSS: u16 = 5;

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
            if leg.channels_open > 0 && is_news(leg.told_line, &line, now) {
                leg.told_line = Some((line, now));
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

/// Has the participant to hear of it?
fn is_news(told: Option<(LineReport, Tick)>, line: &LineReport, now: Tick) -> bool {
    let Some((told, at)) = told else {
        return true;
    };
    let moved = |a: u32, b: u32, least: u32| a.abs_diff(b) > (a.max(b) / STEP).max(least);
    let moved_maybe = |a: Option<u32>, b: Option<u32>, least| match (a, b) {
        (Some(a), Some(b)) => moved(a, b, least),
        (a, b) => a != b,
    };
    now.since(at) >= REPEAT
        || moved_maybe(told.estimate, line.estimate, 0)
        || moved(told.given, line.given, 0)
        || moved(told.wanted, line.wanted, 0)
        || moved(told.queue, line.queue, STEP_MS)
        || moved_maybe(told.rtt, line.rtt, STEP_MS)
        || told.loss.abs_diff(line.loss) > STEP_LOSS
        || told.loss_up.abs_diff(line.loss_up) > STEP_LOSS
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> LineReport {
        LineReport {
            estimate: Some(2_000_000),
            given: 1_400_000,
            wanted: 1_400_000,
            queue: 4,
            loss: 0,
            loss_up: 0,
            rtt: Some(40),
        }
    }

    #[test]
    fn a_line_that_does_as_before_is_told_of_again_after_five_seconds() {
        let at = |seconds: u64| Tick(seconds * 1_000_000);
        assert!(is_news(None, &line(), at(1)), "the first");
        let told = Some((line(), at(1)));
        let alike = LineReport {
            given: 1_420_000,
            queue: 11,
            rtt: Some(47),
            loss: 4,
            ..line()
        };
        for seconds in 2..6 {
            assert!(!is_news(told, &alike, at(seconds)), "{seconds}");
        }
        assert!(is_news(told, &alike, at(6)));
    }

    #[test]
    fn what_people_would_notice_is_told_of_within_a_second() {
        let told = Some((line(), Tick(0)));
        let changes: [fn(&mut LineReport); 8] = [
            |line| line.estimate = None,
            |line| line.estimate = Some(1_900_000),
            |line| line.given = 0,
            |line| line.wanted = 2_300_000,
            |line| line.queue = 20,
            |line| line.rtt = Some(80),
            |line| line.loss = 20,
            |line| line.loss_up = 20,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut line = line();
            change(&mut line);
            assert!(is_news(told, &line, Tick(1_000_000)), "{index}");
        }
    }
}
