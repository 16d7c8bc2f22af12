//! The session descriptions of the load: as little as a host must accept, and as much as we need of its answer.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use crate::traffic::{MID_EXTENSION, TRANSPORT_SEQUENCE_EXTENSION, VP8};

/// What ICE and DTLS of one side are known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub pwd: String,
    /// `a=fingerprint`, algorithm included.
    pub fingerprint: String,
}

/// What one participant does with pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Sends one stream.
    Publisher {
        /// Its SSRC.
        ssrc: u32,
    },
    /// Has one slot.
    Subscriber,
}

/// The host's side of a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its credentials.
    pub credentials: Credentials,
    /// Its first candidate.
    pub address: SocketAddr,
}

/// m-line 0 is the picture (mid 0), m-line 1 the data channels (mid 1).
pub fn offer(own: &Credentials, part: Part) -> String {
    let direction = match part {
        Part::Publisher { .. } => "sendonly",
        Part::Subscriber => "recvonly",
    };
    let transport = format!(
        "c=IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=ice-options:trickle\r\na=fingerprint:{}\r\na=setup:actpass\r\n",
        own.ufrag, own.pwd, own.fingerprint
    );
    let feedback: String = ["nack", "nack pli", "ccm fir", "transport-cc"]
        .map(|kind| format!("a=rtcp-fb:{VP8} {kind}\r\n"))
        .concat();
    let mut sdp = format!(
        "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF {VP8} 97\r\n{transport}a=mid:0\r\n\
         a=extmap:{MID_EXTENSION} urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
         a=extmap:{TRANSPORT_SEQUENCE_EXTENSION} http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
         a={direction}\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:{VP8} VP8/90000\r\n{feedback}\
         a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt={VP8}\r\n"
    );
    if let Part::Publisher { ssrc } = part {
        sdp += &format!("a=msid:load camera\r\na=ssrc:{ssrc} cname:load\r\n");
    }
    sdp += &format!(
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{transport}a=mid:1\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n"
    );
    sdp
}

/// The answer that the load's rtc peer gets to read: only the data channels, with the host's credentials.
pub fn data_only_answer(answer: &Answer, mid: &str) -> String {
    let Credentials {
        ufrag,
        pwd,
        fingerprint,
    } = &answer.credentials;
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n\
         a=fingerprint:{fingerprint}\r\na=setup:passive\r\na=mid:{mid}\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n"
    )
}

/// Reads credentials out of any description.
///
/// # Errors
/// Naming the line that is missing.
pub fn credentials(sdp: &str) -> Result<Credentials> {
    let value = |name: &str| first(sdp, name).map(str::to_owned);
    Ok(Credentials {
        ufrag: value("a=ice-ufrag:")?,
        pwd: value("a=ice-pwd:")?,
        fingerprint: value("a=fingerprint:")?,
    })
}

/// Reads the host's answer.
///
/// # Errors
/// Naming what is missing.
pub fn answer(sdp: &str) -> Result<Answer> {
    let udp = sdp
        .lines()
        .filter_map(|line| line.strip_prefix("a=candidate:"));
    let mut addresses = udp.filter_map(|candidate| {
        let words: Vec<&str> = candidate.split_whitespace().collect();
        let [_, _, protocol, _, ip, port, ..] = words[..] else {
            return None;
        };
        let address = SocketAddr::new(ip.parse().ok()?, port.parse().ok()?);
        (protocol.eq_ignore_ascii_case("udp") && address.is_ipv4()).then_some(address)
    });
    Ok(Answer {
        credentials: credentials(sdp)?,
        address: addresses
            .next()
            .context("the answer has no UDP candidate")?,
    })
}

/// `a=mid` of the first m-line.
///
/// # Errors
/// When there is none.
pub fn first_mid(sdp: &str) -> Result<&str> {
    first(sdp, "a=mid:")
}

fn first<'a>(sdp: &'a str, name: &str) -> Result<&'a str> {
    let value = sdp
        .lines()
        .find_map(|line| line.trim_end().strip_prefix(name));
    value.with_context(|| format!("the description has no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_write_we_can_read() {
        let own = Credentials {
            ufrag: "u".into(),
            pwd: "p".repeat(22),
            fingerprint: "sha-256 AA:BB".into(),
        };
        let text = offer(&own, Part::Publisher { ssrc: 7 });
        assert_eq!(credentials(&text).unwrap(), own);
        assert!(text.contains("a=ssrc:7 ") && text.contains("a=sendonly"));
        assert!(answer(&text).is_err());
        let with_candidate =
            format!("{text}a=candidate:1 1 udp 2130706431 10.0.0.2 7881 typ host\r\n");
        assert_eq!(
            answer(&with_candidate).unwrap().address,
            SocketAddr::from(([10, 0, 0, 2], 7881))
        );
    }
}
