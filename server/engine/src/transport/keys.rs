//! The SRTP master keys of a leg, overheard while rtc derives its own SRTP contexts.
//!
//! rtc keeps its DTLS state to itself, but lets each connection bring its own crypto provider, and derives SRTP
//! session keys (RFC 3711 section 4.3) by single AES block encryptions under the master key. The first block of each
//! derivation is the salt, because its label is 0. The local (sending) context is derived before the remote one.
//! Both facts belong to rtc =0.21.1 and are checked by a test.

#![expect(
    clippy::disallowed_types,
    reason = "rtc wants its provider to be Sync; nobody else ever holds this lock"
)]

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rtc_crypto::providers::AwsLcRsProvider;
use rtc_crypto::{
    ActiveKeyExchange, AeadAlgorithm, AeadCipher, BlockCipherAlgorithm, CbcAlgorithm, CbcCipher,
    CryptoAlgorithm, CryptoError, HashAlgorithm, HmacAlgorithm, KeyExchangeAlgorithm, Mac,
    PublicKey, RTCCrypto, RTCCryptoProvider, RTCRandom, SignatureScheme, SigningKey, StreamCipher,
    StreamCipherAlgorithm,
};

/// Label of the authentication key, RFC 3711 section 4.3.2: AEAD profiles derive none.
const LABEL_AUTHENTICATION: u8 = 1;

/// How media of a leg is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpProfile {
    /// `SRTP_AEAD_AES_128_GCM` (RFC 7714): 12 bytes of salt.
    AeadAes128Gcm,
    /// `SRTP_AES128_CM_HMAC_SHA1_80` (RFC 5764): 14 bytes of salt.
    Aes128CmHmacSha1_80,
}

impl SrtpProfile {
    /// Length of the master salt, in bytes.
    #[must_use]
    pub fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm => 12,
            Self::Aes128CmHmacSha1_80 => 14,
        }
    }
}

/// Master key and salt of one direction.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpMaster {
    /// Master key.
    pub key: [u8; 16],
    /// Master salt; an AEAD profile uses the first 12 bytes, and the rest is zero.
    pub salt: [u8; 14],
}

/// The keys of one DTLS association. `Debug` shows the profile only.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKeys {
    /// What they are for.
    pub profile: SrtpProfile,
    /// What the host seals with.
    pub local: SrtpMaster,
    /// What the participant seals with.
    pub remote: SrtpMaster,
}

impl fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpKeys")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

struct Heard {
    key: [u8; 16],
    /// Salt and two zero bytes.
    first_block: [u8; 16],
    is_authenticated: bool,
}

/// A crypto provider that does everything as usual and remembers the first two derivations.
pub(super) struct KeyTap {
    inner: AwsLcRsProvider,
    heard: Mutex<Vec<Heard>>,
}

impl KeyTap {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: AwsLcRsProvider::new(),
            heard: Mutex::new(Vec::with_capacity(2)),
        })
    }

    /// Both directions, once, after rtc has derived them.
    pub(super) fn take(&self) -> Option<SrtpKeys> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let [local, remote] = heard.as_slice() else {
            return None;
        };
        let profile = if local.is_authenticated {
            SrtpProfile::Aes128CmHmacSha1_80
        } else {
            SrtpProfile::AeadAes128Gcm
        };
        let keys = SrtpKeys {
            profile,
            local: local.master(),
            remote: remote.master(),
        };
        heard.clear();
        Some(keys)
    }

    fn hear(&self, key: &[u8], block: &[u8]) {
        let (Ok(key), Ok(block)) = (<[u8; 16]>::try_from(key), <[u8; 16]>::try_from(block)) else {
            return;
        };
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = heard.iter_mut().find(|h| h.key == key) {
            known.is_authenticated |= block[7] ^ known.first_block[7] == LABEL_AUTHENTICATION;
        } else if heard.len() < 2 {
            heard.push(Heard {
                key,
                first_block: block,
                is_authenticated: false,
            });
        }
    }
}

impl Heard {
    fn master(&self) -> SrtpMaster {
        let mut salt = [0; 14];
        salt.copy_from_slice(&self.first_block[..14]);
        SrtpMaster {
            key: self.key,
            salt,
        }
    }
}

impl RTCCryptoProvider for KeyTap {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn crypto(&self) -> &dyn RTCCrypto {
        self
    }

    fn random(&self) -> &dyn RTCRandom {
        self.inner.random()
    }
}

impl RTCCrypto for KeyTap {
    fn supports(&self, algorithm: CryptoAlgorithm) -> bool {
        self.inner.crypto().supports(algorithm)
    }

    fn hash(&self, algorithm: HashAlgorithm, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.inner.crypto().hash(algorithm, data)
    }

    fn block_encrypt(
        &self,
        algorithm: BlockCipherAlgorithm,
        key: &[u8],
        block: &mut [u8],
    ) -> Result<(), CryptoError> {
        if algorithm == BlockCipherAlgorithm::Aes128 {
            self.hear(key, block);
        }
        self.inner.crypto().block_encrypt(algorithm, key, block)
    }

    fn new_hmac(&self, algorithm: HmacAlgorithm, key: &[u8]) -> Result<Box<dyn Mac>, CryptoError> {
        self.inner.crypto().new_hmac(algorithm, key)
    }

    fn new_stream_cipher(
        &self,
        algorithm: StreamCipherAlgorithm,
        key: &[u8],
    ) -> Result<Box<dyn StreamCipher>, CryptoError> {
        self.inner.crypto().new_stream_cipher(algorithm, key)
    }

    fn new_aead(
        &self,
        algorithm: AeadAlgorithm,
        key: &[u8],
    ) -> Result<Box<dyn AeadCipher>, CryptoError> {
        self.inner.crypto().new_aead(algorithm, key)
    }

    fn new_cbc(
        &self,
        algorithm: CbcAlgorithm,
        key: &[u8],
    ) -> Result<Box<dyn CbcCipher>, CryptoError> {
        self.inner.crypto().new_cbc(algorithm, key)
    }

    fn start_key_exchange(
        &self,
        algorithm: KeyExchangeAlgorithm,
    ) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        self.inner.crypto().start_key_exchange(algorithm)
    }

    fn generate_signing_key(
        &self,
        scheme: SignatureScheme,
    ) -> Result<Arc<dyn SigningKey>, CryptoError> {
        self.inner.crypto().generate_signing_key(scheme)
    }

    fn import_signing_key(
        &self,
        scheme: SignatureScheme,
        pkcs8_der: &[u8],
    ) -> Result<Arc<dyn SigningKey>, CryptoError> {
        self.inner.crypto().import_signing_key(scheme, pkcs8_der)
    }

    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        public_key: PublicKey<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        self.inner
            .crypto()
            .verify_signature(scheme, public_key, message, signature)
    }
}
