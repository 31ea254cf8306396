//! An owner that is killed: all its clients learn it at once, whatever they wait for, and only a dead name is left.
//!
//! The test starts itself again as an owner: with `BEAMLINE_OWNER_PATH` set, the process shares until it is killed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; the times are for whoever reads the log"
)]

use beamline_arena::{Arena, Pool, PoolConfig};
use beamline_link::{Error, Host, Limits, Next, Place, Producer, ProducerOptions, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, Frame, FrameInfo, PixelFormat, Size};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(64, 32);
const TIMES: usize = 20;
/// Those who only read, besides one that fills frames and one that hands them over.
const READERS: usize = 3;
const NAME: &str = "whoever_waits_for_an_owner_learns_within_100_ms_that_it_was_killed";

fn caps() -> Caps {
    Caps::raw(PixelFormat::I420, SIZE)
}

fn pool() -> Pool {
    Arena::default().pool(PoolConfig::new("client"))
}

/// The process that is killed: it takes a producer, and shows what that fills.
fn be_the_owner(path: &str) -> ! {
    let host = Host {
        arena: Arena::default(),
        max_bytes: u64::MAX,
        producers: 1,
        sink: Box::new(drop),
    };
    let _publisher = Publisher::host(Place::new(path).unwrap(), caps(), Limits::default(), host).unwrap();
    println!("ready");
    loop {
        thread::park();
    }
}

/// A process that ends with the test, whatever that finds, also where it is stopped.
struct Owner(Child);

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn owner(path: &Path) -> Owner {
    let owner = Command::new(env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env("BEAMLINE_OWNER_PATH", path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut owner = Owner(owner.unwrap());
    let out = BufReader::new(owner.0.stdout.take().unwrap());
    assert!(out.lines().map_while(Result::ok).any(|line| line.ends_with("ready")));
    owner
}

fn reader(place: &Place) -> Reader {
    Reader::connect(place, &pool(), ReaderOptions::default(), &|| false).unwrap()
}

/// A picture that lies at this reader's.
fn frame(reader: &mut Reader) -> Frame {
    loop {
        match reader.next(Duration::from_secs(5)).unwrap() {
            Next::Frame(frame, _) => return frame,
            Next::Caps(_) => {}
            other => panic!("{other:?} instead of a frame"),
        }
    }
}

/// Who waits for something of the owner's: what it is, and how its wait ended when.
type Waiting = (&'static str, JoinHandle<(Error, Instant)>);

fn waits(what: &'static str, wait: impl FnOnce() -> Error + Send + 'static) -> Waiting {
    (what, thread::spawn(move || (wait(), Instant::now())))
}

/// Stops a process; gives back when each of its threads has stopped.
fn stop(process: &Child) {
    kill_process(Pid::from_raw(process.id() as i32).unwrap(), Signal::STOP).unwrap();
    let stopped = |task: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap();
        stat.rsplit_once(')').unwrap().1.trim_start().starts_with('T')
    };
    let tasks = || std::fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    while !tasks().all(|task| stopped(task.unwrap())) {
        thread::yield_now();
    }
}

/// Clients that wait: for a frame, for an empty slot, for an answer, which a stopped owner does not give.
fn clients(place: &Place, owner: &Owner) -> Vec<Waiting> {
    let mut producer = Producer::connect(place, &pool(), caps(), ProducerOptions::default(), &|| false).unwrap();
    let (mut passes, taker) = (reader(place), reader(place));
    let readers: Vec<_> = (0..READERS).map(|_| reader(place)).collect();
    let info = FrameInfo {
        timestamp_us: Some(0),
        ..FrameInfo::new(PixelFormat::I420, SIZE)
    };
    let picture = producer.frame(info, Duration::MAX).unwrap().unwrap().freeze();
    producer.publish(&picture).unwrap();
    let held = frame(&mut passes);
    stop(&owner.0);

    let mut waiting = vec![
        waits("an empty slot", move || {
            let mut drawn = vec![];
            loop {
                match producer.frame(info, Duration::MAX) {
                    Ok(frame) => drawn.push(frame),
                    Err(error) => return error,
                }
            }
        }),
        waits("an answer", move || {
            passes.passer().pass(&held, taker.id(), Duration::MAX).unwrap_err()
        }),
    ];
    waiting.extend(readers.into_iter().map(|mut reader| {
        waits("a frame", move || {
            loop {
                if let Err(error) = reader.next(Duration::MAX) {
                    return error;
                }
            }
        })
    }));
    // So that they do wait.
    thread::sleep(Duration::from_millis(10));
    assert!(waiting.iter().all(|(_, thread)| !thread.is_finished()));
    waiting
}

/// How late the machine itself is: a thread that sleeps for a ms at a time.
struct Machine {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Machine {
    fn watch() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut latest = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                thread::sleep(Duration::from_millis(1));
                latest = latest.max(began.elapsed());
            }
            latest
        });
        Machine { stop, thread }
    }

    fn late(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

#[test]
fn whoever_waits_for_an_owner_learns_within_100_ms_that_it_was_killed() {
    if let Ok(path) = env::var("BEAMLINE_OWNER_PATH") {
        be_the_owner(&path);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("studio");
    let (mut times, mut again) = (Vec::new(), 0);
    while times.len() < TIMES * (READERS + 2) {
        let mut owner = owner(&path);
        let place = Place::new(path.to_str().unwrap()).unwrap();
        let waiting = clients(&place, &owner);
        let machine = Machine::watch();
        let killed = Instant::now();
        owner.0.kill().unwrap();
        let mut knew = Vec::new();
        for (what, waiting) in waiting {
            let (error, at) = waiting.join().unwrap();
            assert_eq!(error.reason(), "owner-gone", "who waits for {what}");
            knew.push((at.duration_since(killed), what));
        }
        drop(owner);
        if machine.late() > Duration::from_millis(50) && again < TIMES {
            again += 1;
        } else {
            times.append(&mut knew);
        }
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "a dead name and nothing else");
    }
    times.sort();
    let (mid, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "owner killed {TIMES} times ({again} more on a machine that was late itself): {} clients knew after {mid:?}, at most {worst:?}",
        times.len()
    );
    assert!(worst.0 < Duration::from_millis(100), "{times:?}");
    // By the end of the socket, not by a clock.
    assert!(mid.0 < Duration::from_millis(20), "{times:?}");
}
