//! Stories about rooms, told to the registry without any socket or clock.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a story picks the messages it is about"
)]

mod electing;
mod failover;
mod heirs;
mod hosts;
mod moving;
mod people;
mod properties;
mod restart;
mod sessions;
mod stage;
mod staying;
