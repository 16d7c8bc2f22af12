//! What participants say about who carries the call.

use std::time::Duration;

use baton_protocol::{
    Epoch, ErrorCode, HostId, HostKind, HostingPolicy, MoveStep, ParticipantId, RoomId,
    ServiceMessage,
};

use crate::now::Now;
use crate::participant::Participant;
use crate::registry::negotiation::internal;
use crate::registry::{ConnectionId, Refused, Registry, Seat};
use crate::room::Room;
use crate::text::checked_name;
use crate::token::{ComputerOwner, HostToken, MAX_TOKEN_LIFE, Token};

impl Registry {
    /// How far somebody's part of a move is. What is said of another move than the present one is out of date.
    pub(in crate::registry) fn move_progress(
        &mut self,
        seat: &Seat,
        epoch: Epoch,
        step: MoveStep,
        now: Now,
    ) {
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return;
        };
        match &mut room.baton.moving {
            Some(moving) if moving.epoch == epoch => moving.progress(seat.participant, step),
            _ if room.term.epoch == epoch && step == MoveStep::Failed => {
                return self.host_unreachable(seat, now);
            }
            _ => return,
        }
        self.tend(&seat.room, now);
    }

    /// Somebody cannot connect to the computer that carries the call: they stay on the server, or the call goes back there.
    fn host_unreachable(&mut self, seat: &Seat, now: Now) {
        let may_stay = self.config.limits.hosting.moves.may_stay;
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return;
        };
        if room.term.kind != HostKind::Participant {
            return;
        }
        if may_stay {
            let again = now.instant + self.config.limits.hosting.election.retry;
            room.baton.stays.insert(seat.participant, again);
            room.baton.trials.remove(&seat.participant);
            return self.tend(&seat.room, now);
        }
        self.retreat(&seat.room, "somebody cannot reach that computer", now);
    }

    /// Somebody who could not reach the computer that carries the call has another way to the server: perhaps to that computer too.
    pub(in crate::registry) fn stayer_moved(&mut self, seat: &Seat, now: Now) {
        let room = self.rooms.get_mut(&seat.room);
        let again = room.and_then(|room| room.baton.stays.get_mut(&seat.participant));
        if let Some(again) = again {
            *again = (*again).min(now.instant + SETTLED);
            self.arm(&seat.room, now);
        }
    }

    /// Those who could not reach the computer try it again, when it is time: their way, or its way, may be another one.
    pub(in crate::registry) fn try_stayers(&mut self, room: &RoomId, now: Now) {
        let trial = self.config.limits.hosting.trial;
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let baton = &mut entry.baton;
        baton.trials.retain(|_, until| *until > now.instant);
        if baton.moving.is_some() {
            return;
        }
        let due = baton.stays.extract_if(.., |_, again| *again <= now.instant);
        let due = due.map(|(who, _)| (who, now.instant + trial));
        baton.trials.extend(due);
    }

    /// Back to the operator's server, if there is one and the call is not on its way already.
    pub(in crate::registry) fn retreat(&mut self, room: &RoomId, why: &str, now: Now) {
        let entry = self.rooms.get(room);
        let Some(entry) = entry.filter(|one| one.term.kind == HostKind::Participant) else {
            return;
        };
        let standby = entry.baton.standby;
        let is_central = |host: &HostId| self.hosts.kind(*host) == Some(HostKind::Central);
        let server = standby.filter(is_central).or(self.hosts.least_loaded());
        let Some(server) = server else {
            return;
        };
        let moving = entry.baton.moving.as_ref().map(|one| one.to);
        if moving.is_some_and(|to| to != server) {
            self.abort_move(room, "the call goes back to the server", now);
        }
        if moving != Some(server) {
            self.give_reason(room, why);
        }
        // Refused only if somebody cannot move, who then stays on that server as before.
        self.start_move(room, server, None, now).ok();
    }

    /// Somebody hears nothing from the host. They have helped themselves already; here it is decided for all.
    pub(in crate::registry) fn host_lost(&mut self, seat: &Seat, epoch: Epoch, now: Now) {
        let late = self.config.limits.hosting.renewal_late;
        let Some(room) = self.rooms.get_mut(&seat.room) else {
            return;
        };
        let Some(renewed) = room.baton.renewed.filter(|_| room.term.epoch == epoch) else {
            return;
        };
        room.baton.losses.report(seat.participant, now.instant);
        let owner = self.hosts.owner(room.term.host).map(|one| one.participant);
        let guests = room.participants.values().filter(|one| {
            one.connection().is_some()
                && Some(one.id) != owner
                && one.legs.values().any(|leg| leg.host == room.term.host)
        });
        let guests = guests.map(|one| one.id).collect();
        let is_late = renewed + late <= now.instant;
        if room.baton.losses.is_lost(&guests, is_late, now.instant) {
            self.give_reason(&seat.room, "guests heard nothing from it");
            self.replace_host(&seat.room, now);
        }
    }

    /// Moves the call to another host, or back to the server.
    pub(in crate::registry) fn pass_baton(
        &mut self,
        seat: &Seat,
        to: Option<HostId>,
        now: Now,
    ) -> Result<(), Refused> {
        let (_, me) = self.seated(seat)?;
        let is_mine = |host| {
            let owner = self.hosts.owner(host);
            owner.is_some_and(|owner| owner.participant == me.id)
        };
        let may = me.grants.moderate || (me.grants.host && to.is_none_or(is_mine));
        if !may {
            let message = "only a moderator may move the call to somebody else's computer";
            return Err(Refused::new(ErrorCode::Forbidden, message));
        }
        let name = me.name.clone();
        let target = self.meant_host(&seat.room, to)?;
        self.give_reason(&seat.room, &format!("{name} wanted it"));
        self.pass_to(&seat.room, target, Some(seat.participant), now)
    }

    /// The host that is meant, or the server.
    pub(in crate::registry) fn meant_host(
        &self,
        room: &RoomId,
        to: Option<HostId>,
    ) -> Result<HostId, Refused> {
        let room = self.rooms.get(room).ok_or_else(internal)?;
        let is_usable = |host: &HostId| {
            let owner = self.hosts.owner(*host);
            self.hosts.link_of(*host).is_some() && owner.is_none_or(|one| one.room == room.id)
        };
        let standby = room.baton.standby;
        let is_central = |host: &HostId| self.hosts.kind(*host) == Some(HostKind::Central);
        let target = match to {
            Some(host) => Some(host).filter(is_usable),
            None if room.term.kind == HostKind::Central => Some(room.term.host),
            None => standby.filter(is_central).or(self.hosts.least_loaded()),
        };
        target.ok_or_else(|| {
            let message = match to {
                Some(_) => "that computer is not there now",
                None => "no server is there now",
            };
            Refused::new(ErrorCode::NotFound, message)
        })
    }

    /// Moves the call, or stops a move away from where it is.
    pub(in crate::registry) fn pass_to(
        &mut self,
        room: &RoomId,
        target: HostId,
        by: Option<ParticipantId>,
        now: Now,
    ) -> Result<(), Refused> {
        let entry = self.rooms.get_mut(room).ok_or_else(internal)?;
        entry.baton.is_pinned = self.hosts.kind(target) == Some(HostKind::Central);
        if entry.term.host == target {
            self.abort_move(room, "somebody stopped the move", now);
            self.tend(room, now);
            return Ok(());
        }
        self.start_move(room, target, by, now)
    }

    pub(in crate::registry) fn set_hosting_policy(
        &mut self,
        seat: &Seat,
        policy: HostingPolicy,
        now: Now,
    ) -> Result<(), Refused> {
        self.moderated(seat)?;
        self.apply_policy(&seat.room, policy, now);
        Ok(())
    }

    /// What may carry the room from now on. A computer that may not any more hands the call back.
    pub(in crate::registry) fn apply_policy(
        &mut self,
        room: &RoomId,
        policy: HostingPolicy,
        now: Now,
    ) {
        if let Some(entry) = self.rooms.get_mut(room) {
            entry.baton.policy = policy;
            entry.baton.is_pinned = false;
        }
        if policy == HostingPolicy::Central {
            self.retreat(room, "only servers may carry the room", now);
        }
        self.tend(room, now);
    }

    pub(in crate::registry) fn use_server(
        &mut self,
        seat: &Seat,
        always: bool,
        now: Now,
    ) -> Result<(), Refused> {
        let may_stay = self.config.limits.hosting.moves.may_stay;
        let room = self.rooms.get_mut(&seat.room).ok_or_else(internal)?;
        let me = room.participants.get_mut(&seat.participant);
        let me = me.ok_or_else(internal)?;
        me.uses_server = always;
        let moving = room.baton.moving.as_ref().map(|one| one.to);
        let to_computer =
            moving.is_some_and(|to| self.hosts.kind(to) == Some(HostKind::Participant));
        if always && !may_stay {
            if to_computer {
                let why = "somebody wants to use the server only";
                self.abort_move(&seat.room, why, now);
            }
            self.retreat(&seat.room, "somebody wants to use the server only", now);
        }
        self.tend(&seat.room, now);
        Ok(())
    }

    /// Somebody's own program offers to carry the call: it gets the right to link as a host of this room.
    pub(in crate::registry) fn offer_hosting(
        &mut self,
        seat: &Seat,
        connection: ConnectionId,
        name: &str,
        now: Now,
    ) -> Result<(), Refused> {
        let name =
            checked_name(name).map_err(|message| Refused::new(ErrorCode::Invalid, message))?;
        let (_, me) = self.seated(seat)?;
        if !me.grants.host {
            let message = "your invitation does not allow your computer to carry the call";
            return Err(Refused::new(ErrorCode::Forbidden, message));
        }
        let token = self.config.secret.mint(&Token::Host(HostToken {
            subject: format!("computer of {}", seat.participant),
            owner: Some(ComputerOwner {
                room: seat.room.clone(),
                participant: seat.participant,
                name,
            }),
            issued_at: now.unix_s(),
            expires_at: now.unix_s() + MAX_TOKEN_LIFE.as_secs(),
        }));
        self.send(connection, ServiceMessage::HostToken { token });
        Ok(())
    }

    fn seated(&self, seat: &Seat) -> Result<(&Room, &Participant), Refused> {
        let room = self.rooms.get(&seat.room).ok_or_else(internal)?;
        let me = room.participants.get(&seat.participant);
        Ok((room, me.ok_or_else(internal)?))
    }
}

/// A new way is given so much time before it is tried for something else.
const SETTLED: Duration = Duration::from_secs(5);
