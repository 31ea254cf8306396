//! Two ends of a link in one process: what crosses, what comes back, who waits for whom (nobody).

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

use beamline_arena::{Access, Arena, PoolConfig, Wait};
use beamline_link::{
    ClientPolicy, Error, Limits, Next, Place, Producer, ProducerOptions, Publisher, Reader, ReaderOptions,
};
use beamline_media::{Caps, ErrorCode, Frame, FrameInfo, FramePool, PixelFormat, Rational, Size};
use std::{
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(64, 32);

/// A share and its source, in a folder of their own.
struct Studio {
    folder: tempfile::TempDir,
    arena: Arena,
    pool: FramePool,
    publisher: Publisher,
}

fn caps() -> Caps {
    Caps {
        frame_rate: Rational::new(25, 1),
        ..Caps::raw(PixelFormat::I420, SIZE)
    }
}

impl Studio {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("studio").to_str().unwrap()).unwrap();
        let arena = Arena::default();
        let pool = FramePool::new(
            &arena,
            PoolConfig {
                slots: 32,
                ..PoolConfig::new("studio")
            },
        );
        let publisher = Publisher::listen(place, caps(), true, limits).unwrap();
        Studio {
            folder,
            arena,
            pool,
            publisher,
        }
    }

    fn place(&self) -> Place {
        self.publisher.place().clone()
    }

    fn frame(&self, number: i64) -> Frame {
        let info = FrameInfo {
            timestamp_us: Some(number * 40_000),
            ..FrameInfo::new(PixelFormat::I420, SIZE)
        };
        let mut frame = self.pool.acquire(info, Wait::Grow).unwrap();
        for plane in 0..3 {
            frame.plane_mut(plane).0.fill(number as u8);
        }
        frame.freeze()
    }

    fn reader(&self, options: ReaderOptions) -> Reader {
        let pool = Arena::default().pool(PoolConfig::new("reader"));
        Reader::connect(&self.place(), &pool, options, &|| false).unwrap()
    }

    fn live(&self) -> u64 {
        self.arena.stats().live
    }

    /// Waits until as many slots are in use.
    fn until_live(&self, slots: u64) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.live() != slots && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(self.live(), slots);
    }
}

fn in_order() -> ReaderOptions {
    ReaderOptions {
        policy: ClientPolicy::DropNewest,
        ..ReaderOptions::default()
    }
}

fn next(reader: &mut Reader) -> (Frame, u64) {
    match reader.next(Duration::from_secs(5)).unwrap() {
        Next::Frame(frame, number) => (frame, number),
        other => panic!("{other:?} instead of a frame"),
    }
}

#[test]
fn the_end_comes_after_the_frames_that_wait_for_room() {
    let studio = Studio::new();
    let options = ReaderOptions {
        hold: 2,
        queue: 8,
        policy: ClientPolicy::DropOldest,
        ..ReaderOptions::default()
    };
    let mut reader = studio.reader(options);
    for number in 0..8 {
        studio.publisher.publish(&studio.frame(number));
    }
    studio.publisher.close();
    for number in 0..8 {
        assert_eq!(next(&mut reader).1, number);
    }
    assert!(matches!(reader.next(Duration::from_secs(5)).unwrap(), Next::End));
}

#[test]
fn a_reader_gets_every_frame_as_it_is_and_its_slot_comes_back() {
    let studio = Studio::new();
    let mut reader = studio.reader(in_order());
    assert_eq!(reader.caps(), &caps());
    for number in 0..200 {
        let frame = studio.frame(number);
        studio.publisher.publish(&frame);
        let (got, at) = next(&mut reader);
        assert_eq!(at, number as u64);
        assert_eq!(got.info(), frame.info());
        for plane in 0..3 {
            assert_eq!(got.plane_bytes(plane), frame.plane_bytes(plane));
        }
        drop(frame);
        assert_eq!(studio.live(), 1, "the reader holds it");
        drop(got);
        studio.until_live(0);
    }
    // What the source began with, and what was set aside for the reader.
    assert!(studio.arena.stats().slots <= 48, "no slot was lost on the way");
}

#[test]
fn it_is_the_same_memory_and_a_store_of_the_readers_changes_nobodys() {
    let studio = Studio::new();
    let mut reader = studio.reader(ReaderOptions {
        access: Access::Private,
        ..in_order()
    });
    let frame = studio.frame(1);
    studio.publisher.publish(&frame);
    let (got, _) = next(&mut reader);
    let ours = frame.plane(0).0.as_ptr().as_ptr();
    let theirs = got.plane(0).0.as_ptr().as_ptr();
    assert_ne!(ours, theirs, "two mappings");
    let map = std::fs::read_to_string("/proc/self/maps").unwrap();
    let file_of = |address: usize| {
        let line = map.lines().find(|l| {
            let (from, to) = l.split(' ').next().unwrap().split_once('-').unwrap();
            (usize::from_str_radix(from, 16).unwrap()..usize::from_str_radix(to, 16).unwrap()).contains(&address)
        });
        let mut fields = line.unwrap().split_whitespace();
        (fields.nth(1).unwrap().to_owned(), fields.nth(2).unwrap().to_owned())
    };
    let ((our_rights, our_file), (their_rights, their_file)) = (file_of(ours.addr()), file_of(theirs.addr()));
    assert_eq!(our_file, their_file, "one file behind both");
    assert_eq!((our_rights.as_str(), their_rights.as_str()), ("rw-s", "rw-p"));
}

#[test]
fn slots_of_two_shares_have_names_of_their_own() {
    let (one, two) = (Studio::new(), Studio::new());
    let pool = Arena::default().pool(PoolConfig::new("reader"));
    let join = |studio: &Studio| Reader::connect(&studio.place(), &pool, in_order(), &|| false).unwrap();
    let (mut a, mut b) = (join(&one), join(&two));
    one.publisher.publish(&one.frame(1));
    two.publisher.publish(&two.frame(2));
    let (a, b) = (next(&mut a).0, next(&mut b).0);
    let name = |frame: &Frame| frame.plane(0).0.slot_ref();
    assert_eq!(name(&a).slot, name(&b).slot, "the first slot of each");
    assert_ne!(name(&a).segment, name(&b).segment);
}

#[test]
fn a_reader_that_does_not_read_costs_the_others_nothing() {
    let studio = Studio::new();
    let lazy = studio.reader(in_order());
    let mut keen = studio.reader(in_order());
    for number in 0..100 {
        studio.publisher.publish(&studio.frame(number));
        assert_eq!(next(&mut keen).1, number as u64);
    }
    let readers = studio.publisher.readers();
    assert_eq!(readers.iter().map(|r| r.granted).collect::<Vec<_>>(), [4, 100]);
    assert_eq!(readers[0].dropped, 100 - 4 - 4, "four are held for it, four wait");
    assert_eq!(readers[0].behind, 4);
    drop(lazy);
    studio.until_live(0);
}

#[test]
fn each_policy_drops_what_its_name_says() {
    for (policy, expected) in [
        (ClientPolicy::DropNewest, vec![0, 1, 2, 3]),
        (ClientPolicy::DropOldest, vec![0, 1, 8, 9]),
        (ClientPolicy::Latest, vec![9]),
    ] {
        let studio = Studio::new();
        let options = ReaderOptions {
            policy,
            hold: 2,
            queue: 2,
            ..in_order()
        };
        let mut reader = studio.reader(options);
        for number in 0..10 {
            studio.publisher.publish(&studio.frame(number));
        }
        let mut got = Vec::new();
        while let Next::Frame(_, number) = reader.next(Duration::from_millis(100)).unwrap() {
            got.push(number);
        }
        if policy == ClientPolicy::Latest {
            // Whether an older one is seen first depends on how soon the owner hears of what was skipped.
            got.retain(|number| *number != 1);
        }
        assert_eq!(got, expected, "{policy:?}");
    }
}

#[test]
fn frames_outlive_their_reader_and_come_back_with_the_last_of_them() {
    let studio = Studio::new();
    let mut reader = studio.reader(in_order());
    for number in 0..4 {
        studio.publisher.publish(&studio.frame(number));
    }
    let (kept, _) = next(&mut reader);
    // Three were told and not read: they are free as soon as the reader is gone; the one in hand stays.
    drop(reader);
    studio.until_live(1);
    for number in 10..60 {
        studio.publisher.publish(&studio.frame(number));
    }
    assert!(kept.plane_bytes(0).0.iter().all(|b| *b == 0), "nobody wrote over it");
    drop(kept);
    studio.until_live(0);
    assert_eq!(studio.publisher.swept(), 0, "all was given back");
}

#[test]
fn a_frame_in_several_slots_is_granted_whole_and_comes_back_whole() {
    let studio = Studio::new();
    let mut reader = studio.reader(in_order());
    let (color, other) = (studio.frame(1), studio.frame(2));
    let plane = |frame: &Frame, i: usize| {
        let (lease, offset, stride) = frame.plane(i);
        beamline_media::Plane {
            lease: lease.clone(),
            offset,
            stride,
        }
    };
    let mixed = Frame::new(
        *color.info(),
        vec![plane(&color, 0), plane(&other, 1), plane(&color, 2)],
    )
    .unwrap();
    drop((color, other));
    studio.publisher.publish(&mixed);
    drop(mixed);
    let (got, _) = next(&mut reader);
    assert_eq!(studio.live(), 2);
    assert_eq!([0, 1, 2].map(|i| got.plane_bytes(i).0[0]), [1, 2, 1]);
    drop(got);
    studio.until_live(0);
}

#[test]
fn a_change_of_format_and_the_end_travel_along() {
    let studio = Studio::new();
    let mut reader = studio.reader(in_order());
    let changed = Caps {
        frame_rate: Rational::new(50, 1),
        ..caps()
    };
    studio.publisher.set_caps(&changed);
    let told = reader.next(Duration::from_secs(5)).unwrap();
    assert!(matches!(&told, Next::Caps(caps) if *caps == changed), "{told:?}");
    studio.publisher.publish(&studio.frame(7));
    studio.publisher.end(None);
    assert_eq!(next(&mut reader).1, 0, "what was granted before the end is still read");
    assert!(matches!(reader.next(Duration::from_secs(5)).unwrap(), Next::End));
}

#[test]
fn a_failure_of_the_source_is_told_with_its_code_and_reason() {
    let studio = Studio::new();
    let mut reader = studio.reader(in_order());
    let failure = beamline_link::Failure::new(ErrorCode::DeviceLost, "unplugged", "the camera is gone");
    studio.publisher.end(Some(failure));
    let error = reader.next(Duration::from_secs(5)).unwrap_err();
    assert_eq!((error.code(), error.reason()), (ErrorCode::DeviceLost, "unplugged"));
    assert_eq!(error.to_string(), "the camera is gone");
}

#[test]
fn more_than_the_share_sets_aside_is_refused_with_quota() {
    let studio = Studio::with(Limits { clients: 1, hold: 4 });
    let pool = Arena::default().pool(PoolConfig::new("reader"));
    let greedy = ReaderOptions { hold: 5, ..in_order() };
    let error = Reader::connect(&studio.place(), &pool, greedy, &|| false).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Quota, "{error}");
    let _one = studio.reader(in_order());
    let error = Reader::connect(&studio.place(), &pool, in_order(), &|| false).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Quota, "{error}");
    assert!(Reader::look(&studio.place()).is_ok(), "a look takes no place");
}

#[test]
fn a_name_that_is_taken_says_so_and_a_dead_one_is_taken_over() {
    let studio = Studio::new();
    let taken = Publisher::listen(studio.place(), caps(), true, Limits::default()).unwrap_err();
    assert!(matches!(taken, Error::Taken(_)), "{taken}");
    let dead = studio.folder.path().join("dead");
    let place = Place::new(dead.to_str().unwrap()).unwrap();
    let pool = Arena::default().pool(PoolConfig::new("client"));
    type Meets<'a> = (&'a str, &'a dyn Fn() -> Result<(), Error>);
    let meets: [Meets<'_>; 4] = [
        ("who lists", &|| Reader::look(&place).map(drop)),
        ("who reads", &|| {
            Reader::connect(&place, &pool, in_order(), &|| false).map(drop)
        }),
        ("who looks whether he may fill", &|| Producer::look(&place)),
        ("who fills", &|| {
            Producer::connect(&place, &pool, caps(), ProducerOptions::default(), &|| false).map(drop)
        }),
    ];
    for (who, meet) in meets {
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        assert!(matches!(meet(), Err(Error::NotFound(_))), "{who}");
        assert!(!dead.exists(), "{who} meets a dead name and removes it");
    }
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    Publisher::listen(place, caps(), true, Limits::default()).unwrap();
}

#[test]
fn names_that_cannot_be_are_refused() {
    for name in [
        "",
        ".hidden",
        "two words",
        "ü",
        &"x".repeat(65),
        &format!("/{}", "x".repeat(120)),
    ] {
        assert!(matches!(Place::new(name), Err(Error::Name(_))), "{name}");
    }
}

#[test]
fn a_closed_share_frees_its_name_and_its_thread_ends_with_the_last_frame() {
    let studio = Studio::new();
    let mut reader = studio.reader(in_order());
    studio.publisher.publish(&studio.frame(1));
    let (kept, _) = next(&mut reader);
    studio.publisher.close();
    let deadline = Instant::now() + Duration::from_secs(5);
    assert!(!studio.place().path().exists(), "the name is free at once");
    assert!(!studio.publisher.is_finished(), "a frame is out");
    drop(kept);
    while !studio.publisher.is_finished() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(studio.publisher.is_finished());
    assert_eq!(studio.live(), 0);
}
