//! Packets that left together, and how much further apart two such groups arrived than they were sent.
//!
//! draft-ietf-rmcat-gcc-02 sections 5.1 and 5.2; the limits are those of libwebrtc's `InterArrivalDelta`. Does not judge the differences.

use std::time::Duration;

use super::arrival::Arrival;
use crate::time::Tick;

/// Packets sent within this time of a group's first belong to it: the burst time of section 5.2.
const BURST: Duration = Duration::from_millis(5);

/// Packets that arrive this close, sooner than they were sent, were held up together and belong together.
const BURST_ARRIVAL_MICROS: i64 = 5_000;

/// But not for longer than this.
const MAX_BURST_MICROS: i64 = 100_000;

/// So many groups in a row that arrived before their predecessors: the order is lost, start over.
const MAX_REORDERED: u8 = 3;

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent: Tick,
    last_sent: Tick,
    first_arrival: i64,
    last_arrival: i64,
}

/// Two groups compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Delta {
    /// Milliseconds between the sending of the two.
    pub(super) sent: f64,
    /// Milliseconds between their arrivals.
    pub(super) arrived: f64,
    /// When the later one was complete, in microseconds of the receiver's clock.
    pub(super) at: i64,
    /// Its time on the way plus an unknown constant, in microseconds.
    pub(super) transit: i64,
}

/// Collects arrivals into groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    current: Option<Group>,
    previous: Option<Group>,
    reordered: u8,
}

impl Groups {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes the next arrival. Gives a difference whenever a group is complete.
    pub(super) fn add(&mut self, arrival: &Arrival) -> Option<Delta> {
        let opened = Group {
            first_sent: arrival.sent,
            last_sent: arrival.sent,
            first_arrival: arrival.at,
            last_arrival: arrival.at,
        };
        let Some(current) = &mut self.current else {
            self.current = Some(opened);
            return None;
        };
        if arrival.sent < current.first_sent {
            return None;
        }
        if current.takes(arrival) {
            current.last_sent = current.last_sent.max(arrival.sent);
            current.last_arrival = current.last_arrival.max(arrival.at);
            return None;
        }
        let complete = *current;
        self.current = Some(opened);
        let previous = self.previous.replace(complete)?;
        if complete.last_arrival < previous.last_arrival {
            self.reordered += 1;
            if self.reordered >= MAX_REORDERED {
                self.clear();
            }
            return None;
        }
        self.reordered = 0;
        let sent = complete.last_sent.since(previous.last_sent);
        Some(Delta {
            sent: sent.as_secs_f64() * 1000.0,
            arrived: complete.last_arrival.saturating_sub(previous.last_arrival) as f64 / 1000.0,
            at: complete.last_arrival,
            transit: Arrival {
                sent: complete.last_sent,
                at: complete.last_arrival,
                ..*arrival
            }
            .transit(),
        })
    }
}

impl Group {
    fn takes(&self, arrival: &Arrival) -> bool {
        if arrival.sent.since(self.first_sent) <= BURST {
            return true;
        }
        let apart = arrival.at.saturating_sub(self.last_arrival);
        let sent_apart = arrival.sent.since(self.last_sent).as_micros();
        let sent_apart = i64::try_from(sent_apart).unwrap_or(i64::MAX);
        apart < sent_apart
            && apart <= BURST_ARRIVAL_MICROS
            && arrival.at.saturating_sub(self.first_arrival) < MAX_BURST_MICROS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(sent_ms: u64, at_ms: i64) -> Arrival {
        Arrival {
            sent: Tick(sent_ms * 1000),
            at: at_ms * 1000,
            bytes: 1200,
            probe: None,
            is_limited: false,
        }
    }

    #[test]
    fn pictures_are_compared_as_wholes() {
        let mut groups = Groups::default();
        let packets = [(0, 50), (1, 54), (2, 58), (33, 90), (34, 99), (66, 140)];
        let deltas: Vec<_> = packets
            .iter()
            .filter_map(|&(sent, at)| groups.add(&arrival(sent, at)))
            .collect();
        assert_eq!(deltas.len(), 1, "the third picture is not complete yet");
        assert_eq!((deltas[0].sent, deltas[0].arrived), (32.0, 41.0));
        assert_eq!((deltas[0].at, deltas[0].transit), (99_000, 65_000));
    }

    #[test]
    fn packets_that_were_held_up_together_are_one_group() {
        let mut groups = Groups::default();
        for packet in [(0, 50), (20, 150), (40, 151), (60, 152)] {
            groups.add(&arrival(packet.0, packet.1));
        }
        let delta = groups.add(&arrival(100, 180)).expect("a whole group");
        assert_eq!(
            (delta.sent, delta.arrived),
            (60.0, 102.0),
            "as late as its last packet was"
        );
    }
}
