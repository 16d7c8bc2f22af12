//! Signaling and a central host on loopback, a door whose sockets can be cut, and guests who remember what they heard.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use baton_client::view::Size;
use baton_client::{Call, CallEvent, Plan, Publication, SlotReport};
use baton_protocol::{HostCommand, HostHello, HostId, HostKind, HostMessage, PROTOCOL_VERSION};
use baton_server::link::Trust;
use baton_server::{Certificate, Host, HostConfig, HostLink, Snapshot};
use baton_signaling::{Access, Limits, Secret, Service, ServiceConfig, router};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, interval, timeout_at};

/// Longest wait for anything; generous, because other tests run beside.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct House {
    /// Invite link, through the door.
    pub(crate) link: String,
    door: watch::Sender<u32>,
    service: Service,
    host: Host,
    /// Beside the first.
    others: Vec<(String, HostId, Host)>,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let secret = Secret::new([7; 32]).unwrap();
        let service = Service::new(ServiceConfig {
            limits,
            ..ServiceConfig::new(Access::Open, secret)
        });
        let (_, host) = start_host(&service, "central").await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inside = listener.local_addr().unwrap();
        let site = router(service.clone()).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, site).await.unwrap() });
        let (door, cuts) = watch::channel(0);
        let outside = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = format!("http://{}/r/standup", outside.local_addr().unwrap());
        tokio::spawn(let_in(outside, inside, cuts));
        Self {
            link,
            door,
            service,
            host,
            others: Vec::new(),
        }
    }

    /// Another central host, beside the first.
    pub(crate) async fn add_host(&mut self, name: &str) {
        let (id, host) = start_host(&self.service, name).await;
        self.others.push((name.to_owned(), id, host));
    }

    /// Its number.
    pub(crate) fn host_named(&self, name: &str) -> HostId {
        let found = self.others.iter().find(|(known, ..)| known == name);
        found.unwrap().1
    }

    /// Waits until the host counted so many legs that agreed on AES-GCM, and none on AES-CM.
    pub(crate) async fn until_gcm(&self, legs: u64) {
        let deadline = Instant::now() + PATIENCE;
        let mut ticks = interval(Duration::from_millis(20));
        loop {
            let snapshots = self.host.snapshots().latest();
            let total = |counter: fn(&Snapshot) -> u64| snapshots.iter().map(counter).sum::<u64>();
            assert_eq!(total(|snapshot| snapshot.engine.legs_cm), 0);
            if total(|snapshot| snapshot.engine.legs_gcm) == legs {
                return;
            }
            assert!(Instant::now() < deadline, "{snapshots:?}");
            ticks.tick().await;
        }
    }

    /// Ends every connection that is open now; new ones are let in.
    pub(crate) fn cut_sockets(&self) {
        self.door.send_modify(|cuts| *cuts += 1);
    }
}

async fn start_host(service: &Service, name: &str) -> (HostId, Host) {
    let certificate = Certificate::generate().unwrap();
    let mut local = service.local_host(name);
    let hello = HostHello {
        protocol: PROTOCOL_VERSION,
        name: name.to_owned(),
        kind: HostKind::Central,
        host: None,
        fingerprint: Some(certificate.fingerprint().digits()),
        rooms: Vec::new(),
        denials: Vec::new(),
    };
    local
        .messages
        .send(HostMessage::Hello(hello))
        .await
        .unwrap();
    let id = loop {
        if let Some(HostCommand::Accepted { host, .. }) = local.commands.recv().await {
            break host;
        }
    };
    let link = HostLink {
        commands: local.commands,
        messages: local.messages,
    };
    let config = HostConfig {
        media: "127.0.0.1:0".parse().unwrap(),
        announce: Vec::new(),
        workers: NonZeroUsize::MIN,
        tcp: true,
        kind: HostKind::Central,
        certificate,
        uplink_bps: None,
    };
    (id, Host::start(&config, link).unwrap())
}

async fn let_in(outside: TcpListener, inside: SocketAddr, cuts: watch::Receiver<u32>) {
    loop {
        let (mut guest, _) = outside.accept().await.unwrap();
        let mut cuts = cuts.clone();
        cuts.mark_unchanged();
        tokio::spawn(async move {
            let mut server = TcpStream::connect(inside).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut guest, &mut server) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

pub(crate) struct Guest {
    pub(crate) call: Call,
    /// Everything the call said so far.
    pub(crate) heard: Vec<CallEvent>,
}

impl Guest {
    pub(crate) fn enter(link: &str, name: &str, publications: Vec<Publication>) -> Self {
        Self::of(Call::join(Self::plan(link, name, publications)))
    }

    pub(crate) fn plan(link: &str, name: &str, publications: Vec<Publication>) -> Plan {
        Plan {
            trust: Trust::default(),
            invite: link.parse().unwrap(),
            name: name.to_owned(),
            token: None,
            watch: Size {
                width: 1280,
                height: 720,
            },
            audio_slots: 2,
            video_slots: 3,
            publications,
            frames: None,
            hosting: None,
            uses_server: false,
            computer: String::new(),
            owner: None,
        }
    }

    pub(crate) fn of(call: Call) -> Self {
        Self {
            call,
            heard: Vec::new(),
        }
    }

    /// Reads on until an event is as wanted; one that was heard before counts.
    pub(crate) async fn until(&mut self, what: &str, is_wanted: impl Fn(&CallEvent) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !self.heard.iter().any(&is_wanted) {
            self.hear(what, deadline).await;
        }
    }

    /// Reads on until the slots are as wanted.
    pub(crate) async fn until_slots(
        &mut self,
        what: &str,
        is_wanted: impl Fn(&[SlotReport]) -> bool,
    ) {
        let deadline = Instant::now() + PATIENCE;
        while !is_wanted(&self.call.slots()) {
            let soon = Instant::now() + Duration::from_millis(20);
            if let Ok(Some(event)) = timeout_at(soon, self.call.next()).await {
                self.heard.push(event);
            }
            assert!(Instant::now() < deadline, "{what}: {:?}", self.call.slots());
        }
    }

    async fn hear(&mut self, what: &str, deadline: Instant) {
        match timeout_at(deadline, self.call.next()).await {
            Ok(Some(event)) => self.heard.push(event),
            Ok(None) => panic!("over before {what}: {:?}", self.heard),
            Err(_) => panic!("no {what}: {:?}", self.heard),
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .call
            .room()
            .unwrap()
            .participants()
            .map(|one| one.name.clone())
            .collect();
        names.sort();
        names
    }
}

pub(crate) fn connected(event: &CallEvent) -> bool {
    matches!(event, CallEvent::Connected { .. })
}
