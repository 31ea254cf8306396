//! Every pair of formats against float64, with odd sizes, padded rows and guards.

use crate::picture::{GUARD, Picture, with_range, worst};
use beamline_convert::{Converter, Error, supports};
use beamline_media::{ColorSpace, ErrorCode, Model, PixelFormat, Size};

const SMALL: [Size; 4] = [Size::new(1, 1), Size::new(3, 5), Size::new(17, 9), Size::new(70, 6)];

fn pairs() -> impl Iterator<Item = (PixelFormat, PixelFormat)> {
    let all = PixelFormat::ALL.iter().copied();
    all.clone().flat_map(move |from| all.clone().map(move |to| (from, to)))
}

/// How far a pair may be from the formula. Mostly it is rounded once, at the end. Samples of more than 8 bits are rounded before, and
/// the very largest cut off at 255; chroma that gets fewer samples and another matrix is rounded after the mean and after the matrix.
fn tolerance(from: PixelFormat, to: PixelFormat) -> f64 {
    match (from.info().bits > 8, from.info().model, to.info().model) {
        (true, _, Model::Rgb) => 3.0,
        (true, ..) => 2.0,
        (false, Model::Yuv, Model::Yuv) => 1.25,
        _ => 1.0,
    }
}

fn check(converter: &mut Converter, from: &Picture, to: PixelFormat, color: ColorSpace, pad: usize) {
    let mut out = Picture::new(to, from.size, color, pad);
    converter.convert(&from.source(), &mut out.target()).unwrap();
    assert!(
        out.guards_stand(),
        "{} → {to} {}: wrote between rows",
        from.format,
        from.size
    );
    let worst = worst(from, &out);
    let most = tolerance(from.format, to);
    assert!(
        worst <= most,
        "{} {:?} → {to} {color:?} {}: {worst}",
        from.format,
        from.color,
        from.size
    );
}

#[test]
fn every_pair_matches_the_formula_at_odd_sizes_and_leaves_guards() {
    let mut converter = Converter::new();
    let colors = [
        (
            with_range(ColorSpace::REC709, false),
            with_range(ColorSpace::REC709, false),
        ),
        (
            with_range(ColorSpace::REC601, false),
            with_range(ColorSpace::REC709, true),
        ),
        (
            with_range(ColorSpace::REC709, true),
            with_range(
                ColorSpace {
                    matrix: 9,
                    ..ColorSpace::REC709
                },
                false,
            ),
        ),
    ];
    for (from, to) in pairs().filter(|(from, to)| supports(*from, *to) && to.info().bits == 8) {
        for size in SMALL {
            for (a, b) in colors {
                check(&mut converter, &Picture::new(from, size, a, 13).noise(), to, b, 7);
            }
        }
    }
}

#[test]
fn pairs_with_rgba_match_the_formula_at_322_by_182() {
    let mut converter = Converter::new();
    let size = Size::new(322, 182);
    let color = ColorSpace::REC601;
    for (from, to) in pairs().filter(|(from, to)| supports(*from, *to) && to.info().bits == 8) {
        if from == PixelFormat::RGBA || to == PixelFormat::RGBA {
            check(
                &mut converter,
                &Picture::new(from, size, color, 0).noise(),
                to,
                color,
                3,
            );
        }
    }
}

#[test]
fn colours_survive_the_way_to_444_and_back() {
    let mut converter = Converter::new();
    let size = Size::new(64, 64);
    for full in [false, true] {
        let color = with_range(ColorSpace::REC709, full);
        let from = Picture::new(PixelFormat::RGBA, size, ColorSpace::SRGB, 0).noise();
        let mut between = Picture::new(PixelFormat::I444A, size, color, 0);
        let mut back = Picture::new(PixelFormat::RGBA, size, ColorSpace::SRGB, 0);
        converter.convert(&from.source(), &mut between.target()).unwrap();
        converter.convert(&between.source(), &mut back.target()).unwrap();
        for (a, b) in from.planes[0].0.iter().zip(&back.planes[0].0) {
            assert!(a.abs_diff(*b) <= 3, "{a} {b}");
        }
    }
}

#[test]
fn the_same_format_is_copied_bit_by_bit_even_with_many_bits() {
    for format in PixelFormat::ALL.iter().copied() {
        assert!(supports(format, format));
        let from = Picture::new(format, Size::new(17, 9), ColorSpace::REC709, 13).noise();
        let mut to = Picture::new(format, from.size, ColorSpace::UNSPECIFIED, 5);
        Converter::new().convert(&from.source(), &mut to.target()).unwrap();
        assert!(to.guards_stand());
        for i in 0..format.plane_count() {
            let row = format.row_bytes(i, 17);
            let rows = from.planes[i]
                .0
                .chunks(from.planes[i].1)
                .zip(to.planes[i].0.chunks(to.planes[i].1));
            for (a, b) in rows {
                assert_eq!(a[..row], b[..row], "{format}");
            }
        }
    }
}

#[test]
fn an_unsaid_range_or_matrix_changes_no_sample() {
    let said = with_range(ColorSpace::REC709, true);
    let from = Picture::new(PixelFormat::NV12, Size::new(16, 16), said, 0).noise();
    let mut to = Picture::new(PixelFormat::I420, from.size, ColorSpace::UNSPECIFIED, 0);
    Converter::new().convert(&from.source(), &mut to.target()).unwrap();
    assert_eq!(from.planes[0].0, to.planes[0].0);
}

#[test]
fn what_cannot_be_done_is_said_and_nothing_is_written() {
    let mut converter = Converter::new();
    let size = Size::new(8, 8);
    let from = Picture::new(PixelFormat::RGBA, size, ColorSpace::SRGB, 0).noise();
    let mut to = Picture::new(PixelFormat::I420P10, size, ColorSpace::REC709, 0);
    assert!(!supports(from.format, to.format));
    let error = converter.convert(&from.source(), &mut to.target()).unwrap_err();
    assert!(matches!(error, Error::Formats { .. }), "{error}");
    assert_eq!((error.code(), error.reason()), (ErrorCode::NotSupported, "format-pair"));

    let odd = ColorSpace {
        matrix: 8,
        ..ColorSpace::REC709
    };
    let mut to = Picture::new(PixelFormat::I420, size, odd, 0);
    let error = converter.convert(&from.source(), &mut to.target()).unwrap_err();
    assert!(matches!(error, Error::Matrix(8)), "{error}");

    let mut to = Picture::new(PixelFormat::I420, Size::new(8, 10), ColorSpace::REC709, 0);
    let error = converter.convert(&from.source(), &mut to.target()).unwrap_err();
    assert!(matches!(error, Error::TargetSize { .. }), "{error}");
    assert!(to.planes.iter().all(|(bytes, _)| bytes.iter().all(|b| *b == GUARD)));
}
