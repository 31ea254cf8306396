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

mod raw;

use beamline_arena::{
    Access, Arena, PoolConfig, Segment, SharedPage, Wait,
    grant::{ReturnPage, TellPage},
};
use beamline_link::{ClientPolicy, Limits, Next, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, Frame, FrameInfo, FramePool, PixelFormat, Size};
use raw::{Chance, Raw, hello};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{FallocateFlags, Mode, OFlags, SealFlags},
    io::Errno,
    net::Shutdown,
    process::{Pid, Signal},
};
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
/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(10);
/// How soon a wish to stop is seen.
const TURN: Duration = Duration::from_millis(100);
/// Hostile clients at once.
const AT_ONCE: usize = 8;

/// A client that was welcomed and holds a grant.
struct Liar<'a> {
    raw: Raw,
    tell: OwnedFd,
    returns: OwnedFd,
    wake: OwnedFd,
    /// With its size of a slot and how many it has.
    segment: (OwnedFd, usize, u32),
    studio: &'a Studio,
}

struct Studio {
    publisher: Publisher,
    caps: Caps,
    refused_fds: AtomicU64,
    told_why: AtomicU64,
}

type Lie = fn(&Liar<'_>, &mut Chance);
type StrangeLie = fn(&Raw, &mut Chance);

/// Past the hello, with a grant in hand.
const KINDS: [(&str, Lie); 14] = [
    ("scribbles", scribbles),
    ("maps for writing", maps_for_writing),
    ("says what cannot be", says_what_cannot_be),
    ("lies in its goodbye", lies_in_its_goodbye),
    ("floods the socket", floods_the_socket),
    ("floods its returns", floods_its_returns),
    ("floods its bell", floods_its_bell),
    ("never reads", never_reads),
    ("sends fds", sends_fds),
    ("lets all block", lets_all_block),
    ("fills its bell", fills_its_bell),
    ("drains its bell", drains_its_bell),
    ("too short and too long", too_short_and_too_long),
    ("closes by half", closes_by_half),
];

/// Before it.
const STRANGERS: [(&str, StrangeLie); 3] = [
    ("lies in its hello", lies_in_its_hello),
    ("hangs", hangs),
    ("a crowd that hangs", |raw, _| crowd(raw)),
];

fn for_ms(ms: u64, mut act: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_millis(ms);
    while Instant::now() < end && act() {}
}

fn scribbles(liar: &Liar<'_>, chance: &mut Chance) {
    for _ in 0..40 {
        let at = chance.below(size_of::<ReturnPage>() as u64);
        let bytes: Vec<u8> = (0..chance.below(256)).map(|_| chance.next() as u8).collect();
        let _ = rustix::io::pwrite(&liar.returns, &bytes, at);
    }
    // All bits, all counters.
    let all = vec![chance.next() as u8; size_of::<ReturnPage>()];
    rustix::io::pwrite(&liar.returns, &all, 0).unwrap();
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let _ = rustix::fs::fallocate(&liar.returns, hole, 0, all.len() as u64);
    thread::sleep(Duration::from_millis(1));
}

fn maps_for_writing(liar: &Liar<'_>, _: &mut Chance) {
    let (segment, slot_size, slots) = &liar.segment;
    let again = |fd: &OwnedFd| fd.try_clone().unwrap();
    // What it was given, and what it opens anew.
    let reopened = |fd: &OwnedFd| {
        use std::os::fd::AsRawFd;
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
    };
    let tell = [again(&liar.tell)].into_iter().chain(reopened(&liar.tell));
    for fd in tell {
        assert!(SharedPage::<TellPage>::attach(fd, Access::Shared).is_err());
    }
    for fd in [again(segment)].into_iter().chain(reopened(segment)) {
        assert!(Segment::attach(fd, *slot_size, *slots, Access::Shared).is_err());
    }
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    for fd in [&liar.tell, segment] {
        assert_eq!(rustix::io::pwrite(fd, &[1], 0), Err(Errno::PERM));
        assert_eq!(rustix::fs::fallocate(fd, hole, 0, 4096), Err(Errno::PERM));
    }
    for fd in [&liar.tell, &liar.returns, segment] {
        assert_eq!(rustix::fs::ftruncate(fd, 0), Err(Errno::PERM));
        assert_eq!(rustix::fs::fcntl_add_seals(fd, SealFlags::WRITE), Err(Errno::PERM));
    }
}

fn says_what_cannot_be(liar: &Liar<'_>, chance: &mut Chance) {
    let deep = "[".repeat(4000);
    let objects = "{\"kind\":".repeat(400);
    let long = format!("{{\"kind\":\"{}\"}}", "x".repeat(4000));
    let said: [&[u8]; 14] = [
        b"{\"kind\":\"end\"}",
        b"{\"kind\":\"pass\",\"ticket\":1,\"to\":2,\"entry\":[1,2,3]}",
        b"{\"kind\":\"launch\"}",
        b"{}",
        b"null",
        b"{\"kind\":1}",
        b"{\"kind\":\"bye\"}",
        b"{\"kind\":\"bye\",\"read\":-1}",
        b"{\"kind\":\"bye\",\"read\":1e99}",
        b"\xff\xfe\0\0",
        b"\"",
        deep.as_bytes(),
        objects.as_bytes(),
        long.as_bytes(),
    ];
    let _ = liar.raw.send(said[chance.below(said.len() as u64) as usize]);
    if liar.is_told_why() {
        liar.studio.told_why.fetch_add(1, Ordering::Relaxed);
    }
}

fn lies_in_its_goodbye(liar: &Liar<'_>, chance: &mut Chance) {
    for _ in 0..3 {
        let read = match chance.below(4) {
            0 => 0,
            1 => u32::MAX,
            _ => chance.next() as u32,
        };
        let _ = liar
            .raw
            .send(format!("{{\"kind\":\"bye\",\"read\":{read}}}").as_bytes());
    }
    thread::sleep(Duration::from_millis(1));
}

fn floods_the_socket(liar: &Liar<'_>, chance: &mut Chance) {
    // What is well said (a goodbye, once), and what is not.
    let word: &[u8] = if chance.below(2) == 0 {
        b"{\"kind\":\"bye\",\"read\":1}"
    } else {
        b"{\"kind\":\"hello\"}"
    };
    for_ms(5, || !matches!(liar.raw.send(word), Err(e) if e != Errno::AGAIN));
}

fn floods_its_returns(liar: &Liar<'_>, chance: &mut Chance) {
    for_ms(5, || {
        let value = chance.next().to_ne_bytes();
        let bytes = value.repeat(size_of::<ReturnPage>() / 8);
        let _ = rustix::io::pwrite(&liar.returns, &bytes, 0);
        rustix::io::write(&liar.wake, &1u64.to_ne_bytes()).is_ok()
    });
}

fn floods_its_bell(liar: &Liar<'_>, _: &mut Chance) {
    for_ms(8, || rustix::io::write(&liar.wake, &1u64.to_ne_bytes()).is_ok());
}

fn never_reads(liar: &Liar<'_>, chance: &mut Chance) {
    if chance.below(8) == 0 {
        // More than a socket takes.
        for _ in 0..300 {
            liar.studio.publisher.set_caps(&liar.studio.caps);
        }
    }
    thread::sleep(Duration::from_millis(20));
}

fn sends_fds(liar: &Liar<'_>, chance: &mut Chance) {
    let bell = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
    let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()).unwrap();
    let epoll = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC).unwrap();
    let kinds = [
        bell.as_fd(),
        null.as_fd(),
        epoll.as_fd(),
        liar.raw.0.as_fd(),
        liar.tell.as_fd(),
    ];
    let many = [1, 3, 4, 60, 250][chance.below(5) as usize];
    let fds: Vec<_> = kinds.iter().copied().cycle().take(many).collect();
    let word = b"{\"kind\":\"bye\",\"read\":0}";
    // A kernel that lets them through delivers them; then they are closed.
    if liar.raw.send_with(word, &fds) == Err(Errno::PERM) {
        liar.studio.refused_fds.fetch_add(1, Ordering::Relaxed);
    }
    thread::sleep(Duration::from_millis(1));
}

fn lets_all_block(liar: &Liar<'_>, _: &mut Chance) {
    for fd in [&liar.raw.0, &liar.tell, &liar.returns, &liar.wake, &liar.segment.0] {
        let flags = rustix::fs::fcntl_getfl(fd).unwrap();
        rustix::fs::fcntl_setfl(fd, flags - OFlags::NONBLOCK).unwrap();
    }
    // Whoever wrote to it now would wait for good.
    let _ = rustix::io::write(&liar.wake, &(u64::MAX - 1).to_ne_bytes());
    let _ = rustix::io::pwrite(&liar.returns, &[0xff; 4096], 0);
    thread::sleep(Duration::from_millis(4));
}

fn fills_its_bell(liar: &Liar<'_>, _: &mut Chance) {
    let _ = rustix::io::write(&liar.wake, &(u64::MAX - 1).to_ne_bytes());
    for_ms(3, || {
        let _ = rustix::io::write(&liar.wake, &1u64.to_ne_bytes());
        true
    });
}

fn drains_its_bell(liar: &Liar<'_>, _: &mut Chance) {
    for_ms(3, || {
        let _ = rustix::io::write(&liar.wake, &1u64.to_ne_bytes());
        let _ = rustix::io::read(&liar.wake, &mut [0u8; 8]);
        true
    });
}

fn too_short_and_too_long(liar: &Liar<'_>, chance: &mut Chance) {
    let len = [0, 1, 7, 4095, 4096, 4097, 100_000][chance.below(7) as usize];
    let mut bytes = b"{\"kind\":\"bye\",\"read\":1}".repeat(len / 23 + 1);
    bytes.truncate(len);
    let _ = liar.raw.send(&bytes);
    thread::sleep(Duration::from_millis(1));
}

fn closes_by_half(liar: &Liar<'_>, chance: &mut Chance) {
    let how = [Shutdown::Read, Shutdown::Write, Shutdown::Both][chance.below(3) as usize];
    rustix::net::shutdown(&liar.raw.0, how).unwrap();
    thread::sleep(Duration::from_millis(5));
}

fn lies_in_its_hello(raw: &Raw, chance: &mut Chance) {
    let version = "v".repeat(3500);
    let with = |hold: &str, queue: &str, policy: &str| {
        let said = hello(4);
        let said = said.replace("\"hold\":4", &format!("\"hold\":{hold}"));
        let said = said.replace("\"queue\":4", &format!("\"queue\":{queue}"));
        said.replace("drop-oldest", policy)
    };
    let said = [
        with("0", "4", "latest"),
        with("4294967295", "4294967295", "latest"),
        with("4294967296", "4", "latest"),
        with("-1", "4", "latest"),
        with("4", "0", "latest"),
        with("4", "4", "block"),
        with("32", "32", "latest"),
        hello(4).replace("\"kind\"", "\"kin\""),
        hello(4).replace("\"version\":\"", &format!("\"version\":\"{version}")),
        hello(4).replace("\"version\":\"", "\"version\":\"\\u0000\\u0001\\ud83d\\ude00"),
        "{".repeat(4096),
        String::new(),
    ];
    let _ = raw.send(said[chance.below(said.len() as u64) as usize].as_bytes());
    // An answer, or the end.
    raw.wait(Duration::from_millis(200));
}

fn hangs(_: &Raw, chance: &mut Chance) {
    thread::sleep(Duration::from_millis(5 + chance.below(30)));
}

fn crowd(raw: &Raw) {
    let crowd: Vec<_> = (0..20).filter_map(|_| Raw::connect(&raw.1)).collect();
    thread::sleep(Duration::from_millis(5));
    drop(crowd);
}

impl<'a> Liar<'a> {
    /// Joins, and waits for a grant. Like a reader it comes again when it is asked to, among crowds that say nothing.
    fn join(path: &Path, studio: &'a Studio) -> Self {
        let (raw, fds) = loop {
            let raw = Raw::connect(path).expect("the owner listens");
            // Who was sent away meanwhile cannot be heard.
            let _ = raw.send(hello(4).as_bytes());
            let (said, fds) = raw.message(LONG).expect("an answer");
            if said.contains("\"welcome\"") {
                break (raw, fds);
            }
            assert!(said.contains("share-crowded"), "{said}");
        };
        let [tell, returns, wake] = <[OwnedFd; 3]>::try_from(fds).unwrap();
        let (said, segment) = loop {
            let (said, fds) = raw.message(LONG).expect("a segment");
            if let Some(fd) = fds.into_iter().next() {
                break (said, fd);
            }
        };
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let number = |name: &str| said[name].as_u64().unwrap();
        let page = SharedPage::<TellPage>::attach(tell.try_clone().unwrap(), Access::Read).unwrap();
        let deadline = Instant::now() + LONG;
        while page.written() == 0 {
            assert!(Instant::now() < deadline, "a grant");
            thread::yield_now();
        }
        Liar {
            raw,
            tell,
            returns,
            wake,
            segment: (segment, number("slot_size") as usize, number("slots") as u32),
            studio,
        }
    }

    /// Whether the owner says why it cuts us off.
    fn is_told_why(&self) -> bool {
        let said = || self.raw.message(Duration::from_millis(500));
        std::iter::from_fn(said).any(|(message, _)| message.contains("share-protocol"))
    }
}

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
