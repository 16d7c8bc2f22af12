//! Carries what the peer connection reports into queues.
//!
//! The connection calls from its own task and must not be held up there, so a full queue loses the report: a lost
//! candidate is one way less, and a lost state shows as a leg that does not connect in time.

use std::sync::Arc;

use baton_protocol::LegId;
use tokio::sync::{Notify, mpsc};
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionIceEvent,
    RTCPeerConnectionState,
};

use super::{LegEvent, LegEvents};

pub(super) struct Reporter {
    pub(super) leg: LegId,
    pub(super) events: LegEvents,
    pub(super) tracks: mpsc::Sender<Arc<dyn TrackRemote>>,
    pub(super) connected: Arc<Notify>,
}

impl Reporter {
    fn report(&self, event: LegEvent) {
        if self.events.try_send((self.leg, event)).is_err() {
            tracing::warn!(leg = %self.leg, "a report of the leg is lost");
        }
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Reporter {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if let Ok(candidate) = event.candidate.to_json() {
            self.report(LegEvent::Candidate(candidate.candidate));
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.report(LegEvent::Candidate(String::new()));
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if state == RTCPeerConnectionState::Connected {
            self.connected.notify_one();
            self.report(LegEvent::Connected);
        } else if state == RTCPeerConnectionState::Disconnected {
            self.report(LegEvent::Shaky);
        } else if state == RTCPeerConnectionState::Failed {
            self.report(LegEvent::Ended("the host cannot be reached".to_owned()));
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        if self.tracks.try_send(track).is_err() {
            tracing::warn!(leg = %self.leg, "a received track is lost");
        }
    }
}
