//! Who may come in. Decides nothing about what they do inside: that is in the grants.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use baton_protocol::{Grants, RoomId};

use crate::token::Keys;

/// The service's policy towards people who join.
#[derive(Clone, Debug)]
pub enum Access {
    /// Anyone, with or without a token: development on loopback. A token that is shown must still be valid.
    Open,
    /// Only with a token that one of these keys, or the service's own secret, has signed.
    Tokens {
        /// Keys of other issuers; may be empty.
        keys: Keys,
    },
    /// With the code of one room, which all its guests share, or with a token that the service's own secret has signed.
    Code {
        /// The only room that the code opens.
        room: RoomId,
        /// What a guest shows in the place of a token.
        code: InviteCode,
    },
}

/// A code that lets whoever knows it into one room, short enough for a link that is typed: 16 letters and digits, 80 bits.
/// Not shown by `Debug`.
///
/// It says nothing about who shows it, so that a kick does not hold against it.
#[derive(Clone)]
pub struct InviteCode(String);

impl InviteCode {
    /// The code that ten random bytes make.
    pub fn from_random(bytes: [u8; 10]) -> Self {
        let bits = bytes
            .iter()
            .fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let letter = |place: u32| {
            let index = usize::try_from(bits >> (place * 5) & 31).expect("below 32");
            char::from(LETTERS[index])
        };
        Self((0..16).map(letter).collect())
    }

    /// A code that somebody else made.
    pub fn parse(text: &str) -> Option<Self> {
        let is_code = text.len() == 16 && text.bytes().all(|byte| LETTERS.contains(&byte));
        is_code.then(|| Self(text.to_owned()))
    }

    /// For a link.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is(&self, shown: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), shown.as_bytes()).is_ok()
    }
}

impl fmt::Debug for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteCode(..)")
    }
}

impl Access {
    /// Is a token optional?
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// May whoever shows `shown` enter `room` as a guest?
    pub(crate) fn is_guest(&self, room: &RoomId, shown: &str) -> bool {
        match self {
            Self::Code { room: own, code } => own == room && code.is(shown),
            Self::Open | Self::Tokens { .. } => false,
        }
    }

    /// What a person without a token may do in an open room.
    pub(crate) fn open_grants() -> Grants {
        Grants {
            moderate: true,
            ..Grants::talk()
        }
    }
}

/// Without those that are mistaken for each other.
const LETTERS: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_all_its_bits_and_only_letters_that_are_read_well() {
        let all = InviteCode::from_random([0xff; 10]);
        assert_eq!(all.as_str(), "z".repeat(16));
        let mut one = [0; 10];
        one[0] = 0x80;
        assert_eq!(InviteCode::from_random(one).as_str(), "222222222222222i");
        one[0] = 0;
        one[9] = 1;
        assert_eq!(InviteCode::from_random(one).as_str(), "3222222222222222");
        let same = InviteCode::parse("3222222222222222").unwrap();
        assert!(same.is("3222222222222222"));
        assert!(InviteCode::parse("1222222222222222").is_none());
        assert!(InviteCode::parse("322222222222222").is_none());
    }

    #[test]
    fn a_code_opens_its_room_and_no_other() {
        let room: RoomId = "call".parse().unwrap();
        let code = InviteCode::from_random([7; 10]);
        let access = Access::Code {
            room: room.clone(),
            code: code.clone(),
        };
        assert!(access.is_guest(&room, code.as_str()));
        assert!(!access.is_guest(&"cellar".parse().unwrap(), code.as_str()));
        for wrong in ["", &code.as_str()[1..], "2222222222222222"] {
            assert!(!access.is_guest(&room, wrong), "{wrong}");
        }
        assert!(!Access::Open.is_guest(&room, code.as_str()));
        assert!(!format!("{access:?}").contains(code.as_str()));
    }
}
