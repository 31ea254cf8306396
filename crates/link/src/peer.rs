//! Who is at the other end of a link, from the owner's side.

use crate::{socket::Socket, wire::Hello};
use beamline_arena::peer::{peer_pidfd, refuse_fds};
use rustix::{
    fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    io::Errno,
    process::{PidfdFlags, pidfd_open},
};

/// A reader's process.
#[derive(Debug)]
pub(crate) struct Peer {
    /// 0 when nobody knows.
    pub(crate) pid: i32,
    /// Readable when it has ended. None on kernels without them: there the socket's end says so.
    pub(crate) pidfd: Option<OwnedFd>,
}

impl Peer {
    /// Who has connected, as the kernel says; none when that process is gone already.
    pub(crate) fn connected(pid: i32, socket: &Socket) -> Option<Self> {
        // Of the process that connected, not of its number: that may be another's by now. A kernel that does not tell (before 6.5) has
        // the socket's end, which comes with the end of the last process that has it.
        let pidfd = match peer_pidfd(socket.fd()) {
            Ok(pidfd) => Some(pidfd),
            // Before 6.16 a process that nobody waits for any more has none. Its socket may live on elsewhere, and tell of no end.
            Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::SRCH | Errno::INVAL)) => return None,
            Err(_) => None,
        };
        Some(Peer { pid, pidfd })
    }

    /// Who has an end that was made for him, as he says: by a pidfd, which the kernel has made, or by a number, which is only shown.
    /// Lies cost nobody but him: the end of the socket decides.
    pub(crate) fn invited(hello: &Hello, fds: Vec<OwnedFd>, socket: &Socket) -> Self {
        // It has sent what it may send.
        let _ = refuse_fds(socket.fd());
        let pidfd = fds.into_iter().next().filter(|fd| is_pidfd(fd.as_fd()));
        let known = pidfd.as_ref().and_then(|fd| pid_of(fd.as_fd()));
        Peer {
            pid: known.or(hello.pid).filter(|pid| *pid > 0).unwrap_or(0),
            pidfd,
        }
    }

    /// What a reader with an inherited end says of itself.
    pub(crate) fn ourselves() -> Self {
        let me = rustix::process::getpid();
        Peer {
            pid: me.as_raw_nonzero().get(),
            pidfd: pidfd_open(me, PidfdFlags::empty()).ok(),
        }
    }
}

/// By its name, which no file can have (theirs begin with a slash): polling what a stranger has sent might wait for him.
fn is_pidfd(fd: BorrowedFd<'_>) -> bool {
    let name = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap_or_default();
    let name = name.to_string_lossy();
    name == "anon_inode:[pidfd]" || name.starts_with("pidfd:[")
}

/// The number by which we know the process; none when it lives where we do not see it.
fn pid_of(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let pid = info.lines().find_map(|l| l.strip_prefix("Pid:"))?;
    pid.trim().parse().ok().filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> Socket {
        Socket::from_fd(std::os::unix::net::UnixStream::pair().unwrap().0.into()).unwrap()
    }

    fn hello(pid: i32) -> Hello {
        Hello {
            pid: Some(pid),
            ..Hello::look()
        }
    }

    #[test]
    fn a_pidfd_says_who_it_is_whatever_number_is_told() {
        let ours = Peer::ourselves();
        let pid = ours.pid;
        let peer = Peer::invited(&hello(1), vec![ours.pidfd.unwrap()], &socket());
        assert_eq!(peer.pid, pid);
        assert!(peer.pidfd.is_some());
    }

    #[test]
    fn what_is_no_pidfd_is_not_taken_for_one() {
        let file = tempfile::tempfile().unwrap();
        let (end, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        for fd in [OwnedFd::from(file), OwnedFd::from(end)] {
            let peer = Peer::invited(&hello(77), vec![fd], &socket());
            assert!(peer.pidfd.is_none());
            assert_eq!(peer.pid, 77, "shown as it was told");
        }
        assert_eq!(Peer::invited(&hello(-5), Vec::new(), &socket()).pid, 0);
    }
}
