//! Frames over slots: what is refused, and what the planes of a frame see.

use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_media::{Frame, FrameError, FrameInfo, FrameMut, FramePool, Layout, PixelFormat, Plane, Size};

fn pool() -> FramePool {
    FramePool::new(&Arena::default(), PoolConfig::new("test"))
}

#[test]
fn every_format_lies_in_a_slot_at_odd_sizes_without_two_planes_touching() {
    let pool = pool();
    for format in PixelFormat::ALL {
        for size in [
            Size::new(1, 1),
            Size::new(3, 5),
            Size::new(322, 182),
            Size::new(1921, 1081),
        ] {
            let mut frame = pool.acquire(FrameInfo::new(*format, size), Wait::Grow).unwrap();
            for (i, (plane, _)) in frame.planes_mut().into_iter().enumerate() {
                plane.fill(i as u8 + 1);
            }
            let frame = frame.freeze();
            for i in 0..format.plane_count() {
                let (bytes, stride) = frame.plane_bytes(i);
                assert!(stride >= format.row_bytes(i, size.width));
                assert!(bytes.iter().all(|b| *b == i as u8 + 1), "{format} {size} plane {i}");
            }
        }
    }
}

#[test]
fn planes_that_overlap_cannot_be_written() {
    let pool = pool();
    let info = FrameInfo::new(PixelFormat::I420, Size::new(64, 64));
    let mut layout = Layout::aligned(info.format, info.coded).unwrap();
    let class = pool.pool().class(layout.len).unwrap();
    layout.planes[2].offset = layout.planes[1].offset + 1;
    let refused = FrameMut::new(info, class.acquire(Wait::Grow).unwrap(), &layout);
    assert!(matches!(refused, Err(FrameError::Plane { plane: 2, .. })));
}

#[test]
fn impossible_sizes_strides_and_offsets_are_refused() {
    let pool = pool();
    let info = FrameInfo::new(PixelFormat::GRAY8, Size::new(64, 64));
    for size in [
        Size::new(0, 1),
        Size::new(1, 0),
        Size::new(16_385, 1),
        Size::new(16_384, 16_384),
    ] {
        assert!(matches!(
            pool.acquire(FrameInfo::new(PixelFormat::GRAY8, size), Wait::Grow),
            Err(FrameError::Size(_))
        ));
    }
    let lease = pool
        .pool()
        .class(64 * 64)
        .unwrap()
        .acquire(Wait::Grow)
        .unwrap()
        .freeze();
    let plane = |offset, stride| {
        vec![Plane {
            lease: lease.clone(),
            offset,
            stride,
        }]
    };
    assert!(Frame::new(info, plane(0, 64)).is_ok());
    assert!(matches!(Frame::new(info, plane(1, 64)), Err(FrameError::Plane { .. })));
    assert!(matches!(
        Frame::new(info, plane(usize::MAX, 64)),
        Err(FrameError::Plane { .. })
    ));
    assert!(matches!(
        Frame::new(info, plane(0, usize::MAX)),
        Err(FrameError::Plane { .. })
    ));
    assert!(matches!(Frame::new(info, plane(0, 63)), Err(FrameError::Stride { .. })));
    assert!(matches!(
        Frame::new(info, Vec::new()),
        Err(FrameError::PlaneCount { .. })
    ));
    // The same by the way of one slot.
    let one = |offset, stride| Frame::in_one_slot(info, plane(0, 64)[0].lease.clone(), [(offset, stride); 4]);
    assert!(one(0, 64).is_ok_and(|frame| frame.plane_bytes(0).1 == 64));
    assert!(matches!(one(1, 64), Err(FrameError::Plane { .. })));
    assert!(matches!(one(usize::MAX, 64), Err(FrameError::Plane { .. })));
    assert!(matches!(one(0, 63), Err(FrameError::Stride { .. })));
}

#[test]
fn a_frame_is_writable_only_while_nobody_else_holds_it() {
    let pool = pool();
    let frame = pool
        .acquire(FrameInfo::new(PixelFormat::RGBA, Size::new(8, 8)), Wait::Grow)
        .unwrap()
        .freeze();
    let other = frame.clone();
    let frame = frame.try_into_mut().unwrap_err();
    drop(other);
    assert!(frame.try_into_mut().is_ok());
}
