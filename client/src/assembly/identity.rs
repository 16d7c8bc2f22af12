//! What a frame is by its publisher's numbers, which are the same on every leg, whichever host it came by.
//!
//! Pure.

use baton_server::Origin;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The publisher's stream.
    pub ssrc: u32,
    /// By the publisher's clock.
    pub timestamp: u32,
    /// Number of its first packet.
    pub first: u16,
    /// Number of its last packet.
    pub last: u16,
}

/// How two frames belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinship {
    /// One encoding: packet follows packet.
    Same,
    /// Two encodings of one picture: a moment has the same timestamp in both.
    Kin,
    /// Nothing of one says anything of the other.
    None,
}

impl Identity {
    /// Of a frame that begins with this packet.
    pub(super) fn begin(origin: Origin) -> Self {
        Self {
            ssrc: origin.ssrc.0,
            timestamp: origin.timestamp,
            first: origin.seq,
            last: origin.seq,
        }
    }

    /// Takes the next packet of the frame.
    pub(super) fn extend(&mut self, origin: Origin) {
        self.last = origin.seq;
    }

    /// `rate`: ticks per second of both.
    pub(crate) fn kinship(&self, other: &Self, rate: u32) -> Kinship {
        let is_near = self.since(other).unsigned_abs() < rate.saturating_mul(RANGE_S);
        match self.ssrc ^ other.ssrc {
            0 if is_near => Kinship::Same,
            1..FAMILY if is_near => Kinship::Kin,
            _ => Kinship::None,
        }
    }

    /// Ticks from `other` to this one.
    #[expect(clippy::cast_possible_wrap, reason = "distance of two timestamps")]
    pub(crate) fn since(&self, other: &Self) -> i32 {
        self.timestamp.wrapping_sub(other.timestamp) as i32
    }

    /// Is there no packet between them?
    pub(crate) fn follows(&self, other: &Self) -> bool {
        self.first == other.last.wrapping_add(1)
    }
}

/// SSRCs of one publication's encodings have all but their lowest bits in common.
pub(crate) const FAMILY: u32 = 8;

/// Of frames that are further apart no order is believed.
const RANGE_S: u32 = 10;
