//! What all clients do alike: the owner's answer to a hello, the names of slots.

use crate::{
    error::Error,
    message::SlotAt,
    peer::Peer,
    place::Place,
    socket::{Received, Socket},
    wire::{CROWDED, Failure, FromClient, Hello, ToClient},
};
use beamline_arena::{FarPool, Lease};
use beamline_media::Caps;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{
    thread,
    time::{Duration, Instant},
};

/// How long a greeting may take.
pub(crate) const HELLO_PATIENCE: Duration = Duration::from_secs(5);
/// The same where one only looks: whoever lists shares does not wait for one that is stuck.
pub(crate) const LOOK_PATIENCE: Duration = Duration::from_secs(1);
/// How soon one comes again that was asked to.
const COME_AGAIN: Duration = Duration::from_millis(2);
/// How often a client whose socket is not watched looks at it.
pub(crate) const LOOK: Duration = Duration::from_millis(40);

/// What a share is called that came without its name.
pub(crate) const INHERITED: &str = "an inherited share";

/// How a link has ended.
#[derive(Clone, Debug)]
pub(crate) enum Over {
    /// The owner has said so.
    End,
    /// The same, and why.
    Failed(Failure),
    /// Without a word.
    Gone,
}

/// The owner's answer to a hello.
pub(crate) struct Welcome {
    pub(crate) id: u64,
    pub(crate) caps: Caps,
    pub(crate) live: bool,
    pub(crate) fds: Vec<OwnedFd>,
}

/// Joins who listens at a place: as often as it asks to come again, since others crowd its door and say nothing.
pub(crate) fn join(place: &Place, hello: &Hello, cancelled: &dyn Fn() -> bool) -> Result<(Socket, Welcome), Error> {
    let deadline = Instant::now() + HELLO_PATIENCE;
    loop {
        let socket = Socket::connect(place, deadline, cancelled)?;
        match greet(&socket, place.name(), hello, &[], cancelled) {
            Err(Error::Told(failure)) if failure.reason == CROWDED && Instant::now() < deadline => {
                if cancelled() {
                    return Err(Error::Cancelled);
                }
                thread::sleep(COME_AGAIN);
            }
            greeted => return Ok((socket, greeted?)),
        }
    }
}

/// Says hello over an inherited socket, at whose other end the kernel cannot tell who has it, and waits for the owner's answer.
pub(crate) fn invited(socket: &Socket, hello: &Hello, cancelled: &dyn Fn() -> bool) -> Result<Welcome, Error> {
    let ourselves = Peer::ourselves();
    let hello = Hello {
        pid: Some(ourselves.pid),
        ..hello.clone()
    };
    let fds: Vec<_> = ourselves.pidfd.iter().map(AsFd::as_fd).collect();
    greet(socket, INHERITED, &hello, &fds, cancelled)
}

/// Says hello, and waits for the owner's answer.
pub(crate) fn greet(
    socket: &Socket,
    name: &str,
    hello: &Hello,
    fds: &[BorrowedFd<'_>],
    cancelled: &dyn Fn() -> bool,
) -> Result<Welcome, Error> {
    if socket.send(&FromClient::Hello(hello.clone()), fds).is_ok() {
        return greeting(socket, name, HELLO_PATIENCE, cancelled);
    }
    // The owner has sent us away before, and perhaps said why.
    match socket.receive::<ToClient>() {
        Ok(Received::Message(ToClient::Refused(failure) | ToClient::Failed(failure), _)) => Err(Error::Told(failure)),
        _ => Err(Error::Gone(name.into())),
    }
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
