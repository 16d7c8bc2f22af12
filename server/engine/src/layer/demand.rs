//! Whether anybody has use for an encoding, and what its publisher was told about that.
//!
//! Owns the time between the last use and the word to stop. Does not know who watches and does not send anything.

use std::time::Duration;

use crate::time::Tick;

/// A layer is switched off when nobody has had use for it for so long: publishers shall be silent within two seconds.
const IDLE: Duration = Duration::from_millis(1500);

/// A new layer is not switched off before: browsers find out in these seconds what their line carries, and need something to send for that.
const SETTLE: Duration = Duration::from_millis(5000);

/// One that was asked back is counted on for so long without having come.
const RETURN_WITHIN: Duration = Duration::from_millis(2500);

/// Use of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Since when nobody has had use for it; the clock starts with the first look.
    used: Option<Tick>,
    /// When it was looked at first.
    begun: Option<Tick>,
    /// The publisher shall send it.
    is_on: bool,
    /// When it was asked back after it had been switched off.
    asked_back: Option<Tick>,
}

impl Default for Demand {
    /// Of a new layer: publishers begin by sending all.
    fn default() -> Self {
        Self {
            used: None,
            begun: None,
            is_on: true,
            asked_back: None,
        }
    }
}

impl Demand {
    /// Of a layer that is not sent before it is asked for.
    pub(crate) fn resting() -> Self {
        Self {
            is_on: false,
            begun: Some(Tick(0)),
            ..Self::default()
        }
    }

    /// Somebody has use for it. True when the publisher has to be told.
    pub(crate) fn note_use(&mut self, now: Tick) -> bool {
        self.used = Some(now);
        let was_off = !self.is_on;
        if was_off {
            self.is_on = true;
            self.asked_back = Some(now);
        }
        was_off
    }

    /// Switches it off if nobody has had use for it for a while. True when the publisher has to be told.
    pub(crate) fn expire(&mut self, now: Tick) -> bool {
        let used = *self.used.get_or_insert(now);
        let is_settled = now.since(*self.begun.get_or_insert(now)) >= SETTLE;
        let ends = self.is_on && is_settled && now.since(used) >= IDLE;
        self.is_on &= !ends;
        ends
    }

    /// Shall the publisher send it?
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Would it come if it were asked for? It is silent because nobody wanted it.
    pub(crate) fn is_available(&self, now: Tick) -> bool {
        !self.is_on || self.is_returning(now)
    }

    /// Was it asked back lately? Then its return is no stutter.
    pub(crate) fn is_returning(&self, now: Tick) -> bool {
        self.asked_back
            .is_some_and(|asked| now.since(asked) < RETURN_WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_goes_off_a_while_after_its_last_use_and_comes_back_at_once() {
        let mut demand = Demand::default();
        let at = |ms: u64| Tick(ms * 1000);
        assert!(!demand.expire(at(400)));
        assert!(!demand.expire(at(5300)), "it is new");
        assert!(!demand.note_use(at(5300)), "it is sent already");
        assert!(!demand.expire(at(6700)));
        assert!(demand.expire(at(6800)) && !demand.is_on());
        assert!(!demand.expire(at(6900)), "said once");
        assert!(demand.is_available(at(9000)), "it would come");
        assert!(demand.note_use(at(9000)) && demand.is_on());
        assert!(demand.is_returning(at(9500)) && demand.is_available(at(9500)));
        assert!(!demand.is_available(at(12_000)), "it did not come");
    }
}
