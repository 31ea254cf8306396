//! What cursors give of a file that is whole: which frames, when, to whom.

use crate::support::{CLIP_FRAMES, LONG, clip, each, frames, open_clip, runtime, runtime_of, video_track};
use beamline_ffmpeg::Ffmpeg;
use beamline_flow::{FrameStream, FramesOptions, Held, OPEN_FRAMES_MAX, Pace, PacketsOptions, Policy, Pop};
use beamline_media::{ErrorCode, Size};
use beamline_testkit::TestClock;
use std::{
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

const FRAME_US: i64 = 40_000;

fn times(stream: &FrameStream) -> Vec<i64> {
    let mut times = Vec::new();
    each(stream, |frame| times.push(frame.info().timestamp_us.unwrap())).unwrap();
    times
}

fn item(stream: &FrameStream) -> Held {
    match stream.pop_timeout(LONG) {
        Pop::Item(held) => held,
        other => panic!("expected a frame but received {other:?}"),
    }
}

fn nothing_comes(stream: &FrameStream) {
    let pop = stream.pop_timeout(Duration::from_millis(60));
    assert!(matches!(pop, Pop::Empty), "{pop:?}");
}

#[test]
fn all_frames_come_in_order_with_their_exact_times() {
    let runtime = runtime();
    let input = open_clip(&runtime);
    assert_eq!(input.tracks().len(), 2);
    let stream = frames(&input, &FramesOptions::default());
    let mut n = 0;
    each(&stream, |frame| {
        let info = frame.info();
        assert_eq!(info.timestamp_us, Some(n * FRAME_US));
        assert_eq!(info.duration_us, Some(FRAME_US));
        assert_eq!(info.visible.size(), Size::new(1280, 720));
        n += 1;
    })
    .unwrap();
    assert_eq!(n, CLIP_FRAMES as i64);
    assert_eq!(runtime.copies.get(), 0);
    drop(stream);
    assert!(input.wait_closed(LONG));
    assert_eq!(runtime.arena.stats().live, 0, "the end leaves no slot behind");
}

#[test]
fn from_is_the_first_frame_whose_end_lies_after_it_and_to_is_not_included() {
    let runtime = runtime();
    let input = open_clip(&runtime);
    let end = CLIP_FRAMES as i64 * FRAME_US;
    for (from, to, first, last) in [
        (None, None, 0, 131),
        (Some(0), Some(1), 0, 0),
        (Some(FRAME_US - 1), Some(2 * FRAME_US), 0, 1),
        (Some(FRAME_US), Some(2 * FRAME_US), 1, 1),
        (Some(FRAME_US), Some(2 * FRAME_US + 1), 1, 2),
        (Some(-5_000_000), Some(3 * FRAME_US), 0, 2),
        (Some(2_500_000), Some(2_600_000), 62, 64),
        (Some(60 * FRAME_US + 1), Some(62 * FRAME_US), 60, 61),
        (Some(end - 1), None, 131, 131),
        (Some(5_000_000), Some(i64::MAX), 125, 131),
    ] {
        let stream = frames(
            &input,
            &FramesOptions {
                from_us: from,
                to_us: to,
                ..FramesOptions::default()
            },
        );
        let expected: Vec<i64> = (first..=last).map(|n| n * FRAME_US).collect();
        assert_eq!(times(&stream), expected, "{from:?} to {to:?}");
    }
    for (from, to) in [(Some(end), None), (None, Some(0)), (Some(80_000), Some(80_000))] {
        let stream = frames(
            &input,
            &FramesOptions {
                from_us: from,
                to_us: to,
                ..FramesOptions::default()
            },
        );
        assert_eq!(times(&stream), [0_i64; 0], "{from:?} to {to:?}");
    }
}

#[test]
fn two_cursors_side_by_side_give_the_same() {
    let runtime = runtime();
    let input = open_clip(&runtime);
    let both = [(); 2].map(|()| frames(&input, &FramesOptions::default()));
    let mut n = 0;
    loop {
        let [a, b] = [&both[0], &both[1]].map(|stream| stream.pop_timeout(LONG));
        match (a, b) {
            (Pop::Item(a), Pop::Item(b)) => {
                assert_eq!(a.frame.info(), b.frame.info());
                assert!(a.frame.row(0, 360) == b.frame.row(0, 360) && a.frame.row(2, 100) == b.frame.row(2, 100));
                n += 1;
            }
            (Pop::End(None), Pop::End(None)) => break,
            other => panic!("{other:?} after {n}"),
        }
    }
    assert_eq!(n, CLIP_FRAMES);
}

#[test]
fn closing_ends_cursors_that_wait_and_frames_live_on() {
    let runtime = runtime();
    let input = open_clip(&runtime);
    let full = frames(&input, &FramesOptions::default());
    let packets = input.packets(0, &PacketsOptions::default()).unwrap();
    let kept = item(&full);
    let before = kept.frame.row(0, 300).to_vec();
    thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    input.close();
    assert!(input.wait_closed(LONG));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    println!("an input with two blocked cursors closes in {:?}", began.elapsed());
    assert_eq!(each(&full, drop).unwrap_err().code(), ErrorCode::Aborted);
    while let Pop::Item(_) = packets.pop() {}
    assert!(matches!(packets.pop(), Pop::End(Some(_))));
    assert_eq!(kept.frame.row(0, 300), before);
    assert_eq!(
        input.frames(0, &FramesOptions::default()).unwrap_err().reason(),
        "closed"
    );
    drop((full, kept));
    assert_eq!(runtime.arena.stats().live, 0);
}

#[test]
fn who_keeps_too_many_frames_gets_no_more_until_one_is_closed() {
    let runtime = runtime();
    let input = open_clip(&runtime);
    let stream = frames(&input, &FramesOptions::default());
    let mut kept = Vec::new();
    while !stream.exhausted() {
        kept.push(item(&stream));
    }
    assert_eq!(kept.len(), OPEN_FRAMES_MAX as usize);
    // A consumer that does not ask gets what waited already, then nothing.
    while let Pop::Item(held) = stream.pop_timeout(Duration::from_millis(200)) {
        kept.push(held);
    }
    let most = OPEN_FRAMES_MAX as usize + FramesOptions::default().queue + 1;
    assert!(kept.len() <= most, "{} open", kept.len());
    kept.drain(..kept.len() - OPEN_FRAMES_MAX as usize);
    nothing_comes(&stream);
    let last = kept.last().unwrap().frame.info().timestamp_us.unwrap();
    drop(kept.remove(3));
    assert!(!stream.exhausted());
    assert_eq!(
        item(&stream).frame.info().timestamp_us,
        Some(last + FRAME_US),
        "none is lost"
    );
    let copy = kept.pop().unwrap().clone();
    kept.clear();
    assert_eq!(stream.stats().open, 1, "a clone counts as open");
    drop(copy);
    assert_eq!(stream.stats().open, 0);
}

#[test]
fn latest_and_drop_oldest_keep_the_newest_and_count_the_rest() {
    let runtime = runtime();
    let input = open_clip(&runtime);
    for (policy, kept) in [(Policy::Latest, 1), (Policy::DropOldest, 4)] {
        let stream = frames(
            &input,
            &FramesOptions {
                policy,
                queue: 4,
                ..FramesOptions::default()
            },
        );
        let began = Instant::now();
        while stream.stats().produced < CLIP_FRAMES as u64 && began.elapsed() < LONG {
            thread::sleep(Duration::from_millis(5));
        }
        let stats = stream.stats();
        assert_eq!(
            (stats.dropped, stats.waiting),
            ((CLIP_FRAMES - kept) as u64, kept as u64)
        );
        let expected: Vec<i64> = (CLIP_FRAMES - kept..CLIP_FRAMES).map(|n| n as i64 * FRAME_US).collect();
        assert_eq!(times(&stream), expected, "{policy:?}");
    }
}

#[test]
fn packets_are_those_of_the_file_with_their_key_flags() {
    let runtime = runtime();
    let input = open_clip(&runtime);
    for track in 0..2 {
        let ran = Command::new("ffprobe")
            .args([
                "-v",
                "error",
                "-of",
                "csv=p=0",
                "-show_entries",
                "packet=size,flags",
                "-select_streams",
            ])
            .arg(track.to_string())
            .arg(clip())
            .output()
            .unwrap();
        let expected: Vec<(usize, bool)> = String::from_utf8(ran.stdout)
            .unwrap()
            .lines()
            .map(|line| line.split_once(',').unwrap())
            .map(|(size, flags)| (size.parse().unwrap(), flags.starts_with('K')))
            .collect();
        let stream = input.packets(track, &PacketsOptions::default()).unwrap();
        let mut got = Vec::new();
        while let Pop::Item(packet) = stream.pop_timeout(LONG) {
            got.push((packet.data.len(), packet.key));
        }
        assert_eq!(got, expected, "track {track}");
    }
    assert_eq!(
        input.packets(2, &PacketsOptions::default()).unwrap_err().reason(),
        "invalid-argument"
    );
    let error = input
        .frames(1 - video_track(&input), &FramesOptions::default())
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfig);
}

#[test]
fn realtime_gives_each_frame_at_its_time_on_the_clock() {
    let clock = Arc::new(TestClock::manual());
    let runtime = runtime_of(&Ffmpeg::new(), Arc::clone(&clock) as _);
    let input = open_clip(&runtime);
    let stream = frames(
        &input,
        &FramesOptions {
            pace: Pace::Realtime,
            ..FramesOptions::default()
        },
    );
    assert_eq!(item(&stream).frame.info().timestamp_us, Some(0));
    nothing_comes(&stream);
    clock.advance(FRAME_US - 1);
    nothing_comes(&stream);
    clock.advance(1);
    assert_eq!(item(&stream).frame.info().timestamp_us, Some(FRAME_US));
    clock.advance(2 * FRAME_US);
    assert_eq!(item(&stream).frame.info().timestamp_us, Some(2 * FRAME_US));
    assert_eq!(item(&stream).frame.info().timestamp_us, Some(3 * FRAME_US));
    nothing_comes(&stream);
    input.close();
    assert!(
        input.wait_closed(Duration::from_secs(1)),
        "who waits for his time ends too"
    );
}
