//! Where a frame lies in its file, in ticks of its codec's clock.
//!
//! Pure. Its publisher's timestamps say it exactly, and so do those of one slot; where neither is known, or a track was away, the time
//! of arrival does.

use std::time::{Duration, Instant};

use crate::assembly::{Identity, Kinship, Received};

#[derive(Debug)]
pub(super) struct Timeline {
    slot: String,
    timestamp: u32,
    identity: Option<Identity>,
    arrived: Instant,
    position: u64,
}

impl Timeline {
    /// Begins with this frame, which is still to be placed.
    pub(super) fn new(first: &Received) -> Self {
        Self {
            slot: first.slot.clone(),
            timestamp: first.timestamp,
            identity: first.identity,
            arrived: first.arrived,
            position: 0,
        }
    }

    /// Places the next frame. Never steps back.
    pub(super) fn advance(&mut self, frame: &Received) -> u64 {
        let rate = frame.codec.clock_rate();
        let passed = frame.arrived.saturating_duration_since(self.arrived);
        let by_clock = ticks(passed, rate);
        let pair = self.identity.zip(frame.identity);
        let pair = pair.filter(|(before, now)| now.kinship(before, rate) != Kinship::None);
        let by_publisher = pair.and_then(|(before, now)| u64::try_from(now.since(&before)).ok());
        let by_slot = || u64::from(frame.timestamp.wrapping_sub(self.timestamp));
        let by_timestamp = by_publisher.or_else(|| (frame.slot == self.slot).then(by_slot));
        let is_plausible = |step: &u64| step.abs_diff(by_clock) < ticks(LARGEST_DIFFERENCE, rate);
        self.position += by_timestamp.filter(is_plausible).unwrap_or(by_clock);
        self.identity = frame.identity;
        self.slot.clone_from(&frame.slot);
        self.timestamp = frame.timestamp;
        self.arrived = frame.arrived;
        self.position
    }
}

fn ticks(time: Duration, rate: u32) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX) / 1000 * u64::from(rate) / 1000
}

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
            identity: None,
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
}
