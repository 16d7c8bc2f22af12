//! Signaling and host: the same words whether both live in one process or talk over a WebSocket on `/host`.
//!
//! Commands carry wanted state, not steps: [`Negotiate`] says all tracks of a leg, and repeating it is harmless.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    BridgeEnd, BridgeId, Epoch, Fitness, Grants, HostId, HostKind, HostLoad, HostRole, LegId,
    LineQuality, MediaKind, ParticipantId, RoomId, StepDownReason, TrackId, TrackInfo,
};

/// From signaling to a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum HostCommand {
    /// The host was accepted and is known by this number.
    Accepted {
        /// Its number from now on.
        host: HostId,
        /// The Ed25519 key that signs grants and tickets: 32 bytes, base64url without padding.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signing_key: Option<String>,
    },
    /// What the host is in a room from now on, whole. A participant's computer answers [`HostRole::Next`] by
    /// [`HostMessage::Prepared`] or [`HostMessage::Declined`].
    Serve {
        /// Which room.
        room: RoomId,
        /// The term that this is about; an older one than the host has seen is refused.
        epoch: Epoch,
        /// What it is.
        role: HostRole,
        /// The term's [`crate::GrantClaims`], signed; absent for standby, aside and draining.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grant: Option<String>,
        /// How long it may be so without [`HostCommand::Lease`], in milliseconds from when it was asked; absent: no lease is
        /// needed (the operator's own hosts).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease_ms: Option<u32>,
        /// Participants keep a leg to another host for the case that this one dies, so it says that it lives. Whoever needs a lease
        /// does so anyway.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        beats: bool,
    },
    /// A lease was renewed: it holds for `valid_ms` from the moment when the renewal was *sent*.
    Lease {
        /// Which room.
        room: RoomId,
        /// Which term.
        epoch: Epoch,
        /// As in [`HostMessage::Renew`].
        count: u32,
        /// In milliseconds.
        valid_ms: u32,
    },
    /// Find out what the uplink carries: send padding towards the present host, rising to `up_to_bps`. The other side measures
    /// ([`HostMessage::Lines`]). Stops by itself at the budget or when the line fills.
    ProbeUplink {
        /// Which room.
        room: RoomId,
        /// Highest rate that is of interest.
        up_to_bps: u64,
        /// Bytes that may be spent.
        budget_bytes: u64,
    },
    /// Open or change a leg; answered by [`HostMessage::Answer`] or [`HostMessage::Refused`].
    Negotiate(Negotiate),
    /// Restart ICE of a leg without a new offer (RFC 9725 section 4.3.3); answered by [`HostMessage::IceRestarted`] or a refusal.
    RestartIce {
        /// Room of the leg.
        room: RoomId,
        /// Whose leg.
        participant: ParticipantId,
        /// Which leg.
        leg: LegId,
        /// Comes back in the reply.
        request: u32,
        /// The participant's new credentials.
        ice: IceParameters,
    },
    /// One more ICE candidate of the participant.
    Candidate {
        /// Room of the leg.
        room: RoomId,
        /// Whose leg.
        participant: ParticipantId,
        /// Which leg.
        leg: LegId,
        /// As in [`crate::PeerMessage::Candidate`].
        candidate: String,
    },
    /// Mute or unmute a track at once, whatever its publisher still sends.
    SetMuted {
        /// Room of the track.
        room: RoomId,
        /// Which track.
        track: TrackId,
        /// Forward nothing while true.
        muted: bool,
    },
    /// Close one leg of a participant, or all.
    Close {
        /// Room of the leg.
        room: RoomId,
        /// Whose.
        participant: ParticipantId,
        /// Absent: all legs; the participant is gone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leg: Option<LegId>,
    },
    /// To the participant's computer that carries the call, or is about to: join the operator's host, which serves those who stay there.
    /// Answered by [`HostMessage::BridgeOffered`].
    OpenBridge {
        /// Which room.
        room: RoomId,
        /// The computer's term.
        epoch: Epoch,
        /// Which bridge.
        bridge: BridgeId,
    },
    /// To the operator's host: what that computer offers. Answered by [`HostMessage::BridgeAnswered`].
    AnswerBridge {
        /// Which room.
        room: RoomId,
        /// The room's term.
        epoch: Epoch,
        /// Which bridge.
        bridge: BridgeId,
        /// The computer's end.
        end: BridgeEnd,
    },
    /// To the computer: what the operator's host answers.
    JoinBridge {
        /// Which room.
        room: RoomId,
        /// The computer's term.
        epoch: Epoch,
        /// Which bridge.
        bridge: BridgeId,
        /// The host's end.
        end: BridgeEnd,
        /// [`crate::TicketClaims`] for participant 0 on the leg with the bridge's number, signed.
        ticket: String,
    },
    /// If this service dies with the only computer that it runs on, this computer serves signaling (see [`crate::Fitness::signaling`]),
    /// for as long as it carries the call or stands by.
    Inherit {
        /// Which room.
        room: RoomId,
        /// What it signs with then: made for it alone. Base64url without padding.
        secret: String,
        /// What guests show in the place of a token; absent where there is no such thing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
    },
    /// To both: the bridge is not needed any more.
    CloseBridge {
        /// Which room.
        room: RoomId,
        /// Which bridge.
        bridge: BridgeId,
    },
    /// Forget a room.
    CloseRoom {
        /// Which.
        room: RoomId,
    },
    /// Who was removed: nothing to be done, but to be said again in the next [`HostHello`].
    Deny {
        /// Removals, beside those that are known.
        denials: Vec<Denial>,
    },
    /// By what signaling knows the owner of a leg again: to be said again in the next [`HostHello`], with the leg.
    Remember {
        /// Room of the leg.
        room: RoomId,
        /// Whose leg.
        participant: ParticipantId,
        /// Which leg.
        leg: LegId,
        /// Signed by signaling, and only of use there.
        memento: String,
    },
    /// A type this version does not know: ignored.
    #[serde(other)]
    Unknown,
}

/// Everything a host needs to serve a leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiate {
    /// Room of the leg.
    pub room: RoomId,
    /// The host's term in this room; a host refuses an older one than it has seen.
    pub epoch: Epoch,
    /// Whose leg.
    pub participant: ParticipantId,
    /// Which leg; a new number opens a new connection beside the old.
    pub leg: LegId,
    /// Comes back in the reply.
    pub request: u32,
    /// What the participant may do.
    pub grants: Grants,
    /// The participant's offer.
    pub sdp: String,
    /// What the leg publishes.
    pub tracks: Tracks,
    /// Who chooses what the leg's slots show.
    pub view: ViewMode,
    /// [`crate::TicketClaims`], signed: a participant's computer takes no offer without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

/// How the published tracks of an offer are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tracks {
    /// The participant said which m-line is what.
    Declared(Vec<TrackInfo>),
    /// A peer that only speaks SDP (WHIP): the host names every m-line that sends, in order, with these numbers. First video is the
    /// camera, second the screen; first audio is the microphone, second the screen's sound.
    Derived(Vec<TrackId>),
}

/// Who chooses what a leg's slots show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum ViewMode {
    /// The participant, over the data channel.
    #[default]
    Wanted,
    /// The host: loudest audio, active speakers and screens (WHEP).
    Auto,
    /// The host: everything of one participant (WHEP `?participant=`).
    Participant {
        /// Whom.
        participant: ParticipantId,
    },
    /// The host: one track (WHEP `?track=`).
    Track {
        /// Which.
        track: TrackId,
    },
}

/// ICE credentials (RFC 8839 section 5.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceParameters {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub pwd: String,
}

/// From a host to signaling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum HostMessage {
    /// First message of a link: who it is and what it serves already.
    Hello(HostHello),
    /// Reply to [`Negotiate`].
    Answer(Answer),
    /// Reply to [`HostCommand::RestartIce`].
    IceRestarted {
        /// Room of the leg.
        room: RoomId,
        /// Whose leg.
        participant: ParticipantId,
        /// Which leg.
        leg: LegId,
        /// As in the command.
        request: u32,
        /// The host's new credentials.
        ice: IceParameters,
        /// The host's candidates, as values of `a=candidate`.
        candidates: Vec<String>,
    },
    /// An offer or a restart was refused; an older state of the leg stays as it was.
    Refused(Refusal),
    /// Reply to [`HostCommand::Serve`] with [`HostRole::Next`]: offers of that epoch may come.
    Prepared {
        /// Which room.
        room: RoomId,
        /// As in the command.
        epoch: Epoch,
    },
    /// The owner's caps or the system say no.
    Declined {
        /// Which room.
        room: RoomId,
        /// As in the command.
        epoch: Epoch,
        /// For people.
        reason: String,
    },
    /// Every two seconds from a participant's computer that carries a call.
    Renew {
        /// Which room.
        room: RoomId,
        /// Which term.
        epoch: Epoch,
        /// Grows by one each time.
        count: u32,
        /// How it is doing.
        load: HostLoad,
    },
    /// The host wants to be rid of the call. It goes on until it is drained, for as long as it can.
    StepDown {
        /// Which room.
        room: RoomId,
        /// Which term.
        epoch: Epoch,
        /// Why.
        reason: StepDownReason,
    },
    /// Every two seconds from a computer that was offered.
    Fitness {
        /// In which room.
        room: RoomId,
        /// The whole of it.
        fitness: Fitness,
    },
    /// Every two seconds from the active host of a room that has candidates: what it measured of everybody's line, whole.
    Lines {
        /// Which room.
        room: RoomId,
        /// One entry per participant with a connected leg.
        lines: Vec<LineQuality>,
    },
    /// After `hello`, from an operator's host: whoever asks at one of these addresses (STUN Binding) is told under which address it is
    /// seen. Participants are told of it, for the sake of computers behind NATs.
    Reflects {
        /// At most [`crate::limits::MAX_REFLECTORS`].
        at: Vec<SocketAddr>,
    },
    /// Reply to [`HostCommand::OpenBridge`].
    BridgeOffered {
        /// Which room.
        room: RoomId,
        /// As in the command.
        bridge: BridgeId,
        /// How this host is reached.
        end: BridgeEnd,
    },
    /// Reply to [`HostCommand::AnswerBridge`].
    BridgeAnswered {
        /// Which room.
        room: RoomId,
        /// As in the command.
        bridge: BridgeId,
        /// How this host is reached.
        end: BridgeEnd,
    },
    /// A bridge changed, from both of its hosts; closed also where it could not be opened.
    Bridge {
        /// Which room.
        room: RoomId,
        /// Which bridge.
        bridge: BridgeId,
        /// What it is now; connected once its control channel is open.
        state: LegState,
    },
    /// A leg changed.
    Leg {
        /// Room of the leg.
        room: RoomId,
        /// Whose leg.
        participant: ParticipantId,
        /// Which leg.
        leg: LegId,
        /// What it is now.
        state: LegState,
    },
    /// A type this version does not know: ignored.
    #[serde(other)]
    Unknown,
}

/// Who a host is, and what it serves: enough for a restarted signaling service to know its rooms again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostHello {
    /// Highest protocol version the host speaks.
    pub protocol: u16,
    /// What people call it.
    pub name: String,
    /// Whose computer.
    pub kind: HostKind,
    /// Number it had before, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// SHA-256 of its DTLS certificate, as in [`crate::GrantClaims::fingerprint`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Rooms with living legs.
    #[serde(default)]
    pub rooms: Vec<RosterRoom>,
    /// What [`HostCommand::Deny`] said, at most [`crate::limits::MAX_DENIALS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denials: Vec<Denial>,
}

/// A removal from a room, kept by hosts so that it outlives signaling. Times in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Denial {
    /// Whom and where: a seal that only signaling can make, so that a host neither learns it nor invents another.
    pub mark: String,
    /// Tokens issued until then are not believed any more.
    pub removed_at: u64,
    /// When the last of them has expired.
    pub until: u64,
}

/// One room as a host serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterRoom {
    /// Which.
    pub room: RoomId,
    /// Highest epoch seen.
    pub epoch: Epoch,
    /// What it is there; absent from hosts that were never told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<HostRole>,
    /// The grant by which it carries the room, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// Living legs.
    pub legs: Vec<RosterLeg>,
}

/// One leg as a host serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterLeg {
    /// Whose.
    pub participant: ParticipantId,
    /// Which.
    pub leg: LegId,
    /// What it publishes.
    pub tracks: Vec<TrackInfo>,
    /// What [`HostCommand::Remember`] said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memento: Option<String>,
}

/// A host's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Room of the leg.
    pub room: RoomId,
    /// The term it was given in.
    pub epoch: Epoch,
    /// Whose leg.
    pub participant: ParticipantId,
    /// Which leg.
    pub leg: LegId,
    /// As in the command.
    pub request: u32,
    /// Session description.
    pub sdp: String,
    /// What the leg publishes, as the host understood it.
    pub tracks: Vec<TrackInfo>,
    /// Receive slots by kind, in m-line order: (kind, mid).
    pub slots: Vec<(MediaKind, String)>,
}

/// Why a host refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Room of the leg.
    pub room: RoomId,
    /// Whose leg.
    pub participant: ParticipantId,
    /// Which leg.
    pub leg: LegId,
    /// As in the command.
    pub request: u32,
    /// For people: what was wrong in the offer, and where.
    pub message: String,
}

/// What became of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegState {
    /// ICE and DTLS are up: media may flow.
    Connected,
    /// Nothing authenticated was heard for a while; may come back.
    Silent,
    /// Over.
    Closed,
}
