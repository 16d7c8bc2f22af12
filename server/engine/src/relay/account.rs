//! A TURN server, who this host is there, and how its requests are signed (RFC 8489 section 9.2, long-term credentials).
//!
//! Does not own what is asked for.

use std::fmt;
use std::net::SocketAddr;

use aws_lc_rs::hmac;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_crypto::{HashAlgorithm, RTCCryptoProvider};

use super::message::{NONCE, REALM, USERNAME, Writer};

/// RFC 8489 sections 14.3, 14.9 and 14.10.
const MAX_USERNAME: usize = 508;
const MAX_WORD: usize = 763;

/// A TURN server by UDP, and what opens it. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// What signaling told as `username`, 508 bytes at most.
    pub username: String,
    /// What signaling told as `credential`.
    pub credential: String,
}

impl fmt::Debug for RelayServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayServer").finish_non_exhaustive()
    }
}

impl RelayServer {
    /// Can this be said in a request?
    pub(super) fn is_sayable(&self) -> bool {
        (1..=MAX_USERNAME).contains(&self.username.len())
    }
}

/// What a server asked requests to be signed with.
#[derive(Clone)]
pub(super) struct Account {
    username: String,
    realm: Vec<u8>,
    nonce: Vec<u8>,
    key: hmac::Key,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").finish_non_exhaustive()
    }
}

impl Account {
    /// `None` if the server's words are longer than they may be.
    pub(super) fn new(server: &RelayServer, realm: &[u8], nonce: &[u8]) -> Option<Self> {
        if realm.len() > MAX_WORD || nonce.len() > MAX_WORD {
            return None;
        }
        let words = [
            server.username.as_bytes(),
            realm,
            server.credential.as_bytes(),
        ];
        Some(Self {
            username: server.username.clone(),
            realm: realm.to_vec(),
            nonce: nonce.to_vec(),
            key: long_term_key(&words.join(&b':'))?,
        })
    }

    /// Another nonce takes the place of the stale one. False: it is longer than it may be.
    pub(super) fn renew(&mut self, nonce: &[u8]) -> bool {
        let is_short = nonce.len() <= MAX_WORD;
        if is_short {
            self.nonce = nonce.to_vec();
        }
        is_short
    }

    pub(super) fn key(&self) -> &hmac::Key {
        &self.key
    }

    /// The whole request, signed.
    pub(super) fn sign(&self, request: Writer) -> Vec<u8> {
        request
            .attribute(USERNAME, self.username.as_bytes())
            .attribute(REALM, &self.realm)
            .attribute(NONCE, &self.nonce)
            .sign(&self.key)
    }
}

/// From `username:realm:password`. The protocol says MD5 and SHA-1; as HMAC they are not broken.
pub(super) fn long_term_key(words: &[u8]) -> Option<hmac::Key> {
    let provider = AwsLcRsProvider::new();
    let hash = provider.crypto().hash(HashAlgorithm::Md5, words).ok()?;
    Some(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &hash))
}
