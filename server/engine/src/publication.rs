//! A track as its publisher sends it: its layers, what payload types mean, and who may hear it.

use std::time::Duration;

use baton_protocol::{MediaKind, ParticipantId, Source, TrackInfo};

use crate::allocate::{Ladder, covers};
use crate::bridge::Remote;
use crate::codec::Codec;
use crate::layer::{LAYER_LOST, Layer, STEADY};
use crate::rtp::{PayloadType, Rid};
use crate::slab::Key;
use crate::speaker::Loudness;
use crate::time::Tick;

/// What a payload type of the publisher's m-line carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    Media(Codec),
    /// Retransmissions (RFC 4588) of the codec.
    Retransmission(Codec),
}

/// One published track.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) track: TrackInfo,
    pub(crate) participant: ParticipantId,
    /// Leg that carries it.
    pub(crate) leg: Key,
    /// Smallest first; exactly one for audio.
    pub(crate) layers: Vec<Layer>,
    pub(crate) payload_types: Vec<(PayloadType, Carries)>,
    pub(crate) loudness: Loudness,
    /// When the track as a whole began to send, at first or after a silence.
    pub(crate) resumed: Tick,
    pub(crate) ladder: Ladder,
    /// What its publisher shall send changed since it was told.
    pub(crate) is_demand_stale: bool,
    /// It comes over a bridge; another host has it at first hand.
    pub(crate) remote: Option<Remote>,
}

/// What was sent within this time is being sent.
const SENT: Duration = Duration::from_millis(2000);

impl Publication {
    /// Sound or picture?
    pub(crate) fn kind(&self) -> MediaKind {
        self.track.source.kind()
    }

    /// Shown before cameras when there is not enough for all.
    pub(crate) fn is_screen(&self) -> bool {
        self.track.source == Source::Screen
    }

    /// What `payload_type` carries, if this track's m-line has it.
    pub(crate) fn carries(&self, payload_type: PayloadType) -> Option<Carries> {
        self.payload_types
            .iter()
            .find(|(known, _)| *known == payload_type)
            .map(|(_, carries)| *carries)
    }

    /// When its newest packet came, of whichever layer.
    pub(crate) fn last_packet(&self) -> Option<Tick> {
        self.layers.iter().filter_map(Layer::last_packet).max()
    }

    /// Is any of it being sent?
    pub(crate) fn is_sent(&self, now: Tick) -> bool {
        self.last_packet()
            .is_some_and(|last| now.since(last) < SENT)
    }

    /// The layer with this rid; a track without rids has one layer.
    pub(crate) fn layer_by_rid(&self, rid: Option<Rid>) -> Option<usize> {
        match rid {
            Some(rid) => self.layers.iter().position(|layer| layer.rid == Some(rid)),
            None if self.layers.len() == 1 => Some(0),
            None => None,
        }
    }

    /// Notes that a packet of a layer is about to be admitted: tells a layer that stutters from a track that was muted.
    pub(crate) fn note_activity(&mut self, layer: usize, now: Tick) {
        let newest = self.layers.iter().filter_map(Layer::last_packet).max();
        if newest.is_none_or(|newest| now.since(newest) >= LAYER_LOST) {
            self.resumed = now;
        }
        if now.since(self.resumed) >= STEADY
            && let Some(layer) = self.layers.get_mut(layer)
        {
            layer.note_return(now);
        }
    }

    /// The layer for a picture of `size`: the smallest live one that covers it, else the largest live one; none above `highest`.
    pub(crate) fn layer_for(&self, size: (u16, u16), highest: u8) -> Option<usize> {
        let newest = self.layers.iter().filter_map(Layer::last_packet).max()?;
        let live = || {
            self.layers
                .iter()
                .enumerate()
                .take(usize::from(highest) + 1)
                .filter(|(_, layer)| layer.is_live(newest))
        };
        live()
            .find(|(_, layer)| covers(layer.size, size))
            .or_else(|| live().next_back())
            .map(|(index, _)| index)
    }

    /// The layer that a picture of `size` would have if all were sent.
    pub(crate) fn ideal_layer(&self, size: (u16, u16)) -> usize {
        let found = self
            .layers
            .iter()
            .position(|layer| covers(layer.size, size));
        found.unwrap_or(self.layers.len().saturating_sub(1))
    }

    /// Ends an interval of measuring and looks at what can be sent.
    pub(crate) fn measure(&mut self, now: Tick) {
        for layer in &mut self.layers {
            layer.measure(now);
        }
        let newest = self.layers.iter().filter_map(Layer::last_packet).max();
        let is_silent = newest.is_none_or(|newest| now.since(newest) >= LAYER_LOST);
        let is_screen = self.is_screen();
        let layers = &self.layers;
        let is_live = |index: usize| {
            let layer = layers.get(index).zip(newest);
            layer.is_some_and(|(layer, newest)| layer.is_live(newest))
        };
        self.ladder
            .refresh(layers, is_screen, is_silent, is_live, now);
    }

    /// Somebody has use for a layer: it shall be sent.
    pub(crate) fn note_use(&mut self, layer: usize, now: Tick) {
        // Who comes first asks for one layer after another as the picture finds its place, and each costs all encoders a new beginning.
        let is_all_off =
            self.remote.is_none() && !self.layers.iter().any(|layer| layer.demand.is_on());
        let used = self.layers.iter_mut().enumerate();
        for (_, layer) in used.filter(|(index, _)| is_all_off || *index == layer) {
            self.is_demand_stale |= layer.demand.note_use(now);
        }
    }

    /// Gives up layers that nobody has use for.
    pub(crate) fn expire_demand(&mut self, now: Tick) {
        for layer in &mut self.layers {
            self.is_demand_stale |= layer.demand.expire(now);
        }
    }

    /// The timestamp of `layer` at the moment that `timestamp` names in `other`, by both layers' sender reports.
    pub(crate) fn align(&self, timestamp: u32, from: usize, to: usize) -> Option<u32> {
        let (from, to) = (self.layers.get(from)?, self.layers.get(to)?);
        let (a, b) = (from.sender_clock()?, to.sender_clock()?);
        let ticks = i64::from(from.clock_rate);
        #[expect(
            clippy::cast_possible_wrap,
            reason = "distance of two NTP times within the same hour"
        )]
        let ntp_distance = i128::from(a.ntp.0.wrapping_sub(b.ntp.0) as i64);
        let between = i64::try_from((ntp_distance * i128::from(ticks)) >> 32).ok()?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "timestamps wrap"
        )]
        let between = between as u32;
        let since_report = timestamp.wrapping_sub(a.timestamp);
        Some(b.timestamp.wrapping_add(between).wrapping_add(since_report))
    }
}
