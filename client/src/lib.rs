//! A participant without a browser: comes into a room, receives what the others show, and leaves.
//!
//! [`Call`] is the whole of it. It owns a [`session`] (the socket to signaling), the [`room`] as signaling tells it, and a
//! [`leg`] to whoever is host; [`view`] decides what the leg's slots show. Everything below `Call` only reports: events
//! come up by queues that `Call` reads, commands go down by queues that never make it wait, so that [`Call::next`] may
//! be given up and asked again at any time.
//!
//! What is sent is a [`publish::Publication`], which a [`publish::Feed`] is played into and any number of legs carry; what comes
//! is put together by [`assembly`] and written by [`record`]. [`media`] knows codecs and files.
//!
//! Pure, without sockets and clocks: `assembly`, `caps`, `invite`, `ladder`, `media`, `offer`, `reception`, `room`, `view` and most
//! of `publish`. The binary's own parts (command line, terminal view, lines and JSON on stdout) live in `main.rs` and `app/`.
//! Carrying a call for the others is [`carry`]'s: `baton-server`'s host in the same process, within what its owner allows ([`caps`]).
//! Carrying a call alone is `baton-server`'s `standalone`, which `app/` starts.

#![forbid(unsafe_code)]

pub mod assembly;
pub mod call;
pub mod caps;
pub mod carry;
pub mod folder;
pub mod invite;
mod ladder;
pub mod leg;
pub mod media;
mod offer;
pub mod publish;
pub mod ramp;
pub mod reception;
pub mod record;
pub mod room;
pub mod session;
mod stage;
pub mod view;

pub use call::{Call, CallEvent, Ending, Plan, SlotReport};
pub use carry::{Carrying, Consent};
pub use invite::{InvalidInvite, Invite};
pub use publish::Publication;
pub use reception::{Reception, Tally};
pub use room::{Change, Room};
