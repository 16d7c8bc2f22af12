//! How much arrives: the rate that the receiver acknowledges.
//!
//! libwebrtc filters windows of 150 ms by a Bayesian estimate (`BitrateEstimator`). Here a window lasts until the first packet after 150 ms,
//! so that it holds whole pictures, and a plain average does; after a sudden drop the last window is believed alone.

use std::time::Duration;

use super::arrival::Arrival;
use crate::time::Tick;

/// Shortest window, in microseconds of the receiver's clock (libwebrtc's 150 ms).
const WINDOW_MICROS: i64 = 150_000;

/// A window that takes longer spans a silence and measures nothing.
const MAX_WINDOW_MICROS: i64 = 1_000_000;

/// Weight of a new window.
const WEIGHT: f64 = 0.25;

/// A window with less than this share of the average is a drop, not chance.
const DROP: f64 = 0.7;

/// Packets that took so much longer to arrive than to be sent are held back by their own queue.
const HELD_BACK: f64 = 1.15;

/// Windows until what is sent now has arrived.
const FRESH: u8 = 3;

#[derive(Clone, Copy, Debug)]
struct Window {
    first_at: i64,
    first_sent: Tick,
    bytes: u64,
}

/// Measures what arrives.
#[derive(Debug, Default)]
pub(super) struct Acked {
    open: Option<Window>,
    average: Option<f64>,
    last: f64,
    is_held_back: bool,
    /// Windows that are believed alone, because what is sent has changed.
    fresh: u8,
}

impl Acked {
    /// Takes the next arrival.
    pub(super) fn add(&mut self, arrival: &Arrival) {
        let fresh = Window {
            first_at: arrival.at,
            first_sent: arrival.sent,
            bytes: 0,
        };
        let window = self.open.get_or_insert(fresh);
        let span = arrival.at.saturating_sub(window.first_at);
        if span >= WINDOW_MICROS {
            if span <= MAX_WINDOW_MICROS {
                let sent_span = arrival.sent.since(window.first_sent);
                let span = Duration::from_micros(span.unsigned_abs());
                self.last = super::rate(window.bytes, span);
                self.is_held_back = span.as_secs_f64() > HELD_BACK * sent_span.as_secs_f64();
                let average = self.average.unwrap_or(self.last);
                let weight = if self.fresh > 0 { 1.0 } else { WEIGHT };
                self.fresh = self.fresh.saturating_sub(1);
                self.average = Some(average + weight * (self.last - average));
            }
            self.open = Some(fresh);
        }
        if let Some(window) = &mut self.open {
            window.bytes = window.bytes.saturating_add(u64::from(arrival.bytes));
        }
    }

    /// Another receiver's clock: the open window is void.
    pub(super) fn restart(&mut self) {
        self.open = None;
    }

    /// Far more is sent from now on: the past is no measure.
    pub(super) fn expect_more(&mut self) {
        self.fresh = FRESH;
    }

    /// Bits per second in the last window.
    pub(super) fn last(&self) -> f64 {
        self.last
    }

    /// Bits per second, averaged over about half a second.
    pub(super) fn average(&self) -> Option<f64> {
        self.average
    }

    /// Bits per second that the line lets through now: the average, or the last window after a drop.
    pub(super) fn newest(&self) -> Option<f64> {
        let average = self.average?;
        Some(if self.last < DROP * average {
            self.last
        } else {
            average
        })
    }

    /// Did the packets of the last window arrive slower than they were sent?
    pub(super) fn is_held_back(&self) -> bool {
        self.is_held_back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(acked: &mut Acked, start_ms: u64, pictures: u64, packets: u64, stretch: u64) {
        for picture in 0..pictures {
            for packet in 0..packets {
                let sent = start_ms + picture * 33;
                acked.add(&Arrival {
                    sent: Tick(sent * 1000),
                    at: i64::try_from((start_ms + picture * 33 * stretch + packet) * 1000).unwrap(),
                    bytes: 1250,
                    probe: None,
                    is_limited: false,
                });
            }
        }
    }

    #[test]
    fn whole_pictures_are_measured_exactly() {
        let mut acked = Acked::default();
        feed(&mut acked, 0, 60, 4, 1);
        let expected = 4.0 * 10_000.0 / 0.033;
        let average = acked.average().expect("two seconds of pictures");
        assert!((average / expected - 1.0).abs() < 0.01, "{average}");
        assert!(!acked.is_held_back());
    }

    #[test]
    fn a_drop_is_believed_at_once() {
        let mut acked = Acked::default();
        feed(&mut acked, 0, 60, 4, 1);
        let before = acked.newest().expect("measured");
        feed(&mut acked, 60 * 33, 2, 4, 10);
        let after = acked.newest().expect("measured");
        assert!(after < before * 0.3, "{before} then {after}");
        assert!(acked.is_held_back());
    }
}
