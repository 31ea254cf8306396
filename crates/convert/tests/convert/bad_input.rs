//! Whatever sizes, strides, lengths and formats come: a typed error or a picture, never a panic.

use crate::picture::Picture;
use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_convert::{Converter, Error, Source, Target};
use beamline_media::{ColorSpace, FrameInfo, FramePool, PixelFormat, Rect, Rotation, Size};
use proptest::prelude::*;

fn any_format() -> impl Strategy<Value = PixelFormat> {
    (0..PixelFormat::ALL.len()).prop_map(|i| PixelFormat::ALL[i])
}

fn any_side() -> impl Strategy<Value = u32> {
    prop_oneof![0..40_u32, 16_380..16_390_u32, Just(u32::MAX)]
}

fn any_color() -> impl Strategy<Value = ColorSpace> {
    (0..12_u8, proptest::option::of(any::<bool>())).prop_map(|(matrix, full_range)| ColorSpace {
        matrix,
        full_range,
        ..ColorSpace::UNSPECIFIED
    })
}

/// Lengths and strides near what is needed, and far from it.
fn planes() -> impl Strategy<Value = Vec<(usize, usize)>> {
    let plane = (
        0..6000_usize,
        prop_oneof![0..200_usize, Just(usize::MAX), Just(usize::MAX / 2)],
    );
    proptest::collection::vec(plane, 0..6)
}

proptest! {
    #[test]
    fn raw_planes_of_any_kind_give_a_picture_or_an_error(
        (from, to) in (any_format(), any_format()),
        sides in (any_side(), any_side(), any_side(), any_side()),
        colors in (any_color(), any_color()),
        (a, b) in (planes(), planes()),
        (turn, flip) in (0..4_u32, any::<bool>()),
    ) {
        let (source_size, target_size) = (Size::new(sides.0, sides.1), Size::new(sides.2, sides.3));
        let source_bytes: Vec<_> = a.iter().map(|(len, stride)| (vec![7_u8; *len], *stride)).collect();
        let source_planes: Vec<_> = source_bytes.iter().map(|(b, s)| (&b[..], *s)).collect();
        let source = Source::from_planes(from, source_size, colors.0, &source_planes);
        let mut target_bytes: Vec<_> = b.iter().map(|(len, stride)| (vec![7_u8; *len], *stride)).collect();
        let target_planes = target_bytes.iter_mut().map(|(b, s)| (&mut b[..], *s));
        let target = Target::from_planes(to, target_size, colors.1, target_planes);
        if let (Ok(source), Ok(mut target)) = (source, target) {
            let mut converter = Converter::new();
            let _ = converter.convert(&source, &mut target);
            let _ = converter.scale(&source, &mut target);
            let _ = converter.rotate(&source, &mut target, Rotation::from_degrees(f64::from(turn) * 90.0), flip);
        }
    }

    #[test]
    fn possible_pictures_of_any_pair_convert_scale_and_keep_guards(
        (from, to) in (any_format(), any_format()),
        (w, h, w2, h2) in (1..40_u32, 1..40_u32, 1..40_u32, 1..40_u32),
        (pad, pad2) in (0..9_usize, 0..9_usize),
        colors in (any_color(), any_color()),
    ) {
        let source = Picture::new(from, Size::new(w, h), colors.0, pad).noise();
        let mut converter = Converter::new();
        let mut same = Picture::new(to, Size::new(w, h), colors.1, pad2);
        let _ = converter.convert(&source.source(), &mut same.target());
        prop_assert!(same.guards_stand());
        let mut other = Picture::new(to, Size::new(w2, h2), colors.1, pad2);
        let _ = converter.scale(&source.source(), &mut other.target());
        prop_assert!(other.guards_stand());
    }
}

#[test]
fn a_part_of_a_frame_is_read_from_its_place_or_refused() {
    let arena = Arena::default();
    let pool = FramePool::new(&arena, PoolConfig::new("test"));
    let info = FrameInfo::new(PixelFormat::I420, Size::new(16, 8));
    let mut frame = pool.acquire(info, Wait::Never).unwrap();
    for i in 0..3 {
        let (bytes, stride) = frame.plane_mut(i);
        for (y, row) in bytes.chunks_mut(stride).enumerate() {
            row.iter_mut().enumerate().for_each(|(x, b)| *b = (16 * y + x) as u8);
        }
    }
    let frame = frame.freeze();
    let part = Rect {
        x: 4,
        y: 2,
        width: 5,
        height: 3,
    };
    let source = Source::crop(&frame, part).unwrap();
    let mut target = pool
        .acquire(FrameInfo::new(PixelFormat::GRAY8, part.size()), Wait::Never)
        .unwrap();
    target.set_info(|info| info.color.full_range = Some(false));
    Converter::new()
        .convert(&source, &mut Target::of(&mut target).unwrap())
        .unwrap();
    let (bytes, stride) = target.plane_mut(0);
    assert_eq!(&bytes[stride..stride + 5], &[52, 53, 54, 55, 56]);

    let odd = Rect { x: 3, ..part };
    assert!(matches!(
        Source::crop(&frame, odd),
        Err(Error::Alignment { x: 2, y: 2, .. })
    ));
    let outside = Rect { width: 13, ..part };
    assert!(matches!(Source::crop(&frame, outside), Err(Error::Rect { .. })));
}
