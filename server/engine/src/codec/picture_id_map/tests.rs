use proptest::prelude::*;

use super::*;

fn vp8(value: u16, width: PictureIdWidth, tl0: u8) -> PictureIds {
    PictureIds::Vp8 {
        picture_id: Some(PictureId {
            value: value & width.mask(),
            width,
        }),
        tl0: Some(tl0),
        key_index: None,
    }
}

fn vp9(value: u16) -> PictureIds {
    PictureIds::Vp9 {
        picture_id: Some(PictureId {
            value,
            width: PictureIdWidth::Bits15,
        }),
        tl0: Some(0),
    }
}

fn wide(value: u16, tl0: u8) -> PictureIds {
    vp8(value, PictureIdWidth::Bits15, tl0)
}

fn patched(picture_id: u16, tl0: u8) -> MappedIds {
    MappedIds::Patch { picture_id, tl0 }
}

#[test]
fn the_first_source_keeps_its_numbers() {
    let mut map = PictureIdMap::default();
    assert_eq!(map.map(wide(700, 9), true), patched(700, 9));
    assert_eq!(map.map(wide(702, 10), false), patched(702, 10));
}

#[test]
fn a_switch_continues_with_the_next_number() {
    let mut map = PictureIdMap::default();
    map.map(wide(700, 9), true);
    assert_eq!(map.map(wide(31_000, 200), true), patched(701, 10));
    assert_eq!(map.map(wide(31_000, 200), false), patched(701, 10));
    assert_eq!(map.map(wide(31_003, 202), false), patched(704, 12));
}

#[test]
fn both_numbers_wrap() {
    let mut map = PictureIdMap::default();
    map.map(wide(0x7fff, 255), true);
    assert_eq!(map.map(wide(0, 0), false), patched(0, 0));
    assert_eq!(map.map(wide(0x7fff, 7), true), patched(1, 1));
    assert_eq!(map.map(wide(0, 8), false), patched(2, 2));
}

#[test]
fn a_packet_of_the_picture_before_gets_that_pictures_number() {
    let mut map = PictureIdMap::default();
    map.map(wide(5, 5), true);
    map.map(wide(100, 50), true);
    map.map(wide(101, 51), false);
    assert_eq!(map.map(wide(100, 50), false), patched(6, 6));
    assert_eq!(map.map(wide(102, 51), false), patched(8, 7));
}

#[test]
fn a_picture_from_before_the_switch_is_stale() {
    let mut map = PictureIdMap::default();
    map.map(wide(100, 50), true);
    assert_eq!(map.map(wide(99, 49), false), MappedIds::Stale);
    assert_eq!(map.map(wide(101, 51), false), patched(101, 51));
}

#[test]
fn a_skipped_vp8_picture_leaves_no_gap() {
    let mut map = PictureIdMap::default();
    map.map(wide(10, 1), true);
    map.skip(wide(11, 1));
    map.skip(wide(11, 1));
    assert_eq!(map.map(wide(12, 2), false), patched(11, 2));
    map.skip(wide(13, 2));
    assert_eq!(map.map(wide(14, 3), false), patched(12, 3));
    assert_eq!(map.look_up(wide(10, 1)), patched(10, 1));
    assert_eq!(map.look_up(wide(12, 2)), patched(11, 2));
    assert_eq!(map.look_up(wide(11, 1)), MappedIds::Stale);
}

#[test]
fn a_picture_is_forwarded_after_all_when_its_layer_comes_into_reach() {
    let mut map = PictureIdMap::default();
    map.map(wide(10, 1), true);
    map.skip(wide(11, 1));
    assert_eq!(map.map(wide(11, 1), false), patched(11, 1));
    map.skip(wide(11, 1));
    assert_eq!(map.map(wide(12, 1), false), patched(12, 1));
}

#[test]
fn a_skipped_vp9_picture_keeps_its_number() {
    let mut map = PictureIdMap::default();
    map.map(vp9(10), true);
    map.skip(vp9(11));
    assert_eq!(map.map(vp9(12), false), patched(12, 0));
}

#[test]
fn a_sender_may_grow_from_seven_to_fifteen_bits() {
    let mut map = PictureIdMap::default();
    map.map(vp8(127, PictureIdWidth::Bits7, 0), true);
    assert_eq!(map.map(wide(128, 1), false), patched(128, 1));
    let late = vp8(127, PictureIdWidth::Bits7, 0);
    assert_eq!(
        map.map(late, false),
        MappedIds::Patch {
            picture_id: 127,
            tl0: 0
        }
    );
}

#[test]
fn a_source_without_numbers_interrupts_nothing() {
    let mut map = PictureIdMap::default();
    map.map(wide(5, 5), true);
    assert_eq!(map.map(PictureIds::None, true), MappedIds::Absent);
    assert_eq!(map.map(wide(900, 90), true), patched(6, 6));
}

/// One step of a source: a switch to a new start, or a picture `1..` further, perhaps left out, followed by repeats.
#[derive(Clone, Debug)]
enum Step {
    Switch {
        start: u16,
        tl0: u8,
        narrow: bool,
    },
    Picture {
        ahead: u16,
        base: bool,
        skip: bool,
        back: u16,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (any::<u16>(), any::<u8>(), any::<bool>())
            .prop_map(|(start, tl0, narrow)| Step::Switch { start, tl0, narrow }),
        6 => (1..40u16, any::<bool>(), any::<bool>(), 0..3u16)
            .prop_map(|(ahead, base, skip, back)| Step::Picture { ahead, base, skip, back }),
    ]
}

proptest! {
    /// The model: an endless counter that grows by the source's own difference, less what was skipped, and by one at
    /// a switch. It never steps back.
    #[test]
    fn numbers_go_on_as_the_source_does_and_by_one_at_a_switch(steps in prop::collection::vec(step(), 1..200)) {
        let mut map = PictureIdMap::default();
        let (mut width, mut value, mut tl0) = (PictureIdWidth::Bits15, 32_700u16, 250u8);
        let (mut sent, mut sent_tl0) = (u64::from(value), u64::from(tl0));
        prop_assert_eq!(map.map(vp8(value, width, tl0), true), patched(value, tl0));
        for step in steps {
            match step {
                Step::Switch { start, tl0: new, narrow } => {
                    width = if narrow { PictureIdWidth::Bits7 } else { PictureIdWidth::Bits15 };
                    (value, tl0) = (start, new);
                    sent += 1;
                    sent_tl0 += 1;
                    let expected = patched((sent & 0x7fff) as u16, (sent_tl0 & 0xff) as u8);
                    prop_assert_eq!(map.map(vp8(value, width, tl0), true), expected);
                }
                Step::Picture { ahead, base, skip, back } => {
                    value = value.wrapping_add(ahead);
                    sent += u64::from(ahead) - u64::from(skip);
                    if base && !skip {
                        tl0 = tl0.wrapping_add(1);
                        sent_tl0 += 1;
                    }
                    let ids = vp8(value, width, tl0);
                    if skip {
                        map.skip(ids);
                        continue;
                    }
                    let expected = patched((sent & 0x7fff) as u16, (sent_tl0 & 0xff) as u8);
                    prop_assert_eq!(map.map(ids, false), expected);
                    prop_assert_eq!(map.map(ids, false), expected);
                    let before = map.look_up(vp8(value.wrapping_sub(back), width, tl0));
                    if let MappedIds::Patch { picture_id, .. } = before {
                        let newest = (sent & 0x7fff) as u16;
 let behind = newest.wrapping_sub(picture_id) & 0x7fff;
                        prop_assert!(behind <= back, "{} back became {}", back, behind);
                    }
                }
            }
        }
    }

    #[test]
    fn any_numbers_are_taken(packets in prop::collection::vec((any::<u16>(), any::<bool>(), any::<u8>(), 0..4u8), 0..300)) {
        let mut map = PictureIdMap::default();
        for (value, narrow, tl0, deed) in packets {
            let width = if narrow { PictureIdWidth::Bits7 } else { PictureIdWidth::Bits15 };
            let ids = vp8(value, width, tl0);
            match deed {
                0 => map.skip(ids),
                1 => drop(map.map(ids, true)),
                _ => {
                    let mapped = map.map(ids, false);
                    prop_assert_eq!(map.look_up(ids), mapped);
                }
            }
        }
    }
}
