//! Forwarding allocates nothing: neither per packet nor per frame, and timers, reports and feedback hardly anything.
//! A binary of its own, because the counting allocator is global.

#[path = "stage/webinar.rs"]
mod webinar;

use allocation_counter::measure;
use webinar::{PACKETS, Webinar};

const VIEWERS: u16 = 50;

/// Allocations of all timers (reports of 51 legs, arrival feedback, active speaker, keyed path messages) per second of a call.
const TIMERS_PER_SECOND: u64 = 30;

#[test]
fn the_counter_sees_an_allocation() {
    let info = measure(|| {
        std::hint::black_box(Vec::<u8>::with_capacity(1));
    });
    assert_eq!(info.count_total, 1);
}

#[test]
fn a_forwarded_frame_allocates_nothing() {
    let mut webinar = Webinar::new(VIEWERS);
    let (mut forwarded, mut frames, mut timers) = (0, 0, 0);
    for second in 0..5 {
        for _ in 0..30 {
            webinar.seal_frame();
            let info = measure(|| {
                webinar.receive();
                forwarded += webinar.send().packets;
            });
            let pause = measure(|| webinar.advance());
            // Queues and histories grow to their size in the first two seconds.
            if second > 1 {
                frames += info.count_total;
                timers += pause.count_total;
            }
        }
    }
    assert_eq!(forwarded, 5 * 30 * PACKETS * usize::from(VIEWERS));
    assert_eq!(frames, 0, "allocations while frames are forwarded");
    assert!(
        timers <= 3 * TIMERS_PER_SECOND,
        "{timers} allocations by timers in three seconds"
    );
}
