//! Hears what the host says of when packets arrived (transport-wide feedback), for a probe of the line.

use rtc::rtcp;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, SymbolTypeTcc, TransportLayerCc,
};
use tokio::sync::mpsc;

use super::passage::{Listener, Passage};

/// Transport-wide number, and when that packet arrived in microseconds of the host's clock; `None` for what did not.
pub(super) type Arrived = Vec<(u16, Option<i64>)>;

/// Passes on what is said of arrivals.
pub(super) struct Echoes(mpsc::Sender<Arrived>);

impl Echoes {
    pub(super) fn listen(to: mpsc::Sender<Arrived>) -> Passage<Self> {
        Passage::new(Self(to))
    }
}

impl Listener for Echoes {
    fn handle_rtcp(&mut self, part: &dyn rtcp::Packet) {
        if let Some(report) = part.as_any().downcast_ref::<TransportLayerCc>() {
            // Who does not probe does not listen, and the queue is full of old reports.
            let _ = self.0.try_send(arrived(report));
        }
    }
}

/// The statuses of a report, in order. A report that is cut short says nothing of the rest.
fn arrived(report: &TransportLayerCc) -> Arrived {
    let mut all = Arrived::new();
    let mut number = report.base_sequence_number;
    let mut deltas = report.recv_deltas.iter();
    let mut at = i64::from(report.reference_time) * REFERENCE_US;
    let statuses = report.packet_chunks.iter().flat_map(|chunk| match chunk {
        PacketStatusChunk::RunLengthChunk(run) => {
            vec![run.packet_status_symbol; usize::from(run.run_length)]
        }
        PacketStatusChunk::StatusVectorChunk(vector) => vector.symbol_list.clone(),
    });
    for status in statuses.take(usize::from(report.packet_status_count)) {
        let arrival = match status {
            SymbolTypeTcc::PacketNotReceived => Some(None),
            SymbolTypeTcc::PacketReceivedSmallDelta | SymbolTypeTcc::PacketReceivedLargeDelta => {
                let Some(delta) = deltas.next() else {
                    return all;
                };
                at = at.saturating_add(delta.delta);
                Some(Some(at))
            }
            // Came, and nobody says when.
            SymbolTypeTcc::PacketReceivedWithoutDelta => None,
        };
        all.extend(arrival.map(|arrival| (number, arrival)));
        number = number.wrapping_add(1);
    }
    all
}

/// Unit of a report's reference time.
const REFERENCE_US: i64 = 64_000;

/// Where it sits: behind those that read or make RTCP.
pub(super) const SLOT: usize = 14_001;

#[cfg(test)]
mod tests {
    use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
        RecvDelta, RunLengthChunk, StatusVectorChunk,
    };

    use super::*;

    #[test]
    fn runs_and_vectors_are_read_and_numbers_go_round() {
        let delta = |delta| RecvDelta {
            delta,
            ..RecvDelta::default()
        };
        let report = TransportLayerCc {
            base_sequence_number: 65_534,
            packet_status_count: 5,
            reference_time: 2,
            packet_chunks: vec![
                PacketStatusChunk::RunLengthChunk(RunLengthChunk {
                    packet_status_symbol: SymbolTypeTcc::PacketReceivedSmallDelta,
                    run_length: 2,
                    ..RunLengthChunk::default()
                }),
                PacketStatusChunk::StatusVectorChunk(StatusVectorChunk {
                    symbol_list: vec![
                        SymbolTypeTcc::PacketNotReceived,
                        SymbolTypeTcc::PacketReceivedLargeDelta,
                        SymbolTypeTcc::PacketReceivedSmallDelta,
                        SymbolTypeTcc::PacketNotReceived,
                    ],
                    ..StatusVectorChunk::default()
                }),
            ],
            recv_deltas: vec![delta(1000), delta(250), delta(-500)],
            ..TransportLayerCc::default()
        };
        let wanted = [
            (65_534, Some(129_000)),
            (65_535, Some(129_250)),
            (0, None),
            (1, Some(128_750)),
        ];
        assert_eq!(arrived(&report), wanted, "the fifth has no time any more");
    }
}
