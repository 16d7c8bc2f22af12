use super::*;

const ANA: ParticipantId = ParticipantId(1);
const BO: ParticipantId = ParticipantId(2);
const CY: ParticipantId = ParticipantId(3);

struct Table {
    moving: Move,
    movers: BTreeSet<ParticipantId>,
    rules: MoveRules,
    now: Instant,
}

impl Table {
    fn new(is_asked: bool, may_stay: bool) -> Self {
        let rules = MoveRules {
            may_stay,
            ..MoveRules::default()
        };
        let now = Instant::now();
        Self {
            moving: Move::new(Epoch(4), HostId(7), is_asked, &rules, now),
            movers: BTreeSet::from([ANA, BO, CY]),
            rules,
            now,
        }
    }

    fn judge(&mut self) -> Verdict {
        self.moving.judge(&self.movers, &self.rules, self.now)
    }

    fn wait(&mut self, seconds: u64) -> Verdict {
        self.now += Duration::from_secs(seconds);
        self.judge()
    }

    fn say(&mut self, step: MoveStep, who: &[ParticipantId]) -> Verdict {
        for one in who {
            self.moving.progress(*one, step);
        }
        self.judge()
    }
}

fn set(who: &[ParticipantId]) -> BTreeSet<ParticipantId> {
    who.iter().copied().collect()
}

#[test]
fn everybody_connects_then_everybody_changes_over_then_it_is_done() {
    let mut table = Table::new(true, false);
    assert_eq!((table.judge(), table.moving.phase()), (Verdict::Wait, None));
    assert!(table.moving.prepared(&table.rules, table.now));
    assert!(!table.moving.prepared(&table.rules, table.now), "no news");
    assert_eq!(table.moving.phase(), Some(MovePhase::Prepare));
    assert_eq!(table.say(MoveStep::Ready, &[ANA, BO]), Verdict::Wait);
    assert_eq!(table.say(MoveStep::Ready, &[CY]), Verdict::Advance);
    assert_eq!(table.moving.phase(), Some(MovePhase::Switch));
    assert_eq!(table.say(MoveStep::Switched, &[ANA, BO]), Verdict::Wait);
    let done = Verdict::Commit(BTreeSet::new());
    assert_eq!(table.say(MoveStep::Switched, &[CY]), done);
}

#[test]
fn a_host_that_does_not_answer_is_not_waited_for() {
    let mut table = Table::new(true, false);
    assert_eq!(table.wait(3), Verdict::Wait);
    assert_eq!(table.wait(1), Verdict::Abort(Failure::NotPrepared));
}

#[test]
fn who_cannot_connect_in_time_stops_the_move() {
    let mut table = Table::new(false, false);
    table.say(MoveStep::Ready, &[ANA, BO]);
    assert_eq!(table.wait(7), Verdict::Wait);
    let late = Failure::NotReady(set(&[CY]));
    assert_eq!(table.wait(1), Verdict::Abort(late));
    let mut table = Table::new(false, false);
    let failed = Failure::Unreachable(set(&[CY]));
    assert_eq!(table.say(MoveStep::Failed, &[CY]), Verdict::Abort(failed));
}

#[test]
fn who_cannot_connect_stays_where_a_server_can_take_care_of_them() {
    let mut table = Table::new(false, true);
    assert_eq!(table.say(MoveStep::Failed, &[CY]), Verdict::Wait);
    assert_eq!(table.say(MoveStep::Ready, &[ANA, BO]), Verdict::Advance);
    let done = Verdict::Commit(set(&[CY]));
    assert_eq!(table.say(MoveStep::Switched, &[ANA, BO]), done);
    let mut table = Table::new(false, true);
    table.say(MoveStep::Ready, &[ANA, BO]);
    assert_eq!(table.wait(8), Verdict::Advance, "late is as good as failed");
    let mut table = Table::new(false, true);
    let failed = Failure::Unreachable(set(&[BO, CY]));
    assert_eq!(
        table.say(MoveStep::Failed, &[BO, CY]),
        Verdict::Abort(failed),
        "one of three is too few"
    );
}

#[test]
fn a_move_waits_for_the_bridge_to_those_who_stay() {
    let mut table = Table::new(false, true);
    table.moving.wait_for_bridge(true);
    assert_eq!(table.say(MoveStep::Ready, &[ANA, BO, CY]), Verdict::Wait);
    table.moving.wait_for_bridge(false);
    assert_eq!(table.judge(), Verdict::Advance);
    table.moving.wait_for_bridge(true);
    assert_eq!(table.say(MoveStep::Switched, &[ANA, BO, CY]), Verdict::Wait);
    table.moving.wait_for_bridge(false);
    assert_eq!(table.judge(), Verdict::Commit(BTreeSet::new()));
    let mut table = Table::new(false, true);
    table.moving.wait_for_bridge(true);
    table.say(MoveStep::Ready, &[ANA, BO, CY]);
    assert_eq!(table.wait(8), Verdict::Abort(Failure::NotBridged));
}

#[test]
fn nobody_who_was_ready_is_left_behind() {
    let mut table = Table::new(false, false);
    table.say(MoveStep::Ready, &[ANA, BO, CY]);
    table.say(MoveStep::Switched, &[ANA, BO]);
    assert_eq!(table.wait(3), Verdict::Wait);
    let late = Failure::NotSwitched(set(&[CY]));
    assert_eq!(table.wait(1), Verdict::Abort(late));
}

#[test]
fn a_newcomer_does_not_hold_up_a_move_for_ever() {
    let mut table = Table::new(false, false);
    table.say(MoveStep::Ready, &[ANA, BO, CY]);
    table.movers.insert(ParticipantId(4));
    assert_eq!(
        table.say(MoveStep::Switched, &[ANA, BO, CY]),
        Verdict::Wait,
        "for as long as there is time"
    );
    assert_eq!(table.wait(4), Verdict::Commit(BTreeSet::new()));
}

#[test]
fn who_leaves_is_not_waited_for_and_an_empty_room_does_not_move() {
    let mut table = Table::new(false, false);
    table.say(MoveStep::Ready, &[ANA, BO]);
    table.movers.remove(&CY);
    assert_eq!(table.judge(), Verdict::Advance);
    table.movers.clear();
    assert_eq!(table.judge(), Verdict::Abort(Failure::Nobody));
}

#[test]
fn who_fails_while_changing_over_stops_it() {
    let mut table = Table::new(false, false);
    table.say(MoveStep::Ready, &[ANA, BO, CY]);
    let failed = Failure::Unreachable(set(&[BO]));
    assert_eq!(table.say(MoveStep::Failed, &[BO]), Verdict::Abort(failed));
}
