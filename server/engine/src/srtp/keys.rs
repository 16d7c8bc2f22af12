//! Master keys and what is derived from them (RFC 3711 section 4.3, RFC 6188 section 3, RFC 7714 section 11).
//!
//! Owns key material until a cipher has taken it in. Does not re-key: the derivation rate is zero (RFC 5764 section 4.1.2).

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Profile;

const MAX_KEY_LEN: usize = 32;
const MAX_SALT_LEN: usize = 14;
/// Bytes of an HMAC-SHA1 key (RFC 3711 section 8.2).
const MAC_KEY_LEN: usize = 20;

/// One direction's master key and salt, as the DTLS exporter gave them (RFC 5764 section 4.2). Erased when dropped.
#[derive(Clone, ZeroizeOnDrop)]
pub struct MasterKey {
    #[zeroize(skip)]
    profile: Profile,
    key: [u8; MAX_KEY_LEN],
    salt: [u8; MAX_SALT_LEN],
}

/// A master key or salt that does not fit its profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} takes a master key of {} bytes and a salt of {}, not {key_len} and {salt_len}: check what DTLS negotiated",
    .profile.name(), .profile.key_len(), .profile.salt_len()
)]
pub struct MasterKeyError {
    /// The profile that was asked for.
    pub profile: Profile,
    /// Bytes of key that were given.
    pub key_len: usize,
    /// Bytes of salt that were given.
    pub salt_len: usize,
}

impl MasterKey {
    /// Takes a copy of both.
    ///
    /// # Errors
    /// When a length is not the profile's.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, MasterKeyError> {
        let mut master = Self {
            profile,
            key: [0; MAX_KEY_LEN],
            salt: [0; MAX_SALT_LEN],
        };
        if key.len() != profile.key_len() || salt.len() != profile.salt_len() {
            return Err(MasterKeyError {
                profile,
                key_len: key.len(),
                salt_len: salt.len(),
            });
        }
        master.key[..key.len()].copy_from_slice(key);
        master.salt[..salt.len()].copy_from_slice(salt);
        Ok(master)
    }

    /// The profile that the key is for.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// RFC 3711 section 4.3.1: the keystream of AES in counter mode from the labelled salt on. A salt of 96 bits counts
    /// as one of 112 that ends in zeros (RFC 7714 section 11).
    fn derive(&self, label: u8, out: &mut [u8]) {
        let algorithm = if self.profile.key_len() == 32 {
            &AES_256
        } else {
            &AES_128
        };
        let mut block = [0; 16];
        block[..MAX_SALT_LEN].copy_from_slice(&self.salt);
        block[7] ^= label;
        out.fill(0);
        UnboundCipherKey::new(algorithm, &self.key[..self.profile.key_len()])
            .and_then(EncryptingKey::ctr)
            .and_then(|key| key.less_safe_encrypt(out, EncryptionContext::Iv128(block.into())))
            .expect(
                "the key has the algorithm's length and counter mode takes any number of bytes",
            );
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterKey")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// What a session key is for; the first of its three labels (RFC 3711 section 4.3.2).
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Rtp = 0,
    Rtcp = 3,
}

/// The keys of one direction for one purpose. Erased when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct SessionKeys {
    #[zeroize(skip)]
    pub(super) profile: Profile,
    /// The cipher's; the profile's key length counts.
    pub(super) key: [u8; MAX_KEY_LEN],
    pub(super) mac: [u8; MAC_KEY_LEN],
    /// The profile's salt length counts; what follows is zero.
    pub(super) salt: [u8; MAX_SALT_LEN],
}

impl SessionKeys {
    pub(super) fn derive(master: &MasterKey, purpose: Purpose) -> Self {
        let profile = master.profile;
        let label = purpose as u8;
        let mut keys = Self {
            profile,
            key: [0; MAX_KEY_LEN],
            mac: [0; MAC_KEY_LEN],
            salt: [0; MAX_SALT_LEN],
        };
        master.derive(label, &mut keys.key[..profile.key_len()]);
        master.derive(label + 1, &mut keys.mac);
        master.derive(label + 2, &mut keys.salt[..profile.salt_len()]);
        keys
    }
}

#[cfg(test)]
mod tests;
