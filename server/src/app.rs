//! From the command line to a running program, and to its exit code.
//!
//! Exit codes: 0 after a graceful stop, 1 when something could not be started, 2 for a wrong command line, 78
//! (`EX_CONFIG` of sysexits) for a configuration that is wrong or not safe.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;

use cli::Invocation;
use config::{Config, Unusable};
use settings::Command;

mod admin;
mod cli;
mod config;
mod file;
mod invite;
mod metrics;
mod ready;
mod serve;
mod settings;
mod signals;
mod telemetry;
mod tls;

/// Reads the command line and does what it says.
pub(crate) fn run() -> ExitCode {
    let invocation = cli::parse();
    let outcome = config::load(&invocation).and_then(|config| {
        config.check(invocation.command)?;
        Ok(config)
    });
    let result = match outcome {
        Ok(config) => obey(&invocation, &config),
        Err(unusable) => return refuse(&unusable),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "baton: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn obey(invocation: &Invocation, config: &Config) -> anyhow::Result<()> {
    match invocation.command {
        Command::Config => Ok(write!(io::stdout(), "{}", config.shown())?),
        Command::Token => {
            let token = invite::mint(config, invocation)?;
            Ok(writeln!(io::stdout(), "{token}")?)
        }
        Command::All | Command::Signaling | Command::Host => {
            telemetry::start(config)?;
            tls::install_crypto();
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(CONTROL_THREADS)
                .thread_name("control")
                .enable_all()
                .build()
                .context("cannot start the control threads")?;
            runtime.block_on(serve::until_stopped(invocation, config))
        }
    }
}

fn refuse(unusable: &Unusable) -> ExitCode {
    let _ = writeln!(io::stderr(), "{unusable}");
    ExitCode::from(EX_CONFIG)
}

/// Threads for everything that is not media.
const CONTROL_THREADS: usize = 2;

const EX_CONFIG: u8 = 78;
