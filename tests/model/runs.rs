//! Runs, one or very many: a fixed range of seeds by default, the seeds that once failed by name, and as many as one asks for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::tally::Tally;
use crate::world::{HUNT, SOLE, World};

/// Seeds of every `cargo test`.
const USUAL: u64 = 4000;

/// Lines of the trace that are shown.
const SHOWN: usize = 400;

fn run(seed: u64) -> Result<Tally, String> {
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed, false);
        let result = world.run();
        result.map(|()| world.tally()).map_err(|broken| broken.0)
    }));
    ended.unwrap_or_else(|_| Err("the code under test panicked".to_owned()))
}

/// What happened in a run, to be read.
fn tell(seed: u64) -> String {
    let mut world = World::new(seed, true);
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    let trace = world.trace.take().unwrap_or_default();
    let from = trace
        .len()
        .saturating_sub(match std::env::var("BATON_SEED") {
            Ok(_) => usize::MAX,
            Err(_) => SHOWN,
        });
    let ended = match result {
        Ok(Ok(())) => "all is well".to_owned(),
        Ok(Err(broken)) => format!("BROKEN: {}", broken.0),
        Err(_) => "PANIC".to_owned(),
    };
    format!(
        "{}\n{ended}\nagain: BATON_SEED={seed}",
        trace[from..].join("\n")
    )
}

/// One run, told if it fails.
fn expect(seed: u64) {
    if let Err(why) = run(seed) {
        panic!("seed {seed}: {why}\n{}", tell(seed));
    }
}

/// All seeds from `first` on, on all processors.
fn sweep(first: u64, count: u64) -> Tally {
    let next = AtomicU64::new(first);
    let has_failed = AtomicBool::new(false);
    let total = Mutex::new(Tally::default());
    let failed = Mutex::new(Vec::new());
    let began = Instant::now();
    let most: usize = number("BATON_FAILURES").map_or(1, |most| usize::try_from(most).unwrap());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || has_failed.load(Ordering::Relaxed) {
                        return;
                    }
                    match run(seed) {
                        Ok(tally) => total.lock().unwrap().add(&tally),
                        Err(why) => {
                            let mut failed = failed.lock().unwrap();
                            failed.push((seed, why));
                            has_failed.store(failed.len() >= most, Ordering::Relaxed);
                        }
                    }
                    let done = seed + 1 - first;
                    if done.is_multiple_of(10_000) {
                        let rate = done as f64 / began.elapsed().as_secs_f64();
                        println!("{done} runs, {rate:.0} a second");
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    if let Some((seed, why)) = failed.first() {
        for (seed, why) in &failed {
            println!("seed {seed}: {why}");
        }
        panic!("seed {seed}: {why}\n{}", tell(*seed));
    }
    let total = total.into_inner().unwrap();
    let rate = count as f64 / began.elapsed().as_secs_f64();
    println!("{count} runs, {rate:.0} a second: {total:#?}");
    total
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn never_two_hosts_in_one_epoch_and_never_media_for_somebody_not_admitted() {
    if let Some(seed) = number("BATON_SEED") {
        println!("{}", tell(seed));
        return expect(seed);
    }
    let count = number("BATON_RUNS").unwrap_or(USUAL);
    let total = sweep(number("BATON_FIRST").unwrap_or(0), count);
    assert_it_happened(&total, count);
}

#[test]
fn nor_where_computers_stand_by_for_the_only_server() {
    let count = number("BATON_RUNS").unwrap_or(USUAL) / 4;
    let total = sweep(SOLE + number("BATON_FIRST").unwrap_or(0), count);
    assert_it_happened(&total, count);
}

#[test]
fn nor_where_the_removed_try_at_every_moment() {
    let count = number("BATON_RUNS").unwrap_or(USUAL) / 4;
    for kind in [HUNT, HUNT + SOLE] {
        let total = sweep(kind + number("BATON_FIRST").unwrap_or(0), count / 2);
        assert!(total.kicked * 2 > count && total.kept_out > count);
    }
}

/// A world in which nothing happens proves nothing: on average over the runs, at least so much of each.
fn assert_it_happened(total: &Tally, runs: u64) {
    let per_mille = |count: u64| count * 1000 / runs;
    for (what, count, least) in total.named() {
        let found = per_mille(count);
        assert!(found >= least, "only {found} per 1000 runs: {what}");
    }
}

/// What the model found in the code when it was new. Each is a run that failed.
macro_rules! found {
    ($($name:ident: $seeds:expr,)*) => {
        $(
            #[test]
            fn $name() {
                for seed in $seeds {
                    expect(seed);
                }
            }
        )*
    };
}

found! {
    a_host_that_was_stopped_while_it_was_made_host_and_replaced_stays_silent: [149, 240, 367, 644],
    a_room_that_nobody_remembers_begins_above_all_that_was_believed: [21, 27, 66, 294],
    a_server_that_stood_by_is_not_taken_for_the_host_of_that_term: [584],
    a_server_that_was_not_told_that_it_stands_by_does_not_claim_the_term: [20418, 27408, 29606],
    a_host_that_nobody_can_replace_does_not_keep_signaling_busy_for_ever: [3097],
    a_computer_that_asks_to_go_on_and_is_nothing_is_told: [61],
    who_believes_in_a_newer_term_than_anybody_tells_of_is_overtaken: [309, 376, 5804, 7255, 8417],
    who_was_removed_does_not_come_back_by_the_token_of_who_slipped_in: [13322, 17847],
    a_computer_that_only_guests_tell_of_has_a_lease: [42825],
    a_server_is_asked_in_no_older_epoch_than_it_has_seen: [42894, 250757],
    a_role_that_is_said_again_takes_no_call_away: [614, 1771],
    clocks_that_differ_since_take_no_term_away: [9596, 10386, 15554],
    a_computer_is_asked_in_no_epoch_that_it_only_claims: [26446],
    where_all_were_removed_their_host_is_known_by_who_was_welcomed: [HUNT + 551_038, HUNT + 552_335],
    a_link_begins_with_all_removals: [75218],
    nobody_is_asked_while_no_host_is_there_that_could_have_a_term: [SOLE + 102_446],
    a_calendar_that_went_forth_and_back_makes_no_ticket_good_again: [231_310],
    a_term_that_an_earlier_calendar_numbered_is_overtaken: [SOLE + 239_243, SOLE + 315_081, SOLE + 401_047],
    a_computer_that_stood_by_lets_go_of_whoever_is_removed_later: [463],
    a_server_without_legs_tells_the_epoch_that_it_has_seen: [187433],
}
