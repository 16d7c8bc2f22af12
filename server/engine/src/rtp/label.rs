//! Media and restriction identifiers (RFC 9143, RFC 8852): short ASCII words kept inline.
//!
//! Does not own their meaning; an identifier longer than 16 bytes is refused rather than cut.

use std::{fmt, str};

/// Longest identifier: what a one-byte header extension element can carry (RFC 8285 section 4.2).
const MAX_LEN: usize = 16;

/// Why a word cannot be an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Empty, or longer than 16 bytes.
    #[error("an identifier of {0} bytes: use 1 to 16")]
    Length(usize),
    /// A byte that the grammar does not allow.
    #[error("byte 0x{0:02x} is not allowed in this identifier")]
    Byte(u8),
}

/// Zero-padded; no allowed byte is zero, so the derived order is that of the strings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Inline {
    bytes: [u8; MAX_LEN],
    len: u8,
}

impl Inline {
    fn new(word: &[u8], is_allowed: fn(u8) -> bool) -> Result<Self, LabelError> {
        let mut bytes = [0; MAX_LEN];
        let (Some(target), Ok(len @ 1..)) = (bytes.get_mut(..word.len()), u8::try_from(word.len()))
        else {
            return Err(LabelError::Length(word.len()));
        };
        if let Some(&byte) = word.iter().find(|&&byte| !is_allowed(byte)) {
            return Err(LabelError::Byte(byte));
        }
        target.copy_from_slice(word);
        Ok(Self { bytes, len })
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.len))
            .expect("len is at most MAX_LEN")
    }

    fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).expect("only ASCII is let in")
    }
}

/// `token-char` of RFC 8866 section 9.
const fn is_token(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x27 | 0x2a..=0x2b | 0x2d..=0x2e | 0x30..=0x39 | 0x41..=0x5a | 0x5e..=0x7e)
}

/// `rid-id` of RFC 8851 section 10.
const fn is_rid_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $is_allowed:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Inline);

        impl $name {
            /// As in SDP.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// As in a header extension.
            pub fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl TryFrom<&str> for $name {
            type Error = LabelError;

            fn try_from(word: &str) -> Result<Self, LabelError> {
                Self::try_from(word.as_bytes())
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = LabelError;

            fn try_from(word: &[u8]) -> Result<Self, LabelError> {
                Inline::new(word, $is_allowed).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }
    };
}

label! {
    /// Which m-line of the leg's description a packet belongs to (`a=mid`, RFC 5888): a token of 1 to 16 bytes.
    Mid, is_token
}

label! {
    /// Which simulcast layer of an m-line a stream is (`a=rid`, RFC 8851): letters, digits, `-` and `_`, 1 to 16.
    Rid, is_rid_char
}
