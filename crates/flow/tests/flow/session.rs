//! Captures that run: loops, policies, closing.

use crate::support::{LONG, each, runtime};
use beamline_capture::{Request, read_counter};
use beamline_flow::{CaptureOptions, CaptureSession, FrameStream, Held, HeldUp, OPEN_FRAMES_MAX, Policy, Pop, Runtime};
use beamline_io::Cancel;
use beamline_media::{ErrorCode, Size};
use beamline_testkit::capture::FakeBackend;
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

fn open(runtime: &Runtime, url: &str) -> CaptureSession {
    let request: Request = runtime.backends.parse(url).unwrap();
    CaptureSession::open(runtime, &request, Cancel::new()).unwrap()
}

/// A runtime that knows the fakes.
fn with_fakes() -> Runtime {
    let mut backends = beamline_capture::Registry::with_builtins();
    backends.register(Box::new(FakeBackend));
    Runtime {
        backends: Arc::new(backends),
        ..runtime()
    }
}

fn times(stream: &FrameStream) -> Vec<i64> {
    let mut times = Vec::new();
    each(stream, |frame| times.push(frame.info().timestamp_us.unwrap())).unwrap();
    times
}

const SMALL: &str = "pattern:ball?width=320&height=180&frameRate=25&live=false";

#[test]
fn a_pattern_gives_its_frames_and_ends() {
    let runtime = runtime();
    let session = open(&runtime, &format!("{SMALL}&frames=100"));
    assert_eq!(session.caps().size, Size::new(320, 180));
    assert!(!session.live());
    let stream = session.frames(CaptureOptions::default()).unwrap();
    let mut n = 0;
    each(&stream, |frame| {
        assert_eq!(frame.info().timestamp_us, Some(n * 40_000));
        assert_eq!(read_counter(&frame).expect("a counter").frame, n as u32);
        n += 1;
    })
    .unwrap();
    assert_eq!(n, 100);
    let stats = session.stats();
    assert_eq!(
        (stats.captured, stats.dropped, stats.lost, stats.copies),
        (100, 0, 0, 0)
    );
    assert!(
        times(&session.frames(CaptureOptions::default()).unwrap()).is_empty(),
        "a late loop hears the end"
    );
    assert!(session.wait_closed(LONG));
    assert_eq!(runtime.arena.stats().live, 0);
}

#[test]
fn two_loops_get_the_same_and_the_end_of_one_is_not_the_end_of_the_other() {
    let runtime = runtime();
    let session = open(&runtime, &format!("{SMALL}&frames=60"));
    let leaver = session.frames(CaptureOptions::default()).unwrap();
    let stayer = session.frames(CaptureOptions::default()).unwrap();
    let left = thread::spawn(move || {
        for n in 0..5 {
            let Pop::Item(held) = leaver.pop_timeout(LONG) else {
                panic!("no frame {n}");
            };
            drop(held);
        }
    });
    let seen = times(&stayer);
    left.join().unwrap();
    let last = *seen.last().unwrap();
    assert_eq!(last, 59 * 40_000, "{seen:?}");
    assert!(seen.windows(2).all(|w| w[1] - w[0] == 40_000), "{seen:?}");
}

#[test]
fn without_a_loop_the_source_stands_still() {
    let runtime = runtime();
    let session = open(&runtime, &format!("{SMALL}&frames=20"));
    thread::sleep(Duration::from_millis(50));
    assert_eq!(session.stats().captured, 0);
    drop(session.frames(CaptureOptions::default()).unwrap());
    thread::sleep(Duration::from_millis(50));
    let before = session.stats().captured;
    assert!(before < 20, "{before}");
    let rest = times(&session.frames(CaptureOptions::default()).unwrap());
    assert_eq!(rest.len() as u64, 20 - before);
}

#[test]
fn latest_under_a_slow_consumer_counts_what_it_drops() {
    let runtime = runtime();
    let session = open(&runtime, "pattern:ball?width=320&height=180&frameRate=200&frames=60");
    assert!(session.live());
    let stream = session.frames(CaptureOptions::default()).unwrap();
    let mut seen = 0;
    let mut last = i64::MIN;
    each(&stream, |frame| {
        let at = frame.info().timestamp_us.unwrap();
        assert!(at > last);
        last = at;
        seen += 1;
        thread::sleep(Duration::from_millis(30));
    })
    .unwrap();
    let stats = session.stats();
    println!("latest: {seen} seen, {stats:?}");
    assert!(stats.dropped > 0);
    assert_eq!(seen + stats.dropped, stats.captured);
    assert_eq!(stats.captured + stats.lost, 60);
}

#[test]
fn frames_that_are_kept_open_are_drops_for_latest() {
    let runtime = runtime();
    let session = open(&runtime, "pattern:ball?width=320&height=180&frameRate=200&frames=60");
    let stream = session.frames(CaptureOptions::default()).unwrap();
    let mut kept = Vec::new();
    while let Pop::Item(held) = stream.pop_timeout(LONG) {
        kept.push(held);
    }
    assert!(kept.len() <= OPEN_FRAMES_MAX as usize + 1, "{}", kept.len());
    let stats = session.stats();
    assert_eq!(kept.len() as u64 + stats.dropped, stats.captured);
}

#[test]
fn block_with_all_frames_held_goes_on_when_one_is_closed_and_loses_none() {
    let runtime = runtime();
    let session = open(&runtime, &format!("{SMALL}&frames=50"));
    let stream = session.frames(CaptureOptions::default()).unwrap();
    let mut kept = Vec::new();
    while !stream.exhausted() {
        match stream.pop_timeout(LONG) {
            Pop::Item(held) => kept.push(held),
            other => panic!("{other:?}"),
        }
    }
    thread::sleep(Duration::from_millis(50));
    let stuck = session.stats().captured;
    thread::sleep(Duration::from_millis(50));
    assert_eq!(session.stats().captured, stuck, "the source waits");
    let mut next = kept.len() as i64;
    while next < 50 {
        drop(kept.remove(0));
        let Pop::Item(held) = stream.pop_timeout(LONG) else {
            panic!("no frame {next}");
        };
        assert_eq!(held.frame.info().timestamp_us, Some(next * 40_000));
        kept.push(held);
        next += 1;
    }
    assert!(matches!(stream.pop_timeout(LONG), Pop::End(None)));
    assert_eq!(session.stats().dropped, 0);
}

#[test]
fn close_ends_a_source_that_waits_for_room() {
    let runtime = runtime();
    let session = open(&runtime, SMALL);
    let stream = session.frames(CaptureOptions::default()).unwrap();
    let began = Instant::now();
    while stream.stats().waiting < 4 {
        assert!(began.elapsed() < LONG);
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_millis(20));
    session.close();
    assert!(session.wait_closed(LONG), "it waits for a consumer that has gone home");
    assert_eq!(each(&stream, drop).unwrap_err().code(), ErrorCode::Aborted);
}

#[test]
fn close_comes_within_100_ms_whatever_the_source_does() {
    let runtime = with_fakes();
    for url in [
        "pattern:ball?width=320&height=180&frameRate=1",
        "pattern:noise?width=640&height=360&frameRate=60",
        "pattern:ball?width=320&height=180&live=false",
        "fake:blocks?after=1",
        "fake:live",
    ] {
        let session = open(&runtime, url);
        let stream = session.frames(CaptureOptions::default()).unwrap();
        let Pop::Item(held) = stream.pop_timeout(LONG) else {
            panic!("no frame of {url}");
        };
        let bytes = held.frame.row(0, 0).to_vec();
        thread::sleep(Duration::from_millis(30));
        let began = Instant::now();
        session.close();
        assert!(session.wait_closed(LONG));
        let took = began.elapsed();
        println!("close of {url}: {took:?}");
        assert!(took < Duration::from_millis(100), "{url}: {took:?}");
        assert_eq!(each(&stream, drop).unwrap_err().code(), ErrorCode::Aborted);
        assert_eq!(held.frame.row(0, 0), bytes, "frames live on");
        assert_eq!(
            session.frames(CaptureOptions::default()).unwrap_err().reason(),
            "closed"
        );
    }
}

#[test]
fn a_device_that_is_lost_is_an_error_behind_its_last_frame() {
    let runtime = with_fakes();
    let session = open(&runtime, "fake:fails?after=3");
    let stream = session.frames(CaptureOptions::default()).unwrap();
    let mut n = 0;
    let error = each(&stream, |_| n += 1).unwrap_err();
    assert_eq!((n, error.code()), (3, ErrorCode::DeviceLost));
    let error = each(&session.frames(CaptureOptions::default()).unwrap(), drop).unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeviceLost, "and for a late loop");
}

#[test]
fn a_change_of_format_is_seen_in_frames_and_caps() {
    let runtime = with_fakes();
    let session = open(&runtime, "fake:changes?frames=6");
    let mut sizes = Vec::new();
    each(&session.frames(CaptureOptions::default()).unwrap(), |frame| {
        sizes.push(frame.info().coded.width);
    })
    .unwrap();
    assert_eq!(sizes, [64, 64, 32, 32, 64, 64]);
}

#[test]
fn each_policy_can_be_chosen() {
    let runtime = runtime();
    let session = open(&runtime, &format!("{SMALL}&frames=40"));
    let options = |policy| CaptureOptions {
        queue: Some(3),
        policy: Some(policy),
        ..CaptureOptions::default()
    };
    let oldest = session.frames(options(Policy::DropOldest)).unwrap();
    assert!(session.wait_closed(LONG), "nobody makes it wait");
    assert_eq!(times(&oldest), [37, 38, 39].map(|n| n * 40_000));
    assert_eq!(session.stats().dropped, 37);
}

/// A loop that is called `label`.
fn named(session: &CaptureSession, label: &str, queue: usize) -> FrameStream {
    let options = CaptureOptions {
        queue: Some(queue),
        label: Some(label.into()),
        ..CaptureOptions::default()
    };
    session.frames(options).unwrap()
}

/// Takes all frames that come, until another loop makes the source wait.
fn starve(stream: &FrameStream, mut take: impl FnMut(Held)) -> HeldUp {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < LONG, "nobody is said to hold it up");
        match stream.pop_timeout(Duration::from_millis(20)) {
            Pop::Item(held) => take(held),
            Pop::Empty => {
                if let Some(how) = stream.held_up() {
                    return how;
                }
            }
            Pop::End(error) => panic!("it ended: {error:?}"),
        }
    }
}

#[test]
fn a_loop_that_starves_is_told_which_other_one_is_not_read_and_lives_on() {
    let runtime = runtime();
    let session = open(&runtime, &format!("{SMALL}&frames=40"));
    // The one that counts joins first: frames before are nobody's.
    let (reader, unread) = (named(&session, "reader", 3), named(&session, "unread", 3));
    let mut seen = 0;
    let how = starve(&reader, |_| seen += 1);
    assert_eq!(
        (how.label.as_deref(), how.waiting, how.open, how.unclosed),
        (Some("unread"), 3, 0, false)
    );
    assert_eq!(unread.held_up(), None, "nobody else is in its way");
    thread::sleep(Duration::from_millis(30));
    let later = reader.held_up().expect("still");
    assert!(later.for_us >= how.for_us + 30_000, "{how:?}, then {later:?}");
    // Some frames taken: it goes on as far.
    for _ in 0..3 {
        assert!(matches!(unread.pop_timeout(LONG), Pop::Item(_)));
    }
    let more = starve(&reader, |_| seen += 1);
    assert!(more.for_us < later.for_us, "it is a wait of its own: {more:?}");
    drop(unread);
    each(&reader, |_| seen += 1).unwrap();
    assert_eq!(seen, 40, "nothing was lost");
    assert!(session.wait_closed(LONG));
    drop(reader);
    assert_eq!(runtime.arena.stats().live, 0);
}

#[test]
fn a_loop_is_told_of_its_frame_though_the_next_loop_has_no_room_for_it() {
    let runtime = runtime();
    // Slow enough that the first sleeps when a frame comes.
    let session = open(&runtime, "pattern:ball?width=320&height=180&frameRate=25&live=true");
    let waits_for_room = |queue| CaptureOptions {
        queue: Some(queue),
        policy: Some(Policy::Block),
        ..CaptureOptions::default()
    };
    let first = session.frames(waits_for_room(8)).unwrap();
    let _second = session.frames(waits_for_room(1)).unwrap();
    // The second takes one; at the next the source waits for it.
    for n in 0..2 {
        let since = Instant::now();
        let got = first.pop_timeout(LONG);
        assert!(matches!(got, Pop::Item(_)), "{got:?} instead of frame {n}");
        assert!(since.elapsed() < LONG / 2, "it lay there and nobody told");
    }
}

#[test]
fn a_loop_that_starves_is_told_who_does_not_close_frames() {
    let session = open(&runtime(), SMALL);
    let (keeper, reader) = (named(&session, "keeper", 4), named(&session, "reader", 4));
    let mut kept = Vec::new();
    while !keeper.exhausted() {
        match keeper.pop_timeout(Duration::from_millis(20)) {
            Pop::Item(held) => kept.push(held),
            _ => drop(reader.pop()),
        }
    }
    let how = starve(&reader, drop);
    assert_eq!(
        (how.label.as_deref(), how.open, how.unclosed),
        (Some("keeper"), u64::from(OPEN_FRAMES_MAX), true)
    );
    drop(kept);
    assert!(matches!(reader.pop_timeout(LONG), Pop::Item(_)));
}

#[test]
fn a_loop_that_starves_is_told_who_has_all_the_memory() {
    // A queue that is longer than the memory never fills: the source waits for a slot instead.
    let session = open(&runtime(), SMALL);
    let (hoard, reader) = (named(&session, "hoard", 500), named(&session, "reader", 4));
    let how = starve(&reader, drop);
    assert_eq!(
        (how.label.as_deref(), how.open, how.unclosed),
        (Some("hoard"), 0, false)
    );
    assert!(how.waiting >= u64::from(OPEN_FRAMES_MAX), "{how:?}");
    drop(hoard);
    assert!(matches!(reader.pop_timeout(LONG), Pop::Item(_)));

    // Loops that have ended still hold what was not closed.
    let mut kept = Vec::new();
    for label in ["first", "second"] {
        let keeper = named(&session, label, 1);
        for _ in 0..OPEN_FRAMES_MAX {
            let began = Instant::now();
            loop {
                let _ = reader.pop();
                if let Pop::Item(held) = keeper.pop_timeout(Duration::from_millis(1)) {
                    kept.push(held);
                    break;
                }
                assert!(began.elapsed() < LONG);
            }
        }
    }
    let how = starve(&reader, drop);
    assert_eq!(
        (how.waiting, how.open, how.unclosed),
        (0, u64::from(OPEN_FRAMES_MAX), true)
    );
    assert!(matches!(how.label.as_deref(), Some("first" | "second")), "{how:?}");
    drop(kept);
    assert!(matches!(reader.pop_timeout(LONG), Pop::Item(_)));
}

#[test]
fn a_slow_source_is_nobodys_fault() {
    let runtime = with_fakes();
    for url in ["fake:blocks?after=1", "pattern:ball?width=64&height=64&frameRate=1/100"] {
        let session = open(&runtime, url);
        let (reader, other) = (named(&session, "reader", 4), named(&session, "other", 4));
        assert!(matches!(reader.pop_timeout(LONG), Pop::Item(_)), "{url}");
        assert!(
            matches!(reader.pop_timeout(Duration::from_millis(100)), Pop::Empty),
            "{url}"
        );
        assert_eq!(reader.held_up(), None, "{url}");
        drop(other);
    }
}
