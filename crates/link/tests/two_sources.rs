//! Two sources with pictures of one size in one arena: a client of one share is given no byte of the other's in all the memory that it gets.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; what was looked at is printed"
)]

mod raw;

use beamline_arena::{
    Access, Arena, PoolConfig, SharedPage, Wait,
    grant::{Entry, ReturnPage, TellPage, Told, WORDS},
};
use beamline_link::{FrameMessage, Limits, Place, Publisher, ToClient};
use beamline_media::{Caps, Frame, FrameInfo, FramePool, PixelFormat, Size};
use raw::{Raw, hello};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{
    collections::{BTreeSet, VecDeque},
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

const SOON: Duration = Duration::from_secs(5);
/// Pictures of one source, of both sizes in turn.
const FRAMES: u32 = 400;
/// As many of one size, then as many of the other: memory goes and comes.
const TURN: u32 = 50;
const SIZES: [Size; 2] = [Size::new(64, 64), Size::new(256, 64)];

/// A source whose pictures are one byte again and again, and its share.
struct Source {
    byte: u8,
    pool: FramePool,
    publisher: Publisher,
    /// Files in which its pictures lay.
    files: BTreeSet<u64>,
    /// As a user keeps them: so its memory grows and shrinks.
    open: VecDeque<Frame>,
}

fn file(fd: BorrowedFd<'_>) -> u64 {
    rustix::fs::fstat(fd).unwrap().st_ino
}

impl Source {
    fn new(arena: &Arena, folder: &Path, byte: u8) -> Self {
        let name = format!("source-{byte:x}");
        let place = Place::new(folder.join(&name).to_str().unwrap()).unwrap();
        let config = PoolConfig {
            slots: 2,
            ..PoolConfig::new(name)
        };
        let caps = Caps::raw(PixelFormat::GRAY8, SIZES[0]);
        Source {
            byte,
            pool: FramePool::new(arena, config),
            publisher: Publisher::listen(place, caps, true, Limits::default()).unwrap(),
            files: BTreeSet::new(),
            open: VecDeque::new(),
        }
    }

    fn publish(&mut self, number: u32) {
        let size = SIZES[(number / TURN) as usize % 2];
        let info = FrameInfo::new(PixelFormat::GRAY8, size);
        let mut frame = self.pool.acquire(info, Wait::Grow).unwrap();
        frame.plane_mut(0).0.fill(self.byte);
        let frame = frame.freeze();
        self.files
            .extend(frame.leases().map(|lease| file(lease.segment().fd())));
        self.publisher.publish(&frame);
        self.open.push_back(frame);
        let keep = number as usize % 13;
        while self.open.len() > keep {
            self.open.pop_front();
        }
    }

    fn client(&self) -> Client {
        Client::join(self.publisher.place().path())
    }
}

/// All of a file that a client was given, kept open: what it may map it may read as well.
struct Memory {
    fd: File,
    file: u64,
    /// Whether pictures lie in it; else it is a page of the link, where numbers stand.
    pictures: bool,
}

impl Memory {
    /// `None` for what has no memory: an eventfd.
    fn of(fd: OwnedFd, pictures: bool) -> Option<Self> {
        let (file, fd) = (file(fd.as_fd()), File::from(fd));
        let about = fd.metadata().unwrap();
        about.is_file().then(|| {
            assert!(about.len() > 0, "memory without a size");
            Memory { fd, file, pictures }
        })
    }

    /// How often a byte stands there; in a page of the link eight in a row count, since single ones are parts of numbers.
    fn count(&self, byte: u8) -> usize {
        let mut bytes = vec![0; self.fd.metadata().unwrap().len() as usize];
        self.fd.read_exact_at(&mut bytes, 0).unwrap();
        let (mut row, mut found) = (0, 0);
        for there in bytes {
            row = if there == byte { row + 1 } else { 0 };
            found += usize::from(row >= if self.pictures { 1 } else { 8 });
        }
        found
    }
}

/// The link of one who keeps whatever it is given, and lets go of nothing; else it reads as it should, so that it is given more.
struct Client {
    raw: Raw,
    tell: SharedPage<TellPage>,
    returns: SharedPage<ReturnPage>,
    memory: Vec<Memory>,
    read: u32,
}

impl Client {
    fn join(path: &Path) -> Self {
        let raw = Raw::connect(path).unwrap();
        raw.send(hello(4).as_bytes()).unwrap();
        let (welcome, fds) = raw.message(SOON).unwrap();
        let copies = fds.iter().map(|fd| fd.try_clone().unwrap());
        let memory: Vec<_> = copies.filter_map(|fd| Memory::of(fd, false)).collect();
        let [tell, returns, _wake] = <[OwnedFd; 3]>::try_from(fds).expect(&welcome);
        assert_eq!(memory.len(), 2, "its bell is no memory");
        Client {
            tell: SharedPage::attach(tell, Access::Read).unwrap(),
            returns: SharedPage::attach(returns, Access::Shared).unwrap(),
            raw,
            memory,
            read: 0,
        }
    }

    /// Hears what it is told, keeps what comes, gives frames back.
    fn goes_on(&mut self) {
        while let Some((message, fds)) = self.raw.message(Duration::ZERO) {
            let pictures = match serde_json::from_str(&message).unwrap() {
                ToClient::Segment { .. } => true,
                ToClient::Forget { number } => {
                    // So it says, and keeps it.
                    let forgot = format!("{{\"kind\":\"forgot\",\"number\":{number}}}");
                    self.raw.send(forgot.as_bytes()).unwrap();
                    false
                }
                _ => false,
            };
            assert_eq!(fds.len(), usize::from(pictures), "{message}");
            self.memory
                .extend(fds.into_iter().map(|fd| Memory::of(fd, pictures).unwrap()));
        }
        let mut words: Entry = [0; WORDS];
        while self.tell.read(self.read, &mut words) == Told::Entry {
            self.read += 1;
            let message = FrameMessage::decode(&words).unwrap();
            for at in &message.slots[..message.slot_count] {
                // The owner looks by itself.
                let _ = self.returns.give_back(at.segment.into(), at.slot.into(), &self.tell);
            }
        }
        self.returns.has_read(self.read);
    }

    fn finds(&self, byte: u8) -> usize {
        count(&self.memory, byte)
    }
}

fn count(memory: &[Memory], byte: u8) -> usize {
    memory.iter().map(|one| one.count(byte)).sum()
}

/// Files with pictures in them.
fn pictures(memory: &[Memory]) -> BTreeSet<u64> {
    memory.iter().filter(|one| one.pictures).map(|one| one.file).collect()
}

/// Two sources publish by turns, and their clients read; every now and then these look at all that they have.
fn both_publish(one: &mut Source, two: &mut Source, clients: [&mut Client; 2]) {
    let [of_one, of_two] = clients;
    for number in 0..FRAMES {
        one.publish(number);
        two.publish(number);
        of_one.goes_on();
        of_two.goes_on();
        if number % 20 == 19 {
            let foreign = [of_one.finds(two.byte), of_two.finds(one.byte)];
            assert_eq!(foreign, [0, 0], "after {number} frames");
        }
        thread::sleep(Duration::from_micros(200));
    }
    for (client, source) in [(of_one, one), (of_two, two)] {
        assert!(client.finds(source.byte) > 0, "it does see its own source");
        assert!(pictures(&client.memory).is_subset(&source.files), "and no other file");
        assert!(client.read > FRAMES / 2, "{}", client.read);
    }
}

#[test]
fn a_client_of_one_share_can_reach_no_byte_of_another_source_present_or_past() {
    let folder = tempfile::tempdir().unwrap();
    let arena = Arena::default();
    let (mut a, mut b) = (
        Source::new(&arena, folder.path(), 0xA5),
        Source::new(&arena, folder.path(), 0x5B),
    );
    let (mut of_a, mut of_b) = (a.client(), b.client());
    both_publish(&mut a, &mut b, [&mut of_a, &mut of_b]);

    // One source ends: its memory is gone, but for what its client has mapped.
    let past = (b.byte, b.files.clone());
    let (before, maps) = (arena.stats().bytes, std::mem::take(&mut of_b.memory));
    drop((b, of_b));
    until("the end of its memory", || arena.stats().bytes < before);
    // And another begins, with pictures as large.
    let mut c = Source::new(&arena, folder.path(), 0xC7);
    let mut of_c = c.client();
    both_publish(&mut a, &mut c, [&mut of_a, &mut of_c]);
    let mut late = c.client();
    c.publish(0);
    late.goes_on();
    for client in [&of_a, &of_c, &late] {
        assert_eq!(client.finds(past.0), 0, "what was before");
    }
    assert_eq!([c.byte, a.byte].map(|byte| count(&maps, byte)), [0, 0], "what is now");
    assert!(count(&maps, past.0) > 0);
    assert!(
        c.files.is_disjoint(&past.1),
        "no memory is used again by another source"
    );
    assert!(a.files.is_disjoint(&past.1) && a.files.is_disjoint(&c.files));
    println!(
        "looked at {:?} segments of three sources",
        [&of_a.memory, &maps, &of_c.memory].map(|maps| pictures(maps).len())
    );
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        thread::sleep(Duration::from_millis(1));
    }
}
