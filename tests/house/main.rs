//! Rules of the house that matter enough to be tests: who may depend on whom, what is pure, how long a file is,
//! and whether the documents tell the truth.
//!
//! Every rule is a function from text to complaints, so that each can be shown to fail on a planted fault.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arrows;
mod documents;
mod lints;
mod purity;
mod sizes;
mod source;

/// Fails with every complaint on a line of its own.
fn expect_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n  {}", complaints.join("\n  "));
}
