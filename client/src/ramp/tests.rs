use proptest::prelude::*;

use super::*;

const TICK: Duration = Duration::from_millis(4);

/// A line of a rate, with a queue in front of it, and a host at its end that reports every 50 ms.
struct Line {
    bps: f64,
    /// Packets that fit into the queue.
    queue: usize,
    free_at: Duration,
    waiting: VecDeque<Duration>,
    arrivals: Vec<(u16, Option<i64>)>,
    longest: Duration,
}

impl Line {
    fn new(bps: f64, queue: usize) -> Self {
        Self {
            bps,
            queue,
            free_at: Duration::ZERO,
            waiting: VecDeque::new(),
            arrivals: Vec::new(),
            longest: Duration::ZERO,
        }
    }

    fn send(&mut self, number: u16, at: Duration) {
        self.waiting.retain(|left| *left > at);
        if self.waiting.len() >= self.queue {
            self.arrivals.push((number, None));
            return;
        }
        let begins = self.free_at.max(at);
        self.free_at = begins + Duration::from_secs_f64(WIRE_BYTES as f64 * 8.0 / self.bps);
        self.waiting.push_back(self.free_at);
        self.longest = self.longest.max(self.free_at - at);
        let arrived = host_clock(self.free_at);
        self.arrivals.push((number, Some(arrived)));
    }
}

/// Microseconds of a clock that began at another time.
fn host_clock(at: Duration) -> i64 {
    i64::try_from(at.as_micros()).unwrap() + 7_000_000_000
}

/// Plays a probe; gives its report and the longest wait on the line.
fn play(plan: ProbePlan, line: &mut Line, is_heard: bool) -> (ProbeReport, Duration) {
    let start = Instant::now();
    let mut ramp = Ramp::new(plan, 65_500, start);
    let (mut number, mut at) = (65_500_u16, Duration::ZERO);
    loop {
        match ramp.poll(start + at) {
            Step::End(_) => return (ramp.report(), at),
            Step::Send(count) => {
                for _ in 0..count {
                    line.send(number, at);
                    number = number.wrapping_add(1);
                }
            }
        }
        if is_heard && at.as_millis().is_multiple_of(52) {
            let now = host_clock(at);
            let (come, rest) = std::mem::take(&mut line.arrivals)
                .into_iter()
                .partition(|(_, arrived)| arrived.is_none_or(|arrived| arrived <= now));
            line.arrivals = rest;
            let come: Vec<_> = come;
            ramp.note_arrivals(&come, start + at);
        }
        at += TICK;
        assert!(at < Duration::from_secs(30), "it ends");
    }
}

fn plan(mbps: u64) -> ProbePlan {
    ProbePlan {
        up_to_bps: mbps * 1_000_000,
        budget_bytes: 10_000_000,
    }
}

#[test]
fn a_line_that_carries_it_is_probed_to_the_top_within_seconds() {
    let mut line = Line::new(100e6, 500);
    let (report, took) = play(plan(24), &mut line, true);
    assert_eq!(report.end, ProbeEnd::Top);
    assert_eq!(report.reached_bps, 24_000_000);
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(report.sent_bytes < 7_000_000, "{report:?}");
}

#[test]
fn a_full_line_is_left_before_anybody_waits_for_long() {
    for mbps in [2.0, 4.0, 9.0, 20.0] {
        let mut line = Line::new(mbps * 1e6, 1000);
        let (report, _) = play(plan(40), &mut line, true);
        assert_eq!(report.end, ProbeEnd::Delay, "{mbps} Mb/s");
        assert!(report.reached_bps as f64 > mbps * 1e6, "{mbps} Mb/s");
        assert!(
            line.longest < Duration::from_millis(250),
            "{mbps} Mb/s: {:?}",
            line.longest
        );
    }
}

#[test]
fn a_line_without_a_queue_loses_and_is_left() {
    let mut line = Line::new(6e6, 6);
    let (report, _) = play(plan(24), &mut line, true);
    assert_eq!(report.end, ProbeEnd::Loss);
    assert!(report.reached_bps < 12_000_000, "{report:?}");
}

#[test]
fn nothing_is_sent_for_long_into_a_silence() {
    let mut line = Line::new(100e6, 500);
    let (report, took) = play(plan(24), &mut line, false);
    assert_eq!(report.end, ProbeEnd::Deaf);
    assert!(took <= DEAF + TICK, "{took:?}");
    assert!(report.sent_bytes < 300_000, "{report:?}");
}

#[test]
fn it_ends_at_once_when_somebody_needs_the_line() {
    let now = Instant::now();
    let mut ramp = Ramp::new(plan(24), 0, now);
    assert!(matches!(ramp.poll(now + TICK), Step::Send(_)));
    ramp.interrupt();
    assert_eq!(ramp.poll(now + TICK), Step::End(ProbeEnd::Interrupted));
}

#[test]
fn a_poll_that_is_late_makes_no_burst() {
    let now = Instant::now();
    let mut ramp = Ramp::new(plan(1), 0, now);
    let late = ramp.poll(now + Duration::from_millis(500));
    assert_eq!(late, Step::Send(2), "20 ms of 1 Mb/s");
}

proptest! {
    #[test]
    fn the_budget_is_never_exceeded(mbps in 1u64..200, budget in 0u64..3_000_000, line in 1.0..300.0) {
        let mut line = Line::new(line * 1e6, 300);
        let plan = ProbePlan { up_to_bps: mbps * 1_000_000, budget_bytes: budget };
        let (report, _) = play(plan, &mut line, true);
        prop_assert!(report.sent_bytes <= budget);
    }

    #[test]
    fn whatever_the_other_side_says_is_borne(
        said in proptest::collection::vec((any::<u16>(), proptest::option::of(any::<i64>())), 0..200),
    ) {
        let now = Instant::now();
        let mut ramp = Ramp::new(plan(24), 9, now);
        for turn in 1..50 {
            ramp.poll(now + TICK * turn);
        }
        ramp.note_arrivals(&said, now + TICK * 50);
        ramp.poll(now + TICK * 51);
    }
}
