//! The call's legs to the hosts that signaling names: opening, changing over, falling back, and saying how far one is.

use std::time::{Duration, Instant};

use baton_protocol::{HostId, HostKind, Hosting, LegId, MoveStep, PeerMessage};

use super::course::{Part, Reached, Wanted, changes_host, check_answer, progress, wanted};
use super::current::Current;
use super::pulses::{Pulses, Silence};
use super::{Call, CallEvent};
use crate::view::{Size, Want, wants};

impl Call {
    /// Asks that this computer carry the call, or the server (`None`). False where signaling is away.
    pub fn pass_baton(&self, to: Option<HostId>) -> bool {
        self.is_joined && self.session.say(PeerMessage::PassBaton { to })
    }

    /// Does this participant never connect to another's computer?
    pub fn uses_server(&self) -> bool {
        self.plan.uses_server
    }

    /// Never connect to another participant's computer, or do so again; the server serves one meanwhile.
    pub fn use_server(&mut self, always: bool) {
        self.plan.uses_server = always;
        // Said again by the next join, if signaling is away.
        if self.is_joined {
            self.session.say(PeerMessage::UseServer { always });
        }
        self.settle(Instant::now());
    }

    /// Signaling said who carries the call. An older term than the present one is not believed.
    pub(super) fn handle_hosting(&mut self, hosting: Hosting, now: Instant) {
        let Some(is_new_host) = changes_host(self.hosting.as_ref(), &hosting) else {
            return;
        };
        if is_new_host {
            self.pulses = Pulses::default();
            self.is_loss_said = false;
        }
        let said = Box::new(hosting.clone());
        self.hosting = Some(hosting);
        self.news.push_back(CallEvent::Hosting { hosting: said });
        self.settle(now);
    }

    /// Makes the legs what they shall be, and says what is to be said of it. Cheap where nothing changed.
    pub(super) fn settle(&mut self, now: Instant) {
        let Some(room) = &self.room else { return };
        let avoids = self.plan.uses_server.then_some(room.me());
        let wanted = wanted(self.hosting.as_ref(), room.host(), avoids);
        self.assign_parts(&wanted, now);
        self.open_missing(&wanted, now);
        self.show(now);
        self.change_over(now);
        self.show(now);
        self.report_progress();
    }

    fn assign_parts(&mut self, wanted: &[Wanted], now: Instant) {
        for current in &mut self.legs {
            let found = wanted.iter().find(|one| one.host == current.host);
            match found {
                Some(one) => {
                    current.part = one.part;
                    current.leaves_at = None;
                    current.arriving_since = match one.part {
                        Part::Arriving => current.arriving_since.or(Some(now)),
                        Part::Main | Part::Standby | Part::Next => None,
                    };
                }
                None => {
                    current.part = Part::Standby;
                    current.leaves_at.get_or_insert(now + LEAVE);
                }
            }
        }
        let is_over = |current: &Current| current.leaves_at.is_some_and(|at| at <= now);
        let over: Vec<LegId> = self
            .legs
            .iter()
            .filter(|current| is_over(current))
            .map(Current::id)
            .collect();
        for leg in over {
            self.close(leg, "its host does not carry this call any more");
        }
    }

    fn open_missing(&mut self, wanted: &[Wanted], now: Instant) {
        for one in wanted {
            if self.legs.iter().any(|current| current.host == one.host) {
                continue;
            }
            let due = match one.part {
                Part::Main => self.reopen_at,
                Part::Standby | Part::Next | Part::Arriving => self.retry_at,
            };
            if due.is_none_or(|due| due <= now) && !one.is_void(self.failed_move) {
                self.open(*one, now);
            }
        }
    }

    /// Which leg is shown, and which are published on.
    fn change_over(&mut self, now: Instant) {
        let silence = self.pulses.silence(now);
        let usable = |part| {
            let mut legs = self.legs.iter();
            legs.find(|current| {
                current.part == part && current.leaves_at.is_none() && current.is_usable()
            })
            .map(Current::id)
        };
        let main = self.legs.iter().find(|current| current.part == Part::Main);
        let has_sound = main.is_some_and(Current::hears);
        // Until the main one is up, what one is served by goes on, if there is something.
        let is_up = main.is_some_and(Current::is_usable);
        let main = main.map(Current::id);
        let served = self.shown.filter(|leg| {
            let mut legs = self.legs.iter();
            !is_up && legs.any(|one| one.id() == *leg && one.is_usable())
        });
        let refuge = usable(Part::Standby).filter(|_| silence > Silence::None);
        let arriving = usable(Part::Arriving);
        let has_arrived = arriving.is_some_and(|leg| {
            let mut legs = self.legs.iter();
            let stage = self.stage.as_ref();
            let is_taken = stage.is_none_or(|stage| stage.is_taken(leg, now));
            legs.any(|current| {
                current.id() == leg && has_arrived(current, has_sound, is_taken, now)
            })
        });
        for current in &mut self.legs {
            let id = Some(current.id());
            let is_on = match current.part {
                Part::Main => true,
                Part::Arriving => id == arriving,
                Part::Standby => id == refuge,
                Part::Next => false,
            };
            let is_serving = id == served;
            current.publish(is_serving || (is_on && current.leaves_at.is_none()));
        }
        let shown = if silence >= Silence::Silent && refuge.is_some() {
            refuge
        } else if has_arrived {
            arriving
        } else {
            served.or(main)
        };
        if let Some(stage) = &self.stage {
            stage.direct(shown, refuge.or(arriving), refuge.is_some(), now);
        }
        if let Some(leg) = shown
            && self.shown != shown
        {
            self.shown = shown;
            self.news.push_back(CallEvent::Switched { leg });
        }
        if silence == Silence::Lost && !self.is_loss_said && self.is_joined {
            self.say_lost(now);
        }
    }

    /// No leg to this host came up. If it is another participant's computer, signaling is told: the server can serve one instead.
    pub(super) fn note_unreached(&mut self, host: HostId) {
        let Some(hosting) = &self.hosting else { return };
        let is_computer = hosting.term.kind == HostKind::Participant;
        if is_computer && hosting.term.host == host && self.is_joined {
            let (epoch, step) = (hosting.term.epoch, MoveStep::Failed);
            self.session.say(PeerMessage::MoveProgress { epoch, step });
        }
    }

    fn say_lost(&mut self, now: Instant) {
        let Some(hosting) = &self.hosting else { return };
        let (epoch, silent_ms) = (hosting.term.epoch, self.pulses.silent_ms(now));
        self.is_loss_said = self.session.say(PeerMessage::HostLost { epoch, silent_ms });
        self.news
            .push_back(CallEvent::HostLost { epoch, silent_ms });
    }

    /// Says each step of a move once; after the socket was away, again.
    fn report_progress(&mut self) {
        let moving = self
            .hosting
            .as_ref()
            .and_then(|known| known.moving.as_ref());
        let Some(moving) = moving.filter(|_| self.is_joined) else {
            return;
        };
        let mut legs = self.legs.iter();
        let leg = legs.find(|current| current.host == moving.to.host);
        let is_shown = leg.is_some_and(|leg| Some(leg.id()) == self.shown);
        // Who has no media has nothing to carry over, and is where everybody is.
        let reached = if is_shown || !self.plan.has_media() {
            Reached::Shown
        } else if leg.is_some_and(Current::is_usable) {
            Reached::Usable
        } else {
            Reached::NotYet
        };
        if let Some((epoch, step)) = progress(moving, self.failed_move, reached, self.said_step)
            && self.session.say(PeerMessage::MoveProgress { epoch, step })
        {
            self.said_step = Some((epoch, step));
        }
    }

    /// Tells every host what to show: the shown and the arriving one everything, the others nothing.
    pub(super) fn show(&mut self, now: Instant) {
        let Some(room) = &self.room else { return };
        let all = wants(room, &self.speakers, self.plan.watch);
        let silence = self.pulses.silence(now);
        let main = self.legs.iter().find(|current| current.part == Part::Main);
        // Who takes a slot over has it where it was.
        let view = main.map(|current| current.view.clone());
        for current in &mut self.legs {
            let is_shown = Some(current.id()) == self.shown;
            let is_wanted = match current.part {
                Part::Main | Part::Arriving => true,
                Part::Standby => silence > Silence::None,
                Part::Next => false,
            };
            let is_wanted = is_shown || (is_wanted && current.leaves_at.is_none());
            let wants: &[Want] = if is_wanted { &all } else { &[] };
            if current.part != Part::Main
                && current.said.as_ref().is_none_or(Vec::is_empty)
                && let Some(view) = &view
            {
                current.view = view.clone();
            }
            let is_only_suspected = current.part == Part::Standby && silence == Silence::Suspicious;
            if is_only_suspected {
                let small: Vec<Want> = wants
                    .iter()
                    .map(|want| Want {
                        size: SMALL,
                        ..*want
                    })
                    .collect();
                current.show(&small);
            } else {
                current.show(wants);
            }
        }
    }

    pub(super) fn check_answer(&self, current: &Current, sdp: &str) -> Result<(), String> {
        let (hosting, key) = (self.hosting.as_ref(), self.signing_key.as_ref());
        check_answer(hosting, key, current.host, sdp)
    }

    /// When something of this is due.
    pub(super) fn hosting_deadline(&self, now: Instant) -> Option<Instant> {
        let leaving = self.legs.iter().filter_map(|current| current.leaves_at);
        let arriving = self
            .legs
            .iter()
            .any(|current| current.part == Part::Arriving);
        let look = arriving.then(|| now + LOOK);
        let retry = self.retry_at.filter(|at| *at > now);
        let pulse = self.pulses.deadline(now);
        leaving.chain(look).chain(retry).chain(pulse).min()
    }
}

/// Does everything come from the new host? After three seconds whatever is missing is missed on the old one just as much.
fn has_arrived(leg: &Current, has_sound: bool, is_taken: bool, now: Instant) -> bool {
    let is_late = leg
        .arriving_since
        .is_some_and(|since| now - since >= ARRIVE);
    is_late || (is_taken && leg.is_showing() && (leg.hears() || !has_sound))
}

/// Legs to hosts that are not named any more live on for so long.
const LEAVE: Duration = Duration::from_secs(3);

/// Longest wait for pictures and sound of a new host.
const ARRIVE: Duration = Duration::from_secs(3);

/// Between two looks at whether everything comes from the new host.
const LOOK: Duration = Duration::from_millis(20);

/// Pictures that are fetched on a mere suspicion.
const SMALL: Size = Size {
    width: 160,
    height: 90,
};
