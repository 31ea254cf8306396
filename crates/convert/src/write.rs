//! From rows of single samples to a picture's rows.

use crate::{
    Target, kernel,
    layout::{Storage, Yuv},
    simd::wide,
};

/// Row `y` of luma, unless luma and chroma share a plane (then see [`packed`]).
pub(crate) fn luma(target: &mut Target<'_>, shape: &Yuv, y: usize, row: &[u8]) {
    if !matches!(shape.storage, Storage::Packed { .. }) {
        target.row(0, y).copy_from_slice(row);
    }
}

/// Row `y` of alpha, where the target has alpha: `None` is opaque.
pub(crate) fn alpha(target: &mut Target<'_>, shape: &Yuv, y: usize, row: Option<&[u8]>) {
    if let Some(plane) = shape.alpha {
        match row {
            Some(row) => target.row(plane, y).copy_from_slice(row),
            None => target.row(plane, y).fill(255),
        }
    }
}

/// Chroma row `y`, one sample per `sub_x` pixels, where chroma has planes.
pub(crate) fn chroma(target: &mut Target<'_>, shape: &Yuv, y: usize, u: &[u8], v: &[u8]) {
    match shape.storage {
        Storage::Planar => {
            target.row(1, y).copy_from_slice(u);
            target.row(2, y).copy_from_slice(v);
        }
        Storage::Interleaved { v_first } => {
            let (first, second) = if v_first { (v, u) } else { (u, v) };
            let out = target.row(1, y);
            wide(
                #[inline(always)]
                || kernel::interleave(first, second, out),
            );
        }
        Storage::Packed { .. } | Storage::Luma => {}
    }
}

/// Row `y` of luma and chroma together, where they share a plane.
pub(crate) fn packed(target: &mut Target<'_>, shape: &Yuv, y: usize, luma_row: &[u8], u: &[u8], v: &[u8]) {
    if let Storage::Packed { luma } = shape.storage {
        let out = target.row(0, y);
        // The place as a constant: the loop is vectorised for each.
        wide(
            #[inline(always)]
            || match luma {
                0 => kernel::pack::<0>(luma_row, u, v, out),
                _ => kernel::pack::<1>(luma_row, u, v, out),
            },
        );
    }
}
