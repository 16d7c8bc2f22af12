//! A planned move of a call from one host to another, as signaling sees it: make before break, and nothing is lost when it
//! fails. Pure; what follows from a verdict (terms, roles, messages) is done in `registry/baton`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use baton_protocol::{Epoch, HostId, MovePhase, MoveStep, ParticipantId};

/// How long the parts of a move may take, and who may be left where they are.
#[derive(Clone, Debug)]
pub struct MoveRules {
    /// From the question to a participant's computer until it says that it is prepared.
    pub ask: Duration,
    /// Until everybody is connected to the new host.
    pub prepare: Duration,
    /// Until everybody shows and hears the new host.
    pub switch: Duration,
    /// May those who cannot reach the new host stay on the server, which then joins the new host for them?
    pub may_stay: bool,
    /// Percent of those who were to move that must reach the new host.
    pub reach_percent: usize,
}

impl Default for MoveRules {
    fn default() -> Self {
        Self {
            ask: Duration::from_secs(4),
            prepare: Duration::from_secs(8),
            switch: Duration::from_secs(4),
            may_stay: true,
            reach_percent: 60,
        }
    }
}

/// A move under way.
#[derive(Debug)]
pub(crate) struct Move {
    /// The epoch of the term that begins if it succeeds.
    pub(crate) epoch: Epoch,
    /// Where to.
    pub(crate) to: HostId,
    stage: Stage,
    until: Instant,
    ready: BTreeSet<ParticipantId>,
    switched: BTreeSet<ParticipantId>,
    /// Those who cannot reach the new host.
    failed: BTreeSet<ParticipantId>,
    /// The server, where somebody stays, is not joined with the new host yet.
    waits_for_bridge: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// The new host was asked whether it wants to.
    Asked,
    /// Participants connect.
    Prepare,
    /// Pictures and voices change over. `crew` was ready when that began.
    Switch { crew: BTreeSet<ParticipantId> },
}

/// What a move comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing new.
    Wait,
    /// The next phase has begun.
    Advance,
    /// Done: the new host is host. These stay on the server.
    Commit(BTreeSet<ParticipantId>),
    /// Everything stays as it was.
    Abort(Failure),
}

/// Why a move came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody is there who could move.
    Nobody,
    /// The new host did not say in time that it is prepared.
    NotPrepared,
    /// These cannot reach it.
    Unreachable(BTreeSet<ParticipantId>),
    /// These were not connected to it in time.
    NotReady(BTreeSet<ParticipantId>),
    /// Somebody stays on the server, and it cannot be joined with the new host.
    NotBridged,
    /// These did not see and hear it in time.
    NotSwitched(BTreeSet<ParticipantId>),
}

impl Move {
    /// Begins with the question whether the host wants to; the operator's own hosts are not asked.
    pub(crate) fn new(
        epoch: Epoch,
        to: HostId,
        is_asked: bool,
        rules: &MoveRules,
        now: Instant,
    ) -> Self {
        let (stage, time) = match is_asked {
            true => (Stage::Asked, rules.ask),
            false => (Stage::Prepare, rules.prepare),
        };
        Self {
            epoch,
            to,
            stage,
            until: now + time,
            ready: BTreeSet::new(),
            switched: BTreeSet::new(),
            failed: BTreeSet::new(),
            waits_for_bridge: false,
        }
    }

    /// What participants are told; nothing before the new host has agreed.
    pub(crate) fn phase(&self) -> Option<MovePhase> {
        match self.stage {
            Stage::Asked => None,
            Stage::Prepare => Some(MovePhase::Prepare),
            Stage::Switch { .. } => Some(MovePhase::Switch),
        }
    }

    /// When [`Self::judge`] has to be asked again at the latest.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// Is there somebody who cannot come along?
    pub(crate) fn leaves_somebody(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Is there a bridge to wait for? Those who stay shall miss nothing.
    pub(crate) fn wait_for_bridge(&mut self, waits: bool) {
        self.waits_for_bridge = waits;
    }

    /// The new host wants to. True if that was news.
    pub(crate) fn prepared(&mut self, rules: &MoveRules, now: Instant) -> bool {
        let is_news = self.stage == Stage::Asked;
        if is_news {
            self.stage = Stage::Prepare;
            self.until = now + rules.prepare;
        }
        is_news
    }

    /// A participant said how far it is.
    pub(crate) fn progress(&mut self, who: ParticipantId, step: MoveStep) {
        match step {
            MoveStep::Ready => {
                self.failed.remove(&who);
                self.ready.insert(who);
            }
            MoveStep::Switched => {
                self.failed.remove(&who);
                self.ready.insert(who);
                self.switched.insert(who);
            }
            MoveStep::Failed => {
                self.ready.remove(&who);
                self.switched.remove(&who);
                self.failed.insert(who);
            }
        }
    }

    /// Where the move stands, given everybody who is to come along.
    pub(crate) fn judge(
        &mut self,
        movers: &BTreeSet<ParticipantId>,
        rules: &MoveRules,
        now: Instant,
    ) -> Verdict {
        let is_over = now >= self.until;
        if movers.is_empty() {
            return Verdict::Abort(Failure::Nobody);
        }
        let failed: BTreeSet<_> = movers.intersection(&self.failed).copied().collect();
        if !failed.is_empty() && !self.may_leave(&failed, movers, rules) {
            return Verdict::Abort(Failure::Unreachable(failed));
        }
        match &self.stage {
            Stage::Asked if is_over => Verdict::Abort(Failure::NotPrepared),
            Stage::Asked => Verdict::Wait,
            Stage::Prepare => self.judge_prepare(movers, rules, is_over, now),
            Stage::Switch { crew } => {
                let awaited = |who: &&ParticipantId| {
                    !self.switched.contains(who) && !self.failed.contains(who)
                };
                let late: BTreeSet<_> = movers.iter().filter(awaited).copied().collect();
                let late_crew: BTreeSet<_> = late.intersection(crew).copied().collect();
                let is_done = late.is_empty() && !self.waits_for_bridge;
                if is_done || (is_over && late_crew.is_empty() && !self.waits_for_bridge) {
                    return Verdict::Commit(failed);
                }
                match is_over {
                    true if late_crew.is_empty() => Verdict::Abort(Failure::NotBridged),
                    true => Verdict::Abort(Failure::NotSwitched(late_crew)),
                    false => Verdict::Wait,
                }
            }
        }
    }

    fn judge_prepare(
        &mut self,
        movers: &BTreeSet<ParticipantId>,
        rules: &MoveRules,
        is_over: bool,
        now: Instant,
    ) -> Verdict {
        let awaited =
            |who: &&ParticipantId| !self.ready.contains(who) && !self.failed.contains(who);
        let late: BTreeSet<_> = movers.iter().filter(awaited).copied().collect();
        if !late.is_empty() {
            if !is_over {
                return Verdict::Wait;
            }
            let left = late.union(&self.failed).copied().collect();
            if !self.may_leave(&left, movers, rules) {
                return Verdict::Abort(Failure::NotReady(late));
            }
            self.failed.extend(late);
        } else if self.waits_for_bridge {
            return match is_over {
                true => Verdict::Abort(Failure::NotBridged),
                false => Verdict::Wait,
            };
        }
        let crew = movers.difference(&self.failed).copied().collect();
        self.stage = Stage::Switch { crew };
        self.until = now + rules.switch;
        Verdict::Advance
    }

    fn may_leave(
        &self,
        left: &BTreeSet<ParticipantId>,
        movers: &BTreeSet<ParticipantId>,
        rules: &MoveRules,
    ) -> bool {
        let moving = movers.difference(left).count();
        rules.may_stay && moving > 0 && moving * 100 >= movers.len() * rules.reach_percent
    }
}

#[cfg(test)]
mod tests;
