//! A registry with a clock of its own, people and hosts by number, and a record of what each was told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use baton_protocol::{
    Answer, Denial, Epoch, ErrorCode, Grants, HostCommand, HostHello, HostId, HostKind,
    HostMessage, Hosting, Join, Joined, LegId, Negotiate, PROTOCOL_VERSION, ParticipantInfo,
    PeerMessage, Resume, RosterRoom, ServiceMessage, Source, TrackInfo, TrackOffer, Tracks,
};

use crate::registry::{
    Call, CallId, CallReply, CloseReason, ConnectionId, Output, Registry, RegistryConfig,
};
use crate::{Access, JoinToken, Keys, Limits, LinkId, Now, Secret, Token, Turn};

/// Wall clock of the first moment, in seconds.
pub(super) const START: u64 = 1_800_000_000;

pub(super) const HOST: LinkId = LinkId(1);
pub(super) const ANA: ConnectionId = ConnectionId(1);
pub(super) const BO: ConnectionId = ConnectionId(2);
pub(super) const CY: ConnectionId = ConnectionId(3);

/// A registry and everything it said that nobody has looked at yet.
pub(super) struct Stage {
    pub(super) registry: Registry,
    pub(super) now: Now,
    calls: u64,
    heard: BTreeMap<ConnectionId, Vec<ServiceMessage>>,
    pub(super) closed: BTreeMap<ConnectionId, CloseReason>,
    told: BTreeMap<LinkId, Vec<HostCommand>>,
    /// What each was told last of who carries the call, and how often.
    hosting: BTreeMap<ConnectionId, (Hosting, usize)>,
    pub(super) cut: Vec<LinkId>,
    replies: BTreeMap<CallId, CallReply>,
}

pub(super) fn secret() -> Secret {
    Secret::new("a secret of the tests, long enough").expect("32 bytes")
}

impl Stage {
    /// An open service with one host.
    pub(super) fn open() -> Self {
        let mut stage = Self::empty(Access::Open, 0);
        stage.link(HOST, None, Vec::new());
        stage
    }

    /// A service that wants tokens, with one host.
    pub(super) fn guarded() -> Self {
        let keys = Keys::default();
        let mut stage = Self::empty(Access::Tokens { keys }, 0);
        stage.link(HOST, None, Vec::new());
        stage
    }

    /// An open service with one host that is the only one, for ever.
    pub(super) fn sole() -> Self {
        let mut limits = Limits::default();
        limits.hosting.is_sole_server = true;
        let mut stage = Self::with_limits(Access::Open, 0, limits);
        stage.link(HOST, None, Vec::new());
        stage
    }

    /// A service that was just started, `age` seconds after the first moment.
    pub(super) fn empty(access: Access, age: u64) -> Self {
        Self::with_limits(access, age, Limits::default())
    }

    fn with_limits(access: Access, age: u64, limits: Limits) -> Self {
        Self::with_secret(access, age, limits, secret())
    }

    /// One that signs with another secret.
    pub(super) fn with_secret(access: Access, age: u64, limits: Limits, secret: Secret) -> Self {
        let now = Now {
            instant: Instant::now() + Duration::from_secs(age),
            unix_ms: (START + age) * 1000,
        };
        let config = RegistryConfig {
            access,
            secret,
            ice_servers: Vec::new(),
            turn: Some(Turn::new(vec!["turn:a".to_owned()], "secret".to_owned())),
            limits,
            first_epoch: Epoch::FIRST,
        };
        let seed = [u8::try_from(age % 251).expect("small") + 1; 32];
        Self {
            registry: Registry::new(config, seed, now),
            now,
            calls: 0,
            heard: BTreeMap::new(),
            closed: BTreeMap::new(),
            told: BTreeMap::new(),
            hosting: BTreeMap::new(),
            cut: Vec::new(),
            replies: BTreeMap::new(),
        }
    }

    /// Time passes; every deadline on the way is kept.
    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.now.instant + time;
        while let Some(due) = self.registry.poll_timeout().filter(|due| *due <= until) {
            self.advance(due.saturating_duration_since(self.now.instant));
            self.registry.handle_timeout(self.now);
            self.settle();
        }
        self.advance(until.saturating_duration_since(self.now.instant));
    }

    fn advance(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.unix_ms += u64::try_from(time.as_millis()).expect("a short story");
    }

    pub(super) fn now_s(&self) -> u64 {
        self.now.unix_s()
    }

    pub(super) fn say(&mut self, who: ConnectionId, message: PeerMessage) {
        self.registry.handle_peer(who, message, self.now);
        self.settle();
    }

    pub(super) fn lose(&mut self, who: ConnectionId) {
        self.registry.handle_peer_gone(who, self.now);
        self.settle();
    }

    pub(super) fn link(
        &mut self,
        link: LinkId,
        host: Option<HostId>,
        rooms: Vec<RosterRoom>,
    ) -> HostId {
        self.link_with(link, host, rooms, Vec::new())
    }

    /// A host that has kept removals.
    pub(super) fn link_with(
        &mut self,
        link: LinkId,
        host: Option<HostId>,
        rooms: Vec<RosterRoom>,
        denials: Vec<Denial>,
    ) -> HostId {
        self.registry.handle_host_linked(link, None);
        let hello = HostHello {
            fingerprint: Some(fingerprint(link.0)),
            protocol: PROTOCOL_VERSION,
            name: format!("sfu {}", link.0),
            kind: HostKind::Central,
            host,
            rooms,
            denials,
        };
        self.host_says(link, HostMessage::Hello(hello));
        self.accepted(link)
    }

    /// The number that a host was given.
    pub(super) fn accepted(&mut self, link: LinkId) -> HostId {
        let told = self.told.entry(link).or_default();
        match told
            .iter()
            .rev()
            .find(|command| matches!(command, HostCommand::Accepted { .. }))
        {
            Some(HostCommand::Accepted { host, .. }) => *host,
            _ => panic!("the host was not accepted"),
        }
    }

    pub(super) fn host_says(&mut self, link: LinkId, message: HostMessage) {
        self.registry.handle_host(link, message, self.now);
        self.settle();
    }

    pub(super) fn unlink(&mut self, link: LinkId) {
        self.registry.handle_host_gone(link, self.now);
        self.settle();
    }

    pub(super) fn call(&mut self, call: Call) -> CallId {
        self.calls += 1;
        let id = CallId(self.calls);
        self.registry.handle_call(id, call, self.now);
        self.settle();
        id
    }

    /// The answer to a call, if it has come.
    pub(super) fn reply(&mut self, call: CallId) -> Option<CallReply> {
        self.replies.remove(&call)
    }

    fn settle(&mut self) {
        while let Some(output) = self.registry.poll_output() {
            match output {
                Output::Peer {
                    connection,
                    message,
                } => self.hear(connection, message),
                Output::Peers {
                    connections,
                    message,
                } => {
                    for connection in connections {
                        self.hear(connection, message.clone());
                    }
                }
                Output::ClosePeer { connection, reason } => {
                    self.closed.insert(connection, reason);
                    self.registry.handle_peer_gone(connection, self.now);
                }
                Output::Host { link, command } => self.told.entry(link).or_default().push(command),
                Output::CloseHost { link, .. } => {
                    self.cut.push(link);
                    self.registry.handle_host_gone(link, self.now);
                }
                Output::Reply { call, reply } => {
                    self.replies.insert(call, reply);
                }
            }
        }
    }

    fn hear(&mut self, connection: ConnectionId, message: ServiceMessage) {
        assert!(
            !self.closed.contains_key(&connection),
            "{connection:?} is closed: {message:?}"
        );
        if let ServiceMessage::Hosting { hosting } = message {
            let count = self.hosting.get(&connection).map_or(0, |(_, count)| *count);
            self.hosting.insert(connection, (hosting, count + 1));
            return;
        }
        self.heard.entry(connection).or_default().push(message);
    }

    /// What somebody was told last of who carries the call.
    pub(super) fn hosting(&self, who: ConnectionId) -> Hosting {
        let (hosting, _) = self.hosting.get(&who).expect("everybody is told");
        hosting.clone()
    }

    /// How often somebody was told who carries the call.
    pub(super) fn hosting_count(&self, who: ConnectionId) -> usize {
        self.hosting.get(&who).map_or(0, |(_, count)| *count)
    }

    /// Everything said to somebody since the last look.
    pub(super) fn heard(&mut self, who: ConnectionId) -> Vec<ServiceMessage> {
        self.heard.remove(&who).unwrap_or_default()
    }

    /// Everything said to a host since the last look.
    pub(super) fn told(&mut self, link: LinkId) -> Vec<HostCommand> {
        self.told.remove(&link).unwrap_or_default()
    }

    /// The error that somebody got, and nothing else.
    pub(super) fn error(&mut self, who: ConnectionId) -> ErrorCode {
        match self.heard(who).as_slice() {
            [ServiceMessage::Error { code, .. }] => *code,
            other => panic!("one error, not {other:?}"),
        }
    }

    pub(super) fn join(&mut self, who: ConnectionId, room: &str, name: &str) -> Joined {
        self.say(who, PeerMessage::Join(join(room, name)));
        self.joined(who)
    }

    pub(super) fn join_with(&mut self, who: ConnectionId, token: &JoinToken) -> Joined {
        self.say(who, with_token(token));
        self.joined(who)
    }

    pub(super) fn resume(&mut self, who: ConnectionId, room: &str, token: &str) -> Joined {
        self.say(who, resume(room, token));
        self.joined(who)
    }

    pub(super) fn joined(&mut self, who: ConnectionId) -> Joined {
        let heard = self.heard(who);
        let joined = heard.iter().find_map(|message| match message {
            ServiceMessage::Joined(joined) => Some(joined.clone()),
            _ => None,
        });
        joined.unwrap_or_else(|| panic!("a welcome, not {heard:?}"))
    }

    /// What somebody has newly heard about others, latest last.
    pub(super) fn news(&mut self, who: ConnectionId) -> Vec<ParticipantInfo> {
        let infos = self
            .heard(who)
            .into_iter()
            .filter_map(|message| match message {
                ServiceMessage::Participant { participant } => Some(participant),
                _ => None,
            });
        infos.collect()
    }

    pub(super) fn offer(
        &mut self,
        who: ConnectionId,
        leg: u32,
        epoch: Epoch,
        tracks: Vec<TrackOffer>,
    ) {
        self.say(who, offer(leg, epoch, tracks));
    }

    /// The newest negotiation that a host was asked for.
    pub(super) fn negotiation(&mut self, link: LinkId) -> Negotiate {
        let told = self.told(link);
        let found = told.iter().rev().find_map(|command| match command {
            HostCommand::Negotiate(negotiate) => Some(negotiate.clone()),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("a negotiation, not {told:?}"))
    }

    /// Somebody offers, the host agrees, and the tracks are known.
    pub(super) fn publish(
        &mut self,
        who: ConnectionId,
        leg: u32,
        epoch: Epoch,
        tracks: Vec<TrackOffer>,
    ) -> Vec<TrackInfo> {
        self.offer(who, leg, epoch, tracks);
        let asked = self.negotiation(HOST);
        self.host_says(HOST, agree(&asked));
        let heard = self.heard(who);
        let answer = heard.iter().find_map(|message| match message {
            ServiceMessage::Answer { tracks, .. } => Some(tracks.clone()),
            _ => None,
        });
        answer.unwrap_or_else(|| panic!("an answer, not {heard:?}"))
    }
}

/// A certificate's fingerprint, made up.
pub(super) fn fingerprint(of: u64) -> String {
    vec![format!("{:02X}", of % 256); 32].join(":")
}

pub(super) fn agree(asked: &Negotiate) -> HostMessage {
    let tracks = match &asked.tracks {
        Tracks::Declared(tracks) => tracks.clone(),
        Tracks::Derived(ids) => {
            let sources = [Source::Microphone, Source::Camera];
            let found = ids.iter().zip(sources);
            found.map(|(id, source)| info(*id, source)).collect()
        }
    };
    HostMessage::Answer(Answer {
        room: asked.room.clone(),
        epoch: asked.epoch,
        participant: asked.participant,
        leg: asked.leg,
        request: asked.request,
        sdp: "answer".to_owned(),
        tracks,
        slots: Vec::new(),
    })
}

pub(super) fn info(id: baton_protocol::TrackId, source: Source) -> TrackInfo {
    TrackInfo {
        id,
        mid: format!("{source:?}"),
        source,
        layers: Vec::new(),
        muted: false,
    }
}

pub(super) fn join(room: &str, name: &str) -> Join {
    Join {
        protocol: PROTOCOL_VERSION,
        room: room.parse().expect("a room name"),
        name: name.to_owned(),
        token: None,
        resume: None,
    }
}

pub(super) fn resume(room: &str, token: &str) -> PeerMessage {
    PeerMessage::Join(Join {
        resume: Some(Resume {
            token: token.to_owned(),
            epoch: None,
        }),
        ..join(room, "Somebody")
    })
}

pub(super) fn with_token(token: &JoinToken) -> PeerMessage {
    PeerMessage::Join(Join {
        token: Some(secret().mint(&Token::Join(token.clone()))),
        ..join(token.room.as_str(), "Somebody")
    })
}

/// A token of that person for the room `tea`.
pub(super) fn token(subject: &str, grants: Grants) -> JoinToken {
    JoinToken {
        subject: subject.to_owned(),
        token_id: None,
        room: "tea".parse().expect("a room name"),
        name: None,
        grants,
        issued_at: START - 60,
        expires_at: START + 3600,
    }
}

pub(super) fn offer(leg: u32, epoch: Epoch, tracks: Vec<TrackOffer>) -> PeerMessage {
    PeerMessage::Offer {
        host: None,
        fingerprint: None,
        leg: LegId(leg),
        epoch,
        sdp: "offer".to_owned(),
        tracks,
    }
}

pub(super) fn microphone() -> TrackOffer {
    track("0", Source::Microphone)
}

pub(super) fn camera() -> TrackOffer {
    track("1", Source::Camera)
}

pub(super) fn track(mid: &str, source: Source) -> TrackOffer {
    TrackOffer {
        mid: mid.to_owned(),
        source,
        layers: Vec::new(),
        muted: false,
    }
}
