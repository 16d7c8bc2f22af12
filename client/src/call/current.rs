//! One leg of a call and what is known of it.

use std::time::Instant;

use baton_protocol::{HostId, LegId, MediaKind, PathToHost, SlotShown, SlotView, TrackWanted};

use super::course::Part;
use super::event::SlotReport;
use crate::ladder::Condition;
use crate::leg::{Leg, Offer, Slot};
use crate::view::{View, Want};

/// A leg and what is known of it.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) leg: Leg,
    pub(super) host: HostId,
    pub(super) part: Part,
    pub(super) condition: Condition,
    pub(super) slots: Vec<Slot>,
    pub(super) unanswered: Option<Offer>,
    pub(super) is_ready: bool,
    pub(super) view: View,
    /// Absent before the first view. That one is said even if empty: its reply is what the host said when the channel
    /// opened, which `rtc` loses where it shares a datagram with the end of the SCTP handshake.
    pub(super) said: Option<Vec<SlotView>>,
    pub(super) shown: Vec<SlotShown>,
    /// What the host said of own tracks.
    pub(super) wanted: Vec<TrackWanted>,
    pub(super) is_publishing: bool,
    /// Since when everything is about to come from it.
    pub(super) arriving_since: Option<Instant>,
    /// Its host is not named any more: closed then.
    pub(super) leaves_at: Option<Instant>,
}

impl Current {
    pub(super) fn new(leg: Leg, host: HostId, part: Part, now: Instant) -> Self {
        Self {
            leg,
            host,
            part,
            condition: Condition::Connecting { since: now },
            slots: Vec::new(),
            unanswered: None,
            is_ready: false,
            view: View::default(),
            said: None,
            shown: Vec::new(),
            wanted: Vec::new(),
            is_publishing: false,
            arriving_since: None,
            leaves_at: None,
        }
    }

    pub(super) fn id(&self) -> LegId {
        self.leg.id()
    }

    /// May media flow, and was the host told what to show?
    pub(super) fn is_usable(&self) -> bool {
        self.condition == Condition::Connected && self.is_ready
    }

    /// Sends what one publishes on this leg too, or no more.
    pub(super) fn publish(&mut self, is_publishing: bool) {
        if self.is_publishing != is_publishing {
            self.is_publishing = is_publishing;
            self.leg.publish(is_publishing);
        }
    }

    /// Tells the host what the slots shall show, if that is new.
    pub(super) fn show(&mut self, wants: &[Want]) {
        if !self.is_ready {
            return;
        }
        let video = self
            .slots
            .iter()
            .filter(|slot| slot.kind == MediaKind::Video);
        let mids: Vec<String> = video.map(|slot| slot.mid.clone()).collect();
        let slots = self.view.assign(&mids, wants);
        if self.said.as_ref() != Some(&slots) {
            self.said = Some(slots.clone());
            self.leg.tell(PathToHost::View { slots });
        }
    }

    /// Has any sound come?
    pub(super) fn hears(&self) -> bool {
        let mut sounds = self
            .slots
            .iter()
            .filter(|slot| slot.kind == MediaKind::Audio);
        sounds.any(|slot| slot.tally().packets > 0)
    }

    /// Does everything come that was asked for and that the host can send?
    pub(super) fn is_showing(&self) -> bool {
        let Some(said) = &self.said else {
            return false;
        };
        said.iter().all(|view| {
            let mut shown = self.shown.iter();
            let shown = shown.find(|shown| shown.slot == view.slot && shown.track == view.track);
            let slot = self.slots.iter().find(|slot| slot.mid == view.slot);
            let has_come = slot.is_some_and(|slot| slot.tally().frames > 0);
            has_come || shown.is_some_and(|shown| shown.paused.is_some())
        })
    }

    pub(super) fn report(&self, slot: &Slot) -> SlotReport {
        let shown = self
            .shown
            .iter()
            .find(|shown| shown.slot == slot.mid)
            .cloned();
        SlotReport {
            slot: slot.mid.clone(),
            kind: slot.kind,
            participant: shown
                .as_ref()
                .map(|shown| shown.participant)
                .or(slot.heard()),
            shown,
            tally: slot.tally(),
        }
    }
}
