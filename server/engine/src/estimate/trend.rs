//! Is the queue growing? The slope of the delay over the last groups, against a threshold that adapts to the line.
//!
//! Trendline filter, adaptive threshold and detector of libwebrtc's `TrendlineEstimator` (draft-ietf-rmcat-gcc-02 sections 5.3 to 5.5
//! describe its older Kalman form; the threshold is Carlucci et al., "Analysis and Design of the Google Congestion Control", 2016).
//! Does not know rates.

use super::Usage;
use super::groups::Delta;

/// Groups that a slope is fitted to (libwebrtc `kDefaultTrendlineWindowSize`).
const WINDOW: usize = 20;

/// Weight of the past in the smoothed delay (`kDefaultTrendlineSmoothingCoeff`).
const SMOOTHING: f64 = 0.9;

/// Scales the slope to the threshold (`kDefaultTrendlineThresholdGain`).
const GAIN: f64 = 4.0;

/// The slope counts in full after so many groups (`kMinNumDeltas`).
const MAX_GROUPS: f64 = 60.0;

/// Milliseconds: where the threshold begins and between what it stays (draft section 5.4, del_var_th; its least value is 6, and with that a
/// download beside the call, which fills the queue slowly but surely, takes all of the line).
const FIRST_THRESHOLD: f64 = 12.5;
const THRESHOLDS: (f64, f64) = (12.5, 600.0);

/// How fast the threshold follows per millisecond, upwards and downwards (draft section 5.4: K_u 0.01, K_d 0.00018; libwebrtc 0.0087 and 0.039).
const UP: f64 = 0.0087;
const DOWN: f64 = 0.002;

/// Slopes that stick out by more say nothing about the line's noise (`kMaxAdaptOffsetMs`).
const MAX_OUTLIER: f64 = 15.0;

/// Milliseconds of overuse before it is believed (draft section 5.5, overuse_time_th).
const OVERUSE_TIME: f64 = 10.0;

/// Follows the delay and says what it does.
#[derive(Debug)]
pub(super) struct Trend {
    /// Time and smoothed delay in milliseconds.
    points: [(f64, f64); WINDOW],
    next: usize,
    groups: u32,
    first_at: i64,
    last_at: i64,
    delay: f64,
    smoothed: f64,
    threshold: f64,
    previous: f64,
    over_for: f64,
    over_count: u32,
    usage: Usage,
}

impl Default for Trend {
    fn default() -> Self {
        Self {
            points: [(0.0, 0.0); WINDOW],
            next: 0,
            groups: 0,
            first_at: 0,
            last_at: 0,
            delay: 0.0,
            smoothed: 0.0,
            threshold: FIRST_THRESHOLD,
            previous: 0.0,
            over_for: -1.0,
            over_count: 0,
            usage: Usage::Normal,
        }
    }
}

impl Trend {
    /// What the line's queue does, as of the last group.
    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    /// Starts over; what was learnt about the line's noise stays.
    pub(super) fn clear(&mut self) {
        *self = Self {
            threshold: self.threshold,
            ..Self::default()
        };
    }

    /// Takes the next difference between groups. On a line whose queue others fill the slope has to be `patience` times as steep.
    pub(super) fn add(&mut self, delta: &Delta, patience: f64) {
        if self.groups == 0 {
            self.first_at = delta.at;
            self.last_at = delta.at;
        }
        self.groups = self.groups.saturating_add(1);
        self.delay += delta.arrived - delta.sent;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.delay;
        let at = delta.at.saturating_sub(self.first_at) as f64 / 1000.0;
        if let Some(point) = self.points.get_mut(self.next) {
            *point = (at, self.smoothed);
        }
        self.next = (self.next + 1) % WINDOW;
        let slope = match usize::try_from(self.groups) {
            Ok(groups) if groups < WINDOW => 0.0,
            Ok(_) | Err(_) => slope(&self.points).unwrap_or(0.0),
        };
        let trend = f64::from(self.groups).min(MAX_GROUPS) * slope * GAIN;
        self.detect(trend / patience, delta.sent);
        self.adapt(trend, delta.at);
    }

    fn detect(&mut self, trend: f64, elapsed: f64) {
        if trend > self.threshold {
            self.over_for = if self.over_for < 0.0 {
                elapsed / 2.0
            } else {
                self.over_for + elapsed
            };
            self.over_count += 1;
            if self.over_for > OVERUSE_TIME && self.over_count > 1 && trend >= self.previous {
                self.over_for = 0.0;
                self.over_count = 0;
                self.usage = Usage::Over;
            }
        } else {
            self.over_for = -1.0;
            self.over_count = 0;
            self.usage = if trend < -self.threshold {
                Usage::Under
            } else {
                Usage::Normal
            };
        }
        self.previous = trend;
    }

    fn adapt(&mut self, trend: f64, at: i64) {
        let elapsed = (at.saturating_sub(self.last_at) as f64 / 1000.0).clamp(0.0, 100.0);
        self.last_at = at;
        let distance = trend.abs() - self.threshold;
        if distance > MAX_OUTLIER {
            return;
        }
        let pace = if distance < 0.0 { DOWN } else { UP };
        let (low, high) = THRESHOLDS;
        self.threshold = (self.threshold + pace * distance * elapsed).clamp(low, high);
    }
}

/// Least squares; `None` if all points have the same time.
fn slope(points: &[(f64, f64); WINDOW]) -> Option<f64> {
    let count = WINDOW as f64;
    let (sum_x, sum_y) = points
        .iter()
        .fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (x, y) in points {
        covariance += (x - mean_x) * (y - mean_y);
        variance += (x - mean_x) * (x - mean_x);
    }
    (variance > 0.0).then(|| covariance / variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups every 20 ms, each so many milliseconds later than it should be.
    fn feed(trend: &mut Trend, at: &mut i64, groups: usize, later: f64) {
        for _ in 0..groups {
            let arrived = 20.0 + later;
            *at += 20_000;
            let delta = Delta {
                sent: 20.0,
                arrived,
                at: *at,
                transit: 0,
            };
            trend.add(&delta, 1.0);
        }
    }

    #[test]
    fn a_growing_queue_is_overuse_and_a_draining_one_underuse() {
        let (mut trend, mut at) = (Trend::default(), 0);
        feed(&mut trend, &mut at, 60, 0.0);
        assert_eq!(trend.usage(), Usage::Normal);
        feed(&mut trend, &mut at, 10, 10.0);
        assert_eq!(trend.usage(), Usage::Over);
        feed(&mut trend, &mut at, 20, -10.0);
        assert_eq!(trend.usage(), Usage::Under);
        feed(&mut trend, &mut at, 60, 0.0);
        assert_eq!(trend.usage(), Usage::Normal);
    }

    #[test]
    fn a_restless_line_raises_the_threshold_and_a_calm_one_lowers_it_again() {
        let (mut trend, mut at) = (Trend::default(), 0);
        for round in 0..20 {
            let later = if round % 2 == 0 { 1.5 } else { -1.5 };
            feed(&mut trend, &mut at, 40, later);
        }
        let raised = trend.threshold;
        assert!(raised > FIRST_THRESHOLD + 2.0, "{raised}");
        feed(&mut trend, &mut at, 200, 0.0);
        assert!(trend.threshold < raised - 2.0, "{}", trend.threshold);
    }
}
