//! What every [`Backend`] must do, as a suite: [`capture_conformance!`] makes one test per rule.
//!
//! It does not cover what only a device can show: an unplugged one (`DeviceLost`), controls. Nor pictures: each backend tests its own.

use crate::TestClock;
use beamline_arena::{Arena, PoolConfig};
use beamline_capture::{Backend, ChangeType, Context, Error, Event, Request, Source};
use beamline_io::Cancel;
use beamline_media::{Caps, ErrorCode, Frame, Layout, MAX_DIMENSION, Rational};
use std::{
    io::Write,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// A backend and requests that it must open, at least one.
pub type Make = fn() -> (Box<dyn Backend>, Vec<Request>);

/// The suite for one backend: `capture_conformance!(name, make)` with `make` a [`Make`].
#[macro_export]
macro_rules! capture_conformance {
    ($name:ident, $make:expr) => {
        mod $name {
            use super::*;
            use $crate::capture::conformance as suite;
            $crate::capture_conformance!(@tests $make;
                a_hundred_starts_and_stops_leak_nothing,
                what_cannot_be_is_refused_with_a_typed_error,
                timestamps_rise_strictly,
                cancel_ends_the_wait,
                frames_outlive_their_source,
                caps_agree_with_what_comes,
                the_end_is_sticky,
                a_reader_that_holds_all_frames_is_waited_for_or_dropped,
                listed_ids_are_unique_and_claimed,
                a_watch_begins_with_what_is_listed_and_ends_when_cancelled,
            );
        }
    };
    (@tests $make:expr; $($rule:ident),+ $(,)?) => {
        $(
            #[test]
            fn $rule() {
                suite::$rule($make);
            }
        )+
    };
}

/// A watch, where there is one, tells what is listed as added; cancelled, it says so and can go on.
pub fn a_watch_begins_with_what_is_listed_and_ends_when_cancelled(make: Make) {
    let (backend, _) = make();
    let Some(mut watch) = backend.watch().expect("the system tells") else {
        return;
    };
    let mut listed = backend.list();
    while !listed.is_empty() {
        let told = watch.next(&Cancel::new()).expect("a change");
        assert_eq!(told.change, ChangeType::Added, "{told:?}");
        listed.retain(|device| *device != told.device);
    }
    for _ in 0..3 {
        let cancel = Cancel::new();
        let later = cancel.clone();
        let canceller = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            later.cancel();
        });
        let begin = Instant::now();
        let error = watch.next(&cancel).expect_err("nothing changes");
        assert_eq!(error.code(), ErrorCode::Aborted, "{error}");
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
        canceller.join().expect("it only sleeps");
    }
}

/// Opening, one picture, dropping: afterwards the arena is as empty as before, and no stop takes longer than 100 ms.
pub fn a_hundred_starts_and_stops_leak_nothing(make: Make) {
    for_each(make, |backend, request| {
        let context = jumping();
        let mut slowest = Duration::ZERO;
        for _ in 0..100 {
            let mut source = open(backend, request, &context);
            drop(next(&mut *source));
            let begin = Instant::now();
            drop(source);
            slowest = slowest.max(begin.elapsed());
        }
        let stats = context.arena.stats();
        assert_eq!((stats.live, stats.bytes), (0, 0), "{stats:?}");
        report(request, &format!("slowest stop {slowest:?}"));
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    });
}

/// Sizes, rates and options that cannot be: InvalidConfig or NotSupported from `open`, nothing left in the arena.
pub fn what_cannot_be_is_refused_with_a_typed_error(make: Make) {
    let spoil: [fn(&mut Request); 6] = [
        |r| r.width = Some(0),
        |r| r.height = Some(MAX_DIMENSION + 1),
        |r| (r.width, r.height) = (Some(MAX_DIMENSION), Some(MAX_DIMENSION)),
        |r| r.frame_rate = Some(Rational { num: 0, den: 1 }),
        |r| r.frame_rate = Some(Rational { num: 1001, den: 1 }),
        |r| drop(r.options.insert("no-such-option".into(), "1".into())),
    ];
    for_each(make, |backend, request| {
        let context = jumping();
        for spoil in spoil {
            let mut spoilt = request.clone();
            spoil(&mut spoilt);
            let error = backend.open(&spoilt, &context).expect_err("must be refused");
            let refused = matches!(error.code(), ErrorCode::InvalidConfig | ErrorCode::NotSupported);
            assert!(refused, "{spoilt:?}: {error:?}");
            assert!(error.to_string().starts_with("expected "), "{error}");
        }
        assert_eq!(context.arena.stats().bytes, 0);
    });
}

/// Over fifty pictures; durations, where told, are more than 0.
pub fn timestamps_rise_strictly(make: Make) {
    for_each(make, |backend, request| {
        let mut source = open(backend, request, &jumping());
        let mut last = i64::MIN;
        for _ in 0..50 {
            let (timestamp, duration) = match next(&mut *source) {
                Event::Frame(f) => (f.info().timestamp_us, f.info().duration_us),
                Event::Packet(p) => (p.timestamp_us, p.duration_us),
                Event::End => break,
                _ => continue,
            };
            let timestamp = timestamp.expect("a captured picture has a time");
            assert!(timestamp > last, "{timestamp} after {last}");
            assert!(duration.is_none_or(|d| d > 0), "{duration:?}");
            last = timestamp;
        }
    });
}

/// A call that waits ends within 50 ms of the cancel (asserted: 1 s, measured: printed); the next call goes on.
pub fn cancel_ends_the_wait(make: Make) {
    for_each(make, |backend, request| {
        let slow = at_rate(backend, request, Rational { num: 1, den: 100 });
        let mut source = open(backend, &slow, &tight(backend, request));
        let cancelled = Cancel::new();
        cancelled.cancel();
        assert!(matches!(source.next(&cancelled), Err(Error::Cancelled)));

        let cancel = Cancel::new();
        let (waited, ended) = thread::scope(|scope| {
            let runner = scope.spawn(|| {
                let mut held = Vec::new();
                // Nothing that is not live and needs no slots ever waits: it is let off after a while.
                while held.len() < 1000 {
                    match source.next(&cancel) {
                        Ok(Event::End) => break,
                        Ok(event) => held.push(event),
                        Err(e) => return (Some(e), Instant::now()),
                    }
                }
                (None, Instant::now())
            });
            thread::sleep(Duration::from_millis(50));
            let begin = Instant::now();
            cancel.cancel();
            let (error, end) = runner.join().expect("no panic");
            (error.map(|e| (e, end.saturating_duration_since(begin))), end)
        });
        let _ = ended;
        if let Some((error, took)) = waited {
            assert!(matches!(error, Error::Cancelled), "{error}");
            report(request, &format!("cancel took {took:?}"));
            assert!(took < Duration::from_secs(1), "{took:?}");
            if !source.live() {
                assert!(matches!(
                    next(&mut *source),
                    Event::Frame(_) | Event::Packet(_) | Event::End
                ));
            }
        }
    });
}

/// Bytes of a frame stay what they are when its source is gone and another one runs.
pub fn frames_outlive_their_source(make: Make) {
    for_each(make, |backend, request| {
        let context = jumping();
        let mut source = open(backend, request, &context);
        let mut frames = Vec::new();
        for _ in 0..3 {
            if let Event::Frame(frame) = next(&mut *source) {
                let bytes = content(&frame);
                frames.push((frame, bytes));
            }
        }
        drop(source);
        let mut other = open(backend, request, &context);
        for _ in 0..10 {
            drop(next(&mut *other));
        }
        drop(other);
        for (frame, bytes) in &frames {
            assert!(content(frame) == *bytes, "the bytes changed");
        }
        drop(frames);
        assert_eq!(context.arena.stats().bytes, 0);
    });
}

/// What `caps` says is what comes, until `Event::Caps` says otherwise.
pub fn caps_agree_with_what_comes(make: Make) {
    for_each(make, |backend, request| {
        let mut source = open(backend, request, &jumping());
        let mut caps = source.caps();
        assert!(caps.pixel_format.is_some() != caps.encoded.is_some(), "{caps:?}");
        for _ in 0..20 {
            match next(&mut *source) {
                Event::Frame(frame) => agree(&caps, &frame),
                Event::Packet(_) => assert!(caps.encoded.is_some(), "{caps:?}"),
                Event::Caps(new) => caps = new,
                _ => break,
            }
            assert_eq!(source.caps(), caps);
        }
    });
}

/// After the end comes the end, and counters stand still.
pub fn the_end_is_sticky(make: Make) {
    for_each(make, |backend, request| {
        let mut source = open(backend, request, &jumping());
        if (0..500).any(|_| matches!(next(&mut *source), Event::End)) {
            let stats = source.stats();
            assert!(stats.captured > 0);
            for _ in 0..3 {
                assert!(matches!(next(&mut *source), Event::End));
            }
            assert_eq!(source.stats(), stats);
        }
    });
}

/// With three slots, all held: what is not live waits, what is live drops and counts; after a release both go on.
pub fn a_reader_that_holds_all_frames_is_waited_for_or_dropped(make: Make) {
    for_each(make, |backend, request| {
        let fast = at_rate(backend, request, Rational { num: 200, den: 1 });
        let context = tight(backend, request);
        let mut source = open(backend, &fast, &context);
        let held: Vec<_> = (0..3).map(|_| next(&mut *source)).collect();
        if !held.iter().all(|event| matches!(event, Event::Frame(_))) {
            return;
        }
        thread::scope(|scope| {
            let runner = scope.spawn(|| match next(&mut *source) {
                Event::Frame(_) if source.live() => assert!(source.stats().dropped > 0),
                Event::Frame(_) | Event::End => {}
                other => panic!("{other:?}"),
            });
            thread::sleep(Duration::from_millis(60));
            drop(held);
            let begin = Instant::now();
            while !runner.is_finished() {
                assert!(begin.elapsed() < Duration::from_secs(10), "it hangs after the release");
                thread::sleep(Duration::from_millis(1));
            }
        });
        assert!(context.arena.stats().bytes <= context.max_bytes);
    });
}

/// No two devices of a backend have one id, and each id is a URL of that backend.
pub fn listed_ids_are_unique_and_claimed(make: Make) {
    let (backend, _) = make();
    let devices = backend.list();
    for (i, device) in devices.iter().enumerate() {
        assert!(devices[..i].iter().all(|d| d.id != device.id), "{}", device.id);
        assert_eq!(device.kind, backend.kind());
        let request = backend.parse(&device.id).expect("claimed").expect("valid");
        assert_eq!(request.device, device.id);
    }
    for example in backend.examples() {
        assert!(matches!(backend.parse(example), Some(Ok(_))), "{example}");
    }
}

fn for_each(make: Make, check: impl Fn(&dyn Backend, &Request)) {
    let (backend, requests) = make();
    assert!(!requests.is_empty(), "a suite without requests shows nothing");
    for request in &requests {
        check(&*backend, request);
    }
}

fn jumping() -> Context {
    Context {
        clock: Arc::new(TestClock::jumping()),
        ..Context::new(Arena::default())
    }
}

/// Real time, and memory for three frames of what the request gives.
fn tight(backend: &dyn Backend, request: &Request) -> Context {
    let mut context = Context::new(Arena::default());
    let caps = open(backend, request, &context).caps();
    context.slots = 3;
    if let Some(format) = caps.pixel_format {
        let len = Layout::aligned(format, caps.size).expect("a possible size").len;
        let class = Arena::default().pool(PoolConfig::new("size")).class(len);
        context.max_bytes = 3 * class.expect("a possible size").slot_size() as u64;
    }
    context
}

/// The request at another rate, where its backend lets one choose: a share has the rate of its owner.
fn at_rate(backend: &dyn Backend, request: &Request, rate: Rational) -> Request {
    let other = Request {
        frame_rate: Some(rate),
        ..request.clone()
    };
    match backend.open(&other, &jumping()) {
        Err(e) if e.code() == ErrorCode::InvalidConfig => request.clone(),
        _ => other,
    }
}

fn open(backend: &dyn Backend, request: &Request, context: &Context) -> Box<dyn Source> {
    backend.open(request, context).expect("the request opens")
}

fn next(source: &mut dyn Source) -> Event {
    source.next(&Cancel::new()).expect("the source gives")
}

fn agree(caps: &Caps, frame: &Frame) {
    let info = frame.info();
    assert_eq!(caps.pixel_format, Some(info.format));
    assert_eq!(
        (caps.size, caps.color, caps.rotation),
        (info.visible.size(), info.color, info.rotation)
    );
}

fn content(frame: &Frame) -> Vec<Vec<u8>> {
    (0..frame.plane_count())
        .map(|i| frame.plane_bytes(i).0.to_vec())
        .collect()
}

fn report(request: &Request, what: &str) {
    // Lost when stderr is closed: it is for people.
    let _ = writeln!(std::io::stderr(), "{}: {what}", request.device);
}
