//! Hears the host's keyframe requests.

use rtc::rtcp;
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;

use super::passage::{Listener, Passage};
use crate::publish::Publication;

/// Tells publications what is asked of them.
pub(super) struct KeyframeRequests(Vec<Publication>);

impl KeyframeRequests {
    pub(super) fn listen(publications: Vec<Publication>) -> Passage<Self> {
        Passage::new(Self(publications))
    }

    fn ask(&self, ssrc: u32) {
        let publications = self.0.iter();
        publications.for_each(|publication| publication.request_keyframe(ssrc));
    }
}

impl Listener for KeyframeRequests {
    fn handle_rtcp(&mut self, part: &dyn rtcp::Packet) {
        let part = part.as_any();
        if let Some(asked) = part.downcast_ref::<PictureLossIndication>() {
            self.ask(asked.media_ssrc);
        } else if let Some(asked) = part.downcast_ref::<FullIntraRequest>() {
            asked.fir.iter().for_each(|entry| self.ask(entry.ssrc));
        }
    }
}

/// Where it sits: behind those that read or make RTCP.
pub(super) const SLOT: usize = 14_000;
