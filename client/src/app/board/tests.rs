//! The view is drawn into a terminal in memory and read from there.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::scene::{Own, Person, Scene, Stream};
use super::*;
use crate::app::meter::Quality;

fn drawn(scene: &Scene, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::draw(frame, scene)).unwrap();
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(width.into());
    rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>())
        .collect()
}

fn scene() -> Scene {
    Scene {
        title: "standup, carried by central".to_owned(),
        path: Path {
            is_signaling_away: false,
            is_connected: true,
        },
        people: vec![Person {
            name: "Ana".to_owned(),
            is_me: false,
            is_speaking: true,
            is_away: false,
            tracks: "camera, microphone (muted)".to_owned(),
        }],
        streams: vec![Stream {
            label: "Ana's camera f".to_owned(),
            bitrate: 1_234_567,
            fps: Some(30),
            quality: Quality::Fair,
            plot: vec![0, 500, 1000],
        }],
        own: Some(Own {
            is_muted: true,
            bitrate: 90_000,
            plot: vec![1, 2, 3],
        }),
        news: (0..20).map(|count| format!("news {count}")).collect(),
        is_help: false,
    }
}

#[test]
fn room_host_people_rates_and_the_newest_news_are_on_the_screen() {
    let rows = drawn(&scene(), 100, 24);
    let screen = rows.join("\n");
    for text in [
        "standup, carried by central   connected",
        "> Ana",
        "camera, microphone (muted)",
        "1234 kb/s",
        "30 fps",
        "fair",
        "90 kb/s  muted",
        "news 19",
        "q leave",
    ] {
        assert!(screen.contains(text), "{text:?} is not in\n{screen}");
    }
    assert!(!screen.contains("news 3"));
}

#[test]
fn help_lies_over_everything_and_any_size_can_be_drawn() {
    let mut scene = scene();
    scene.is_help = true;
    assert!(drawn(&scene, 80, 24).join("\n").contains("leave the call"));
    for width in [1, 5, 20, 300] {
        for height in [1, 3, 9, 60] {
            drawn(&scene, width, height);
        }
    }
}

#[test]
fn news_and_plots_are_bounded() {
    let mut plot = VecDeque::new();
    (0..1000).for_each(|value| push(&mut plot, value));
    assert_eq!(plot.len(), PLOT);
    assert_eq!(plot.back(), Some(&999));
}
