//! A signaling service that restarts while a participant's computer carries the call.

use std::time::Duration;

use baton_protocol::{
    Epoch, ErrorCode, HostCommand, HostId, HostRole, Joined, LegId, ParticipantId, PeerMessage,
    RosterLeg, RosterRoom,
};

use super::moving::*;
use super::stage::*;
use crate::{Access, ComputerOwner};

/// What both sides remember of the call of [`hosted`].
struct Memory {
    ana: Joined,
    bo: Joined,
    computer: HostId,
    owner: ComputerOwner,
    grant: String,
}

fn before() -> Memory {
    let mut stage = Stage::open();
    let (ana, bo, computer) = hosted(&mut stage);
    let grant = stage.hosting(BO).grant.expect("a grant");
    let owner = owner_of(&mut stage, ANA);
    Memory {
        ana,
        bo,
        computer,
        owner,
        grant,
    }
}

impl Memory {
    fn roster(&self, role: HostRole, leg: u32) -> Vec<RosterRoom> {
        let leg = |participant: ParticipantId| RosterLeg {
            participant,
            leg: LegId(leg),
            tracks: Vec::new(),
            memento: None,
        };
        vec![RosterRoom {
            room: self.ana.room.clone(),
            epoch: Epoch(2),
            role: Some(role),
            grant: matches!(role, HostRole::Active | HostRole::Next).then(|| self.grant.clone()),
            legs: vec![leg(self.ana.me), leg(self.bo.me)],
        }]
    }

    fn link_server(&self, stage: &mut Stage) {
        let roster = self.roster(HostRole::Standby, 1);
        stage.link(HOST, Some(self.ana.host.host), roster);
    }

    fn link_computer(&self, stage: &mut Stage, roster: Vec<RosterRoom>) {
        let id = link_computer(stage, self.owner.clone(), Some(self.computer), roster);
        assert_eq!(id, self.computer);
    }

    fn resume(&self, stage: &mut Stage) {
        assert!(stage.resume(ANA, "tea", &self.ana.resume).resumed);
        assert!(stage.resume(BO, "tea", &self.bo.resume).resumed);
    }

    fn check(&self, stage: &mut Stage) {
        let hosting = stage.hosting(BO);
        let term = (hosting.term.epoch, hosting.term.host);
        assert_eq!(term, (Epoch(2), self.computer));
        let standby = hosting.standby.expect("a standby");
        assert_eq!(standby.host, self.ana.host.host);
        for link in [HOST, COMPUTER] {
            let told = stage.told(link);
            let closes = |command: &HostCommand| {
                matches!(
                    command,
                    HostCommand::Close { .. } | HostCommand::CloseRoom { .. }
                )
            };
            assert!(!told.iter().any(closes), "media goes on: {told:?}");
        }
    }
}

#[test]
fn the_state_is_whole_again_in_whatever_order_they_come_back() {
    let memory = before();
    type Arrival = fn(&Memory, &mut Stage);
    let server: Arrival = |memory, stage| memory.link_server(stage);
    let computer: Arrival = |memory, stage| {
        memory.link_computer(stage, memory.roster(HostRole::Active, 2));
    };
    let people: Arrival = |memory, stage| memory.resume(stage);
    for order in [
        [server, computer, people],
        [computer, server, people],
        [people, server, computer],
        [people, computer, server],
        [server, people, computer],
        [computer, people, server],
    ] {
        let mut stage = Stage::empty(Access::Open, 7);
        for arrive in order {
            arrive(&memory, &mut stage);
            stage.wait(Duration::from_millis(300));
        }
        memory.check(&mut stage);
        let to = (memory.computer, COMPUTER, Epoch(2));
        open_leg(&mut stage, BO, 2, to, vec![microphone()]);
        stage.wait(Duration::from_secs(5));
        assert_eq!(stage.hosting(BO).term.epoch, Epoch(2));
    }
}

#[test]
fn a_server_that_missed_the_move_does_not_keep_the_computer_from_going_on() {
    let memory = before();
    let server = |stage: &mut Stage| {
        let mut roster = memory.roster(HostRole::Active, 1);
        roster[0].epoch = Epoch(1);
        stage.link(HOST, Some(memory.ana.host.host), roster);
    };
    let mut stage = Stage::empty(Access::Open, 7);
    server(&mut stage);
    memory.resume(&mut stage);
    stage.wait(Duration::from_millis(300));
    memory.link_computer(&mut stage, memory.roster(HostRole::Active, 2));
    memory.check(&mut stage);
    stage.wait(Duration::from_secs(5));
    assert_eq!(stage.hosting(BO).term.epoch, Epoch(2));
    // A term of this life is not given up for one of an earlier one.
    let mut stage = Stage::empty(Access::Open, 7);
    server(&mut stage);
    stage.resume(ANA, "tea", &memory.ana.resume);
    stage.say(BO, resume_from(&memory.bo.resume, 9));
    let term = stage.hosting(BO).term;
    assert!(term.epoch > Epoch(9), "{term:?}");
    stage.told(COMPUTER);
    memory.link_computer(&mut stage, memory.roster(HostRole::Active, 2));
    let told = stage.told(COMPUTER);
    let is_closed = |command: &HostCommand| matches!(command, HostCommand::CloseRoom { .. });
    assert!(told.iter().any(is_closed), "too late: {told:?}");
    assert_eq!(stage.hosting(BO).term, term);
}

#[test]
fn a_computer_that_does_not_come_back_is_replaced_in_an_epoch_that_nobody_had() {
    let memory = before();
    let mut stage = Stage::empty(Access::Open, 7);
    memory.link_server(&mut stage);
    memory.resume(&mut stage);
    let first = stage.hosting(BO).term.epoch;
    assert!(first < Epoch(2), "nobody who knows better believes it");
    stage.wait(Duration::from_secs(6));
    let hosting = stage.hosting(BO);
    assert_eq!(hosting.term.host, memory.ana.host.host);
    assert!(hosting.term.epoch > Epoch(3), "{:?}", hosting.term);
    stage.told(COMPUTER);
    memory.link_computer(&mut stage, memory.roster(HostRole::Active, 2));
    let told = stage.told(COMPUTER);
    let is_closed = |command: &HostCommand| matches!(command, HostCommand::CloseRoom { .. });
    assert!(told.iter().any(is_closed), "too late: {told:?}");
    assert_eq!(stage.hosting(BO).term.host, memory.ana.host.host);
}

#[test]
fn a_computer_proves_by_its_grant_that_it_is_the_host() {
    let memory = before();
    let other = {
        let mut stage = Stage::open();
        let (.., host) = hosted(&mut stage);
        assert_eq!(host, memory.computer, "the same story");
        stage.hosting(BO).moving.is_none()
    };
    assert!(other);
    let with = |grant: Option<String>, epoch: u32| {
        let mut roster = memory.roster(HostRole::Active, 2);
        roster[0].grant = grant;
        roster[0].epoch = Epoch(epoch);
        let mut stage = Stage::empty(Access::Open, 7);
        memory.link_server(&mut stage);
        memory.link_computer(&mut stage, roster);
        memory.resume(&mut stage);
        stage.hosting(BO).term.host == memory.computer
    };
    assert!(with(Some(memory.grant.clone()), 2));
    assert!(!with(None, 2));
    assert!(!with(Some(memory.grant.clone()), 9), "another epoch");
    let mut forged = memory.grant.clone();
    forged.pop();
    assert!(!with(Some(forged), 2));
}

#[test]
fn a_computer_is_asked_in_no_epoch_that_it_only_claims() {
    let memory = before();
    for (grant, epoch) in [(None, 4), (Some(memory.grant.clone()), u32::MAX)] {
        let mut stage = Stage::open();
        two(&mut stage);
        let owner = owner_of(&mut stage, ANA);
        let mut roster = memory.roster(HostRole::Active, 2);
        (roster[0].grant, roster[0].epoch) = (grant, Epoch(epoch));
        let host = link_computer(&mut stage, owner, None, roster);
        stage.told(COMPUTER);
        pass(&mut stage, ANA, Some(host));
        let asked = roles(&mut stage, COMPUTER);
        assert_eq!(asked.len(), 1, "{asked:?}");
        let newest = asked[0].0;
        assert!(newest < Epoch(4), "the epoch of its grant, not {asked:?}");
    }
}

#[test]
fn a_move_that_was_under_way_is_off() {
    let memory = before();
    let mut stage = Stage::empty(Access::Open, 7);
    let roster = memory.roster(HostRole::Active, 1);
    let roster = vec![RosterRoom {
        epoch: Epoch(1),
        ..roster[0].clone()
    }];
    stage.link(HOST, Some(memory.ana.host.host), roster);
    memory.link_computer(&mut stage, memory.roster(HostRole::Next, 2));
    memory.resume(&mut stage);
    let hosting = stage.hosting(BO);
    assert_eq!(hosting.term.epoch, Epoch(1));
    assert_eq!(hosting.mine, memory.ana.host.host);
    let told = stage.told(COMPUTER);
    let is_closed = |command: &HostCommand| matches!(command, HostCommand::CloseRoom { .. });
    assert!(told.iter().any(is_closed), "{told:?}");
    pass(&mut stage, ANA, Some(memory.computer));
    let told = stage.told(COMPUTER);
    let next = told.iter().find_map(|command| match command {
        HostCommand::Serve { epoch, .. } => Some(*epoch),
        _ => None,
    });
    assert!(next > Some(Epoch(3)), "not the epoch of the other grant");
}

/// What somebody says who comes back and believes in that epoch.
fn resume_from(token: &str, epoch: u32) -> PeerMessage {
    let PeerMessage::Join(mut join) = resume("tea", token) else {
        panic!("a join");
    };
    if let Some(resume) = &mut join.resume {
        resume.epoch = Some(Epoch(epoch));
    }
    PeerMessage::Join(join)
}

#[test]
fn who_believes_in_a_term_that_no_host_tells_of_is_overtaken_by_a_newer_one() {
    let memory = before();
    let server = |stage: &mut Stage| {
        let mut roster = memory.roster(HostRole::Active, 1);
        (roster[0].epoch, roster[0].role) = (Epoch(1), None);
        stage.link(HOST, Some(memory.ana.host.host), roster);
    };
    // Nobody but Bo knows of epoch 9; Ana knows what the server tells.
    let mut stage = Stage::empty(Access::Open, 7);
    server(&mut stage);
    stage.resume(ANA, "tea", &memory.ana.resume);
    assert_eq!(stage.hosting(ANA).term.epoch, Epoch(1));
    stage.say(BO, resume_from(&memory.bo.resume, 9));
    for who in [ANA, BO] {
        let term = stage.hosting(who).term;
        assert_eq!(term.host, memory.ana.host.host);
        assert!(term.epoch > Epoch(9), "{term:?}");
    }
    // An offer says it as well.
    let mut stage = Stage::empty(Access::Open, 7);
    server(&mut stage);
    stage.resume(BO, "tea", &memory.bo.resume);
    stage.heard(BO);
    stage.offer(BO, 7, Epoch(9), vec![microphone()]);
    assert_eq!(stage.heard(BO).len(), 2, "a new term, and the refusal");
    let epoch = stage.hosting(BO).term.epoch;
    assert!(epoch > Epoch(9));
    // Whatever is said: once is enough, and the number is not theirs to choose.
    stage.offer(BO, 8, Epoch(u32::MAX), vec![microphone()]);
    assert_eq!(stage.hosting(BO).term.epoch, epoch);
}

#[test]
fn a_server_that_stood_by_in_a_newer_term_does_not_take_that_for_its_own() {
    let memory = before();
    let mut stage = Stage::empty(Access::Open, 7);
    stage.resume(BO, "tea", &memory.bo.resume);
    stage.wait(Duration::from_secs(6));
    memory.link_server(&mut stage);
    let term = stage.hosting(BO).term;
    assert_eq!(term.host, memory.ana.host.host);
    assert!(
        term.epoch > Epoch(2),
        "epoch 2 was the computer's: {term:?}"
    );
}

#[test]
fn while_nobody_knows_who_carries_the_call_nobody_gets_a_leg_to_another_host() {
    let memory = before();
    let mut stage = Stage::empty(Access::Open, 7);
    let (ana, ..) = {
        let mut stage = Stage::open();
        let hosted = hosted(&mut stage);
        // Welcomed again in the computer's term.
        stage.lose(ANA);
        (stage.resume(ANA, "tea", &hosted.0.resume), hosted.1)
    };
    stage.resume(ANA, "tea", &ana.resume);
    let server = stage.link(HOST, None, Vec::new());
    assert_eq!(stage.hosting(ANA).term.host, memory.computer);
    stage.heard(ANA);
    stage.say(
        ANA,
        PeerMessage::Offer {
            leg: LegId(3),
            epoch: Epoch(2),
            host: Some(server),
            fingerprint: None,
            sdp: "offer".to_owned(),
            tracks: Vec::new(),
        },
    );
    assert_eq!(stage.error(ANA), ErrorCode::NoHost);
}

#[test]
fn a_number_that_was_removed_stays_out_also_with_the_tokens_of_who_slipped_in() {
    let mut stage = Stage::open();
    let (_, bo) = two(&mut stage);
    stage.say(ANA, PeerMessage::Kick { participant: bo.me });
    let told = stage.told(HOST).into_iter();
    let denials: Vec<_> = told
        .filter_map(|command| match command {
            HostCommand::Deny { denials } => Some(denials),
            _ => None,
        })
        .flatten()
        .collect();
    // The service starts anew, and Bo is there before the host that remembers.
    let mut stage = Stage::empty(Access::Open, 7);
    let newer = stage.resume(BO, "tea", &bo.resume).resume;
    let mut stage = Stage::empty(Access::Open, 14);
    stage.link_with(HOST, None, Vec::new(), denials);
    stage.say(BO, resume("tea", &newer));
    assert_eq!(stage.error(BO), ErrorCode::Forbidden);
}

#[test]
fn a_computer_that_only_guests_tell_of_has_a_lease_too() {
    let memory = before();
    let (mut ana, mut stage) = (memory.ana.clone(), Stage::open());
    hosted(&mut stage);
    stage.lose(ANA);
    ana.resume = stage.resume(ANA, "tea", &ana.resume).resume;
    let mut stage = Stage::empty(Access::Open, 7);
    stage.resume(ANA, "tea", &ana.resume);
    let server = stage.link(HOST, None, Vec::new());
    // It is there, but serves nobody, and never asks to go on.
    memory.link_computer(&mut stage, Vec::new());
    stage.wait(Duration::from_secs(6));
    assert_eq!(stage.hosting(ANA).term.host, memory.computer);
    stage.wait(Duration::from_secs(7));
    assert_eq!(stage.hosting(ANA).term.host, server);
}

#[test]
fn a_server_is_asked_in_no_older_epoch_than_it_has_seen_in_an_earlier_life() {
    let memory = before();
    let mut roster = memory.roster(HostRole::Standby, 1);
    // A move back to it was begun, and given up.
    roster[0].epoch = Epoch(3);
    for computer_first in [false, true] {
        let mut stage = Stage::empty(Access::Open, 7);
        if computer_first {
            memory.link_computer(&mut stage, memory.roster(HostRole::Active, 2));
        }
        stage.link(HOST, Some(memory.ana.host.host), roster.clone());
        if !computer_first {
            memory.link_computer(&mut stage, memory.roster(HostRole::Active, 2));
        }
        memory.resume(&mut stage);
        let to = (memory.ana.host.host, HOST, Epoch(2));
        let asked = open_leg(&mut stage, BO, 7, to, vec![microphone()]);
        assert_eq!(asked.epoch, Epoch(3));
    }
}
