//! Which frame of a clip comes next and when, round after round.
//!
//! Pure: times are those of a clock that only runs forward. What is shown may jump, when it is due never does.

use std::time::Duration;

use crate::media::{Clip, Frame};

/// A clip that is played without end.
#[derive(Clone, Debug)]
pub struct Player {
    clip: Clip,
    next: usize,
    due: Duration,
}

impl Player {
    /// A clip whose first frame is due at zero.
    pub fn new(clip: Clip) -> Self {
        Self {
            clip,
            next: 0,
            due: Duration::ZERO,
        }
    }

    /// When the next frame is due.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Takes the next frame; another one is due after it.
    pub fn take(&mut self) -> Frame {
        let frames = self.clip.frames();
        let index = self.next % frames.len();
        let frame = frames.get(index).cloned();
        let frame = frame.expect("a clip has a frame, and the index is below their number");
        let after = frames.get(index + 1);
        let end = after.map_or(self.clip.length(), |after| after.at);
        self.due += end.saturating_sub(frame.at);
        self.next = (index + 1) % frames.len();
        frame
    }

    /// The next frame will be the keyframe nearest to it, before or after, also across the end of the clip.
    pub fn jump_to_keyframe(&mut self) {
        let frames = self.clip.frames();
        let Some(here) = frames.get(self.next).map(|frame| frame.at) else {
            return;
        };
        let distance = |at: Duration| {
            let direct = at.abs_diff(here);
            direct.min(self.clip.length().saturating_sub(direct))
        };
        let keys = frames.iter().enumerate().filter(|(_, frame)| frame.is_key);
        let nearest = keys.min_by_key(|(_, frame)| distance(frame.at));
        self.next = nearest.map_or(0, |(index, _)| index);
    }

    /// Nobody waited for what was due before `now`: it is left out, and play goes on at the next keyframe.
    pub fn skip_to(&mut self, now: Duration) {
        while self.due < now {
            self.take();
        }
        self.jump_to_keyframe();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::media::Codec;

    /// Ten frames a second, every `interval`th a keyframe; the data says the number.
    fn player(count: u8, interval: u8) -> Player {
        let frame = |number: u8| Frame {
            at: Duration::from_millis(100) * number.into(),
            is_key: number.is_multiple_of(interval),
            data: Bytes::copy_from_slice(&[number]),
        };
        Player::new(Clip::new(Codec::Vp8, (0, 0), (0..count).map(frame).collect(), None).unwrap())
    }

    fn numbers(player: &mut Player, count: usize) -> Vec<u8> {
        (0..count).map(|_| player.take().data[0]).collect()
    }

    #[test]
    fn a_clip_begins_again_when_it_is_over_and_keeps_its_pace() {
        let mut player = player(3, 3);
        assert_eq!(numbers(&mut player, 7), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(player.due(), Duration::from_millis(700));
    }

    #[test]
    fn a_jump_goes_to_the_nearest_keyframe_and_does_not_change_the_pace() {
        let mut player = player(10, 5);
        assert_eq!(numbers(&mut player, 3), [0, 1, 2]);
        player.jump_to_keyframe();
        assert_eq!(player.due(), Duration::from_millis(300));
        assert_eq!(numbers(&mut player, 4), [5, 6, 7, 8]);
        player.jump_to_keyframe();
        assert_eq!(numbers(&mut player, 2), [0, 1]);
        player.jump_to_keyframe();
        assert_eq!(numbers(&mut player, 1), [0]);
    }

    #[test]
    fn after_a_pause_play_goes_on_with_a_keyframe() {
        let mut player = player(10, 5);
        player.skip_to(Duration::from_millis(1250));
        assert_eq!(player.due(), Duration::from_millis(1300));
        assert_eq!(numbers(&mut player, 2), [5, 6]);
    }

    proptest! {
        #[test]
        fn frames_are_due_in_order_whatever_is_asked(jumps in proptest::collection::vec(any::<bool>(), 1..100)) {
            let mut player = player(30, 7);
            for is_jump in jumps {
                let before = player.due();
                if is_jump {
                    player.jump_to_keyframe();
                    prop_assert!(player.clone().take().is_key);
                }
                player.take();
                prop_assert_eq!(player.due() - before, Duration::from_millis(100));
            }
        }
    }
}
