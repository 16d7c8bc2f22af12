use std::net::UdpSocket;

use super::*;
use crate::netns;

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn a_packet_arrives_after_the_delay_and_not_before() {
    let (mut shaper, start) = (Shaper::new(1), Instant::now());
    let line = Line {
        delay: millis(40),
        ..Line::default()
    };
    assert_eq!(shaper.admit(b"a", &line, start), Verdict::Queued);
    assert_eq!(shaper.depart(start + millis(39)), None);
    assert_eq!(
        shaper.depart(start + millis(40)).as_deref(),
        Some(&b"a"[..])
    );
}

#[test]
fn jitter_keeps_the_order_unless_told_otherwise() {
    let arrival_order = |reorders| {
        let (mut shaper, start) = (Shaper::new(7), Instant::now());
        let line = Line {
            delay: millis(50),
            jitter: millis(40),
            reorders,
            ..Line::default()
        };
        for count in 0..100_u8 {
            shaper.admit(&[count], &line, start + millis(u64::from(count)));
        }
        std::iter::from_fn(|| shaper.depart(start + millis(1_000)))
            .map(|packet| packet[0])
            .collect::<Vec<_>>()
    };
    assert!(arrival_order(false).is_sorted());
    assert!(!arrival_order(true).is_sorted());
}

#[test]
fn the_lost_share_is_what_was_asked_for_and_the_same_again_with_the_same_seed() {
    let losses = |seed| {
        let mut shaper = Shaper::new(seed);
        let line = Line {
            loss: 0.1,
            ..Line::default()
        };
        let now = Instant::now();
        (0..10_000)
            .filter(|_| shaper.admit(b"x", &line, now) == Verdict::Lost)
            .count()
    };
    assert!((850..1_150).contains(&losses(3)), "{}", losses(3));
    assert_eq!(losses(3), losses(3));
}

#[test]
fn a_slow_line_queues_and_then_overflows() {
    let (mut shaper, start) = (Shaper::new(1), Instant::now());
    let line = Line {
        rate: Some(1_000_000),
        queue: 10_000,
        ..Line::default()
    };
    let verdicts: Vec<_> = (0..20)
        .map(|_| shaper.admit(&[0; 1_250], &line, start))
        .collect();
    let queued = verdicts
        .iter()
        .filter(|&&verdict| verdict == Verdict::Queued)
        .count();
    assert_eq!(
        queued, 9,
        "one on the wire and 10,000 bytes behind it: {verdicts:?}"
    );
    assert_eq!(shaper.next_departure(), Some(start + millis(10)));
}

#[test]
fn a_link_between_namespaces_delays_and_loses_and_can_be_mended() {
    if !netns::are_possible() {
        return;
    }
    let (left, right) = (Namespace::new("l").unwrap(), Namespace::new("r").unwrap());
    let addresses = [Ipv4Addr::new(10, 78, 0, 1), Ipv4Addr::new(10, 78, 0, 2)];
    let link = Link::between((&left, addresses[0]), (&right, addresses[1]), 5).unwrap();
    let bind = |place: &Namespace, address| {
        place
            .enter(|| UdpSocket::bind((address, 0)).unwrap())
            .unwrap()
    };
    let (near, far) = (bind(&left, addresses[0]), bind(&right, addresses[1]));
    near.connect(far.local_addr().unwrap()).unwrap();
    let mut buffer = [0; 64];

    link.set_forward(Line {
        delay: millis(60),
        ..Line::default()
    });
    far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let sent = Instant::now();
    near.send(b"slow").unwrap();
    assert_eq!(far.recv(&mut buffer).unwrap(), 4);
    assert!(sent.elapsed() >= millis(60), "{:?}", sent.elapsed());

    link.set_forward(Line {
        loss: 1.0,
        ..Line::default()
    });
    far.set_read_timeout(Some(millis(100))).unwrap();
    near.send(b"lost").unwrap();
    assert!(far.recv(&mut buffer).is_err());
    assert!(link.counts()[0].lost >= 1);

    link.set_forward(Line::default());
    far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    near.send(b"mended").unwrap();
    assert_eq!(far.recv(&mut buffer).unwrap(), 6);
}
