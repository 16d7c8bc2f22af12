//! Calls that move by themselves, because somebody's computer has the better line, and back, because it has not.

use std::time::Duration;

use baton_protocol::{
    Epoch, HostCommand, HostId, HostLoad, HostMessage, HostRole, HostingPolicy, Joined,
    LineQuality, MoveStep, PeerMessage, StepDownReason,
};

use super::moving::*;
use super::stage::*;
use crate::HostingOrder;

/// Two seconds pass, at the end of which the server says what it measured of Ana's line.
fn measure(stage: &mut Stage, ana: &Joined, mbps: u64) {
    stage.wait(Duration::from_secs(2));
    let line = LineQuality {
        participant: ana.me,
        received_bps: mbps * 1_000_000,
        loss_ppm: 0,
        jitter_us: 900,
        rtt_us: 20_000,
        estimate_bps: 20_000_000,
    };
    stage.host_says(
        HOST,
        HostMessage::Lines {
            room: ana.room.clone(),
            lines: vec![line],
        },
    );
}

/// The epoch in which Ana's computer was asked to be the next host.
fn asked(stage: &mut Stage) -> Option<Epoch> {
    let told = stage.told(COMPUTER);
    told.iter().find_map(|command| match command {
        HostCommand::Serve { epoch, .. } => Some(*epoch),
        _ => None,
    })
}

fn setting() -> (Stage, Joined, HostId) {
    let mut stage = Stage::open();
    let (ana, _) = two(&mut stage);
    let owner = owner_of(&mut stage, ANA);
    let host = link_computer(&mut stage, owner, None, Vec::new());
    stage.told(COMPUTER);
    (stage, ana, host)
}

/// Ana's computer has been asked and carries the call.
fn promoted() -> (Stage, Joined, HostId) {
    let (mut stage, ana, host) = setting();
    let mut epoch = None;
    for _ in 0..120 {
        measure(&mut stage, &ana, 100);
        epoch = asked(&mut stage);
        if epoch.is_some() {
            break;
        }
    }
    let epoch = epoch.expect("it is asked");
    let room = ana.room.clone();
    stage.host_says(COMPUTER, HostMessage::Prepared { room, epoch });
    for step in [MoveStep::Ready, MoveStep::Switched] {
        progress(&mut stage, ANA, epoch, step);
        progress(&mut stage, BO, epoch, step);
    }
    assert_eq!(stage.hosting(BO).term.host, host);
    (stage, ana, host)
}

#[test]
fn a_good_line_is_measured_and_then_carries_the_call() {
    let (mut stage, ana, host) = setting();
    for _ in 0..32 {
        measure(&mut stage, &ana, 1);
    }
    let candidate = stage.hosting(BO).candidates[0].clone();
    assert!(!candidate.fit);
    assert!(candidate.why_not[0].contains("measured"), "{candidate:?}");
    let told = stage.told(COMPUTER);
    let probes = told
        .iter()
        .filter(|command| matches!(command, HostCommand::ProbeUplink { .. }));
    assert_eq!(probes.count(), 1, "{told:?}");
    measure(&mut stage, &ana, 100);
    stage.wait(Duration::from_secs(1));
    assert!(
        stage.hosting(BO).candidates[0].fit,
        "{:?}",
        stage.hosting(BO).candidates
    );
    let mut waited = 0;
    while asked(&mut stage).is_none() {
        measure(&mut stage, &ana, 100);
        waited += 2;
        assert!(waited <= 30, "promoted within 30 s of qualifying: {host}");
    }
    assert!(waited >= 8, "not before it has led for 10 s: {waited}");
}

#[test]
fn a_server_is_told_that_it_measures_once_there_is_a_computer_and_not_before() {
    let mut stage = Stage::open();
    let (ana, _) = two(&mut stage);
    let serve = |stage: &mut Stage| {
        let told = stage.told(HOST);
        let served = told.into_iter().filter_map(|command| match command {
            HostCommand::Serve {
                epoch,
                role,
                lease_ms,
                ..
            } => Some((epoch, role, lease_ms)),
            _ => None,
        });
        served.collect::<Vec<_>>()
    };
    assert_eq!(serve(&mut stage), [], "it goes without saying");
    let owner = owner_of(&mut stage, ANA);
    link_computer(&mut stage, owner, None, Vec::new());
    let active = (ana.host.epoch, HostRole::Active, None);
    assert_eq!(serve(&mut stage), [active]);
    stage.wait(Duration::from_secs(5));
    assert_eq!(serve(&mut stage), [], "once");
}

#[test]
fn a_line_that_never_carries_enough_is_probed_ever_more_rarely() {
    let (mut stage, ana, _) = setting();
    let mut probes = 0;
    for _ in 0..1800 {
        measure(&mut stage, &ana, 1);
        let told = stage.told(COMPUTER);
        let is_probe = |command: &&HostCommand| matches!(command, HostCommand::ProbeUplink { .. });
        probes += told.iter().filter(is_probe).count();
    }
    // After 1, 2, 4, 8, 16 and 32 minutes.
    assert_eq!(probes, 6, "in an hour");
}

#[test]
fn a_computer_that_carries_the_call_is_not_probed_and_stays_fit() {
    let (mut stage, ana, host) = promoted();
    let epoch = stage.hosting(BO).term.epoch;
    stage.told(COMPUTER);
    for count in 1..200 {
        stage.wait(Duration::from_secs(2));
        let (room, load) = (ana.room.clone(), HostLoad::default());
        let renew = HostMessage::Renew {
            room,
            epoch,
            count,
            load,
        };
        stage.host_says(COMPUTER, renew);
    }
    let hosting = stage.hosting(BO);
    assert_eq!(hosting.term.host, host);
    assert!(hosting.candidates[0].fit, "{:?}", hosting.candidates);
    let told = stage.told(COMPUTER);
    let is_probe = |command: &HostCommand| matches!(command, HostCommand::ProbeUplink { .. });
    assert!(!told.iter().any(is_probe), "{told:?}");
}

#[test]
fn a_server_only_room_stays_where_it_is() {
    let (mut stage, ana, _) = setting();
    let policy = HostingPolicy::Central;
    stage.say(BO, PeerMessage::SetHostingPolicy { policy });
    for _ in 0..60 {
        measure(&mut stage, &ana, 100);
    }
    let told = stage.told(COMPUTER);
    assert_eq!(told, [], "neither asked nor probed");
}

#[test]
fn what_a_computer_says_of_others_lines_does_not_count() {
    let (mut stage, ana, _) = setting();
    for _ in 0..60 {
        stage.wait(Duration::from_secs(2));
        let line = LineQuality {
            participant: ana.me,
            received_bps: 1_000_000_000,
            loss_ppm: 0,
            jitter_us: 0,
            rtt_us: 0,
            estimate_bps: 0,
        };
        let room = ana.room.clone();
        let lines = vec![line];
        stage.host_says(COMPUTER, HostMessage::Lines { room, lines });
    }
    assert_eq!(asked(&mut stage), None);
}

#[test]
fn a_line_that_fills_sends_the_call_back_and_is_not_asked_again() {
    let (mut stage, ana, host) = promoted();
    let epoch = stage.hosting(BO).term.epoch;
    let load = HostLoad {
        legs: 3,
        legs_queueing: 2,
        queue_ms: 150,
        cpu_free_percent: 100,
        ..HostLoad::default()
    };
    let room = ana.room.clone();
    let renew = HostMessage::Renew {
        room,
        epoch,
        count: 1,
        load,
    };
    stage.host_says(COMPUTER, renew.clone());
    assert_eq!(
        stage.hosting(BO).moving,
        None,
        "that may have been a moment"
    );
    stage.wait(Duration::from_secs(2));
    stage.host_says(COMPUTER, renew);
    let moving = stage.hosting(BO).moving.expect("back to the server");
    assert_eq!(moving.to.host, ana.host.host);
    for step in [MoveStep::Ready, MoveStep::Switched] {
        progress(&mut stage, ANA, moving.epoch, step);
        progress(&mut stage, BO, moving.epoch, step);
    }
    assert_eq!(stage.hosting(BO).term.host, ana.host.host);
    stage.told(COMPUTER);
    for _ in 0..120 {
        measure(&mut stage, &ana, 100);
    }
    assert_eq!(asked(&mut stage), None, "{host} failed four minutes ago");
}

#[test]
fn a_computer_that_steps_down_is_not_asked_again_at_once() {
    let (mut stage, ana, host) = promoted();
    let epoch = stage.hosting(BO).term.epoch;
    let (room, reason) = (ana.room.clone(), StepDownReason::Owner);
    stage.host_says(
        COMPUTER,
        HostMessage::StepDown {
            room,
            epoch,
            reason,
        },
    );
    let epoch = stage.hosting(BO).moving.expect("back to the server").epoch;
    for step in [MoveStep::Ready, MoveStep::Switched] {
        progress(&mut stage, ANA, epoch, step);
        progress(&mut stage, BO, epoch, step);
    }
    stage.told(COMPUTER);
    for _ in 0..120 {
        measure(&mut stage, &ana, 100);
    }
    assert_eq!(
        asked(&mut stage),
        None,
        "{host} stepped down four minutes ago"
    );
}

#[test]
fn an_administrator_sees_what_was_measured_what_happened_and_why() {
    let (mut stage, ana, host) = promoted();
    let look = |stage: &mut Stage| {
        let now = stage.now.instant;
        let view = stage.registry.hosting_view(&ana.room, now);
        view.expect("a room")
    };
    let view = look(&mut stage);
    assert_eq!((view.host.host, view.host.owner), (host, Some(ana.me)));
    assert_eq!(view.standby.expect("a standby").host, ana.host.host);
    let candidate = &view.candidates[0];
    assert_eq!(candidate.why_not, [""; 0]);
    assert!(candidate.score > Some(30), "{candidate:?}");
    let (line, _) = candidate.line.expect("it was measured");
    assert_eq!((line.uplink_bps, line.rtt_us), (100_000_000, 20_000));
    let change = view.changes.last().expect("a change");
    assert_eq!((change.to, change.has_moved), (host, true));
    assert!(change.why.contains("good enough"), "{change:?}");

    let room = ana.room.clone();
    let order = |stage: &mut Stage, order| {
        let now = stage.now;
        stage.registry.order_hosting(&room, order, now)
    };
    assert!(order(&mut stage, HostingOrder::Abort).is_err());
    let nobody = HostingOrder::Pass(Some(HostId(77)));
    assert!(order(&mut stage, nobody).is_err());
    assert_eq!(order(&mut stage, HostingOrder::Pass(None)), Ok(()));
    let view = look(&mut stage);
    assert!(view.moving.is_some() && view.is_pinned);
    assert_eq!(order(&mut stage, HostingOrder::Abort), Ok(()));
    let view = look(&mut stage);
    let change = view.changes.last().expect("a change");
    assert_eq!((view.moving, change.has_moved), (None, false));
    assert!(change.why.contains("administrator"), "{change:?}");
    let central = HostingOrder::Policy(HostingPolicy::Central);
    assert_eq!(order(&mut stage, central), Ok(()));
    let view = look(&mut stage);
    assert!(view.moving.is_some() && !view.is_pinned, "it hands back");
}

#[test]
fn who_moved_the_call_to_the_server_by_hand_keeps_it_there() {
    let (mut stage, ana, _) = promoted();
    pass(&mut stage, BO, None);
    let epoch = stage.hosting(BO).moving.expect("a move").epoch;
    for step in [MoveStep::Ready, MoveStep::Switched] {
        progress(&mut stage, ANA, epoch, step);
        progress(&mut stage, BO, epoch, step);
    }
    stage.told(COMPUTER);
    for _ in 0..120 {
        measure(&mut stage, &ana, 100);
    }
    assert_eq!(asked(&mut stage), None);
}
