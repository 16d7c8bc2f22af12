//! Log lines on stderr; stdout belongs to what the program answers.

use std::io;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use super::config::{Config, LogFormat};

pub(crate) fn start(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log).with_context(|| {
        format!(
            "log = {:?} is not a filter, as info or baton_server=debug",
            config.log
        )
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let started = match config.log_format {
        LogFormat::Pretty => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))
}
