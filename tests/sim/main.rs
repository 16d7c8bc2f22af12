//! Whole meetings in simulated time: the real signaling registry and real engines, scripted people with a browser's habits, and a
//! network whose every whim comes from one seed. One thread, no socket, no clock, no sleep.
//!
//! Owns the world (`world`), the people in it (`participant`, `camera`, `microphone`, `receiver`, `ear`), the network (`network`) and what
//! may never happen (`oracle`, `tap`). Does not own how processes, browsers and real sockets behave: that is `tests/e2e`.
//!
//! `BATON_SEEDS=500 cargo test -p baton-tests --test sim random` sweeps more seeds than the committed ones.

mod camera;
mod download;
mod ear;
mod lab;
mod meta;
mod microphone;
mod network;
mod offer;
mod oracle;
mod packets;
mod participant;
mod properties;
mod queue;
mod receiver;
mod stories;
mod story;
mod tap;
mod world;
