//! The program around [`baton_client::Call`]: flags in, lines out, a number at the end.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use baton_client::Ending;
use clap::Parser;
use tokio::runtime::Builder;
use tracing_subscriber::EnvFilter;

mod agent;
mod board;
mod cli;
mod host;
mod join;
mod lines;
mod meter;
mod report;
mod source;
mod tape;

use cli::{Cli, Command};
use report::Shape;

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
    let command = Cli::parse().command;
    let shape = match &command {
        Command::Join(join) => join.entry.shape(),
        Command::Agent(agent) => agent.entry.shape(),
        Command::Host(host) => host.shape(),
    };
    log(shape);
    // Fails only where a provider is installed already, and then it is this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let outcome = runtime.block_on(async {
            match &command {
                Command::Join(join) => join::until_over(join, shape).await,
                Command::Agent(agent) => agent::until_over(agent, shape).await,
                Command::Host(host) => host::until_stopped(host, shape).await,
            }
        });
        // Nothing that still runs is worth waiting for.
        runtime.shutdown_background();
        outcome
    });
    let outcome = outcome.unwrap_or_else(|error| {
        // The terminal is given back by now.
        let _ = writeln!(std::io::stderr(), "baton-client: {error:#}");
        Outcome::Failed
    });
    outcome.into()
}

/// Lines in the middle of the view would spoil it: then only a file or a pipe gets them.
fn log(shape: Shape) {
    let filter = EnvFilter::try_from_env("BATON_LOG").unwrap_or_else(|_| EnvFilter::new(LOG));
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    if shape == Shape::View && std::io::stderr().is_terminal() {
        log.with_writer(std::io::sink).init();
    } else {
        log.with_writer(std::io::stderr).init();
    }
}

/// The peer connection reports at `error` what a call survives.
const LOG: &str = "warn,webrtc=off,rtc=off";
