//! The DTLS certificate of a host process: one for all its legs.

use rtc::peer_connection::certificate::{CertificateParams, RTCCertificate};
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_crypto::{RTCCryptoProvider, SignatureScheme};

use super::TransportError;
use crate::sdp::Fingerprint;

/// A self-signed certificate on an ECDSA P-256 key, and its fingerprint.
#[derive(Clone)]
pub struct Certificate {
    inner: RTCCertificate,
    fingerprint: Fingerprint,
}

impl Certificate {
    /// Makes a key and a certificate around it. Nobody checks its name or dates: the fingerprint is what is trusted.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn generate() -> Result<Self, TransportError> {
        let provider = AwsLcRsProvider::new();
        let params = CertificateParams::new(vec!["webrtc".to_owned()])
            .map_err(|error| TransportError::Certificate(error.to_string()))?;
        let inner =
            RTCCertificate::generate(provider.crypto(), SignatureScheme::EcdsaP256Sha256, params)?;
        let fingerprint = inner
            .get_fingerprints(provider.crypto())?
            .iter()
            .find_map(|f| Fingerprint::parse(&format!("{} {}", f.algorithm, f.value)))
            .ok_or_else(|| TransportError::Certificate("no sha-256 fingerprint".to_owned()))?;
        Ok(Self { inner, fingerprint })
    }

    /// SHA-256 of the certificate: what the answer shows and a grant names.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(super) fn to_rtc(&self) -> RTCCertificate {
        self.inner.clone()
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({})", self.fingerprint)
    }
}
