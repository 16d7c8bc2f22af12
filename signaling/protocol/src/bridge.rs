//! Two hosts of one room, joined: each takes from the other what its own people want and only the other has at first hand.
//!
//! Signaling introduces them ([`crate::HostCommand::OpenBridge`] and what follows); after that they talk over the bridge's own control
//! channel. There are no m-lines: what is sent under which number follows from [`BridgeMessage::Pull`] alone. A host offers what its own
//! participants send to it, never what came over a bridge, so no packet runs in a circle.

use serde::{Deserialize, Serialize};

use crate::{IceParameters, ParticipantId, TrackId, TrackInfo};

/// Number of one association of two hosts, chosen by signaling; a new one is a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BridgeId(pub u32);

/// How one of the two is reached, and by what it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeEnd {
    /// Its ICE credentials.
    pub ice: IceParameters,
    /// SHA-256 of its DTLS certificate, as in [`crate::GrantClaims::fingerprint`].
    pub fingerprint: String,
    /// ICE-lite (RFC 8445 section 2.5).
    #[serde(default)]
    pub lite: bool,
    /// Values of `a=candidate`, at most [`crate::limits::MAX_CANDIDATES`].
    pub candidates: Vec<String>,
}

/// From one host to the other, on the bridge's control channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BridgeMessage {
    /// What there is at first hand, whole.
    Has {
        /// At most [`crate::limits::MAX_BRIDGE_TRACKS`].
        tracks: Vec<BridgeTrack>,
    },
    /// What shall be sent, whole: what is not named is not sent.
    Pull {
        /// At most [`crate::limits::MAX_PULLS`].
        slots: Vec<Pull>,
    },
    /// A type this version does not know: ignored.
    #[serde(other)]
    Unknown,
}

/// A track that a host has at first hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeTrack {
    /// Whose.
    pub participant: ParticipantId,
    /// With its layers as they are, whatever was declared.
    pub track: TrackInfo,
    /// It was sent within the last moments. One that is not may be a silent copy, kept for the case that the other host dies.
    pub live: bool,
}

/// One stream that is wanted: exactly one layer of one track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// Names the stream, and stays with this layer of this track: media has SSRC 2^30 + 2 * slot, retransmissions the next one.
    pub slot: u32,
    /// Which track.
    pub track: TrackId,
    /// Which of its layers, 0 the smallest.
    pub layer: u8,
}
