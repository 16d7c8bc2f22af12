use baton_protocol::{Epoch, Grants, HostId, HostKind};
use proptest::prelude::*;

use super::*;

#[test]
fn who_comes_is_told_with_what_they_publish() {
    let mut room = room(&[person(1, &[])]);
    let ana = person(2, &[(7, false)]);
    let changes = room.handle_message(
        &ServiceMessage::Participant {
            participant: ana.clone(),
        },
        Instant::now(),
    );
    let track = ana.tracks[0].clone();
    assert_eq!(
        changes,
        [
            Change::Came(ana),
            Change::Published {
                by: ParticipantId(2),
                track
            }
        ]
    );
}

#[test]
fn a_muted_track_is_a_change_of_that_track_alone() {
    let mut room = room(&[person(1, &[]), person(2, &[(7, false), (8, false)])]);
    let ana = person(2, &[(7, true), (8, false)]);
    let changes = room.handle_message(
        &ServiceMessage::Participant {
            participant: ana.clone(),
        },
        Instant::now(),
    );
    let track = ana.tracks[0].clone();
    assert_eq!(
        changes,
        [Change::Track {
            by: ParticipantId(2),
            track
        }]
    );
    assert_eq!(
        room.source_of(ParticipantId(2), TrackId(7)),
        Some(Source::Camera)
    );
}

#[test]
fn who_left_is_told_once_and_by_name() {
    let mut room = room(&[person(1, &[]), person(2, &[])]);
    let left = ServiceMessage::ParticipantLeft {
        participant: ParticipantId(2),
        reason: LeaveReason::TimedOut,
    };
    let went = Change::Went {
        participant: person(2, &[]),
        reason: Some(LeaveReason::TimedOut),
    };
    assert_eq!(room.handle_message(&left, Instant::now()), [went]);
    assert_eq!(room.handle_message(&left, Instant::now()), []);
    assert_eq!(room.name_of(ParticipantId(2)), "p2");
}

#[test]
fn a_host_of_an_older_term_is_not_believed() {
    let mut room = room(&[]);
    let newer = ServiceMessage::HostChanged { host: term(3) };
    assert_eq!(
        room.handle_message(&newer, Instant::now()),
        [Change::Host(term(3))]
    );
    assert_eq!(
        room.handle_message(
            &ServiceMessage::HostChanged { host: term(2) },
            Instant::now()
        ),
        []
    );
    assert_eq!(room.host().epoch, Epoch(3));
}

/// A room of two, and the service was restarted: it says that `told` are there.
fn restarted(told: &[ParticipantInfo], now: Instant) -> (Room, Vec<Change>) {
    let mut room = room(&[person(1, &[(3, false)]), person(2, &[(7, false)])]);
    let joined = Joined {
        gathering: true,
        ..joined(told)
    };
    let changes = room.handle_joined(&joined, now);
    (room, changes)
}

#[test]
fn who_a_restarted_service_has_not_heard_of_again_is_away_for_a_while() {
    let now = Instant::now();
    let (mut room, changes) = restarted(&[person(1, &[])], now);
    let mut away = person(2, &[(7, false)]);
    away.connected = false;
    assert_eq!(changes, [Change::Changed(away.clone())]);
    assert_eq!(room.deadline(), Some(now + RETURN_WITHIN));
    assert_eq!(room.handle_deadline(now), []);
    let track = person(1, &[(3, false)]).tracks[0].clone();
    let lost = Change::Unpublished {
        by: ParticipantId(1),
        track,
    };
    let went = Change::Went {
        participant: away,
        reason: None,
    };
    assert_eq!(room.handle_deadline(now + RETURN_WITHIN), [lost, went]);
    assert_eq!(room.deadline(), None);
}

#[test]
fn who_is_back_before_their_host_has_told_of_their_tracks_keeps_them() {
    let now = Instant::now();
    let back = |tracks| ServiceMessage::Participant {
        participant: person(2, tracks),
    };
    let (mut room, changes) = restarted(&[person(1, &[]), person(2, &[])], now);
    assert_eq!(changes, []);
    assert_eq!(room.handle_message(&back(&[]), now), []);
    assert_eq!(room.handle_message(&back(&[(7, false)]), now), []);
    let ended = room.handle_message(&back(&[]), now);
    assert!(matches!(ended[..], [Change::Unpublished { .. }]));
}

#[test]
fn who_is_missing_goes_when_the_host_says_that_a_track_of_theirs_ended() {
    let (mut room, _) = restarted(&[person(1, &[])], Instant::now());
    assert_eq!(room.handle_end(TrackId(99)), []);
    let changes = room.handle_end(TrackId(7));
    assert!(matches!(changes[..], [Change::Went { .. }]));
}

proptest! {
    #[test]
    fn after_having_been_away_the_room_is_as_told_and_the_changes_say_how(
        before in people(), after in people(),
    ) {
        let mut room = room(&before);
        let joined = joined(&after);
        let changes = room.handle_joined(&joined, Instant::now());
        prop_assert_eq!(&room, &Room::new(&joined));
        prop_assert_eq!(changes.is_empty(), room == Room::new(&self::joined(&before)));
        let came = changes.iter().filter(|change| matches!(change, Change::Came(_))).count();
        let went = changes.iter().filter(|change| matches!(change, Change::Went { .. })).count();
        prop_assert_eq!(by_id(&before).len() + came, by_id(&after).len() + went);
    }
}

fn people() -> impl Strategy<Value = Vec<ParticipantInfo>> {
    let tracks = prop::collection::btree_map(0..4_u32, any::<bool>(), 0..4);
    let people = prop::collection::btree_map(1..6_u32, tracks, 0..5);
    people.prop_map(|people| {
        let person = |(id, tracks): (u32, BTreeMap<u32, bool>)| {
            person(id, &tracks.into_iter().collect::<Vec<_>>())
        };
        people.into_iter().map(person).collect()
    })
}

pub(crate) fn person(id: u32, tracks: &[(u32, bool)]) -> ParticipantInfo {
    let track = |&(id, muted): &(u32, bool)| TrackInfo {
        id: TrackId(id),
        mid: id.to_string(),
        source: Source::Camera,
        layers: Vec::new(),
        muted,
    };
    ParticipantInfo {
        id: ParticipantId(id),
        name: format!("person {id}"),
        tracks: tracks.iter().map(track).collect(),
        connected: true,
    }
}

fn term(epoch: u32) -> HostTerm {
    HostTerm {
        epoch: Epoch(epoch),
        host: HostId(1),
        kind: HostKind::Central,
        name: "central".to_owned(),
    }
}

pub(crate) fn room(participants: &[ParticipantInfo]) -> Room {
    Room::new(&joined(participants))
}

fn joined(participants: &[ParticipantInfo]) -> Joined {
    Joined {
        signing_key: None,
        protocol: 1,
        room: "standup".parse().unwrap(),
        me: ParticipantId(1),
        resumed: false,
        gathering: false,
        resume: String::new(),
        grants: Grants::talk(),
        host: term(1),
        participants: participants.to_vec(),
        ice_servers: Vec::new(),
    }
}
