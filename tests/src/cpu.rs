//! Where a thread runs and how much processor time a process has used.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Ties the calling thread to one processor.
///
/// # Errors
/// When there is no such processor.
pub fn pin(processor: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set).with_context(|| format!("run on processor {processor}"))
}

/// Processor time of the calling thread.
pub fn of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("processor time is not negative")
}

/// Processor time of all threads of a process that live now, from the scheduler's own books (nanoseconds, not ticks).
///
/// # Errors
/// When there is no such process.
pub fn of_process(pid: u32) -> Result<Duration> {
    let tasks =
        fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid}"))?;
    let mut nanos = 0;
    for task in tasks.flatten() {
        let books = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let running = books
            .split_whitespace()
            .next()
            .and_then(|count| count.parse::<u64>().ok());
        nanos += running.unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_in_both_books() {
        let (thread, process) = (of_this_thread(), of_process(std::process::id()).unwrap());
        let mut sum = 0_u64;
        while of_this_thread() - thread < Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
        }
        assert!(of_process(std::process::id()).unwrap() > process);
    }
}
