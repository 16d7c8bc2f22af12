//! Bridges between a participant's computer that carries a call and the server that serves those who stay there, as signaling sees
//! them: which there shall be, and how far each is. Pure; commands are written in `registry/baton/bridges`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use baton_protocol::{BridgeId, Epoch, HostId};

/// Both hosts are connected within this time, or it is tried again.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// And not sooner than this after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// What a bridge is to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) server: HostId,
    /// Of the computer's term.
    pub(crate) epoch: Epoch,
}

/// How far a bridge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The computer was asked for its end.
    Offering { until: Instant },
    /// The server was asked for its end.
    Answering { until: Instant },
    /// Both know each other.
    Connecting { until: Instant },
    /// It is used.
    Up,
    /// It failed, and is to be tried again.
    Resting { until: Instant },
}

/// One bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bridge {
    pub(crate) id: BridgeId,
    pub(crate) ends: Ends,
    pub(crate) stage: Stage,
}

/// All of a room, by the computer.
#[derive(Debug, Default)]
pub(crate) struct Bridges {
    all: BTreeMap<HostId, Bridge>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask this computer to open it.
    Open(HostId, Bridge),
    /// Tell both that it is over.
    Close(HostId, Bridge),
}

impl Bridges {
    /// Compares what there is with what is `wanted`. `number` gives numbers that were not used before.
    pub(crate) fn settle(
        &mut self,
        wanted: &BTreeMap<HostId, Ends>,
        mut number: impl FnMut() -> u32,
        now: Instant,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        self.all.retain(|computer, bridge| {
            let stays = wanted.get(computer) == Some(&bridge.ends);
            if !stays && !matches!(bridge.stage, Stage::Resting { .. }) {
                steps.push(Step::Close(*computer, *bridge));
            }
            stays
        });
        for (computer, bridge) in &mut self.all {
            if bridge.stage.until().is_none_or(|until| now < until) {
                continue;
            }
            if let Stage::Resting { .. } = bridge.stage {
                bridge.id = BridgeId(number());
                bridge.stage = Stage::offering(now);
                steps.push(Step::Open(*computer, *bridge));
            } else {
                steps.push(Step::Close(*computer, *bridge));
                bridge.stage = Stage::resting(now);
            }
        }
        for (computer, ends) in wanted {
            self.all.entry(*computer).or_insert_with(|| {
                let bridge = Bridge {
                    id: BridgeId(number()),
                    ends: *ends,
                    stage: Stage::offering(now),
                };
                steps.push(Step::Open(*computer, bridge));
                bridge
            });
        }
        steps
    }

    /// The bridge with this number, and its computer.
    pub(crate) fn find(&mut self, id: BridgeId) -> Option<(HostId, &mut Bridge)> {
        let mut all = self.all.iter_mut();
        let (computer, bridge) = all.find(|(_, bridge)| bridge.id == id)?;
        Some((*computer, bridge))
    }

    /// Is the one to this computer in use?
    pub(crate) fn is_up(&self, computer: HostId) -> bool {
        let bridge = self.all.get(&computer);
        bridge.is_some_and(|bridge| bridge.stage == Stage::Up)
    }

    /// When [`Self::settle`] has to be asked again at the latest.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.all.values().filter_map(|one| one.stage.until()).min()
    }
}

impl Stage {
    fn offering(now: Instant) -> Self {
        Self::Offering {
            until: now + OPEN_WITHIN,
        }
    }

    fn resting(now: Instant) -> Self {
        Self::Resting { until: now + PAUSE }
    }

    fn until(self) -> Option<Instant> {
        match self {
            Self::Offering { until }
            | Self::Answering { until }
            | Self::Connecting { until }
            | Self::Resting { until } => Some(until),
            Self::Up => None,
        }
    }
}

impl Bridge {
    /// The computer has told its end. True if that was asked.
    pub(crate) fn offered(&mut self) -> bool {
        let Stage::Offering { until } = self.stage else {
            return false;
        };
        self.stage = Stage::Answering { until };
        true
    }

    /// The server has told its end. True if that was asked.
    pub(crate) fn answered(&mut self) -> bool {
        let Stage::Answering { until } = self.stage else {
            return false;
        };
        self.stage = Stage::Connecting { until };
        true
    }

    /// One of the two is connected. True if that was news.
    pub(crate) fn connected(&mut self) -> bool {
        let is_news = matches!(self.stage, Stage::Connecting { .. });
        if is_news {
            self.stage = Stage::Up;
        }
        is_news
    }

    /// It failed or ended.
    pub(crate) fn ended(&mut self, now: Instant) {
        self.stage = Stage::resting(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPUTER: HostId = HostId(7);
    const ENDS: Ends = Ends {
        server: HostId(1),
        epoch: Epoch(2),
    };

    #[test]
    fn a_bridge_is_opened_once_and_again_after_it_failed() {
        let mut bridges = Bridges::default();
        let wanted = BTreeMap::from([(COMPUTER, ENDS)]);
        let mut count = 0;
        let mut number = move || {
            count += 1;
            count
        };
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let steps = bridges.settle(&wanted, &mut number, at(0));
        let [Step::Open(COMPUTER, first)] = steps[..] else {
            panic!("{steps:?}");
        };
        assert_eq!(bridges.settle(&wanted, &mut number, at(100)), []);
        let (_, bridge) = bridges.find(first.id).expect("there");
        assert!(!bridge.answered(), "nobody has offered anything");
        assert!(bridge.offered() && bridge.answered());
        assert!(!bridges.is_up(COMPUTER));
        let (_, bridge) = bridges.find(first.id).expect("there");
        assert!(bridge.connected() && !bridge.connected(), "said by both");
        assert!(bridges.is_up(COMPUTER));
        assert_eq!(bridges.settle(&wanted, &mut number, at(90_000)), []);
        let (_, bridge) = bridges.find(first.id).expect("there");
        bridge.ended(at(90_000));
        assert_eq!(bridges.settle(&wanted, &mut number, at(90_500)), []);
        let steps = bridges.settle(&wanted, &mut number, at(91_000));
        let [Step::Open(COMPUTER, second)] = steps[..] else {
            panic!("{steps:?}");
        };
        assert_ne!(first.id, second.id);
        let steps = bridges.settle(&wanted, &mut number, at(96_000));
        assert_eq!(steps.len(), 1, "nobody answered in time: {steps:?}");
        assert!(matches!(steps[0], Step::Close(COMPUTER, _)));
        let steps = bridges.settle(&BTreeMap::new(), &mut number, at(96_100));
        assert_eq!(steps, [], "it is closed already");
        assert_eq!(bridges.until(), None);
    }
}
