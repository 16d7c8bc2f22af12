//! SIGINT and SIGTERM: the first asks to stop, the second does not ask.

use std::process;

use anyhow::Context;

/// Waits for the first signal; from then on a second one ends the process at once.
pub(crate) async fn stop_requested() -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    signals.next().await;
    tokio::spawn(async move {
        signals.next().await;
        process::exit(INTERRUPTED);
    });
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if let Err(error) = tokio::signal::ctrl_c()
            .await
            .context("cannot listen for signals")
        {
            tracing::error!(%error);
            std::future::pending::<()>().await;
        }
    }
}

/// Asks whether the files of HTTPS changed: at SIGHUP, where there is one.
pub(crate) async fn reload_requested() {
    #[cfg(unix)]
    if let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        hangup.recv().await;
        return;
    }
    std::future::pending::<()>().await;
}

/// What shells call a process that ended by SIGINT.
const INTERRUPTED: i32 = 130;
