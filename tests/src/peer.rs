//! The participant's side of one leg: ICE, DTLS and the data channels by the rtc crate, driven from outside.
//!
//! Media does not pass through it. Once DTLS is done, [`Peer::keys`] gives the SRTP keys to whoever handles media.

mod tap;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::BytesMut;
use rtc::data_channel::{RTCDataChannelId, RTCDataChannelInit, RTCDataChannelState};
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::{
    CandidateConfig, CandidateHostConfig, RTCIceCandidate, RTCIceCandidateInit,
};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};

use crate::offer::{self, Answer, Credentials};
use crate::srtp::Keys;
use tap::KeyTap;

/// Keys of both directions.
#[derive(Debug)]
pub struct LegKeys {
    /// What this side seals with.
    pub local: Keys,
    /// What the host seals with.
    pub remote: Keys,
}

/// One leg as its participant.
pub struct Peer {
    connection: RTCPeerConnection,
    control: RTCDataChannelId,
    tap: Arc<KeyTap>,
    local: SocketAddr,
    mid: String,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

impl Peer {
    /// Begins a leg on the socket bound to `local`; the credentials go into the offer.
    ///
    /// # Errors
    /// With what rtc said.
    pub fn new(local: SocketAddr, now: Instant) -> Result<(Self, Credentials)> {
        let tap = KeyTap::new();
        let settings = SettingEngineBuilder::new()
            .with_crypto_provider(tap.clone())
            .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm])
            .with_include_loopback_candidate(true);
        let mut connection = RTCPeerConnectionBuilder::new()
            .with_setting_engine(settings.build())
            .build(now)?;
        let negotiated = |number| RTCDataChannelInit {
            negotiated: Some(number),
            ..Default::default()
        };
        let control = negotiated(baton_protocol::CONTROL_CHANNEL);
        let control = connection
            .create_data_channel("control", Some(control))?
            .id();
        let pulse = RTCDataChannelInit {
            ordered: false,
            max_retransmits: Some(0),
            ..negotiated(baton_protocol::PULSE_CHANNEL)
        };
        connection.create_data_channel("pulse", Some(pulse))?;
        connection.add_local_candidate(host_candidate(local)?)?;
        let description = connection.create_offer(None)?;
        connection.set_local_description(now, description)?;
        let sdp = connection
            .local_description()
            .context("rtc has no local description")?
            .sdp;
        let peer = Self {
            connection,
            control,
            tap,
            local,
            mid: offer::first_mid(&sdp)?.to_owned(),
        };
        Ok((peer, offer::credentials(&sdp)?))
    }

    /// Takes the host's answer; ICE begins.
    ///
    /// # Errors
    /// With what rtc said.
    pub fn accept(&mut self, answer: &Answer, now: Instant) -> Result<()> {
        let sdp = offer::data_only_answer(answer, &self.mid);
        self.connection
            .set_remote_description(now, RTCSessionDescription::answer(sdp)?)?;
        self.connection
            .add_remote_candidate(host_candidate(answer.address)?)?;
        Ok(())
    }

    /// Takes a datagram that is no media (first byte 0 to 127).
    pub fn handle_datagram(&mut self, bytes: &[u8], from: SocketAddr, now: Instant) {
        let transport = TransportContext {
            local_addr: self.local,
            peer_addr: from,
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        // A datagram that rtc does not like is the host's fault and shows as a leg that never connects.
        let _ = self.connection.handle_read(TaggedBytesMut {
            now,
            transport,
            message: BytesMut::from(bytes),
        });
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            let _ = self.connection.handle_timeout(now);
        }
        while self.connection.poll_event().is_some() {}
        while self.connection.poll_read().is_some() {}
    }

    /// The next datagram to send, and where to.
    pub fn poll_transmit(&mut self) -> Option<(BytesMut, SocketAddr)> {
        let datagram = self.connection.poll_write()?;
        Some((datagram.message, datagram.transport.peer_addr))
    }

    /// The SRTP keys, when DTLS is done.
    pub fn keys(&self) -> Option<LegKeys> {
        self.tap.keys()
    }

    /// Is the control channel open?
    pub fn is_open(&mut self) -> bool {
        let channel = self.connection.data_channel(self.control);
        channel.is_some_and(|channel| channel.ready_state() == RTCDataChannelState::Open)
    }

    /// Says something to the host on the control channel.
    ///
    /// # Errors
    /// When the channel is not open.
    pub fn say(&mut self, words: &baton_protocol::PathToHost, now: Instant) -> Result<()> {
        ensure!(self.is_open(), "the control channel is not open yet");
        let mut channel = self
            .connection
            .data_channel(self.control)
            .context("no control channel")?;
        Ok(channel.send_text(now, serde_json::to_string(words)?)?)
    }
}

fn host_candidate(address: SocketAddr) -> Result<RTCIceCandidateInit> {
    let base_config = CandidateConfig {
        network: "udp".into(),
        address: address.ip().to_string(),
        port: address.port(),
        component: 1,
        ..Default::default()
    };
    let candidate = CandidateHostConfig {
        base_config,
        ..Default::default()
    }
    .new_candidate_host()?;
    Ok(RTCIceCandidate::from(&candidate).to_json()?)
}
