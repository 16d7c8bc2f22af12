//! Whatever a peer reports and whenever: no panic, and an estimate within its limits.

use std::time::Duration;

use proptest::prelude::*;

use crate::bitrate::Bitrate;
use crate::estimate::{Estimator, HIGHEST, Kind, LEAST, START};
use crate::rtcp::{self, RtcpPacket};
use crate::rtp::Ssrc;
use crate::time::Tick;

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Send {
        count: u16,
        bytes: usize,
    },
    Jump(u16),
    Feedback {
        base: u16,
        arrivals: Vec<Option<i64>>,
    },
    Bytes(Vec<u8>),
    Remb(u64),
    Loss(u8),
    RoundTrip(u64),
    Probe,
    CanProbe(bool),
    Wanted(u64),
    WantProbe(u64),
    Timeout,
}

fn step() -> impl Strategy<Value = Step> {
    let arrival = prop::option::weighted(0.8, any::<i32>().prop_map(i64::from));
    prop_oneof![
        8 => (0..200_000u64).prop_map(Step::Pass),
        1 => any::<u32>().prop_map(|span| Step::Pass(u64::from(span))),
        8 => (1..50u16, 0..3000usize).prop_map(|(count, bytes)| Step::Send { count, bytes }),
        1 => any::<u16>().prop_map(Step::Jump),
        8 => (any::<u16>(), prop::collection::vec(arrival, 1..60))
            .prop_map(|(base, arrivals)| Step::Feedback { base, arrivals }),
        2 => prop::collection::vec(any::<u8>(), 0..80).prop_map(Step::Bytes),
        1 => any::<u64>().prop_map(Step::Remb),
        1 => any::<u8>().prop_map(Step::Loss),
        1 => any::<u64>().prop_map(Step::RoundTrip),
        4 => Just(Step::Probe),
        1 => any::<bool>().prop_map(Step::CanProbe),
        1 => any::<u64>().prop_map(Step::Wanted),
        1 => any::<u64>().prop_map(Step::WantProbe),
        2 => Just(Step::Timeout),
    ]
}

fn hear(estimator: &mut Estimator, bytes: &[u8], now: Tick) {
    for packet in rtcp::packets(bytes) {
        if let RtcpPacket::TransportFeedback(feedback) = packet {
            estimator.handle_feedback(&feedback, now);
        }
    }
}

fn take(estimator: &mut Estimator, step: Step, seq: &mut u16, now: &mut Tick) {
    match step {
        Step::Pass(micros) => *now = *now + Duration::from_micros(micros),
        Step::Send { count, bytes } => {
            for _ in 0..count {
                estimator.note_sent(*seq, bytes, Kind::Media, *now);
                *seq = seq.wrapping_add(1);
            }
        }
        Step::Jump(to) => *seq = to,
        Step::Feedback { base, arrivals } => {
            // Half of the reports are about packets that were sent.
            let base = if base % 2 == 0 {
                seq.wrapping_sub(base % 64)
            } else {
                base
            };
            let listed: Vec<_> = (0..)
                .zip(arrivals)
                .map(|(n, at)| (base.wrapping_add(n), at))
                .collect();
            let mut bytes = Vec::new();
            rtcp::Writer::new(&mut bytes).transport_feedback(Ssrc(1), Ssrc(2), base, 0, &listed);
            hear(estimator, &bytes, *now);
        }
        Step::Bytes(body) => {
            let mut bytes = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
            bytes.extend(body);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes[3] = u8::try_from(bytes.len() / 4 - 1).unwrap();
            hear(estimator, &bytes, *now);
        }
        Step::Remb(rate) => estimator.handle_remb(Bitrate(rate), *now),
        Step::Loss(fraction) => estimator.handle_report_loss(fraction, *now),
        Step::RoundTrip(micros) => estimator.handle_round_trip(Duration::from_micros(micros)),
        Step::Probe => {
            let bytes = estimator.poll_probe(*now).unwrap_or(0);
            for _ in 0..bytes.div_ceil(255) {
                estimator.note_sent(*seq, 291, Kind::Padding, *now);
                *seq = seq.wrapping_add(1);
            }
        }
        Step::CanProbe(can_probe) => estimator.set_can_probe(can_probe),
        Step::Wanted(rate) => estimator.set_wanted(Bitrate(rate)),
        Step::WantProbe(rate) => estimator.want_probe(Bitrate(rate), *now),
        Step::Timeout => estimator.handle_timeout(*now),
    }
}

proptest! {
    #[test]
    fn whatever_is_reported_the_estimate_stays_within_its_limits(
        steps in prop::collection::vec(step(), 1..200),
        start in any::<u64>(),
    ) {
        let mut estimator = Estimator::new(if start % 2 == 0 { START } else { Bitrate(start) });
        let (mut seq, mut now) = (65_500, Tick(0));
        for step in steps {
            take(&mut estimator, step, &mut seq, &mut now);
            let view = estimator.view();
            prop_assert!((LEAST..=HIGHEST).contains(&view.target), "{view:?}");
            prop_assert!((0.0..=1.0).contains(&view.loss), "{view:?}");
        }
    }
}
