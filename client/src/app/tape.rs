//! The recording of `--record`: a task that takes frames from the call and writes them.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use baton_client::Call;
use baton_client::assembly::Received;
use baton_client::record::{Labels, Recording};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// A recording that runs.
#[derive(Debug)]
pub(super) struct Tape {
    frames: mpsc::Sender<Received>,
    labels: watch::Sender<Labels>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Tape {
    /// Starts to record; must be called inside a tokio runtime.
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        let recording = Recording::open(folder)
            .with_context(|| format!("cannot record into {}", folder.display()))?;
        let (frames, inbox) = mpsc::channel(FRAMES);
        let (labels, known) = watch::channel(Labels::default());
        let (stop, stopped) = oneshot::channel();
        Ok(Self {
            frames,
            labels,
            stop,
            task: tokio::spawn(run(recording, inbox, known, stopped)),
        })
    }

    /// Where the call puts its frames.
    pub(super) fn frames(&self) -> mpsc::Sender<Received> {
        self.frames.clone()
    }

    /// Something happened in the call: somebody may be called otherwise, or be shown elsewhere.
    pub(super) fn look(&self, call: &Call) {
        let labels = Labels::of(call);
        self.labels.send_if_modified(|known| {
            let is_new = *known != labels;
            *known = labels;
            is_new
        });
    }

    /// Ends the files.
    pub(super) async fn stop(self) {
        // Gone already: then the files are ended.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the recording did not end well");
        }
    }
}

async fn run(
    mut recording: Recording,
    mut frames: mpsc::Receiver<Received>,
    mut labels: watch::Receiver<Labels>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut flush = interval(FLUSH);
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            Ok(()) = labels.changed() => recording.set_labels(labels.borrow_and_update().clone()),
            Some(frame) = frames.recv() => recording.write(&frame),
            _ = flush.tick() => recording.flush(),
            _ = &mut stopped => break,
        }
    }
    recording.close();
}

/// Frames that wait to be written: a few seconds of a full room.
const FRAMES: usize = 2048;

/// The longest that a crash can cost.
const FLUSH: Duration = Duration::from_secs(1);
