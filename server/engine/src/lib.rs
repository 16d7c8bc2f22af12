//! Forwarding as a state machine: datagrams, commands and time in; datagrams, messages and deadlines out.
//!
//! Owns the way of a media packet between `receive` and `send` (route, open, admit, fan out, judge, seal) and the
//! legs it runs on. Has no socket, clock, thread, lock, async or global: the same inputs and the same seed give the
//! same decisions. It does not know whose computer it runs on.
//!
//! The caller's loop: feed everything there is (`handle_datagram`, `handle_command`, `handle_timeout`), then drain
//! `poll_transmit` and `poll_event`, then sleep until `poll_timeout`. Feeding a whole batch before draining is what
//! lets one send call carry a whole frame.

#![deny(unsafe_code)]

mod ahead;
mod allocate;
mod arrivals;
mod asker;
mod bitrate;
mod bridge;
pub mod codec;
mod demux;
mod engine;
mod estimate;
mod feedback;
mod forwarder;
mod history;
mod inbound;
mod io;
mod layer;
mod leg;
mod negotiate;
mod pace;
mod padding;
mod prefetch;
mod publication;
mod reception;
mod reflect;
mod relay;
mod ring;
mod room;
pub mod rtcp;
pub mod rtp;
mod score;
pub mod sdp;
mod seal;
mod slab;
mod slot;
mod speaker;
pub mod srtp;
mod stats;
mod term;
mod time;
pub mod transport;
mod uplink;

pub use bitrate::Bitrate;
pub use demux::stun_ufrag;
pub use engine::Engine;
pub use forwarder::DropReason;
pub use io::{Config, Datagram, EngineError, Event, KeyedLeg, Routed, Transmit};
pub use relay::RelayServer;
pub use stats::Stats;
