//! One request of the relay's that is sent, repeated until it is answered, and made anew when what it got has to be renewed.
//!
//! Does not own what is asked for. RFC 8489 section 6.2.1.

use std::time::Duration;

use crate::reflect::TransactionId;
use crate::time::Tick;

/// First pause before it is said again; each following one is twice as long.
const REPEAT: Duration = Duration::from_millis(500);

/// How often it is said.
const TRIES: u8 = 5;

/// Nonces that are taken one after the other; a server that gives another each time is not worth more.
const CHALLENGES: u8 = 3;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    transaction: Option<TransactionId>,
    tries: u8,
    challenges: u8,
    due: Tick,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Say it, under this number.
    Say(TransactionId),
    /// Nobody answers.
    GiveUp,
}

impl Attempt {
    /// To be said at `at` for the first time.
    pub(super) fn at(at: Tick) -> Self {
        Self {
            transaction: None,
            tries: 0,
            challenges: 0,
            due: at,
        }
    }

    pub(super) fn due(&self) -> Tick {
        self.due
    }

    /// Is this the number of what was said and not answered yet?
    pub(super) fn is_under(&self, transaction: TransactionId) -> bool {
        self.transaction == Some(transaction)
    }

    /// Says it anew at once, signed otherwise. False: that has happened too often.
    pub(super) fn is_challenged(&mut self, now: Tick) -> bool {
        let challenges = self.challenges + 1;
        *self = Self::at(now);
        self.challenges = challenges;
        challenges <= CHALLENGES
    }

    /// What is due; `fresh` numbers it.
    pub(super) fn poll(
        &mut self,
        fresh: &mut impl FnMut() -> TransactionId,
        now: Tick,
    ) -> Option<Step> {
        if self.due > now {
            return None;
        }
        if self.tries >= TRIES {
            return Some(Step::GiveUp);
        }
        let transaction = *self.transaction.get_or_insert_with(fresh);
        self.due = now + REPEAT * (1_u32 << self.tries);
        self.tries += 1;
        Some(Step::Say(transaction))
    }
}
