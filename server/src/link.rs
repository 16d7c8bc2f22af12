//! How a host and signaling talk: two bounded queues, whatever is between them.
//!
//! In process signaling fills the queues itself ([`local_link`]). Over the network [`remote`] does, and knows the living legs
//! ([`Roster`]) so that a new connection starts with everything the other side has to know. Participants have the same
//! [`Socket`] to signaling, with other words on it.

use baton_protocol::{HostCommand, HostMessage};
use tokio::sync::mpsc;

mod backoff;
mod credential;
pub mod local_link;
mod remote;
mod roster;
mod socket;

pub use backoff::backoff;
pub use credential::Credential;
pub use remote::{InvalidLink, RemoteLink, Route, connect, connect_along, is_reached};
pub use roster::Roster;
pub use socket::{InvalidAuthorities, Lost, Socket, Trust, Unreachable};

/// The host's end of a link.
#[derive(Debug)]
pub struct HostLink {
    /// From signaling.
    pub commands: mpsc::Receiver<HostCommand>,
    /// To signaling.
    pub messages: mpsc::Sender<HostMessage>,
}
