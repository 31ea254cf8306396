//! Shares without JavaScript: a source's frames, and those of an output, read through `shared:` here and in another process.
//!
//! The other process is the test again: with `BEAMLINE_READ_SHARE` set it reads that share and prints what it saw.

mod hosted;
mod output;

use crate::support::{LONG, each, frames, open_clip, runtime, runtime_of, video_track};
use beamline_capture::{Registry, Request};
use beamline_ffmpeg::Ffmpeg;
use beamline_flow::{
    CaptureOptions, CaptureSession, FrameStream, FramesOptions, Pace, Policy, Pop, Runtime, Share, ShareOptions,
};
use beamline_io::Cancel;
use beamline_media::{Clock, ErrorCode, Frame, SystemClock};
use beamline_testkit::capture::FakeBackend;
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

fn with_fakes(runtime: Runtime) -> Runtime {
    let mut backends = Registry::with_builtins();
    backends.register(Box::new(FakeBackend));
    Runtime {
        backends: Arc::new(backends),
        ..runtime
    }
}

fn open(runtime: &Runtime, url: &str) -> CaptureSession {
    let request: Request = runtime.backends.parse(url).unwrap();
    CaptureSession::open(runtime, &request, Cancel::new()).unwrap()
}

/// A share's place in a folder of the test's own.
struct Place {
    _folder: tempfile::TempDir,
    path: String,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("studio").to_str().unwrap().to_owned();
    Place { _folder: folder, path }
}

/// Everything that a reader with room for 32 gets.
fn read(runtime: &Runtime, path: &str) -> (CaptureSession, FrameStream) {
    let session = open(runtime, &format!("shared:{path}?policy=drop-oldest&queue=32&hold=14"));
    let options = CaptureOptions {
        queue: Some(64),
        policy: Some(Policy::DropOldest),
        label: None,
    };
    let stream = session.frames(options).unwrap();
    (session, stream)
}

fn next(stream: &FrameStream) -> Frame {
    match stream.pop_timeout(LONG) {
        Pop::Item(held) => held.frame.clone(),
        Pop::Empty => panic!("no frame within {LONG:?}"),
        Pop::End(error) => panic!("the end: {error:?}"),
    }
}

/// FNV-1a over all rows.
fn sum(frame: &Frame) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325u64;
    for plane in 0..frame.plane_count() {
        for y in 0..frame.info().format.rows(plane, frame.info().coded.height) {
            for byte in frame.row(plane, y) {
                sum = (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    sum
}

fn seen(frame: &Frame) -> (i64, u64) {
    (frame.info().timestamp_us.unwrap(), sum(frame))
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        thread::sleep(Duration::from_millis(1));
    }
}

/// This test again, as a reader of `path`.
fn another_process(path: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "share::a_shared_capture_gives_the_same_frames_here_and_in_another_process_without_a_copy",
            "--nocapture",
        ])
        .env("BEAMLINE_READ_SHARE", path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What such a process saw, and how many copies it made.
fn told_by(child: &mut Child) -> (BTreeMap<i64, u64>, u64) {
    let (mut all, mut copies) = (BTreeMap::new(), None);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let mut words = line.split(' ').skip_while(|w| *w != "saw" && *w != "copies");
        match (words.next(), words.next(), words.next()) {
            (Some("saw"), Some(at), Some(sum)) => {
                all.insert(at.parse().unwrap(), sum.parse().unwrap());
            }
            (Some("copies"), Some(n), None) => copies = Some(n.parse().unwrap()),
            _ => {}
        }
    }
    assert!(child.wait().unwrap().success());
    (all, copies.expect("its last word"))
}

/// The part of that other process.
fn reads(path: &str) {
    let runtime = runtime();
    let (session, stream) = read(&runtime, path);
    println!("joined");
    each(&stream, |frame| {
        let (at, sum) = seen(&frame);
        println!("saw {at} {sum}");
    })
    .unwrap();
    session.close();
    assert!(session.wait_closed(LONG));
    println!("copies {}", runtime.copies.get());
    assert_eq!(runtime.arena.stats().live, 0);
}

#[test]
fn a_shared_capture_gives_the_same_frames_here_and_in_another_process_without_a_copy() {
    if let Ok(path) = env::var("BEAMLINE_READ_SHARE") {
        return reads(&path);
    }
    let (runtime, place) = (runtime(), place());
    let session = open(&runtime, "pattern:ball?width=320&height=180&frameRate=50&frames=100");
    let mut ours = BTreeMap::new();
    let local = session
        .frames(CaptureOptions {
            queue: Some(64),
            policy: Some(Policy::DropOldest),
            label: None,
        })
        .unwrap();
    let share = Share::of_capture(&runtime, &session, &place.path, &ShareOptions::default()).unwrap();
    let mut child = another_process(&place.path);
    let (reader, stream) = read(&runtime, &place.path);
    assert_eq!(reader.caps(), session.caps());
    let mut here = BTreeMap::new();
    thread::scope(|scope| {
        scope.spawn(|| each(&stream, |frame| here.extend([seen(&frame)])).unwrap());
        each(&local, |frame| ours.extend([seen(&frame)])).unwrap();
    });
    let (there, copies) = told_by(&mut child);
    for (who, theirs) in [("here", &here), ("there", &there)] {
        let both = theirs.iter().filter(|(at, _)| ours.contains_key(at)).count();
        println!("{who}: {} frames, {both} of them seen locally, too", theirs.len());
        assert!(both >= 3, "{who}: {both}");
        assert!(
            theirs.iter().all(|(at, sum)| ours.get(at).is_none_or(|s| s == sum)),
            "{who}"
        );
    }
    assert_eq!((copies, runtime.copies.get()), (0, 0));
    drop(stream);
    reader.close();
    share.close();
    assert!(reader.wait_closed(LONG) && share.wait_closed(LONG));
    until("the return of all slots", || runtime.arena.stats().live == 0);
}

#[test]
fn what_another_process_shares_is_shared_again_by_one_copy_each() {
    let (runtime, first, second) = (runtime(), place(), place());
    let source = open(&runtime, "pattern:ball?width=320&height=180&frameRate=50&frames=100");
    let options = ShareOptions::default();
    let share = Share::of_capture(&runtime, &source, &first.path, &options).unwrap();
    let (between, frames) = read(&runtime, &first.path);
    let again = Share::of_capture(&runtime, &between, &second.path, &options).unwrap();
    let (reader, stream) = read(&runtime, &second.path);
    let (mut there, mut here) = (BTreeMap::new(), BTreeMap::new());
    thread::scope(|scope| {
        scope.spawn(|| each(&frames, |frame| there.extend([seen(&frame)])).unwrap());
        each(&stream, |frame| here.extend([seen(&frame)])).unwrap();
    });
    let both = here.iter().filter(|(at, sum)| there.get(at) == Some(sum)).count();
    println!("{} frames shared again, {both} of them seen before, too", here.len());
    assert!(both >= 3);
    assert!(here.iter().all(|(at, sum)| there.get(at).is_none_or(|s| s == sum)));
    assert_eq!(
        runtime.copies.get(),
        again.stats().published,
        "one for each, by whom it is shared again"
    );
    drop((frames, stream));
    reader.close();
    between.close();
    again.close();
    share.close();
    assert!(again.wait_closed(LONG) && share.wait_closed(LONG));
    until("the return of all slots", || runtime.arena.stats().live == 0);
}

/// A clock that never lets anybody wait, and knows how often somebody would have.
#[derive(Debug, Default)]
struct Impatient(AtomicU32);

impl Clock for Impatient {
    fn now_us(&self) -> i64 {
        SystemClock.now_us()
    }

    fn sleep_until(&self, at_us: i64, _: &dyn Fn() -> bool) -> bool {
        self.0.fetch_add(u32::from(at_us > self.now_us()), Ordering::Relaxed);
        true
    }
}

#[test]
fn a_film_is_shared_at_its_own_pace_or_as_fast_as_it_is_decoded() {
    for (pace, waits) in [(Pace::Realtime, true), (Pace::Fast, false)] {
        let clock = Arc::new(Impatient::default());
        let (runtime, place) = (runtime_of(&Ffmpeg::new(), clock.clone()), place());
        let input = open_clip(&runtime);
        let part = FramesOptions {
            to_us: Some(400_000),
            ..FramesOptions::default()
        };
        let options = ShareOptions {
            pace,
            ..ShareOptions::default()
        };
        let share = Share::of_input(&runtime, &input, video_track(&input), &part, &place.path, &options).unwrap();
        assert!(share.wait_closed(LONG), "its thread ends with the film");
        assert_eq!(share.stats().published, 10);
        assert_eq!(clock.0.load(Ordering::Relaxed) >= 5, waits, "{pace:?}: {clock:?}");
    }
}

#[test]
fn the_end_of_a_film_is_the_end_of_its_readers() {
    let (runtime, place) = (runtime(), place());
    let input = open_clip(&runtime);
    let part = FramesOptions {
        to_us: Some(800_000),
        ..FramesOptions::default()
    };
    let mut ours = BTreeMap::new();
    each(&frames(&input, &part), |frame| ours.extend([seen(&frame)])).unwrap();
    let options = ShareOptions::default();
    let share = Share::of_input(&runtime, &input, video_track(&input), &part, &place.path, &options).unwrap();
    let (_reader, stream) = read(&runtime, &place.path);
    let mut here = BTreeMap::new();
    each(&stream, |frame| here.extend([seen(&frame)])).unwrap();
    assert!(!here.is_empty());
    assert!(here.iter().all(|(at, sum)| ours.get(at) == Some(sum)));
    assert_eq!(runtime.copies.get(), 0);
    drop(share);
}

#[test]
fn readers_are_told_when_the_source_changes_its_size() {
    let (runtime, place) = (with_fakes(runtime()), place());
    let session = open(&runtime, "fake:changes?frames=300");
    let share = Share::of_capture(&runtime, &session, &place.path, &ShareOptions::default()).unwrap();
    let (reader, stream) = read(&runtime, &place.path);
    let (mut sizes, mut told) = (BTreeSet::new(), BTreeSet::new());
    while sizes.len() < 2 || told.len() < 2 {
        let frame = next(&stream);
        sizes.insert((frame.info().coded.width, frame.info().coded.height));
        told.insert((reader.caps().size.width, reader.caps().size.height));
    }
    assert_eq!(sizes, BTreeSet::from([(64, 36), (32, 18)]));
    assert_eq!(told, sizes);
    share.close();
}

#[test]
fn a_source_that_fails_fails_for_its_readers_too() {
    let (runtime, place) = (with_fakes(runtime()), place());
    let session = open(&runtime, "fake:fails?after=60");
    let share = Share::of_capture(&runtime, &session, &place.path, &ShareOptions::default()).unwrap();
    let (_reader, stream) = read(&runtime, &place.path);
    let mut count = 0;
    let error = each(&stream, |_| count += 1).unwrap_err();
    assert!(count > 0, "frames came before");
    assert_eq!(error.code(), ErrorCode::DeviceLost);
    share.close();
}
