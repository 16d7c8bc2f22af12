//! Signaling on another computer of a call that had only one: where it would be is known beforehand, and nobody is let in before it
//! is needed.
//!
//! Does not own: when that is (the client notices that the first computer is gone), nor who is heir (signaling says so).

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton_protocol::{ParticipantId, RoomId, SignalingPlace};
use baton_signaling::{
    Access, ComputerOwner, HostToken, InviteCode, MAX_TOKEN_LIFE, Secret, Service, ServiceConfig,
    Token,
};

use crate::Fingerprint;
use crate::certificate::{CertificateDigest, SelfSigned};
use crate::http::{Reserved, Serving, site};
use crate::standalone::addresses::for_guests;
use crate::standalone::everywhere;

/// What signaling leaves to its heir.
#[derive(Clone)]
pub struct Inheritance {
    room: RoomId,
    secret: Secret,
    code: InviteCode,
}

impl Inheritance {
    /// As it is told. `None` where it makes no sense.
    pub fn parse(room: RoomId, secret: &str, code: Option<&str>) -> Option<Self> {
        Some(Self {
            room,
            secret: Secret::parse(secret)?,
            code: InviteCode::parse(code?)?,
        })
    }
}

impl std::fmt::Debug for Inheritance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inheritance({})", self.room)
    }
}

/// The place where signaling would be.
#[derive(Debug)]
pub struct Successor {
    room: RoomId,
    certificate: SelfSigned,
    addresses: Vec<SocketAddr>,
    /// The port, while nobody is let in: whoever comes too early is refused by the system.
    reserved: Option<Reserved>,
    open: Option<(Service, Serving)>,
}

impl Successor {
    /// Reserves a place on this computer, which people call `title`.
    ///
    /// # Errors
    /// When there is no port or no certificate.
    pub fn reserve(room: RoomId, title: &str, now: SystemTime) -> io::Result<Self> {
        let certificate = SelfSigned::make(title, &[], now).map_err(io::Error::other)?;
        let reserved = Reserved::at(SocketAddr::new(everywhere(), 0))?;
        let addresses = for_guests(reserved.address()?)?;
        Ok(Self {
            room,
            certificate,
            addresses,
            reserved: Some(reserved),
            open: None,
        })
    }

    /// For everybody who may need it.
    pub fn place(&self) -> SignalingPlace {
        let url = |at: &SocketAddr| format!("https://{at}/r/{}", self.room);
        SignalingPlace {
            urls: self
                .addresses
                .iter()
                .take(MOST_ADDRESSES)
                .map(url)
                .collect(),
            sha256: self.certificate.digest().hex(),
        }
    }

    /// The certificate that it shows.
    pub fn digest(&self) -> CertificateDigest {
        self.certificate.digest()
    }

    /// Is anybody let in?
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Lets everybody in who knew the old signaling: `people` are those whose names are known, `own` the certificate of the host on
    /// this computer.
    ///
    /// # Errors
    /// When the place is not to be had any more.
    pub async fn open(
        &mut self,
        inheritance: &Inheritance,
        people: Vec<(ParticipantId, String)>,
        own: Fingerprint,
    ) -> io::Result<()> {
        let Some(reserved) = self.reserved.take() else {
            return Ok(());
        };
        let Inheritance { room, secret, code } = inheritance.clone();
        let access = Access::Code {
            room: room.clone(),
            code,
        };
        let mut config = ServiceConfig::new(access, secret);
        config.limits.hosting.is_sole_server = true;
        config.limits.hosting.own = Some(own.digits());
        // The old host is known to be gone: nobody has to wait for it.
        config.limits.host_grace = OLD_HOST;
        let service = Service::new(config);
        service.introduce(room, people).await;
        let tls = self.certificate.https().await?;
        let site = site(baton_signaling::router(service.clone()));
        let serving = reserved.serve(site, Some(tls))?;
        self.open = Some((service, serving));
        Ok(())
    }

    /// Sends everybody back, because the old signaling is there again.
    ///
    /// # Errors
    /// When the place is not to be had a second time.
    pub async fn close(&mut self) -> io::Result<()> {
        let Some((service, serving)) = self.open.take() else {
            return Ok(());
        };
        let address = serving.address;
        service.shutdown().await;
        serving.stop(LAST_REQUESTS).await;
        self.reserved = Some(Reserved::at(address)?);
        Ok(())
    }

    /// What the host on this computer shows, and where: base address and token.
    pub fn own_link(
        &self,
        inheritance: &Inheritance,
        owner: ParticipantId,
        name: &str,
        now: SystemTime,
    ) -> (String, String) {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let token = inheritance.secret.mint(&Token::Host(HostToken {
            subject: format!("computer of {owner}"),
            owner: Some(ComputerOwner {
                room: self.room.clone(),
                participant: owner,
                name: name.to_owned(),
            }),
            issued_at: now,
            expires_at: now + MAX_TOKEN_LIFE.as_secs(),
        }));
        let port = self.addresses.first().map_or(0, SocketAddr::port);
        (format!("https://127.0.0.1:{port}"), token)
    }

    /// A link for newcomers.
    pub fn invite(&self, inheritance: &Inheritance) -> Option<String> {
        let place = self.place();
        let url = place.urls.first()?;
        let code = inheritance.code.as_str();
        Some(format!("{url}?token={code}#sha256={}", place.sha256))
    }
}

/// Addresses that are told.
const MOST_ADDRESSES: usize = 4;

/// How long the host of before may still say hello.
const OLD_HOST: Duration = Duration::from_secs(1);

/// For requests that are being answered.
const LAST_REQUESTS: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Credential, Route, Trust, is_reached};

    fn inheritance(secret: &str) -> Inheritance {
        let room = "kitchen".parse().unwrap();
        Inheritance::parse(room, secret, Some("2222222222222222")).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nobody_is_let_in_before_it_is_needed_and_when_the_old_one_is_back() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let now = SystemTime::now();
        let room: RoomId = "kitchen".parse().unwrap();
        let mut successor = Successor::reserve(room, "Ana's computer", now).unwrap();
        let place = successor.place();
        assert!(place.urls[0].ends_with("/r/kitchen") && place.sha256.len() == 64);
        let own = inheritance(&"ab".repeat(32));
        let another = inheritance(&"cd".repeat(32));
        let route = |inheritance: &Inheritance| {
            let (url, token) = successor.own_link(inheritance, ParticipantId(7), "Ana's", now);
            Route {
                url,
                credential: Credential::Fixed(token),
                trust: Trust::in_one(successor.digest()),
            }
        };
        let (route, forged) = (route(&own), route(&another));
        let invite = successor.invite(&own).unwrap();
        assert!(
            invite.contains("?token=2222222222222222#sha256="),
            "{invite}"
        );
        let certificate = crate::Certificate::generate().unwrap();
        for _ in 0..2 {
            assert!(!is_reached(&route).await, "not yet");
            let people = vec![(ParticipantId(7), "Ana".to_owned())];
            let opened = successor
                .open(&own, people, certificate.fingerprint())
                .await;
            opened.unwrap();
            assert!(successor.is_open() && is_reached(&route).await);
            assert!(!is_reached(&forged).await, "that is another secret");
            assert_eq!(successor.place(), place, "where everybody looks for it");
            successor.close().await.unwrap();
        }
        assert!(!successor.is_open() && !is_reached(&route).await);
    }

    #[test]
    fn half_an_inheritance_is_none() {
        let room: RoomId = "kitchen".parse().unwrap();
        let secret = "ab".repeat(32);
        let parse = |secret: &str, code| Inheritance::parse(room.clone(), secret, code).is_some();
        assert!(parse(&secret, Some("2222222222222222")));
        assert!(!parse(&secret, None));
        assert!(!parse("short", Some("2222222222222222")));
        assert!(!parse(&secret, Some("no code")));
    }
}
