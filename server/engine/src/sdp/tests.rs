//! What answers to offers say.

use super::policy::DEPENDENCY_DESCRIPTOR;
use super::{AnswerParams, Fingerprint, IcePassword, LocalTransport, Offer, Setup, answer};

/// An offer of one m-line of pictures with these codecs, by payload type.
fn offer(direction: &str, codecs: &[(u8, &str)]) -> Offer {
    let types: Vec<_> = codecs
        .iter()
        .map(|(number, _)| number.to_string())
        .collect();
    let maps = codecs
        .iter()
        .map(|(number, name)| format!("a=rtpmap:{number} {name}/90000\r\n"));
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=ice-ufrag:abcd\r\n\
         a=ice-pwd:0123456789012345678901234\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF {}\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na={direction}\r\na=rtcp-mux\r\n\
         a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:9 {DEPENDENCY_DESCRIPTOR}\r\n{}",
        vec!["AB"; 32].join(":"),
        types.join(" "),
        maps.collect::<String>(),
    );
    Offer::parse(&text).expect("an offer")
}

fn answered(offer: &Offer) -> String {
    let transport = LocalTransport {
        ufrag: "wxyz".to_owned(),
        pwd: IcePassword::parse("9876543210987654321098765").expect("long enough"),
        fingerprint: Fingerprint([7; 32]),
        setup: Setup::Passive,
        sctp_port: 5000,
        max_message_size: 65_536,
    };
    let params = AnswerParams {
        transport: &transport,
        announced: &[],
        reflexive: &[],
        relayed: None,
        has_tcp: false,
        is_lite: true,
        session: 1,
        version: 1,
        cname: "host",
        start_bitrate: None,
    };
    answer(offer, &params, |_| None)
}

#[test]
fn who_sends_vp8_is_not_offered_descriptors_and_everybody_else_is() {
    const VP8: (u8, &str) = (96, "VP8");
    const AV1: (u8, &str) = (45, "AV1");
    for (direction, codecs, has_descriptors) in [
        ("sendonly", [VP8, AV1], false),
        ("sendonly", [AV1, VP8], true),
        ("recvonly", [VP8, AV1], true),
    ] {
        let text = answered(&offer(direction, &codecs));
        let has = |uri: &str| text.lines().any(|line| line.ends_with(uri));
        assert_eq!(
            has(DEPENDENCY_DESCRIPTOR),
            has_descriptors,
            "{direction} {codecs:?}:\n{text}"
        );
        assert!(has("sdes:mid"), "{text}");
    }
}
