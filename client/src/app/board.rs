//! The terminal view: what it knows. How it looks is in `draw`, how it comes to the screen in `terminal`.

use std::collections::{HashMap, VecDeque};

use baton_client::{Call, CallEvent, Carrying};
use baton_protocol::HostRole;

use super::lines;
use super::meter::Rates;

pub(super) use terminal::{Key, Terminal};

mod draw;
mod scene;
mod terminal;

/// What is shown, beside what the call itself knows.
#[derive(Debug, Default)]
pub(super) struct Board {
    path: Path,
    rates: Rates,
    /// Bitrates of the last minute, by slot; oldest first.
    plots: HashMap<String, VecDeque<u64>>,
    /// All that is sent.
    sent: VecDeque<u64>,
    news: VecDeque<String>,
    /// Whom this computer serves and how much it sends for them, while it carries the call.
    badge: Option<(u16, u64)>,
    is_help: bool,
}

/// How the connections are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Path {
    is_signaling_away: bool,
    is_connected: bool,
}

impl Board {
    pub(super) fn handle_event(&mut self, call: &Call, event: &CallEvent) {
        match event {
            CallEvent::Joined { .. } => self.path.is_signaling_away = false,
            CallEvent::SignalingLost { .. } => self.path.is_signaling_away = true,
            CallEvent::Connected { .. }
            | CallEvent::Connecting { .. }
            | CallEvent::Switched { .. }
            | CallEvent::Disconnected { .. } => self.path.is_connected = call.is_connected(),
            CallEvent::Carrying(Carrying::Load { guests, sent_bps }) => {
                self.badge = Some((*guests, *sent_bps));
            }
            CallEvent::Carrying(Carrying::Part { role, .. }) if *role != HostRole::Active => {
                self.badge = None;
            }
            CallEvent::Changed(_)
            | CallEvent::Speakers { .. }
            | CallEvent::Shown { .. }
            | CallEvent::Hosting { .. }
            | CallEvent::HostLost { .. }
            | CallEvent::Carrying(_)
            | CallEvent::Chat { .. }
            | CallEvent::Refused { .. }
            | CallEvent::Over(_) => {}
        }
        // Speakers and slots have places of their own.
        if matches!(
            event,
            CallEvent::Speakers { .. }
                | CallEvent::Shown { .. }
                | CallEvent::Carrying(Carrying::Load { .. })
        ) {
            return;
        }
        if let Some(text) = lines::text(call.room(), event) {
            if self.news.len() == NEWS {
                self.news.pop_front();
            }
            self.news.push_back(text);
        }
    }

    pub(super) fn handle_rates(&mut self, rates: Rates) {
        self.plots
            .retain(|slot, _| rates.slots.iter().any(|known| known.report.slot == *slot));
        for slot in &rates.slots {
            let plot = self.plots.entry(slot.report.slot.clone()).or_default();
            push(plot, slot.bitrate);
        }
        push(
            &mut self.sent,
            rates.sent.iter().map(|stream| stream.bitrate).sum(),
        );
        self.rates = rates;
    }

    pub(super) fn toggle_help(&mut self) {
        self.is_help = !self.is_help;
    }
}

fn push(plot: &mut VecDeque<u64>, value: u64) {
    if plot.len() == PLOT {
        plot.pop_front();
    }
    plot.push_back(value);
}

/// Seconds of a plot.
const PLOT: usize = 60;

/// News that are kept.
const NEWS: usize = 100;

#[cfg(test)]
mod tests;
