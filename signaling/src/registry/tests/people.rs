//! People among themselves.

use std::time::Duration;

use baton_protocol::{
    Epoch, ErrorCode, Grants, HostCommand, Join, LeaveReason, LegId, ParticipantId, PeerMessage,
    ServiceMessage, Source,
};

use super::stage::*;
use crate::registry::CloseReason;

#[test]
fn everybody_sees_who_comes_and_who_goes() {
    let mut stage = Stage::open();
    let ana = stage.join(ANA, "tea", " Ana ");
    assert_eq!(ana.participants[0].name, "Ana");
    let bo = stage.join(BO, "tea", "Bo");
    assert_eq!(bo.participants.len(), 2);
    assert_ne!(bo.me, ana.me);
    assert_eq!(
        stage.news(ANA),
        [bo.participants
            .into_iter()
            .find(|one| one.id == bo.me)
            .expect("Bo")]
    );
    stage.say(BO, PeerMessage::Leave);
    let left = ServiceMessage::ParticipantLeft {
        participant: bo.me,
        reason: LeaveReason::Left,
    };
    assert_eq!(stage.heard(ANA), [left]);
    assert_eq!(stage.closed.get(&BO), Some(&CloseReason::Over));
}

#[test]
fn a_published_track_is_known_to_all_after_the_host_agreed() {
    let mut stage = Stage::open();
    let ana = stage.join(ANA, "tea", "Ana");
    stage.join(BO, "tea", "Bo");
    stage.offer(ANA, 1, ana.host.epoch, vec![microphone(), camera()]);
    stage.heard(BO);
    assert!(stage.news(BO).is_empty(), "nobody has agreed yet");
    let asked = stage.negotiation(HOST);
    stage.host_says(HOST, agree(&asked));
    let news = stage.news(BO);
    let sources: Vec<_> = news[0].tracks.iter().map(|track| track.source).collect();
    assert_eq!(sources, [Source::Microphone, Source::Camera]);
}

#[test]
fn a_track_keeps_its_number_over_new_offers_of_its_leg() {
    let mut stage = Stage::open();
    let epoch = stage.join(ANA, "tea", "Ana").host.epoch;
    let first = stage.publish(ANA, 1, epoch, vec![microphone()]);
    let second = stage.publish(ANA, 1, epoch, vec![microphone(), camera()]);
    assert_eq!(first[0].id, second[0].id);
    assert_ne!(second[0].id, second[1].id);
    let third = stage.publish(ANA, 1, epoch, vec![track("0", Source::ScreenAudio)]);
    assert_ne!(third[0].id, first[0].id, "another source is another track");
    let other_leg = stage.publish(ANA, 2, epoch, vec![microphone()]);
    assert_ne!(
        other_leg[0].id, first[0].id,
        "another leg has tracks of its own"
    );
}

#[test]
fn only_the_newest_offer_of_a_leg_is_answered() {
    let mut stage = Stage::open();
    let epoch = stage.join(ANA, "tea", "Ana").host.epoch;
    stage.offer(ANA, 1, epoch, vec![microphone()]);
    let old = stage.negotiation(HOST);
    stage.offer(ANA, 1, epoch, vec![microphone(), camera()]);
    let new = stage.negotiation(HOST);
    stage.host_says(HOST, agree(&old));
    assert_eq!(stage.heard(ANA), []);
    stage.host_says(HOST, agree(&new));
    assert_eq!(
        stage.heard(ANA).len(),
        2,
        "the answer and the room as it is"
    );
    stage.host_says(HOST, agree(&new));
    assert_eq!(stage.heard(ANA), [], "an answer counts once");
}

#[test]
fn what_was_not_granted_is_not_published() {
    let mut stage = Stage::guarded();
    let grants = Grants {
        publish: vec![Source::Microphone],
        ..Grants::default()
    };
    let epoch = stage.join_with(ANA, &token("ana", grants)).host.epoch;
    stage.offer(ANA, 1, epoch, vec![microphone(), camera()]);
    assert_eq!(stage.error(ANA), ErrorCode::Forbidden);
    assert!(
        stage
            .told(HOST)
            .iter()
            .all(|command| !matches!(command, HostCommand::Negotiate(_)))
    );
    for (message, needs) in [
        (chat("hello"), "chat"),
        (
            PeerMessage::Kick {
                participant: ParticipantId(1),
            },
            "moderate",
        ),
    ] {
        stage.say(ANA, message);
        assert_eq!(stage.error(ANA), ErrorCode::Forbidden, "{needs}");
    }
}

#[test]
fn without_a_token_nobody_enters_a_guarded_service() {
    let mut stage = Stage::guarded();
    stage.say(ANA, PeerMessage::Join(join("tea", "Ana")));
    assert_eq!(stage.error(ANA), ErrorCode::Unauthorized);
    assert_eq!(stage.closed.get(&ANA), Some(&CloseReason::Refused));
    let elsewhere = Join {
        room: "coffee".parse().expect("a room name"),
        ..match with_token(&token("bo", Grants::talk())) {
            PeerMessage::Join(join) => join,
            other => panic!("{other:?}"),
        }
    };
    stage.say(BO, PeerMessage::Join(elsewhere));
    assert_eq!(stage.error(BO), ErrorCode::Unauthorized);
    assert_eq!(
        stage.registry.room_count(),
        0,
        "a refused join makes no room"
    );
}

#[test]
fn a_resume_token_is_no_join_token_and_the_reverse() {
    let mut stage = Stage::guarded();
    let join_token = token("ana", Grants::talk());
    let ana = stage.join_with(ANA, &join_token);
    let as_join = Join {
        token: Some(ana.resume),
        ..join("tea", "Ana")
    };
    stage.say(BO, PeerMessage::Join(as_join));
    assert_eq!(stage.error(BO), ErrorCode::Unauthorized);
    let minted = secret().mint(&crate::Token::Join(join_token));
    stage.say(CY, resume("tea", &minted));
    assert_eq!(stage.error(CY), ErrorCode::Unauthorized);
}

#[test]
fn the_room_is_full_at_its_limit() {
    let mut stage = Stage::open();
    for number in 0..1000 {
        stage.join(crate::ConnectionId(100 + number), "tea", "Guest");
    }
    stage.say(ANA, PeerMessage::Join(join("tea", "Ana")));
    assert_eq!(stage.error(ANA), ErrorCode::Limit);
}

#[test]
fn a_lost_socket_is_resumed_without_touching_media() {
    let mut stage = Stage::open();
    let ana = stage.join(ANA, "tea", "Ana");
    stage.join(BO, "tea", "Bo");
    let tracks = stage.publish(ANA, 1, ana.host.epoch, vec![microphone()]);
    stage.heard(BO);
    stage.lose(ANA);
    assert!(!stage.news(BO)[0].connected, "everybody is told");
    stage.wait(Duration::from_secs(29));
    let again = stage.resume(CY, "tea", &ana.resume);
    assert!(again.resumed && again.me == ana.me);
    let me = again
        .participants
        .iter()
        .find(|one| one.id == ana.me)
        .expect("Ana");
    assert_eq!(
        (me.tracks.as_slice(), me.connected),
        (tracks.as_slice(), true)
    );
    stage.wait(Duration::from_secs(120));
    assert_eq!(stage.told(HOST), [], "the host never heard of it");
    assert!(stage.news(BO)[0].connected);
}

#[test]
fn who_does_not_come_back_in_time_is_gone() {
    let mut stage = Stage::open();
    let ana = stage.join(ANA, "tea", "Ana");
    stage.join(BO, "tea", "Bo");
    stage.publish(ANA, 1, ana.host.epoch, vec![microphone()]);
    stage.heard(BO);
    stage.lose(ANA);
    stage.wait(Duration::from_secs(31));
    let left = ServiceMessage::ParticipantLeft {
        participant: ana.me,
        reason: LeaveReason::TimedOut,
    };
    assert_eq!(stage.heard(BO).last(), Some(&left));
    let close = HostCommand::Close {
        room: "tea".parse().expect("a room name"),
        participant: ana.me,
        leg: None,
    };
    assert_eq!(stage.told(HOST), [close]);
    let again = stage.resume(CY, "tea", &ana.resume);
    assert!(!again.resumed && again.me != ana.me, "a new start");
}

#[test]
fn a_resume_takes_over_from_a_socket_that_only_seems_alive() {
    let mut stage = Stage::open();
    let ana = stage.join(ANA, "tea", "Ana");
    let again = stage.resume(BO, "tea", &ana.resume);
    assert_eq!(again.me, ana.me);
    assert_eq!(stage.closed.get(&ANA), Some(&CloseReason::Over));
    let twice = stage.resume(CY, "tea", &ana.resume);
    assert!(
        twice.resumed,
        "the welcome with the newer token may have been lost"
    );
    let late = crate::ConnectionId(9);
    let late = stage.resume(late, "tea", &ana.resume);
    assert!(!late.resumed, "two tokens old");
}

#[test]
fn the_same_subject_is_in_a_room_once() {
    let mut stage = Stage::guarded();
    let ana = token("ana", Grants::talk());
    let first = stage.join_with(ANA, &ana);
    stage.join_with(BO, &token("bo", Grants::talk()));
    stage.publish(ANA, 1, first.host.epoch, vec![microphone()]);
    let second = stage.join_with(CY, &ana);
    assert_ne!(second.me, first.me);
    let removed = ServiceMessage::Removed {
        reason: LeaveReason::Replaced,
    };
    assert!(stage.heard(ANA).contains(&removed));
    assert_eq!(second.participants.len(), 2);
}

#[test]
fn a_kick_is_final_until_a_newer_token() {
    let mut stage = Stage::guarded();
    let moderator = Grants {
        moderate: true,
        ..Grants::talk()
    };
    stage.join_with(ANA, &token("ana", moderator));
    let bo = token("bo", Grants::talk());
    let joined = stage.join_with(BO, &bo);
    stage.say(
        ANA,
        PeerMessage::Kick {
            participant: joined.me,
        },
    );
    let removed = ServiceMessage::Removed {
        reason: LeaveReason::Kicked,
    };
    assert_eq!(stage.heard(BO), [removed]);
    stage.say(CY, with_token(&bo));
    assert_eq!(stage.error(CY), ErrorCode::Forbidden);
    let resumed = crate::ConnectionId(8);
    stage.say(resumed, resume("tea", &joined.resume));
    assert_eq!(stage.error(resumed), ErrorCode::Forbidden);
    stage.wait(Duration::from_secs(1));
    let mut newer = bo;
    newer.issued_at = stage.now_s();
    stage.join_with(crate::ConnectionId(9), &newer);
}

#[test]
fn a_kick_in_an_open_room_ends_the_resume_token_too() {
    let mut stage = Stage::open();
    stage.join(ANA, "tea", "Ana");
    let bo = stage.join(BO, "tea", "Bo");
    stage.say(ANA, PeerMessage::Kick { participant: bo.me });
    stage.say(CY, resume("tea", &bo.resume));
    assert_eq!(stage.error(CY), ErrorCode::Forbidden);
}

#[test]
fn a_moderator_mutes_and_only_the_owner_unmutes() {
    let mut stage = Stage::open();
    let ana = stage.join(ANA, "tea", "Ana");
    let bo = stage.join(BO, "tea", "Bo");
    let track = stage.publish(BO, 1, bo.host.epoch, vec![microphone()])[0].id;
    stage.say(ANA, PeerMessage::MuteOther { track });
    let muted = ServiceMessage::MutedByModerator { track, by: ana.me };
    assert!(stage.heard(BO).contains(&muted));
    assert!(matches!(
        stage.told(HOST).as_slice(),
        [HostCommand::SetMuted { muted: true, .. }]
    ));
    let again = stage.publish(BO, 1, bo.host.epoch, vec![microphone(), camera()]);
    assert!(again[0].muted, "an offer does not unmute");
    stage.say(
        ANA,
        PeerMessage::Mute {
            track,
            muted: false,
        },
    );
    stage.heard(BO);
    assert!(stage.heard(ANA).iter().any(|message| matches!(
        message,
        ServiceMessage::Error {
            code: ErrorCode::NotFound,
            ..
        }
    )));
    stage.say(
        BO,
        PeerMessage::Mute {
            track,
            muted: false,
        },
    );
    assert!(!stage.news(ANA)[0].tracks[0].muted);
}

#[test]
fn a_mute_while_the_host_thinks_is_not_lost() {
    let mut stage = Stage::open();
    let epoch = stage.join(ANA, "tea", "Ana").host.epoch;
    let track = stage.publish(ANA, 1, epoch, vec![microphone()])[0].id;
    stage.offer(ANA, 1, epoch, vec![microphone(), camera()]);
    let asked = stage.negotiation(HOST);
    stage.say(ANA, PeerMessage::Mute { track, muted: true });
    stage.heard(ANA);
    stage.host_says(HOST, agree(&asked));
    assert!(stage.news(ANA)[0].tracks[0].muted);
}

#[test]
fn chat_reaches_all_or_only_one_and_is_not_kept() {
    let mut stage = Stage::open();
    stage.join(ANA, "tea", "Ana");
    let bo = stage.join(BO, "tea", "Bo");
    stage.say(BO, chat("hello"));
    assert_eq!(texts(&stage.heard(ANA)), ["hello"]);
    assert_eq!(texts(&stage.heard(BO)), ["hello"]);
    stage.join(CY, "tea", "Cy");
    stage.heard(ANA);
    stage.say(
        ANA,
        PeerMessage::Chat {
            text: "psst".to_owned(),
            to: Some(bo.me),
        },
    );
    assert_eq!(texts(&stage.heard(ANA)), ["psst"]);
    assert_eq!(texts(&stage.heard(BO)), ["psst"]);
    assert_eq!(texts(&stage.heard(CY)), Vec::<String>::new());
}

#[test]
fn the_hidden_see_and_are_not_seen() {
    let mut stage = Stage::guarded();
    let ana = stage.join_with(ANA, &token("ana", Grants::talk()));
    let grants = Grants {
        hidden: true,
        ..Grants::talk()
    };
    let bo = stage.join_with(BO, &token("bo", grants));
    assert_eq!(bo.participants.len(), 2, "Ana and oneself");
    assert_eq!(stage.heard(ANA), []);
    let again = stage.join_with(CY, &token("cy", Grants::talk()));
    assert!(again.participants.iter().all(|one| one.id != bo.me));
    stage.heard(ANA);
    stage.heard(BO);
    stage.offer(BO, 1, ana.host.epoch, vec![microphone()]);
    assert_eq!(
        stage.error(BO),
        ErrorCode::Forbidden,
        "the hidden do not publish"
    );
    stage.say(BO, PeerMessage::Leave);
    assert_eq!(stage.heard(ANA), []);
}

#[test]
fn an_empty_room_is_closed_after_a_minute_unless_somebody_comes() {
    let mut stage = Stage::open();
    stage.join(ANA, "tea", "Ana");
    stage.say(ANA, PeerMessage::Leave);
    stage.wait(Duration::from_secs(59));
    stage.join(BO, "tea", "Bo");
    stage.wait(Duration::from_secs(120));
    assert_eq!(stage.registry.room_count(), 1);
    stage.say(BO, PeerMessage::Leave);
    stage.told(HOST);
    stage.wait(Duration::from_secs(61));
    assert_eq!(stage.registry.room_count(), 0);
    assert!(matches!(
        stage.told(HOST).as_slice(),
        [HostCommand::CloseRoom { .. }]
    ));
}

#[test]
fn limits_of_an_offer_are_kept() {
    let mut stage = Stage::open();
    let epoch = stage.join(ANA, "tea", "Ana").host.epoch;
    let many = (0..9)
        .map(|mid| track(&mid.to_string(), Source::Camera))
        .collect();
    stage.offer(ANA, 1, epoch, many);
    assert_eq!(stage.error(ANA), ErrorCode::Limit);
    stage.offer(ANA, 1, epoch, vec![microphone(), microphone()]);
    assert_eq!(stage.error(ANA), ErrorCode::Invalid, "one mid twice");
    stage.offer(ANA, 1, Epoch(7), vec![]);
    assert_eq!(stage.error(ANA), ErrorCode::StaleEpoch);
    for leg in 1..=4 {
        stage.publish(ANA, leg, epoch, vec![]);
    }
    stage.offer(ANA, 5, epoch, vec![]);
    assert_eq!(stage.error(ANA), ErrorCode::Limit);
    stage.say(ANA, PeerMessage::CloseLeg { leg: LegId(1) });
    stage.publish(ANA, 5, epoch, vec![]);
}

fn chat(text: &str) -> PeerMessage {
    PeerMessage::Chat {
        text: text.to_owned(),
        to: None,
    }
}

fn texts(messages: &[ServiceMessage]) -> Vec<String> {
    let texts = messages.iter().filter_map(|message| match message {
        ServiceMessage::Chat { text, .. } => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}

#[test]
fn everybody_gets_turn_credentials_of_their_own() {
    let mut stage = Stage::open();
    let (ana, bo) = (stage.join(ANA, "tea", "Ana"), stage.join(BO, "tea", "Bo"));
    let server = |joined: &baton_protocol::Joined| joined.ice_servers[0].clone();
    let end = stage.now_s() + 24 * 3600;
    assert_eq!(server(&ana).username, Some(format!("{end}:{}", ana.me)));
    assert_ne!(server(&ana).credential, server(&bo).credential);
}

#[test]
fn whoever_stays_is_told_new_turn_credentials_long_before_the_old_ones_end() {
    let mut stage = Stage::open();
    let ana = stage.join(ANA, "tea", "Ana");
    let begun = stage.now_s();
    stage.heard(ANA);
    stage.wait(Duration::from_secs(24 * 3600));
    let told = stage.heard(ANA).into_iter();
    let ends = told.filter_map(|message| match message {
        ServiceMessage::IceServers { ice_servers } => ice_servers[0].username.clone(),
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    let expected = (1..=4).map(|round| {
        let end = begun + round * 6 * 3600 + 24 * 3600;
        format!("{end}:{}", ana.me)
    });
    assert_eq!(ends, expected.collect::<Vec<_>>());
}

#[test]
fn a_code_lets_any_number_of_guests_into_its_room_who_choose_their_names() {
    let code = crate::InviteCode::from_random([9; 10]);
    let access = crate::Access::Code {
        room: "tea".parse().expect("a room name"),
        code: code.clone(),
    };
    let mut stage = Stage::empty(access, 0);
    stage.link(HOST, None, Vec::new());
    let shown = |room: &str, name: &str, code: &str| {
        PeerMessage::Join(Join {
            token: Some(code.to_owned()),
            ..join(room, name)
        })
    };
    stage.say(ANA, shown("tea", "Ana", code.as_str()));
    stage.say(BO, shown("tea", "Bo", code.as_str()));
    let joined = stage
        .heard(BO)
        .into_iter()
        .find_map(|message| match message {
            ServiceMessage::Joined(joined) => Some(joined),
            _ => None,
        });
    let joined = joined.expect("Bo is in");
    let mut names: Vec<_> = joined
        .participants
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["Ana", "Bo"]);
    assert_eq!(joined.grants, Grants::talk());
    for (room, code) in [
        ("coffee", code.as_str()),
        ("tea", "2222222222222222"),
        ("tea", ""),
    ] {
        stage.closed.remove(&CY);
        stage.say(CY, shown(room, "Cy", code));
        assert_eq!(stage.error(CY), ErrorCode::Unauthorized, "{room} {code}");
    }
    stage.closed.remove(&CY);
    stage.say(CY, PeerMessage::Join(join("tea", "Cy")));
    assert_eq!(stage.error(CY), ErrorCode::Unauthorized);
}
