//! Datagrams and path messages between people and hosts, and what people do on their own: film, speak, ask for what is missing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use baton_engine::{Datagram, Event, Routed};
use baton_protocol::{LegId, PathFromHost, PathToHost, Source};

use super::{BEAT, Happening, World};
use crate::download::{Download, SEGMENT};
use crate::oracle::Receipt;
use crate::packets::Kind;
use crate::participant::{Participant, Seat, whose};
use crate::receiver::{Asked, Opened, TORN};

/// Nothing at all was heard of the host for so long: the leg is dead (consent, RFC 7675).
const LEG_DEAD_AFTER: Duration = Duration::from_secs(10);

/// Beats between two reports.
const REPORT_BEATS: u64 = 50;

/// Beats between two reports of what arrived.
const ARRIVAL_BEATS: u64 = 3;

impl World {
    pub(super) fn reach_host(&mut self, host: usize, from: SocketAddr, mut bytes: Vec<u8>) {
        let site = &mut self.hosts[host];
        let datagram = Datagram {
            remote: from,
            local: site.address,
            bytes: &mut bytes,
        };
        // Last words of a leg that is closed already belong nowhere.
        let (Routed::Here | Routed::Elsewhere) = site.engine.handle_datagram(datagram, self.now);
    }

    pub(super) fn flush_host(&mut self, host: usize) {
        let mut buf = Vec::new();
        while let Some(transmit) = self.hosts[host].engine.poll_transmit(&mut buf, self.now) {
            let segment = transmit.segment_size.unwrap_or(transmit.size).max(1);
            for datagram in buf[..transmit.size].chunks(segment) {
                self.leave_host(transmit.destination, datagram);
            }
        }
        while let Some(event) = self.hosts[host].engine.poll_event() {
            match event {
                Event::Message(message) => self.host_speaks(host, message),
                Event::Path {
                    room,
                    participant,
                    leg,
                    message,
                } => {
                    let Some(person) = self.find(&room, participant) else {
                        continue;
                    };
                    if let Some(at) = self.people[person].down.carry_reliably(self.now) {
                        self.queue.push(
                            at,
                            Happening::PathDown {
                                person,
                                leg,
                                message,
                            },
                        );
                    }
                }
                Event::Reachable { .. } | Event::Unreachable { .. } | Event::Farewell { .. } => {
                    self.complain("a keyed leg has no ICE to tell of".to_owned());
                }
            }
        }
        let site = &mut self.hosts[host];
        if let Some(due) = site.engine.poll_timeout()
            && site.timer.is_none_or(|timer| due < timer)
        {
            let due = due.max(self.now + Duration::from_micros(1));
            site.timer = Some(due);
            self.queue.push(due, Happening::HostTimer { host });
        }
    }

    fn leave_host(&mut self, destination: SocketAddr, datagram: &[u8]) {
        let (person, leg) = whose(destination);
        let elapsed = self.elapsed();
        self.tap.note(person, leg, datagram, elapsed);
        let mut bytes = datagram.to_vec();
        let sent = self.now;
        let arrivals = self.people[person]
            .down
            .carry(&mut bytes, sent, &mut self.faults);
        for at in arrivals.into_iter().flatten() {
            let bytes = bytes.clone();
            self.queue.push(
                at,
                Happening::ToPerson {
                    person,
                    leg,
                    bytes,
                    sent,
                },
            );
        }
    }

    /// Somebody begins to download something.
    pub(crate) fn begin_download(&mut self, person: usize) {
        self.people[person].download = Some(Download::new());
        self.send_segments(person);
    }

    pub(super) fn handle_echo(&mut self, person: usize, number: u64, has_arrived: bool) {
        if let Some(download) = &mut self.people[person].download {
            download.handle_echo(number, has_arrived);
        }
        self.send_segments(person);
    }

    /// Sends segments of a download as its window allows. What is lost is known a round trip later.
    fn send_segments(&mut self, person: usize) {
        let now = self.now;
        let someone = &mut self.people[person];
        let Some(download) = &mut someone.download else {
            return;
        };
        while let Some(number) = download.poll() {
            let back = someone.up.weather().delay;
            let waits = someone.down.waiting(now);
            let sent = someone
                .down
                .carry(&mut [0; SEGMENT + 12], now, &mut self.faults);
            let (at, has_arrived) = match sent[0] {
                Some(at) => (at + back, true),
                None => (now + waits + someone.down.weather().delay + back, false),
            };
            let echo = Happening::Echo {
                person,
                number,
                has_arrived,
            };
            self.queue.push(at, echo);
        }
    }

    fn leave_person(&mut self, person: usize, mut bytes: Vec<u8>) {
        let now = self.now;
        let someone = &mut self.people[person];
        someone.sent_bytes += bytes.len() as u64;
        let Some(leg) = &someone.leg else { return };
        let (Some(host), from) = (leg.host, leg.address) else {
            return;
        };
        let arrivals = someone.up.carry(&mut bytes, now, &mut self.faults);
        for at in arrivals.into_iter().flatten() {
            let bytes = bytes.clone();
            self.queue.push(at, Happening::ToHost { host, from, bytes });
        }
    }

    pub(super) fn reach_person(
        &mut self,
        person: usize,
        leg: u32,
        mut bytes: Vec<u8>,
        sent: Instant,
    ) {
        let (now, start, unrest) = (self.now, self.start, self.unrest());
        let someone = &mut self.people[person];
        let moment = someone.moment(now, unrest);
        let Some(end) = someone.leg.as_mut().filter(|end| end.id == LegId(leg)) else {
            return;
        };
        if someone.seat == Seat::Crashed {
            return;
        }
        end.heard = Some(now);
        let opened = end.receiver.handle_datagram(&mut bytes, moment);
        let complaints = std::mem::take(&mut end.receiver.complaints);
        match opened {
            Opened::Media(got) => {
                someone.diary.media_bytes += bytes.len() as u64;
                let stamped = self.people.get(got.stamp.person as usize);
                let receipt = Receipt {
                    room: self.people[person].room_number,
                    person,
                    sent,
                    stamped: stamped.and_then(|stamped| stamped.me).map(|me| me.0),
                    start,
                    got: &got,
                };
                let complaint = self.oracle.complaint(&receipt);
                complaint.into_iter().for_each(|what| self.complain(what));
            }
            Opened::Control(asked) => self.answer_requests(person, asked, sent),
            Opened::Early => {}
            Opened::Refused => someone.diary.refused += 1,
        }
        self.judge(person, complaints);
        self.people[person].keep_diary();
    }

    /// Passes on what a decoder complains of, where it is not the network's doing.
    fn judge(&mut self, person: usize, complaints: Vec<String>) {
        // A picture whose end is lost or late is left when its slot changes layer: a keyframe follows at once.
        let is_torn_before = |one: &Participant| {
            let weather = one.up.weather();
            one.up.has_lost || weather.jitter > Duration::ZERO || weather.reorder > 0.0
        };
        // Over a narrow line a large picture goes in pieces, and its slot may change layer in between.
        let is_paced = self.people[person].down.weather().rate.is_some();
        let is_excused = is_paced || self.people.iter().any(is_torn_before);
        for what in complaints {
            if !(is_excused && what.starts_with(TORN)) {
                self.complain(format!("p{person}, {what}"));
            }
        }
    }

    /// How uneven arrivals may be for reasons that lie before the host.
    fn unrest(&self) -> Duration {
        let of = |one: &Participant| {
            let weather = one.up.weather();
            let queue = if weather.rate.is_some() {
                weather.queue
            } else {
                Duration::ZERO
            };
            weather.jitter
                + queue
                + if one.up.has_lost {
                    Duration::from_millis(400)
                } else {
                    Duration::ZERO
                }
        };
        self.people.iter().map(of).max().unwrap_or_default()
    }

    fn answer_requests(&mut self, person: usize, asked: Vec<Asked>, sent: Instant) {
        for what in asked {
            match what {
                Asked::Keyframe(ssrc) => {
                    let now = self.now;
                    self.people[person]
                        .camera
                        .handle_keyframe_request(ssrc, sent, now);
                }
                Asked::Again(ssrc, lost) => {
                    for seq in lost {
                        let someone = &mut self.people[person];
                        let again = someone.camera.repeat(ssrc, seq);
                        let sealed =
                            again.and_then(|again| Some(someone.leg.as_mut()?.seal(&again)));
                        if let Some(bytes) = sealed {
                            self.leave_person(person, bytes);
                        }
                    }
                }
            }
        }
    }

    pub(super) fn capture(&mut self, person: usize) {
        let (now, elapsed, frame) = (self.now, self.elapsed(), self.frame);
        let someone = &mut self.people[person];
        if !someone.is_live() {
            return;
        }
        if let Some(leg) = someone.leg.as_mut().filter(|leg| leg.is_answered) {
            let number = u32::try_from(person).expect("few people");
            let packets = someone
                .camera
                .capture(someone.room_number, number, now, elapsed);
            let sealed: Vec<_> = packets.iter().map(|packet| leg.seal(packet)).collect();
            sealed
                .into_iter()
                .for_each(|bytes| self.leave_person(person, bytes));
        }
        self.queue.push(now + frame, Happening::Frame { person });
    }

    pub(super) fn beat(&mut self, person: usize) {
        let (now, elapsed, unrest) = (self.now, self.elapsed(), self.unrest());
        let someone = &mut self.people[person];
        if !someone.is_live() {
            return;
        }
        self.queue.push(now + BEAT, Happening::Beat { person });
        someone.beats += 1;
        let moment = someone.moment(now, unrest);
        let number = u32::try_from(person).expect("few people");
        let mut sealed = Vec::new();
        if let Some(leg) = someone.leg.as_mut().filter(|leg| leg.is_answered) {
            let sound = someone
                .microphone
                .beat(someone.room_number, number, elapsed);
            sealed.extend(sound.map(|sound| leg.seal(&sound)));
            let requests = leg.receiver.poll_requests(moment);
            sealed.extend(leg.seal_requests(&requests));
            if someone.beats.is_multiple_of(ARRIVAL_BEATS) {
                sealed.extend(leg.seal_arrivals());
            }
            if someone.beats.is_multiple_of(REPORT_BEATS) {
                let mut sent = someone.camera.sent(elapsed);
                sent.extend(someone.microphone.sent(elapsed));
                sealed.extend(leg.seal_reports(&sent, elapsed, now));
            }
        }
        let complaints = someone
            .leg
            .as_mut()
            .map(|leg| std::mem::take(&mut leg.receiver.complaints));
        someone.keep_diary();
        self.judge(person, complaints.unwrap_or_default());
        sealed
            .into_iter()
            .for_each(|bytes| self.leave_person(person, bytes));
        self.refresh_view(person);
        self.check_leg(person);
    }

    /// A browser notices that nobody answers on its leg any more, and offers another.
    fn check_leg(&mut self, person: usize) {
        let leg = self.people[person].leg.as_ref();
        let heard = leg.filter(|leg| leg.is_answered).and_then(|leg| leg.heard);
        let is_dead = heard.is_some_and(|heard| self.now - heard > LEG_DEAD_AFTER);
        if is_dead && self.people[person].connection.is_some() && self.people[person].is_welcome {
            self.note(format!("p{person}'s leg is dead"));
            self.offer(person);
        }
    }

    /// Tells the host what the slots shall show, where that changed.
    fn refresh_view(&mut self, person: usize) {
        let someone = &self.people[person];
        let camera = |other: &usize| {
            let name = &self.people[*other].name;
            Some((*other, someone.track_of(name, Source::Camera)?))
        };
        let cameras: BTreeMap<_, _> = someone.wishes.keys().filter_map(camera).collect();
        let someone = &mut self.people[person];
        if someone.up.weather().is_out {
            return;
        }
        let Some(message) = someone.poll_view(&cameras) else {
            return;
        };
        let leg = someone
            .leg
            .as_ref()
            .map(|leg| leg.id)
            .expect("it has a view");
        if let Some(at) = someone.up.carry_reliably(self.now) {
            self.queue.push(
                at,
                Happening::PathUp {
                    person,
                    leg,
                    message,
                },
            );
        }
    }

    pub(super) fn path_up(&mut self, person: usize, leg: LegId, message: PathToHost) {
        let someone = &self.people[person];
        let current = someone.leg.as_ref().filter(|end| end.id == leg);
        let (Some(host), Some(me)) = (current.and_then(|end| end.host), someone.me) else {
            return;
        };
        let room = someone.room.clone();
        if let PathToHost::View { slots } = &message {
            let whose = |track| {
                self.oracle
                    .owner(&room, track)
                    .filter(|(_, kind)| *kind == Kind::Picture)
            };
            let shows = slots
                .iter()
                .filter_map(|slot| Some((slot.slot.clone(), whose(slot.track)?.0)));
            let shows = shows.collect();
            self.oracle.note_view(person, shows, self.now);
        }
        self.hosts[host]
            .engine
            .handle_path(&room, me, leg, message, self.now);
    }

    pub(super) fn path_down(&mut self, person: usize, leg: LegId, message: PathFromHost) {
        let now = self.now;
        let someone = &mut self.people[person];
        let Some(end) = someone.leg.as_mut().filter(|end| end.id == leg) else {
            return;
        };
        match message {
            PathFromHost::Slots { slots } => end.shown = slots,
            PathFromHost::Speakers { speakers } => end.speakers = speakers,
            PathFromHost::Wanted { tracks } if someone.obeys => {
                // A camera is all the picture that anybody here has.
                for track in &tracks {
                    someone.camera.handle_wanted(&track.layers, now);
                }
            }
            PathFromHost::Line { line } => end.line = Some(line),
            PathFromHost::Lines { lines } => end.lines = lines,
            PathFromHost::Wanted { .. } | PathFromHost::Pulse { .. } | PathFromHost::Unknown => {}
        }
    }
}
