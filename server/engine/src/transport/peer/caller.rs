//! How a connection begins: rtc's peer with its channels and candidates, and the side that calls instead of being called.
//!
//! Hosts are called by participants, so only a link between two hosts has a caller.

use std::sync::Arc;
use std::time::Instant;

use baton_protocol::{CONTROL_CHANNEL, PULSE_CHANNEL};
use rtc::data_channel::{RTCDataChannelId, RTCDataChannelInit};
use rtc::peer_connection::RTCPeerConnection;
use rtc::peer_connection::transport::RTCIceCandidateInit;

use super::super::config::{TransportConfig, build};
use super::super::event::TransportError;
use super::super::keys::KeyTap;
use super::super::synthetic;
use super::Transport;
use crate::sdp::{LocalTransport, RemoteTransport, host_candidates};

/// What every connection begins with, before anything is negotiated.
pub(super) struct Begun {
    pub(super) peer: RTCPeerConnection,
    pub(super) tap: Arc<KeyTap>,
    pub(super) channels: [(u16, RTCDataChannelId); 2],
}

impl Begun {
    pub(super) fn new(config: &TransportConfig<'_>, now: Instant) -> Result<Self, TransportError> {
        let tap = KeyTap::new();
        let mut peer = build(config, Arc::clone(&tap), now)?;
        let control = RTCDataChannelInit {
            negotiated: Some(CONTROL_CHANNEL),
            ..Default::default()
        };
        let pulse = RTCDataChannelInit {
            negotiated: Some(PULSE_CHANNEL),
            ordered: false,
            max_retransmits: Some(0),
            ..Default::default()
        };
        let channels = [
            (
                CONTROL_CHANNEL,
                peer.create_data_channel("control", Some(control))?.id(),
            ),
            (
                PULSE_CHANNEL,
                peer.create_data_channel("pulse", Some(pulse))?.id(),
            ),
        ];
        for candidate in host_candidates(config.announced) {
            peer.add_local_candidate(RTCIceCandidateInit {
                candidate: format!("candidate:{candidate}"),
                ..Default::default()
            })?;
        }
        Ok(Self {
            peer,
            tap,
            channels,
        })
    }
}

/// A connection that was offered and has no answer yet: nothing is sent, nothing has to be polled.
pub struct Caller {
    begun: Begun,
    local: LocalTransport,
}

impl Caller {
    /// Makes an offer's transport parameters.
    ///
    /// # Errors
    /// If rtc refuses to.
    pub fn new(config: &TransportConfig<'_>, now: Instant) -> Result<Self, TransportError> {
        let mut begun = Begun::new(config, now)?;
        let local = synthetic::call(&mut begun.peer, now)?;
        Ok(Self { begun, local })
    }

    /// What the other side has to know.
    #[must_use]
    pub fn local(&self) -> &LocalTransport {
        &self.local
    }

    /// Goes on with the answer.
    ///
    /// # Errors
    /// If rtc refuses it.
    pub fn answered(
        mut self,
        config: &TransportConfig<'_>,
        remote: &RemoteTransport,
        now: Instant,
    ) -> Result<Transport, TransportError> {
        synthetic::answered(&mut self.begun.peer, remote, now)?;
        Ok(Transport::assemble(
            self.begun,
            config,
            (remote, &self.local),
            now,
        ))
    }
}
