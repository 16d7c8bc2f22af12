//! Who carries the call, checked against every mishap at once: the real `Registry` of signaling, the real `Tenure` and `Roster` of
//! hosts, and participants who believe by the native client's own rules, in simulated time. Each run is explained by its seed.
//!
//! Owns the world (`world`), its sockets and lines (`network`), hosts and guests (`host`, `guest`), what goes wrong (`faults`) and
//! what must never be (`invariants`). Does not own media: packets are only sent or not. Real engines are in `tests/sim`.
//!
//! `BATON_RUNS=1000000 cargo test -p baton-tests --test model` runs so many seeds on all processors; `BATON_SEED=7` tells one run.

mod agenda;
mod faults;
mod forgery;
mod guest;
mod host;
mod invariants;
mod network;
#[cfg(test)]
mod runs;
mod tally;
mod together;
mod words;
mod world;
