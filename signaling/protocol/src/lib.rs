//! The words of Baton's wire: ids, tracks, and the messages between participant, signaling and host.
//!
//! Owns: what may be said and how it is spelled in JSON. Does not own: who may say it (`signaling`),
//! what it does (`engine`), or how it travels (WebSocket, data channel, in-process queue).
//! Session descriptions are opaque text here: only the engine reads SDP.
//!
//! Forward compatibility: a message whose `type` is unknown decodes to `Unknown` and is ignored;
//! unknown fields are ignored; a known message with a wrong field is an error.

#![forbid(unsafe_code)]

mod bridge;
mod epoch;
mod grant;
mod host;
mod hosting;
mod id;
pub mod limits;
mod line;
mod path;
mod peer;
mod track;

pub use bridge::{BridgeEnd, BridgeId, BridgeMessage, BridgeTrack, Pull};
pub use epoch::{Epoch, HostKind, HostTerm};
pub use grant::Grants;
pub use host::{
    Answer, Denial, HostCommand, HostHello, HostMessage, IceParameters, LegState, Negotiate,
    Refusal, RosterLeg, RosterRoom, Tracks, ViewMode,
};
pub use hosting::{
    CandidateInfo, Fitness, GrantClaims, HostLoad, HostRole, HostSeat, Hosting, HostingPolicy,
    LineQuality, MovePhase, MoveStep, Moving, PowerSource, SignalingPlace, StepDownReason,
    TicketClaims,
};
pub use id::{HostId, InvalidRoomId, LegId, ParticipantId, RoomId, TrackId};
pub use line::{Direction, LineReport, LineScore, Score};
pub use path::{
    CONTROL_CHANNEL, LayerWanted, PULSE_CHANNEL, PathFromHost, PathToHost, PauseReason, SlotShown,
    SlotView, TrackWanted,
};
pub use peer::{
    ErrorCode, IceServer, Join, Joined, LeaveReason, ParticipantInfo, PeerMessage, Resume,
    ServiceMessage,
};
pub use track::{LayerInfo, MediaKind, Source, TrackInfo, TrackOffer};

/// Version of the signaling protocol. Additive changes keep it; a change that breaks an old page raises it.
pub const PROTOCOL_VERSION: u16 = 1;

/// Oldest version that this code still speaks.
pub const OLDEST_PROTOCOL_VERSION: u16 = 1;

#[cfg(test)]
mod bindings;
