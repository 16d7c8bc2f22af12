//! A publication as one leg carries it: a sending m-line, and packets once the leg is up.

use std::sync::Arc;

use baton_protocol::{LegId, TrackOffer};
use webrtc::error::Result;
use webrtc::peer_connection::PeerConnection;

use super::outlet::{Outlet, offered};
use crate::publish::{Line, Publication};

/// One publication of a leg. Packets flow from [`Sender::start`] until it is dropped.
pub(super) struct Sender {
    leg: LegId,
    publication: Publication,
    outlet: Outlet,
    line: Option<Line>,
}

impl Sender {
    /// Adds an m-line.
    pub(super) async fn add(
        connection: &impl PeerConnection,
        leg: LegId,
        publication: Publication,
    ) -> Result<Self> {
        let name = format!("{:?}", publication.source()).to_lowercase();
        let codec = offered(publication.codec());
        let outlet = Outlet::add(connection, &name, codec, publication.streams()).await?;
        Ok(Self {
            leg,
            publication,
            outlet,
            line: None,
        })
    }

    /// What the offer is about, once there is one.
    pub(super) async fn offer(&mut self, sdp: &str) -> Result<TrackOffer> {
        let mid = super::connection::mid(self.outlet.transceiver.as_ref()).await?;
        self.line = Line::find(sdp, &mid, self.publication.codec());
        Ok(TrackOffer {
            mid,
            source: self.publication.source(),
            layers: self.publication.layers().to_vec(),
            muted: self.publication.is_muted(),
        })
    }

    /// The leg is up: packets may come.
    pub(super) fn start(&self) {
        let Some(line) = self.line.clone() else {
            tracing::warn!(publication = ?self.publication, "no codec was offered that carries it; it is not sent");
            return;
        };
        let track = Arc::clone(&self.outlet.track);
        self.publication.attach(self.leg, track, line);
    }

    /// Nothing is to be sent on this leg for now.
    pub(super) fn stop(&self) {
        self.publication.detach(self.leg);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.publication.detach(self.leg);
    }
}
