//! What a worker does on a participant's computer only: asks leave before it serves and sends, and goes on asking.
//!
//! On the operator's computers all of this is one comparison with `None`.

use std::time::{Duration, Instant};

use baton_engine::Bitrate;
use baton_protocol::{HostCommand, StepDownReason};

use super::Worker;
use super::meter::thread_time;
use crate::host::clock::{BootTime, Moment};
use crate::host::tenure::Verdict;

/// Of what the lines were found to carry together, this part is sent while the call is handed back.
const HELD_BACK: u64 = 3;

/// A thread that sleeps longer than it has to must be told from one that was stopped.
const LOOK: Duration = Duration::from_millis(250);

impl Worker {
    /// Tells the tenure that this thread runs.
    pub(super) fn look(&mut self) {
        if let Some(tenure) = &mut self.tenure {
            tenure.look(BootTime::now());
        }
    }

    /// When it has to be told again at the latest.
    pub(super) fn next_look(&self) -> Instant {
        match self.tenure {
            Some(_) => Instant::now() + LOOK,
            None => self.publish_at,
        }
    }

    /// May this call go out? Looks again each time, for the thread may have been stopped since the last.
    pub(super) fn may_send(&mut self) -> bool {
        self.look();
        self.tenure.as_ref().is_none_or(super::Tenure::may_send)
    }

    /// Gives a command to the engine, if signaling may command it.
    pub(super) fn command(&mut self, command: HostCommand, now: Instant) {
        let verdict = match &mut self.tenure {
            None => Verdict::Pass(command),
            Some(tenure) => tenure.handle_command(command, Moment::now()),
        };
        if let Verdict::Pass(command) = verdict {
            self.engine.handle_command(command, now);
        }
    }

    /// Hands the call back when packets wait for too long on several legs, and sends little until it is elsewhere: what
    /// waits has to get through first.
    pub(super) fn heed(&mut self, now: Instant) {
        let Some(tenure) = &mut self.tenure else {
            return;
        };
        if !self.meter.is_look_due(now) {
            return;
        }
        if !tenure.is_active() {
            self.engine.set_uplink(self.uplink);
            return self.meter.forget_queue();
        }
        let stats = self.engine.stats();
        if !self.meter.queues_for_long(stats, now) {
            // Nobody took the call, and what waited is through.
            if self.meter.has_held_back_for_long(now) {
                self.engine.set_uplink(self.uplink);
            }
            return;
        }
        self.meter.hold_back(now);
        let carried = Bitrate(stats.estimate_sum / HELD_BACK);
        if tenure.step_down(StepDownReason::Overload) {
            tracing::warn!(
                "packets wait for too long on this computer's line; the call is handed back"
            );
        }
        let uplink = self.uplink.map_or(carried, |uplink| uplink.min(carried));
        self.engine.set_uplink(Some(uplink));
    }

    /// Renews the lease where that is due, and passes on what the tenure has to say.
    pub(super) fn renew(&mut self) {
        let Some(tenure) = &mut self.tenure else {
            return;
        };
        let now = BootTime::now();
        if tenure.poll_timeout().is_some_and(|due| due <= now) {
            let load = self.meter.measure(self.engine.stats(), thread_time(), now);
            tenure.handle_timeout(load, now);
        }
        while let Some(message) = tenure.poll_message() {
            if self.backlog.len() < super::BACKLOG {
                self.backlog.push_back(message);
            } else {
                self.traffic.messages_dropped += 1;
            }
        }
    }
}
