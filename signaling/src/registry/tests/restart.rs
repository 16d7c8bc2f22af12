//! A signaling service that restarts while a participant's computer carries the call.

use std::time::Duration;

use baton_protocol::{
    Epoch, HostCommand, HostId, HostRole, Joined, LegId, ParticipantId, RosterLeg, RosterRoom,
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
            grant: (role == HostRole::Active).then(|| self.grant.clone()),
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
