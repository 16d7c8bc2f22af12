//! A participant without a browser: comes into a room, receives what the others show, and leaves.
//!
//! [`Call`] is the whole of it. It owns a [`session`] (the socket to signaling), the [`room`] as signaling tells it, and a
//! [`leg`] to whoever is host; [`view`] decides what the leg's slots show. Everything below `Call` only reports: events
//! come up by queues that `Call` reads, commands go down by queues that never make it wait, so that [`Call::next`] may
//! be given up and asked again at any time.
//!
//! Pure, without sockets and clocks: `invite`, `ladder`, `reception`, `room`, `view`. The binary's own parts (command
//! line, lines and JSON on stdout) live in `main.rs` and `app/`. Carrying a call for others is not here yet: it will
//! stand beside `leg` and run `baton-server`'s host.

#![forbid(unsafe_code)]

pub mod assembly;
pub mod call;
pub mod invite;
mod ladder;
pub mod leg;
pub mod media;
mod offer;
pub mod publish;
pub mod reception;
pub mod record;
pub mod room;
pub mod session;
pub mod view;

pub use call::{Call, CallEvent, Ending, Plan, SlotReport};
pub use invite::{InvalidInvite, Invite};
pub use publish::Publication;
pub use reception::{Reception, Tally};
pub use room::{Change, Room};
