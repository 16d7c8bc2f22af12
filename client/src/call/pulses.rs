//! The heartbeats of the host that carries the call, and what their absence means.
//!
//! Pure: time comes in by argument. What follows from it is the call's business, and nobody is asked about it.

use std::time::{Duration, Instant};

/// How a host is, by what was last heard of its forwarding thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Silence {
    /// It beats, or never did: only a host that can be replaced at once does.
    #[default]
    None,
    /// Three beats are missing: sound and small pictures are fetched from elsewhere, in case.
    Suspicious,
    /// Five are: everything is.
    Silent,
    /// Signaling ought to know.
    Lost,
}

/// A watch over one host.
#[derive(Debug, Default)]
pub(super) struct Pulses {
    heard: Option<Instant>,
    /// Beats in a row since it was silent.
    steady: Option<u32>,
    /// The leg is over, whatever was heard.
    is_cut: bool,
}

impl Pulses {
    /// A beat. That of a host which has heard nobody for a while (`deaf`) is as old as that: it has nothing to forward.
    pub(super) fn note(&mut self, now: Instant, deaf: Option<Duration>) {
        if let Some(deaf) = deaf {
            let heard = now.checked_sub(deaf).unwrap_or(now);
            self.heard = self.heard.map(|known| known.min(heard)).or(Some(now));
            self.steady = self.steady.map(|_| 0);
            return;
        }
        if self.by_time(now) >= Silence::Silent {
            self.steady = Some(0);
        }
        if let Some(steady) = &mut self.steady {
            *steady += 1;
            if *steady >= STEADY {
                self.steady = None;
            }
        }
        self.heard = Some(now);
        self.is_cut = false;
    }

    /// The leg to the host failed.
    pub(super) fn cut(&mut self) {
        self.is_cut |= self.heard.is_some();
    }

    /// How it is. A host that was silent counts as such until it has been beating steadily again.
    pub(super) fn silence(&self, now: Instant) -> Silence {
        if self.is_cut {
            return Silence::Lost;
        }
        let returning = match self.steady {
            Some(_) => Silence::Silent,
            None => Silence::None,
        };
        self.by_time(now).max(returning)
    }

    fn by_time(&self, now: Instant) -> Silence {
        let Some(heard) = self.heard else {
            return Silence::None;
        };
        match now.saturating_duration_since(heard) {
            span if span >= LOST => Silence::Lost,
            span if span >= SILENT => Silence::Silent,
            span if span >= SUSPICIOUS => Silence::Suspicious,
            _ => Silence::None,
        }
    }

    /// For how long nothing was heard, in milliseconds.
    pub(super) fn silent_ms(&self, now: Instant) -> u32 {
        let span = self.heard.map(|heard| now.saturating_duration_since(heard));
        u32::try_from(span.unwrap_or_default().as_millis()).unwrap_or(u32::MAX)
    }

    /// When the next conclusion may be drawn.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let heard = self.heard.filter(|_| !self.is_cut)?;
        [SUSPICIOUS, SILENT, LOST]
            .into_iter()
            .map(|span| heard + span)
            .find(|due| *due > now)
    }
}

const SUSPICIOUS: Duration = Duration::from_millis(150);
const SILENT: Duration = Duration::from_millis(250);
const LOST: Duration = Duration::from_secs(2);

/// Beats in a row after which a host that was silent is relied on again: half a second.
const STEADY: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_grows_with_time_and_only_where_there_was_a_beat() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pulses = Pulses::default();
        assert_eq!(pulses.silence(at(9999)), Silence::None);
        assert_eq!(pulses.deadline(at(0)), None);
        pulses.cut();
        assert_eq!(pulses.silence(at(0)), Silence::None, "it never beat");
        pulses.note(at(0), None);
        for (ms, silence) in [
            (149, Silence::None),
            (150, Silence::Suspicious),
            (249, Silence::Suspicious),
            (250, Silence::Silent),
            (1999, Silence::Silent),
            (2000, Silence::Lost),
        ] {
            assert_eq!(pulses.silence(at(ms)), silence, "{ms}");
        }
        assert_eq!(pulses.deadline(at(0)), Some(at(150)));
        assert_eq!(pulses.deadline(at(150)), Some(at(250)));
        assert_eq!(pulses.deadline(at(2000)), None);
        assert_eq!(pulses.silent_ms(at(2100)), 2100);
    }

    #[test]
    fn the_beat_of_a_host_that_hears_nobody_is_as_old_as_what_it_heard() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let deaf = |ms| Some(Duration::from_millis(ms));
        let mut pulses = Pulses::default();
        pulses.note(at(1000), None);
        pulses.note(at(1050), deaf(200));
        assert_eq!(pulses.silence(at(1050)), Silence::Suspicious);
        pulses.note(at(1100), deaf(250));
        assert_eq!(pulses.silence(at(1100)), Silence::Silent);
        pulses.note(at(2900), deaf(2050));
        assert_eq!(pulses.silence(at(2900)), Silence::Lost);
        assert_eq!(pulses.silent_ms(at(2900)), 2050);
        for beat in 0..10 {
            assert!(pulses.silence(at(2901 + beat * 50)) >= Silence::Silent);
            pulses.note(at(2950 + beat * 50), None);
        }
        assert_eq!(pulses.silence(at(3400)), Silence::None);
    }

    #[test]
    fn a_beat_ends_a_suspicion_and_ten_a_silence() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pulses = Pulses::default();
        pulses.note(at(0), None);
        pulses.note(at(200), None);
        assert_eq!(pulses.silence(at(200)), Silence::None);
        for beat in 0..9 {
            pulses.note(at(600 + beat * 50), None);
            assert_eq!(pulses.silence(at(600 + beat * 50)), Silence::Silent);
        }
        pulses.note(at(1050), None);
        assert_eq!(pulses.silence(at(1050)), Silence::None);
        pulses.cut();
        assert_eq!(pulses.silence(at(1050)), Silence::Lost);
        assert_eq!(pulses.deadline(at(1050)), None);
    }
}
