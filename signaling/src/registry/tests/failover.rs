//! Participants' computers that die, fall silent, or are not wanted any more.

use std::time::Duration;

use baton_protocol::{
    Epoch, ErrorCode, HostCommand, HostHello, HostKind, HostLoad, HostMessage, HostRole,
    LeaveReason, LegId, PROTOCOL_VERSION, PeerMessage, ServiceMessage, StepDownReason,
};

use super::moving::*;
use super::stage::*;
use crate::LinkId;

fn lost(epoch: u32) -> PeerMessage {
    PeerMessage::HostLost {
        epoch: Epoch(epoch),
        silent_ms: 2000,
    }
}

pub(super) fn renew(stage: &mut Stage, room: &baton_protocol::RoomId, epoch: u32, count: u32) {
    let load = HostLoad {
        cpu_free_percent: 100,
        ..HostLoad::default()
    };
    stage.host_says(
        COMPUTER,
        HostMessage::Renew {
            room: room.clone(),
            epoch: Epoch(epoch),
            count,
            load,
        },
    );
}

#[test]
fn when_its_link_ends_the_standby_is_host_at_once() {
    let mut stage = Stage::open();
    let (ana, _, _) = hosted(&mut stage);
    stage.told(HOST);
    stage.unlink(COMPUTER);
    let hosting = stage.hosting(BO);
    assert_eq!(
        (hosting.term.epoch, hosting.mine),
        (Epoch(3), ana.host.host)
    );
    assert_eq!(hosting.standby, None);
    assert_eq!(roles(&mut stage, HOST), [(Epoch(3), HostRole::Active)]);
    let news: Vec<_> = stage.heard(BO);
    let is_change =
        |message: &ServiceMessage| matches!(message, ServiceMessage::HostChanged { .. });
    assert!(news.iter().all(is_change), "the tracks stay: {news:?}");
    stage.offer(BO, 1, Epoch(3), vec![microphone(), camera()]);
    let asked = stage.negotiation(HOST);
    assert_eq!(asked.epoch, Epoch(3), "the leg to the standby goes on");
    stage.say(BO, PeerMessage::CloseLeg { leg: LegId(2) });
    assert_eq!(stage.heard(BO), [], "it is closed already");
}

#[test]
fn the_dead_host_that_comes_back_is_fenced() {
    let mut stage = Stage::open();
    let (ana, _, host) = hosted(&mut stage);
    stage.unlink(COMPUTER);
    stage.told(COMPUTER);
    let owner = owner_of(&mut stage, ANA);
    let roster = vec![baton_protocol::RosterRoom {
        room: ana.room.clone(),
        epoch: Epoch(2),
        role: Some(HostRole::Active),
        grant: None,
        legs: vec![baton_protocol::RosterLeg {
            participant: ana.me,
            leg: LegId(2),
            tracks: Vec::new(),
            memento: None,
        }],
    }];
    link_computer(&mut stage, owner, Some(host), roster);
    let told = stage.told(COMPUTER);
    let is_closed = |command: &HostCommand| matches!(command, HostCommand::CloseRoom { .. });
    assert!(told.iter().any(is_closed), "{told:?}");
    assert_eq!(stage.hosting(BO).mine, ana.host.host);
}

#[test]
fn guests_that_hear_nothing_are_believed_if_they_are_enough() {
    let mut stage = Stage::open();
    let (ana, _, host) = hosted(&mut stage);
    let room = ana.room.clone();
    for who in [CY, crate::ConnectionId(4)] {
        stage.join(who, "tea", "Guest");
        let to = (host, COMPUTER, Epoch(2));
        open_leg(&mut stage, who, 1, to, vec![microphone()]);
    }
    renew(&mut stage, &room, 2, 1);
    stage.say(BO, lost(1));
    stage.say(BO, lost(2));
    stage.say(ANA, lost(2));
    assert_eq!(stage.hosting(BO).mine, host, "one guest, and the owner");
    stage.say(CY, lost(2));
    assert_eq!(stage.hosting(BO).mine, ana.host.host);
    assert_eq!(stage.hosting(BO).term.epoch, Epoch(3));
    assert_eq!(
        roles(&mut stage, COMPUTER).last(),
        Some(&(Epoch(3), HostRole::Draining)),
        "its link lives still"
    );
}

#[test]
fn one_guest_is_enough_when_the_lease_was_missed() {
    let mut stage = Stage::open();
    let (ana, _, host) = hosted(&mut stage);
    for who in [CY, crate::ConnectionId(4)] {
        stage.join(who, "tea", "Guest");
        let to = (host, COMPUTER, Epoch(2));
        open_leg(&mut stage, who, 1, to, vec![microphone()]);
    }
    stage.wait(Duration::from_secs(4));
    stage.say(BO, lost(2));
    assert_eq!(stage.hosting(BO).mine, ana.host.host);
}

#[test]
fn a_lease_that_is_not_renewed_ends_the_term() {
    let mut stage = Stage::open();
    let (ana, _, host) = hosted(&mut stage);
    stage.told(COMPUTER);
    for count in 1..=5 {
        stage.wait(Duration::from_secs(5));
        renew(&mut stage, &ana.room, 2, count);
        let told = stage.told(COMPUTER);
        let [
            HostCommand::Lease {
                count: of,
                valid_ms: 6000,
                ..
            },
        ] = told.as_slice()
        else {
            panic!("a lease, not {told:?}");
        };
        assert_eq!(*of, count);
    }
    assert_eq!(stage.hosting(BO).mine, host);
    stage.wait(Duration::from_secs(6));
    assert_eq!(stage.hosting(BO).mine, ana.host.host);
    stage.told(COMPUTER);
    renew(&mut stage, &ana.room, 2, 6);
    assert_eq!(
        roles(&mut stage, COMPUTER),
        [(Epoch(3), HostRole::Draining)],
        "too late"
    );
}

#[test]
fn a_host_that_steps_down_hands_the_call_back() {
    let mut stage = Stage::open();
    let (ana, _, host) = hosted(&mut stage);
    stage.host_says(
        COMPUTER,
        HostMessage::StepDown {
            room: ana.room.clone(),
            epoch: Epoch(2),
            reason: StepDownReason::Suspend,
        },
    );
    let hosting = stage.hosting(BO);
    assert_eq!(hosting.mine, host, "until everybody has changed over");
    assert_eq!(hosting.moving.expect("a move").to.host, ana.host.host);
    stage.unlink(COMPUTER);
    assert_eq!(stage.hosting(BO).mine, ana.host.host, "it could not wait");
    assert_eq!(stage.hosting(BO).moving, None);
}

#[test]
fn without_its_owner_a_computer_carries_nothing() {
    let mut stage = Stage::open();
    let (ana, _, _) = hosted(&mut stage);
    stage.say(
        BO,
        PeerMessage::Kick {
            participant: ana.me,
        },
    );
    assert_eq!(stage.cut, [COMPUTER]);
    let told = stage.told(COMPUTER);
    assert!(matches!(told.last(), Some(HostCommand::CloseRoom { .. })));
    let hosting = stage.hosting(BO);
    assert_eq!(hosting.mine, ana.host.host);
    assert!(hosting.candidates.is_empty());
    let left = ServiceMessage::ParticipantLeft {
        participant: ana.me,
        reason: LeaveReason::Kicked,
    };
    assert!(stage.heard(BO).contains(&left));
}

#[test]
fn only_who_was_given_a_token_links_a_computer_and_only_as_one() {
    let mut stage = Stage::open();
    let (ana, _) = two(&mut stage);
    let owner = owner_of(&mut stage, ANA);
    let hello = |kind| {
        HostMessage::Hello(HostHello {
            protocol: PROTOCOL_VERSION,
            name: "mine".to_owned(),
            kind,
            host: None,
            fingerprint: Some(fingerprint(9)),
            rooms: Vec::new(),
            denials: Vec::new(),
        })
    };
    let (first, second) = (LinkId(7), LinkId(8));
    stage.registry.handle_host_linked(first, None);
    stage.host_says(first, hello(HostKind::Participant));
    stage
        .registry
        .handle_computer_linked(second, "computer".to_owned(), owner.clone());
    stage.host_says(second, hello(HostKind::Central));
    assert_eq!(stage.cut, [first, second]);
    stage.wait(Duration::from_secs(40));
    stage.say(ANA, PeerMessage::Leave);
    let third = LinkId(9);
    stage
        .registry
        .handle_computer_linked(third, "computer".to_owned(), owner);
    stage.host_says(third, hello(HostKind::Participant));
    assert_eq!(stage.cut.last(), Some(&third), "{} has left", ana.me);
}

#[test]
fn a_leg_belongs_to_its_host_and_no_other_is_believed_about_it() {
    let mut stage = Stage::open();
    let (ana, bo, _) = hosted(&mut stage);
    let closed = |leg| HostMessage::Leg {
        room: ana.room.clone(),
        participant: bo.me,
        leg: LegId(leg),
        state: baton_protocol::LegState::Closed,
    };
    stage.host_says(HOST, closed(2));
    stage.host_says(COMPUTER, closed(1));
    assert_eq!(stage.heard(BO), []);
    stage.host_says(COMPUTER, closed(2));
    let heard = stage.heard(BO);
    assert!(
        matches!(
            &heard[..],
            [ServiceMessage::LegClosed { leg: LegId(2), .. }]
        ),
        "the track is on the other leg still: {heard:?}"
    );
    stage.say(
        BO,
        PeerMessage::Candidate {
            leg: LegId(9),
            candidate: "candidate".to_owned(),
        },
    );
    assert_eq!(stage.error(BO), ErrorCode::NotFound);
}

#[test]
fn a_host_without_a_lease_that_nobody_can_replace_is_looked_at_again_and_not_all_the_time() {
    let mut stage = Stage::open();
    let (_, bo, host) = hosted(&mut stage);
    stage.unlink(HOST);
    stage.wait(Duration::from_secs(20));
    assert_eq!(stage.hosting(BO).term.host, host, "there is nobody else");
    let back = stage.link(HOST, Some(bo.host.host), Vec::new());
    stage.wait(Duration::from_secs(2));
    assert_eq!(stage.hosting(BO).term.host, back);
}

#[test]
fn a_computer_that_is_nothing_here_any_more_is_told_so_when_it_asks_to_go_on() {
    let mut stage = Stage::open();
    let (ana, _, host) = hosted(&mut stage);
    stage.unlink(COMPUTER);
    let owner = owner_of(&mut stage, ANA);
    link_computer(&mut stage, owner, Some(host), Vec::new());
    stage.told(COMPUTER);
    renew(&mut stage, &ana.room, 2, 7);
    let told = stage.told(COMPUTER);
    assert!(
        matches!(told.as_slice(), [HostCommand::CloseRoom { .. }]),
        "{told:?}"
    );
}

#[test]
fn a_host_that_links_again_before_it_was_missed_is_told_what_it_is() {
    let mut stage = Stage::open();
    let (ana, ..) = hosted(&mut stage);
    stage.told(HOST);
    stage.link(LinkId(9), Some(ana.host.host), Vec::new());
    let told = roles(&mut stage, LinkId(9));
    assert_eq!(told, [(Epoch(2), HostRole::Standby)]);
}

#[test]
fn a_computer_stands_by_for_the_only_server_and_for_no_other() {
    let beats = |stage: &mut Stage| {
        let told = stage.told(HOST).into_iter();
        let mut beats = told.filter_map(|command| match command {
            HostCommand::Serve { role, beats, .. } => Some((role, beats)),
            _ => None,
        });
        beats.next_back()
    };
    let mut stage = Stage::open();
    two(&mut stage);
    let owner = owner_of(&mut stage, ANA);
    link_computer(&mut stage, owner, None, Vec::new());
    assert_eq!(stage.hosting(BO).standby, None, "the operator's come back");
    assert_eq!(beats(&mut stage), Some((HostRole::Active, false)));

    let mut stage = Stage::sole();
    let (ana, _) = two(&mut stage);
    let owner = owner_of(&mut stage, ANA);
    let computer = link_computer(&mut stage, owner, None, Vec::new());
    let hosting = stage.hosting(BO);
    assert_eq!(hosting.mine, ana.host.host);
    assert_eq!(hosting.standby.map(|seat| seat.host), Some(computer));
    assert_eq!(hosting.term.epoch, Epoch(1), "nothing has moved");
    assert_eq!(beats(&mut stage), Some((HostRole::Active, true)));
    assert_eq!(roles(&mut stage, COMPUTER), [(Epoch(1), HostRole::Standby)]);
    let to = (computer, COMPUTER, Epoch(1));
    let asked = open_leg(&mut stage, BO, 2, to, vec![microphone()]);
    assert!(asked.ticket.is_some(), "guests come by ticket, as always");

    stage.unlink(COMPUTER);
    stage.wait(Duration::from_secs(6));
    assert_eq!(stage.hosting(BO).standby, None, "it is gone for good");
    assert_eq!(beats(&mut stage), Some((HostRole::Active, false)));
}
