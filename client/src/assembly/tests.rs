//! What was packed comes back, whatever happens to single packets on the way.

use proptest::prelude::*;
use rtc::rtp::codec::{av1::Av1Payloader, h264::H264Payloader};
use rtc::rtp::packetizer::Payloader;

use super::*;

const SLOT: &str = "3";

/// A stream of payloads, as a leg would receive it.
struct Stream {
    codec: Codec,
    seq: u16,
    timestamp: u32,
}

impl Stream {
    fn new(codec: Codec) -> Self {
        Self {
            codec,
            seq: 65_530,
            timestamp: u32::MAX - 5000,
        }
    }

    fn frame(&mut self, payloads: Vec<Bytes>) -> Vec<Piece> {
        let last = payloads.len() - 1;
        let pieces = payloads.into_iter().enumerate().map(|(index, payload)| {
            let seq = self.seq;
            self.seq = seq.wrapping_add(1);
            Piece {
                seq,
                timestamp: self.timestamp,
                marker: index == last,
                codec: self.codec,
                participant: Some(ParticipantId(7)),
                origin: None,
                payload,
            }
        });
        let pieces = pieces.collect();
        self.timestamp = self.timestamp.wrapping_add(3000);
        pieces
    }

    /// Three VP8 packets with a picture id of 15 bits; `data` is the first partition of each.
    fn vp8(&mut self, is_key: bool) -> Vec<Piece> {
        let tag = u8::from(!is_key);
        let payload = |index: u8| {
            let start = if index == 0 { 0x90 } else { 0x80 };
            Bytes::copy_from_slice(&[start, 0x80, 0x80, 1, tag, index, self.seq.to_be_bytes()[1]])
        };
        let payloads = (0..3).map(payload).collect();
        self.frame(payloads)
    }
}

fn assembled(pieces: impl IntoIterator<Item = Piece>, now: Instant) -> Vec<Received> {
    let mut assembler = Assembler::new(SLOT.to_owned());
    pieces
        .into_iter()
        .for_each(|piece| assembler.handle_packet(piece, now));
    std::iter::from_fn(|| assembler.poll_frame()).collect()
}

#[test]
fn a_frame_is_its_packets_in_order_and_says_whose_it_is() {
    let mut stream = Stream::new(Codec::Vp8);
    let (first, second) = (stream.vp8(true), stream.vp8(false));
    let frames = assembled([first, second].concat(), Instant::now());
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0].participant, Some(ParticipantId(7)));
    assert_eq!(frames[0].slot, SLOT);
    assert_eq!(&frames[0].data[..2], [0, 0]);
    assert_eq!(frames[0].data.len(), 9);
    assert_eq!((frames[0].is_key, frames[1].is_key), (true, false));
    assert_eq!(frames[1].timestamp.wrapping_sub(frames[0].timestamp), 3000);
}

#[test]
fn nothing_begins_without_a_keyframe_and_one_is_wanted() {
    let mut stream = Stream::new(Codec::Vp8);
    let mut assembler = Assembler::new(SLOT.to_owned());
    for piece in stream.vp8(false) {
        assembler.handle_packet(piece, Instant::now());
    }
    assert_eq!(assembler.poll_frame(), None);
    assert!(assembler.take_wants_keyframe());
    assert!(!assembler.take_wants_keyframe());
}

#[test]
fn a_lost_packet_costs_its_picture_and_those_up_to_the_next_keyframe() {
    let mut stream = Stream::new(Codec::Vp8);
    let now = Instant::now();
    let mut assembler = Assembler::new(SLOT.to_owned());
    let mut push = |pieces: Vec<Piece>, at: Duration| {
        for piece in pieces {
            assembler.handle_packet(piece, now + at);
        }
        let count = std::iter::from_fn(|| assembler.poll_frame()).count();
        (count, assembler.take_wants_keyframe())
    };
    assert_eq!(push(stream.vp8(true), Duration::ZERO), (1, false));
    let mut holed = stream.vp8(false);
    holed.remove(1);
    assert_eq!(push(holed, Duration::ZERO), (0, false));
    assert_eq!(
        push(stream.vp8(false), Duration::from_millis(100)),
        (0, false)
    );
    assert_eq!(
        push(stream.vp8(false), Duration::from_millis(500)),
        (0, true)
    );
    assert_eq!(
        push(stream.vp8(true), Duration::from_millis(600)),
        (1, false)
    );
    assert_eq!(
        push(stream.vp8(false), Duration::from_millis(700)),
        (1, false)
    );
}

#[test]
fn a_packet_that_was_sent_again_completes_its_picture() {
    let mut stream = Stream::new(Codec::Vp8);
    let mut pieces = [stream.vp8(true), stream.vp8(false), stream.vp8(false)].concat();
    let late = pieces.remove(4);
    pieces.push(late.clone());
    pieces.push(late);
    assert_eq!(assembled(pieces, Instant::now()).len(), 3);
}

#[test]
fn padding_and_sound_are_no_pictures() {
    let mut stream = Stream::new(Codec::Opus);
    let pieces = [
        stream.frame(vec![Bytes::from_static(&[0xf8, 1])]),
        stream.frame(vec![Bytes::new()]),
        stream.frame(vec![Bytes::from_static(&[0xf8, 2])]),
    ];
    let frames = assembled(pieces.concat(), Instant::now());
    let data: Vec<u8> = frames.iter().map(|frame| frame.data[1]).collect();
    assert_eq!(data, [1, 2]);
}

#[test]
fn h264_units_come_back_behind_start_codes() {
    let unit = |kind: u8, length: usize| [&[0, 0, 0, 1, kind][..], &vec![kind; length]].concat();
    let picture = [unit(0x67, 20), unit(0x68, 4), unit(0x65, 4000)].concat();
    let mut payloader = H264Payloader::default();
    let payloads = payloader.payload(1000, &picture.clone().into()).unwrap();
    let pieces = Stream::new(Codec::H264).frame(payloads);
    let frames = assembled(pieces, Instant::now());
    assert_eq!(frames[0].data, picture);
    assert!(frames[0].is_key);
}

#[test]
fn av1_units_come_back_with_lengths_behind_a_delimiter() {
    let sequence = [0x0a, 0x03, 1, 2, 3];
    let frame = [&[0x32, 0x94, 0x0f][..], &[5; 1940]].concat();
    let picture = [&DELIMITER[..], &sequence, &frame].concat();
    let payloads = Av1Payloader::default().payload(1000, &picture.clone().into());
    let pieces = Stream::new(Codec::Av1).frame(payloads.unwrap());
    assert!(pieces.len() > 1);
    let frames = assembled(pieces, Instant::now());
    assert_eq!(frames[0].data, picture);
    assert!(frames[0].is_key);
}

const DELIMITER: [u8; 2] = [0x12, 0];

proptest! {
    #[test]
    fn order_does_not_matter(swaps in proptest::collection::vec((1_usize..60, 1_usize..60), 0..40)) {
        let mut stream = Stream::new(Codec::Vp8);
        let mut pieces: Vec<Piece> = (0..20).flat_map(|index| stream.vp8(index % 5 == 0)).collect();
        // The first packet stays: it says where the stream begins.
        for (a, b) in swaps {
            pieces.swap(a, b);
        }
        let frames = assembled(pieces, Instant::now());
        prop_assert_eq!(frames.len(), 20);
        prop_assert!(frames.windows(2).all(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == 3000));
    }

    #[test]
    fn any_packets_can_be_taken(
        packets in proptest::collection::vec((any::<u16>(), any::<u8>(), any::<bool>(), 0_usize..4, proptest::collection::vec(any::<u8>(), 0..40)), 0..60),
    ) {
        let codecs = [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1];
        let pieces = packets.into_iter().map(|(seq, timestamp, marker, codec, payload)| Piece {
            seq,
            timestamp: timestamp.into(),
            marker,
            codec: codecs[codec],
            participant: None,
            origin: None,
            payload: payload.into(),
        });
        assembled(pieces, Instant::now());
    }

    #[test]
    fn any_payload_is_a_part_or_nothing(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..12), 1..8)) {
        for codec in [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
            let mut partial = Partial::default();
            for payload in &payloads {
                let _ = partial.append(codec, payload);
            }
            let _ = partial.finish(codec);
        }
    }
}
