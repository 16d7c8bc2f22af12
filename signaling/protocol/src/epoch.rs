//! Who is host, and since which epoch. Signaling alone raises the epoch; what carries an older one is refused.

use serde::{Deserialize, Serialize};

use crate::HostId;

/// Number of a host's term in a room. Only grows. The first is whatever is above all that was given out before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Epoch(pub u32);

impl Epoch {
    /// The lowest there is.
    pub const FIRST: Self = Self(1);

    /// The term after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Whose computer the host runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum HostKind {
    /// The operator's server.
    Central,
    /// A participant who was promoted.
    Participant,
}

/// A host and the term it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostTerm {
    /// Number of the term.
    pub epoch: Epoch,
    /// The process that forwards.
    pub host: HostId,
    /// Whose computer it is.
    pub kind: HostKind,
    /// What people call it.
    pub name: String,
}
