//! Passing the baton: who carries the call, who would take over, and a move under way.
//!
//! [`Hosting`] is the whole of it as one participant is told it, again with every change: what it names and what one has is
//! compared, legs are opened and closed accordingly, and losing one of these messages costs nothing once the next is there.
//! What decides (election, leases) is signaling's; how legs change over is the participant's.

use serde::{Deserialize, Serialize};

use crate::{Epoch, HostId, HostKind, HostTerm, ParticipantId, RoomId};

/// A process that forwards or would, and whose computer it runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HostSeat {
    /// Which.
    pub host: HostId,
    /// Whose computer.
    pub kind: HostKind,
    /// What people call it.
    pub name: String,
    /// The participant whose computer it is; absent for the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub owner: Option<ParticipantId>,
}

/// Everything a participant has to know about who carries the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Hosting {
    /// The term that counts. Nothing of an older epoch is believed.
    pub term: HostTerm,
    /// The participant whose computer the term's host is; absent for the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub owner: Option<ParticipantId>,
    /// The term's [`GrantClaims`], signed. The answer of the host must show the fingerprint that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub grant: Option<String>,
    /// The host to which the receiver's own media goes: the term's, or the server for who stays there.
    pub mine: HostId,
    /// Who takes over at once when the host dies: everybody keeps a silent leg there. Absent while there is no use for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub standby: Option<HostSeat>,
    /// A move under way. When it is gone again the term says whether it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub moving: Option<Moving>,
    /// What may carry this room.
    pub policy: HostingPolicy,
    /// Computers that were offered, those that cannot carry the call included.
    pub candidates: Vec<CandidateInfo>,
}

/// A planned change of hosts: make before break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Moving {
    /// The epoch of the term that begins if it succeeds; offers to `to` name it.
    pub epoch: Epoch,
    /// Where to.
    pub to: HostSeat,
    /// How far it is.
    pub phase: MovePhase,
    /// The next term's [`GrantClaims`], signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub grant: Option<String>,
}

/// How far a move is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum MovePhase {
    /// Open a leg to the new host; send and show nothing there yet. Say [`MoveStep::Ready`] once it is connected.
    Prepare,
    /// Publish to both hosts, show one picture after the other from the new one, the active speaker's first. Say
    /// [`MoveStep::Switched`] when everything that is shown and heard comes from there.
    Switch,
}

/// What a participant says of its part in a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum MoveStep {
    /// The leg to the new host is connected and its data channel open.
    Ready,
    /// All that is shown and heard comes from the new host.
    Switched,
    /// The new host cannot be reached.
    Failed,
}

/// What may carry a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum HostingPolicy {
    /// Only the operator's servers.
    Central,
    /// A participant's computer where that is better by a margin.
    #[default]
    Auto,
    /// A participant's computer wherever one can.
    PreferParticipant,
}

/// A computer that its owner offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CandidateInfo {
    /// Which computer.
    pub seat: HostSeat,
    /// Could it carry the call now?
    pub fit: bool,
    /// Why not, in words for people.
    pub why_not: Vec<String>,
}

/// What a host is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostRole {
    /// May answer offers of the coming epoch; the room has another host still.
    Next,
    /// Carries the call.
    Active,
    /// Keeps silent legs for the case that the active host dies.
    Standby,
    /// Serves those who stay on the server while a participant's computer carries the call for the others.
    Aside,
    /// Carried the call; forwards until its legs are closed, and takes no new ones.
    Draining,
}

/// Claims of a grant: a JWT (EdDSA, `typ` `baton-grant+jwt`) by which signaling makes a process the host of a room for a term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantClaims {
    /// Which room.
    pub room: RoomId,
    /// Which term.
    pub epoch: Epoch,
    /// Which process.
    pub host: HostId,
    /// SHA-256 of its DTLS certificate, as in `a=fingerprint`: 32 pairs of capital hex digits with colons between.
    pub fingerprint: String,
    /// Who takes over if it dies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standby: Option<HostId>,
    /// Seconds since 1970.
    pub iat: u64,
    /// Seconds since 1970. Only says until when it may be used to begin; the host's lease says how long it may go on.
    pub exp: u64,
}

/// Claims of a ticket: a JWT (EdDSA, `typ` `baton-ticket+jwt`) by which signaling lets a guest onto a participant's computer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketClaims {
    /// Which room.
    pub room: RoomId,
    /// The term for which it is good.
    pub epoch: Epoch,
    /// Who is let in.
    pub sub: ParticipantId,
    /// On which leg.
    pub leg: crate::LegId,
    /// The guest's own DTLS certificate, as in [`GrantClaims::fingerprint`]: the offer must show the same.
    pub cnf: String,
    /// The host's fingerprint: no other host takes it.
    pub aud: String,
    /// Number of the ticket; a host takes each once.
    pub jti: u64,
    /// Seconds since 1970; at most 60 after `iat`.
    pub exp: u64,
    /// Seconds since 1970.
    pub iat: u64,
}

/// What a computer that was offered says of itself. What others can measure of it (uplink, loss, round trip) is not asked here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fitness {
    /// Free share of one core, in percent of a core; 100 per idle core.
    pub cpu_free_percent: u16,
    /// What it is fed by.
    pub power: PowerSource,
    /// Its line costs by the byte.
    pub metered: bool,
    /// Bits per second that its owner lets it send; absent: no cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink_cap_bps: Option<u64>,
    /// Guests that its owner allows; absent: no cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guests_cap: Option<u16>,
    /// What its owner's caps say against it, in words for people. Not empty: it would decline.
    #[serde(default)]
    pub objections: Vec<String>,
    /// Participants to whom it has a working leg (by a real ICE pair), and the round trip to each in milliseconds.
    #[serde(default)]
    pub reached: Vec<(ParticipantId, u32)>,
    /// Where it would serve signaling, should the service die with the only computer that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signaling: Option<SignalingPlace>,
}

/// Where signaling would be, once it is needed there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalingPlace {
    /// Addresses of the room's page (`https://…/r/room`), the likeliest first.
    pub urls: Vec<String>,
    /// SHA-256 of the certificate, which nobody vouches for: 64 hex digits.
    pub sha256: String,
}

/// What a computer is fed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerSource {
    /// Mains.
    Mains,
    /// Its battery, with this charge in percent.
    Battery(u8),
    /// The system does not say.
    Unknown,
}

/// What a host measured of a participant's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineQuality {
    /// Whose.
    pub participant: ParticipantId,
    /// Bits per second that came from it in its best half second of the last two seconds.
    pub received_bps: u64,
    /// Lost on the way to the host, in parts per million of the last two seconds.
    pub loss_ppm: u32,
    /// Jitter of what came (RFC 3550 section 6.4.1), in microseconds.
    pub jitter_us: u32,
    /// Round trip, in microseconds; 0 where unknown.
    pub rtt_us: u32,
    /// Bits per second that the host could send to it.
    pub estimate_bps: u64,
}

/// How a host that carries a call is doing, with each renewal of its lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostLoad {
    /// Connected legs.
    pub legs: u16,
    /// Bits per second that it sent since the last renewal.
    pub sent_bps: u64,
    /// Longest time anything waited for a leg's line since the last renewal, in milliseconds.
    pub queue_ms: u32,
    /// Share of what was sent that was reported lost, in parts per million.
    pub loss_ppm: u32,
    /// Free share of the core that forwards, in percent; less where it waits for one. 0: it is not known.
    pub cpu_free_percent: u16,
    /// Legs whose packets wait for more than 100 ms.
    #[serde(default)]
    pub legs_queueing: u16,
    /// Legs that lose more than 2 %.
    #[serde(default)]
    pub legs_losing: u16,
    /// Legs that get clearly less than they want because no more fits.
    #[serde(default)]
    pub legs_short: u16,
}

impl HostLoad {
    /// Do so many of its legs do badly that it is its own line, and not theirs? Two of them may be under its own roof.
    pub fn is_general(&self, bad: u16) -> bool {
        bad >= 2 || (bad == 1 && self.legs <= 3)
    }
}

/// Why a host does not want to carry the call any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepDownReason {
    /// Its owner pressed stop.
    Owner,
    /// The program ends.
    Shutdown,
    /// The computer is about to sleep.
    Suspend,
    /// Battery, metered line or another cap of its owner.
    Cap,
    /// Its line or processor is not enough.
    Overload,
}
