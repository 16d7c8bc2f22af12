//! The program around [`baton_client::Call`]: flags in, lines out, a number at the end.

use std::process::ExitCode;

use baton_client::Ending;
use clap::Parser;
use tokio::runtime::Builder;
use tracing_subscriber::EnvFilter;

mod cli;
mod join;
mod lines;
mod source;

use cli::{Cli, Command};

/// How it ended. The numbers are told by `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Left,
    Failed,
    Refused,
    Removed,
    NeverJoined,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Left => 0,
            Outcome::Failed => 1,
            Outcome::Refused => 3,
            Outcome::Removed => 4,
            Outcome::NeverJoined => 5,
        })
    }
}

impl From<&Ending> for Outcome {
    fn from(ending: &Ending) -> Self {
        match ending {
            Ending::Left => Self::Left,
            Ending::Removed { .. } => Self::Removed,
            Ending::Refused { .. } => Self::Refused,
        }
    }
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> ExitCode {
    let Command::Join(join) = Cli::parse().command;
    let filter = EnvFilter::try_from_env("BATON_LOG").unwrap_or_else(|_| EnvFilter::new(LOG));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    log.init();
    // Fails only where a provider is installed already, and then it is this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let outcome = runtime.block_on(join::until_over(&join));
        // Nothing that still runs is worth waiting for.
        runtime.shutdown_background();
        outcome
    });
    let outcome = outcome.unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        Outcome::Failed
    });
    outcome.into()
}

/// The peer connection reports at `error` what a call survives.
const LOG: &str = "warn,webrtc=off,rtc=off";
