//! What an engine counted. Plain numbers: they are bumped on the packet path and read once a second by whoever wants them.

use crate::forwarder::DropReason;

/// Counters since the engine was made; gauges are marked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams handed in.
    pub datagrams_in: u64,
    /// RTP packets that were authentic.
    pub packets_in: u64,
    /// Their payload bytes.
    pub bytes_in: u64,
    /// RTP packets sealed, retransmissions included.
    pub packets_out: u64,
    /// Their bytes with header and tag.
    pub bytes_out: u64,
    /// Send calls that carried media.
    pub sends: u64,
    /// SRTCP packets that were authentic.
    pub rtcp_in: u64,
    /// SRTCP packets sent.
    pub rtcp_out: u64,
    /// Packets that subscribers asked for again.
    pub nacks_in: u64,
    /// Packets that publishers were asked for again.
    pub nacks_out: u64,
    /// Retransmissions sent to subscribers.
    pub rtx_out: u64,
    /// Packets that subscribers asked for in vain, so that a keyframe has to take their place.
    pub given_up: u64,
    /// Packets that publishers sent again and that filled a hole.
    pub rtx_in: u64,
    /// PLI and FIR from subscribers.
    pub keyframe_requests_in: u64,
    /// PLI to publishers.
    pub keyframe_requests_out: u64,
    /// Slots that changed layer or source.
    pub switches: u64,
    /// Packets whose authentication failed.
    pub open_failures: u64,
    /// Packets that came twice.
    pub replayed: u64,
    /// Datagrams that no leg knows.
    pub unroutable: u64,
    /// Computers that asked for their own address and were told.
    pub reflected: u64,
    /// Datagrams that make no sense.
    pub malformed: u64,
    /// RTP packets of no declared track.
    pub unbound: u64,
    /// Gauge: legs.
    pub legs: u64,
    /// Gauge: legs that are connected.
    pub legs_connected: u64,
    /// Legs that connected with AES-GCM.
    pub legs_gcm: u64,
    /// Legs that connected with AES-CM and HMAC-SHA1, which cost four times as much.
    pub legs_cm: u64,
    /// Gauge: rooms.
    pub rooms: u64,
    /// Reports of arrivals by subscribers.
    pub arrival_reports_in: u64,
    /// Packets of padding sent, to see whether they arrive.
    pub padding_out: u64,
    /// Their bytes.
    pub padding_bytes_out: u64,
    /// Gauge: legs of which it is known how much their line carries.
    pub legs_estimated: u64,
    /// Gauge: bits per second that these legs carry together.
    pub estimate_sum: u64,
    /// Gauge: bits per second that the worst of these legs carries, 0 if there is none.
    pub estimate_least: u64,
    /// Gauge: longest time that packets wait on a leg's line, in milliseconds.
    pub queue_ms: u64,
    /// Gauge: share of what was sent that was lost on the worst line, in parts per million.
    pub loss_ppm: u64,
    /// Gauge: legs whose packets wait for more than a tenth of a second on the line.
    pub legs_queueing: u64,
    /// Gauge: legs on whose line more than a fiftieth is lost.
    pub legs_losing: u64,
    /// Gauge: legs that get clearly less than they want, because no more fits.
    pub legs_short: u64,
    /// Packets that were not forwarded to a subscriber, by [`DropReason`] in the order of [`DropReason::ALL`].
    pub dropped: [u64; DropReason::ALL.len()],
}

impl Stats {
    pub(crate) fn drop_packets(&mut self, reason: DropReason, count: u64) {
        let index = DropReason::ALL.iter().position(|known| *known == reason);
        if let Some(counter) = index.and_then(|index| self.dropped.get_mut(index)) {
            *counter += count;
        }
    }
}
