//! Certificates that a computer makes for itself: making one, telling it to people, and believing exactly one.
//!
//! Does not own: where one is kept, nor certificates from files.

use std::fmt::{self, Write};
use std::io;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use axum_server::tls_rustls::RustlsConfig;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};

/// How long a certificate is good. Some systems take none that is good for more than 398 days.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);

/// SHA-256 of a certificate: what people compare, and what a link can carry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CertificateDigest([u8; 32]);

/// A text that is no SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the SHA-256 of a certificate has 64 hex digits, with or without colons")]
pub struct InvalidDigest;

impl CertificateDigest {
    /// Of a certificate in DER form.
    pub fn of(certificate: &[u8]) -> Self {
        let sum = digest(&SHA256, certificate);
        Self(sum.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// 64 hex digits, for a link.
    pub fn hex(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// As browsers show it: `AB:CD:…`.
impl fmt::Display for CertificateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if index == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for CertificateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateDigest({self})")
    }
}

impl FromStr for CertificateDigest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        if digits.len() != 64 {
            return Err(InvalidDigest);
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(InvalidDigest);
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let value = digit(pair[0])? << 4 | digit(pair[1])?;
            *byte = u8::try_from(value).map_err(|_| InvalidDigest)?;
        }
        Ok(Self(bytes))
    }
}

/// A certificate that nobody else vouches for, and its key. The key is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SelfSigned {
    certificate: Vec<u8>,
    key: Vec<u8>,
    pem: String,
}

impl SelfSigned {
    /// Makes one for `localhost` and `addresses`, good from a day before `now` (clocks differ) for [`CERTIFICATE_LIFE`].
    /// `title` is what browsers show as its owner.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn make(title: &str, addresses: &[IpAddr], now: SystemTime) -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params
            .subject_alt_names
            .extend(addresses.iter().copied().map(SanType::IpAddress));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, title);
        params.not_before = (now - DAY).into();
        params.not_after = (now + CERTIFICATE_LIFE).into();
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate: certificate.der().to_vec(),
            key: key.serialize_der(),
            pem: certificate.pem() + &key.serialize_pem(),
        })
    }

    /// Reads back what [`Self::pem`] wrote.
    ///
    /// # Errors
    /// When one of the two is not there.
    pub fn from_pem(text: &str) -> Result<Self, rustls::pki_types::pem::Error> {
        let certificate = CertificateDer::from_pem_slice(text.as_bytes())?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())?;
        Ok(Self {
            certificate: certificate.to_vec(),
            key: key.secret_pkcs8_der().to_vec(),
            pem: text.to_owned(),
        })
    }

    /// Certificate and key, for a file that nobody else may read.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// What people compare.
    pub fn digest(&self) -> CertificateDigest {
        CertificateDigest::of(&self.certificate)
    }

    /// For a listener. The process must have chosen its crypto library.
    ///
    /// # Errors
    /// When key and certificate do not belong together.
    pub async fn https(&self) -> io::Result<RustlsConfig> {
        RustlsConfig::from_der(vec![self.certificate.clone()], self.key.clone()).await
    }
}

impl fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SelfSigned({})", self.digest())
    }
}

/// Believes one certificate and no other, whatever names and times it has: whoever has its digest has it from its owner.
#[derive(Debug)]
pub(crate) struct OnlyThis {
    pub(crate) digest: CertificateDigest,
    pub(crate) crypto: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OnlyThis {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match CertificateDigest::of(certificate) == self.digest {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> SelfSigned {
        SelfSigned::make("a test", &[], SystemTime::now()).unwrap()
    }

    #[test]
    fn a_digest_is_written_for_people_and_for_links_and_read_from_both() {
        let digest = made().digest();
        let shown = digest.to_string();
        assert_eq!((shown.len(), digest.hex().len()), (95, 64));
        assert_eq!(shown.parse(), Ok(digest));
        assert_eq!(digest.hex().parse(), Ok(digest));
        for wrong in [
            "",
            &digest.hex()[1..],
            &digest.hex().replace('a', "g").replace('b', "é"),
        ] {
            if wrong != digest.hex() {
                assert_eq!(
                    wrong.parse::<CertificateDigest>(),
                    Err(InvalidDigest),
                    "{wrong}"
                );
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_half_of_it_is_refused() {
        let made = made();
        let text = made.pem();
        assert_eq!(SelfSigned::from_pem(text).unwrap(), made);
        let (half, _) = text.split_once("-----BEGIN PRIVATE").unwrap();
        assert!(SelfSigned::from_pem(half).is_err());
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }
}
