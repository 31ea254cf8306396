//! The socket of a share without the crate's own hand on it: for those who lie.

#![allow(dead_code, reason = "each test uses a part")]
#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

use beamline_link::WireCaps;
use beamline_media::Caps;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg, sendmsg, socket_with,
    },
};
use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// A socket to an owner, and where that listens.
pub(crate) struct Raw(pub(crate) OwnedFd, pub(crate) PathBuf);

/// A greeting as it should be.
pub(crate) fn hello(hold: u32) -> String {
    let version = beamline_link::version();
    format!("{{\"kind\":\"hello\",\"version\":\"{version}\",\"hold\":{hold},\"queue\":4,\"policy\":\"drop-oldest\"}}")
}

/// The same of one that produces pictures of `caps`.
pub(crate) fn hello_of_producer(caps: &Caps) -> String {
    let caps = serde_json::to_string(&WireCaps::of(caps)).unwrap();
    hello(4).replace("\"kind\"", &format!("\"produce\":{caps},\"kind\""))
}

impl Raw {
    /// `None` when there is no room in the kernel's queue for a second.
    pub(crate) fn connect(path: &Path) -> Option<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let deadline = Instant::now() + Duration::from_secs(1);
        while let Err(error) = connect(&socket, &SocketAddrUnix::new(path).unwrap()) {
            assert_eq!(error, Errno::AGAIN);
            if Instant::now() > deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(1));
        }
        Some(Raw(socket, path.to_owned()))
    }

    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Errno> {
        self.send_with(bytes, &[])
    }

    /// Up to 253 fds, as many as the kernel takes.
    pub(crate) fn send_with(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(fds));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&self.0, &[IoSlice::new(bytes)], &mut ancillary, flags).map(drop)
    }

    /// Waits until there is something, or the end.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let timeout = Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        let mut fds = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
        matches!(poll(&mut fds, Some(&timeout)), Ok(1))
    }

    /// The next message; `None` at the end, or when none comes in time.
    pub(crate) fn message(&self, timeout: Duration) -> Option<(String, Vec<OwnedFd>)> {
        if !self.wait(timeout) {
            return None;
        }
        let mut bytes = [0; 8192];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let mut got = recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags);
        if got.as_ref().err() == Some(&Errno::CONNRESET) {
            // Told once, before what the other side had said.
            got = recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags);
        }
        let got = got.ok()?;
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        (got.bytes > 0).then(|| (String::from_utf8_lossy(&bytes[..got.bytes]).into_owned(), fds))
    }
}

/// Numbers that look like chance, the same in every run.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }
}
