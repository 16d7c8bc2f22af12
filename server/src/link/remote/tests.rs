//! The link against a signaling service that comes and goes.

use baton_protocol::{Epoch, LegId, LegState, ParticipantId, RoomId};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{
    ErrorResponse, Request as Upgrade, Response,
};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::*;

type Accepted = WebSocketStream<TcpStream>;

#[tokio::test]
async fn a_lost_link_comes_back_with_everything_that_happened_meanwhile() {
    let (listener, link) = signaling().await;
    let mut socket = accept(&listener).await;
    let hello = hear_hello(&mut socket).await;
    assert_eq!((hello.host, hello.rooms.len()), (None, 0));
    say(
        &mut socket,
        &HostCommand::Accepted {
            host: HostId(7),
            signing_key: None,
        },
    )
    .await;
    link.messages.send(answer("daily", 1)).await.unwrap();
    assert_eq!(hear(&mut socket).await, answer("daily", 1));

    let reflects = HostMessage::Reflects {
        at: vec!["203.0.113.7:7881".parse().unwrap()],
    };
    link.messages.send(reflects.clone()).await.unwrap();
    assert_eq!(hear(&mut socket).await, reflects);

    drop(socket);
    drop(listener_gap(&listener).await);
    for participant in 2..5 {
        link.messages
            .send(answer("daily", participant))
            .await
            .unwrap();
    }
    link.messages.send(closed("daily", 1)).await.unwrap();

    let mut socket = accept(&listener).await;
    let mut hello = hear_hello(&mut socket).await;
    assert_eq!(hello.host, Some(HostId(7)), "it comes back as who it was");
    let legs: Vec<_> = hello
        .rooms
        .remove(0)
        .legs
        .iter()
        .map(|leg| leg.participant.0)
        .collect();
    assert_eq!(legs, [2, 3, 4]);
    assert_eq!(hear(&mut socket).await, reflects, "said again");
}

#[tokio::test]
async fn commands_arrive_and_what_is_unknown_or_broken_is_passed_over() {
    let (listener, mut link) = signaling().await;
    let mut socket = accept(&listener).await;
    hear_hello(&mut socket).await;
    for text in [r#"{"type":"dance"}"#, r#"{"type":"close_room"}"#, "]["] {
        socket.send(Message::Text(text.into())).await.unwrap();
    }
    let command = HostCommand::CloseRoom {
        room: room("daily"),
    };
    say(&mut socket, &command).await;
    assert_eq!(soon(link.commands.recv()).await, Some(command));
}

#[tokio::test]
async fn the_token_goes_in_the_header_and_nowhere_else() {
    let link = RemoteLink {
        credential: Credential::Fixed("s3cret".to_owned()),
        ..remote("http://call.example.org/")
    };
    let request = request(&link.route()).unwrap();
    assert_eq!(request.uri(), "ws://call.example.org/host");
    assert_eq!(request.headers()[AUTHORIZATION], "Bearer s3cret");
    assert!(!format!("{:?}", request.headers()).contains("s3cret"));
    let secure = super::request(&remote("https://call.example.org").route()).unwrap();
    assert_eq!(secure.uri(), "wss://call.example.org/host");
}

#[tokio::test]
async fn a_token_in_a_file_is_read_again_for_every_connection() {
    let path = std::env::temp_dir().join(format!("baton-host-token-{}", std::process::id()));
    std::fs::write(&path, "one\n").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let link = RemoteLink {
        credential: Credential::File(path.clone()),
        ..remote(&url)
    };
    let _link = connect(&link).unwrap();
    let socket = accept_with(&listener, "Bearer one").await;
    std::fs::write(&path, "two\n").unwrap();
    drop(socket);
    accept_with(&listener, "Bearer two").await;
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(connect(&link), Err(InvalidLink::Credential(_))));
}

#[tokio::test]
async fn an_address_or_token_that_cannot_work_is_refused_at_once() {
    assert!(matches!(
        connect(&remote("no address")),
        Err(InvalidLink::Url(_))
    ));
    let link = RemoteLink {
        credential: Credential::Fixed("a\nb".to_owned()),
        ..remote("http://localhost")
    };
    assert!(matches!(connect(&link), Err(InvalidLink::Token)));
}

#[tokio::test]
async fn the_link_ends_with_its_host() {
    let (listener, link) = signaling().await;
    let mut socket = accept(&listener).await;
    hear_hello(&mut socket).await;
    drop(link);
    loop {
        match soon(socket.next()).await {
            Some(Ok(Message::Close(_))) | None => return,
            Some(frame) => assert!(matches!(frame, Ok(Message::Ping(_))), "{frame:?}"),
        }
    }
}

fn remote(url: &str) -> RemoteLink {
    RemoteLink {
        url: url.to_owned(),
        credential: Credential::Fixed("token".to_owned()),
        trust: Trust::default(),
        name: "central".to_owned(),
        kind: HostKind::Central,
        fingerprint: Fingerprint([7; 32]),
    }
}

async fn signaling() -> (TcpListener, HostLink) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, connect(&remote(&url)).unwrap())
}

async fn accept(listener: &TcpListener) -> Accepted {
    accept_with(listener, "Bearer token").await
}

#[allow(
    clippy::result_large_err,
    reason = "the shape of the handshake callback is given"
)]
async fn accept_with(listener: &TcpListener, bearer: &str) -> Accepted {
    let (stream, _) = soon(listener.accept()).await.unwrap();
    let check = |upgrade: &Upgrade, response: Response| -> Result<Response, ErrorResponse> {
        assert_eq!(upgrade.uri().path(), "/host");
        assert_eq!(upgrade.headers()[AUTHORIZATION], bearer);
        Ok(response)
    };
    soon(accept_hdr_async(stream, check)).await.unwrap()
}

/// Takes the next attempt and lets it fail, so that the host has to wait.
async fn listener_gap(listener: &TcpListener) -> TcpStream {
    soon(listener.accept()).await.unwrap().0
}

async fn hear(socket: &mut Accepted) -> HostMessage {
    loop {
        if let Message::Text(text) = soon(socket.next()).await.unwrap().unwrap() {
            return serde_json::from_str(text.as_str()).unwrap();
        }
    }
}

async fn hear_hello(socket: &mut Accepted) -> HostHello {
    match hear(socket).await {
        HostMessage::Hello(hello) => hello,
        other @ (HostMessage::Answer(_)
        | HostMessage::IceRestarted { .. }
        | HostMessage::Refused(_)
        | HostMessage::Prepared { .. }
        | HostMessage::Declined { .. }
        | HostMessage::Renew { .. }
        | HostMessage::StepDown { .. }
        | HostMessage::Fitness { .. }
        | HostMessage::Lines { .. }
        | HostMessage::Reflects { .. }
        | HostMessage::Leg { .. }
        | HostMessage::BridgeOffered { .. }
        | HostMessage::BridgeAnswered { .. }
        | HostMessage::Bridge { .. }
        | HostMessage::Unknown) => panic!("the first message is a hello, not {other:?}"),
    }
}

async fn say(socket: &mut Accepted, command: &HostCommand) {
    let text = serde_json::to_string(command).unwrap();
    socket.send(Message::Text(text.into())).await.unwrap();
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), future)
        .await
        .expect("in time")
}

fn room(name: &str) -> RoomId {
    name.parse().unwrap()
}

fn closed(name: &str, participant: u32) -> HostMessage {
    HostMessage::Leg {
        room: room(name),
        participant: ParticipantId(participant),
        leg: LegId(1),
        state: LegState::Closed,
    }
}

fn answer(name: &str, participant: u32) -> HostMessage {
    HostMessage::Answer(baton_protocol::Answer {
        room: room(name),
        epoch: Epoch::FIRST,
        participant: ParticipantId(participant),
        leg: LegId(1),
        request: 1,
        sdp: "v=0".to_owned(),
        tracks: Vec::new(),
        slots: Vec::new(),
    })
}
