//! Overhears the SRTP master keys while rtc derives its own contexts: the first AES block of each direction
//! is made of the master key and its salt, the own direction first.

use std::sync::{Arc, Mutex, PoisonError};

use rtc_crypto::providers::AwsLcRsProvider;
use rtc_crypto::*;

use super::LegKeys;
use crate::srtp::Keys;

type Master = ([u8; 16], [u8; 12]);

pub(super) struct KeyTap {
    inner: AwsLcRsProvider,
    heard: Mutex<Vec<Master>>,
}

impl KeyTap {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: AwsLcRsProvider::new(),
            heard: Mutex::new(Vec::new()),
        })
    }

    /// Both directions, as soon as rtc has derived them.
    pub(super) fn keys(&self) -> Option<LegKeys> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let [local, remote] = heard.as_slice() else {
            return None;
        };
        let derive = |(key, salt): &Master| Keys::derive(key, salt);
        Some(LegKeys {
            local: derive(local),
            remote: derive(remote),
        })
    }

    fn hear(&self, key: &[u8], block: &[u8]) {
        let (Ok(key), Some(salt)) = (<[u8; 16]>::try_from(key), block.first_chunk::<12>()) else {
            return;
        };
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() < 2 && heard.iter().all(|(known, _)| *known != key) {
            heard.push((key, *salt));
        }
    }
}

impl RTCCryptoProvider for KeyTap {
    fn name(&self) -> &'static str {
        "load key tap"
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
        self.hear(key, block);
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
        der: &[u8],
    ) -> Result<Arc<dyn SigningKey>, CryptoError> {
        self.inner.crypto().import_signing_key(scheme, der)
    }

    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        key: PublicKey<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        self.inner
            .crypto()
            .verify_signature(scheme, key, message, signature)
    }
}
