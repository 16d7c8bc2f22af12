use std::time::Duration;

use super::*;
use crate::codec::Peek;

/// A layer that sent `bytes` in each picture of its temporal layers (0, 2, 1, 2), for two seconds at 30 pictures a second.
fn layer(size: (u16, u16), spatial: &[u16]) -> Layer {
    let mut layer = Layer::new(None, size, true, 90_000);
    let mut now = Tick(0);
    for picture in 0..60 {
        for (spatial, bytes) in spatial.iter().enumerate() {
            let peek = Peek {
                temporal: [0, 2, 1, 2][picture % 4],
                spatial: u8::try_from(spatial).unwrap(),
                ..Peek::default()
            };
            layer.meter.count(&peek, *bytes, spatial == 0);
        }
        now = now + Duration::from_micros(33_333);
        if picture % 3 == 2 {
            layer.meter.refresh(true, now);
        }
    }
    layer
}

fn simulcast() -> Ladder {
    let layers = [
        layer((320, 180), &[500]),
        layer((640, 360), &[1400]),
        layer((1280, 720), &[1500]),
    ];
    let mut ladder = Ladder::default();
    ladder.refresh(&layers, false, false, |_| true, Tick(0));
    ladder
}

fn qualities(ladder: &Ladder, limit: Quality) -> Vec<(u8, u8, u8)> {
    let tuple = |rung: Rung| {
        (
            rung.quality.layer,
            rung.quality.spatial,
            rung.quality.temporal,
        )
    };
    ladder.up_to(limit).map(tuple).collect()
}

#[test]
fn the_lowest_layer_has_all_frame_rates_and_the_others_only_good_ones() {
    let ladder = simulcast();
    let limit = ladder.limit((1280, 720), 0).expect("layers");
    let all = u8::MAX;
    assert_eq!(
        qualities(&ladder, limit),
        [
            (0, all, 0),
            (0, all, 1),
            (0, all, all),
            (1, all, 1),
            (1, all, all),
            (2, all, 1),
            (2, all, all)
        ]
    );
    assert!(!ladder.has_spatial());
}

#[test]
fn size_and_frame_rate_of_a_view_limit_what_is_of_use() {
    let ladder = simulcast();
    let limit = |size, fps| {
        ladder
            .limit(size, fps)
            .map(|limit| (limit.layer, limit.temporal))
    };
    assert_eq!(limit((320, 180), 0), Some((0, u8::MAX)));
    assert_eq!(
        limit((340, 190), 0),
        Some((0, u8::MAX)),
        "nine tenths are enough"
    );
    assert_eq!(limit((400, 300), 15), Some((1, 1)));
    assert_eq!(limit((1920, 1080), 5), Some((2, 0)));
    assert_eq!(limit((1920, 1080), 60), Some((2, u8::MAX)));
    let slow = ladder.limit((640, 360), 5).expect("layers");
    assert_eq!(qualities(&ladder, slow), [(0, u8::MAX, 0), (1, u8::MAX, 0)]);
    assert_eq!(Ladder::default().limit((640, 360), 0), None);
}

#[test]
fn spatial_layers_of_one_stream_are_rungs_of_their_own() {
    let layers = [layer((1280, 720), &[100, 300, 900])];
    let mut ladder = Ladder::default();
    ladder.refresh(&layers, false, false, |_| true, Tick(0));
    assert!(ladder.has_spatial());
    let limit = |size| ladder.limit(size, 0).map(|limit| limit.spatial);
    assert_eq!(limit((320, 180)), Some(0));
    assert_eq!(limit((640, 360)), Some(1));
    assert_eq!(limit((1280, 720)), Some(u8::MAX));
    let rates: Vec<_> = ladder.up_to(Quality::BEST).map(|rung| rung.rate).collect();
    assert!(rates.is_sorted(), "{rates:?}");
}

#[test]
fn what_was_declared_counts_until_it_was_measured() {
    let mut fresh = Layer::new(None, (640, 360), true, 90_000);
    let rate = |layer: Layer, is_screen| {
        let mut ladder = Ladder::default();
        ladder.refresh(&[layer], is_screen, true, |_| false, Tick(0));
        ladder.up_to(Quality::BEST).last().map(|rung| rung.rate)
    };
    fresh.declared = Bitrate::from_kbps(500);
    assert_eq!(rate(fresh, false), Some(Bitrate::from_kbps(500)));
    let unknown = Layer::new(None, (640, 360), true, 90_000);
    assert_eq!(rate(unknown, false), Some(Bitrate(640 * 360 * 2)));
    let mut screen = Layer::new(None, (640, 360), true, 90_000);
    screen.declared = Bitrate::from_kbps(500);
    assert_eq!(rate(screen, true), Some(Bitrate::from_kbps(100)));
}
