//! What forwarding costs beside the cipher: thread CPU time of the engine alone, without sockets, as a multiple of what no SFU can avoid
//! (copy a packet, write a header, seal it with the subscriber's key), measured in turns within one run.
//!
//! `cargo bench -p baton-engine`. With `-- engine 50` or `-- floor 50` it runs that part alone a fixed number of times, for a profiler.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/stage/webinar.rs"]
mod webinar;

use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustix::time::{ClockId, clock_gettime};
use webinar::{PACKETS, PAYLOAD, Sent, Webinar};

/// Subscribers of one publisher.
const AUDIENCES: [u16; 3] = [20, 50, 150];

/// Rounds whose median counts, and frames in each.
const ROUNDS: usize = 31;
const FRAMES: usize = 30;

/// Fixed header, one contributing source and one extension: what the engine writes too.
const HEADER: usize = 12 + 4 + 8;
const TAG: usize = 16;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [part, viewers, ..] if part == "engine" || part == "floor" => {
            run_alone(part, viewers.parse().expect("a number of subscribers"));
        }
        _ => AUDIENCES.into_iter().for_each(compare),
    }
}

/// Without figures, for perf and callgrind.
fn run_alone(part: &str, viewers: u16) {
    let mut floor = Floor::new(viewers);
    let mut webinar = Webinar::new(viewers);
    for _ in 0..FRAMES {
        if part == "floor" {
            floor.send();
        } else {
            webinar.seal_frame();
            webinar.receive();
            webinar.send();
            webinar.advance();
        }
    }
}

fn compare(viewers: u16) {
    let mut floor = Floor::new(viewers);
    let mut webinar = Webinar::new(viewers);
    let mut rounds: [Vec<Duration>; 4] = Default::default();
    let mut sent = Sent::default();
    for _ in 0..ROUNDS {
        let mut spent = [Duration::ZERO; 4];
        for _ in 0..FRAMES {
            webinar.seal_frame();
            spent[0] += cpu_time(|| floor.send());
            spent[1] += cpu_time(|| webinar.receive());
            spent[2] += cpu_time(|| sent = webinar.send());
            spent[3] += cpu_time(|| {
                webinar.advance();
            });
        }
        for (all, spent) in rounds.iter_mut().zip(spent) {
            all.push(spent);
        }
    }
    let forwarded = FRAMES * PACKETS * usize::from(viewers);
    let [floor, receive, send, timers] = rounds.map(|mut round| {
        round.sort_unstable();
        round[ROUNDS / 2].as_nanos() as f64 / forwarded as f64
    });
    let engine = receive + send + timers;
    println!(
        "{viewers:>4} subscribers: {engine:>4.0} ns per forwarded packet, {:.2} x floor ({floor:.0} ns); sending {send:.0}, timers {timers:.1}, \
         receiving {:.0} ns per publisher packet; {:.1} packets per call",
        engine / floor,
        receive * f64::from(viewers),
        sent.packets as f64 / sent.calls as f64,
    );
}

/// The unavoidable: every packet of a frame, for every subscriber.
struct Floor {
    keys: Vec<LessSafeKey>,
    packet: [u8; PAYLOAD],
    seq: u64,
    out: Vec<u8>,
}

impl Floor {
    fn new(viewers: u16) -> Self {
        let key = |index: u16| {
            let mut bytes = [7; 16];
            bytes[..2].copy_from_slice(&index.to_be_bytes());
            LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &bytes).expect("16 bytes"))
        };
        Self {
            keys: (0..viewers).map(key).collect(),
            packet: [0x55; PAYLOAD],
            seq: 0,
            out: vec![0; PACKETS * (HEADER + PAYLOAD + TAG)],
        }
    }

    fn send(&mut self) {
        for key in &self.keys {
            for (index, out) in self
                .out
                .chunks_exact_mut(HEADER + PAYLOAD + TAG)
                .enumerate()
            {
                let [.., s0, s1] = (self.seq + index as u64).to_be_bytes();
                let (header, body) = out.split_at_mut(HEADER);
                let (body, tag) = body.split_at_mut(PAYLOAD);
                header.fill(0x90);
                header[2..4].copy_from_slice(&[s0, s1]);
                body.copy_from_slice(&self.packet);
                let nonce = Nonce::assume_unique_for_key([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, s0, s1]);
                let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(&*header), body);
                tag.copy_from_slice(sealed.expect("sealed").as_ref());
            }
            std::hint::black_box(&mut self.out);
        }
        self.seq += PACKETS as u64;
    }
}

fn cpu_time(work: impl FnOnce()) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("a clock");
    let start = now();
    work();
    now() - start
}
