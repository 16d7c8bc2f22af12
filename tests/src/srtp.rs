//! SRTP with AEAD_AES_128_GCM (RFC 7714), written apart from the engine's so that each checks the other.
//! Neither replay protection nor index guessing: the load knows what it sent and counts what it gets.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_crypto::{BlockCipherAlgorithm, RTCCryptoProvider};

const TAG: usize = 16;

/// Keys of one direction.
pub struct Keys {
    rtp: (LessSafeKey, [u8; 12]),
    rtcp: (LessSafeKey, [u8; 12]),
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// Derives session keys (RFC 3711 section 4.3.1) from what DTLS agreed on.
    pub fn derive(master_key: &[u8; 16], master_salt: &[u8; 12]) -> Self {
        let session = |label: u8| {
            let mut block = [0; 16];
            block[..12].copy_from_slice(master_salt);
            block[7] ^= label;
            let provider = AwsLcRsProvider::new();
            let encrypted = provider.crypto().block_encrypt(
                BlockCipherAlgorithm::Aes128,
                master_key,
                &mut block,
            );
            encrypted.expect("an AES block has 16 bytes");
            block
        };
        let key = |label| {
            LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &session(label)).expect("16 bytes"))
        };
        let salt = |label| *session(label).first_chunk().expect("16 is more than 12");
        Self {
            rtp: (key(0), salt(2)),
            rtcp: (key(3), salt(5)),
        }
    }

    /// Encrypts an RTP packet behind its first `header` bytes and appends the tag.
    pub fn seal_rtp(&self, rollovers: u32, header: usize, packet: &mut Vec<u8>) {
        let nonce = rtp_nonce(&self.rtp.1, rollovers, packet);
        let (aad, payload) = packet.split_at_mut(header);
        let tag = self
            .rtp
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(&*aad), payload)
            .expect("short enough");
        packet.extend_from_slice(tag.as_ref());
    }

    /// Decrypts an RTP packet in place; the payload, or nothing where it is forged.
    pub fn open_rtp<'a>(&self, rollovers: u32, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        let header = rtp_header_size(packet)?;
        let nonce = rtp_nonce(&self.rtp.1, rollovers, packet);
        let (aad, sealed) = packet.split_at_mut_checked(header)?;
        self.rtp
            .0
            .open_in_place(nonce, Aad::from(&*aad), sealed)
            .ok()
            .map(|plain| &*plain)
    }

    /// Encrypts an RTCP compound behind its first eight bytes; appends tag and index (RFC 7714 section 9).
    pub fn seal_rtcp(&self, index: u32, packet: &mut Vec<u8>) {
        let index = (index | 0x8000_0000).to_be_bytes();
        let nonce = rtcp_nonce(&self.rtcp.1, &packet[4..8], index);
        let (header, payload) = packet.split_at_mut(8);
        let aad = [&*header, &index].concat();
        let tag = self
            .rtcp
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), payload)
            .expect("short enough");
        packet.extend_from_slice(tag.as_ref());
        packet.extend_from_slice(&index);
    }

    /// Decrypts an SRTCP packet; the compound, or nothing where it is forged.
    pub fn open_rtcp(&self, packet: &mut [u8]) -> Option<Vec<u8>> {
        let (sealed, index) = packet.split_last_chunk_mut::<4>()?;
        let (header, payload) = sealed.split_at_mut_checked(8)?;
        let nonce = rtcp_nonce(&self.rtcp.1, &header[4..8], *index);
        let aad = [&*header, &*index].concat();
        let plain = self
            .rtcp
            .0
            .open_in_place(nonce, Aad::from(aad), payload)
            .ok()?;
        Some([&*header, &*plain].concat())
    }
}

/// Bytes of an RTP header with its CSRCs and extensions; nothing where the packet is cut.
pub fn rtp_header_size(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let plain = 12 + 4 * usize::from(first & 15);
    let size = if first & 0x10 == 0 {
        plain
    } else {
        let words = u16::from_be_bytes(*packet.get(plain + 2..)?.first_chunk()?);
        plain + 4 + 4 * usize::from(words)
    };
    (size + TAG <= packet.len()).then_some(size)
}

fn rtp_nonce(salt: &[u8; 12], rollovers: u32, packet: &[u8]) -> Nonce {
    let mut bytes = [0; 12];
    bytes[2..6].copy_from_slice(&packet[8..12]);
    bytes[6..10].copy_from_slice(&rollovers.to_be_bytes());
    bytes[10..].copy_from_slice(&packet[2..4]);
    salted(salt, bytes)
}

fn rtcp_nonce(salt: &[u8; 12], ssrc: &[u8], index: [u8; 4]) -> Nonce {
    let mut bytes = [0; 12];
    bytes[2..6].copy_from_slice(ssrc);
    bytes[8..].copy_from_slice(&(u32::from_be_bytes(index) & 0x7fff_ffff).to_be_bytes());
    salted(salt, bytes)
}

fn salted(salt: &[u8; 12], mut bytes: [u8; 12]) -> Nonce {
    bytes
        .iter_mut()
        .zip(salt)
        .for_each(|(byte, salt)| *byte ^= salt);
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{Camera, HEADER};

    #[test]
    fn what_is_sealed_opens_with_the_same_keys_and_rollovers_only() {
        let keys = Keys::derive(&[3; 16], &[5; 12]);
        let (_, packet) = &Camera::new(9).frame()[0];
        let mut sealed = packet.clone();
        keys.seal_rtp(0, HEADER, &mut sealed);
        assert_eq!(sealed.len(), crate::traffic::DATAGRAM);
        assert_eq!(keys.open_rtp(1, &mut sealed.clone()), None);
        assert_eq!(
            Keys::derive(&[4; 16], &[5; 12]).open_rtp(0, &mut sealed.clone()),
            None
        );
        assert_eq!(keys.open_rtp(0, &mut sealed), Some(&packet[HEADER..]));
    }

    #[test]
    fn rtcp_opens_with_its_index() {
        let keys = Keys::derive(&[3; 16], &[5; 12]);
        let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
        let mut sealed = report.to_vec();
        keys.seal_rtcp(4, &mut sealed);
        assert_eq!(
            keys.open_rtcp(&mut sealed.clone()).as_deref(),
            Some(&report[..])
        );
        *sealed.last_mut().unwrap() ^= 1;
        assert_eq!(keys.open_rtcp(&mut sealed), None);
    }
}
