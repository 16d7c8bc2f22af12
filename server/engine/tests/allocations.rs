//! Forwarding allocates nothing: neither per packet nor per frame, nor for what strangers send; timers, reports and feedback hardly
//! anything.
//! A binary of its own, because the counting allocator is global.

#[path = "stage/webinar.rs"]
mod webinar;

use std::net::SocketAddr;

use allocation_counter::measure;
use baton_engine::Routed;
use webinar::{PACKETS, Webinar};

const VIEWERS: u16 = 50;

/// Allocations of all timers per second of a call: reports of 51 legs, arrival feedback, active speaker, keyed path messages, and the
/// second's report of each viewer's line.
const TIMERS_PER_SECOND: u64 = 30 + VIEWERS as u64;

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
            let pause = measure(|| {
                webinar.advance();
            });
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

#[test]
fn estimated_and_paced_lines_allocate_nothing_per_frame_or_report() {
    const SECONDS: usize = 15;
    const MEASURED: usize = 5;
    let mut webinar = Webinar::reporting(VIEWERS);
    let (mut forwarded, mut padding, mut frames, mut reports, mut timers) = (0, 0, 0, 0, 0);
    for frame in 0..30 * SECONDS {
        let is_measured = frame >= 30 * (SECONDS - MEASURED);
        webinar.seal_frame();
        let mut sent = 0;
        let sending = measure(|| {
            webinar.receive();
            sent = webinar.send().packets;
        });
        let pause = measure(|| {
            let more = webinar.advance();
            sent += more.packets;
            padding += more.padding;
        });
        let mut reporting = 0;
        if frame % 3 == 0 {
            webinar.write_reports();
            reporting = measure(|| webinar.receive_reports()).count_total;
        }
        if is_measured {
            forwarded += sent;
            frames += sending.count_total;
            reports += reporting;
            timers += pause.count_total;
        }
    }
    assert!(padding > 0, "no line was probed, so none was estimated");
    let wanted = 30 * MEASURED * PACKETS * usize::from(VIEWERS);
    assert!(
        forwarded * 100 >= wanted * 99,
        "{forwarded} of {wanted} packets: lines without a limit were found too narrow"
    );
    assert_eq!(frames, 0, "allocations while frames are forwarded");
    assert_eq!(reports, 0, "allocations while arrival reports are taken");
    let seconds = u64::try_from(MEASURED).expect("few");
    assert!(
        timers <= seconds * TIMERS_PER_SECOND,
        "{timers} allocations by timers in {MEASURED} seconds"
    );
}

#[test]
fn datagrams_of_strangers_allocate_nothing() {
    let mut webinar = Webinar::new(2);
    let mut datagrams = strangers();
    let mut elsewhere = 0;
    let info = measure(|| {
        for port in 1..=1000 {
            let remote = SocketAddr::from(([198, 51, 100, 7], port));
            for bytes in &mut datagrams {
                elsewhere += usize::from(webinar.hear(remote, bytes) == Routed::Elsewhere);
            }
        }
    });
    assert_eq!(info.count_total, 0);
    assert_eq!(elsewhere, 1000 * datagrams.len(), "no leg has them");
}

/// One of each class of RFC 7983, a request for a leg that is not there, and what is too short to be anything.
fn strangers() -> Vec<Vec<u8>> {
    let mut datagrams: Vec<Vec<u8>> = [0, 1, 16, 22, 64, 79, 128, 200, 255]
        .into_iter()
        .flat_map(|first| [vec![first], [&[first], &[7; 1200][..]].concat()])
        .collect();
    // RFC 8489 sections 5 and 14.3: a binding request for the user "nobody:me".
    let mut request = vec![0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42];
    request.extend([9; 12]);
    request.extend([0, 6, 0, 9]);
    request.extend(b"nobody:me\0\0\0");
    datagrams.push(request);
    datagrams
}
