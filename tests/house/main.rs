//! Rules of the house that matter enough to be tests: who may depend on whom, what is pure, how long a file is,
//! and whether the documents tell the truth.
//!
//! Every rule is a function from text to complaints, so that each can be shown to fail on a planted fault.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use baton_tests::repository;
use serde_json::Value;

mod arrows;
mod commands;
mod documents;
mod lints;
mod purity;
mod sizes;
mod source;

/// Fails with every complaint on a line of its own.
fn expect_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n  {}", complaints.join("\n  "));
}

/// What `cargo metadata` says of the packages here.
fn workspace() -> Value {
    let output = std::process::Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(repository::root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}
