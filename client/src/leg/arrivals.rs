//! Tells the host when its packets arrive, from the first on.
//!
//! The crate's interceptor does that once a stream is bound, and a stream is bound by its first packet of media. A host that
//! probes the line with padding before it sends any would wait for that report forever, so the number of the header
//! extension is told beforehand.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rtc::interceptor::{
    Interceptor, RTPHeaderExtension, StreamInfo, TaggedPacket, TwccReceiverBuilder,
    TwccReceiverInterceptor,
};
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// Number of the extension that carries transport-wide sequence numbers, once there is an offer.
pub(super) type ExtensionId = Arc<OnceLock<u8>>;

/// The crate's interceptor, told what it needs.
pub(super) struct Arrivals {
    reports: TwccReceiverInterceptor,
    id: ExtensionId,
    is_told: bool,
}

impl Arrivals {
    pub(super) fn new(id: ExtensionId) -> Self {
        Self {
            reports: TwccReceiverBuilder::new().build(),
            id,
            is_told: false,
        }
    }

    fn tell(&mut self) {
        let Some(id) = self.id.get().filter(|_| !self.is_told) else {
            return;
        };
        self.is_told = true;
        let extension = RTPHeaderExtension {
            uri: TRANSPORT_CC.to_owned(),
            id: u16::from(*id),
        };
        self.reports.bind_remote_stream(&StreamInfo {
            rtp_header_extensions: vec![extension],
            ..StreamInfo::default()
        });
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Arrivals {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.tell();
        self.reports.handle_read(packet)
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reports.poll_read()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.reports.handle_write(packet)
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.reports.poll_write()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.reports.handle_timeout(now)
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.reports.poll_timeout()
    }
}

impl Interceptor for Arrivals {
    fn bind_local_stream(&mut self, stream: &StreamInfo) {
        self.reports.bind_local_stream(stream);
    }

    fn unbind_local_stream(&mut self, stream: &StreamInfo) {
        self.reports.unbind_local_stream(stream);
    }

    fn bind_remote_stream(&mut self, stream: &StreamInfo) {
        self.reports.bind_remote_stream(stream);
    }

    fn unbind_remote_stream(&mut self, stream: &StreamInfo) {
        self.reports.unbind_remote_stream(stream);
    }
}

/// draft-holmer-rmcat-transport-wide-cc-extensions-01.
pub(super) const TRANSPORT_CC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
