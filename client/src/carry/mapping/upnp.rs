//! Ports by UPnP-IGD.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{PortMappingProtocol, SearchOptions};

use super::pcp::own_address;
use super::{Held, LIFE_S, Lease, Protocol};

/// What leads to this computer, in the router's words.
#[derive(Debug)]
pub(super) struct Entry {
    gateway: Gateway<Tokio>,
    inside: SocketAddr,
    outside: SocketAddr,
}

pub(super) async fn ask(port: NonZeroU16) -> Option<Lease> {
    let mut options = SearchOptions::default();
    options.timeout = Some(PATIENCE);
    let found = search_gateway(options).await;
    let gateway = found
        .inspect_err(|error| tracing::debug!(%error, "no router by UPnP"))
        .ok()?;
    let IpAddr::V4(router) = gateway.addr.ip() else {
        return None;
    };
    let inside = SocketAddr::new(own_address(router).await?, port.get());
    // One that lends for ever only is not asked for that: who would take it back after a crash?
    let lent = gateway
        .get_any_address(PortMappingProtocol::UDP, inside, LIFE_S, NAME)
        .await;
    let outside = lent
        .inspect_err(|error| tracing::debug!(%error, "no port by UPnP"))
        .ok()?;
    Some(lease(Entry {
        gateway,
        inside,
        outside,
    }))
}

pub(super) async fn renew(mut entry: Entry) -> Option<Lease> {
    let (gateway, port) = (&entry.gateway, entry.outside.port());
    let renewed = gateway
        .add_port(PortMappingProtocol::UDP, port, entry.inside, LIFE_S, NAME)
        .await;
    renewed.ok()?;
    entry.outside = SocketAddr::new(gateway.get_external_ip().await.ok()?, port);
    Some(lease(entry))
}

pub(super) async fn give_back(entry: &Entry) {
    let port = entry.outside.port();
    if let Err(error) = entry
        .gateway
        .remove_port(PortMappingProtocol::UDP, port)
        .await
    {
        tracing::debug!(%error, "the router does not take its port back; it will by itself");
    }
}

fn lease(entry: Entry) -> Lease {
    Lease {
        outside: entry.outside,
        protocol: Protocol::Upnp,
        life: Duration::from_secs(LIFE_S.into()),
        held: Held::Upnp(entry),
    }
}

/// What the router's list calls it.
const NAME: &str = "Baton";

/// Routers answer within MX, a second or two.
const PATIENCE: Duration = Duration::from_secs(4);
