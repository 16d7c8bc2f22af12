//! Two hosts of one room that are joined: the server, where some stay, and the computer that carries the call for the others.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a story picks the messages it is about"
)]

use std::time::Duration;

use baton_protocol::{
    BridgeId, Epoch, HostCommand, HostMessage, HostRole, LegState, PauseReason, Source,
};

use super::people::{Meeting, Who, room};
use super::view;
use crate::bridge;
use crate::time::Tick;

const FRAME: Duration = Duration::from_millis(33);
const STEP: Duration = Duration::from_millis(1);
const BRIDGE: BridgeId = BridgeId(7);

/// Datagrams between the two arrive after so many steps.
const DELAY: usize = 10;

struct Pair {
    server: Meeting,
    computer: Meeting,
    wire: Vec<(usize, bool, Vec<u8>)>,
    steps: usize,
    /// Of media datagrams, one in so many is lost.
    loss: Option<usize>,
    is_cut: bool,
    carried: usize,
    /// Keyframes that Ana and Ben have made.
    answered: (usize, usize),
}

impl Pair {
    /// The server's people are numbered from 0, the computer's from 10.
    fn new(seed: u8) -> Self {
        let mut computer = Meeting::at(seed + 1, "198.51.100.7:40000", false);
        computer.number_from(10);
        Self {
            server: Meeting::new(seed),
            computer,
            wire: Vec::new(),
            steps: 0,
            loss: None,
            is_cut: false,
            carried: 0,
            answered: (0, 0),
        }
    }

    fn connect(&mut self) {
        let (room, epoch, bridge) = (room(), Epoch::FIRST, BRIDGE);
        serve(&mut self.computer, HostRole::Active);
        let open = HostCommand::OpenBridge {
            room: room.clone(),
            epoch,
            bridge,
        };
        self.computer.command(open);
        let mut end = self.computer.take_messages().into_iter();
        let end = end.find_map(|message| match message {
            HostMessage::BridgeOffered { end, .. } => Some(end),
            _ => None,
        });
        self.server.command(HostCommand::AnswerBridge {
            room: room.clone(),
            epoch,
            bridge,
            end: end.expect("an offer"),
        });
        let mut end = self.server.take_messages().into_iter();
        let end = end.find_map(|message| match message {
            HostMessage::BridgeAnswered { end, .. } => Some(end),
            _ => None,
        });
        let join = HostCommand::JoinBridge {
            room,
            epoch,
            bridge,
            end: end.expect("an answer"),
            ticket: String::new(),
        };
        self.computer.command(join);
        let mut up = (false, false);
        for _ in 0..300 {
            self.advance(Duration::from_millis(10));
            up.0 |= states(&mut self.server).contains(&LegState::Connected);
            up.1 |= states(&mut self.computer).contains(&LegState::Connected);
        }
        assert_eq!(up, (true, true), "both say that the bridge is up");
    }

    fn advance(&mut self, span: Duration) {
        for _ in 0..span.as_millis() {
            self.server.advance(STEP);
            self.computer.advance(STEP);
            self.steps += 1;
            let (server, computer) = (self.server.address(), self.computer.address());
            let sent = self
                .server
                .take_strays()
                .into_iter()
                .map(|one| (false, one));
            let sent: Vec<_> = sent
                .chain(
                    self.computer
                        .take_strays()
                        .into_iter()
                        .map(|one| (true, one)),
                )
                .collect();
            for (to_server, (destination, bytes)) in sent {
                assert_eq!(destination, if to_server { server } else { computer });
                let is_media = bytes
                    .first()
                    .is_some_and(|first| (128..192).contains(first));
                self.carried += usize::from(is_media);
                let is_lost = is_media
                    && self
                        .loss
                        .is_some_and(|one| self.carried.is_multiple_of(one));
                if !is_lost && !self.is_cut {
                    self.wire.push((self.steps + DELAY, to_server, bytes));
                }
            }
            let steps = self.steps;
            let due: Vec<_> = self
                .wire
                .extract_if(.., |(at, _, _)| *at <= steps)
                .collect();
            for (_, to_server, mut bytes) in due {
                match to_server {
                    true => self.server.receive(computer, &mut bytes),
                    false => self.computer.receive(server, &mut bytes),
                }
            }
        }
    }
}

fn serve(meeting: &mut Meeting, role: HostRole) {
    meeting.command(HostCommand::Serve {
        room: room(),
        epoch: Epoch::FIRST,
        role,
        grant: None,
        lease_ms: None,
        beats: false,
    });
}

fn states(meeting: &mut Meeting) -> Vec<LegState> {
    let messages = meeting.take_messages().into_iter();
    let states = messages.filter_map(|message| match message {
        HostMessage::Bridge { state, .. } => Some(state),
        _ => None,
    });
    states.collect()
}

fn publish(meeting: &mut Meeting, who: Who, keyframe: bool) {
    for layer in 0..3 {
        meeting.publish_frame(who, layer, keyframe, 1 + layer);
    }
}

/// Ana stays on the server, Ben is on the computer; each shows the other's camera at this size.
fn ana_and_ben(pair: &mut Pair, width: u16, height: u16) -> (Who, Who) {
    let both = [Source::Camera, Source::Microphone];
    let ana = pair.server.join("ana", &both, 1);
    let ben = pair.computer.join("ben", &both, 1);
    pair.connect();
    let ask = view(pair.server.person(ana), 0, 200, width, height);
    pair.server.say(ana, ask);
    let ask = view(pair.computer.person(ben), 0, 100, width, height);
    pair.computer.say(ben, ask);
    (ana, ben)
}

fn run(pair: &mut Pair, (ana, ben): (Who, Who), frames: usize) {
    for _ in 0..frames {
        for (meeting, who, answered) in [
            (&mut pair.server, ana, &mut pair.answered.0),
            (&mut pair.computer, ben, &mut pair.answered.1),
        ] {
            // A keyframe to begin with, and one for each request.
            let asked = meeting.keyframes_asked(who) + 1;
            publish(meeting, who, asked > *answered);
            *answered = asked;
        }
        pair.server.publish_audio(ana, 30);
        pair.computer.publish_audio(ben, 30);
        pair.advance(FRAME);
    }
}

#[test]
fn who_stays_and_who_moved_see_and_hear_each_other_and_nobody_themselves() {
    let mut pair = Pair::new(50);
    let (ana, ben) = ana_and_ben(&mut pair, 640, 360);
    run(&mut pair, (ana, ben), 300);
    for (meeting, who, other) in [(&mut pair.server, ana, 11), (&mut pair.computer, ben, 1)] {
        let seen = meeting.take_packets(who);
        assert!(seen.iter().all(|packet| packet.csrc == Some(other)));
        let (sound, pictures): (Vec<_>, Vec<_>) =
            seen.iter().partition(|packet| packet.payload.len() == 80);
        assert!(sound.len() > 270, "{} packets of sound", sound.len());
        assert!(pictures.len() > 500, "{} of pictures", pictures.len());
        for pair in pictures.windows(2) {
            assert_eq!(pair[1].seq.wrapping_sub(pair[0].seq), 1, "no hole");
        }
        let wanted = meeting.wanted(who).expect("told");
        assert_eq!(wanted[0], [true, true, false], "nobody shows the largest");
        assert!(matches!(
            meeting.last_speakers(who),
            Some(baton_protocol::PathFromHost::Speakers { speakers }) if speakers.len() == 2
        ));
    }
}

#[test]
fn a_packet_says_what_it_was_when_its_publisher_sent_it_whichever_hosts_it_came_by() {
    let mut pair = Pair::new(51);
    let (ana, ben) = ana_and_ben(&mut pair, 640, 360);
    let carl = pair.computer.join("carl", &[], 1);
    let ask = view(pair.computer.person(carl), 0, 200, 640, 360);
    pair.computer.say(carl, ask);
    run(&mut pair, (ana, ben), 90);
    let near = pair.computer.take_packets(carl);
    let far = pair.server.take_packets(ana);
    // Carl hears and sees only Ben of those who send at his place; of Ana he hears.
    let near: Vec<_> = near
        .into_iter()
        .filter(|one| one.csrc == Some(11))
        .collect();
    assert!(near.len() > 200 && far.len() > 200);
    for packet in near.iter().chain(&far) {
        let origin = packet.origin.expect("it was negotiated");
        assert!(
            (12_000..12_010).contains(&origin.ssrc.0),
            "Ben's: {origin:?}"
        );
    }
    let last = far.last().expect("some");
    assert!(
        last.origin.is_some_and(|origin| origin.seq != last.seq),
        "numbered anew"
    );
    let missing = far
        .iter()
        .filter(|far| near.iter().all(|near| near.origin != far.origin));
    assert_eq!(missing.count(), 0, "both get the same packets");
}

/// Whose tracks a host offers the other.
fn offered(meeting: &Meeting) -> Vec<u32> {
    let rooms = meeting.engine().rooms.iter();
    let offered = rooms.flat_map(|(_, room)| bridge::offered(room, Tick(0)));
    let mut people: Vec<_> = offered.map(|one| one.participant.0).collect();
    people.dedup();
    people
}

#[test]
fn what_came_over_a_bridge_is_not_offered_back() {
    let mut pair = Pair::new(60);
    let (ana, ben) = ana_and_ben(&mut pair, 640, 360);
    run(&mut pair, (ana, ben), 60);
    assert_eq!(offered(&pair.server), [1]);
    assert_eq!(offered(&pair.computer), [11]);
    let carried = pair.carried;
    run(&mut pair, (ana, ben), 30);
    // Each way a picture of three packets in the two layers that are used, a packet of sound, and reports.
    let each = (pair.carried - carried) / 30;
    assert!((8..=12).contains(&each), "{each} packets for a picture");
}

#[test]
fn on_a_short_line_sound_and_small_pictures_go_first() {
    let mut pair = Pair::new(62);
    let (ana, ben) = ana_and_ben(&mut pair, 640, 360);
    run(&mut pair, (ana, ben), 90);
    let count = |pair: &mut Pair, frames: usize| {
        pair.server.take_packets(ana);
        run(pair, (ana, ben), frames);
        let seen = pair.server.take_packets(ana);
        let sound = seen.iter().filter(|packet| packet.payload.len() == 80);
        let sound = sound.count();
        (sound, seen.len() - sound)
    };
    let (sound, pictures) = count(&mut pair, 60);
    assert!(sound >= 59 && pictures >= 118, "{sound}, {pictures}");
    // Half of it for Ben's own leg.
    pair.computer.set_uplink(Some(800));
    count(&mut pair, 60);
    let (sound, pictures) = count(&mut pair, 60);
    assert!(sound >= 59, "{sound} packets of sound");
    assert!(
        (55..=65).contains(&pictures),
        "{pictures} of the small layer"
    );
    pair.computer.set_uplink(Some(200));
    count(&mut pair, 60);
    let (sound, pictures) = count(&mut pair, 60);
    assert!(sound >= 59 && pictures == 0, "{sound}, {pictures}");
    pair.computer.set_uplink(None);
    count(&mut pair, 400);
    let (sound, pictures) = count(&mut pair, 60);
    assert!(sound >= 59 && pictures >= 118, "{sound}, {pictures} again");
}

#[test]
fn many_requests_of_keyframes_cross_the_bridge_as_few() {
    let mut pair = Pair::new(52);
    let (ana, ben) = ana_and_ben(&mut pair, 640, 360);
    let others: Vec<_> = (0..3).map(|_| pair.computer.join("more", &[], 1)).collect();
    for who in &others {
        let ask = view(pair.computer.person(*who), 0, 100, 640, 360);
        pair.computer.say(*who, ask);
    }
    run(&mut pair, (ana, ben), 60);
    let ssrcs: Vec<_> = others
        .iter()
        .map(|who| (*who, pair.computer.take_packets(*who)))
        .map(|(who, seen)| {
            let picture = seen.iter().find(|packet| packet.payload.len() > 500);
            (who, picture.expect("a picture").ssrc)
        })
        .collect();
    let before = pair.server.keyframes_asked(ana);
    for _ in 0..50 {
        for (who, ssrc) in &ssrcs {
            pair.computer.pli(*who, *ssrc);
        }
        pair.advance(Duration::from_millis(20));
    }
    let asked = pair.server.keyframes_asked(ana) - before;
    assert!((1..=3).contains(&asked), "{asked} within a second");
}

#[test]
fn what_is_lost_between_the_hosts_is_repaired() {
    let mut pair = Pair::new(54);
    let (ana, ben) = ana_and_ben(&mut pair, 640, 360);
    run(&mut pair, (ana, ben), 90);
    pair.computer.take_packets(ben);
    pair.loss = Some(15);
    run(&mut pair, (ana, ben), 200);
    pair.loss = None;
    run(&mut pair, (ana, ben), 10);
    let seen = pair.computer.take_packets(ben);
    let pictures = seen.iter().filter(|packet| packet.payload.len() > 500);
    let mut numbers: Vec<_> = pictures.map(|packet| packet.seq).collect();
    assert!(numbers.len() > 380, "{} packets", numbers.len());
    numbers.sort_unstable();
    let span = usize::from(numbers[numbers.len() - 1] - numbers[0]) + 1;
    let missing = span - numbers.len();
    assert!(missing <= 2, "{missing} of {span} packets never came");
}

#[test]
fn a_bridge_that_dies_is_told_to_signaling_and_to_those_who_watch() {
    let mut pair = Pair::new(56);
    let (ana, ben) = ana_and_ben(&mut pair, 640, 360);
    run(&mut pair, (ana, ben), 30);
    assert_eq!(pair.computer.paused(ben), None);
    pair.is_cut = true;
    run(&mut pair, (ana, ben), 340);
    assert_eq!(pair.computer.paused(ben), Some(PauseReason::Gone));
    assert_eq!(pair.server.paused(ana), Some(PauseReason::Gone));
    assert!(states(&mut pair.server).contains(&LegState::Closed));
    assert!(states(&mut pair.computer).contains(&LegState::Closed));
}

/// Carl moves to the computer while Ana, who stays, watches him; and back.
#[test]
fn who_stays_goes_on_seeing_somebody_who_moves() {
    let mut pair = Pair::new(58);
    pair.server.number_from(20);
    pair.computer.number_from(20);
    let carl = pair.server.join("carl", &[Source::Camera], 0);
    let there = pair.computer.join("carl", &[Source::Camera], 0);
    let ana = pair.server.join("ana", &[], 1);
    pair.connect();
    serve(&mut pair.server, HostRole::Active);
    let ask = view(pair.server.person(ana), 0, 300, 640, 360);
    pair.server.say(ana, ask);
    let mut longest = 0;
    let mut without = 0;
    let mut fresh = 0;
    for frame in 0..400_usize {
        let (here, yonder) = match frame {
            0..60 => (true, false),
            60..100 | 250..300 => (true, true),
            100..250 => (false, true),
            _ => (true, false),
        };
        if frame == 100 {
            serve(&mut pair.server, HostRole::Aside);
        } else if frame == 300 {
            serve(&mut pair.server, HostRole::Active);
        }
        // An encoder begins with a keyframe, and makes one when it is asked.
        let asked = pair.server.keyframes_asked(carl) + pair.computer.keyframes_asked(there);
        let keyframe = matches!(frame, 0 | 60 | 250) || asked > fresh;
        fresh = asked;
        // The old host is sent the smallest layer until the new one is shown everywhere.
        if here {
            publish(&mut pair.server, carl, keyframe);
        }
        if yonder {
            publish(&mut pair.computer, there, keyframe);
        }
        pair.advance(FRAME);
        without = match pair.server.take_packets(ana).is_empty() {
            true => without + 1,
            false => 0,
        };
        if frame > 5 {
            longest = longest.max(without);
        }
    }
    assert!(longest <= 6, "{longest} frames without a picture");
}
