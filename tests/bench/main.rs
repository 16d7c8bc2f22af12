//! The benchmark's load against the real binary: what is published has to reach those who watch it, however slow the computer is.
//! A host that believes its lines too narrow pauses every picture, and the benchmark would measure nothing.
//!
//! Does not measure: that is `make bench` (`docs/bench.md`).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

const SUBSCRIBERS: u64 = 3;

/// A process that does not outlive this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn pictures_reach_everybody_who_watches() -> Result<()> {
    let load = Path::new(env!("CARGO_BIN_EXE_load"));
    let baton = load.with_file_name("baton");
    ensure!(
        baton.exists(),
        "there is no {}: build it with `cargo build -p baton-server --bin baton`",
        baton.display()
    );
    let mut host = Command::new(&baton);
    for name in ["BATON_HTTP", "BATON_ADMIN", "BATON_MEDIA"] {
        host.env(name, "127.0.0.1:0");
    }
    let host = host
        .arg("--json")
        .env("BATON_LOG", "error")
        .stdout(Stdio::piped())
        .spawn();
    let mut host = Ended(host.context("start baton")?);
    let mut said = BufReader::new(host.0.stdout.take().context("stdout is piped")?);
    let mut ready = String::new();
    said.read_line(&mut ready)?;
    let ready: Value = serde_json::from_str(&ready).context("baton's ready line")?;
    let http = ready["http"].as_str().or_else(|| ready["http"][0].as_str());
    let http = http.with_context(|| format!("baton did not say where it listens: {ready}"))?;
    let http = http.split("://").last().unwrap_or(http);

    let output = Command::new(load)
        .args([
            "--signaling",
            &format!("ws://{}/ws", http.trim_end_matches('/')),
        ])
        .args(["--subscribers", &SUBSCRIBERS.to_string()])
        .args(["--warm-up", "2", "--seconds", "3"])
        .output()
        .context("start load")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "load failed: {complaint}");
    let words = String::from_utf8(output.stdout)?;
    let result: Value = serde_json::from_str(words.lines().last().context("load said nothing")?)?;
    let count = |name: &str| {
        result[name]
            .as_u64()
            .with_context(|| format!("load did not say {name}: {result}"))
    };
    let wanted = count("sent")? * SUBSCRIBERS;
    // A busy computer is late with some; a host that pauses is short of nearly all.
    ensure!(
        wanted > 0 && count("received")? * 2 > wanted,
        "less than half of {wanted} packets came: {result}"
    );
    Ok(())
}
