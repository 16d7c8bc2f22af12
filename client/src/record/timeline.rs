//! Where a frame lies in its file, in ticks of its codec's clock.
//!
//! Pure. When frames were captured says it exactly, and so do timestamps of one slot; where neither is known, or a track was away,
//! the time of arrival does.

use std::time::{Duration, Instant};

use crate::assembly::Received;

#[derive(Debug)]
pub(super) struct Timeline {
    slot: String,
    timestamp: u32,
    captured: Option<u64>,
    arrived: Instant,
    position: u64,
}

impl Timeline {
    /// Begins with this frame, which is still to be placed.
    pub(super) fn new(first: &Received) -> Self {
        Self {
            slot: first.slot.clone(),
            timestamp: first.timestamp,
            captured: first.captured,
            arrived: first.arrived,
            position: 0,
        }
    }

    /// Places the next frame. Never steps back.
    pub(super) fn advance(&mut self, frame: &Received) -> u64 {
        let rate = frame.codec.clock_rate();
        let passed = frame.arrived.saturating_duration_since(self.arrived);
        let by_clock = ticks(passed, rate);
        let is_same_slot = frame.slot == self.slot;
        let by_timestamp =
            is_same_slot.then(|| u64::from(frame.timestamp.wrapping_sub(self.timestamp)));
        let by_capture = self.captured.zip(frame.captured);
        let by_capture = by_capture.and_then(|(before, now)| {
            let ticks = (u128::from(now.checked_sub(before)?) * u128::from(rate) + HALF) >> 32;
            u64::try_from(ticks).ok()
        });
        let is_plausible = |step: &u64| step.abs_diff(by_clock) < ticks(LARGEST_DIFFERENCE, rate);
        let exact = by_capture.filter(is_plausible);
        let exact = exact.or(by_timestamp.filter(is_plausible));
        self.position += exact.unwrap_or(by_clock);
        self.captured = frame.captured;
        self.slot.clone_from(&frame.slot);
        self.timestamp = frame.timestamp;
        self.arrived = frame.arrived;
        self.position
    }
}

fn ticks(time: Duration, rate: u32) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX) / 1000 * u64::from(rate) / 1000
}

/// Of a tick in NTP time, to round.
const HALF: u128 = 1 << 31;

/// A burst or a pause on the line is below it, another clock above.
const LARGEST_DIFFERENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Codec;

    #[test]
    fn timestamps_place_frames_across_their_wrap_and_arrival_does_where_they_jump() {
        let now = Instant::now();
        let frame = |slot: &str, timestamp: u32, millis: u64| Received {
            slot: slot.to_owned(),
            participant: None,
            codec: Codec::Vp8,
            timestamp,
            captured: None,
            is_key: false,
            data: Vec::new().into(),
            arrived: now + Duration::from_millis(millis),
        };
        let mut timeline = Timeline::new(&frame("1", u32::MAX - 2999, 0));
        let positions = [
            frame("1", u32::MAX - 2999, 0),
            frame("1", 0, 50),
            frame("1", 3000, 66),
            frame("2", 90_000, 166),
            frame("2", 93_000, 190),
            frame("2", 7_000_000, 1190),
            frame("2", 6_999_000, 1290),
        ]
        .map(|frame| timeline.advance(&frame));
        assert_eq!(positions, [0, 3000, 6000, 15_000, 18_000, 108_000, 117_000]);
    }

    #[test]
    fn by_another_leg_the_time_of_capture_places_a_frame_whatever_its_timestamp_and_arrival() {
        let now = Instant::now();
        let frame = |timestamp: u32, captured: u64, millis: u64| Received {
            slot: "1".to_owned(),
            participant: None,
            codec: Codec::Vp8,
            timestamp,
            captured: Some(captured),
            is_key: false,
            data: Vec::new().into(),
            arrived: now + Duration::from_millis(millis),
        };
        let step = (1_u64 << 32) / 30;
        let mut timeline = Timeline::new(&frame(9000, 5 << 32, 0));
        let positions = [
            frame(9000, 5 << 32, 0),
            frame(12_000, (5 << 32) + step, 33),
            frame(4_000_000, (5 << 32) + 2 * step, 180),
            frame(4_003_000, (5 << 32) + 3 * step, 185),
        ]
        .map(|frame| timeline.advance(&frame));
        assert_eq!(positions, [0, 3000, 6000, 9000]);
    }
}
