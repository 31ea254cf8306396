//! Scaling: what is smooth stays smooth, what is constant stays constant, for every pair of formats.

use crate::picture::{GUARD, Picture, to_rgb, with_range};
use beamline_convert::{Converter, Filter, supports};
use beamline_media::{ColorSpace, Model, PixelFormat, Size};

const FILTERS: [Filter; 3] = [Filter::Nearest, Filter::Bilinear, Filter::Lanczos];

#[test]
fn a_constant_stays_constant_for_every_pair_and_filter() {
    let (small, large) = (Size::new(17, 9), Size::new(31, 23));
    for filter in FILTERS {
        let mut converter = Converter::new().with_filter(filter);
        for from in PixelFormat::ALL.iter().copied() {
            for to in PixelFormat::ALL.iter().copied() {
                if !supports(from, to) || to.info().bits > 8 {
                    continue;
                }
                for (a, b) in [(small, large), (large, small)] {
                    let unit = 1_u32 << (from.info().bits - 8);
                    // Opaque, medium.
                    let alpha = |plane: usize, x: usize| {
                        plane == 3 || (from.info().model == Model::Rgb && from.info().alpha && x % 4 == 3)
                    };
                    let full = (1_u32 << from.info().bits) - 1;
                    let from = Picture::new(from, a, ColorSpace::REC709, 5)
                        .fill(|plane, x, _| if alpha(plane, x) { full } else { 128 * unit });
                    let mut out = Picture::new(to, b, ColorSpace::REC709, 3);
                    converter.scale(&from.source(), &mut out.target()).unwrap();
                    assert!(out.guards_stand(), "{} → {to}", from.format);
                    let first = out.pixel(0, 0);
                    for (y, x) in (0..b.height as usize).flat_map(|y| (0..b.width as usize).map(move |x| (y, x))) {
                        assert_eq!(out.pixel(x, y), first, "{} → {to} at {x},{y}", from.format);
                        assert!(out.alpha(x, y) == 255.0);
                    }
                    if from.format.info().model == Model::Yuv && to.info().model == Model::Rgb {
                        let want = to_rgb([128.0; 3], 6, false);
                        assert!((want[1] - first[1]).abs() <= 1.0, "{first:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_gradient_stays_a_gradient_at_odd_sizes() {
    for format in [
        PixelFormat::I420,
        PixelFormat::NV12,
        PixelFormat::I444,
        PixelFormat::GRAY8,
    ] {
        for (from, to) in [
            (Size::new(255, 31), Size::new(127, 17)),
            (Size::new(127, 17), Size::new(255, 31)),
        ] {
            let step = 254.0 / f64::from(from.width - 1);
            let source = Picture::new(format, from, ColorSpace::REC709, 9).fill(|plane, x, _| {
                if plane == 0 {
                    (x as f64 * step).round() as u32
                } else {
                    128
                }
            });
            let mut out = Picture::new(format, to, ColorSpace::REC709, 0);
            Converter::new().scale(&source.source(), &mut out.target()).unwrap();
            let ratio = f64::from(from.width) / f64::from(to.width);
            // The edges have nothing beyond them.
            let edge = 2.0_f64.max(2.0 / ratio) as usize;
            for x in edge..to.width as usize - edge {
                let want = ((x as f64 + 0.5) * ratio - 0.5) * step;
                let got = f64::from(out.planes[0].0[x]);
                assert!((want - got).abs() <= 1.0, "{format} {from} → {to} at {x}: {want} {got}");
            }
        }
    }
}

#[test]
fn the_colour_of_invisible_pixels_does_not_bleed() {
    let from = Picture::new(PixelFormat::RGBA, Size::new(64, 4), ColorSpace::SRGB, 0).fill(|_, x, _| {
        let visible = x / 4 % 2 == 0;
        match x % 4 {
            0 => 200 * u32::from(visible),
            1 => 255 * u32::from(!visible),
            2 => 0,
            _ => 255 * u32::from(visible),
        }
    });
    let mut to = Picture::new(PixelFormat::RGBA, Size::new(32, 2), ColorSpace::SRGB, 0);
    Converter::new().scale(&from.source(), &mut to.target()).unwrap();
    for pixel in to.planes[0].0.chunks(4) {
        assert!(pixel[0].abs_diff(200) <= 2 && pixel[1] == 0, "{pixel:?}");
    }
}

#[test]
fn colours_change_while_scaling_where_both_say_them() {
    let from = Picture::new(PixelFormat::I420, Size::new(64, 64), ColorSpace::REC709, 0);
    let from = from.fill(|plane, _, _| if plane == 0 { 235 } else { 128 });
    let color = with_range(ColorSpace::REC709, true);
    let mut to = Picture::new(PixelFormat::I420, Size::new(33, 31), color, 0);
    Converter::new().scale(&from.source(), &mut to.target()).unwrap();
    assert!(to.planes[0].0.iter().all(|y| *y == 255));
}

#[test]
fn scaling_to_a_format_of_many_bits_is_refused_untouched() {
    let from = Picture::new(PixelFormat::P010, Size::new(8, 8), ColorSpace::REC709, 0).noise();
    let mut to = Picture::new(PixelFormat::P010, Size::new(4, 4), ColorSpace::REC709, 0);
    let error = Converter::new().scale(&from.source(), &mut to.target()).unwrap_err();
    assert_eq!(error.reason(), "format-pair");
    assert!(to.planes[0].0.iter().all(|b| *b == GUARD));
}
