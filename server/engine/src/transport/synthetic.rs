//! The descriptions that rtc sees, and what is read from its own.

use std::time::Instant;

use rtc::peer_connection::RTCPeerConnection;
use rtc::peer_connection::sdp::RTCSessionDescription;

use super::TransportError;
use crate::sdp::{ChannelLine, Fingerprint, IcePassword, LocalTransport, RemoteTransport, Setup};

/// What rtc is told of a data channel line that the participant does not have (WHIP): it always runs SCTP.
const DEFAULT_CHANNELS: ChannelLine = ChannelLine {
    sctp_port: 5000,
    max_message_size: 65_536,
};

/// One round of offer and answer with rtc; new credentials make it restart ICE.
pub(super) fn negotiate(
    peer: &mut RTCPeerConnection,
    remote: &RemoteTransport,
    now: Instant,
) -> Result<LocalTransport, TransportError> {
    peer.set_remote_description(now, RTCSessionDescription::offer(offer(remote))?)?;
    let answer = peer.create_answer(None)?;
    peer.set_local_description(now, answer)?;
    let answer = peer
        .local_description()
        .ok_or(TransportError::Answer("description"))?;
    read(&answer.sdp)
}

/// An offer of rtc's own.
pub(super) fn call(
    peer: &mut RTCPeerConnection,
    now: Instant,
) -> Result<LocalTransport, TransportError> {
    let offer = peer.create_offer(None)?;
    peer.set_local_description(now, offer)?;
    let offer = peer
        .local_description()
        .ok_or(TransportError::Answer("description"))?;
    read(&offer.sdp)
}

/// The answer to it.
pub(super) fn answered(
    peer: &mut RTCPeerConnection,
    remote: &RemoteTransport,
    now: Instant,
) -> Result<(), TransportError> {
    let answer = RTCSessionDescription::answer(offer(remote))?;
    Ok(peer.set_remote_description(now, answer)?)
}

/// Every word in it is either ours or was checked on reading, so nothing can be smuggled in.
fn offer(remote: &RemoteTransport) -> String {
    let RemoteTransport {
        ufrag,
        pwd,
        fingerprint,
        setup,
        ..
    } = remote;
    let ChannelLine {
        sctp_port,
        max_message_size,
    } = remote.channels.unwrap_or(DEFAULT_CHANNELS);
    let lite = if remote.is_lite { "a=ice-lite\r\n" } else { "" };
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{lite}a=group:BUNDLE 0\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n\
         a=ice-ufrag:{ufrag}\r\na=ice-pwd:{}\r\na=fingerprint:{fingerprint}\r\na=setup:{}\r\n\
         a=sctp-port:{sctp_port}\r\na=max-message-size:{max_message_size}\r\n",
        pwd.as_str(),
        setup.as_str(),
    )
}

fn read(answer: &str) -> Result<LocalTransport, TransportError> {
    let value = |name: &str| {
        answer.lines().find_map(|line| {
            line.strip_prefix("a=")?
                .strip_prefix(name)?
                .strip_prefix(':')
        })
    };
    let missing = TransportError::Answer;
    Ok(LocalTransport {
        ufrag: value("ice-ufrag").ok_or(missing("a=ice-ufrag"))?.to_owned(),
        pwd: value("ice-pwd")
            .and_then(IcePassword::parse)
            .ok_or(missing("a=ice-pwd"))?,
        fingerprint: value("fingerprint")
            .and_then(Fingerprint::parse)
            .ok_or(missing("a=fingerprint"))?,
        setup: value("setup")
            .and_then(Setup::parse)
            .ok_or(missing("a=setup"))?,
        sctp_port: value("sctp-port")
            .and_then(|port| port.parse().ok())
            .unwrap_or(5000),
        max_message_size: value("max-message-size")
            .and_then(|size| size.parse().ok())
            .unwrap_or(DEFAULT_CHANNELS.max_message_size),
    })
}
