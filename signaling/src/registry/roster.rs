//! What a host that comes back already serves, against what signaling believes: after a restart of either side, or a
//! lost link, both know the same legs again. Media is never touched for somebody who may still be there.

use std::collections::{BTreeMap, BTreeSet};

use baton_protocol::{HostCommand, HostId, LegId, ParticipantId, RoomId, RosterLeg, RosterRoom};

use super::Registry;
use super::timers::Timer;
use crate::denied::Mark;
use crate::now::Now;
use crate::participant::{Leg, Participant, Presence};
use crate::token::MAX_TOKEN_LIFE;

impl Registry {
    /// A host said hello with everything it serves.
    pub(super) fn reconcile(&mut self, host: HostId, roster: Vec<RosterRoom>, now: Now) {
        let mut served = BTreeSet::new();
        for room in roster {
            if !self.adopt_room(host, &room, now) {
                self.command(host, HostCommand::CloseRoom { room: room.room });
                continue;
            }
            served.insert(room.room.clone());
            self.merge_legs(host, room, now);
        }
        let mut missing = Vec::new();
        for room in self.rooms.values() {
            let mut people = room.participants.values();
            let is_meant = room.term.host == host || people.any(|one| one.hosts().contains(&host));
            if is_meant && !served.contains(&room.id) {
                missing.push(room.id.clone());
            }
        }
        for room in missing {
            self.forget_lost_legs(host, &room, &BTreeSet::new(), now);
        }
        self.tend_rooms_of(host, now);
    }

    fn merge_legs(&mut self, host: HostId, roster: RosterRoom, now: Now) {
        let living: BTreeSet<_> = roster
            .legs
            .iter()
            .map(|leg| (leg.participant, leg.leg))
            .collect();
        self.forget_lost_legs(host, &roster.room, &living, now);
        let mut by_owner: BTreeMap<ParticipantId, Vec<RosterLeg>> = BTreeMap::new();
        for leg in roster.legs {
            by_owner.entry(leg.participant).or_default().push(leg);
        }
        for (owner, legs) in by_owner {
            self.merge_owner(host, &roster.room, owner, legs, now);
        }
    }

    /// Legs that signaling believed in and the host does not have.
    fn forget_lost_legs(
        &mut self,
        host: HostId,
        room: &RoomId,
        living: &BTreeSet<(ParticipantId, LegId)>,
        now: Now,
    ) {
        let Some(entry) = self.rooms.get(room) else {
            return;
        };
        let mut lost = Vec::new();
        for one in entry.participants.values() {
            for (leg, state) in &one.legs {
                let is_settled = state.host == host && state.pending.is_none();
                if is_settled && !living.contains(&(one.id, *leg)) {
                    lost.push((one.id, *leg));
                }
            }
        }
        for (participant, leg) in lost {
            let closed = baton_protocol::LegState::Closed;
            self.leg_changed(host, room, participant, leg, closed, now);
        }
    }

    fn merge_owner(
        &mut self,
        host: HostId,
        room: &RoomId,
        owner: ParticipantId,
        legs: Vec<RosterLeg>,
        now: Now,
    ) {
        let is_settling = self.is_settling(now);
        let is_removed = self.is_denied(room, [Some(Mark::Participant(owner))], 0, now);
        let entry = self.rooms.get(room);
        let is_stranger = entry.is_some_and(|entry| !entry.participants.contains_key(&owner));
        if is_stranger && is_settling && !is_removed {
            let memento = legs.iter().find_map(|leg| leg.memento.as_deref());
            if let Some(memento) = memento {
                self.recall_session(room, owner, memento, now);
            }
        }
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let is_full = entry.participants.len() >= self.config.limits.participants;
        let is_stranger = !entry.participants.contains_key(&owner);
        if is_stranger {
            if is_removed || !is_settling || is_full || owner.0 == 0 {
                let command = HostCommand::Close {
                    room: room.clone(),
                    participant: owner,
                    leg: None,
                };
                return self.command(host, command);
            }
            // Who cannot come to the heir is a guest as long as there is a leg.
            let name = self.introduced.get(&(room.clone(), owner)).cloned();
            let window = match name {
                Some(_) => MAX_TOKEN_LIFE,
                None => self.config.limits.resume_window,
            };
            let until = now.instant + window;
            let mut stranger = unclaimed(owner, Presence::Unclaimed { until });
            stranger.name = name.unwrap_or_default();
            entry.participants.insert(owner, stranger);
            self.timers
                .insert(until, Timer::Absence(room.clone(), owner));
        }
        let Some(one) = entry.participants.get_mut(&owner) else {
            return;
        };
        let is_claimed = !matches!(one.presence, Presence::Unclaimed { .. });
        let is_introduced = one.is_visible();
        let epoch = entry.term.epoch;
        let mut excess = Vec::new();
        let mut differing = Vec::new();
        for leg in legs {
            if !one.has_room_for(leg.leg) {
                excess.push(leg.leg);
                continue;
            }
            let new = || Leg::new(host, epoch);
            let known = one.legs.entry(leg.leg).or_insert_with(new);
            if known.host != host {
                excess.push(leg.leg);
                continue;
            }
            if known.is_open {
                let theirs = |id| leg.tracks.iter().find(|track| track.id == id);
                let muted = known.tracks.iter();
                let muted =
                    muted.filter(|track| theirs(track.id).is_some_and(|t| t.muted != track.muted));
                differing.extend(muted.map(|track| (track.id, track.muted)));
                continue;
            }
            let mut tracks = leg.tracks;
            tracks.truncate(baton_protocol::limits::MAX_TRACKS);
            tracks.retain(|track| !is_claimed || one.grants.may_publish(track.source));
            known.tracks = tracks;
            known.is_open = true;
        }
        for leg in excess {
            let command = HostCommand::Close {
                room: room.clone(),
                participant: owner,
                leg: Some(leg),
            };
            self.command(host, command);
        }
        for (track, muted) in differing {
            let command = HostCommand::SetMuted {
                room: room.clone(),
                track,
                muted,
            };
            self.command(host, command);
        }
        if is_claimed || is_introduced {
            self.announce(room, owner);
        }
    }
}

/// Somebody whom only a host remembers: nameless and without rights until a resume token says who they are.
fn unclaimed(id: ParticipantId, presence: Presence) -> Participant {
    Participant {
        id,
        name: String::new(),
        grants: baton_protocol::Grants::default(),
        subject: None,
        token_id: None,
        issued_at: 0,
        generation: 0,
        life: 0,
        presence,
        told: None,
        told_heir: None,
        uses_server: false,
        legs: BTreeMap::new(),
    }
}
