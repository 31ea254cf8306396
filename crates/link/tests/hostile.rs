//! Readers that lie: whatever they say, send, write or do not do, the owner publishes, nobody else's frame changes, and no slot is lost.
//!
//! Each run is one client that joins (most of them), is granted something, and then does one of [`KINDS`]. Several do at once, over all of
//! which an honest reader looks at every byte of every frame, when it comes and when it goes, one that is stopped finds its own as they
//! were, and others join late.
//! `BEAMLINE_HOSTILE_RUNS` says how many; 2000 unless it does.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; the counts are for whoever reads the log"
)]

mod lies;
mod raw;

use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_link::{ClientPolicy, Limits, Next, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, Frame, FrameInfo, FramePool, PixelFormat, Size};
use lies::{KINDS, Liar, STRANGERS, Studio};
use raw::{Chance, Raw};
use rustix::process::{Pid, Signal};
use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(64, 32);
/// Set in a process that is to be the stopped reader: where the share is.
const STOPPED: &str = "BEAMLINE_HOSTILE_STOPPED";
/// How soon a wish to stop is seen.
const TURN: Duration = Duration::from_millis(100);
/// Hostile clients at once.
const AT_ONCE: usize = 8;

fn check(frame: &Frame, number: u64) {
    assert_eq!(
        frame.info().timestamp_us,
        Some(number as i64),
        "the frame that was told"
    );
    for plane in 0..3 {
        let (bytes, _) = frame.plane_bytes(plane);
        assert!(bytes.iter().all(|b| *b == number as u8), "frame {number} has changed");
    }
}

/// Reads in order and holds three frames at a time; each is right when it comes and when it goes.
fn honest(place: &Place, stop: &AtomicBool) -> u64 {
    let pool = Arena::default().pool(PoolConfig::new("honest"));
    let mut reader = Reader::connect(place, &pool, in_order(), &|| false).unwrap();
    let (mut held, mut seen, mut last) = (VecDeque::new(), 0, None);
    while !stop.load(Ordering::Relaxed) {
        let Next::Frame(frame, number) = reader.next(TURN).unwrap() else {
            continue;
        };
        assert!(last < Some(number), "{number} after {last:?}");
        check(&frame, number);
        (last, seen) = (Some(number), seen + 1);
        held.push_back((frame, number));
        if held.len() > 3 {
            let (frame, number) = held.pop_front().unwrap();
            check(&frame, number);
        }
    }
    held.iter().for_each(|(frame, number)| check(frame, *number));
    seen
}

/// Joins again and again; gives how often, and how long the longest took until the first frame.
fn latecomers(place: &Place, stop: &AtomicBool) -> (u32, Duration) {
    let (mut joined, mut worst) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let pool = Arena::default().pool(PoolConfig::new("late"));
        let began = Instant::now();
        let mut reader = Reader::connect(place, &pool, ReaderOptions::default(), &|| false).unwrap();
        while !matches!(reader.next(TURN).unwrap(), Next::Frame(..)) {
            if stop.load(Ordering::Relaxed) {
                return (joined, worst);
            }
        }
        worst = worst.max(began.elapsed());
        joined += 1;
        thread::sleep(Duration::from_millis(50));
    }
    (joined, worst)
}

/// A reader in a process of its own that is stopped (SIGSTOP) with frames in hand.
struct Stopped {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Stopped {
    fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "readers_that_lie_hurt_nobody", "--nocapture"])
            .env(STOPPED, path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut stopped = Stopped { child, said };
        stopped.hear("holding");
        stopped.signal(Signal::STOP);
        stopped
    }

    /// What the child does: it holds frames, and when it goes on they are as they were, and others come.
    fn play(path: &str) -> ! {
        let pool = Arena::default().pool(PoolConfig::new("stopped"));
        let mut reader = Reader::connect(&Place::new(path).unwrap(), &pool, in_order(), &|| false).unwrap();
        let mut held = Vec::new();
        while held.len() < 3 {
            if let Next::Frame(frame, number) = reader.next(TURN).unwrap() {
                held.push((frame, number));
            }
        }
        println!("holding");
        let mut seen = 0;
        while seen < 100 {
            if let Next::Frame(frame, number) = reader.next(TURN).unwrap() {
                check(&frame, number);
                seen += 1;
            }
            held.iter().for_each(|(frame, number)| check(frame, *number));
        }
        println!("all is right");
        std::process::exit(0)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn hear(&mut self, word: &str) {
        let heard = (&mut self.said)
            .lines()
            .map_while(Result::ok)
            .any(|line| line.ends_with(word));
        assert!(heard, "the stopped reader has not said '{word}'");
    }

    fn go_on(mut self) {
        self.signal(Signal::CONT);
        self.hear("all is right");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // One that has ended well needs neither.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn in_order() -> ReaderOptions {
    ReaderOptions {
        policy: ClientPolicy::DropOldest,
        ..ReaderOptions::default()
    }
}

/// Publishes until told to stop; gives the longest that one `publish` took. Every slot is written before each use.
fn produce(publisher: &Publisher, pool: &FramePool, stop: &AtomicBool) -> Duration {
    let (mut worst, mut number) = (Duration::ZERO, 0i64);
    while !stop.load(Ordering::Relaxed) {
        let info = FrameInfo {
            timestamp_us: Some(number),
            ..FrameInfo::new(PixelFormat::I420, SIZE)
        };
        let mut frame = pool.acquire(info, Wait::Grow).expect("readers leave enough");
        for plane in 0..3 {
            frame.plane_mut(plane).0.fill(number as u8);
        }
        let frame = frame.freeze();
        let began = Instant::now();
        publisher.publish(&frame);
        worst = worst.max(began.elapsed());
        number += 1;
        thread::sleep(Duration::from_micros(200));
    }
    worst
}

/// One run. Gives its kind, and whether it held a grant when it lied.
fn lie(studio: &Studio, path: &Path, run: usize, chance: &mut Chance) -> (&'static str, bool) {
    let kind = run % (KINDS.len() + STRANGERS.len());
    if let Some((name, act)) = KINDS.get(kind) {
        let liar = Liar::join(path, studio);
        act(&liar, chance);
        return (name, true);
    }
    let (name, act) = STRANGERS[kind - KINDS.len()];
    act(&Raw::connect(path).expect("the owner listens"), chance);
    (name, false)
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Every slot is taken, written and read back.
fn write_all(pool: &FramePool, slots: u64) {
    let frames: Vec<Frame> = (0..slots)
        .map(|n| {
            let info = FrameInfo::new(PixelFormat::I420, SIZE);
            let mut frame = pool.acquire(info, Wait::Never).unwrap();
            frame.plane_mut(0).0.fill(n as u8);
            frame.freeze()
        })
        .collect();
    for (n, frame) in frames.iter().enumerate() {
        assert!(frame.plane_bytes(0).0.iter().all(|b| *b == n as u8));
    }
}

/// Ends the threads beside when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What all clients did together.
#[derive(Default)]
struct Tally {
    by_kind: BTreeMap<&'static str, usize>,
    past_hello: usize,
}

fn all_lie(studio: &Studio, path: &Path, runs: usize) -> Tally {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let worker = |seed: usize| {
            let mut chance = Chance::new(seed as u64 + 1);
            let (mut tally, next) = (Tally::default(), &next);
            move || {
                loop {
                    let run = next.fetch_add(1, Ordering::Relaxed);
                    if run >= runs {
                        return tally;
                    }
                    let (kind, past_hello) = lie(studio, path, run, &mut chance);
                    *tally.by_kind.entry(kind).or_insert(0) += 1;
                    tally.past_hello += usize::from(past_hello);
                }
            }
        };
        let workers: Vec<_> = (0..AT_ONCE).map(|seed| scope.spawn(worker(seed))).collect();
        let mut all = Tally::default();
        for worker in workers {
            let tally = worker.join().expect("a liar ends well");
            all.past_hello += tally.past_hello;
            for (kind, count) in tally.by_kind {
                *all.by_kind.entry(kind).or_insert(0) += count;
            }
        }
        all
    })
}

#[test]
fn readers_that_lie_hurt_nobody() {
    if let Ok(path) = std::env::var(STOPPED) {
        Stopped::play(&path);
    }
    let runs = std::env::var("BEAMLINE_HOSTILE_RUNS").ok().and_then(|n| n.parse().ok());
    let runs: usize = runs.unwrap_or(2000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("studio");
    let arena = Arena::default();
    let config = PoolConfig {
        slots: 64,
        ..PoolConfig::new("studio")
    };
    let pool = FramePool::new(&arena, config);
    let caps = Caps::raw(PixelFormat::I420, SIZE);
    let place = Place::new(path.to_str().unwrap()).unwrap();
    let studio = Studio {
        publisher: Publisher::listen(place.clone(), caps.clone(), true, Limits::default()).unwrap(),
        caps,
        refused_fds: AtomicU64::new(0),
        told_why: AtomicU64::new(0),
    };
    let (stop, began) = (AtomicBool::new(false), Instant::now());
    let publisher = &studio.publisher;
    let (tally, worst, seen, late) = thread::scope(|scope| {
        let producer = scope.spawn(|| produce(publisher, &pool, &stop));
        let reader = scope.spawn(|| honest(&place, &stop));
        let late = scope.spawn(|| latecomers(&place, &stop));
        // Also when a liar finds something wrong: the scope waits for the others.
        let on_the_way_out = Stop(&stop);
        let stopped = Stopped::start(&path);
        let tally = all_lie(&studio, &path, runs);
        stopped.go_on();
        drop(on_the_way_out);
        let seen = reader.join().expect("the honest reader saw only what is right");
        let late = late.join().expect("who comes late is let in");
        (tally, producer.join().expect("the producer ends well"), seen, late)
    });
    until("the end of all readers", || publisher.readers().is_empty());
    until("the return of all slots", || arena.stats().live == 0);
    let Tally { by_kind, past_hello } = tally;
    let (refused, lost) = (publisher.refused_returns(), arena.stats().live);
    println!("hostile runs={runs} by kind {by_kind:?} past_hello={past_hello} refused_returns={refused} lost={lost}");
    println!(
        "in {:?}: {} frames published, the longest publish {worst:?}; an honest reader saw {seen}; {} joined late, the slowest in {:?}; \
         {} fds refused by the kernel; {} told why they are cut off",
        began.elapsed(),
        publisher.published(),
        late.0,
        late.1,
        studio.refused_fds.load(Ordering::Relaxed),
        studio.told_why.load(Ordering::Relaxed),
    );
    assert_eq!(by_kind.values().sum::<usize>(), runs);
    assert!(past_hello * 2 >= runs, "{past_hello}");
    assert!(refused > 0, "nobody claimed what it had not");
    assert!(seen > 0 && late.0 > 0);
    assert!(worst < Duration::from_millis(250), "publish waited {worst:?}");
    assert!(late.1 < Duration::from_secs(5), "{:?}", late.1);
    if runs >= KINDS.len() * 4 {
        assert!(studio.told_why.load(Ordering::Relaxed) > 0, "nobody was told why");
    }
    write_all(&pool, arena.stats().slots);
}
