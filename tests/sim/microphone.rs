//! A microphone: Opus (and what it was 20 ms before: RED) every 20 ms with its loudness while somebody speaks, a sign of life every 400 ms (DTX) while nobody does.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::camera::{Outgoing, Sent, micros, ticks};
use crate::offer::{MICROPHONE_MID, RED};
use crate::packets::{Kind, Stamp, red, sound};

/// Beats of 20 ms between two packets of silence.
const SILENCE_BEATS: u32 = 20;

pub(crate) struct Microphone {
    pub(crate) is_on: bool,
    pub(crate) is_speaking: bool,
    ssrc: u32,
    next: u64,
    timestamp: u32,
    beats: u32,
    count: u32,
    was_speaking: bool,
    /// The sound of the beat before.
    last: Option<Vec<u8>>,
    rng: StdRng,
}

impl Microphone {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        Self {
            is_on: true,
            is_speaking: false,
            ssrc: rng.random::<u32>() | 1,
            next: rng.random_range(0..0x7fff),
            timestamp: rng.random(),
            beats: 0,
            count: 0,
            was_speaking: false,
            last: None,
            rng,
        }
    }

    /// 20 ms have passed.
    pub(crate) fn beat(&mut self, room: u32, person: u32, elapsed: Duration) -> Option<Outgoing> {
        self.beats += 1;
        let is_due = self.is_speaking || self.beats.is_multiple_of(SILENCE_BEATS);
        if !self.is_on || !is_due {
            self.last = None;
            return None;
        }
        let marker = self.is_speaking && !self.was_speaking;
        self.was_speaking = self.is_speaking;
        self.count += 1;
        let stamp = Stamp {
            room,
            person,
            kind: Kind::Voice,
            layer: 0,
            stream: 0,
            is_key: false,
            temporal: 0,
            needs: 0,
            is_voiced: self.is_speaking,
            count: self.count,
            captured: micros(elapsed),
        };
        let level = if self.is_speaking {
            self.rng.random_range(25..40)
        } else {
            127
        };
        let payload = sound(&stamp, if self.is_speaking { 90 } else { 40 });
        let outgoing = Outgoing {
            ssrc: self.ssrc,
            index: self.next,
            payload_type: RED,
            marker,
            timestamp: self.timestamp_at(elapsed),
            payload: red(self.last.as_deref(), &payload),
            mid: MICROPHONE_MID,
            rid: None,
            level: Some(level),
        };
        self.last = Some(payload);
        self.next += 1;
        Some(outgoing)
    }

    /// For reports.
    pub(crate) fn sent(&self, elapsed: Duration) -> Option<Sent> {
        (self.count > 0).then(|| Sent {
            ssrc: self.ssrc,
            timestamp: self.timestamp_at(elapsed),
            packets: self.count,
        })
    }

    fn timestamp_at(&self, elapsed: Duration) -> u32 {
        self.timestamp.wrapping_add(ticks(elapsed, 48_000))
    }
}
