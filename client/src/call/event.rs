//! What a call has to say, in a form that is also its JSON.

use baton_protocol::{Epoch, ErrorCode, Hosting, LegId, MediaKind, ParticipantId, SlotShown};
use serde::Serialize;

use super::Ending;
use crate::carry::Carrying;
use crate::reception::Tally;
use crate::room::Change;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum CallEvent {
    /// One is in the room; [`Call::room`] tells who else is.
    Joined {
        /// Who one is.
        me: ParticipantId,
        /// As who one was before the socket was lost?
        resumed: bool,
    },
    /// The room is not what it was.
    Changed(Change),
    /// A leg to the host is being opened.
    Connecting {
        /// Its number.
        leg: LegId,
    },
    /// The leg is up: media may flow.
    Connected {
        /// Its number.
        leg: LegId,
        /// The host is this program: no network is between it and the leg.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        inside: bool,
    },
    /// The leg is no use any more; another one follows.
    Disconnected {
        /// Its number.
        leg: LegId,
        /// For people.
        reason: String,
    },
    /// Who carries the call, who would take over, and a move under way.
    Hosting {
        /// All of it.
        hosting: Box<Hosting>,
    },
    /// Pictures and sound come from this leg from now on.
    Switched {
        /// Its number.
        leg: LegId,
    },
    /// The host that carries the call is silent; if there is a standby, everything comes from there already.
    HostLost {
        /// The term whose host it is.
        epoch: Epoch,
        /// For how long nothing was heard, in milliseconds.
        silent_ms: u32,
    },
    /// What this computer does for the others.
    Carrying(Carrying),
    /// Who speaks, loudest first.
    Speakers {
        /// The first is the active speaker.
        speakers: Vec<ParticipantId>,
    },
    /// What the slots show, whole.
    Shown {
        /// One entry per slot that shows something or wants to.
        slots: Vec<SlotShown>,
    },
    /// Somebody wrote.
    Chat {
        /// Who.
        from: ParticipantId,
        /// Name at that time.
        name: String,
        /// What.
        text: String,
    },
    /// Signaling or the host refused something; the call goes on.
    Refused {
        /// For programs.
        code: ErrorCode,
        /// For people.
        message: String,
    },
    /// Signaling is away; media goes on.
    SignalingLost {
        /// For people.
        reason: String,
        /// Until the next try, in milliseconds.
        pause_ms: u128,
    },
    /// Nothing follows.
    Over(Ending),
}

/// What one slot shows and got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlotReport {
    /// `a=mid` of the slot.
    pub slot: String,
    /// Sound or picture?
    pub kind: MediaKind,
    /// Who is in it: as the host says for pictures, as the packets say for sound.
    pub participant: Option<ParticipantId>,
    /// What the host says it shows.
    pub shown: Option<SlotShown>,
    /// What came.
    #[serde(flatten)]
    pub tally: Tally,
}
