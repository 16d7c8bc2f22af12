//! Hears what the host says of when packets arrived (transport-wide feedback), for a probe of the line.
//!
//! Sits in the connection's chain of interceptors, as keyframe requests do and for the same reason.

use std::collections::VecDeque;
use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, SymbolTypeTcc, TransportLayerCc,
};
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use tokio::sync::mpsc;

/// Transport-wide number, and when that packet arrived in microseconds of the host's clock; `None` for what did not.
pub(super) type Arrived = Vec<(u16, Option<i64>)>;

/// Passes on what is said of arrivals; every packet passes unchanged.
pub(super) struct Echoes {
    listener: mpsc::Sender<Arrived>,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl Echoes {
    pub(super) fn new(listener: mpsc::Sender<Arrived>) -> Self {
        Self {
            listener,
            inbound: VecDeque::new(),
            outbound: VecDeque::new(),
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

impl Protocol<TaggedPacket, TaggedPacket, ()> for Echoes {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(parts) = &packet.message.packet {
            for part in parts {
                if let Some(report) = part.as_any().downcast_ref::<TransportLayerCc>() {
                    // Who does not probe does not listen, and the queue is full of old reports.
                    let _ = self.listener.try_send(arrived(report));
                }
            }
        }
        self.inbound.push_back(packet);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.outbound.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }
}

impl Interceptor for Echoes {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
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
