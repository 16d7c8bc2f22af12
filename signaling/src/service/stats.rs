//! Numbers for metrics: gauges of now and counters since the start.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use baton_protocol::{ErrorCode, PeerMessage};

use crate::registry::Registry;

/// Numbers of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Rooms now.
    pub rooms: usize,
    /// Participants now, those who may come back included.
    pub participants: usize,
    /// Participants' WebSockets now.
    pub sockets: usize,
    /// Linked hosts now.
    pub hosts: usize,
    /// Participants who came back to where they were.
    pub resumes: u64,
    /// Sockets that were cut off because they did not read.
    pub cut_off: u64,
    /// Messages of participants by `type`.
    pub messages: Vec<(&'static str, u64)>,
    /// Errors sent by `code`.
    pub errors: Vec<(&'static str, u64)>,
}

const MESSAGES: [&str; 19] = [
    "join",
    "offer",
    "candidate",
    "close_leg",
    "mute",
    "rename",
    "chat",
    "kick",
    "mute_other",
    "move_progress",
    "host_lost",
    "pass_baton",
    "set_hosting_policy",
    "use_server",
    "offer_hosting",
    "leave",
    "ping",
    "unknown",
    "malformed",
];

const ERRORS: [&str; 13] = [
    "malformed",
    "version",
    "unauthorized",
    "forbidden",
    "invalid",
    "not_found",
    "limit",
    "too_fast",
    "stale_epoch",
    "no_host",
    "offer_rejected",
    "not_joined",
    "internal",
];

/// The counters behind [`Stats`], written by every task.
#[derive(Debug, Default)]
pub(super) struct Counters {
    rooms: AtomicUsize,
    participants: AtomicUsize,
    sockets: AtomicUsize,
    hosts: AtomicUsize,
    resumes: AtomicU64,
    cut_off: AtomicU64,
    messages: [AtomicU64; MESSAGES.len()],
    errors: [AtomicU64; ERRORS.len()],
}

impl Counters {
    /// Takes over what the registry has now.
    pub(super) fn observe(&self, registry: &Registry, sockets: usize) {
        self.rooms.store(registry.room_count(), Ordering::Relaxed);
        self.participants
            .store(registry.participant_count(), Ordering::Relaxed);
        self.hosts.store(registry.host_count(), Ordering::Relaxed);
        self.resumes
            .store(registry.resume_count(), Ordering::Relaxed);
        self.sockets.store(sockets, Ordering::Relaxed);
    }

    pub(super) fn count_message(&self, message: &PeerMessage) {
        let index = match message {
            PeerMessage::Join(_) => 0,
            PeerMessage::Offer { .. } => 1,
            PeerMessage::Candidate { .. } => 2,
            PeerMessage::CloseLeg { .. } => 3,
            PeerMessage::Mute { .. } => 4,
            PeerMessage::Rename { .. } => 5,
            PeerMessage::Chat { .. } => 6,
            PeerMessage::Kick { .. } => 7,
            PeerMessage::MuteOther { .. } => 8,
            PeerMessage::MoveProgress { .. } => 9,
            PeerMessage::HostLost { .. } => 10,
            PeerMessage::PassBaton { .. } => 11,
            PeerMessage::SetHostingPolicy { .. } => 12,
            PeerMessage::UseServer { .. } => 13,
            PeerMessage::OfferHosting { .. } => 14,
            PeerMessage::Leave => 15,
            PeerMessage::Ping { .. } => 16,
            PeerMessage::Unknown => 17,
        };
        self.messages[index].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_malformed(&self) {
        self.messages[18].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_error(&self, code: ErrorCode) {
        let index = match code {
            ErrorCode::Malformed => 0,
            ErrorCode::Version => 1,
            ErrorCode::Unauthorized => 2,
            ErrorCode::Forbidden => 3,
            ErrorCode::Invalid => 4,
            ErrorCode::NotFound => 5,
            ErrorCode::Limit => 6,
            ErrorCode::TooFast => 7,
            ErrorCode::StaleEpoch => 8,
            ErrorCode::NoHost => 9,
            ErrorCode::OfferRejected => 10,
            ErrorCode::NotJoined => 11,
            ErrorCode::Internal => 12,
        };
        self.errors[index].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_cut_off(&self) {
        self.cut_off.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> Stats {
        let counts = |names: &'static [&'static str], counters: &[AtomicU64]| {
            let counts = counters
                .iter()
                .map(|counter| counter.load(Ordering::Relaxed));
            names.iter().copied().zip(counts).collect()
        };
        Stats {
            rooms: self.rooms.load(Ordering::Relaxed),
            participants: self.participants.load(Ordering::Relaxed),
            sockets: self.sockets.load(Ordering::Relaxed),
            hosts: self.hosts.load(Ordering::Relaxed),
            resumes: self.resumes.load(Ordering::Relaxed),
            cut_off: self.cut_off.load(Ordering::Relaxed),
            messages: counts(&MESSAGES, &self.messages),
            errors: counts(&ERRORS, &self.errors),
        }
    }
}
