//! Fds that this process was started with: others know them by their numbers alone.

use std::os::fd::{BorrowedFd, OwnedFd};

/// A copy, of our own and CLOEXEC, of the fd with that number. The number itself stays as it is: whose it is, nobody can tell.
///
/// # Errors
/// `EBADF` when nothing is open there; what else the kernel says.
pub fn duplicate_inherited(number: i32) -> std::io::Result<OwnedFd> {
    if number < 0 {
        return Err(rustix::io::Errno::BADF.into());
    }
    // SAFETY: it is not −1, and is used for one call of the kernel's, which itself refuses numbers that stand for nothing.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 3)?)
}
