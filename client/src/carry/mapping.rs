//! A port of the router that leads to this computer: asked for as long as the computer is offered, renewed, and given back.
//!
//! By PCP or NAT-PMP (RFC 6887, RFC 6886), else by UPnP-IGD; a router that has none of them is asked again now and then. Does not own
//! what is done with the address that others then reach.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use gateway::default_gateway;

mod gateway;
mod pcp;
mod upnp;

/// How a router was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// RFC 6887.
    Pcp,
    /// RFC 6886.
    NatPmp,
    /// Internet Gateway Device of UPnP.
    Upnp,
}

/// What a router agreed to.
#[derive(Debug)]
struct Lease {
    outside: SocketAddr,
    protocol: Protocol,
    /// It ends after this, unless renewed.
    life: Duration,
    held: Held,
}

/// What is needed to renew it and to give it back.
#[derive(Debug)]
enum Held {
    Pcp(crab_nat::PortMapping),
    Upnp(upnp::Entry),
}

/// The address that leads to this computer, and how it was got; `None`: there is none any more.
pub(super) type Opening = Option<(SocketAddr, Protocol)>;

/// The task that keeps a port open.
#[derive(Debug)]
pub(super) struct Mapping {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Mapping {
    /// Asks for a way to UDP port `port` of this computer; what comes of it is told to `openings`.
    pub(super) fn start(port: NonZeroU16, openings: mpsc::Sender<Opening>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(keep(port, openings, stopped));
        Self { stop, task }
    }

    /// Gives the port back, within `patience`.
    pub(super) async fn stop(self, patience: Duration) {
        // An error means that the task is over.
        let _ = self.stop.send(());
        let abort = self.task.abort_handle();
        if timeout(patience, self.task).await.is_err() {
            abort.abort();
            tracing::debug!("the router does not take its port back in time; it will by itself");
        }
    }
}

async fn keep(
    port: NonZeroU16,
    openings: mpsc::Sender<Opening>,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        let lease = tokio::select! {
            lease = ask(port) => lease,
            // What was asked for and not heard of ends by itself.
            _ = &mut stopped => return,
        };
        let mut pause = AGAIN;
        if let Some(mut lease) = lease {
            let told = Some((lease.outside, lease.protocol));
            tracing::info!(outside = %lease.outside, protocol = ?lease.protocol, "the router lets others in");
            let _ = openings.send(told).await;
            pause = loop {
                let rest = renew_after(lease.life);
                tokio::select! {
                    () = sleep(rest) => {}
                    _ = &mut stopped => return lease.give_back().await,
                }
                let before = lease.outside;
                let Some(renewed) = lease.renew().await else {
                    break SOON;
                };
                lease = renewed;
                if lease.outside != before {
                    let _ = openings.send(Some((lease.outside, lease.protocol))).await;
                }
            };
            tracing::info!("the router does not let others in any more");
            let _ = openings.send(None).await;
        }
        tokio::select! {
            () = sleep(pause) => {}
            _ = &mut stopped => return,
        }
    }
}

/// One round with everything there is.
async fn ask(port: NonZeroU16) -> Option<Lease> {
    let gateway = default_gateway();
    let mut lease = None;
    if let Some(gateway) = gateway {
        lease = pcp::ask(gateway, port).await;
    }
    if lease.is_none() {
        lease = upnp::ask(port).await;
    }
    let lease = lease?;
    if is_public(lease.outside.ip()) {
        return Some(lease);
    }
    tracing::info!(outside = %lease.outside, "the router is behind another one: its port leads nowhere");
    lease.give_back().await;
    None
}

impl Lease {
    async fn renew(self) -> Option<Self> {
        match self.held {
            Held::Pcp(mapping) => pcp::renew(mapping).await,
            Held::Upnp(entry) => upnp::renew(entry).await,
        }
    }

    async fn give_back(self) {
        match self.held {
            Held::Pcp(mapping) => pcp::give_back(mapping).await,
            Held::Upnp(entry) => upnp::give_back(&entry).await,
        }
    }
}

/// RFC 6887 section 11.2.1: at half its life. Not all the time, whatever a router says.
fn renew_after(life: Duration) -> Duration {
    (life / 2).max(SHORTEST)
}

/// Not so behind a second NAT (RFC 1918, RFC 6598), or where a router has no address itself.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let is_shared = a == 100 && b & 0xc0 == 64;
            let is_here = v4.is_private() || v4.is_loopback() || v4.is_link_local();
            !(is_here || is_shared || a == 0 || v4.is_multicast() || v4.is_broadcast())
        }
        IpAddr::V6(_) => false,
    }
}

/// How long a router shall keep it without hearing of it, in seconds.
const LIFE_S: u32 = 3600;

/// Between two renewals.
const SHORTEST: Duration = Duration::from_secs(30);

/// Until a router that said no is asked again: people switch it on, and change networks.
const AGAIN: Duration = Duration::from_secs(300);

/// Until one that has forgotten is asked again.
const SOON: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_behind_a_second_nat_is_not_public() {
        for (ip, public) in [
            ("203.0.113.7", true),
            ("100.63.0.1", true),
            ("100.64.0.1", false),
            ("100.127.255.255", false),
            ("10.1.2.3", false),
            ("192.168.1.2", false),
            ("169.254.1.1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(is_public(ip.parse().unwrap()), public, "{ip}");
        }
    }

    #[test]
    fn it_is_renewed_at_half_its_life_and_not_all_the_time() {
        assert_eq!(
            renew_after(Duration::from_secs(3600)),
            Duration::from_secs(1800)
        );
        assert_eq!(renew_after(Duration::ZERO), SHORTEST);
    }
}
