//! Makes our order of SRTP profiles count.
//!
//! A DTLS server chooses among the profiles that the client lists (RFC 5764 section 4.1.1), but rtc takes the first
//! of the client's list that it knows, and Chromium lists AES-CM before GCM. rtc decides on the first ClientHello,
//! which is not part of the handshake hash: RFC 6347 section 4.2.1 leaves it and the HelloVerifyRequest out. So that
//! message, and only that, is given to rtc with its list in our order. The second ClientHello passes untouched.

use super::keys::SrtpProfile;

/// Content type of handshake records (RFC 6347 section 4.1).
const HANDSHAKE: u8 = 22;
/// Handshake type (RFC 6347 section 4.2.2).
const CLIENT_HELLO: u8 = 1;
/// Extension type (RFC 5764 section 9).
const USE_SRTP: u16 = 14;
/// Largest ClientHello that is put together; post-quantum key shares bring it to about 2 KiB.
const MAX_HELLO: usize = 8 * 1024;

/// Reads the ClientHello of one association.
#[derive(Debug, Default)]
pub(super) struct HelloFilter {
    body: Vec<u8>,
    /// Which bytes of `body` have come.
    have: Vec<bool>,
}

/// What becomes of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// Not the first ClientHello: give it to rtc as it is.
    Untouched,
    /// A fragment: wait for the others.
    Held,
    /// Give this to rtc instead.
    Rewritten(Vec<u8>),
}

/// One fragment of a first ClientHello in a record of its own.
struct Fragment<'a> {
    record: [u8; 11],
    total: usize,
    offset: usize,
    bytes: &'a [u8],
}

impl HelloFilter {
    /// Looks at one datagram in DTLS's range. `preference` names the profiles, best first.
    pub(super) fn pass(&mut self, datagram: &[u8], preference: &[SrtpProfile]) -> Passed {
        let mut rest = datagram;
        let mut record = None;
        while !rest.is_empty() {
            let Some((fragment, next)) = Fragment::parse(rest) else {
                return Passed::Untouched;
            };
            if !self.take(&fragment) {
                return Passed::Untouched;
            }
            record = Some(fragment.record);
            rest = next;
        }
        let Some(record) = record else {
            return Passed::Untouched;
        };
        if self.have.contains(&false) {
            return Passed::Held;
        }
        self.have.clear();
        let mut body = std::mem::take(&mut self.body);
        prefer(&mut body, preference);
        Passed::Rewritten(whole(record, &body))
    }

    fn take(&mut self, fragment: &Fragment<'_>) -> bool {
        if fragment.total > MAX_HELLO {
            return false;
        }
        if self.body.len() != fragment.total {
            self.body = vec![0; fragment.total];
            self.have = vec![false; fragment.total];
        }
        self.have.resize(fragment.total, false);
        let Some(end) = fragment.offset.checked_add(fragment.bytes.len()) else {
            return false;
        };
        let (Some(body), Some(have)) = (
            self.body.get_mut(fragment.offset..end),
            self.have.get_mut(fragment.offset..end),
        ) else {
            return false;
        };
        body.copy_from_slice(fragment.bytes);
        have.fill(true);
        true
    }
}

impl<'a> Fragment<'a> {
    /// Splits one record off a datagram: epoch 0, handshake, ClientHello with message_seq 0.
    fn parse(datagram: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&record, rest) = datagram.split_first_chunk::<11>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (content, next) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let [content_type, _, _, epoch @ .., _, _, _, _, _, _] = record;
        let (&[kind], rest) = content.split_first_chunk::<1>()?;
        let (total, rest) = rest.split_first_chunk::<3>()?;
        let (message_seq, rest) = rest.split_first_chunk::<2>()?;
        let (offset, rest) = rest.split_first_chunk::<3>()?;
        let (size, bytes) = rest.split_first_chunk::<3>()?;
        let is_first_hello = content_type == HANDSHAKE
            && epoch == [0, 0]
            && kind == CLIENT_HELLO
            && *message_seq == [0, 0];
        let (total, offset) = (uint24(*total), uint24(*offset));
        (is_first_hello && uint24(*size) == bytes.len()).then_some((
            Self {
                record,
                total,
                offset,
                bytes,
            },
            next,
        ))
    }
}

fn uint24([a, b, c]: [u8; 3]) -> usize {
    usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
}

/// One record with the whole message, numbered like the last fragment.
fn whole(record: [u8; 11], body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("MAX_HELLO fits a record");
    let [high, low] = length.to_be_bytes();
    let mut datagram = Vec::with_capacity(25 + body.len());
    datagram.extend_from_slice(&record);
    datagram.extend_from_slice(&(length + 12).to_be_bytes());
    datagram.extend_from_slice(&[CLIENT_HELLO, 0, high, low, 0, 0, 0, 0, 0, 0, high, low]);
    datagram.extend_from_slice(body);
    datagram
}

/// Sorts the profiles of `use_srtp` by our preference; leaves a message alone that cannot be read.
fn prefer(body: &mut [u8], preference: &[SrtpProfile]) {
    let Some(profiles) = use_srtp(body) else {
        return;
    };
    let rank = |profile: [u8; 2]| {
        preference
            .iter()
            .position(|known| wire(*known) == profile)
            .unwrap_or(preference.len())
    };
    let mut sorted: Vec<[u8; 2]> = profiles.as_chunks::<2>().0.to_vec();
    sorted.sort_by_key(|profile| rank(*profile));
    for (place, profile) in profiles.as_chunks_mut::<2>().0.iter_mut().zip(sorted) {
        *place = profile;
    }
}

/// Profile numbers of RFC 7714 section 14.2 and RFC 5764 section 4.1.2.
fn wire(profile: SrtpProfile) -> [u8; 2] {
    match profile {
        SrtpProfile::AeadAes128Gcm => [0, 7],
        SrtpProfile::Aes128CmHmacSha1_80 => [0, 1],
    }
}

/// The list of profiles in a ClientHello (RFC 6347 section 4.2.1, RFC 5764 section 4.1.1).
fn use_srtp(body: &mut [u8]) -> Option<&mut [u8]> {
    const VERSION_AND_RANDOM: usize = 34;
    let (_, rest) = body.split_at_mut_checked(VERSION_AND_RANDOM)?;
    let (_session, rest) = vector8(rest)?;
    let (_cookie, rest) = vector8(rest)?;
    let (_ciphers, rest) = vector16(rest)?;
    let (_compression, rest) = vector8(rest)?;
    let (mut extensions, _) = vector16(rest)?;
    loop {
        let (kind, rest) = extensions.split_first_chunk_mut::<2>()?;
        let (value, next) = vector16(rest)?;
        if u16::from_be_bytes(*kind) == USE_SRTP {
            return vector16(value).map(|(profiles, _)| profiles);
        }
        extensions = next;
    }
}

fn vector8(bytes: &mut [u8]) -> Option<(&mut [u8], &mut [u8])> {
    let (length, rest) = bytes.split_first_mut()?;
    rest.split_at_mut_checked(usize::from(*length))
}

fn vector16(bytes: &mut [u8]) -> Option<(&mut [u8], &mut [u8])> {
    let (length, rest) = bytes.split_first_chunk_mut::<2>()?;
    rest.split_at_mut_checked(usize::from(u16::from_be_bytes(*length)))
}
