//! Which leg's frames count, where several legs bring the same: slot by slot, another leg's from its first keyframe on.
//!
//! Hosts number what they send anew, so two legs cannot be merged packet by packet; but both bring the same pictures, and a slot
//! begins with a keyframe.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use baton_protocol::{LegId, MediaKind};

/// Shared by all legs of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage(Arc<Mutex<Play>>);

#[derive(Debug, Default)]
struct Play {
    current: Option<LegId>,
    arriving: Option<LegId>,
    /// Slots that the arriving leg has taken over.
    taken: BTreeMap<String, LegId>,
}

impl Stage {
    /// Everything comes from this leg from now on.
    pub(crate) fn set_current(&self, leg: LegId) {
        let mut play = self.lock();
        if play.current != Some(leg) {
            *play = Play {
                current: Some(leg),
                ..Play::default()
            };
        }
    }

    /// This leg takes over slot by slot; `None`: none does, and what was taken is given back.
    pub(crate) fn set_arriving(&self, leg: Option<LegId>) {
        let mut play = self.lock();
        if play.arriving != leg {
            play.arriving = leg;
            play.taken.clear();
        }
    }

    /// Does a frame of this leg's slot count?
    pub(crate) fn admits(&self, leg: LegId, slot: &str, kind: MediaKind, is_key: bool) -> bool {
        let mut play = self.lock();
        let owner = play.taken.get(slot).copied().or(play.current);
        if owner == Some(leg) || owner.is_none() {
            return true;
        }
        // Which voice is in which slot is each host's own choice: sound changes over as a whole.
        let takes = play.arriving == Some(leg) && kind == MediaKind::Video && is_key;
        if takes {
            play.taken.insert(slot.to_owned(), leg);
        }
        takes
    }

    /// It is whole after every change, whatever happened to a thread that held the lock.
    fn lock(&self) -> std::sync::MutexGuard<'_, Play> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_changes_over_at_a_keyframe_and_goes_back_if_nothing_comes_of_it() {
        let stage = Stage::default();
        let (old, new) = (LegId(1), LegId(2));
        let video = |leg, is_key| stage.admits(leg, "5", MediaKind::Video, is_key);
        assert!(video(new, false), "whoever is alone counts");
        stage.set_current(old);
        assert!(video(old, false) && !video(new, true));
        stage.set_arriving(Some(new));
        assert!(!video(new, false) && video(old, false));
        assert!(video(new, true) && video(new, false) && !video(old, true));
        assert!(
            stage.admits(old, "6", MediaKind::Video, false),
            "another slot"
        );
        assert!(!stage.admits(new, "1", MediaKind::Audio, true));
        stage.set_arriving(None);
        assert!(video(old, false) && !video(new, true));
        stage.set_arriving(Some(new));
        stage.set_current(new);
        assert!(video(new, false) && !video(old, true));
        assert!(stage.admits(new, "1", MediaKind::Audio, true));
    }
}
