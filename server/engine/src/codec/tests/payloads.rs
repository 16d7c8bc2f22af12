//! Payloads of every video codec: some by hand, some as GStreamer 1.26, x264, libaom and SVT-AV1 write them.

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("hex"))
        .collect()
}

fn read(codec: Codec, text: &str) -> Peek {
    peek(codec, &hex(text), false).expect("well-formed")
}

#[test]
fn a_vp8_keyframe_tells_its_size() {
    // rtpvp8pay: X S; I; M=1 id 0x68a9; P=0, start code 9d012a, 176 and 144 little-endian.
    let first = read(Codec::Vp8, "90 80 e8a9 700700 9d012a b000 9000 0047");
    assert!(first.starts_frame && first.keyframe && !first.ends_frame);
    assert_eq!(first.resolution, Some((176, 144)));
    let ids = PictureIds::Vp8 {
        picture_id: wide(0x68a9),
        tl0: None,
        key_index: None,
    };
    assert_eq!(first.ids, ids);
    // The next picture: P=1.
    let next = peek(Codec::Vp8, &hex("90 80 e8aa 310200"), true).expect("well-formed");
    assert!(next.starts_frame && next.ends_frame && !next.keyframe);
}

#[test]
fn a_keyframe_starts_in_its_first_partitions_first_packet_only() {
    assert!(read(Codec::Vp8, "10 00").keyframe);
    assert!(
        !read(Codec::Vp8, "00 00").keyframe,
        "S=0: within the partition"
    );
    assert!(
        !read(Codec::Vp8, "11 00").keyframe,
        "PID=1: a later partition"
    );
    assert!(!read(Codec::Vp8, "10 01").keyframe, "P=1: predicted");
}

#[test]
fn a_vp8_descriptor_tells_its_layer() {
    // X N S; I L T K; M=0 id 5; TL0PICIDX 9; TID=2 Y=1 KEYIDX=3.
    let peek = read(Codec::Vp8, "b0 f0 05 09 a3 01");
    assert_eq!(peek.temporal, 2);
    assert!(peek.discardable && peek.switch_up);
    let picture_id = Some(PictureId {
        value: 5,
        width: PictureIdWidth::Bits7,
    });
    assert_eq!(
        peek.ids,
        PictureIds::Vp8 {
            picture_id,
            tl0: Some(9),
            key_index: Some(3)
        }
    );
    // K without T: the same byte, but its TID means nothing.
    let peek = read(Codec::Vp8, "90 10 a3 01");
    assert_eq!((peek.temporal, peek.switch_up), (0, false));
}

#[test]
fn a_vp8_payload_of_a_descriptor_alone_is_none() {
    for cut in [
        "",
        "90",
        "90 80",
        "90 80 e8",
        "90 80 e8a9",
        "90 f0 05 09 a3",
    ] {
        assert_eq!(peek(Codec::Vp8, &hex(cut), true), None, "{cut}");
    }
}

#[test]
fn a_vp9_keyframe_tells_its_size() {
    // rtpvp9pay: I B E V; M=1 id 0x0817; N_S=0 Y=1 G=1, 176x144, one picture in the group.
    let first = read(Codec::Vp9, "8e 8817 18 00b00090 010401 b124c1a148");
    assert!(first.starts_frame && first.ends_frame && first.keyframe);
    assert_eq!(first.resolution, Some((176, 144)));
    assert_eq!(
        first.ids,
        PictureIds::Vp9 {
            picture_id: wide(0x0817),
            tl0: None
        }
    );
    // The next picture has P.
    assert!(!read(Codec::Vp9, "cc 8818 b3002049").keyframe);
}

#[test]
fn a_vp9_keyframe_begins_in_its_lowest_layer() {
    // I L B, non-flexible; M=0 id 1; TID=0 U=0 SID=1 D=1; TL0PICIDX 4.
    let upper = read(Codec::Vp9, "a8 01 03 04 00");
    assert!(upper.starts_frame && !upper.keyframe);
    assert_eq!((upper.spatial, upper.temporal), (1, 0));
    // The same with SID=0: V brings three layers, the largest last.
    let lower = read(Codec::Vp9, "aa 01 00 04 50 00a0005a 014000b4 02800168 00");
    assert!(lower.keyframe);
    assert_eq!(lower.resolution, Some((640, 360)));
}

#[test]
fn flexible_vp9_has_references_in_place_of_tl0() {
    // I P L F B E; M=1 id 0x1234; TID=2 U=1 SID=1 D=0; P_DIFF 1 and more, P_DIFF 2.
    let peek = read(Codec::Vp9, "fc 9234 52 03 04 00");
    assert_eq!((peek.temporal, peek.spatial, peek.switch_up), (2, 1, true));
    assert_eq!(
        peek.ids,
        PictureIds::Vp9 {
            picture_id: wide(0x1234),
            tl0: None
        }
    );
    assert_eq!(
        super::peek(Codec::Vp9, &hex("fc 9234 52 03"), false),
        None,
        "cut in the references"
    );
}

#[test]
fn an_h264_parameter_set_starts_a_keyframe_and_tells_its_size() {
    // rtph264pay: STAP-A of access unit delimiter, parameter set (4:4:4, two escapes), picture parameters.
    let first = read(
        Codec::H264,
        "78 0002 0910 001d 67f4000d90d9640b13b016a0c0c0c8000003000800000300a478a15240 0006 68ebcc448440",
    );
    assert!(first.starts_frame && first.keyframe && !first.discardable);
    assert_eq!(first.resolution, Some((176, 144)));
}

#[test]
fn cropping_and_fields_count_in_the_size() {
    let sizes = [
        // x264 baseline and high at 360 lines (368 less the crop), high at 720, interlaced at 576.
        (
            "6742c016d900a02ff97011000003000100000300140f162e48",
            (640, 360),
        ),
        (
            "67640016acd940a02ff97011000003000100000300140f162d96",
            (640, 360),
        ),
        (
            "6764001facd9405005bb011000000300100000030140f1831960",
            (1280, 720),
        ),
        (
            "6764001eacd940b424d8088000000300800000190f8a14cb",
            (720, 576),
        ),
        // Interlaced at 1080, where the crop counts twice.
        (
            "67640028acd94078044fde0220000003002000000643e2c5b2c0",
            (1920, 1080),
        ),
        // The first one with level 0 and an escape behind it.
        ("6742000003d900a02ff970110000030001", (640, 360)),
    ];
    for (set, size) in sizes {
        assert_eq!(read(Codec::H264, set).resolution, Some(size));
    }
    assert_eq!(
        read(Codec::H264, "6742c016d9").resolution,
        None,
        "cut short"
    );
}

#[test]
fn an_h264_keyframe_starts_at_its_first_slice() {
    assert!(
        read(Codec::H264, "65 88 84").keyframe,
        "first_mb_in_slice 0"
    );
    assert!(
        !read(Codec::H264, "65 48 84").keyframe,
        "first_mb_in_slice 1"
    );
    let start = read(Codec::H264, "7c 85 88 84");
    assert!(start.keyframe && start.starts_frame, "FU-A with S");
    let middle = read(Codec::H264, "7c 05 88 84");
    assert!(!middle.keyframe && !middle.starts_frame, "FU-A without S");
    let slice = read(Codec::H264, "41 9a 3b");
    assert!(slice.starts_frame && !slice.keyframe && !slice.discardable);
    assert!(read(Codec::H264, "01 9a 3b").discardable, "NRI 0");
    for not_used in ["", "7c", "19 00", "5d 00", "1f"] {
        assert_eq!(peek(Codec::H264, &hex(not_used), false), None, "{not_used}");
    }
}

#[test]
fn a_new_av1_sequence_starts_a_keyframe_and_tells_its_size() {
    // W=2 N=1; a sequence header of libaom with its length in front, then a frame to the end.
    let first = read(Codec::Av1, "28 0c 080000 0003bd7c79b5f20080 30 10 00 85");
    assert!(first.starts_frame && first.keyframe && !first.continuation);
    assert_eq!(first.resolution, Some((176, 144)));
    // SVT-AV1's, alone in its packet (W=1, no length) and with a size field inside.
    let first = read(Codec::Av1, "18 0a0b 0000000cc4ff673efe4010");
    assert_eq!(first.resolution, Some((640, 360)));
}

#[test]
fn an_av1_header_tells_its_layer() {
    // W=1; a frame with an extension: temporal 2, spatial 1.
    let peek = read(Codec::Av1, "10 34 48 00");
    assert_eq!((peek.temporal, peek.spatial), (2, 1));
    assert!(peek.starts_frame && !peek.keyframe && !peek.continuation);
    // Z=1 W=2: the end of one element (length 2), then a tile group of temporal layer 1.
    let peek = read(Codec::Av1, "a0 02 ffff 24 20 00");
    assert_eq!(
        (peek.temporal, peek.starts_frame, peek.continuation),
        (1, false, false)
    );
}

#[test]
fn the_middle_of_an_av1_frame_has_no_layer_of_its_own() {
    // Z=1 W=1: N cannot be meant, the packet continues an element.
    let peek = read(Codec::Av1, "98 34 48 00");
    assert!(peek.continuation && !peek.keyframe && !peek.starts_frame);
    assert_eq!(super::peek(Codec::Av1, &[0x10], false), None);
}
