//! The link between signaling and host in one process. If signaling cuts it (the host did not keep up), it is made
//! again and starts with the roster, as it would over the network.

use std::time::Duration;

use baton_protocol::{HostHello, HostKind, HostMessage, PROTOCOL_VERSION};
use baton_signaling::{LocalHostLink, Service};
use tokio::sync::mpsc;

use super::{HostLink, Roster};
use crate::Fingerprint;

/// Links a host called `name`, whose legs show a certificate with this fingerprint; lives until the host drops its end. Must be
/// called inside a tokio runtime.
pub fn link(service: Service, name: String, fingerprint: Fingerprint) -> HostLink {
    let (commands, command_inbox) = mpsc::channel(QUEUE);
    let (message_outbox, mut messages) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let mut roster = Roster::default();
        loop {
            let mut local = service.local_host(&name);
            let hello = HostHello {
                fingerprint: Some(fingerprint.digits()),
                protocol: PROTOCOL_VERSION,
                name: name.clone(),
                kind: HostKind::Central,
                host: None,
                rooms: roster.rooms(),
                denials: roster.denials(),
            };
            // A failure shows as the end of the commands.
            let _ = local.messages.send(HostMessage::Hello(hello)).await;
            if let Some(message) = roster.reflects() {
                let _ = local.messages.send(message.clone()).await;
            }
            let ended = relay(&mut local, &commands, &mut messages, &mut roster).await;
            if ended.is_err() || service.is_stopped() {
                return;
            }
            tracing::warn!("signaling cut the link to the host; it is made again");
            tokio::time::sleep(PAUSE).await;
        }
    });
    HostLink {
        commands: command_inbox,
        messages: message_outbox,
    }
}

/// The host is gone.
struct Gone;

/// Returns when signaling ends the link.
async fn relay(
    local: &mut LocalHostLink,
    commands: &mpsc::Sender<baton_protocol::HostCommand>,
    messages: &mut mpsc::Receiver<HostMessage>,
    roster: &mut Roster,
) -> Result<(), Gone> {
    loop {
        tokio::select! {
            command = local.commands.recv() => {
                let Some(command) = command else {
                    return Ok(());
                };
                roster.note_command(&command);
                commands.send(command).await.map_err(|_| Gone)?;
            }
            message = messages.recv() => {
                let message = message.ok_or(Gone)?;
                roster.note_message(&message);
                // While signaling is away the roster remembers what counts.
                let _ = local.messages.send(message).await;
            }
        }
    }
}

const QUEUE: usize = 1024;

const PAUSE: Duration = Duration::from_millis(300);
