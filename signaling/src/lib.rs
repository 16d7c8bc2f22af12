//! Baton's signaling service: rooms, participants, tokens and hosts. It relays session descriptions without reading
//! them and never sees media.
//!
//! [`Registry`] is pure: messages and time in, messages out; no socket, clock, task or random source of its own.
//! [`Service`] is the shell around it: WebSockets on `/ws` and `/host`, REST under `/api/v1`, WHIP and WHEP, and the
//! in-process link to a host of the same program. Time is read only there. The wire is told in `PROTOCOL.md`.

#![forbid(unsafe_code)]

mod access;
mod denied;
mod grant;
mod host;
mod hosting;
mod limits;
mod now;
mod participant;
mod rate;
mod registry;
mod room;
mod service;
mod text;
mod token;
mod turn;

pub use access::{Access, InviteCode};
pub use grant::{GrantSigner, GrantVerifier, is_fingerprint};
pub use host::LinkId;
pub use hosting::{ElectionRules, HostingRules, MoveRules};
pub use limits::Limits;
pub use now::Now;
pub use registry::{
    Call, CallError, CallId, CallReply, CandidateView, CloseReason, ConnectionId, HostingChange,
    HostingOrder, HostingView, LineView, Output, Publisher, Registry, RegistryConfig, RoomView,
    SessionId, SessionKey, SessionOpen,
};
pub use service::{LocalHostLink, Service, ServiceConfig, Stats, router};
pub use token::{
    AUDIENCE, AdminToken, ComputerOwner, HostToken, JoinToken, KeyError, Keys, MAX_TOKEN,
    MAX_TOKEN_LIFE, ResumeToken, Secret, Token, TokenError,
};
pub use turn::Turn;

#[cfg(test)]
mod wire;
