//! The only service dies, and one of the computers in the call serves signaling in its place.

use std::time::Duration;

use baton_protocol::{
    Epoch, Fitness, HostCommand, HostId, HostMessage, HostRole, Joined, LegId, ParticipantId,
    PowerSource, RosterLeg, RosterRoom, ServiceMessage, SignalingPlace,
};

use super::moving::*;
use super::stage::*;
use crate::limits::Limits;
use crate::{Access, ComputerOwner, ConnectionId, Secret};

const SHA256: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn place() -> SignalingPlace {
    SignalingPlace {
        urls: vec!["https://192.0.2.7:7880/r/tea".to_owned()],
        sha256: SHA256.to_owned(),
    }
}

fn could_serve(stage: &mut Stage, room: &baton_protocol::RoomId, place: SignalingPlace) {
    let fitness = Fitness {
        cpu_free_percent: 160,
        power: PowerSource::Mains,
        metered: false,
        uplink_cap_bps: None,
        guests_cap: None,
        objections: Vec::new(),
        reached: Vec::new(),
        signaling: Some(place),
    };
    let room = room.clone();
    stage.host_says(COMPUTER, HostMessage::Fitness { room, fitness });
}

/// The resume token for the heir and the links that somebody was told last.
fn refuge(stage: &mut Stage, who: ConnectionId) -> Option<(Vec<String>, String)> {
    let heard = stage.heard(who).into_iter();
    let mut told = heard.filter_map(|message| match message {
        ServiceMessage::Heir { invites, resume } => Some((invites, resume)),
        _ => None,
    });
    told.next_back()
}

fn inherited(stage: &mut Stage) -> Option<Secret> {
    let told = stage.told(COMPUTER).into_iter();
    let mut secrets = told.filter_map(|command| match command {
        HostCommand::Inherit { secret, .. } => Some(secret),
        _ => None,
    });
    secrets.next_back().and_then(|text| Secret::parse(&text))
}

/// What is left of a call on one computer alone when that has died.
struct Estate {
    ana: Joined,
    bo: Joined,
    computer: HostId,
    owner: ComputerOwner,
    secret: Secret,
    tokens: [String; 2],
}

fn estate() -> Estate {
    let mut stage = Stage::sole();
    let (ana, bo) = two(&mut stage);
    let owner = owner_of(&mut stage, ANA);
    let computer = link_computer(&mut stage, owner.clone(), None, Vec::new());
    assert_eq!(inherited(&mut stage), None, "it cannot serve anything yet");
    assert_eq!(refuge(&mut stage, BO), None);
    could_serve(&mut stage, &ana.room, place());
    let secret = inherited(&mut stage).expect("a secret");
    assert!(secret != super::stage::secret(), "not this service's own");
    let link = format!("https://192.0.2.7:7880/r/tea#sha256={SHA256}");
    let tokens = [ANA, BO].map(|who| {
        let (links, token) = refuge(&mut stage, who).expect("where to go");
        assert_eq!(links, std::slice::from_ref(&link));
        token
    });
    could_serve(&mut stage, &ana.room, place());
    assert_eq!(
        (inherited(&mut stage), refuge(&mut stage, BO)),
        (None, None),
        "once"
    );
    Estate {
        ana,
        bo,
        computer,
        owner,
        secret,
        tokens,
    }
}

impl Estate {
    fn roster(&self) -> Vec<RosterRoom> {
        let leg = |participant: ParticipantId| RosterLeg {
            participant,
            leg: LegId(2),
            tracks: Vec::new(),
            memento: None,
        };
        vec![RosterRoom {
            room: self.ana.room.clone(),
            epoch: Epoch(1),
            role: Some(HostRole::Standby),
            grant: None,
            legs: vec![leg(self.ana.me), leg(self.bo.me)],
        }]
    }

    fn open(&self) -> Stage {
        let mut limits = Limits::default();
        limits.hosting.is_sole_server = true;
        limits.hosting.own = Some(fingerprint(COMPUTER.0));
        limits.host_grace = Duration::from_secs(1);
        let mut stage = Stage::with_secret(Access::Open, 40, limits, self.secret.clone());
        let people = [&self.ana, &self.bo].map(|one| (one.me, format!("guest {}", one.me.0)));
        stage.registry.introduce(&self.ana.room, people.to_vec());
        stage
    }

    fn link(&self, stage: &mut Stage) {
        let (owner, known) = (self.owner.clone(), Some(self.computer));
        let id = link_computer(stage, owner, known, self.roster());
        assert_eq!(id, self.computer);
    }
}

#[test]
fn the_heir_goes_on_with_everybody_even_with_those_who_cannot_come_to_it() {
    let estate = estate();
    for is_ana_first in [false, true] {
        let mut stage = estate.open();
        let resume = |stage: &mut Stage| stage.resume(ANA, "tea", &estate.tokens[0]);
        let early = is_ana_first.then(|| resume(&mut stage));
        estate.link(&mut stage);
        let joined = early.unwrap_or_else(|| resume(&mut stage));
        assert!(joined.resumed);
        assert_eq!(joined.me, estate.ana.me);
        stage.wait(Duration::from_secs(2));
        let hosting = stage.hosting(ANA);
        assert_eq!(hosting.term.host, estate.computer);
        assert!(hosting.term.epoch > Epoch(1), "nobody had that one");
        let last = roles(&mut stage, COMPUTER).last().copied();
        assert_eq!(last, Some((hosting.term.epoch, HostRole::Active)));
        // Bo's page does not go anywhere without its owner's yes. Bo is there all the same.
        stage.wait(Duration::from_secs(600));
        let told = stage.told(COMPUTER);
        let closes = |command: &HostCommand| matches!(command, HostCommand::Close { .. });
        assert!(!told.iter().any(closes), "{told:?}");
        let newcomer = stage.join(CY, "tea", "Cy");
        let bo = newcomer
            .participants
            .iter()
            .find(|one| one.id == estate.bo.me);
        let bo = bo.expect("Bo");
        assert!(!bo.connected && bo.name.starts_with("guest"), "{bo:?}");
        assert!(stage.resume(BO, "tea", &estate.tokens[1]).resumed, "later");
    }
}

#[test]
fn what_the_heir_may_sign_is_nothing_to_the_service_itself() {
    let estate = estate();
    let mut stage = Stage::sole();
    stage.join(ANA, "tea", "Ana");
    let joined = stage.resume(BO, "tea", &estate.tokens[1]);
    assert!(!joined.resumed, "somebody new");
}

#[test]
fn the_service_that_was_only_asleep_overtakes_its_heir() {
    let mut stage = Stage::sole();
    let (ana, _) = two(&mut stage);
    stage.lose(ANA);
    stage.wait(Duration::from_secs(4));
    let heirs = stage.now.first_epoch();
    stage.wait(Duration::from_secs(4));
    let resume = baton_protocol::Resume {
        token: ana.resume,
        epoch: Some(heirs),
    };
    stage.say(
        ANA,
        baton_protocol::PeerMessage::Join(baton_protocol::Join {
            resume: Some(resume),
            ..join("tea", "Ana")
        }),
    );
    assert!(stage.joined(ANA).resumed);
    let term = stage.hosting(ANA).term;
    assert_eq!(term.host, ana.host.host);
    assert!(term.epoch > heirs, "{term:?}");
    stage.wait(Duration::from_secs(10));
    assert_eq!(stage.hosting(ANA).term, term, "once");
}

#[test]
fn an_operators_service_has_no_heir_and_nonsense_is_no_place() {
    let mut stage = Stage::open();
    let (ana, _) = two(&mut stage);
    let owner = owner_of(&mut stage, ANA);
    link_computer(&mut stage, owner, None, Vec::new());
    could_serve(&mut stage, &ana.room, place());
    assert_eq!(
        (inherited(&mut stage), refuge(&mut stage, BO)),
        (None, None)
    );

    let mut stage = Stage::sole();
    let (ana, _) = two(&mut stage);
    let owner = owner_of(&mut stage, ANA);
    link_computer(&mut stage, owner, None, Vec::new());
    let with = |url: &str, sha256: &str| SignalingPlace {
        urls: vec![url.to_owned()],
        sha256: sha256.to_owned(),
    };
    for bad in [
        with("http://192.0.2.7/r/tea", SHA256),
        with("https://192.0.2.7/r/tea?token=x", SHA256),
        with(&format!("https://{}", "x".repeat(300)), SHA256),
        with("https://192.0.2.7/r/tea", "abc"),
    ] {
        could_serve(&mut stage, &ana.room, bad);
        assert_eq!(
            (inherited(&mut stage), refuge(&mut stage, BO)),
            (None, None)
        );
    }
}
