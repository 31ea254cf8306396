//! One at a time, what `hostile.rs` does all at once: the rules by which a client that misbehaves costs the others nothing.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod raw;

use beamline_arena::{Arena, PoolConfig, SharedPage, Wait, grant::TellPage};
use beamline_link::{Limits, Next, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, FrameInfo, FramePool, PixelFormat, Rational, Size};
use raw::{Raw, hello};
use rustix::fd::OwnedFd;
use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(64, 32);
const LONG: Duration = Duration::from_secs(5);

/// One of these tests looks for the thread of its own share: they go one after the other, also where they are threads of one process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Studio {
    _folder: tempfile::TempDir,
    path: PathBuf,
    pool: FramePool,
    publisher: Publisher,
}

impl Studio {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("studio");
        let place = Place::new(path.to_str().unwrap()).unwrap();
        Studio {
            _folder: folder,
            path,
            pool: FramePool::new(&Arena::default(), PoolConfig::new("studio")),
            publisher: Publisher::listen(place, caps(25), true, Limits::default()).unwrap(),
        }
    }

    fn publish(&self) {
        let info = FrameInfo::new(PixelFormat::I420, SIZE);
        self.publisher
            .publish(&self.pool.acquire(info, Wait::Grow).unwrap().freeze());
    }

    /// A client with its three fds: the page that tells, the one that gives back, the bell.
    fn join(&self) -> (Raw, [OwnedFd; 3]) {
        let raw = Raw::connect(&self.path).unwrap();
        raw.send(hello(4).as_bytes()).unwrap();
        let (_, fds) = raw.message(LONG).unwrap();
        (raw, fds.try_into().unwrap())
    }
}

fn caps(rate: u32) -> Caps {
    Caps {
        frame_rate: Rational::new(rate, 1),
        ..Caps::raw(PixelFormat::I420, SIZE)
    }
}

#[test]
fn a_crowd_that_says_nothing_keeps_nobody_out() {
    let _alone = alone();
    let studio = Studio::new();
    let crowd: Vec<_> = (0..200).map(|_| Raw::connect(&studio.path).expect("a place")).collect();
    let began = Instant::now();
    let pool = Arena::default().pool(PoolConfig::new("reader"));
    let mut reader = Reader::connect(studio.publisher.place(), &pool, ReaderOptions::default(), &|| false).unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    studio.publish();
    assert!(matches!(reader.next(LONG).unwrap(), Next::Frame(..)));
    // Those who had to go were told why.
    let told = crowd.iter().filter_map(|raw| raw.message(Duration::ZERO));
    assert!(told.filter(|(said, _)| said.contains("share-crowded")).count() >= 200 - 64);
}

/// Threads of this process that hear readers.
fn link_threads() -> BTreeSet<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let named = tasks.filter(|t| fs::read_to_string(t.path().join("comm")).is_ok_and(|name| name.trim() == "bl-link"));
    named.map(|t| t.path().to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_bell_that_is_rung_for_nothing_is_not_listened_to_for_long() {
    let _alone = alone();
    let before = link_threads();
    let studio = Studio::new();
    let deadline = Instant::now() + LONG;
    let thread = loop {
        // It gives itself its name.
        if let Some(new) = link_threads().difference(&before).next() {
            break new.clone();
        }
        assert!(Instant::now() < deadline, "a share has a thread");
        thread::sleep(Duration::from_millis(1));
    };
    let cpu = || {
        let told = fs::read_to_string(format!("{thread}/schedstat")).unwrap();
        Duration::from_nanos(told.split(' ').next().unwrap().parse().unwrap())
    };
    let (_raw, [_, _, bell]) = studio.join();
    let (began, used) = (Instant::now(), cpu());
    let mut rings = 0u64;
    while began.elapsed() < Duration::from_secs(1) {
        rustix::io::write(&bell, &1u64.to_ne_bytes()).unwrap();
        rings += 1;
    }
    let used = cpu() - used;
    assert!(rings > 20_000, "too few to tell: {rings}");
    assert!(
        used < Duration::from_millis(250),
        "{rings} rings cost the owner {used:?}"
    );
    // Its next ring counts again after a while, and so does what it gives back.
    studio.publish();
    let tell = SharedPage::<TellPage>::attach(
        studio.join().1.into_iter().next().unwrap(),
        beamline_arena::Access::Read,
    );
    assert!(tell.is_ok(), "others join as ever");
}

#[test]
fn what_a_full_socket_did_not_take_is_said_later() {
    let _alone = alone();
    let studio = Studio::new();
    let (raw, _fds) = studio.join();
    for rate in 1..=2000 {
        studio.publisher.set_caps(&caps(rate));
    }
    studio.publisher.end(None);
    let mut said = Vec::new();
    while let Some((message, _)) = raw.message(LONG) {
        said.push(message);
        if said.last().unwrap().contains("\"end\"") {
            break;
        }
    }
    assert!(said.len() < 2000, "the socket never was full");
    assert!(said.last().unwrap().contains("\"end\""), "{:?}", said.last());
    let newest = &said[said.len() - 2];
    assert!(newest.contains("[2000,1]"), "the last format before the end: {newest}");
}

#[test]
fn who_misspeaks_is_told_why_and_what_it_held_comes_back() {
    let _alone = alone();
    for words in [&b"{\"kind\":\"launch\"}"[..], &[b' '; 5000], hello(4).as_bytes()] {
        let studio = Studio::new();
        let (raw, _fds) = studio.join();
        studio.publish();
        raw.send(words).unwrap();
        let said = std::iter::from_fn(|| raw.message(LONG));
        let why = said.filter(|(said, _)| said.contains("share-protocol")).count();
        assert_eq!(why, 1, "{}", String::from_utf8_lossy(words));
        let deadline = Instant::now() + LONG;
        while studio.publisher.swept() == 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(studio.publisher.swept(), 1);
        assert!(studio.publisher.readers().is_empty());
    }
}
