//! What readers of a share hold is theirs: loops beside them have all that they had.

use crate::support::{LONG, runtime};
use beamline_arena::PoolConfig;
use beamline_capture::Request;
use beamline_flow::{CaptureOptions, CaptureSession, FrameStream, Held, OPEN_FRAMES_MAX, Pop, Share, ShareOptions};
use beamline_io::Cancel;
use beamline_link::{ClientPolicy, Next, Place, Reader, ReaderOptions};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// More than the source's own slots, two loops' worth.
const READERS: usize = 12;

#[test]
fn readers_that_hold_all_that_they_may_cost_a_local_loop_neither_frames_nor_credit() {
    let runtime = runtime();
    // Not live: such a source waits for a slot where a live one would take more memory.
    let url = "pattern:ball?width=320&height=180&frameRate=200&live=false";
    let request: Request = runtime.backends.parse(url).unwrap();
    let session = CaptureSession::open(&runtime, &request, Cancel::new()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("studio");
    let name = path.to_str().unwrap();
    let share = Share::of_capture(&runtime, &session, name, &ShareOptions::default()).unwrap();
    let stream = session.frames(CaptureOptions::default()).unwrap();
    let pool = runtime.arena.pool(PoolConfig::new("readers"));
    let options = ReaderOptions {
        policy: ClientPolicy::DropOldest,
        ..ReaderOptions::default()
    };
    let mut local = VecDeque::new();
    let mut go_on = |frames: usize| {
        for _ in 0..frames {
            match stream.pop_timeout(LONG) {
                Pop::Item(held) => local.push_back(held),
                other => panic!("{other:?} instead of a frame"),
            }
            if local.len() as u32 == OPEN_FRAMES_MAX - 1 {
                local.pop_front();
            }
            assert!(!stream.exhausted(), "only its own frames count");
        }
    };
    let mut held = Vec::new();
    for _ in 0..READERS {
        go_on(8);
        let mut reader = Reader::connect(&Place::new(name).unwrap(), &pool, options, &|| false).unwrap();
        let mut mine = Vec::new();
        while mine.len() < options.hold as usize {
            go_on(1);
            if let Next::Frame(frame, _) = reader.next(Duration::from_millis(1)).unwrap() {
                mine.push(frame);
            }
        }
        held.push((reader, mine));
    }
    // Now nobody gives anything back but the loop.
    go_on(100);
    let clients = share.stats().clients;
    assert_eq!(clients.len(), READERS);
    assert!(clients.iter().all(|c| c.held == options.hold), "{clients:?}");
    drop(held);
    share.close();
    session.close();
}

/// A loop that is called `label`.
fn named(session: &CaptureSession, label: &str) -> FrameStream {
    let options = CaptureOptions {
        label: Some(label.into()),
        ..CaptureOptions::default()
    };
    session.frames(options).unwrap()
}

fn pop(stream: &FrameStream) -> Held {
    match stream.pop_timeout(LONG) {
        Pop::Item(held) => held,
        other => panic!("{other:?} instead of a frame"),
    }
}

/// A script is told `frames-not-closed` with a number when its loop is exhausted, or when another one holds it up: both count here.
#[test]
fn frames_that_a_reader_holds_for_good_are_not_among_those_that_a_loop_has_not_closed() {
    let runtime = runtime();
    let url = "pattern:ball?width=320&height=180&frameRate=200&live=false";
    let request: Request = runtime.backends.parse(url).unwrap();
    let session = CaptureSession::open(&runtime, &request, Cancel::new()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("studio");
    let name = path.to_str().unwrap();
    let share = Share::of_capture(&runtime, &session, name, &ShareOptions::default()).unwrap();
    let pool = runtime.arena.pool(PoolConfig::new("reader"));
    let options = ReaderOptions::default();
    let mut reader = Reader::connect(&Place::new(name).unwrap(), &pool, options, &|| false).unwrap();
    let (keeper, other) = (named(&session, "keeper"), named(&session, "other"));

    let mut for_good = Vec::new();
    while for_good.len() < options.hold as usize {
        drop((pop(&keeper), pop(&other)));
        if let Next::Frame(frame, _) = reader.next(Duration::from_millis(1)).unwrap() {
            for_good.push(frame);
        }
    }
    // Loops that close what they are given go far beyond what one may keep.
    for _ in 0..4 * OPEN_FRAMES_MAX {
        let held = [pop(&keeper), pop(&other)];
        for stream in [&keeper, &other] {
            assert_eq!((stream.stats().open, stream.exhausted()), (1, false));
        }
        drop(held);
    }

    // One that closes nothing has as many as ever, and is told of its own alone; so is the other, of it.
    let mut kept = Vec::new();
    for open in 0..OPEN_FRAMES_MAX {
        assert_eq!((keeper.stats().open, keeper.exhausted()), (open.into(), false));
        kept.push(pop(&keeper));
        drop(pop(&other));
    }
    assert_eq!(
        (keeper.stats().open, keeper.exhausted()),
        (OPEN_FRAMES_MAX.into(), true)
    );
    let began = Instant::now();
    let how = loop {
        assert!(began.elapsed() < LONG, "nobody is said to hold it up");
        drop(other.pop_timeout(Duration::from_millis(20)));
        // The share makes the source wait too, but only until a frame's own time.
        if let Some(how) = other.held_up().filter(|how| how.for_us > 200_000) {
            break how;
        }
    };
    assert_eq!(
        (how.label.as_deref(), how.open, how.unclosed),
        (Some("keeper"), OPEN_FRAMES_MAX.into(), true)
    );
    assert_eq!(keeper.held_up(), None, "nobody else is in its way, no reader either");
    let clients = share.stats().clients;
    assert_eq!(clients.iter().map(|c| c.held).collect::<Vec<_>>(), [options.hold]);

    // It goes on as soon as it closes its own, while the reader keeps what it has.
    drop(kept);
    for _ in 0..4 * OPEN_FRAMES_MAX {
        drop((pop(&keeper), pop(&other)));
    }
    assert_eq!(keeper.stats().open, 0);
    drop((for_good, reader));
    share.close();
    session.close();
}
