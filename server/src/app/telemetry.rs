//! Log lines on stderr; stdout belongs to what the program answers.

use std::io;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use super::config::{Config, LogFormat};

pub(crate) fn start(config: &Config) -> anyhow::Result<()> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(&config.log)?)
        .with_writer(io::stderr);
    let started = match config.log_format {
        LogFormat::Pretty => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))
}

/// What was asked for, and nothing of the rtc crates unless they are named: they report what a call survives, with addresses.
fn filter(wanted: &str) -> anyhow::Result<EnvFilter> {
    let example = || format!("log = {wanted:?} is not a filter, as info or baton_server=debug");
    EnvFilter::try_new(format!("{QUIET},{wanted}")).with_context(example)
}

/// A target covers all that begin with it: `rtc_ice`, `rtc_dtls` and the others too.
const QUIET: &str = "rtc=off,webrtc=off";

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Page {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    fn logged(wanted: &str) -> String {
        let page = Page::default();
        let lines = tracing_subscriber::fmt()
            .with_env_filter(filter(wanted).unwrap())
            .with_writer(page.clone())
            .finish();
        tracing::subscriber::with_default(lines, || {
            tracing::error!(target: "rtc_ice::agent", "ping to 192.0.2.1 failed");
            tracing::info!(target: "rtc::peer_connection", "connected");
            tracing::info!(target: "baton_server::host", "started");
        });
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_rtc_crates_are_heard_only_when_they_are_named() {
        for wanted in ["info", "debug", "baton_server=debug"] {
            let text = logged(wanted);
            assert!(text.contains("started"), "{wanted}: {text}");
            assert!(!text.contains("rtc"), "{wanted}: {text}");
        }
        let text = logged("info,rtc_ice=warn");
        assert!(
            text.contains("192.0.2.1") && !text.contains("connected"),
            "{text}"
        );
        assert!(filter("no=such=filter").is_err());
    }
}
