//! The service with real sockets on port 0 and a scripted host.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a story picks the messages it is about"
)]

mod bench;
mod calls;

use std::time::Duration;

use baton_protocol::{
    ErrorCode, HostCommand, HostHello, HostKind, HostMessage, LegId, PROTOCOL_VERSION, PeerMessage,
    RosterLeg, RosterRoom, ServiceMessage, Source,
};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::{Service, ServiceConfig};
use crate::{Access, Keys};
use bench::{Bench, Peer, listen, secret, track};

#[tokio::test]
async fn an_offer_reaches_the_host_and_its_answer_comes_back() {
    let bench = Bench::open().await;
    let mut ana = bench.peer().await;
    let joined = ana.join("tea", "Ana").await;
    assert!(!joined.resumed && joined.participants.len() == 1);
    ana.send(&PeerMessage::Offer {
        host: None,
        fingerprint: None,
        leg: LegId(1),
        epoch: joined.host.epoch,
        sdp: "v=0 offer".to_owned(),
        tracks: vec![track("0", Source::Microphone)],
    })
    .await;
    let ServiceMessage::Answer { sdp, tracks, .. } = ana.next().await else {
        panic!("an answer");
    };
    assert_eq!(sdp, "answer to v=0 offer");
    assert_eq!(tracks.len(), 1);
    let ServiceMessage::Participant { participant } = ana.next().await else {
        panic!("the room as it is");
    };
    assert_eq!(participant.tracks, tracks);
}

#[tokio::test]
async fn a_message_before_the_join_is_refused() {
    let bench = Bench::open().await;
    let mut ana = bench.peer().await;
    ana.send(&PeerMessage::Leave).await;
    let ServiceMessage::Error { code, fatal, .. } = ana.next().await else {
        panic!("an error");
    };
    assert_eq!((code, fatal), (ErrorCode::NotJoined, false));
}

#[tokio::test]
async fn a_restarted_service_lets_everybody_go_on() {
    let mut before = Bench::open().await;
    let mut ana = before.peer().await;
    let joined = ana.join("tea", "Ana").await;
    ana.send(&PeerMessage::Offer {
        host: None,
        fingerprint: None,
        leg: LegId(1),
        epoch: joined.host.epoch,
        sdp: "v=0".to_owned(),
        tracks: vec![track("0", Source::Microphone)],
    })
    .await;
    let tracks = ana
        .until(|message| match message {
            ServiceMessage::Answer { tracks, .. } => Some(tracks),
            _ => None,
        })
        .await;
    before
        .told(|command| matches!(command, HostCommand::Negotiate(_)))
        .await;
    before.service.shutdown().await;
    let code = loop {
        if let Err(code) = ana.next_or_close().await {
            break code;
        }
    };
    assert_eq!(code, 1012, "come back");

    let service = Service::new(ServiceConfig::new(Access::Open, secret()));
    let mut link = service.local_host("scripted");
    let address = listen(&service).await;
    let hello = HostHello {
        fingerprint: None,
        protocol: PROTOCOL_VERSION,
        name: "scripted".to_owned(),
        kind: HostKind::Central,
        host: None,
        rooms: vec![RosterRoom {
            role: None,
            grant: None,
            room: joined.room.clone(),
            epoch: joined.host.epoch,
            legs: vec![RosterLeg {
                participant: joined.me,
                leg: LegId(1),
                tracks: tracks.clone(),
                memento: None,
            }],
        }],
        denials: Vec::new(),
    };
    link.messages
        .send(HostMessage::Hello(hello))
        .await
        .expect("linked");
    while service.stats().rooms == 0 {
        tokio::task::yield_now().await;
    }
    let mut ana = Peer::connect(address).await;
    let again = ana.join_with("tea", "Ana", None, Some(joined.resume)).await;
    assert!(again.resumed && again.me == joined.me);
    assert_eq!(again.participants[0].tracks, tracks);
    assert_eq!(service.stats().resumes, 1);
    while let Ok(command) = link.commands.try_recv() {
        assert!(
            matches!(command, HostCommand::Accepted { .. }),
            "media is not touched: {command:?}"
        );
    }
}

#[tokio::test]
async fn a_remote_host_serves_rooms_like_a_local_one() {
    let service = Service::new(ServiceConfig::new(Access::Open, secret()));
    let address = listen(&service).await;
    let url = format!("ws://{address}/host");
    let (mut host, _) = tokio_tungstenite::connect_async(url).await.expect("a link");
    let hello = r#"{"type":"hello","protocol":1,"name":"far","kind":"central"}"#;
    host.send(Message::text(hello)).await.expect("said");
    let accepted = next_command(&mut host).await;
    assert!(matches!(accepted, HostCommand::Accepted { .. }));
    let mut ana = Peer::connect(address).await;
    let joined = ana.join("tea", "Ana").await;
    assert_eq!(joined.host.name, "far");
    ana.send(&PeerMessage::Offer {
        host: None,
        fingerprint: None,
        leg: LegId(1),
        epoch: joined.host.epoch,
        sdp: "v=0".to_owned(),
        tracks: Vec::new(),
    })
    .await;
    let HostCommand::Negotiate(asked) = next_command(&mut host).await else {
        panic!("the offer");
    };
    assert_eq!(asked.sdp, "v=0");
    drop(host);
    let code = ana
        .until(|message| match message {
            ServiceMessage::Error { code, .. } => Some(code),
            _ => None,
        })
        .await;
    assert_eq!(code, ErrorCode::NoHost, "the vanished host is answered for");
}

#[tokio::test]
async fn a_host_without_a_token_is_turned_away_where_tokens_are_wanted() {
    let keys = Keys::default();
    let config = ServiceConfig::new(Access::Tokens { keys }, secret());
    let service = Service::new(config);
    let address = listen(&service).await;
    let url = format!("ws://{address}/host");
    assert!(tokio_tungstenite::connect_async(url).await.is_err());
}

#[tokio::test]
async fn nonsense_is_explained_and_then_the_socket_is_closed() {
    let bench = Bench::open().await;
    let mut ana = bench.peer().await;
    ana.say("{").await;
    ana.say(r#"{"type":"mute","track":"one"}"#).await;
    ana.say("[]").await;
    for fatal in [false, false, true] {
        let ServiceMessage::Error {
            code,
            fatal: is_fatal,
            ..
        } = ana.next().await
        else {
            panic!("an error");
        };
        assert_eq!((code, is_fatal), (ErrorCode::Malformed, fatal));
    }
    assert_eq!(ana.next_or_close().await, Err(1008));
}

#[tokio::test]
async fn an_unknown_message_is_ignored() {
    let bench = Bench::open().await;
    let mut ana = bench.peer().await;
    ana.join("tea", "Ana").await;
    ana.say(r#"{"type":"dance","tempo":3}"#).await;
    ana.send(&PeerMessage::Ping { nonce: 7 }).await;
    assert_eq!(ana.next().await, ServiceMessage::Pong { nonce: 7 });
}

#[tokio::test]
async fn who_talks_too_fast_is_told() {
    let bench = Bench::open().await;
    let mut ana = bench.peer().await;
    ana.join("tea", "Ana").await;
    for nonce in 0..260 {
        ana.send(&PeerMessage::Ping { nonce }).await;
    }
    let code = ana
        .until(|message| match message {
            ServiceMessage::Error { code, .. } => Some(code),
            _ => None,
        })
        .await;
    assert_eq!(code, ErrorCode::TooFast);
}

#[tokio::test]
async fn who_does_not_join_in_time_is_closed() {
    let mut config = ServiceConfig::new(Access::Open, secret());
    config.limits.join_timeout = Duration::from_millis(50);
    let bench = Bench::with(config).await;
    let mut ana = bench.peer().await;
    assert!(matches!(
        ana.next().await,
        ServiceMessage::Error {
            code: ErrorCode::NotJoined,
            ..
        }
    ));
    assert_eq!(ana.next_or_close().await, Err(1008));
}

#[tokio::test]
async fn a_message_that_is_too_large_closes_the_socket() {
    let bench = Bench::open().await;
    let mut ana = bench.peer().await;
    ana.join("tea", "Ana").await;
    ana.say(&"x".repeat(baton_protocol::limits::MAX_MESSAGE + 1))
        .await;
    let mut closed = ana.next_or_close().await;
    while closed.is_ok() {
        closed = ana.next_or_close().await;
    }
    assert_eq!(bench.service.stats().rooms, 1, "the others do not notice");
}

async fn next_command(host: &mut WebSocketStream<MaybeTlsStream<TcpStream>>) -> HostCommand {
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(10), host.next()).await;
        let frame = frame.expect("in time").expect("no end").expect("a frame");
        if let Message::Text(text) = frame {
            return serde_json::from_str(&text).expect("a command");
        }
    }
}
