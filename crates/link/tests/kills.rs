//! Readers that die: SIGKILL at moments spread over what a reader can be doing. Whatever they held comes back by itself.
//!
//! The test starts itself again as a reader: with `BEAMLINE_KILL_ROLE` set, the process plays that role until it is killed.
//! `BEAMLINE_KILLS` says how many; 10 000 unless it does.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; the counts are for whoever reads the log"
)]

use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_link::{ClientPolicy, Limits, Next, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, Frame, FrameInfo, FramePool, PixelFormat, Size};
use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(64, 32);
/// Readers at once.
const AT_ONCE: usize = 8;
/// What a reader is doing when it is killed.
const ROLES: [&str; 4] = ["hello", "unread", "holding", "busy"];

fn options() -> ReaderOptions {
    ReaderOptions {
        policy: ClientPolicy::DropOldest,
        ..ReaderOptions::default()
    }
}

/// Plays a role until the end. Says `ready` once it is in the state that its name says.
fn play(role: &str, path: &str) -> ! {
    let say = || {
        let mut out = std::io::stdout();
        let _ = writeln!(out, "ready").and_then(|()| out.flush());
    };
    let forever = || loop {
        thread::park();
    };
    if role == "hello" {
        let _socket = std::os::unix::net::UnixStream::connect(path);
        say();
        forever()
    }
    let pool = Arena::default().pool(PoolConfig::new("reader"));
    let place = Place::new(path).expect("the parent made it");
    let mut reader = Reader::connect(&place, &pool, options(), &|| false).expect("the parent listens");
    let mut held = Vec::new();
    if role == "unread" {
        // Granted by the time the parent kills us: it publishes all the time.
        thread::sleep(Duration::from_millis(2));
        say();
        forever()
    }
    let mut said = false;
    loop {
        let Ok(Next::Frame(frame, _)) = reader.next(Duration::from_secs(1)) else {
            continue;
        };
        // Bytes of one frame are alike: another's under it would show.
        let (bytes, _) = frame.plane_bytes(0);
        assert!(bytes.iter().all(|b| *b == bytes[0]), "a frame changed under its reader");
        if role == "holding" {
            held.push(frame);
            if held.len() == 3 {
                say();
                forever()
            }
        } else if !std::mem::replace(&mut said, true) {
            say();
        }
    }
}

/// Publishes as fast as readers allow until told to stop; every slot is written before each use.
fn produce(publisher: &Publisher, pool: &FramePool, stop: &AtomicBool) {
    let mut number = 0u64;
    while !stop.load(Ordering::Relaxed) {
        let info = FrameInfo::new(PixelFormat::I420, SIZE);
        let Ok(mut frame) = pool.acquire(info, Wait::Grow) else {
            continue;
        };
        frame.plane_mut(0).0.fill(number as u8);
        publisher.publish(&frame.freeze());
        number += 1;
        thread::sleep(Duration::from_micros(200));
    }
}

fn spawn(role: &str, path: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "readers_that_are_killed_leave_nothing_behind", "--nocapture"])
        .env("BEAMLINE_KILL_ROLE", role)
        .env("BEAMLINE_KILL_PATH", path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Starts a reader in a role, waits until it plays it, kills it a moment later.
fn kill_one(role: &str, path: &Path, moment_us: u64) {
    let mut child = spawn(role, path);
    let out = BufReader::new(child.stdout.take().unwrap());
    let ready = out.lines().map_while(Result::ok).any(|line| line.ends_with("ready"));
    assert!(ready, "the reader that plays '{role}' has ended by itself");
    thread::sleep(Duration::from_micros(moment_us));
    child.kill().unwrap();
    child.wait().unwrap();
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
            let mut frame = pool
                .acquire(FrameInfo::new(PixelFormat::I420, SIZE), Wait::Never)
                .unwrap();
            frame.plane_mut(0).0.fill(n as u8);
            frame.freeze()
        })
        .collect();
    for (n, frame) in frames.iter().enumerate() {
        assert!(frame.plane_bytes(0).0.iter().all(|b| *b == n as u8));
    }
}

#[test]
fn readers_that_are_killed_leave_nothing_behind() {
    if let Ok(role) = env::var("BEAMLINE_KILL_ROLE") {
        play(&role, &env::var("BEAMLINE_KILL_PATH").unwrap());
    }
    let kills: usize = env::var("BEAMLINE_KILLS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(10_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("studio");
    let arena = Arena::default();
    let pool = FramePool::new(
        &arena,
        PoolConfig {
            slots: 64,
            ..PoolConfig::new("studio")
        },
    );
    let caps = Caps::raw(PixelFormat::I420, SIZE);
    let place = Place::new(path.to_str().unwrap()).unwrap();
    let publisher = Publisher::listen(place, caps, true, Limits::default()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut by_role = BTreeMap::new();
    thread::scope(|scope| {
        let producer = scope.spawn(|| produce(&publisher, &pool, &stop));
        let killers: Vec<_> = (0..AT_ONCE)
            .map(|worker| {
                let path = &path;
                scope.spawn(move || {
                    let mut counts = BTreeMap::new();
                    for n in (worker..kills).step_by(AT_ONCE) {
                        let role = ROLES[(n / AT_ONCE) % ROLES.len()];
                        // A moment of its own for each, spread over some turns of a loop.
                        kill_one(role, path, (n as u64 * 7919) % 1500);
                        *counts.entry(role).or_insert(0) += 1;
                    }
                    counts
                })
            })
            .collect();
        for killer in killers {
            for (role, count) in killer.join().expect("a killer ends well") {
                *by_role.entry(role).or_insert(0) += count;
            }
        }
        stop.store(true, Ordering::Relaxed);
        producer.join().expect("the producer ends well");
    });
    until("the end of all readers", || publisher.readers().is_empty());
    until("the return of all slots", || arena.stats().live == 0);
    let (swept, lost) = (publisher.swept(), arena.stats().live);
    println!("kills={kills} by state {by_role:?} swept={swept} lost={lost}");
    assert_eq!(by_role.values().sum::<usize>(), kills);
    for (role, count) in &by_role {
        assert!(count * 20 >= kills, "'{role}' is below five in a hundred");
    }
    assert!(swept > 0, "nobody was killed while it held something");
    write_all(&pool, arena.stats().slots);
}

/// An owner that dies: its readers learn it at once, and only a dead name is left.
#[test]
fn readers_learn_within_100_ms_that_the_owner_was_killed() {
    if let Ok(path) = env::var("BEAMLINE_OWNER_PATH") {
        let place = Place::new(&path).unwrap();
        let caps = Caps::raw(PixelFormat::I420, SIZE);
        let _publisher = Publisher::listen(place, caps, true, Limits::default()).unwrap();
        println!("ready");
        loop {
            thread::park();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("studio");
    let mut worst = Duration::ZERO;
    for _ in 0..20 {
        let mut owner = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "readers_learn_within_100_ms_that_the_owner_was_killed",
                "--nocapture",
            ])
            .env("BEAMLINE_OWNER_PATH", &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(owner.stdout.take().unwrap());
        assert!(out.lines().map_while(Result::ok).any(|line| line.ends_with("ready")));
        let place = Place::new(path.to_str().unwrap()).unwrap();
        let pool = Arena::default().pool(PoolConfig::new("reader"));
        let mut reader = Reader::connect(&place, &pool, options(), &|| false).unwrap();
        owner.kill().unwrap();
        let killed = Instant::now();
        let error = reader.next(Duration::from_secs(5)).unwrap_err();
        worst = worst.max(killed.elapsed());
        owner.wait().unwrap();
        assert_eq!(error.reason(), "owner-gone");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "a dead name and nothing else"
        );
    }
    println!("owner killed 20 times: readers knew after at most {worst:?}");
    assert!(worst < Duration::from_millis(100), "{worst:?}");
}
