//! What a participant may do. Absent means denied.

use serde::{Deserialize, Serialize};

use crate::Source;

/// Permissions of one participant, as written in a token. The default grants nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Grants {
    /// Sources that may be published.
    pub publish: Vec<Source>,
    /// May receive what others publish.
    pub subscribe: bool,
    /// May write chat messages.
    pub chat: bool,
    /// May mute and remove others.
    pub moderate: bool,
    /// May be asked to carry the call on the own computer.
    pub host: bool,
    /// Is not shown to others (recorders, monitors). A hidden participant cannot publish.
    pub hidden: bool,
}

impl Grants {
    /// Everything a person in an open room needs: all sources, receiving, chat, hosting. Not moderation.
    pub fn talk() -> Self {
        Self {
            publish: Source::ALL.to_vec(),
            subscribe: true,
            chat: true,
            host: true,
            ..Self::default()
        }
    }

    /// May `source` be published?
    pub fn may_publish(&self, source: Source) -> bool {
        !self.hidden && self.publish.contains(&source)
    }
}
