//! The examples of `PROTOCOL.md` are real messages.

use baton_protocol::{
    BridgeMessage, HostCommand, HostMessage, PathFromHost, PathToHost, PeerMessage, ServiceMessage,
};

use crate::{Keys, Secret};

/// Who says it, and the JSON.
fn examples() -> Vec<(&'static str, &'static str)> {
    let text = include_str!("../PROTOCOL.md");
    let blocks = text.split("```json ").skip(1);
    blocks
        .map(|block| {
            let (speaker, rest) = block.split_once('\n').expect("a speaker");
            (speaker, rest.split("```").next().expect("an end").trim())
        })
        .collect()
}

#[test]
fn every_example_is_a_message_of_its_speaker() {
    fn is<T: serde::de::DeserializeOwned + PartialEq>(json: &str, unknown: &T) -> bool {
        serde_json::from_str::<T>(json).is_ok_and(|message| message != *unknown)
    }
    let examples = examples();
    assert!(
        examples.len() >= 19,
        "the document has {} examples",
        examples.len()
    );
    for (speaker, json) in examples {
        let is_message = match speaker {
            "participant" => is(json, &PeerMessage::Unknown),
            "signaling" => is(json, &ServiceMessage::Unknown),
            "host" => is(json, &HostMessage::Unknown),
            "command" => is(json, &HostCommand::Unknown),
            "to-host" => is(json, &PathToHost::Unknown),
            "to-other-host" => is(json, &BridgeMessage::Unknown),
            "from-host" => is(json, &PathFromHost::Unknown),
            "claims" => is_join_token(json),
            other => panic!("nobody is called {other}"),
        };
        assert!(is_message, "{speaker}: {json}");
    }
}

/// Signed as it stands there, the claims let somebody in.
fn is_join_token(json: &str) -> bool {
    use jsonwebtoken::{Algorithm, EncodingKey, Header};

    let bytes = [7; 32];
    let secret = Secret::new(bytes).expect("32 bytes");
    let claims: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let key = EncodingKey::from_secret(&bytes);
    let token =
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).expect("signed");
    let keys = Keys::default().with_secret(&secret).expect("a key");
    matches!(
        keys.verify(&token, 1_800_000_100),
        Ok(crate::Token::Join(_))
    )
}
