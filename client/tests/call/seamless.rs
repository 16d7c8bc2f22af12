//! What a native participant receives across planned moves, counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use baton_client::Plan;
use baton_client::assembly::Received;
use baton_client::view::Size;
use baton_protocol::MediaKind;
use tokio::sync::{Mutex, MutexGuard};

use crate::counted::{Counted, number, sizes};
use crate::hosting::{Watcher, until};
use crate::house::{Guest, House, connected};

/// Held by whoever keeps all processors busy, and by whoever counts frames and is not to be disturbed by that.
pub(crate) static PROCESSORS: Mutex<()> = Mutex::const_new(());

/// As much other work as the machine has processors.
struct Busy {
    is_over: Arc<AtomicBool>,
    _processors: MutexGuard<'static, ()>,
}

impl Busy {
    async fn begin() -> Self {
        let processors = PROCESSORS.lock().await;
        let is_over = Arc::new(AtomicBool::new(false));
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            let is_over = Arc::clone(&is_over);
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self {
            is_over,
            _processors: processors,
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Frames that are missing and frames that came twice.
pub(crate) fn faults(frames: &[Received]) -> (u32, u32) {
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
pub(crate) fn tell(kind: MediaKind, frames: &[Received]) {
    let (missing, doubled) = faults(frames);
    let gaps = frames
        .windows(2)
        .map(|pair| pair[1].arrived - pair[0].arrived);
    let (count, sizes, gap) = (frames.len(), sizes(frames), gaps.max());
    eprintln!(
        "{kind:?}: {count} frames, {missing} missing, {doubled} doubled; sizes {sizes:?}, longest pause {gap:?}"
    );
}

/// Moves the call back and forth. Ben, who watches at this size, gets every frame once.
async fn move_and_count(moves: usize, watch: Size) {
    let mut house = House::open().await;
    let media = Counted::play();
    let mut ana = Guest::enter(&house.link, "Ana", media.publications.clone());
    ana.until("connected", connected).await;
    let sending = tokio::spawn(async move { while ana.call.next().await.is_some() {} });
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
    for to in [second, first].into_iter().cycle().take(moves) {
        ben.forget();
        ben.watch(Duration::from_millis(300)).await;
        assert!(ben.guest.call.pass_baton(Some(to)));
        until(&mut [&mut ben], "move", |all| all[0].host() == to).await;
        // Until the leg that was left is closed.
        ben.watch(Duration::from_millis(3500)).await;
        for kind in [MediaKind::Video, MediaKind::Audio] {
            let frames = ben.frames_of(kind);
            tell(kind, &frames);
            assert!(frames.len() > 60, "{kind:?}: {}", frames.len());
            assert_eq!(faults(&frames), (0, 0), "{kind:?}");
        }
    }
    sending.abort();
}

/// All the time one encoding of three: what a host leaves out where it changes to another one is not the move's.
pub(crate) const SMALL: Size = Size {
    width: 320,
    height: 180,
};

const LARGE: Size = Size {
    width: 1280,
    height: 720,
};

#[tokio::test(flavor = "multi_thread")]
async fn no_picture_and_no_sound_is_missing_or_doubled_when_the_call_moves_there_and_back() {
    let _busy = Busy::begin().await;
    move_and_count(2, SMALL).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes: ten times there and back, beside as much other work as there are processors"]
async fn nothing_is_missing_or_doubled_in_many_moves_of_small_pictures() {
    let _busy = Busy::begin().await;
    move_and_count(20, SMALL).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes: ten times there and back, beside as much other work as there are processors"]
async fn nothing_is_missing_or_doubled_in_many_moves_of_large_pictures() {
    let _busy = Busy::begin().await;
    move_and_count(20, LARGE).await;
}
