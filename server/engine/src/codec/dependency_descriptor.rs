//! The dependency descriptor header extension (AV1 RTP payload format, appendix A): frames, layers and keyframes of any
//! codec, without the payload.

/// What a decode target needs of a frame (A.8.3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Indication {
    /// The frame is not part of the target.
    #[default]
    NotPresent,
    /// Part of it, but nothing later of the target depends on it.
    Discardable,
    /// Part of it, and the target can be taken up from here.
    Switch,
    /// Part of it.
    Required,
}

/// The indications of one frame for up to 32 decode targets, two bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Indications(u64);

impl Indications {
    /// What decode target `target` needs.
    pub fn of(self, target: u8) -> Indication {
        match self.0.checked_shr(2 * u32::from(target)).unwrap_or(0) & 3 {
            1 => Indication::Discardable,
            2 => Indication::Switch,
            3 => Indication::Required,
            _ => Indication::NotPresent,
        }
    }

    /// Can every target that has the frame do without it?
    pub fn is_discardable(self) -> bool {
        false
    }

    /// Is it a switching point of some target?
    pub fn is_switch(self) -> bool {
        false
    }
}

/// What a descriptor says about its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameDependency {
    /// First packet of the frame.
    pub starts_frame: bool,
    /// Last packet of the frame.
    pub ends_frame: bool,
    /// Running number of the frame, 16 bits, over all layers of the stream.
    pub frame_number: u16,
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// First packet of a frame that depends on none, and that brings the template structure.
    pub keyframe: bool,
    /// What each decode target needs of the frame.
    pub indications: Indications,
    /// Bit `n` is set where decode target `n` is sent from now on; only where the packet says so.
    pub active_targets: Option<u32>,
    /// Width and height in pixels of the stream's largest spatial layer, where its structure has them.
    pub resolution: Option<(u16, u16)>,
}

/// Reads the descriptors of one RTP stream. Keeps the template structure of its last keyframe.
#[derive(Clone, Debug, Default)]
pub struct DependencyReader {}

impl DependencyReader {
    /// Reads one descriptor. `None`: it is malformed, or no structure for it came yet.
    pub fn read(&mut self, _extension: &[u8]) -> Option<FrameDependency> {
        None
    }
}
