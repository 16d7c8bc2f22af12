//! Annex B of H.264: units divided by start codes. Pictures are told by their slices; the file says no times, so a rate is assumed.

use std::time::Duration;

use bytes::Bytes;

use super::picture::nal_type;
use super::{Clip, Codec, Frame, InvalidMedia, is_keyframe};

/// What stands before every unit.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Reads a whole file as pictures that are `1 / rate` s apart.
///
/// # Errors
/// When there is no unit in it, or it does not begin with a keyframe.
pub fn read(file: &Bytes, rate: u32) -> Result<Clip, InvalidMedia> {
    let mut pictures: Vec<Vec<u8>> = Vec::new();
    let mut picture = Vec::new();
    let mut has_slice = false;
    let mut is_any = false;
    for unit in units(file) {
        is_any = true;
        if has_slice && begins_picture(unit) {
            pictures.push(std::mem::take(&mut picture));
            has_slice = false;
        }
        has_slice |= is_slice(unit);
        picture.extend_from_slice(&START_CODE);
        picture.extend_from_slice(unit);
    }
    if !is_any {
        return Err(InvalidMedia::Signature("Annex-B H.264"));
    }
    if has_slice {
        pictures.push(picture);
    }
    let frame = |(index, data): (u32, Vec<u8>)| Frame {
        at: Duration::from_secs(1) * index / rate.max(1),
        is_key: is_keyframe(Codec::H264, &data),
        data: data.into(),
    };
    Clip::new(
        Codec::H264,
        (0, 0),
        (0..).zip(pictures).map(frame).collect(),
        None,
    )
}

/// The units between start codes of three or four bytes, without the zeros that may follow a unit.
pub fn units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(stream);
    std::iter::from_fn(move || {
        let stream = rest?;
        let end = find_start_code(stream).unwrap_or(stream.len());
        let (unit, next) = stream.split_at_checked(end)?;
        rest = after_start_code(next);
        Some(trim(unit))
    })
    .filter(|unit| !unit.is_empty())
}

fn find_start_code(stream: &[u8]) -> Option<usize> {
    stream.windows(3).position(|window| window == [0, 0, 1])
}

fn after_start_code(stream: &[u8]) -> Option<&[u8]> {
    let at = find_start_code(stream)?;
    stream.get(at + 3..)
}

fn trim(unit: &[u8]) -> &[u8] {
    let length = unit
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    unit.get(..length).unwrap_or_default()
}

fn is_slice(unit: &[u8]) -> bool {
    matches!(nal_type(unit), Some(1..=5))
}

/// Section 7.4.1.2.3: parameter sets, delimiters and messages come before a picture; a slice that begins at macroblock 0
/// (a leading 1 bit) is a picture's first.
fn begins_picture(unit: &[u8]) -> bool {
    match nal_type(unit) {
        Some(6..=9 | 14..=18) => true,
        Some(1..=5) => unit.get(1).is_some_and(|byte| byte & 0x80 != 0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SPS: &[u8] = &[0, 0, 0, 1, 0x67, 1];
    const KEY: &[u8] = &[0, 0, 1, 0x65, 0x88, 7];
    const SECOND_SLICE: &[u8] = &[0, 0, 1, 0x65, 0x48, 7];
    const DELTA: &[u8] = &[0, 0, 0, 1, 0x41, 0x9a, 7, 0];

    #[test]
    fn a_picture_is_its_parameter_sets_and_all_its_slices() {
        let file: Bytes = [SPS, KEY, SECOND_SLICE, DELTA, DELTA].concat().into();
        let clip = read(&file, 25).unwrap();
        let keys: Vec<bool> = clip.frames().iter().map(|frame| frame.is_key).collect();
        assert_eq!(keys, [true, false, false]);
        assert_eq!(units(&clip.frames()[0].data).count(), 3);
        assert_eq!(clip.frames()[2].at, Duration::from_millis(80));
        assert_eq!(clip.length(), Duration::from_millis(120));
    }

    #[test]
    fn a_file_without_start_codes_or_keyframe_is_refused() {
        let read = |bytes: &[u8]| read(&Bytes::copy_from_slice(bytes), 30).unwrap_err();
        assert_eq!(read(b"hello"), InvalidMedia::Signature("Annex-B H.264"));
        assert_eq!(read(DELTA), InvalidMedia::NoKeyframe);
        assert_eq!(read(SPS), InvalidMedia::Empty);
    }

    proptest! {
        #[test]
        fn units_come_back_whatever_the_start_codes(
            parts in proptest::collection::vec((proptest::collection::vec(2_u8.., 1..20), any::<bool>()), 1..10),
        ) {
            let mut stream = Vec::new();
            for (unit, is_long) in &parts {
                stream.extend_from_slice(if *is_long { &[0, 0, 0, 1] } else { &[0, 0, 1] });
                stream.extend_from_slice(unit);
            }
            let expected: Vec<&[u8]> = parts.iter().map(|(unit, _)| unit.as_slice()).collect();
            prop_assert_eq!(units(&stream).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn any_bytes_are_a_clip_or_an_error(bytes in proptest::collection::vec(0_u8..3, 0..100)) {
            let _ = read(&bytes.into(), 30);
        }
    }
}
