//! Any messages in any order, from people, hosts and the clock: nothing panics, and the room stays what it promises.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use baton_protocol::{
    Epoch, Grants, HostMessage, LeaveReason, LegId, LegState, Negotiate, ParticipantId,
    PeerMessage, RosterLeg, RosterRoom, ServiceMessage, Source, TrackId,
};
use proptest::prelude::*;

use super::stage::*;
use crate::registry::{Call, Publisher, Registry, SessionOpen};
use crate::{Access, ConnectionId, Keys, LinkId};

const ROOMS: [&str; 2] = ["tea", "coffee"];
const SOCKETS: u64 = 6;
const HOSTS: u64 = 2;

/// One step of a story. Numbers pick among what there is.
#[derive(Clone, Debug)]
enum Step {
    Join {
        who: u64,
        room: usize,
        grants: u8,
    },
    Resume {
        who: u64,
        token: usize,
    },
    Lose {
        who: u64,
    },
    Offer {
        who: u64,
        leg: u32,
        epoch: u32,
        sources: u8,
    },
    Say {
        who: u64,
        message: PeerMessage,
    },
    MuteTrack {
        who: u64,
        track: usize,
        other: bool,
    },
    KickSomebody {
        who: u64,
        whom: usize,
    },
    Agree {
        host: u64,
        question: usize,
    },
    CloseLeg {
        host: u64,
        question: usize,
    },
    Unlink {
        host: u64,
    },
    Link {
        host: u64,
        with_roster: bool,
    },
    Whip {
        room: usize,
        publish: bool,
    },
    Wait {
        seconds: u64,
    },
}

fn steps() -> impl Strategy<Value = Step> {
    let who = 1..=SOCKETS;
    let host = 1..=HOSTS;
    let index = 0..64usize;
    prop_oneof![
        4 => (who.clone(), 0..2usize, any::<u8>()).prop_map(|(who, room, grants)| Step::Join { who, room, grants }),
        2 => (who.clone(), index.clone()).prop_map(|(who, token)| Step::Resume { who, token }),
        2 => who.clone().prop_map(|who| Step::Lose { who }),
        4 => (who.clone(), 1..7u32, 1..3u32, any::<u8>())
            .prop_map(|(who, leg, epoch, sources)| Step::Offer { who, leg, epoch, sources }),
        3 => (who.clone(), words()).prop_map(|(who, message)| Step::Say { who, message }),
        2 => (who.clone(), index.clone(), any::<bool>())
            .prop_map(|(who, track, other)| Step::MuteTrack { who, track, other }),
        1 => (who, index.clone()).prop_map(|(who, whom)| Step::KickSomebody { who, whom }),
        5 => (host.clone(), index.clone()).prop_map(|(host, question)| Step::Agree { host, question }),
        1 => (host.clone(), index).prop_map(|(host, question)| Step::CloseLeg { host, question }),
        1 => host.clone().prop_map(|host| Step::Unlink { host }),
        2 => (host, any::<bool>()).prop_map(|(host, with_roster)| Step::Link { host, with_roster }),
        1 => (0..2usize, any::<bool>()).prop_map(|(room, publish)| Step::Whip { room, publish }),
        2 => (0..40u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

fn words() -> impl Strategy<Value = PeerMessage> {
    prop_oneof![
        Just(PeerMessage::Leave),
        Just(PeerMessage::Unknown),
        (1..7u32).prop_map(|leg| PeerMessage::CloseLeg { leg: LegId(leg) }),
        ".{0,20}".prop_map(|name| PeerMessage::Rename { name }),
        ".{0,20}".prop_map(|text| PeerMessage::Chat { text, to: None }),
        any::<u32>().prop_map(|id| PeerMessage::Chat {
            text: "psst".to_owned(),
            to: Some(ParticipantId(id)),
        }),
        (1..7u32, ".{0,9}").prop_map(|(leg, candidate)| PeerMessage::Candidate {
            leg: LegId(leg),
            candidate
        }),
    ]
}

/// What the outside has seen.
#[derive(Default)]
struct Witness {
    /// Where each socket was let in, and as whom.
    seats: BTreeMap<ConnectionId, (String, ParticipantId, Grants)>,
    resumes: Vec<(String, String)>,
    questions: Vec<(LinkId, Negotiate)>,
    tracks: BTreeSet<TrackId>,
    /// In which room each participant was seen.
    homes: BTreeMap<ParticipantId, String>,
    calls: usize,
}

fn grants(bits: u8) -> Grants {
    let sources = Source::ALL.into_iter().enumerate();
    let publish = sources.filter(|(bit, _)| bits & 1 << bit != 0);
    Grants {
        publish: publish.map(|(_, source)| source).collect(),
        subscribe: true,
        chat: bits & 16 != 0,
        moderate: bits & 32 != 0,
        host: false,
        hidden: bits & 192 == 192,
    }
}

impl Witness {
    fn step(&mut self, stage: &mut Stage, step: Step) {
        match step {
            Step::Join {
                who,
                room,
                grants: bits,
            } => {
                let mut token = token(&format!("subject {}", bits % 4), grants(bits));
                token.room = ROOMS[room].parse().expect("a room name");
                stage.closed.remove(&ConnectionId(who));
                stage.say(ConnectionId(who), with_token(&token));
            }
            Step::Resume { who, token } => {
                let Some((room, token)) = pick(&self.resumes, token) else {
                    return;
                };
                stage.closed.remove(&ConnectionId(who));
                stage.say(ConnectionId(who), resume(&room, &token));
            }
            Step::Lose { who } => {
                stage.lose(ConnectionId(who));
                self.seats.remove(&ConnectionId(who));
            }
            Step::Offer {
                who,
                leg,
                epoch,
                sources,
            } => {
                let wanted = grants(sources).publish;
                let tracks = wanted
                    .into_iter()
                    .map(|source| track(&format!("{source:?}"), source));
                self.say(stage, who, offer(leg, Epoch(epoch), tracks.collect()));
            }
            Step::Say { who, message } => self.say(stage, who, message),
            Step::MuteTrack { who, track, other } => {
                let tracks: Vec<_> = self.tracks.iter().copied().collect();
                let Some(track) = pick(&tracks, track) else {
                    return;
                };
                let own = PeerMessage::Mute { track, muted: true };
                self.say(
                    stage,
                    who,
                    if other {
                        PeerMessage::MuteOther { track }
                    } else {
                        own
                    },
                );
            }
            Step::KickSomebody { who, whom } => {
                let known: Vec<_> = self.homes.keys().copied().collect();
                let Some(participant) = pick(&known, whom) else {
                    return;
                };
                self.say(stage, who, PeerMessage::Kick { participant });
            }
            Step::Agree { host, question } => {
                let Some((_, asked)) = pick(&self.questions, question) else {
                    return;
                };
                stage.host_says(LinkId(host), agree(&asked));
            }
            Step::CloseLeg { host, question } => {
                let Some((_, asked)) = pick(&self.questions, question) else {
                    return;
                };
                stage.host_says(
                    LinkId(host),
                    HostMessage::Leg {
                        room: asked.room,
                        participant: asked.participant,
                        leg: asked.leg,
                        state: LegState::Closed,
                    },
                );
            }
            Step::Unlink { host } => stage.unlink(LinkId(host)),
            Step::Link { host, with_roster } => {
                stage.unlink(LinkId(host));
                let roster = if with_roster {
                    self.roster()
                } else {
                    Vec::new()
                };
                let known = stage.registry.rooms().next().map(|room| room.term.host);
                stage.link(LinkId(host), known, roster);
            }
            Step::Whip { room, publish } => {
                let publisher = match publish {
                    true => Publisher::Yes,
                    false => Publisher::No {
                        participant: None,
                        track: None,
                    },
                };
                stage.call(Call::Open(SessionOpen {
                    room: ROOMS[room].parse().expect("a room name"),
                    token: None,
                    name: "OBS".to_owned(),
                    publisher,
                    sdp: "offer".to_owned(),
                }));
                self.calls += 1;
            }
            Step::Wait { seconds } => stage.wait(Duration::from_secs(seconds)),
        }
    }

    /// Only a socket that is open says something.
    fn say(&self, stage: &mut Stage, who: u64, message: PeerMessage) {
        let who = ConnectionId(who);
        if !stage.closed.contains_key(&who) {
            stage.say(who, message);
        }
    }

    /// A host's memory of everything it was ever asked, true or not.
    fn roster(&self) -> Vec<RosterRoom> {
        let asked = self.questions.iter().map(|(_, asked)| RosterRoom {
            role: None,
            grant: None,
            room: asked.room.clone(),
            epoch: asked.epoch,
            legs: vec![RosterLeg {
                participant: asked.participant,
                leg: asked.leg,
                tracks: vec![info(TrackId(asked.request), Source::Camera)],
                memento: None,
            }],
        });
        asked.collect()
    }

    /// Reads everything that was said, and checks that it was said to the right ones.
    fn listen(&mut self, stage: &mut Stage) {
        for who in (1..=SOCKETS).map(ConnectionId) {
            for message in stage.heard(who) {
                self.check_message(who, message);
            }
            if stage.closed.contains_key(&who) {
                self.seats.remove(&who);
            }
        }
        for link in (1..=HOSTS).map(LinkId) {
            for command in stage.told(link) {
                if let baton_protocol::HostCommand::Negotiate(asked) = command {
                    check_negotiation(&asked);
                    self.questions.push((link, asked));
                }
            }
        }
    }

    fn check_message(&mut self, who: ConnectionId, message: ServiceMessage) {
        match message {
            ServiceMessage::Joined(joined) => {
                let room = joined.room.as_str().to_owned();
                self.resumes.push((room.clone(), joined.resume));
                for one in &joined.participants {
                    self.check_home(one.id, &room);
                }
                self.seats.insert(who, (room, joined.me, joined.grants));
            }
            ServiceMessage::Participant { participant } => {
                let (room, ..) = self
                    .seats
                    .get(&who)
                    .expect("only who is in a room hears of it")
                    .clone();
                self.check_home(participant.id, &room);
                self.tracks
                    .extend(participant.tracks.iter().map(|track| track.id));
            }
            ServiceMessage::ParticipantLeft { participant, .. }
            | ServiceMessage::Chat {
                from: participant, ..
            } => {
                let (room, ..) = self
                    .seats
                    .get(&who)
                    .expect("only who is in a room hears of it")
                    .clone();
                self.check_home(participant, &room);
            }
            ServiceMessage::Answer { tracks, .. } => {
                let (_, _, grants) = self
                    .seats
                    .get(&who)
                    .expect("only who is in a room is answered");
                assert!(tracks.iter().all(|track| grants.may_publish(track.source)));
            }
            ServiceMessage::Removed { reason } => {
                assert!(reason != LeaveReason::Left);
                self.seats.remove(&who);
            }
            _ => {}
        }
    }

    /// Nobody hears of somebody in another room.
    fn check_home(&mut self, participant: ParticipantId, room: &str) {
        let home = self
            .homes
            .entry(participant)
            .or_insert_with(|| room.to_owned());
        assert_eq!(home, room, "{participant} belongs to another room");
    }
}

fn check_negotiation(asked: &Negotiate) {
    if let baton_protocol::Tracks::Declared(tracks) = &asked.tracks {
        assert!(
            tracks
                .iter()
                .all(|track| asked.grants.may_publish(track.source))
        );
    }
}

fn check_registry(registry: &Registry) {
    for room in registry.rooms() {
        let mut seen = BTreeSet::new();
        for track in room.participants.iter().flat_map(|one| &one.tracks) {
            assert!(seen.insert(track.id), "one track, one owner");
        }
    }
    for (connection, seat) in &registry.seats {
        let room = registry.rooms.get(&seat.room).expect("a seat is in a room");
        let one = room
            .participants
            .get(&seat.participant)
            .expect("a seat has an owner");
        assert_eq!(one.connection(), Some(*connection));
    }
    let seated = registry
        .rooms
        .values()
        .flat_map(|room| room.participants.values());
    for one in seated {
        assert!(one.legs.len() <= baton_protocol::limits::MAX_LEGS);
        if let Some(connection) = one.connection() {
            assert!(
                registry.seats.contains_key(&connection),
                "whoever is reached has a seat"
            );
        }
        let is_claimed = !one.name.is_empty();
        assert!(
            !is_claimed
                || one
                    .tracks()
                    .all(|track| one.grants.may_publish(track.source))
        );
    }
    for session in registry.sessions.values() {
        let room = registry
            .rooms
            .get(&session.room)
            .expect("a session is in a room");
        assert!(
            room.participants.contains_key(&session.participant),
            "a session has an owner"
        );
    }
}

fn pick<T: Clone>(from: &[T], index: usize) -> Option<T> {
    from.get(index % from.len().max(1)).cloned()
}

fn play(access: Access, steps: Vec<Step>) {
    let mut stage = Stage::empty(access, 0);
    stage.link(HOST, None, Vec::new());
    let mut witness = Witness::default();
    for step in steps {
        witness.step(&mut stage, step);
        witness.listen(&mut stage);
        check_registry(&stage.registry);
    }
    for who in (1..=SOCKETS).map(ConnectionId) {
        stage.lose(who);
    }
    for link in (1..=HOSTS).map(LinkId) {
        stage.unlink(link);
    }
    stage.wait(Duration::from_secs(600));
    assert_eq!(
        stage.registry.participant_count(),
        0,
        "nobody stays for ever"
    );
    assert_eq!(stage.registry.room_count(), 0, "no room stays for ever");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_open_service_stays_sound(steps in prop::collection::vec(steps(), 1..120)) {
        play(Access::Open, steps);
    }

    #[test]
    fn a_guarded_service_stays_sound(steps in prop::collection::vec(steps(), 1..120)) {
        play(Access::Tokens { keys: Keys::default() }, steps);
    }
}
