//! The service with real sockets on port 0 and a scripted host.

mod bench;
mod calls;

use baton_protocol::{ErrorCode, PeerMessage, ServiceMessage, Source};
use bench::{Bench, track};

#[tokio::test]
async fn an_offer_reaches_the_host_and_its_answer_comes_back() {
    let bench = Bench::open().await;
    let mut ana = bench.peer().await;
    let joined = ana.join("tea", "Ana").await;
    assert!(!joined.resumed && joined.participants.len() == 1);
    ana.send(&PeerMessage::Offer {
        leg: baton_protocol::LegId(1),
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
