//! The picture size in a sequence parameter set (H.264 7.3.2.1.1).

use super::super::bits::Bits;

/// Profiles with a chroma format and scaling lists of their own.
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// What is read lies in front of everything large but scaling lists, which real-time senders do not use.
const MAX_READ: usize = 128;

/// Width and height in pixels of a parameter set without its NAL header. `None`: cut short or out of range.
pub(super) fn resolution(body: &[u8]) -> Option<(u16, u16)> {
    let mut buffer = [0; MAX_READ];
    let mut bits = Bits::new(unescape(body, &mut buffer));
    let profile = bits.read_u8(8)?;
    bits.skip(16)?; // constraint flags, level
    bits.read_exp_golomb()?; // seq_parameter_set_id
    let mut chroma = 1;
    if HIGH_PROFILES.contains(&profile) {
        chroma = bits.read_exp_golomb()?;
        if chroma == 3 && bits.flag()? {
            chroma = 0; // separate_colour_plane_flag: each plane is like monochrome
        }
        bits.read_exp_golomb()?; // bit_depth_luma_minus8
        bits.read_exp_golomb()?; // bit_depth_chroma_minus8
        bits.flag()?; // qpprime_y_zero_transform_bypass_flag
        if bits.flag()? {
            return None; // scaling lists
        }
    }
    bits.read_exp_golomb()?; // log2_max_frame_num_minus4
    match bits.read_exp_golomb()? {
        0 => drop(bits.read_exp_golomb()?), // log2_max_pic_order_cnt_lsb_minus4
        1 => {
            bits.flag()?; // delta_pic_order_always_zero_flag
            bits.read_exp_golomb()?; // offset_for_non_ref_pic
            bits.read_exp_golomb()?; // offset_for_top_to_bottom_field
            for _ in 0..bits.read_exp_golomb()?.min(255) {
                bits.read_exp_golomb()?; // offset_for_ref_frame
            }
        }
        _ => {}
    }
    bits.read_exp_golomb()?; // max_num_ref_frames
    bits.flag()?; // gaps_in_frame_num_value_allowed_flag
    let width = bits.read_exp_golomb()?.checked_add(1)?.checked_mul(16)?;
    let map_units = bits.read_exp_golomb()?.checked_add(1)?.checked_mul(16)?;
    let fields = if bits.flag()? { 1 } else { 2 }; // frame_mbs_only_flag
    if fields == 2 {
        bits.flag()?; // mb_adaptive_frame_field_flag
    }
    let height = map_units.checked_mul(fields)?;
    bits.flag()?; // direct_8x8_inference_flag
    if !bits.flag()? {
        return size(width, height);
    }
    // Frame cropping, in units of chroma samples (table 6-1).
    let (unit_x, unit_y) = match chroma {
        1 => (2, 2 * fields),
        2 => (2, fields),
        _ => (1, fields),
    };
    let mut crop = |unit: u32| {
        let (first, second) = (bits.read_exp_golomb()?, bits.read_exp_golomb()?);
        first.checked_add(second)?.checked_mul(unit)
    };
    let (crop_x, crop_y) = (crop(unit_x)?, crop(unit_y)?);
    size(width.checked_sub(crop_x)?, height.checked_sub(crop_y)?)
}

fn size(width: u32, height: u32) -> Option<(u16, u16)> {
    Some((width.try_into().ok()?, height.try_into().ok()?))
}

/// Takes out the 3 of each 0 0 3 (7.4.1), up to the size of `buffer`.
fn unescape<'b>(body: &[u8], buffer: &'b mut [u8; MAX_READ]) -> &'b [u8] {
    let mut zeros = 0;
    let mut len = 0;
    for &byte in body {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        let Some(place) = buffer.get_mut(len) else {
            break;
        };
        *place = byte;
        len += 1;
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
    buffer.get(..len).unwrap_or_default()
}
