//! Has the line broken in? Then what was sent before anybody could know fills its queue, and sound waits behind pictures.
//!
//! Begins with the first packets that wait far longer than usual, long before a rate can be measured; says meanwhile how fast the
//! queue is served, which is the rate of the line. Ends when they wait no longer, or when nothing has shown that the line is to blame:
//! a longer way, or a radio that was silent for a moment. No part of libwebrtc's control, which takes a second to notice.

use std::time::Duration;

use super::arrival::Arrival;
use super::queueing::Queueing;
use crate::time::Tick;

/// The newest two packets wait so many times as long as usual, and so many milliseconds.
const FAR: f64 = 1.5;
const FAR_MILLIS: f64 = 30.0;

/// Packets wait no longer when they wait for so many milliseconds more than before.
const OVER: f64 = 40.0;

/// A surge that nothing has proved ends after this time, and each after the other.
const UNPROVED: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_millis(1000);

/// A queue is watched for so long at least, and so many packets, to see how fast it is served.
const SERVED_MICROS: i64 = 40_000;
const SERVED_PACKETS: u32 = 3;

/// Packets that come a little faster than those before still come out of a queue that grows, in microseconds.
const RIPPLE: i64 = 2_000;

/// Packets come out of a busy queue so much slower than they were sent.
const STRETCH: f64 = 1.15;

/// Packets that wait for so many milliseconds more than usual are in a queue together with the one behind them, if it is one.
const WAITS: f64 = 20.0;

/// Pairs of packets that are looked at: those whose wait counts as the newest.
const PAIRS: usize = 3;

/// Below this share of the estimate the line has broken in.
const BREAK_IN: f64 = 0.7;

/// Follows one line.
#[derive(Debug, Default)]
pub(super) struct Surge {
    present: Option<Present>,
    run: Option<Run>,
    last: Option<Arrival>,
    ended: Option<Tick>,
}

/// Packets in a row of which each waited longer than the one before: they come as fast as the queue is served.
#[derive(Clone, Copy, Debug)]
struct Run {
    first_sent: Tick,
    first_at: i64,
    last_at: i64,
    last_transit: i64,
    /// By how much one packet waited longer than the one before, at most: a way that became longer, or a line that was silent.
    step: i64,
    packets: u32,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Present {
    began: Tick,
    /// Milliseconds that were usual before.
    usual: f64,
    served: Option<f64>,
    is_proved: bool,
}

impl Surge {
    /// Takes what was reported, in order of arrival. `may_begin`: nothing else explains that packets wait. `estimate`: what the
    /// line is taken for. True: it has just begun.
    pub(super) fn update(
        &mut self,
        arrivals: &[Arrival],
        queueing: &Queueing,
        may_begin: bool,
        estimate: f64,
        now: Tick,
    ) -> bool {
        let begins = self.present.is_none()
            && may_begin
            && self.come_out_of_a_queue(arrivals, queueing, estimate);
        if begins {
            self.present = Some(Present {
                began: now,
                usual: queueing.usual(),
                served: None,
                is_proved: false,
            });
        }
        for arrival in arrivals {
            let run = self.run.filter(|run| run.goes_on(arrival));
            let run = run.map_or_else(|| Run::begin(arrival), |run| run.with(arrival));
            if let (Some(served), Some(present)) = (run.served(), &mut self.present) {
                present.served = Some(served);
            }
            self.run = Some(run);
        }
        self.last = arrivals.last().copied().or(self.last);
        if let Some(present) = &mut self.present {
            let is_short = |served| served < BREAK_IN * estimate;
            present.is_proved |= present.served.is_some_and(is_short);
            let age = now.since(present.began);
            let is_over = !begins && queueing.newest() < present.usual + OVER;
            let patience = if present.is_proved { LONGEST } else { UNPROVED };
            if is_over || age > patience {
                self.ended = Some(now);
                self.present = None;
            }
        }
        begins
    }

    /// Do the newest packets wait far longer than usual, and do they come out of a queue? A short line lets one after the other out. A
    /// receiver that had no time to read, a sender that had none to send, and a radio that was silent leave packets that come all at once.
    fn come_out_of_a_queue(
        &self,
        arrivals: &[Arrival],
        queueing: &Queueing,
        estimate: f64,
    ) -> bool {
        let begin = arrivals.len().saturating_sub(PAIRS);
        let (earlier, newest) = arrivals.split_at(begin);
        let mut before = earlier.last().copied().or(self.last);
        let (mut apart, mut together, mut wait) = (0, 0, 0.0);
        for arrival in newest {
            let Some(earlier) = before.replace(*arrival) else {
                continue;
            };
            let waited = queueing.wait_of(earlier.transit());
            wait = queueing.wait_of(arrival.transit()).min(waited);
            if waited > queueing.usual() + WAITS {
                let gap = arrival.at.saturating_sub(earlier.at) as f64 / 1e6;
                if gap * estimate < f64::from(arrival.bytes) * 8.0 {
                    together += 1;
                } else {
                    apart += 1;
                }
            }
        }
        wait > FAR * queueing.usual() + FAR_MILLIS && apart > together
    }

    /// Had pictures better wait?
    pub(super) fn is_on(&self) -> bool {
        self.present.is_some()
    }

    /// Was it so within this time?
    pub(super) fn was_on(&self, within: Duration, now: Tick) -> bool {
        self.is_on() || self.ended.is_some_and(|ended| now.since(ended) < within)
    }

    /// Has it ended just now?
    pub(super) fn ends(&self, now: Tick) -> bool {
        self.ended == Some(now)
    }

    /// Bits per second at which the queue is served, where that is far less than the line was taken for.
    pub(super) fn served(&self) -> Option<f64> {
        let present = self.present.as_ref().filter(|present| present.is_proved)?;
        present.served
    }
}

impl Run {
    fn begin(arrival: &Arrival) -> Self {
        Self {
            first_sent: arrival.sent,
            first_at: arrival.at,
            last_at: arrival.at,
            last_transit: arrival.transit(),
            step: 0,
            packets: 0,
            bytes: 0,
        }
    }

    /// Does the queue go on growing? Where it has not begun to, each packet is the first.
    fn goes_on(&self, arrival: &Arrival) -> bool {
        let transit = arrival.transit();
        transit > self.last_transit - RIPPLE && transit > self.first_transit() + RIPPLE
    }

    fn with(self, arrival: &Arrival) -> Self {
        Self {
            last_at: arrival.at,
            last_transit: arrival.transit(),
            step: self.step.max(arrival.transit() - self.last_transit),
            packets: self.packets + 1,
            bytes: self.bytes + u64::from(arrival.bytes),
            ..self
        }
    }

    /// Bits per second, if they came slower than they were sent.
    fn served(&self) -> Option<f64> {
        let span = self.last_at.saturating_sub(self.first_at);
        let grown = self.last_transit.saturating_sub(self.first_transit());
        let is_busy = (grown - self.step) as f64 > (1.0 - 1.0 / STRETCH) * span as f64;
        let is_long = self.packets >= SERVED_PACKETS && span >= SERVED_MICROS;
        let span = Duration::from_micros(span.unsigned_abs());
        (is_busy && is_long).then(|| super::rate(self.bytes, span))
    }

    fn first_transit(&self) -> i64 {
        let sent = i64::try_from(self.first_sent.0).unwrap_or(i64::MAX);
        self.first_at.saturating_sub(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::super::groups::Delta;
    use super::*;

    struct Line {
        surge: Surge,
        queueing: Queueing,
        number: i64,
    }

    impl Line {
        /// A line on which packets of 1200 bytes have long come at once.
        fn calm() -> Self {
            let (surge, queueing) = <(Surge, Queueing)>::default();
            let mut line = Self {
                surge,
                queueing,
                number: 0,
            };
            line.hear(&[(0, 1); 200]);
            assert!(!line.surge.is_on());
            line
        }

        /// Packets, each sent so many milliseconds after the one before and so many on its way.
        fn hear(&mut self, packets: &[(i64, i64)]) {
            for (gap, wait) in packets {
                self.number += gap.max(&0);
                if *gap == 0 {
                    self.number += 20;
                }
                let sent = self.number * 1000;
                let arrival = Arrival {
                    sent: Tick(u64::try_from(sent).unwrap()),
                    at: sent + wait * 1000,
                    bytes: 1200,
                    probe: None,
                    is_limited: false,
                };
                // What is sent at once is one group.
                if *gap != 1 {
                    self.queueing.add(&Delta {
                        sent: 20.0,
                        arrived: 20.0,
                        at: arrival.at,
                        transit: wait * 1000,
                    });
                }
                self.queueing.note_newest(wait * 1000);
                let now = Tick(u64::try_from(arrival.at + 20_000).unwrap());
                self.surge
                    .update(&[arrival], &self.queueing, true, 1.5e6, now);
                if self.surge.ends(now) {
                    self.queueing.settle();
                }
            }
        }
    }

    #[test]
    fn a_queue_that_grows_at_once_is_a_surge_and_tells_the_rate_of_the_line() {
        let mut line = Line::calm();
        // 300 kb/s: 32 ms for each packet.
        line.hear(&[(1, 32), (1, 63), (1, 94), (1, 125)]);
        assert!(line.surge.is_on());
        let served = line.surge.served().expect("three packets in a row");
        assert!((290e3..310e3).contains(&served), "{served}");
        line.hear(&[(100, 60), (20, 30)]);
        assert!(!line.surge.is_on(), "it has drained");
    }

    #[test]
    fn a_line_that_was_silent_for_a_moment_is_not_slow() {
        let mut line = Line::calm();
        // Nothing came for 200 ms, then everything at once.
        for packet in [201, 201, 201, 181, 161, 141, 121, 101, 81, 61, 41] {
            let gap = if packet == 201 { 1 } else { 20 };
            line.hear(&[(gap, packet)]);
            assert!(!line.surge.is_on(), "at {packet}");
        }
        assert_eq!(line.surge.served(), None);
    }

    #[test]
    fn a_longer_way_is_no_surge_for_long() {
        let mut line = Line::calm();
        line.hear(&[(20, 150); 20]);
        assert!(!line.surge.is_on(), "nothing has proved a queue");
        for _ in 0..300 {
            line.hear(&[(20, 150)]);
            assert!(!line.surge.is_on(), "the same once more");
        }
    }

    #[test]
    fn a_line_that_breaks_in_where_packets_wait_anyway_is_found_before_that_is_usual() {
        let mut line = Line::calm();
        line.hear(&[(0, 20), (1, 5), (0, 1)].repeat(50));
        assert!(!line.surge.is_on());
        // Reports come late, when several pictures are behind each other already.
        line.hear(&[(20, 40), (20, 60)]);
        assert!(!line.surge.is_on(), "not yet far longer");
        line.hear(&[(20, 90), (20, 130)]);
        assert!(line.surge.is_on());
    }
}
