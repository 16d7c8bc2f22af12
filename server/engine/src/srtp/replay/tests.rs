use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The nearest of the three indices that a sequence number can mean; RFC 3711 appendix A stays in the roll when two are
/// equally near.
fn nearest(highest: u64, seq: u16) -> Option<u64> {
    let roll = highest >> 16;
    let at = |roll: u64| (roll << 16) | u64::from(seq);
    let mut best = at(roll);
    for other in [roll.checked_sub(1).map(at), Some(at(roll + 1))]
        .into_iter()
        .flatten()
    {
        if other.abs_diff(highest) < best.abs_diff(highest) {
            best = other;
        }
    }
    // Before the first packet of all: the sequence number is nearer to where nothing was sent.
    let before = highest.abs_diff(at(roll)) > 0x8000 && at(roll) > highest && roll == 0;
    (!before).then_some(best)
}

proptest! {
    #[test]
    fn the_index_nearest_to_the_newest_is_estimated(highest in 0..(1_u64 << 40), seq: u16) {
        let mut stream = InboundStream::new();
        stream.accept(highest);
        prop_assert_eq!(stream.estimate(seq).ok(), nearest(highest, seq));
    }

    #[test]
    fn a_window_agrees_with_a_list_of_all_that_came(
        start in 0_u64..1 << 33,
        steps in prop::collection::vec(prop_oneof![8 => -40_i64..40, 1 => -400_i64..400, 1 => -20_000_i64..70_000], 1..400),
    ) {
        let mut window = ReplayWindow::<4>::default();
        let mut seen = BTreeSet::new();
        let mut index = start;
        for step in steps {
            index = index.saturating_add_signed(step);
            let highest = seen.last().copied();
            let expected = match highest {
                Some(highest) if index + 192 <= highest => Err(OpenError::TooOld),
                _ if seen.contains(&index) => Err(OpenError::Replayed),
                _ => Ok(()),
            };
            prop_assert_eq!(window.check(index), expected);
            if expected.is_ok() {
                window.accept(index);
                seen.insert(index);
            }
        }
    }
}

#[test]
fn the_rtp_window_reaches_back_far_enough_for_reordered_video() {
    assert_eq!(ReplayWindow::<16>::REACH, 960);
}

#[test]
fn nothing_follows_the_last_index() {
    let mut stream = InboundStream::new();
    stream.accept(INDEX_END - 1);
    assert_eq!(stream.estimate(0), Err(OpenError::TooOld));
    assert_eq!(stream.estimate(0xfffe), Ok(INDEX_END - 2));
}
