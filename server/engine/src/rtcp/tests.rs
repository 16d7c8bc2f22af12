use proptest::prelude::*;

use super::*;

const SENDER: Ssrc = Ssrc(1);
const MEDIA: Ssrc = Ssrc(0x0203_0405);

fn write(body: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    body(&mut Writer::new(&mut out));
    assert_eq!(out.len() % 4, 0);
    out
}

fn block(n: u32) -> ReportBlock {
    ReportBlock {
        ssrc: Ssrc(n),
        fraction_lost: 9,
        cumulative_lost: -3,
        highest_seq: 0x0001_ffff,
        jitter: 77,
        last_sr: 5,
        delay_since_last_sr: 6,
    }
}

fn lost(bytes: &[u8]) -> Vec<u16> {
    let each = packets(bytes).map(|packet| {
        let RtcpPacket::Nack {
            sender: SENDER,
            media: MEDIA,
            lost,
        } = packet
        else {
            panic!("{packet:?}")
        };
        lost
    });
    each.flatten().collect()
}

/// What became of one packet: number and arrival in microseconds.
type Arrival = (u16, Option<i64>);

/// Feedback count and arrivals, as the sender of media computes them, of each packet.
fn feedback(bytes: &[u8]) -> Vec<(u8, Vec<Arrival>)> {
    packets(bytes)
        .map(|packet| {
            let RtcpPacket::TransportFeedback(feedback) = packet else {
                panic!("{packet:?}")
            };
            assert_eq!((feedback.sender, feedback.media), (SENDER, MEDIA));
            let mut now = i64::from(feedback.reference_time) * REFERENCE_MICROS;
            let statuses = feedback.statuses().map(|(seq, delta)| {
                let arrival = delta.map(|delta| {
                    now += i64::from(delta) * TICK_MICROS;
                    now
                });
                (seq, arrival)
            });
            (feedback.feedback_count, statuses.collect())
        })
        .collect()
}

#[test]
fn a_sender_report_with_blocks_reads_back_the_same() {
    let bytes = write(|out| {
        out.sender_report(
            SENDER,
            Ntp(0x0102_0304_0506_0708),
            90_000,
            10,
            12_000,
            &[block(3)],
        )
    });
    assert_eq!(bytes[..12], [0x81, 200, 0, 12, 0, 0, 0, 1, 1, 2, 3, 4]);
    assert_eq!(bytes[28..36], [0, 0, 0, 3, 9, 0xff, 0xff, 0xfd]);
    let Some(RtcpPacket::SenderReport {
        ssrc,
        ntp,
        rtp_timestamp,
        packets: sent,
        octets,
        blocks,
    }) = packets(&bytes).next()
    else {
        panic!("not a sender report")
    };
    assert_eq!(
        (ssrc, ntp.0, rtp_timestamp, sent, octets),
        (SENDER, 0x0102_0304_0506_0708, 90_000, 10, 12_000)
    );
    assert_eq!(blocks.collect::<Vec<_>>(), [block(3)]);
}

#[test]
fn more_blocks_than_one_packet_counts_go_into_several() {
    let all: Vec<_> = (0..70).map(block).collect();
    let bytes = write(|out| out.sender_report(SENDER, Ntp(0), 0, 0, 0, &all));
    let each = packets(&bytes).map(|packet| {
        let (RtcpPacket::SenderReport { blocks, .. } | RtcpPacket::ReceiverReport { blocks, .. }) =
            packet
        else {
            panic!("{packet:?}")
        };
        blocks
    });
    let read: Vec<_> = each.collect();
    assert_eq!(
        read.iter().map(Blocks::len).collect::<Vec<_>>(),
        [31, 31, 8]
    );
    assert_eq!(read.into_iter().flatten().collect::<Vec<_>>(), all);
}

#[test]
fn a_cumulative_loss_beyond_24_bits_saturates() {
    for (given, expected) in [(i32::MAX, 0x7f_ffff), (i32::MIN, -0x80_0000), (-1, -1)] {
        let bytes = write(|out| {
            out.receiver_report(
                SENDER,
                &[ReportBlock {
                    cumulative_lost: given,
                    ..block(1)
                }],
            )
        });
        let Some(RtcpPacket::ReceiverReport { mut blocks, .. }) = packets(&bytes).next() else {
            panic!()
        };
        assert_eq!(blocks.next().unwrap().cumulative_lost, expected);
    }
}

#[test]
fn the_round_trip_is_that_of_the_figure_in_rfc_3550() {
    // Section 6.4.1, figure 2: A = 0xb710:8000, LSR = 0xb705:2000, DLSR = 5.25 s, so 6.125 s.
    let arrival = Ntp(0xb44d_b710_8000_0000);
    let report = ReportBlock {
        last_sr: 0xb705_2000,
        delay_since_last_sr: ReportBlock::delay_units(Duration::from_millis(5250)),
        ..block(1)
    };
    assert_eq!(report.delay_since_last_sr, 0x0005_4000);
    assert_eq!(arrival.middle32(), 0xb710_8000);
    assert_eq!(
        report.round_trip(arrival),
        Some(Duration::from_millis(6125))
    );
    assert_eq!(
        ReportBlock {
            last_sr: 0,
            ..report
        }
        .round_trip(arrival),
        None
    );
    assert_eq!(
        ReportBlock {
            delay_since_last_sr: u32::MAX,
            ..report
        }
        .round_trip(arrival),
        None
    );
}

#[test]
fn ntp_time_counts_from_1900() {
    let start = Ntp::from_unix(Duration::ZERO);
    assert_eq!(start.0, 2_208_988_800 << 32);
    assert_eq!(Ntp::from(Duration::from_millis(1500)).0, 0x1_8000_0000);
    assert_eq!(
        Ntp(u64::MAX).to_duration(),
        Duration::new(u64::from(u32::MAX), 999_999_999)
    );
}

#[test]
fn a_cname_is_ended_by_zeros_and_cut_at_a_character() {
    let bytes = write(|out| out.sdes_cname(SENDER, "ab"));
    assert_eq!(
        bytes,
        [0x81, 202, 0, 3, 0, 0, 0, 1, 1, 2, b'a', b'b', 0, 0, 0, 0]
    );
    let bytes = write(|out| out.sdes_cname(SENDER, "abcd"));
    assert_eq!(
        bytes.len(),
        16,
        "six bytes of item, one zero, one more for the word"
    );
    let bytes = write(|out| out.sdes_cname(SENDER, &"é".repeat(200)));
    assert_eq!(bytes[9], 254);
    assert!(matches!(
        packets(&bytes).collect::<Vec<_>>()[..],
        [RtcpPacket::Sdes]
    ));
}

#[test]
fn lost_numbers_are_packed_across_the_wrap() {
    let numbers = [0xfff0, 0xffff, 0, 1, 0x0100];
    let bytes = write(|out| out.nack(SENDER, MEDIA, &numbers));
    let head = [0x81, 205, 0, 5, 0, 0, 0, 1, 2, 3, 4, 5];
    assert_eq!(bytes[..12], head);
    assert_eq!(
        bytes[12..],
        [0xff, 0xf0, 0xc0, 0x00, 0, 1, 0, 0, 1, 0, 0, 0]
    );
    assert_eq!(lost(&bytes), numbers);
    assert_eq!(write(|out| out.nack(SENDER, MEDIA, &[])), [0_u8; 0]);
    assert_eq!(
        lost(&write(|out| out.nack(SENDER, MEDIA, &[5, 5, 6]))),
        [5, 6]
    );
}

#[test]
fn a_full_mask_names_seventeen_packets() {
    let bytes = [
        0x81, 205, 0, 3, 0, 0, 0, 1, 2, 3, 4, 5, 0xff, 0xff, 0xff, 0xff,
    ];
    assert_eq!(
        lost(&bytes),
        (0..17)
            .map(|n| 0xffff_u16.wrapping_add(n))
            .collect::<Vec<_>>()
    );
}

#[test]
fn keyframe_requests_and_byes_read_back_the_same() {
    let bytes = write(|out| {
        out.pli(SENDER, MEDIA);
        out.fir(SENDER, &[(MEDIA, 200), (Ssrc(9), 1)]);
        out.bye(&[SENDER, MEDIA]);
    });
    assert_eq!(bytes[..12], [0x81, 206, 0, 2, 0, 0, 0, 1, 2, 3, 4, 5]);
    assert_eq!(
        bytes[12..32],
        [
            0x84, 206, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 2, 3, 4, 5, 200, 0, 0, 0
        ]
    );
    let mut read = packets(&bytes);
    assert!(matches!(
        read.next(),
        Some(RtcpPacket::Pli {
            sender: SENDER,
            media: MEDIA
        })
    ));
    let Some(RtcpPacket::Fir {
        sender: SENDER,
        entries,
    }) = read.next()
    else {
        panic!()
    };
    assert_eq!(entries.collect::<Vec<_>>(), [(MEDIA, 200), (Ssrc(9), 1)]);
    let Some(RtcpPacket::Bye { ssrcs }) = read.next() else {
        panic!()
    };
    assert_eq!(ssrcs.collect::<Vec<_>>(), [SENDER, MEDIA]);
    assert!(read.next().is_none());
}

#[test]
fn a_bitrate_is_kept_to_eighteen_bits() {
    for (given, expected) in [
        (0, 0),
        (0x3_ffff, 0x3_ffff),
        (0x4_0001, 0x4_0000),
        (2_500_000, 2_500_000),
        (u64::MAX, 0x3_ffff << 46),
    ] {
        let bytes = write(|out| out.remb(SENDER, given, &[MEDIA]));
        let Some(RtcpPacket::Remb {
            sender: SENDER,
            bitrate,
            ssrcs,
        }) = packets(&bytes).next()
        else {
            panic!()
        };
        assert_eq!(
            (bitrate, ssrcs.collect::<Vec<_>>()),
            (expected, vec![MEDIA])
        );
    }
    let mut bytes = write(|out| out.remb(SENDER, 1, &[]));
    bytes[17..20].copy_from_slice(&[0xff, 0xff, 0xff]);
    let Some(RtcpPacket::Remb { bitrate, .. }) = packets(&bytes).next() else {
        panic!()
    };
    assert_eq!(bitrate, u64::MAX, "an exponent of 63 saturates");
}

#[test]
fn reading_ends_at_the_first_malformed_packet() {
    let pli = write(|out| out.pli(SENDER, MEDIA));
    for bad in [
        &[0x81, 206, 0, 9, 0, 0, 0, 1, 2, 3, 4, 5][..], // longer than what is left
        &[0x41, 206, 0, 0],                             // version
        &[0x81, 206, 0, 1, 0, 0, 0, 1],                 // too short for its kind
        &[0x82, 203, 0, 1, 0, 0, 0, 1],                 // two sources announced, one there
        &[0xa1, 206, 0, 2, 0, 0, 0, 1, 2, 3, 4, 0],     // padding of nothing
        &[0xa1, 206, 0, 2, 0, 0, 0, 1, 2, 3, 4, 9],     // padding beyond the packet
        &[0x81, 206],
    ] {
        let bytes = [&pli[..], bad, &pli].concat();
        assert_eq!(packets(&bytes).count(), 1, "{bad:?}");
    }
    let unknown = [&[0x80, 207, 0, 1, 0, 0, 0, 1][..], &pli].concat();
    let mut read = packets(&unknown);
    assert!(matches!(
        read.next(),
        Some(RtcpPacket::Unknown {
            packet_type: 207,
            count: 0
        })
    ));
    assert!(matches!(read.next(), Some(RtcpPacket::Pli { .. })));
}

#[test]
fn padding_is_not_part_of_a_packet() {
    let bytes = [
        0xa1, 205, 0, 4, 0, 0, 0, 1, 2, 3, 4, 5, 0, 7, 0, 0, 0, 0, 0, 4,
    ];
    assert_eq!(lost(&bytes), [7]);
}

#[test]
fn a_compound_is_read_only_so_far() {
    let bytes = write(|out| (0..100).for_each(|_| out.pli(SENDER, MEDIA)));
    assert_eq!(packets(&bytes).count(), MAX_PACKETS);
    // A run of 8191 lost packets, again and again.
    let flood = [
        0x8f, 205, 0, 5, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0x1f, 0xff, 0, 0, 0, 0, 0x1f, 0xff, 0, 0,
    ]
    .repeat(60);
    assert_eq!(packets(&flood).count(), 8);
}

#[test]
fn chunks_of_every_form_are_understood() {
    // Three lost (run), then one bit each (lost, 5 received, 3 lost, 3 received, 2 lost), then two bits each.
    let mut bytes = vec![0x8f, 205, 0, 9, 0, 0, 0, 1, 2, 3, 4, 5];
    bytes.extend_from_slice(&[0xff, 0xff, 0, 20, 0xff, 0xff, 0xff, 7]);
    bytes.extend_from_slice(&[0x00, 0x03, 0x9f, 0x1c, 0b1101_1000, 0]);
    bytes.extend_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 255, 0xff, 0xfe, 0, 0, 0]);
    let Some(RtcpPacket::TransportFeedback(feedback)) = packets(&bytes).next() else {
        panic!()
    };
    assert_eq!(
        (
            feedback.base_seq,
            feedback.reference_time,
            feedback.feedback_count
        ),
        (0xffff, -1, 7)
    );
    let deltas: Vec<_> = feedback.statuses().map(|(_, delta)| delta).collect();
    let lost = [None].repeat(4);
    let expected = [
        &lost[..],
        &[1, 2, 3, 4, 5].map(Some),
        &lost[..3],
        &[6, 7, 8].map(Some),
        &lost[..2],
    ]
    .concat();
    assert_eq!(deltas[..17], expected);
    assert_eq!(deltas[17..], [Some(255), Some(-2), None]);
    assert!(
        feedback
            .statuses()
            .map(|(seq, _)| seq)
            .eq((0..20).map(|n| 0xffff_u16.wrapping_add(n)))
    );
    bytes[24] = 0b1111_1000;
    assert_eq!(packets(&bytes).count(), 0, "a reserved symbol");
}

#[test]
fn steady_arrivals_take_one_run_and_one_byte_each() {
    let arrivals: Vec<_> = (0..20_u16)
        .map(|n| (n, Some(64_000 * 5 + i64::from(n) * 1000)))
        .collect();
    let bytes =
        write(|out| assert_eq!(out.transport_feedback(SENDER, MEDIA, 0, 255, &arrivals), 0));
    assert_eq!(bytes[12..22], [0, 0, 0, 20, 0, 0, 5, 255, 0x20, 20]);
    assert_eq!(bytes[22..42], [&[0][..], &[4; 19]].concat());
    assert_eq!(feedback(&bytes), [(255, arrivals)]);
}

#[test]
fn a_gap_too_long_for_a_delta_starts_another_packet() {
    let arrivals = [
        (0xffff, Some(0)),
        (1, Some(9_000_000)),
        (2, None),
        (3, Some(9_000_000 - 250)),
    ];
    let bytes = write(|out| {
        assert_eq!(
            out.transport_feedback(SENDER, MEDIA, 0xfffe, 3, &arrivals),
            5
        )
    });
    let read = feedback(&bytes);
    assert_eq!(
        read[0],
        (3, vec![(0xfffe, None), (0xffff, Some(0)), (0, None)])
    );
    assert_eq!(
        read[1],
        (
            4,
            vec![(1, Some(9_000_000)), (2, None), (3, Some(8_999_750))]
        )
    );
}

#[test]
fn nothing_is_written_when_nothing_arrived() {
    assert_eq!(
        write(|out| assert_eq!(
            out.transport_feedback(SENDER, MEDIA, 4, 3, &[(4, None), (5, None)]),
            3
        )),
        [0_u8; 0]
    );
}

proptest! {
    #[test]
    fn every_lost_number_is_asked_for_once(start in any::<u16>(), steps in proptest::collection::vec(1..40_u16, 0..1200)) {
        let numbers: Vec<u16> = steps.into_iter().scan(start, |seq, step| {
            *seq = seq.wrapping_add(step);
            Some(*seq)
        }).collect();
        prop_assert_eq!(lost(&write(|out| out.nack(SENDER, MEDIA, &numbers))), numbers);
    }

    #[test]
    fn feedback_reads_back_with_the_precision_of_a_tick(
        base in any::<u16>(),
        start in -5_000_000_000_i64..5_000_000_000,
        steps in proptest::collection::vec(
            (prop_oneof![9 => Just(1_u16), 1 => 2..400_u16], prop_oneof![
                3 => Just(None),
                12 => (0..60_000_i64).prop_map(Some),
                2 => (-300_000..9_000_000_i64).prop_map(Some),
            ]),
            0..800,
        ),
    ) {
        let mut expected = vec![];
        let (mut arrivals, mut seq, mut now) = (vec![], base, start);
        for (skip, step) in steps {
            for _ in 1..skip {
                expected.push((seq, None));
                seq = seq.wrapping_add(1);
            }
            let arrival = step.map(|step| { now += step; now });
            arrivals.push((seq, arrival));
            expected.push((seq, arrival.map(|micros| micros.div_euclid(TICK_MICROS) * TICK_MICROS)));
            seq = seq.wrapping_add(1);
        }
        let mut next = 0;
        let bytes = write(|out| next = out.transport_feedback(SENDER, MEDIA, base, 9, &arrivals));
        let mut rest = &bytes[..];
        let mut read = vec![];
        let mut count = 9_u8;
        // A packet at a time, since a compound is read only so far.
        while let Some((head, _)) = rest.split_first_chunk::<4>() {
            let len = 4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
            prop_assert!(len <= 1240, "a packet of {len} bytes");
            let parsed = feedback(&rest[..len]);
            prop_assert_eq!(parsed.len(), 1);
            prop_assert_eq!(parsed[0].0, count);
            read.extend_from_slice(&parsed[0].1);
            count = count.wrapping_add(1);
            rest = &rest[len..];
        }
        prop_assert_eq!(next, count);
        // What was lost after the last arrival may be left out when nothing arrived at all.
        if expected.iter().any(|(_, arrival)| arrival.is_some()) {
            prop_assert_eq!(read, expected);
        } else {
            prop_assert_eq!(read, []);
        }
    }

    #[test]
    fn disordered_arrivals_are_written_without_panic(
        base in any::<u16>(),
        arrivals in proptest::collection::vec(any::<(u16, Option<i64>)>(), 0..30),
    ) {
        let bytes = write(|out| { out.transport_feedback(SENDER, MEDIA, base, 0, &arrivals); });
        prop_assert_eq!(packets(&bytes).all(|packet| matches!(packet, RtcpPacket::TransportFeedback(_))), true);
    }

    #[test]
    fn durations_survive_ntp(seconds in 0..u64::from(u32::MAX), nanos in 0..1_000_000_000_u32) {
        let duration = Duration::new(seconds, nanos);
        prop_assert_eq!(Ntp::from(duration).to_duration(), duration);
    }

    #[test]
    fn arbitrary_bytes_are_read_without_panic_and_end(
        parts in proptest::collection::vec(
            (any::<u8>(), 200..208_u8, prop_oneof![Just(1_u8), Just(4), Just(15), any::<u8>()],
             proptest::collection::vec(any::<u8>(), 0..80)),
            0..8,
        ),
        cut in 0..700_usize,
    ) {
        let mut bytes = vec![];
        for (noise, packet_type, count, body) in parts {
            let words = u8::try_from(body.len() / 4).unwrap();
            // Mostly well framed, so that bodies are reached.
            let (first, words) = if noise < 20 { (noise, noise) } else { (0x80 | (count & 0x1f), words) };
            bytes.extend_from_slice(&[first, packet_type, 0, words]);
            bytes.extend_from_slice(&body[..body.len() / 4 * 4]);
        }
        bytes.truncate(cut);
        let mut steps = 0;
        for packet in packets(&bytes) {
            steps += 1 + match packet {
                RtcpPacket::SenderReport { blocks, .. } | RtcpPacket::ReceiverReport { blocks, .. } => blocks.count(),
                RtcpPacket::Bye { ssrcs } | RtcpPacket::Remb { ssrcs, .. } => ssrcs.count(),
                RtcpPacket::Nack { lost, .. } => lost.count(),
                RtcpPacket::Fir { entries, .. } => entries.count(),
                RtcpPacket::TransportFeedback(feedback) => {
                    let statuses = feedback.statuses();
                    let announced = statuses.len();
                    prop_assert_eq!(statuses.count(), announced, "checked whole when read");
                    announced
                }
                RtcpPacket::Sdes | RtcpPacket::Pli { .. } | RtcpPacket::Unknown { .. } => 0,
            };
        }
        prop_assert!(steps <= MAX_STATUSES + 5 * bytes.len());
    }
}
