//! How long to wait before the next try. The same steps as the page's, so that everybody comes back alike.

use std::time::Duration;

/// The wait before try number `attempt` (the first is 0). `chance` in 0.0..1.0 spreads many of them over a fifth of it.
pub fn backoff(attempt: usize, chance: f64) -> Duration {
    let step = STEPS.get(attempt).or(STEPS.last()).copied();
    step.unwrap_or_default()
        .mul_f64(0.9 + 0.2 * chance.clamp(0.0, 1.0))
}

const STEPS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_is_at_once_and_the_last_step_repeats() {
        assert_eq!(backoff(0, 0.9), Duration::ZERO);
        assert_eq!(backoff(1, 0.5), Duration::from_millis(300));
        assert_eq!(backoff(4, 0.5), backoff(400, 0.5));
    }

    #[test]
    fn chance_spreads_a_step_over_a_fifth_of_it() {
        assert_eq!(backoff(3, 0.0), Duration::from_millis(1800));
        assert_eq!(backoff(3, 1.0), Duration::from_millis(2200));
    }
}
