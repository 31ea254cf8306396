//! Ends of a share that a child inherits: made for exactly one reader, who needs to see neither the name nor its directory.

use crate::{error::Error, socket::Socket};
use rustix::{
    fd::OwnedFd,
    fs::fstat,
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, getpeername, socketpair, sockopt},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Ends of one share that are out and unused.
const INVITATIONS_MAX: usize = 64;

/// Ends that the share's thread has not yet seen, and how many are out.
#[derive(Debug, Default)]
pub(crate) struct Invitations {
    new: Mutex<Vec<(Socket, Invitation)>>,
    out: Arc<AtomicUsize>,
}

/// Counts an end until it is used, or all copies of it are closed.
#[derive(Debug)]
pub(crate) struct Invitation(Arc<AtomicUsize>);

impl Drop for Invitation {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Invitations {
    /// A pair: one end for the share's thread, the other for the child.
    pub(crate) fn make(&self, name: &str) -> Result<OwnedFd, Error> {
        let invitation = Invitation(Arc::clone(&self.out));
        if self.out.fetch_add(1, Ordering::Relaxed) >= INVITATIONS_MAX {
            return Err(Error::Invitations {
                name: name.into(),
                most: INVITATIONS_MAX,
            });
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .map_err(|e| Error::os("a socket", e))?;
        let ours = Socket::from_fd(ours)?;
        self.new
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((ours, invitation));
        Ok(theirs)
    }

    /// Those that are new since this was last asked.
    pub(crate) fn take(&self) -> Vec<(Socket, Invitation)> {
        std::mem::take(&mut self.new.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A copy of an inherited end, by its number. Each end is good once; the number itself stays open.
pub(crate) fn take(number: u32) -> Result<Socket, Error> {
    let none = |what: &str| Error::NoInvitation {
        fd: number,
        what: what.into(),
    };
    let copy = i32::try_from(number)
        .map_err(|_| Errno::BADF)
        .and_then(|n| beamline_arena::duplicate_inherited(n).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO)))
        .map_err(|e| {
            none(if e == Errno::BADF {
                "no open fd of this process"
            } else {
                "an fd that cannot be copied"
            })
        })?;
    let Ok(kind) = sockopt::socket_type(&copy) else {
        return Err(none("a file or pipe"));
    };
    let unnamed = sockopt::socket_domain(&copy) == Ok(AddressFamily::UNIX)
        && kind == SocketType::SEQPACKET
        && matches!(getpeername(&copy), Ok(Some(peer)) if rustix::net::SocketAddrUnix::try_from(peer.clone()).is_ok_and(|a| a.path_bytes().is_none()));
    if !unnamed {
        return Err(none("a socket of another kind"));
    }
    use_once(&copy, number)?;
    Socket::from_fd(copy)
}

/// Inodes tell sockets apart, whatever their numbers: a number may come again for something else.
fn use_once(socket: &OwnedFd, number: u32) -> Result<(), Error> {
    static USED: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());
    let inode = fstat(socket).map_err(|e| Error::os("an inherited fd", e))?.st_ino;
    let fresh = USED.lock().unwrap_or_else(PoisonError::into_inner).insert(inode);
    if fresh {
        Ok(())
    } else {
        Err(Error::UsedInvitation(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{place::Place, socket::listen_at};
    use rustix::fd::AsRawFd;

    #[test]
    fn a_link_that_was_joined_by_its_name_is_none_to_be_taken_by_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("studio").to_str().unwrap()).unwrap();
        let _listener = listen_at(&place).unwrap();
        let joined = Socket::connect_at_once(&place).unwrap();
        let number = u32::try_from(joined.fd().as_raw_fd()).unwrap();
        assert!(matches!(take(number), Err(Error::NoInvitation { .. })));
    }
}
