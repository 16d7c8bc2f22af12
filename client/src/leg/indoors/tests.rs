//! Participants in the process of their host: one sends, another receives, and no socket of the host sees any of it; who is
//! elsewhere hears it too.

use std::num::NonZeroUsize;
use std::time::Duration;

use baton_protocol::{
    Epoch, Grants, HostCommand, HostKind, HostMessage, LegId, Negotiate, ParticipantId, RoomId,
    Source, TrackId, TrackInfo, Tracks, ViewMode,
};
use baton_server::{Certificate, Host, HostConfig, HostLink, Inside, Traffic};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep, timeout};

use crate::assembly::Received;
use crate::leg::{Leg, LegEvent, LegEvents, LegPlan};
use crate::media::{Codec, Frame};
use crate::publish::{Feed, Publication};
use crate::stage::Stage;

const SENDER: u32 = 7;
const RECEIVER: u32 = 8;
const GUEST: u32 = 9;

fn negotiate(room: &RoomId, who: u32, offer: crate::leg::Offer) -> HostCommand {
    let tracks = offer.tracks.into_iter().map(|track| TrackInfo {
        id: TrackId(70),
        mid: track.mid,
        source: track.source,
        layers: track.layers,
        muted: false,
    });
    HostCommand::Negotiate(Negotiate {
        room: room.clone(),
        epoch: Epoch(1),
        participant: ParticipantId(who),
        leg: LegId(who),
        request: who,
        grants: Grants {
            publish: vec![Source::Microphone],
            subscribe: true,
            ..Grants::default()
        },
        sdp: offer.sdp,
        tracks: Tracks::Declared(tracks.collect()),
        view: ViewMode::Wanted,
        ticket: None,
    })
}

async fn hum(mut feed: Feed) {
    let mut ticks = interval(Duration::from_millis(20));
    for number in 0.. {
        ticks.tick().await;
        let at = Duration::from_millis(20) * number;
        let frame = Frame {
            at,
            is_key: true,
            data: Bytes::from_static(&[0xf8; 60]),
        };
        feed.send(0, &frame, at).await;
    }
}

/// A host, its legs, and what signaling would carry between them.
struct House {
    host: Host,
    commands: mpsc::Sender<HostCommand>,
    messages: mpsc::Receiver<HostMessage>,
    events: LegEvents,
    heard: mpsc::Receiver<(LegId, LegEvent)>,
    publication: Publication,
    legs: Vec<Leg>,
    /// By the number of the leg that received it.
    frames: mpsc::Receiver<(u32, Received)>,
    collected: mpsc::Sender<(u32, Received)>,
}

impl House {
    fn open(publication: Publication, media: &str, announce: &[&str]) -> Self {
        let (commands, inbox) = mpsc::channel(64);
        let (outbox, messages) = mpsc::channel(64);
        let (events, heard) = mpsc::channel(256);
        let (collected, frames) = mpsc::channel(512);
        let link = HostLink {
            commands: inbox,
            messages: outbox,
        };
        let config = HostConfig {
            media: media.parse().unwrap(),
            announce: announce.iter().map(|at| at.parse().unwrap()).collect(),
            workers: NonZeroUsize::MIN,
            tcp: false,
            kind: HostKind::Central,
            certificate: Certificate::generate().unwrap(),
            uplink_bps: None,
        };
        Self {
            host: Host::start(&config, link).unwrap(),
            commands,
            messages,
            events,
            heard,
            publication,
            legs: Vec::new(),
            frames,
            collected,
        }
    }

    fn enter(&mut self, who: u32, inside: Option<Inside>) {
        let (to, mut frames) = mpsc::channel(512);
        let collected = self.collected.clone();
        tokio::spawn(async move {
            while let Some(frame) = frames.recv().await {
                collected.send((who, frame)).await.unwrap();
            }
        });
        let plan = LegPlan {
            id: LegId(who),
            ice_servers: Vec::new(),
            is_loopback: true,
            audio_slots: 1,
            video_slots: 0,
            publications: match who {
                SENDER => vec![self.publication.clone()],
                _ => Vec::new(),
            },
            is_probed: false,
            frames: Some(Stage::new(to)),
            inside,
        };
        self.legs.push(Leg::open(plan, self.events.clone()));
    }

    /// Goes on until a leg has received so many frames.
    async fn until_heard(&mut self, who: u32, most: usize) {
        let room: RoomId = "call".parse().unwrap();
        let (mut came, mut heard) = (0, Vec::new());
        let mut late = Box::pin(sleep(PATIENCE));
        while came < most {
            tokio::select! {
                () = &mut late => panic!("{who} heard {came} of {most}: {heard:?}, {:?}", self.host.snapshots().latest()),
                Some((leg, event)) = self.heard.recv() => { heard.push((leg, format!("{event:.60?}"))); match event {
                    LegEvent::Offer(offer) => {
                        self.commands.send(negotiate(&room, leg.0, offer)).await.unwrap();
                    }
                    LegEvent::Connected if leg.0 == SENDER => self.legs[0].publish(true),
                    LegEvent::Ended(why) => panic!("{leg}: {why}"),
                    // Candidates are kept from the host, as a call does; this one has an address of its own.
                    LegEvent::Candidate(_)
                    | LegEvent::Connected
                    | LegEvent::Ready
                    | LegEvent::Shaky
                    | LegEvent::Path(_)
                    | LegEvent::Probed(_) => {}
                }}
                Some(message) = self.messages.recv() => {
                    if let HostMessage::Answer(answer) = message {
                        let mut legs = self.legs.iter();
                        legs.find(|leg| leg.id().0 == answer.request).unwrap().accept(answer.sdp);
                    } else if let HostMessage::Refused(refused) = message {
                        panic!("{}", refused.message);
                    }
                }
                Some((leg, frame)) = self.frames.recv() => {
                    assert_eq!(frame.participant, Some(ParticipantId(SENDER)));
                    came += usize::from(leg == who);
                }
            }
        }
    }

    /// What the host counted, once that is as wanted.
    async fn traffic(&self, what: &str, is_wanted: impl Fn(&Traffic) -> bool) -> Traffic {
        let mut ticks = interval(Duration::from_millis(50));
        let deadline = Instant::now() + PATIENCE;
        loop {
            ticks.tick().await;
            let latest = self.host.snapshots().latest();
            assert!(Instant::now() < deadline, "no {what}: {latest:?}");
            if let Some(snapshot) = latest.first().filter(|one| is_wanted(&one.traffic)) {
                return snapshot.traffic;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn legs_in_the_process_of_their_host_speak_to_it_without_a_network() {
    let (publication, feed) = Publication::new(Source::Microphone, Codec::Opus, Vec::new());
    let humming = tokio::spawn(hum(feed));
    let mut house = House::open(publication, "127.0.0.1:0", &[]);
    let inside = house.host.inside();
    house.enter(SENDER, Some(inside.clone()));
    house.enter(RECEIVER, Some(inside));
    house.until_heard(RECEIVER, 100).await;
    let alone = house.traffic("sound", |now| now.received > 100).await;
    assert_eq!((alone.receive_calls, alone.send_calls), (0, 0), "{alone:?}");
    assert_eq!((alone.streams, alone.stream_dropped), (2, 0), "{alone:?}");

    // Somebody by the network hears what was sent inside, and whoever is inside goes on.
    house.enter(GUEST, None);
    house.until_heard(GUEST, 100).await;
    house.until_heard(RECEIVER, 100).await;
    let goes_on = |now: &Traffic| now.inside_bytes > alone.inside_bytes + 6000;
    let beside = house.traffic("more sound", goes_on).await;
    assert!(beside.receive_calls > 0 && beside.send_calls > 0);
    assert_eq!((beside.streams, beside.unknown), (2, 0), "{beside:?}");

    house.legs.truncate(1);
    house.traffic("an end", |now| now.streams == 1).await;
    // The host first: whoever is left notices.
    drop(house.host);
    let ended = async {
        while let Some((_, event)) = house.heard.recv().await {
            if matches!(event, LegEvent::Shaky | LegEvent::Ended(_)) {
                return;
            }
        }
    };
    timeout(PATIENCE, ended).await.unwrap();
    humming.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_need_not_be_reached_at_the_address_that_it_has() {
    let (publication, feed) = Publication::new(Source::Microphone, Codec::Opus, Vec::new());
    let humming = tokio::spawn(hum(feed));
    for (media, nowhere) in [("0.0.0.0:0", "198.51.100.1"), ("[::]:0", "2001:db8::1")] {
        let mut house = House::open(publication.clone(), media, &[nowhere]);
        let inside = house.host.inside();
        house.enter(SENDER, Some(inside.clone()));
        house.enter(RECEIVER, Some(inside));
        house.until_heard(RECEIVER, 20).await;
    }
    humming.abort();
}

/// Longest wait for anything; generous, because other tests run beside.
const PATIENCE: Duration = Duration::from_secs(30);
