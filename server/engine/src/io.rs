//! What goes into the engine and what comes out of it.

use std::net::{IpAddr, SocketAddr};

use baton_protocol::{HostMessage, LegId, ParticipantId, PathFromHost, RoomId};

use crate::bitrate::Bitrate;
use crate::sdp::CandidatePolicy;
use crate::transport::SrtpKeys;

/// How an engine is set up. Nothing here changes while it runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses under which participants reach the socket; each becomes an ICE host candidate.
    pub announced: Vec<SocketAddr>,
    /// They are reached by TCP as well (RFC 6544), under the same ports. To the engine a framed connection is a sender of
    /// datagrams like any other.
    pub has_tcp: bool,
    /// ICE-lite (RFC 8445 section 2.5): right for a host with an address of its own, wrong behind a NAT.
    pub ice_lite: bool,
    /// Which candidates of participants a full ICE agent may send checks to.
    pub candidates: CandidatePolicy,
    /// Tell whoever asks plainly (STUN) from which address they come: for a host that everybody can reach.
    pub reflects: bool,
    /// What all legs together may send, in bits per second; `None`: no limit is known. A host behind a home line has one.
    pub uplink: Option<Bitrate>,
}

/// Why there is no engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Nobody could reach it.
    #[error("no address is announced: say under which address participants reach this computer")]
    NoAddress,
}

/// Address and keys of a leg that needs no handshake.
#[derive(Clone, Debug)]
pub struct KeyedLeg {
    /// The participant's address.
    pub remote: SocketAddr,
    /// SRTP master keys, as seen by the host.
    pub keys: SrtpKeys,
}

/// One UDP payload as it came from the network. The bytes are scratch space: they may be overwritten.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Where it came from.
    pub remote: SocketAddr,
    /// The local address it was sent to.
    pub local: SocketAddr,
    /// UDP payload.
    pub bytes: &'a mut [u8],
}

/// Did a datagram belong to this engine?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routed {
    /// Yes: it was used, or dropped and counted.
    Here,
    /// No leg of this engine knows the sender; another worker's may.
    Elsewhere,
}

/// One send call: `size` bytes of the buffer given to `poll_transmit`, cut into datagrams of `segment_size` bytes
/// (the last may be shorter), all for one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub destination: SocketAddr,
    /// Local address to send from, where it matters.
    pub source: Option<IpAddr>,
    /// Bytes to send, from the start of the buffer.
    pub size: usize,
    /// Size of each datagram but the last. `None`: all bytes are one datagram.
    pub segment_size: Option<usize>,
}

/// What the engine tells the process around it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// For signaling.
    Message(HostMessage),
    /// STUN requests for this user fragment belong here from now on.
    Reachable {
        /// The local ICE user fragment.
        ufrag: String,
    },
    /// And no more.
    Unreachable {
        /// The local ICE user fragment.
        ufrag: String,
    },
    /// Last words on a leg that is gone already.
    Farewell {
        /// Where to.
        destination: SocketAddr,
        /// UDP payload.
        bytes: Vec<u8>,
    },
    /// A path message of a keyed leg.
    Path {
        /// Room of the leg.
        room: RoomId,
        /// Whose.
        participant: ParticipantId,
        /// Which.
        leg: LegId,
        /// What the data channel would have carried.
        message: PathFromHost,
    },
}
