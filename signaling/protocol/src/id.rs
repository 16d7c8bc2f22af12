//! Names of rooms, participants, tracks, legs and hosts. Numbers are `u32` so that JavaScript holds them exactly.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(test, derive(ts_rs::TS))]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

number_id! {
    /// One participant of a room. Never zero; unique in its room; also the CSRC that names a speaker in an audio slot.
    ParticipantId, "p"
}
number_id! {
    /// One published source of a room. Unique in its room.
    TrackId, "t"
}
number_id! {
    /// One association (ICE, DTLS, SRTP) between a participant and a host. Counted by the participant; a new number is a new connection.
    LegId, "l"
}
number_id! {
    /// One process that forwards media.
    HostId, "h"
}

/// Name of a room: 1 to 64 characters of `a-z`, `0-9`, `-` and `_`. It is the last part of the invite link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct RoomId(String);

/// A text that cannot name a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a room name has 1 to 64 characters of a-z, 0-9, '-' and '_'")]
pub struct InvalidRoomId;

impl RoomId {
    /// Longest room name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoomId {
    type Err = InvalidRoomId;

    fn from_str(text: &str) -> Result<Self, InvalidRoomId> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for RoomId {
    type Error = InvalidRoomId;

    fn try_from(text: String) -> Result<Self, InvalidRoomId> {
        let allowed =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if text.is_empty() || text.len() > Self::MAX_LEN || !text.bytes().all(allowed) {
            return Err(InvalidRoomId);
        }
        Ok(Self(text))
    }
}

impl From<RoomId> for String {
    fn from(room: RoomId) -> Self {
        room.0
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
