//! What all clients do alike: the owner's answer to a hello, the names of slots.

use crate::{
    error::Error,
    message::SlotAt,
    socket::{Received, Socket},
    wire::{FromClient, ToClient},
};
use beamline_arena::{FarPool, Lease};
use beamline_media::Caps;
use rustix::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long a greeting may take.
pub(crate) const HELLO_PATIENCE: Duration = Duration::from_secs(5);
/// The same where one only looks: whoever lists shares does not wait for one that is stuck.
pub(crate) const LOOK_PATIENCE: Duration = Duration::from_secs(1);
/// How often a client whose socket is not watched looks at it.
pub(crate) const LOOK: Duration = Duration::from_millis(40);

/// The owner's answer to a hello.
pub(crate) struct Welcome {
    pub(crate) id: u64,
    pub(crate) caps: Caps,
    pub(crate) live: bool,
    pub(crate) fds: Vec<OwnedFd>,
}

/// Waits for the owner's answer to a hello.
pub(crate) fn greeting(
    socket: &Socket,
    name: &str,
    patience: Duration,
    cancelled: &dyn Fn() -> bool,
) -> Result<Welcome, Error> {
    match socket.receive_by(Instant::now() + patience, cancelled)? {
        Received::Message(ToClient::Welcome { id, caps, live }, fds) => {
            let caps = caps.to_media();
            let caps = caps.ok_or_else(|| Error::Protocol("a format that nobody knows".into()))?;
            Ok(Welcome { id, caps, live, fds })
        }
        Received::Message(ToClient::Refused(failure) | ToClient::Failed(failure), _) => Err(Error::Told(failure)),
        Received::Message(..) => Err(Error::Protocol("an answer that is no welcome".into())),
        Received::Nothing => Err(Error::Timeout(name.into())),
        Received::End => Err(Error::Gone(name.into())),
    }
}

/// The owner tells of a segment, with its fd, or asks to forget one: alike for those who read and those who fill.
pub(crate) fn told_of_memory(
    pool: &FarPool,
    socket: &Socket,
    message: &ToClient,
    fds: Vec<OwnedFd>,
) -> Result<(), Error> {
    match *message {
        ToClient::Segment {
            number,
            slot_size,
            slots,
        } => {
            let fd = fds.into_iter().next();
            let fd = fd.ok_or_else(|| Error::Protocol("a segment without its fd".into()))?;
            let slot_size = usize::try_from(slot_size).unwrap_or(usize::MAX);
            Ok(pool.attach(number, fd, slot_size, slots)?)
        }
        ToClient::Forget { number } if pool.detach(number) => {
            // When it cannot be said, the owner is gone, which is heard as well.
            let _ = socket.send(&FromClient::Forgot { number }, &[]);
            Ok(())
        }
        _ => Err(Error::Protocol("a segment to forget that was never told".into())),
    }
}

/// How the owner knows a slot of ours.
pub(crate) fn place(pool: &FarPool, lease: &Lease) -> Option<SlotAt> {
    pool.place_of(lease).map(slot_at)
}

pub(crate) fn slot_at((segment, slot, generation): (u32, u32, u32)) -> SlotAt {
    SlotAt {
        segment: segment as u16,
        slot: slot as u16,
        generation,
    }
}
