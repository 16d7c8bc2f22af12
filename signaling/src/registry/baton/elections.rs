//! Elections carried out: what is known of the computers of a room, what the call would ask of them, and what follows.

use std::time::{Duration, Instant};

use baton_protocol::{
    HostCommand, HostId, HostKind, HostLoad, HostingPolicy, LineQuality, MediaKind, ParticipantId,
    RoomId, TrackInfo,
};

use crate::hosting::election::{
    Carrier, Facts, Forecast, Judgement, Line, judge, overload, probe_due, probe_target,
};
use crate::now::Now;
use crate::participant::{Participant, Stay};
use crate::registry::Registry;
use crate::room::Room;

/// Between two looks at the candidates of a room.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// Between two probes in one room: computers of one household have one line.
const APART: Duration = Duration::from_secs(10);

/// What one probe may cost.
const PROBE_BYTES: u64 = 10_000_000;

/// Small pictures beside the large one.
const SMALL_PICTURES: usize = 8;

/// Voices at a time, and what one takes.
const VOICES: (usize, u64) = (3, 40_000);

impl Registry {
    /// Weighs the computers of a room, has lines measured that may be good enough, and begins a move where one is.
    pub(super) fn elect(&mut self, room: &RoomId, now: Now) {
        let rules = &self.config.limits.hosting.election;
        let Some(entry) = self.rooms.get(room) else {
            return;
        };
        let judged: Vec<_> = self
            .hosts
            .computers(room)
            .map(|one| {
                let forecast = forecast(entry, one.owner());
                let line = one.owner().and_then(|owner| entry.baton.lines.get(&owner));
                // Who carries the call is not measured meanwhile; how it does then tells itself.
                let is_fresh = |line: &&Line| {
                    now.instant < line.best_at + rules.measured || entry.term.host == one.id
                };
                let failed = one
                    .owner()
                    .and_then(|owner| entry.baton.failures.get(&owner));
                let facts = Facts {
                    fitness: one.fitness(),
                    line: line.filter(is_fresh),
                    there_for: now.instant.saturating_duration_since(one.since()),
                    failed_for: failed.map(|at| now.instant.saturating_duration_since(*at)),
                    objections: self.objections(entry, one.has_certificate()),
                };
                (
                    one.id,
                    one.owner(),
                    forecast,
                    judge(&facts, &forecast, rules),
                )
            })
            .collect();
        let probe = judged.iter().find_map(|(_, owner, forecast, judgement)| {
            let owner = (*owner)?;
            let probed = &entry.baton.probed;
            let last = probed.values().map(|(at, _)| *at).max();
            let own = probed.get(&owner);
            let is_due = last.is_none_or(|at| at + APART <= now.instant)
                && own.is_none_or(|(at, times)| probe_due(*at, *times, rules) <= now.instant);
            // Only a server's word counts, and it measures what comes to it.
            let may_move = entry.baton.policy != HostingPolicy::Central && !entry.baton.is_pinned;
            let is_wanted = judgement.wants_probe && is_due && may_move;
            (is_wanted && entry.term.kind == HostKind::Central)
                .then_some((owner, probe_target(forecast)))
        });
        let candidates: Vec<_> = judged
            .into_iter()
            .map(|(id, _, _, judgement)| (id, judgement))
            .collect();
        self.probe(room, probe, now);
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        entry.baton.judged = candidates.iter().cloned().collect();
        let Room {
            baton,
            participants,
            ..
        } = entry;
        baton.lines.retain(|who, _| participants.contains_key(who));
        baton.probed.retain(|who, _| participants.contains_key(who));
        let score = |host: HostId| {
            let judged = candidates.iter().find(|(id, _)| *id == host);
            judged.map_or(i32::MIN / 2, |(_, judgement)| judgement.score)
        };
        let carrier = match entry.term.kind {
            HostKind::Central => Carrier::Server,
            HostKind::Participant => Carrier::Computer {
                since: entry.baton.since.unwrap_or(now.instant),
                score: score(entry.term.host),
            },
        };
        if entry.baton.moving.is_some() || entry.baton.is_pinned || entry.baton.guess.is_some() {
            return;
        }
        let others: Vec<_> = candidates
            .into_iter()
            .filter(|(id, _)| *id != entry.term.host)
            .collect();
        let policy = entry.baton.policy;
        let rules = &self.config.limits.hosting.election;
        let election = &mut entry.baton.election;
        if let Some(next) = election.decide(carrier, &others, policy, rules, now.instant) {
            // Refused where somebody cannot come along, which the next look tells as well.
            self.give_reason(room, "that computer's line is good enough");
            self.begin_move(room, next, None, now).ok();
        }
    }

    /// What the room has against any computer.
    fn objections(&self, room: &Room, has_certificate: bool) -> Vec<String> {
        let may_stay = self.config.limits.hosting.moves.may_stay;
        let mut all = room.participants.values();
        let stuck = all.find(|one| !may_stay && room.stay(one.id) == Stay::Always);
        let stuck = stuck.map(|one| format!("{} can only use the server", one.name));
        let bare = (!has_certificate).then(|| "it has not shown its certificate".to_owned());
        stuck.into_iter().chain(bare).collect()
    }

    /// Has the line of a candidate measured by the room's host.
    fn probe(&mut self, room: &RoomId, probe: Option<(ParticipantId, u64)>, now: Now) {
        let Some((owner, up_to_bps)) = probe else {
            return;
        };
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let (at, times) = entry.baton.probed.entry(owner).or_insert((now.instant, 0));
        (*at, *times) = (now.instant, times.saturating_add(1));
        let theirs = self.hosts.computers(room);
        let theirs: Vec<_> = theirs
            .filter(|one| one.owner() == Some(owner))
            .map(|one| one.id)
            .collect();
        for host in theirs {
            let command = HostCommand::ProbeUplink {
                room: room.clone(),
                up_to_bps,
                budget_bytes: PROBE_BYTES,
            };
            self.command(host, command);
        }
    }

    /// The room's host says what it measured of everybody's line.
    pub(in crate::registry) fn lines(
        &mut self,
        host: HostId,
        room: &RoomId,
        lines: &[LineQuality],
        now: Now,
    ) {
        let is_central = self.hosts.kind(host) == Some(HostKind::Central);
        let measured = self.config.limits.hosting.election.measured;
        let Some(entry) = self.rooms.get_mut(room).filter(|_| is_central) else {
            return;
        };
        for new in lines {
            if !entry.participants.contains_key(&new.participant) {
                continue;
            }
            let known = entry.baton.lines.get(&new.participant).copied();
            let line = Line::with(known, new, measured, now.instant);
            entry.baton.lines.insert(new.participant, line);
        }
    }

    /// How the host that carries the call is doing: one that is not up to it hands back.
    pub(super) fn watch_load(&mut self, room: &RoomId, load: &HostLoad, now: Now) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let overload = overload(load);
        entry.baton.strained = match overload {
            Some(_) => entry.baton.strained.saturating_add(1),
            None => 0,
        };
        let strained = entry.baton.strained;
        let Some(overload) = overload.filter(|overload| strained >= overload.patience) else {
            return;
        };
        self.note_failure(room, now.instant);
        self.retreat(room, overload.why, now);
    }

    /// The computer that carries the call has failed: it is not asked again for a while.
    pub(super) fn note_failure(&mut self, room: &RoomId, now: Instant) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        if let Some(owner) = self.hosts.owner(entry.term.host) {
            entry.baton.failures.insert(owner.participant, now);
        }
    }
}

/// What carrying the call asks of a computer whose owner is `owner`: each guest sees one large picture and some small ones.
fn forecast(room: &Room, owner: Option<ParticipantId>) -> Forecast {
    let is_there = |one: &&Participant| one.is_visible() && !one.legs.is_empty();
    let people: Vec<_> = room.participants.values().filter(is_there).collect();
    let guests: Vec<_> = people.iter().filter(|one| Some(one.id) != owner).collect();
    let mut forecast = Forecast {
        guests: u32::try_from(guests.len()).unwrap_or(u32::MAX),
        ..Forecast::default()
    };
    for guest in &guests {
        let others = people.iter().filter(|one| one.id != guest.id);
        let tracks: Vec<_> = others.flat_map(|one| one.tracks()).collect();
        let is = |kind: MediaKind| move |track: &&&TrackInfo| track.source.kind() == kind;
        let voices = tracks.iter().filter(is(MediaKind::Audio)).count();
        let mut pictures: Vec<_> = tracks
            .iter()
            .filter(is(MediaKind::Video))
            .map(|track| rates(track))
            .collect();
        pictures.sort_unstable_by(|a, b| b.cmp(a));
        let large = pictures.first().map_or(0, |(large, _)| *large);
        let small: u64 = pictures
            .iter()
            .skip(1)
            .take(SMALL_PICTURES)
            .map(|(_, small)| *small)
            .sum();
        let sound = VOICES.1 * u64::try_from(voices.min(VOICES.0)).unwrap_or(0);
        // Headers and encryption add 6 %.
        forecast.egress_bps += (large + small + sound) * 106 / 100;
        forecast.keyframe = forecast.keyframe.max(large * 80_000 / 1_500_000);
    }
    forecast
}

/// Bits per second of a track's largest and smallest layer.
fn rates(track: &TrackInfo) -> (u64, u64) {
    let rate = |layer: &baton_protocol::LayerInfo| {
        let pixels = u32::from(layer.width) * u32::from(layer.height);
        let usual = match pixels {
            0..=57_600 => 150_000,
            57_601..=230_400 => 500_000,
            _ => 1_500_000,
        };
        match layer.max_bitrate {
            0 => usual,
            said => u64::from(said).min(4_000_000),
        }
    };
    let rates = track.layers.iter().map(rate);
    let large = rates.clone().max().unwrap_or(1_500_000);
    (large, rates.min().unwrap_or(large))
}

/// What the last look said of a computer.
pub(super) fn why_not(judged: Option<&Judgement>) -> Vec<String> {
    judged.map_or_else(
        || vec!["it has not been weighed yet".to_owned()],
        |judgement| judgement.why_not.clone(),
    )
}
