//! The template structure: the kinds of frames that a stream has, told once per keyframe (A.8.2).

use super::{Bits, Indications, MAX_TARGETS};

/// Template ids have 6 bits.
const MAX_TEMPLATES: usize = 64;

/// Codecs number their layers in at most 3 bits.
const MAX_LAYERS: u8 = 8;

/// One kind of frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Template {
    pub(super) spatial: u8,
    pub(super) temporal: u8,
    pub(super) indications: Indications,
    /// Does it refer to earlier frames?
    pub(super) depends: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Structure {
    /// Template id of the first template.
    first_id: u8,
    target_count: u8,
    template_count: u8,
    templates: [Template; MAX_TEMPLATES],
    resolution: Option<(u16, u16)>,
}

impl Structure {
    /// `template_dependency_structure()`. `None`: cut short, or more templates or layers than there can be.
    pub(super) fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let mut structure = Self {
            first_id: bits.read_u8(6)?,
            target_count: bits.read_u8(5)? + 1,
            template_count: 0,
            templates: [Template::default(); MAX_TEMPLATES],
            resolution: None,
        };
        let largest_spatial = structure.read_layers(bits)?;
        let targets = structure.targets();
        for template in structure.known_mut() {
            template.indications = Indications::read(bits, targets)?;
        }
        for template in structure.known_mut() {
            template.depends = pass_references(bits)?;
        }
        structure.pass_chains(bits)?;
        if bits.flag()? {
            structure.resolution = Some(read_resolution(bits, largest_spatial)?);
        }
        Some(structure)
    }

    pub(super) fn template(&self, id: u8) -> Option<Template> {
        let index = id.wrapping_sub(self.first_id) & 0x3f;
        self.known().get(usize::from(index)).copied()
    }

    pub(super) fn targets(&self) -> u32 {
        self.target_count.into()
    }

    pub(super) fn target_count(&self) -> u8 {
        self.target_count
    }

    pub(super) fn all_targets(&self) -> u32 {
        u32::MAX >> (MAX_TARGETS - self.targets())
    }

    pub(super) fn resolution(&self) -> Option<(u16, u16)> {
        self.resolution
    }

    /// `decode_target_layers()`: the highest layers among the templates that are part of the target.
    pub(super) fn target_layer(&self, target: u8) -> Option<(u8, u8)> {
        self.known()
            .iter()
            .filter(|template| template.indications.of(target) != super::Indication::NotPresent)
            .map(|template| (template.spatial, template.temporal))
            .reduce(|(spatial, temporal), (s, t)| (spatial.max(s), temporal.max(t)))
    }

    /// The highest temporal layer of the targets that `indications` make a switching point of.
    pub(super) fn switch_to(&self, indications: Indications) -> Option<u8> {
        let targets = (0..self.target_count)
            .filter(|&target| indications.of(target) == super::Indication::Switch);
        targets
            .filter_map(|target| Some(self.target_layer(target)?.1))
            .max()
    }

    fn known(&self) -> &[Template] {
        self.templates
            .get(..usize::from(self.template_count))
            .unwrap_or_default()
    }

    fn known_mut(&mut self) -> &mut [Template] {
        self.templates
            .get_mut(..usize::from(self.template_count))
            .unwrap_or_default()
    }

    /// `template_layers()`; gives the largest spatial layer.
    fn read_layers(&mut self, bits: &mut Bits<'_>) -> Option<u8> {
        let (mut spatial, mut temporal) = (0u8, 0u8);
        for template in &mut self.templates {
            if spatial >= MAX_LAYERS || temporal >= MAX_LAYERS {
                return None;
            }
            self.template_count += 1;
            (template.spatial, template.temporal) = (spatial, temporal);
            match bits.read(2)? {
                0 => {}
                1 => temporal += 1,
                2 => (spatial, temporal) = (spatial + 1, 0),
                _ => return Some(spatial),
            }
        }
        None
    }

    /// `template_chains()`: passed over.
    fn pass_chains(&self, bits: &mut Bits<'_>) -> Option<()> {
        let chains = bits.read_below(self.targets() + 1)?;
        if chains > 0 {
            for _ in 0..self.target_count {
                bits.read_below(chains)?;
            }
            bits.skip(4 * chains * u32::from(self.template_count))?;
        }
        Some(())
    }
}

/// The references of one template in `template_fdiffs()`: while a flag is set, 4 bits each. Are there any?
fn pass_references(bits: &mut Bits<'_>) -> Option<bool> {
    let mut any = false;
    while bits.flag()? {
        bits.skip(4)?;
        any = true;
    }
    Some(any)
}

/// `render_resolutions()`: width and height less one for each spatial layer; the last is the largest.
fn read_resolution(bits: &mut Bits<'_>, largest_spatial: u8) -> Option<(u16, u16)> {
    bits.skip(32 * u32::from(largest_spatial))?;
    let mut side = || Some(u16::try_from(bits.read(16)?).ok()?.saturating_add(1));
    Some((side()?, side()?))
}
