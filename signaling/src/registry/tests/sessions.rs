//! WHIP and WHEP peers in a room.

use std::time::Duration;

use baton_protocol::{
    ErrorCode, Grants, HostCommand, HostMessage, IceParameters, LegId, LegState, RosterLeg,
    RosterRoom, ServiceMessage, Source, TrackId, Tracks, ViewMode,
};

use super::stage::*;
use crate::Access;
use crate::registry::{Call, CallError, CallReply, Publisher, SessionId, SessionKey, SessionOpen};

fn open(publisher: Publisher) -> Call {
    Call::Open(SessionOpen {
        room: "tea".parse().expect("a room name"),
        token: None,
        name: "OBS".to_owned(),
        publisher,
        sdp: "offer".to_owned(),
    })
}

fn key(session: &SessionId) -> SessionKey {
    SessionKey {
        room: "tea".parse().expect("a room name"),
        session: session.clone(),
        token: None,
    }
}

fn opened(stage: &mut Stage, publisher: Publisher) -> (SessionId, String) {
    let call = stage.call(open(publisher));
    let asked = stage.negotiation(HOST);
    stage.host_says(HOST, agree(&asked));
    match stage.reply(call) {
        Some(CallReply::Opened { session, etag, .. }) => (session, etag),
        other => panic!("a session, not {other:?}"),
    }
}

#[test]
fn a_whip_peer_is_a_participant_while_its_leg_lives() {
    let mut stage = Stage::open();
    stage.join(ANA, "tea", "Ana");
    let call = stage.call(open(Publisher::Yes));
    let asked = stage.negotiation(HOST);
    assert!(matches!(&asked.tracks, Tracks::Derived(ids) if ids.len() == 4));
    assert!(
        !asked.grants.subscribe && !asked.grants.moderate,
        "one way only"
    );
    assert_eq!(stage.reply(call), None, "the host is asked first");
    stage.host_says(HOST, agree(&asked));
    assert!(matches!(stage.reply(call), Some(CallReply::Opened { .. })));
    let news = stage.news(ANA);
    let last = news.last().expect("the room as it is");
    assert_eq!((last.name.as_str(), last.tracks.len()), ("OBS", 2));
    stage.host_says(
        HOST,
        HostMessage::Leg {
            room: asked.room,
            participant: asked.participant,
            leg: asked.leg,
            state: LegState::Closed,
        },
    );
    assert!(matches!(
        stage.heard(ANA).as_slice(),
        [ServiceMessage::ParticipantLeft { .. }]
    ));
}

#[test]
fn what_the_host_refuses_or_never_answers_leaves_no_session() {
    let mut stage = Stage::open();
    let call = stage.call(open(Publisher::Yes));
    let asked = stage.negotiation(HOST);
    stage.host_says(
        HOST,
        HostMessage::Refused(baton_protocol::Refusal {
            room: asked.room,
            participant: asked.participant,
            leg: asked.leg,
            request: asked.request,
            message: "line 3".to_owned(),
        }),
    );
    let rejected = CallReply::Failed(CallError::Rejected("line 3".to_owned()));
    assert_eq!(stage.reply(call), Some(rejected));
    assert_eq!(stage.registry.participant_count(), 0);
    let call = stage.call(open(Publisher::Yes));
    stage.wait(Duration::from_secs(10));
    assert_eq!(
        stage.reply(call),
        Some(CallReply::Failed(CallError::Timeout))
    );
    assert_eq!(stage.registry.participant_count(), 0);
    let call = stage.call(open(Publisher::Yes));
    stage.unlink(HOST);
    assert_eq!(
        stage.reply(call),
        Some(CallReply::Failed(CallError::NoHost))
    );
    assert_eq!(stage.registry.participant_count(), 0);
}

#[test]
fn trickle_needs_the_newest_tag_and_a_restart_makes_one() {
    let mut stage = Stage::open();
    let (session, etag) = opened(&mut stage, Publisher::Yes);
    let trickle = |etag: &str| Call::Trickle {
        key: key(&session),
        etag: etag.to_owned(),
        candidates: vec!["candidate:1".to_owned()],
    };
    let call = stage.call(trickle(&etag));
    assert_eq!(stage.reply(call), Some(CallReply::Done));
    assert!(matches!(
        stage.told(HOST).as_slice(),
        [HostCommand::Candidate { .. }]
    ));
    let ice = IceParameters {
        ufrag: "abcd".to_owned(),
        pwd: "abcdefghijklmnopqrstuv".to_owned(),
    };
    let restart = Call::Restart {
        key: key(&session),
        ice: ice.clone(),
        candidates: Vec::new(),
    };
    let call = stage.call(restart.clone());
    let busy = stage.call(restart);
    assert_eq!(stage.reply(busy), Some(CallReply::Failed(CallError::Busy)));
    let told = stage.told(HOST);
    let [
        HostCommand::RestartIce {
            room,
            participant,
            leg,
            request,
            ..
        },
    ] = told.as_slice()
    else {
        panic!("a restart, not {told:?}");
    };
    stage.host_says(
        HOST,
        HostMessage::IceRestarted {
            room: room.clone(),
            participant: *participant,
            leg: *leg,
            request: *request,
            ice,
            candidates: Vec::new(),
        },
    );
    let Some(CallReply::Restarted { etag: newer, .. }) = stage.reply(call) else {
        panic!("restarted");
    };
    assert_ne!(newer, etag);
    let call = stage.call(trickle(&etag));
    assert_eq!(stage.reply(call), Some(CallReply::Failed(CallError::Stale)));
}

#[test]
fn a_viewer_chooses_by_number_or_name() {
    let mut stage = Stage::open();
    let ana = stage.join(ANA, "tea", "Ana");
    let track = stage.publish(ANA, 1, ana.host.epoch, vec![camera()])[0].id;
    let view = |stage: &mut Stage, participant: Option<&str>, track| {
        let participant = participant.map(str::to_owned);
        stage.call(open(Publisher::No { participant, track }));
        stage.negotiation(HOST).view
    };
    let of_ana = ViewMode::Participant {
        participant: ana.me,
    };
    assert_eq!(view(&mut stage, None, None), ViewMode::Auto);
    assert_eq!(view(&mut stage, Some("Ana"), None), of_ana);
    assert_eq!(view(&mut stage, Some(&ana.me.to_string()), None), of_ana);
    assert_eq!(
        view(&mut stage, None, Some(track)),
        ViewMode::Track { track }
    );
    let call = stage.call(open(Publisher::No {
        participant: Some("Nobody".to_owned()),
        track: None,
    }));
    assert!(matches!(
        stage.reply(call),
        Some(CallReply::Failed(CallError::Refused(
            ErrorCode::NotFound,
            _
        )))
    ));
}

#[test]
fn a_token_opens_and_the_same_token_closes() {
    let mut stage = Stage::guarded();
    let viewer = Grants {
        subscribe: true,
        ..Grants::default()
    };
    let minted = secret().mint(&crate::Token::Join(token("cam", viewer)));
    let with = |publisher| {
        Call::Open(SessionOpen {
            room: "tea".parse().expect("a room name"),
            token: Some(minted.clone()),
            name: "cam".to_owned(),
            publisher,
            sdp: "offer".to_owned(),
        })
    };
    let call = stage.call(with(Publisher::Yes));
    assert!(matches!(
        stage.reply(call),
        Some(CallReply::Failed(CallError::Refused(
            ErrorCode::Forbidden,
            _
        )))
    ));
    let call = stage.call(with(Publisher::No {
        participant: None,
        track: None,
    }));
    let asked = stage.negotiation(HOST);
    stage.host_says(HOST, agree(&asked));
    let Some(CallReply::Opened { session, .. }) = stage.reply(call) else {
        panic!("a session");
    };
    let call = stage.call(Call::Close { key: key(&session) });
    assert!(matches!(
        stage.reply(call),
        Some(CallReply::Failed(CallError::Refused(
            ErrorCode::Unauthorized,
            _
        )))
    ));
    let key = SessionKey {
        token: Some(minted.clone()),
        ..key(&session)
    };
    let call = stage.call(Call::Close { key });
    assert_eq!(stage.reply(call), Some(CallReply::Done));
    let told = stage.told(HOST);
    assert!(
        matches!(told.as_slice(), [HostCommand::Close { leg: None, .. }]),
        "{told:?}"
    );
    assert_eq!(asked.leg, LegId(1));
}

#[test]
fn a_session_outlives_a_restart_of_the_service_and_is_changed_under_its_old_name() {
    let mut before = Stage::guarded();
    let camera = Grants {
        publish: vec![Source::Microphone, Source::Camera],
        ..Grants::default()
    };
    let minted = secret().mint(&crate::Token::Join(token("cam", camera)));
    let call = before.call(Call::Open(SessionOpen {
        room: "tea".parse().expect("a room name"),
        token: Some(minted.clone()),
        name: "cam".to_owned(),
        publisher: Publisher::Yes,
        sdp: "offer".to_owned(),
    }));
    let told = before.told(HOST);
    let [
        ..,
        HostCommand::Remember { memento, .. },
        HostCommand::Negotiate(asked),
    ] = told.as_slice()
    else {
        panic!("a memento and an offer, not {told:?}");
    };
    assert!(!memento.contains(&minted), "the host learns no token");
    before.host_says(HOST, agree(asked));
    let Some(CallReply::Opened { session, .. }) = before.reply(call) else {
        panic!("a session");
    };
    let leg = |memento: &str| RosterRoom {
        role: None,
        grant: None,
        room: asked.room.clone(),
        epoch: asked.epoch,
        legs: vec![RosterLeg {
            participant: asked.participant,
            leg: asked.leg,
            tracks: vec![info(TrackId(5), Source::Camera)],
            memento: Some(memento.to_owned()),
        }],
    };
    let restarted = |memento: &str| {
        let keys = crate::Keys::default();
        let mut after = Stage::empty(Access::Tokens { keys }, 7);
        after.link(HOST, None, vec![leg(memento)]);
        after
    };

    let mut after = restarted(memento);
    let ana = after.join_with(ANA, &token("ana", Grants::talk()));
    let cam = &ana.participants[0];
    assert_eq!(
        (cam.id, cam.name.as_str(), cam.tracks.len()),
        (asked.participant, "cam", 1)
    );
    after.told(HOST);
    after.wait(Duration::from_secs(120));
    assert_eq!(after.told(HOST), [], "nobody waits for it to come back");
    let change = |token: Option<&str>| Call::Trickle {
        key: SessionKey {
            token: token.map(str::to_owned),
            ..key(&session)
        },
        etag: "of the life before".to_owned(),
        candidates: vec!["candidate:1".to_owned()],
    };
    let call = after.call(change(None));
    let refused = after.reply(call);
    assert!(
        matches!(
            refused,
            Some(CallReply::Failed(CallError::Refused(
                ErrorCode::Unauthorized,
                _
            )))
        ),
        "{refused:?}"
    );
    let call = after.call(change(Some(&minted)));
    assert_eq!(after.reply(call), Some(CallReply::Done));
    let key = SessionKey {
        token: Some(minted),
        ..key(&session)
    };
    let call = after.call(Call::Close { key });
    assert_eq!(after.reply(call), Some(CallReply::Done));

    let mut deceived = restarted(&memento.replace("\"cam\"", "\"Ana\""));
    let ana = deceived.join_with(ANA, &token("ana", Grants::talk()));
    assert_eq!(ana.participants.len(), 1, "a memento that was changed");
}
