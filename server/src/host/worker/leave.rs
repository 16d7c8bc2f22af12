//! What a worker does on a participant's computer only: asks leave before it serves and sends, and goes on asking.
//!
//! On the operator's computers all of this is one comparison with `None`.

use std::time::{Duration, Instant};

use baton_protocol::{HostCommand, StepDownReason};

use super::Worker;
use super::meter::{Strain, thread_time};
use crate::host::clock::{BootTime, Moment};
use crate::host::tenure::Verdict;

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

    /// Sends little as soon as packets wait on several lines, for what waits has to get through first, and hands the call back
    /// when that was not enough.
    pub(super) fn heed(&mut self, now: Instant) {
        let Some(tenure) = &mut self.tenure else {
            return;
        };
        if !self.meter.is_look_due(now) {
            return;
        }
        if !tenure.is_active() {
            if self.meter.forget_queue() {
                self.engine.set_uplink(self.uplink);
            }
            return;
        }
        match self.meter.look(self.engine.stats(), now) {
            Strain::Same => {}
            Strain::HoldBack { to, is_lasting } => {
                let to = self.uplink.map_or(to, |uplink| uplink.min(to));
                self.engine.set_uplink(Some(to));
                if is_lasting && tenure.step_down(StepDownReason::Overload) {
                    tracing::warn!(
                        "packets wait for too long on this computer's line; the call is handed back"
                    );
                }
            }
            Strain::Over => self.engine.set_uplink(self.uplink),
        }
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
