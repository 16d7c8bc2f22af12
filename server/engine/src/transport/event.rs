//! What a connection tells, and how it fails.

use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;

use super::keys::SrtpKeys;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The certificate cannot be made.
    #[error("DTLS certificate: {0}")]
    Certificate(String),
    /// The offer cannot be accepted by rtc.
    #[error("rtc refuses the connection: {0}")]
    Rtc(String),
    /// rtc's answer has not what every answer has.
    #[error("rtc's answer lacks a usable {0}")]
    Answer(&'static str),
    /// A leg keeps its certificate; a new one needs a new leg.
    #[error(
        "the offer shows another certificate than the leg was made with: open a new connection"
    )]
    CertificateChanged,
}

impl From<rtc::shared::error::Error> for TransportError {
    fn from(error: rtc::shared::error::Error) -> Self {
        Self::Rtc(error.to_string())
    }
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// 256 KiB wait already: the message was dropped.
    #[error("the channel's buffer is full")]
    Full,
    /// Not open yet, closed, or no such channel.
    #[error("the channel is not open")]
    NotOpen,
    /// Larger than the other side takes.
    #[error("the message is larger than the other side accepts")]
    TooLarge,
}

/// Why a connection ended, or never came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No path, or the path went silent.
    Ice,
    /// No keys within 15 s of the first path.
    HandshakeTimeout,
    /// A fatal alert (RFC 5246 section 7.2), from here or there: 42 is a certificate that the offer did not announce.
    Alert(u8),
    /// rtc derived its keys in another way than the hook expects.
    Keys,
}

/// What happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportEvent {
    /// ICE has a path. Media may come from it (and from other addresses that [`Transport::is_verified`] knows).
    Path {
        /// The participant's address.
        remote: SocketAddr,
        /// The host's own address on it, if anything came to it yet.
        source: Option<IpAddr>,
    },
    /// The DTLS handshake is done.
    Keys(SrtpKeys),
    /// A data channel can be used.
    ChannelOpen {
        /// Its number.
        channel: u16,
    },
    /// A message came.
    Message {
        /// On which channel.
        channel: u16,
        /// Its bytes: at most the announced maximum.
        bytes: BytesMut,
    },
    /// The other side closed, or `close` was called. The last event.
    Closed,
    /// The connection cannot go on. The last event.
    Failed(Failure),
}

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub remote: SocketAddr,
    /// Local address that the other side sent to last.
    pub source: Option<IpAddr>,
    /// UDP payload.
    pub bytes: BytesMut,
}

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// DTLS from addresses that have not passed ICE.
    pub unverified: u64,
    /// Datagrams that rtc refused.
    pub refused: u64,
    /// Outgoing datagrams beyond the bound.
    pub overflowed: u64,
    /// SCTP to a participant without data channels.
    pub channelless: u64,
}
