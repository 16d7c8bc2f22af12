use proptest::prelude::*;

use super::extension::elements;
use super::*;

const ALL_IDS: [(u8, ExtensionKind); 10] = [
    (1, ExtensionKind::AudioLevel),
    (2, ExtensionKind::AbsSendTime),
    (3, ExtensionKind::TransportSequence),
    (4, ExtensionKind::Mid),
    (5, ExtensionKind::PlayoutDelay),
    (6, ExtensionKind::DependencyDescriptor),
    (7, ExtensionKind::VideoOrientation),
    (10, ExtensionKind::Rid),
    (11, ExtensionKind::RepairedRid),
    (14, ExtensionKind::VideoLayersAllocation),
];

fn map() -> ExtensionMap {
    ALL_IDS.into_iter().collect()
}

fn writer() -> HeaderWriter {
    HeaderWriter {
        payload_type: PayloadType::new(96).unwrap(),
        marker: true,
        seq: 0x1234,
        timestamp: 0xdead_beef,
        ssrc: Ssrc(7),
        csrc: None,
        has_padding: false,
    }
}

/// A packet with an extension block of this profile.
fn packet_with(profile: u16, block: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    packet.extend_from_slice(&profile.to_be_bytes());
    packet.extend_from_slice(&u16::try_from(block.len() / 4).unwrap().to_be_bytes());
    packet.extend_from_slice(block);
    packet.extend_from_slice(b"payload");
    packet
}

fn read<'a>(map: &ExtensionMap, packet: &'a [u8]) -> Extensions<'a> {
    Extensions::parse(map, packet, &Header::parse(packet).unwrap())
}

#[test]
fn datagrams_are_sorted_by_their_first_byte() {
    for (range, expected) in [
        (0..=3, Class::Stun),
        (4..=19, Class::Unknown),
        (20..=63, Class::Dtls),
        (64..=79, Class::TurnChannel),
        (80..=127, Class::Unknown),
        (128..=191, Class::Rtp),
        (192..=255, Class::Unknown),
    ] {
        for first in range {
            assert_eq!(class(first), expected, "first byte {first}");
        }
    }
}

#[test]
fn rtcp_is_told_from_rtp_by_its_packet_type() {
    assert!(is_rtcp(&[0x80, 200, 0, 1]));
    assert!(is_rtcp(&[0x8f, 223]));
    assert!(!is_rtcp(&[0x80, 0x80 | 96, 0, 1]));
    assert!(!is_rtcp(&[0x80, 191]));
    assert!(!is_rtcp(&[0x80]));
    assert!(!is_rtcp(&[0x40, 200]));
}

#[test]
fn a_header_with_sources_and_extension_is_read_whole() {
    let mut packet = vec![0xb2, 0x80 | 111, 0xff, 0xfe, 1, 2, 3, 4, 5, 6, 7, 8];
    packet.extend_from_slice(&[0, 0, 0, 9, 0, 0, 0, 10]);
    packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0x85, 0, 0]);
    packet.extend_from_slice(&[1, 2, 3, 0, 2]);
    let header = Header::parse(&packet).unwrap();
    assert!(header.marker && header.has_padding);
    assert_eq!(header.payload_type.as_u8(), 111);
    assert_eq!(
        (header.seq, header.timestamp, header.ssrc),
        (0xfffe, 0x0102_0304, Ssrc(0x0506_0708))
    );
    assert_eq!(
        header.csrcs(&packet).collect::<Vec<_>>(),
        [Ssrc(9), Ssrc(10)]
    );
    assert_eq!(header.header_len, 28);
    assert_eq!(
        header.extension,
        Some(ExtensionBlock {
            profile: 0xbede,
            start: 24,
            len: 4
        })
    );
    assert_eq!(header.payload(&packet), Some(&[1, 2, 3][..]));
    assert_eq!(
        read(&map(), &packet).audio_level,
        Some(AudioLevel {
            voice: true,
            level: 5
        })
    );
}

#[test]
fn a_header_that_does_not_fit_or_is_of_another_version_is_refused() {
    let packet = packet_with(0xbede, &[0x10, 0x85, 0, 0]);
    for len in 0..20 {
        assert_eq!(Header::parse(&packet[..len]), None, "cut to {len} bytes");
    }
    assert!(Header::parse(&packet[..20]).is_some());
    for first in [0x10, 0x50, 0xd0] {
        let mut other = packet.clone();
        other[0] = first;
        assert_eq!(Header::parse(&other), None);
    }
    let mut many_sources = packet;
    many_sources[0] = 0x8f;
    assert_eq!(Header::parse(&many_sources), None);
}

#[test]
fn invalid_padding_is_refused() {
    let padded = Header::parse(&[0xa0, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    assert_eq!(padding_len(&padded, &[9, 9, 2]), Some(2));
    assert_eq!(padding_len(&padded, &[0, 0, 3]), Some(3));
    assert_eq!(padding_len(&padded, &[0, 0, 4]), None);
    assert_eq!(padding_len(&padded, &[1, 1, 0]), None);
    assert_eq!(padding_len(&padded, &[]), None);
    let plain = Header {
        has_padding: false,
        ..padded
    };
    assert_eq!(padding_len(&plain, &[9, 9, 200]), Some(0));
    assert_eq!(padding_len(&plain, &[]), Some(0));
}

#[test]
fn numbers_are_widened_across_the_wrap_in_both_directions() {
    let start = seq::first(2);
    assert_eq!(start, 65_538);
    assert_eq!(
        seq::extend(start, 0xffff),
        65_535,
        "sent before the first to arrive"
    );
    assert_eq!(seq::extend(65_535 + 65_536, 0), 131_072);
    assert_eq!(seq::extend(131_072, 0xfff0), 131_056);
    assert_eq!(
        seq::extend(0, 0xffff),
        0xffff,
        "nothing lies before the first cycle"
    );
    assert_eq!(seq::extend_timestamp(1 << 32, u32::MAX), (1 << 32) - 1);
    assert_eq!(seq::diff(1, 0xffff), 2);
    assert_eq!((ts_diff(5, u32::MAX), ts_diff(u32::MAX, 5)), (6, -6));
}

#[test]
fn identifiers_are_short_words_of_allowed_bytes() {
    let mid = Mid::try_from("audio.0").unwrap();
    assert_eq!(
        (mid.as_str(), mid.to_string().as_str()),
        ("audio.0", "audio.0")
    );
    assert_eq!(format!("{mid:?} [{mid:>9}]"), "Mid(audio.0) [  audio.0]");
    assert_eq!(Rid::try_from(&b"q_1-a"[..]).unwrap().as_str(), "q_1-a");
    assert!(Rid::try_from("a").unwrap() < Rid::try_from("aa").unwrap());
    assert_eq!(Mid::try_from(""), Err(LabelError::Length(0)));
    assert!(Mid::try_from("0123456789abcdef").is_ok());
    assert_eq!(
        Mid::try_from("0123456789abcdefg"),
        Err(LabelError::Length(17))
    );
    assert_eq!(
        Mid::try_from(&[b'x'; 4000][..]),
        Err(LabelError::Length(4000))
    );
    assert_eq!(Mid::try_from("a b"), Err(LabelError::Byte(b' ')));
    assert_eq!(Mid::try_from(&[b'a', 0][..]), Err(LabelError::Byte(0)));
    assert_eq!(Rid::try_from("a.b"), Err(LabelError::Byte(b'.')));
}

#[test]
fn every_extension_is_found_by_its_uri() {
    for kind in ExtensionKind::ALL {
        assert_eq!(ExtensionKind::from_uri(kind.uri()), Some(kind));
    }
    assert_eq!(
        ExtensionKind::from_uri("urn:ietf:params:rtp-hdrext:toffset"),
        None
    );
}

#[test]
fn mapping_a_number_or_a_kind_again_replaces_the_older_mapping() {
    let mut map = ExtensionMap::default();
    assert!(!map.insert(0, ExtensionKind::Mid));
    assert!(map.insert(3, ExtensionKind::Mid));
    assert!(map.insert(3, ExtensionKind::Rid));
    assert_eq!(
        (map.id(ExtensionKind::Mid), map.kind(3)),
        (None, Some(ExtensionKind::Rid))
    );
    assert!(map.insert(200, ExtensionKind::Rid));
    assert_eq!(
        (map.kind(3), map.kind(200)),
        (None, Some(ExtensionKind::Rid))
    );
    assert!(map.insert(15, ExtensionKind::Rid));
    assert_eq!(
        (map.kind(200), map.kind(15), map.kind(0)),
        (None, Some(ExtensionKind::Rid), None)
    );
    assert_eq!(map.iter().collect::<Vec<_>>(), [(15, ExtensionKind::Rid)]);
}

#[test]
fn one_byte_elements_may_have_padding_between_them() {
    // The shape of the figure in RFC 8285 section 4.2: 1 byte, 2 bytes, two bytes of padding, 4 bytes.
    let block = [0x10, 0xaa, 0x21, 0xbb, 0xbc, 0, 0, 0x33, 1, 2, 3, 4];
    let found: Vec<_> = elements(0xbede, &block).collect();
    assert_eq!(
        found,
        [(1, &[0xaa][..]), (2, &[0xbb, 0xbc]), (3, &[1, 2, 3, 4])]
    );
}

#[test]
fn two_byte_elements_may_be_empty_and_have_high_numbers() {
    // The shape of the figure in RFC 8285 section 4.3: no data, 1 byte, padding, 4 bytes.
    let block = [1, 0, 2, 1, 0xbb, 0, 200, 4, 1, 2, 3, 4];
    let expected = [(1, &[][..]), (2, &[0xbb]), (200, &[1, 2, 3, 4])];
    assert_eq!(elements(0x1000, &block).collect::<Vec<_>>(), expected);
    assert_eq!(elements(0x100f, &block).collect::<Vec<_>>(), expected);
    assert_eq!(elements(0x1010, &block).count(), 0);
}

#[test]
fn a_malformed_element_ends_the_walk_and_keeps_what_came_before() {
    for bad in [[0xf0, 0x20, 1, 0], [0x01, 0x20, 1, 0], [0x2f, 1, 2, 3]] {
        let packet = packet_with(0xbede, &[&[0x10, 0x05, 0, 0][..], &bad].concat());
        let found = read(&map(), &packet);
        assert_eq!(
            found.audio_level,
            Some(AudioLevel {
                voice: false,
                level: 5
            })
        );
        assert_eq!(
            Extensions {
                audio_level: None,
                ..found
            },
            Extensions::default()
        );
    }
    assert_eq!(elements(0x1000, &[2, 3, 1, 2]).count(), 0);
    assert_eq!(elements(0x1000, &[2]).count(), 0);
}

#[test]
fn an_element_too_short_for_its_kind_is_left_out() {
    let packet = packet_with(0xbede, &[0x21, 1, 2, 0x30, 1, 0x51, 1, 2]);
    assert_eq!(read(&map(), &packet), Extensions::default());
}

#[test]
fn small_extensions_take_the_one_byte_form() {
    let out = OutExtensions {
        transport_sequence: Some(0x0102),
        audio_level: Some(AudioLevel {
            voice: true,
            level: 30,
        }),
        ..OutExtensions::default()
    };
    let mut buffer = [0xee; 64];
    let header = HeaderWriter {
        csrc: Some(Ssrc(42)),
        has_padding: true,
        ..writer()
    };
    assert_eq!(header.write(&out, &map(), &mut buffer), Some(28));
    let expected = [
        0xb1, 0xe0, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 7, 0, 0, 0,
        42, // fixed header and one source
        0xbe, 0xde, 0, 2, 0x31, 1, 2, 0x10, 0x9e, 0, 0, 0,
    ];
    assert_eq!(buffer[..28], expected);
    assert_eq!(buffer[28..], [0xee; 36]);
}

#[test]
fn the_two_byte_form_is_taken_only_when_something_needs_it() {
    let profile = |out: &OutExtensions<'_>, map: &ExtensionMap| {
        let mut buffer = [0; 400];
        let len = writer().write(out, map, &mut buffer).unwrap();
        Header::parse(&buffer[..len])
            .unwrap()
            .extension
            .map(|block| block.profile)
    };
    let with_descriptor = |bytes| OutExtensions {
        dependency_descriptor: Some(bytes),
        ..OutExtensions::default()
    };
    assert_eq!(profile(&with_descriptor(&[1; 16]), &map()), Some(0xbede));
    assert_eq!(profile(&with_descriptor(&[1; 17]), &map()), Some(0x1000));
    assert_eq!(profile(&with_descriptor(&[1; 255]), &map()), Some(0x1000));
    assert_eq!(profile(&with_descriptor(&[1; 256]), &map()), None);
    assert_eq!(profile(&with_descriptor(&[]), &map()), None);
    let mut high = map();
    high.insert(15, ExtensionKind::TransportSequence);
    assert_eq!(
        profile(&with_descriptor(&[1; 16]), &high),
        Some(0xbede),
        "the high number is not in this packet"
    );
    let out = OutExtensions {
        transport_sequence: Some(1),
        ..OutExtensions::default()
    };
    assert_eq!(profile(&out, &high), Some(0x1000));
}

#[test]
fn what_the_receiver_did_not_negotiate_is_left_out() {
    let out = OutExtensions {
        transport_sequence: Some(1),
        video_orientation: Some(2),
        ..OutExtensions::default()
    };
    let mut buffer = [0; 12];
    assert_eq!(
        writer().write(&out, &ExtensionMap::default(), &mut buffer),
        Some(12)
    );
    assert_eq!(buffer[0], 0x80);
}

#[test]
fn a_retransmission_carries_its_original_number() {
    let mut payload = [0, 0, 7, 8];
    assert_eq!(rtx::write_original(0xabcd, &mut payload), Some(2));
    assert_eq!(rtx::split(&payload), Some((0xabcd, &[7, 8][..])));
    assert_eq!(rtx::split(&[1]), None);
    assert_eq!(rtx::write_original(1, &mut [0]), None);
}

fn any_map() -> impl Strategy<Value = ExtensionMap> {
    let pairs = prop_oneof![
        proptest::collection::vec((1..=14_u8, 0..ExtensionKind::ALL.len()), 0..12),
        proptest::collection::vec((any::<u8>(), 0..ExtensionKind::ALL.len()), 0..12),
    ];
    pairs.prop_map(|pairs| {
        pairs
            .into_iter()
            .map(|(id, kind)| (id, ExtensionKind::ALL[kind]))
            .collect()
    })
}

prop_compose! {
    fn any_writer()(
        (payload_type, marker, has_padding) in (0..=127_u8, any::<bool>(), any::<bool>()),
        (seq, timestamp, ssrc) in any::<(u16, u32, u32)>(),
        csrc in any::<Option<u32>>(),
    ) -> HeaderWriter {
        let payload_type = PayloadType::new(payload_type).unwrap();
        HeaderWriter { payload_type, marker, seq, timestamp, ssrc: Ssrc(ssrc), csrc: csrc.map(Ssrc), has_padding }
    }
}

proptest! {
    #[test]
    fn a_written_header_reads_back_the_same(
        header in any_writer(),
        map in any_map(),
        (transport_sequence, level) in any::<(Option<u16>, Option<(bool, u8)>)>(),
        (video_orientation, playout_delay) in any::<(Option<u8>, Option<[u8; 3]>)>(),
        origin in any::<Option<(u32, u16, u32)>>(),
        abs_send_time in proptest::option::of(0..1_u32 << 24),
        descriptor in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..=255)),
        mid in proptest::option::of("[a-z0-9]{1,16}"),
        payload in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mid = mid.map(|mid| Mid::try_from(mid.as_str()).unwrap());
        let audio_level = level.map(|(voice, level)| AudioLevel { voice, level: level & 0x7f });
        let dependency_descriptor = descriptor.as_deref();
        let origin = origin.map(|(ssrc, seq, timestamp)| Origin { ssrc: Ssrc(ssrc), seq, timestamp });
        let out = OutExtensions {
            transport_sequence, audio_level, abs_send_time, dependency_descriptor, video_orientation, playout_delay, origin,
            mid,
        };
        let mut buffer = [0xee; 400];
        let len = header.write(&out, &map, &mut buffer).unwrap();
        prop_assert!(buffer[len..].iter().all(|byte| *byte == 0xee), "wrote beyond the header");
        buffer[len..len + payload.len()].copy_from_slice(&payload);
        let packet = &buffer[..len + payload.len()];

        let parsed = Header::parse(packet).unwrap();
        prop_assert_eq!(parsed.header_len, len);
        prop_assert_eq!((parsed.payload_type, parsed.marker), (header.payload_type, header.marker));
        prop_assert_eq!((parsed.seq, parsed.timestamp), (header.seq, header.timestamp));
        prop_assert_eq!((parsed.ssrc, parsed.has_padding), (header.ssrc, header.has_padding));
        prop_assert_eq!(parsed.csrcs(packet).collect::<Vec<_>>(), Vec::from_iter(header.csrc));

        let is_mapped = |kind| map.id(kind).is_some();
        let expected = Extensions {
            mid: out.mid.as_ref().map(Mid::as_bytes).filter(|_| is_mapped(ExtensionKind::Mid)),
            audio_level: audio_level.filter(|_| is_mapped(ExtensionKind::AudioLevel)),
            transport_sequence: transport_sequence.filter(|_| is_mapped(ExtensionKind::TransportSequence)),
            abs_send_time: abs_send_time.filter(|_| is_mapped(ExtensionKind::AbsSendTime)),
            dependency_descriptor:
                dependency_descriptor.filter(|_| is_mapped(ExtensionKind::DependencyDescriptor)),
            origin: origin.filter(|_| is_mapped(ExtensionKind::Origin)),
            video_orientation: video_orientation.filter(|_| is_mapped(ExtensionKind::VideoOrientation)),
            playout_delay: playout_delay.filter(|_| is_mapped(ExtensionKind::PlayoutDelay)),
            ..Extensions::default()
        };
        prop_assert_eq!(Extensions::parse(&map, packet, &parsed), expected);
        for short in 0..len {
            prop_assert_eq!(header.write(&out, &map, &mut [0; 400][..short]), None);
        }
    }

    #[test]
    fn arbitrary_bytes_are_read_without_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        form in 0..4_u8,
        map in any_map(),
    ) {
        // Steer towards packets that get as far as their extensions.
        if let (1.., Some(head)) = (form, bytes.first_chunk_mut::<16>()) {
            head[0] = 0x90;
            let profile = if form == 1 { 0xbede_u16 } else { 0x1000 };
            [head[12], head[13]] = profile.to_be_bytes();
            (head[14], head[15]) = (0, head[15] % 40);
        }
        if let Some(header) = Header::parse(&bytes) {
            prop_assert!(header.header_len <= bytes.len());
            prop_assert!(header.payload(&bytes).is_none_or(|payload| payload.len() + header.header_len <= bytes.len()));
            prop_assert_eq!(header.csrcs(&bytes).count(), usize::from(header.csrc_count));
            let block = header.extension.map_or(0, |block| block.len);
            let found = header.extension.map_or(0, |block| elements(block.profile, &bytes[block.range()]).count());
            prop_assert!(found <= block);
            Extensions::parse(&map, &bytes, &header);
        }
        rtx::split(&bytes);
        is_rtcp(&bytes);
        let _ = Mid::try_from(&bytes[..]);
    }

    #[test]
    fn widened_numbers_keep_their_low_bits_and_stay_near(highest in any::<u64>(), wire in any::<u16>(), ts in any::<u32>()) {
        let extended = seq::extend(highest, wire);
        prop_assert_eq!(extended & 0xffff, u64::from(wire));
        prop_assert!(extended.abs_diff(highest) <= 0x8000 || !(0x8000..=u64::MAX - 0x8000).contains(&highest));
        prop_assert_eq!(seq::extend_timestamp(highest, ts) & 0xffff_ffff, u64::from(ts));
    }

    #[test]
    fn a_reordered_stream_is_numbered_as_it_was_sent(start in any::<u16>(), swaps in proptest::collection::vec(0..500_usize, 200)) {
        let mut sent: Vec<u64> = (0..140_000_u64).step_by(7).map(|n| seq::first(start) + n).collect();
        for (position, distance) in (1..).map(|n| n * 90).zip(swaps) {
            let other = (position + distance).min(sent.len() - 1);
            sent.swap(position, other);
        }
        let mut highest = seq::first(start);
        for number in sent {
            let [.., high, low] = number.to_be_bytes();
            let extended = seq::extend(highest, u16::from_be_bytes([high, low]));
            prop_assert_eq!(extended, number);
            highest = highest.max(extended);
        }
    }
}
