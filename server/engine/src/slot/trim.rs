//! Which spatial and temporal layers of a stream a slot lets through: lower ones at once, higher ones where the stream allows it.
//!
//! Judges by what packets say about themselves. Does not choose the target (`allocate`) and does not number (`forwarder`).

use crate::allocate::Quality;
use crate::codec::Peek;

/// The layers that pass now. Starts with all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trim {
    spatial: u8,
    temporal: u8,
    /// Number of the newest packet that was left out, as its publisher counts: what comes late from before it says nothing about what follows.
    left_out: u64,
    /// What became of the packet before, for those that do not say where they belong.
    last: Passage,
}

/// Does a packet pass?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    Keep {
        /// It ends what is sent of its picture, though the source goes on with higher layers.
        ends_picture: bool,
    },
    LeaveOut,
}

impl Default for Trim {
    fn default() -> Self {
        Self {
            spatial: u8::MAX,
            temporal: u8::MAX,
            left_out: 0,
            last: Passage::Keep {
                ends_picture: false,
            },
        }
    }
}

impl Trim {
    /// Begins at a keyframe, where everything is possible.
    pub(crate) fn at_keyframe(target: Quality) -> Self {
        Self {
            spatial: target.spatial,
            temporal: target.temporal,
            ..Self::default()
        }
    }

    /// Judges the next packet, whose number is `seq`. Layers change between pictures only.
    pub(crate) fn judge(&mut self, peek: &Peek, seq: u64, target: Quality) -> Passage {
        if peek.continuation {
            return self.last;
        }
        if peek.starts_frame {
            self.approach(peek, seq < self.left_out, target);
        }
        let passes = peek.temporal <= self.temporal && peek.spatial <= self.spatial;
        self.last = if passes {
            Passage::Keep {
                ends_picture: peek.ends_frame && peek.spatial == self.spatial,
            }
        } else {
            self.left_out = self.left_out.max(seq);
            Passage::LeaveOut
        };
        self.last
    }

    /// Does it take a keyframe to come to the target? `highest`: the highest spatial layer that the stream has.
    pub(crate) fn needs_keyframe(&self, target: Quality, highest: u8) -> bool {
        target.spatial.min(highest) > self.spatial
    }

    fn approach(&mut self, peek: &Peek, is_late: bool, target: Quality) {
        if peek.keyframe && !is_late {
            *self = Self::at_keyframe(target);
            return;
        }
        self.spatial = self.spatial.min(target.spatial);
        self.temporal = self.temporal.min(target.temporal);
        if self.temporal == target.temporal || is_late {
            return;
        }
        let reached = match peek.switch_to {
            // The descriptor: with a picture that is shown anyway, all up to this layer can be decoded from here on (A.8.3.4, "switch").
            Some(reached) if peek.temporal <= self.temporal => reached,
            // VP8 and VP9: a picture of a higher layer that needs none of those that were left out (RFC 7741 "Y", RFC 9628 "U").
            None if peek.switch_up => peek.temporal,
            Some(_) | None => return,
        };
        self.temporal = reached.clamp(self.temporal, target.temporal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(spatial: u8, temporal: u8) -> Quality {
        Quality {
            layer: 0,
            spatial,
            temporal,
        }
    }

    /// A whole frame in one packet.
    fn frame(spatial: u8, temporal: u8) -> Peek {
        Peek {
            starts_frame: true,
            ends_frame: true,
            spatial,
            temporal,
            ..Peek::default()
        }
    }

    fn passes(trim: &mut Trim, peek: Peek, target: Quality) -> bool {
        trim.judge(&peek, 0, target) != Passage::LeaveOut
    }

    #[test]
    fn temporal_layers_go_at_once_and_come_back_where_the_stream_says_so() {
        let mut trim = Trim::default();
        let (low, high) = (target(u8::MAX, 0), target(u8::MAX, 2));
        assert!(passes(&mut trim, frame(0, 2), high));
        assert!(!passes(&mut trim, frame(0, 2), low));
        assert!(passes(&mut trim, frame(0, 0), low));
        assert!(
            !passes(&mut trim, frame(0, 2), high),
            "it may need what was left out"
        );
        assert!(!passes(&mut trim, frame(0, 1), high));
        let sync = |temporal| Peek {
            switch_up: true,
            ..frame(0, temporal)
        };
        assert!(passes(&mut trim, sync(1), high));
        assert!(!passes(&mut trim, frame(0, 2), high));
        assert!(passes(&mut trim, sync(2), high));
        assert!(passes(&mut trim, frame(0, 2), high));
    }

    #[test]
    fn a_descriptor_opens_all_temporal_layers_at_a_base_picture() {
        let mut trim = Trim::at_keyframe(target(u8::MAX, 0));
        let high = target(u8::MAX, 2);
        let base = Peek {
            switch_to: Some(2),
            ..frame(0, 0)
        };
        let above = Peek {
            switch_to: Some(2),
            ..frame(0, 1)
        };
        assert!(
            !passes(&mut trim, above, high),
            "not with a picture that is left out itself"
        );
        assert!(passes(&mut trim, base, high));
        assert!(passes(&mut trim, frame(0, 2), high));
    }

    #[test]
    fn a_picture_ends_with_the_highest_spatial_layer_that_is_kept() {
        let mut trim = Trim::at_keyframe(target(1, 2));
        let ends = |trim: &mut Trim, spatial| trim.judge(&frame(spatial, 0), 0, target(1, 2));
        assert_eq!(
            ends(&mut trim, 0),
            Passage::Keep {
                ends_picture: false
            }
        );
        assert_eq!(ends(&mut trim, 1), Passage::Keep { ends_picture: true });
        assert_eq!(ends(&mut trim, 2), Passage::LeaveOut);
        assert!(trim.needs_keyframe(target(2, 2), 2));
        assert!(
            !trim.needs_keyframe(target(2, 2), 1),
            "there is no such layer"
        );
        assert!(!passes(&mut trim, frame(2, 0), target(2, 2)));
        let keyframe = Peek {
            keyframe: true,
            ..frame(0, 0)
        };
        assert!(passes(&mut trim, keyframe, target(2, 2)));
        assert!(passes(&mut trim, frame(2, 0), target(2, 2)));
    }

    #[test]
    fn what_comes_late_does_not_open_what_was_left_out_after_it() {
        let mut trim = Trim::default();
        let (low, high) = (target(u8::MAX, 0), target(u8::MAX, 2));
        let sync = |temporal| Peek {
            switch_up: true,
            ..frame(0, temporal)
        };
        assert_eq!(trim.judge(&sync(1), 201, low), Passage::LeaveOut);
        for (seq, peek) in [(186, frame(0, 0)), (187, sync(2)), (188, sync(1))] {
            let is_base = peek.temporal == 0;
            assert_eq!(trim.judge(&peek, seq, high) != Passage::LeaveOut, is_base);
        }
        let needs_201 = trim.judge(&frame(0, 2), 202, high);
        assert_eq!(needs_201, Passage::LeaveOut);
        assert_ne!(trim.judge(&sync(2), 204, high), Passage::LeaveOut);
    }

    #[test]
    fn a_picture_that_was_begun_is_finished() {
        let mut trim = Trim::default();
        let begin = Peek {
            ends_frame: false,
            ..frame(0, 2)
        };
        let rest = Peek {
            starts_frame: false,
            ..frame(0, 2)
        };
        assert!(passes(&mut trim, begin, target(9, 2)));
        assert!(passes(&mut trim, rest, target(9, 0)));
        assert!(!passes(&mut trim, begin, target(9, 0)));
        let middle = Peek {
            continuation: true,
            ..rest
        };
        assert!(
            !passes(&mut trim, middle, target(9, 2)),
            "as the packet before"
        );
    }
}
