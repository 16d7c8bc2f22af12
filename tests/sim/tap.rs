//! Listens at the door of the hosts: what leaves is numbered without gaps of the host's making, no index is sealed twice with
//! different bytes, and the sum of it all tells one run from another.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_engine::rtp::{self, Header, seq};

use crate::packets::hash;

/// Packets of a stream whose bytes are remembered.
const REMEMBERED: usize = 1024;

#[derive(Default)]
pub(crate) struct Tap {
    streams: BTreeMap<(usize, u32, u32), Stream>,
    sum: u64,
    pub(crate) datagrams: u64,
    pub(crate) complaints: Vec<String>,
}

struct Stream {
    highest: u64,
    missing: i64,
    sealed: Vec<(u64, u64)>,
}

impl Tap {
    /// A datagram leaves a host towards a participant's leg.
    pub(crate) fn note(&mut self, person: usize, leg: u32, bytes: &[u8], elapsed: Duration) {
        let sum = hash(bytes);
        self.datagrams += 1;
        let at = u64::try_from(elapsed.as_micros()).expect("meetings end");
        for word in [at, person as u64, sum] {
            self.sum = (self.sum.rotate_left(7) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        if rtp::is_rtcp(bytes) {
            return;
        }
        let Some(header) = Header::parse(bytes) else {
            self.complaints.push(format!(
                "towards p{person}: neither RTP nor RTCP left the host"
            ));
            return;
        };
        let key = (person, leg, header.ssrc.0);
        let stream = self.streams.entry(key).or_insert_with(|| Stream {
            highest: u64::from(header.seq).wrapping_sub(1),
            missing: 0,
            sealed: vec![(u64::MAX, 0); REMEMBERED],
        });
        let index = if stream.highest == u64::MAX {
            0
        } else {
            seq::extend(stream.highest, header.seq)
        };
        if index > stream.highest || stream.highest == u64::MAX {
            stream.missing += i64::try_from(index.wrapping_sub(stream.highest)).unwrap_or(1) - 1;
            stream.highest = index;
        } else {
            stream.missing -= 1;
        }
        let place = usize::try_from(index % REMEMBERED as u64).expect("small");
        let (known, before) = stream.sealed[place];
        if known == index {
            let how = if before == sum {
                "again"
            } else {
                "with different bytes: the nonce is used twice"
            };
            self.complaints.push(format!(
                "towards p{person}: {:?} index {index} was sealed {how}",
                header.ssrc
            ));
        }
        stream.sealed[place] = (index, sum);
    }

    /// Numbers that were left out towards this participant.
    pub(crate) fn missing(&self, person: usize) -> i64 {
        let streams = self
            .streams
            .iter()
            .filter(|((whose, ..), _)| *whose == person);
        streams.map(|(_, stream)| stream.missing).sum()
    }

    /// One number for every bit that left the hosts, and when.
    pub(crate) fn sum(&self) -> u64 {
        self.sum
    }
}
