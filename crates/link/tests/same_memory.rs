//! One memory for two processes, seen from outside: what the owner stores is what a reader sees, and what a reader stores nobody sees.
//!
//! The test starts itself again as a reader: with `BEAMLINE_READER_PATH` set, the process holds a frame and looks and stores as its parent
//! tells it.

#![expect(
    unsafe_code,
    reason = "looks and stores behind the addresses of slots, as drivers and JavaScript do"
)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; a process tells its parent what it sees"
)]

use beamline_arena::{Access, Arena, PoolConfig, Wait, page_size};
use beamline_link::{Limits, Next, Place, Publisher, Reader, ReaderOptions};
use beamline_media::{Caps, Frame, FrameInfo, FramePool, PixelFormat, Size};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{
    env,
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    ptr::NonNull,
    thread,
    time::{Duration, Instant},
};

const SIZE: Size = Size::new(128, 128);
const SOON: Duration = Duration::from_secs(10);
/// What the picture is filled with.
const FILL: u8 = 7;
const SIGSEGV: i32 = 11;

fn at(frame: &Frame, offset: usize) -> NonNull<u8> {
    let (lease, begin, _) = frame.plane(0);
    assert!(begin + offset < lease.len());
    // SAFETY: within the slot, as was just seen.
    unsafe { lease.as_ptr().add(begin + offset) }
}

fn look(frame: &Frame, offset: usize) -> u8 {
    // SAFETY: `at` gives an address in a slot that the frame holds; no reference to its bytes is alive in this process.
    unsafe { at(frame, offset).read_volatile() }
}

fn store(frame: &Frame, offset: usize, value: u8) {
    // SAFETY: as in `look`; where the mapping is to be read only, this process is meant to end here.
    unsafe { at(frame, offset).write_volatile(value) }
}

/// The process that reads.
fn be_the_reader(path: &str, access: Access) -> ! {
    // One of them ends by a signal, and nobody wants its core.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).unwrap();
    let pool = Arena::default().pool(PoolConfig::new("reader"));
    let options = ReaderOptions {
        access,
        ..ReaderOptions::default()
    };
    let mut reader = Reader::connect(&Place::new(path).unwrap(), &pool, options, &|| false).unwrap();
    println!("joined");
    let Next::Frame(frame, _) = reader.next(SOON).unwrap() else {
        panic!("no frame");
    };
    println!("holds");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let mut numbers = line.split(' ').map(|word| word.parse::<usize>().unwrap());
        let offset = numbers.next().unwrap();
        if let Some(value) = numbers.next() {
            store(&frame, offset, value as u8);
        }
        println!("{}", look(&frame, offset));
    }
    std::process::exit(0)
}

/// The same from its parent's side.
struct Other {
    child: Child,
    tell: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Other {
    fn start(test: &str, path: &str, access: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env("BEAMLINE_READER_PATH", path)
            .env("BEAMLINE_READER_ACCESS", access)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let tell = child.stdin.take().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut other = Other { child, tell, said };
        other.hear("joined");
        other
    }

    fn hear(&mut self, word: &str) {
        let mut lines = (&mut self.said).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with(word)), "it has not said '{word}'");
    }

    fn asks(&mut self, what: &str) -> String {
        writeln!(self.tell, "{what}").unwrap();
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// What that process sees there.
    fn sees(&mut self, offset: usize) -> u8 {
        self.asks(&offset.to_string()).parse().unwrap()
    }

    /// It stores, and sees its own store.
    fn stores(&mut self, offset: usize, value: u8) {
        assert_eq!(self.asks(&format!("{offset} {value}")), value.to_string());
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Studio {
    folder: tempfile::TempDir,
    arena: Arena,
    publisher: Publisher,
}

impl Studio {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("studio").to_str().unwrap()).unwrap();
        let caps = Caps::raw(PixelFormat::GRAY8, SIZE);
        Studio {
            folder,
            arena: Arena::default(),
            publisher: Publisher::listen(place, caps, true, Limits::default()).unwrap(),
        }
    }

    fn other(&self, test: &str, access: &str) -> Other {
        Other::start(test, self.folder.path().join("studio").to_str().unwrap(), access)
    }

    /// A published picture; the owner goes on with it, as a decoder does.
    fn frame(&self) -> Frame {
        let pool = FramePool::new(&self.arena, PoolConfig::new("studio"));
        let info = FrameInfo::new(PixelFormat::GRAY8, SIZE);
        let mut frame = pool.acquire(info, Wait::Grow).unwrap();
        frame.plane_mut(0).0.fill(FILL);
        let frame = frame.freeze();
        self.publisher.publish(&frame);
        frame
    }
}

/// The byte as the file has it: what everybody sees who is shown it anew.
fn in_the_file(frame: &Frame, offset: usize) -> u8 {
    let (lease, begin, _) = frame.plane(0);
    let slot = lease.segment().slot_offset(lease.slot_index());
    let mut byte = [0];
    rustix::io::pread(lease.segment().fd(), &mut byte, (slot + begin + offset) as u64).unwrap();
    byte[0]
}

/// The part of a process that a test has started.
fn maybe_be_the_reader() {
    if let Ok(path) = env::var("BEAMLINE_READER_PATH") {
        let private = env::var("BEAMLINE_READER_ACCESS").unwrap() == "private";
        be_the_reader(&path, if private { Access::Private } else { Access::Read });
    }
}

#[test]
fn another_process_sees_what_the_owner_stores_and_its_own_stores_are_seen_by_nobody() {
    maybe_be_the_reader();
    let test = "another_process_sees_what_the_owner_stores_and_its_own_stores_are_seen_by_nobody";
    let studio = Studio::new();
    let (mut one, mut beside) = (studio.other(test, "private"), studio.other(test, "read"));
    let frame = studio.frame();
    one.hear("holds");
    beside.hear("holds");
    let (first, last) = (0, SIZE.width as usize * SIZE.height as usize - 1);
    for (offset, value) in [(first, 200), (last, 201), (first, 202)] {
        store(&frame, offset, value);
        assert_eq!([one.sees(offset), beside.sees(offset)], [value; 2], "one memory");
    }

    let own = 2 * page_size() + 5;
    assert!(own < last);
    one.stores(own, 99);
    assert_eq!(look(&frame, own), FILL, "the owner's is as it was");
    assert_eq!(in_the_file(&frame, own), FILL);
    assert_eq!(beside.sees(own), FILL, "another reader's, too");
    // And it follows the owner no more there, but elsewhere it does.
    store(&frame, own, 55);
    assert_eq!([one.sees(own), beside.sees(own)], [99, 55]);
    store(&frame, first, 66);
    assert_eq!([one.sees(first), beside.sees(first)], [66; 2]);
    assert_eq!(studio.arena.stats().live, 1, "one slot for all three");
}

#[test]
fn a_store_of_a_process_that_only_reads_ends_that_process_and_changes_nothing() {
    maybe_be_the_reader();
    let test = "a_store_of_a_process_that_only_reads_ends_that_process_and_changes_nothing";
    let studio = Studio::new();
    let mut other = studio.other(test, "read");
    let frame = studio.frame();
    other.hear("holds");
    assert_eq!(other.sees(3), FILL);
    assert_eq!(other.asks("3 99"), "", "its end");
    assert_eq!(other.child.wait().unwrap().signal(), Some(SIGSEGV));
    assert_eq!([look(&frame, 3), in_the_file(&frame, 3)], [FILL; 2]);
    drop(frame);
    let deadline = Instant::now() + SOON;
    while studio.arena.stats().live > 0 {
        assert!(Instant::now() < deadline, "its hold came back");
        thread::sleep(Duration::from_millis(1));
    }
}
