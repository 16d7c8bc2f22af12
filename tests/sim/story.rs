//! The words in which meetings are told: a lab, its rooms, the people in them, and what they would say about the call.

use std::cell::{Ref, RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use baton_engine::{Bitrate, Stats};
use baton_protocol::{Direction, LineReport, PauseReason, Source};

use crate::camera::Camera;
use crate::network::{Faults, Weather};
use crate::participant::{Log, Participant, Seat, Sighting, Voice};
use crate::world::World;

/// Seconds.
pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Milliseconds.
pub(crate) const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A simulated world; the same seed and the same story give the same bits.
#[derive(Clone)]
pub(crate) struct Lab(Rc<RefCell<World>>);

/// One room of it.
#[derive(Clone)]
pub(crate) struct Room {
    lab: Lab,
    number: usize,
}

/// One person in a room.
#[derive(Clone)]
pub(crate) struct Person {
    lab: Lab,
    pub(crate) number: usize,
}

impl Lab {
    /// A lab with one host.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::with_hosts(seed, 1)
    }

    pub(crate) fn with_hosts(seed: u64, hosts: usize) -> Self {
        Self(Rc::new(RefCell::new(World::new(seed, hosts))))
    }

    pub(crate) fn world(&self) -> RefMut<'_, World> {
        self.0.borrow_mut()
    }

    pub(crate) fn room(&self, name: &str) -> Room {
        let mut world = self.world();
        world.rooms.push(name.parse().expect("a room's name"));
        Room {
            lab: self.clone(),
            number: world.rooms.len() - 1,
        }
    }

    /// Cameras take so many pictures a second.
    pub(crate) fn films_at(&self, rate: u32) {
        self.world().frame = Duration::from_micros(1_000_000 / u64::from(rate));
    }

    pub(crate) fn now(&self) -> Instant {
        self.0.borrow().now
    }

    /// Lets time pass, and fails if anything happened in it that may never happen.
    pub(crate) fn run_for(&self, span: Duration) {
        self.watch_for(span);
        let world = self.0.borrow();
        assert!(
            world.complaints.is_empty(),
            "{}{}",
            world.complaints.join("\n"),
            world.report()
        );
    }

    /// Lets time pass; gives what may never happen and did.
    pub(crate) fn watch_for(&self, span: Duration) -> Vec<String> {
        let mut world = self.world();
        world.run_for(span);
        world.complaints.clone()
    }

    /// Fails with the timeline unless it is so.
    #[track_caller]
    pub(crate) fn expect(&self, is_so: bool, what: &str) {
        assert!(is_so, "{what}{}", self.0.borrow().report());
    }

    /// What a host may send in all.
    pub(crate) fn limits_uplink(&self, kbps: Option<u64>) {
        let uplink = kbps.map(Bitrate::from_kbps);
        self.world().hosts[0].engine.set_uplink(uplink);
    }

    pub(crate) fn restart_signaling(&self, down: Duration) {
        self.world().restart_signaling(down);
    }

    /// One number for every bit that left the hosts, and when.
    pub(crate) fn trace(&self) -> u64 {
        self.0.borrow().tap.sum()
    }

    pub(crate) fn faults(&self) -> Faults {
        self.0.borrow().faults.clone()
    }

    pub(crate) fn stats(&self, host: usize) -> Stats {
        self.world().hosts[host].engine.stats().clone()
    }

    /// Rooms, legs and participants that hosts and signaling still know.
    pub(crate) fn remains(&self) -> (u64, u64, usize, usize) {
        let mut world = self.world();
        let (mut rooms, mut legs) = (0, 0);
        for site in &mut world.hosts {
            let stats = site.engine.stats();
            rooms += stats.rooms;
            legs += stats.legs;
        }
        let registry = world.office.registry.as_ref();
        let (known, people) = registry.map_or((0, 0), |registry| {
            (registry.room_count(), registry.participant_count())
        });
        (rooms, legs, known, people)
    }
}

impl Room {
    pub(crate) fn join(&self, name: &str) -> Person {
        self.join_over(name, Weather::CLEAN, Weather::CLEAN)
    }

    /// Joins over lines of this kind: up and down.
    pub(crate) fn join_over(&self, name: &str, up: Weather, down: Weather) -> Person {
        let number = self.lab.world().add_person(self.number, name, up, down);
        Person {
            lab: self.lab.clone(),
            number,
        }
    }
}

/// Everybody is shown to everybody else.
pub(crate) fn all_watch_each_other(people: &[Person], width: u16, height: u16) {
    for viewer in people {
        for shown in people.iter().filter(|shown| shown.number != viewer.number) {
            viewer.watches(shown, width, height);
        }
    }
}

impl Person {
    fn me(&self) -> RefMut<'_, Participant> {
        RefMut::map(self.lab.world(), |world| &mut world.people[self.number])
    }

    fn peek(&self) -> Ref<'_, Participant> {
        Ref::map(self.lab.0.borrow(), |world| &world.people[self.number])
    }

    pub(crate) fn watches(&self, other: &Person, width: u16, height: u16) {
        self.me().wishes.insert(other.number, (width, height));
    }

    /// More pictures a second than this are of no use to them.
    pub(crate) fn needs_only(&self, fps: u8) {
        self.me().fps = fps;
    }

    pub(crate) fn hides(&self, other: &Person) {
        self.me().wishes.remove(&other.number);
    }

    pub(crate) fn hides_all(&self) {
        self.me().wishes.clear();
    }

    pub(crate) fn speaks(&self) {
        self.me().microphone.is_speaking = true;
    }

    pub(crate) fn falls_silent(&self) {
        self.me().microphone.is_speaking = false;
    }

    /// Films at the rates of a browser, or not at all.
    pub(crate) fn films_in_full(&self, films: bool) {
        let camera = &mut self.me().camera;
        (camera.is_full, camera.is_on) = (true, films);
    }

    /// Notes every picture and sound from now on.
    pub(crate) fn keeps_log(&self) {
        self.me().diary.log = Some(Log::default());
    }

    /// What was noted since the last time.
    pub(crate) fn takes_log(&self) -> Log {
        self.me()
            .diary
            .log
            .replace(Log::default())
            .unwrap_or_default()
    }

    /// Another line from now on: up and down.
    pub(crate) fn has_line(&self, up: Weather, down: Weather) {
        let mut me = self.me();
        me.up.set_weather(up);
        me.down.set_weather(down);
    }

    /// Downloads something beside the call from now on.
    pub(crate) fn downloads(&self) {
        self.lab.world().begin_download(self.number);
    }

    pub(crate) fn downloaded(&self) -> u64 {
        self.peek().download.as_ref().map_or(0, |one| one.received)
    }

    /// What the host said last of this person's line.
    pub(crate) fn line(&self) -> Option<LineReport> {
        self.peek().leg.as_ref()?.line
    }

    /// How long a datagram to this person waits at the bottleneck.
    pub(crate) fn queue(&self) -> Duration {
        let now = self.now();
        self.peek().down.waiting(now)
    }

    pub(crate) fn sent_bytes(&self) -> u64 {
        self.peek().sent_bytes
    }

    /// Why the picture of a person (by number) is paused, if it is.
    pub(crate) fn paused_at(&self, number: usize) -> Option<PauseReason> {
        let theirs = self.lab.0.borrow().people[number].me?;
        let me = self.peek();
        let slot = me
            .leg
            .as_ref()?
            .shown
            .iter()
            .find(|slot| slot.participant == theirs)?;
        slot.paused
    }

    /// Whose line does badly as this person was told, and in which direction.
    pub(crate) fn slow_lines(&self, names: &BTreeMap<usize, String>) -> BTreeMap<String, String> {
        let world = self.lab.0.borrow();
        let lines = world.people[self.number]
            .leg
            .iter()
            .flat_map(|leg| &leg.lines);
        let named = lines.filter_map(|line| {
            let whose = |number: &&usize| world.people[**number].me == Some(line.participant);
            let name = names.get(names.keys().find(whose)?)?;
            let cause = match line.cause {
                Direction::Upload => "upload",
                Direction::Download => "download",
            };
            Some((name.clone(), cause.to_owned()))
        });
        named.collect()
    }

    pub(crate) fn mutes(&self, source: Source, muted: bool) {
        self.lab.world().mute(self.number, source, muted);
    }

    pub(crate) fn mutes_other(&self, other: &Person, source: Source) {
        let track = other
            .peek()
            .track_of(&other.peek().name, source)
            .expect("a track");
        self.lab.world().say(
            self.number,
            baton_protocol::PeerMessage::MuteOther { track },
        );
    }

    pub(crate) fn kicks(&self, other: &Person) {
        self.lab.world().kick(self.number, other.number);
    }

    /// Goes on sending whatever moderators say.
    pub(crate) fn is_stubborn(&self) {
        self.me().is_stubborn = true;
    }

    /// Goes on sending all layers whatever the host has use for.
    pub(crate) fn ignores_what_is_wanted(&self) {
        self.me().obeys = false;
    }

    pub(crate) fn crashes(&self) {
        self.lab.world().crash(self.number);
    }

    pub(crate) fn leaves(&self) {
        self.lab.world().leave(self.number);
    }

    pub(crate) fn loses_socket_for(&self, span: Duration) {
        self.lab.world().lose_socket(self.number, span);
    }

    pub(crate) fn recreates_camera(&self) {
        self.lab.world().recreate_camera(self.number);
    }

    pub(crate) fn seat(&self) -> Seat {
        self.peek().seat
    }

    /// How often signaling took this person back as the one who was there before.
    pub(crate) fn resumed(&self) -> u32 {
        self.peek().resumed
    }

    /// Names of everybody whom this person sees in the list.
    pub(crate) fn lists(&self) -> Vec<String> {
        let me = self.peek();
        let mut names: Vec<_> = me.roster.values().map(|one| one.name.clone()).collect();
        names.sort();
        names
    }

    /// From now on things are measured.
    pub(crate) fn begins_diary(&self) {
        self.me().diary = Default::default();
    }

    pub(crate) fn media_bytes(&self) -> u64 {
        self.peek().diary.media_bytes
    }

    /// Datagrams that were damaged or repeated on their way here.
    pub(crate) fn refused(&self) -> u64 {
        self.peek().diary.refused
    }

    pub(crate) fn camera<T>(&self, look: impl FnOnce(&Camera) -> T) -> T {
        look(&self.peek().camera)
    }

    pub(crate) fn feedbacks(&self) -> u64 {
        self.peek()
            .leg
            .as_ref()
            .map_or(0, |leg| leg.receiver.feedbacks)
    }

    /// Packet numbers that the host left out towards this person.
    pub(crate) fn numbers_left_out(&self) -> i64 {
        self.lab.0.borrow().tap.missing(self.number)
    }

    /// Why somebody's picture is not there, as the host says.
    pub(crate) fn paused(&self, other: &Person) -> Option<PauseReason> {
        let theirs = other.peek().me?;
        let me = self.peek();
        let shown = &me.leg.as_ref()?.shown;
        shown.iter().find(|slot| slot.participant == theirs)?.paused
    }

    pub(crate) fn saw(&self, other: &Person) -> Option<Sighting> {
        self.peek().diary.seen.get(&other.number).copied()
    }

    /// The longest time without a new picture of the other, up to now.
    pub(crate) fn longest_freeze(&self, other: &Person) -> Duration {
        let now = self.lab.0.borrow().now;
        let forever = Duration::MAX;
        self.saw(other)
            .map_or(forever, |saw| saw.longest_gap.max(now - saw.last))
    }

    pub(crate) fn heard(&self, other: &Person) -> Voice {
        self.peek()
            .diary
            .heard
            .get(&other.number)
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn speaker(&self) -> Option<String> {
        let me = self.peek();
        let speaker = me.leg.as_ref()?.speakers.first()?;
        Some(me.roster.get(speaker)?.name.clone())
    }

    pub(crate) fn now(&self) -> Instant {
        self.lab.0.borrow().now
    }
}

impl Voice {
    /// Share of packets that had to be concealed.
    pub(crate) fn concealed_share(&self) -> f64 {
        let concealed = f64::from(i32::try_from(self.concealed).expect("few"));
        let packets = f64::from(u32::try_from(self.packets).expect("few"));
        concealed / (packets + concealed).max(1.0)
    }
}
