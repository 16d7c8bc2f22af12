//! What the trace of a run says of messages: one line each, without what does not matter for who carries the call.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else is said is shown as it is"
)]

use baton_protocol::{HostCommand, HostMessage, Hosting, PeerMessage, ServiceMessage};

pub(crate) fn brief(command: &HostCommand) -> String {
    match command {
        HostCommand::Serve {
            epoch, role, grant, ..
        } => {
            let by = grant.as_ref().map_or("no grant", |_| "a grant");
            format!("serve as {role:?} in epoch {}, by {by}", epoch.0)
        }
        HostCommand::Negotiate(offer) => format!(
            "let {} in on leg {} in epoch {}{}",
            offer.participant,
            offer.leg,
            offer.epoch.0,
            offer.ticket.as_ref().map_or("", |_| ", with a ticket")
        ),
        HostCommand::Accepted { host, .. } => format!("accepted as host {host}"),
        HostCommand::Deny { .. } => "deny".to_owned(),
        other => format!("{other:?}"),
    }
}

pub(crate) fn heard(message: &HostMessage) -> String {
    match message {
        HostMessage::Answer(answer) => format!(
            "answer to {} on leg {} in epoch {}",
            answer.participant, answer.leg, answer.epoch.0
        ),
        HostMessage::Refused(refusal) => format!(
            "{} refused on leg {}: {}",
            refusal.participant, refusal.leg, refusal.message
        ),
        HostMessage::Renew { epoch, count, .. } => format!("renew {count} in epoch {}", epoch.0),
        HostMessage::Hello(_) => "hello".to_owned(),
        HostMessage::Fitness { .. } => "fitness".to_owned(),
        HostMessage::Lines { .. } => "lines".to_owned(),
        other => format!("{other:?}"),
    }
}

pub(crate) fn told(message: &ServiceMessage) -> String {
    match message {
        ServiceMessage::Hosting { hosting } => hosting_in_words(hosting),
        ServiceMessage::Joined(joined) => format!(
            "joined as {}, {}, host {} in epoch {}",
            joined.me,
            if joined.resumed { "again" } else { "new" },
            joined.host.host,
            joined.host.epoch.0
        ),
        ServiceMessage::HostChanged { host } => {
            format!("host {} in epoch {}", host.host, host.epoch.0)
        }
        ServiceMessage::Answer { leg, epoch, .. } => {
            format!("an answer for leg {leg} in epoch {}", epoch.0)
        }
        ServiceMessage::Participant { participant } => format!("of {}", participant.id),
        ServiceMessage::HostToken { .. } => "a host token".to_owned(),
        ServiceMessage::Heir { .. } => "an heir".to_owned(),
        ServiceMessage::IceServers { .. } => "credentials".to_owned(),
        other => format!("{other:?}"),
    }
}

fn hosting_in_words(hosting: &Hosting) -> String {
    let moving = hosting.moving.as_ref().map_or(String::new(), |moving| {
        let (epoch, to) = (moving.epoch.0, moving.to.host);
        format!(", moving to {to} in epoch {epoch}, {:?}", moving.phase)
    });
    let standby = hosting.standby.as_ref();
    let standby = standby.map_or(String::new(), |seat| format!(", standby {}", seat.host));
    format!(
        "hosting: {} in epoch {}, mine {}{standby}{moving}",
        hosting.term.host, hosting.term.epoch.0, hosting.mine
    )
}

pub(crate) fn asked(message: &PeerMessage) -> String {
    match message {
        PeerMessage::Offer {
            leg, epoch, host, ..
        } => format!("offer of leg {leg} in epoch {} to {host:?}", epoch.0),
        PeerMessage::Join(join) => format!("join, resume {}", join.resume.is_some()),
        other => format!("{other:?}"),
    }
}
