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

    let began = Instant::now();
    terminate(&child.0);
    let status = child.0.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert!(lines.next().is_none(), "stdout has one line only");
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

fn terminate(child: &Child) {
    let status = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
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
