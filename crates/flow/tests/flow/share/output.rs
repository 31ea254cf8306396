//! Outputs that are shared: where frames lie, what is copied, what readers are told, who waits for memory.

use super::{next, place, read, seen, sum, until};
use crate::support::{LONG, pattern, runtime};
use beamline_arena::{PoolConfig, SegmentHold, Wait};
use beamline_flow::{Error, FrameStream, Patience, Pop, Runtime, SharedOutput, SharedTrackConfig};
use beamline_io::Cancel;
use beamline_media::{ErrorCode, Frame, FrameInfo, FramePool, PixelFormat, Rational, Size};
use std::{thread, time::Duration};

fn output(runtime: &Runtime, path: &str, size: Size) -> SharedOutput {
    let output = SharedOutput::create(runtime, path, None).unwrap();
    let config = SharedTrackConfig {
        width: Some(size.width),
        height: Some(size.height),
        frame_rate: Rational::new(25, 1),
    };
    output.add_video(config).unwrap();
    output
}

fn patience(ms: u64) -> Patience {
    Patience {
        timeout: Duration::from_millis(ms),
        cancel: Cancel::new(),
    }
}

fn info(size: Size, at_us: i64) -> FrameInfo {
    FrameInfo {
        timestamp_us: Some(at_us),
        ..FrameInfo::new(PixelFormat::GRAY8, size)
    }
}

const SIZE: Size = Size::new(64, 32);

#[test]
fn an_output_shows_frames_where_they_lie_and_copies_what_must_not_be_seen_whole() {
    let (runtime, place) = (runtime(), place());
    let output = output(&runtime, &place.path, SIZE);
    let (reader, stream) = read(&runtime, &place.path);
    assert_eq!(
        (reader.caps().size, reader.caps().frame_rate),
        (SIZE, Rational::new(25, 1))
    );
    // One in its own memory, a capture's, one of a pool of many sources, another process's.
    let mut own = output.frame(info(SIZE, 1), None).unwrap();
    own.plane_mut(0).0.fill(11);
    let own = own.freeze();
    let captured = pattern(&runtime, "pattern:ball?width=64&height=32&live=false&frames=1").remove(0);
    let captured = captured.with_info(|i| i.timestamp_us = Some(2));
    let mut common = runtime.mixed_pool("many").acquire(info(SIZE, 3), Wait::Grow).unwrap();
    common.plane_mut(0).0.fill(33);
    let common = common.freeze();
    for frame in [&own, &captured, &common] {
        output.write(frame, None).unwrap();
        assert_eq!(seen(&next(&stream)), seen(frame));
    }
    assert!([&own, &captured].iter().all(|f| !output.must_copy(f)) && output.must_copy(&common));
    let far = next_of(&stream, &output, &own, 4).with_info(|i| i.timestamp_us = Some(5));
    assert!(output.must_copy(&far), "only its owner can grant it");
    output.write(&far, None).unwrap();
    assert_eq!(sum(&next(&stream)), sum(&own));
    let stats = output.stats();
    assert_eq!((stats.frames, stats.copies, runtime.copies.get()), (5, 2, 2));
    assert_eq!(stats.clients.unwrap().len(), 1);
    output.close();
    assert!(matches!(stream.pop_timeout(LONG), Pop::End(None)));
}

/// Writes `frame` again at another time; gives what the reader gets.
fn next_of(stream: &FrameStream, output: &SharedOutput, frame: &Frame, at_us: i64) -> Frame {
    output
        .write(&frame.clone().with_info(|i| i.timestamp_us = Some(at_us)), None)
        .unwrap();
    next(stream)
}

#[test]
fn an_output_tells_readers_when_its_pictures_change() {
    let (runtime, place) = (runtime(), place());
    let output = output(&runtime, &place.path, SIZE);
    let (reader, stream) = read(&runtime, &place.path);
    let other = Size::new(32, 64);
    for (n, size) in [SIZE, other].into_iter().enumerate() {
        let frame = output.frame(info(size, n as i64), None).unwrap().freeze();
        output.write(&frame, None).unwrap();
        assert_eq!(next(&stream).info().coded, size);
        until("the word of it", || {
            (reader.caps().size, reader.caps().pixel_format) == (size, Some(PixelFormat::GRAY8))
        });
    }
    let (late, _) = read(&runtime, &place.path);
    assert_eq!(late.caps().size, other, "who comes later is told, too");
}

#[test]
fn what_an_output_cannot_take_is_refused_and_it_lives_on() {
    let (runtime, place) = (runtime(), place());
    let output = SharedOutput::create(&runtime, &place.path, None).unwrap();
    let frame = output.frame(info(SIZE, 5), None).unwrap().freeze();
    let reason = |result: Result<(), Error>| result.unwrap_err().reason().to_owned();
    assert_eq!(reason(output.write(&frame, None)), "no-track");
    let config = SharedTrackConfig::default();
    assert_eq!(
        reason(output.add_video(SharedTrackConfig {
            width: Some(0),
            ..config
        })),
        "invalid-argument"
    );
    output.add_video(config).unwrap();
    assert_eq!(reason(output.add_video(config)), "one-track");
    assert_eq!(output.size(), None);
    output.write(&frame, None).unwrap();
    assert_eq!(output.size(), Some(SIZE));
    assert_eq!(reason(output.write(&frame, None)), "timestamp-order");
    let timeless = frame.clone().with_info(|i| i.timestamp_us = None);
    assert_eq!(reason(output.write(&timeless, None)), "invalid-argument");
    let taken = SharedOutput::create(&runtime, &place.path, None).unwrap_err();
    assert_eq!((taken.code(), taken.reason()), (ErrorCode::Busy, "share-taken"));
    assert_eq!(output.stats().frames, 1);
    output.close();
    assert_eq!(reason(output.write(&frame, None)), "closed");
    SharedOutput::create(&runtime, &place.path, None).expect("the name is free again");
}

#[test]
fn readers_of_an_output_that_is_given_up_get_an_error() {
    for forgotten in [false, true] {
        let (runtime, place) = (runtime(), place());
        let output = output(&runtime, &place.path, SIZE);
        let (_reader, stream) = read(&runtime, &place.path);
        if forgotten {
            drop(output);
        } else {
            output.abort();
        }
        match stream.pop_timeout(LONG) {
            Pop::End(Some(error)) => {
                assert_eq!(
                    (error.code(), error.reason()),
                    (ErrorCode::DeviceLost, "output-aborted")
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn pictures_that_take_turns_in_size_do_not_take_new_memory_each_time() {
    let (runtime, place) = (runtime(), place());
    let output = output(&runtime, &place.path, SIZE);
    let (_reader, stream) = read(&runtime, &place.path);
    for n in 0..200 {
        // Each in a size class of its own.
        let size = Size::new(256 << (n % 3), 256);
        let frame = output.frame(info(size, n), None).unwrap().freeze();
        output.write(&frame, None).unwrap();
        assert_eq!(next(&stream).info().timestamp_us, Some(n));
    }
    // For each size what an output may have, with what its reader has set aside: not 16 for each frame.
    let slots = runtime.arena.stats().slots;
    println!("200 frames of three sizes: {slots} slots");
    assert!(slots <= 3 * 128, "{slots}");
}

/// 16 of them are all that an output may have.
const LARGE: Size = Size::new(8192, 7168);

#[test]
fn memory_of_an_output_is_waited_for_and_comes_with_what_is_let_go() {
    let (runtime, place) = (runtime(), place());
    let output = output(&runtime, &place.path, LARGE);
    let mut all = Vec::new();
    let full = loop {
        match output.frame(info(LARGE, 0), None) {
            Ok(frame) => all.push(frame),
            Err(error) => break error,
        }
    };
    assert_eq!(full.code(), ErrorCode::Quota);
    assert!((8..=32).contains(&all.len()), "{}", all.len());
    let error = output.frame(info(LARGE, 0), Some(&patience(50))).unwrap_err();
    assert_eq!((error.code(), error.reason()), (ErrorCode::Quota, "frames-not-closed"));
    let wait = patience(60_000);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| output.frame(info(LARGE, 0), Some(&wait)).map(drop));
        thread::sleep(Duration::from_millis(20));
        all.pop();
        waiting.join().unwrap().expect("one came back");
    });
    all.push(output.frame(info(LARGE, 0), None).unwrap());
    let ended = |wait: Patience, end: &dyn Fn()| {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| output.frame(info(LARGE, 0), Some(&wait)).map(drop));
            thread::sleep(Duration::from_millis(20));
            end();
            waiting.join().unwrap().unwrap_err().reason().to_owned()
        })
    };
    assert_eq!(ended(wait.clone(), &|| wait.cancel.cancel()), "cancelled");
    assert_eq!(ended(patience(60_000), &|| output.close()), "closed");
}

#[test]
fn a_pool_of_many_sources_is_shown_to_nobody() {
    let (runtime, place) = (runtime(), place());
    let config = PoolConfig {
        mixed: true,
        ..PoolConfig::new("many")
    };
    let pool = FramePool::new(&runtime.arena, config);
    let frame = pool.acquire(info(SIZE, 0), Wait::Grow).unwrap().freeze();
    let lease = frame.leases().next().unwrap();
    assert!(SegmentHold::of(lease).is_none());
    let output = output(&runtime, &place.path, SIZE);
    assert!(output.must_copy(&frame));
}
