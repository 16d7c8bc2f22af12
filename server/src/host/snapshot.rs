//! What the workers publish about themselves, about once a second; read at scrape, never written per packet.

use std::time::{Duration, Instant};

use baton_engine::Stats;
use tokio::sync::watch;

/// Counters of one worker at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Of its engine.
    pub engine: Stats,
    /// Of its sockets.
    pub traffic: Traffic,
    /// When it was taken; `None` before the worker's first turn.
    pub taken: Option<Instant>,
}

/// What happened between a worker and the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Receive calls that brought something.
    pub receive_calls: u64,
    /// Datagrams received.
    pub received: u64,
    /// Receive calls that failed.
    pub receive_errors: u64,
    /// Send calls that the system took.
    pub send_calls: u64,
    /// Send calls that the system refused.
    pub send_errors: u64,
    /// Times that a send buffer was full and was waited for.
    pub send_waits: u64,
    /// Send calls given up because the buffer stayed full.
    pub send_dropped: u64,
    /// Batches of datagrams handed to the worker of their leg.
    pub handed_over: u64,
    /// Batches that did not fit into that worker's queue.
    pub handover_dropped: u64,
    /// Datagrams that no worker knows.
    pub unknown: u64,
    /// Send calls not made because this computer stood still and the call may not be its own any more.
    pub withheld: u64,
    /// Connections now that carry media by TCP, or from inside the process.
    pub streams: u64,
    /// Bytes of media for legs in the same process, which the engine counts as sent and no network carries.
    pub inside_bytes: u64,
    /// Datagrams lost because the connection they were for did not keep up, or because this worker did not.
    pub stream_dropped: u64,
    /// Messages for signaling lost because the link's queue stayed full.
    pub messages_dropped: u64,
}

/// Reader of all workers' snapshots. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshots {
    workers: Vec<watch::Receiver<Snapshot>>,
}

impl Snapshots {
    pub(crate) fn new(workers: Vec<watch::Receiver<Snapshot>>) -> Self {
        Self { workers }
    }

    /// The latest of every worker, in the order of the workers.
    pub fn latest(&self) -> Vec<Snapshot> {
        self.workers.iter().map(|w| w.borrow().clone()).collect()
    }

    /// Does every worker's loop still turn? `now` against the time of the last snapshots.
    pub fn are_fresh(&self, now: Instant) -> bool {
        let is_fresh = |worker: &watch::Receiver<Snapshot>| {
            let age = worker
                .borrow()
                .taken
                .map(|at| now.saturating_duration_since(at));
            worker.has_changed().is_ok() && age.is_some_and(|age| age < STALE)
        };
        self.workers.iter().all(is_fresh)
    }

    /// Waits until every worker published for the first time.
    pub async fn ready(&self) {
        for mut worker in self.workers.clone() {
            let _ = worker.wait_for(|snapshot| snapshot.taken.is_some()).await;
        }
    }

    /// Waits until every worker is gone.
    pub(crate) async fn closed(&self) {
        for mut worker in self.workers.clone() {
            while worker.changed().await.is_ok() {}
        }
    }
}

/// How often a worker publishes.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);

/// A worker that published nothing for this long hangs.
const STALE: Duration = Duration::from_secs(4);
