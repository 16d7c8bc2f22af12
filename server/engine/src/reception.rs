//! What arrived of one incoming stream: loss and jitter for receiver reports (RFC 3550 section 6.4 and appendix A), holes for NACKs.

use std::time::Duration;

use crate::rtcp::ReportBlock;
use crate::rtp::Ssrc;
use crate::rtp::seq;
use crate::time::Tick;

/// Holes remembered at a time; a longer gap is given up and a keyframe asked for instead.
const MAX_MISSING: usize = 256;

/// Requests per hole.
const MAX_REQUESTS: u8 = 10;

/// After this a hole is of no use to any receiver.
const MAX_AGE: Duration = Duration::from_millis(1000);

/// Without it for so long, or for four round trips, no picture is complete: a keyframe is asked for instead, though the hole may
/// still be filled. A receiver of its own waits three seconds.
const TOO_LATE: Duration = Duration::from_millis(500);

/// Reordering is more likely than loss for so long.
const REORDER_GRACE: Duration = Duration::from_millis(8);

/// Between two requests at least: publishers pace what they send again, also on the shortest way.
const REQUEST_INTERVAL: Duration = Duration::from_millis(20);

/// A packet that has not come.
#[derive(Clone, Copy, Debug)]
struct Missing {
    seq: u64,
    noticed: Tick,
    requested: Tick,
    requests: u8,
    is_given_up: bool,
}

/// Was a packet wanted?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Newer than all before it.
    Newest,
    /// Filled a hole.
    Late,
    /// Came before, or came too late to matter.
    Useless,
}

/// State of one incoming stream.
#[derive(Debug, Default)]
pub(crate) struct Reception {
    highest: Option<u64>,
    base: u64,
    received: u64,
    expected_prior: u64,
    received_prior: u64,
    /// Share that was lost in the last interval, in 1/256.
    lost: u8,
    jitter: f64,
    transit: Option<i64>,
    missing: Vec<Missing>,
    /// Last sender report: middle bits of its NTP time, and when it came.
    sender_report: Option<(u32, Tick)>,
    gave_up: bool,
}

impl Reception {
    /// Has anything arrived?
    pub(crate) fn has_received(&self) -> bool {
        self.highest.is_some()
    }

    /// Extends a sequence number as the stream stands, without noting its arrival.
    pub(crate) fn extend(&self, wire: u16) -> u64 {
        seq::extend(self.highest.unwrap_or(0), wire)
    }

    /// Notes a packet. `is_retransmission`: it came by RTX and says nothing about jitter.
    pub(crate) fn handle_packet(
        &mut self,
        seq: u64,
        is_retransmission: bool,
        now: Tick,
    ) -> Arrival {
        let Some(highest) = self.highest else {
            self.highest = Some(seq);
            self.base = seq;
            self.received = 1;
            return Arrival::Newest;
        };
        if seq <= highest {
            let Some(hole) = self.missing.iter().position(|hole| hole.seq == seq) else {
                return Arrival::Useless;
            };
            self.missing.swap_remove(hole);
            self.received += 1;
            return Arrival::Late;
        }
        if is_retransmission && seq > highest + 1 {
            // A retransmission that overtakes its stream opens no holes: the originals are still on their way.
            return Arrival::Useless;
        }
        let gap = seq - highest - 1;
        if gap + self.missing.len() as u64 > MAX_MISSING as u64 {
            self.missing.clear();
            self.gave_up = true;
        } else {
            self.missing.extend((highest + 1..seq).map(|seq| Missing {
                seq,
                noticed: now,
                requested: Tick(0),
                requests: 0,
                is_given_up: false,
            }));
        }
        self.highest = Some(seq);
        self.received += 1;
        Arrival::Newest
    }

    /// Interarrival jitter (RFC 3550 appendix A.8).
    pub(crate) fn handle_timing(&mut self, timestamp: u32, clock_rate: u32, now: Tick) {
        let arrival =
            i64::try_from(u128::from(now.0) * u128::from(clock_rate) / 1_000_000).unwrap_or(0);
        let transit = arrival - i64::from(timestamp);
        if let Some(last) = self.transit {
            let difference = (transit - last).unsigned_abs();
            if difference < u64::from(clock_rate) * 10 {
                #[expect(clippy::cast_precision_loss, reason = "below 2^20")]
                let difference = difference as f64;
                self.jitter += (difference - self.jitter) / 16.0;
            }
        }
        self.transit = Some(transit);
    }

    /// Interarrival jitter in microseconds.
    pub(crate) fn jitter_us(&self, clock_rate: u32) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, and cut at the largest"
        )]
        let jitter = (self.jitter * 1e6 / f64::from(clock_rate.max(1))) as u32;
        jitter
    }

    /// Notes a sender report.
    pub(crate) fn handle_sender_report(&mut self, ntp_middle: u32, now: Tick) {
        self.sender_report = Some((ntp_middle, now));
    }

    /// When [`Self::poll_nacks`] next has something to say.
    pub(crate) fn nack_deadline(&self, round_trip: Duration) -> Option<Tick> {
        self.missing.iter().map(|hole| hole.due(round_trip)).min()
    }

    /// Writes the sequence numbers to ask for now into `out` (cleared first).
    pub(crate) fn poll_nacks(&mut self, round_trip: Duration, now: Tick, out: &mut Vec<u16>) {
        out.clear();
        let patience = TOO_LATE.max(round_trip * 4);
        for hole in &mut self.missing {
            if now.since(hole.noticed) >= patience.min(MAX_AGE) && !hole.is_given_up {
                hole.is_given_up = true;
                self.gave_up = true;
            }
            if hole.due(round_trip) <= now && hole.requests < MAX_REQUESTS {
                hole.requests += 1;
                hole.requested = now;
                #[expect(clippy::cast_possible_truncation, reason = "the wire carries 16 bits")]
                out.push(hole.seq as u16);
            }
        }
        self.missing
            .retain(|hole| now.since(hole.noticed) < MAX_AGE);
    }

    /// Holes behind a new keyframe need not be filled.
    pub(crate) fn forget_before(&mut self, seq: u64) {
        self.missing.retain(|hole| hole.seq >= seq);
    }

    /// True once after a gap too long to repair: a keyframe has to make up for it.
    pub(crate) fn take_gave_up(&mut self) -> bool {
        std::mem::take(&mut self.gave_up)
    }

    /// Share of packets that was lost in the time of the last report.
    pub(crate) fn loss(&self) -> f64 {
        f64::from(self.lost) / 256.0
    }

    /// A report block for this stream (RFC 3550 section 6.4.1), and the start of the next interval.
    pub(crate) fn report(&mut self, ssrc: Ssrc, now: Tick) -> Option<ReportBlock> {
        let highest = self.highest?;
        let expected = highest - self.base + 1;
        let lost = expected.saturating_sub(self.received);
        let expected_interval = expected.saturating_sub(self.expected_prior);
        let received_interval = self.received.saturating_sub(self.received_prior);
        let lost_interval = expected_interval.saturating_sub(received_interval);
        self.expected_prior = expected;
        self.received_prior = self.received;
        let fraction = (lost_interval * 256)
            .checked_div(expected_interval)
            .unwrap_or(0)
            .min(255);
        self.lost = u8::try_from(fraction).unwrap_or(u8::MAX);
        let (last_sr, delay_since_last_sr) = self.sender_report.map_or((0, 0), |(middle, at)| {
            let delay = now.since(at).as_micros() * 65_536 / 1_000_000;
            (middle, u32::try_from(delay).unwrap_or(u32::MAX))
        });
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "fields of fixed width; jitter is not negative"
        )]
        Some(ReportBlock {
            ssrc,
            fraction_lost: self.lost,
            cumulative_lost: lost.min(0x7f_ffff) as i32,
            highest_seq: highest as u32,
            jitter: self.jitter as u32,
            last_sr,
            delay_since_last_sr,
        })
    }
}

impl Missing {
    fn due(self, round_trip: Duration) -> Tick {
        if self.requests == 0 {
            return self.noticed + REORDER_GRACE;
        }
        let again = self.requested + round_trip.max(REQUEST_INTERVAL);
        if self.requests < MAX_REQUESTS {
            again
        } else {
            // Nothing more is asked; then it is given up, and then it is forgotten.
            let late = self.noticed + TOO_LATE.max(round_trip * 4).min(MAX_AGE);
            match self.is_given_up {
                false => late,
                true => self.noticed + MAX_AGE,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(50);

    fn at_ms(ms: u64) -> Tick {
        Tick(ms * 1000)
    }

    #[test]
    fn a_hole_is_asked_for_after_a_grace_and_again_after_a_round_trip_until_it_is_filled() {
        let mut stream = Reception::default();
        let mut nacks = Vec::new();
        stream.handle_packet(65_536 + 10, false, at_ms(0));
        assert_eq!(
            stream.handle_packet(65_536 + 12, false, at_ms(1)),
            Arrival::Newest
        );
        stream.poll_nacks(RTT, at_ms(2), &mut nacks);
        assert!(nacks.is_empty(), "reordering is given a chance");
        stream.poll_nacks(RTT, at_ms(9), &mut nacks);
        assert_eq!(nacks, [11]);
        stream.poll_nacks(RTT, at_ms(30), &mut nacks);
        assert!(nacks.is_empty());
        stream.poll_nacks(RTT, at_ms(60), &mut nacks);
        assert_eq!(nacks, [11]);
        assert_eq!(
            stream.handle_packet(65_536 + 11, true, at_ms(70)),
            Arrival::Late
        );
        assert_eq!(
            stream.handle_packet(65_536 + 11, false, at_ms(71)),
            Arrival::Useless,
            "the original comes after all"
        );
        assert_eq!(stream.nack_deadline(RTT), None);
    }

    #[test]
    fn a_report_counts_what_was_lost_since_the_last() {
        let mut stream = Reception::default();
        for seq in (100..200).filter(|seq| seq % 4 != 3) {
            stream.handle_packet(65_536 + seq, false, at_ms(seq));
        }
        stream.handle_packet(65_536 + 200, false, at_ms(200));
        let block = stream
            .report(Ssrc(7), at_ms(300))
            .expect("received something");
        assert_eq!(
            (
                block.cumulative_lost,
                block.fraction_lost,
                block.highest_seq
            ),
            (25, 63, 65_536 + 200)
        );
        assert!((stream.loss() - 0.25).abs() < 0.01, "{}", stream.loss());
        let block = stream.report(Ssrc(7), at_ms(400)).expect("still");
        assert_eq!((block.cumulative_lost, block.fraction_lost), (25, 0));
    }

    #[test]
    fn what_is_not_repaired_in_time_is_given_up_once_and_may_still_come() {
        const SHORT: Duration = Duration::from_millis(1);
        let mut stream = Reception::default();
        let mut nacks = Vec::new();
        stream.handle_packet(100, false, at_ms(0));
        stream.handle_packet(102, false, at_ms(0));
        let (mut asked, mut given_up) = (Vec::new(), Vec::new());
        for ms in 0..2000 {
            if stream
                .nack_deadline(SHORT)
                .is_some_and(|due| due <= at_ms(ms))
            {
                stream.poll_nacks(SHORT, at_ms(ms), &mut nacks);
                asked.extend(nacks.iter().map(|_| ms));
            }
            if stream.take_gave_up() {
                given_up.push(ms);
            }
            if ms == 700 {
                let mut late = Reception {
                    missing: stream.missing.clone(),
                    ..Reception::default()
                };
                late.highest = stream.highest;
                assert_eq!(late.handle_packet(101, true, at_ms(ms)), Arrival::Late);
            }
        }
        assert_eq!(asked.len(), usize::from(MAX_REQUESTS));
        assert!(
            asked.windows(2).all(|pair| pair[1] - pair[0] >= 20),
            "{asked:?}"
        );
        assert_eq!(given_up, [500], "a keyframe is asked for once");
        assert_eq!(stream.nack_deadline(SHORT), None, "and it is forgotten");
    }

    #[test]
    fn a_gap_too_long_to_repair_is_given_up_once() {
        let mut stream = Reception::default();
        stream.handle_packet(70_000, false, at_ms(0));
        stream.handle_packet(71_000, false, at_ms(1));
        assert!(stream.take_gave_up());
        assert!(!stream.take_gave_up());
        assert_eq!(stream.nack_deadline(RTT), None);
    }
}
