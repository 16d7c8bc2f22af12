//! The dependency descriptor header extension (AV1 RTP payload format, appendix A): frames, layers and keyframes of any
//! codec, without the payload.
//!
//! Owns the reading and the template structure that a stream's keyframes bring. Chains and the frames that a frame
//! refers to are passed over: what is forwarded is decided by layers and decode targets.
//!
//! Descriptors are forwarded as they came. Writing into `active_decode_targets_bitmask` which targets a subscriber still gets
//! would move every bit behind it, and changes nothing for those that are known: browsers decode what arrives, by the frames'
//! references, and read the mask only where they encode.

mod structure;

use super::bits::Bits;
use structure::Structure;

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

/// The indications of one frame for up to 32 decode targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Indications(
    /// Two bits each as on the wire, target 0 lowest.
    u64,
);

impl Indications {
    /// What decode target `target` needs; nothing where there is no such target.
    pub fn of(self, target: u8) -> Indication {
        match self.0.checked_shr(2 * u32::from(target)).unwrap_or(0) & 3 {
            0 => Indication::NotPresent,
            1 => Indication::Discardable,
            2 => Indication::Switch,
            _ => Indication::Required,
        }
    }

    /// Can every target that has the frame do without it?
    pub fn is_discardable(self) -> bool {
        self.0 != 0 && self.0 & HIGH_BITS == 0
    }

    /// Is it a switching point of some target?
    pub fn is_switch(self) -> bool {
        self.0 & HIGH_BITS & !(self.0 << 1) != 0
    }

    fn read(bits: &mut Bits<'_>, targets: u32) -> Option<Self> {
        let mut all = 0;
        for target in 0..targets.min(MAX_TARGETS) {
            all |= u64::from(bits.read(2)?) << (2 * target);
        }
        Some(Self(all))
    }
}

/// The upper bit of each indication: set for `Switch` and `Required`.
const HIGH_BITS: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// `dt_cnt_minus_one` has 5 bits.
const MAX_TARGETS: u32 = 32;

/// What a descriptor says about its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameDependency {
    /// First packet of the frame.
    pub starts_frame: bool,
    /// Last packet of the frame.
    pub ends_frame: bool,
    /// Running number of the frame, 16 bits, over all layers of the stream.
    pub frame_number: u16,
    /// Spatial layer, below 8.
    pub spatial: u8,
    /// Temporal layer, below 8.
    pub temporal: u8,
    /// First packet of a frame that depends on no other and brings the template structure: decoding can begin.
    pub keyframe: bool,
    /// What each decode target needs of the frame.
    pub indications: Indications,
    /// The highest temporal layer of the decode targets that can be taken up from this frame on; only on a frame's first packet.
    pub switch_to: Option<u8>,
    /// Bit `n` is set where decode target `n` is sent from now on; only where the packet says so.
    pub active_targets: Option<u32>,
    /// Width and height in pixels of the stream's largest spatial layer, where its structure has them.
    pub resolution: Option<(u16, u16)>,
}

/// Reads the descriptors of one RTP stream. Keeps, in about 1 KiB, the template structure of its last keyframe.
#[derive(Clone, Debug, Default)]
pub struct DependencyReader {
    structure: Option<Structure>,
}

impl DependencyReader {
    /// Reads the extension's bytes. `None`: malformed, or it belongs to a structure that did not come.
    ///
    /// A malformed structure leaves the last good one in place.
    pub fn read(&mut self, extension: &[u8]) -> Option<FrameDependency> {
        let (&[head, number_high, number_low], extended) = extension.split_first_chunk()?;
        let template = head & 0x3f;
        let mut bits = Bits::new(extended);
        // A.8.2: what is longer than the mandatory three bytes has five flags.
        let mut flags = Flags::default();
        if !extended.is_empty() {
            flags = Flags::read(&mut bits)?;
        }
        let brought = if flags.structure {
            Some(Structure::read(&mut bits)?)
        } else {
            None
        };
        let structure = brought.as_ref().or(self.structure.as_ref())?;
        let mut active_targets = flags.structure.then(|| structure.all_targets());
        if flags.active_targets {
            active_targets = Some(bits.read(structure.targets())?);
        }
        let template = structure.template(template)?;
        let mut indications = template.indications;
        if flags.custom_indications {
            indications = Indications::read(&mut bits, structure.targets())?;
        }
        let mut depends = template.depends;
        if flags.custom_references {
            depends = pass_references(&mut bits)?;
        }
        let starts_frame = head & 0x80 != 0;
        let switch_to = if starts_frame {
            structure.switch_to(indications)
        } else {
            None
        };
        let dependency = FrameDependency {
            starts_frame,
            ends_frame: head & 0x40 != 0,
            frame_number: u16::from_be_bytes([number_high, number_low]),
            spatial: template.spatial,
            temporal: template.temporal,
            keyframe: starts_frame && flags.structure && !depends,
            indications,
            switch_to,
            active_targets,
            resolution: structure.resolution(),
        };
        if let Some(brought) = brought {
            self.structure = Some(brought);
        }
        Some(dependency)
    }

    /// Spatial and temporal layer that decode target `target` reaches up to. `None`: no structure, or no such target.
    pub fn target_layer(&self, target: u8) -> Option<(u8, u8)> {
        self.structure.as_ref()?.target_layer(target)
    }

    /// How many decode targets the stream has; 0 before its first structure.
    pub fn target_count(&self) -> u8 {
        self.structure.as_ref().map_or(0, Structure::target_count)
    }
}

/// `extended_descriptor_fields()`, the flags before the structure. Custom chains come last and are never read.
#[derive(Clone, Copy, Default)]
struct Flags {
    structure: bool,
    active_targets: bool,
    custom_indications: bool,
    custom_references: bool,
}

impl Flags {
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let flags = Self {
            structure: bits.flag()?,
            active_targets: bits.flag()?,
            custom_indications: bits.flag()?,
            custom_references: bits.flag()?,
        };
        bits.flag()?;
        Some(flags)
    }
}

/// `frame_fdiffs()`: each a size of 2 bits in units of 4 bits, then the difference; size 0 ends it. Were there any?
fn pass_references(bits: &mut Bits<'_>) -> Option<bool> {
    let mut any = false;
    loop {
        let size = bits.read(2)?;
        if size == 0 {
            return Some(any);
        }
        bits.skip(4 * size)?;
        any = true;
    }
}

#[cfg(test)]
mod tests;
