//! Bounds that both sides of a link know. Each is checked where the bytes come in, before they are parsed.

/// Largest WebSocket message that carries a session description, in bytes. Chromium's offer with 49 slots has 261 KB.
pub const MAX_SDP: usize = 512 * 1024;

/// Largest signaling message: an SDP and what is around it, JSON escapes included.
pub const MAX_MESSAGE: usize = MAX_SDP + 64 * 1024;

/// Largest message on a leg's data channel, in bytes.
pub const MAX_PATH_MESSAGE: usize = 16 * 1024;

/// Longest name of a participant, in bytes.
pub const MAX_NAME: usize = 128;

/// Longest chat text, in bytes.
pub const MAX_CHAT: usize = 4096;

/// Tracks one participant may publish.
pub const MAX_TRACKS: usize = 8;

/// Layers of one track.
pub const MAX_LAYERS: usize = 4;

/// Participants of one room.
pub const MAX_PARTICIPANTS: usize = 1000;

/// Legs one participant may have at a time: the one in use, its successor, and a warm one to the standby.
pub const MAX_LEGS: usize = 4;

/// m-lines of one offer.
pub const MAX_MEDIA_LINES: usize = 80;

/// Remote ICE candidates of one leg and generation.
pub const MAX_CANDIDATES: usize = 20;

/// Addresses of one host that tell whoever asks how it is seen.
pub const MAX_REFLECTORS: usize = 8;

/// Removals that a host keeps for signaling; those that expire first make room.
pub const MAX_DENIALS: usize = 10_000;

/// Participants named to a room because their lines do badly.
pub const MAX_LINES: usize = 50;

/// Tracks that one host offers another over a bridge.
pub const MAX_BRIDGE_TRACKS: usize = 256;

/// Streams that one host takes from another over a bridge.
pub const MAX_PULLS: usize = 1024;

/// Largest message on a bridge's control channel, in bytes: what SCTP takes at once.
pub const MAX_BRIDGE_MESSAGE: usize = 64 * 1024;
