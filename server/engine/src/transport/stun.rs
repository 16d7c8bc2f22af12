//! Just enough of STUN (RFC 8489) to see which addresses passed ICE and which the participant nominated.

/// RFC 8489 section 5.
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// RFC 8445 section 16.1.
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;

/// Pairs a request with its response.
pub(super) type TransactionId = [u8; 12];

/// A connectivity check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) transaction: TransactionId,
    pub(super) is_nomination: bool,
    /// How much the sender likes its end of the pair.
    pub(super) priority: u32,
}

/// A Binding message of ICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    Request(Check),
    /// Its success response: the request's MESSAGE-INTEGRITY was right.
    Success {
        transaction: TransactionId,
    },
}

impl Binding {
    /// `None` for anything else. Nothing is authenticated here.
    pub(super) fn parse(datagram: &[u8]) -> Option<Self> {
        let (kind, rest) = datagram.split_first_chunk::<2>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (cookie, rest) = rest.split_first_chunk::<4>()?;
        let (&transaction, attributes) = rest.split_first_chunk::<12>()?;
        if *cookie != MAGIC_COOKIE || usize::from(u16::from_be_bytes(*length)) != attributes.len() {
            return None;
        }
        match u16::from_be_bytes(*kind) {
            0x0001 => Some(Self::Request(Check {
                transaction,
                is_nomination: find(attributes, USE_CANDIDATE).is_some(),
                priority: find(attributes, PRIORITY)
                    .and_then(|value| value.first_chunk().copied())
                    .map_or(0, u32::from_be_bytes),
            })),
            0x0101 => Some(Self::Success { transaction }),
            _ => None,
        }
    }
}

/// The value of an attribute, padded to four bytes (RFC 8489 section 14: type, length, value).
fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some((kind, rest)) = attributes.split_first_chunk::<2>() {
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let padded = usize::from(u16::from_be_bytes(*length)).next_multiple_of(4);
        let (value, rest) = rest.split_at_checked(padded)?;
        if u16::from_be_bytes(*kind) == wanted {
            return Some(value);
        }
        attributes = rest;
    }
    None
}
