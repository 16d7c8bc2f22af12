//! A place in a connection's chain of interceptors from where RTCP is heard; every packet passes unchanged.
//!
//! Sits there because further up a compound packet counts as what its first part is about: what stands behind an empty report
//! is lost. Does not own what is done about what is heard.

use std::collections::VecDeque;
use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// Whoever wants to hear.
pub(super) trait Listener: Send + Sync + 'static {
    /// One part of a packet that came.
    fn handle_rtcp(&mut self, part: &dyn rtcp::Packet);
}

/// See the module.
pub(super) struct Passage<L> {
    listener: L,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl<L: Listener> Passage<L> {
    pub(super) fn new(listener: L) -> Self {
        Self {
            listener,
            inbound: VecDeque::new(),
            outbound: VecDeque::new(),
        }
    }
}

impl<L: Listener> Protocol<TaggedPacket, TaggedPacket, ()> for Passage<L> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(parts) = &packet.message.packet {
            for part in parts {
                self.listener.handle_rtcp(part.as_ref());
            }
        }
        self.inbound.push_back(packet);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.outbound.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }
}

impl<L: Listener> Interceptor for Passage<L> {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
