//! Loss that comes in bursts: some time in which much is lost, then some in which nothing is. Time and chance come from outside.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

/// How bursts are. Both times are means of exponential distributions (Gilbert and Elliott, in continuous time).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// How long one lasts.
    pub lasts: Duration,
    /// Time between two.
    pub pause: Duration,
    /// Share of packets lost in one, 0 to 1.
    pub loss: f64,
}

/// Is there a burst now?
#[derive(Clone, Copy, Debug, Default)]
pub struct Gusts {
    is_bad: bool,
    until: Option<Instant>,
}

impl Gusts {
    /// Decides about a packet.
    pub fn takes(&mut self, burst: &Burst, now: Instant, chance: &mut StdRng) -> bool {
        let mut until = *self.until.get_or_insert(now);
        while until <= now {
            self.is_bad = !self.is_bad;
            let mean = if self.is_bad {
                burst.lasts
            } else {
                burst.pause
            };
            until += exponential(mean, chance);
            self.until = Some(until);
        }
        self.is_bad && chance.random::<f64>() < burst.loss
    }
}

/// At least a millisecond, so that time passes.
fn exponential(mean: Duration, chance: &mut impl Rng) -> Duration {
    let throw = -(1.0 - chance.random::<f64>()).ln();
    mean.mul_f64(throw).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn bursts_take_their_share_and_come_in_a_row() {
        let burst = Burst {
            lasts: Duration::from_millis(200),
            pause: Duration::from_millis(600),
            loss: 0.5,
        };
        let (mut gusts, mut chance) = (Gusts::default(), StdRng::seed_from_u64(4));
        let mut now = Instant::now();
        let mut lost = Vec::new();
        for _ in 0..200_000 {
            now += Duration::from_millis(5);
            lost.push(gusts.takes(&burst, now, &mut chance));
        }
        let share =
            |lost: &[bool]| lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64;
        assert!((0.11..0.14).contains(&share(&lost)), "{}", share(&lost));
        let after: Vec<_> = lost
            .windows(2)
            .filter(|pair| pair[0])
            .map(|pair| pair[1])
            .collect();
        assert!(
            share(&after) > 0.4,
            "what follows a loss is lost four times as often"
        );
    }
}
