//! A computer that carries a call alone, as its owner starts it, and guests who come by its link.

use baton_client::{Call, CallEvent, Carrying, Consent, Ending, Invite, Plan};
use baton_protocol::{HostKind, Hosting, LeaveReason, Source};
use baton_server::link::Trust;
use serde_json::Value;

use crate::house::{Guest, connected};
use crate::program::{Folder, Program};

/// A call on loopback, and the line that says so.
fn start(folder: &Folder, words: &[&str]) -> (Program, Value) {
    let file = folder.0.join("certificate.pem");
    let mut all = vec!["host", "--standalone", "--json", "--name", "Ana"];
    all.extend(["--listen", "127.0.0.1", "--port", "0", "--media-port", "0"]);
    all.extend(["--certificate", file.to_str().unwrap()]);
    all.extend(words);
    let mut program = Program::start(&all);
    let ready = program.until(|line| line["event"] == "ready");
    (program, ready)
}

fn invite(ready: &Value) -> Invite {
    ready["invites"][0].as_str().unwrap().parse().unwrap()
}

fn plan(ready: &Value, name: &str) -> Plan {
    let link = ready["invites"][0].as_str().unwrap();
    Plan {
        trust: invite(ready).trust(),
        ..Guest::plan(link, name, Vec::new())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_link_is_in_the_call_and_the_owner_sees_who_comes_and_ends_it() {
    let folder = Folder::new();
    let (mut program, ready) = start(&folder, &["--test-media"]);
    let mut ben = Guest::of(Call::join(plan(&ready, "Ben")));
    ben.until("connected", connected).await;
    ben.until_slots("Ana's picture and sound flow", |slots| {
        let flows = |source: Source| {
            let mut flowing = slots.iter().filter(|slot| slot.tally.packets > 20);
            flowing.any(|slot| slot.kind == source.kind())
        };
        flows(Source::Camera) && flows(Source::Microphone)
    })
    .await;
    assert_eq!(ben.names(), ["Ana", "Ben"]);
    assert_eq!(ben.call.room().unwrap().host().name, "Ana's computer");
    program.until(|line| {
        line["people"]
            .as_array()
            .is_some_and(|people| people.len() == 2)
    });

    program.signal("INT");
    let removed = LeaveReason::RoomClosed;
    ben.until("the end of the call", |event| {
        *event == CallEvent::Over(Ending::Removed { reason: removed })
    })
    .await;
    assert_eq!(program.child.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_code_or_meets_another_certificate_stays_outside() {
    let folder = Folder::new();
    let (_program, ready) = start(&folder, &[]);
    let mut stranger = plan(&ready, "Eve");
    stranger.invite.token = None;
    let mut stranger = Guest::of(Call::join(stranger));
    stranger
        .until("no entry", |event| {
            matches!(event, CallEvent::Over(Ending::Refused { .. }))
        })
        .await;

    let elsewhere = Folder::new();
    let (_other, other) = start(&elsewhere, &[]);
    for trust in [invite(&other).trust(), Trust::default()] {
        let mut misled = Guest::of(Call::join(Plan {
            trust,
            ..plan(&ready, "Cleo")
        }));
        misled
            .until("no line", |event| {
                matches!(event, CallEvent::SignalingLost { .. })
            })
            .await;
    }
}

#[test]
fn a_certificate_is_kept_and_links_are_not() {
    let folder = Folder::new();
    let mut seen = Vec::new();
    for words in [&[][..], &[], &["--new-certificate"]] {
        let (mut program, ready) = start(&folder, words);
        program.signal("TERM");
        assert_eq!(program.child.wait().unwrap().code(), Some(0));
        seen.push((
            ready["certificate"].clone(),
            ready["owner"].clone(),
            invite(&ready).token,
        ));
    }
    assert_eq!(seen[0].0, seen[1].0);
    assert_ne!(seen[1].0, seen[2].0);
    assert!(seen[0].1 != seen[1].1 && seen[0].2 != seen[1].2);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_find_signaling_on_a_guest_s_computer_when_the_laptop_is_gone() {
    let folder = Folder::new();
    let (program, ready) = start(&folder, &[]);
    let mut ben = Guest::of(Call::join(Plan {
        hosting: Some(Consent::default()),
        computer: "Ben's computer".to_owned(),
        ..plan(&ready, "Ben")
    }));
    let mut cleo = Guest::of(Call::join(plan(&ready, "Cleo")));
    let has_standby =
        |event: &CallEvent| matches!(event, CallEvent::Connected { leg, .. } if leg.0 > 1);
    tokio::join!(
        ben.until("a leg to the own computer", has_standby),
        cleo.until("a leg to Ben's computer", has_standby),
    );
    program.signal("KILL");
    let serves = |event: &CallEvent| {
        let signaling = |one: &Carrying| matches!(one, Carrying::Signaling { invite: Some(link) } if link.starts_with("https://"));
        matches!(event, CallEvent::Carrying(one) if signaling(one))
    };
    let is_back = |event: &CallEvent| matches!(event, CallEvent::Joined { resumed: true, .. });
    let carries = |event: &CallEvent| {
        let of_ben = |hosting: &Hosting| hosting.term.kind == HostKind::Participant;
        matches!(event, CallEvent::Hosting { hosting } if of_ben(hosting))
    };
    tokio::join!(
        ben.until("signaling on Ben's computer", serves),
        cleo.until("welcomed as who one was", is_back),
    );
    tokio::join!(
        ben.until("the call is Ben's computer's", carries),
        cleo.until("the call is Ben's computer's", carries),
    );
    assert_eq!(cleo.names(), ["Ben", "Cleo"]);
}
