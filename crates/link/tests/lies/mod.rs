//! What hostile clients do, each in a function: before the hello, and past it with a grant in hand. Readers here; what they say when they hand
//! over is in `passing.rs`, those who produce are in `producing.rs`, those who were invited in `invited.rs`.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod invited;
mod passing;
mod producing;
mod stage;

pub(crate) use invited::{INVITED, dead};
pub(crate) use producing::FILLERS;
pub(crate) use stage::{Filler, Stage};

use crate::{
    bystanders::SIZE,
    raw::{Chance, Raw, hello},
};
use beamline_arena::{
    Access, Arena, Segment, SharedPage,
    grant::{ReturnPage, TellPage},
};
use beamline_link::{Limits, Place, Publisher};
use beamline_media::{Caps, PixelFormat};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{FallocateFlags, Mode, OFlags, SealFlags},
    io::Errno,
    net::Shutdown,
};
use std::{
    path::Path,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(10);

/// A client that was welcomed and holds a grant.
pub(crate) struct Liar<'a> {
    raw: Raw,
    /// What others call it.
    id: u64,
    page: SharedPage<TellPage>,
    tell: OwnedFd,
    returns: OwnedFd,
    wake: OwnedFd,
    /// With its size of a slot and how many it has.
    segment: (OwnedFd, usize, u32),
    studio: &'a Studio,
}

pub(crate) struct Studio {
    pub(crate) publisher: Publisher,
    pub(crate) caps: Caps,
    pub(crate) refused_fds: AtomicU64,
    pub(crate) told_why: AtomicU64,
    /// Whose the stages' memory is.
    pub(crate) arena: Arena,
    /// A reader that is stopped and holds all that it may, and one that is honest.
    pub(crate) full: OnceLock<u64>,
    pub(crate) honest: OnceLock<u64>,
    /// The slowest answer of an owner to one who asks while, or after, he is lied to.
    pub(crate) slowest: Mutex<Duration>,
}

impl Studio {
    pub(crate) fn new(place: Place, arena: &Arena) -> Self {
        let caps = Caps::raw(PixelFormat::I420, SIZE);
        Studio {
            publisher: Publisher::listen(place, caps.clone(), true, Limits::default()).unwrap(),
            caps,
            refused_fds: AtomicU64::new(0),
            told_why: AtomicU64::new(0),
            arena: arena.clone(),
            full: OnceLock::new(),
            honest: OnceLock::new(),
            slowest: Mutex::default(),
        }
    }

    fn honest(&self) -> u64 {
        *self.honest.get().unwrap()
    }

    /// How long an owner took to answer.
    pub(crate) fn took(&self, time: Duration) {
        let mut slowest = self.slowest.lock().unwrap();
        *slowest = time.max(*slowest);
    }
}

pub(crate) type Lie = fn(&Liar<'_>, &mut Chance);
pub(crate) type StrangeLie = fn(&Raw, &mut Chance);

/// Past the hello, with a grant in hand.
pub(crate) const KINDS: [(&str, Lie); 21] = [
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
    ("passes what it does not hold", passing::what_it_does_not_hold),
    ("passes another use of a slot", passing::another_use_of_a_slot),
    ("passes what it has given back", passing::what_it_has_given_back),
    ("passes to itself", passing::to_itself),
    ("passes to nobody", passing::to_nobody),
    ("passes to one that is full", passing::to_one_that_is_full),
    ("floods with passes", passing::floods),
];

/// Before it.
pub(crate) const STRANGERS: [(&str, StrangeLie); 3] = [
    ("lies in its hello", lies_in_its_hello),
    ("hangs", hangs),
    ("a crowd that hangs", |raw, _| crowd(raw)),
];

pub(crate) fn for_ms(ms: u64, mut act: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_millis(ms);
    while Instant::now() < end && act() {}
}

pub(crate) fn scribbles(liar: &Liar<'_>, chance: &mut Chance) {
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

pub(crate) fn maps_for_writing(liar: &Liar<'_>, _: &mut Chance) {
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

pub(crate) fn says_what_cannot_be(liar: &Liar<'_>, chance: &mut Chance) {
    let deep = "[".repeat(4000);
    let objects = "{\"kind\":".repeat(400);
    let long = format!("{{\"kind\":\"{}\"}}", "x".repeat(4000));
    let said: [&[u8]; 14] = [
        b"{\"kind\":\"end\"}",
        b"{\"kind\":\"pass\",\"ticket\":1,\"to\":2,\"slot\":{\"segment\":1,\"slot\":2,\"generation\":3}}",
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

pub(crate) fn lies_in_its_goodbye(liar: &Liar<'_>, chance: &mut Chance) {
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

pub(crate) fn floods_the_socket(liar: &Liar<'_>, chance: &mut Chance) {
    // What is well said (a goodbye, once), and what is not.
    let word: &[u8] = if chance.below(2) == 0 {
        b"{\"kind\":\"bye\",\"read\":1}"
    } else {
        b"{\"kind\":\"hello\"}"
    };
    for_ms(5, || !matches!(liar.raw.send(word), Err(e) if e != Errno::AGAIN));
}

pub(crate) fn floods_its_returns(liar: &Liar<'_>, chance: &mut Chance) {
    for_ms(5, || {
        let value = chance.next().to_ne_bytes();
        let bytes = value.repeat(size_of::<ReturnPage>() / 8);
        let _ = rustix::io::pwrite(&liar.returns, &bytes, 0);
        rustix::io::write(&liar.wake, &1u64.to_ne_bytes()).is_ok()
    });
}

pub(crate) fn floods_its_bell(liar: &Liar<'_>, _: &mut Chance) {
    for_ms(8, || rustix::io::write(&liar.wake, &1u64.to_ne_bytes()).is_ok());
}

pub(crate) fn never_reads(liar: &Liar<'_>, chance: &mut Chance) {
    if chance.below(8) == 0 {
        // More than a socket takes.
        for _ in 0..300 {
            liar.studio.publisher.set_caps(&liar.studio.caps);
        }
    }
    thread::sleep(Duration::from_millis(20));
}

pub(crate) fn sends_fds(liar: &Liar<'_>, chance: &mut Chance) {
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

pub(crate) fn lets_all_block(liar: &Liar<'_>, _: &mut Chance) {
    for fd in [&liar.raw.0, &liar.tell, &liar.returns, &liar.wake, &liar.segment.0] {
        let flags = rustix::fs::fcntl_getfl(fd).unwrap();
        rustix::fs::fcntl_setfl(fd, flags - OFlags::NONBLOCK).unwrap();
    }
    // Whoever wrote to it now would wait for good.
    let _ = rustix::io::write(&liar.wake, &(u64::MAX - 1).to_ne_bytes());
    let _ = rustix::io::pwrite(&liar.returns, &[0xff; 4096], 0);
    thread::sleep(Duration::from_millis(4));
}

pub(crate) fn fills_its_bell(liar: &Liar<'_>, _: &mut Chance) {
    let _ = rustix::io::write(&liar.wake, &(u64::MAX - 1).to_ne_bytes());
    for_ms(3, || {
        let _ = rustix::io::write(&liar.wake, &1u64.to_ne_bytes());
        true
    });
}

pub(crate) fn drains_its_bell(liar: &Liar<'_>, _: &mut Chance) {
    for_ms(3, || {
        let _ = rustix::io::write(&liar.wake, &1u64.to_ne_bytes());
        let _ = rustix::io::read(&liar.wake, &mut [0u8; 8]);
        true
    });
}

pub(crate) fn too_short_and_too_long(liar: &Liar<'_>, chance: &mut Chance) {
    let len = [0, 1, 7, 4095, 4096, 4097, 100_000][chance.below(7) as usize];
    let mut bytes = b"{\"kind\":\"bye\",\"read\":1}".repeat(len / 23 + 1);
    bytes.truncate(len);
    let _ = liar.raw.send(&bytes);
    thread::sleep(Duration::from_millis(1));
}

pub(crate) fn closes_by_half(liar: &Liar<'_>, chance: &mut Chance) {
    let how = [Shutdown::Read, Shutdown::Write, Shutdown::Both][chance.below(3) as usize];
    rustix::net::shutdown(&liar.raw.0, how).unwrap();
    thread::sleep(Duration::from_millis(5));
}

pub(crate) fn lies_in_its_hello(raw: &Raw, chance: &mut Chance) {
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

pub(crate) fn hangs(_: &Raw, chance: &mut Chance) {
    thread::sleep(Duration::from_millis(5 + chance.below(30)));
}

pub(crate) fn crowd(raw: &Raw) {
    let crowd: Vec<_> = (0..20).filter_map(|_| Raw::connect(&raw.1)).collect();
    thread::sleep(Duration::from_millis(5));
    drop(crowd);
}

impl<'a> Liar<'a> {
    /// Joins, and waits for a grant.
    pub(crate) fn join(path: &Path, studio: &'a Studio) -> Self {
        // It would take what it hands to itself.
        let hello = hello(4).replace("\"hold\"", "\"take_handed\":true,\"hold\"");
        let (raw, said, fds) = joined(path, &hello);
        Self::granted(raw, number(&said, "id"), fds, studio)
    }

    /// One that was welcomed waits for a grant.
    fn granted(raw: Raw, id: u64, fds: Vec<OwnedFd>, studio: &'a Studio) -> Self {
        let [tell, returns, wake] = <[OwnedFd; 3]>::try_from(fds).unwrap();
        let (said, segment) = loop {
            let (said, fds) = raw.message(LONG).expect("a segment");
            if let Some(fd) = fds.into_iter().next() {
                break (said, fd);
            }
        };
        let page = SharedPage::<TellPage>::attach(tell.try_clone().unwrap(), Access::Read).unwrap();
        let deadline = Instant::now() + LONG;
        while page.written() == 0 {
            assert!(Instant::now() < deadline, "a grant");
            thread::yield_now();
        }
        Liar {
            raw,
            id,
            page,
            tell,
            returns,
            wake,
            segment: (
                segment,
                number(&said, "slot_size") as usize,
                number(&said, "slots") as u32,
            ),
            studio,
        }
    }

    /// Whether the owner says why it cuts us off.
    pub(crate) fn is_told_why(&self) -> bool {
        is_told_why(&self.raw)
    }
}

fn is_told_why(raw: &Raw) -> bool {
    let said = || raw.message(Duration::from_millis(500));
    std::iter::from_fn(said).any(|(message, _)| message.contains("share-protocol"))
}

/// A socket that was welcomed, what was said, and the fds. Like a reader it comes again when it is asked to, among crowds that say nothing.
fn joined(path: &Path, hello: &str) -> (Raw, String, Vec<OwnedFd>) {
    loop {
        let raw = Raw::connect(path).expect("the owner listens");
        // Who was sent away meanwhile cannot be heard.
        let _ = raw.send(hello.as_bytes());
        let (said, fds) = raw.message(LONG).expect("an answer");
        if said.contains("\"welcome\"") {
            return (raw, said, fds);
        }
        assert!(said.contains("share-crowded"), "{said}");
    }
}

/// A number in what was said.
fn number(said: &str, name: &str) -> u64 {
    let said: serde_json::Value = serde_json::from_str(said).unwrap();
    said[name].as_u64().unwrap()
}
