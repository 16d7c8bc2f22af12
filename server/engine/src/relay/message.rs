//! STUN messages as far as a TURN client needs them (RFC 8489, RFC 8656), written and read as bytes.
//!
//! Does not own what they mean to the relay. Nothing is believed here but lengths.

use std::net::SocketAddr;
use std::ops::Range;

use aws_lc_rs::{constant_time, hmac};

use crate::reflect::{MAGIC_COOKIE, TransactionId, next_attribute, unveil, veil};

/// Message types (RFC 8656 section 17): a request, which the two bits of the class turn into its response.
pub(super) const ALLOCATE: u16 = 0x0003;
pub(super) const REFRESH: u16 = 0x0004;
pub(super) const CREATE_PERMISSION: u16 = 0x0008;
pub(super) const CHANNEL_BIND: u16 = 0x0009;
pub(super) const SEND_INDICATION: u16 = 0x0016;
pub(super) const DATA_INDICATION: u16 = 0x0017;
pub(super) const SUCCESS: u16 = 0x0100;
pub(super) const ERROR: u16 = 0x0110;

/// Attributes (RFC 8489 section 18.3, RFC 8656 section 18).
pub(super) const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
pub(super) const ERROR_CODE: u16 = 0x0009;
pub(super) const CHANNEL_NUMBER: u16 = 0x000c;
pub(super) const LIFETIME: u16 = 0x000d;
pub(super) const XOR_PEER_ADDRESS: u16 = 0x0012;
pub(super) const DATA: u16 = 0x0013;
pub(super) const REALM: u16 = 0x0014;
pub(super) const NONCE: u16 = 0x0015;
pub(super) const XOR_RELAYED_ADDRESS: u16 = 0x0016;
pub(super) const REQUESTED_TRANSPORT: u16 = 0x0019;

/// Length of a message without attributes.
pub(super) const HEADER: usize = 20;

/// Kind and length of an attribute.
pub(super) const ATTRIBUTE_HEADER: usize = 4;

/// An HMAC-SHA1.
const TAG: usize = 20;

/// A message that is being written. Its attributes stay short of 64 KB, or it ends up unreadable.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    transaction: TransactionId,
}

impl Writer {
    pub(super) fn new(kind: u16, transaction: TransactionId) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(MAGIC_COOKIE);
        bytes.extend(transaction);
        Self { bytes, transaction }
    }

    pub(super) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend(u16_of(value.len()).to_be_bytes());
        self.bytes.extend(value);
        let padded = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(padded, 0);
        self
    }

    /// An address under the mask of this message.
    pub(super) fn address(self, kind: u16, address: SocketAddr) -> Self {
        let (value, len) = veil(address, self.transaction);
        self.attribute(kind, value.get(..len).unwrap_or_default())
    }

    /// The whole message.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.note_length(0);
        self.bytes
    }

    /// The whole message with MESSAGE-INTEGRITY (RFC 8489 section 14.5).
    pub(super) fn sign(mut self, key: &hmac::Key) -> Vec<u8> {
        self.note_length(ATTRIBUTE_HEADER + TAG);
        let tag = hmac::sign(key, &self.bytes);
        self.attribute(MESSAGE_INTEGRITY, tag.as_ref()).finish()
    }

    fn note_length(&mut self, more: usize) {
        let len = u16_of((self.bytes.len() + more).saturating_sub(HEADER));
        if let Some(place) = self.bytes.get_mut(2..4) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }
}

fn u16_of(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

/// A message that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) transaction: TransactionId,
    bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// `None` if it is no STUN message, or not one from beginning to end.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER>()?;
        let &[k0, k1, l0, l1, c0, c1, c2, c3, ref transaction @ ..] = header;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let is_whole = HEADER + len == bytes.len() && len.is_multiple_of(4);
        (is_whole && [c0, c1, c2, c3] == MAGIC_COOKIE && k0 < 0x40).then_some(Self {
            kind: u16::from_be_bytes([k0, k1]),
            transaction: *transaction,
            bytes,
        })
    }

    /// Where the value of the first such attribute is; what follows MESSAGE-INTEGRITY does not count (RFC 8489 section 14.5).
    pub(super) fn find(&self, wanted: u16) -> Option<Range<usize>> {
        let mut rest = self.bytes.get(HEADER..)?;
        loop {
            let start = self.bytes.len() - rest.len() + ATTRIBUTE_HEADER;
            let (kind, value, after) = next_attribute(rest)?;
            if kind == wanted {
                return Some(start..start + value.len());
            }
            if kind == MESSAGE_INTEGRITY {
                return None;
            }
            rest = after;
        }
    }

    pub(super) fn value(&self, wanted: u16) -> Option<&'a [u8]> {
        self.bytes.get(self.find(wanted)?)
    }

    pub(super) fn address(&self, wanted: u16) -> Option<SocketAddr> {
        unveil(self.value(wanted)?, self.transaction)
    }

    /// The code of an error response (RFC 8489 section 14.8).
    pub(super) fn error(&self) -> Option<u16> {
        let &[_, _, class, number] = self.value(ERROR_CODE)?.first_chunk()?;
        Some(u16::from(class & 0b111) * 100 + u16::from(number))
    }

    /// Was it made by somebody who has the key?
    pub(super) fn is_signed(&self, key: &hmac::Key) -> bool {
        let signed = self.find(MESSAGE_INTEGRITY).and_then(|place| {
            let tag = self.bytes.get(place.clone())?;
            let before = place.start - ATTRIBUTE_HEADER;
            // As if nothing came after it.
            let len = u16_of(before + ATTRIBUTE_HEADER + TAG - HEADER);
            let mut mac = hmac::Context::with_key(key);
            mac.update(self.bytes.get(..2)?);
            mac.update(&len.to_be_bytes());
            mac.update(self.bytes.get(4..before)?);
            Some(constant_time::verify_slices_are_equal(mac.sign().as_ref(), tag).is_ok())
        });
        signed.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 section 2.4: a request with long-term authentication.
    const REQUEST: &[u8] = b"\x00\x01\x00\x60\x21\x12\xa4\x42\x78\xad\x34\x33\xc6\xad\x72\xc0\x29\xda\x41\x2e\
        \x00\x06\x00\x12\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9\x00\x00\
        \x00\x15\x00\x1cf//499k954d6OL34oL9FSTvy64sA\x00\x14\x00\x0bexample.org\x00\
        \x00\x08\x00\x14\xf6\x70\x24\x65\x6d\xd6\x4a\x3e\x02\xb8\xe0\x71\x2e\x85\xc9\xa2\x8c\xa8\x96\x66";

    #[test]
    fn a_request_is_written_and_signed_as_in_the_test_vector() {
        let message = Message::read(REQUEST).expect("a message");
        let user = message.value(USERNAME).expect("a name");
        let words = [user, b"example.org", b"TheMatrIX"].join(&b':');
        let key = super::super::account::long_term_key(&words).expect("a key");
        assert!(message.is_signed(&key));
        let written = Writer::new(0x0001, message.transaction)
            .attribute(USERNAME, user)
            .attribute(NONCE, message.value(NONCE).expect("a nonce"))
            .attribute(REALM, b"example.org")
            .sign(&key);
        assert_eq!(written, REQUEST);
    }

    #[test]
    fn what_is_signed_is_believed_only_with_the_key_and_unchanged() {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"key");
        let other = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"another");
        let peer: SocketAddr = "203.0.113.7:40000".parse().expect("address");
        let bytes = Writer::new(CREATE_PERMISSION | SUCCESS, [7; 12])
            .address(XOR_PEER_ADDRESS, peer)
            .attribute(NONCE, b"abcde")
            .sign(&key);
        let message = Message::read(&bytes).expect("a message");
        assert!(message.is_signed(&key) && !message.is_signed(&other));
        assert_eq!(message.address(XOR_PEER_ADDRESS), Some(peer));
        assert_eq!(message.value(NONCE), Some(&b"abcde"[..]));
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            let read = Message::read(&changed);
            assert!(
                !read.is_some_and(|read| read.is_signed(&key)),
                "byte {index}"
            );
        }
        // A fingerprint after it does not count, nor does anything else.
        let mut longer = bytes.clone();
        longer.extend([0x80, 0x28, 0, 4, 1, 2, 3, 4, 0, 0x0d, 0, 4, 0, 0, 0, 0]);
        let len = u16_of(longer.len() - HEADER);
        longer[2..4].copy_from_slice(&len.to_be_bytes());
        let message = Message::read(&longer).expect("a message");
        assert!(message.is_signed(&key));
        assert_eq!(message.value(LIFETIME), None, "behind the signature");
    }
}
