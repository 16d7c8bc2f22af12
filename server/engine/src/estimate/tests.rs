//! The figures that the estimator is to reach, on simulated lines, and what it has to bear.

mod call;
mod garbage;
mod line;
mod tcp;

use std::time::Duration;

use super::{Estimator, Kind, LEAST, START, Usage};
use crate::bitrate::Bitrate;
use crate::time::Tick;
use call::Call;
use line::{Jitter, Line};
use tcp::Tcp;

const MBIT: f64 = 1e6;

const ROUND_TRIPS: [u64; 3] = [20, 100, 200];

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn call(rate: f64, round_trip: u64, seed: u64) -> Call {
    Call::new(Line::new(rate, ms(round_trip) / 2, seed))
}

#[test]
fn a_steady_line_is_estimated_within_85_to_110_percent() {
    for (round_trip, loss) in ROUND_TRIPS
        .iter()
        .flat_map(|&rtt| [(rtt, 0.0), (rtt, 0.01)])
    {
        for rate in [0.3 * MBIT, MBIT, 2.0 * MBIT, 4.0 * MBIT] {
            let mut call = call(rate, round_trip, 1);
            call.line.loss = loss;
            call.run(s(30));
            let mean = call.mean(s(20)) / rate;
            let case = format!("{rate} b/s, {round_trip} ms, loss {loss}");
            println!("{case}: {mean:.2}, queue {:?}", call.longest_queue(s(20)));
            assert!((0.85..1.10).contains(&mean), "{case}: {mean:.2}");
            let within = |sample: &&call::Sample| (0.8..1.2).contains(&(sample.target / rate));
            let all = call.last(s(20));
            let share = all.iter().filter(within).count() as f64 / all.len() as f64;
            assert!(share > 0.95, "{case}: {share:.2} of the time near the rate");
            assert!(call.longest_queue(s(20)) < ms(250), "{case}");
        }
    }
}

#[test]
fn a_way_that_has_become_longer_is_no_queue() {
    for seed in 1..=4 {
        let mut call = call(MBIT, 20, seed);
        call.most = 0.5 * MBIT;
        call.run(s(8));
        call.line.delay += ms(50);
        call.run(s(10));
        let wait = call.estimator.view().queueing;
        assert!(wait < ms(30), "seed {seed}: it takes {wait:?} for a queue");
        call.run(s(20));
        let mean = call.mean(s(20)) / MBIT;
        println!("seed {seed}: {mean:.2}");
        assert!(mean > 0.85, "seed {seed}: {mean:.2}");
    }
}

/// What the call got of the line beside a download, and how much of it the two used, in the minute after the first 20 s.
fn share(rate: f64, round_trip: u64, queue: Duration, seed: u64) -> (f64, f64) {
    let mut call = call(rate, round_trip, seed);
    call.tcp = Some(Tcp::new());
    call.line.queue = queue;
    let carried = |call: &Call| {
        let theirs = call.tcp.as_ref().map_or(0, Tcp::received);
        (call.received as f64, theirs as f64)
    };
    call.run(s(20));
    let before = carried(&call);
    call.run(s(60));
    let after = carried(&call);
    let (ours, theirs) = (after.0 - before.0, after.1 - before.1);
    (ours / (ours + theirs), (ours + theirs) * 8.0 / 60.0 / rate)
}

#[test]
fn a_download_beside_the_call_leaves_it_30_to_70_percent() {
    for (round_trip, queue) in ROUND_TRIPS
        .iter()
        .flat_map(|&rtt| [(rtt, ms(200)), (rtt, ms(500))])
    {
        let all = [1, 2, 3, 4].map(|seed| share(3.0 * MBIT, round_trip, queue, seed));
        let mean = all.iter().map(|(share, _)| share).sum::<f64>() / 4.0;
        println!("{round_trip} ms, queue {queue:?}: {mean:.2} {all:.2?}");
        assert!((0.3..0.7).contains(&mean), "{round_trip} ms: {mean:.2}");
        for (share, used) in all {
            assert!((0.2..0.8).contains(&share), "{round_trip} ms: {share:.2}");
            assert!(used > 0.95, "the two left {:.2} of the line", 1.0 - used);
        }
    }
}

#[test]
fn a_line_that_breaks_in_is_followed_down_within_three_seconds_and_up_within_fifteen() {
    for round_trip in ROUND_TRIPS {
        let mut call = call(3.0 * MBIT, round_trip, 3);
        call.line.queue = s(1);
        call.run(s(15));
        assert!(call.target() > 2.5 * MBIT);
        call.line.rate = 0.3 * MBIT;
        call.run(s(3));
        let worst = call.longest_queue(s(3));
        call.run(s(12));
        let after = call.longest_queue(s(12));
        println!("{round_trip} ms: {worst:?} and then {after:?}");
        assert!(after < ms(200), "{round_trip} ms: {after:?}");
        call.line.rate = 3.0 * MBIT;
        call.run(s(15));
        println!("up to {:.0}", call.target());
        assert!(
            call.target() > 1.5 * MBIT,
            "{round_trip} ms: {}",
            call.target()
        );
    }
}

#[test]
fn a_fast_line_is_found_within_three_seconds() {
    for round_trip in ROUND_TRIPS {
        let mut call = call(5.0 * MBIT, round_trip, 4);
        call.run(s(3));
        println!(
            "{round_trip} ms: {:.0}, padding {}",
            call.target(),
            call.padding
        );
        assert!(
            call.target() > 1.5 * MBIT,
            "{round_trip} ms: {}",
            call.target()
        );
        assert!(call.padding < 60_000, "{} bytes of padding", call.padding);
    }
}

#[test]
fn a_slow_line_is_not_flooded_at_the_start() {
    for round_trip in ROUND_TRIPS {
        let mut call = call(0.5 * MBIT, round_trip, 5);
        call.line.queue = s(3);
        call.run(s(15));
        let longest = call.longest_queue(s(15));
        println!("{round_trip} ms: {longest:?}");
        assert!(longest < ms(300), "{round_trip} ms: {longest:?}");
        assert!(call.mean(s(5)) > 0.4 * MBIT);
    }
}

#[test]
fn jitter_of_200_ms_is_no_reason_to_fall() {
    for (jitter, least) in [
        (Jitter::InOrder(ms(200)), 0.5),
        (Jitter::AnyOrder(ms(200)), 0.2),
    ] {
        let mut call = call(3.0 * MBIT, 100, 6);
        call.line.jitter = jitter;
        call.run(s(40));
        let mean = call.mean(s(20)) / call.line.rate;
        println!("{jitter:?}: {mean:.2}");
        assert!(mean > least, "{jitter:?}: {mean:.2}");
    }
}

#[test]
fn chance_losses_leave_a_usable_rate() {
    for (loss, burst, least) in [(0.03, 0.0, 2.5), (0.1, 0.0, 0.8), (0.0, 0.3, 0.2)] {
        let mut call = call(3.0 * MBIT, 100, 7);
        call.line.loss = loss;
        call.line.burst_loss = burst;
        call.run(s(60));
        let mean = call.mean(s(30));
        println!("{loss} by chance, {burst} in bursts: {mean:.0}");
        assert!(
            mean > least * MBIT,
            "{loss} by chance, {burst} in bursts: {mean:.0}"
        );
        let seen = call.estimator.view().loss;
        assert!(
            (seen - loss - burst).abs() < 0.12 + burst / 2.0,
            "{seen} seen"
        );
    }
}

#[test]
fn a_line_that_drops_what_is_too_much_without_a_queue_is_not_overrun() {
    let mut call = call(MBIT, 50, 8);
    call.line.queue = ms(5);
    call.run(s(60));
    let mean = call.mean(s(30)) / call.line.rate;
    let loss = call.estimator.view().loss;
    println!("{mean:.2}, loss {loss:.3}");
    assert!((0.4..1.15).contains(&mean), "{mean:.2}");
}

#[test]
fn a_leg_that_sends_little_keeps_its_estimate_and_finds_out_more_only_by_probes() {
    let mut call = call(3.0 * MBIT, 50, 9);
    call.run(s(10));
    let before = call.target();
    call.most = 100_000.0;
    call.run(s(60));
    assert!(call.estimator.view().is_limited);
    assert!(
        call.target() > 0.8 * before,
        "{before} fell to {}",
        call.target()
    );
    assert!(
        call.target() < 1.2 * 3.0 * MBIT,
        "wound up to {}",
        call.target()
    );
    call.line.rate = 8.0 * MBIT;
    call.estimator
        .want_probe(Bitrate::from_kbps(6_000), Tick(0));
    call.run(s(10));
    assert!(
        call.target() > 4.0 * MBIT,
        "probes have shown {}",
        call.target()
    );
}

#[test]
fn an_estimate_beyond_what_is_wanted_is_not_probed() {
    let mut call = call(20.0 * MBIT, 50, 10);
    call.estimator.set_wanted(Bitrate::from_kbps(1_000));
    call.most = 100_000.0;
    call.run(s(5));
    let padding = call.padding;
    assert!(call.target() >= MBIT, "{}", call.target());
    call.run(s(60));
    assert_eq!(call.padding, padding);
}

#[test]
fn for_something_new_there_is_room_within_half_a_second() {
    // A quarter of a second after the first probes, and any time later.
    for before in [750, 1_500, 3_300, 20_000] {
        let mut call = call(20.0 * MBIT, 50, 13);
        call.most = 200_000.0;
        call.estimator.set_wanted(Bitrate::from_kbps(1_200));
        call.run(Duration::from_millis(before));
        call.want(Bitrate::from_kbps(2_400));
        call.run(Duration::from_millis(300));
        assert!(call.target() < 5.0 * MBIT, "{}", call.target());
        for _ in 0..5 {
            call.want(Bitrate::from_kbps(10_000));
            call.run(Duration::from_millis(100));
        }
        let target = call.target();
        assert!(target >= 10.0 * MBIT, "{target} when after {before} ms");
    }
}

#[test]
fn without_padding_the_estimate_grows_as_far_as_the_application_dares() {
    let mut call = call(5.0 * MBIT, 50, 11);
    call.estimator.set_can_probe(false);
    call.run(s(60));
    assert_eq!(call.padding, 0);
    assert!(call.target() > 2.0 * MBIT, "{}", call.target());
}

#[test]
fn when_feedback_stops_the_estimate_falls_and_comes_back_with_it() {
    let mut call = call(3.0 * MBIT, 50, 12);
    call.run(s(10));
    let before = call.target();
    call.is_deaf = true;
    call.run(s(6));
    let during = call.target();
    assert!(
        during < 0.5 * before,
        "{before} and {during} without feedback"
    );
    call.is_deaf = false;
    call.run(s(15));
    assert!(
        call.target() > 0.8 * before,
        "{before} and then {}",
        call.target()
    );
}

#[test]
fn without_arrival_feedback_remb_and_reported_losses_count() {
    let mut estimator = Estimator::new(START);
    let at = |second: u64| Tick(second * 1_000_000);
    assert_eq!(estimator.target(), START);
    estimator.handle_remb(Bitrate::from_kbps(1_200), at(1));
    assert_eq!(estimator.target(), Bitrate::from_kbps(1_200));
    for second in 2..8 {
        estimator.handle_report_loss(77, at(second));
    }
    assert!(estimator.target() < Bitrate::from_kbps(500), "30 % lost");
    estimator.handle_remb(Bitrate::from_kbps(1_200), at(8));
    assert!(estimator.target() < Bitrate::from_kbps(500), "still lost");
    for second in 9..60 {
        estimator.handle_report_loss(0, at(second));
    }
    assert!(estimator.target() > Bitrate::from_kbps(1_000));
    assert_eq!(estimator.view().usage, Usage::Normal);
}

#[test]
fn a_start_value_can_be_known_from_elsewhere() {
    assert_eq!(
        Estimator::new(Bitrate::from_kbps(2_000)).target(),
        Bitrate::from_kbps(2_000)
    );
    assert_eq!(Estimator::new(Bitrate(0)).target(), LEAST);
}

#[test]
fn what_may_be_sent_is_unknown_until_somebody_reports_or_has_agreed_to() {
    let mut estimator = Estimator::new(START);
    assert_eq!(estimator.budget(), None);
    estimator.expect_feedback(true);
    assert_eq!(estimator.budget(), Some(START));
    estimator.note_sent(1, 1200, Kind::Media, Tick(0));
    estimator.handle_timeout(Tick(1_000_000));
    assert_eq!(estimator.budget(), Some(START));
    estimator.handle_timeout(Tick(2_000_000));
    assert_eq!(estimator.budget(), None, "agreed and not done");
    estimator.handle_report_loss(0, Tick(3_000_000));
    assert!(estimator.budget().is_some());
}

#[test]
fn a_probe_that_cannot_be_sent_is_given_up() {
    let mut call = call(3.0 * MBIT, 50, 13);
    while call.estimator.deadline() == Tick::NEVER {
        call.run(ms(1));
        assert!(call.samples.len() < 100, "no probe");
    }
    let now = call.estimator.deadline();
    assert!(call.estimator.poll_probe(now + ms(5)).is_some());
    assert!(call.estimator.deadline() > now);
    call.estimator.handle_timeout(now + s(1));
    call.estimator.handle_timeout(now + s(2));
    assert_eq!(call.estimator.deadline(), Tick::NEVER);
}

#[test]
fn a_line_that_was_bad_when_everything_was_paused_is_probed_all_the_same() {
    let mut call = call(3.0 * MBIT, 50, 15);
    call.line.loss = 0.5;
    call.run(s(20));
    assert!(call.target() < 0.3 * MBIT, "{}", call.target());
    call.is_paused = true;
    call.line.loss = 0.0;
    call.estimator.set_wanted(Bitrate::from_kbps(2_000));
    call.run(s(20));
    assert!(call.target() > MBIT, "{}", call.target());
}
