//! Puts the parts together, waits, and takes them apart again in the order that lets everybody say goodbye.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use baton_protocol::HostKind;
use baton_server::http::{Serving, site};
use baton_server::link::{RemoteLink, connect, local_link};
use baton_server::{Certificate, Host, HostConfig, HostLink};
use baton_signaling::{Access, Keys, Limits, Secret, Service, ServiceConfig, Turn};

use super::admin::Admin;
use super::cli::Invocation;
use super::config::{Config, TlsMode};
use super::ready::{Ready, url};
use super::settings::Command;
use super::{invite, signals, tls};

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) ready: Ready,
    service: Option<Service>,
    host: Option<Host>,
    http: Option<Serving>,
    admin: Serving,
    watch: Admin,
}

/// Starts what `invocation` asks for and serves until a signal comes.
pub(crate) async fn until_stopped(invocation: &Invocation, config: &Config) -> anyhow::Result<()> {
    let running = start(invocation.command, config).await?;
    running
        .ready
        .tell(config, invocation.json)
        .context("cannot write to stdout")?;
    signals::stop_requested()
        .await
        .context("cannot listen for signals")?;
    tracing::info!("stopping; a second signal ends at once");
    running.stop().await;
    Ok(())
}

pub(crate) async fn start(command: Command, config: &Config) -> anyhow::Result<Running> {
    let service = match command {
        Command::Host => None,
        Command::All | Command::Signaling | Command::Token | Command::Config => {
            Some(Service::new(service_config(config)?))
        }
    };
    let certificate = Certificate::generate().context("cannot make a DTLS certificate")?;
    let link = match (&service, command) {
        (Some(service), Command::All) => {
            let (name, fingerprint) = (config.name.clone(), certificate.fingerprint());
            Some(local_link::link(service.clone(), name, fingerprint))
        }
        (None, _) => Some(remote_link(config, &certificate)?),
        (Some(_), _) => None,
    };
    let host = link
        .map(|link| start_host(config, certificate, link))
        .transpose()?;
    if let Some(host) = &host {
        host.snapshots().ready().await;
    }
    let http = match &service {
        Some(service) => Some(start_http(config, service).await?),
        None => None,
    };
    let watch = Admin::new(host.as_ref().map(Host::snapshots), service.clone());
    let admin = serve("admin", config.admin, watch.clone().router(), None)?;
    let is_secure = config.tls != TlsMode::Off;
    let ready = Ready {
        http: http.as_ref().map(|http| url(is_secure, http.address)),
        media: host.as_ref().map(Host::media),
        admin: admin.address,
    };
    Ok(Running {
        ready,
        service,
        host,
        http,
        admin,
        watch,
    })
}

impl Running {
    /// Within half a second, if nobody hangs: participants hear it, legs say goodbye, requests end.
    pub(crate) async fn stop(self) {
        self.watch.is_draining.store(true, Ordering::Relaxed);
        if let Some(service) = &self.service
            && tokio::time::timeout(PATIENCE, service.shutdown())
                .await
                .is_err()
        {
            tracing::warn!("signaling did not stop in time");
        }
        if let Some(host) = self.host {
            host.stop(PATIENCE).await;
        }
        let http = async {
            if let Some(http) = self.http {
                http.stop(LAST_REQUESTS).await;
            }
        };
        tokio::join!(http, self.admin.stop(LAST_REQUESTS));
    }
}

fn service_config(config: &Config) -> anyhow::Result<ServiceConfig> {
    let (access, secret) = match &config.secret {
        Some(secret) => {
            let keys = config
                .eddsa_keys
                .iter()
                .try_fold(Keys::default(), |keys, pem| keys.with_ed25519_pem(pem));
            (
                Access::Tokens {
                    keys: keys.context("eddsa_keys")?,
                },
                secret.clone(),
            )
        }
        None => {
            let random: [u8; 32] = rand::random();
            (Access::Open, Secret::new(random)?)
        }
    };
    let mut limits = Limits::default();
    limits.hosting.policy = config.hosting;
    limits.hosting.election = config.hosting_rules.clone();
    Ok(ServiceConfig {
        limits,
        ice_servers: config.ice_servers.clone(),
        turn: config
            .turn_secret
            .clone()
            .map(|secret| Turn::new(config.turn_urls.clone(), secret)),
        allowed_origins: config.allowed_origins.clone(),
        ..ServiceConfig::new(access, secret)
    })
}

fn remote_link(config: &Config, certificate: &Certificate) -> anyhow::Result<HostLink> {
    let remote = RemoteLink {
        url: config.signaling.clone().unwrap_or_default(),
        credential: invite::host_credential(config)?,
        trust: config.trust.clone(),
        name: config.name.clone(),
        kind: HostKind::Central,
        fingerprint: certificate.fingerprint(),
    };
    Ok(connect(&remote)?)
}

fn start_host(config: &Config, certificate: Certificate, link: HostLink) -> anyhow::Result<Host> {
    let host = HostConfig {
        media: config.media,
        announce: config.announce.clone(),
        workers: config.workers,
        tcp: config.media_tcp,
        kind: HostKind::Central,
        certificate,
        uplink_bps: config.uplink.map(|kbps| kbps * 1000),
    };
    Ok(Host::start(&host, link)?)
}

async fn start_http(config: &Config, service: &Service) -> anyhow::Result<Serving> {
    let tls = tls::prepare(config).await?;
    let site = site(baton_signaling::router(service.clone()));
    serve("http", config.http, site, tls)
}

/// `key` is the setting that says so.
fn serve(
    key: &str,
    address: SocketAddr,
    router: Router,
    tls: Option<RustlsConfig>,
) -> anyhow::Result<Serving> {
    Serving::start(address, router, tls)
        .with_context(|| format!("cannot listen on {key} = {address}"))
}

/// For signaling and for the host, each.
const PATIENCE: Duration = Duration::from_secs(1);

/// For requests that are being answered.
const LAST_REQUESTS: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests;
