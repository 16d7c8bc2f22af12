//! The baton is passed: between two servers, to a computer of a participant and back, and from one that dies.

use std::time::{Duration, Instant};

use baton_client::assembly::Received;
use baton_client::{Call, CallEvent, Plan};
use baton_protocol::{HostId, HostRole, MediaKind, Source};
use baton_signaling::Limits;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::house::{Guest, House, connected};
use crate::media::TestMedia;
use crate::program::Program;

/// A leg that is opened only when it is needed takes longer to show anything.
const MOVE: Duration = Duration::from_millis(500);

/// Whoever waits for signaling's word that a host is lost waits for two seconds and more.
const FAIL_OVER: Duration = Duration::from_millis(1500);

/// Who receives, and when each picture came.
pub(crate) struct Watcher {
    pub(crate) guest: Guest,
    frames: mpsc::Receiver<Received>,
    pub(crate) pictures: Vec<(Instant, Received)>,
    sounds: Vec<Received>,
}

impl Watcher {
    pub(crate) async fn enter(house: &House, name: &str) -> Self {
        Self::enter_as(Guest::plan(&house.link, name, Vec::new())).await
    }

    pub(crate) async fn enter_as(mut plan: Plan) -> Self {
        let (sender, frames) = mpsc::channel(4096);
        plan.frames = Some(sender);
        let mut guest = Guest::of(Call::join(plan));
        guest.until("connected", connected).await;
        Self {
            guest,
            frames,
            pictures: Vec::new(),
            sounds: Vec::new(),
        }
    }

    fn take(&mut self) {
        while let Ok(frame) = self.frames.try_recv() {
            match frame.codec.kind() {
                MediaKind::Video => self.pictures.push((frame.arrived, frame)),
                MediaKind::Audio => self.sounds.push(frame),
            }
        }
    }

    /// What came, in the order in which it did.
    pub(crate) fn frames_of(&self, kind: MediaKind) -> Vec<Received> {
        match kind {
            MediaKind::Video => self.pictures.iter().map(|(_, one)| one.clone()).collect(),
            MediaKind::Audio => self.sounds.clone(),
        }
    }

    /// What came does not count any more.
    pub(crate) fn forget(&mut self) {
        self.pictures.clear();
        self.sounds.clear();
    }

    /// Lets the call go on for a while.
    pub(crate) async fn watch(&mut self, span: Duration) {
        let end = Instant::now() + span;
        while Instant::now() < end {
            let soon = Duration::from_millis(10);
            if let Ok(Some(event)) = timeout(soon, self.guest.call.next()).await {
                self.guest.heard.push(event);
            }
            self.take();
        }
    }

    /// The longest time between two pictures from `from` on. The laboratory measures it well; here other tests run beside.
    fn longest_gap(&self, from: Instant) -> Duration {
        let times: Vec<Instant> = self.pictures.iter().map(|(at, _)| *at).collect();
        let pairs = times.windows(2).filter(|pair| pair[1] >= from);
        let longest = pairs.map(|pair| pair[1] - pair[0]).max();
        tell(longest);
        longest.unwrap_or(Duration::MAX)
    }

    pub(crate) fn host(&self) -> HostId {
        self.guest.call.room().unwrap().host().host
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a figure for whoever asks for it with --nocapture"
)]
fn tell(gap: Option<Duration>) {
    eprintln!("longest gap {gap:?}");
}

/// Goes on with several calls until one is as wanted.
pub(crate) async fn until(
    guests: &mut [&mut Watcher],
    what: &str,
    is_wanted: impl Fn(&[&mut Watcher]) -> bool,
) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_wanted(guests) {
        for guest in &mut *guests {
            guest.watch(Duration::from_millis(10)).await;
        }
        assert!(
            Instant::now() < deadline,
            "no {what}: {:?}",
            guests[0].guest.call.hosting()
        );
    }
}

/// Waits until a computer is offered, and asks for it by hand.
pub(crate) async fn pass_to_computer(guest: &mut Watcher) -> HostId {
    let offered = |all: &[&mut Watcher]| {
        let hosting = all[0].guest.call.hosting();
        hosting.is_some_and(|hosting| !hosting.candidates.is_empty())
    };
    until(&mut [&mut *guest], "candidate", offered).await;
    let to = guest.guest.call.hosting().unwrap().candidates[0].seat.host;
    assert!(guest.guest.call.pass_baton(Some(to)));
    to
}

fn is_switched(event: &CallEvent) -> bool {
    matches!(event, CallEvent::Switched { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_moves_to_another_server_and_back_and_no_picture_is_late() {
    let mut house = House::open().await;
    let media = TestMedia::play();
    let mut ana = Guest::enter(&house.link, "Ana", media.publications.clone());
    ana.until("connected", connected).await;
    let sending = tokio::spawn(async move { while ana.call.next().await.is_some() {} });
    let mut ben = Watcher::enter(&house, "Ben").await;
    until(&mut [&mut ben], "pictures", |all| {
        all[0].pictures.len() > 60
    })
    .await;
    let first = ben.host();
    // Linked only now, so that the room began at the first.
    house.add_host("second").await;

    for turn in 0..2 {
        let before = ben.host();
        let hosts = ben.guest.call.hosting().unwrap().clone();
        let to = if turn == 0 {
            house.host_named("second")
        } else {
            first
        };
        assert_ne!(to, before, "{hosts:?}");
        let from = Instant::now();
        ben.guest.heard.clear();
        assert!(ben.guest.call.pass_baton(Some(to)));
        until(&mut [&mut ben], "move", |all| all[0].host() == to).await;
        assert!(
            ben.guest.heard.iter().any(is_switched),
            "{:?}",
            ben.guest.heard
        );
        ben.watch(Duration::from_millis(1500)).await;
        let gap = ben.longest_gap(from);
        assert!(gap < MOVE, "{gap:?} in turn {turn}");
    }
    sending.abort();
    media.playing.iter().for_each(|task| task.abort());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_participant_s_computer_carries_the_call_and_when_it_is_killed_nobody_waits_for_long() {
    let house = House::open().await;
    let media = TestMedia::play();
    let mut ana = Guest::enter(&house.link, "Ana", media.publications.clone());
    ana.until("connected", connected).await;
    let sending = tokio::spawn(async move { while ana.call.next().await.is_some() {} });
    let mut ben = Watcher::enter(&house, "Ben").await;
    until(&mut [&mut ben], "pictures", |all| {
        all[0].pictures.len() > 60
    })
    .await;
    let central = ben.host();

    let mut computer = Program::computer_of_ana(&house.link);
    computer.until(|line| line["event"] == "carrying" && line["carrying"] == "offered");
    let from = Instant::now();
    let to = pass_to_computer(&mut ben).await;
    until(&mut [&mut ben], "move", |all| all[0].host() == to).await;
    let part = serde_json::to_value(HostRole::Active).unwrap();
    computer.until(|line| line["carrying"] == "part" && line["role"] == part);
    let serves = |line: &Value| line["carrying"] == "load" && line["guests"].as_u64() >= Some(2);
    computer.until(serves);
    ben.watch(Duration::from_millis(1500)).await;
    let gap = ben.longest_gap(from);
    assert!(gap < MOVE, "{gap:?} at the move");

    let from = Instant::now();
    computer.signal("KILL");
    until(&mut [&mut ben], "fail-over", |all| all[0].host() == central).await;
    ben.watch(Duration::from_millis(1500)).await;
    let gap = ben.longest_gap(from);
    assert!(gap < FAIL_OVER, "{gap:?} after the kill");
    assert!(ben.pictures.last().unwrap().0 > from + Duration::from_secs(1));
    sending.abort();
    media.playing.iter().for_each(|task| task.abort());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_computer_whose_program_ends_hands_the_call_back_first() {
    let house = House::open().await;
    let media = TestMedia::play();
    let mut ana = Guest::enter(&house.link, "Ana", media.publications.clone());
    ana.until("connected", connected).await;
    let sending = tokio::spawn(async move { while ana.call.next().await.is_some() {} });
    let mut ben = Watcher::enter(&house, "Ben").await;
    let words = [
        "join",
        &house.link,
        "--name",
        "Cleo",
        "--json",
        "--test-media",
        "--allow-hosting",
    ];
    let mut computer = Program::start(&words);
    let central = ben.host();
    let to = pass_to_computer(&mut ben).await;
    until(&mut [&mut ben], "move", |all| all[0].host() == to).await;
    until(&mut [&mut ben], "pictures", |all| {
        all[0].pictures.len() > 60
    })
    .await;

    let from = Instant::now();
    computer.signal("TERM");
    until(&mut [&mut ben], "way back", |all| all[0].host() == central).await;
    assert_eq!(computer.child.wait().unwrap().code(), Some(0));
    ben.watch(Duration::from_millis(1500)).await;
    // Cleo's own pictures end with her; Ana's go on.
    assert!(ben.pictures.last().unwrap().0 > from + Duration::from_secs(1));
    let room = ben.guest.call.room().unwrap();
    let shares = |source| {
        room.participants()
            .any(|one| one.tracks.iter().any(|track| track.source == source))
    };
    assert!(shares(Source::Camera));
    sending.abort();
    media.playing.iter().for_each(|task| task.abort());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_computer_that_was_stopped_is_replaced_and_serves_nobody_when_it_goes_on() {
    let house = House::open().await;
    let media = TestMedia::play();
    let mut ana = Guest::enter(&house.link, "Ana", media.publications.clone());
    ana.until("connected", connected).await;
    let sending = tokio::spawn(async move { while ana.call.next().await.is_some() {} });
    let mut ben = Watcher::enter(&house, "Ben").await;
    let central = ben.host();
    let mut computer = Program::computer_of_ana(&house.link);
    let to = pass_to_computer(&mut ben).await;
    until(&mut [&mut ben], "move", |all| all[0].host() == to).await;
    let serves = |line: &Value| line["carrying"] == "load" && line["guests"].as_u64() >= Some(2);
    computer.until(serves);

    let from = Instant::now();
    computer.signal("STOP");
    until(&mut [&mut ben], "fail-over", |all| all[0].host() == central).await;
    ben.watch(Duration::from_millis(1500)).await;
    let gap = ben.longest_gap(from);
    assert!(gap < FAIL_OVER, "{gap:?} after the stop");
    computer.signal("CONT");
    computer.until(|line| line["carrying"] == "part" && line["role"] == "draining");
    let from = Instant::now();
    ben.watch(Duration::from_millis(1500)).await;
    assert_eq!(ben.host(), central);
    let gap = ben.longest_gap(from);
    assert!(gap < MOVE, "{gap:?} when it goes on");
    sending.abort();
    media.playing.iter().for_each(|task| task.abort());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_computer_s_line_is_measured_and_the_call_moves_to_it_by_itself() {
    let mut limits = Limits::default();
    let rules = &mut limits.hosting.election;
    (rules.seasoned, rules.probe_every) = (Duration::from_secs(2), Duration::from_secs(3));
    // Points for having been there long take minutes to come; the election's own tests have them.
    rules.leave_server = (-40, Duration::from_secs(2));
    // Everything here runs on one processor, the other tests included.
    rules.cpu_free_percent = 0;
    let house = House::with(limits).await;
    let media = TestMedia::play();
    let mut ana = Guest::enter(&house.link, "Ana", media.publications.clone());
    ana.until("connected", connected).await;
    let sending = tokio::spawn(async move { while ana.call.next().await.is_some() {} });
    let mut ben = Watcher::enter(&house, "Ben").await;
    let central = ben.host();
    let mut computer = Program::computer_of_ana(&house.link);
    let probed = computer.until(|line| line["carrying"] == "probed");
    assert_eq!(probed["end"], "top", "{probed}");
    assert!(
        probed["sent_bytes"].as_u64() <= Some(10_000_000),
        "{probed}"
    );
    until(&mut [&mut ben], "promotion", |all| all[0].host() != central).await;
    until(&mut [&mut ben], "pictures", |all| {
        all[0].pictures.len() > 60
    })
    .await;
    sending.abort();
    media.playing.iter().for_each(|task| task.abort());
}
