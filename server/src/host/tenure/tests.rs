//! Who is let onto a participant's computer, and until when: real signatures, invented clocks.

use baton_protocol::{Grants, TicketClaims, Tracks, ViewMode};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use super::*;

const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
/// RFC 8032 section 7.1, test 1.
const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const OTHER_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n-----END PRIVATE KEY-----\n";

const NOW: u64 = 1_800_000_000;
const MINE: Fingerprint = Fingerprint([0xAA; 32]);

fn room() -> RoomId {
    "stand-up".parse().unwrap()
}

fn digits(fingerprint: Fingerprint) -> String {
    fingerprint.digits()
}

fn at(seconds: f64) -> Moment {
    let span = Duration::from_secs_f64(seconds);
    Moment {
        boot: BootTime(Duration::from_secs(9_000) + span),
        unix_s: NOW + span.as_secs(),
    }
}

fn sign(kind: &str, claims: &impl serde::Serialize, pem: &str) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(kind.to_owned());
    let key = EncodingKey::from_ed_pem(pem.as_bytes()).unwrap();
    encode(&header, claims, &key).unwrap()
}

fn grant_claims(epoch: u32) -> GrantClaims {
    GrantClaims {
        room: room(),
        epoch: Epoch(epoch),
        host: HostId(7),
        fingerprint: digits(MINE),
        standby: None,
        iat: NOW,
        exp: NOW + 30,
    }
}

fn grant(epoch: u32) -> String {
    sign("baton-grant+jwt", &grant_claims(epoch), KEY)
}

fn serve(epoch: u32, role: HostRole, grant: Option<String>) -> HostCommand {
    HostCommand::Serve {
        room: room(),
        epoch: Epoch(epoch),
        role,
        lease_ms: grant.as_ref().map(|_| 6000),
        beats: false,
        grant,
    }
}

/// The guest's certificate.
const GUEST: Fingerprint = Fingerprint([0xBB; 32]);

fn ticket_claims(epoch: u32, jti: u64) -> TicketClaims {
    TicketClaims {
        room: room(),
        epoch: Epoch(epoch),
        sub: ParticipantId(3),
        leg: LegId(1),
        cnf: digits(GUEST),
        aud: digits(MINE),
        jti,
        iat: NOW,
        exp: NOW + 60,
    }
}

fn offer(epoch: u32, ticket: Option<String>) -> HostCommand {
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=ice-ufrag:abcd\r\n\
         a=ice-pwd:0123456789012345678901234\r\na=fingerprint:{GUEST}\r\na=setup:actpass\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sctp-port:5000\r\n"
    );
    HostCommand::Negotiate(Negotiate {
        room: room(),
        epoch: Epoch(epoch),
        participant: ParticipantId(3),
        leg: LegId(1),
        request: 5,
        grants: Grants::default(),
        sdp,
        tracks: Tracks::Declared(Vec::new()),
        view: ViewMode::Wanted,
        ticket,
    })
}

fn with_ticket(change: impl FnOnce(&mut TicketClaims)) -> HostCommand {
    let mut claims = ticket_claims(4, 1);
    change(&mut claims);
    offer(4, Some(sign("baton-ticket+jwt", &claims, KEY)))
}

/// Accepted by signaling, and nothing more.
fn fresh() -> Tenure {
    let mut tenure = Tenure::new(MINE);
    let accepted = HostCommand::Accepted {
        host: HostId(7),
        signing_key: Some(PUBLIC.to_owned()),
    };
    assert!(matches!(
        tenure.handle_command(accepted, at(0.0)),
        Verdict::Pass(_)
    ));
    tenure
}

/// Carries the room in epoch 4.
fn active() -> Tenure {
    let mut tenure = fresh();
    tenure.look(at(0.0).boot);
    for role in [HostRole::Next, HostRole::Active] {
        let told = serve(4, role, Some(grant(4)));
        assert!(matches!(
            tenure.handle_command(told, at(0.0)),
            Verdict::Pass(_)
        ));
    }
    assert_eq!(
        tenure.poll_message(),
        Some(HostMessage::Prepared {
            room: room(),
            epoch: Epoch(4)
        })
    );
    tenure
}

/// Why an offer was refused; `None` if it was taken.
fn refusal(tenure: &mut Tenure, offer: HostCommand, now: Moment) -> Option<String> {
    match tenure.handle_command(offer, now) {
        Verdict::Pass(HostCommand::Negotiate(_)) => None,
        Verdict::Pass(_) | Verdict::Refused => match tenure.poll_message() {
            Some(HostMessage::Refused(refusal)) => Some(refusal.message),
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn nobody_is_served_before_signaling_says_so() {
    let mut tenure = fresh();
    let refused = refusal(&mut tenure, with_ticket(|_| {}), at(0.0));
    assert_eq!(refused.as_deref(), Some("this computer carries no call"));
    let mut tenure = active();
    assert_eq!(refusal(&mut tenure, with_ticket(|_| {}), at(1.0)), None);
    assert_eq!(tenure.refusals(), 0);
}

#[test]
fn a_ticket_that_is_not_for_this_guest_room_term_computer_or_moment_lets_nobody_in() {
    let cases: [(&str, HostCommand); 11] = [
        ("there is no ticket", offer(4, None)),
        (
            "not signed",
            offer(
                4,
                Some(sign("baton-ticket+jwt", &ticket_claims(4, 1), OTHER_KEY)),
            ),
        ),
        (
            "another kind",
            offer(4, Some(sign("baton-grant+jwt", &ticket_claims(4, 1), KEY))),
        ),
        (
            "another room",
            with_ticket(|ticket| ticket.room = "other".parse().unwrap()),
        ),
        (
            "another room, term",
            with_ticket(|ticket| ticket.epoch = Epoch(3)),
        ),
        (
            "or guest",
            with_ticket(|ticket| ticket.sub = ParticipantId(9)),
        ),
        ("or guest", with_ticket(|ticket| ticket.leg = LegId(2))),
        (
            "another computer",
            with_ticket(|ticket| ticket.aud = digits(GUEST)),
        ),
        (
            "another certificate",
            with_ticket(|ticket| ticket.cnf = digits(MINE)),
        ),
        (
            "expired",
            with_ticket(|ticket| (ticket.iat, ticket.exp) = (NOW - 120, NOW - 60)),
        ),
        (
            "dates make no sense",
            with_ticket(|ticket| ticket.exp = NOW + 86_400),
        ),
    ];
    let mut tenure = active();
    for (reason, offer) in cases {
        let refused = refusal(&mut tenure, offer, at(1.0));
        assert!(
            refused.as_deref().is_some_and(|said| said.contains(reason)),
            "{reason}: {refused:?}"
        );
    }
    assert_eq!(tenure.refusals(), 11);
}

#[test]
fn a_ticket_is_good_once() {
    let mut tenure = active();
    assert_eq!(refusal(&mut tenure, with_ticket(|_| {}), at(1.0)), None);
    let again = refusal(&mut tenure, with_ticket(|_| {}), at(2.0));
    assert_eq!(again.as_deref(), Some("its ticket was used before"));
    let mut ahead = at(3.0);
    ahead.unix_s += 7200;
    let late = refusal(&mut tenure, with_ticket(|ticket| ticket.jti = 3), ahead);
    assert!(late.is_some(), "the calendar is two hours ahead");
    let again = refusal(&mut tenure, with_ticket(|_| {}), at(4.0));
    let used = Some("its ticket was used before");
    assert_eq!(again.as_deref(), used, "the calendar is right again");
    assert_eq!(
        refusal(&mut tenure, with_ticket(|ticket| ticket.jti = 2), at(2.0)),
        None
    );
}

#[test]
fn a_grant_that_signaling_did_not_give_to_this_computer_makes_it_no_host() {
    let forged = sign("baton-grant+jwt", &grant_claims(4), OTHER_KEY);
    let changed = |change: fn(&mut GrantClaims)| {
        let mut claims = grant_claims(4);
        change(&mut claims);
        sign("baton-grant+jwt", &claims, KEY)
    };
    let grants = [
        None,
        Some(forged),
        Some(changed(|grant| grant.room = "other".parse().unwrap())),
        Some(changed(|grant| grant.epoch = Epoch(3))),
        Some(changed(|grant| grant.host = HostId(8))),
        Some(changed(|grant| grant.fingerprint = digits(GUEST))),
        Some(changed(|grant| {
            (grant.iat, grant.exp) = (NOW - 120, NOW - 60)
        })),
    ];
    for grant in grants {
        let mut tenure = fresh();
        let told = serve(4, HostRole::Next, grant);
        assert_eq!(tenure.handle_command(told, at(0.0)), Verdict::Refused);
        assert!(matches!(
            tenure.poll_message(),
            Some(HostMessage::Declined { .. })
        ));
        assert!(refusal(&mut tenure, with_ticket(|_| {}), at(0.0)).is_some());
    }
}

#[test]
fn an_older_epoch_is_refused_and_a_newer_one_ends_the_term() {
    let mut tenure = active();
    let old = serve(3, HostRole::Active, Some(grant(3)));
    assert_eq!(tenure.handle_command(old, at(1.0)), Verdict::Refused);
    let told = refusal(&mut tenure, offer(3, None), at(1.0));
    assert!(told.is_some_and(|said| said.contains("epoch 3 is over")));

    let newer = tenure.handle_command(offer(5, None), at(1.0));
    assert!(
        matches!(
            newer,
            Verdict::Pass(HostCommand::Serve {
                role: HostRole::Draining,
                epoch: Epoch(5),
                ..
            })
        ),
        "{newer:?}"
    );
    assert!(matches!(
        tenure.poll_message(),
        Some(HostMessage::Refused(_))
    ));
    let refused = refusal(&mut tenure, with_ticket(|_| {}), at(1.0));
    assert!(refused.is_some(), "it is no host of epoch 4 any more");
}

#[test]
fn without_a_lease_nobody_new_is_let_in_and_those_who_are_there_may_stay() {
    let mut tenure = active();
    assert_eq!(refusal(&mut tenure, with_ticket(|_| {}), at(1.0)), None);
    let late = at(5.0);
    let again =
        |jti| with_ticket(|ticket| (ticket.iat, ticket.exp, ticket.jti) = (NOW, NOW + 60, jti));
    assert_eq!(
        refusal(&mut tenure, again(2), late),
        None,
        "its leg is known"
    );
    tenure.note_message(&HostMessage::Leg {
        room: room(),
        participant: ParticipantId(3),
        leg: LegId(1),
        state: LegState::Closed,
    });
    let refused = refusal(&mut tenure, again(3), late);
    assert!(refused.is_some_and(|said| said.contains("not confirmed")));

    assert_eq!(tenure.poll_timeout(), Some(at(2.0).boot));
    tenure.handle_timeout(HostLoad::default(), late.boot);
    let Some(HostMessage::Renew {
        count,
        epoch: Epoch(4),
        ..
    }) = tenure.poll_message()
    else {
        panic!("no renewal");
    };
    let lease = HostCommand::Lease {
        room: room(),
        epoch: Epoch(4),
        count,
        valid_ms: 6000,
    };
    tenure.handle_command(lease, at(5.5));
    assert_eq!(refusal(&mut tenure, again(4), at(5.5)), None);
    let refused = refusal(&mut tenure, again(5), at(9.9));
    assert_eq!(refused, None, "from when it was asked, less a second");
}

#[test]
fn a_thread_that_stood_still_is_silent_until_signaling_answers_a_later_question() {
    let mut tenure = active();
    tenure.look(at(0.9).boot);
    tenure.handle_timeout(HostLoad::default(), at(2.0).boot);
    let Some(HostMessage::Renew { count: before, .. }) = tenure.poll_message() else {
        panic!("no renewal");
    };
    assert!(tenure.may_send());
    tenure.look(at(3.0).boot);
    assert!(!tenure.may_send());
    let lease = |count| HostCommand::Lease {
        room: room(),
        epoch: Epoch(4),
        count,
        valid_ms: 6000,
    };
    tenure.handle_command(lease(before), at(3.0));
    tenure.look(at(3.01).boot);
    assert!(!tenure.may_send(), "that answer waited in the socket");
    assert_eq!(
        tenure.handle_command(serve(4, HostRole::Active, Some(grant(4))), at(3.01)),
        { Verdict::Pass(serve(4, HostRole::Active, Some(grant(4)))) }
    );
    assert!(!tenure.may_send(), "and so may have that word");

    tenure.look(at(3.02).boot);
    assert!(tenure.poll_timeout().is_some_and(|due| due <= at(5.1).boot));
    tenure.handle_timeout(HostLoad::default(), at(5.1).boot);
    let Some(HostMessage::Renew { count, .. }) = tenure.poll_message() else {
        panic!("no renewal");
    };
    tenure.handle_command(lease(count), at(5.2));
    assert!(tenure.may_send());
}

#[test]
fn a_replaced_host_stays_silent_and_a_new_term_of_its_own_may_be_heard() {
    let mut tenure = active();
    tenure.look(at(30.0).boot);
    assert!(!tenure.may_send());
    let draining = serve(5, HostRole::Draining, None);
    assert!(matches!(
        tenure.handle_command(draining, at(30.0)),
        Verdict::Pass(_)
    ));
    // A newer epoch, but not its own: what it would send nobody waits for.
    assert!(!tenure.may_send());
    let refused = refusal(
        &mut tenure,
        with_ticket(|ticket| ticket.epoch = Epoch(5)),
        at(30.0),
    );
    assert!(refused.is_some());
    let mut claims = grant_claims(6);
    (claims.iat, claims.exp) = (NOW + 20, NOW + 60);
    let next = serve(
        6,
        HostRole::Next,
        Some(sign("baton-grant+jwt", &claims, KEY)),
    );
    assert!(matches!(
        tenure.handle_command(next, at(31.0)),
        Verdict::Pass(_)
    ));
    assert!(tenure.may_send());
}

#[test]
fn the_word_by_which_it_became_host_takes_nothing_away_when_it_is_said_again() {
    let mut tenure = fresh();
    let says =
        |tenure: &mut Tenure, role| tenure.handle_command(serve(4, role, Some(grant(4))), at(0.0));
    for role in [HostRole::Next, HostRole::Next, HostRole::Active] {
        assert!(matches!(says(&mut tenure, role), Verdict::Pass(_)));
    }
    assert_eq!(says(&mut tenure, HostRole::Next), Verdict::Refused);
    assert!(tenure.is_active());
    assert!(matches!(
        says(&mut tenure, HostRole::Active),
        Verdict::Pass(_)
    ));
}

#[test]
fn it_says_once_in_a_term_that_it_wants_to_be_rid_of_the_call() {
    let mut tenure = fresh();
    assert!(
        !tenure.step_down(StepDownReason::Overload),
        "of which call?"
    );
    for (epoch, role) in [(4, HostRole::Next), (4, HostRole::Active)] {
        assert!(!tenure.is_active());
        tenure.handle_command(serve(epoch, role, Some(grant(epoch))), at(0.0));
    }
    assert!(tenure.is_active());
    while tenure.poll_message().is_some() {}
    assert!(tenure.step_down(StepDownReason::Overload));
    assert!(!tenure.step_down(StepDownReason::Overload));
    let said = tenure.poll_message();
    assert!(
        matches!(
            said,
            Some(HostMessage::StepDown {
                epoch: Epoch(4),
                reason: StepDownReason::Overload,
                ..
            })
        ),
        "{said:?}"
    );
    assert_eq!(tenure.poll_message(), None);
    tenure.handle_command(serve(5, HostRole::Next, Some(grant(5))), at(1.0));
    tenure.handle_command(serve(5, HostRole::Active, Some(grant(5))), at(1.0));
    assert!(tenure.step_down(StepDownReason::Overload), "another term");
}

/// The certificate of the server, which serves those who stay there.
const SERVER: Fingerprint = Fingerprint([0xCC; 32]);

fn join_bridge(epoch: u32, change: impl FnOnce(&mut TicketClaims)) -> HostCommand {
    let mut claims = TicketClaims {
        sub: ParticipantId(0),
        leg: LegId(9),
        cnf: digits(SERVER),
        ..ticket_claims(epoch, 30)
    };
    change(&mut claims);
    HostCommand::JoinBridge {
        room: room(),
        epoch: Epoch(epoch),
        bridge: BridgeId(9),
        end: baton_protocol::BridgeEnd {
            ice: baton_protocol::IceParameters {
                ufrag: "abcd".to_owned(),
                pwd: "0123456789012345678901234".to_owned(),
            },
            fingerprint: digits(SERVER),
            lite: true,
            candidates: Vec::new(),
        },
        ticket: sign("baton-ticket+jwt", &claims, KEY),
    }
}

fn is_let_in(tenure: &mut Tenure, command: HostCommand) -> bool {
    match tenure.handle_command(command, at(1.0)) {
        Verdict::Pass(_) => true,
        Verdict::Refused => {
            let closed = tenure.poll_message();
            assert!(
                matches!(
                    closed,
                    Some(HostMessage::Bridge {
                        state: LegState::Closed,
                        ..
                    })
                ),
                "{closed:?}"
            );
            false
        }
    }
}

#[test]
fn another_host_is_joined_only_in_the_own_term_and_with_a_ticket_for_it() {
    let open = |epoch| HostCommand::OpenBridge {
        room: room(),
        epoch: Epoch(epoch),
        bridge: BridgeId(9),
    };
    assert!(!is_let_in(&mut fresh(), open(4)), "it carries nothing");
    for (epoch, goes) in [(3, false), (4, true), (5, false)] {
        assert_eq!(is_let_in(&mut active(), open(epoch)), goes, "{epoch}");
    }
    assert!(is_let_in(&mut active(), join_bridge(4, |_| {})));
    let wrong: [fn(&mut TicketClaims); 6] = [
        |claims| claims.sub = ParticipantId(3),
        |claims| claims.leg = LegId(8),
        |claims| claims.cnf = digits(GUEST),
        |claims| claims.aud = digits(SERVER),
        |claims| claims.epoch = Epoch(3),
        |claims| claims.room = "coffee".parse().unwrap(),
    ];
    for change in wrong {
        assert!(!is_let_in(&mut active(), join_bridge(4, change)));
    }
    let mut tenure = active();
    assert!(is_let_in(&mut tenure, join_bridge(4, |_| {})));
    assert!(!is_let_in(&mut tenure, join_bridge(4, |_| {})), "used");
    // A participant's computer is never the one that is called.
    let HostCommand::JoinBridge { end, .. } = join_bridge(4, |_| {}) else {
        unreachable!()
    };
    let answer = HostCommand::AnswerBridge {
        room: room(),
        epoch: Epoch(4),
        bridge: BridgeId(9),
        end,
    };
    assert!(!is_let_in(&mut active(), answer));
}

#[test]
fn a_word_that_waited_while_the_thread_stood_still_makes_it_no_host() {
    let mut tenure = fresh();
    tenure.look(at(0.0).boot);
    tenure.handle_command(serve(4, HostRole::Next, Some(grant(4))), at(0.0));
    tenure.poll_message();
    assert_eq!(refusal(&mut tenure, with_ticket(|_| {}), at(0.5)), None);
    // Stopped, made host, replaced, and then it goes on: all of that is in the socket.
    tenure.look(at(9.0).boot);
    tenure.handle_command(serve(4, HostRole::Active, Some(grant(4))), at(9.0));
    assert!(!tenure.may_send(), "it may have been replaced since");
    tenure.handle_command(serve(5, HostRole::Active, Some(grant(5))), at(9.0));
    assert!(!tenure.may_send(), "also in another term");
    let late = with_ticket(|ticket| (ticket.epoch, ticket.leg) = (Epoch(5), LegId(2)));
    let HostCommand::Negotiate(mut late) = late else {
        panic!("an offer");
    };
    (late.epoch, late.leg) = (Epoch(5), LegId(2));
    let refused = refusal(&mut tenure, HostCommand::Negotiate(late), at(9.0));
    assert!(refused.is_some_and(|said| said.contains("not confirmed")));

    assert!(tenure.poll_timeout() <= Some(at(9.0).boot), "asked at once");
    tenure.handle_timeout(HostLoad::default(), at(9.0).boot);
    let Some(HostMessage::Renew { count, epoch, .. }) = tenure.poll_message() else {
        panic!("no renewal");
    };
    let lease = HostCommand::Lease {
        room: room(),
        epoch,
        count,
        valid_ms: 6000,
    };
    tenure.handle_command(lease, at(9.1));
    assert!(tenure.may_send());
}
