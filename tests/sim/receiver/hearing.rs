//! One audio slot's decoder: sound is played as it comes; what is missing is concealed.

use std::time::{Duration, Instant};

use super::{Moment, is_steady};
use crate::packets::Stamp;

/// How far the clock may stray where one voice follows another.
const CHANGE_TOLERANCE: Duration = Duration::from_millis(250);

/// What became of one stretch of a voice, told packet by packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) person: u32,
    pub(crate) at: Instant,
    pub(crate) is_voiced: bool,
    /// Packets missing just before this one; negative: this one fills a hole counted before.
    pub(crate) missing: i64,
    /// Has it the packet before it in it?
    pub(crate) is_twice: bool,
}

#[derive(Default)]
pub(crate) struct Hearing {
    newest: Option<Played>,
    heard: Vec<Heard>,
}

#[derive(Clone, Copy)]
struct Played {
    index: u64,
    timestamp: u32,
    person: u32,
    captured: u64,
}

impl Hearing {
    pub(super) fn handle(
        &mut self,
        index: u64,
        timestamp: u32,
        (stamp, is_twice): (&Stamp, bool),
        moment: Moment,
        complaints: &mut Vec<String>,
    ) {
        let played = Played {
            index,
            timestamp,
            person: stamp.person,
            captured: stamp.captured,
        };
        let missing = match self.newest {
            None => 0,
            Some(newest) if index < newest.index => -1,
            Some(newest) => {
                complaints.extend(complaint(&newest, &played, moment));
                i64::try_from(index - newest.index).unwrap_or(0) - 1
            }
        };
        if missing >= 0 {
            self.newest = Some(played);
        }
        self.heard.push(Heard {
            person: stamp.person,
            at: moment.now,
            is_voiced: stamp.is_voiced,
            missing,
            is_twice,
        });
    }

    pub(super) fn take_heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }
}

/// What is wrong with the clock from one packet to a later one.
fn complaint(before: &Played, after: &Played, moment: Moment) -> Option<String> {
    let ticks = after.timestamp.wrapping_sub(before.timestamp);
    // Stamps of all people tell the same time.
    let real = Duration::from_micros(after.captured.saturating_sub(before.captured));
    let tolerance = CHANGE_TOLERANCE + moment.unrest;
    let is_good = ticks < 1 << 31 && is_steady(ticks, 48_000, real, tolerance);
    (!is_good).then(|| {
        format!(
            "sound: {} ticks of the clock in {real:?} ({} after {}, seq {} after {})",
            ticks.cast_signed(),
            after.person,
            before.person,
            after.index,
            before.index
        )
    })
}
