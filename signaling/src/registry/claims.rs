//! Which host a room has after a restart, by what hosts and resume tokens say of an earlier life of the service.
//!
//! In its own life the service knows; whoever says otherwise is fenced. While it settles, the newest term counts that a host
//! claims with proof: a server of the operator by its word, a participant's computer by its grant.

use baton_protocol::{
    Epoch, HostId, HostKind, HostRole, HostTerm, RoomId, RosterRoom, ServiceMessage,
};

use super::Registry;
use crate::grant::GrantVerifier;
use crate::now::Now;

impl Registry {
    /// Are the legs of that host in that room to live?
    pub(super) fn adopt_room(&mut self, host: HostId, roster: &RosterRoom, now: Now) -> bool {
        let owner = self.hosts.owner(host);
        if owner.is_some_and(|owner| owner.room != roster.room) {
            return false;
        }
        let is_settling = self.is_settling(now);
        let seen = self.proven_epoch(host, roster, now);
        let claims = self.claims_term(host, roster, seen);
        // Nothing proves that a participant's computer stands by, unless this service runs on it.
        let is_waiting = (owner.is_none() || self.is_own(host))
            && matches!(roster.role, Some(HostRole::Standby | HostRole::Aside));
        let Some(room) = self.rooms.get_mut(&roster.room) else {
            if !is_settling || roster.legs.is_empty() || !(claims || is_waiting) {
                return false;
            }
            return self.recall_room(host, roster, claims, now);
        };
        // What a computer cannot prove counts as little as what a guest says. In its own life the service knows what it told.
        let epoch = seen.unwrap_or(UNKNOWN);
        room.baton.newest = room.baton.newest.max(epoch);
        room.baton.hear_of(host, epoch, room.term.epoch < epoch);
        if epoch < roster.epoch {
            room.baton.note_belief(roster.epoch, now);
        }
        let is_guess = room.baton.guess.is_some();
        let standby = room.baton.standby;
        let is_vacant = standby.is_none_or(|other| self.hosts.link_of(other).is_none());
        if is_settling && is_waiting && is_vacant && room.term.host != host {
            room.baton.standby = Some(host);
        }
        if room.term.host == host && !is_guess {
            return self.confirm(host, &roster.room, (epoch, claims), now);
        }
        let is_newer = room.term.epoch < roster.epoch;
        // What a slower host told of an earlier life is overtaken by a later term of that life; those of this life are newer than both.
        let is_overtaken = is_settling && room.baton.is_recalled && is_newer;
        if claims && (is_guess && (is_newer || room.term.host == host) || is_overtaken) {
            return self.recall_claim(&roster.room, host, roster.epoch, now);
        }
        if room.baton.is_named(&room.term, host) || room.baton.draining.contains_key(&host) {
            return true;
        }
        if !claims || room.has_legs() {
            return false;
        }
        // Two hosts may have been believed in the same epoch, so the next one settles it.
        let epoch = room.baton.fresh_epoch();
        self.give_reason(&roster.room, "after a restart this host claimed it");
        self.begin_term(&roster.room, host, epoch, now);
        true
    }

    /// Somebody who comes back says in which term they were welcomed last.
    pub(super) fn recall_term(&mut self, room: &RoomId, term: &HostTerm, now: Now) -> bool {
        if let Some(entry) = self.rooms.get_mut(room) {
            let baton = &mut entry.baton;
            baton.newest = baton.newest.max(term.epoch);
            if baton.guess.is_some() && entry.term.epoch < term.epoch {
                let waits = std::mem::replace(&mut entry.term, term.clone());
                // It knew no term because it only stood by.
                if waits.epoch == UNKNOWN && waits.host != term.host {
                    baton.standby.get_or_insert(waits.host);
                }
            }
            return true;
        }
        if self.create_room(room, term.clone()).is_err() {
            return false;
        }
        self.guess(room, now);
        true
    }

    /// The term that a room has is one of an earlier life, and maybe not the newest of it.
    fn guess(&mut self, room: &RoomId, now: Now) {
        let until = now.instant + self.config.limits.host_grace;
        let first = self.config.first_epoch;
        if let Some(entry) = self.rooms.get_mut(room) {
            entry.baton.leaps = Some(first);
            entry.baton.guess = Some(until);
            entry.baton.is_recalled = true;
        }
        self.arm(room, now);
    }

    fn recall_room(&mut self, host: HostId, roster: &RosterRoom, claims: bool, now: Now) -> bool {
        // A standby knows the epoch but not the host; until that is known, nobody is told an epoch that they would believe.
        let epoch = match claims {
            true => roster.epoch,
            false => UNKNOWN,
        };
        let Some(term) = self.hosts.term(host, epoch) else {
            return false;
        };
        if self.create_room(&roster.room, term).is_err() {
            return false;
        }
        let first = self.config.first_epoch;
        if let Some(entry) = self.rooms.get_mut(&roster.room) {
            entry.baton.newest = roster.epoch;
            entry.baton.leaps = Some(first);
            entry.baton.is_recalled = true;
            entry.baton.hear_of(host, roster.epoch, !claims);
        }
        match claims {
            true => self.recall_claim(&roster.room, host, roster.epoch, now),
            false => {
                self.guess(&roster.room, now);
                true
            }
        }
    }

    /// The term of an earlier life is known.
    fn recall_claim(&mut self, room: &RoomId, host: HostId, epoch: Epoch, now: Now) -> bool {
        let (Some(entry), Some(term)) = (self.rooms.get_mut(room), self.hosts.term(host, epoch))
        else {
            return false;
        };
        let is_computer = term.kind == HostKind::Participant;
        let mut term = term;
        if entry.term.host == host {
            term.epoch = epoch.max(entry.term.epoch);
        }
        let before = std::mem::replace(&mut entry.term, term.clone());
        entry.baton.guess = None;
        entry.baton.renewed = is_computer.then_some(now.instant);
        let other = (before.host != host).then_some(before.host);
        let is_central = |host: &HostId| self.hosts.kind(*host) == Some(HostKind::Central);
        if let Some(other) = other.filter(is_central)
            && is_computer
            && entry.baton.standby.is_none()
        {
            entry.baton.standby = Some(other);
        }
        if before != term {
            let changed = entry.tell_all(ServiceMessage::HostChanged { host: term });
            self.outputs.push_back(changed);
        }
        self.hosts.assign(host, room);
        true
    }

    /// The room's own host is back. The newest epoch that it has seen is its own only if it carried the room in it.
    fn confirm(
        &mut self,
        host: HostId,
        room: &RoomId,
        (seen, claims): (Epoch, bool),
        now: Now,
    ) -> bool {
        let Some(entry) = self.rooms.get_mut(room) else {
            return false;
        };
        let is_newer = seen > entry.term.epoch;
        if is_newer && !claims {
            let epoch = entry.baton.fresh_epoch();
            self.begin_term(room, host, epoch, now);
        } else if is_newer && let Some(term) = self.hosts.term(host, seen) {
            entry.term = term.clone();
            let changed = entry.tell_all(ServiceMessage::HostChanged { host: term });
            self.outputs.push_back(changed);
        }
        self.hosts.assign(host, room);
        true
    }

    /// Does this service itself run on that computer?
    pub(super) fn is_own(&self, host: HostId) -> bool {
        let own = self.config.limits.hosting.own.as_deref();
        own.is_some() && self.hosts.fingerprint(host) == own
    }

    /// The newest epoch that a host has seen in a room, as far as that is more than its word: one that was claimed falsely would
    /// be one in which it is asked, by a grant of another.
    fn proven_epoch(&self, host: HostId, roster: &RosterRoom, now: Now) -> Option<Epoch> {
        if self.hosts.kind(host) == Some(HostKind::Central) || self.is_own(host) {
            return Some(roster.epoch);
        }
        let verifier = GrantVerifier::new(self.signer.public_key()).ok()?;
        let grant = verifier
            .grant(roster.grant.as_deref()?, now.unix_s())
            .ok()?;
        let is_its_own = grant.room == roster.room
            && grant.host == host
            && self.hosts.fingerprint(host) == Some(&grant.fingerprint);
        is_its_own.then_some(grant.epoch.min(roster.epoch))
    }

    /// Does a host say, and prove if it must, that it carries the room?
    fn claims_term(&self, host: HostId, roster: &RosterRoom, seen: Option<Epoch>) -> bool {
        let is_proven = seen == Some(roster.epoch);
        match (self.hosts.kind(host), roster.role) {
            (Some(HostKind::Central), None) => true,
            (Some(_), Some(HostRole::Active)) => is_proven,
            _ => false,
        }
    }
}

/// Before every term.
const UNKNOWN: Epoch = Epoch(0);
