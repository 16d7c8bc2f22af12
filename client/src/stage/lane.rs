//! One picture or one voice, which several legs may bring: what goes out of it has nothing twice and leaves nothing out.
//!
//! Pure. Hosts number what they send anew, but say what each packet was before (`Identity`). So the copies of one encoding are merged:
//! the first that comes counts, and where one leg leaves something out, the other one's is waited for. From one encoding to another
//! of the same picture a lane goes at a keyframe, and what the leg before brought up to that moment goes out first. Where frames
//! have nothing in common, as of a browser that encodes for each host anew, the keyframe itself is the point.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use baton_protocol::{LegId, MediaKind, ParticipantId};

use crate::assembly::{Identity, Kinship, Received};

/// Which legs there are to choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Everything shall come from it.
    pub(super) current: Option<LegId>,
    /// Takes over what it can.
    pub(super) arriving: Option<LegId>,
    /// Since when it does.
    pub(super) since: Option<Instant>,
    /// The current one is silent: nothing is waited for.
    pub(super) is_urgent: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Who says which encoding it is.
    owner: Option<LegId>,
    /// Who was before, and can be again without a keyframe.
    former: Option<LegId>,
    /// When the owner's last frame came.
    heard: Option<Instant>,
    last: Option<Last>,
    /// First packets of what went out last of this encoding.
    recent: VecDeque<u16>,
    /// Legs that bring this encoding.
    feeds: Vec<Feed>,
    suitor: Option<Suitor>,
    taking: Option<Taking>,
}

/// What went out last.
#[derive(Clone, Copy, Debug)]
struct Last {
    participant: Option<ParticipantId>,
    identity: Option<Identity>,
    /// It followed the one before without a gap.
    is_next: bool,
}

/// What one leg brings.
#[derive(Debug)]
struct Feed {
    leg: LegId,
    queue: VecDeque<Received>,
    heard: Instant,
    footing: Footing,
}

/// Did all go out that a leg's frames build on?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Footing {
    Unknown,
    Whole,
    /// Not until its next keyframe.
    Broken,
}

/// A leg that could take over, but with another encoding.
#[derive(Clone, Copy, Debug)]
struct Suitor {
    leg: LegId,
    seen: Instant,
    /// Since when it shall, whatever it brings.
    pressing: Option<Instant>,
}

/// A leg that takes over with a keyframe, as soon as what was captured before it has come.
#[derive(Debug)]
struct Taking {
    leg: LegId,
    from: Identity,
    since: Instant,
    queue: VecDeque<Received>,
}

impl Lane {
    /// True where a keyframe is needed before any frame of this leg can count, which shall.
    pub(super) fn handle_frame(
        &mut self,
        leg: LegId,
        frame: Received,
        choice: &Choice,
        now: Instant,
        out: &mut Vec<Received>,
    ) -> bool {
        let is_sound = frame.codec.kind() == MediaKind::Audio;
        // Which voices count is not decided here, where they say who they are.
        let is_voice = is_sound && frame.identity.is_some();
        let owner = *self.owner.get_or_insert(match choice.current {
            Some(current) if !is_voice => current,
            Some(_) | None => leg,
        });
        if owner == leg {
            self.heard = Some(now);
        }
        let kinship = self.kinship(&frame);
        if kinship == Kinship::Same {
            return self.merge(leg, frame, choice, now, out);
        }
        if owner == leg || is_voice {
            self.flush(out);
            self.feeds.clear();
            self.taking = None;
            self.emit(frame, out);
            return false;
        }
        let is_wanted = choice.arriving == Some(leg)
            || (choice.current == Some(leg) && choice.arriving != Some(owner));
        if !is_wanted {
            return false;
        }
        let is_due = choice.current == Some(leg);
        if is_due && (is_sound || self.former == Some(leg)) {
            self.take_over(leg, [frame].into(), out);
            return false;
        }
        match kinship {
            Kinship::Kin => self.woo(leg, frame, choice, now, out),
            Kinship::Same | Kinship::None if frame.is_key && !is_sound => {
                self.take_over(leg, [frame].into(), out);
                false
            }
            Kinship::Same | Kinship::None => is_due && !is_sound,
        }
    }

    /// Does all that is needed of it come from this leg?
    pub(super) fn is_taken(&self, leg: LegId, now: Instant) -> bool {
        let is_idle = self.heard.is_none_or(|heard| now - heard > IDLE);
        let mut feeds = self.feeds.iter();
        self.owner == Some(leg) || is_idle || feeds.any(|feed| feed.leg == leg && feed.is_live(now))
    }

    /// Nothing comes from this leg any more.
    pub(super) fn close(&mut self, leg: LegId, out: &mut Vec<Received>) {
        if self.feeds.iter().any(|feed| feed.leg == leg) {
            self.flush(out);
        }
        self.feeds.retain(|feed| feed.leg != leg);
        self.taking = self.taking.take().filter(|taking| taking.leg != leg);
        self.former = self.former.filter(|former| *former != leg);
        if self.owner == Some(leg) {
            let mut feeds = self.feeds.iter();
            let heir = feeds.find(|feed| feed.footing == Footing::Whole);
            self.owner = heir.map(|feed| feed.leg).or(self.owner);
            self.heard = None;
        }
    }

    /// What waits goes out, in order.
    pub(super) fn flush(&mut self, out: &mut Vec<Received>) {
        while let Some(index) = self.first_waiting() {
            self.emit_from(index, out);
        }
    }

    fn kinship(&self, frame: &Received) -> Kinship {
        let last = self
            .last
            .filter(|last| last.participant == frame.participant);
        let last = last.and_then(|last| last.identity);
        let pair = last.zip(frame.identity);
        pair.map_or(Kinship::None, |(last, identity)| {
            identity.kinship(&last, frame.codec.clock_rate())
        })
    }

    /// A frame of this encoding.
    fn merge(
        &mut self,
        leg: LegId,
        frame: Received,
        choice: &Choice,
        now: Instant,
        out: &mut Vec<Received>,
    ) -> bool {
        let is_reached = |taking: &Taking| {
            let identity = frame.identity;
            identity.is_some_and(|identity| identity.since(&taking.from) >= 0)
        };
        if self.taking.as_ref().is_some_and(is_reached) {
            self.finish_taking(out);
            return false;
        }
        let index = self.feed(leg, now);
        let footing = self.footing(index, &frame);
        let is_owner = self.owner == Some(leg);
        let Some(feed) = self.feeds.get_mut(index) else {
            return false;
        };
        feed.heard = now;
        feed.footing = footing;
        let mut is_stuck = false;
        if footing == Footing::Whole {
            feed.queue.push_back(frame);
            self.suitor = self.suitor.filter(|suitor| suitor.leg != leg);
            if choice.current == Some(leg) && choice.arriving != self.owner && !is_owner {
                self.former = self.owner.replace(leg);
                self.heard = Some(now);
            }
        } else {
            let mut feeds = self.feeds.iter();
            is_stuck = choice.current == Some(leg) && !feeds.any(|feed| feed.is_live(now));
        }
        self.drain(choice, now, out);
        is_stuck
    }

    fn feed(&mut self, leg: LegId, now: Instant) -> usize {
        let known = self.feeds.iter().position(|feed| feed.leg == leg);
        known.unwrap_or_else(|| {
            self.feeds.push(Feed {
                leg,
                queue: VecDeque::new(),
                heard: now,
                // What it brought before went out.
                footing: match self.owner == Some(leg) {
                    true => Footing::Whole,
                    false => Footing::Unknown,
                },
            });
            self.feeds.len() - 1
        })
    }

    fn footing(&self, index: usize, frame: &Received) -> Footing {
        let footing = self.feeds.get(index).map(|feed| feed.footing);
        let (Some(footing), Some(identity)) = (footing, frame.identity) else {
            return Footing::Unknown;
        };
        let last = self.last.and_then(|last| last.identity);
        let is_past = last.is_some_and(|last| identity.since(&last) <= 0);
        let is_next = last.is_some_and(|last| identity.follows(&last));
        let was_shown = self.recent.contains(&identity.first);
        match footing {
            _ if frame.is_key => Footing::Whole,
            // One that the others left out, and that what follows it here builds on.
            Footing::Whole if is_past && !was_shown && !self.is_forgotten(&identity) => {
                Footing::Broken
            }
            Footing::Unknown if is_next || (is_past && was_shown) => Footing::Whole,
            Footing::Unknown | Footing::Whole | Footing::Broken => footing,
        }
    }

    /// Is it from before all that is remembered?
    fn is_forgotten(&self, identity: &Identity) -> bool {
        let oldest = self.recent.front();
        oldest.is_none_or(|oldest| identity.first.wrapping_sub(*oldest) >= 1 << 15)
    }

    /// Lets out what needs not wait.
    fn drain(&mut self, choice: &Choice, now: Instant, out: &mut Vec<Received>) {
        while let Some(index) = self.first_waiting() {
            let Some(feed) = self.feeds.get(index) else {
                return;
            };
            let Some((head, identity)) = feed.head() else {
                return;
            };
            let waited = now.saturating_duration_since(head.arrived);
            let last = self.last.and_then(|last| last.identity);
            let is_next = last.is_some_and(|last| identity.follows(&last));
            let may_come = |other: &Feed| {
                other.leg != feed.leg && other.queue.is_empty() && other.is_live(now)
            };
            let is_awaited = self.feeds.iter().any(may_come)
                || (is_picture(head) && self.is_expected(choice.arriving));
            let waits = !is_next && waited < PATIENCE && !choice.is_urgent && is_awaited;
            let is_kept = self.is_courted(now) && waited < KEEP;
            if (waits || is_kept) && feed.queue.len() < MOST_WAITING {
                return;
            }
            self.emit_from(index, out);
        }
    }

    /// Has a leg that takes over brought nothing yet, of pictures that came one by one up to now? Who gets every second one only has
    /// gaps without a loss.
    fn is_expected(&self, arriving: Option<LegId>) -> bool {
        let is_new = |leg: LegId| {
            let is_suitor = self.suitor.is_some_and(|suitor| suitor.leg == leg);
            !is_suitor && self.feeds.iter().all(|feed| feed.leg != leg)
        };
        arriving.is_some_and(is_new) && self.last.is_some_and(|last| last.is_next)
    }

    /// The feed whose next frame is the first of all. What has gone out already is dropped.
    fn first_waiting(&mut self) -> Option<usize> {
        let last = self.last.and_then(|last| last.identity);
        for feed in &mut self.feeds {
            let is_past = |(_, identity): (&Received, Identity)| {
                last.is_some_and(|last| identity.since(&last) <= 0)
            };
            while feed.head().is_some_and(is_past) {
                feed.queue.pop_front();
            }
        }
        let heads = self.feeds.iter().enumerate();
        let heads = heads.filter_map(|(index, feed)| Some((index, feed.head()?.1)));
        let first = heads.min_by_key(|(_, identity)| last.map_or(0, |last| identity.since(&last)));
        first.map(|(index, _)| index)
    }

    fn emit_from(&mut self, index: usize, out: &mut Vec<Received>) {
        let feed = self.feeds.get_mut(index);
        if let Some(frame) = feed.and_then(|feed| feed.queue.pop_front()) {
            self.emit(frame, out);
        }
    }

    fn emit(&mut self, frame: Received, out: &mut Vec<Received>) {
        let ssrc = |identity: Option<Identity>| identity.map(|identity| identity.ssrc);
        if ssrc(self.last.and_then(|last| last.identity)) != ssrc(frame.identity) {
            self.recent.clear();
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent
            .extend(frame.identity.map(|identity| identity.first));
        let before = self.last.and_then(|last| last.identity);
        let pair = before.zip(frame.identity);
        self.last = Some(Last {
            participant: frame.participant,
            identity: frame.identity,
            is_next: pair.is_some_and(|(before, identity)| identity.follows(&before)),
        });
        out.push(frame);
    }

    /// Shall another leg take over with what it brings? Then frames are kept for a moment, so that it may begin in the past.
    fn is_courted(&self, now: Instant) -> bool {
        let suitor = self.suitor.filter(|suitor| suitor.pressing.is_some());
        suitor.is_some_and(|suitor| now.saturating_duration_since(suitor.seen) < IDLE)
    }

    /// A frame of another encoding of the same picture, by a leg that may take over.
    fn woo(
        &mut self,
        leg: LegId,
        frame: Received,
        choice: &Choice,
        now: Instant,
        out: &mut Vec<Received>,
    ) -> bool {
        if let Some(taking) = self.taking.as_mut().filter(|taking| taking.leg == leg) {
            taking.queue.push_back(frame);
            let waited = now.saturating_duration_since(taking.since);
            if waited >= PATIENCE || taking.queue.len() >= MOST_WAITING {
                self.finish_taking(out);
            }
            return false;
        }
        let waited = choice
            .since
            .map(|since| now.saturating_duration_since(since));
        // At first the line to a new host is not known, and what it sends soon becomes what it shall be.
        let is_pressing = choice.arriving != Some(leg)
            || choice.is_urgent
            || waited.is_some_and(|waited| waited >= ADVANCE);
        let before = self.suitor.filter(|suitor| suitor.leg == leg);
        let before = before.and_then(|suitor| suitor.pressing);
        let pressing = is_pressing.then(|| before.unwrap_or(now));
        self.suitor = Some(Suitor {
            leg,
            seen: now,
            pressing,
        });
        let Some(pressing) = pressing else {
            return false;
        };
        let (Some(from), true) = (frame.identity, frame.is_key) else {
            return true;
        };
        let is_alive = self.heard.is_some_and(|heard| now - heard < LIVE) && !choice.is_urgent;
        let last = self.last.and_then(|last| last.identity);
        let is_late = last.is_some_and(|last| from.since(&last) <= 0);
        if is_late && is_alive && now.saturating_duration_since(pressing) < PERSISTENCE {
            return true;
        }
        let is_before = |known: &Received| {
            let identity = known.identity;
            identity.is_some_and(|identity| identity.since(&from) < 0)
        };
        let mut is_reached = is_late || !is_alive;
        for feed in &mut self.feeds {
            let count = feed.queue.len();
            feed.queue.retain(is_before);
            is_reached |= feed.queue.len() < count;
        }
        self.taking = Some(Taking {
            leg,
            from,
            since: now,
            queue: [frame].into(),
        });
        if is_reached {
            self.finish_taking(out);
        }
        false
    }

    fn finish_taking(&mut self, out: &mut Vec<Received>) {
        if let Some(taking) = self.taking.take() {
            self.take_over(taking.leg, taking.queue, out);
        }
    }

    fn take_over(&mut self, leg: LegId, frames: VecDeque<Received>, out: &mut Vec<Received>) {
        self.flush(out);
        self.feeds.clear();
        (self.suitor, self.taking) = (None, None);
        self.former = self.owner.replace(leg);
        self.heard = frames.back().map(|frame| frame.arrived);
        for frame in frames {
            self.emit(frame, out);
        }
    }
}

impl Feed {
    fn head(&self) -> Option<(&Received, Identity)> {
        let head = self.queue.front()?;
        Some((head, head.identity?))
    }

    /// Is the next frame about to come from it?
    fn is_live(&self, now: Instant) -> bool {
        self.footing == Footing::Whole && now.saturating_duration_since(self.heard) < LIVE
    }
}

fn is_picture(frame: &Received) -> bool {
    frame.codec.kind() == MediaKind::Video
}

/// A leg that has brought nothing for so long is not waited for.
const LIVE: Duration = Duration::from_millis(300);

/// A lane that has not been heard of for so long needs nobody to take it over.
const IDLE: Duration = Duration::from_secs(1);

/// Longest wait for what another leg may bring.
const PATIENCE: Duration = Duration::from_millis(400);

/// How long frames are kept where another encoding is about to follow: as old may its first keyframe be.
const KEEP: Duration = Duration::from_millis(700);

/// For so long an arriving leg is given time to bring the same encoding.
const ADVANCE: Duration = Duration::from_secs(1);

/// For so long a keyframe is asked for that comes in time.
const PERSISTENCE: Duration = Duration::from_millis(1500);

/// Frames that wait, of one leg: more than come within those times.
const MOST_WAITING: usize = 256;

/// Frames that are remembered.
const RECENT: usize = 256;
