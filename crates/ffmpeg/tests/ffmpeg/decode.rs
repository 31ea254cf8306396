//! Decoded pictures are those of the `ffmpeg` command, byte for byte, and lie in slots.

use crate::fixtures::*;
use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_codec::{CodecProvider, VideoDecoderConfig};
use beamline_ffmpeg::Ffmpeg;
use beamline_media::{EncodedKind, Frame, Packet, Rect, Rotation, Size};
use std::{path::Path, process::Command, thread, time::Duration};

/// All pictures as the command gives them, and their times in µs.
fn reference(path: &Path, format: &str) -> Vec<u8> {
    let ran = Command::new("ffmpeg")
        .args(["-v", "error", "-noautorotate", "-i"])
        .arg(path)
        .args([
            "-map",
            "0:v:0",
            "-fps_mode",
            "passthrough",
            "-pix_fmt",
            format,
            "-f",
            "rawvideo",
            "-",
        ])
        .output()
        .expect("ffmpeg");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    ran.stdout
}

/// Decodes with 1 and 4 threads and compares with the command; gives the number of pictures.
fn same_as_command(path: &Path, format: &str) -> usize {
    let expected = reference(path, format);
    let mut count = 0;
    for threads in [1, 4] {
        let arena = Arena::default();
        let mut at = 0;
        count = 0;
        decode(path, &arena, threads, |frame| {
            let bytes = visible_bytes(&frame);
            assert!(
                expected.get(at..at + bytes.len()) == Some(&bytes[..]),
                "{}: picture {count} with {threads} threads: {:?}",
                path.display(),
                frame.info()
            );
            at += bytes.len();
            count += 1;
        });
        assert_eq!(at, expected.len(), "{}: {threads} threads", path.display());
        assert_eq!(arena.stats().live, 0, "{}: slots are still held", path.display());
    }
    count
}

#[test]
fn the_clip() {
    assert_eq!(same_as_command(&clip(), "yuv420p"), 132);
}

#[test]
fn other_files() {
    let folder = tempfile::tempdir().expect("folder");
    let files = [
        (
            "odd.mp4",
            "yuv420p",
            "-i {clip} -t 1 -an -vf scale=322:182 -c:v libx264 -preset ultrafast {out}",
        ),
        (
            "b.mp4",
            "yuv420p",
            "-i {clip} -t 1 -an -vf scale=320:180 -c:v libx264 -bf 3 -b_strategy 0 {out}",
        ),
        (
            "vfr.mp4",
            "yuv420p",
            "-i {clip} -t 2 -an -vf scale=320:180,select=not(mod(n\\,3)*mod(n\\,5)) -fps_mode vfr -c:v libx264 {out}",
        ),
        (
            "slices.mov",
            "yuv420p",
            "-i {clip} -t 1 -an -vf scale=320:180 -c:v libx264 -slices 4 -preset ultrafast {out}",
        ),
        (
            "444.mp4",
            "yuv444p",
            "-i {clip} -t 1 -an -vf scale=320:180,format=yuv444p -c:v libx264 {out}",
        ),
        (
            "ten.mp4",
            "yuv420p10le",
            "-i {clip} -t 1 -an -vf scale=320:180,format=yuv420p10le -c:v libx264 {out}",
        ),
        (
            "mjpeg.mov",
            "yuvj420p",
            "-i {clip} -t 1 -an -vf scale=322:182 -c:v mjpeg -q:v 3 {out}",
        ),
        (
            "mjpeg422.avi",
            "yuvj422p",
            "-i {clip} -t 1 -an -vf scale=320:180,format=yuvj422p -c:v mjpeg {out}",
        ),
        (
            "png.mov",
            "rgb24",
            "-i {clip} -t 0.4 -an -vf scale=161:91 -c:v png {out}",
        ),
        (
            "rgba.mov",
            "rgba",
            "-i {clip} -t 0.4 -an -vf scale=160:90,format=rgba,colorchannelmixer=aa=0.5 -c:v png {out}",
        ),
        (
            "gray16.mov",
            "gray16le",
            "-i {clip} -t 0.2 -an -vf scale=160:90,format=gray16be -c:v png {out}",
        ),
        (
            "h264.ts",
            "yuv420p",
            "-i {clip} -t 1 -vf scale=320:180 -c:v libx264 -c:a aac {out}",
        ),
        (
            "h264.mkv",
            "yuv420p",
            "-i {clip} -t 1 -an -vf scale=320:180 -c:v libx264 {out}",
        ),
    ];
    for (name, format, arguments) in files {
        let path = make(folder.path(), name, arguments);
        assert!(same_as_command(&path, format) > 4, "{name}");
    }
}

#[test]
fn a_palette_is_converted_and_counted() {
    let folder = tempfile::tempdir().expect("folder");
    let path = make(
        folder.path(),
        "pal.png",
        "-i {clip} -frames:v 1 -vf scale=160:90,split[a][b];[a]palettegen[p];[b][p]paletteuse -c:v png {out}",
    );
    let arena = Arena::default();
    let ffmpeg = Ffmpeg::new();
    let mut decoder = ffmpeg
        .open_decoder(&VideoDecoderConfig::new(EncodedKind::PNG), pool(&arena))
        .expect("decoder");
    let packet = Packet::new(std::fs::read(&path).expect("read").into());
    decoder.send(Some(&packet)).expect("send");
    decoder.send(None).expect("end");
    let frame = decoder.receive().expect("receive").expect("a picture");
    assert_eq!(visible_bytes(&frame), reference(&path, "rgba"));
    assert_eq!(ffmpeg.copies(), 1);
    drop(frame);
    drop(decoder);
    assert_eq!(arena.stats().live, 0);
}

#[test]
fn what_is_cropped_is_still_there_and_not_visible() {
    let folder = tempfile::tempdir().expect("folder");
    let path = make(
        folder.path(),
        "odd.mp4",
        "-i {clip} -t 0.4 -an -vf scale=322:182 -c:v libx264 -preset ultrafast {out}",
    );
    decode(&path, &Arena::default(), 1, |frame| {
        assert_eq!(frame.info().coded, Size::new(336, 192));
        assert_eq!(frame.info().visible, Rect::all(Size::new(322, 182)));
    });
}

/// The luma of a picture, turned as its rotation says.
fn turned_luma(frame: &Frame) -> Vec<u8> {
    let (w, h) = (
        frame.info().visible.width as usize,
        frame.info().visible.height as usize,
    );
    let luma = |x: usize, y: usize| frame.row(0, y)[x];
    match frame.info().rotation {
        Rotation::None => (0..h).flat_map(|y| (0..w).map(move |x| luma(x, y))).collect(),
        Rotation::Quarter => (0..w).flat_map(|y| (0..h).map(move |x| luma(y, h - 1 - x))).collect(),
        Rotation::Half => (0..h)
            .flat_map(|y| (0..w).map(move |x| luma(w - 1 - x, h - 1 - y)))
            .collect(),
        Rotation::ThreeQuarters => (0..w).flat_map(|y| (0..h).map(move |x| luma(w - 1 - y, x))).collect(),
    }
}

#[test]
fn rotation_turns_the_picture_as_the_command_does() {
    let folder = tempfile::tempdir().expect("folder");
    let plain = make(
        folder.path(),
        "plain.mp4",
        "-i {clip} -t 0.4 -an -vf scale=320:180 -c:v libx264 -preset ultrafast {out}",
    );
    let plain = plain.display();
    let mut seen = Vec::new();
    for degrees in [90, 180, 270] {
        let name = format!("r{degrees}.mp4");
        // FFmpeg 6 and newer turn by an option before the input, 5.1 by a tag.
        let new = format!("-display_rotation {degrees} -i {plain} -c copy {{out}}");
        let old = format!("-i {plain} -c copy -metadata:s:v:0 rotate={degrees} {{out}}");
        let path = try_make(folder.path(), &name, &new).unwrap_or_else(|_| make(folder.path(), &name, &old));
        let upright = make(
            folder.path(),
            "upright.yuv",
            &format!("-i {} -frames:v 1 -pix_fmt yuv420p {{out}}", path.display()),
        );
        let upright = std::fs::read(upright).expect("read");
        let turn = video_track(open(&path).as_ref()).1.video().expect("video").rotation;
        let mut first = true;
        decode(&path, &Arena::default(), 1, |frame| {
            assert_eq!(frame.info().rotation, turn);
            if std::mem::take(&mut first) {
                let luma = turned_luma(&frame);
                assert!(upright[..luma.len()] == luma, "{degrees}");
            }
        });
        seen.push(turn);
        same_as_command(&path, "yuv420p");
    }
    seen.sort_by_key(|turn| turn.degrees());
    assert_eq!(seen, [Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters]);
}

#[test]
fn pixels_have_the_shape_that_the_container_says_else_the_bitstream() {
    let folder = tempfile::tempdir().expect("folder");
    let h264 = "-i {clip} -t 0.2 -an -vf scale=180:144,setsar=16/11 -c:v libx264 -preset ultrafast {out}";
    let mp4 = make(folder.path(), "both.mp4", h264);
    for name in ["bits.264", "bits.ts", "both.mkv"] {
        make(folder.path(), name, &format!("-i {} -c copy {{out}}", mp4.display()));
    }
    // The container's word against the bitstream's.
    let other = format!("-i {} -c copy -aspect 4:3 {{out}}", mp4.display());
    make(folder.path(), "other.mp4", &other);
    make(folder.path(), "none.mp4", &h264.replace("16/11", "0"));
    for (name, shape, display) in [
        ("both.mp4", (16, 11), (262, 144)),
        ("both.mkv", (16, 11), (262, 144)),
        ("bits.264", (16, 11), (262, 144)),
        ("bits.ts", (16, 11), (262, 144)),
        ("other.mp4", (16, 15), (192, 144)),
        ("none.mp4", (1, 1), (180, 144)),
    ] {
        let path = folder.path().join(name);
        let mut count = 0;
        decode(&path, &Arena::default(), 1, |frame| {
            let info = frame.info();
            assert_eq!((info.pixel_aspect.num, info.pixel_aspect.den), shape, "{name}");
            assert_eq!(info.display(), Size::new(display.0, display.1), "{name}");
            count += 1;
        });
        assert_eq!(count, 5, "{name}");
    }
}

#[test]
fn a_picture_cannot_be_written_while_the_decoder_predicts_from_it() {
    let arena = Arena::default();
    let mut demuxer = open(&clip());
    let (index, track) = video_track(demuxer.as_ref());
    demuxer.select(&[index]);
    let config = VideoDecoderConfig {
        threads: 1,
        ..decoder_config(&track)
    };
    let mut decoder = Ffmpeg::new().open_decoder(&config, pool(&arena)).expect("decoder");
    let mut held = Vec::new();
    while held.len() < 3 {
        let packet = demuxer.read().expect("read").expect("a packet");
        decoder.send(Some(&packet)).expect("send");
        drain_frames(decoder.as_mut(), &mut |frame| held.push(frame));
    }
    let last = held.pop().expect("a frame");
    let last = last.try_into_mut().expect_err("the decoder still holds it");
    decoder.reset();
    drop(decoder);
    assert!(last.try_into_mut().is_ok(), "nobody else holds it now");
    drop(held);
    assert_eq!(arena.stats().live, 0);
}

#[test]
fn decoded_planes_are_bytes_of_the_slot() {
    let arena = Arena::default();
    let ffmpeg = Ffmpeg::new();
    let before = ffmpeg.copies();
    let mut frames = 0;
    decode(&clip(), &arena, 1, |frame| {
        frames += 1;
        let (lease, offset, stride) = frame.plane(1);
        let (bytes, _) = frame.plane_bytes(1);
        assert_eq!(bytes.as_ptr(), lease.bytes()[offset..].as_ptr());
        assert_eq!((lease.as_ptr().as_ptr().addr() + offset) % 64, 0);
        assert_eq!(stride % 64, 0);
        assert_eq!(frame.leases().count(), 1);
    });
    // One slot per picture, and none for anything else.
    assert_eq!(arena.stats().allocations, frames);
    assert_eq!(ffmpeg.copies(), before);
}

#[test]
fn times_come_back_however_odd_they_are() {
    let arena = Arena::default();
    let mut demuxer = open(&clip());
    let (index, track) = video_track(demuxer.as_ref());
    demuxer.select(&[index]);
    let mut decoder = Ffmpeg::new()
        .open_decoder(&decoder_config(&track), pool(&arena))
        .expect("decoder");
    let odd = [Some(7), Some(7), None, Some(-3), Some(1 << 50)];
    let mut got = Vec::new();
    for (n, timestamp) in odd.into_iter().enumerate() {
        let mut packet = demuxer.read().expect("read").expect("a packet");
        packet.timestamp_us = timestamp;
        packet.duration_us = Some(n as i64);
        decoder.send(Some(&packet)).expect("send");
        drain_frames(decoder.as_mut(), &mut |frame| {
            got.push((frame.info().timestamp_us, frame.info().duration_us))
        });
    }
    decoder.send(None).expect("end");
    drain_frames(decoder.as_mut(), &mut |frame| {
        got.push((frame.info().timestamp_us, frame.info().duration_us))
    });
    let expected: Vec<_> = odd.into_iter().enumerate().map(|(n, t)| (t, Some(n as i64))).collect();
    assert_eq!(got, expected);
}

#[test]
fn a_budget_that_is_reached_is_said_as_such() {
    let arena = Arena::with_budget(4 << 20);
    let mut demuxer = open(&clip());
    let (index, track) = video_track(demuxer.as_ref());
    demuxer.select(&[index]);
    let mut decoder = Ffmpeg::new()
        .open_decoder(&decoder_config(&track), pool(&arena))
        .expect("decoder");
    let mut held = Vec::new();
    let failure = loop {
        let packet = demuxer.read().expect("read").expect("a packet");
        if let Err(failure) = decoder.send(Some(&packet)) {
            break failure;
        }
        match decoder.receive() {
            Ok(frame) => held.extend(frame),
            Err(failure) => break failure,
        }
    };
    assert!(matches!(failure, beamline_codec::Error::Memory(_)), "{failure}");
    drop((decoder, held));
    assert_eq!(arena.stats().live, 0);
}

#[test]
fn memory_that_comes_free_within_a_second_is_waited_for() {
    let arena = Arena::with_budget(16 << 20);
    // All but a page is somebody else's, for now.
    let others = arena.pool(PoolConfig {
        slots: 1,
        ..PoolConfig::new("others")
    });
    let class = others.class((16 << 20) - 4096).expect("a size");
    let taken = class.acquire(Wait::Grow).expect("a slot");
    drop(class);
    let going = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        drop(taken);
    });
    let mut demuxer = open(&clip());
    let (index, track) = video_track(demuxer.as_ref());
    demuxer.select(&[index]);
    let mut decoder = Ffmpeg::new()
        .open_decoder(&decoder_config(&track), pool(&arena))
        .expect("decoder");
    let frame = loop {
        let packet = demuxer.read().expect("read").expect("a packet");
        decoder.send(Some(&packet)).expect("memory in time");
        if let Some(frame) = decoder.receive().expect("memory in time") {
            break frame;
        }
    };
    assert_eq!(frame.info().coded.width, 1280);
    going.join().expect("the other one");
}

#[test]
fn what_is_not_on_the_list_is_refused() {
    let arena = Arena::default();
    let refused = Ffmpeg::new().open_decoder(&VideoDecoderConfig::new(EncodedKind("magicyuv")), pool(&arena));
    assert!(matches!(
        refused.err(),
        Some(beamline_codec::Error::NotSupported { .. })
    ));
}
