//! Readers in processes of their own: one that is stopped, one that is slow and one that dies cost neither the owner nor the keen ones
//! anything.
//!
//! The test starts itself again as each of them: with `BEAMLINE_READER_ROLE` set, the process reads the share at `BEAMLINE_READER_PATH`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; processes tell their parent what they saw, and the times are for the log"
)]

use beamline_arena::{Arena, PoolConfig, Wait};
use beamline_link::{ClientInfo, ClientPolicy, Limits, Next, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, Clock, Frame, FrameInfo, FramePool, PixelFormat, Size, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const NAME: &str = "readers_that_are_stopped_slow_or_dead_delay_neither_the_owner_nor_those_who_read";
const SIZE: Size = Size::new(64, 32);
/// Frames beside the stopped one, at 60 fps.
const FRAMES: u64 = 300;
const PERIOD: Duration = Duration::from_nanos(1_000_000_000 / 60);
/// What the stopped one and the one that dies have in hand.
const IN_HAND: u64 = 3;
/// Frames after the stopped one goes on.
const AFTER: u64 = 20;
const SOON: Duration = Duration::from_secs(20);

fn options(queue: u32) -> ReaderOptions {
    ReaderOptions {
        policy: ClientPolicy::DropOldest,
        queue,
        ..ReaderOptions::default()
    }
}

/// The next frame, with its number and how long ago it was published, in µs; `None` at the end.
fn next(reader: &mut Reader) -> Option<(Frame, u64, i64)> {
    loop {
        match reader.next(Duration::MAX).unwrap() {
            Next::Frame(frame, number) => {
                let late = SystemClock.now_us() - frame.info().timestamp_us.unwrap();
                let (bytes, _) = frame.plane_bytes(0);
                assert!(
                    bytes.iter().all(|byte| *byte == number as u8),
                    "frame {number} is whole"
                );
                return Some((frame, number, late));
            }
            Next::End => return None,
            _ => {}
        }
    }
}

/// The process that reads.
fn be(role: &str, path: &str) -> ! {
    // A keen one may be kept from its processor for half a second, by whatever else runs here.
    let options = options(if role == "keen" { 32 } else { 4 });
    let pool = Arena::default().pool(PoolConfig::new("reader"));
    let mut reader = Reader::connect(&Place::new(path).unwrap(), &pool, options, &|| false).unwrap();
    println!("joined");
    let (mut held, mut seen) = (Vec::new(), Vec::new());
    if role == "is-stopped" || role == "dies" {
        while held.len() < IN_HAND as usize {
            let (frame, number, late) = next(&mut reader).unwrap();
            seen.push((number, late));
            held.push((frame, number));
        }
        println!("holding");
    }
    if role == "dies" {
        loop {
            thread::park();
        }
    }
    while let Some((frame, number, late)) = next(&mut reader) {
        seen.push((number, late));
        for (frame, number) in held.drain(..) {
            let (bytes, _) = frame.plane_bytes(0);
            assert!(
                bytes.iter().all(|byte| *byte == number as u8),
                "frame {number} has changed"
            );
        }
        if role == "slow" {
            thread::sleep(Duration::from_millis(100));
        }
        drop(frame);
    }
    for (number, late) in seen {
        println!("saw {number} {late}");
    }
    println!("done");
    std::process::exit(0)
}

/// The same from its parent's side.
struct Other {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Other {
    fn start(role: &str, path: &Path) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env("BEAMLINE_READER_ROLE", role)
            .env("BEAMLINE_READER_PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut other = Other { child, said };
        other.hear("joined");
        other
    }

    fn hear(&mut self, word: &str) {
        let mut lines = (&mut self.said).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with(word)), "it has not said '{word}'");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// Stops it; gives back when each of its threads has stopped.
    fn stop(&self) {
        self.signal(Signal::STOP);
        let stopped = |task: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap();
            stat.rsplit_once(')').unwrap().1.trim_start().starts_with('T')
        };
        let tasks = || std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        while !tasks().all(|task| stopped(task.unwrap())) {
            thread::yield_now();
        }
    }

    /// As the owner knows it.
    fn info(&self, publisher: &Publisher) -> ClientInfo {
        let pid = self.child.id() as i32;
        publisher.readers().into_iter().find(|r| r.pid == pid).unwrap()
    }

    /// What it saw, when it has ended well: numbers, and how late each was, in µs.
    fn saw(mut self) -> (Vec<u64>, Vec<i64>) {
        let mut seen = Vec::new();
        for line in (&mut self.said).lines() {
            let line = line.unwrap();
            if line == "done" {
                break;
            }
            let mut words = line.split(' ').skip(1).map(|word| word.parse::<i64>().unwrap());
            seen.push((words.next().unwrap() as u64, words.next().unwrap()));
        }
        assert!(self.child.wait().unwrap().success());
        seen.into_iter().unzip()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // One that has ended well needs neither.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Studio {
    folder: tempfile::TempDir,
    arena: Arena,
    pool: FramePool,
    publisher: Publisher,
    /// The longest that one `publish` took.
    worst: Duration,
}

impl Studio {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("studio").to_str().unwrap()).unwrap();
        let arena = Arena::default();
        let config = PoolConfig {
            slots: 32,
            ..PoolConfig::new("studio")
        };
        Studio {
            folder,
            pool: FramePool::new(&arena, config),
            arena,
            publisher: Publisher::listen(place, Caps::raw(PixelFormat::GRAY8, SIZE), true, Limits::default()).unwrap(),
            worst: Duration::ZERO,
        }
    }

    fn other(&self, role: &str) -> Other {
        Other::start(role, &self.folder.path().join("studio"))
    }

    /// Shows the next frame.
    fn publish(&mut self) {
        let info = FrameInfo::new(PixelFormat::GRAY8, SIZE);
        let mut frame = self.pool.acquire(info, Wait::Grow).unwrap();
        frame.plane_mut(0).0.fill(self.publisher.published() as u8);
        let frame = frame
            .freeze()
            .with_info(|info| info.timestamp_us = Some(SystemClock.now_us()));
        let began = Instant::now();
        self.publisher.publish(&frame);
        self.worst = self.worst.max(began.elapsed());
    }
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A keen one missed nothing. Gives how late its frames were: in the middle, the worst but one of a hundred, the worst.
fn judge(keen: Other) -> [Duration; 3] {
    let (numbers, mut late) = keen.saw();
    let all: Vec<_> = (IN_HAND..IN_HAND + FRAMES + AFTER).collect();
    assert_eq!(numbers, all, "none lost, none twice");
    late.sort_unstable();
    [late.len() / 2, late.len() * 99 / 100, late.len() - 1].map(|i| Duration::from_micros(late[i] as u64))
}

/// 300 frames, each at its time. One reader is killed on the way.
fn all_frames(studio: &mut Studio, mut dies: Other) {
    let begin = Instant::now();
    for number in 0..FRAMES as u32 {
        thread::sleep((begin + PERIOD * number).saturating_duration_since(Instant::now()));
        studio.publish();
        if number == 100 {
            dies.child.kill().unwrap();
            dies.child.wait().unwrap();
        }
    }
}

#[test]
fn readers_that_are_stopped_slow_or_dead_delay_neither_the_owner_nor_those_who_read() {
    if let Ok(role) = env::var("BEAMLINE_READER_ROLE") {
        be(&role, &env::var("BEAMLINE_READER_PATH").unwrap());
    }
    let mut studio = Studio::new();
    let (mut stopped, mut dies) = (studio.other("is-stopped"), studio.other("dies"));
    for _ in 0..IN_HAND {
        studio.publish();
    }
    stopped.hear("holding");
    dies.hear("holding");
    stopped.stop();
    let (slow, keen) = (studio.other("slow"), [studio.other("keen"), studio.other("keen")]);

    all_frames(&mut studio, dies);
    let of_stopped = stopped.info(&studio.publisher);
    // It holds three and was told a fourth; four wait for it.
    assert_eq!((of_stopped.granted, of_stopped.held, of_stopped.waiting), (4, 4, 4));
    assert_eq!(of_stopped.dropped, FRAMES - 1 - 4, "its policy drops for it");
    let of_keen = keen.each_ref().map(|keen| keen.info(&studio.publisher).dropped);
    assert_eq!(of_keen, [0, 0], "and for it alone");
    until("the return of what the dead one held", || studio.publisher.swept() == 4);
    let (beside, of_slow) = (studio.worst, slow.info(&studio.publisher).dropped);
    assert!(of_slow > FRAMES / 2, "{of_slow}: it takes ten in a second");

    stopped.signal(Signal::CONT);
    for _ in 0..AFTER {
        until("that it reads on", || {
            let info = stopped.info(&studio.publisher);
            (info.waiting, info.behind, info.held) == (0, 0, 0)
        });
        studio.publish();
    }
    studio.publisher.close();
    let (numbers, _) = stopped.saw();
    let (told, end) = (0..IN_HAND + 1, IN_HAND + FRAMES + AFTER);
    let all: Vec<_> = told.chain(end - AFTER - 4..end).collect();
    assert_eq!(
        numbers, all,
        "what it was told, what waited for it, and all that came then"
    );
    let (of_slow_one, _) = slow.saw();
    assert!(of_slow_one.is_sorted_by(|a, b| a < b));
    let times = keen.map(judge);
    println!(
        "{FRAMES} frames at 60 fps beside a stopped reader, a slow one and one that was killed: from publish to next p50, p99, max {times:?}; \
         the longest publish {beside:?}; dropped for the stopped one {}, for the slow one {of_slow}, for the keen ones 0",
        of_stopped.dropped
    );
    assert!(
        times.iter().all(|[mid, ..]| *mid < Duration::from_millis(20)),
        "{times:?}"
    );
    assert!(beside < Duration::from_millis(250), "publish waited {beside:?}");
    until("the return of all slots", || studio.arena.stats().live == 0);
}
