//! Notices that the forwarding thread stood still, and keeps it silent until signaling has confirmed that the call is still its own.
//!
//! Whoever was stopped for a second (SIGSTOP, a closed lid, a computer without a free processor) may have been replaced meanwhile. A
//! confirmation counts only if it was asked for after the standstill: an older one may have waited in the socket all the time.
//!
//! Pure: time comes in by argument.

use std::time::Duration;

use crate::host::clock::BootTime;

/// Guests give a host up after 250 ms, and signaling replaces it after two seconds.
const STANDSTILL: Duration = Duration::from_secs(1);

/// A watch over one thread.
#[derive(Debug, Default)]
pub(super) struct Fence {
    seen: Option<BootTime>,
    closed: Option<BootTime>,
}

impl Fence {
    /// The thread is here. True if it stood still before, and must not send from now on.
    pub(super) fn look(&mut self, now: BootTime) -> bool {
        let before = self.seen.replace(now);
        let stood = before.is_some_and(|before| now.since(before) >= STANDSTILL);
        if stood {
            self.closed = Some(now);
        }
        stood
    }

    /// Must nothing be sent?
    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Signaling confirmed what was asked at `asked`. True if that opens the fence.
    pub(super) fn confirm(&mut self, asked: BootTime) -> bool {
        let is_news = self.closed.is_some_and(|closed| asked >= closed);
        if is_news {
            self.closed = None;
        }
        is_news
    }

    /// There is no term, and nothing to be sent by mistake.
    pub(super) fn open(&mut self) {
        self.closed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> BootTime {
        BootTime(Duration::from_millis(ms))
    }

    #[test]
    fn a_second_without_a_look_closes_and_only_a_later_question_s_answer_opens() {
        let mut fence = Fence::default();
        assert!(!fence.look(at(90_000)), "the first look");
        assert!(!fence.look(at(90_999)));
        assert!(fence.look(at(91_999)) && fence.is_closed());
        assert!(!fence.look(at(92_050)) && fence.is_closed());
        assert!(!fence.confirm(at(91_990)), "asked before it stood still");
        assert!(fence.is_closed());
        assert!(fence.confirm(at(91_999)) && !fence.is_closed());
        assert!(!fence.confirm(at(92_000)), "nothing to open");
    }
}
