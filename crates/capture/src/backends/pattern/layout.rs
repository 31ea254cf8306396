//! Where in memory which sample of a pixel lies: one row per format in one table.

use super::color::{Matrix, Rgb, full_luma, max_of, studio_chroma, studio_luma};
use beamline_media::PixelFormat;

/// What one sample of a group of pixels is: a byte, or two above 8 bits.
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
    /// All bits set: alpha, or nothing.
    Full,
    /// Luma in full range.
    Grey,
}

use Sample::{Cb, Cr, Full, Grey, Rgb as C, Y};

/// Luma and two differences in planes of their own.
const PLANAR: &[&[Sample]] = &[&[Y(0)], &[Cb], &[Cr]];
/// The same, and alpha in a fourth.
const PLANAR_ALPHA: &[&[Sample]] = &[&[Y(0)], &[Cb], &[Cr], &[Full]];

/// Format → planes → samples of a group.
const LAYOUTS: &[(PixelFormat, &[&[Sample]])] = &[
    (PixelFormat::I420, PLANAR),
    (PixelFormat::I420P10, PLANAR),
    (PixelFormat::I420P12, PLANAR),
    (PixelFormat::I420A, PLANAR_ALPHA),
    (PixelFormat::I420AP10, PLANAR_ALPHA),
    (PixelFormat::I420AP12, PLANAR_ALPHA),
    (PixelFormat::I422, PLANAR),
    (PixelFormat::I422P10, PLANAR),
    (PixelFormat::I422P12, PLANAR),
    (PixelFormat::I422A, PLANAR_ALPHA),
    (PixelFormat::I422AP10, PLANAR_ALPHA),
    (PixelFormat::I422AP12, PLANAR_ALPHA),
    (PixelFormat::I444, PLANAR),
    (PixelFormat::I444P10, PLANAR),
    (PixelFormat::I444P12, PLANAR),
    (PixelFormat::I444A, PLANAR_ALPHA),
    (PixelFormat::I444AP10, PLANAR_ALPHA),
    (PixelFormat::I444AP12, PLANAR_ALPHA),
    (PixelFormat::NV12, &[&[Y(0)], &[Cb, Cr]]),
    (PixelFormat::RGBA, &[&[C(0), C(1), C(2), Full]]),
    (PixelFormat::RGBX, &[&[C(0), C(1), C(2), Full]]),
    (PixelFormat::BGRA, &[&[C(2), C(1), C(0), Full]]),
    (PixelFormat::BGRX, &[&[C(2), C(1), C(0), Full]]),
    (PixelFormat::NV21, &[&[Y(0)], &[Cr, Cb]]),
    (PixelFormat::YUYV, &[&[Y(0), Cb, Y(1), Cr]]),
    (PixelFormat::UYVY, &[&[Cb, Y(0), Cr, Y(1)]]),
    (PixelFormat::RGB24, &[&[C(0), C(1), C(2)]]),
    (PixelFormat::BGR24, &[&[C(2), C(1), C(0)]]),
    (PixelFormat::GRAY8, &[&[Grey]]),
    (PixelFormat::GRAY16, &[&[Grey]]),
    (PixelFormat::P010, &[&[Y(0)], &[Cb, Cr]]),
];

/// Formats in which patterns are drawn, without any conversion.
pub fn formats() -> impl Iterator<Item = PixelFormat> {
    LAYOUTS.iter().map(|(format, _)| *format)
}

/// The planes of a format, or `None` when patterns are not drawn in it.
pub(crate) fn layout_of(format: PixelFormat) -> Option<&'static [&'static [Sample]]> {
    LAYOUTS.iter().find(|(f, _)| *f == format).map(|(_, planes)| *planes)
}

/// Empty bits below a sample in its two bytes: P010 has its ten bits high, the others have theirs low.
pub(crate) fn padding_of(format: PixelFormat) -> u32 {
    if format == PixelFormat::P010 { 6 } else { 0 }
}

/// One row of pixels as the bytes of one plane.
pub(crate) fn encode_row(format: PixelFormat, plane: usize, matrix: &Matrix, row: &[Rgb]) -> Vec<u8> {
    let samples = layout_of(format).map_or(&[][..], |planes| planes[plane]);
    let info = format.info();
    let mut bytes = Vec::with_capacity(format.row_bytes(plane, row.len() as u32));
    for pixels in row.chunks(usize::from(info.planes[plane].sub_x)) {
        for sample in samples {
            let value = value_of(*sample, matrix, pixels, info.bits);
            if info.bits > 8 {
                bytes.extend((value << padding_of(format)).to_le_bytes());
            } else {
                bytes.push(value as u8);
            }
        }
    }
    bytes
}

/// A sample of a group of pixels, in that many bits.
fn value_of(sample: Sample, matrix: &Matrix, pixels: &[Rgb], bits: u8) -> u16 {
    // The last group of an odd width has one pixel; it stands for both.
    let luma = |i: usize| matrix.apply(pixels[i.min(pixels.len() - 1)])[0];
    let mean = |i: usize| pixels.iter().map(|p| matrix.apply(*p)[i]).sum::<f64>() / pixels.len() as f64;
    match sample {
        Y(i) => studio_luma(luma(i), bits),
        Cb => studio_chroma(mean(1), bits),
        Cr => studio_chroma(mean(2), bits),
        C(i) => u16::from(pixels[0].bytes()[i]),
        Full => max_of(bits),
        Grey => full_luma(luma(0), bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use beamline_media::ColorSpace;

    #[test]
    fn rows_are_as_long_as_the_format_says() {
        let matrix = Matrix::of(&ColorSpace::REC601, 10);
        for format in PixelFormat::ALL {
            let planes = layout_of(*format).unwrap_or_else(|| panic!("no layout of {format}"));
            assert_eq!(planes.len(), format.plane_count(), "{format}");
            let sample_bytes = if format.info().bits > 8 { 2 } else { 1 };
            for (i, samples) in planes.iter().enumerate() {
                let bytes = samples.len() * sample_bytes;
                assert_eq!(bytes, usize::from(format.info().planes[i].bytes), "{format}");
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
        assert_eq!(encode_row(PixelFormat::I420AP10, 3, &matrix, &red), [255, 3, 255, 3]);
        assert_eq!(
            encode_row(PixelFormat::I422P12, 2, &matrix, &red),
            3840u16.to_le_bytes()
        );
        // Ten bits in the high ones of sixteen: 960 · 64.
        assert_eq!(
            encode_row(PixelFormat::P010, 1, &matrix, &red)[2..],
            61440u16.to_le_bytes()
        );
    }
}
