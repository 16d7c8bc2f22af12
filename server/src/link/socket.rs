//! One WebSocket to signaling, as hosts and participants have it: opening it, and noticing that it is dead.
//!
//! Does not own: what is said on it, and when it is tried again ([`super::backoff`]).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use baton_protocol::limits::MAX_MESSAGE;
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};

use crate::certificate::{CertificateDigest, OnlyThis};

/// Whose certificates are believed: those of the public authorities (Mozilla's list), and private ones beside them.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// None: the public ones only.
    tls: Option<Arc<rustls::ClientConfig>>,
}

/// Why a file of authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAuthorities {
    /// Not there, or not PEM.
    #[error("cannot read certificates from {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// For people.
        reason: String,
    },
    /// Nothing in it.
    #[error(
        "there is no certificate in {0}; it holds PEM blocks that begin with BEGIN CERTIFICATE"
    )]
    Empty(String),
}

impl Trust {
    /// Also believes the authorities in a PEM file, beside the public ones.
    pub fn with_authorities(file: &Path) -> Result<Self, InvalidAuthorities> {
        let path = || file.display().to_string();
        let unreadable = |reason: String| InvalidAuthorities::Unreadable {
            path: path(),
            reason,
        };
        let certificates =
            CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.to_string()))?;
        let mut roots = rustls::RootCertStore::empty();
        for certificate in certificates {
            let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| unreadable(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(InvalidAuthorities::Empty(path()));
        }
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let tls = client().with_root_certificates(roots).with_no_client_auth();
        Ok(Self {
            tls: Some(Arc::new(tls)),
        })
    }

    /// Believes this certificate and no other: that of a computer which nobody vouches for, known from its invite link.
    pub fn in_one(digest: CertificateDigest) -> Self {
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = client()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(OnlyThis { digest, crypto }))
            .with_no_client_auth();
        Self {
            tls: Some(Arc::new(tls)),
        }
    }
}

fn client() -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
}

/// Why there is no socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// Signaling answered 401 or 403.
    #[error("signaling refused the token")]
    Refused,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// A socket that is dead: why, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Lost(pub String);

/// An open socket. Pings by itself while it is listened to.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    ping: Interval,
    heard: Instant,
}

impl Socket {
    /// Opens a socket, within five seconds.
    pub async fn open(
        request: impl IntoClientRequest + Unpin,
        trust: &Trust,
    ) -> Result<Self, Unreachable> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let connector = trust.tls.clone().map(Connector::Rustls);
        let connect = connect_async_tls_with_config(request, Some(config), true, connector);
        let stream = match timeout(CONNECT, connect).await {
            Ok(Ok((stream, _))) => stream,
            Ok(Err(tungstenite::Error::Http(answer)))
                if matches!(answer.status().as_u16(), 401 | 403) =>
            {
                return Err(Unreachable::Refused);
            }
            Ok(Err(error)) => return Err(Unreachable::Failed(error.to_string())),
            Err(_) => {
                let reason = "signaling did not answer in time";
                return Err(Unreachable::Failed(reason.to_owned()));
            }
        };
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            stream,
            ping,
            heard: Instant::now(),
        })
    }

    /// The next text. May be given up and asked again.
    pub async fn hear(&mut self) -> Result<Utf8Bytes, Lost> {
        loop {
            tokio::select! {
                frame = self.stream.next() => {
                    self.heard = Instant::now();
                    match frame {
                        Some(Ok(Message::Text(text))) => return Ok(text),
                        Some(Ok(Message::Close(_))) | None => return Err(closed()),
                        Some(Ok(_)) => {}
                        Some(Err(error)) => return Err(lost(&error)),
                    }
                }
                _ = self.ping.tick() => {
                    if self.heard.elapsed() > SILENCE {
                        return Err(Lost("signaling fell silent".to_owned()));
                    }
                    self.write(Message::Ping(Vec::new().into())).await?;
                }
            }
        }
    }

    /// Says something, as JSON.
    pub async fn say(&mut self, message: &impl Serialize) -> Result<(), Lost> {
        let text = serde_json::to_string(message).expect("a message is always JSON");
        self.write(Message::Text(text.into())).await
    }

    /// Says that this was all, and hears the other side out: a socket that is dropped with unread messages is reset, and
    /// the last words are lost with it.
    pub async fn close(mut self) {
        let farewell = async {
            // A socket that is broken already needs no goodbye.
            let _ = self.stream.close(None).await;
            while let Some(Ok(_)) = self.stream.next().await {}
        };
        let _ = timeout(GOODBYE, farewell).await;
    }

    async fn write(&mut self, message: Message) -> Result<(), Lost> {
        match timeout(SILENCE, self.stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(lost(&error)),
            Err(_) => Err(Lost("signaling stopped reading".to_owned())),
        }
    }
}

fn closed() -> Lost {
    Lost("signaling closed it".to_owned())
}

fn lost(error: &tungstenite::Error) -> Lost {
    use tungstenite::Error::{AlreadyClosed, ConnectionClosed};

    if matches!(error, AlreadyClosed | ConnectionClosed) {
        return closed();
    }
    Lost(error.to_string())
}

const CONNECT: Duration = Duration::from_secs(5);
const PING: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(15);
const GOODBYE: Duration = Duration::from_millis(500);
