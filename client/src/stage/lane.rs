//! One picture or one voice, which two legs bring at once: the frames of one of them up to a point in time, and those of the other
//! from there on.
//!
//! Pure. A leg takes over at a keyframe. What the other one brought up to then was kept for a moment, so that what was captured later
//! can be left out again, and what was captured earlier and is still on its way is waited for. Where frames do not say when they were
//! captured, the keyframe itself is the point.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use baton_protocol::{LegId, MediaKind, ParticipantId};

use crate::assembly::Received;
use crate::media::size;

/// Which legs there are to choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Everything shall come from it.
    pub(super) current: Option<LegId>,
    /// Takes over what it can.
    pub(super) arriving: Option<LegId>,
    /// Another leg is there or will be soon: frames are kept for a moment, so that it may begin in the past.
    pub(super) is_kept: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Whose frames count.
    owner: Option<LegId>,
    /// Whose did before: they can again, without a keyframe.
    former: Option<LegId>,
    kept: VecDeque<Received>,
    taking: Option<Taking>,
    /// Of the present owner, frames count that were captured from then on.
    from: u64,
    newest: Option<Mark>,
    /// Size of the last keyframe that counted: two legs that show the same one show the same encoding.
    size: Option<(u16, u16)>,
}

/// A leg whose frames count from `from` on, as soon as what was captured before has come.
#[derive(Debug)]
struct Taking {
    leg: LegId,
    from: u64,
    since: Instant,
    frames: VecDeque<Received>,
}

/// When the newest frame that went out was captured.
#[derive(Clone, Copy, Debug)]
struct Mark {
    participant: Option<ParticipantId>,
    captured: u64,
}

impl Lane {
    /// True where a keyframe is needed before any frame of this leg can count, which shall.
    pub(super) fn handle_frame(
        &mut self,
        leg: LegId,
        frame: Received,
        choice: Choice,
        now: Instant,
        out: &mut Vec<Received>,
    ) -> bool {
        let owner = *self
            .owner
            .get_or_insert_with(|| choice.current.unwrap_or(leg));
        let is_current = choice.current == Some(leg);
        if owner == leg {
            self.handle_own(frame, choice.is_kept, now, out);
        } else if choice.arriving != Some(owner) && (is_current || choice.arriving == Some(leg)) {
            return self.handle_other(leg, frame, is_current, now, out);
        }
        false
    }

    /// The choice has changed: what began for a leg that shall not come any more is void.
    pub(super) fn settle(&mut self, choice: Choice, out: &mut Vec<Received>) {
        let is_meant = |leg: LegId| choice.current == Some(leg) || choice.arriving == Some(leg);
        self.taking = self.taking.take().filter(|taking| is_meant(taking.leg));
        if !choice.is_kept {
            self.release(out);
        }
    }

    /// Nothing follows.
    pub(super) fn flush(&mut self, out: &mut Vec<Received>) {
        self.release(out);
        if let Some(taking) = self.taking.take() {
            self.take_over(taking, out);
        }
    }

    fn handle_own(
        &mut self,
        frame: Received,
        is_kept: bool,
        now: Instant,
        out: &mut Vec<Received>,
    ) {
        if let Some(taking) = self.taking.take() {
            let is_before = frame.captured.is_none_or(|at| at < taking.from);
            if is_before {
                self.emit(frame, out);
            }
            match is_before && !taking.is_over(now) {
                true => self.taking = Some(taking),
                false => self.take_over(taking, out),
            }
            return;
        }
        if frame.captured.is_none() || !is_kept {
            self.release(out);
            return self.emit(frame, out);
        }
        self.kept.push_back(frame);
        let is_old = |kept: &Received| now.saturating_duration_since(kept.arrived) >= KEEP;
        while self.kept.len() > MOST_KEPT || self.kept.front().is_some_and(is_old) {
            let Some(first) = self.kept.pop_front() else {
                return;
            };
            self.emit(first, out);
        }
    }

    fn handle_other(
        &mut self,
        leg: LegId,
        frame: Received,
        is_current: bool,
        now: Instant,
        out: &mut Vec<Received>,
    ) -> bool {
        if let Some(mut taking) = self.taking.take() {
            if taking.leg == leg {
                taking.frames.push_back(frame);
            }
            match taking.is_over(now) {
                true => self.take_over(taking, out),
                false => self.taking = Some(taking),
            }
            return false;
        }
        let is_back = is_current && self.former == Some(leg);
        let is_sound = frame.codec.kind() == MediaKind::Audio;
        if !frame.is_key && !is_back {
            return is_current;
        }
        // Sound that does not say when it was captured changes over as a whole.
        if is_sound && frame.captured.is_none() && !is_current {
            return false;
        }
        let last = self.kept.back().and_then(Mark::of).or(self.newest);
        let point = frame.captured.filter(|at| {
            last.is_some_and(|last| {
                last.participant == frame.participant && last.captured.abs_diff(*at) < COMPARABLE
            })
        });
        let Some(from) = point else {
            self.release(out);
            self.take_over(Taking::new(leg, 0, frame, now), out);
            return false;
        };
        let is_past = self.newest.is_some_and(|newest| newest.captured >= from);
        // A keyframe from before all that is kept is of use where what follows it is what followed here.
        let is_same = is_sound || is_back || size(frame.codec, &frame.data) == self.latest_size();
        let from = match self.newest {
            Some(newest) if is_past && is_same => newest.captured + 1,
            Some(_) | None => from,
        };
        let is_later = |kept: &Received| kept.captured.is_some_and(|at| at >= from);
        let is_whole = self.kept.iter().any(is_later);
        self.kept.retain(|kept| !is_later(kept));
        self.release(out);
        let taking = Taking::new(leg, from, frame, now);
        match is_whole || is_past {
            true => self.take_over(taking, out),
            false => self.taking = Some(taking),
        }
        false
    }

    fn take_over(&mut self, taking: Taking, out: &mut Vec<Received>) {
        self.former = self.owner.replace(taking.leg);
        self.from = taking.from;
        for frame in taking.frames {
            self.emit(frame, out);
        }
    }

    fn release(&mut self, out: &mut Vec<Received>) {
        for frame in std::mem::take(&mut self.kept) {
            self.emit(frame, out);
        }
    }

    fn emit(&mut self, frame: Received, out: &mut Vec<Received>) {
        // What the leg before had brought already.
        let is_known = |at: u64| at < self.from && self.from - at < COMPARABLE;
        if frame.captured.is_some_and(is_known) {
            return;
        }
        self.size = size(frame.codec, &frame.data).or(self.size);
        self.newest = Mark::of(&frame);
        out.push(frame);
    }

    /// Of the last keyframe, be it kept still.
    fn latest_size(&self) -> Option<(u16, u16)> {
        let kept = self.kept.iter().rev();
        let mut sizes = kept.filter_map(|frame| size(frame.codec, &frame.data));
        sizes.next().or(self.size)
    }
}

impl Taking {
    fn new(leg: LegId, from: u64, first: Received, now: Instant) -> Self {
        Self {
            leg,
            from,
            since: now,
            frames: VecDeque::from([first]),
        }
    }

    /// Has been waited long enough for what was captured before?
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= PATIENCE || self.frames.len() > MOST_KEPT
    }
}

impl Mark {
    fn of(frame: &Received) -> Option<Self> {
        let captured = frame.captured?;
        Some(Self {
            participant: frame.participant,
            captured,
        })
    }
}

/// How long frames are kept: a host begins with a keyframe that is half a second old at most, and its line may be longer.
const KEEP: Duration = Duration::from_millis(700);

/// Longest wait for what was captured before the keyframe and has not come.
const PATIENCE: Duration = Duration::from_millis(400);

/// Frames that are kept, or wait: more than come within that time.
const MOST_KEPT: usize = 256;

/// Times of capture that are further apart than five seconds are of different clocks.
const COMPARABLE: u64 = 5 << 32;
