//! The parts together, over real sockets on loopback.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use baton_server::link::Trust;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn config() -> Config {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Config {
        http: any,
        media: any,
        admin: any,
        ..Config::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_in_one_process_is_ready_when_it_says_so() {
    let running = start(Command::All, &config()).await.unwrap();
    let http = running.http.as_ref().unwrap().address;
    let admin = running.admin.address;
    assert_eq!(running.ready.http, Some(format!("http://{http}")));
    for path in ["/livez", "/readyz"] {
        assert!(ask(admin, path).await.starts_with("HTTP/1.1 200"), "{path}");
    }
    let page = ask(http, "/r/daily").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    for header in [
        "content-security-policy",
        "permissions-policy",
        "nosniff",
        "no-referrer",
    ] {
        assert!(page.to_lowercase().contains(header), "{header}");
    }
    let elsewhere = ask(http, "/nowhere").await;
    assert!(
        elsewhere.starts_with("HTTP/1.1 404") && elsewhere.contains("nosniff"),
        "{elsewhere}"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_one_prefix_a_unit_and_no_names_of_people() {
    let running = start(Command::All, &config()).await.unwrap();
    let text = ask(running.admin.address, "/metrics").await;
    for line in [
        "baton_build_info{version=",
        "baton_rooms 0",
        "baton_hosts 1",
        "baton_legs{state=\"connected\"} 0",
        "baton_legs_connected_total{srtp=\"aead_aes_128_gcm\"} 0",
        "baton_rtp_packets_total{direction=\"out\"} 0",
        "baton_rtp_dropped_packets_total{reason=\"stale\"} 0",
        "baton_packets_per_send_call ",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let samples = body.lines().filter(|line| !line.starts_with('#'));
    let samples: Vec<_> = samples.filter_map(|line| line.split(' ').next()).collect();
    assert!(
        samples.iter().all(|name| name.starts_with("baton_")),
        "{samples:?}"
    );
    assert_eq!(
        samples.iter().collect::<BTreeSet<_>>().len(),
        samples.len(),
        "a sample twice"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_process_takes_nobody_new() {
    let running = start(Command::Signaling, &config()).await.unwrap();
    running.watch.is_draining.store(true, Ordering::Relaxed);
    let admin = running.admin.address;
    assert!(ask(admin, "/readyz").await.starts_with("HTTP/1.1 503"));
    assert!(ask(admin, "/livez").await.starts_with("HTTP/1.1 200"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_takes_less_than_three_seconds_even_with_open_connections() {
    let running = start(Command::All, &config()).await.unwrap();
    let _idle = TcpStream::connect(running.http.as_ref().unwrap().address)
        .await
        .unwrap();
    let began = Instant::now();
    running.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_host_links_by_the_common_secret_and_comes_back_when_signaling_does() {
    let secret = Some(Secret::new(SECRET).unwrap());
    let mut central = Config {
        secret: secret.clone(),
        ..config()
    };
    let signaling = start(Command::Signaling, &central).await.unwrap();
    let address = signaling.http.as_ref().unwrap().address;
    central.http = address;
    let host = Config {
        secret,
        signaling: signaling.ready.http.clone(),
        ..config()
    };
    let host = start(Command::Host, &host).await.unwrap();
    wait_for_host(&signaling).await;
    signaling.stop().await;
    assert!(
        ask(host.admin.address, "/livez")
            .await
            .starts_with("HTTP/1.1 200")
    );

    let signaling = start(Command::Signaling, &central).await.unwrap();
    wait_for_host(&signaling).await;
    host.stop().await;
    signaling.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_believed_where_it_is_named() {
    tls::install_crypto();
    let folder = std::env::temp_dir().join(format!("baton-ca-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, pem: String| {
        let path = folder.join(name);
        std::fs::write(&path, pem).unwrap();
        path
    };
    let (authority, cert, key) = private_authority();
    let ca = file("ca.pem", authority);
    let secret = Some(Secret::new(SECRET).unwrap());
    let central = Config {
        secret: secret.clone(),
        tls: TlsMode::Files,
        tls_cert: Some(file("cert.pem", cert)),
        tls_key: Some(file("key.pem", key)),
        ..config()
    };
    let signaling = start(Command::Signaling, &central).await.unwrap();
    let port = signaling.http.as_ref().unwrap().address.port();
    let stranger = Config {
        secret,
        signaling: Some(format!("https://localhost:{port}")),
        ..config()
    };
    let host = start(Command::Host, &stranger).await.unwrap();
    let watched = tokio::time::timeout(Duration::from_millis(700), wait_for_host(&signaling));
    assert!(
        watched.await.is_err(),
        "a certificate that nobody vouches for"
    );
    host.stop().await;
    let trusting = Config {
        trust: Trust::with_authorities(&ca).unwrap(),
        ..stranger
    };
    let host = start(Command::Host, &trusting).await.unwrap();
    wait_for_host(&signaling).await;
    host.stop().await;
    signaling.stop().await;
    assert!(Trust::with_authorities(&folder.join("key.pem")).is_err());
    assert!(Trust::with_authorities(&folder.join("nothing.pem")).is_err());
    std::fs::remove_dir_all(&folder).unwrap();
}

/// PEM of an authority, of a certificate it has signed for `localhost`, and of that one's key.
fn private_authority() -> (String, String, String) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(params, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    (ca.pem(), leaf.pem(), key.serialize_pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_another_secret_is_not_linked() {
    let central = Config {
        secret: Some(Secret::new(SECRET).unwrap()),
        ..config()
    };
    let signaling = start(Command::Signaling, &central).await.unwrap();
    let secret = Some(Secret::new(SECRET.to_uppercase()).unwrap());
    let host = Config {
        secret,
        signaling: signaling.ready.http.clone(),
        ..config()
    };
    let host = start(Command::Host, &host).await.unwrap();
    let watched = tokio::time::timeout(Duration::from_millis(700), wait_for_host(&signaling));
    assert!(watched.await.is_err(), "a stranger became a host");
    host.stop().await;
    signaling.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_self_signed_certificate_is_for_this_computer_and_carries_https() {
    tls::install_crypto();
    let config = Config {
        tls: TlsMode::SelfSigned,
        ..config()
    };
    let running = start(Command::Signaling, &config).await.unwrap();
    let address = running.http.as_ref().unwrap().address;
    assert_eq!(running.ready.http, Some(format!("https://{address}")));
    let answer = tokio::task::spawn_blocking(move || ask_by_tls(address))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_told_with_its_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config {
        admin: taken.local_addr().unwrap(),
        ..config()
    };
    let error = start(Command::Signaling, &config).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("admin = 127.0.0.1:"),
        "{error:#}"
    );
}

async fn wait_for_host(signaling: &Running) {
    let service = signaling.service.as_ref().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while service.stats().hosts == 0 {
        assert!(Instant::now() < deadline, "no host came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(request(address, path).as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(address: SocketAddr, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
}

/// Verifies the certificate against itself, for this address: only that it is self-signed is let pass.
fn ask_by_tls(address: SocketAddr) -> String {
    use std::io::{Read, Write};

    let tls = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustItself))
        .with_no_client_auth();
    let name = ServerName::IpAddress(address.ip().into());
    let session = rustls::ClientConnection::new(Arc::new(tls), name).unwrap();
    let socket = std::net::TcpStream::connect(address).unwrap();
    let mut stream = rustls::StreamOwned::new(session, socket);
    stream.write_all(request(address, "/").as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[derive(Debug)]
struct TrustItself;

impl ServerCertVerifier for TrustItself {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.clone().into_owned())?;
        let verifier = rustls::client::WebPkiServerVerifier::builder(Arc::new(roots));
        let verifier = verifier
            .build()
            .map_err(|e| rustls::Error::General(e.to_string()))?;
        verifier.verify_server_cert(certificate, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms =
            rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms =
            rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
