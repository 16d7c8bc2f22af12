//! Some stay on the server while a participant's computer carries the call for the others: the two hosts are joined.

use std::time::Duration;

use baton_protocol::{
    BridgeEnd, BridgeId, Epoch, HostCommand, HostId, HostKind, HostMessage, HostRole,
    IceParameters, Joined, LegState, MoveStep, ParticipantId, PeerMessage, RoomId,
};

use super::failover::renew;
use super::moving::*;
use super::stage::*;
use crate::registry::{Call, CallReply, Publisher, SessionOpen};
use crate::{GrantSigner, GrantVerifier, LinkId};

fn end(link: LinkId) -> BridgeEnd {
    BridgeEnd {
        ice: IceParameters {
            ufrag: "abcd".to_owned(),
            pwd: "0123456789012345678901234".to_owned(),
        },
        fingerprint: fingerprint(link.0),
        lite: link == HOST,
        candidates: Vec::new(),
    }
}

fn asked(commands: &[HostCommand]) -> Option<BridgeId> {
    commands.iter().find_map(|command| match command {
        HostCommand::OpenBridge { bridge, .. } => Some(*bridge),
        _ => None,
    })
}

/// Both hosts say what there is to say for a bridge. The ticket is looked at.
fn bridge(stage: &mut Stage, told: &[HostCommand], room: &RoomId, epoch: Epoch) -> BridgeId {
    let bridge = asked(told).unwrap_or_else(|| panic!("a bridge is asked for: {told:?}"));
    let room = room.clone();
    stage.host_says(
        COMPUTER,
        HostMessage::BridgeOffered {
            room: room.clone(),
            bridge,
            end: end(COMPUTER),
        },
    );
    let told = stage.told(HOST);
    assert!(
        matches!(told.last(), Some(HostCommand::AnswerBridge { bridge: one, end, .. })
            if *one == bridge && *end == self::end(COMPUTER)),
        "{told:?}"
    );
    stage.host_says(
        HOST,
        HostMessage::BridgeAnswered {
            room: room.clone(),
            bridge,
            end: end(HOST),
        },
    );
    let told = stage.told(COMPUTER);
    let Some(HostCommand::JoinBridge { ticket, .. }) = told.last() else {
        panic!("the answer is passed on: {told:?}");
    };
    let verifier = GrantVerifier::new(GrantSigner::new(&secret()).public_key()).expect("a key");
    let claims = verifier
        .ticket(ticket, stage.now_s())
        .expect("a good ticket");
    assert_eq!((claims.sub, claims.epoch), (ParticipantId(0), epoch));
    assert_eq!(
        (claims.cnf, claims.aud),
        (fingerprint(HOST.0), fingerprint(COMPUTER.0))
    );
    for link in [HOST, COMPUTER] {
        let room = room.clone();
        let state = LegState::Connected;
        stage.host_says(
            link,
            HostMessage::Bridge {
                room,
                bridge,
                state,
            },
        );
    }
    bridge
}

/// Ana and Bo are on Ana's computer; Cy wants the server only.
fn mixed(stage: &mut Stage) -> (Joined, HostId, BridgeId) {
    let (ana, _) = two(stage);
    stage.join(CY, "tea", "Cy");
    stage.publish(CY, 1, Epoch(1), vec![camera()]);
    stage.say(CY, PeerMessage::UseServer { always: true });
    let owner = owner_of(stage, ANA);
    let host = link_computer(stage, owner, None, Vec::new());
    pass(stage, ANA, Some(host));
    let (room, epoch) = (ana.room.clone(), Epoch(2));
    stage.host_says(
        COMPUTER,
        HostMessage::Prepared {
            room: room.clone(),
            epoch,
        },
    );
    let told = stage.told(COMPUTER);
    for who in [ANA, BO] {
        open_leg(stage, who, 2, (host, COMPUTER, epoch), vec![microphone()]);
        progress(stage, who, epoch, MoveStep::Ready);
    }
    let phase = stage.hosting(BO).moving.map(|moving| moving.phase);
    let prepare = baton_protocol::MovePhase::Prepare;
    assert_eq!(phase, Some(prepare), "not before the hosts are joined");
    let bridge = bridge(stage, &told, &room, epoch);
    for who in [ANA, BO] {
        progress(stage, who, epoch, MoveStep::Switched);
    }
    assert_eq!(stage.hosting(BO).mine, host);
    (ana, host, bridge)
}

#[test]
fn who_uses_the_server_stays_there_and_the_others_move() {
    let mut stage = Stage::open();
    let (ana, host, bridge) = mixed(&mut stage);
    let cy = stage.hosting(CY);
    assert_eq!((cy.term.host, cy.term.epoch), (host, Epoch(2)));
    assert_eq!((cy.mine, cy.moving), (ana.host.host, None));
    let roles = roles(&mut stage, HOST);
    assert_eq!(roles.last(), Some(&(Epoch(2), HostRole::Aside)));
    stage.wait(Duration::from_secs(4));
    assert_eq!(asked(&stage.told(COMPUTER)), None, "one bridge is enough");
    // Back at the server it is closed.
    pass(&mut stage, ANA, None);
    for step in [MoveStep::Ready, MoveStep::Switched] {
        for who in [ANA, BO] {
            progress(&mut stage, who, Epoch(3), step);
        }
    }
    assert_eq!(stage.hosting(BO).term.kind, HostKind::Central);
    for link in [HOST, COMPUTER] {
        let told = stage.told(link);
        let closes = |command: &HostCommand| matches!(command, HostCommand::CloseBridge { bridge: one, .. } if *one == bridge);
        assert!(told.iter().any(closes), "{told:?}");
    }
}

#[test]
fn somebody_changes_to_the_server_and_back_in_the_middle_of_a_call() {
    let mut stage = Stage::open();
    let (ana, _, host) = hosted(&mut stage);
    stage.told(COMPUTER);
    stage.say(BO, PeerMessage::UseServer { always: true });
    assert_eq!(stage.hosting(ANA).moving, None, "the others stay");
    let bo = stage.hosting(BO);
    assert_eq!((bo.mine, bo.term.host), (ana.host.host, host));
    let told = stage.told(COMPUTER);
    let bridge = bridge(&mut stage, &told, &ana.room, Epoch(2));
    stage.say(BO, PeerMessage::UseServer { always: false });
    assert_eq!(stage.hosting(BO).mine, host);
    let told = stage.told(COMPUTER);
    assert!(
        matches!(told.last(), Some(HostCommand::CloseBridge { bridge: one, .. }) if *one == bridge),
        "{told:?}"
    );
}

#[test]
fn who_cannot_reach_the_computer_stays_and_the_move_waits_for_the_bridge() {
    let mut stage = Stage::open();
    let (ana, _) = two(&mut stage);
    stage.join(CY, "tea", "Cy");
    stage.publish(CY, 1, Epoch(1), vec![camera()]);
    let owner = owner_of(&mut stage, ANA);
    let host = link_computer(&mut stage, owner, None, Vec::new());
    pass(&mut stage, ANA, Some(host));
    let (room, epoch) = (ana.room.clone(), Epoch(2));
    let prepared = HostMessage::Prepared {
        room: room.clone(),
        epoch,
    };
    stage.host_says(COMPUTER, prepared);
    for who in [ANA, BO] {
        open_leg(&mut stage, who, 2, (host, COMPUTER, epoch), Vec::new());
        progress(&mut stage, who, epoch, MoveStep::Ready);
    }
    assert_eq!(asked(&stage.told(COMPUTER)), None, "all may come along");
    progress(&mut stage, CY, epoch, MoveStep::Failed);
    let told = stage.told(COMPUTER);
    bridge(&mut stage, &told, &room, epoch);
    for who in [ANA, BO] {
        progress(&mut stage, who, epoch, MoveStep::Switched);
    }
    let cy = stage.hosting(CY);
    assert_eq!((cy.term.host, cy.mine), (host, ana.host.host));
}

#[test]
fn a_viewer_who_only_speaks_whep_stays_and_another_may_come() {
    let mut stage = Stage::open();
    let (ana, _, host) = hosted(&mut stage);
    stage.told(COMPUTER);
    stage.told(HOST);
    let call = stage.call(Call::Open(SessionOpen {
        room: ana.room.clone(),
        token: None,
        name: "viewer".to_owned(),
        publisher: Publisher::No {
            participant: None,
            track: None,
        },
        sdp: "offer".to_owned(),
    }));
    let negotiate = stage.negotiation(HOST);
    stage.host_says(HOST, agree(&negotiate));
    assert!(matches!(stage.reply(call), Some(CallReply::Opened { .. })));
    assert_eq!(stage.hosting(BO).term.host, host, "the call stays");
    let told = stage.told(COMPUTER);
    bridge(&mut stage, &told, &ana.room, Epoch(2));
}

#[test]
fn a_bridge_that_ends_is_opened_again_and_strangers_are_not_believed() {
    let mut stage = Stage::open();
    let (ana, _, old) = mixed(&mut stage);
    let room = ana.room;
    stage.host_says(
        HOST,
        HostMessage::Bridge {
            room: room.clone(),
            bridge: old,
            state: LegState::Closed,
        },
    );
    stage.told(COMPUTER);
    stage.wait(Duration::from_secs(1));
    let told = stage.told(COMPUTER);
    let new = asked(&told).expect("it is tried again");
    assert_ne!(old, new);
    stage.told(HOST);
    // Of another host, with another certificate, and of a bridge that is over.
    let say = |stage: &mut Stage, link, bridge, end| {
        let room = room.clone();
        stage.host_says(link, HostMessage::BridgeOffered { room, bridge, end });
    };
    say(&mut stage, HOST, new, end(HOST));
    say(&mut stage, COMPUTER, new, end(HOST));
    say(&mut stage, COMPUTER, old, end(COMPUTER));
    assert_eq!(stage.told(HOST), []);
    say(&mut stage, COMPUTER, new, end(COMPUTER));
    assert_eq!(stage.told(HOST).len(), 1);
    say(&mut stage, COMPUTER, new, end(COMPUTER));
    assert_eq!(stage.told(HOST), [], "said once");
}

#[test]
fn a_computer_on_which_nobody_is_left_hands_the_call_back_at_once() {
    let mut stage = Stage::open();
    let (ana, host, _) = mixed(&mut stage);
    for who in [ANA, BO] {
        stage.say(who, PeerMessage::UseServer { always: true });
    }
    pass(&mut stage, ANA, None);
    let bo = stage.hosting(BO);
    assert_eq!(
        (bo.term.host, bo.moving),
        (ana.host.host, None),
        "not {host}"
    );
}

#[test]
fn who_loses_the_computer_in_the_middle_of_a_call_is_served_by_the_server() {
    let mut stage = Stage::open();
    let (ana, _, host) = hosted(&mut stage);
    stage.told(COMPUTER);
    progress(&mut stage, BO, Epoch(2), MoveStep::Failed);
    let bo = stage.hosting(BO);
    assert_eq!((bo.term.host, bo.mine), (host, ana.host.host));
    assert_eq!(stage.hosting(ANA).mine, host, "the others stay");
    let told = stage.told(COMPUTER);
    bridge(&mut stage, &told, &ana.room, Epoch(2));
}

/// Like [`mixed`], but Cy wants to come along and cannot; the hosts are joined for that.
fn left_behind(stage: &mut Stage) -> (Joined, HostId, BridgeId) {
    let (ana, host, _) = mixed(stage);
    stage.say(CY, PeerMessage::UseServer { always: false });
    assert_eq!(stage.hosting(CY).mine, host);
    stage.told(COMPUTER);
    progress(stage, CY, Epoch(2), MoveStep::Failed);
    assert_eq!(stage.hosting(CY).mine, ana.host.host);
    let told = stage.told(COMPUTER);
    let bridge = bridge(stage, &told, &ana.room, Epoch(2));
    (ana, host, bridge)
}

fn is_closed(stage: &mut Stage) -> bool {
    let told = stage.told(COMPUTER);
    let mut told = told.iter();
    told.any(|one| matches!(one, HostCommand::CloseBridge { .. }))
}

#[test]
fn who_could_not_reach_the_computer_tries_again_now_and_then_and_misses_nothing_meanwhile() {
    let mut stage = Stage::open();
    let (ana, host, _) = left_behind(&mut stage);
    let mut count = 0;
    let mut wait = |stage: &mut Stage, seconds| {
        for _ in 0..seconds {
            count += 1;
            stage.wait(Duration::from_secs(1));
            renew(stage, &ana.room, 2, count);
        }
    };
    wait(&mut stage, 178);
    assert_eq!(stage.hosting(CY).mine, ana.host.host);
    stage.told(COMPUTER);
    wait(&mut stage, 3);
    assert_eq!(stage.hosting(CY).mine, host, "it is time");
    wait(&mut stage, 10);
    assert!(!is_closed(&mut stage), "served as before meanwhile");
    progress(&mut stage, CY, Epoch(2), MoveStep::Failed);
    assert_eq!(stage.hosting(CY).mine, ana.host.host, "in vain");
    wait(&mut stage, 30);
    assert!(!is_closed(&mut stage));
    wait(&mut stage, 152);
    assert_eq!(stage.hosting(CY).mine, host, "and again");
    wait(&mut stage, 25);
    assert!(is_closed(&mut stage), "nobody is on the server any more");
}

#[test]
fn who_has_another_way_to_the_server_tries_the_computer_again_soon() {
    let mut stage = Stage::open();
    let (ana, host, _) = left_behind(&mut stage);
    let server = (ana.host.host, HOST, Epoch(2));
    open_leg(&mut stage, CY, 9, server, vec![camera()]);
    assert_eq!(stage.hosting(CY).mine, ana.host.host, "not at once");
    for count in 1..7 {
        stage.wait(Duration::from_secs(1));
        renew(&mut stage, &ana.room, 2, count);
    }
    assert_eq!(stage.hosting(CY).mine, host);
}
