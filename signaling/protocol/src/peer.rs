//! Participant and signaling: one JSON object per WebSocket text frame on `/ws`.
//!
//! The first frame of a connection is [`PeerMessage::Join`]; its reply is [`ServiceMessage::Joined`] or a fatal
//! [`ServiceMessage::Error`]. State travels whole and replaces what was known (a participant's tracks, an offer's tracks), so that
//! a lost or repeated message cannot leave two sides with different halves of it.

use serde::{Deserialize, Serialize};

use crate::{
    Epoch, Grants, HostId, HostTerm, Hosting, HostingPolicy, LegId, MoveStep, ParticipantId,
    RoomId, TrackId, TrackInfo, TrackOffer,
};

/// From a participant to signaling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum PeerMessage {
    /// Enter a room, or come back to it.
    Join(Join),
    /// Open or change a leg to the host of `epoch`. `tracks` is everything the leg publishes from now on.
    Offer {
        /// Which leg; a number not seen before opens a new one.
        leg: LegId,
        /// The term whose host shall answer.
        epoch: Epoch,
        /// Which host: the term's if absent. The standby and the host that a move goes to are named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        host: Option<HostId>,
        /// SHA-256 of the leg's own DTLS certificate, as in `a=fingerprint`. Needed for a participant's computer, whose ticket
        /// is bound to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        fingerprint: Option<String>,
        /// Session description, opaque to signaling.
        sdp: String,
        /// All tracks of this leg. A track that was offered before and is missing is unpublished.
        #[serde(default)]
        tracks: Vec<TrackOffer>,
    },
    /// One more ICE candidate of a leg; an empty text ends the list.
    Candidate {
        /// Which leg.
        leg: LegId,
        /// Value of `candidate` in the browser's `RTCIceCandidate`.
        candidate: String,
    },
    /// A leg is no longer used.
    CloseLeg {
        /// Which leg.
        leg: LegId,
    },
    /// Mute or unmute an own track.
    Mute {
        /// Which track.
        track: TrackId,
        /// Nothing is sent while true.
        muted: bool,
    },
    /// Change the own name.
    Rename {
        /// 1 to 128 bytes.
        name: String,
    },
    /// Say something to everybody, or to one.
    Chat {
        /// 1 to 4,096 bytes.
        text: String,
        /// Only this participant gets it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        to: Option<ParticipantId>,
    },
    /// Remove a participant. Needs `moderate`.
    Kick {
        /// Who goes.
        participant: ParticipantId,
    },
    /// Mute somebody else's track. Needs `moderate`. Nobody can be unmuted by others.
    MuteOther {
        /// Which track.
        track: TrackId,
    },
    /// How far one's own part of a move is.
    MoveProgress {
        /// The epoch that the move leads to.
        epoch: Epoch,
        /// How far.
        step: MoveStep,
    },
    /// The host is silent: one has fallen back to the standby already.
    HostLost {
        /// The term whose host it is.
        epoch: Epoch,
        /// For how long nothing was heard, in milliseconds.
        silent_ms: u32,
    },
    /// Let this computer carry the call, or the server (absent). Needs `moderate`, or that the computer that carries it now is
    /// one's own and `to` is absent.
    PassBaton {
        /// One of [`Hosting::candidates`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        to: Option<HostId>,
    },
    /// Change what may carry the room. Needs `moderate`.
    SetHostingPolicy {
        /// From now on.
        policy: HostingPolicy,
    },
    /// "Use the server for me": never connect this participant to another participant's computer, which would show it the
    /// own address.
    UseServer {
        /// From now on.
        always: bool,
    },
    /// One's own program offers to carry the call; answered by [`ServiceMessage::HostToken`]. Needs `host`.
    OfferHosting {
        /// What people shall call the computer, 1 to 128 bytes.
        name: String,
    },
    /// Go. The socket is closed by signaling.
    Leave,
    /// Is signaling there? Answered by [`ServiceMessage::Pong`].
    Ping {
        /// Comes back unchanged.
        nonce: u32,
    },
    /// A type this version does not know: ignored.
    #[serde(other)]
    Unknown,
}

/// First message of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Join {
    /// Highest protocol version the participant speaks.
    pub protocol: u16,
    /// Which room.
    pub room: RoomId,
    /// Name to show, 1 to 128 bytes. A name in the token wins.
    pub name: String,
    /// JWT. May be absent only where the service is open (loopback without a secret).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub token: Option<String>,
    /// Come back as who one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub resume: Option<Resume>,
}

/// Proof of having been in the room, and what is still running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Resume {
    /// From [`Joined::resume`]. Valid for 30 s after the socket was lost, also across a restart of signaling.
    pub token: String,
    /// The newest term that one believed in. A restarted service that knows of none so new begins a newer one, or nobody who believes
    /// in it would hear of anything any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub epoch: Option<Epoch>,
}

/// Reply to [`Join`]: the room as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Joined {
    /// Version spoken from here on.
    pub protocol: u16,
    /// Which room.
    pub room: RoomId,
    /// Who one is.
    pub me: ParticipantId,
    /// Did this continue an earlier connection? Then legs and tracks are still there.
    pub resumed: bool,
    /// Give this back in [`Resume::token`]. A newer one replaces it.
    pub resume: String,
    /// What one may do.
    pub grants: Grants,
    /// Who forwards.
    pub host: HostTerm,
    /// Everybody who is visible, oneself included.
    pub participants: Vec<ParticipantInfo>,
    /// The service was restarted a moment ago: who is missing here, or has no tracks here, may not have been heard of again yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub gathering: bool,
    /// STUN and TURN servers to use.
    pub ice_servers: Vec<IceServer>,
    /// The Ed25519 key that signs grants: 32 bytes, base64url without padding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub signing_key: Option<String>,
}

/// One entry of `RTCConfiguration.iceServers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct IceServer {
    /// `stun:` or `turn:` addresses.
    pub urls: Vec<String>,
    /// For TURN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub username: Option<String>,
    /// For TURN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub credential: Option<String>,
}

/// One participant as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ParticipantInfo {
    /// Number in the room.
    pub id: ParticipantId,
    /// Name to show.
    pub name: String,
    /// Everything published now.
    pub tracks: Vec<TrackInfo>,
    /// False while the signaling socket is lost and may still be resumed.
    pub connected: bool,
}

/// From signaling to a participant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum ServiceMessage {
    /// Welcome.
    Joined(Joined),
    /// Somebody came, or something about them changed; replaces what was known under this id.
    Participant {
        /// The whole of it.
        participant: ParticipantInfo,
    },
    /// Somebody went.
    ParticipantLeft {
        /// Who.
        participant: ParticipantId,
        /// Why.
        reason: LeaveReason,
    },
    /// The host's answer to an offer.
    Answer {
        /// Which leg.
        leg: LegId,
        /// The term whose host answered.
        epoch: Epoch,
        /// Session description.
        sdp: String,
        /// The leg's tracks with their numbers.
        tracks: Vec<TrackInfo>,
    },
    /// A leg ended on the host's side; a new one has to be offered.
    LegClosed {
        /// Which leg.
        leg: LegId,
        /// For people.
        message: String,
    },
    /// The host changed.
    HostChanged {
        /// The new term.
        host: HostTerm,
    },
    /// Who carries the call, whole: after `joined` and with every change.
    Hosting {
        /// All of it.
        hosting: Hosting,
    },
    /// Where signaling will be, should it die with the only computer that it runs on: an heir has been chosen, or another one.
    Heir {
        /// Invite links; what follows `#sha256=` is the only certificate to be believed there.
        invites: Vec<String>,
        /// [`Resume::token`] for the heir.
        resume: String,
    },
    /// STUN and TURN servers to use from now on, because the credentials for those that were told before end some hours from now. What is in
    /// use goes on with the old ones.
    IceServers {
        /// All of them.
        ice_servers: Vec<IceServer>,
    },
    /// With this the participant's own program opens a link at `/host`, for this room only.
    HostToken {
        /// A bearer token.
        token: String,
    },
    /// A moderator muted a track of the receiver, who shall stop sending it.
    MutedByModerator {
        /// Which track.
        track: TrackId,
        /// Who did it.
        by: ParticipantId,
    },
    /// Somebody said something.
    Chat {
        /// Who.
        from: ParticipantId,
        /// Name at that time.
        name: String,
        /// What.
        text: String,
        /// Set where only the receiver got it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        to: Option<ParticipantId>,
        /// Milliseconds since 1970.
        #[cfg_attr(test, ts(type = "number"))]
        at_ms: u64,
    },
    /// Out. No way back with the same resume token; the socket is closed next.
    Removed {
        /// Why.
        reason: LeaveReason,
    },
    /// Something was refused.
    Error {
        /// For programs.
        code: ErrorCode,
        /// For people: what was wrong, and what to do.
        message: String,
        /// The leg in question, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, ts(optional))]
        leg: Option<LegId>,
        /// The socket is closed next?
        fatal: bool,
    },
    /// Reply to `ping`.
    Pong {
        /// As sent.
        nonce: u32,
    },
    /// A type this version does not know: ignored.
    #[serde(other)]
    Unknown,
}

/// Why a participant is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum LeaveReason {
    /// Said goodbye.
    Left,
    /// Did not come back in time.
    TimedOut,
    /// A moderator removed them.
    Kicked,
    /// The same identity came in again elsewhere.
    Replaced,
    /// The room was closed.
    RoomClosed,
    /// The service stops.
    Shutdown,
}

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum ErrorCode {
    /// Not JSON, or a field is missing or of the wrong type.
    Malformed,
    /// No common protocol version.
    Version,
    /// The token is missing, wrong, expired or for another room.
    Unauthorized,
    /// The grants do not allow it.
    Forbidden,
    /// A room name, a name or a text is out of bounds.
    Invalid,
    /// There is no such participant, track or leg.
    NotFound,
    /// A limit was reached.
    Limit,
    /// Too many messages.
    TooFast,
    /// An older epoch than the room's.
    StaleEpoch,
    /// No host can serve the room now; try again.
    NoHost,
    /// The host refused the offer.
    OfferRejected,
    /// Join comes first.
    NotJoined,
    /// The service's fault.
    Internal,
}
