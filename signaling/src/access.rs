//! Who may come in. Decides nothing about what they do inside: that is in the grants.

use baton_protocol::Grants;

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
}

impl Access {
    /// Is a token optional?
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// What a person without a token may do in an open room.
    pub(crate) fn open_grants() -> Grants {
        Grants {
            moderate: true,
            ..Grants::talk()
        }
    }
}
