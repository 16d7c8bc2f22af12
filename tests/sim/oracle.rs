//! Who may hear and see whom at which moment, as the hosts were told; judges every packet that reaches a participant.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use baton_protocol::{RoomId, TrackId};

use crate::packets::{Kind, Stamp};
use crate::receiver::Got;

/// From when on which slot shows whom.
type View = (Instant, BTreeMap<String, usize>);

/// What the hosts were told, and when.
#[derive(Default)]
pub(crate) struct Oracle {
    tracks: BTreeMap<(RoomId, TrackId), (usize, Kind)>,
    muted: BTreeMap<(usize, Kind), Instant>,
    closed: BTreeMap<usize, Instant>,
    /// Per viewer, oldest first.
    views: BTreeMap<usize, Vec<View>>,
}

/// Who received a packet.
pub(crate) struct Receipt<'a> {
    pub(crate) room: u32,
    pub(crate) person: usize,
    /// When it left the host.
    pub(crate) sent: Instant,
    /// Participant number of the stamped person.
    pub(crate) stamped: Option<u32>,
    pub(crate) start: Instant,
    pub(crate) got: &'a Got,
}

impl Oracle {
    pub(crate) fn note_track(&mut self, room: &RoomId, track: TrackId, person: usize, kind: Kind) {
        self.tracks.insert((room.clone(), track), (person, kind));
    }

    pub(crate) fn owner(&self, room: &RoomId, track: TrackId) -> Option<(usize, Kind)> {
        self.tracks.get(&(room.clone(), track)).copied()
    }

    pub(crate) fn note_muted(&mut self, person: usize, kind: Kind, muted: bool, now: Instant) {
        if muted {
            self.muted.entry((person, kind)).or_insert(now);
        } else {
            self.muted.remove(&(person, kind));
        }
    }

    pub(crate) fn note_opened(&mut self, person: usize) {
        self.closed.remove(&person);
        self.views.remove(&person);
    }

    pub(crate) fn note_closed(&mut self, person: usize, now: Instant) {
        self.closed.entry(person).or_insert(now);
    }

    pub(crate) fn note_view(
        &mut self,
        person: usize,
        shows: BTreeMap<String, usize>,
        now: Instant,
    ) {
        self.views.entry(person).or_default().push((now, shows));
    }

    /// What is wrong with a packet that somebody received.
    pub(crate) fn complaint(&self, receipt: &Receipt<'_>) -> Option<String> {
        let Receipt {
            got, sent, person, ..
        } = *receipt;
        let Stamp {
            room,
            person: from,
            kind,
            captured,
            ..
        } = got.stamp;
        let from = usize::try_from(from).expect("small");
        let place = || format!("p{person} got {kind:?} of p{from} in slot {}", got.mid);
        if room != receipt.room {
            return Some(format!("{}: that is of another room", place()));
        }
        if from == person {
            return Some(format!("{}: that is the own one", place()));
        }
        for whose in [person, from] {
            if self.closed.get(&whose).is_some_and(|closed| *closed < sent) {
                return Some(format!(
                    "{}: the host was told before that p{whose} is gone",
                    place()
                ));
            }
        }
        if let Some(since) = self.muted.get(&(from, kind)) {
            let is_later = receipt.start + Duration::from_micros(captured) > *since;
            if *since < sent && (is_later || !got.is_repair) {
                return Some(format!(
                    "{}: the host was told before that it is muted",
                    place()
                ));
            }
        }
        if kind == Kind::Picture {
            let views = self
                .views
                .get(&person)
                .map(Vec::as_slice)
                .unwrap_or_default();
            let in_force = views.iter().rev().find(|(since, _)| *since <= sent);
            // A view that comes in the same moment may be applied after what was sent in it.
            let before = views.iter().rev().find(|(since, _)| *since < sent);
            let shows = |view: Option<&View>| {
                view.is_some_and(|(_, shows)| shows.get(&got.mid) == Some(&from))
            };
            if !shows(in_force) && !shows(before) {
                return Some(format!("{}: nobody asked to see that there", place()));
            }
        }
        if got.csrc.is_some() && got.csrc != receipt.stamped {
            return Some(format!(
                "{}: the host says that it is of {:?}",
                place(),
                got.csrc
            ));
        }
        None
    }
}
