//! When packets with a transport-wide sequence number arrived, and the feedback that tells their sender
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01). Without it a browser never leaves its lowest layers.

use std::time::Duration;

use crate::rtcp;
use crate::rtp::{Ssrc, seq};
use crate::time::Tick;

/// Time between two feedback messages.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);

/// Arrivals kept until they are reported: 50 ms of 40 Mb/s.
const MAX_ARRIVALS: usize = 256;

/// Sequence numbers reported at most in one message, holes included.
const MAX_SPAN: u64 = 400;

/// Arrivals of one leg that were not reported yet.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    highest: Option<u64>,
    /// First sequence number of the next report.
    next: u64,
    pending: Vec<(u64, Tick)>,
    statuses: Vec<(u16, Option<i64>)>,
    feedback_count: u8,
    media: Option<Ssrc>,
    /// Numbers reported since the loss was last taken, and those of them that were missing.
    counted: (u32, u32),
}

impl Arrivals {
    /// Notes a packet. True when the report should go out now because much has come.
    pub(crate) fn record(&mut self, wire: u16, media: Ssrc, now: Tick) -> bool {
        let seq = seq::extend(self.highest.unwrap_or(0), wire);
        let first = self.highest.is_none();
        self.highest = Some(self.highest.map_or(seq, |highest| highest.max(seq)));
        if first {
            self.next = seq;
        }
        self.media = Some(media);
        if seq >= self.next && self.pending.len() < MAX_ARRIVALS {
            self.pending.push((seq, now));
        }
        self.pending.len() >= MAX_ARRIVALS / 2
    }

    /// Is there anything to report?
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Share of packets that were missing when they were reported, since the last call; 0 where none were numbered.
    pub(crate) fn take_loss(&mut self) -> f64 {
        let (reported, missing) = std::mem::take(&mut self.counted);
        f64::from(missing) / f64::from(reported).max(1.0)
    }

    /// Writes the feedback and starts the next interval.
    pub(crate) fn report(&mut self, sender: Ssrc, out: &mut rtcp::Writer<'_>) {
        let Some(media) = self.media else { return };
        self.pending.sort_unstable();
        self.pending.dedup_by_key(|(seq, _)| *seq);
        let Some(&(last, _)) = self.pending.last() else {
            return;
        };
        let base = self.next.max(last.saturating_sub(MAX_SPAN));
        self.statuses.clear();
        let mut arrived = self
            .pending
            .iter()
            .skip_while(|(seq, _)| *seq < base)
            .peekable();
        for seq in base..=last {
            let at = arrived
                .next_if(|(arrived, _)| *arrived == seq)
                .map(|(_, at)| at);
            let at = at.map(|at| i64::try_from(at.0).unwrap_or(i64::MAX));
            self.counted.0 = self.counted.0.saturating_add(1);
            self.counted.1 = self.counted.1.saturating_add(u32::from(at.is_none()));
            #[expect(clippy::cast_possible_truncation, reason = "the wire carries 16 bits")]
            self.statuses.push((seq as u16, at));
        }
        #[expect(clippy::cast_possible_truncation, reason = "the wire carries 16 bits")]
        let next = out.transport_feedback(
            sender,
            media,
            base as u16,
            self.feedback_count,
            &self.statuses,
        );
        self.feedback_count = next;
        self.next = last + 1;
        self.pending.clear();
    }
}
