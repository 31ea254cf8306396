//! Clients that die: SIGKILL at moments spread over what a client can be doing. Whatever they held comes back by itself.
//!
//! The test starts itself again as a client: with `BEAMLINE_KILL_ROLE` set, the process plays that role until it is killed.
//! `BEAMLINE_KILLS` says how many; 10 000 unless it does.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; the counts are for whoever reads the log"
)]

use beamline_arena::{Arena, Pool, PoolConfig, Wait};
use beamline_link::{
    ClientPolicy, Host, Limits, Next, Place, Produced, Producer, ProducerOptions, Publisher, Reader, ReaderOptions,
};
use beamline_media::{Caps, Frame, FrameError, FrameInfo, FramePool, PixelFormat, Size};
use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(64, 32);
/// Clients at once.
const AT_ONCE: usize = 8;
/// What a client is doing when it is killed: it is connected and says nothing; it was granted frames and reads none; it holds some; it has
/// raised a counter and not set its bit; it hands frames to another client; it fills frames; it reads and gives back as fast as it can.
const ROLES: [&str; 7] = [
    "hello",
    "unread",
    "holding",
    "between counter and bit",
    "handing over",
    "producing",
    "busy",
];
const SOON: Duration = Duration::from_secs(1);

fn options() -> ReaderOptions {
    ReaderOptions {
        policy: ClientPolicy::DropOldest,
        take_handed: true,
        ..ReaderOptions::default()
    }
}

fn say(word: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{word}").and_then(|()| out.flush());
}

fn park() -> ! {
    loop {
        thread::park();
    }
}

/// Bytes of one frame are alike: another's under it would show.
fn check(frame: &Frame) {
    let (bytes, _) = frame.plane_bytes(0);
    assert!(bytes.iter().all(|b| *b == bytes[0]), "a frame changed under its reader");
}

fn next(reader: &mut Reader) -> Frame {
    loop {
        if let Ok(Next::Frame(frame, _)) = reader.next(SOON) {
            check(&frame);
            return frame;
        }
    }
}

/// Plays a role until the end. Says `ready` once it is in the state that its name says.
fn play(role: &str, path: &str) -> ! {
    if role == "hello" {
        let _socket = std::os::unix::net::UnixStream::connect(path);
        say("ready");
        park()
    }
    let pool = Arena::default().pool(PoolConfig::new("client"));
    let place = Place::new(path).expect("the parent made it");
    if role == "producing" {
        fill(&place, &pool)
    }
    let mut reader = Reader::connect(&place, &pool, options(), &|| false).expect("the parent listens");
    match role {
        "unread" => {
            // Granted by the time the parent kills us: it publishes all the time.
            thread::sleep(Duration::from_millis(2));
            say("ready");
            park()
        }
        "holding" | "between counter and bit" => {
            let held: Vec<_> = (0..3).map(|_| next(&mut reader)).collect();
            if role != "holding" {
                reader.release_halfway(&held[1]);
            }
            say("ready");
            park()
        }
        "handing over" => {
            let to = env::var("BEAMLINE_KILL_TO").unwrap().parse().unwrap();
            hand_over(&mut reader, to)
        }
        _ => {
            drop(next(&mut reader));
            say("ready");
            loop {
                drop(next(&mut reader));
            }
        }
    }
}

fn hand_over(reader: &mut Reader, to: u64) -> ! {
    let mut said = false;
    loop {
        let frame = next(reader);
        let _ = reader.pass(&frame, to, SOON);
        if !std::mem::replace(&mut said, true) {
            say("ready");
        }
    }
}

fn fill(place: &Place, pool: &Pool) -> ! {
    let caps = Caps::raw(PixelFormat::I420, SIZE);
    let options = ProducerOptions::default();
    let mut producer = Producer::connect(place, pool, caps, options, &|| false).expect("the parent takes producers");
    let mut number = 0u8;
    loop {
        let info = FrameInfo::new(PixelFormat::I420, SIZE);
        let Ok(Some(mut frame)) = producer.frame(info, SOON) else {
            continue;
        };
        frame.plane_mut(0).0.fill(number);
        let _ = producer.publish(&frame.freeze());
        number = number.wrapping_add(1);
        if number == 1 {
            say("ready");
        }
    }
}

/// A client that lives: the frames that others hand over are for it. Gives how many those were.
fn live(mut reader: Reader, stop: &AtomicBool) -> u64 {
    let mut handed = 0;
    while !stop.load(Ordering::Relaxed) {
        match reader.next(Duration::from_millis(20)).expect("the share goes on") {
            Next::Handed(frame, _) => {
                check(&frame);
                handed += 1;
            }
            Next::Frame(frame, _) => check(&frame),
            _ => {}
        }
    }
    handed
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

fn spawn(role: &str, path: &Path, to: u64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "clients_that_are_killed_leave_nothing_behind", "--nocapture"])
        .env("BEAMLINE_KILL_ROLE", role)
        .env("BEAMLINE_KILL_PATH", path)
        .env("BEAMLINE_KILL_TO", to.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Starts a client in a role, waits until it plays it, kills it a moment later.
fn kill_one(role: &str, path: &Path, to: u64, moment_us: u64) {
    let mut child = spawn(role, path, to);
    let out = BufReader::new(child.stdout.take().unwrap());
    let ready = out.lines().map_while(Result::ok).any(|line| line.ends_with("ready"));
    assert!(ready, "the client that plays '{role}' has ended by itself");
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

/// Takes what clients fill; the last of it is held, as a local loop does.
fn host(arena: &Arena, produced: &Arc<AtomicU64>, last: &Arc<Mutex<Option<Frame>>>) -> Host {
    let (produced, last) = (Arc::clone(produced), Arc::clone(last));
    Host {
        arena: arena.clone(),
        max_bytes: 1 << 20,
        producers: AT_ONCE,
        sink: Box::new(move |what| {
            if let Produced::Frame(frame) = what {
                check(&frame);
                produced.fetch_add(1, Ordering::Relaxed);
                *last.lock().unwrap() = Some(frame);
            }
        }),
    }
}

/// Every slot is taken, written and read back. Gives how many there are.
fn write_all(pool: &FramePool) -> u32 {
    let mut frames = Vec::new();
    let slots = loop {
        match pool.acquire(FrameInfo::new(PixelFormat::I420, SIZE), Wait::Never) {
            Ok(mut frame) => {
                frame.plane_mut(0).0.fill(frames.len() as u8);
                frames.push(frame.freeze());
            }
            Err(FrameError::Memory(beamline_arena::Error::Empty { slots, .. })) => break slots,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(frames.len(), slots as usize, "all of them are there");
    for (n, frame) in frames.iter().enumerate() {
        assert!(frame.plane_bytes(0).0.iter().all(|b| *b == n as u8));
    }
    slots
}

#[test]
fn clients_that_are_killed_leave_nothing_behind() {
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
    let (produced, from_producers) = (Arc::new(AtomicU64::new(0)), Arc::default());
    let host = host(&arena, &produced, &from_producers);
    let publisher = Publisher::host(place.clone(), caps, Limits::default(), host).unwrap();
    let lives = Arena::default().pool(PoolConfig::new("lives"));
    let lives = Reader::connect(&place, &lives, options(), &|| false).unwrap();
    let to = lives.id();
    let stop = AtomicBool::new(false);
    let mut by_role = BTreeMap::new();
    let mut handed = 0;
    thread::scope(|scope| {
        let producer = scope.spawn(|| produce(&publisher, &pool, &stop));
        let lives = scope.spawn(|| live(lives, &stop));
        let killers: Vec<_> = (0..AT_ONCE)
            .map(|worker| {
                let path = &path;
                scope.spawn(move || {
                    let mut counts = BTreeMap::new();
                    for n in (worker..kills).step_by(AT_ONCE) {
                        let role = ROLES[(n / AT_ONCE) % ROLES.len()];
                        // A moment of its own for each, spread over some turns of a loop.
                        kill_one(role, path, to, (n as u64 * 7919) % 1500);
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
        handed = lives.join().expect("the client that lives sees right frames");
    });
    until("the end of all readers", || publisher.readers().is_empty());
    from_producers.lock().unwrap().take();
    until("the return of all slots", || arena.stats().live == 0);
    let (swept, lost) = (publisher.swept(), arena.stats().live);
    let produced = produced.load(Ordering::Relaxed);
    println!("kills={kills} by state {by_role:?} swept={swept} lost={lost} produced={produced} handed over={handed}");
    assert_eq!(by_role.values().sum::<usize>(), kills);
    for (role, count) in &by_role {
        assert!(count * 20 >= kills, "'{role}' is below five in a hundred");
    }
    assert!(swept > 0, "nobody was killed while it held something");
    assert!(produced > 0 && handed > 0, "nobody was killed at work");
    let slots = write_all(&pool);
    println!("{slots} slots taken, written and read back");
    until("the end of the producers' memory", || {
        arena.stats().slots == u64::from(slots)
    });
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
    let mut times = Vec::new();
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
        let error = reader.next(Duration::MAX).unwrap_err();
        times.push(killed.elapsed());
        owner.wait().unwrap();
        assert_eq!(error.reason(), "owner-gone");
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "a dead name and nothing else"
        );
    }
    times.sort();
    let (mid, worst) = (times[10], times[19]);
    println!("owner killed 20 times: readers knew after {mid:?}, at most {worst:?}");
    assert!(worst < Duration::from_millis(100), "{times:?}");
    // By the end of the socket, not by a clock.
    assert!(mid < Duration::from_millis(20), "{times:?}");
}
