//! What a leg's connection is made with, and how rtc is told. Nothing here changes while it runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::transport::RTCDtlsRole;
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};

use super::certificate::Certificate;
use super::event::TransportError;
use super::keys::{KeyTap, SrtpProfile};
use crate::sdp::CandidatePolicy;

/// Browsers' consent checks come as rarely as every 6 s: rtc's default of 5 s would flap.
const ICE_DISCONNECTED: Duration = Duration::from_secs(20);
const ICE_FAILED: Duration = Duration::from_secs(10);
const ICE_KEEPALIVE: Duration = Duration::from_secs(2);

/// What a leg's connection is made with.
#[derive(Clone, Copy, Debug)]
pub struct TransportConfig<'a> {
    /// The process's certificate.
    pub certificate: &'a Certificate,
    /// ICE-lite (RFC 8445 section 2.5).
    pub is_lite: bool,
    /// Addresses under which the host is reached.
    pub announced: &'a [SocketAddr],
    /// Which remote candidates are checked (full ICE only: a lite agent checks none).
    pub policy: CandidatePolicy,
    /// SRTP profiles, best first; never empty.
    pub profiles: &'a [SrtpProfile],
}

/// Both profiles, the cheap one first.
pub const PROFILES: [SrtpProfile; 2] =
    [SrtpProfile::AeadAes128Gcm, SrtpProfile::Aes128CmHmacSha1_80];

/// Makes the peer connection, without an offer yet.
pub(super) fn build(
    config: &TransportConfig<'_>,
    tap: Arc<KeyTap>,
    now: Instant,
) -> Result<RTCPeerConnection, TransportError> {
    let profiles = config.profiles.iter().map(|profile| match profile {
        SrtpProfile::AeadAes128Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
        SrtpProfile::Aes128CmHmacSha1_80 => SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
    });
    let settings = SettingEngineBuilder::new()
        .with_crypto_provider(tap)
        .with_srtp_protection_profiles(profiles.collect())
        .with_answering_dtls_role(RTCDtlsRole::Server)
        .with_ice_timeouts(
            Some(ICE_DISCONNECTED),
            Some(ICE_FAILED),
            Some(ICE_KEEPALIVE),
        )
        .with_lite(config.is_lite)
        .with_include_loopback_candidate(config.announced.iter().any(|a| a.ip().is_loopback()))
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .build();
    let configuration = RTCConfigurationBuilder::new()
        .with_certificates(vec![config.certificate.to_rtc()])
        .build();
    Ok(RTCPeerConnectionBuilder::new()
        .with_setting_engine(settings)
        .with_configuration(configuration)
        .build(now)?)
}

/// Does once what the first connection of a process would pay for (about 25 ms): call it at the start.
///
/// # Errors
/// If the system gives no randomness.
pub fn warm_up(now: Instant) -> Result<(), TransportError> {
    let certificate = Certificate::generate()?;
    let config = TransportConfig {
        certificate: &certificate,
        is_lite: true,
        announced: &[],
        policy: CandidatePolicy::default(),
        profiles: &PROFILES,
    };
    build(&config, KeyTap::new(), now).map(drop)
}
