//! Who carries each room's call, carried out: terms begin, moves advance, hosts that are gone are replaced, and everybody is
//! told. The rules are in `hosting`; this is where they meet rooms, hosts and people.

use std::collections::BTreeSet;
use std::time::Duration;

use baton_protocol::{
    Epoch, ErrorCode, HostCommand, HostId, HostKind, LeaveReason, ParticipantId, RoomId,
    ServiceMessage,
};

use super::timers::Timer;
use super::{Refused, Registry};
use crate::hosting::moves::{Failure, Move, Verdict};
use crate::now::Now;
use crate::participant::Presence;
use crate::room::Room;

mod bridges;
mod computers;
mod elections;
mod heirs;
mod requests;
mod view;
mod words;

pub(crate) use heirs::Heir;
pub use view::{CandidateView, HostingChange, HostingOrder, HostingView, LineView};

impl Registry {
    /// Does whatever has become due or possible about a room's hosts, and tells everybody.
    pub(super) fn tend(&mut self, room: &RoomId, now: Now) {
        let closed = self.end_drains(room, now);
        self.settle_guess(room, now);
        self.overtake_beliefs(room, now);
        self.check_lease(room, now);
        self.try_stayers(room, now);
        self.look_at_candidates(room, now);
        self.advance_move(room, now);
        self.choose_standby(room, now);
        self.drop_strays(room, &closed, now);
        self.tell_hosts(room, now);
        self.tend_bridges(room, now);
        self.spread_hosting(room);
        self.tend_heir(room, now);
        self.arm(room, now);
    }

    /// Looks after every room to which a host means anything.
    pub(super) fn tend_rooms_of(&mut self, host: HostId, now: Now) {
        let rooms = self.rooms.values();
        let meant = rooms.filter(|room| {
            room.baton.is_named(&room.term, host) || room.baton.draining.contains_key(&host)
        });
        let meant: Vec<_> = meant.map(|room| room.id.clone()).collect();
        for room in meant {
            self.tend(&room, now);
        }
    }

    /// A host's link ended. A participant's computer that carries a call is replaced at once: nobody waits for it.
    pub(super) fn host_vanished(&mut self, host: HostId, now: Now) {
        let is_computer = self.hosts.kind(host) == Some(HostKind::Participant);
        let rooms: Vec<_> = self.rooms.keys().cloned().collect();
        for room in rooms {
            let Some(entry) = self.rooms.get_mut(&room) else {
                continue;
            };
            let is_carrier = entry.term.host == host && is_computer;
            if let Some(told) = entry.baton.told.get_mut(&host) {
                told.role = None;
            }
            entry.baton.draining.remove(&host);
            if entry
                .baton
                .moving
                .as_ref()
                .is_some_and(|one| one.to == host)
            {
                self.abort_move(&room, "that computer is gone", now);
            }
            if is_carrier {
                self.give_reason(&room, "the computer that carried it is gone");
                self.replace_host(&room, now);
            }
        }
        self.tend_rooms_of(host, now);
    }

    /// Begins a move, and does at once what there is to do.
    pub(super) fn start_move(
        &mut self,
        room: &RoomId,
        to: HostId,
        by: Option<ParticipantId>,
        now: Now,
    ) -> Result<(), Refused> {
        self.begin_move(room, to, by, now)?;
        self.tend(room, now);
        Ok(())
    }

    /// Begins a move. `by` is told if it fails.
    fn begin_move(
        &mut self,
        room: &RoomId,
        to: HostId,
        by: Option<ParticipantId>,
        now: Now,
    ) -> Result<(), Refused> {
        let is_computer = self.hosts.kind(to) == Some(HostKind::Participant);
        let server = self
            .rooms
            .get(room)
            .and_then(|entry| entry.server_for_stayers(&self.hosts));
        // Whoever stays is served by another host than the one that the call moves to.
        let may_stay = self.config.limits.hosting.moves.may_stay && server.is_some();
        let entry = self
            .rooms
            .get_mut(room)
            .ok_or_else(super::negotiation::internal)?;
        if let Some(moving) = &entry.baton.moving {
            if moving.to == to {
                return Ok(());
            }
            let message = "the call is being moved already; wait a moment, or stop that move first";
            return Err(Refused::new(ErrorCode::Limit, message));
        }
        let stuck = entry.participants.values().find(|one| {
            matches!(one.presence, Presence::Session(_)) || (is_computer && one.uses_server)
        });
        if let Some(stuck) = stuck.filter(|_| !may_stay) {
            let message = format!(
                "the call cannot move: {} can only use the server",
                stuck.name
            );
            return Err(Refused::new(ErrorCode::Limit, message));
        }
        let epoch = entry.baton.fresh_epoch();
        let rules = &self.config.limits.hosting.moves;
        entry.baton.moving = Some(Move::new(epoch, to, is_computer, rules, now.instant));
        entry.baton.mover = by;
        entry.baton.draining.remove(&to);
        Ok(())
    }

    /// Ends a move that leads nowhere: the term stays as it is.
    pub(super) fn abort_move(&mut self, room: &RoomId, why: &str, now: Now) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let Some(moving) = entry.baton.moving.take() else {
            return;
        };
        let (to, epoch) = (moving.to, moving.epoch);
        let mover = entry.baton.mover.take();
        self.note_change(room, (to, epoch), Some(why), now);
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        // Nobody asks again and again by itself.
        if let Some(owner) = self.hosts.owner(to).filter(|_| mover.is_none()) {
            entry.baton.failures.insert(owner.participant, now.instant);
        }
        let is_linked = self.hosts.link_of(to).is_some();
        if is_linked && !entry.baton.is_named(&entry.term, to) {
            let until = now.instant + self.config.limits.hosting.drain;
            entry.baton.draining.insert(to, until);
        }
        let mover = mover.and_then(|id| entry.participants.get(&id)?.connection());
        if let Some(connection) = mover {
            let message = format!("the call stays where it is: {why}");
            self.refuse(connection, Refused::new(ErrorCode::NoHost, message));
        }
    }

    fn advance_move(&mut self, room: &RoomId, now: Now) {
        // At most: prepared, switching, done.
        for _ in 0..3 {
            let Some(entry) = self.rooms.get(room) else {
                return;
            };
            let movers = entry.movers(&self.hosts);
            let Some(to) = entry.baton.moving.as_ref().map(|one| one.to) else {
                return;
            };
            // Those who stay, and somebody must be somewhere.
            let is_empty = movers.is_empty() && !entry.participants.is_empty();
            if is_empty && self.hosts.kind(to) == Some(HostKind::Central) {
                let epoch = entry.baton.moving.as_ref().map(|one| one.epoch);
                return self.begin_term(room, to, epoch.unwrap_or(entry.term.epoch), now);
            }
            let waits = match self.rooms.get(room) {
                Some(entry) => self.waits_for_bridge(entry),
                None => return,
            };
            let Some(entry) = self.rooms.get_mut(room) else {
                return;
            };
            let Some(moving) = &mut entry.baton.moving else {
                return;
            };
            moving.wait_for_bridge(waits);
            let rules = &self.config.limits.hosting.moves;
            match moving.judge(&movers, rules, now.instant) {
                Verdict::Wait => return,
                Verdict::Advance => {}
                Verdict::Abort(failure) => {
                    let why = in_words(&failure, entry);
                    return self.abort_move(room, &why, now);
                }
                Verdict::Commit(stays) => {
                    let (to, epoch) = (moving.to, moving.epoch);
                    let again = now.instant + self.config.limits.hosting.election.retry;
                    entry.baton.stays = stays.into_iter().map(|who| (who, again)).collect();
                    return self.begin_term(room, to, epoch, now);
                }
            }
        }
    }

    /// The host of a room is gone for good: the standby carries the call from now on.
    pub(super) fn replace_host(&mut self, room: &RoomId, now: Now) {
        let Some(entry) = self.rooms.get(room) else {
            return;
        };
        let standby = entry.baton.standby;
        let standby = standby.filter(|host| self.hosts.link_of(*host).is_some());
        let next = standby.or_else(|| self.fallback(room));
        let Some(next) = next else {
            return;
        };
        self.note_failure(room, now.instant);
        let reason = self
            .rooms
            .get_mut(room)
            .and_then(|entry| entry.baton.reason.take());
        self.abort_move(room, "its host is gone", now);
        if let Some(entry) = self.rooms.get_mut(room) {
            entry.baton.reason = reason;
            entry.baton.stays.clear();
            let epoch = entry.baton.fresh_epoch();
            self.begin_term(room, next, epoch, now);
        }
    }

    /// Who could take over a room: a server of the operator, else another computer that was offered.
    fn fallback(&self, room: &RoomId) -> Option<HostId> {
        let present = self.rooms.get(room)?.term.host;
        let central = self.hosts.least_loaded().filter(|host| *host != present);
        central.or_else(|| {
            let judged = &self.rooms.get(room)?.baton.judged;
            let computers = self.hosts.computers(room);
            computers
                .filter(|one| one.id != present && one.is_usable() && one.link().is_some())
                .max_by_key(|one| judged.get(&one.id).map(|judgement| judgement.score))
                .map(|one| one.id)
        })
    }

    /// Starts the next term.
    pub(super) fn begin_term(&mut self, room: &RoomId, host: HostId, epoch: Epoch, now: Now) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let Some(term) = self.hosts.term(host, epoch) else {
            return;
        };
        let before = std::mem::replace(&mut entry.term, term.clone());
        let baton = &mut entry.baton;
        baton.newest = baton.newest.max(epoch);
        baton.moving = None;
        baton.mover = None;
        baton.trials.clear();
        (baton.guess, baton.is_recalled) = (None, false);
        baton.since = Some(now.instant);
        baton.strained = 0;
        let rules = &self.config.limits.hosting.election;
        baton.election.changed(rules, now.instant);
        baton.losses = crate::hosting::losses::Losses::default();
        baton.renewed = (term.kind == HostKind::Participant).then_some(now.instant);
        if baton.standby == Some(host) {
            baton.standby = None;
        }
        if term.kind == HostKind::Participant && before.kind == HostKind::Central {
            // Everybody has a leg there already.
            baton.standby = Some(before.host);
        }
        baton.draining.remove(&host);
        let is_linked = self.hosts.link_of(before.host).is_some();
        if is_linked && before.host != host {
            let until = now.instant + self.config.limits.hosting.drain;
            baton.draining.insert(before.host, until);
        }
        self.note_change(room, (host, epoch), None, now);
        self.choose_standby(room, now);
        self.tell_hosts(room, now);
        self.spread_hosting(room);
        if let Some(entry) = self.rooms.get(room) {
            let changed = entry.tell_all(ServiceMessage::HostChanged { host: term });
            self.outputs.push_back(changed);
        }
        self.drop_strays(room, &[], now);
        self.arm(room, now);
    }

    /// Who takes over if the host dies. A server has no standby unless it is the only one: an operator's that dies comes back.
    fn choose_standby(&mut self, room: &RoomId, now: Now) {
        let Some(entry) = self.rooms.get(room) else {
            return;
        };
        let patience = self.config.limits.host_grace;
        let is_there = |host: &HostId| {
            let gone = self.hosts.gone_since(*host);
            let is_known = self.hosts.kind(*host).is_some();
            is_known && gone.is_none_or(|since| now.instant < since + patience)
        };
        let is_central = |host: &HostId| self.hosts.kind(*host) == Some(HostKind::Central);
        let present = entry.baton.standby.filter(is_there);
        let present = present.filter(|host| *host != entry.term.host);
        let standby = match entry.term.kind {
            HostKind::Central if !self.config.limits.hosting.is_sole_server => None,
            HostKind::Central | HostKind::Participant => match present {
                Some(host) if is_central(&host) => Some(host),
                other => {
                    let better = self.fallback(room);
                    let better = better.filter(|host| other.is_none() || is_central(host));
                    better.or(other)
                }
            },
        };
        let Some(Room { term, baton, .. }) = self.rooms.get_mut(room) else {
            return;
        };
        if let Some(standby) = standby {
            baton.draining.remove(&standby);
        }
        let before = std::mem::replace(&mut baton.standby, standby);
        // Legs to one that is replaced are left alone for a while like all others, and closed then.
        if let Some(before) = before
            && !baton.is_named(term, before)
            && self.hosts.link_of(before).is_some()
        {
            let until = now.instant + self.config.limits.hosting.drain;
            baton.draining.insert(before, until);
        }
    }

    /// Legs to hosts that are not named any more have been left alone for long enough. Gives the hosts that closed the room.
    fn end_drains(&mut self, room: &RoomId, now: Now) -> Vec<HostId> {
        let Some(entry) = self.rooms.get_mut(room) else {
            return Vec::new();
        };
        let over = |(_, until): &(&HostId, &std::time::Instant)| **until <= now.instant;
        let over = entry.baton.draining.iter().filter(over);
        let over: Vec<_> = over.map(|(host, _)| *host).collect();
        for host in &over {
            entry.baton.draining.remove(host);
        }
        for host in &over {
            self.command(*host, HostCommand::CloseRoom { room: room.clone() });
        }
        over
    }

    /// Closes and forgets the legs to hosts that mean nothing here any more, and what only they published: a leg of which nothing is
    /// known here would outlive whoever it was for, and be there still when its host carries the call again.
    fn drop_strays(&mut self, room: &RoomId, closed: &[HostId], now: Now) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let Room {
            term,
            baton,
            participants,
            ..
        } = entry;
        let mut changed = Vec::new();
        let mut over = Vec::new();
        let mut strays = Vec::new();
        for one in participants.values_mut() {
            let before = (one.legs.len(), one.tracks().count());
            one.legs.retain(|id, leg| {
                let is_meant =
                    baton.is_named(term, leg.host) || baton.draining.contains_key(&leg.host);
                if !is_meant && !closed.contains(&leg.host) {
                    strays.push((leg.host, one.id, *id));
                }
                is_meant
            });
            if one.legs.len() == before.0 {
                continue;
            }
            if matches!(one.presence, Presence::Session(_)) {
                over.push(one.id);
            } else if one.tracks().count() != before.1 {
                changed.push(one.id);
            }
        }
        for (host, participant, leg) in strays {
            let command = HostCommand::Close {
                room: room.clone(),
                participant,
                leg: Some(leg),
            };
            self.command(host, command);
        }
        for participant in changed {
            self.announce(room, participant);
        }
        for participant in over {
            self.remove(room, participant, LeaveReason::Left, now);
        }
    }

    /// A participant's computer that has not asked to go on for so long has stopped by itself.
    fn check_lease(&mut self, room: &RoomId, now: Now) {
        let entry = self.rooms.get(room);
        let renewed = entry.and_then(|entry| entry.baton.renewed);
        let lease = self.config.limits.hosting.lease;
        if renewed.is_some_and(|renewed| renewed + lease <= now.instant) {
            self.give_reason(room, "the computer that carried it did not ask to go on");
            self.replace_host(room, now);
        }
    }

    /// After a restart: the host that was told of has not come, so whoever is there carries the call.
    fn settle_guess(&mut self, room: &RoomId, now: Now) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        if entry.baton.guess.is_none_or(|until| now.instant < until) {
            return;
        }
        let (host, epoch) = (entry.term.host, entry.term.epoch);
        let is_linked = self.hosts.link_of(host).is_some();
        if is_linked && epoch == entry.baton.newest && epoch >= Epoch::FIRST {
            // Nobody has heard of its lease since.
            let is_computer = entry.term.kind == HostKind::Participant;
            entry.baton.renewed = is_computer.then_some(now.instant);
            entry.baton.guess = None;
            return;
        }
        let is_needed = entry.term.kind == HostKind::Participant
            || epoch < Epoch::FIRST
            || self.config.limits.hosting.is_sole_server;
        let why = "after a restart nobody else claimed it";
        entry.baton.reason = Some(why.to_owned());
        if is_linked {
            let epoch = entry.baton.fresh_epoch();
            self.begin_term(room, host, epoch, now);
        } else if is_needed {
            // Where nobody is there either it goes on being unknown: a host that comes would be asked in no term.
            self.replace_host(room, now);
        } else {
            entry.baton.guess = None;
        }
    }

    pub(super) fn note_belief(&mut self, room: &RoomId, epoch: Epoch, now: Now) {
        if let Some(entry) = self.rooms.get_mut(room) {
            entry.baton.note_belief(epoch, now);
        }
    }

    /// Who believes in a newer term than the room's would not hear of anything any more. They are overtaken by a newer one still,
    /// whose number is not theirs to choose. No media moves.
    fn overtake_beliefs(&mut self, room: &RoomId, now: Now) {
        let Some(entry) = self.rooms.get(room) else {
            return;
        };
        let is_settled = entry.baton.guess.is_none() && entry.baton.moving.is_none();
        if !entry.is_behind() || !is_settled {
            return;
        }
        let host = entry.term.host;
        let gone = self.hosts.gone_since(host).unwrap_or(self.started);
        if self.hosts.link_of(host).is_none() {
            if gone + self.config.limits.host_grace <= now.instant {
                self.replace_host(room, now);
            }
        } else if let Some(entry) = self.rooms.get_mut(room) {
            let epoch = entry.baton.fresh_epoch();
            self.begin_term(room, host, epoch, now);
        }
    }

    /// Computers are weighed once a second where there are any.
    fn look_at_candidates(&mut self, room: &RoomId, now: Now) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let has_candidates = self.hosts.computers(room).next().is_some();
        let looked = entry.baton.looked;
        if !has_candidates {
            entry.baton.judged.clear();
            entry.baton.looked = None;
        } else if looked.is_none_or(|at| at + elections::LOOK <= now.instant) {
            entry.baton.looked = Some(now.instant);
            self.elect(room, now);
        }
    }

    /// Makes sure that the room is looked at when something becomes due, and soon where something is that could not be done.
    pub(super) fn arm(&mut self, room: &RoomId, now: Now) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let limits = &self.config.limits;
        let baton = &entry.baton;
        let has_candidates = self.hosts.computers(room).next().is_some();
        let absent = baton.standby.and_then(|host| self.hosts.gone_since(host));
        let due = [
            baton.moving.as_ref().map(Move::until),
            baton.draining.values().min().copied(),
            baton.renewed.map(|renewed| renewed + limits.hosting.lease),
            baton.guess,
            baton.bridges.until(),
            baton.trials.values().min().copied(),
            baton
                .stays
                .values()
                .min()
                .filter(|_| baton.moving.is_none())
                .copied(),
            // As soon as it can be.
            entry.is_behind().then_some(now.instant),
            absent.map(|since| since + limits.host_grace),
            has_candidates
                .then(|| baton.looked.map(|at| at + elections::LOOK))
                .flatten(),
        ];
        let Some(due) = due.into_iter().flatten().min() else {
            return;
        };
        let due = match due <= now.instant {
            true => now.instant + RETRY,
            false => due,
        };
        if baton.armed.is_none_or(|armed| due < armed) {
            entry.baton.armed = Some(due);
            self.timers.insert(due, Timer::Baton(room.clone()));
        }
    }

    /// A timer of [`Self::arm`] is due.
    pub(super) fn baton_due(&mut self, room: &RoomId, now: Now) {
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        if entry.baton.armed.is_some_and(|armed| armed <= now.instant) {
            entry.baton.armed = None;
            self.tend(room, now);
        }
    }
}

/// Until what is due and cannot be done is tried again: a host without a lease, say, that nobody can replace.
const RETRY: Duration = Duration::from_secs(1);

/// For the one who asked for the move.
fn in_words(failure: &Failure, room: &Room) -> String {
    let names = |who: &BTreeSet<ParticipantId>| {
        let named = who.iter().filter_map(|id| room.participants.get(id));
        let names: Vec<_> = named.map(|one| one.name.as_str()).take(3).collect();
        match who.len() {
            0..=3 => names.join(", "),
            more => format!("{} and {} more", names.join(", "), more - names.len()),
        }
    };
    match failure {
        Failure::Nobody => "nobody is connected".to_owned(),
        Failure::NotPrepared => "that computer did not answer in time".to_owned(),
        Failure::Unreachable(who) => format!("{} cannot reach that computer", names(who)),
        Failure::NotReady(who) => {
            format!("{} could not connect to that computer in time", names(who))
        }
        Failure::NotBridged => {
            "the server, where somebody stays, cannot reach that computer".to_owned()
        }
        Failure::NotSwitched(who) => {
            format!("{} got no picture from that computer in time", names(who))
        }
    }
}
