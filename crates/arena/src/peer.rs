//! What a Unix socket tells of the process at its other end, and what it lets through: options that no safe wrapper knows yet.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

/// A pidfd of the other end, Linux 6.5. The same on every architecture that Beamline is built for (`asm-generic/socket.h`).
const SO_PEERPIDFD: libc::c_int = 77;
/// Whether fds may be sent to this end, Linux 6.16.
const SO_PASSRIGHTS: libc::c_int = 83;

/// A pidfd of the process that connected, whatever has become of its number since.
///
/// # Errors
/// `ENOPROTOOPT` from kernels before 6.5; `ESRCH` when the process is gone already.
pub fn peer_pidfd(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut fd: RawFd = -1;
    let mut len = size_of::<RawFd>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to `fd`, which has as many; the socket is borrowed, so open.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut fd).cast(),
            &raw mut len,
        )
    };
    if done != 0 || fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new fd, made for us alone by the call above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// From now on nobody can send fds to this socket, or to those that are accepted from it: whoever tries is told `EPERM`.
///
/// An fd that came costs whoever receives it: the last `close` of a socket that lingers, or of a file of somebody's own file system, may
/// take as long as its maker likes, and would happen here.
///
/// # Errors
/// `ENOPROTOOPT` from kernels before 6.16.
pub fn refuse_fds(socket: impl AsFd) -> io::Result<()> {
    let off: libc::c_int = 0;
    // SAFETY: the kernel reads the `int` whose size is given; the socket is borrowed, so open.
    let done = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PASSRIGHTS,
            (&raw const off).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
