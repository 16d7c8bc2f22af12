//! Watches the conditions while a computer offers to host: withdraws at once, and offers again only when things have been well
//! for a while.
//!
//! Pure: time comes in by argument.

use std::time::{Duration, Instant};

use super::{Caps, Conditions, Objection};

/// What follows from a look at the conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The computer may be offered now.
    Offer,
    /// It may not go on: a call that it carries goes elsewhere.
    Withdraw(Vec<Objection>),
}

/// A watch over one computer.
#[derive(Debug)]
pub struct Guard {
    caps: Caps,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Not offered; since then nothing speaks against it, if so.
    Withdrawn {
        well_since: Option<Instant>,
    },
    Offered,
}

impl Guard {
    /// Not offered yet.
    pub fn new(caps: Caps) -> Self {
        Self {
            caps,
            state: State::Withdrawn { well_since: None },
        }
    }

    /// May it be offered, as far as the last look went?
    pub fn is_offered(&self) -> bool {
        matches!(self.state, State::Offered)
    }

    /// Looks at the conditions; says something only when that is new.
    pub fn handle_conditions(&mut self, conditions: &Conditions, now: Instant) -> Option<Verdict> {
        match self.state {
            State::Offered => {
                let objections = self.caps.objections(conditions);
                if objections.is_empty() {
                    return None;
                }
                self.state = State::Withdrawn { well_since: None };
                Some(Verdict::Withdraw(objections))
            }
            State::Withdrawn { well_since } => {
                if !self.caps.objections_to_begin(conditions).is_empty() {
                    self.state = State::Withdrawn { well_since: None };
                    return None;
                }
                let since = well_since.unwrap_or(now);
                if now.saturating_duration_since(since) < CALM {
                    self.state = State::Withdrawn {
                        well_since: Some(since),
                    };
                    return None;
                }
                self.state = State::Offered;
                Some(Verdict::Offer)
            }
        }
    }
}

/// How long things must be well before a computer is offered.
const CALM: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::caps::{Metering, Power};

    fn on(power: Power) -> Conditions {
        Conditions {
            power,
            metering: Metering::Free,
            ..Conditions::default()
        }
    }

    #[test]
    fn it_is_offered_after_a_calm_while_and_withdrawn_at_once() {
        let start = Instant::now();
        let mut guard = Guard::new(Caps::default());
        let mut look = |power, seconds| {
            guard.handle_conditions(&on(power), start + Duration::from_secs(seconds))
        };
        assert_eq!(look(Power::Mains, 0), None);
        assert_eq!(look(Power::Mains, 9), None);
        assert_eq!(look(Power::Mains, 10), Some(Verdict::Offer));
        assert_eq!(look(Power::Mains, 11), None);
        let objection = Objection::Battery { percent: 90 };
        let withdrawn = Some(Verdict::Withdraw(vec![objection]));
        assert_eq!(look(Power::Battery(90), 12), withdrawn);
        assert_eq!(look(Power::Battery(90), 13), None);
        assert_eq!(look(Power::Mains, 14), None);
        assert_eq!(look(Power::Battery(90), 20), None);
        assert_eq!(look(Power::Mains, 25), None);
        assert_eq!(look(Power::Mains, 35), Some(Verdict::Offer));
    }

    proptest! {
        #[test]
        fn it_never_offers_against_an_objection_and_verdicts_alternate(
            looks in proptest::collection::vec((any::<bool>(), 0_u64..30), 1..60),
        ) {
            let mut guard = Guard::new(Caps::default());
            let mut now = Instant::now();
            let mut was_offered = false;
            for (is_mains, seconds) in looks {
                now += Duration::from_secs(seconds);
                let power = if is_mains { Power::Mains } else { Power::Battery(50) };
                match guard.handle_conditions(&on(power), now) {
                    Some(Verdict::Offer) => {
                        prop_assert!(is_mains && !was_offered);
                        was_offered = true;
                    }
                    Some(Verdict::Withdraw(_)) => {
                        prop_assert!(!is_mains && was_offered);
                        was_offered = false;
                    }
                    None => prop_assert!(is_mains || !was_offered),
                }
                prop_assert_eq!(guard.is_offered(), was_offered);
            }
        }
    }
}
