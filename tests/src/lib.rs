//! The lab: what the tests and the benchmarks share.
//!
//! Owns worlds to run things in (network namespaces, lines with delay and loss) and an independent load
//! generator. It does not own the stories: those are in `house`, `e2e` and `src/bin`.
//!
//! The lab speaks to what it measures only over the wire, so that a fault in the engine cannot hide in the ruler.

#![forbid(unsafe_code)]

pub mod cpu;
pub mod join;
pub mod lab;
pub mod link;
pub mod netns;
pub mod offer;
pub mod peer;
pub mod repository;
pub mod srtp;
pub mod traffic;
