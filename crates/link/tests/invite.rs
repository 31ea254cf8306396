//! Links over inherited sockets, and what a reader forgets: memory that its source has left behind.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; a child says that it is ready"
)]

use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_link::{ClientPolicy, Error, Limits, Next, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, ErrorCode, Frame, FrameInfo, FramePool, PixelFormat, Size};
use std::{
    env,
    io::{BufRead, BufReader},
    os::fd::{AsRawFd, OwnedFd},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(64, 32);

struct Studio {
    _folder: tempfile::TempDir,
    arena: Arena,
    publisher: Publisher,
}

impl Studio {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("studio").to_str().unwrap()).unwrap();
        let caps = Caps::raw(PixelFormat::I420, SIZE);
        Studio {
            _folder: folder,
            arena: Arena::default(),
            publisher: Publisher::listen(place, caps, true, Limits::default()).unwrap(),
        }
    }

    fn pool(&self) -> FramePool {
        FramePool::new(&self.arena, PoolConfig::new("studio"))
    }
}

fn frame(pool: &FramePool, size: Size, number: u8) -> Frame {
    let info = FrameInfo {
        timestamp_us: Some(i64::from(number) * 40_000),
        ..FrameInfo::new(PixelFormat::I420, size)
    };
    let mut frame = pool.acquire(info, Wait::Grow).unwrap();
    frame.plane_mut(0).0.fill(number);
    frame.freeze()
}

fn options() -> ReaderOptions {
    ReaderOptions {
        policy: ClientPolicy::DropNewest,
        ..ReaderOptions::default()
    }
}

fn inherit(number: u32) -> Result<Reader, Error> {
    let pool = Arena::default().pool(PoolConfig::new("reader"));
    Reader::inherit(number, &pool, options(), &|| false)
}

fn number(fd: &OwnedFd) -> u32 {
    u32::try_from(fd.as_raw_fd()).unwrap()
}

fn next(reader: &mut Reader) -> (Frame, Option<Caps>) {
    let mut caps = None;
    loop {
        match reader.next(Duration::from_secs(5)).unwrap() {
            Next::Frame(frame, _) => return (frame, caps),
            Next::Caps(changed) => caps = Some(changed),
            other => panic!("{other:?} instead of a frame"),
        }
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_end_is_good_for_one_reader_and_says_which_process_reads() {
    let studio = Studio::new();
    let end = studio.publisher.invite().unwrap();
    let mut reader = inherit(number(&end)).unwrap();
    assert_eq!(reader.caps().size, SIZE);
    let readers = studio.publisher.readers();
    assert_eq!(readers[0].pid.unsigned_abs(), std::process::id());
    studio.publisher.publish(&frame(&studio.pool(), SIZE, 7));
    assert_eq!(next(&mut reader).0.plane_bytes(0).0[0], 7);
    let again = inherit(number(&end)).unwrap_err();
    assert_eq!((again.code(), again.reason()), (ErrorCode::Busy, "share-fd-used"));
    // Though the end itself stays open, the reader is gone when it says so.
    drop(reader);
    until("the end of the reader", || studio.publisher.readers().is_empty());
}

#[test]
fn an_fd_that_is_no_end_of_a_share_is_told_as_what_it_is() {
    let file = OwnedFd::from(tempfile::tempfile().unwrap());
    let (stream, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let stream = OwnedFd::from(stream);
    let listener = OwnedFd::from(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    for (fd, word) in [
        (number(&file), "a file"),
        (number(&stream), "another kind"),
        (number(&listener), "another kind"),
        (1 << 20, "no open fd"),
        (u32::MAX, "no open fd"),
    ] {
        let error = inherit(fd).unwrap_err();
        assert_eq!((error.code(), error.reason()), (ErrorCode::NotFound, "no-share-fd"));
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn unused_ends_are_counted_until_they_are_closed() {
    let studio = Studio::new();
    let ends: Vec<_> = (0..64).map(|_| studio.publisher.invite().unwrap()).collect();
    let error = studio.publisher.invite().unwrap_err();
    assert_eq!((error.code(), error.reason()), (ErrorCode::Quota, "share-fds-out"));
    drop(ends);
    until("a further end", || studio.publisher.invite().is_ok());
    studio.publisher.close();
    let closed = studio.publisher.invite().unwrap_err();
    assert_eq!(closed.reason(), "closed");
}

#[test]
fn an_end_of_a_share_that_has_closed_is_gone() {
    let studio = Studio::new();
    let end = studio.publisher.invite().unwrap();
    studio.publisher.close();
    until("the end", || studio.publisher.is_finished());
    let error = inherit(number(&end)).unwrap_err();
    assert_eq!((error.code(), error.reason()), (ErrorCode::DeviceLost, "owner-gone"));
}

#[test]
fn a_child_that_inherits_an_end_reads_by_its_number_and_is_swept_when_it_is_killed() {
    if env::var_os("BEAMLINE_INHERITED").is_some() {
        let mut reader = inherit(0).unwrap();
        let _held = next(&mut reader);
        println!("ready");
        loop {
            thread::park();
        }
    }
    let studio = Studio::new();
    let end = studio.publisher.invite().unwrap();
    let test = "a_child_that_inherits_an_end_reads_by_its_number_and_is_swept_when_it_is_killed";
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("BEAMLINE_INHERITED", "1")
        .stdin(Stdio::from(end))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    until("the child", || studio.publisher.readers().len() == 1);
    let pool = studio.pool();
    studio.publisher.publish(&frame(&pool, SIZE, 1));
    let out = BufReader::new(child.stdout.take().unwrap());
    assert!(out.lines().map_while(Result::ok).any(|line| line.ends_with("ready")));
    let [reader] = &studio.publisher.readers()[..] else {
        panic!("one reader");
    };
    assert_eq!((reader.pid.unsigned_abs(), reader.held), (child.id(), 1));
    assert_eq!(studio.arena.stats().live, 1);
    child.kill().unwrap();
    until("the sweep", || studio.arena.stats().live == 0);
    assert_eq!(studio.publisher.swept(), 1);
    child.wait().unwrap();
}

#[test]
fn a_hundred_changes_of_format_cost_the_memory_of_one() {
    let studio = Studio::new();
    let pool = Arena::default().pool(PoolConfig::new("reader"));
    let mut reader = Reader::connect(studio.publisher.place(), &pool, options(), &|| false).unwrap();
    let mut most = 0;
    for change in 1..=100u8 {
        // A pool of its own, as a source has that is opened anew: its memory goes when nobody holds it.
        let (pool, size) = (studio.pool(), Size::new(64 + 2 * u32::from(change), 32));
        let caps = Caps::raw(PixelFormat::I420, size);
        studio.publisher.set_caps(&caps);
        for number in 0..3 {
            studio.publisher.publish(&frame(&pool, size, change));
            let (got, told) = next(&mut reader);
            assert_eq!(got.info().coded, size);
            assert!(
                got.plane_bytes(0).0.iter().all(|byte| *byte == change),
                "old memory under a new frame"
            );
            // The change comes before its first frame.
            assert_eq!(
                told,
                (number == 0).then(|| caps.clone()),
                "change {change}, frame {number}"
            );
        }
        drop(pool);
        until("room for the next", || studio.arena.stats().live == 0);
        most = most.max(studio.arena.stats().slots);
    }
    let own = u64::from(PoolConfig::new("studio").slots);
    until("the end of old memory", || {
        let _ = reader.next(Duration::from_millis(1));
        studio.arena.stats().slots <= own
    });
    println!("100 changes of format: at most {most} slots of the owner's, {own} per format");
    assert!(most <= 70 * own, "{most} slots");
    assert_eq!(studio.publisher.readers()[0].dropped, 0);
}
