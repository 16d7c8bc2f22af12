//! The two families of transforms, on bytes that are already in place: AES-GCM (RFC 7714) and AES-CM with HMAC-SHA1
//! (RFC 3711 section 4).
//!
//! Owns initialisation vectors, what is authenticated and where the tag lies. Does not know indices beyond using them:
//! who calls never seals two packets with the same (SSRC, index).

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::{constant_time, hmac};

use super::keys::SessionKeys;
use super::{OpenError, Profile};

const GCM_TAG: usize = 16;
const SHA1_80_TAG: usize = 10;
/// The part of an RTCP compound that stays readable: first word and sender SSRC (RFC 3711 section 3.4).
const RTCP_CLEAR: usize = 8;
/// The word with the E bit and the index.
const RTCP_INDEX: usize = 4;
const E_BIT: u32 = 1 << 31;

/// One direction's session keys for RTP or for RTCP, expanded; the salt is the number that its bytes spell.
pub(super) enum Cipher {
    Gcm { key: LessSafeKey, salt: u128 },
    CmSha1(Box<CmSha1>),
}

/// The counter-mode key schedule and the HMAC midstates; boxed, for they are large and rare.
pub(super) struct CmSha1 {
    key: EncryptingKey,
    mac: hmac::Key,
    salt: u128,
}

/// One RTP packet to seal; see [`super::Unsealed`].
pub(super) struct Plain<'a> {
    pub(super) header_len: usize,
    pub(super) prefix_len: usize,
    pub(super) rest: &'a [u8],
    pub(super) padding: &'a [u8],
}

impl Cipher {
    pub(super) fn new(keys: &SessionKeys) -> Self {
        let key = &keys.key[..keys.profile.key_len()];
        let salt = &keys.salt[..keys.profile.salt_len()];
        let salt = salt
            .iter()
            .fold(0, |number, byte| number << 8 | u128::from(*byte));
        match keys.profile {
            Profile::Aes128Gcm | Profile::Aes256Gcm => {
                let algorithm = if key.len() == 32 {
                    &AES_256_GCM
                } else {
                    &AES_128_GCM
                };
                let key =
                    UnboundKey::new(algorithm, key).expect("the key has the algorithm's length");
                Self::Gcm {
                    key: LessSafeKey::new(key),
                    salt,
                }
            }
            Profile::Aes128CmSha1_80 => Self::CmSha1(Box::new(CmSha1 {
                key: UnboundCipherKey::new(&AES_128, key)
                    .and_then(EncryptingKey::ctr)
                    .expect("the key has the algorithm's length"),
                mac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys.mac),
                salt,
            })),
        }
    }

    /// Seals into `out`, which holds the header and the prefix. `None` when `out` is too small.
    pub(super) fn seal_rtp(
        &self,
        out: &mut [u8],
        plain: &Plain<'_>,
        ssrc: u32,
        index: u64,
    ) -> Option<usize> {
        let Plain {
            header_len,
            prefix_len,
            rest,
            padding,
        } = *plain;
        let body_len = prefix_len
            .checked_add(rest.len())?
            .checked_add(padding.len())?;
        let body_end = header_len.checked_add(body_len)?;
        match self {
            Self::Gcm { key, salt } => {
                let end = body_end.checked_add(GCM_TAG)?;
                let (header, body) = out.get_mut(..end)?.split_at_mut(header_len);
                let (nonce, header) = (nonce(*salt, ssrc, index), Aad::from(&*header));
                if prefix_len == 0 {
                    let (cipher, tail) = body.split_at_mut(rest.len());
                    key.seal_out_of_place_scatter(nonce, header, rest, cipher, padding, tail)
                        .ok()?;
                } else {
                    // Measured: with a prefix, a copy and one pass over it beat two passes without.
                    let (text, tail) = body.split_at_mut(prefix_len + rest.len());
                    text[prefix_len..].copy_from_slice(rest);
                    key.seal_in_place_scatter(nonce, header, text, padding, tail)
                        .ok()?;
                }
                Some(end)
            }
            Self::CmSha1(cm) => {
                let end = body_end.checked_add(SHA1_80_TAG)?;
                let out = out.get_mut(..end)?;
                out[header_len + prefix_len..body_end - padding.len()].copy_from_slice(rest);
                out[body_end - padding.len()..body_end].copy_from_slice(padding);
                cm.apply_keystream(ssrc, index, &mut out[header_len..body_end])?;
                // The roll-over counter is authenticated but not sent: it lies for a moment where the tag goes.
                out[body_end..body_end + 4].copy_from_slice(&roll_over(index));
                let tag = hmac::sign(&cm.mac, &out[..body_end + 4]);
                out[body_end..].copy_from_slice(tag.as_ref().first_chunk::<SHA1_80_TAG>()?);
                Some(end)
            }
        }
    }

    /// Opens `packet` behind its header into `out`; returns the length of the payload with its padding.
    pub(super) fn open_rtp(
        &self,
        packet: &[u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
        out: &mut [u8],
    ) -> Result<usize, OpenError> {
        let tag_len = match self {
            Self::Gcm { .. } => GCM_TAG,
            Self::CmSha1(_) => SHA1_80_TAG,
        };
        let body_end = packet.len().checked_sub(tag_len).ok_or(OpenError::Short)?;
        let (sealed, tag) = packet.split_at(body_end);
        let (header, body) = sealed
            .split_at_checked(header_len)
            .ok_or(OpenError::Short)?;
        let out = out.get_mut(..body.len()).ok_or(OpenError::TooLong)?;
        match self {
            Self::Gcm { key, salt } => key
                .open_separate_gather(nonce(*salt, ssrc, index), Aad::from(header), body, tag, out)
                .map_err(|_| OpenError::Forged)?,
            Self::CmSha1(cm) => {
                cm.verify(&[sealed, &roll_over(index)], tag)?;
                out.copy_from_slice(body);
                cm.apply_keystream(ssrc, index, out)
                    .ok_or(OpenError::Forged)?;
            }
        }
        Ok(body.len())
    }

    /// Seals a compound of at least eight bytes in place and appends tag and index.
    pub(super) fn seal_rtcp(&self, compound: &mut Vec<u8>, index: u32) -> Option<()> {
        let (clear, body) = compound.split_first_chunk_mut::<RTCP_CLEAR>()?;
        let ssrc = rtcp_ssrc(clear);
        let index_word = (E_BIT | index).to_be_bytes();
        match self {
            Self::Gcm { key, salt } => {
                let aad = Aad::from(rtcp_aad(clear, index_word));
                let tag = key
                    .seal_in_place_separate_tag(nonce(*salt, ssrc, index.into()), aad, body)
                    .ok()?;
                compound.extend_from_slice(tag.as_ref());
                compound.extend_from_slice(&index_word);
            }
            Self::CmSha1(cm) => {
                cm.apply_keystream(ssrc, index.into(), body)?;
                compound.extend_from_slice(&index_word);
                let tag = hmac::sign(&cm.mac, compound);
                compound.extend_from_slice(tag.as_ref().first_chunk::<SHA1_80_TAG>()?);
            }
        }
        Some(())
    }

    /// Sender SSRC and index of a sealed compound, before it is known to be genuine. A compound that claims not to be
    /// encrypted is a forgery: no profile of WebRTC allows it.
    pub(super) fn peek_rtcp(&self, packet: &[u8]) -> Result<(u32, u32), OpenError> {
        let (clear, sealed) = packet
            .split_first_chunk::<RTCP_CLEAR>()
            .ok_or(OpenError::Short)?;
        let word = match self {
            Self::Gcm { .. } => {
                let (sealed, word) = sealed
                    .split_last_chunk::<RTCP_INDEX>()
                    .ok_or(OpenError::Short)?;
                (sealed.len() >= GCM_TAG).then_some(word)
            }
            Self::CmSha1(_) => sealed
                .split_last_chunk::<SHA1_80_TAG>()
                .and_then(|(sealed, _)| sealed.last_chunk::<RTCP_INDEX>()),
        };
        let word = u32::from_be_bytes(*word.ok_or(OpenError::Short)?);
        if word & E_BIT == 0 {
            return Err(OpenError::Forged);
        }
        Ok((rtcp_ssrc(clear), word & !E_BIT))
    }

    /// Opens in place a compound whose SSRC and index `peek_rtcp` has read; returns the compound's length.
    pub(super) fn open_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        index: u32,
    ) -> Result<usize, OpenError> {
        match self {
            Self::Gcm { key, salt } => {
                let (sealed, word) = packet
                    .split_last_chunk_mut::<RTCP_INDEX>()
                    .ok_or(OpenError::Short)?;
                let (sealed, tag) = sealed
                    .split_last_chunk_mut::<GCM_TAG>()
                    .ok_or(OpenError::Short)?;
                let (clear, body) = sealed
                    .split_first_chunk_mut::<RTCP_CLEAR>()
                    .ok_or(OpenError::Short)?;
                let aad = Aad::from(rtcp_aad(clear, *word));
                key.open_in_place_separate_tag(nonce(*salt, ssrc, index.into()), aad, tag, body)
                    .map_err(|_| OpenError::Forged)?;
                Ok(RTCP_CLEAR + body.len())
            }
            Self::CmSha1(cm) => {
                let (authentic, tag) = packet
                    .split_last_chunk_mut::<SHA1_80_TAG>()
                    .ok_or(OpenError::Short)?;
                cm.verify(&[authentic], tag)?;
                let (sealed, _) = authentic
                    .split_last_chunk_mut::<RTCP_INDEX>()
                    .ok_or(OpenError::Short)?;
                let (_, body) = sealed
                    .split_first_chunk_mut::<RTCP_CLEAR>()
                    .ok_or(OpenError::Short)?;
                cm.apply_keystream(ssrc, index.into(), body)
                    .ok_or(OpenError::Forged)?;
                Ok(RTCP_CLEAR + body.len())
            }
        }
    }
}

impl CmSha1 {
    /// AES in counter mode (RFC 3711 section 4.1.1): sealing and opening are the same.
    fn apply_keystream(&self, ssrc: u32, index: u64, bytes: &mut [u8]) -> Option<()> {
        let iv = ((self.salt ^ unique(ssrc, index)) << 16).to_be_bytes();
        self.key
            .less_safe_encrypt(bytes, EncryptionContext::Iv128(iv.into()))
            .ok()
            .map(drop)
    }

    fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> Result<(), OpenError> {
        let mut mac = hmac::Context::with_key(&self.mac);
        for part in parts {
            mac.update(part);
        }
        let expected = mac.sign();
        let expected = expected
            .as_ref()
            .get(..SHA1_80_TAG)
            .ok_or(OpenError::Forged)?;
        constant_time::verify_slices_are_equal(expected, tag).map_err(|_| OpenError::Forged)
    }
}

/// RFC 7714 sections 8.1 and 9.1: two zero bytes, SSRC and index, mixed with the salt of 96 bits.
fn nonce(salt: u128, ssrc: u32, index: u64) -> Nonce {
    let [_, _, _, _, iv @ ..] = (salt ^ unique(ssrc, index)).to_be_bytes();
    Nonce::assume_unique_for_key(iv)
}

/// What no two packets under a key share: the SSRC and 48 bits of index, of which RTCP uses 31.
fn unique(ssrc: u32, index: u64) -> u128 {
    u128::from(ssrc) << 48 | u128::from(index)
}

/// The roll-over counter of a packet index, as it is authenticated (RFC 3711 section 4.2).
fn roll_over(index: u64) -> [u8; 4] {
    let [_, _, counter @ .., _, _] = index.to_be_bytes();
    counter
}

fn rtcp_ssrc(clear: &[u8; RTCP_CLEAR]) -> u32 {
    let [_, _, _, _, ssrc @ ..] = *clear;
    u32::from_be_bytes(ssrc)
}

/// RFC 7714 section 9.2: the readable part, then the word with E bit and index.
fn rtcp_aad(
    clear: &[u8; RTCP_CLEAR],
    index_word: [u8; RTCP_INDEX],
) -> [u8; RTCP_CLEAR + RTCP_INDEX] {
    let mut aad = [0; RTCP_CLEAR + RTCP_INDEX];
    aad[..RTCP_CLEAR].copy_from_slice(clear);
    aad[RTCP_CLEAR..].copy_from_slice(&index_word);
    aad
}

#[cfg(test)]
mod tests;
