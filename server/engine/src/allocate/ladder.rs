//! The qualities in which a track can be sent, and which of them are of use for a picture of some size and frame rate.

use super::Quality;
use crate::bitrate::Bitrate;
use crate::layer::Layer;
use crate::time::Tick;

/// One quality and what it costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rung {
    pub(crate) quality: Quality,
    pub(crate) rate: Bitrate,
    size: (u16, u16),
    /// Pictures per second; 0 where nobody knows.
    frequency: f64,
    /// It is a choice only below its better neighbours of the same size: half the frame rate of a smaller picture is worth more.
    is_coarse: bool,
}

/// All qualities of a track, lowest first. Made anew ten times a second, kept for its memory.
#[derive(Debug, Default)]
pub(crate) struct Ladder {
    rungs: Vec<Rung>,
    /// Spatial layers of a track with a single encoding; choosing among them takes no other stream.
    has_spatial: bool,
}

/// Pictures per second over what was asked for that do not count as too many: 15 are asked for, 15.2 measured.
const FREQUENCY_SLACK: f64 = 1.2;

/// A screen may use what was declared while somebody scrolls, and a fraction of it the rest of the time.
const SCREEN_USES: u64 = 5;

/// What a layer costs per second and pixel where nobody has said or measured it, in bits; and the least.
const GUESSED_BITS_PER_PIXEL: u64 = 2;
const GUESSED_LEAST: Bitrate = Bitrate::from_kbps(100);

#[cfg(test)]
impl Rung {
    /// A rung of which only quality and rate matter.
    pub(super) fn of(quality: Quality, rate: Bitrate) -> Self {
        Self {
            quality,
            rate,
            size: (0, 0),
            frequency: 0.0,
            is_coarse: false,
        }
    }
}

impl Ladder {
    /// Makes the ladder of these layers anew. `is_silent`: the track as a whole sends nothing yet or now, so that all of it may come.
    /// `is_live`: is this layer being sent?
    pub(crate) fn refresh(
        &mut self,
        layers: &[Layer],
        is_screen: bool,
        is_silent: bool,
        is_live: impl Fn(usize) -> bool,
        now: Tick,
    ) {
        self.rungs.clear();
        self.has_spatial = false;
        for (index, layer) in layers.iter().enumerate() {
            if is_live(index) || is_silent || layer.demand.is_available(now) {
                self.add(index, layer, layers.len() == 1, is_screen);
            }
        }
    }

    fn add(&mut self, index: usize, layer: &Layer, is_single: bool, is_screen: bool) {
        let meter = &layer.meter;
        let (top_spatial, top_temporal) = (meter.highest_spatial(), meter.highest_temporal());
        let lowest_spatial = if is_single { 0 } else { top_spatial };
        self.has_spatial |= is_single && top_spatial > 0;
        for spatial in lowest_spatial..=top_spatial {
            // Each spatial layer has half the width and height of the next (the ladders of all browsers).
            let halvings = u32::from(top_spatial - spatial);
            let half = |side: u16| side.checked_shr(halvings).unwrap_or(0);
            let is_lowest = self.rungs.is_empty();
            for temporal in 0..=top_temporal {
                let measured = meter.rate_up_to(spatial, temporal);
                // What was declared counts until it was measured.
                let rate = match (measured, layer.declared) {
                    (Bitrate(0), Bitrate(0)) => guess(layer.size),
                    (Bitrate(0), declared) if is_screen && is_single => {
                        Bitrate(declared.0 / SCREEN_USES)
                    }
                    (Bitrate(0), declared) => declared,
                    (measured, _) => measured,
                };
                self.rungs.push(Rung {
                    quality: Quality {
                        layer: u8::try_from(index).unwrap_or(u8::MAX),
                        // The highest is everything there is: what was not measured yet is not left out.
                        spatial: if spatial == top_spatial {
                            u8::MAX
                        } else {
                            spatial
                        },
                        temporal: if temporal == top_temporal {
                            u8::MAX
                        } else {
                            temporal
                        },
                    },
                    rate,
                    size: (half(layer.size.0), half(layer.size.1)),
                    frequency: meter.frequency_up_to(temporal),
                    is_coarse: !is_screen && !is_lowest && temporal + 1 < top_temporal,
                });
            }
        }
    }

    /// The most that is of use for a picture of `size` at `fps` pictures a second (0: any): the smallest layer that covers nine tenths of it,
    /// else the largest; the highest temporal layer that is not too fast. `None`: there is nothing at all.
    pub(crate) fn limit(&self, size: (u16, u16), fps: u8) -> Option<Quality> {
        let covers = |rung: &&Rung| covers(rung.size, size);
        let chosen = self.rungs.iter().find(covers).or(self.rungs.last())?;
        let is_beside = |rung: &&Rung| {
            (rung.quality.layer, rung.quality.spatial)
                == (chosen.quality.layer, chosen.quality.spatial)
        };
        let mut beside = self.rungs.iter().filter(is_beside);
        let is_useful =
            |rung: &&Rung| fps == 0 || rung.frequency <= f64::from(fps) * FREQUENCY_SLACK;
        let best = beside.clone().rfind(is_useful).or(beside.next());
        best.map(|rung| rung.quality)
    }

    /// The qualities up to `limit`, lowest first.
    pub(crate) fn up_to(&self, limit: Quality) -> impl Iterator<Item = Rung> {
        let fits = move |rung: &&Rung| {
            (rung.quality.layer, rung.quality.spatial) <= (limit.layer, limit.spatial)
                && rung.quality.temporal <= limit.temporal
                && (!rung.is_coarse || rung.quality.temporal == limit.temporal)
        };
        self.rungs.iter().filter(fits).copied()
    }

    /// Was it never made, or is there nothing?
    pub(crate) fn is_empty(&self) -> bool {
        self.rungs.is_empty()
    }

    /// Can a slot choose among spatial layers of one stream?
    pub(crate) fn has_spatial(&self) -> bool {
        self.has_spatial
    }
}

/// Is a layer of this size enough for a picture of that size?
pub(crate) fn covers(layer: (u16, u16), picture: (u16, u16)) -> bool {
    u32::from(layer.0) * 10 >= u32::from(picture.0) * 9
        || u32::from(layer.1) * 10 >= u32::from(picture.1) * 9
}

fn guess(size: (u16, u16)) -> Bitrate {
    let pixels = u64::from(size.0) * u64::from(size.1);
    Bitrate(pixels * GUESSED_BITS_PER_PIXEL).max(GUESSED_LEAST)
}

#[cfg(test)]
mod tests;
