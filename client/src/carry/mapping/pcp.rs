//! Ports by PCP, and by NAT-PMP where a router knows only that.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use crab_nat::{
    GatewayAddress, InternetProtocol, PortMapping, PortMappingOptions, PortMappingType,
    TimeoutConfig,
};
use crab_nat::{natpmp, pcp};

use super::{Held, LIFE_S, Lease, Protocol};

pub(super) async fn ask(gateway: Ipv4Addr, port: NonZeroU16) -> Option<Lease> {
    let own = own_address(gateway).await?;
    let to = GatewayAddress::IpV4(gateway);
    let options = PortMappingOptions {
        external_port: None,
        lifetime_seconds: Some(LIFE_S),
        timeout_config: Some(PATIENCE),
    };
    let wanted = pcp::BaseMapRequest::new(to, own, InternetProtocol::Udp, port);
    let mapping = match pcp::port_mapping(wanted, None, None, options).await {
        Ok(mapping) => mapping,
        // Old routers say that they know another version, or nothing at all.
        Err(error) => {
            tracing::debug!(%error, "no port by PCP");
            let older = natpmp::port_mapping(to, InternetProtocol::Udp, port, options).await;
            older
                .inspect_err(|error| tracing::debug!(%error, "no port by NAT-PMP"))
                .ok()?
        }
    };
    lease(mapping).await
}

pub(super) async fn renew(mut mapping: PortMapping) -> Option<Lease> {
    mapping.renew().await.ok()?;
    lease(mapping).await
}

pub(super) async fn give_back(mapping: PortMapping) {
    if let Err((error, _)) = mapping.try_drop().await {
        tracing::debug!(%error, "the router does not take its port back; it will by itself");
    }
}

async fn lease(mapping: PortMapping) -> Option<Lease> {
    let (ip, protocol) = match mapping.mapping_type() {
        PortMappingType::Pcp { external_ip, .. } => (external_ip, Protocol::Pcp),
        PortMappingType::NatPmp => {
            let told = natpmp::external_address(mapping.gateway(), Some(PATIENCE)).await;
            (IpAddr::V4(told.ok()?), Protocol::NatPmp)
        }
    };
    Some(Lease {
        outside: SocketAddr::new(ip.to_canonical(), mapping.external_port().get()),
        protocol,
        life: Duration::from_secs(mapping.lifetime().into()),
        held: Held::Pcp(mapping),
    })
}

/// The address from which a router sees this computer.
pub(super) async fn own_address(gateway: Ipv4Addr) -> Option<IpAddr> {
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .await
        .ok()?;
    // Nothing is sent by this.
    socket
        .connect((gateway, crab_nat::GATEWAY_PORT))
        .await
        .ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// A router next door answers in milliseconds; one that has neither protocol keeps silent.
const PATIENCE: TimeoutConfig = TimeoutConfig {
    initial_timeout: Duration::from_millis(250),
    max_retries: 2,
    max_retry_timeout: None,
};
