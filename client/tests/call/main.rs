//! Whole calls on loopback: real sockets, ICE, DTLS, SCTP and SRTP between `webrtc` and Baton's own host.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod counted;
mod hosting;
mod house;
mod media;
mod mixed;
mod own;
#[cfg(unix)]
mod program;
mod publish;
mod seamless;
#[cfg(unix)]
mod standalone;

use std::time::Duration;

use baton_client::{CallEvent, Change, Ending};
use baton_protocol::{LeaveReason, Source};
use house::{Guest, House, connected};
use media::Media;

#[tokio::test(flavor = "multi_thread")]
async fn two_meet_and_one_is_told_when_the_other_leaves() {
    let house = House::open().await;
    let mut ana = Guest::enter(&house.link, "Ana", Vec::new());
    ana.until("connected", connected).await;
    let mut ben = Guest::enter(&house.link, "Ben", Vec::new());
    ben.until("connected", connected).await;
    ana.until("Ben comes", |event| came(event, "Ben")).await;
    let nothing = CallEvent::Shown { slots: Vec::new() };
    ana.until("what Ana's slots show", |event| *event == nothing)
        .await;
    ben.until("what Ben's slots show", |event| *event == nothing)
        .await;
    assert_eq!(ben.names(), ["Ana", "Ben"]);
    assert_eq!(ana.names(), ["Ana", "Ben"]);

    house.until_gcm(2).await;
    ben.call.leave();
    ben.until("over", |event| *event == CallEvent::Over(Ending::Left))
        .await;
    assert_eq!(ben.call.next().await, None);
    let left = |event: &CallEvent| {
        matches!(event, CallEvent::Changed(Change::Went { participant, reason: Some(LeaveReason::Left) })
            if participant.name == "Ben")
    };
    ana.until("Ben leaves", left).await;
    assert_eq!(ana.names(), ["Ana"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_sends_the_other_receives_with_the_sender_s_number() {
    let house = House::open().await;
    let media = Media::new();
    let mut ben = Guest::enter(&house.link, "Ben", Vec::new());
    ben.until("connected", connected).await;
    let mut ana = Guest::enter(&house.link, "Ana", media.publications.clone());
    ana.until("connected", connected).await;
    let sending = media.send();
    let id = ana.call.room().unwrap().me();

    ben.until(
        "Ana speaks",
        |event| matches!(event, CallEvent::Speakers { speakers } if speakers.first() == Some(&id)),
    )
    .await;
    ben.until_slots("picture and sound flow", |slots| {
        let flows = |source: Source| {
            slots.iter().any(|slot| {
                slot.kind == source.kind()
                    && slot.participant == Some(id)
                    && slot.tally.packets > 50
                    && slot.tally.bytes > 50
            })
        };
        flows(Source::Camera) && flows(Source::Microphone)
    })
    .await;
    let slots = ben.call.slots();
    let picture = slots.iter().find(|slot| slot.shown.is_some()).unwrap();
    assert_eq!(picture.shown.as_ref().unwrap().paused, None);
    assert_eq!(picture.tally.frames, picture.tally.packets);
    assert_eq!(picture.tally.lost, 0);
    sending.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_socket_is_resumed_and_the_leg_stays() {
    let house = House::open().await;
    let mut ana = Guest::enter(&house.link, "Ana", Vec::new());
    ana.until("connected", connected).await;
    let mut ben = Guest::enter(&house.link, "Ben", Vec::new());
    ben.until("connected", connected).await;
    let me = ana.call.room().unwrap().me();

    house.cut_sockets();
    ana.until("the loss", |event| {
        matches!(event, CallEvent::SignalingLost { .. })
    })
    .await;
    let back = CallEvent::Joined { me, resumed: true };
    ana.until("the way back", |event| *event == back).await;
    ben.until("his way back", |event| {
        matches!(event, CallEvent::Joined { resumed: true, .. })
    })
    .await;
    assert!(ben.call.chat("still here?"));
    ana.until(
        "Ben's words",
        |event| matches!(event, CallEvent::Chat { text, .. } if text == "still here?"),
    )
    .await;
    let opened = |event: &CallEvent| matches!(event, CallEvent::Connecting { .. });
    let legs = ana.heard.iter().filter(|event| opened(event)).count();
    assert_eq!(legs, 1, "{:?}", ana.heard);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_too_long_is_refused_and_that_is_the_end() {
    let house = House::open().await;
    let mut guest = Guest::enter(&house.link, &"x".repeat(200), Vec::new());
    guest
        .until("the refusal", |event| {
            matches!(event, CallEvent::Over(Ending::Refused { .. }))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signaling_that_is_not_there_is_tried_again_until_it_is() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut guest = Guest::enter(&format!("http://{nobody}/r/standup"), "Ana", Vec::new());
    let mut pauses = Vec::new();
    while pauses.len() < 3 {
        let event = tokio::time::timeout(Duration::from_secs(10), guest.call.next()).await;
        match event.unwrap() {
            Some(CallEvent::SignalingLost { pause_ms, .. }) => pauses.push(pause_ms),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pauses[0], 0);
    assert!((270..=330).contains(&pauses[1]), "{pauses:?}");
    assert!((900..=1100).contains(&pauses[2]), "{pauses:?}");
    guest.call.leave();
    guest
        .until("over", |event| *event == CallEvent::Over(Ending::Left))
        .await;
}

fn came(event: &CallEvent, name: &str) -> bool {
    matches!(event, CallEvent::Changed(Change::Came(one)) if one.name == name)
}
