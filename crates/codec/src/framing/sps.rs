//! What an H.264 sequence parameter set says of the pictures (Rec. H.264 §7.3.2.1.1).

use super::{
    bits::{Bits, without_emulation},
    nal::nal_type,
    usability::Usability,
};
use crate::Error;
use beamline_media::{MAX_DIMENSION, Rect, Size};

/// Profiles that say chroma format and bit depth.
const WITH_CHROMA: &[u8] = &[100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// An SPS, as far as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`.
    pub profile: u8,
    /// The constraint flags, flag 0 in the highest bit.
    pub constraints: u8,
    /// `level_idc`.
    pub level: u8,
    /// `seq_parameter_set_id`, 0 to 31.
    pub id: u8,
    /// `chroma_format_idc`: 0 gray, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample, 8 to 14.
    pub luma_bits: u8,
    /// Bits of a chroma sample, 8 to 14.
    pub chroma_bits: u8,
    /// Whether every picture is a frame (no fields).
    pub frames_only: bool,
    /// Size in whole macroblocks.
    pub coded: Size,
    /// The part to be shown (`frame_cropping`), inside `coded`.
    pub visible: Rect,
    /// How they are meant to be shown; `None` when it does not say, or is cut there.
    pub usability: Option<Usability>,
}

impl Sps {
    /// Reads an SPS NAL unit, header byte included.
    ///
    /// # Errors
    /// [`Error::Data`]: no SPS, cut, or impossible values (sides beyond [`MAX_DIMENSION`], a crop of everything).
    pub fn parse(nal: &[u8]) -> Result<Self, Error> {
        if nal_type(nal) != 7 {
            return Err(wrong(&format!(
                "expected a NAL unit of type 7, but it is of type {}",
                nal_type(nal)
            )));
        }
        // What is read takes less than this even with all scaling lists spelled out.
        let bytes: Vec<u8> = without_emulation(nal).skip(1).take(4096).collect();
        read(&mut Bits::new(&bytes)).ok_or_else(|| wrong("it ends too early, or a code is longer than 32 bits"))?
    }
}

fn wrong(detail: &str) -> Error {
    Error::Data {
        what: "an H.264 sequence parameter set".to_owned(),
        detail: detail.to_owned(),
    }
}

/// `None`: the bits ended.
fn read(bits: &mut Bits<'_>) -> Option<Result<Sps, Error>> {
    let [profile, constraints, level] = [bits.bits(8)? as u8, bits.bits(8)? as u8, bits.bits(8)? as u8];
    let id = bits.ue()?;
    let chroma = if WITH_CHROMA.contains(&profile) {
        chroma(bits)?
    } else {
        (1, 8, 8)
    };
    let (chroma_format, luma_bits, chroma_bits) = chroma;
    if id > 31 || chroma_format > 3 || luma_bits > 14 || chroma_bits > 14 {
        let text = format!("impossible id {id}, chroma format {chroma_format} or bit depth {luma_bits}, {chroma_bits}");
        return Some(Err(wrong(&text)));
    }
    bits.ue()?; // log2_max_frame_num_minus4
    skip_picture_order(bits)?;
    bits.ue()?; // max_num_ref_frames
    bits.flag()?; // gaps_in_frame_num_value_allowed_flag
    let (width, height_units) = (bits.ue()?, bits.ue()?);
    let frames_only = bits.flag()?;
    if !frames_only {
        bits.flag()?; // mb_adaptive_frame_field_flag
    }
    bits.flag()?; // direct_8x8_inference_flag
    let crop = if bits.flag()? {
        [bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?]
    } else {
        [0; 4]
    };
    let usability = bits.flag().filter(|there| *there).and_then(|_| Usability::read(bits));
    let fields = if frames_only { 1 } else { 2 };
    let coded = sides(width, height_units, fields);
    let visible = coded.and_then(|coded| cropped(coded, crop, chroma_format, fields));
    let (Some(coded), Some(visible)) = (coded, visible) else {
        let text = format!("impossible size: {width}+1 by {height_units}+1 macroblocks, cropped by {crop:?}");
        return Some(Err(wrong(&text)));
    };
    Some(Ok(Sps {
        profile,
        constraints,
        level,
        id: id as u8,
        chroma_format: chroma_format as u8,
        luma_bits: luma_bits as u8,
        chroma_bits: chroma_bits as u8,
        frames_only,
        coded,
        visible,
        usability,
    }))
}

/// Chroma format, luma bits, chroma bits; passes over the scaling lists.
fn chroma(bits: &mut Bits<'_>) -> Option<(u32, u32, u32)> {
    let format = bits.ue()?;
    if format == 3 {
        bits.flag()?; // separate_colour_plane_flag
    }
    let depths = (bits.ue()?.saturating_add(8), bits.ue()?.saturating_add(8));
    bits.flag()?; // qpprime_y_zero_transform_bypass_flag
    if bits.flag()? {
        for list in 0..if format == 3 { 12 } else { 8 } {
            if bits.flag()? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some((format, depths.0, depths.1))
}

/// Rec. H.264 §7.3.2.1.1.1.
fn skip_scaling_list(bits: &mut Bits<'_>, len: usize) -> Option<()> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..len {
        if next != 0 {
            next = last.wrapping_add(bits.se()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

fn skip_picture_order(bits: &mut Bits<'_>) -> Option<()> {
    match bits.ue()? {
        0 => {
            bits.ue()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.flag()?; // delta_pic_order_always_zero_flag
            bits.se()?; // offset_for_non_ref_pic
            bits.se()?; // offset_for_top_to_bottom_field
            for _ in 0..bits.ue()?.min(255) {
                bits.se()?; // offset_for_ref_frame
            }
        }
        _ => {}
    }
    Some(())
}

fn sides(width: u32, height_units: u32, fields: u32) -> Option<Size> {
    let side = |units: u32, each: u32| units.checked_add(1)?.checked_mul(each).filter(|s| *s <= MAX_DIMENSION);
    Some(Size::new(side(width, 16)?, side(height_units, 16 * fields)?))
}

/// The crop counts chroma samples, in field pictures of one field (equations 7-19 to 7-22).
fn cropped(coded: Size, crop: [u32; 4], chroma_format: u32, fields: u32) -> Option<Rect> {
    let unit_x = if matches!(chroma_format, 1 | 2) { 2 } else { 1 };
    let unit_y = if chroma_format == 1 { 2 } else { 1 } * fields;
    let [left, right] = [crop[0].checked_mul(unit_x)?, crop[1].checked_mul(unit_x)?];
    let [top, bottom] = [crop[2].checked_mul(unit_y)?, crop[3].checked_mul(unit_y)?];
    let width = coded.width.checked_sub(left)?.checked_sub(right)?;
    let height = coded.height.checked_sub(top)?.checked_sub(bottom)?;
    let visible = Rect {
        x: left,
        y: top,
        width,
        height,
    };
    visible.fits(coded).then_some(visible)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::tests::hex;

    /// Size shown, size coded, chroma format, luma bits.
    fn of(text: &str) -> ((u32, u32), (u32, u32), u8, u8) {
        let sps = Sps::parse(&hex(text)).unwrap();
        let (shown, coded) = (sps.visible, sps.coded);
        (
            (shown.width, shown.height),
            (coded.width, coded.height),
            sps.chroma_format,
            sps.luma_bits,
        )
    }

    #[test]
    fn sizes_and_formats_are_those_that_x264_was_asked_for() {
        let odd = "6764000dacd941519e226c0440000003004000000c83c50a6580";
        assert_eq!(of(odd), ((322, 182), (336, 192), 1, 8));
        let baseline = "6742c00dd90141fb011000000300100000030320f142a480";
        assert_eq!(of(baseline), ((320, 240), (320, 240), 1, 8));
        let ten_bits = "677a000cb6cd941419f8dc0440000003004000000c83c50a6580";
        assert_eq!(of(ten_bits), ((320, 180), (320, 192), 2, 10));
        let full_chroma = "67f4000c919b282833f1b808800000030080000019078a14cb";
        assert_eq!(of(full_chroma), ((320, 180), (320, 192), 3, 8));
        let gray = "6764000cf36505067e37016c800000030080000019078a14cb";
        assert_eq!(of(gray), ((320, 180), (320, 192), 0, 8));
        let sps = Sps::parse(&hex(baseline)).unwrap();
        assert_eq!(
            (sps.profile, sps.constraints, sps.level, sps.frames_only),
            (66, 0xc0, 13, true)
        );
    }

    #[test]
    fn scaling_lists_are_passed_over() {
        // High, id 0, 4:2:0, 8 bits, matrices: list 0 says "default" (next scale 0), list 1 runs to its end by deltas of 0.
        let code = [
            "1",
            "010",
            "1",
            "1",
            "0",
            "1",
            "1",
            "000010001",
            "1",
            &"1".repeat(16),
            "000000",
        ]
        .concat();
        let rest = ["1", "1", "1", "1", "0", "000010100", "0001100", "1", "1", "0", "0", "1"].concat();
        let text = [&code[..], &rest].concat();
        let bits = text
            .as_bytes()
            .chunks(8)
            .map(|c| c.iter().fold(0, |b, d| b << 1 | (d - b'0')) << (8 - c.len()));
        let sps = Sps::parse(&[0x67, 100, 0, 31].into_iter().chain(bits).collect::<Vec<_>>()).unwrap();
        assert_eq!(
            (sps.coded, sps.visible),
            (Size::new(320, 192), Rect::all(Size::new(320, 192)))
        );
    }

    #[test]
    fn every_cut_is_refused_before_the_crop_and_nothing_panics() {
        let whole = hex("6764000dacd941519e226c0440000003004000000c83c50a6580");
        for len in 0..9 {
            assert!(Sps::parse(&whole[..len]).is_err(), "{len}");
        }
        for byte in 1..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[byte] ^= 1 << bit;
                if let Ok(sps) = Sps::parse(&flipped) {
                    assert!(sps.visible.fits(sps.coded) && sps.coded.width <= MAX_DIMENSION);
                }
            }
        }
        assert!(Sps::parse(&[0x68, 1]).unwrap_err().to_string().contains("type 7"));
    }
}
