//! Who sends, watches and carries the call with one program: own media joins the own host without a network in between.

use std::time::Duration;

use baton_client::{CallEvent, Consent, Plan};
use baton_protocol::{MediaKind, StepDownReason};

use crate::counted::Counted;
use crate::hosting::{Watcher, pass_to_computer, until};
use crate::house::{Guest, House};
use crate::seamless::{PROCESSORS, SMALL, faults, tell};

/// A leg to a host in the same program is up.
fn is_inside(event: &CallEvent) -> bool {
    matches!(event, CallEvent::Connected { inside: true, .. })
}

/// Nothing that the two see and hear of each other is missing or doubled, whether Ana's computer is given the call, gives it
/// back or wants to be rid of it.
#[tokio::test(flavor = "multi_thread")]
async fn who_carries_the_call_misses_nothing_and_is_not_missed() {
    let _processors = PROCESSORS.lock().await;
    let house = House::open().await;
    let media = [Counted::play(), Counted::play()];
    let mut plans = media.iter().map(|media| Plan {
        watch: SMALL,
        computer: "laptop".to_owned(),
        ..Guest::plan(&house.link, "somebody", media.publications.clone())
    });
    let mut plan = plans.next().unwrap();
    plan.hosting = Some(Consent::default());
    let mut ana = Watcher::enter_as(plan).await;
    let mut ben = Watcher::enter_as(plans.next().unwrap()).await;
    let both = |all: &[&mut Watcher]| all.iter().all(|one| one.pictures.len() > 60);
    until(&mut [&mut ana, &mut ben], "pictures", both).await;
    let central = ben.host();
    let offered = |all: &[&mut Watcher]| {
        let hosting = all[0].guest.call.hosting();
        hosting.is_some_and(|hosting| !hosting.candidates.is_empty())
    };
    until(&mut [&mut ben, &mut ana], "candidate", offered).await;
    for turn in 0..4 {
        ana.forget();
        ben.forget();
        let is_carried = turn % 2 == 0;
        let to = match turn {
            0 | 2 => pass_to_computer(&mut ben).await,
            1 => {
                assert!(ben.guest.call.pass_baton(None));
                central
            }
            _ => {
                assert!(ana.guest.call.step_down(StepDownReason::Owner));
                central
            }
        };
        let is_there = |all: &[&mut Watcher]| all.iter().all(|one| one.host() == to);
        until(&mut [&mut ana, &mut ben], "move", is_there).await;
        assert_eq!(ana.guest.call.is_carrying(), is_carried, "turn {turn}");
        // Until the leg that was left is closed.
        for _ in 0..175 {
            ana.watch(Duration::from_millis(10)).await;
            ben.watch(Duration::from_millis(10)).await;
        }
        for (who, watcher) in [("Ana", &ana), ("Ben", &ben)] {
            for kind in [MediaKind::Video, MediaKind::Audio] {
                let frames = watcher.frames_of(kind);
                tell(kind, &frames);
                let came = frames.len();
                assert!(came > 60, "{who}, {kind:?}, turn {turn}: {came}");
                assert_eq!(faults(&frames), (0, 0), "{who}, {kind:?}, turn {turn}");
            }
        }
        let of_turn =
            |watcher: &mut Watcher| watcher.guest.heard.drain(..).any(|one| is_inside(&one));
        assert_eq!(of_turn(&mut ana), is_carried, "Ana's, turn {turn}");
        assert!(!of_turn(&mut ben), "Ben is elsewhere");
    }
}
