//! A transport that is asked with every picture, and hardly ever has anything to say.

use std::ops::{Deref, DerefMut};
use std::time::Instant;

use super::{Outgoing, Transport, TransportEvent};

/// A leg's transport. Remembers that there was nothing to send or to tell, and when it is to be woken: it lies elsewhere in memory, and
/// looking there costs as much as a packet.
pub(crate) struct Held {
    transport: Box<Transport>,
    /// There is nothing to send.
    is_quiet: bool,
    /// Nothing has happened.
    is_calm: bool,
    due: Due,
}

/// When a transport is to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// It has to be asked.
    Unknown,
    /// What it answered last.
    Known(Option<Instant>),
}

impl Held {
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            transport: Box::new(transport),
            is_quiet: false,
            is_calm: false,
            due: Due::Unknown,
        }
    }

    /// The next datagram to send.
    pub(crate) fn poll_transmit(&mut self) -> Option<Outgoing> {
        if self.is_quiet {
            return None;
        }
        self.due = Due::Unknown;
        let next = self.transport.poll_transmit();
        self.is_quiet = next.is_none();
        next
    }

    /// What happened next.
    pub(crate) fn poll_event(&mut self) -> Option<TransportEvent> {
        if self.is_calm {
            return None;
        }
        self.is_quiet = false;
        self.due = Due::Unknown;
        let next = self.transport.poll_event();
        self.is_calm = next.is_none();
        next
    }

    /// When it is to be woken. Asking changes nothing.
    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        if let Due::Known(due) = self.due {
            return due;
        }
        let due = self.transport.poll_timeout();
        self.due = Due::Known(due);
        due
    }

    #[cfg(test)]
    pub(super) fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    #[cfg(test)]
    pub(super) fn is_remembered(&self) -> bool {
        self.is_calm && self.due != Due::Unknown
    }
}

impl Deref for Held {
    type Target = Transport;

    fn deref(&self) -> &Transport {
        &self.transport
    }
}

/// Whoever does anything with it may give it something to send or to tell, and another deadline.
impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Transport {
        self.is_quiet = false;
        self.is_calm = false;
        self.due = Due::Unknown;
        &mut self.transport
    }
}
