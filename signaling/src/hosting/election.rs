//! Whether a participant's computer should carry the call, and which: hard gates first, then a score that has to lead by a
//! margin for a while. Pure.
//!
//! What a computer's line carries is what hosts measured of it, never what it says of itself; that it does not want to, or runs
//! from a battery, nobody knows better than itself.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use baton_protocol::{Fitness, HostId, HostLoad, HostingPolicy, LineQuality, PowerSource};

mod written;

/// When a call changes hosts by itself.
#[derive(Clone, Debug)]
pub struct ElectionRules {
    /// How long a computer has to be there first.
    pub seasoned: Duration,
    /// Points by which it has to be better than the server, and for how long.
    pub leave_server: (i32, Duration),
    /// Points by which it has to be better than another computer, and for how long.
    pub change_computer: (i32, Duration),
    /// How long a computer carries the call before another one may take over.
    pub tenure: Duration,
    /// Changes within `changes_in`, after which the call stays on the server.
    pub changes: usize,
    /// See `changes`.
    pub changes_in: Duration,
    /// How long a computer is not asked again that failed.
    pub back_off: Duration,
    /// Between the first two probes of one line; twice as long each time after, for they cost its owner something.
    pub probe_every: Duration,
    /// Who could not reach the computer that carries the call tries it again after this.
    pub retry: Duration,
    /// How long a measurement counts.
    pub measured: Duration,
    /// Share of one core that has to be free, in percent.
    pub cpu_free_percent: u16,
    /// Most jitter of what comes from it, in microseconds.
    pub jitter_us: u32,
}

impl Default for ElectionRules {
    fn default() -> Self {
        Self {
            seasoned: Duration::from_secs(60),
            leave_server: (25, Duration::from_secs(10)),
            change_computer: (40, Duration::from_secs(30)),
            tenure: Duration::from_secs(120),
            changes: 3,
            changes_in: Duration::from_secs(600),
            back_off: Duration::from_secs(600),
            probe_every: Duration::from_secs(60),
            retry: Duration::from_secs(180),
            measured: Duration::from_secs(180),
            cpu_free_percent: 50,
            jitter_us: 12_000,
        }
    }
}

/// What carrying the call would ask of a computer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forecast {
    /// People it would serve.
    pub(crate) guests: u32,
    /// Bits per second that it would send.
    pub(crate) egress_bps: u64,
    /// Bytes of the largest keyframe, which goes to all of them at once.
    pub(crate) keyframe: u64,
}

/// What the room's host measured of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The most that came from it lately, in bits per second.
    pub(crate) best_bps: u64,
    /// When that was.
    pub(crate) best_at: Instant,
    /// Loss of late, in parts per million.
    pub(crate) loss_ppm: u32,
    /// Jitter of late, in microseconds.
    pub(crate) jitter_us: u32,
    /// Newest round trip, in microseconds.
    pub(crate) rtt_us: u32,
}

impl Line {
    /// What a host says of a line, with what it said before. One report alone makes no line bad; the best lasts for `lasts`.
    pub(crate) fn with(
        before: Option<Self>,
        new: &LineQuality,
        lasts: Duration,
        now: Instant,
    ) -> Self {
        let best =
            before.filter(|known| known.best_bps > new.received_bps && now < known.best_at + lasts);
        let mixed = |before: u32, new: u32| {
            let sum = 3 * u64::from(before) + u64::from(new);
            u32::try_from(sum / 4).unwrap_or(u32::MAX)
        };
        Self {
            best_bps: best.map_or(new.received_bps, |best| best.best_bps),
            best_at: best.map_or(now, |best| best.best_at),
            loss_ppm: before.map_or(new.loss_ppm, |known| mixed(known.loss_ppm, new.loss_ppm)),
            jitter_us: before.map_or(new.jitter_us, |known| mixed(known.jitter_us, new.jitter_us)),
            rtt_us: new.rtt_us,
        }
    }
}

/// All that is known of a computer.
pub(crate) struct Facts<'a> {
    pub(crate) fitness: Option<&'a Fitness>,
    pub(crate) line: Option<&'a Line>,
    /// How long it has been there.
    pub(crate) there_for: Duration,
    /// Since it failed last.
    pub(crate) failed_for: Option<Duration>,
    /// What only the room knows against it.
    pub(crate) objections: Vec<String>,
}

/// What comes out for one computer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Points; more is better.
    pub(crate) score: i32,
    /// Why it cannot carry the call, for people. Says no figures that change all the time.
    pub(crate) why_not: Vec<String>,
    /// Only its line stands against it, which may not have been measured for so much yet.
    pub(crate) wants_probe: bool,
}

/// The server's points: everybody reaches it.
const SERVER: i32 = 30;

/// Share of a line that is planned with, in percent.
const SAFE_PERCENT: u64 = 70;

/// What is needed has to fit with so much to spare, in percent.
const SPARE_PERCENT: u64 = 125;

/// Longest time for one keyframe to reach everybody.
const BURST_MS: u64 = 100;

/// Weighs one computer.
pub(crate) fn judge(facts: &Facts<'_>, forecast: &Forecast, rules: &ElectionRules) -> Judgement {
    let mut why_not = facts.objections.clone();
    let mut against = |is_so: bool, why: &str| {
        if is_so {
            why_not.push(why.to_owned());
        }
    };
    against(forecast.guests == 0, "nobody else is in the call");
    let is_new = facts.there_for < rules.seasoned;
    against(is_new, "it has not been here for long enough");
    let failed = facts.failed_for;
    let is_out = failed.is_some_and(|since| since < rules.back_off);
    against(is_out, "it failed a short while ago");
    let Some(fitness) = facts.fitness else {
        against(true, "it has not said yet how it is");
        return Judgement {
            why_not,
            ..Judgement::default()
        };
    };
    against(fitness.metered, "its line costs by the byte");
    let is_low = matches!(fitness.power, PowerSource::Battery(percent) if percent <= 50);
    against(is_low, "its battery is not full enough");
    let is_busy = fitness.cpu_free_percent < rules.cpu_free_percent;
    against(is_busy, "its processor is busy");
    let cap = fitness.guests_cap.map(u32::from);
    let is_over = cap.is_some_and(|cap| cap < forecast.guests);
    against(is_over, "its owner allows fewer people");
    let needed = forecast.egress_bps * SPARE_PERCENT / 100;
    let is_over = fitness.uplink_cap_bps.is_some_and(|cap| cap < needed);
    against(is_over, "its owner allows it to send less than is needed");
    why_not.extend(fitness.objections.iter().cloned());
    if let Some(line) = facts.line {
        let is_lossy = line.loss_ppm > 10_000 || line.jitter_us > rules.jitter_us;
        if is_lossy {
            why_not.push("its line loses or delays too much".to_owned());
        }
    }
    let uplink = facts.line.map_or(0, |line| line.best_bps);
    let safe = uplink * SAFE_PERCENT / 100;
    let burst_bits = u64::from(forecast.guests) * forecast.keyframe * 8;
    let carries = safe >= needed && burst_bits * 1000 <= uplink * BURST_MS;
    let wants_probe = why_not.is_empty() && !carries;
    if !carries {
        why_not.push("its line was not measured to carry so much".to_owned());
    }
    Judgement {
        score: score(facts, fitness, safe, forecast),
        why_not,
        wants_probe,
    }
}

/// When a line may be probed again that was `times` times, at `last` the last time.
pub(crate) fn probe_due(last: Instant, times: u32, rules: &ElectionRules) -> Instant {
    let doublings = times.saturating_sub(1).min(MOST_DOUBLINGS);
    last + rules.probe_every * 2_u32.pow(doublings)
}

/// A line that never was good enough is probed every half an hour by default.
const MOST_DOUBLINGS: u32 = 5;

/// Bits per second for which a line is worth probing.
pub(crate) fn probe_target(forecast: &Forecast) -> u64 {
    let mean = forecast.egress_bps * SPARE_PERCENT / SAFE_PERCENT;
    let burst = u64::from(forecast.guests) * forecast.keyframe * 8 * 1000 / BURST_MS;
    mean.max(burst) * 5 / 4
}

/// `research/hosting.md` section 2.5, without what nobody can measure yet (latency gain, wire, public address).
#[expect(clippy::cast_possible_truncation, reason = "points are small")]
fn score(facts: &Facts<'_>, fitness: &Fitness, safe: u64, forecast: &Forecast) -> i32 {
    let headroom = safe as f64 / forecast.egress_bps.max(1) as f64;
    let headroom = 20.0 * headroom.clamp(1.0, 8.0).log2();
    let mains = if fitness.power == PowerSource::Mains {
        10.0
    } else {
        0.0
    };
    // Everybody comes along or nobody does, and all that the server sent is saved.
    let (reach, saved) = (30.0, 40.0);
    // Who has been here for long stays for long (Pareto).
    let there = facts.there_for.as_secs_f64();
    let leaves = 1.0 - ((there + 300.0) / (there + 900.0)).powf(0.7);
    let failed = if facts.failed_for.is_some() {
        30.0
    } else {
        0.0
    };
    (headroom + mains + reach + saved - 150.0 * leaves - failed) as i32
}

/// Why a computer is not up to carrying the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overload {
    /// For people.
    pub(crate) why: &'static str,
    /// Renewals in a row that tell of it before the call goes back: one alone may have been a moment.
    pub(crate) patience: u8,
}

/// Is a computer up to carrying the call? What only one guest has trouble with is that guest's line.
pub(crate) fn overload(load: &HostLoad) -> Option<Overload> {
    let because = |why, patience| Some(Overload { why, patience });
    if load.is_general(load.legs_queueing) {
        return because("packets wait too long for its line", 2);
    }
    if load.is_general(load.legs_losing) {
        return because("too much of what it sends is lost", 2);
    }
    if (1..LEAST_CPU).contains(&load.cpu_free_percent) {
        return because("its processor is too slow", 2);
    }
    if load.is_general(load.legs_short) {
        // What a line carries is found out anew in each term, and that takes a few seconds.
        return because("its line is too short for what the call asks of it", 5);
    }
    None
}

/// Share of the core that forwards that has to be free, in percent.
const LEAST_CPU: u16 = 15;

/// Who leads, since when, and how often the call has changed hosts.
#[derive(Debug, Default)]
pub(crate) struct Election {
    leads: BTreeMap<HostId, Instant>,
    changes: VecDeque<Instant>,
    /// Changed too often: it stays on the server.
    is_over: bool,
}

/// Who carries the call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A server of the operator.
    Server,
    /// A participant's computer, since when and with how many points.
    Computer { since: Instant, score: i32 },
}

impl Election {
    /// The call has changed hosts.
    pub(crate) fn changed(&mut self, rules: &ElectionRules, now: Instant) {
        self.leads.clear();
        self.changes.push_back(now);
        let is_old = |at: &Instant| *at + rules.changes_in <= now;
        while self.changes.front().is_some_and(is_old) {
            self.changes.pop_front();
        }
        self.is_over |= self.changes.len() >= rules.changes;
    }

    /// To which computer the call should move now.
    pub(crate) fn decide(
        &mut self,
        carrier: Carrier,
        candidates: &[(HostId, Judgement)],
        policy: HostingPolicy,
        rules: &ElectionRules,
        now: Instant,
    ) -> Option<HostId> {
        if self.is_over || policy == HostingPolicy::Central {
            return None;
        }
        let (bar, patience) = match carrier {
            Carrier::Server if policy == HostingPolicy::PreferParticipant => {
                (i32::MIN, rules.leave_server.1)
            }
            Carrier::Server => (SERVER + rules.leave_server.0, rules.leave_server.1),
            Carrier::Computer { since, .. } if now < since + rules.tenure => return None,
            Carrier::Computer { score, .. } => {
                (score + rules.change_computer.0, rules.change_computer.1)
            }
        };
        let leading = candidates
            .iter()
            .filter(|(_, judged)| judged.why_not.is_empty() && judged.score > bar);
        let leading: BTreeMap<_, _> = leading.map(|(id, judged)| (*id, judged.score)).collect();
        self.leads.retain(|id, _| leading.contains_key(id));
        for id in leading.keys() {
            self.leads.entry(*id).or_insert(now);
        }
        let waited = leading.iter().filter(|(id, _)| {
            let since = self.leads.get(*id);
            since.is_some_and(|since| *since + patience <= now)
        });
        // The lower number wins a tie.
        let best = waited.max_by_key(|(id, score)| (**score, std::cmp::Reverse(**id)));
        best.map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests;
