//! Messages with fds over a Unix socket that keeps their bounds. Nothing here ever blocks but a wait with a deadline.

use crate::{
    error::Error,
    place::{DirectoryLock, Place},
    wire::{FDS_MAX, MESSAGE_MAX, decode, encode},
};
use beamline_arena::peer::refuse_fds;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect, listen,
        recvmsg, sendmsg, socket_with, sockopt,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::AsRawFd,
    path::Path,
    time::{Duration, Instant},
};

/// One end of a link.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

/// What [`Socket::receive`] found.
#[derive(Debug)]
pub(crate) enum Received<T> {
    /// A message and its fds.
    Message(T, Vec<OwnedFd>),
    /// Nothing now.
    Nothing,
    /// The other side is gone.
    End,
}

fn flags() -> SocketFlags {
    SocketFlags::CLOEXEC | SocketFlags::NONBLOCK
}

fn fresh() -> Result<OwnedFd, Error> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags(), None).map_err(|e| Error::os("a socket", e))
}

fn address(path: &Path) -> Result<SocketAddrUnix, Error> {
    SocketAddrUnix::new(path).map_err(|e| Error::os(format!("the socket {}", path.display()), e))
}

/// Listens at a place; a dead name is taken over.
pub(crate) fn listen_at(place: &Place) -> Result<OwnedFd, Error> {
    let path = place.path();
    let os = |e: Errno| Error::os(format!("the socket {}", path.display()), e);
    let _lock = DirectoryLock::of(path)?;
    let socket = fresh()?;
    match bind(&socket, &address(path)?) {
        Err(Errno::ADDRINUSE) => {
            remove_if_dead(place)?;
            bind(&socket, &address(path)?).map_err(|e| {
                if e == Errno::ADDRINUSE {
                    Error::Taken(place.name().into())
                } else {
                    os(e)
                }
            })?;
        }
        other => other.map_err(os)?,
    }
    rustix::fs::chmod(path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).map_err(os)?;
    // Clients have nothing to send but words. An older kernel delivers what they send, and it is closed at once.
    let _ = refuse_fds(&socket);
    listen(&socket, 64).map_err(os)?;
    Ok(socket)
}

/// Removes a socket that nobody listens to. The directory must be locked.
fn remove_if_dead(place: &Place) -> Result<(), Error> {
    let probe = fresh()?;
    match connect(&probe, &address(place.path())?) {
        Err(Errno::CONNREFUSED) => {
            let _ = rustix::fs::unlink(place.path());
            Ok(())
        }
        Err(Errno::NOENT) => Ok(()),
        // It answers, or it is none of ours.
        _ => Err(Error::Taken(place.name().into())),
    }
}

/// The next who wants to join; none when nobody waits. Another user's process is turned away.
pub(crate) fn accept_from(listener: BorrowedFd<'_>) -> Result<Option<(Socket, i32)>, Error> {
    let socket = match accept_with(listener, flags()) {
        Ok(socket) => Socket(socket),
        Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => return Ok(None),
        Err(e) => return Err(Error::os("a client's socket", e)),
    };
    let pid = socket.check_peer()?;
    Ok(Some((socket, pid)))
}

impl Socket {
    /// Joins who listens at a place; a dead name is removed.
    ///
    /// Waits until `deadline` while others stand before us in the queue of the kernel.
    pub(crate) fn connect(place: &Place, deadline: Instant, cancelled: &dyn Fn() -> bool) -> Result<Self, Error> {
        loop {
            match Self::join(place, DirectoryLock::of) {
                Err(Error::Os { source, .. }) if source.kind() == std::io::ErrorKind::WouldBlock => {}
                joined => return joined,
            }
            // Nothing tells when there is room.
            if Instant::now() >= deadline {
                return Err(Error::Timeout(place.name().into()));
            }
            if cancelled() {
                return Err(Error::Cancelled);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The same without any wait: `WouldBlock` when others stand before us, or are busy with the name.
    pub(crate) fn connect_at_once(place: &Place) -> Result<Self, Error> {
        Self::join(place, DirectoryLock::at_once)
    }

    fn join(place: &Place, lock: impl FnOnce(&Path) -> Result<DirectoryLock, Error>) -> Result<Self, Error> {
        let socket = fresh()?;
        let path = place.path();
        let address = address(path)?;
        let mut joined = connect(&socket, &address);
        if joined == Err(Errno::CONNREFUSED) {
            // Dead, or just being born: a name is there before its owner listens, but both under the lock.
            let _lock = lock(path)?;
            joined = connect(&socket, &address);
            if joined == Err(Errno::CONNREFUSED) {
                let _ = rustix::fs::unlink(path);
            }
        }
        match joined {
            Ok(()) => {}
            Err(Errno::NOENT | Errno::CONNREFUSED) => return Err(Error::NotFound(place.name().into())),
            Err(e) => return Err(Error::os(format!("the share '{}'", place.name()), e)),
        }
        let socket = Socket(socket);
        socket.check_peer().map_err(|e| match e {
            Error::Stranger(_) => Error::Stranger(place.name().into()),
            other => other,
        })?;
        Ok(socket)
    }

    /// Two ends, for an fd that a child inherits and for tests.
    pub(crate) fn from_fd(fd: OwnedFd) -> Result<Self, Error> {
        let os = |e: Errno| Error::os("an inherited socket", e);
        rustix::io::ioctl_fionbio(&fd, true).map_err(os)?;
        Ok(Socket(fd))
    }

    /// The process at the other end, when it is the same user's.
    fn check_peer(&self) -> Result<i32, Error> {
        let peer = sockopt::socket_peercred(&self.0).map_err(|e| Error::os("who is at the other end", e))?;
        if peer.uid != rustix::process::getuid() {
            return Err(Error::Stranger("the other end".into()));
        }
        Ok(peer.pid.as_raw_nonzero().get())
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// What may wait for the other side to read it, in bytes with the kernel's own, some 1 KiB per message. Cannot fail so that it matters:
    /// it stays as it is then.
    pub(crate) fn set_room(&self, bytes: usize) {
        let _ = sockopt::set_socket_send_buffer_size(&self.0, bytes);
    }

    /// Sends a message with fds. False when the other side has not read what came before; nothing was sent then.
    pub(crate) fn send<T: Serialize>(&self, message: &T, fds: &[BorrowedFd<'_>]) -> Result<bool, Error> {
        let bytes = encode(message);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(fds));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut ancillary, flags) {
            Ok(_) => Ok(true),
            // The last: too many fds of this user are on their way in all.
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::TOOMANYREFS) => Ok(false),
            Err(e) => Err(Error::os("a message", e)),
        }
    }

    /// The next message, when there is one.
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> Result<Received<T>, Error> {
        let mut bytes = [0; MESSAGE_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let mut got = recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags);
        if matches!(got, Err(Errno::CONNRESET)) {
            // Who closes with something unread: the kernel says so once, and before what the other side has said to the end.
            got = recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags);
        }
        let got = match got {
            Ok(got) => got,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
            Err(Errno::CONNRESET | Errno::PIPE) => return Ok(Received::End),
            Err(e) => return Err(Error::os("a message", e)),
        };
        // Taken out in any case, so that they are closed.
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(Error::Protocol("a message that is too long".into()));
        }
        if got.bytes == 0 {
            return Ok(Received::End);
        }
        Ok(Received::Message(decode(&bytes[..got.bytes])?, fds))
    }

    /// Waits until there is something to receive. False when the time is over.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        wait_readable(self.fd(), timeout)
    }

    /// The next message, waited for.
    pub(crate) fn receive_by<T: DeserializeOwned>(
        &self,
        deadline: Instant,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Received<T>, Error> {
        loop {
            match self.receive()? {
                Received::Nothing => {}
                other => return Ok(other),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Received::Nothing);
            }
            if cancelled() {
                return Err(Error::Cancelled);
            }
            self.wait(left.min(Duration::from_millis(20)));
        }
    }
}

/// The eventfd by which we will wake the other side. Whoever gives a slot back rings it, on whatever thread: it must not block, and must
/// be nothing where a write does something else.
pub(crate) fn bell(fd: OwnedFd) -> Result<OwnedFd, Error> {
    let os = |e: Errno| Error::os("an eventfd of another process", e);
    let what = rustix::fs::readlink(format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new());
    // Without /proc it is taken on trust.
    if what.is_ok_and(|what| what.as_bytes() != b"anon_inode:[eventfd]") {
        return Err(Error::Protocol("something else than an eventfd to ring".into()));
    }
    let flags = rustix::fs::fcntl_getfl(&fd).map_err(os)?;
    rustix::fs::fcntl_setfl(&fd, flags | rustix::fs::OFlags::NONBLOCK).map_err(os)?;
    Ok(fd)
}

/// Waits until an fd is readable or at its end.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let timeout = Timespec {
        tv_sec: timeout.as_secs() as i64,
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    matches!(poll(&mut fds, Some(&timeout)), Ok(n) if n > 0)
}
