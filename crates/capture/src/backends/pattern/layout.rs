//! Where in memory which sample of a pixel lies: one row per format in one table.

use super::color::{Matrix, Rgb, full_luma, studio_chroma, studio_luma};
use beamline_media::PixelFormat;

/// What one byte of a group of pixels is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    /// Studio luma of pixel 0 or 1 of the group.
    Y(usize),
    /// Blue difference, the mean of the group.
    Cb,
    /// Red difference, the mean of the group.
    Cr,
    /// Red, green or blue.
    Rgb(usize),
    /// Always 255: alpha, or nothing.
    Full,
    /// Luma in full range.
    Grey,
}

use Sample::{Cb, Cr, Full, Grey, Rgb as C, Y};

/// Format → planes → bytes of a group.
const LAYOUTS: &[(PixelFormat, &[&[Sample]])] = &[
    (PixelFormat::I420, &[&[Y(0)], &[Cb], &[Cr]]),
    (PixelFormat::NV12, &[&[Y(0)], &[Cb, Cr]]),
    (PixelFormat::I422, &[&[Y(0)], &[Cb], &[Cr]]),
    (PixelFormat::I444, &[&[Y(0)], &[Cb], &[Cr]]),
    (PixelFormat::NV21, &[&[Y(0)], &[Cr, Cb]]),
    (PixelFormat::YUYV, &[&[Y(0), Cb, Y(1), Cr]]),
    (PixelFormat::UYVY, &[&[Cb, Y(0), Cr, Y(1)]]),
    (PixelFormat::RGBA, &[&[C(0), C(1), C(2), Full]]),
    (PixelFormat::RGBX, &[&[C(0), C(1), C(2), Full]]),
    (PixelFormat::BGRA, &[&[C(2), C(1), C(0), Full]]),
    (PixelFormat::BGRX, &[&[C(2), C(1), C(0), Full]]),
    (PixelFormat::RGB24, &[&[C(0), C(1), C(2)]]),
    (PixelFormat::BGR24, &[&[C(2), C(1), C(0)]]),
    (PixelFormat::GRAY8, &[&[Grey]]),
];

/// Formats in which patterns are drawn, without any conversion.
pub fn formats() -> impl Iterator<Item = PixelFormat> {
    LAYOUTS.iter().map(|(format, _)| *format)
}

/// The planes of a format, or `None` when patterns are not drawn in it.
pub(crate) fn layout_of(format: PixelFormat) -> Option<&'static [&'static [Sample]]> {
    LAYOUTS.iter().find(|(f, _)| *f == format).map(|(_, planes)| *planes)
}

/// One row of pixels as the bytes of one plane.
pub(crate) fn encode_row(format: PixelFormat, plane: usize, matrix: &Matrix, row: &[Rgb]) -> Vec<u8> {
    let samples = layout_of(format).map_or(&[][..], |planes| planes[plane]);
    let group = usize::from(format.info().planes[plane].sub_x);
    row.chunks(group)
        .flat_map(|pixels| {
            let yuv: Vec<_> = pixels.iter().map(|p| matrix.apply(*p)).collect();
            let mean = move |i: usize| yuv.iter().map(|c| c[i]).sum::<f64>() / yuv.len() as f64;
            // The last group of an odd width has one pixel; it stands for both.
            let pixel = |i: usize| pixels[i.min(pixels.len() - 1)];
            samples.iter().map(move |sample| match *sample {
                Y(i) => studio_luma(matrix.apply(pixel(i))[0]),
                Cb => studio_chroma(mean(1)),
                Cr => studio_chroma(mean(2)),
                C(i) => pixel(0).bytes()[i],
                Full => 255,
                Grey => full_luma(matrix.apply(pixel(0))[0]),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use beamline_media::ColorSpace;

    #[test]
    fn rows_are_as_long_as_the_format_says() {
        let matrix = Matrix::of(&ColorSpace::REC601, 10);
        for (format, planes) in LAYOUTS {
            assert_eq!(planes.len(), format.plane_count(), "{format}");
            for (i, samples) in planes.iter().enumerate() {
                assert_eq!(samples.len(), usize::from(format.info().planes[i].bytes), "{format}");
                for width in [1, 2, 321] {
                    let row = encode_row(*format, i, &matrix, &vec![Rgb::WHITE; width]);
                    assert_eq!(row.len(), format.row_bytes(i, width as u32), "{format} {width}");
                }
            }
        }
    }

    #[test]
    fn samples_lie_where_the_name_says() {
        let matrix = Matrix::of(&ColorSpace::REC601, 10);
        let red = [Rgb([1.0, 0.0, 0.0]); 2];
        let of = |format| encode_row(format, 0, &matrix, &red);
        assert_eq!(of(PixelFormat::BGRA), [0, 0, 255, 255, 0, 0, 255, 255]);
        assert_eq!(of(PixelFormat::YUYV), [81, 90, 81, 240]);
        assert_eq!(of(PixelFormat::UYVY), [90, 81, 240, 81]);
        assert_eq!(encode_row(PixelFormat::NV21, 1, &matrix, &red), [240, 90]);
    }
}
