//! What all clients do alike: the owner's answer to a hello, the names of slots, sleeping.

use crate::{
    error::Error,
    message::SlotAt,
    socket::{Received, Socket},
    wire::ToClient,
};
use beamline_arena::{FarPool, Lease, grant::ReturnPage};
use beamline_media::Caps;
use rustix::{event::Timespec, fd::OwnedFd, thread::futex};
use std::time::{Duration, Instant};

/// How long a greeting may take.
pub(crate) const HELLO_PATIENCE: Duration = Duration::from_secs(5);
/// The same where one only looks: whoever lists shares does not wait for one that is stuck.
pub(crate) const LOOK_PATIENCE: Duration = Duration::from_secs(1);
/// How often a client that sleeps looks at its socket: that is how soon it learns that the owner is gone.
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

/// Sleeps until more than `read` entries are told, or a while. True when it was woken and none was told: for what the socket says.
pub(crate) fn sleep_until_told(pool: &FarPool, read: u32, at_most: Duration) -> bool {
    let (tell, returns) = (pool.tell(), pool.returns());
    returns.client_sleeps();
    let mut woken = false;
    if tell.written() == read {
        let timeout = Timespec {
            tv_sec: at_most.as_secs() as i64,
            tv_nsec: i64::from(at_most.subsec_nanos()),
        };
        // It returns at once when we are not asleep any more: an entry came meanwhile.
        let slept = futex::wait(
            returns.futex(),
            futex::Flags::empty(),
            ReturnPage::ASLEEP,
            Some(&timeout),
        );
        woken = slept.is_ok() && tell.written() == read;
    }
    returns.client_wakes(read);
    woken
}
