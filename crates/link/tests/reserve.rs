//! What readers may hold is set aside for them, so that they never hold what the source or its driver needs.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

use beamline_arena::{Arena, BoundPool, PoolConfig, Wait};
use beamline_link::{ClientPolicy, Error, Limits, Next, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, ErrorCode, Frame, FrameInfo, FrameMut, FramePool, Layout, PixelFormat, Size};
use std::{
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(64, 32);

struct Studio {
    _folder: tempfile::TempDir,
    publisher: Publisher,
}

impl Studio {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("studio").to_str().unwrap()).unwrap();
        let caps = Caps::raw(PixelFormat::I420, SIZE);
        Studio {
            _folder: folder,
            publisher: Publisher::listen(place, caps, true, Limits::default()).unwrap(),
        }
    }

    fn join(&self, options: ReaderOptions) -> Result<Reader, Error> {
        let pool = Arena::default().pool(PoolConfig::new("reader"));
        Reader::connect(self.publisher.place(), &pool, options, &|| false)
    }
}

fn info() -> FrameInfo {
    FrameInfo::new(PixelFormat::I420, SIZE)
}

/// Memory for `slots` frames, of which the source begins with `first`.
fn pool(first: u32, slots: u64) -> FramePool {
    let config = PoolConfig {
        slots: first,
        max_bytes: slots * slot_size(),
        ..PoolConfig::new("source")
    };
    FramePool::new(&Arena::default(), config)
}

fn slot_size() -> u64 {
    let layout = Layout::aligned(PixelFormat::I420, SIZE).unwrap();
    let class = Arena::default().pool(PoolConfig::new("size")).class(layout.len);
    class.unwrap().slot_size() as u64
}

/// Four frames to hold; one that waits.
fn latest() -> ReaderOptions {
    ReaderOptions::default()
}

fn holding(hold: u32, queue: u32) -> ReaderOptions {
    ReaderOptions {
        hold,
        queue,
        policy: ClientPolicy::DropOldest,
        ..ReaderOptions::default()
    }
}

fn next(reader: &mut Reader) -> Frame {
    match reader.next(Duration::from_secs(5)).unwrap() {
        Next::Frame(frame, _) => frame,
        other => panic!("{other:?} instead of a frame"),
    }
}

/// Until the owner's thread has heard that somebody is gone.
fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_a_reader_may_hold_is_set_aside_at_the_hello_or_refused_with_quota() {
    let (studio, pool) = (Studio::new(), pool(8, 8 + 12));
    studio
        .publisher
        .publish(&pool.acquire(info(), Wait::Never).unwrap().freeze());
    // Twelve slots to grow by, and half of the source's eight: one that waits for all, three readers of four, and three more.
    let mut readers: Vec<_> = (0..3).map(|_| studio.join(latest()).unwrap()).collect();
    let refused = studio.join(latest()).unwrap_err();
    assert_eq!((refused.code(), refused.reason()), (ErrorCode::Quota, "share-budget"));
    assert!(refused.to_string().contains("at most 3 frames"), "{refused}");
    drop(readers.pop());
    until("the first to leave has left", || studio.publisher.readers().len() == 2);
    let refused = studio.join(holding(8, 1)).unwrap_err();
    assert!(refused.to_string().contains("at most 7 frames"), "{refused}");
    readers.push(studio.join(holding(7, 1)).unwrap());
}

#[test]
fn readers_that_hold_all_that_they_may_leave_the_source_what_it_began_with() {
    let (studio, pool) = (Studio::new(), pool(8, 1000));
    let publish = || {
        studio
            .publisher
            .publish(&pool.acquire(info(), Wait::Never).expect("a slot").freeze())
    };
    publish();
    let mut readers: Vec<_> = (0..10).map(|_| studio.join(holding(4, 4)).unwrap()).collect();
    let mut held = Vec::new();
    for reader in &mut readers {
        for _ in 0..4 {
            publish();
            held.push(next(reader));
        }
        // They wait for it.
        (0..8).for_each(|_| publish());
    }
    let own: Result<Vec<_>, _> = (0..8).map(|_| pool.acquire(info(), Wait::Never)).collect();
    assert_eq!(own.expect("the source has its eight slots").len(), 8);
    assert_eq!(held.len(), 40);
}

#[test]
fn a_reader_that_came_before_the_first_frame_is_told_with_it_whether_it_fits() {
    let (studio, pool) = (Studio::new(), pool(4, 4 + 6));
    let mut first = studio.join(latest()).unwrap();
    let mut second = studio.join(holding(8, 1)).unwrap();
    studio
        .publisher
        .publish(&pool.acquire(info(), Wait::Never).unwrap().freeze());
    assert_eq!(next(&mut first).info().coded, SIZE);
    let refused = second.next(Duration::from_secs(5)).unwrap_err();
    assert_eq!((refused.code(), refused.reason()), (ErrorCode::Quota, "share-budget"));
}

#[test]
fn what_a_reader_holds_stays_when_the_next_format_does_not_fit_it() {
    let (studio, small, large) = (Studio::new(), pool(8, 1000), pool(2, 2));
    let mut reader = studio.join(latest()).unwrap();
    let mut frame = small.acquire(info(), Wait::Never).unwrap();
    frame.plane_mut(0).0.fill(7);
    studio.publisher.publish(&frame.freeze());
    let held = next(&mut reader);
    studio
        .publisher
        .publish(&large.acquire(info(), Wait::Never).unwrap().freeze());
    let refused = reader.next(Duration::from_secs(5)).unwrap_err();
    assert_eq!(refused.reason(), "share-budget");
    drop(reader);
    for _ in 0..16 {
        let mut frame = small.acquire(info(), Wait::Never).unwrap();
        frame.plane_mut(0).0.fill(9);
    }
    assert!(held.plane_bytes(0).0.iter().all(|b| *b == 7), "nobody wrote over it");
    drop(held);
    until("it has left", || studio.publisher.readers().is_empty());
}

/// A camera of eight buffers, and what a driver does with them.
struct Camera(BoundPool);

impl Camera {
    fn new() -> Self {
        let layout = Layout::aligned(PixelFormat::I420, SIZE).unwrap();
        let pool = Arena::default().pool(PoolConfig::new("camera"));
        Camera(BoundPool::new(&pool, layout.len, 8).unwrap())
    }

    /// The next picture; none when all buffers are out.
    fn frame(&self) -> Option<Frame> {
        let layout = Layout::aligned(PixelFormat::I420, SIZE).unwrap();
        let slot = self.0.lend(self.0.take_returned()?)?;
        Some(FrameMut::new(info(), slot, &layout).unwrap().freeze())
    }

    /// Buffers that are not out.
    fn left(&self) -> u64 {
        let mine: Vec<_> = std::iter::from_fn(|| self.0.take_returned()).collect();
        let left = mine.len() as u64;
        // Back to where they were: a lend and a release.
        mine.into_iter().for_each(|index| drop(self.0.lend(index)));
        left
    }
}

#[test]
fn a_driver_keeps_two_buffers_whatever_readers_hold() {
    for policy in [ClientPolicy::Latest, ClientPolicy::DropOldest, ClientPolicy::DropNewest] {
        let (studio, camera) = (Studio::new(), Camera::new());
        studio.publisher.publish(&camera.frame().unwrap());
        let with = |hold| ReaderOptions {
            hold,
            queue: 8,
            policy,
            ..ReaderOptions::default()
        };
        let mut readers: Vec<_> = (0..2).map(|_| studio.join(with(3)).unwrap()).collect();
        let refused = studio.join(with(1)).unwrap_err();
        assert_eq!(refused.reason(), "share-budget", "eight less two are six: {refused}");
        let mut held = Vec::new();
        for turn in 0..40 {
            let frame = camera.frame().expect("the driver has a buffer");
            studio.publisher.publish(&frame);
            drop(frame);
            assert!(camera.left() >= 2, "{policy:?}, turn {turn}: {} left", camera.left());
            // One after the other, so that no two hold the same.
            let reader = &mut readers[usize::from(turn >= 20)];
            if let Next::Frame(frame, _) = reader.next(Duration::ZERO).unwrap() {
                held.push(frame);
            }
        }
        assert!(held.len() >= 4, "{policy:?}: {}", held.len());
        let infos = studio.publisher.readers();
        assert!(infos.iter().all(|info| info.dropped > 0), "{policy:?}: {infos:?}");
        // What the loops of this process hold does not make a reader take from the driver either.
        drop((held, readers));
        until("all is back", || camera.left() == 8);
        let _reader = studio.join(with(6)).unwrap();
        let local: Vec<_> = (0..6).map(|_| camera.frame().unwrap()).collect();
        for frame in &local {
            studio.publisher.publish(frame);
        }
        drop(local);
        until("the reader was given none", || camera.left() >= 2);
    }
}
