use proptest::prelude::*;

use super::*;

mod payloads;

fn wide(value: u16) -> Option<PictureId> {
    Some(PictureId {
        value,
        width: PictureIdWidth::Bits15,
    })
}

#[test]
fn names_are_those_of_sdp_in_any_case() {
    for codec in Codec::ALL {
        assert_eq!(Codec::from_name(&codec.name().to_lowercase()), Some(codec));
        assert_eq!(Codec::from_name(&codec.name().to_uppercase()), Some(codec));
    }
    assert_eq!(Codec::from_name("rtx"), None);
    assert_eq!(Codec::Red.clock_rate(), 48_000);
    assert_eq!(Codec::Av1.clock_rate(), 90_000);
    assert_eq!(Codec::Opus.kind(), MediaKind::Audio);
}

#[test]
fn two_bytes_of_opus_are_silence() {
    let says = |payload| peek(Codec::Opus, payload, false).map(|peek| peek.silence);
    assert_eq!(says(&[0xf8]), Some(true));
    assert_eq!(says(&[0xf8, 0xff]), Some(true));
    assert_eq!(says(&[0xf8, 0xff, 0xfe]), Some(false));
    assert_eq!(says(&[]), None);
}

#[test]
fn the_primary_block_of_red_is_the_last() {
    // F=1 PT=111, offset 960 (14 bits), length 2 (10 bits); F=0 PT=111; the old block aa bb, then the new one.
    let packet = [0xef, 0x0f, 0x00, 0x02, 0x6f, 0xaa, 0xbb, 1, 2, 3];
    let primary = red::primary(&packet).expect("well-formed");
    assert_eq!((primary.payload_type, primary.offset), (111, 7));
    assert_eq!(
        peek(Codec::Red, &packet, false).map(|peek| peek.silence),
        Some(false)
    );
    assert_eq!(
        peek(Codec::Red, &packet[..8], false).map(|peek| peek.silence),
        Some(true)
    );
    assert_eq!(peek(Codec::Red, &packet[..7], false), None);
    assert_eq!(red::primary(&packet[..6]), None);
    assert_eq!(red::primary(&packet[..4]), None);
}

#[test]
fn patching_keeps_the_width_and_touches_the_announced_bytes_only() {
    // X; I, L, T; M=1 picture id 0x1234, TL0PICIDX 7, TID 1.
    let mut payload = [0x90, 0xe0, 0x92, 0x34, 0x07, 0x40, 0x01];
    assert_eq!(descriptor_len(Codec::Vp8, &payload), 5);
    patch(Codec::Vp8, &mut payload[..5], 0x7abc, 9);
    assert_eq!(payload, [0x90, 0xe0, 0xfa, 0xbc, 0x09, 0x40, 0x01]);

    // The same with M=0: only the low 7 bits fit.
    let mut payload = [0x90, 0xe0, 0x12, 0x07, 0x40, 0x01];
    assert_eq!(descriptor_len(Codec::Vp8, &payload), 4);
    patch(Codec::Vp8, &mut payload, 0x7abc, 9);
    assert_eq!(payload, [0x90, 0xe0, 0x3c, 0x09, 0x40, 0x01]);

    // K beside T: the receiver is told that there is no KEYIDX, the byte stays for TID.
    let mut payload = [0x90, 0xf0, 0x92, 0x34, 0x07, 0x43, 0x01];
    patch(Codec::Vp8, &mut payload[..5], 0x7abc, 9);
    assert_eq!(payload, [0x90, 0xe0, 0xfa, 0xbc, 0x09, 0x43, 0x01]);

    // VP9: I, L, B; M=1 picture id, TID..D, TL0PICIDX.
    let mut payload = [0xa8, 0x92, 0x34, 0x20, 0x07, 0x55];
    assert_eq!(descriptor_len(Codec::Vp9, &payload), 5);
    patch(Codec::Vp9, &mut payload[..5], 0x7abc, 9);
    assert_eq!(payload, [0xa8, 0xfa, 0xbc, 0x20, 0x09, 0x55]);
}

#[test]
fn a_payload_without_numbers_has_nothing_to_patch() {
    for (codec, payload) in [
        (Codec::Vp8, [0x10u8, 0x00, 0x00, 0x00]),
        (Codec::Vp8, [0x90, 0x20, 0x40, 0x01]),
        (Codec::H264, [0x65, 0x88, 0x84, 0x02]),
        (Codec::Av1, [0x18, 0x0a, 0x0b, 0x00]),
    ] {
        assert_eq!(descriptor_len(codec, &payload), 0);
        let mut patched = payload;
        patch(codec, &mut patched, 0x7fff, 0xff);
        assert_eq!(patched, payload);
    }
}

#[test]
fn the_descriptor_wins_over_an_encrypted_payload() {
    let descriptor = FrameDependency {
        switch_to: None,
        starts_frame: true,
        ends_frame: false,
        frame_number: 1,
        spatial: 0,
        temporal: 2,
        keyframe: false,
        indications: Indications::default(),
        active_targets: None,
        resolution: Some((640, 360)),
    };
    // Read as AV1, the bytes would claim a keyframe of the base layer.
    let garbage = [0x08, 0xff, 0xff, 0xff];
    let joined =
        peek_with_descriptor(Codec::Av1, &garbage, true, Some(&descriptor)).expect("well-formed");
    assert!(joined.starts_frame && !joined.ends_frame && !joined.keyframe && !joined.continuation);
    assert_eq!((joined.temporal, joined.resolution), (2, None));

    let key = FrameDependency {
        keyframe: true,
        ..descriptor
    };
    let joined = peek_with_descriptor(Codec::Av1, &[], false, Some(&key)).expect("well-formed");
    assert_eq!(
        (joined.keyframe, joined.resolution),
        (true, Some((640, 360)))
    );
}

#[test]
fn picture_ids_are_taken_from_the_payload_beside_a_descriptor() {
    let mut reader = DependencyReader::default();
    assert_eq!(reader.read(&[0x80, 0, 1]), None, "no structure came yet");
    let payload = [0x90, 0x80, 0x92, 0x34, 0x01];
    let alone = peek_with_descriptor(Codec::Vp8, &payload, true, None);
    assert_eq!(alone, peek(Codec::Vp8, &payload, true));
    let descriptor = FrameDependency {
        switch_to: None,
        starts_frame: false,
        ends_frame: true,
        frame_number: 1,
        spatial: 0,
        temporal: 1,
        keyframe: false,
        indications: Indications::default(),
        active_targets: None,
        resolution: None,
    };
    let joined =
        peek_with_descriptor(Codec::Vp8, &payload, true, Some(&descriptor)).expect("well-formed");
    assert_eq!(joined.temporal, 1);
    assert_eq!(joined.ids, alone.expect("well-formed").ids);
}

fn codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(&Codec::ALL[..])
}

proptest! {
    #[test]
    fn any_payload_is_read_within_bounds(codec in codec(), payload in prop::collection::vec(any::<u8>(), 0..80), marker: bool) {
        if let Some(peek) = peek(codec, &payload, marker) {
            prop_assert!(peek.temporal < 8 && peek.spatial < 8);
            prop_assert!(peek.starts_frame || !peek.keyframe);
            prop_assert!(peek.keyframe || peek.resolution.is_none());
        }
        let len = descriptor_len(codec, &payload);
        prop_assert!(len <= MAX_DESCRIPTOR_LEN && len <= payload.len());
    }

    #[test]
    fn what_is_patched_is_read_back_and_nothing_else_changes(
        vp9: bool, payload in prop::collection::vec(any::<u8>(), 0..40), id in 0..0x8000u16, tl0: u8,
    ) {
        let codec = if vp9 { Codec::Vp9 } else { Codec::Vp8 };
        let (len, before) = (descriptor_len(codec, &payload), peek(codec, &payload, false));
        let mut patched = payload.clone();
        patch(codec, &mut patched[..len], id, tl0);
        prop_assert_eq!(&patched[len..], &payload[len..]);
        let mut whole = payload;
        patch(codec, &mut whole, id, tl0);
        if let Some(before) = before {
            prop_assert_eq!(&whole, &patched, "the head alone is enough");
            let written = |old: PictureId| PictureId { value: id & old.width.mask(), ..old };
            let ids = match before.ids {
                PictureIds::None => PictureIds::None,
                PictureIds::Vp8 { picture_id, tl0: old, key_index } => {
                    let has_tid = len > 0 && patched[1] & 0x20 != 0;
                    let key_index = key_index.filter(|_| !has_tid);
                    PictureIds::Vp8 { picture_id: picture_id.map(written), tl0: old.map(|_| tl0), key_index }
                }
                PictureIds::Vp9 { picture_id, tl0: old } =>
                    PictureIds::Vp9 { picture_id: picture_id.map(written), tl0: old.map(|_| tl0) },
            };
            prop_assert_eq!(peek(codec, &patched, false), Some(Peek { ids, ..before }));
        }
    }
}
