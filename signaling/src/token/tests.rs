//! Tokens that are taken, and a table of those that are not.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_800_000_000;

/// The pair of RFC 8032 section 7.1, test 1: known to everybody.
const ED_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
const ED_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";

fn secret() -> Secret {
    Secret::new("0123456789abcdef0123456789abcdef").expect("32 bytes")
}

fn keys() -> Keys {
    Keys::default().with_secret(&secret()).expect("a key")
}

fn claims() -> Value {
    json!({
        "sub": "ana", "aud": "baton", "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 600,
        "room": "tea", "name": "Ana", "grants": {"publish": ["microphone"], "subscribe": true},
    })
}

/// Signs any JSON text as HS256 with any header.
fn signed(header: &str, payload: &str, secret: &[u8]) -> String {
    use jsonwebtoken::crypto::sign;
    let encode = |text: &str| base64url(text.as_bytes());
    let message = format!("{}.{}", encode(header), encode(payload));
    let key = EncodingKey::from_secret(secret);
    let signature = sign(message.as_bytes(), &key, Algorithm::HS256).expect("HMAC takes any key");
    format!("{message}.{signature}")
}

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let index = word >> (18 - 6 * place) & 63;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

fn hs256(payload: &Value) -> String {
    signed(HS256, &payload.to_string(), &secret().0)
}

const HS256: &str = r#"{"typ":"JWT","alg":"HS256"}"#;

/// The good claims with one of them replaced, or taken away by `null`.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    let object = claims.as_object_mut().expect("an object");
    if value.is_null() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value);
    }
    claims
}

#[test]
fn a_token_says_who_may_do_what_where() {
    let Ok(Token::Join(join)) = keys().verify(&hs256(&claims()), NOW) else {
        panic!("a good token");
    };
    assert_eq!((join.subject.as_str(), join.room.as_str()), ("ana", "tea"));
    assert_eq!(join.name.as_deref(), Some("Ana"));
    assert!(join.grants.subscribe && !join.grants.chat && !join.grants.moderate);
    let unknown = with("email", json!("ana@example.org"));
    assert!(
        keys().verify(&hs256(&unknown), NOW).is_ok(),
        "RFC 7519 section 4: others are ignored"
    );
}

#[test]
fn clocks_may_differ_by_thirty_seconds() {
    let token = hs256(&claims());
    assert!(keys().verify(&token, NOW + 629).is_ok());
    assert_eq!(keys().verify(&token, NOW + 630), Err(TokenError::Expired));
    let early = hs256(&with("nbf", json!(NOW + 30)));
    assert!(keys().verify(&early, NOW).is_ok());
    let early = hs256(&with("nbf", json!(NOW + 31)));
    assert_eq!(keys().verify(&early, NOW), Err(TokenError::Early));
}

#[test]
fn a_short_secret_is_no_secret() {
    assert_eq!(Secret::new("x".repeat(31)), Err(KeyError::ShortSecret));
    assert_eq!(format!("{:?}", secret()), "Secret(..)");
    assert_eq!(
        Keys::default().with_ed25519_pem(b"x").err(),
        Some(KeyError::NotEd25519)
    );
}

/// Claims that no token may have, one fault each.
fn bad_claims() -> Vec<(&'static str, Value)> {
    let mut bad = Vec::new();
    for name in ["sub", "aud", "iat", "nbf", "exp", "room", "grants"] {
        bad.push(("missing", with(name, Value::Null)));
    }
    for name in ["iat", "nbf", "exp"] {
        for value in [
            json!((NOW + 60).to_string()),
            json!(1.5e9),
            json!(-1),
            json!([NOW]),
            json!({}),
            json!(true),
        ] {
            bad.push(("typed time", with(name, value)));
        }
    }
    for value in [
        json!("*"),
        json!("Tea"),
        json!(""),
        json!("a b"),
        json!(["tea"]),
        json!("x".repeat(65)),
        json!(7),
    ] {
        bad.push(("room", with("room", value)));
    }
    for value in [
        json!("other"),
        json!(["baton"]),
        json!("BATON"),
        json!(""),
        json!(1),
    ] {
        bad.push(("audience", with("aud", value)));
    }
    for value in [
        json!({"admin": true}),
        json!({"publish": ["everything"]}),
        json!({"publish": "microphone"}),
        json!({"publish": true}),
        json!({"subscribe": "yes"}),
        json!({"subscribe": 1}),
        json!("all"),
        json!([]),
        json!([["microphone"], true, true, true]),
    ] {
        bad.push(("grants", with("grants", value)));
    }
    for (name, value) in [
        ("sub", json!("")),
        ("sub", json!("x".repeat(129))),
        ("sub", json!(7)),
        ("jti", json!("")),
        ("jti", json!(7)),
        ("iss", json!(["x"])),
        ("name", json!("a\nb")),
        ("name", json!("x".repeat(129))),
        ("name", json!("")),
        ("admin", json!(true)),
        ("admin", json!("true")),
        ("purpose", json!("host")),
        ("purpose", json!("resume")),
        ("purpose", json!("root")),
        ("resume", json!({})),
        ("exp", json!(NOW - 31)),
        ("exp", json!(0)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(NOW + 25 * 3600)),
        ("nbf", json!(NOW + 31)),
        ("iat", json!(NOW + 31)),
        ("nbf", json!(u64::MAX)),
    ] {
        bad.push(("bounds", with(name, value)));
    }
    bad
}

/// Tokens that are wrong outside of their claims.
fn bad_tokens() -> Vec<(&'static str, String)> {
    let good = hs256(&claims());
    let payload = claims().to_string();
    let (head, signature) = good.rsplit_once('.').expect("three parts");
    let unsigned = |header: &str| {
        format!(
            "{}.{}.",
            base64url(header.as_bytes()),
            base64url(payload.as_bytes())
        )
    };
    let ed = EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes()).expect("a key");
    let foreign =
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims(), &ed).expect("signed");
    let twice = |field: &str| payload.replacen('{', &format!("{{{field},"), 1);
    let with_header = |header: &str| signed(header, &payload, &secret().0);
    vec![
        ("empty", String::new()),
        ("dots", "..".to_owned()),
        ("text", "not a token".to_owned()),
        ("two parts", head.to_owned()),
        ("four parts", format!("{good}.x")),
        ("no signature", format!("{head}.")),
        ("half a signature", format!("{head}.{}", &signature[..20])),
        ("padding", format!("{good}=")),
        ("alg none", unsigned(r#"{"alg":"none","typ":"JWT"}"#)),
        ("alg None", unsigned(r#"{"alg":"None","typ":"JWT"}"#)),
        ("no alg", unsigned(r#"{"typ":"JWT"}"#)),
        ("HS256 without signature", unsigned(HS256)),
        ("EdDSA of nobody we know", foreign),
        (
            "says EdDSA, is HMAC",
            with_header(r#"{"typ":"JWT","alg":"EdDSA"}"#),
        ),
        ("says HS512", with_header(r#"{"typ":"JWT","alg":"HS512"}"#)),
        ("says RS256", with_header(r#"{"typ":"JWT","alg":"RS256"}"#)),
        (
            "critical header",
            with_header(r#"{"alg":"HS256","crit":["exp"]}"#),
        ),
        ("zipped", with_header(r#"{"alg":"HS256","zip":"DEF"}"#)),
        (
            "two algorithms",
            with_header(r#"{"alg":"HS256","alg":"none"}"#),
        ),
        (
            "other secret",
            signed(HS256, &payload, b"another secret of thirty-two byte"),
        ),
        ("empty secret", signed(HS256, &payload, b"")),
        (
            "oversize",
            hs256(&with("email", json!("x".repeat(MAX_TOKEN)))),
        ),
        (
            "exp twice",
            signed(
                HS256,
                &twice(&format!("\"exp\":{}", NOW + 900)),
                &secret().0,
            ),
        ),
        (
            "room twice",
            signed(HS256, &twice("\"room\":\"other\""), &secret().0),
        ),
        (
            "grants twice",
            signed(HS256, &twice("\"grants\":{\"moderate\":true}"), &secret().0),
        ),
        ("not an object", signed(HS256, "[]", &secret().0)),
        ("fields without names", positional()),
        ("not JSON", signed(HS256, "{", &secret().0)),
        (
            "byte order mark",
            signed(HS256, &format!("\u{feff}{payload}"), &secret().0),
        ),
    ]
}

/// All claims in their order, as an array.
fn positional() -> String {
    let (from, to) = (NOW - 10, NOW + 600);
    let claims = json!([null, "ana", "baton", from, from, to, null, "join", false, "tea", "Ana", {"chat": true}, null]);
    hs256(&claims)
}

#[test]
fn none_of_the_bad_tokens_lets_anybody_join() {
    let mut count = 0;
    let bad = bad_claims()
        .into_iter()
        .map(|(what, claims)| (what, hs256(&claims)));
    for (what, token) in bad.chain(bad_tokens()) {
        let verified = keys().verify(&token, NOW);
        assert!(!matches!(verified, Ok(Token::Join(_))), "{what}: {token}");
        assert!(verified.is_err(), "{what}: {token} {verified:?}");
        count += 1;
    }
    assert!(count >= 60, "the table shrank to {count}");
}

#[test]
fn an_ed25519_key_takes_only_eddsa_and_its_text_is_no_secret() {
    let keys = Keys::default()
        .with_ed25519_pem(ED_PUBLIC.as_bytes())
        .expect("a key");
    let ed = EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes()).expect("a key");
    let good =
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims(), &ed).expect("signed");
    assert!(matches!(keys.verify(&good, NOW), Ok(Token::Join(_))));
    let confused = signed(HS256, &claims().to_string(), ED_PUBLIC.as_bytes());
    assert_eq!(keys.verify(&confused, NOW), Err(TokenError::Signature));
    assert!(keys.verify(&hs256(&claims()), NOW).is_err());
}

fn tokens() -> impl Strategy<Value = Token> {
    let times = (0..MAX_TOKEN_LIFE.as_secs()).prop_map(|life| (NOW, NOW + life + 1));
    let times = times.prop_filter("within a day", |(from, to)| {
        to - from <= MAX_TOKEN_LIFE.as_secs()
    });
    (
        "[a-z]{1,20}",
        "[a-z0-9_-]{1,64}",
        times,
        any::<bool>(),
        0..4,
    )
        .prop_map(|(subject, room, times, flag, kind)| {
            let (issued_at, expires_at) = times;
            let room: RoomId = room.parse().expect("a room");
            let grants = Grants {
                subscribe: flag,
                moderate: !flag,
                ..Grants::default()
            };
            match kind {
                0 => Token::Host(HostToken {
                    subject,
                    owner: None,
                    issued_at,
                    expires_at,
                }),
                1 => Token::Admin(AdminToken {
                    subject,
                    issued_at,
                    expires_at,
                }),
                2 => Token::Resume(ResumeToken {
                    room,
                    participant: ParticipantId(7),
                    name: subject.clone(),
                    grants,
                    subject: flag.then_some(subject),
                    token_id: None,
                    life: 9,
                    generation: 1,
                    term: HostTerm {
                        epoch: baton_protocol::Epoch::FIRST,
                        host: HostId(3),
                        kind: baton_protocol::HostKind::Central,
                        name: "sfu".to_owned(),
                    },
                    uses_server: true,
                    issued_at,
                    expires_at,
                }),
                _ => Token::Join(JoinToken {
                    token_id: flag.then(|| "one".to_owned()),
                    name: flag.then(|| subject.clone()),
                    subject,
                    room,
                    grants,
                    issued_at,
                    expires_at,
                }),
            }
        })
}

proptest! {
    #[test]
    fn what_is_minted_is_read_back_and_one_changed_byte_is_not(token in tokens(), place in any::<prop::sample::Index>()) {
        let text = secret().mint(&token);
        prop_assert_eq!(keys().verify(&text, NOW), Ok(token));
        let mut bytes = text.clone().into_bytes();
        let place = place.index(bytes.len());
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).expect("ASCII");
        // The last letter of the signature has two bits that mean nothing.
        prop_assume!(place + 1 < text.len());
        prop_assert!(keys().verify(&changed, NOW).is_err());
    }

    #[test]
    fn no_text_panics(text in ".{0,200}") {
        prop_assert!(keys().verify(&text, NOW).is_err());
    }
}
