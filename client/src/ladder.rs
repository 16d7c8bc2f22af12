//! What a leg's troubles lead to, and when: wait, then open another. Nothing here gives up; leaving is a person's decision.
//!
//! Pure: time comes in by argument. An ICE restart between waiting and another leg is the page's; a native leg reconnects
//! in less time than a restart takes.

use std::time::{Duration, Instant};

/// How a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// ICE and DTLS are not up yet.
    Connecting { since: Instant },
    /// Media may flow.
    Connected,
    /// Nothing was heard for a while; may come back by itself.
    Shaky { since: Instant },
}

impl Condition {
    /// When it has lasted too long and another leg is to be opened. `attempt` counts legs since one was last connected.
    pub(crate) fn deadline(self, attempt: usize) -> Option<Instant> {
        match self {
            Self::Connecting { since } => Some(since + connect_patience(attempt)),
            Self::Connected => None,
            Self::Shaky { since } => Some(since + SHAKY),
        }
    }
}

/// Longer each time, for lines that are just slow.
fn connect_patience(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.min(2)).unwrap_or_default();
    CONNECT * 2_u32.pow(doublings)
}

const CONNECT: Duration = Duration::from_secs(4);
const SHAKY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connected_leg_has_no_deadline_and_a_shaky_one_has_two_seconds() {
        let now = Instant::now();
        assert_eq!(Condition::Connected.deadline(0), None);
        assert_eq!(
            Condition::Shaky { since: now }.deadline(7),
            Some(now + SHAKY)
        );
    }

    #[test]
    fn connecting_may_take_longer_each_time_up_to_a_bound() {
        let since = Instant::now();
        let patience = |attempt| Condition::Connecting { since }.deadline(attempt).unwrap() - since;
        assert_eq!(patience(0), CONNECT);
        assert_eq!(patience(1), 2 * CONNECT);
        assert_eq!(patience(2), patience(1000));
    }
}
