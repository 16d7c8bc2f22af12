//! When packets arrived, as browsers report it to whoever sent them: that is what a host estimates a line by.

use std::collections::BTreeMap;
use std::time::Instant;

use baton_engine::rtcp;
use baton_engine::rtp::extension::{ExtensionKind, ExtensionMap, Extensions};
use baton_engine::rtp::{Header, Ssrc, seq};

use crate::offer;

/// Numbers in one report, holes included.
const MOST: u64 = 400;

#[derive(Default)]
pub(crate) struct Arrivals {
    began: Option<Instant>,
    map: ExtensionMap,
    highest: Option<u64>,
    /// First number of the next report.
    next: u64,
    came: BTreeMap<u64, i64>,
    reports: u8,
}

impl Arrivals {
    pub(super) fn note(&mut self, bytes: &[u8], header: &Header, now: Instant) {
        let began = *self.began.get_or_insert_with(|| {
            self.map
                .insert(offer::TRANSPORT_CC, ExtensionKind::TransportSequence);
            now
        });
        let Some(wire) = Extensions::parse(&self.map, bytes, header).transport_sequence else {
            return;
        };
        let highest = self.highest.unwrap_or(u64::from(wire));
        let number = seq::extend(highest, wire);
        if self.highest.is_none() {
            self.next = number;
        }
        self.highest = Some(highest.max(number));
        if number >= self.next {
            let micros = i64::try_from((now - began).as_micros()).expect("meetings end");
            self.came.entry(number).or_insert(micros);
        }
    }

    /// The report that is due, if anything came.
    pub(crate) fn report(&mut self) -> Option<Vec<u8>> {
        let (&last, _) = self.came.last_key_value()?;
        let base = self.next.max(last.saturating_sub(MOST));
        let wire = |number: u64| u16::try_from(number & 0xffff).expect("masked");
        let statuses: Vec<_> = (base..=last)
            .map(|number| (wire(number), self.came.get(&number).copied()))
            .collect();
        let mut compound = Vec::new();
        self.reports = rtcp::Writer::new(&mut compound).transport_feedback(
            Ssrc(1),
            Ssrc(2),
            wire(base),
            self.reports,
            &statuses,
        );
        self.next = last + 1;
        self.came.clear();
        Some(compound)
    }
}
