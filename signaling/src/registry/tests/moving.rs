//! A call that moves from host to host as planned, and one that stays where it is after all.

use std::time::Duration;

use baton_protocol::{
    Epoch, ErrorCode, Fitness, Grants, HostCommand, HostHello, HostId, HostKind, HostMessage,
    HostRole, Joined, LegId, MovePhase, MoveStep, Negotiate, PROTOCOL_VERSION, ParticipantInfo,
    PeerMessage, PowerSource, RosterRoom, ServiceMessage, TrackOffer,
};

use super::stage::*;
use crate::{ComputerOwner, ConnectionId, GrantSigner, GrantVerifier, LinkId, Token};

pub(super) const OTHER: LinkId = LinkId(2);
pub(super) const COMPUTER: LinkId = LinkId(5);

pub(super) fn owner_of(stage: &mut Stage, who: ConnectionId) -> ComputerOwner {
    let name = "Ana's computer".to_owned();
    stage.say(who, PeerMessage::OfferHosting { name });
    let heard = stage.heard(who);
    let Some(ServiceMessage::HostToken { token }) = heard.last() else {
        panic!("a token, not {heard:?}");
    };
    let keys = crate::Keys::default()
        .with_secret(&secret())
        .expect("a key");
    match keys.verify(token, stage.now_s()) {
        Ok(Token::Host(host)) => host.owner.expect("whose computer"),
        other => panic!("a host token, not {other:?}"),
    }
}

/// Links somebody's computer as a host.
pub(super) fn link_computer(
    stage: &mut Stage,
    owner: ComputerOwner,
    host: Option<HostId>,
    rooms: Vec<RosterRoom>,
) -> HostId {
    let subject = format!("computer of {}", owner.participant);
    stage
        .registry
        .handle_computer_linked(COMPUTER, subject, owner.clone());
    let hello = HostHello {
        protocol: PROTOCOL_VERSION,
        name: "whatever".to_owned(),
        kind: HostKind::Participant,
        host,
        fingerprint: Some(fingerprint(COMPUTER.0)),
        rooms,
        denials: Vec::new(),
    };
    stage.host_says(COMPUTER, HostMessage::Hello(hello));
    let id = stage.accepted(COMPUTER);
    let fitness = Fitness {
        cpu_free_percent: 160,
        power: PowerSource::Mains,
        metered: false,
        uplink_cap_bps: None,
        guests_cap: None,
        objections: Vec::new(),
        reached: Vec::new(),
        signaling: None,
    };
    let room = owner.room;
    stage.host_says(COMPUTER, HostMessage::Fitness { room, fitness });
    id
}

pub(super) fn pass(stage: &mut Stage, who: ConnectionId, to: Option<HostId>) {
    stage.say(who, PeerMessage::PassBaton { to });
}

pub(super) fn progress(stage: &mut Stage, who: ConnectionId, epoch: Epoch, step: MoveStep) {
    stage.say(who, PeerMessage::MoveProgress { epoch, step });
}

/// Somebody opens a leg to a host that is not (yet) the own one.
pub(super) fn open_leg(
    stage: &mut Stage,
    who: ConnectionId,
    leg: u32,
    to: (HostId, LinkId, Epoch),
    tracks: Vec<TrackOffer>,
) -> Negotiate {
    let (host, link, epoch) = to;
    stage.say(
        who,
        PeerMessage::Offer {
            leg: LegId(leg),
            epoch,
            host: Some(host),
            fingerprint: Some(fingerprint(who.0 + 100)),
            sdp: "offer".to_owned(),
            tracks,
        },
    );
    let asked = stage.negotiation(link);
    stage.host_says(link, agree(&asked));
    asked
}

/// The `serve` of a host's commands, latest last.
pub(super) fn roles(stage: &mut Stage, link: LinkId) -> Vec<(Epoch, HostRole)> {
    let told = stage.told(link).into_iter();
    told.filter_map(|command| match command {
        HostCommand::Serve { epoch, role, .. } => Some((epoch, role)),
        _ => None,
    })
    .collect()
}

/// Ana and Bo in a call on the server.
pub(super) fn two(stage: &mut Stage) -> (Joined, Joined) {
    let ana = stage.join(ANA, "tea", "Ana");
    let bo = stage.join(BO, "tea", "Bo");
    stage.publish(ANA, 1, ana.host.epoch, vec![microphone(), camera()]);
    stage.publish(BO, 1, bo.host.epoch, vec![microphone()]);
    stage.told(HOST);
    stage.heard(ANA);
    stage.heard(BO);
    (ana, bo)
}

/// The call of [`two`] moves to Ana's computer.
pub(super) fn hosted(stage: &mut Stage) -> (Joined, Joined, HostId) {
    let (ana, bo) = two(stage);
    let owner = owner_of(stage, ANA);
    let host = link_computer(stage, owner, None, Vec::new());
    pass(stage, ANA, Some(host));
    let epoch = Epoch(2);
    let room = ana.room.clone();
    stage.host_says(COMPUTER, HostMessage::Prepared { room, epoch });
    for (who, tracks) in [
        (ANA, vec![microphone(), camera()]),
        (BO, vec![microphone()]),
    ] {
        open_leg(stage, who, 2, (host, COMPUTER, epoch), tracks);
        progress(stage, who, epoch, MoveStep::Ready);
    }
    progress(stage, ANA, epoch, MoveStep::Switched);
    progress(stage, BO, epoch, MoveStep::Switched);
    assert_eq!(stage.hosting(BO).term.host, host);
    for who in [ANA, BO] {
        stage.heard(who);
    }
    (ana, bo, host)
}

#[test]
fn a_call_moves_between_two_servers_and_nobody_changes_numbers() {
    let mut stage = Stage::open();
    let (ana, _) = two(&mut stage);
    let other = stage.link(OTHER, None, Vec::new());
    let before = stage.hosting(BO);
    assert_eq!((before.mine, before.moving), (ana.host.host, None));
    pass(&mut stage, ANA, Some(other));
    let moving = stage.hosting(BO).moving.expect("a move");
    assert_eq!((moving.epoch, moving.to.host), (Epoch(2), other));
    assert_eq!(moving.phase, MovePhase::Prepare);
    assert_eq!(roles(&mut stage, OTHER), [(Epoch(2), HostRole::Next)]);
    let to = (other, OTHER, Epoch(2));
    let asked = open_leg(&mut stage, ANA, 2, to, vec![microphone(), camera()]);
    assert_eq!((asked.epoch, asked.ticket), (Epoch(2), None));
    open_leg(&mut stage, BO, 2, to, vec![microphone()]);
    let news = stage.news(BO);
    assert!(news.is_empty(), "the same tracks on another way: {news:?}");
    progress(&mut stage, ANA, Epoch(2), MoveStep::Ready);
    progress(&mut stage, BO, Epoch(1), MoveStep::Ready);
    let phase = |stage: &Stage| stage.hosting(BO).moving.map(|one| one.phase);
    assert_eq!(
        phase(&stage),
        Some(MovePhase::Prepare),
        "that was another move"
    );
    progress(&mut stage, BO, Epoch(2), MoveStep::Ready);
    assert_eq!(phase(&stage), Some(MovePhase::Switch));
    progress(&mut stage, ANA, Epoch(2), MoveStep::Switched);
    assert_eq!(stage.hosting(BO).term.epoch, Epoch(1));
    progress(&mut stage, BO, Epoch(2), MoveStep::Switched);
    let after = stage.hosting(BO);
    assert_eq!((after.term.epoch, after.mine), (Epoch(2), other));
    assert_eq!((after.moving, after.standby), (None, None));
    assert!(matches!(
        stage.heard(BO).as_slice(),
        [ServiceMessage::HostChanged { host }] if host.host == other
    ));
    assert_eq!(roles(&mut stage, OTHER), [(Epoch(2), HostRole::Active)]);
    assert_eq!(roles(&mut stage, HOST), [(Epoch(2), HostRole::Draining)]);
    stage.say(ANA, PeerMessage::CloseLeg { leg: LegId(1) });
    assert_eq!(stage.told(HOST).len(), 1, "the old leg goes");
    stage.wait(Duration::from_secs(10));
    assert!(matches!(
        stage.told(HOST).as_slice(),
        [HostCommand::CloseRoom { .. }]
    ));
    let infos = stage
        .registry
        .room(&ana.room)
        .expect("the room")
        .participants;
    let counts: Vec<_> = infos.iter().map(|one| one.tracks.len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 3, "{infos:?}");
}

#[test]
fn a_participants_computer_is_asked_and_believes_only_what_is_signed() {
    let mut stage = Stage::open();
    let (ana, bo) = two(&mut stage);
    let owner = owner_of(&mut stage, ANA);
    let host = link_computer(&mut stage, owner, None, Vec::new());
    let candidates = stage.hosting(BO).candidates;
    assert_eq!(candidates.len(), 1);
    assert!(
        !candidates[0].fit,
        "it is too new to be chosen, not to be asked"
    );
    assert_eq!(candidates[0].seat.owner, Some(ana.me));
    assert_eq!(candidates[0].seat.name, "Ana's computer");
    stage.told(COMPUTER);
    pass(&mut stage, ANA, Some(host));
    let told = stage.told(COMPUTER);
    let [
        HostCommand::Serve {
            role: HostRole::Next,
            grant: Some(grant),
            lease_ms: Some(6000),
            beats: false,
            ..
        },
    ] = told.as_slice()
    else {
        panic!("the question, not {told:?}");
    };
    let verifier = GrantVerifier::new(GrantSigner::new(&secret()).public_key()).expect("a key");
    let grant = verifier.grant(grant, stage.now_s()).expect("a grant");
    assert_eq!((grant.epoch, grant.host), (Epoch(2), host));
    assert_eq!(grant.standby, Some(ana.host.host));
    assert_eq!(grant.fingerprint, fingerprint(COMPUTER.0));
    assert_eq!(stage.hosting(BO).moving, None, "it has not agreed yet");
    let (room, epoch) = (ana.room, Epoch(2));
    stage.host_says(COMPUTER, HostMessage::Prepared { room, epoch });
    assert!(
        stage
            .hosting(BO)
            .moving
            .is_some_and(|one| one.grant.is_some())
    );
    let to = (host, COMPUTER, Epoch(2));
    let asked = open_leg(&mut stage, BO, 2, to, vec![microphone()]);
    let ticket = asked.ticket.expect("a ticket");
    let ticket = verifier.ticket(&ticket, stage.now_s()).expect("a ticket");
    assert_eq!((ticket.sub, ticket.leg), (bo.me, LegId(2)));
    assert_eq!((ticket.epoch, ticket.exp - ticket.iat), (Epoch(2), 60));
    assert_eq!(ticket.cnf, fingerprint(BO.0 + 100));
    assert_eq!(ticket.aud, fingerprint(COMPUTER.0));
}

#[test]
fn while_a_participant_hosts_the_server_stands_by() {
    let mut stage = Stage::open();
    let (ana, _, host) = hosted(&mut stage);
    let hosting = stage.hosting(BO);
    assert_eq!((hosting.mine, hosting.owner), (host, Some(ana.me)));
    assert_eq!(hosting.standby.expect("a standby").host, ana.host.host);
    assert!(hosting.grant.is_some());
    assert_eq!(
        roles(&mut stage, HOST),
        [(Epoch(1), HostRole::Active), (Epoch(2), HostRole::Standby)],
        "once there is a computer it is told that it measures"
    );
    assert_eq!(
        roles(&mut stage, COMPUTER).last(),
        Some(&(Epoch(2), HostRole::Active))
    );
    stage.wait(Duration::from_secs(4));
    stage.offer(BO, 1, Epoch(2), vec![microphone()]);
    assert_eq!(
        stage.error(BO),
        ErrorCode::Invalid,
        "leg 1 is the standby's"
    );
    let cy = stage.join(CY, "tea", "Cy");
    assert_eq!(cy.host.host, host);
    stage.offer(CY, 1, Epoch(2), vec![microphone()]);
    assert_eq!(stage.error(CY), ErrorCode::Invalid, "without a fingerprint");
    let to = (host, COMPUTER, Epoch(2));
    open_leg(&mut stage, CY, 1, to, vec![microphone()]);
    let to = (ana.host.host, HOST, Epoch(2));
    let asked = open_leg(&mut stage, CY, 2, to, vec![microphone()]);
    assert_eq!(asked.ticket, None);
    let infos: Vec<ParticipantInfo> = stage.news(BO);
    let tracks = &infos.last().expect("Cy").tracks;
    assert_eq!(tracks.len(), 1, "one track on two ways");
}

#[test]
fn the_call_goes_back_to_the_server_by_the_legs_that_are_there() {
    let mut stage = Stage::open();
    let (ana, _, _) = hosted(&mut stage);
    let server = ana.host.host;
    pass(&mut stage, BO, None);
    let moving = stage.hosting(BO).moving.expect("a move");
    assert_eq!((moving.epoch, moving.to.host), (Epoch(3), server));
    for who in [ANA, BO] {
        progress(&mut stage, who, Epoch(3), MoveStep::Ready);
    }
    let cy = stage.join(CY, "tea", "Cy");
    assert_eq!(cy.host.epoch, Epoch(2));
    let standby = (server, HOST, Epoch(2));
    let asked = open_leg(&mut stage, CY, 1, standby, vec![microphone()]);
    assert_eq!(asked.epoch, Epoch(3), "the server has seen that epoch");
    for who in [ANA, BO, CY] {
        progress(&mut stage, who, Epoch(3), MoveStep::Switched);
    }
    let after = stage.hosting(BO);
    assert_eq!((after.mine, after.standby), (server, None));
    assert_eq!(
        roles(&mut stage, COMPUTER).last(),
        Some(&(Epoch(3), HostRole::Draining))
    );
    stage.wait(Duration::from_secs(10));
    let told = stage.told(COMPUTER);
    assert!(matches!(told.last(), Some(HostCommand::CloseRoom { .. })));
}

#[test]
fn whatever_fails_leaves_the_call_where_it_is_and_burns_the_epoch() {
    let mut stage = Stage::open();
    let (ana, _) = two(&mut stage);
    let owner = owner_of(&mut stage, ANA);
    let host = link_computer(&mut stage, owner, None, Vec::new());
    let room = ana.room.clone();
    // It declines.
    pass(&mut stage, ANA, Some(host));
    let reason = "its battery is at 35 %".to_owned();
    let epoch = Epoch(2);
    stage.host_says(
        COMPUTER,
        HostMessage::Declined {
            room: room.clone(),
            epoch,
            reason,
        },
    );
    let heard = stage.heard(ANA);
    assert!(
        matches!(&heard[..], [ServiceMessage::Error { message, .. }] if message.contains("35 %")),
        "{heard:?}"
    );
    // Somebody cannot reach it.
    pass(&mut stage, ANA, Some(host));
    let epoch = Epoch(3);
    let room_again = room.clone();
    stage.host_says(
        COMPUTER,
        HostMessage::Prepared {
            room: room_again,
            epoch,
        },
    );
    progress(&mut stage, BO, epoch, MoveStep::Failed);
    let heard = stage.heard(ANA);
    assert!(
        matches!(&heard[..], [ServiceMessage::Error { message, .. }] if message.contains("Bo")),
        "{heard:?}"
    );
    assert_eq!(
        roles(&mut stage, COMPUTER).last(),
        Some(&(Epoch(3), HostRole::Draining))
    );
    // Nobody connects in time.
    pass(&mut stage, ANA, Some(host));
    let epoch = Epoch(4);
    stage.host_says(COMPUTER, HostMessage::Prepared { room, epoch });
    stage.wait(Duration::from_secs(8));
    assert_eq!(stage.hosting(BO).moving, None);
    assert_eq!(stage.error(ANA), ErrorCode::NoHost);
    // Somebody stops it.
    pass(&mut stage, ANA, Some(host));
    pass(&mut stage, BO, None);
    assert_eq!(stage.error(ANA), ErrorCode::NoHost);
    let hosting = stage.hosting(BO);
    assert_eq!((hosting.term.epoch, hosting.moving), (Epoch(1), None));
    assert_eq!(hosting.mine, ana.host.host);
    stage.wait(Duration::from_secs(10));
    let told = stage.told(COMPUTER);
    assert!(matches!(told.last(), Some(HostCommand::CloseRoom { .. })));
}

#[test]
fn who_may_pass_the_baton() {
    let mut stage = Stage::guarded();
    let ana = stage.join_with(ANA, &token("ana", Grants::talk()));
    let plain = Grants {
        host: false,
        ..Grants::talk()
    };
    stage.join_with(BO, &token("bo", plain));
    stage.publish(ANA, 1, ana.host.epoch, vec![microphone()]);
    let other = stage.link(OTHER, None, Vec::new());
    let owner = owner_of(&mut stage, ANA);
    let host = link_computer(&mut stage, owner, None, Vec::new());
    let name = "Bo's computer".to_owned();
    stage.heard(BO);
    stage.say(BO, PeerMessage::OfferHosting { name });
    assert_eq!(stage.error(BO), ErrorCode::Forbidden);
    for to in [Some(host), Some(other), None] {
        pass(&mut stage, BO, to);
        assert_eq!(stage.error(BO), ErrorCode::Forbidden);
    }
    pass(&mut stage, ANA, Some(other));
    assert_eq!(stage.error(ANA), ErrorCode::Forbidden);
    pass(&mut stage, ANA, Some(HostId(99)));
    assert_eq!(stage.error(ANA), ErrorCode::Forbidden);
    stage.told(COMPUTER);
    pass(&mut stage, ANA, Some(host));
    assert_eq!(roles(&mut stage, COMPUTER), [(Epoch(2), HostRole::Next)]);
}

#[test]
fn nobody_is_told_twice_what_has_not_changed() {
    let mut stage = Stage::open();
    let (_, bo) = two(&mut stage);
    assert_eq!(stage.hosting_count(ANA), 1);
    stage.wait(Duration::from_secs(60));
    assert_eq!(stage.hosting_count(ANA), 1);
    stage.lose(BO);
    stage.resume(BO, "tea", &bo.resume);
    assert_eq!(stage.hosting_count(BO), 2, "a new socket is told again");
    assert_eq!(stage.hosting_count(ANA), 1);
}
