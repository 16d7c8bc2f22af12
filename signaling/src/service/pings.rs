//! When sockets are pinged: those of all participants at the same few moments, because each moment is a wake-up.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Moments in the time between two pings.
const MOMENTS: u32 = 10;

/// Pings of one socket, the first after `every` or a little later. All sockets count from `since`.
pub(super) fn pings(every: Duration, since: Instant) -> Interval {
    let first = moment(Instant::now() + every, every / MOMENTS, since);
    let mut pings = interval_at(first, every);
    // Who is late comes back to the moments of all.
    pings.set_missed_tick_behavior(MissedTickBehavior::Skip);
    pings
}

/// The first of the moments that is not before `due`.
fn moment(due: Instant, step: Duration, since: Instant) -> Instant {
    let passed = due.saturating_duration_since(since).as_nanos();
    let rounded = passed.next_multiple_of(step.as_nanos().max(1));
    since + Duration::from_nanos(u64::try_from(rounded).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_were_opened_one_after_the_other_are_pinged_at_the_same_moment() {
        let (since, step) = (Instant::now(), Duration::from_millis(500));
        let at = |ms| since + Duration::from_millis(ms);
        let moments = [5000, 5001, 5250, 5500, 5501].map(|due| moment(at(due), step, since));
        assert_eq!(moments, [5000, 5500, 5500, 5500, 6000].map(at));
        assert_eq!(moment(since, Duration::ZERO, since), since);
    }

    #[tokio::test]
    async fn each_ping_is_at_a_moment_of_all_and_none_comes_early() {
        let (since, every) = (Instant::now(), Duration::from_millis(100));
        tokio::time::sleep(Duration::from_millis(7)).await;
        let (mut pings, opened) = (pings(every, since), Instant::now());
        let first = pings.tick().await;
        assert!(first >= opened + every);
        // Long enough to miss a ping.
        tokio::time::sleep(every * 3 / 2).await;
        for at in [first, pings.tick().await, pings.tick().await] {
            assert_eq!((at - since).as_nanos() % (every / MOMENTS).as_nanos(), 0);
        }
    }
}
