//! A call on one computer, without anything else: page, signaling and central host in one process, by HTTPS with a
//! certificate that nobody vouches for, for one room whose guests share a code.
//!
//! Does not own: where the certificate is kept, and what people are told.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton_engine::transport::Certificate;
use baton_protocol::{Grants, HostKind, HostingPolicy, ParticipantInfo, RoomId};
use baton_signaling::{
    Access, InviteCode, JoinToken, MAX_TOKEN_LIFE, Secret, Service, ServiceConfig, Token,
};

use crate::certificate::{CertificateDigest, SelfSigned};
use crate::host::{Host, HostConfig, StartError};
use crate::http::{Serving, site};
use crate::link::local_link;
use addresses::for_guests;

pub(crate) mod addresses;

/// How a standalone call is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The only room.
    pub room: RoomId,
    /// What people call the computer.
    pub name: String,
    /// Where to listen; without it on every address, which is what whoever asks for a call among people around means.
    pub address: Option<IpAddr>,
    /// Port of page and signaling; 0 takes a free one.
    pub port: u16,
    /// Port of the media, UDP and TCP; 0 takes a free one.
    pub media_port: u16,
    /// Shown to browsers.
    pub certificate: SelfSigned,
}

/// Why a standalone call did not start.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// The page's address cannot be used.
    #[error("cannot listen on {address} (TCP): {source}; another port may be free")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The media's cannot.
    #[error(transparent)]
    Media(#[from] StartError),
    /// HTTPS does not take the certificate.
    #[error("cannot use the certificate: {0}; make another one")]
    Certificate(io::Error),
    /// Nobody knows where guests could come.
    #[error("cannot list the network interfaces: {0}")]
    Interfaces(io::Error),
}

/// A call that can be joined. Dropping it ends the process's part in it without a goodbye; [`Standalone::stop`] says one.
#[derive(Debug)]
pub struct Standalone {
    room: RoomId,
    code: InviteCode,
    secret: Secret,
    digest: CertificateDigest,
    addresses: Vec<SocketAddr>,
    service: Service,
    host: Host,
    http: Serving,
}

impl Standalone {
    /// Opens the sockets and lets guests in. Must be called inside a tokio runtime, in a process that has chosen its crypto
    /// library. Secret and code are new with each start.
    ///
    /// # Errors
    /// When an address or the certificate cannot be used.
    pub async fn start(setup: Setup) -> Result<Self, NotStarted> {
        let address = setup.address.unwrap_or_else(everywhere);
        let code = InviteCode::from_random(rand::random());
        let random: [u8; 32] = rand::random();
        let secret = Secret::new(random).expect("32 bytes are enough");
        let access = Access::Code {
            room: setup.room.clone(),
            code: code.clone(),
        };
        let service = Service::new(service_config(access, secret.clone()));
        let dtls =
            Certificate::generate().map_err(|error| StartError::Engine(error.to_string()))?;
        let link = local_link::link(service.clone(), setup.name, dtls.fingerprint());
        let host = HostConfig {
            media: SocketAddr::new(address, setup.media_port),
            announce: Vec::new(),
            workers: HostConfig::default_workers(),
            tcp: true,
            kind: HostKind::Central,
            certificate: dtls,
            uplink_bps: None,
        };
        let host = Host::start(&host, link)?;
        host.snapshots().ready().await;
        let tls = setup.certificate.https().await;
        let tls = tls.map_err(NotStarted::Certificate)?;
        let address = SocketAddr::new(address, setup.port);
        let site = site(baton_signaling::router(service.clone()));
        let http = Serving::start(address, site, Some(tls))
            .map_err(|source| NotStarted::Listen { address, source })?;
        let addresses = for_guests(http.address).map_err(NotStarted::Interfaces)?;
        Ok(Self {
            room: setup.room,
            code,
            secret,
            digest: setup.certificate.digest(),
            addresses,
            service,
            host,
            http,
        })
    }

    /// The only room.
    pub fn room(&self) -> &RoomId {
        &self.room
    }

    /// Where the media goes, with the port that was chosen.
    pub fn media(&self) -> SocketAddr {
        self.host.media()
    }

    /// Of the certificate.
    pub fn digest(&self) -> CertificateDigest {
        self.digest
    }

    /// Links for guests, one for each address under which they may reach this computer; the likeliest first, and at least one.
    pub fn invites(&self) -> Vec<String> {
        let (code, digest) = (self.code.as_str(), self.digest.hex());
        let link = |at| format!("{}?token={code}#sha256={digest}", self.page(at));
        self.addresses.iter().copied().map(link).collect()
    }

    /// A link for the owner alone, who may mute and remove others; good for a day.
    pub fn owner_link(&self, now: SystemTime) -> String {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let token = self.secret.mint(&Token::Join(JoinToken {
            subject: "owner".to_owned(),
            token_id: None,
            room: self.room.clone(),
            name: None,
            grants: Grants {
                moderate: true,
                ..Grants::talk()
            },
            issued_at: now,
            expires_at: now + MAX_TOKEN_LIFE.as_secs(),
        }));
        let (code, digest) = (self.code.as_str(), self.digest.hex());
        let page = self.page(self.addresses[0]);
        format!("{page}?token={token}#invite={code}&sha256={digest}")
    }

    /// Who is in the call, those who may come back included.
    pub async fn participants(&self) -> Vec<ParticipantInfo> {
        self.service.participants(&self.room).await
    }

    /// Sends everybody away, tells them so, and closes the sockets; within six seconds, and at once where everybody listens.
    pub async fn stop(self) {
        let goodbye = async {
            self.service.close_room(&self.room).await;
            // Whoever does not hear that the call is over looks for it for ever.
            self.service.heard_out().await;
        };
        if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
            tracing::warn!("somebody may not have heard that the call is over");
        }
        let shutdown = self.service.shutdown();
        if tokio::time::timeout(PATIENCE, shutdown).await.is_err() {
            tracing::warn!("signaling did not stop in time");
        }
        self.host.stop(PATIENCE).await;
        self.http.stop(LAST_REQUESTS).await;
    }

    fn page(&self, at: SocketAddr) -> String {
        format!("https://{at}/r/{}", self.room)
    }
}

/// A laptop among its guests has no line to spare that another one would save: it keeps the call while it can.
fn service_config(access: Access, secret: Secret) -> ServiceConfig {
    let mut config = ServiceConfig::new(access, secret);
    config.limits.hosting.policy = HostingPolicy::Central;
    config.limits.hosting.is_sole_server = true;
    config
}

/// Both families, where the system has both.
pub(crate) fn everywhere() -> IpAddr {
    let v6 = IpAddr::from(Ipv6Addr::UNSPECIFIED);
    match UdpSocket::bind((v6, 0)) {
        Ok(_) => v6,
        Err(_) => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// For everybody to hear that the call is over.
const GOODBYE: Duration = Duration::from_secs(3);

/// For signaling and for the host, each.
const PATIENCE: Duration = Duration::from_secs(1);

/// For requests that are being answered.
const LAST_REQUESTS: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests;
