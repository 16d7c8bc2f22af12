//! What hostile or confused neighbours do to an engine with a running call: it goes on, and keeps nothing of theirs.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_protocol::{
    HostCommand, IceParameters, LegId, ParticipantId, PathToHost, SlotView, Source, TrackId,
};
use proptest::prelude::*;

use super::people::{Meeting, Who, room};
use super::{FRAME, view};

/// Ana is watched by Ben; Carl watches nobody.
fn call() -> (Meeting, Who, Who, Who) {
    let mut meeting = Meeting::new(3);
    let ana = meeting.join("ana", &[Source::Camera], 0);
    let ben = meeting.join("ben", &[], 1);
    let carl = meeting.join("carl", &[], 1);
    meeting.say(ben, view(meeting.person(ben), 0, 100, 1280, 720));
    meeting.publish_frame(ana, 2, true, 3);
    meeting.advance(FRAME);
    assert_eq!(meeting.take_packets(ben).len(), 3);
    (meeting, ana, ben, carl)
}

fn assert_nothing_is_left(meeting: &Meeting) {
    let engine = meeting.engine();
    assert_eq!((engine.legs.len(), engine.rooms.len()), (0, 0));
    assert!(engine.rooms_by_id.is_empty() && engine.demux.is_empty());
    assert_eq!(engine.keyed_legs, 0);
}

#[test]
fn an_offer_while_the_socket_is_stalled_does_no_harm() {
    let (mut meeting, ana, ben, _) = call();
    meeting.publish_and_stall(ana);
    meeting.offer_again(ben, &[], 2, |_| ());
    meeting.publish_frame(ana, 2, true, 3);
    meeting.advance(FRAME);
    assert!(!meeting.take_packets(ben).is_empty(), "the call goes on");
}

#[test]
fn a_refused_offer_leaves_no_room_behind() {
    let (mut meeting, _, ben, _) = call();
    meeting.offer_again(ben, &[Source::Camera], 0, |negotiate| {
        negotiate.room = "elsewhere".parse().expect("a room name");
        negotiate.sdp = negotiate.sdp.replace("a=ice-pwd:", "a=no-pwd:");
    });
    meeting.offer_again(ben, &[Source::Camera], 0, |negotiate| {
        negotiate.room = "nowhere".parse().expect("a room name");
        negotiate.grants.publish.clear();
    });
    assert_eq!(meeting.stats().rooms, 1);
}

#[test]
fn a_track_whose_layers_change_is_shown_again_after_a_keyframe() {
    let (mut meeting, ana, ben, _) = call();
    meeting.say(ben, view(meeting.person(ben), 0, 100, 160, 90));
    for frame in 0..20 {
        meeting.publish_frame(ana, 0, frame == 0, 3);
        meeting.advance(FRAME);
    }
    assert!(meeting.take_packets(ben).len() > 50);
    meeting.offer_again(ana, &[Source::Camera], 0, |negotiate| {
        negotiate.sdp = without_simulcast(&negotiate.sdp, 2000);
    });
    for keyframe in [true, false] {
        meeting.publish_frame(ana, 0, keyframe, 3);
        meeting.advance(FRAME);
    }
    assert_eq!(meeting.take_packets(ben).len(), 6);
}

/// An offer whose camera has one stream, told by its SSRC.
fn without_simulcast(sdp: &str, ssrc: u32) -> String {
    let simulcast = "a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n";
    let rtx = ssrc + 1;
    let streams = format!(
        "a=ssrc-group:FID {ssrc} {rtx}\r\na=ssrc:{ssrc} cname:x\r\na=ssrc:{rtx} cname:x\r\n"
    );
    sdp.replace(simulcast, &streams)
}

#[test]
fn streams_that_offers_announce_are_bounded() {
    let (mut meeting, ana, _, _) = call();
    for round in 0..200 {
        meeting.offer_again(ana, &[Source::Camera], 0, |negotiate| {
            negotiate.sdp = without_simulcast(&negotiate.sdp, 50_000 + 2 * round);
        });
    }
    let streams = meeting
        .engine()
        .legs
        .iter()
        .map(|(_, leg)| leg.streams.len());
    assert!(streams.max() <= Some(64));
}

fn datagrams() -> impl Strategy<Value = Vec<(Option<u8>, u16, Vec<u8>)>> {
    let first = prop_oneof![
        Just(0_u8),
        Just(20),
        Just(22),
        Just(64),
        Just(0x80),
        Just(0x90),
        any::<u8>()
    ];
    let bytes =
        (first, prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(first, mut rest)| {
            rest.insert(0, first);
            rest
        });
    prop::collection::vec((prop::option::of(0..3_u8), any::<u16>(), bytes), 1..60)
}

/// One thing that signaling or a participant may say.
#[derive(Clone, Debug)]
enum Word {
    Offer {
        who: u8,
        leg: u8,
        sources: u8,
        slots: u8,
        epoch: u8,
        elsewhere: bool,
    },
    Mute {
        track: u8,
        muted: bool,
    },
    Close {
        who: u8,
        leg: Option<u8>,
    },
    View {
        who: u8,
        slot: u8,
        track: u8,
    },
    Restart {
        who: u8,
        leg: u8,
    },
    Candidate {
        who: u8,
        text: String,
    },
    Frame {
        keyframe: bool,
    },
    Stall,
    Wait {
        ms: u16,
    },
}

fn words() -> impl Strategy<Value = Vec<Word>> {
    let word = prop_oneof![
        4 => (0..3_u8, 0..5_u8, 0..16_u8, 0..4_u8, 0..3_u8, any::<bool>()).prop_map(|(who, leg, sources, slots, epoch, elsewhere)| {
            Word::Offer { who, leg, sources, slots, epoch, elsewhere }
        }),
        1 => (0..6_u8, any::<bool>()).prop_map(|(track, muted)| Word::Mute { track, muted }),
        1 => (0..3_u8, prop::option::of(0..5_u8)).prop_map(|(who, leg)| Word::Close { who, leg }),
        2 => (1..3_u8, 0..9_u8, 0..6_u8).prop_map(|(who, slot, track)| Word::View { who, slot, track }),
        1 => (0..3_u8, 0..5_u8).prop_map(|(who, leg)| Word::Restart { who, leg }),
        1 => (0..3_u8, "[ -~]{0,60}").prop_map(|(who, text)| Word::Candidate { who, text }),
        4 => any::<bool>().prop_map(|keyframe| Word::Frame { keyframe }),
        1 => Just(Word::Stall),
        2 => (0..3000_u16).prop_map(|ms| Word::Wait { ms }),
    ];
    prop::collection::vec(word, 1..40)
}

fn participant(who: u8) -> ParticipantId {
    ParticipantId(u32::from(who) + 1)
}

fn say(meeting: &mut Meeting, people: [Who; 3], word: Word) {
    match word {
        Word::Offer {
            who,
            leg,
            sources,
            slots,
            epoch,
            elsewhere,
        } => {
            let sources: Vec<_> = Source::ALL
                .into_iter()
                .enumerate()
                .filter(|(bit, _)| sources >> bit & 1 == 1)
                .map(|(_, source)| source)
                .collect();
            let who = people[usize::from(who)];
            meeting.offer_again(who, &sources, usize::from(slots), |negotiate| {
                negotiate.leg = LegId(u32::from(leg));
                negotiate.epoch = baton_protocol::Epoch(u32::from(epoch));
                if elsewhere {
                    negotiate.room = "elsewhere".parse().expect("a room name");
                }
            });
        }
        Word::Mute { track, muted } => meeting.mute(100 + u32::from(track), muted),
        Word::Close { who, leg } => meeting.command(HostCommand::Close {
            room: room(),
            participant: participant(who),
            leg: leg.map(|leg| LegId(u32::from(leg))),
        }),
        Word::View { who, slot, track } => meeting.say(
            people[usize::from(who)],
            PathToHost::View {
                slots: vec![SlotView {
                    slot: slot.to_string(),
                    track: TrackId(99 + u32::from(track)),
                    width: 640,
                    height: 360,
                    fps: 0,
                    priority: 0,
                }],
            },
        ),
        Word::Restart { who, leg } => meeting.command(HostCommand::RestartIce {
            room: room(),
            participant: participant(who),
            leg: LegId(u32::from(leg)),
            request: 7,
            ice: IceParameters {
                ufrag: "wxyz".to_owned(),
                pwd: "0123456789012345678901234".to_owned(),
            },
        }),
        Word::Candidate { who, text } => meeting.command(HostCommand::Candidate {
            room: room(),
            participant: participant(who),
            leg: LegId(1),
            candidate: text,
        }),
        Word::Frame { keyframe } => meeting.try_publish_frame(people[0], keyframe),
        Word::Stall => meeting.stall(),
        Word::Wait { ms } => meeting.advance(Duration::from_millis(ms.into())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn datagrams_of_strangers_change_nothing(datagrams in datagrams()) {
        let (mut meeting, ana, ben, carl) = call();
        let people = [ana, ben, carl];
        for (from, port, mut bytes) in datagrams {
            let from = from.map(|from| people[usize::from(from)]);
            meeting.inject(from, port, &mut bytes);
        }
        meeting.publish_frame(ana, 2, false, 3);
        meeting.advance(FRAME);
        prop_assert_eq!(meeting.take_packets(ben).len(), 3);
        prop_assert!(meeting.take_packets(carl).is_empty());
        prop_assert_eq!(meeting.stats().legs_connected, 3);
        let streams = meeting.engine().legs.iter().map(|(_, leg)| leg.streams.len());
        prop_assert_eq!(streams.sum::<usize>(), 1);
        prop_assert_eq!(meeting.engine().demux.addresses(), 3);
    }

    #[test]
    fn a_flood_of_requests_is_answered_in_bounds(requests in prop::collection::vec((0..40_u16, any::<bool>()), 300..600)) {
        let (mut meeting, ana, ben, _) = call();
        meeting.publish_frame(ana, 2, false, 20);
        meeting.advance(FRAME);
        let seen = meeting.take_packets(ben);
        let before = meeting.keyframes_asked(ana);
        let count = u32::try_from(requests.len()).expect("few");
        for (back, wants_keyframe) in requests {
            if wants_keyframe {
                meeting.pli(ben, seen[0].ssrc);
            }
            meeting.nack(ben, seen[0].ssrc, seen[19].seq.wrapping_sub(back));
            meeting.advance(Duration::from_secs(1) / count);
        }
        let mut repeats = BTreeMap::<_, usize>::new();
        for repair in meeting.take_retransmissions(ben) {
            *repeats.entry(repair.original_seq).or_default() += 1;
        }
        prop_assert!(repeats.values().all(|times| *times <= 3), "{:?}", repeats);
        prop_assert!(repeats.len() <= 23, "only what was sent");
        prop_assert!(meeting.keyframes_asked(ana) - before <= 3);
    }

    #[test]
    fn a_garbled_offer_does_no_harm(edits in prop::collection::vec((any::<prop::sample::Index>(), 0..5_u8, any::<char>()), 1..20)) {
        let (mut meeting, ana, ben, carl) = call();
        meeting.offer_again(carl, &[Source::Camera, Source::Microphone], 2, |negotiate| {
            negotiate.leg = LegId(2);
            let mut lines: Vec<String> = negotiate.sdp.lines().map(str::to_owned).collect();
            for (index, edit, letter) in edits {
                let at = index.index(lines.len());
                match edit {
                    0 if lines.len() > 1 => drop(lines.remove(at)),
                    1 => lines.insert(at, lines[at].clone()),
                    2 => lines[at].push(letter),
                    3 => lines[at] = lines[at].replace(|c: char| c.is_ascii_digit(), "9"),
                    _ => lines.swap(at, 0),
                }
            }
            negotiate.sdp = lines.join("\r\n") + "\r\n";
        });
        meeting.publish_frame(ana, 2, false, 3);
        meeting.advance(FRAME);
        prop_assert_eq!(meeting.take_packets(ben).len(), 3);
        meeting.command(HostCommand::CloseRoom { room: room() });
        assert_nothing_is_left(&meeting);
    }

    #[test]
    fn whatever_signaling_says_nothing_is_left_when_all_is_closed(words in words()) {
        let (mut meeting, ana, ben, carl) = call();
        for word in words {
            say(&mut meeting, [ana, ben, carl], word);
        }
        let elsewhere = "elsewhere".parse().expect("a room name");
        meeting.command(HostCommand::CloseRoom { room: room() });
        meeting.command(HostCommand::CloseRoom { room: elsewhere });
        assert_nothing_is_left(&meeting);
        meeting.advance(Duration::from_secs(60));
    }
}
