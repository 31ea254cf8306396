//! Turning against a reference that moves one group at a time.

use crate::picture::Picture;
use beamline_convert::Converter;
use beamline_media::{ColorSpace, PixelFormat, Rotation, Size};

const TURNS: [Rotation; 4] = [
    Rotation::None,
    Rotation::Quarter,
    Rotation::Half,
    Rotation::ThreeQuarters,
];

#[test]
fn every_turn_and_mirror_matches_the_reference_at_odd_sizes() {
    use PixelFormat as F;
    for format in [
        F::I420,
        F::NV12,
        F::RGBA,
        F::RGB24,
        F::GRAY8,
        F::I444,
        F::I420A,
        F::P010,
    ] {
        for size in [Size::new(1, 1), Size::new(3, 5), Size::new(17, 9), Size::new(70, 37)] {
            for (rotation, flip) in TURNS.into_iter().flat_map(|r| [(r, false), (r, true)]) {
                let from = Picture::new(format, size, ColorSpace::REC709, 5).noise();
                let out = if rotation.transposes() { size.transposed() } else { size };
                let mut to = Picture::new(format, out, ColorSpace::REC709, 3);
                Converter::new()
                    .rotate(&from.source(), &mut to.target(), rotation, flip)
                    .unwrap();
                assert!(to.guards_stand());
                for (i, plane) in format.info().planes.iter().enumerate() {
                    let n = usize::from(plane.bytes);
                    let (w, h) = (format.row_bytes(i, out.width) / n, format.rows(i, out.height));
                    for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
                        // Back: mirror, then the turn undone.
                        let u = if flip { w - 1 - x } else { x };
                        let (sx, sy) = match rotation {
                            Rotation::None => (u, y),
                            Rotation::Quarter => (y, w - 1 - u),
                            Rotation::Half => (w - 1 - u, h - 1 - y),
                            Rotation::ThreeQuarters => (h - 1 - y, u),
                        };
                        let group = |p: &Picture, x: usize, y: usize| {
                            let (bytes, stride) = &p.planes[i];
                            bytes[y * stride + x * n..][..n].to_vec()
                        };
                        assert_eq!(
                            group(&to, x, y),
                            group(&from, sx, sy),
                            "{format} {size} {rotation:?} {flip} {x},{y}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn groups_that_are_not_square_are_refused() {
    for (format, rotation) in [
        (PixelFormat::I422, Rotation::Quarter),
        (PixelFormat::YUYV, Rotation::Half),
    ] {
        let from = Picture::new(format, Size::new(4, 4), ColorSpace::REC709, 0);
        let mut to = from.clone();
        let error = Converter::new()
            .rotate(&from.source(), &mut to.target(), rotation, false)
            .unwrap_err();
        assert_eq!(error.reason(), "turn-format");
    }
}
