//! Hears the host's keyframe requests.
//!
//! Sits in the connection's chain of interceptors, because further up a compound packet counts as what its first part is
//! about, and a request behind an empty report is lost.

use std::collections::VecDeque;
use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp;
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

use crate::publish::Publication;

/// Tells publications what is asked of them; every packet passes unchanged.
pub(super) struct KeyframeRequests {
    publications: Vec<Publication>,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl KeyframeRequests {
    pub(super) fn new(publications: Vec<Publication>) -> Self {
        Self {
            publications,
            inbound: VecDeque::new(),
            outbound: VecDeque::new(),
        }
    }

    fn handle_rtcp(&self, packet: &dyn rtcp::Packet) {
        let packet = packet.as_any();
        if let Some(asked) = packet.downcast_ref::<PictureLossIndication>() {
            self.ask(asked.media_ssrc);
        } else if let Some(asked) = packet.downcast_ref::<FullIntraRequest>() {
            asked.fir.iter().for_each(|entry| self.ask(entry.ssrc));
        }
    }

    fn ask(&self, ssrc: u32) {
        let publications = self.publications.iter();
        publications.for_each(|publication| publication.request_keyframe(ssrc));
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for KeyframeRequests {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(parts) = &packet.message.packet {
            parts
                .iter()
                .for_each(|part| self.handle_rtcp(part.as_ref()));
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

impl Interceptor for KeyframeRequests {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

/// Where it sits: behind those that read or make RTCP.
pub(super) const SLOT: usize = 14_000;
