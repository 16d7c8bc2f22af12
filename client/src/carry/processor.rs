//! How much of this computer's processors is free: the share of idle time since the last look.

use std::time::{Duration, Instant};

/// Remembers the counters of the last look.
#[derive(Debug, Default)]
pub(super) struct Processor {
    last: Option<(Instant, Duration)>,
    free: Option<u16>,
}

impl Processor {
    /// Looks; at most once a second makes sense.
    pub(super) fn look(&mut self, now: Instant) {
        let Some(idle) = idle() else { return };
        if let Some((at, before)) = self.last.replace((now, idle)) {
            let (span, idle) = (now - at, idle.saturating_sub(before));
            let percent = 100 * idle.as_millis() / span.as_millis().max(1);
            self.free = Some(u16::try_from(percent).unwrap_or(u16::MAX));
        }
    }

    /// In percent of one core. Where the system does not say, half of them are taken to be free.
    pub(super) fn free_percent(&self) -> u16 {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let guess = u16::try_from(cores.saturating_mul(50)).unwrap_or(u16::MAX);
        self.free.unwrap_or(guess)
    }
}

/// Time that all processors together had nothing to do.
fn idle() -> Option<Duration> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    idle_in(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// First line of `/proc/stat` (proc(5)): user, nice, system, idle, iowait; in hundredths of a second.
fn idle_in(stat: &str) -> Option<Duration> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let mut fields = line.split_ascii_whitespace().skip(3);
    let mut next = || fields.next()?.parse::<u64>().ok();
    let ticks = next()? + next()?;
    Some(Duration::from_millis(ticks * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_read_as_the_kernel_tells_it() {
        let stat = "cpu  1000 5 200 3000 40 0 7 0 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(idle_in(stat), Some(Duration::from_millis(30_400)));
        assert_eq!(idle_in("intr 5"), None);
        assert_eq!(idle_in("cpu  1 2"), None);
    }
}
