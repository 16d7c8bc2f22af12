//! Who speaks: a loudness score per audio track from the audio-level extension (RFC 6464), the loudest few for the audio slots,
//! and one active speaker that does not flicker.

use std::time::Duration;

use crate::time::Tick;

/// A packet whose level is unknown counts as quiet speech.
const UNKNOWN_LEVEL: u8 = 60;

/// Louder than this (in -dBov, so: a smaller number) is speech.
const SPEECH_LEVEL: u8 = 55;

/// A challenger must lead for so long.
const TAKEOVER: Duration = Duration::from_millis(300);

/// A track that was not heard for so long is silent.
const SILENCE: Duration = Duration::from_millis(600);

/// Loudness of one track.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loudness {
    /// 0 is silence, 127 as loud as can be; rises fast and falls slowly.
    score: f32,
    heard: Tick,
    /// Last time it was loud enough to be speech.
    spoke: Tick,
}

impl Loudness {
    /// Notes one packet's level.
    pub(crate) fn handle_level(&mut self, level: Option<u8>, now: Tick) {
        let level = level.unwrap_or(UNKNOWN_LEVEL).min(127);
        let loudness = f32::from(127 - level);
        let weight = if loudness > self.score { 0.3 } else { 0.04 };
        self.score += (loudness - self.score) * weight;
        self.heard = now;
        if level <= SPEECH_LEVEL && self.score > f32::from(127 - SPEECH_LEVEL) * 0.6 {
            self.spoke = now;
        }
    }

    /// The score now: silence for tracks that stopped sending (DTX, mute).
    pub(crate) fn score(&self, now: Tick) -> f32 {
        if now.since(self.heard) > SILENCE {
            0.0
        } else {
            self.score
        }
    }

    /// Was there speech within the last moments?
    pub(crate) fn is_speaking(&self, now: Tick) -> bool {
        self.spoke > Tick(0) && now.since(self.spoke) < SILENCE
    }

    /// Last moment of speech.
    pub(crate) fn spoke(&self) -> Tick {
        self.spoke
    }
}

/// The active speaker of a room, by the key of their audio track.
#[derive(Debug, Default)]
pub(crate) struct ActiveSpeaker {
    active: Option<u32>,
    challenger: Option<(u32, Tick)>,
}

impl ActiveSpeaker {
    /// Looks at all tracks (key, loudness); true when the active speaker changed.
    pub(crate) fn update(&mut self, tracks: &[(u32, Loudness)], now: Tick) -> bool {
        let loudest = tracks
            .iter()
            .filter(|(_, loudness)| loudness.is_speaking(now))
            .max_by(|a, b| a.1.score(now).total_cmp(&b.1.score(now)))
            .map(|(key, _)| *key);
        let present = self
            .active
            .is_some_and(|active| tracks.iter().any(|(key, _)| *key == active));
        if !present && self.active.is_some() {
            self.active = None;
            self.challenger = None;
            self.active = loudest;
            return true;
        }
        let Some(loudest) = loudest.filter(|key| Some(*key) != self.active) else {
            self.challenger = None;
            return false;
        };
        if self.active.is_none() {
            self.active = Some(loudest);
            return true;
        }
        match self.challenger {
            Some((challenger, since)) if challenger == loudest => {
                if now.since(since) < TAKEOVER {
                    return false;
                }
                self.active = Some(loudest);
                self.challenger = None;
                true
            }
            Some(_) | None => {
                self.challenger = Some((loudest, now));
                false
            }
        }
    }

    /// Key of the active speaker's audio track.
    pub(crate) fn active(&self) -> Option<u32> {
        self.active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speak(loudness: &mut Loudness, level: u8, from_ms: u64, to_ms: u64) {
        for ms in (from_ms..to_ms).step_by(20) {
            loudness.handle_level(Some(level), Tick(ms * 1000));
        }
    }

    #[test]
    fn a_cough_does_not_take_the_floor_and_a_sentence_does() {
        let (mut ana, mut ben) = (Loudness::default(), Loudness::default());
        let mut active = ActiveSpeaker::default();
        speak(&mut ana, 35, 0, 1000);
        speak(&mut ben, 90, 0, 1000);
        assert!(active.update(&[(1, ana), (2, ben)], Tick(1_000_000)));
        assert_eq!(active.active(), Some(1));
        let mut changes = 0;
        for ms in (1000..2000).step_by(20) {
            ana.handle_level(Some(40), Tick(ms * 1000));
            ben.handle_level(Some(if ms < 1160 { 20 } else { 100 }), Tick(ms * 1000));
            changes += u32::from(active.update(&[(1, ana), (2, ben)], Tick(ms * 1000)));
        }
        assert_eq!((changes, active.active()), (0, Some(1)));
        for ms in (2000..4000).step_by(20) {
            ana.handle_level(Some(100), Tick(ms * 1000));
            ben.handle_level(Some(30), Tick(ms * 1000));
            changes += u32::from(active.update(&[(1, ana), (2, ben)], Tick(ms * 1000)));
        }
        assert_eq!((changes, active.active()), (1, Some(2)));
    }

    #[test]
    fn silence_keeps_the_last_speaker_and_leaving_clears_it() {
        let mut ana = Loudness::default();
        let mut active = ActiveSpeaker::default();
        speak(&mut ana, 30, 0, 500);
        active.update(&[(1, ana)], Tick(500_000));
        assert!(!active.update(&[(1, ana)], Tick(9_000_000)));
        assert_eq!(active.active(), Some(1));
        assert!(active.update(&[], Tick(9_100_000)));
        assert_eq!(active.active(), None);
    }
}
