//! How long a computer may call itself host: until so long after it last *asked*, whenever the answer came.
//!
//! Pure: time comes in by argument, by a clock that goes on while the computer sleeps.

use std::collections::VecDeque;
use std::time::Duration;

use crate::host::clock::BootTime;

/// Between two renewals; a lease holds three of them.
pub(super) const RENEW: Duration = Duration::from_secs(2);

/// A host takes its lease to be over so much earlier than signaling does.
const EARLY: Duration = Duration::from_secs(1);

/// Longest lease that is believed.
const LONGEST: Duration = Duration::from_secs(60);

/// Questions whose answer may still come.
const MAX_ASKED: usize = 8;

/// A lease.
#[derive(Debug)]
pub(super) struct Lease {
    until: BootTime,
    count: u32,
    asked: VecDeque<(u32, BootTime)>,
    ask_at: BootTime,
}

impl Lease {
    /// A lease that came with the term.
    pub(super) fn new(valid: Duration, now: BootTime) -> Self {
        Self {
            until: end(valid, now),
            count: 0,
            asked: VecDeque::new(),
            ask_at: now.after(RENEW),
        }
    }

    /// A lease that signaling has to confirm before it holds at all; that is asked at once.
    pub(super) fn unconfirmed(now: BootTime) -> Self {
        Self {
            until: now,
            ask_at: now,
            ..Self::new(Duration::ZERO, now)
        }
    }

    /// The same lease, for longer.
    pub(super) fn extended(mut self, valid: Duration, now: BootTime) -> Self {
        self.until = self.until.max(end(valid, now));
        self
    }

    /// Does it hold?
    pub(super) fn holds(&self, now: BootTime) -> bool {
        now < self.until
    }

    /// When [`Lease::poll`] has something to say.
    pub(super) fn deadline(&self) -> BootTime {
        self.ask_at
    }

    /// The number of the question that is due.
    pub(super) fn poll(&mut self, now: BootTime) -> Option<u32> {
        (self.ask_at <= now).then(|| self.ask(now))
    }

    /// The next question does not wait for its turn.
    pub(super) fn hurry(&mut self, now: BootTime) {
        self.ask_at = now;
    }

    fn ask(&mut self, now: BootTime) -> u32 {
        self.ask_at = now.after(RENEW);
        self.count = self.count.wrapping_add(1);
        if self.asked.len() == MAX_ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back((self.count, now));
        self.count
    }

    /// Takes the answer to question `count` and says when that was asked; `None` if it was not, or the answer is of no use any more.
    pub(super) fn renew(&mut self, count: u32, valid: Duration, now: BootTime) -> Option<BootTime> {
        let &(_, asked) = self.asked.iter().find(|(known, _)| *known == count)?;
        // What was asked before is answered by this too.
        self.asked.retain(|(_, at)| *at > asked);
        let until = end(valid, asked);
        if until <= now {
            return None;
        }
        self.until = self.until.max(until);
        Some(asked)
    }
}

fn end(valid: Duration, asked: BootTime) -> BootTime {
    asked.after(valid.min(LONGEST).saturating_sub(EARLY))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: Duration = Duration::from_secs(6);

    fn at(ms: u64) -> BootTime {
        BootTime(Duration::from_millis(ms))
    }

    #[test]
    fn a_lease_runs_from_the_question_and_not_from_the_answer() {
        let mut lease = Lease::new(VALID, at(0));
        assert!(lease.holds(at(4999)) && !lease.holds(at(5000)));
        assert_eq!(lease.poll(at(1999)), None);
        assert_eq!(lease.poll(at(2000)), Some(1));
        assert_eq!(lease.poll(at(2001)), None);
        assert_eq!(lease.renew(1, VALID, at(6900)), Some(at(2000)));
        assert!(lease.holds(at(6999)) && !lease.holds(at(7000)));
    }

    #[test]
    fn an_answer_to_what_was_not_asked_or_long_ago_is_of_no_use() {
        let mut lease = Lease::new(VALID, at(0));
        assert_eq!(lease.renew(1, VALID, at(10)), None);
        assert_eq!(lease.poll(at(2000)), Some(1));
        assert_eq!(lease.poll(at(4000)), Some(2));
        assert_eq!(lease.renew(1, VALID, at(7000)), None, "over when it came");
        assert!(!lease.holds(at(7000)));
        assert_eq!(lease.renew(2, VALID, at(7100)), Some(at(4000)));
        assert!(lease.holds(at(8999)));
        assert_eq!(lease.renew(2, VALID, at(7100)), None, "only once");
        assert!(!lease.holds(at(9000)));
    }
}
