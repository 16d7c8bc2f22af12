//! How a host and signaling talk: two bounded queues, whatever is between them.
//!
//! In process signaling fills the queues itself. Over the network [`remote`] does, and knows the living legs
//! ([`Roster`]) so that a new connection starts with everything the other side has to know.

use baton_protocol::{HostCommand, HostMessage};
use tokio::sync::mpsc;

mod remote;
mod roster;

pub use remote::{RemoteLink, connect};
pub use roster::Roster;

/// The host's end of a link.
#[derive(Debug)]
pub struct HostLink {
    /// From signaling.
    pub commands: mpsc::Receiver<HostCommand>,
    /// To signaling.
    pub messages: mpsc::Sender<HostMessage>,
}
