//! The host: the library that forwards media for rooms, whoever's computer it runs on.
//!
//! [`Host`] is the engine with what it must not have itself: sockets, threads, a clock, and a link to signaling.
//! The central host and a promoted participant start it the same way; nothing here knows the `baton` binary, its
//! configuration or its web page (they live in `main.rs` and `app/`).
//!
//! Way of a datagram: `host/socket.rs` receives a batch, `host/worker.rs` feeds it to its engine (or hands it to the
//! worker that owns the leg: `host/handover.rs`), then drains the engine into `host/socket.rs` again.
//! Way of a command: [`HostLink`] (in process, or `link/remote.rs` over a WebSocket), `host.rs` picks the worker of the
//! room, the worker obeys; messages go back over the same link.
//!
//! What every program at the edge of a call needs is here once: a [`link::Socket`] to signaling that notices when it is dead,
//! and [`StopSignals`]. What serves a page to people is here too, for `baton` and for a computer that is all there is
//! ([`Standalone`]): [`http`] and [`SelfSigned`] certificates.

#![forbid(unsafe_code)]

mod certificate;
mod host;
pub mod http;
pub mod link;
pub mod papers;
pub mod standalone;
mod stop;
pub mod successor;

pub use baton_engine::RelayServer;
pub use baton_engine::rtp::Origin;
pub use baton_engine::sdp::Fingerprint;
pub use baton_engine::transport::Certificate;
pub use certificate::{CERTIFICATE_LIFE, CertificateDigest, InvalidDigest, SelfSigned};
pub use host::announce::{Announced, reachable_addresses};
// Not for programs, whose host asks its tenure by itself: for the test that drives it without threads and sockets.
#[doc(hidden)]
pub use host::clock::{BootTime, Moment};
pub use host::inside::{Inside, Wire};
pub use host::snapshot::{Snapshot, Snapshots, Traffic};
#[doc(hidden)]
pub use host::tenure::{Tenure, Verdict};
pub use host::{Host, HostConfig, StartError};
pub use link::HostLink;
pub use standalone::Standalone;
pub use stop::StopSignals;
