//! What happens, as lines: text for people or JSON for programs.
//!
//! Pure but for the call it looks at. JSON lines are the call's events as they are (`event` names them) and one
//! `{"event":"stats"}` per second. All of them: client/README.md.

use baton_client::{Call, CallEvent, Carrying, Change, Ending, Room};
use baton_protocol::{
    HostRole, Hosting, MediaKind, MovePhase, ParticipantId, SlotShown, Source, StepDownReason,
};

use super::meter::{Rates, SlotRate};

/// Writer of lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    is_json: bool,
}

impl Lines {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    pub(super) fn event(self, call: &Call, event: &CallEvent) -> Vec<String> {
        if self.is_json {
            return vec![serde_json::to_string(event).expect("an event is always JSON")];
        }
        text(call.room(), event).into_iter().collect()
    }

    /// The slots that got something, and what.
    pub(super) fn stats(self, call: &Call, rates: &Rates) -> Vec<String> {
        if self.is_json {
            return vec![serde_json::to_string(&rates).expect("statistics are always JSON")];
        }
        let Some(room) = call.room() else {
            return Vec::new();
        };
        let slots = rates.slots.iter().filter(|slot| slot.bitrate > 0);
        slots.map(|slot| printable(&row(room, slot))).collect()
    }
}

/// An event in words, if it is worth some.
pub(super) fn text(room: Option<&Room>, event: &CallEvent) -> Option<String> {
    sentence(room, event).map(|text| printable(&text))
}

fn sentence(room: Option<&Room>, event: &CallEvent) -> Option<String> {
    let name = |id: ParticipantId| room.map_or_else(|| id.to_string(), |room| room.name_of(id));
    Some(match event {
        CallEvent::Joined { resumed: true, .. } => "back in the room".to_owned(),
        CallEvent::Joined { me, resumed: false } => {
            let room = room?;
            let others = room
                .participants()
                .filter(|one| one.id != *me)
                .map(|one| one.name.as_str());
            let others = or_nobody(&others.collect::<Vec<_>>());
            let host = &room.host().name;
            format!(
                "joined {} as {}, via {host}; also here: {others}",
                room.name(),
                name(*me)
            )
        }
        CallEvent::Changed(change) => sentence_of_change(room?, change)?,
        CallEvent::Connecting { .. } => "connecting".to_owned(),
        CallEvent::Connected { inside: true, .. } => "connected, inside this computer".to_owned(),
        CallEvent::Connected { .. } => "connected".to_owned(),
        CallEvent::Disconnected { reason, .. } => format!("disconnected: {reason}"),
        CallEvent::Hosting { hosting } => return sentence_of_hosting(hosting),
        CallEvent::Switched { .. } => return None,
        CallEvent::HostLost { silent_ms, .. } => {
            format!(
                "the host fell silent ({silent_ms} ms); the standby has taken over if there is one"
            )
        }
        CallEvent::Carrying(carrying) => sentence_of_carrying(carrying)?,
        CallEvent::Speakers { speakers } => {
            format!("speaking: {}", name(*speakers.first()?))
        }
        CallEvent::Shown { slots } => {
            let shown = slots
                .iter()
                .map(|slot| shown(room, slot))
                .collect::<Vec<_>>();
            format!(
                "shown: {}",
                or_nobody(&shown.iter().map(String::as_str).collect::<Vec<_>>())
            )
        }
        CallEvent::Chat { name, text, .. } => format!("{name}: {text}"),
        CallEvent::Refused { message, .. } => format!("refused: {message}"),
        CallEvent::SignalingLost { reason, pause_ms } => {
            format!("signaling is away ({reason}); next try in {pause_ms} ms, media goes on")
        }
        CallEvent::Over(Ending::Left) => "left".to_owned(),
        CallEvent::Over(Ending::Removed { reason }) => format!("removed from the room: {reason:?}"),
        CallEvent::Over(Ending::Refused { message, .. }) => format!("not let in: {message}"),
    })
}

/// Only a move that begins is worth a word: who carries the call then is news of its own.
fn sentence_of_hosting(hosting: &Hosting) -> Option<String> {
    let moving = hosting.moving.as_ref()?;
    let to = &moving.to.name;
    (moving.phase == MovePhase::Prepare).then(|| format!("the call is about to move to {to}"))
}

fn sentence_of_carrying(carrying: &Carrying) -> Option<String> {
    Some(match carrying {
        Carrying::Offered => "this computer may carry the call for the others".to_owned(),
        Carrying::Part { role, .. } => match role {
            HostRole::Next => "this computer is asked to carry the call".to_owned(),
            HostRole::Active => {
                "this computer carries the call; those in it see its address".to_owned()
            }
            HostRole::Standby => "this computer takes over if the host dies".to_owned(),
            HostRole::Aside => return None,
            HostRole::Draining => "this computer does not carry the call any more".to_owned(),
        },
        Carrying::Load { guests, sent_bps } => badge(*guests, *sent_bps),
        Carrying::Opened {
            outside: Some(outside),
            ..
        } => format!("the router lets others in to this computer at {outside}"),
        Carrying::Opened { outside: None, .. } => {
            "the router does not let others in any more".to_owned()
        }
        Carrying::Probed(_) => return None,
        Carrying::Declined { reason } => format!("this computer did not take the call: {reason}"),
        Carrying::SteppedDown { reason } => {
            let why = match reason {
                StepDownReason::Owner => "as you wished",
                StepDownReason::Shutdown => "the program ends",
                StepDownReason::Suspend => "the computer sleeps or slept",
                StepDownReason::Cap => "its limits are reached",
                StepDownReason::Overload => "its line is full",
            };
            format!("this computer hands the call back: {why}")
        }
        Carrying::Signaling {
            invite: Some(invite),
        } => format!("signaling is gone; this computer serves it, newcomers come by {invite}"),
        Carrying::Signaling { invite: None } => "signaling is back".to_owned(),
        Carrying::Failed { reason } => format!("this computer cannot carry a call: {reason}"),
    })
}

/// What its owner sees all the time while a computer carries the call.
pub(super) fn badge(guests: u16, sent_bps: u64) -> String {
    let people = if guests == 1 {
        "1 participant"
    } else {
        &format!("{guests} participants")
    };
    let (whole, tenth) = (sent_bps / 1_000_000, sent_bps / 100_000 % 10);
    format!("this computer carries the call for {people}, {whole}.{tenth} Mb/s up")
}

fn sentence_of_change(room: &Room, change: &Change) -> Option<String> {
    Some(match change {
        Change::Came(one) if one.id == room.me() => return None,
        Change::Came(one) => format!("{} came", one.name),
        Change::Went { participant, .. } => format!("{} left", participant.name),
        Change::Changed(one) if one.connected => format!("{} is here", one.name),
        Change::Changed(one) => format!("{} is away for a moment", one.name),
        Change::Published { by, track } => {
            format!("{} shares {}", room.name_of(*by), word(track.source))
        }
        Change::Unpublished { by, track } => {
            format!(
                "{} no longer shares {}",
                room.name_of(*by),
                word(track.source)
            )
        }
        Change::Track { by, track } => {
            let verb = if track.muted { "muted" } else { "sends" };
            format!("{} {verb} {}", room.name_of(*by), word(track.source))
        }
        Change::Host(host) => format!("the call is carried by {} now", host.name),
    })
}

pub(super) fn shown(room: Option<&Room>, slot: &SlotShown) -> String {
    let who = room.map_or_else(
        || slot.participant.to_string(),
        |room| room.name_of(slot.participant),
    );
    let source = room.and_then(|room| room.source_of(slot.participant, slot.track));
    let what = source.map_or("picture", word);
    let rid = slot
        .rid
        .as_deref()
        .map(|rid| format!(" {rid}"))
        .unwrap_or_default();
    match slot.paused {
        None => format!("{who}'s {what}{rid}"),
        Some(reason) => format!("{who}'s {what} ({reason:?})"),
    }
}

fn row(room: &Room, slot: &SlotRate) -> String {
    let SlotRate {
        report,
        bitrate,
        fps,
        quality,
    } = slot;
    let who = report
        .participant
        .map_or_else(|| "?".to_owned(), |id| room.name_of(id));
    let rate = bitrate / 1000;
    let (lost, quality) = (report.tally.lost, quality.word());
    match report.kind {
        MediaKind::Audio => {
            format!("  {who:<20} sound   {rate:>6} kb/s           lost {lost:<5} {quality}")
        }
        MediaKind::Video => {
            format!("  {who:<20} picture {rate:>6} kb/s {fps:>3} fps   lost {lost:<5} {quality}")
        }
    }
}

pub(super) fn word(source: Source) -> &'static str {
    match source {
        Source::Microphone => "microphone",
        Source::Camera => "camera",
        Source::Screen => "screen",
        Source::ScreenAudio => "screen sound",
    }
}

fn or_nobody(names: &[&str]) -> String {
    if names.is_empty() {
        "nobody".to_owned()
    } else {
        names.join(", ")
    }
}

/// What others call themselves and write must not steer the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
