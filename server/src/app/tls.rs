//! Certificates: from files, read again when they change, or made for this start and kept in memory.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use axum_server::tls_rustls::RustlsConfig;
use baton_server::SelfSigned;
use tokio::time::{MissedTickBehavior, interval};

use super::config::{Config, TlsMode};
use super::signals;

/// Chooses the one crypto library of the process. Harmless when done twice.
pub(crate) fn install_crypto() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// `None`: plain HTTP.
pub(crate) async fn prepare(config: &Config) -> anyhow::Result<Option<RustlsConfig>> {
    match (config.tls, &config.tls_cert, &config.tls_key) {
        (TlsMode::Off, ..) => Ok(None),
        (TlsMode::SelfSigned, ..) => {
            let now = SystemTime::now();
            let made = SelfSigned::make("Baton, made for this start", &local_addresses()?, now)?;
            let tls = made.https().await;
            let tls = tls.context("cannot use the certificate made for this start")?;
            Ok(Some(tls))
        }
        (TlsMode::Files, Some(cert), Some(key)) => {
            let files = Files {
                cert: cert.clone(),
                key: key.clone(),
            };
            let tls = RustlsConfig::from_pem_file(cert, key)
                .await
                .with_context(|| format!("cannot use {} with {}", cert.display(), key.display()))?;
            let hangup = signals::Hangup::new().context("cannot listen for SIGHUP")?;
            tokio::spawn(follow(tls.clone(), files, hangup));
            Ok(Some(tls))
        }
        (TlsMode::Files, ..) => bail!("HTTPS from files needs tls_cert and tls_key"),
    }
}

fn local_addresses() -> anyhow::Result<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs().context("cannot list the network interfaces")?;
    Ok(interfaces.iter().map(if_addrs::Interface::ip).collect())
}

struct Files {
    cert: PathBuf,
    key: PathBuf,
}

impl Files {
    fn changed(&self) -> Option<(SystemTime, SystemTime)> {
        let at = |path: &Path| {
            std::fs::metadata(path)
                .and_then(|file| file.modified())
                .ok()
        };
        Some((at(&self.cert)?, at(&self.key)?))
    }
}

/// Reads the files again at SIGHUP and when their times change. A pair that does not fit leaves the old one in force.
async fn follow(tls: RustlsConfig, files: Files, mut hangup: signals::Hangup) {
    let mut seen = files.changed();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_asked = tokio::select! {
            _ = look.tick() => false,
            () = hangup.next() => true,
        };
        let changed = files.changed();
        if !is_asked && changed == seen {
            continue;
        }
        seen = changed;
        match tls.reload_from_pem_file(&files.cert, &files.key).await {
            Ok(()) => tracing::info!("the certificate was read again"),
            Err(error) => {
                tracing::error!(%error, "the new certificate cannot be used; the old one stays")
            }
        }
    }
}

/// How often the times of the files are looked at.
const LOOK: Duration = Duration::from_secs(30);
