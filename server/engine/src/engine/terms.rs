//! What signaling says this host is in a room, and what participants and signaling hear of it by the clock: heartbeats and the
//! quality of lines.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use baton_protocol::{HostCommand, HostMessage, LineQuality, ParticipantId, PathFromHost};

use super::Engine;
use crate::io::Event;
use crate::leg::Leg;
use crate::publication::Publication;
use crate::room::Room;
use crate::slab::{Key, Slab};
use crate::term::Term;
use crate::time::Tick;

impl Engine {
    /// Asks this server (another host, which tells plainly) under which address it is seen, and tells guests that one too.
    pub fn set_reflector(&mut self, server: Option<SocketAddr>, now: Instant) {
        let now = self.epoch.tick(now);
        self.asker.set_server(server, now);
    }

    /// A port of a router that leads to this host's own; guests are told of it.
    pub fn set_mapped(&mut self, outside: Option<SocketAddr>) {
        self.asker.mapped = outside;
    }

    /// Addresses that lead here through a NAT and are not its own: the router's port, which lets in everybody, before the one that the
    /// reflector told.
    pub fn reflexive(&self) -> Vec<SocketAddr> {
        let mut all = Vec::with_capacity(2);
        for outside in [self.asker.mapped, self.asker.told()].into_iter().flatten() {
            if !self.config.announced.contains(&outside) && !all.contains(&outside) {
                all.push(outside);
            }
        }
        all
    }

    /// Takes a role. Legs live on whatever it is; an epoch that is over changes nothing.
    pub(super) fn take_role(&mut self, serve: HostCommand, now: Instant) {
        let HostCommand::Serve {
            room: id,
            epoch,
            role,
            grant,
            lease_ms,
            beats,
        } = serve
        else {
            return;
        };
        let beats = beats || lease_ms.is_some();
        let tick = self.epoch.tick(now);
        let key = match self.rooms_by_id.get(&id) {
            Some(&key) => key,
            None => {
                let key = self.rooms.insert(Room::new(id.clone(), epoch, tick));
                self.rooms_by_id.insert(id.clone(), key);
                key
            }
        };
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        if epoch < room.epoch {
            tracing::warn!(room = %id, told = epoch.0, known = room.epoch.0, "an epoch that is over was ignored");
            return;
        }
        room.epoch = epoch;
        let term = Term::new(role, grant, beats, room.term.as_ref(), tick);
        room.term = Some(term);
        self.forget_empty_room(&id);
        self.schedule_room(key, tick);
    }

    /// Does what a room's term wants done by now.
    pub(super) fn keep_term(&mut self, key: Key, now: Tick) {
        let Some(term) = self.rooms.get_mut(key).and_then(|room| room.term.as_mut()) else {
            return;
        };
        let is_report_due = term.poll_lines(now);
        if let Some(count) = term.poll_pulse(now) {
            self.pulse(key, count, now);
        }
        if is_report_due {
            self.report_lines(key, now);
        }
    }

    /// From the thread that forwards: a host that hangs falls silent, whatever else of it still runs.
    fn pulse(&mut self, key: Key, count: u32, now: Tick) {
        let Some(room) = self.rooms.get(key) else {
            return;
        };
        let legs = room.legs.iter().filter_map(|leg| self.legs.get(*leg));
        let since = room.term.as_ref().map_or(now, |term| term.since);
        let deaf_ms = deafness(legs, since, now);
        let now = self.epoch.instant(now);
        let message = PathFromHost::Pulse { count, deaf_ms };
        let text = serde_json::to_string(&message).unwrap_or_default();
        for leg_key in &room.legs {
            let Some(leg) = self.legs.get_mut(*leg_key).filter(|leg| leg.is_connected) else {
                continue;
            };
            leg.send_pulse(&message, &text, now);
            if !leg.is_queued {
                leg.is_queued = true;
                self.sending.push_back(*leg_key);
            }
        }
    }

    /// Whole: one entry for everybody with a connected leg, the newest leg's where there are several.
    fn report_lines(&mut self, key: Key, now: Tick) {
        let Some(room) = self.rooms.get(key) else {
            return;
        };
        let mut lines: Vec<LineQuality> = Vec::with_capacity(room.legs.len());
        for leg_key in &room.legs {
            let is_theirs = |leg: &&mut Leg| leg.is_connected && leg.bridge.is_none();
            let Some(leg) = self.legs.get_mut(*leg_key).filter(is_theirs) else {
                continue;
            };
            let line = quality(leg, &room.publications, now);
            lines.retain(|known| known.participant != line.participant);
            lines.push(line);
        }
        lines.sort_by_key(|line| line.participant);
        let room = room.id.clone();
        self.push_event(Event::Message(HostMessage::Lines { room, lines }));
    }
}

/// For how many milliseconds nobody elsewhere was heard, if that is so long that the line to here must be cut: everybody acknowledges
/// every other heartbeat, whatever else they send. They began `since`.
fn deafness<'a>(legs: impl Iterator<Item = &'a Leg>, since: Tick, now: Tick) -> Option<u32> {
    let elsewhere = legs.filter(|leg| leg.is_connected && !leg.is_local());
    let (newest, bps) = elsewhere.fold((None, 0), |(newest, bps), leg| {
        (newest.max(Some(leg.heard)), leg.uplink.best(now).max(bps))
    });
    let silence = now.since(newest?.max(since));
    let most = if bps >= SOUND_BPS {
        DEAF_TO_MEDIA
    } else {
        DEAF
    };
    (silence >= most).then(|| u32::try_from(silence.as_millis()).unwrap_or(u32::MAX))
}

/// Acknowledgements are 100 ms apart; between two beats nothing is said of it.
const DEAF: Duration = Duration::from_millis(200);

/// Sound is 20 ms apart, pictures 33, and where all of it stops at once there still are acknowledgements.
const DEAF_TO_MEDIA: Duration = Duration::from_millis(120);

/// Who sends so much in a second sends sound or pictures all the time.
const SOUND_BPS: u64 = 20_000;

fn quality(leg: &mut Leg, publications: &Slab<Publication>, now: Tick) -> LineQuality {
    let participant: ParticipantId = leg.participant;
    let layers = leg
        .publications
        .iter()
        .filter_map(|key| publications.get(*key))
        .flat_map(|publication| &publication.layers);
    let jitter = layers.map(|layer| layer.reception.jitter_us(layer.clock_rate));
    let jitter_us = jitter.max().unwrap_or(0);
    LineQuality {
        participant,
        received_bps: leg.uplink.best(now),
        loss_ppm: leg.uplink.take_loss().unwrap_or(0),
        jitter_us,
        rtt_us: leg.round_trip.map_or(0, |span| {
            u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
        }),
        estimate_bps: leg.budget().map_or(0, |rate| rate.0),
    }
}
