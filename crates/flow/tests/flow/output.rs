//! Frames into files, opened again: how many, when, how large, and whether a pass over pixels was needed.

use crate::support::{Patient, close, each, frames, mp4, open_bytes, pattern, quick, runtime};
use beamline_flow::{FramesOptions, Output, OutputStats, Report, Runtime, VideoTrackConfig, Written};
use beamline_io::{Cancel, MemorySink};
use beamline_media::{ErrorCode, Frame, Rational, Rotation, Size};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

struct Done {
    bytes: Vec<u8>,
    report: Report,
    stats: OutputStats,
}

/// Encodes all of `pictures` into a file in memory.
fn written(runtime: &Runtime, pictures: &[Frame], config: VideoTrackConfig, fragmented: bool) -> Done {
    let sink = MemorySink::new();
    let bytes = sink.shared();
    let output = Output::create(runtime, Box::new(sink), &mp4(fragmented), Cancel::new()).unwrap();
    let writer = Patient::new(output.add_video(config).unwrap());
    for frame in pictures {
        writer.frame(frame).unwrap();
    }
    let report = close(&output).unwrap();
    let bytes = bytes.lock().unwrap().clone();
    Done {
        bytes,
        report,
        stats: output.stats(),
    }
}

/// Size and times of all pictures of a file.
fn seen(runtime: &Runtime, bytes: &[u8]) -> (Size, Vec<i64>, Option<i64>) {
    let input = open_bytes(runtime, bytes);
    let (mut size, mut times) = (Size::default(), Vec::new());
    each(&frames(&input, &FramesOptions::default()), |frame| {
        size = frame.info().visible.size();
        times.push(frame.info().timestamp_us.unwrap());
    })
    .unwrap();
    (size, times, input.duration_us())
}

fn every(us: i64, count: i64) -> Vec<i64> {
    (0..count).map(|n| n * us).collect()
}

const SMALL: &str = "pattern:smpte?width=320&height=180&frameRate=25&live=false";

#[test]
fn what_is_written_is_what_is_read_again() {
    let runtime = runtime();
    let pictures = pattern(&runtime, &format!("{SMALL}&frames=60"));
    for fragmented in [true, false] {
        for preset in ["ultrafast", "medium"] {
            let config = VideoTrackConfig {
                preset: Some(preset.into()),
                ..quick()
            };
            let done = written(&runtime, &pictures, config, fragmented);
            assert_eq!(done.report.bytes, done.bytes.len() as u64);
            assert_eq!(done.report.duration_us, 2_400_000, "{preset}");
            assert!(done.report.complete && done.report.playable);
            assert_eq!(done.report.fragments > 0, fragmented);
            assert_eq!((done.stats.frames, done.stats.packets, done.stats.copies), (60, 60, 0));
            assert_eq!(done.stats.bytes, done.report.bytes);
            assert!(done.stats.codecs[0].starts_with("avc1."), "{:?}", done.stats.codecs);
            let (size, times, duration) = seen(&runtime, &done.bytes);
            assert_eq!(size, Size::new(320, 180));
            assert_eq!(times, every(40_000, 60), "{preset} fragmented {fragmented}");
            assert_eq!(duration, Some(2_400_000), "{preset} fragmented {fragmented}");
        }
    }
}

#[test]
fn variable_times_stay_as_they_are() {
    let runtime = runtime();
    let pictures = pattern(&runtime, &format!("{SMALL}&frames=5"));
    let times = [0, 33_333, 50_000, 400_000, 1_000_001];
    let pictures: Vec<Frame> = pictures
        .into_iter()
        .zip(times)
        .map(|(frame, at)| frame.with_info(|info| (info.timestamp_us, info.duration_us) = (Some(at), None)))
        .collect();
    let done = written(&runtime, &pictures, quick(), true);
    let (_, read, _) = seen(&runtime, &done.bytes);
    let off: Vec<i64> = read.iter().zip(times).map(|(a, b)| (a - b).abs()).collect();
    assert!(read.len() == 5 && off.iter().all(|us| *us <= 20), "{read:?}");
}

#[test]
fn only_what_does_not_fit_the_encoder_is_converted_and_that_is_counted() {
    let runtime = runtime();
    for (format, width, height, size, copies) in [
        ("I420", None, None, Size::new(320, 180), 0),
        ("NV12", None, None, Size::new(320, 180), 0),
        ("RGBA", None, None, Size::new(320, 180), 8),
        ("yuyv", None, None, Size::new(320, 180), 8),
        ("I420", Some(160), None, Size::new(160, 90), 8),
        ("I420", None, Some(360), Size::new(640, 360), 8),
        ("NV12", Some(100), Some(100), Size::new(100, 100), 8),
        ("I420", Some(320), Some(180), Size::new(320, 180), 0),
    ] {
        let pictures = pattern(&runtime, &format!("{SMALL}&frames=8&format={format}"));
        let before = (runtime.copies.get(), runtime.arena.stats().allocations);
        let config = VideoTrackConfig {
            width,
            height,
            ..quick()
        };
        let done = written(&runtime, &pictures, config, true);
        let about = format!("{format} {width:?}×{height:?}");
        assert_eq!(done.stats.copies, copies, "{about}");
        assert_eq!(runtime.copies.get() - before.0, copies, "{about}");
        assert_eq!(
            runtime.arena.stats().allocations - before.1,
            copies,
            "{about}: a slot per copy"
        );
        let (read, times, _) = seen(&runtime, &done.bytes);
        assert_eq!((read, times.len()), (size, 8), "{about}");
    }
}

#[test]
fn odd_sizes_lose_their_last_row_and_column_without_a_copy() {
    let runtime = runtime();
    for (w, h) in [(323, 183), (322, 182), (321, 182), (17, 33)] {
        let url = format!("pattern:gradient?width={w}&height={h}&frameRate=25&live=false&frames=5");
        let done = written(&runtime, &pattern(&runtime, &url), quick(), true);
        assert_eq!(done.stats.copies, 0, "{w}×{h}");
        let (size, times, _) = seen(&runtime, &done.bytes);
        assert_eq!((size, times.len()), (Size::new(w & !1, h & !1), 5));
    }
}

#[test]
fn rotation_goes_into_the_file_and_comes_back() {
    let runtime = runtime();
    for rotation in [Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters] {
        let pictures: Vec<Frame> = pattern(&runtime, &format!("{SMALL}&frames=3"))
            .into_iter()
            .map(|frame| frame.with_info(|info| info.rotation = rotation))
            .collect();
        let done = written(&runtime, &pictures, quick(), true);
        let input = open_bytes(&runtime, &done.bytes);
        assert_eq!(input.tracks()[0].video().unwrap().rotation, rotation);
        each(&frames(&input, &FramesOptions::default()), |frame| {
            assert_eq!(frame.info().rotation, rotation);
        })
        .unwrap();
    }
}

#[test]
fn pixels_that_are_not_square_keep_the_shape_of_the_picture() {
    let runtime = runtime();
    let shaped = |shape: Rational| -> Vec<Frame> {
        pattern(
            &runtime,
            "pattern:smpte?width=180&height=144&frameRate=25&live=false&frames=3",
        )
        .into_iter()
        .map(|frame| frame.with_info(|info| info.pixel_aspect = shape))
        .collect()
    };
    let pal = Rational { num: 16, den: 11 };
    for (from, width, height, shape, display) in [
        (pal, None, None, (16, 11), (262, 144)),
        (pal, Some(90), None, (16, 11), (131, 72)),
        // The size in which it is shown: square.
        (pal, Some(262), Some(144), (1, 1), (262, 144)),
        (pal, Some(180), Some(72), (8, 11), (180, 99)),
        // Square pixels stay square: who says a size means it.
        (Rational::ONE, Some(180), Some(72), (1, 1), (180, 72)),
    ] {
        let config = VideoTrackConfig {
            width,
            height,
            ..quick()
        };
        for fragmented in [true, false] {
            let done = written(&runtime, &shaped(from), config.clone(), fragmented);
            let input = open_bytes(&runtime, &done.bytes);
            let said = input.tracks()[0].video().unwrap().pixel_aspect;
            assert_eq!(said, Rational::new(shape.0, shape.1), "{width:?}×{height:?}");
            each(&frames(&input, &FramesOptions::default()), |frame| {
                assert_eq!(frame.info().display(), Size::new(display.0, display.1));
            })
            .unwrap();
        }
    }
}

#[test]
fn times_that_begin_late_are_moved_to_the_beginning() {
    let runtime = runtime();
    for first in [10_000_000, -3_000_000, 1 << 50] {
        let pictures: Vec<Frame> = pattern(&runtime, &format!("{SMALL}&frames=20"))
            .into_iter()
            .map(|frame| frame.with_info(|info| info.timestamp_us = info.timestamp_us.map(|t| t + first)))
            .collect();
        let config = VideoTrackConfig {
            preset: Some("medium".into()),
            ..quick()
        };
        let done = written(&runtime, &pictures, config, true);
        assert_eq!(done.report.duration_us, 800_000);
        assert_eq!(seen(&runtime, &done.bytes).1, every(40_000, 20), "from {first}");
    }
}

#[test]
fn a_full_writer_is_told_when_there_is_room() {
    let runtime = runtime();
    let url = "pattern:noise?width=640&height=360&frameRate=25&live=false&frames=20";
    let pictures = pattern(&runtime, url);
    let output = Output::create(&runtime, Box::new(MemorySink::new()), &mp4(true), Cancel::new()).unwrap();
    let config = VideoTrackConfig {
        queue: 1,
        preset: Some("medium".into()),
        ..quick()
    };
    let writer = output.add_video(config).unwrap();
    let rung = Arc::new(AtomicU32::new(0));
    let (bell, heard) = mpsc::channel();
    let count = Arc::clone(&rung);
    writer.on_room(move || {
        count.fetch_add(1, Ordering::SeqCst);
        bell.send(()).unwrap();
    });
    let mut armed = 0;
    for frame in &pictures {
        while writer.write_frame(frame, false).unwrap() == Written::Full {
            if writer.arm_room() {
                armed += 1;
                heard.recv_timeout(Duration::from_secs(20)).expect("the bell is rung");
            }
        }
    }
    assert!(armed > 0, "frames of noise never filled a queue of one");
    assert_eq!(
        rung.load(Ordering::SeqCst),
        armed,
        "once for each time it was asked for"
    );
    assert!(!writer.arm_room() || heard.recv_timeout(Duration::from_secs(20)).is_ok());
    assert_eq!(close(&output).unwrap().duration_us, 800_000);
}

#[test]
fn who_waits_for_room_hears_of_an_abort() {
    let runtime = runtime();
    let url = "pattern:noise?width=640&height=360&frameRate=25&live=false&frames=12";
    let pictures = pattern(&runtime, url);
    let output = Output::create(&runtime, Box::new(MemorySink::new()), &mp4(true), Cancel::new()).unwrap();
    let writer = output
        .add_video(VideoTrackConfig {
            queue: 1,
            preset: Some("slow".into()),
            ..quick()
        })
        .unwrap();
    let writer = thread::spawn(move || {
        let writer = Patient::new(writer);
        (0_i64..).zip(pictures.iter().cycle()).find_map(|(n, frame)| {
            let next = frame.clone().with_info(|info| info.timestamp_us = Some(n * 40_000));
            writer.frame(&next).err()
        })
    });
    thread::sleep(Duration::from_millis(100));
    output.abort(|_| ());
    let error = writer.join().unwrap().unwrap();
    assert!(
        matches!(error.code(), ErrorCode::InvalidState | ErrorCode::Aborted),
        "{error}"
    );
    assert!(output.wait_closed(Duration::from_secs(20)));
}

#[test]
fn frames_that_no_file_can_hold_are_refused() {
    let runtime = runtime();
    let picture = pattern(&runtime, &format!("{SMALL}&frames=1")).remove(0);
    let output = Output::create(&runtime, Box::new(MemorySink::new()), &mp4(true), Cancel::new()).unwrap();
    for (codec, reason) in [("nonsense", None), ("h264", Some(0)), ("h264", Some(1 << 20))] {
        let config = VideoTrackConfig {
            codec: codec.into(),
            width: reason,
            ..quick()
        };
        let code = output.add_video(config).unwrap_err().code();
        assert!(
            matches!(code, ErrorCode::InvalidConfig | ErrorCode::NotSupported),
            "{code:?}"
        );
    }
    let writer = output.add_video(quick()).unwrap();
    writer
        .write_frame(&picture.with_info(|info| info.timestamp_us = None), false)
        .unwrap();
    assert_eq!(close(&output).unwrap_err().reason(), "invalid-argument");
    assert!(output.was_discarded());
}
