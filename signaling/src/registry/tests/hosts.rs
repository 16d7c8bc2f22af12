//! Hosts that come, vanish and come back, and a service that does.

use std::time::Duration;

use baton_protocol::{
    Denial, Epoch, ErrorCode, Grants, HostCommand, HostMessage, LeaveReason, LegId, LegState,
    PeerMessage, RosterLeg, RosterRoom, ServiceMessage, TrackInfo,
};

use super::stage::*;
use crate::{Access, ConnectionId, JoinToken, LinkId};

const OTHER: LinkId = LinkId(2);
const AGAIN: LinkId = LinkId(3);

fn roster(joined: &baton_protocol::Joined, tracks: &[TrackInfo]) -> Vec<RosterRoom> {
    vec![RosterRoom {
        role: None,
        grant: None,
        room: joined.room.clone(),
        epoch: joined.host.epoch,
        legs: vec![RosterLeg {
            participant: joined.me,
            leg: LegId(1),
            tracks: tracks.to_vec(),
            memento: None,
        }],
    }]
}

#[test]
fn without_a_host_there_is_no_room() {
    let mut stage = Stage::empty(Access::Open, 0);
    stage.say(ANA, PeerMessage::Join(join("tea", "Ana")));
    assert_eq!(stage.error(ANA), ErrorCode::NoHost);
}

#[test]
fn everybody_is_told_of_a_server_s_public_address_where_they_hear_how_they_are_seen() {
    let mut stage = Stage::open();
    let at = [
        "127.0.0.1:7881",
        "[2001:db8::7]:7881",
        "10.0.0.7:7881",
        "203.0.113.7:7881",
    ];
    let at = at.map(|one| one.parse().expect("address")).to_vec();
    stage.host_says(HOST, HostMessage::Reflects { at });
    let urls = |joined: baton_protocol::Joined| -> Vec<String> {
        let servers = joined.ice_servers.into_iter();
        let urls = servers.flat_map(|server| server.urls);
        urls.filter(|url| url.starts_with("stun:")).collect()
    };
    let ana = stage.join(ANA, "tea", "Ana");
    assert_eq!(urls(ana), ["stun:203.0.113.7:7881"]);
    stage.unlink(HOST);
    stage.link(OTHER, None, Vec::new());
    let at = vec!["127.0.0.1:7881".parse().expect("address")];
    stage.host_says(OTHER, HostMessage::Reflects { at });
    let ben = stage.join(ConnectionId(2), "cake", "Ben");
    assert_eq!(
        urls(ben),
        [""; 0],
        "nobody can ask a host that is gone, nor itself"
    );
}

#[test]
fn a_host_that_vanishes_and_comes_back_changes_nothing() {
    let mut stage = Stage::open();
    let ana = stage.join(ANA, "tea", "Ana");
    let tracks = stage.publish(ANA, 1, ana.host.epoch, vec![microphone()]);
    stage.unlink(HOST);
    assert_eq!(
        stage.heard(ANA),
        [],
        "media goes on, so nobody is told anything"
    );
    stage.offer(ANA, 1, ana.host.epoch, vec![microphone(), camera()]);
    assert_eq!(stage.error(ANA), ErrorCode::NoHost);
    let host = stage.link(AGAIN, Some(ana.host.host), roster(&ana, &tracks));
    assert_eq!(host, ana.host.host);
    stage.told(AGAIN);
    stage.heard(ANA);
    stage.offer(ANA, 1, ana.host.epoch, vec![microphone(), camera()]);
    let asked = stage.negotiation(AGAIN);
    stage.host_says(AGAIN, agree(&asked));
    let news = stage.news(ANA);
    assert_eq!(news[0].tracks[0].id, tracks[0].id);
}

#[test]
fn an_offer_that_the_vanished_host_had_is_answered_for_it() {
    let mut stage = Stage::open();
    let epoch = stage.join(ANA, "tea", "Ana").host.epoch;
    stage.offer(ANA, 1, epoch, vec![microphone()]);
    stage.unlink(HOST);
    assert_eq!(stage.error(ANA), ErrorCode::NoHost);
}

#[test]
fn a_host_that_says_nothing_is_not_waited_for() {
    let mut stage = Stage::open();
    let epoch = stage.join(ANA, "tea", "Ana").host.epoch;
    stage.offer(ANA, 1, epoch, vec![microphone()]);
    stage.told(HOST);
    stage.wait(Duration::from_secs(10));
    assert_eq!(stage.error(ANA), ErrorCode::NoHost);
    assert!(matches!(
        stage.told(HOST).as_slice(),
        [HostCommand::Close {
            leg: Some(LegId(1)),
            ..
        }]
    ));
}

#[test]
fn a_room_whose_host_stays_away_gets_another_one_when_it_needs_it() {
    let mut stage = Stage::open();
    let ana = stage.join(ANA, "tea", "Ana");
    let tracks = stage.publish(ANA, 1, ana.host.epoch, vec![microphone()]);
    let other = stage.link(OTHER, None, Vec::new());
    stage.unlink(HOST);
    stage.wait(Duration::from_secs(4));
    stage.offer(ANA, 2, ana.host.epoch, vec![microphone()]);
    assert_eq!(stage.error(ANA), ErrorCode::NoHost, "it may come back yet");
    stage.wait(Duration::from_secs(2));
    stage.offer(ANA, 2, ana.host.epoch, vec![microphone()]);
    let heard = stage.heard(ANA);
    let Some(ServiceMessage::HostChanged { host }) = heard.first() else {
        panic!("a new host, not {heard:?}");
    };
    assert_eq!((host.host, host.epoch), (other, ana.host.epoch.next()));
    stage.offer(ANA, 2, host.epoch, vec![microphone()]);
    let asked = stage.negotiation(OTHER);
    stage.host_says(OTHER, agree(&asked));
    stage.heard(ANA);
    stage.link(AGAIN, Some(ana.host.host), roster(&ana, &tracks));
    let told = stage.told(AGAIN);
    assert!(
        matches!(told.last(), Some(HostCommand::CloseRoom { .. })),
        "the old host is fenced: {told:?}"
    );
    stage.host_says(
        AGAIN,
        HostMessage::Leg {
            room: ana.room.clone(),
            participant: ana.me,
            leg: LegId(2),
            state: LegState::Closed,
        },
    );
    assert_eq!(stage.heard(ANA), [], "and not believed about the room");
}

#[test]
fn a_leg_that_the_host_lost_is_told_to_its_owner() {
    let mut stage = Stage::open();
    let ana = stage.join(ANA, "tea", "Ana");
    stage.publish(ANA, 1, ana.host.epoch, vec![microphone()]);
    stage.unlink(HOST);
    stage.link(AGAIN, Some(ana.host.host), Vec::new());
    let heard = stage.heard(ANA);
    assert!(
        matches!(
            heard.first(),
            Some(ServiceMessage::LegClosed { leg: LegId(1), .. })
        ),
        "{heard:?}"
    );
    let Some(ServiceMessage::Participant { participant }) = heard.last() else {
        panic!("the room as it is, not {heard:?}");
    };
    assert!(participant.tracks.is_empty());
}

#[test]
fn a_restarted_service_knows_its_people_again() {
    let mut before = Stage::open();
    let ana = before.join(ANA, "tea", "Ana");
    let bo = before.join(BO, "tea", "Bo");
    let tracks = before.publish(ANA, 1, ana.host.epoch, vec![microphone(), camera()]);

    let mut after = Stage::empty(Access::Open, 7);
    let host = after.link(HOST, Some(ana.host.host), roster(&ana, &tracks));
    assert_eq!(host, ana.host.host);
    assert!(
        after
            .told(HOST)
            .iter()
            .all(|command| matches!(command, HostCommand::Accepted { .. }))
    );
    let again = after.resume(BO, "tea", &bo.resume);
    assert!(again.resumed && again.me == bo.me && again.host == bo.host);
    assert_eq!(again.participants.len(), 1, "Ana is not back yet");
    assert!(again.gathering && !bo.gathering);
    let again = after.resume(ANA, "tea", &ana.resume);
    assert!(again.resumed && again.me == ana.me);
    let me = again
        .participants
        .iter()
        .find(|one| one.id == ana.me)
        .expect("Ana");
    assert_eq!(
        (me.name.as_str(), me.tracks.as_slice()),
        ("Ana", tracks.as_slice())
    );
    assert_eq!(after.news(BO)[0].tracks, tracks);
    after.wait(Duration::from_secs(120));
    assert_eq!(after.told(HOST), [], "media was never touched");
    after.offer(ANA, 1, again.host.epoch, vec![microphone(), camera()]);
    let asked = after.negotiation(HOST);
    after.host_says(HOST, agree(&asked));
    let heard = after.heard(ANA);
    assert!(matches!(&heard[0], ServiceMessage::Answer { tracks: same, .. } if *same == tracks));
}

#[test]
fn people_may_be_back_before_their_host() {
    let mut before = Stage::open();
    let ana = before.join(ANA, "tea", "Ana");
    let tracks = before.publish(ANA, 1, ana.host.epoch, vec![microphone()]);

    let mut after = Stage::empty(Access::Open, 7);
    let again = after.resume(ANA, "tea", &ana.resume);
    assert!(again.resumed && again.gathering && again.host == ana.host);
    after.link(HOST, Some(ana.host.host), roster(&ana, &tracks));
    assert_eq!(
        after.news(ANA).last().expect("the room as it is").tracks,
        tracks
    );
    after.wait(Duration::from_secs(31));
    after.lose(ANA);
    let later = after.resume(ANA, "tea", &again.resume);
    assert!(later.resumed && !later.gathering);
}

#[test]
fn who_does_not_come_back_after_a_restart_is_closed_on_the_host() {
    let mut before = Stage::open();
    let ana = before.join(ANA, "tea", "Ana");
    let tracks = before.publish(ANA, 1, ana.host.epoch, vec![microphone()]);
    let mut after = Stage::empty(Access::Open, 7);
    after.link(HOST, Some(ana.host.host), roster(&ana, &tracks));
    after.told(HOST);
    after.wait(Duration::from_secs(31));
    assert!(matches!(
        after.told(HOST).as_slice(),
        [HostCommand::Close { leg: None, .. }]
    ));
    after.wait(Duration::from_secs(61));
    assert_eq!(after.registry.room_count(), 0);
}

#[test]
fn a_newcomer_after_a_restart_does_not_split_the_room() {
    let mut before = Stage::open();
    let ana = before.join(ANA, "tea", "Ana");
    let tracks = before.publish(ANA, 1, ana.host.epoch, vec![microphone()]);

    let mut after = Stage::empty(Access::Open, 7);
    let other = after.link(OTHER, None, Vec::new());
    let bo = after.join(BO, "tea", "Bo");
    assert_eq!(bo.host.host, other, "nobody knew of the other host yet");
    after.link(HOST, Some(ana.host.host), roster(&ana, &tracks));
    let heard = after.heard(BO);
    let Some(ServiceMessage::HostChanged { host }) = heard.first() else {
        panic!("the host that has legs, not {heard:?}");
    };
    assert_eq!(host.host, ana.host.host);
    assert!(
        host.epoch > bo.host.epoch && host.epoch > ana.host.epoch,
        "epochs only grow"
    );
    assert!(after.resume(ANA, "tea", &ana.resume).resumed);
}

#[test]
fn a_token_of_this_life_does_not_bring_back_who_was_sent_away() {
    let mut stage = Stage::open();
    stage.join(ANA, "tea", "Ana");
    let bo = stage.join(BO, "tea", "Bo");
    stage.lose(BO);
    stage.wait(Duration::from_secs(31));
    let left = ServiceMessage::ParticipantLeft {
        participant: bo.me,
        reason: LeaveReason::TimedOut,
    };
    assert!(stage.heard(ANA).contains(&left));
    assert!(!stage.resume(CY, "tea", &bo.resume).resumed);
}

#[test]
fn who_left_does_not_come_back_by_the_old_token_even_in_a_young_service() {
    let mut stage = Stage::open();
    stage.join(ANA, "tea", "Ana");
    let bo = stage.join(BO, "tea", "Bo");
    stage.say(BO, PeerMessage::Leave);
    let again = stage.resume(CY, "tea", &bo.resume);
    assert!(!again.resumed && again.me != bo.me);
}

#[test]
fn nobody_is_believed_about_a_room_that_is_not_theirs() {
    let mut stage = Stage::open();
    let ana = stage.join(ANA, "tea", "Ana");
    stage.offer(ANA, 1, ana.host.epoch, vec![microphone()]);
    let asked = stage.negotiation(HOST);
    stage.link(OTHER, None, Vec::new());
    stage.host_says(OTHER, agree(&asked));
    stage.host_says(
        OTHER,
        HostMessage::Leg {
            room: asked.room.clone(),
            participant: asked.participant,
            leg: asked.leg,
            state: LegState::Closed,
        },
    );
    assert_eq!(stage.heard(ANA), []);
    stage.host_says(LinkId(77), agree(&asked));
    assert_eq!(stage.cut, [LinkId(77)], "hello comes first");
    assert_eq!(Epoch::FIRST, ana.host.epoch);
}

/// Everything that a host was asked to keep.
fn entrusted(stage: &mut Stage) -> Vec<Denial> {
    let told = stage.told(HOST).into_iter();
    told.filter_map(|command| match command {
        HostCommand::Deny { denials } => Some(denials),
        _ => None,
    })
    .flatten()
    .collect()
}

#[test]
fn a_kick_holds_over_a_restart_of_the_service() {
    let mut before = Stage::guarded();
    let grants = Grants {
        moderate: true,
        ..Grants::talk()
    };
    let ana = before.join_with(ANA, &token("ana", grants));
    let bo = before.join_with(BO, &token("bo", Grants::talk()));
    before.say(ANA, PeerMessage::Kick { participant: bo.me });
    let denials = entrusted(&mut before);
    assert!(!denials.is_empty());

    let keys = crate::Keys::default();
    let mut after = Stage::empty(Access::Tokens { keys }, 7);
    after.link_with(HOST, Some(ana.host.host), Vec::new(), denials.clone());
    after.say(BO, with_token(&token("bo", Grants::talk())));
    assert_eq!(after.error(BO), ErrorCode::Forbidden, "the old token");
    after.say(CY, resume("tea", &bo.resume));
    assert_eq!(after.error(CY), ErrorCode::Forbidden, "the resume token");
    let newer = JoinToken {
        issued_at: after.now_s(),
        ..token("bo", Grants::talk())
    };
    after.join_with(ConnectionId(4), &newer);
    after.told(HOST);
    after.link(LinkId(2), None, Vec::new());
    let told = after.told(LinkId(2));
    assert!(
        matches!(&told[..], [_, HostCommand::Deny { denials: kept }] if kept.len() == denials.len()),
        "a host that comes later keeps it too: {told:?}"
    );
}

#[test]
fn who_slipped_in_before_the_host_said_that_they_were_kicked_goes_again() {
    let mut before = Stage::open();
    before.join(ANA, "tea", "Ana");
    let bo = before.join(BO, "tea", "Bo");
    before.say(ANA, PeerMessage::Kick { participant: bo.me });
    let denials = entrusted(&mut before);

    let mut after = Stage::empty(Access::Open, 7);
    assert!(after.resume(BO, "tea", &bo.resume).resumed);
    after.link_with(HOST, Some(bo.host.host), Vec::new(), denials);
    let reason = LeaveReason::Kicked;
    assert_eq!(after.heard(BO), [ServiceMessage::Removed { reason }]);
    assert_eq!(after.registry.participant_count(), 0);
}
