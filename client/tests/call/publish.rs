//! Two native participants and the media that ships with the program.

use std::time::Duration;

use baton_client::assembly::Received;
use baton_client::media::{Codec, test_clip};
use baton_client::view::Size;
use baton_client::{Call, CallEvent, Change, Plan};
use baton_protocol::{MediaKind, Source};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::house::{Guest, House, connected};
use crate::media::TestMedia;

/// Pictures of a second, or three with a poor machine.
const ENOUGH: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn the_size_asked_for_decides_the_layer_and_no_picture_is_missing_or_shown_twice() {
    let house = House::open().await;
    let media = TestMedia::play();
    let mut ana = Guest::enter(&house.link, "Ana", media.publications.clone());
    ana.until("connected", connected).await;
    for (size, layer) in [((320, 180), 0), ((1280, 720), 2)] {
        let (mut ben, mut frames) = watch(&house.link, size);
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut numbers: Vec<u64> = Vec::new();
        while numbers.len() < ENOUGH {
            let frame = next_picture(&mut ben, &mut frames, deadline).await;
            let Some((of, number)) = media.number(&frame) else {
                panic!("a picture that nobody sent");
            };
            // The host may begin with what it has and change over to what is wanted.
            if of == layer {
                numbers.push(number);
            } else {
                numbers.clear();
            }
        }
        let jumps: Vec<_> = numbers
            .windows(2)
            .filter(|pair| pair[1] != (pair[0] + 1) % 300)
            .collect();
        // A keyframe that was asked for is a jump in the clip, and no more than one is asked for by a newcomer.
        assert!(jumps.len() <= 1, "{size:?}: {numbers:?}");
        ben.call.leave();
    }
    media.playing.iter().for_each(|task| task.abort());
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_comes_packet_by_packet_as_it_was_sent() {
    let house = House::open().await;
    let media = TestMedia::play();
    let mut ana = Guest::enter(&house.link, "Ana", media.publications.clone());
    ana.until("connected", connected).await;
    let (mut ben, mut frames) = watch(&house.link, (320, 180));
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut packets = Vec::new();
    while packets.len() < 100 {
        let frame = next(&mut ben, &mut frames, deadline).await;
        if frame.codec == Codec::Opus {
            assert_eq!(frame.participant, Some(ana.call.room().unwrap().me()));
            packets.push(frame.data);
        }
    }
    // The hum repeats itself, so one packet does not say where in the clip it is from.
    let sound = test_clip::sound();
    let sent = sound.frames().iter().map(|frame| &frame.data);
    let sent: Vec<&Bytes> = sent.clone().chain(sent).collect();
    let is_there = |window: &[&Bytes]| {
        window
            .iter()
            .zip(&packets)
            .all(|(sent, came)| *sent == came)
    };
    assert!(sent.windows(packets.len()).any(is_there));
    media.playing.iter().for_each(|task| task.abort());
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_nobody_shows_rest_and_go_on_with_a_keyframe_when_somebody_does() {
    let house = House::open().await;
    let media = TestMedia::play();
    let mut ana = Guest::enter(&house.link, "Ana", media.publications.clone());
    ana.until("connected", connected).await;
    until_sent(&mut ana, None, |layers: &[&str]| layers.is_empty()).await;
    let mut ben = Guest::enter(&house.link, "Ben", Vec::new());
    // The host may keep the smallest one coming, for when the line is poor.
    let no_more_than_shown = |layers: &[&str]| layers.contains(&"f") && !layers.contains(&"h");
    until_sent(&mut ana, Some(&mut ben), no_more_than_shown).await;
    let frames = ben.call.slots().into_iter().map(|slot| slot.tally.frames);
    assert!(frames.max() > Some(5));
    ben.call.leave();
    until_sent(&mut ana, None, |layers: &[&str]| layers.is_empty()).await;
    media.playing.iter().for_each(|task| task.abort());
}

/// Waits until the layers of the picture that send in half a second are as wanted.
async fn until_sent(
    ana: &mut Guest,
    mut other: Option<&mut Guest>,
    is_wanted: impl Fn(&[&str]) -> bool,
) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let sent = |ana: &Guest| -> Vec<(String, u64)> {
        let pictures = ana.call.sent().into_iter();
        pictures
            .filter_map(|stream| Some((stream.rid?, stream.packets)))
            .collect()
    };
    loop {
        let before = sent(ana);
        let pause = Instant::now() + Duration::from_millis(500);
        let both = async {
            loop {
                tokio::select! {
                    event = ana.call.next() => ana.heard.push(event.expect("the call goes on")),
                    event = async { other.as_mut().expect("it is there").call.next().await }, if other.is_some() => {
                        event.expect("the call goes on");
                    }
                }
            }
        };
        let _: Result<(), _> = timeout_at(pause, both).await;
        let after = sent(ana);
        let active = before
            .iter()
            .zip(&after)
            .filter(|(before, after)| before != after);
        let active: Vec<&str> = active.map(|((rid, _), _)| rid.as_str()).collect();
        if is_wanted(&active) {
            return;
        }
        assert!(Instant::now() < deadline, "{active:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_muted_microphone_is_silent_and_everybody_knows_while_the_picture_goes_on() {
    let house = House::open().await;
    let media = TestMedia::play();
    let mut ana = Guest::enter(&house.link, "Ana", media.publications.clone());
    ana.until("connected", connected).await;
    let mut ben = Guest::enter(&house.link, "Ben", Vec::new());
    let packets = |ben: &Guest, kind| -> u64 {
        let slots = ben.call.slots().into_iter();
        let slots = slots.filter(|slot| slot.kind == kind);
        slots.map(|slot| slot.tally.packets).sum()
    };
    ben.until_slots("sound", |slots| {
        slots.iter().any(|slot| slot.tally.packets > 20)
    })
    .await;
    ana.call.set_muted(Source::Microphone, true);
    assert!(ana.call.is_muted(Source::Microphone) && !ana.call.is_muted(Source::Camera));
    let muted = |event: &CallEvent| {
        matches!(event, CallEvent::Changed(Change::Track { track, .. })
            if track.source == Source::Microphone && track.muted)
    };
    ben.until("the mute", muted).await;
    ana.until("her own mute", muted).await;
    let (sound, picture) = (
        packets(&ben, MediaKind::Audio),
        packets(&ben, MediaKind::Video),
    );
    ben.until_slots("more of the picture", |slots| {
        slots
            .iter()
            .any(|slot| slot.kind == MediaKind::Video && slot.tally.packets > picture + 100)
    })
    .await;
    // What was on the way when the mute was told.
    assert!(packets(&ben, MediaKind::Audio) <= sound + 10);
    ana.call.set_muted(Source::Microphone, false);
    ben.until_slots("sound again", |slots| {
        slots
            .iter()
            .any(|slot| slot.kind == MediaKind::Audio && slot.tally.packets > sound + 30)
    })
    .await;
    media.playing.iter().for_each(|task| task.abort());
}

/// A guest who wants the frames, and the large picture in this size.
fn watch(link: &str, (width, height): (u16, u16)) -> (Guest, mpsc::Receiver<Received>) {
    let (sender, frames) = mpsc::channel(1024);
    let call = Call::join(Plan {
        watch: Size { width, height },
        frames: Some(sender),
        ..Guest::plan(link, "Ben", Vec::new())
    });
    (Guest::of(call), frames)
}

async fn next_picture(
    guest: &mut Guest,
    frames: &mut mpsc::Receiver<Received>,
    deadline: Instant,
) -> Received {
    loop {
        let frame = next(guest, frames, deadline).await;
        if frame.codec == Codec::Vp8 {
            return frame;
        }
    }
}

/// The call goes on while frames are waited for.
async fn next(
    guest: &mut Guest,
    frames: &mut mpsc::Receiver<Received>,
    deadline: Instant,
) -> Received {
    let next = async {
        loop {
            tokio::select! {
                frame = frames.recv() => return frame.expect("the call holds the other end"),
                event = guest.call.next() => guest.heard.push(event.expect("the call goes on")),
            }
        }
    };
    let frame = timeout_at(deadline, next).await;
    frame.unwrap_or_else(|_| panic!("no frame: {:?} {:?}", guest.call.slots(), guest.heard))
}
