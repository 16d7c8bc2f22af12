//! What participants' computers say as hosts: that they are prepared, that they go on, that they do not want to any more.

use baton_protocol::{
    Epoch, Fitness, HostCommand, HostId, HostKind, HostLoad, ParticipantId, RoomId, StepDownReason,
};

use crate::now::Now;
use crate::registry::Registry;

impl Registry {
    pub(in crate::registry) fn prepared(
        &mut self,
        host: HostId,
        room: &RoomId,
        epoch: Epoch,
        now: Now,
    ) {
        let rules = &self.config.limits.hosting.moves;
        let entry = self.rooms.get_mut(room);
        let moving = entry.and_then(|entry| entry.baton.moving.as_mut());
        let moving = moving.filter(|one| one.to == host && one.epoch == epoch);
        if moving.is_some_and(|one| one.prepared(rules, now.instant)) {
            self.tend(room, now);
        }
    }

    pub(in crate::registry) fn declined(
        &mut self,
        host: HostId,
        room: &RoomId,
        epoch: Epoch,
        reason: &str,
        now: Now,
    ) {
        let entry = self.rooms.get(room);
        let moving = entry.and_then(|entry| entry.baton.moving.as_ref());
        if moving.is_some_and(|one| one.to == host && one.epoch == epoch) {
            let reason: String = reason.chars().take(200).collect();
            self.abort_move(room, &format!("that computer says: {reason}"), now);
            self.tend(room, now);
        }
    }

    /// A computer asks to go on. One that is not what it believes to be is told what it is.
    pub(in crate::registry) fn renewed(
        &mut self,
        host: HostId,
        room: &RoomId,
        (epoch, count): (Epoch, u32),
        load: &HostLoad,
        now: Now,
    ) {
        let lease = self.config.limits.hosting.lease;
        let Some(entry) = self.rooms.get_mut(room) else {
            return self.command(host, HostCommand::CloseRoom { room: room.clone() });
        };
        let moving = entry.baton.moving.as_ref();
        let is_next = moving.is_some_and(|one| one.to == host && one.epoch == epoch);
        let is_active = (entry.term.host, entry.term.epoch) == (host, epoch);
        if is_active {
            entry.baton.renewed = Some(now.instant);
        }
        if is_active || is_next {
            let command = HostCommand::Lease {
                room: room.clone(),
                epoch,
                count,
                valid_ms: u32::try_from(lease.as_millis()).unwrap_or(u32::MAX),
            };
            self.command(host, command);
            if is_active {
                self.watch_load(room, load, now);
            }
            return;
        }
        if let Some(told) = entry.baton.told.get_mut(&host) {
            told.role = None;
        }
        let is_anything = entry.baton.is_named(&entry.term, host);
        if !is_anything && !entry.baton.draining.contains_key(&host) {
            return self.command(host, HostCommand::CloseRoom { room: room.clone() });
        }
        self.tell_hosts(room, now);
    }

    /// A computer wants to be rid of the call: it goes back to the server, while the computer still can.
    pub(in crate::registry) fn step_down(
        &mut self,
        host: HostId,
        room: &RoomId,
        reason: StepDownReason,
        now: Now,
    ) {
        let Some(entry) = self.rooms.get(room) else {
            return;
        };
        if entry.term.host == host {
            // Whatever the reason, it is not asked again at once.
            self.note_failure(room, now.instant);
            return self.retreat(room, in_words(reason), now);
        }
        let moving = entry.baton.moving.as_ref();
        if moving.is_some_and(|one| one.to == host) {
            self.abort_move(room, "that computer does not want to", now);
            self.tend(room, now);
        }
    }

    pub(in crate::registry) fn fitness(
        &mut self,
        host: HostId,
        room: &RoomId,
        fitness: Fitness,
        now: Now,
    ) {
        if self.hosts.set_fitness(host, room, fitness) {
            self.tend(room, now);
        }
    }

    /// The computers of somebody who is gone carry nothing any more.
    pub(in crate::registry) fn dismiss_computers(
        &mut self,
        room: &RoomId,
        owner: ParticipantId,
        now: Now,
    ) {
        let theirs: Vec<_> = self.hosts.computers(room).collect();
        let theirs = theirs.iter().filter(|one| one.owner() == Some(owner));
        let theirs: Vec<_> = theirs.map(|one| (one.id, one.link())).collect();
        for (host, link) in theirs {
            debug_assert_eq!(self.hosts.kind(host), Some(HostKind::Participant));
            if let Some(link) = link {
                self.command(host, HostCommand::CloseRoom { room: room.clone() });
                self.reject_host(link, "its owner has left the room");
            }
            if let Some(link) = link {
                self.handle_host_gone(link, now);
            }
        }
    }
}

fn in_words(reason: StepDownReason) -> &'static str {
    match reason {
        StepDownReason::Owner => "the owner of that computer wanted it",
        StepDownReason::Shutdown => "the program on that computer ended",
        StepDownReason::Suspend => "that computer sleeps or slept",
        StepDownReason::Cap => "the limits that the owner set are reached",
        StepDownReason::Overload => "the line of that computer is full",
    }
}
