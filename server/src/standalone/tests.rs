//! A whole standalone call over sockets on loopback.

use baton_protocol::{Join, PROTOCOL_VERSION, PeerMessage, ServiceMessage};

use super::*;
use crate::link::{Socket, Trust};

async fn started() -> Standalone {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    let setup = Setup {
        room: "call".parse().unwrap(),
        name: "Ana's computer".to_owned(),
        address: Some(loopback),
        port: 0,
        media_port: 0,
        certificate: SelfSigned::make("a test", &[loopback], SystemTime::now()).unwrap(),
    };
    Standalone::start(setup).await.unwrap()
}

/// What signaling answers to whoever shows `token`.
async fn enter(
    running: &Standalone,
    trust: &Trust,
    token: Option<&str>,
) -> (Socket, ServiceMessage) {
    let address = format!("wss://{}/ws", running.addresses[0]);
    let mut socket = Socket::open(address, trust).await.unwrap();
    let join = PeerMessage::Join(Join {
        protocol: PROTOCOL_VERSION,
        room: running.room.clone(),
        name: "Ben".to_owned(),
        token: token.map(str::to_owned),
        resume: None,
    });
    socket.say(&join).await.unwrap();
    let answer = socket.hear().await.unwrap();
    (socket, serde_json::from_str(&answer).unwrap())
}

fn token(link: &str) -> &str {
    let (_, rest) = link.split_once("?token=").unwrap();
    rest.split('#').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_has_a_link_comes_in_and_everybody_is_sent_away_in_the_end() {
    let running = started().await;
    let trust = Trust::in_one(running.digest());
    let (_, answer) = enter(&running, &trust, None).await;
    assert!(matches!(answer, ServiceMessage::Error { .. }), "{answer:?}");
    let (_, answer) = enter(&running, &trust, Some("2222222222222222")).await;
    assert!(matches!(answer, ServiceMessage::Error { .. }), "{answer:?}");

    let invite = running.invites().remove(0);
    let (mut guest, answer) = enter(&running, &trust, Some(token(&invite))).await;
    let ServiceMessage::Joined(joined) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(joined.grants, Grants::talk());
    assert_eq!(joined.host.name, "Ana's computer");
    let owner = running.owner_link(SystemTime::now());
    let (owner_socket, answer) = enter(&running, &trust, Some(token(&owner))).await;
    let ServiceMessage::Joined(joined) = answer else {
        panic!("{answer:?}");
    };
    assert!(joined.grants.moderate);
    assert_eq!(running.participants().await.len(), 2);

    drop(owner_socket);
    let listen = async {
        let mut heard = Vec::new();
        while let Ok(text) = guest.hear().await {
            heard.push(serde_json::from_str::<ServiceMessage>(&text).unwrap());
        }
        drop(guest);
        heard
    };
    let began = std::time::Instant::now();
    let ((), heard) = tokio::join!(running.stop(), listen);
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
    let is_removed = |message: &ServiceMessage| matches!(message, ServiceMessage::Removed { .. });
    assert!(heard.iter().any(is_removed), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_certificate_than_the_one_in_the_link_is_not_believed() {
    let running = started().await;
    let address = format!("wss://{}/ws", running.addresses[0]);
    let other = SelfSigned::make("another", &[], SystemTime::now()).unwrap();
    for trust in [Trust::in_one(other.digest()), Trust::default()] {
        assert!(Socket::open(address.as_str(), &trust).await.is_err());
    }
    let trust = Trust::in_one(running.digest());
    assert!(Socket::open(address.as_str(), &trust).await.is_ok());
    running.stop().await;
}

#[test]
fn a_laptop_s_call_does_not_move_away_by_itself() {
    let secret = Secret::new([7; 32]).unwrap();
    let config = service_config(Access::Open, secret);
    assert_eq!(config.limits.hosting.policy, HostingPolicy::Central);
}
