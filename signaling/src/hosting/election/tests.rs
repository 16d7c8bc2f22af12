use super::*;

const ONE: HostId = HostId(1);
const TWO: HostId = HostId(2);

fn fitness() -> Fitness {
    Fitness {
        cpu_free_percent: 160,
        power: PowerSource::Mains,
        metered: false,
        uplink_cap_bps: None,
        guests_cap: None,
        objections: Vec::new(),
        reached: Vec::new(),
        signaling: None,
    }
}

fn line(mbps: u64) -> Line {
    Line {
        best_bps: mbps * 1_000_000,
        best_at: Instant::now(),
        loss_ppm: 0,
        jitter_us: 900,
        rtt_us: 20_000,
    }
}

/// Four people: the host and three guests, one big picture each.
fn forecast() -> Forecast {
    Forecast {
        guests: 3,
        egress_bps: 6_000_000,
        keyframe: 80_000,
    }
}

fn judged(fitness: &Fitness, line: Option<&Line>, there: u64) -> Judgement {
    let facts = Facts {
        fitness: Some(fitness),
        line,
        there_for: Duration::from_secs(there),
        failed_for: None,
        objections: Vec::new(),
    };
    judge(&facts, &forecast(), &ElectionRules::default())
}

#[test]
fn a_good_line_for_long_enough_is_fit() {
    let good = judged(&fitness(), Some(&line(50)), 600);
    assert_eq!(good.why_not, Vec::<String>::new());
    assert!(good.score > SERVER + 25, "{}", good.score);
    let slower = judged(&fitness(), Some(&line(25)), 600);
    assert!(slower.score < good.score);
}

#[test]
fn each_gate_says_its_reason() {
    let with = |change: fn(&mut Fitness)| {
        let mut fitness = fitness();
        change(&mut fitness);
        judged(&fitness, Some(&line(50)), 600).why_not
    };
    type Case = (fn(&mut Fitness), &'static str);
    let cases: [Case; 7] = [
        (|one| one.metered = true, "by the byte"),
        (|one| one.power = PowerSource::Battery(50), "battery"),
        (|one| one.cpu_free_percent = 49, "processor"),
        (|one| one.guests_cap = Some(2), "fewer people"),
        (|one| one.uplink_cap_bps = Some(7_000_000), "send less"),
        (|one| one.objections = vec!["no".to_owned()], "no"),
        (|_| {}, ""),
    ];
    for (change, reason) in cases {
        let why_not = with(change).join("; ");
        assert!(why_not.contains(reason), "{why_not}");
        assert_eq!(why_not.is_empty(), reason.is_empty(), "{why_not}");
    }
    assert_eq!(judged(&fitness(), Some(&line(50)), 59).why_not.len(), 1);
    let lossy = Line {
        loss_ppm: 10_001,
        ..line(50)
    };
    assert_eq!(judged(&fitness(), Some(&lossy), 600).why_not.len(), 1);
}

#[test]
fn a_line_counts_for_what_was_measured_and_is_probed_for_the_rest() {
    let unknown = judged(&fitness(), None, 600);
    assert!(unknown.wants_probe && unknown.why_not.len() == 1);
    // 1.25 x 6 Mb/s in 70 % of a line are 10.7 Mb/s; three keyframes of 80 kB within 100 ms are 19.2.
    assert!(judged(&fitness(), Some(&line(19)), 600).wants_probe);
    assert!(judged(&fitness(), Some(&line(20)), 600).why_not.is_empty());
    assert!(probe_target(&forecast()) >= 19_200_000);
    let mut metered = fitness();
    metered.metered = true;
    assert!(!judged(&metered, None, 600).wants_probe, "it costs");
}

#[test]
fn a_failure_counts_against_it_for_ten_minutes() {
    let (fitness, line) = (fitness(), line(50));
    let with = |failed: u64| {
        let facts = Facts {
            fitness: Some(&fitness),
            line: Some(&line),
            there_for: Duration::from_secs(3600),
            failed_for: Some(Duration::from_secs(failed)),
            objections: Vec::new(),
        };
        judge(&facts, &forecast(), &ElectionRules::default())
    };
    assert_eq!(with(599).why_not.len(), 1);
    assert!(with(600).why_not.is_empty());
    assert!(with(600).score < judged(&fitness, Some(&line), 3600).score);
}

#[test]
fn it_hands_back_when_the_line_fills() {
    let load = HostLoad {
        legs: 4,
        cpu_free_percent: 100,
        ..HostLoad::default()
    };
    assert_eq!(overload(&load), None);
    type Change = fn(&mut HostLoad);
    let bad: [(Change, &str); 5] = [
        (|load| load.legs_queueing = 2, "wait"),
        (|load| load.legs_losing = 2, "lost"),
        (|load| load.cpu_free_percent = 14, "processor"),
        (|load| load.legs_short = 2, "short"),
        (|load| (load.legs, load.legs_queueing) = (3, 1), "wait"),
    ];
    for (change, word) in bad {
        let mut load = load;
        change(&mut load);
        let overload = overload(&load).expect(word);
        assert!(overload.why.contains(word), "{overload:?}");
    }
    let fine: [(Change, &str); 3] = [
        (|load| load.cpu_free_percent = 0, "it may not be known"),
        (|load| load.legs_queueing = 1, "that is the guest's line"),
        (|load| load.queue_ms = 900, "whose, the number of legs says"),
    ];
    for (change, why) in fine {
        let mut load = load;
        change(&mut load);
        assert_eq!(overload(&load), None, "{why}");
    }
}

#[test]
fn one_bad_report_makes_no_bad_line_and_several_do() {
    let now = Instant::now();
    let report = |jitter_us, received_bps| LineQuality {
        participant: baton_protocol::ParticipantId(1),
        received_bps,
        loss_ppm: 0,
        jitter_us,
        rtt_us: 9,
        estimate_bps: 0,
    };
    let lasts = Duration::from_secs(180);
    let mut line = Line::with(None, &report(1000, 50), lasts, now);
    let later = now + Duration::from_secs(10);
    line = Line::with(Some(line), &report(40_000, 7), lasts, later);
    assert_eq!((line.jitter_us, line.best_bps), (10_750, 50));
    for _ in 0..3 {
        line = Line::with(Some(line), &report(40_000, 7), lasts, later);
    }
    assert!(line.jitter_us > 25_000, "{line:?}");
    let much_later = now + Duration::from_secs(181);
    line = Line::with(Some(line), &report(0, 7), lasts, much_later);
    assert_eq!((line.best_bps, line.best_at), (7, much_later));
}

struct Polls {
    election: Election,
    rules: ElectionRules,
    start: Instant,
}

impl Polls {
    fn new() -> Self {
        Self {
            election: Election::default(),
            rules: ElectionRules::default(),
            start: Instant::now(),
        }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn decide(
        &mut self,
        carrier: Carrier,
        scores: &[(HostId, i32)],
        policy: HostingPolicy,
        seconds: u64,
    ) -> Option<HostId> {
        let judged = |(id, score): &(HostId, i32)| {
            let judgement = Judgement {
                score: *score,
                ..Judgement::default()
            };
            (*id, judgement)
        };
        let candidates: Vec<_> = scores.iter().map(judged).collect();
        let now = self.at(seconds);
        self.election
            .decide(carrier, &candidates, policy, &self.rules, now)
    }
}

#[test]
fn the_lead_has_to_last() {
    let mut polls = Polls::new();
    let mut auto = |scores: &[(HostId, i32)], seconds| {
        polls.decide(Carrier::Server, scores, HostingPolicy::Auto, seconds)
    };
    assert_eq!(auto(&[(ONE, 56)], 0), None);
    assert_eq!(auto(&[(ONE, 56)], 9), None);
    assert_eq!(auto(&[(ONE, 55)], 9), None, "it fell back once");
    assert_eq!(auto(&[(ONE, 56)], 10), None);
    assert_eq!(auto(&[(ONE, 56), (TWO, 90)], 19), None);
    assert_eq!(auto(&[(ONE, 56), (TWO, 90)], 20), Some(ONE));
    assert_eq!(auto(&[(ONE, 56), (TWO, 90)], 29), Some(TWO));
}

#[test]
fn policies_say_what_is_needed() {
    let mut polls = Polls::new();
    let poor = [(ONE, -50)];
    for (policy, expected) in [
        (HostingPolicy::Central, None),
        (HostingPolicy::Auto, None),
        (HostingPolicy::PreferParticipant, Some(ONE)),
    ] {
        polls.decide(Carrier::Server, &poor, policy, 0);
        assert_eq!(polls.decide(Carrier::Server, &poor, policy, 10), expected);
        polls.election = Election::default();
    }
}

#[test]
fn a_computer_that_works_is_left_alone() {
    let mut polls = Polls::new();
    let carrier = Carrier::Computer {
        since: polls.start,
        score: 50,
    };
    let mut auto =
        |score, seconds| polls.decide(carrier, &[(TWO, score)], HostingPolicy::Auto, seconds);
    assert_eq!(auto(99, 119), None);
    assert_eq!(auto(90, 120), None);
    assert_eq!(auto(91, 121), None);
    assert_eq!(auto(91, 150), None);
    assert_eq!(auto(91, 151), Some(TWO));
}

#[test]
fn after_three_changes_the_call_stays_on_the_server() {
    let mut polls = Polls::new();
    for seconds in [0, 300, 650] {
        let now = polls.at(seconds);
        polls.election.changed(&polls.rules, now);
    }
    assert!(!polls.election.is_over, "the first is ten minutes old");
    let now = polls.at(700);
    polls.election.changed(&polls.rules, now);
    assert!(polls.election.is_over);
    let best = [(ONE, 200)];
    polls.decide(Carrier::Server, &best, HostingPolicy::Auto, 2000);
    assert_eq!(
        polls.decide(Carrier::Server, &best, HostingPolicy::Auto, 3000),
        None
    );
}
