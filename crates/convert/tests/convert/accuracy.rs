//! I420 and NV12 to RGBA against H.273 in float64, over all of luma and chroma, not only what a picture happens to have.

use crate::picture::{Picture, to_rgb, with_range};
use beamline_convert::Converter;
use beamline_media::{ColorSpace, PixelFormat, Size};

/// 1280×720 of every luma value beside five U and every V: luma along x, U by bands of columns, V by rows.
fn every_combination(format: PixelFormat, color: ColorSpace, part: usize) -> Picture {
    Picture::new(format, Size::new(1280, 720), color, 0).fill(|plane, x, y| {
        // 128 chroma columns see all 256 luma values: five bands of U across, 360 chroma rows of V.
        let column = if format == PixelFormat::NV12 { x / 2 } else { x };
        let u = (part * 5 + column / 128) as u32;
        let v = (y as u32 * 255) / 359;
        match (plane, format == PixelFormat::NV12 && x % 2 == 1) {
            (0, _) => (x % 256) as u32,
            (1, false) => u.min(255),
            _ => v,
        }
    })
}

#[test]
fn video_to_rgba_is_within_one_of_the_formula_everywhere() {
    let mut converter = Converter::new();
    for format in [PixelFormat::I420, PixelFormat::NV12] {
        for color in [ColorSpace::REC601, ColorSpace::REC709] {
            for full in [false, true] {
                let color = with_range(color, full);
                let mut worst = 0.0_f64;
                // Five neighbouring U of every fifteen, and the ends.
                for part in (0..52).step_by(3) {
                    let from = every_combination(format, color, part);
                    let mut to = Picture::new(PixelFormat::RGBA, from.size, ColorSpace::SRGB, 0);
                    converter.convert(&from.source(), &mut to.target()).unwrap();
                    for y in (0..720).step_by(2) {
                        for x in 0..1280 {
                            let want = to_rgb(from.pixel(x, y), color.matrix, full);
                            let at = (y * 1280 + x) * 4;
                            let got = &to.planes[0].0[at..at + 4];
                            for (want, got) in want.iter().zip(got) {
                                worst = worst.max((want.clamp(0.0, 255.0) - f64::from(*got)).abs());
                            }
                            assert_eq!(got[3], 255);
                        }
                    }
                }
                assert!(worst <= 1.0, "{format} {color:?}: {worst}");
                // What the fixed point leaves: half a step of rounding and a little.
                assert!(worst <= 0.65, "{format} {color:?}: {worst}");
            }
        }
    }
}

#[test]
fn every_matrix_of_constant_weights_keeps_grey_grey() {
    for matrix in [1, 4, 5, 6, 7, 9] {
        for full in [false, true] {
            let color = with_range(
                ColorSpace {
                    matrix,
                    ..ColorSpace::REC709
                },
                full,
            );
            let from = Picture::new(PixelFormat::I420, Size::new(256, 2), color, 0);
            let from = from.fill(|plane, x, _| if plane == 0 { x as u32 } else { 128 });
            let mut to = Picture::new(PixelFormat::RGBA, from.size, ColorSpace::SRGB, 0);
            Converter::new().convert(&from.source(), &mut to.target()).unwrap();
            for pixel in to.planes[0].0.chunks(4) {
                assert!(
                    pixel[0] == pixel[1] && pixel[1] == pixel[2],
                    "{matrix} {full}: {pixel:?}"
                );
            }
            let (black, white) = if full { (0, 255) } else { (16, 235) };
            assert_eq!(to.planes[0].0[black * 4], 0);
            assert_eq!(to.planes[0].0[white * 4], 255);
        }
    }
}
