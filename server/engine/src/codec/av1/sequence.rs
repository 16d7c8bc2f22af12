//! The largest picture size in a sequence header (AV1 5.5.1).

use super::super::bits::Bits;

/// Width and height in pixels. `None`: cut short.
pub(super) fn resolution(body: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits::new(body);
    bits.skip(4)?; // seq_profile, still_picture
    if bits.flag()? {
        bits.skip(5)?; // reduced_still_picture_header: seq_level_idx only
    } else {
        pass_operating_points(&mut bits)?;
    }
    let width_bits = bits.read(4)? + 1;
    let height_bits = bits.read(4)? + 1;
    let mut side = |count| Some(u16::try_from(bits.read(count)?).ok()?.saturating_add(1));
    Some((side(width_bits)?, side(height_bits)?))
}

fn pass_operating_points(bits: &mut Bits<'_>) -> Option<()> {
    let mut delay_bits = None;
    if bits.flag()? {
        // timing_info()
        bits.skip(64)?;
        if bits.flag()? {
            bits.read_exp_golomb()?;
        }
        if bits.flag()? {
            // decoder_model_info()
            delay_bits = Some(bits.read(5)? + 1);
            bits.skip(32 + 5 + 5)?;
        }
    }
    let has_display_delay = bits.flag()?;
    for _ in 0..=bits.read(5)? {
        bits.skip(12)?; // operating_point_idc
        if bits.read(5)? > 7 {
            bits.flag()?; // seq_tier
        }
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1)?;
        }
        if has_display_delay && bits.flag()? {
            bits.skip(4)?;
        }
    }
    Some(())
}
