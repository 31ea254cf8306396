//! Those whom hostile clients must not hurt: an owner that publishes, readers that read, one that is stopped, others that join late.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; a process tells its parent how far it is"
)]

use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_link::{ClientPolicy, Next, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Frame, FrameInfo, FramePool, PixelFormat, Size};
use rustix::process::{Pid, Signal};
use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

pub(crate) const SIZE: Size = Size::new(64, 32);
/// Set in a process that is to be the stopped reader: where the share is.
pub(crate) const STOPPED: &str = "BEAMLINE_HOSTILE_STOPPED";
/// How soon a wish to stop is seen.
const TURN: Duration = Duration::from_millis(100);

pub(crate) fn check(frame: &Frame, number: u64) {
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

/// What [`honest`] saw: frames of the source, and such as others handed over.
pub(crate) struct Seen {
    pub(crate) frames: u64,
    pub(crate) handed: u64,
}

/// Reads in order and holds three frames at a time; each is right when it comes and when it goes, whoever it came from.
pub(crate) fn honest(mut reader: Reader, stop: &AtomicBool) -> Seen {
    let (mut held, mut last) = (VecDeque::new(), None);
    let mut seen = Seen { frames: 0, handed: 0 };
    while !stop.load(Ordering::Relaxed) {
        let (frame, number) = match reader.next(TURN).unwrap() {
            Next::Frame(frame, number) => {
                assert!(last < Some(number), "{number} after {last:?}");
                last = Some(number);
                seen.frames += 1;
                (frame, number)
            }
            Next::Handed(frame, _) => {
                seen.handed += 1;
                let number = frame.info().timestamp_us.unwrap() as u64;
                (frame, number)
            }
            _ => continue,
        };
        check(&frame, number);
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
pub(crate) fn latecomers(place: &Place, stop: &AtomicBool) -> (u32, Duration) {
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
pub(crate) struct Stopped {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Stopped {
    pub(crate) fn start(path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "clients_that_lie_hurt_nobody", "--nocapture"])
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
    pub(crate) fn play(path: &str) -> ! {
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

    /// Its process.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    fn hear(&mut self, word: &str) {
        let heard = (&mut self.said)
            .lines()
            .map_while(Result::ok)
            .any(|line| line.ends_with(word));
        assert!(heard, "the stopped reader has not said '{word}'");
    }

    pub(crate) fn go_on(mut self) {
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

pub(crate) fn in_order() -> ReaderOptions {
    ReaderOptions {
        policy: ClientPolicy::DropOldest,
        take_handed: true,
        ..ReaderOptions::default()
    }
}

/// Publishes until told to stop; gives the longest that one `publish` took. Every slot is written before each use.
pub(crate) fn produce(publisher: &Publisher, pool: &FramePool, stop: &AtomicBool) -> Duration {
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
