//! Who was removed from which room. A removal holds against every token that was issued before it, until those have
//! expired; only a token issued later lets the same person in again.

use std::collections::BTreeMap;

use baton_protocol::limits::MAX_DENIALS;
use baton_protocol::{Denial, ParticipantId, RoomId};

use crate::token::Secret;

/// By what somebody is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// `sub` of a token.
    Subject(String),
    /// `jti` of a token.
    TokenId(String),
    /// The number they had; the only mark of somebody without a token.
    Participant(ParticipantId),
}

impl Mark {
    /// As hosts keep it. The same person in another room has another one.
    fn sealed(&self, room: &RoomId, secret: &Secret) -> String {
        let number;
        let (kind, value) = match self {
            Self::Subject(subject) => ("subject", subject.as_str()),
            Self::TokenId(id) => ("token", id.as_str()),
            Self::Participant(id) => {
                number = id.0.to_string();
                ("participant", number.as_str())
            }
        };
        secret.seal("denied", &[room.as_str(), kind, value])
    }
}

/// All removals that still matter.
#[derive(Debug, Default)]
pub(crate) struct DenySet {
    denials: BTreeMap<String, Denial>,
}

impl DenySet {
    /// Remembers removals, said by whoever knows; those that are known already and those that are over change nothing.
    /// True where one is news.
    pub(crate) fn merge(&mut self, denials: impl IntoIterator<Item = Denial>, now: u64) -> bool {
        let mut is_news = false;
        for denial in denials {
            let known = self.denials.get(&denial.mark);
            let is_newer = known.is_none_or(|known| known.removed_at < denial.removed_at);
            if denial.until > now && is_newer {
                self.make_room(now);
                self.denials.insert(denial.mark.clone(), denial);
                is_news = true;
            }
        }
        is_news
    }

    fn make_room(&mut self, now: u64) {
        if self.denials.len() >= MAX_DENIALS {
            self.denials.retain(|_, denial| denial.until > now);
        }
        if self.denials.len() >= MAX_DENIALS {
            let first = self.denials.values().min_by_key(|denial| denial.until);
            if let Some(mark) = first.map(|denial| denial.mark.clone()) {
                self.denials.remove(&mark);
            }
        }
    }

    /// Removals of one person, for hosts to keep.
    pub(crate) fn denials(
        room: &RoomId,
        marks: impl IntoIterator<Item = Mark>,
        secret: &Secret,
        removed_at: u64,
        until: u64,
    ) -> Vec<Denial> {
        let denial = |mark: Mark| Denial {
            mark: mark.sealed(room, secret),
            removed_at,
            until,
        };
        marks.into_iter().map(denial).collect()
    }

    /// Does a removal stand against a token issued at `issued_at`? A number that was removed is never given again, so against it
    /// a removal always stands: who slipped in before it was told of again has newer tokens.
    pub(crate) fn contains(
        &self,
        room: &RoomId,
        mark: &Mark,
        secret: &Secret,
        issued_at: u64,
        now: u64,
    ) -> bool {
        if self.denials.is_empty() {
            return false;
        }
        let denial = self.denials.get(&mark.sealed(room, secret));
        let is_number = matches!(mark, Mark::Participant(_));
        denial.is_some_and(|denial| {
            denial.until > now && (is_number || issued_at <= denial.removed_at)
        })
    }

    /// All that matter still.
    pub(crate) fn standing(&self, now: u64) -> Vec<Denial> {
        let standing = self.denials.values().filter(|denial| denial.until > now);
        standing.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::new([7; 32]).expect("32 bytes")
    }

    fn ana() -> Mark {
        Mark::Subject("ana".to_owned())
    }

    fn room(name: &str) -> RoomId {
        name.parse().expect("name")
    }

    #[test]
    fn only_a_token_issued_after_the_removal_lets_one_in_again() {
        let mut denied = DenySet::default();
        let denials = DenySet::denials(&room("tea"), [ana()], &secret(), 100, 500);
        assert!(denied.merge(denials.clone(), 100));
        assert!(!denied.merge(denials, 100), "no news");
        let stands = |room: &RoomId, issued_at, now| {
            denied.contains(room, &ana(), &secret(), issued_at, now)
        };
        let tea = room("tea");
        assert!(stands(&tea, 90, 120));
        assert!(stands(&tea, 100, 499));
        assert!(!stands(&tea, 101, 120), "a newer token");
        assert!(!stands(&tea, 90, 500), "it has expired");
        assert!(!stands(&room("coffee"), 90, 120), "another room");
    }

    #[test]
    fn what_hosts_keep_names_nobody_and_cannot_be_made_by_them() {
        let of = |secret: &Secret| DenySet::denials(&room("tea"), [ana()], secret, 100, 500);
        let denial = of(&secret()).remove(0);
        assert!(!denial.mark.contains("ana") && !denial.mark.contains("tea"));
        let other = Secret::new([8; 32]).expect("32 bytes");
        assert_ne!(denial.mark, of(&other).remove(0).mark);
    }

    #[test]
    fn the_set_is_bounded_and_forgets_first_what_ends_first() {
        let mut denied = DenySet::default();
        let denial = |n: usize| Denial {
            mark: n.to_string(),
            removed_at: 1,
            until: 100 + n as u64,
        };
        denied.merge((0..=MAX_DENIALS).map(denial), 1);
        assert_eq!(denied.standing(1).len(), MAX_DENIALS);
        assert!(!denied.denials.contains_key("0"));
    }
}
