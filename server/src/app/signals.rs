//! What signals mean to the program: the first that asks to stop is obeyed, the second does not ask.

use std::io;
use std::process;

use baton_server::StopSignals;

/// Waits for the first signal; from then on a second one ends the process at once.
pub(crate) async fn stop_requested() -> io::Result<()> {
    let mut signals = StopSignals::new()?;
    signals.next().await;
    tokio::spawn(async move {
        signals.next().await;
        process::exit(INTERRUPTED);
    });
    Ok(())
}

/// SIGHUP, where there is such a thing: asks whether the files of HTTPS changed.
pub(crate) struct Hangup {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
}

impl Hangup {
    /// Listens from now on.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        if self.signal.recv().await.is_some() {
            return;
        }
        std::future::pending::<()>().await;
    }
}

/// What shells call a process that ended by SIGINT.
const INTERRUPTED: i32 = 130;
