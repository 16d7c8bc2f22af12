//! The plaintext of one layer's last packets, in order of arrival.
//!
//! Written once per packet by the publication, read by every subscriber for forwarding and for every retransmission. Positions only
//! grow, so that a reader keeps a cursor and notices when it was overtaken. Nothing is allocated after the first packet.

use crate::codec::{Codec, Peek};
use crate::rtp::extension::{AudioLevel, Origin};
use crate::time::Tick;

/// Bytes kept per packet: payload and dependency descriptor of a datagram that fits Ethernet.
pub(crate) const SLOT_BYTES: usize = 1536;

/// What is known of one packet besides its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Extended sequence number in the publisher's stream.
    pub(crate) seq: u64,
    pub(crate) timestamp: u32,
    pub(crate) arrival: Tick,
    pub(crate) marker: bool,
    pub(crate) codec: Codec,
    pub(crate) peek: Peek,
    pub(crate) payload_len: u16,
    /// Bytes of the dependency descriptor, stored behind the payload; 0 if there is none.
    pub(crate) descriptor_len: u16,
    pub(crate) audio_level: Option<AudioLevel>,
    pub(crate) video_orientation: Option<u8>,
    pub(crate) playout_delay: Option<[u8; 3]>,
    /// Which packet of its publisher it is, whatever the number of hosts that it came by.
    pub(crate) origin: Origin,
}

impl Entry {
    /// Bytes of a packet that are not the same for all: payload and dependency descriptor.
    pub(crate) fn weight(&self) -> u16 {
        self.payload_len.saturating_add(self.descriptor_len)
    }
}

/// A packet in the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) payload: &'a [u8],
    pub(crate) descriptor: &'a [u8],
}

/// A power-of-two number of packets.
#[derive(Debug)]
pub(crate) struct Ring {
    entries: Vec<Option<Entry>>,
    bytes: Vec<u8>,
    capacity: usize,
    head: u64,
}

impl Ring {
    /// Room for `capacity` packets (rounded up to a power of two); memory is taken with the first packet.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: Vec::new(),
            bytes: Vec::new(),
            capacity: capacity.next_power_of_two(),
            head: 0,
        }
    }

    /// Position of the next packet.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Oldest position that is still there.
    pub(crate) fn tail(&self) -> u64 {
        self.head.saturating_sub(self.capacity as u64)
    }

    /// Where the next packet's bytes go; [`Self::push`] makes them a packet.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = vec![0; self.capacity * SLOT_BYTES];
            self.entries = vec![None; self.capacity];
        }
        let start = self.index(self.head) * SLOT_BYTES;
        self.bytes
            .get_mut(start..start + SLOT_BYTES)
            .unwrap_or_default()
    }

    /// Adds the packet whose bytes are in [`Self::spare`]. Gives its position.
    pub(crate) fn push(&mut self, entry: Entry) -> u64 {
        let position = self.head;
        let index = self.index(position);
        if let Some(slot) = self.entries.get_mut(index) {
            *slot = Some(entry);
            self.head += 1;
        }
        position
    }

    /// The packet at `position`, unless it was overwritten or is yet to come.
    pub(crate) fn at(&self, position: u64) -> Option<Stored<'_>> {
        if position < self.tail() || position >= self.head {
            return None;
        }
        let index = self.index(position);
        let entry = self.entries.get(index)?.as_ref()?;
        let bytes = self
            .bytes
            .get(index * SLOT_BYTES..(index + 1) * SLOT_BYTES)?;
        let (payload, rest) = bytes.split_at_checked(usize::from(entry.payload_len))?;
        let descriptor = rest.get(..usize::from(entry.descriptor_len))?;
        Some(Stored {
            entry,
            payload,
            descriptor,
        })
    }

    fn index(&self, position: u64) -> usize {
        usize::try_from(position).unwrap_or(usize::MAX) & (self.capacity - 1)
    }
}
