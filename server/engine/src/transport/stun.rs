//! Just enough of STUN (RFC 8489) to see which addresses passed ICE and which the participant nominated.

/// RFC 8489 section 5.
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// RFC 8445 section 16.1.
const USE_CANDIDATE: u16 = 0x0025;

/// Pairs a request with its response.
pub(super) type TransactionId = [u8; 12];

/// A Binding message of ICE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// A connectivity check.
    Request {
        transaction: TransactionId,
        is_nomination: bool,
    },
    /// Its success response: the request's MESSAGE-INTEGRITY was right.
    Success { transaction: TransactionId },
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
            0x0001 => Some(Self::Request {
                transaction,
                is_nomination: has(attributes, USE_CANDIDATE),
            }),
            0x0101 => Some(Self::Success { transaction }),
            _ => None,
        }
    }
}

/// RFC 8489 section 14: type, length, value padded to four bytes.
fn has(mut attributes: &[u8], wanted: u16) -> bool {
    while let Some((kind, rest)) = attributes.split_first_chunk::<2>() {
        let Some((length, rest)) = rest.split_first_chunk::<2>() else {
            return false;
        };
        if u16::from_be_bytes(*kind) == wanted {
            return true;
        }
        let padded = usize::from(u16::from_be_bytes(*length)).next_multiple_of(4);
        let Some((_, rest)) = rest.split_at_checked(padded) else {
            return false;
        };
        attributes = rest;
    }
    false
}
