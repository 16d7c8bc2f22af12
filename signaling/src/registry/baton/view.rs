//! A room's hosting as an administrator sees it, and as one changes it.

use std::time::Instant;

use baton_protocol::{Epoch, ErrorCode, HostId, HostSeat, HostingPolicy, MovePhase, RoomId};

use super::elections::why_not;
use crate::hosting::election::Line;
use crate::now::Now;
use crate::registry::{CallError, Refused, Registry};
use crate::room::Room;

/// Who carries a room's call, who could, and why it is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostingView {
    /// What may carry the room.
    pub policy: HostingPolicy,
    /// Somebody moved the call to the server by hand: it does not leave by itself before the policy is set anew.
    pub is_pinned: bool,
    /// The term that counts.
    pub epoch: Epoch,
    /// Who carries the call.
    pub host: HostSeat,
    /// Who takes over if that one dies.
    pub standby: Option<HostSeat>,
    /// Where the call is about to move, and how far that is; no phase before the host has agreed.
    pub moving: Option<(HostSeat, Epoch, Option<MovePhase>)>,
    /// Computers that were offered.
    pub candidates: Vec<CandidateView>,
    /// What happened lately, newest last.
    pub changes: Vec<HostingChange>,
}

/// A computer that was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateView {
    /// Which, and whose.
    pub seat: HostSeat,
    /// Points; absent before it was weighed.
    pub score: Option<i32>,
    /// Why it cannot carry the call now.
    pub why_not: Vec<String>,
    /// What the server measured of its line, and how many seconds ago the best of it.
    pub line: Option<(LineView, u64)>,
}

/// What was measured of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineView {
    /// The most that came over it lately, in bits per second.
    pub uplink_bps: u64,
    /// In parts per million.
    pub loss_ppm: u32,
    /// In microseconds.
    pub jitter_us: u32,
    /// In microseconds; 0 where unknown.
    pub rtt_us: u32,
}

/// The call has changed hosts, or was about to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostingChange {
    /// Seconds since 1970.
    pub at: u64,
    /// The term that began, or would have begun.
    pub epoch: Epoch,
    /// To which host.
    pub to: HostId,
    /// What people call it.
    pub name: String,
    /// False: the call stayed where it was.
    pub has_moved: bool,
    /// For people.
    pub why: String,
}

/// What an administrator wants of a room's hosting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostingOrder {
    /// Move the call to this host, or back to a server.
    Pass(Option<HostId>),
    /// Stop the move that is under way.
    Abort,
    /// What may carry the room from now on.
    Policy(HostingPolicy),
}

impl Registry {
    /// Who carries a room's call, and why.
    pub fn hosting_view(&self, room: &RoomId, now: Instant) -> Option<HostingView> {
        let entry = self.rooms.get(room)?;
        let baton = &entry.baton;
        let seat = |host: HostId| self.hosts.seat(host);
        let moving = baton
            .moving
            .as_ref()
            .and_then(|one| Some((seat(one.to)?, one.epoch, one.phase())));
        let candidates = self.hosts.computers(room).filter_map(|one| {
            let judged = baton.judged.get(&one.id);
            let line = one.owner().and_then(|owner| baton.lines.get(&owner));
            Some(CandidateView {
                seat: seat(one.id)?,
                score: judged.map(|judged| judged.score),
                why_not: why_not(judged),
                line: line.map(|line| (LineView::from(line), age(line, now))),
            })
        });
        Some(HostingView {
            policy: baton.policy,
            is_pinned: baton.is_pinned,
            epoch: entry.term.epoch,
            host: seat(entry.term.host).unwrap_or_else(|| gone(entry)),
            standby: baton.standby.and_then(seat),
            moving,
            candidates: candidates.collect(),
            changes: baton.changes.iter().cloned().collect(),
        })
    }

    /// Does what an administrator wants.
    ///
    /// # Errors
    /// When there is no such room or host, or the call cannot move there.
    pub fn order_hosting(
        &mut self,
        room: &RoomId,
        order: HostingOrder,
        now: Now,
    ) -> Result<(), CallError> {
        let refused = |refused: Refused| CallError::Refused(refused.code, refused.message);
        let entry = self.rooms.get_mut(room).ok_or(CallError::NotFound)?;
        match order {
            HostingOrder::Policy(policy) => self.apply_policy(room, policy, now),
            HostingOrder::Abort if entry.baton.moving.is_none() => {
                let message = "no move is under way";
                return Err(refused(Refused::new(ErrorCode::NotFound, message)));
            }
            HostingOrder::Abort => {
                self.abort_move(room, "an administrator stopped it", now);
                self.tend(room, now);
            }
            HostingOrder::Pass(to) => {
                let target = self.meant_host(room, to).map_err(refused)?;
                self.give_reason(room, "an administrator wanted it");
                self.pass_to(room, target, None, now).map_err(refused)?;
            }
        }
        Ok(())
    }

    /// Why the next change of hosts happens, for whoever looks at it later.
    pub(in crate::registry) fn give_reason(&mut self, room: &RoomId, why: &str) {
        if let Some(entry) = self.rooms.get_mut(room) {
            entry.baton.reason = Some(why.to_owned());
        }
    }

    /// Remembers a change of hosts, or one that came to nothing.
    pub(super) fn note_change(
        &mut self,
        room: &RoomId,
        (to, epoch): (HostId, Epoch),
        failure: Option<&str>,
        now: Now,
    ) {
        let name = self.hosts.seat(to).map(|seat| seat.name);
        let Some(entry) = self.rooms.get_mut(room) else {
            return;
        };
        let baton = &mut entry.baton;
        let reason = baton.reason.take().unwrap_or_default();
        if baton.changes.len() >= MOST_CHANGES {
            baton.changes.pop_front();
        }
        baton.changes.push_back(HostingChange {
            at: now.unix_s(),
            epoch,
            to,
            name: name.unwrap_or_default(),
            has_moved: failure.is_none(),
            why: failure.map_or(reason, str::to_owned),
        });
    }
}

impl From<&Line> for LineView {
    fn from(line: &Line) -> Self {
        Self {
            uplink_bps: line.best_bps,
            loss_ppm: line.loss_ppm,
            jitter_us: line.jitter_us,
            rtt_us: line.rtt_us,
        }
    }
}

fn age(line: &Line, now: Instant) -> u64 {
    now.saturating_duration_since(line.best_at).as_secs()
}

/// A host that a restarted service has not heard of yet.
fn gone(room: &Room) -> HostSeat {
    HostSeat {
        host: room.term.host,
        kind: room.term.kind,
        name: room.term.name.clone(),
        owner: None,
    }
}

/// Changes remembered of a room.
const MOST_CHANGES: usize = 16;
