//! This computer as heir of signaling: a place is reserved while it carries the call or stands by, opened when signaling is gone, and
//! closed when it is back.
//!
//! Only in a call of one computer alone (its invite names the one certificate to believe): an operator's signaling comes back by itself.
//! Does not own: what is served there (`baton_server::successor`), nor who is heir (signaling says so).

use std::time::{Duration, Instant, SystemTime};

use baton_protocol::{HostCommand, HostRole, ParticipantId, RoomId, SignalingPlace};
use baton_server::Fingerprint;
use baton_server::link::{Credential, Route, Trust, is_reached};
use baton_server::successor::{Inheritance, Successor};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Carrying;

/// Everybody in the room whose name is known.
pub(crate) type People = Vec<(ParticipantId, String)>;

pub(super) struct Heir {
    room: RoomId,
    /// What people call this computer.
    title: String,
    owner: ParticipantId,
    own: Fingerprint,
    /// The signaling of the call.
    home: Route,
    routes: watch::Sender<Route>,
    successor: Option<Successor>,
    inheritance: Option<Inheritance>,
    /// Since when signaling is away, and who was there.
    lost: Option<(Instant, People)>,
    /// Is it back?
    probe: Option<JoinHandle<bool>>,
    probed: Instant,
}

impl Heir {
    pub(super) fn new(
        (room, title): (RoomId, String),
        (owner, own): (ParticipantId, Fingerprint),
        home: Route,
        routes: watch::Sender<Route>,
        now: Instant,
    ) -> Self {
        Self {
            room,
            title,
            owner,
            own,
            home,
            routes,
            successor: None,
            inheritance: None,
            lost: None,
            probe: None,
            probed: now,
        }
    }

    /// Where signaling would be.
    pub(super) fn place(&self) -> Option<SignalingPlace> {
        self.successor.as_ref().map(Successor::place)
    }

    /// Signaling said something.
    pub(super) fn note_command(&mut self, command: &HostCommand, now: SystemTime) {
        if let HostCommand::Serve { room, role, .. } = command
            && *room == self.room
        {
            match role {
                HostRole::Active | HostRole::Standby => self.reserve(now),
                HostRole::Draining => self.inheritance = None,
                HostRole::Next | HostRole::Aside => {}
            }
        } else if let HostCommand::CloseRoom { .. } = command {
            self.inheritance = None;
        } else if let HostCommand::Inherit { room, secret, code } = command
            && *room == self.room
            && !self.is_open()
        {
            self.inheritance = Inheritance::parse(room.clone(), secret, code.as_deref());
        }
    }

    fn reserve(&mut self, now: SystemTime) {
        if self.successor.is_some() {
            return;
        }
        match Successor::reserve(self.room.clone(), &self.title, now) {
            Ok(successor) => self.successor = Some(successor),
            Err(error) => {
                tracing::warn!(%error, "this computer could not serve signaling if it had to");
            }
        }
    }

    /// Signaling is away, with all these people in the room; or it is there.
    pub(super) fn note_signaling(&mut self, lost: Option<People>, now: Instant) {
        self.lost = match (lost, self.lost.take()) {
            (Some(_), Some(known)) => Some(known),
            (Some(people), None) => Some((now, people)),
            (None, _) => None,
        };
    }

    fn is_open(&self) -> bool {
        self.successor.as_ref().is_some_and(Successor::is_open)
    }

    /// Once a second.
    pub(super) async fn tick(&mut self, now: Instant) -> Option<Carrying> {
        if self.is_open() {
            return self.look_home(now).await;
        }
        let (since, people) = self.lost.as_ref()?;
        let (Some(inheritance), Some(successor)) = (&self.inheritance, &mut self.successor) else {
            return None;
        };
        if now.saturating_duration_since(*since) < PATIENCE {
            return None;
        }
        if let Err(error) = successor.open(inheritance, people.clone(), self.own).await {
            tracing::warn!(%error, "this computer cannot serve signaling");
            self.inheritance = None;
            return None;
        }
        let (url, token) =
            successor.own_link(inheritance, self.owner, &self.title, SystemTime::now());
        self.probed = now;
        // Who listens on the other end is this task's own host.
        let _ = self.routes.send(Route {
            url,
            credential: Credential::Fixed(token),
            trust: Trust::in_one(successor.digest()),
        });
        Some(Carrying::Signaling {
            invite: successor.invite(inheritance),
        })
    }

    /// Goes back as soon as the signaling of before can be reached, in the same life: everybody goes there then.
    async fn look_home(&mut self, now: Instant) -> Option<Carrying> {
        let is_over = self.probe.as_ref().is_some_and(JoinHandle::is_finished);
        if !is_over {
            if self.probe.is_none() && now.saturating_duration_since(self.probed) >= PROBE {
                self.probed = now;
                let home = self.home.clone();
                self.probe = Some(tokio::spawn(async move { is_reached(&home).await }));
            }
            return None;
        }
        let is_back = match self.probe.take() {
            Some(probe) => probe.await.unwrap_or(false),
            None => false,
        };
        if !is_back {
            return None;
        }
        self.lost = None;
        if let Some(successor) = &mut self.successor
            && let Err(error) = successor.close().await
        {
            tracing::warn!(%error, "this computer could not serve signaling a second time");
            self.successor = None;
        }
        let _ = self.routes.send(self.home.clone());
        Some(Carrying::Signaling { invite: None })
    }
}

/// Signaling that comes back by itself, after a moment of a bad network, does so within this time.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between two tries to reach the signaling of before.
const PROBE: Duration = Duration::from_secs(5);
