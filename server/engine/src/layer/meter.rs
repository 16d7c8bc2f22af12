//! What one encoding costs: bits per second of each of its spatial and temporal layers, and its pictures per second.
//!
//! Counts on the packet path, divides ten times a second. Does not know what the figures are used for.

use std::time::Duration;

use crate::bitrate::{Bitrate, IP_UDP};
use crate::codec::Peek;
use crate::time::Tick;

/// Spatial and temporal layers that are told apart; higher ones count as the highest.
pub(crate) const LAYERS: usize = 4;

/// Header, CSRC, extensions and tag of a forwarded packet and what is around it on the line, in bytes.
pub(crate) const OVERHEAD: u32 = 44 + IP_UDP as u32;

/// Rates are those of about the last two seconds: a keyframe must not look like a change.
const WINDOW: Duration = Duration::from_millis(2000);

/// The first figures, and those after a break, are those of this time as a whole: a keyframe alone says nothing.
const WARM_UP: Duration = Duration::from_millis(700);

/// Shortest interval that is measured.
const LEAST: Duration = Duration::from_millis(40);

/// Layers below this share of the whole are there by accident: a spatial layer that was just switched off.
const NEGLIGIBLE: f64 = 0.002;

/// Counters of the present interval and what the ones before it came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    bytes: [[u32; LAYERS]; LAYERS],
    pictures: [u32; LAYERS],
    since: Tick,
    /// It was measured since the last break.
    is_warm: bool,
    /// Bits per second, spatial layer first.
    rates: [[f64; LAYERS]; LAYERS],
    /// Pictures per second of each temporal layer.
    frequencies: [f64; LAYERS],
}

impl Meter {
    /// Counts a packet of `len` bytes of payload and descriptor.
    pub(crate) fn count(&mut self, peek: &Peek, len: u16, marker: bool) {
        let (spatial, temporal) = (index(peek.spatial), index(peek.temporal));
        if let Some(bytes) = self
            .bytes
            .get_mut(spatial)
            .and_then(|row| row.get_mut(temporal))
        {
            *bytes = bytes.saturating_add(u32::from(len) + OVERHEAD);
        }
        if let Some(pictures) = self.pictures.get_mut(temporal).filter(|_| marker) {
            *pictures += 1;
        }
    }

    /// Ends an interval. `is_sent`: the layer is being sent, be it seldom; one that is not keeps the rates it had.
    pub(crate) fn refresh(&mut self, is_sent: bool, now: Tick) {
        if !is_sent {
            (self.bytes, self.pictures) = Default::default();
            self.since = now;
            self.is_warm = false;
            return;
        }
        let passed = now.since(self.since);
        let is_empty = self.bytes.as_flattened().iter().all(|bytes| *bytes == 0);
        let enough = if self.is_warm { LEAST } else { WARM_UP };
        // A picture now and then is measured from one to the next.
        if passed < enough || is_empty {
            return;
        }
        let (bytes, pictures) = (
            std::mem::take(&mut self.bytes),
            std::mem::take(&mut self.pictures),
        );
        self.since = now;
        let seconds = passed.as_secs_f64();
        let weight = if self.is_warm {
            (seconds / WINDOW.as_secs_f64()).min(1.0)
        } else {
            1.0
        };
        self.is_warm = true;
        let blend = |rate: &mut f64, sample: f64| *rate += (sample - *rate) * weight;
        for (rates, bytes) in self.rates.iter_mut().zip(bytes) {
            for (rate, bytes) in rates.iter_mut().zip(bytes) {
                blend(rate, f64::from(bytes) * 8.0 / seconds);
            }
        }
        for (frequency, pictures) in self.frequencies.iter_mut().zip(pictures) {
            blend(frequency, f64::from(pictures) / seconds);
        }
    }

    /// The rate of all layers up to these. Zero where nothing was measured.
    pub(crate) fn rate_up_to(&self, spatial: u8, temporal: u8) -> Bitrate {
        let rows = self.rates.iter().take(index(spatial) + 1);
        let sum: f64 = rows
            .flat_map(|row| row.iter().take(index(temporal) + 1))
            .sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rates are small and not negative"
        )]
        Bitrate(sum as u64)
    }

    /// Pictures per second of all temporal layers up to this one.
    pub(crate) fn frequency_up_to(&self, temporal: u8) -> f64 {
        self.frequencies.iter().take(index(temporal) + 1).sum()
    }

    /// The highest spatial layer there is.
    pub(crate) fn highest_spatial(&self) -> u8 {
        self.highest(|spatial| self.rates.get(spatial).map_or(0.0, |row| row.iter().sum()))
    }

    /// The highest temporal layer there is.
    pub(crate) fn highest_temporal(&self) -> u8 {
        let column = |temporal: usize| self.rates.iter().filter_map(move |row| row.get(temporal));
        self.highest(|temporal| column(temporal).sum())
    }

    fn highest(&self, rate: impl Fn(usize) -> f64) -> u8 {
        let whole: f64 = self.rates.iter().flatten().sum();
        let there = (0..LAYERS).rfind(|&layer| rate(layer) > whole * NEGLIGIBLE);
        u8::try_from(there.unwrap_or(0)).unwrap_or(0)
    }
}

fn index(layer: u8) -> usize {
    usize::from(layer).min(LAYERS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(100);

    /// Three temporal layers at 30 pictures a second, `len` bytes each.
    fn run(meter: &mut Meter, now: &mut Tick, seconds: u64, len: u16) {
        for picture in 0..seconds * 30 {
            let temporal = [0, 2, 1, 2][usize::try_from(picture % 4).expect("small")];
            let peek = Peek {
                temporal,
                ..Peek::default()
            };
            meter.count(&peek, len, true);
            *now = *now + Duration::from_micros(33_333);
            if picture % 3 == 2 {
                meter.refresh(true, *now);
            }
        }
    }

    #[test]
    fn rates_add_up_over_temporal_layers_and_follow_within_seconds() {
        let (mut meter, mut now) = (Meter::default(), Tick(0));
        run(&mut meter, &mut now, 4, 956);
        let all = meter.rate_up_to(7, 7).0;
        assert!(
            (228_000..252_000).contains(&all),
            "{all}: 30 times 1000 bytes"
        );
        let base = meter.rate_up_to(0, 0).0;
        assert!((all / 5..all / 3).contains(&base), "{base} of {all}");
        assert_eq!((meter.highest_spatial(), meter.highest_temporal()), (0, 2));
        assert!((28.0..32.0).contains(&meter.frequency_up_to(2)));
        assert!((12.0..18.0).contains(&meter.frequency_up_to(1)));
        run(&mut meter, &mut now, 8, 206);
        let all = meter.rate_up_to(0, 2).0;
        assert!(
            (55_000..75_000).contains(&all),
            "{all} after the picture calmed down"
        );
    }

    #[test]
    fn a_silent_layer_keeps_its_rate_until_it_was_seen_for_a_while() {
        let (mut meter, mut now) = (Meter::default(), Tick(0));
        meter.count(&Peek::default(), 30_000, true);
        meter.refresh(true, Tick(100_000));
        assert_eq!(meter.rate_up_to(0, 0).0, 0, "a keyframe says nothing");
        meter.refresh(false, now);
        run(&mut meter, &mut now, 3, 956);
        for _ in 0..50 {
            now = now + INTERVAL;
            meter.refresh(false, now);
        }
        let kept = meter.rate_up_to(0, 2).0;
        assert!((200_000..260_000).contains(&kept), "{kept}");
        meter.count(&Peek::default(), 30_000, true);
        now = now + INTERVAL;
        meter.refresh(true, now);
        assert_eq!(meter.rate_up_to(0, 2).0, kept);
    }

    #[test]
    fn a_picture_now_and_then_is_measured_as_that() {
        let mut meter = Meter::default();
        for tenth in 1..=100_u64 {
            if tenth % 10 == 0 {
                meter.count(&Peek::default(), 12_456, true);
            }
            meter.refresh(true, Tick(tenth * 100_000));
        }
        let rate = meter.rate_up_to(0, 0).0;
        assert!((95_000..105_000).contains(&rate), "{rate}");
    }
}
