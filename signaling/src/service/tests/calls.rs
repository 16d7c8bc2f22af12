//! HTTP requests as a program writes them: REST, WHIP and WHEP.

use std::net::SocketAddr;

use baton_protocol::{Grants, HostCommand, PeerMessage, Tracks, ViewMode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::bench::{Bench, Peer, join, listen_for, secret};
use crate::service::ServiceConfig;
use crate::{Access, AdminToken, JoinToken, Keys, Token};

/// What came back.
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    fn assert_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(self.json()["status"], status);
    }
}

async fn request(to: SocketAddr, line: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut stream = TcpStream::connect(to).await.expect("connected");
    let mut text = format!(
        "{line} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    stream.write_all(text.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Reply {
        status: status.expect("a status"),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

const SDP: (&str, &str) = ("content-type", "application/sdp");
const FRAGMENT: (&str, &str) = ("content-type", "application/trickle-ice-sdpfrag");

#[tokio::test]
async fn whip_opens_trickles_restarts_and_ends() {
    let mut bench = Bench::open().await;
    let to = bench.address;
    let opened = request(to, "POST /whip/tea?name=OBS&later=1", &[SDP], "v=0").await;
    assert_eq!(
        (opened.status, opened.body.as_str()),
        (201, "answer to v=0")
    );
    assert_eq!(opened.header("content-type"), Some("application/sdp"));
    let etag = opened.header("etag").expect("an ETag").to_owned();
    let session = opened.header("location").expect("a Location").to_owned();
    assert!(session.starts_with("/whip/tea/") && etag.starts_with('"'));
    let asked = bench
        .told(|command| matches!(command, HostCommand::Negotiate(_)))
        .await;
    assert!(
        matches!(asked, HostCommand::Negotiate(asked) if matches!(asked.tracks, Tracks::Derived(_)))
    );
    let listed = request(to, "GET /api/v1/rooms/tea/participants", &[], "")
        .await
        .json();
    assert_eq!(listed["participants"][0]["name"], "OBS");
    assert_eq!(listed["participants"][0]["tracks"][1]["source"], "camera");

    let patch = format!("PATCH {session}");
    let candidate = "a=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    let trickled = request(to, &patch, &[FRAGMENT, ("if-match", &etag)], candidate).await;
    assert_eq!(trickled.status, 204);
    bench
        .told(|command| matches!(command, HostCommand::Candidate { .. }))
        .await;
    let no_tag = request(to, &patch, &[FRAGMENT], candidate).await;
    no_tag.assert_problem(428);
    let wrong_tag = request(to, &patch, &[FRAGMENT, ("if-match", "\"old\"")], candidate).await;
    wrong_tag.assert_problem(412);
    request(to, &patch, &[SDP, ("if-match", &etag)], candidate)
        .await
        .assert_problem(415);

    let fresh = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n";
    let restarted = request(to, &patch, &[FRAGMENT, ("if-match", "*")], fresh).await;
    assert_eq!(restarted.status, 200);
    assert!(
        restarted.body.contains("a=ice-ufrag:host\r\n")
            && restarted.body.contains("a=candidate:1 1 udp")
    );
    let newer = restarted.header("etag").expect("a new ETag");
    assert_ne!(newer, etag);
    let stale = request(to, &patch, &[FRAGMENT, ("if-match", &etag)], candidate).await;
    stale.assert_problem(412);

    let ended = request(to, &format!("DELETE {session}"), &[], "").await;
    assert_eq!(ended.status, 200);
    bench
        .told(|command| matches!(command, HostCommand::Close { .. }))
        .await;
    request(to, &format!("DELETE {session}"), &[], "")
        .await
        .assert_problem(404);
}

#[tokio::test]
async fn whip_says_what_is_wrong_with_a_request() {
    let bench = Bench::open().await;
    let to = bench.address;
    request(to, "POST /whip/tea", &[], "v=0")
        .await
        .assert_problem(415);
    request(to, "POST /whip/tea", &[SDP, ("accept", "text/html")], "v=0")
        .await
        .assert_problem(406);
    request(to, "POST /whip/tea", &[SDP], " ")
        .await
        .assert_problem(400);
    request(to, "POST /whip/Tea%20room", &[SDP], "v=0")
        .await
        .assert_problem(404);
    let refused = request(to, "POST /whip/tea", &[SDP], "refuse me").await;
    refused.assert_problem(400);
    assert!(refused.body.contains("line 3"), "the host's own words");
    let got = request(to, "GET /whip/tea", &[], "").await;
    got.assert_problem(405);
    assert_eq!(got.header("accept-post"), Some("application/sdp"));
    let options = request(to, "OPTIONS /whip/tea", &[], "").await;
    assert_eq!(
        (options.status, options.header("accept-post")),
        (200, Some("application/sdp"))
    );
    // Said, not sent: it is refused before it is read.
    let mut stream = TcpStream::connect(to).await.expect("connected");
    let head = format!(
        "POST /whip/tea HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/sdp\r\ncontent-length: 700000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.expect("a status");
    assert_eq!(&status, b"HTTP/1.1 413");
}

#[tokio::test]
async fn whep_looks_at_what_it_asks_for() {
    let mut bench = Bench::open().await;
    let to = bench.address;
    let mut ana = bench.peer().await;
    let ana = ana.join("tea", "Ana").await.me;
    let opened = request(to, "POST /whep/tea?participant=Ana", &[SDP], "v=0").await;
    assert_eq!(opened.status, 201);
    let asked = bench
        .told(|command| matches!(command, HostCommand::Negotiate(_)))
        .await;
    let HostCommand::Negotiate(asked) = asked else {
        panic!("asked")
    };
    assert_eq!(asked.view, ViewMode::Participant { participant: ana });
    assert!(asked.grants.publish.is_empty() && asked.grants.subscribe);
    request(to, "POST /whep/tea?participant=Bo", &[SDP], "v=0")
        .await
        .assert_problem(404);
    request(to, "POST /whep/tea?track=nine", &[SDP], "v=0")
        .await
        .assert_problem(400);
}

#[tokio::test]
async fn a_guarded_service_wants_the_right_token_at_every_door() {
    let keys = Keys::default();
    let bench = Bench::with(ServiceConfig::new(Access::Tokens { keys }, secret())).await;
    let to = bench.address;
    let now = crate::service::now().unix_s();
    let join = secret().mint(&Token::Join(JoinToken {
        subject: "cam".to_owned(),
        token_id: None,
        room: "tea".parse().expect("a room name"),
        name: None,
        grants: Grants::talk(),
        issued_at: now,
        expires_at: now + 60,
    }));
    let admin = secret().mint(&Token::Admin(AdminToken {
        subject: "ops".to_owned(),
        issued_at: now,
        expires_at: now + 60,
    }));
    let (join, admin) = (format!("Bearer {join}"), format!("Bearer {admin}"));
    request(to, "POST /whip/tea", &[SDP], "v=0")
        .await
        .assert_problem(401);
    request(
        to,
        "POST /whip/tea",
        &[SDP, ("authorization", &admin)],
        "v=0",
    )
    .await
    .assert_problem(401);
    let opened = request(
        to,
        "POST /whip/tea",
        &[SDP, ("authorization", &join)],
        "v=0",
    )
    .await;
    assert_eq!(opened.status, 201);
    let session = format!("DELETE {}", opened.header("location").expect("a Location"));
    request(to, &session, &[], "").await.assert_problem(401);
    request(to, "GET /api/v1/rooms", &[], "")
        .await
        .assert_problem(401);
    request(to, "GET /api/v1/rooms", &[("authorization", &join)], "")
        .await
        .assert_problem(403);
    let rooms = request(to, "GET /api/v1/rooms", &[("authorization", &admin)], "").await;
    assert_eq!(rooms.json()["rooms"][0]["room"], "tea");
    let json = ("content-type", "application/json");
    let wish = r#"{"identity":"ana","grants":{"subscribe":true}}"#;
    request(to, "POST /api/v1/rooms/tea/tokens", &[json], wish)
        .await
        .assert_problem(401);
    let minted = request(
        to,
        "POST /api/v1/rooms/tea/tokens",
        &[json, ("authorization", &admin)],
        wish,
    )
    .await;
    assert_eq!(minted.status, 201);
    let token = minted.json()["token"].as_str().expect("a token").to_owned();
    let mut ana = bench.peer().await;
    let joined = ana.join_with("tea", "Ana", Some(token), None).await;
    assert!(joined.grants.subscribe && !joined.grants.chat);
    assert_eq!(
        request(to, &session, &[("authorization", &join)], "")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn rest_shows_removes_and_explains() {
    let bench = Bench::open().await;
    let to = bench.address;
    let mut ana = bench.peer().await;
    let me = ana.join("tea", "Ana").await.me.0;
    let room = request(to, "GET /api/v1/rooms/tea", &[], "").await.json();
    assert_eq!(
        (&room["participants"], &room["host"]["kind"]),
        (&Value::from(1), &Value::from("central"))
    );
    let hosting = request(to, "GET /api/v1/rooms/tea/hosting", &[], "").await;
    let hosting = hosting.json();
    assert_eq!(
        (&hosting["policy"], &hosting["host"]["kind"]),
        (&Value::from("auto"), &Value::from("central"))
    );
    let json = [("content-type", "application/json")];
    let order = |body: &'static str| request(to, "POST /api/v1/rooms/tea/hosting", &json, body);
    let policy = r#"{"action":"policy","policy":"prefer_participant"}"#;
    assert_eq!(order(policy).await.status, 204);
    let hosting = request(to, "GET /api/v1/rooms/tea/hosting", &[], "").await;
    assert_eq!(hosting.json()["policy"], "prefer_participant");
    assert_eq!(order(r#"{"action":"pass"}"#).await.status, 204);
    order(r#"{"action":"pass","host":77}"#)
        .await
        .assert_problem(404);
    order(r#"{"action":"abort"}"#).await.assert_problem(404);
    order(r#"{"action":"dance"}"#).await.assert_problem(422);
    let one = format!("/api/v1/rooms/tea/participants/{me}");
    assert_eq!(
        request(to, &format!("GET {one}"), &[], "").await.json()["name"],
        "Ana"
    );
    request(to, &format!("POST {one}/tracks/7/mute"), &[], "")
        .await
        .assert_problem(404);
    assert_eq!(
        request(to, &format!("DELETE {one}"), &[], "").await.status,
        204
    );
    request(to, &format!("DELETE {one}"), &[], "")
        .await
        .assert_problem(404);
    assert_eq!(
        request(to, "DELETE /api/v1/rooms/tea", &[], "")
            .await
            .status,
        204
    );
    request(to, "GET /api/v1/rooms/tea", &[], "")
        .await
        .assert_problem(404);
    request(to, "GET /api/v1/nothing", &[], "")
        .await
        .assert_problem(404);
    request(to, "PUT /api/v1/rooms", &[], "")
        .await
        .assert_problem(405);
    let json = ("content-type", "application/json");
    request(to, "POST /api/v1/rooms/tea/tokens", &[json], "{}")
        .await
        .assert_problem(422);
    request(to, "POST /api/v1/rooms/tea/tokens", &[json], "{")
        .await
        .assert_problem(400);
    let document = request(to, "GET /api/v1/openapi.json", &[], "")
        .await
        .json();
    assert!(
        document["openapi"]
            .as_str()
            .expect("a version")
            .starts_with("3.1")
    );
    for path in document["paths"].as_object().expect("paths").keys() {
        assert!(path.starts_with("/api/v1/rooms"), "{path}");
    }
    assert_eq!(document["paths"].as_object().expect("paths").len(), 7);
}

#[tokio::test]
async fn other_pages_get_nothing_out_of_an_open_service() {
    let bench = Bench::open().await;
    let to = bench.address;
    let evil = ("origin", "https://evil.test");
    request(to, "GET /api/v1/rooms", &[evil], "")
        .await
        .assert_problem(403);
    request(to, "POST /whip/tea", &[evil, SDP], "v=0")
        .await
        .assert_problem(403);
    let local = ("origin", "http://localhost:5173");
    let allowed = request(to, "GET /api/v1/rooms", &[local], "").await;
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        Some("http://localhost:5173")
    );
    let upgrade = [
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        evil,
    ];
    let mut hijack = TcpStream::connect(to).await.expect("connected");
    let mut text = format!("GET /ws HTTP/1.1\r\nhost: {to}\r\nconnection: upgrade\r\n");
    for (name, value) in upgrade {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    hijack
        .write_all(format!("{text}\r\n").as_bytes())
        .await
        .expect("written");
    let mut status = [0; 12];
    hijack.read_exact(&mut status).await.expect("a status");
    assert_eq!(&status, b"HTTP/1.1 403");
    let mut rebound = TcpStream::connect(to).await.expect("connected");
    let text = "GET /api/v1/rooms HTTP/1.1\r\nhost: evil.test:7880\r\nconnection: close\r\n\r\n";
    rebound.write_all(text.as_bytes()).await.expect("written");
    rebound.read_exact(&mut status).await.expect("a status");
    assert_eq!(&status, b"HTTP/1.1 421");
}

#[tokio::test]
async fn whoever_shows_ten_wrong_tokens_is_not_listened_to_for_a_while() {
    let keys = Keys::default();
    let bench = Bench::with(ServiceConfig::new(Access::Tokens { keys }, secret())).await;
    let guesser = listen_for(&bench.service, "198.51.100.7".parse().expect("address")).await;
    let other = listen_for(&bench.service, "198.51.100.8".parse().expect("address")).await;
    let wrong = [("authorization", "Bearer e30.e30.c2ln")];
    for _ in 0..4 {
        let reply = request(guesser, "GET /api/v1/rooms", &wrong, "").await;
        assert_eq!(reply.status, 401);
    }
    for _ in 0..6 {
        let mut peer = Peer::connect(guesser).await;
        let token = Some("e30.e30.c2ln".to_owned());
        peer.send(&PeerMessage::Join(join("tea", "Ana", token, None)))
            .await;
        while peer.next_or_close().await.is_ok() {}
    }
    let locked = request(guesser, "GET /api/v1/rooms", &wrong, "").await;
    locked.assert_problem(429);
    assert_eq!(locked.header("retry-after"), Some("60"));
    let without = request(guesser, "GET /api/v1/openapi.json", &[], "").await;
    assert_eq!(without.status, 200, "nothing is guessed without a token");
    let reply = request(other, "GET /api/v1/rooms", &wrong, "").await;
    assert_eq!(reply.status, 401);
}
