//! Forwarding as a state machine: datagrams, commands and time in; datagrams, messages and deadlines out.
//!
//! Owns the way of a media packet between `receive` and `send` (route, open, admit, fan out, judge, seal) and the
//! legs it runs on. Has no socket, clock, thread, lock, async or global: the same inputs and the same seed give the
//! same decisions. It does not know whose computer it runs on.
//!
//! The caller's loop: feed everything there is (`handle_datagram`, `handle_command`, `handle_timeout`), then drain
//! `poll_transmit` and `poll_event`, then sleep until `poll_timeout`. Feeding a whole batch before draining is what
//! lets one send call carry a whole frame.

#![forbid(unsafe_code)]

pub mod codec;
mod io;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod srtp;
pub mod transport;

pub use io::{Config, Datagram, Event, Routed, Transmit};
