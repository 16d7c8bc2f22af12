//! The task that owns the registry: events in, outputs carried out, deadlines kept.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use baton_protocol::{ErrorCode, HostCommand, HostMessage, PeerMessage, ServiceMessage};
use tokio::sync::{mpsc, oneshot};

use super::now;
use super::outbox::{CloseCode, Outbox};
use super::stats::Counters;
use crate::host::LinkId;
use crate::now::Now;
use crate::registry::{Call, CallId, CallReply, CloseReason, ConnectionId, Output, Registry};
use crate::token::ComputerOwner;

/// A question that the registry's task answers at once.
pub(super) type Question = Box<dyn FnOnce(&mut Registry, Now) + Send>;

/// What reaches the registry's task.
pub(super) enum Event {
    /// A participant's socket is open.
    PeerOpened {
        connection: ConnectionId,
        outbox: Outbox,
    },
    /// It said something.
    Peer {
        connection: ConnectionId,
        message: PeerMessage,
    },
    /// It is gone.
    PeerGone { connection: ConnectionId },
    /// A host's link is up.
    HostOpened {
        link: LinkId,
        subject: Option<String>,
        owner: Option<ComputerOwner>,
        commands: mpsc::Sender<HostCommand>,
    },
    /// It said something.
    Host { link: LinkId, message: HostMessage },
    /// It is gone.
    HostGone { link: LinkId },
    /// WHIP or WHEP.
    Call {
        question: Call,
        reply: oneshot::Sender<CallReply>,
    },
    /// REST.
    Ask(Question),
    /// Close everything.
    Shutdown { done: oneshot::Sender<()> },
}

/// The registry and the far ends of everything that it talks to.
pub(super) struct Actor {
    registry: Registry,
    peers: HashMap<ConnectionId, Outbox>,
    hosts: HashMap<LinkId, mpsc::Sender<HostCommand>>,
    calls: HashMap<CallId, oneshot::Sender<CallReply>>,
    call_count: u64,
    counters: Arc<Counters>,
}

impl Actor {
    pub(super) fn new(registry: Registry, counters: Arc<Counters>) -> Self {
        Self {
            registry,
            peers: HashMap::new(),
            hosts: HashMap::new(),
            calls: HashMap::new(),
            call_count: 0,
            counters,
        }
    }

    /// Until the service is shut down or dropped.
    pub(super) async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        loop {
            let due = self.registry.poll_timeout();
            let sleep = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = sleep => self.registry.handle_timeout(now()),
                event = events.recv() => match event {
                    Some(Event::Shutdown { done }) => {
                        self.registry.handle_shutdown();
                        self.carry_out();
                        done.send(()).ok();
                        return;
                    }
                    Some(event) => self.handle_event(event),
                    None => return,
                },
            }
            self.carry_out();
            self.counters.observe(&self.registry, self.peers.len());
        }
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::PeerOpened { connection, outbox } => {
                self.peers.insert(connection, outbox);
            }
            Event::Peer {
                connection,
                message,
            } => {
                // What was still queued when the socket was cut off is not obeyed.
                if self.peers.contains_key(&connection) {
                    self.registry.handle_peer(connection, message, now());
                }
            }
            Event::PeerGone { connection } => {
                self.peers.remove(&connection);
                self.registry.handle_peer_gone(connection, now());
            }
            Event::HostOpened {
                link,
                subject,
                owner,
                commands,
            } => {
                self.hosts.insert(link, commands);
                match (subject, owner) {
                    (Some(subject), Some(owner)) => {
                        self.registry.handle_computer_linked(link, subject, owner);
                    }
                    (subject, _) => self.registry.handle_host_linked(link, subject),
                }
            }
            Event::Host { link, message } => {
                if self.hosts.contains_key(&link) {
                    self.registry.handle_host(link, message, now());
                }
            }
            Event::HostGone { link } => self.unlink(link),
            Event::Call { question, reply } => {
                self.call_count += 1;
                let call = CallId(self.call_count);
                self.calls.insert(call, reply);
                self.registry.handle_call(call, question, now());
            }
            Event::Ask(question) => question(&mut self.registry, now()),
            Event::Shutdown { .. } => {}
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.registry.poll_output() {
            match output {
                Output::Peer {
                    connection,
                    message,
                } => self.send(&[connection], &message),
                Output::Peers {
                    connections,
                    message,
                } => self.send(&connections, &message),
                Output::ClosePeer { connection, reason } => {
                    if let Some(outbox) = self.peers.remove(&connection) {
                        outbox.close(close_code(reason));
                    }
                }
                Output::Host { link, command } => self.command(link, command),
                Output::CloseHost { link, message } => {
                    tracing::warn!(link = link.0, message, "host turned away");
                    self.unlink(link);
                }
                Output::Reply { call, reply } => {
                    // Whoever asked may have hung up.
                    self.calls.remove(&call).map(|asker| asker.send(reply).ok());
                }
            }
        }
    }

    /// Written down once, however many get it.
    fn send(&mut self, connections: &[ConnectionId], message: &ServiceMessage) {
        if let ServiceMessage::Error { code, .. } = message {
            self.counters.count_error(*code);
        }
        let text = serde_json::to_string(message).expect("messages are plain data");
        let text = Utf8Bytes::from(text);
        for connection in connections {
            let Some(outbox) = self.peers.get(connection) else {
                continue;
            };
            if let ServiceMessage::Error {
                code: ErrorCode::Unauthorized,
                ..
            } = message
            {
                outbox.mark_unauthorized();
            }
            if outbox.push(text.clone()).is_err() {
                tracing::debug!(connection = connection.0, "reader too slow, cut off");
                self.counters.count_cut_off();
                outbox.cut_off();
                self.peers.remove(connection);
            }
        }
    }

    fn command(&mut self, link: LinkId, command: HostCommand) {
        let Some(commands) = self.hosts.get(&link) else {
            return;
        };
        if commands.try_send(command).is_err() {
            tracing::warn!(link = link.0, "host does not keep up or is gone, link cut");
            self.unlink(link);
        }
    }

    fn unlink(&mut self, link: LinkId) {
        if self.hosts.remove(&link).is_some() {
            self.registry.handle_host_gone(link, now());
        }
    }
}

fn close_code(reason: CloseReason) -> CloseCode {
    match reason {
        CloseReason::Over => CloseCode::Normal,
        CloseReason::Refused => CloseCode::Policy,
        CloseReason::Restart => CloseCode::Restart,
    }
}
