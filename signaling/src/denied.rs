//! Who was removed from which room. A removal holds against every token that was issued before it, until those have
//! expired; only a token issued later lets the same person in again.

use std::collections::BTreeMap;

use baton_protocol::{ParticipantId, RoomId};

/// By what somebody is known again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// `sub` of a token.
    Subject(String),
    /// `jti` of a token.
    TokenId(String),
    /// The number they had; the only mark of somebody without a token.
    Participant(ParticipantId),
}

/// When somebody was removed, and until when it matters.
#[derive(Clone, Copy, Debug)]
struct Denial {
    removed_at: u64,
    until: u64,
}

/// All removals that still matter. Seconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct DenySet {
    denials: BTreeMap<(RoomId, Mark), Denial>,
}

/// Removals remembered at a time; the one that expires first makes room.
const CAPACITY: usize = 100_000;

impl DenySet {
    /// Remembers a removal.
    pub(crate) fn insert(&mut self, room: &RoomId, mark: Mark, removed_at: u64, until: u64) {
        if self.denials.len() >= CAPACITY {
            self.denials.retain(|_, denial| denial.until > removed_at);
        }
        if self.denials.len() >= CAPACITY {
            let first = self.denials.iter().min_by_key(|(_, denial)| denial.until);
            if let Some(key) = first.map(|(key, _)| key.clone()) {
                self.denials.remove(&key);
            }
        }
        let denial = Denial { removed_at, until };
        self.denials.insert((room.clone(), mark), denial);
    }

    /// Does a removal stand against a token issued at `issued_at`?
    pub(crate) fn contains(&self, room: &RoomId, mark: Mark, issued_at: u64, now: u64) -> bool {
        let denial = self.denials.get(&(room.clone(), mark));
        denial.is_some_and(|denial| denial.until > now && issued_at <= denial.removed_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_issued_after_the_removal_lets_one_in_again() {
        let room: RoomId = "tea".parse().expect("name");
        let ana = || Mark::Subject("ana".to_owned());
        let mut denied = DenySet::default();
        denied.insert(&room, ana(), 100, 500);
        assert!(denied.contains(&room, ana(), 90, 120));
        assert!(denied.contains(&room, ana(), 100, 499));
        assert!(!denied.contains(&room, ana(), 101, 120), "a newer token");
        assert!(!denied.contains(&room, ana(), 90, 500), "it has expired");
        let elsewhere: RoomId = "coffee".parse().expect("name");
        assert!(!denied.contains(&elsewhere, ana(), 90, 120), "another room");
    }
}
