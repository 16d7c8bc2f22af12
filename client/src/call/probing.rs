//! Whether this computer's line may be probed now, and over which leg: the one to the operator's host, which measures.

use baton_protocol::{HostKind, LineScore, ParticipantId};

use super::{Call, CallEvent};
use crate::carry::{Carrying, News};
use crate::ladder::Condition;
use crate::ramp::{ProbeEnd, ProbePlan, ProbeReport};
use crate::room::Room;

impl Call {
    /// The carrier said something, or is gone.
    pub(super) fn handle_carrier(&mut self, news: Option<News>) {
        match news {
            Some(News::Said(news)) => self.handle_carrying(Some(news)),
            Some(News::Probe(plan)) => self.begin_probe(plan),
            None => self.handle_carrying(None),
        }
    }

    /// Sends padding to the host, unless the line has no room to spare.
    fn begin_probe(&mut self, plan: ProbePlan) {
        let hosting = self.hosting.as_ref();
        let measures = hosting.is_some_and(|hosting| hosting.term.kind == HostKind::Central);
        let main = self.main();
        let mut legs = self.legs.iter();
        let leg = legs.find(|leg| Some(leg.id()) == main && leg.condition == Condition::Connected);
        match leg.filter(|_| measures && !self.is_line_short()) {
            Some(leg) => leg.leg.probe(plan),
            None => self.handle_probed(ProbeReport {
                end: ProbeEnd::Interrupted,
                reached_bps: 0,
                sent_bytes: 0,
            }),
        }
    }

    pub(super) fn handle_probed(&mut self, report: ProbeReport) {
        if let Some(carrier) = &self.carrier {
            carrier.note_spent(report.sent_bytes);
        }
        let probed = Carrying::Probed(report);
        self.news.push_back(CallEvent::Carrying(probed));
    }

    /// The host says whose line does badly. Whoever talks over this one goes first.
    pub(super) fn handle_lines(&mut self, lines: &[LineScore]) {
        self.poor_lines = lines.iter().map(|line| line.participant).collect();
        if self.is_line_short() {
            self.legs
                .iter()
                .for_each(|current| current.leg.stop_probe());
        }
    }

    fn is_line_short(&self) -> bool {
        let Some(room) = &self.room else { return false };
        let owner = self.plan.owner.as_deref();
        self.poor_lines
            .iter()
            .any(|who| is_behind_it(room, *who, owner))
    }
}

/// Does somebody sit behind this computer's line: oneself, or its owner, who is at the page?
fn is_behind_it(room: &Room, who: ParticipantId, owner: Option<&str>) -> bool {
    let name = room.participant(who).map(|one| one.name.as_str());
    who == room.me() || (owner.is_some() && name == owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::tests::{person, room};

    #[test]
    fn one_s_own_trouble_and_that_of_the_computer_s_owner_are_of_this_line() {
        let room = room(&[person(1, &[]), person(2, &[]), person(3, &[])]);
        let is_behind = |who, owner| is_behind_it(&room, ParticipantId(who), owner);
        assert!(is_behind(1, None), "oneself");
        assert!(is_behind(2, Some("person 2")), "at the page");
        assert!(!is_behind(3, Some("person 2")));
        assert!(!is_behind(3, None));
        assert!(!is_behind(9, Some("person 2")), "who is gone");
    }
}
