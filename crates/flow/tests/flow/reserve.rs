//! What readers of a share hold is theirs: loops beside them have all that they had.

use crate::support::{LONG, runtime};
use beamline_arena::PoolConfig;
use beamline_capture::Request;
use beamline_flow::{CaptureOptions, CaptureSession, OPEN_FRAMES_MAX, Pop, Share, ShareOptions};
use beamline_io::Cancel;
use beamline_link::{ClientPolicy, Next, Place, Reader, ReaderOptions};
use std::collections::VecDeque;

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
            if let Next::Frame(frame, _) = reader.next(std::time::Duration::from_millis(1)).unwrap() {
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
