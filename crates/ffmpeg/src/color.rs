//! Colour and turning. FFmpeg's numbers of colour are those of H.273, as ours are.

use crate::sys as ff;
use beamline_media::{ColorSpace, Rotation};
use std::ffi::c_int;

/// `AVCOL_RANGE_MPEG` and `AVCOL_RANGE_JPEG`.
const STUDIO: c_int = 1;
const FULL: c_int = 2;

/// From FFmpeg's four numbers (range, primaries, transfer, matrix).
pub(crate) fn from_av(range: c_int, primaries: c_int, transfer: c_int, matrix: c_int) -> ColorSpace {
    // 0 is reserved (but for the matrix, where it is RGB); anything out of H.273's range is as good as unsaid.
    let code = |n: c_int, least: u8| u8::try_from(n).ok().filter(|n| *n >= least).unwrap_or(2);
    ColorSpace {
        primaries: code(primaries, 1),
        transfer: code(transfer, 1),
        matrix: code(matrix, 0),
        full_range: match range {
            STUDIO => Some(false),
            FULL => Some(true),
            _ => None,
        },
    }
}

/// FFmpeg's number of the range.
pub(crate) fn range(color: &ColorSpace) -> c_int {
    match color.full_range {
        Some(true) => FULL,
        Some(false) => STUDIO,
        None => 0,
    }
}

/// The colour of a frame.
///
/// # Safety
/// `frame` is valid.
pub(crate) unsafe fn of_frame(frame: *const ff::AVFrame) -> ColorSpace {
    // SAFETY: the caller's promise; each field is a C enum, read as a number.
    unsafe {
        from_av(
            ff::enum_get!((*frame).color_range),
            ff::enum_get!((*frame).color_primaries),
            ff::enum_get!((*frame).color_trc),
            ff::enum_get!((*frame).colorspace),
        )
    }
}

/// Writes the colour into a frame.
///
/// # Safety
/// `frame` is valid and nobody else uses it.
pub(crate) unsafe fn to_frame(frame: *mut ff::AVFrame, color: &ColorSpace) {
    // SAFETY: the caller's promise; the numbers are written as C does.
    unsafe {
        ff::enum_set!((*frame).color_range, range(color));
        ff::enum_set!((*frame).color_primaries, c_int::from(color.primaries));
        ff::enum_set!((*frame).color_trc, c_int::from(color.transfer));
        ff::enum_set!((*frame).colorspace, c_int::from(color.matrix));
    }
}

/// The colour of a track.
///
/// # Safety
/// `par` is valid.
pub(crate) unsafe fn of_parameters(par: *const ff::AVCodecParameters) -> ColorSpace {
    // SAFETY: the caller's promise; each field is a C enum, read as a number.
    unsafe {
        from_av(
            ff::enum_get!((*par).color_range),
            ff::enum_get!((*par).color_primaries),
            ff::enum_get!((*par).color_trc),
            ff::enum_get!((*par).color_space),
        )
    }
}

/// Writes the colour into a track.
///
/// # Safety
/// `par` is valid and nobody else uses it.
pub(crate) unsafe fn to_parameters(par: *mut ff::AVCodecParameters, color: &ColorSpace) {
    // SAFETY: the caller's promise; the numbers are written as C does.
    unsafe {
        ff::enum_set!((*par).color_range, range(color));
        ff::enum_set!((*par).color_primaries, c_int::from(color.primaries));
        ff::enum_set!((*par).color_trc, c_int::from(color.transfer));
        ff::enum_set!((*par).color_space, c_int::from(color.matrix));
    }
}

/// What a display matrix (nine numbers as in `tkhd`) says: turn clockwise, then mirror left to right.
///
/// A point (x, y) is shown at (a·x + c·y, b·x + d·y), with y downwards and `a b u c d v x y w` as stored.
pub(crate) fn of_matrix(bytes: &[u8]) -> Option<(Rotation, bool)> {
    let mut numbers = [0_f64; 9];
    for (to, from) in numbers.iter_mut().zip(bytes.get(..36)?.chunks_exact(4)) {
        *to = f64::from(i32::from_ne_bytes(from.try_into().ok()?));
    }
    let [a, b, _, c, d, ..] = numbers;
    let mirrored = a * d - b * c < 0.0;
    // A mirrored matrix is a turned one whose x was negated at the end.
    let a = if mirrored { -a } else { a };
    Some((Rotation::from_degrees(b.atan2(a).to_degrees()), mirrored))
}

/// The display matrix of a turn for a picture of that size, which moves it back to where it began.
pub(crate) fn to_matrix(rotation: Rotation, width: u32, height: u32) -> Vec<u8> {
    const ONE: i32 = 1 << 16;
    let side = |n: u32| i32::try_from(u64::from(n) << 16).unwrap_or(0);
    let (w, h) = (side(width), side(height));
    let (a, b, c, d, x, y) = match rotation {
        Rotation::None => (ONE, 0, 0, ONE, 0, 0),
        Rotation::Quarter => (0, ONE, -ONE, 0, h, 0),
        Rotation::Half => (-ONE, 0, 0, -ONE, w, h),
        Rotation::ThreeQuarters => (0, -ONE, ONE, 0, 0, w),
    };
    [a, b, 0, c, d, 0, x, y, 1 << 30]
        .into_iter()
        .flat_map(i32::to_ne_bytes)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_gives_back_the_turn_it_was_made_of() {
        for turn in [
            Rotation::None,
            Rotation::Quarter,
            Rotation::Half,
            Rotation::ThreeQuarters,
        ] {
            assert_eq!(of_matrix(&to_matrix(turn, 320, 180)), Some((turn, false)));
        }
        assert_eq!(of_matrix(&[0; 35]), None);
    }

    #[test]
    fn a_mirrored_matrix_is_told_apart() {
        let mut bytes = to_matrix(Rotation::None, 320, 180);
        bytes[..4].copy_from_slice(&(-65536_i32).to_ne_bytes());
        assert_eq!(of_matrix(&bytes), Some((Rotation::None, true)));
    }

    #[test]
    fn numbers_out_of_range_are_unsaid() {
        assert_eq!(from_av(7, 0, -1, 300), ColorSpace::UNSPECIFIED);
        assert_eq!(from_av(1, 1, 1, 1), ColorSpace::REC709);
    }
}
