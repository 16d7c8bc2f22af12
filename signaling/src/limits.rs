//! Bounds of the service, with defaults from `research/reliability.md` section 3. What both sides of a link must know
//! is in `baton_protocol::limits`.

use std::time::Duration;

use crate::hosting::HostingRules;

/// What one service admits, and how long it waits.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Rooms at a time.
    pub rooms: usize,
    /// Participants of one room.
    pub participants: usize,
    /// WebSockets at a time, joined or not.
    pub sockets: usize,
    /// WebSockets that have not joined yet.
    pub strangers: usize,
    /// WebSockets of one remote address (IPv6: of one /64). Loopback is exempt: proxies live there.
    pub sockets_per_address: usize,
    /// Wrong tokens of one remote address within a minute, before nothing of it is listened to for another minute.
    pub failed_tokens: u32,
    /// WHIP and WHEP sessions at a time.
    pub sessions: usize,
    /// From the upgrade to a valid `join`.
    pub join_timeout: Duration,
    /// How long a participant without a socket is kept.
    pub resume_window: Duration,
    /// How long an empty room is kept.
    pub empty_room: Duration,
    /// How long a host has to answer an offer.
    pub answer_timeout: Duration,
    /// How long a vanished host keeps its rooms before another one may take them.
    pub host_grace: Duration,
    /// How long WHIP and WHEP sessions outlive the link of their host, which alone knows when their legs end.
    pub orphaned_session: Duration,
    /// Messages per second of one participant.
    pub message_rate: u32,
    /// Messages at once of one participant.
    pub message_burst: u32,
    /// Refusals (too fast, malformed) before the socket is closed.
    pub strikes: u32,
    /// Messages waiting for a slow reader.
    pub queue_messages: usize,
    /// Bytes waiting for a slow reader.
    pub queue_bytes: usize,
    /// Between two pings.
    pub ping_interval: Duration,
    /// A socket silent for this long is dead.
    pub dead_after: Duration,
    /// Who may carry calls, and how they move.
    pub hosting: HostingRules,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rooms: 10_000,
            participants: baton_protocol::limits::MAX_PARTICIPANTS,
            sockets: 20_000,
            strangers: 2_000,
            sockets_per_address: 64,
            failed_tokens: 10,
            sessions: 1_000,
            join_timeout: Duration::from_secs(5),
            resume_window: Duration::from_secs(30),
            empty_room: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(10),
            host_grace: Duration::from_secs(5),
            orphaned_session: Duration::from_secs(300),
            message_rate: 50,
            message_burst: 200,
            strikes: 3,
            queue_messages: 256,
            queue_bytes: 1024 * 1024,
            ping_interval: Duration::from_secs(5),
            dead_after: Duration::from_secs(15),
            hosting: HostingRules::default(),
        }
    }
}
