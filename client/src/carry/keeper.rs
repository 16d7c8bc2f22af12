//! The task between signaling and this computer's host: passes on what both say, and adds the owner's word.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::{Duration, Instant, SystemTime};

use baton_protocol::{HostCommand, HostId, HostMessage, HostRole, StepDownReason};
use baton_server::{Host, HostLink, Snapshots};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::heir::Heir;
use super::mapping::{Mapping, Opening};
use super::processor::Processor;
use super::sleep::Sleep;
use super::suspend::{self, Hold};
use super::watch::Watch;
use super::{CarrierPlan, GOODBYE, News, Request};
use crate::caps::ledger::Ledger;
use crate::caps::{Conditions, Metering, Power, system};
use crate::ramp::ProbePlan;

pub(super) struct Keeper {
    plan: CarrierPlan,
    link: HostLink,
    heir: Option<Heir>,
    to_host: mpsc::Sender<HostCommand>,
    from_host: mpsc::Receiver<HostMessage>,
    host: Host,
    /// What signaling calls it, for the call.
    named: watch::Sender<Option<HostId>>,
    snapshots: Snapshots,
    watch: Watch,
    ledger: Ledger,
    processor: Processor,
    sleep: Sleep,
    /// A sleep of the computer that waits for the call to be elsewhere.
    hold: Option<Hold>,
    /// What the system last said of itself.
    system: (Power, Metering),
    sent: u64,
    ticks: u64,
}

impl Keeper {
    pub(super) fn new(
        plan: CarrierPlan,
        (link, heir): (HostLink, Option<Heir>),
        (to_host, from_host): (mpsc::Sender<HostCommand>, mpsc::Receiver<HostMessage>),
        (host, named): (Host, watch::Sender<Option<HostId>>),
    ) -> Self {
        let snapshots = host.snapshots();
        let watch = Watch::new(plan.room.clone(), plan.consent.caps.clone());
        let file = plan.consent.ledger.as_deref();
        let ledger = file.map(Ledger::load).transpose().unwrap_or_else(|error| {
            tracing::warn!(%error, "what was sent for others this month cannot be read; it is counted anew");
            None
        });
        Self {
            plan,
            link,
            heir,
            to_host,
            from_host,
            host,
            named,
            snapshots,
            watch,
            ledger: ledger.unwrap_or_default(),
            processor: Processor::default(),
            sleep: Sleep::default(),
            hold: None,
            system: (Power::Unknown, Metering::Unknown),
            sent: 0,
            ticks: 0,
        }
    }

    /// Runs until the handle or the link is gone.
    pub(super) async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        news: mpsc::Sender<News>,
    ) {
        let (opened, mut openings) = mpsc::channel(OPENINGS);
        let port = NonZeroU16::new(self.host.media().port());
        // Who is on the same computer needs no router.
        let port = port.filter(|_| !self.plan.is_loopback);
        let mapping = port.map(|port| Mapping::start(port, opened));
        let (held, mut holds) = mpsc::channel(1);
        let listener = tokio::spawn(suspend::listen(held));
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = self.link.commands.recv() => match command {
                    Some(command) => {
                        if let Some(probe) = self.probe(&command) {
                            // Who does not keep up with news has no time for a probe.
                            let _ = news.try_send(News::Probe(probe));
                        }
                        self.handle_command(command).await;
                    }
                    None => break,
                },
                Some(message) = self.from_host.recv() => self.handle_message(message).await,
                _ = ticks.tick() => {
                    self.handle_tick().await;
                    if let Some(heir) = &mut self.heir
                        && let Some(one) = heir.tick(Instant::now()).await
                    {
                        let _ = news.try_send(News::Said(one));
                    }
                }
                Some(hold) = holds.recv() => self.handle_suspend(hold).await,
                Some(opening) = openings.recv() => self.handle_opening(opening).await,
                request = requests.recv() => match request {
                    Some(Request::StepDown(reason)) => self.step_down(reason).await,
                    Some(Request::Spent(bytes)) => self.ledger.add(bytes, SystemTime::now()),
                    Some(Request::Reflector(server)) => self.set_reflector(server).await,
                    Some(Request::Relay(server)) => self.host.set_relay(server).await,
                    Some(Request::Signaling(lost)) => {
                        if let Some(heir) = &mut self.heir {
                            heir.note_signaling(lost, Instant::now());
                        }
                    }
                    None => break,
                },
            }
            if !self.watch.is_active() {
                // Nothing is in the way of a sleep.
                self.hold = None;
            }
            while let Some(one) = self.watch.poll_news() {
                // Whoever does not listen misses a figure.
                let _ = news.try_send(News::Said(one));
            }
        }
        self.save();
        listener.abort();
        let closed = async {
            if let Some(mapping) = mapping {
                mapping.stop(GOODBYE).await;
            }
        };
        tokio::join!(closed, self.host.stop(GOODBYE));
    }

    /// The computer is about to sleep: the call goes elsewhere first. The system waits no longer than it wants to.
    async fn handle_suspend(&mut self, hold: Hold) {
        if self.watch.is_active() {
            self.hold = Some(hold);
            self.step_down(StepDownReason::Suspend).await;
        }
    }

    /// The router opened or closed a way in.
    async fn handle_opening(&mut self, opening: Opening) {
        let (outside, by) = opening.unzip();
        self.host.set_mapped(outside).await;
        self.watch.note_opening(outside, by);
    }

    /// What signaling wants to know of the line, within what the owner allows.
    fn probe(&mut self, command: &HostCommand) -> Option<ProbePlan> {
        let HostCommand::ProbeUplink {
            room,
            up_to_bps,
            budget_bytes,
        } = command
        else {
            return None;
        };
        let conditions = self.conditions();
        let caps = &self.plan.consent.caps;
        let is_allowed =
            *room == self.plan.room && caps.objections_to_begin(&conditions).is_empty();
        is_allowed.then(|| ProbePlan {
            up_to_bps: caps
                .uplink_bps
                .map_or(*up_to_bps, |cap| cap.min(*up_to_bps)),
            budget_bytes: (*budget_bytes).min(PROBE_BYTES),
        })
    }

    async fn handle_command(&mut self, command: HostCommand) {
        if let HostCommand::Serve {
            room,
            epoch,
            role: HostRole::Next,
            ..
        } = &command
        {
            let conditions = self.conditions();
            if let Some(reason) = self.watch.objection_to_begin(&conditions) {
                let (room, epoch) = (room.clone(), *epoch);
                self.say(HostMessage::Declined {
                    room,
                    epoch,
                    reason,
                })
                .await;
                return;
            }
        }
        if let HostCommand::Accepted { host, .. } = &command {
            self.named.send_replace(Some(*host));
        }
        self.watch.note_command(&command);
        if let Some(heir) = &mut self.heir {
            let before = heir.place();
            heir.note_command(&command, SystemTime::now());
            // Signaling may be gone before the next turn.
            if heir.place() != before {
                self.say_fitness().await;
            }
        }
        // The host is gone with this task only.
        let _ = self.to_host.send(command).await;
    }

    async fn handle_message(&mut self, message: HostMessage) {
        self.watch.note_message(&message);
        self.say(message).await;
    }

    async fn handle_tick(&mut self) {
        let has_slept = self.sleep.look(Instant::now(), SystemTime::now());
        self.processor.look(Instant::now());
        if self.ticks.is_multiple_of(SYSTEM_EVERY) {
            let asked = tokio::task::spawn_blocking(|| (system::power(), system::metering()));
            self.system = asked.await.unwrap_or_default();
        }
        let stats = self.snapshots.latest();
        let sum =
            |figure: fn(&baton_server::Snapshot) -> u64| stats.iter().map(figure).sum::<u64>();
        let forwarded = sum(|one| one.engine.bytes_out + one.engine.padding_bytes_out);
        // What this computer is sent itself costs its line nothing.
        let sent = forwarded.saturating_sub(sum(|one| one.traffic.inside_bytes));
        let fresh = sent.saturating_sub(std::mem::replace(&mut self.sent, sent));
        self.ledger.add(fresh, SystemTime::now());
        self.watch.note_sent(fresh * 8);
        let conditions = self.conditions();
        let reason = if has_slept {
            self.watch.is_active().then_some(StepDownReason::Suspend)
        } else {
            self.watch.reason_to_stop(&conditions)
        };
        if let Some(reason) = reason {
            self.step_down(reason).await;
        }
        if self.ticks.is_multiple_of(FITNESS_EVERY) {
            self.say_fitness().await;
        }
        if self.ticks % SAVE_EVERY == SAVE_EVERY - 1 {
            self.save();
        }
        self.ticks += 1;
    }

    async fn say_fitness(&mut self) {
        let conditions = self.conditions();
        let free = self.processor.free_percent();
        let mut fitness = self.watch.fitness(&conditions, free);
        fitness.signaling = self.heir.as_ref().and_then(Heir::place);
        let room = self.plan.room.clone();
        self.say(HostMessage::Fitness { room, fitness }).await;
    }

    fn conditions(&mut self) -> Conditions {
        let (power, metering) = self.system;
        Conditions {
            power,
            metering,
            sent_this_month: self.ledger.sent(SystemTime::now()),
            sent_bps: self.watch.sent_bps(),
            guests: self.watch.guests(),
        }
    }

    async fn step_down(&mut self, reason: StepDownReason) {
        if let Some(message) = self.watch.step_down(reason) {
            self.say(message).await;
        }
    }

    async fn set_reflector(&self, server: SocketAddr) {
        self.host.set_reflector(server).await;
    }

    /// While signaling is away the link remembers what counts.
    async fn say(&self, message: HostMessage) {
        let _ = self.link.messages.send(message).await;
    }

    fn save(&self) {
        let file = self.plan.consent.ledger.as_deref();
        if let Some(Err(error)) = file.map(|file| self.ledger.save(file)) {
            tracing::warn!(%error, "what was sent for others this month cannot be kept");
        }
    }
}

const TICK: Duration = Duration::from_secs(1);

/// Most that a probe may cost, whatever signaling says.
const PROBE_BYTES: u64 = 10_000_000;

/// What the router said and was not looked at yet.
const OPENINGS: usize = 4;

/// In ticks.
const FITNESS_EVERY: u64 = 2;
const SYSTEM_EVERY: u64 = 10;
const SAVE_EVERY: u64 = 60;
