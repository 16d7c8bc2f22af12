//! A transport that is asked with every picture, and hardly ever has anything to say.

use std::ops::{Deref, DerefMut};
use std::time::Instant;

use super::{Outgoing, Transport};

/// A leg's transport. Remembers that there was nothing to send: it lies elsewhere in memory, and looking there costs as much as a packet.
pub(crate) struct Held {
    transport: Box<Transport>,
    is_quiet: bool,
}

impl Held {
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            transport: Box::new(transport),
            is_quiet: false,
        }
    }

    /// The next datagram to send.
    pub(crate) fn poll_transmit(&mut self) -> Option<Outgoing> {
        if self.is_quiet {
            return None;
        }
        let next = self.transport.poll_transmit();
        self.is_quiet = next.is_none();
        next
    }

    /// When it is to be woken. Asking changes nothing.
    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        self.transport.poll_timeout()
    }

    #[cfg(test)]
    pub(super) fn is_quiet(&self) -> bool {
        self.is_quiet
    }
}

impl Deref for Held {
    type Target = Transport;

    fn deref(&self) -> &Transport {
        &self.transport
    }
}

/// Whoever does anything with it may give it something to send.
impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Transport {
        self.is_quiet = false;
        &mut self.transport
    }
}
