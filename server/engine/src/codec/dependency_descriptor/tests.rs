use proptest::prelude::*;

use super::*;

/// Packs a text of binary digits, filled up with zeros (which is how a descriptor ends, `zero_padding`).
fn pack(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(|d| d - b'0')
        .collect();
    digits
        .chunks(8)
        .map(|byte| {
            byte.iter()
                .enumerate()
                .fold(0, |all, (at, bit)| all | bit << (7 - at))
        })
        .collect()
}

/// Two temporal layers, two decode targets, one chain; template ids from 62 on, so that they wrap.
const STRUCTURE: &str = "111110 00001 \
    00 01 11 \
    1010 1010 0001 \
    0 100010 100000 \
    10 0000 0010 0001 \
    1 0000001001111111 0000000101100111";
// Line by line: first id, targets less one | same layer, next temporal layer, end | SS SS -D (switch, none, discardable)
// | no reference, 2 back, 1 back | ns(3): one chain, its distances | 640x360, each less one.

fn keyframe() -> Vec<u8> {
    // S=1 E=0 template 62, number 258; the structure and no other flag.
    pack(&format!("10111110 0000000100000010 10000 {STRUCTURE}"))
}

fn reader() -> DependencyReader {
    let mut reader = DependencyReader::default();
    reader.read(&keyframe()).expect("well-formed");
    reader
}

#[test]
fn a_keyframe_brings_the_structure() {
    let mut reader = DependencyReader::default();
    let first = reader.read(&keyframe()).expect("well-formed");
    assert!(first.starts_frame && !first.ends_frame && first.keyframe);
    assert_eq!(
        (first.frame_number, first.spatial, first.temporal),
        (258, 0, 0)
    );
    assert_eq!(first.resolution, Some((640, 360)));
    assert_eq!(first.active_targets, Some(0b11));
    assert_eq!(first.indications.of(0), Indication::Switch);
    assert_eq!(first.indications.of(1), Indication::Switch);
    assert_eq!(first.indications.of(2), Indication::NotPresent);
    assert!(first.indications.is_switch() && !first.indications.is_discardable());
    assert_eq!(reader.target_count(), 2);
    assert_eq!(reader.target_layer(0), Some((0, 0)));
    assert_eq!(reader.target_layer(1), Some((0, 1)));
    assert_eq!(reader.target_layer(2), None);
}

#[test]
fn the_keyframes_other_packets_do_not_start_it() {
    let mut reader = reader();
    // S=0 E=1, the same template, three bytes only.
    let last = reader.read(&[0b0111_1110, 1, 2]).expect("well-formed");
    assert!(last.ends_frame && !last.keyframe && !last.starts_frame);
}

#[test]
fn three_bytes_name_a_template() {
    let mut reader = reader();
    // Template id 0 is the third: (0 - 62) mod 64.
    let upper = reader.read(&[0b1100_0000, 1, 3]).expect("well-formed");
    assert_eq!((upper.temporal, upper.keyframe), (1, false));
    assert!(upper.indications.is_discardable() && !upper.indications.is_switch());
    assert_eq!(upper.indications.of(0), Indication::NotPresent);
    assert_eq!(upper.indications.of(1), Indication::Discardable);
    assert_eq!(
        reader.read(&[0b1100_0001, 1, 3]),
        None,
        "there is no fourth"
    );
}

#[test]
fn a_frame_may_say_for_itself_what_its_template_does_not() {
    let mut reader = reader();
    // Flags: active targets and custom indications; bitmask 01; required, discardable.
    let frame = reader
        .read(&pack("11111111 0000000100000100 01100 10 1101"))
        .expect("well-formed");
    assert_eq!(frame.active_targets, Some(0b10));
    assert_eq!(frame.indications.of(0), Indication::Required);
    assert_eq!(frame.indications.of(1), Indication::Discardable);
    assert!(!frame.indications.is_switch() && !frame.indications.is_discardable());
}

#[test]
fn a_structure_with_references_is_not_a_keyframe() {
    let mut reader = DependencyReader::default();
    // The structure and custom references: size 1 (4 bits), then the end.
    let text = format!("10111110 0000000100000010 10010 {STRUCTURE} 01 0000 00");
    assert!(!reader.read(&pack(&text)).expect("well-formed").keyframe);
    // Custom references that are none.
    let text = format!("10111111 0000000100000010 10010 {STRUCTURE} 00");
    assert!(reader.read(&pack(&text)).expect("well-formed").keyframe);
}

#[test]
fn a_cut_structure_leaves_the_last_one_in_place() {
    let mut reader = reader();
    let whole = keyframe();
    for len in 4..whole.len() {
        assert_eq!(reader.read(&whole[..len]), None, "{len} bytes");
    }
    assert_eq!(reader.target_count(), 2);
    assert!(reader.read(&[0b1100_0000, 1, 3]).is_some());
}

#[test]
fn more_templates_or_layers_than_there_can_be_are_refused() {
    let head = "10000000 0000000000000001 10000 000000 00000";
    for endless in ["00", "01", "10"] {
        let text = format!("{head} {}", endless.repeat(200));
        assert_eq!(
            DependencyReader::default().read(&pack(&text)),
            None,
            "{endless}"
        );
    }
}

#[test]
fn thirty_two_targets_fit() {
    // One template, 32 targets, all required; no reference, no chain: ns(33) of 0 is five bits; no resolution.
    let text = format!(
        "10000000 0000000000000001 10000 000000 11111 11 {} 0 00000 0",
        "11".repeat(32)
    );
    let frame = DependencyReader::default()
        .read(&pack(&text))
        .expect("well-formed");
    assert_eq!(frame.active_targets, Some(u32::MAX));
    assert_eq!(frame.indications.of(31), Indication::Required);
    assert_eq!(frame.indications.of(255), Indication::NotPresent);
    assert!(frame.keyframe);
}

proptest! {
    #[test]
    fn any_bytes_are_taken(extensions in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 1..8)) {
        let mut reader = reader();
        for extension in extensions {
            if let Some(frame) = reader.read(&extension) {
                prop_assert!(frame.spatial < 8 && frame.temporal < 8);
                prop_assert!(frame.starts_frame || !frame.keyframe);
            }
        }
    }

    #[test]
    fn a_broken_keyframe_is_taken(flips in prop::collection::vec((3..19usize, 0..8u8), 1..6), template in 0..64u8) {
        let mut bytes = keyframe();
        for (at, bit) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        let mut reader = DependencyReader::default();
        reader.read(&bytes);
        for target in 0..32 {
            prop_assert!(reader.target_layer(target).is_none_or(|(spatial, temporal)| spatial < 8 && temporal < 8));
        }
        reader.read(&[template, 0, 0]);
    }
}
