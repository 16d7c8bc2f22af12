//! The program as people and scripts start it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Without the variables of whoever runs the tests, in a folder without `baton.toml`.
fn baton(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BATON_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn a_public_address_without_a_secret_is_refused_with_code_78_and_a_way_out() {
    for arguments in [["--http", "0.0.0.0:0"], ["--media", "[::]:0"]] {
        let output = baton(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{arguments:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            text.contains("--secret-file") && text.contains("openssl rand -base64 32"),
            "{text}"
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn every_mistake_of_the_environment_is_told_at_once() {
    let mut command = baton(&[]);
    command
        .env("BATON_HTTP", "nowhere")
        .env("BATON_WORKERS", "many")
        .env("BATON_SECERT", "x");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let text = String::from_utf8(output.stderr).unwrap();
    for part in [
        "BATON_HTTP",
        "BATON_WORKERS",
        "did you mean `BATON_SECRET`?",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[test]
fn ready_is_one_line_of_json_with_the_chosen_ports_and_sigterm_ends_it_well() {
    let mut command = baton(&["--json", "--workers", "2"]);
    for name in ["BATON_HTTP", "BATON_MEDIA", "BATON_ADMIN"] {
        command.env(name, "127.0.0.1:0");
    }
    let mut child = Guard(command.spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let ready: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(ready["event"], "ready");
    let http = ready["http"]
        .as_str()
        .unwrap()
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    let admin = ready["admin"].as_str().unwrap().to_owned();
    assert!(get(&http, "/").starts_with("HTTP/1.1 200"));
    assert!(get(&admin, "/readyz").starts_with("HTTP/1.1 200"));
    let media = ready["media"].as_str().unwrap();
    let taken = UdpSocket::bind(media).unwrap_err();
    assert_eq!(
        taken.kind(),
        std::io::ErrorKind::AddrInUse,
        "the media port is open"
    );

    let _idle = TcpStream::connect(&http).unwrap();
    let began = Instant::now();
    signal(&child.0, "TERM");
    let status = child.0.wait().unwrap();
    let took = began.elapsed();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert!(lines.next().is_none(), "stdout has one line only");
    let mut log = String::new();
    let mut stderr = child.0.stderr.take().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

#[test]
fn a_second_signal_does_not_wait_for_anybody() {
    let mut child = Guard(
        baton(&[
            "--json",
            "--http",
            "127.0.0.1:0",
            "--media",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ])
        .spawn()
        .unwrap(),
    );
    let mut stdout = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let ready: serde_json::Value = serde_json::from_str(&stdout.next().unwrap().unwrap()).unwrap();
    let http = ready["http"]
        .as_str()
        .unwrap()
        .strip_prefix("http://")
        .unwrap();
    // Somebody who never ends their request is waited for, for a while.
    let mut slow = TcpStream::connect(http).unwrap();
    write!(slow, "GET / HTTP/1.1\r\n").unwrap();
    let stderr = BufReader::new(child.0.stderr.take().unwrap()).lines();
    signal(&child.0, "TERM");
    let mut said = stderr.map(Result::unwrap);
    assert!(said.any(|line| line.contains("a second signal ends at once")));
    signal(&child.0, "INT");
    assert_eq!(child.0.wait().unwrap().code(), Some(130));
}

#[test]
fn a_new_certificate_is_served_after_sighup_without_a_restart() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("certificates");
    std::fs::create_dir_all(&folder).unwrap();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let renew = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        made.cert
    };
    let first = renew();
    let mut command = baton(&[
        "signaling",
        "--json",
        "--http",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]);
    command.args([std::ffi::OsStr::new("--tls-cert"), cert.as_os_str()]);
    command.args([std::ffi::OsStr::new("--tls-key"), key.as_os_str()]);
    let mut child = Guard(command.spawn().unwrap());
    let mut stdout = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let ready: serde_json::Value = serde_json::from_str(&stdout.next().unwrap().unwrap()).unwrap();
    let http = ready["http"]
        .as_str()
        .unwrap()
        .strip_prefix("https://")
        .unwrap();
    assert!(is_served(http, first.der()));
    let second = renew();
    signal(&child.0, "HUP");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_served(http, second.der()) {
        assert!(
            Instant::now() < deadline,
            "the old certificate is still served"
        );
    }
    assert!(!is_served(http, first.der()));
    assert!(child.0.try_wait().unwrap().is_none(), "it still runs");
}

/// Does somebody who knows only this certificate get an answer?
fn is_served(address: &str, certificate: &rustls::pki_types::CertificateDer<'static>) -> bool {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let session = rustls::ClientConnection::new(std::sync::Arc::new(tls), name).unwrap();
    let socket = TcpStream::connect(address).unwrap();
    let mut stream = rustls::StreamOwned::new(session, socket);
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    if stream.write_all(request.as_bytes()).is_err() {
        return false;
    }
    let mut answer = Vec::new();
    // The end of the answer may come without the end of TLS.
    let _ = stream.read_to_end(&mut answer);
    answer.starts_with(b"HTTP/1.1 ")
}

#[test]
fn an_invitation_is_a_token_on_stdout_and_needs_the_secret() {
    let secret = "0123456789abcdef0123456789abcdef";
    let arguments = ["token", "--room", "daily", "--name", "Ana"];
    let output = baton(&arguments)
        .env("BATON_SECRET", secret)
        .output()
        .unwrap();
    assert!(output.status.success());
    let token = String::from_utf8(output.stdout).unwrap();
    assert_eq!(token.trim().split('.').count(), 3, "{token}");
    assert_eq!(baton(&arguments).output().unwrap().status.code(), Some(78));
}

#[test]
fn config_shows_where_each_value_comes_from_and_no_secret() {
    let secret = "0123456789abcdef0123456789abcdef";
    let mut command = baton(&["config", "--http", "127.0.0.1:9"]);
    let output = command.env("BATON_SECRET", secret).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("http = \"127.0.0.1:9\"  # --http"), "{text}");
    assert!(
        text.contains("secret = \"***\"  # BATON_SECRET") && !text.contains(secret),
        "{text}"
    );
}

/// Ends the program with the test, whatever happens.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
