//! ICE, DTLS and SCTP of one leg, by the rtc crate; media never passes through here.
//!
//! Owns the connection underneath a leg: which addresses passed ICE, the DTLS association, the SRTP master keys it
//! yields and the two data channels. Does not own SDP (`sdp`), SRTP (`srtp`) or which leg a datagram belongs to.
//!
//! rtc is told a synthetic offer with one data channel line, whatever the real offer looks like.

mod addresses;
mod certificate;
mod config;
mod event;
mod held;
mod hello;
mod keys;
mod peer;
mod record;
mod stun;
mod synthetic;

pub use certificate::Certificate;
pub use config::{PROFILES, TransportConfig, warm_up};
pub use event::{Counters, Failure, Outgoing, SendError, TransportError, TransportEvent};
pub(crate) use held::Held;
pub use keys::{SrtpKeys, SrtpMaster, SrtpProfile};
pub use peer::{Caller, Transport};

#[cfg(test)]
mod tests;
