//! Two sources with pictures of one size in one arena: a client of one share is given no byte of the other's, whatever it maps.

#![expect(unsafe_code, reason = "maps all that a client is given, and reads it")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails in a helper fails the test; what was looked at is printed"
)]

mod raw;

use beamline_arena::{
    Access, Arena, PoolConfig, SharedPage, Wait,
    grant::{Entry, ReturnPage, TellPage, Told, WORDS},
    page_size,
};
use beamline_link::{FrameMessage, Limits, Place, Publisher, ToClient};
use beamline_media::{Caps, Frame, FrameInfo, FramePool, PixelFormat, Size};
use raw::{Raw, hello};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    mm::{MapFlags, ProtFlags, mmap, munmap},
};
use std::{
    collections::{BTreeSet, VecDeque},
    path::Path,
    ptr::{NonNull, null_mut},
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

/// All of a file, mapped to be read.
struct Map {
    file: u64,
    at: NonNull<u8>,
    len: usize,
    /// Whether pictures lie in it; else it is a page of the link, where numbers stand.
    pictures: bool,
}

impl Map {
    /// `None` for what has no memory: an eventfd.
    fn of(fd: &OwnedFd, pictures: bool) -> Option<Self> {
        let len = rustix::fs::fstat(fd).unwrap().st_size as usize;
        let some = len.max(page_size());
        // SAFETY: a new mapping where the kernel likes; nothing is replaced.
        let at = unsafe { mmap(null_mut(), some, ProtFlags::READ, MapFlags::SHARED, fd, 0) }.ok()?;
        let (file, at) = (file(fd.as_fd()), NonNull::new(at.cast()).unwrap());
        assert!(len > 0, "memory without a size");
        Some(Map {
            file,
            at,
            len,
            pictures,
        })
    }

    /// How often a byte stands there; in a page of the link eight in a row count, since single ones are parts of numbers.
    fn count(&self, byte: u8) -> usize {
        // SAFETY: within the mapping, which lives as long as this value; others may write there meanwhile.
        let bytes = (0..self.len).map(|i| unsafe { self.at.add(i).read_volatile() });
        let (mut row, mut found) = (0, 0);
        for there in bytes {
            row = if there == byte { row + 1 } else { 0 };
            found += usize::from(row >= if self.pictures { 1 } else { 8 });
        }
        found
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: mapped in `of` with this length, and not used afterwards.
        unsafe { munmap(self.at.as_ptr().cast(), self.len) }.unwrap();
    }
}

/// The link of one who maps whatever it is given, and lets go of nothing; else it reads as it should, so that it is given more.
struct Client {
    raw: Raw,
    tell: SharedPage<TellPage>,
    returns: SharedPage<ReturnPage>,
    maps: Vec<Map>,
    read: u32,
}

impl Client {
    fn join(path: &Path) -> Self {
        let raw = Raw::connect(path).unwrap();
        raw.send(hello(4).as_bytes()).unwrap();
        let (welcome, fds) = raw.message(SOON).unwrap();
        let maps: Vec<_> = fds.iter().filter_map(|fd| Map::of(fd, false)).collect();
        let [tell, returns, _wake] = <[OwnedFd; 3]>::try_from(fds).expect(&welcome);
        assert_eq!(maps.len(), 2, "its bell is no memory");
        Client {
            tell: SharedPage::attach(tell, Access::Read).unwrap(),
            returns: SharedPage::attach(returns, Access::Shared).unwrap(),
            raw,
            maps,
            read: 0,
        }
    }

    /// Hears what it is told, maps what comes, gives frames back.
    fn goes_on(&mut self) {
        while let Some((message, fds)) = self.raw.message(Duration::ZERO) {
            let pictures = match serde_json::from_str(&message).unwrap() {
                ToClient::Segment { .. } => true,
                ToClient::Forget { number } => {
                    // So it says; its mapping stays.
                    let forgot = format!("{{\"kind\":\"forgot\",\"number\":{number}}}");
                    self.raw.send(forgot.as_bytes()).unwrap();
                    false
                }
                _ => false,
            };
            assert_eq!(fds.len(), usize::from(pictures), "{message}");
            self.maps.extend(fds.iter().map(|fd| Map::of(fd, pictures).unwrap()));
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
        count(&self.maps, byte)
    }
}

fn count(maps: &[Map], byte: u8) -> usize {
    maps.iter().map(|map| map.count(byte)).sum()
}

/// Files with pictures in them.
fn pictures(maps: &[Map]) -> BTreeSet<u64> {
    maps.iter().filter(|map| map.pictures).map(|map| map.file).collect()
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
        assert!(pictures(&client.maps).is_subset(&source.files), "and no other file");
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
    let (before, maps) = (arena.stats().bytes, std::mem::take(&mut of_b.maps));
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
        [&of_a.maps, &maps, &of_c.maps].map(|maps| pictures(maps).len())
    );
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        thread::sleep(Duration::from_millis(1));
    }
}
