//! What this host is in a room by signaling's last word, and what is due by the clock because of it.
//!
//! Pure. Does not own what a heartbeat or a report says ([`crate::engine`] writes them), nor whether the host may still call
//! itself so: leases are the caller's.

use std::time::Duration;

use baton_protocol::HostRole;

use crate::time::Tick;

/// Between two heartbeats: three that are missing raise a suspicion, five are a verdict.
pub(crate) const PULSE: Duration = Duration::from_millis(50);

/// Between two reports of everybody's line.
const LINES: Duration = Duration::from_secs(2);

/// A host's part in a room.
#[derive(Debug)]
pub(crate) struct Term {
    pub(crate) role: HostRole,
    pub(crate) grant: Option<String>,
    /// When it began to be that.
    pub(crate) since: Tick,
    /// When the next heartbeat is due, in rooms that have any.
    pulse_due: Tick,
    pulses: u32,
    lines_due: Tick,
}

impl Term {
    /// A term that was just told. Heartbeats are counted on from the one `before`.
    pub(crate) fn new(
        role: HostRole,
        grant: Option<String>,
        beats: bool,
        before: Option<&Self>,
        now: Tick,
    ) -> Self {
        let is_active = role == HostRole::Active;
        let after = |span, wanted: bool| if wanted { now + span } else { Tick::NEVER };
        Self {
            role,
            grant,
            since: before
                .filter(|before| before.role == role)
                .map_or(now, |before| before.since),
            pulse_due: after(Duration::ZERO, is_active && beats),
            pulses: before.map_or(0, |before| before.pulses),
            lines_due: after(LINES, is_active),
        }
    }

    /// When something is due.
    pub(crate) fn deadline(&self) -> Tick {
        self.pulse_due.min(self.lines_due)
    }

    /// The number of the heartbeat that is due. Those that were missed are not made up for: their number says how many.
    pub(crate) fn poll_pulse(&mut self, now: Tick) -> Option<u32> {
        if self.pulse_due > now {
            return None;
        }
        let next = self.pulse_due + PULSE;
        self.pulse_due = if next > now { next } else { now + PULSE };
        self.pulses = self.pulses.wrapping_add(1);
        Some(self.pulses)
    }

    /// Is a report of the lines due?
    pub(crate) fn poll_lines(&mut self, now: Tick) -> bool {
        let is_due = self.lines_due <= now;
        if is_due {
            self.lines_due = now + LINES;
        }
        is_due
    }
}
