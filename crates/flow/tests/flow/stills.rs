//! Single pictures: PNG keeps every bit, JPEG has a quality, and what is to be turned is turned.

use crate::support::{LONG, frames, open_clip, pattern, runtime};
use beamline_arena::PoolConfig;
use beamline_codec::{Image, ImageKind, VideoDecoderConfig};
use beamline_flow::{FramesOptions, Pop, Runtime, copy_frame, encode_image};
use beamline_media::{EncodedKind, ErrorCode, Frame, FramePool, Packet, PixelFormat, Rect, Rotation, Size};
use std::sync::Arc;

fn decoded(runtime: &Runtime, image: &Image) -> Frame {
    let kind = match image.media_type {
        "image/png" => EncodedKind::PNG,
        "image/jpeg" => EncodedKind::MJPEG,
        other => panic!("{other}"),
    };
    let mut decoder = runtime
        .codecs
        .open_decoder(&VideoDecoderConfig::new(kind), runtime.frame_pool("still"))
        .unwrap();
    let packet = Packet {
        key: true,
        timestamp_us: Some(0),
        ..Packet::new(image.bytes.clone())
    };
    decoder.send(Some(&packet)).unwrap();
    decoder.send(None).unwrap();
    decoder.receive().unwrap().expect("a picture")
}

fn rows(frame: &Frame) -> Vec<Vec<u8>> {
    let v = frame.info().visible;
    let bytes = |x| frame.info().format.row_bytes(0, x);
    (v.y..v.y + v.height)
        .map(|y| frame.row(0, y as usize)[bytes(v.x)..bytes(v.x + v.width)].to_vec())
        .collect()
}

fn picture(runtime: &Runtime, format: &str) -> Frame {
    let url = format!("pattern:smpte?width=96&height=54&live=false&frames=1&format={format}");
    pattern(runtime, &url).remove(0)
}

#[test]
fn png_keeps_every_bit() {
    let runtime = runtime();
    for format in ["RGBA", "rgb24", "gray8"] {
        let frame = picture(&runtime, format);
        let before = runtime.copies.get();
        let image = encode_image(&runtime, &frame, ImageKind::Png).unwrap();
        assert_eq!(runtime.copies.get(), before, "{format} needs no pass");
        let again = decoded(&runtime, &image);
        assert_eq!(again.info().format, frame.info().format);
        assert_eq!(rows(&again), rows(&frame), "{format}");
    }
}

#[test]
fn a_frame_of_the_clip_becomes_a_png_in_its_colours() {
    let runtime = runtime();
    let input = open_clip(&runtime);
    let Pop::Item(held) = frames(&input, &FramesOptions::default()).pop_timeout(LONG) else {
        panic!("no frame");
    };
    let image = encode_image(&runtime, &held.frame, ImageKind::Png).unwrap();
    assert_eq!(runtime.copies.get(), 1, "the conversion is counted");
    let again = decoded(&runtime, &image);
    assert_eq!(again.info().visible.size(), Size::new(1280, 720));
    assert!([PixelFormat::RGBA, PixelFormat::RGB24].contains(&again.info().format));
}

#[test]
fn jpeg_quality_has_bounds_and_an_effect() {
    let runtime = runtime();
    let url = "pattern:noise?width=160&height=90&live=false&frames=1";
    let frame = pattern(&runtime, url).remove(0);
    let sizes = [0.0, 0.5, 0.9, 1.0].map(|quality| {
        let image = encode_image(&runtime, &frame, ImageKind::Jpeg { quality }).unwrap();
        assert_eq!(image.media_type, "image/jpeg");
        assert_eq!(decoded(&runtime, &image).info().visible.size(), Size::new(160, 90));
        image.bytes.len()
    });
    assert!(sizes.is_sorted() && sizes[0] * 2 < sizes[3], "{sizes:?}");
    for quality in [-0.01, 1.01, f32::NAN, f32::INFINITY] {
        let error = encode_image(&runtime, &frame, ImageKind::Jpeg { quality }).unwrap_err();
        assert_eq!(
            (error.code(), error.reason()),
            (ErrorCode::InvalidConfig, "invalid-argument")
        );
    }
}

#[test]
fn what_is_to_be_turned_is_turned() {
    let runtime = runtime();
    let upright = picture(&runtime, "RGBA");
    let pixels = rows(&upright);
    let (w, h) = (96, 54);
    let at = |x: usize, y: usize| pixels[y][x * 4..x * 4 + 4].to_vec();
    for (rotation, flip) in [
        (Rotation::Quarter, false),
        (Rotation::Half, false),
        (Rotation::ThreeQuarters, false),
        (Rotation::None, true),
        (Rotation::Quarter, true),
    ] {
        let frame = upright.clone().with_info(|info| {
            info.rotation = rotation;
            info.flip = flip;
        });
        let image = encode_image(&runtime, &frame, ImageKind::Png).unwrap();
        let turned = decoded(&runtime, &image);
        let size = turned.info().visible.size();
        let expected = if rotation.transposes() {
            Size::new(54, 96)
        } else {
            Size::new(96, 54)
        };
        assert_eq!(size, expected);
        for (y, row) in rows(&turned).iter().enumerate() {
            for (x, pixel) in row.chunks_exact(4).enumerate() {
                let x = if flip { size.width as usize - 1 - x } else { x };
                let (from_x, from_y) = match rotation {
                    Rotation::None => (x, y),
                    Rotation::Quarter => (y, h - 1 - x),
                    Rotation::Half => (w - 1 - x, h - 1 - y),
                    Rotation::ThreeQuarters => (w - 1 - y, x),
                };
                assert_eq!(pixel, at(from_x, from_y), "{rotation:?} {flip} at {x}, {y}");
            }
        }
    }
}

#[test]
fn only_the_visible_part_is_encoded_and_copied() {
    let runtime = runtime();
    let whole = picture(&runtime, "RGBA");
    let part = Rect {
        x: 10,
        y: 20,
        width: 30,
        height: 8,
    };
    let frame = whole.with_info(|info| info.visible = part);
    let image = encode_image(&runtime, &frame, ImageKind::Png).unwrap();
    assert_eq!(rows(&decoded(&runtime, &image)), rows(&frame));
    let pool = Arc::new(FramePool::new(&runtime.arena, PoolConfig::new("copies")));
    let before = runtime.copies.get();
    let copy = copy_frame(&runtime, &frame, &pool).unwrap();
    assert_eq!(runtime.copies.get() - before, 1);
    assert_eq!(
        (copy.info().coded, copy.info().visible),
        (part.size(), Rect::all(part.size()))
    );
    assert_eq!(rows(&copy), rows(&frame));
}
