//! How fast a leg sends: whole pictures, no further ahead of the line than its receiver can bear.
//!
//! Nothing is queued here: what may not go yet stays in the publications' rings, and its slot reads it later. Sound is never held back, but
//! counts. Works on time alone: each byte moves the moment at which the line is free again.

use std::time::Duration;

use crate::bitrate::Bitrate;
use crate::time::Tick;

/// A picture may begin when the line is busy for no longer than this.
const BEGIN_WITHIN: Duration = Duration::from_millis(5);

/// A picture goes on in one piece until the line is busy for so long.
const AHEAD: Duration = Duration::from_millis(40);

/// Pace over estimate, in percent: keyframes are ten times a picture and must not take ten times as long (libwebrtc's
/// `kDefaultPaceMultiplier`).
const PACE: u64 = 250;

/// The same while the line has just broken in: what comes faster than it carries, its queue has no room for.
const FRAGILE_PACE: u64 = 120;

/// A line that carries so many times what is sent needs no pace.
const PLENTY: u64 = 4;

/// Share of the estimate that repairs may take, in percent, and how much of it at once.
const REPAIR: u64 = 20;
const REPAIR_BURST: Duration = Duration::from_millis(500);

/// How long a line that breaks in is left to what is on it, unless the next report of arrivals says otherwise. Browsers report every 50 ms.
const HOLD: Duration = Duration::from_millis(150);

/// A rate as time: how long the line is busy with a byte, and until when it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Line {
    /// Microseconds per byte, with [`FRACTION`] bits behind the point; 0: no limit.
    cost: u64,
    free_at: Tick,
}

const FRACTION: u32 = 16;

impl Line {
    fn set_rate(&mut self, rate: Option<Bitrate>) {
        let cost = |rate: Bitrate| (8_000_000 << FRACTION) / rate.0.max(1);
        self.cost = rate.map_or(0, cost);
    }

    fn is_busy_beyond(&self, span: Duration, now: Tick) -> bool {
        self.cost > 0 && self.free_at > now + span
    }

    fn charge(&mut self, bytes: u32, now: Tick) {
        if self.cost > 0 {
            let busy = (u64::from(bytes).saturating_mul(self.cost)) >> FRACTION;
            self.free_at = self.free_at.max(now) + Duration::from_micros(busy);
        }
    }
}

/// The pace of one leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pacer {
    media: Line,
    repair: Line,
    /// Nothing but sound until then.
    held_until: Tick,
}

impl Pacer {
    /// `budget`: what the line carries, if that is known. `given`: what is sent over it. `is_fragile`: its queue overflows easily.
    pub(crate) fn set_budget(&mut self, budget: Option<Bitrate>, given: Bitrate, is_fragile: bool) {
        let pace = if is_fragile { FRAGILE_PACE } else { PACE };
        let percent = |rate: Bitrate, percent| Bitrate(rate.0 / 100 * percent);
        let is_tight = |budget: &Bitrate| budget.0 < given.0.saturating_mul(PLENTY);
        let paced = budget.filter(is_tight);
        self.media
            .set_rate(paced.map(|budget| percent(budget, pace)));
        self.repair
            .set_rate(budget.map(|budget| percent(budget, REPAIR)));
    }

    /// The line has broken in: what is on its way already has to get through first. False: it has, or it was no queue.
    pub(crate) fn hold(&mut self, holds: bool, now: Tick) {
        self.held_until = if holds { now + HOLD } else { now };
    }

    /// Is there a pace at all?
    pub(crate) fn is_paced(&self, now: Tick) -> bool {
        self.media.cost > 0 || self.held_until > now
    }

    /// May a picture, or another piece of one, begin?
    pub(crate) fn may_begin(&self, now: Tick) -> bool {
        now >= self.held_until && !self.media.is_busy_beyond(BEGIN_WITHIN, now)
    }

    /// May a piece that was begun have another packet?
    pub(crate) fn may_go_on(&self, now: Tick) -> bool {
        now >= self.held_until && !self.media.is_busy_beyond(AHEAD, now)
    }

    /// May something be repaired?
    pub(crate) fn may_repair(&self, now: Tick) -> bool {
        now >= self.held_until && !self.repair.is_busy_beyond(REPAIR_BURST, now)
    }

    /// Counts a packet of `bytes` on the line, as estimates do.
    pub(crate) fn charge(&mut self, bytes: u32, now: Tick) {
        self.media.charge(bytes, now);
    }

    /// Counts a packet that repairs.
    pub(crate) fn charge_repair(&mut self, bytes: u32, now: Tick) {
        self.charge(bytes, now);
        self.repair.charge(bytes, now);
    }

    /// When the next picture may begin.
    pub(crate) fn deadline(&self) -> Tick {
        (self.media.free_at - BEGIN_WITHIN).max(self.held_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacer(kbps: u64) -> Pacer {
        let mut pacer = Pacer::default();
        let rate = Bitrate::from_kbps(kbps);
        pacer.set_budget(Some(rate), rate, false);
        pacer
    }

    /// Packets of 1000 bytes sent in whole pictures of `packets`, one every 33 ms; the longest time any waited.
    fn send(pacer: &mut Pacer, pictures: u64, packets: u32) -> Duration {
        let (mut now, mut longest) = (Tick(0), Duration::ZERO);
        for picture in 0..pictures {
            let captured = Tick(picture * 33_333);
            now = now.max(captured);
            let mut is_begun = false;
            for _ in 0..packets {
                let may = if is_begun {
                    pacer.may_go_on(now)
                } else {
                    pacer.may_begin(now)
                };
                if !may {
                    now = now.max(pacer.deadline());
                    assert!(pacer.may_begin(now), "the deadline is when it may");
                }
                is_begun = true;
                pacer.charge(1000, now);
                longest = longest.max(now.since(captured));
            }
        }
        longest
    }

    #[test]
    fn pictures_that_fit_the_line_go_at_once_and_whole() {
        // 30 times 2000 bytes are 480 kb/s.
        assert_eq!(send(&mut pacer(500), 300, 2), Duration::ZERO);
        assert_eq!(send(&mut Pacer::default(), 300, 1000), Duration::ZERO);
    }

    #[test]
    fn a_keyframe_is_sent_in_pieces_at_the_pace_of_the_line() {
        let mut pacer = pacer(1000);
        // 25 kB at 2.5 Mb/s take 82 ms, of which 40 are sent ahead.
        let took = send(&mut pacer, 1, 25);
        assert!(
            (Duration::from_millis(35)..Duration::from_millis(85)).contains(&took),
            "{took:?}"
        );
    }

    #[test]
    fn a_line_with_plenty_of_room_has_no_pace() {
        let mut pacer = Pacer::default();
        let given = Bitrate::from_kbps(1000);
        pacer.set_budget(Some(Bitrate::from_kbps(4000)), given, false);
        assert!(!pacer.is_paced(Tick(0)));
        pacer.set_budget(Some(Bitrate::from_kbps(3900)), given, false);
        assert!(pacer.is_paced(Tick(0)));
    }

    #[test]
    fn a_line_that_breaks_in_is_left_to_what_is_on_it_until_that_is_through() {
        let at = |ms: u64| Tick(ms * 1000);
        for mut pacer in [pacer(1000), Pacer::default()] {
            pacer.hold(true, at(1000));
            assert!(pacer.is_paced(at(1000)));
            let may = |pacer: &Pacer, now| {
                [
                    pacer.may_begin(now),
                    pacer.may_go_on(now),
                    pacer.may_repair(now),
                ]
            };
            assert_eq!(may(&pacer, at(1149)), [false; 3]);
            assert_eq!(may(&pacer, pacer.deadline()), [true; 3]);
            pacer.hold(false, at(1050));
            assert_eq!(may(&pacer, at(1050)), [true; 3], "it is over");
        }
    }

    #[test]
    fn repairs_take_a_fifth_of_the_line() {
        let mut pacer = pacer(1000);
        let (mut now, mut bytes) = (Tick(1), 0);
        for _ in 0..10_000 {
            if pacer.may_repair(now) {
                pacer.charge_repair(1000, now);
                bytes += 1000;
            }
            now = now + Duration::from_millis(1);
        }
        let rate = bytes * 8 / 10;
        assert!((190_000..=215_000).contains(&rate), "{rate} b/s of 1 Mb/s");
    }
}
