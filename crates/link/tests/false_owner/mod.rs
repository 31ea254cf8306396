//! Somebody who listens like an owner, and what he needs to lie.

#![allow(dead_code, reason = "each test uses a part")]
#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

use crate::raw::{Raw, hello};
use beamline_arena::{
    Access, Arena, PoolConfig, SharedPage, Wait,
    grant::{Entry, PublishPage, ReturnPage, TellPage, Told, WORDS},
};
use beamline_link::{
    ClientPolicy, Error, Limits, Place, Producer, ProducerOptions, Publisher, Reader, ReaderOptions, WireCaps,
};
use beamline_media::{Caps, ErrorCode, Frame, FrameInfo, FramePool, PixelFormat, Size};
use rustix::{
    event::{EventfdFlags, eventfd},
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{MemfdFlags, SealFlags},
    net::{AddressFamily, SocketAddrUnix, SocketType, accept, bind, listen, socket},
};
use std::{
    hint::black_box,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

pub(crate) const SIZE: Size = Size::new(64, 32);
/// Enough for a picture of that size, and whole pages.
pub(crate) const SLOT: usize = 8192;

/// Somebody who listens like an owner, and does what he likes.
pub(crate) struct Owner {
    _folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
    pub(crate) listener: OwnedFd,
    pub(crate) tell: SharedPage<TellPage>,
    pub(crate) returns: SharedPage<ReturnPage>,
    bell: OwnedFd,
    /// What one that produces fills.
    ring: SharedPage<PublishPage>,
}

impl Owner {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("studio");
        let listener = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&listener, 8).unwrap();
        Owner {
            _folder: folder,
            path,
            listener,
            tell: SharedPage::new("tell", true).unwrap(),
            returns: SharedPage::new("returns", false).unwrap(),
            bell: eventfd(0, EventfdFlags::NONBLOCK).unwrap(),
            ring: SharedPage::new("ring", false).unwrap(),
        }
    }

    pub(crate) fn place(&self) -> Place {
        Place::new(self.path.to_str().unwrap()).unwrap()
    }

    /// Hears the hello of one who joins.
    pub(crate) fn accept(&self) -> Raw {
        let raw = Raw(accept(&self.listener).unwrap(), self.path.clone());
        assert!(raw.message(Duration::from_secs(5)).unwrap().0.contains("hello"));
        raw
    }

    pub(crate) fn fds(&self) -> [BorrowedFd<'_>; 3] {
        [self.tell.fd(), self.returns.fd(), self.bell.as_fd()]
    }

    pub(crate) fn join(&self, options: ReaderOptions) -> Result<Reader, Error> {
        let pool = Arena::default().pool(PoolConfig::new("reader"));
        Reader::connect(&self.place(), &pool, options, &|| false)
    }

    pub(crate) fn join_to_fill(&self) -> Result<Producer, Error> {
        let pool = Arena::default().pool(PoolConfig::new("producer"));
        let caps = Caps::raw(PixelFormat::I420, SIZE);
        Producer::connect(&self.place(), &pool, caps, ProducerOptions::default(), &|| false)
    }

    /// Welcomes one as it should be.
    pub(crate) fn welcome(&self, fills: bool) -> Raw {
        let raw = self.accept();
        let ring = fills.then(|| self.ring.fd());
        let fds: Vec<_> = self.fds().into_iter().chain(ring).collect();
        raw.send_with(&welcome(), &fds).unwrap();
        raw
    }

    /// A producer that was welcomed as it should be.
    pub(crate) fn welcomed_to_fill(&self) -> (Producer, Raw) {
        thread::scope(|scope| {
            let owner = scope.spawn(|| self.welcome(true));
            (self.join_to_fill().unwrap(), owner.join().unwrap())
        })
    }

    /// A reader that was welcomed as it should be.
    pub(crate) fn welcomed(&self, options: ReaderOptions) -> (Reader, Raw) {
        thread::scope(|scope| {
            let owner = scope.spawn(|| self.welcome(false));
            (self.join(options).unwrap(), owner.join().unwrap())
        })
    }
}

pub(crate) fn caps() -> WireCaps {
    WireCaps::of(&Caps::raw(PixelFormat::I420, SIZE))
}

pub(crate) fn welcome() -> Vec<u8> {
    welcome_to(&caps())
}

pub(crate) fn welcome_to(caps: &WireCaps) -> Vec<u8> {
    let caps = serde_json::to_string(caps).unwrap();
    format!("{{\"kind\":\"welcome\",\"id\":9,\"caps\":{caps},\"live\":true}}").into_bytes()
}

pub(crate) fn segment(number: u64, slot_size: u64, slots: u64) -> Vec<u8> {
    format!("{{\"kind\":\"segment\",\"number\":{number},\"slot_size\":{slot_size},\"slots\":{slots}}}").into_bytes()
}

pub(crate) const SEALED: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

pub(crate) fn memfd(len: usize, seals: SealFlags) -> OwnedFd {
    let fd = rustix::fs::memfd_create("memory", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&fd, len as u64).unwrap();
    rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
    fd
}

pub(crate) fn in_order(access: Access) -> ReaderOptions {
    ReaderOptions {
        policy: ClientPolicy::DropOldest,
        access,
        ..ReaderOptions::default()
    }
}

/// An entry as an honest owner tells it: slot 0 of segment 0.
pub(crate) fn honest_entry() -> Entry {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("studio");
    let place = Place::new(path.to_str().unwrap()).unwrap();
    let caps = Caps::raw(PixelFormat::I420, SIZE);
    let publisher = Publisher::listen(place, caps, true, Limits::default()).unwrap();
    let raw = Raw::connect(&path).unwrap();
    raw.send(hello(4).as_bytes()).unwrap();
    let (_, fds) = raw.message(Duration::from_secs(5)).unwrap();
    let tell = SharedPage::<TellPage>::attach(fds.into_iter().next().unwrap(), Access::Read).unwrap();
    let pool = FramePool::new(&Arena::default(), PoolConfig::new("honest"));
    let frame = pool
        .acquire(FrameInfo::new(PixelFormat::I420, SIZE), Wait::Grow)
        .unwrap();
    let frame = frame.freeze();
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        publisher.publish(&frame);
        let mut entry = [0; WORDS];
        if tell.read(0, &mut entry) == Told::Entry {
            return entry;
        }
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(1));
    }
}

/// Every byte that the frame says it has.
pub(crate) fn touch(frame: &Frame) {
    for plane in 0..frame.plane_count() {
        let sum = frame
            .plane_bytes(plane)
            .0
            .iter()
            .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        black_box(sum);
    }
}

pub(crate) fn is_typed(error: &Error) {
    let known = matches!(error.code(), ErrorCode::Data | ErrorCode::Quota | ErrorCode::DeviceLost);
    assert!(known, "{error:?}");
}
