//! What a native participant receives across planned moves, counted.

use std::time::Duration;

use baton_client::Plan;
use baton_client::assembly::Received;
use baton_client::view::Size;
use baton_protocol::MediaKind;

use crate::counted::{Counted, number, sizes};
use crate::hosting::{Watcher, until};
use crate::house::{Guest, House, connected};

/// Frames that are missing and frames that came twice.
fn faults(frames: &[Received]) -> (u32, u32) {
    let numbers: Vec<u32> = frames.iter().map(number).collect();
    let pairs = numbers.windows(2);
    pairs.fold((0, 0), |(missing, doubled), pair| {
        match pair[1].checked_sub(pair[0]) {
            None | Some(0) => (missing, doubled + 1),
            Some(step) => (missing + step - 1, doubled),
        }
    })
}

#[expect(
    clippy::print_stderr,
    reason = "a figure for whoever asks for it with --nocapture"
)]
fn tell(what: &str, frames: &[Received]) {
    let (missing, doubled) = faults(frames);
    let (count, sizes) = (frames.len(), sizes(frames));
    eprintln!("{what}: {count} frames, {missing} missing, {doubled} doubled; sizes {sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_picture_and_no_sound_is_missing_or_doubled_when_the_call_moves_there_and_back() {
    let mut house = House::open().await;
    let media = Counted::play();
    let mut ana = Guest::enter(&house.link, "Ana", media.publications.clone());
    ana.until("connected", connected).await;
    let sending = tokio::spawn(async move { while ana.call.next().await.is_some() {} });
    // One encoding all the time: what a host leaves out where it changes to a larger one is not the move's.
    let watch = Size {
        width: 320,
        height: 180,
    };
    let mut ben = Watcher::enter_as(Plan {
        watch,
        ..Guest::plan(&house.link, "Ben", Vec::new())
    })
    .await;
    until(&mut [&mut ben], "pictures", |all| {
        all[0].pictures.len() > 60
    })
    .await;
    let first = ben.host();
    house.add_host("second").await;
    let second = house.host_named("second");
    for to in [second, first, second, first] {
        ben.forget();
        ben.watch(Duration::from_millis(300)).await;
        assert!(ben.guest.call.pass_baton(Some(to)));
        until(&mut [&mut ben], "move", |all| all[0].host() == to).await;
        // Until the leg that was left is closed.
        ben.watch(Duration::from_millis(3500)).await;
        for kind in [MediaKind::Video, MediaKind::Audio] {
            let frames = ben.frames_of(kind);
            tell(&format!("{kind:?}"), &frames);
            assert!(frames.len() > 60, "{kind:?}: {}", frames.len());
            assert_eq!(faults(&frames), (0, 0), "{kind:?}");
        }
    }
    sending.abort();
}
