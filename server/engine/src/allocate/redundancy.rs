//! Does a line get all sound twice, by RED or, where a browser takes none (Firefox), by a copy of each packet? One that loses does. One that is too short for the pictures and loses nothing has more of those:
//! with two voices in it RED takes a fourth of 300 kb/s.

use std::time::Duration;

use crate::bitrate::Bitrate;
use crate::time::Tick;

/// From this share of lost packets on, sound goes twice.
const LOSES: f64 = 0.02;

/// Losses are remembered for so long.
const MEMORY: Duration = Duration::from_secs(4);

/// Share of sound with RED that is left of it without, in percent: half the payload, all of the headers.
const PLAIN: u64 = 62;

/// Share of packets that were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Loss {
    /// On the way from here.
    pub(crate) line: f64,
    /// On the way to here, of the worst voice.
    pub(crate) before: f64,
}

/// Decides for one leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Redundancy {
    lost: Option<Tick>,
    /// On the line itself: copies do not help against what never came here.
    line_lost: Option<Tick>,
    is_left_out: bool,
}

impl Redundancy {
    /// Takes the share of packets that were lost lately on the line and before it, whether pictures are short of room, and the room that
    /// nothing uses.
    pub(crate) fn update(&mut self, loss: Loss, is_short: bool, room: Bitrate, now: Tick) {
        if loss.line > LOSES {
            self.line_lost = Some(now);
        }
        if loss.line.max(loss.before) > LOSES {
            self.lost = Some(now);
        }
        let loses = self.lost.is_some_and(|lost| now.since(lost) < MEMORY);
        // Two voices with RED, and something to spare.
        let has_room = !is_short && room > Bitrate::from_kbps(200);
        if loses || has_room {
            self.is_left_out = false;
        } else if is_short {
            self.is_left_out = true;
        }
    }

    /// Is each sound packet sent without the one before it?
    pub(crate) fn is_left_out(self) -> bool {
        self.is_left_out
    }

    /// Is each sound packet sent once more by itself to who takes no RED?
    pub(crate) fn is_doubled(self, now: Tick) -> bool {
        self.line_lost.is_some_and(|lost| now.since(lost) < MEMORY)
    }

    /// What sound of this rate with RED takes.
    pub(crate) fn rate(self, rate: Bitrate) -> Bitrate {
        if self.is_left_out {
            Self::plain(rate)
        } else {
            rate
        }
    }

    /// What is left of sound of this rate with RED without it.
    pub(crate) fn plain(rate: Bitrate) -> Bitrate {
        Bitrate(rate.0 / 100 * PLAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_of_room_and_loses_nothing_gets_sound_once() {
        let at = |seconds: u64| Tick(seconds * 1_000_000);
        let (none, much) = (Bitrate(0), Bitrate::from_kbps(1000));
        let line = |line| Loss { line, before: 0.0 };
        let before = |before| Loss { line: 0.0, before };
        let mut redundancy = Redundancy::default();
        redundancy.update(Loss::default(), false, none, at(1));
        assert!(!redundancy.is_left_out(), "there is enough");
        redundancy.update(before(0.05), true, none, at(2));
        assert!(!redundancy.is_left_out(), "it loses");
        assert!(!redundancy.is_doubled(at(2)), "but not from here on");
        redundancy.update(Loss::default(), true, none, at(5));
        assert!(!redundancy.is_left_out(), "it lost a moment ago");
        redundancy.update(Loss::default(), true, none, at(7));
        assert!(redundancy.is_left_out());
        assert_eq!(redundancy.rate(Bitrate(100_000)), Bitrate(62_000));
        redundancy.update(Loss::default(), false, none, at(8));
        assert!(redundancy.is_left_out(), "with it, it would be short again");
        redundancy.update(Loss::default(), false, much, at(9));
        assert!(!redundancy.is_left_out());
        redundancy.update(Loss::default(), true, none, at(10));
        redundancy.update(line(0.03), true, none, at(11));
        assert!(!redundancy.is_left_out(), "it loses again");
        assert!(redundancy.is_doubled(at(11)) && !redundancy.is_doubled(at(15)));
    }
}
