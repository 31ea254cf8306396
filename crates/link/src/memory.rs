//! Where what readers may hold is set aside: the memory of the source, as its last frame shows it.

use crate::wire::{ClientPolicy, Failure, Hello};
use beamline_arena::{Error, Reservation, Reserve};
use beamline_media::{ErrorCode, Frame};

/// The memory of one size of one source.
#[derive(Debug)]
pub(crate) struct Memory {
    reserve: Reserve,
    /// Slots of one frame.
    slots: u32,
}

/// Tells the memory of a frame from that of others, for as long as somebody has its [`Memory`]. Never 0.
pub(crate) fn key(frame: &Frame) -> usize {
    // An address of some alignment leaves room for up to four slots.
    let class = frame.leases().next().map_or(0, beamline_arena::Lease::class_id);
    class << 3 | frame.leases().count()
}

impl Memory {
    /// Of a frame's first slot: a frame in several mostly has all of them there.
    pub(crate) fn of(frame: &Frame) -> Option<Self> {
        let mut leases = frame.leases();
        let reserve = Reserve::of(leases.next()?)?;
        let slots = 1 + leases.count() as u32;
        Some(Memory { reserve, slots })
    }

    /// Sets aside what a reader may hold, and what may wait for it here. Frames of a driver wait only while it has enough of them, so
    /// for them nothing is set aside.
    pub(crate) fn set_aside(&self, hello: &Hello) -> Result<Reservation, Failure> {
        let waiting = match hello.policy {
            _ if self.reserve.is_bound() => 0,
            ClientPolicy::Latest => 1,
            _ => hello.queue,
        };
        let wanted = (hello.hold + waiting) * self.slots;
        self.reserve.set_aside(wanted).map_err(|error| {
            let free = match error {
                Error::Promised { free, .. } => (free / self.slots).saturating_sub(waiting),
                _ => 0,
            };
            let message = format!(
                "expected a reader that holds at most {free} frames, as many as this share can still set aside, but received one that may \
                 hold {}",
                hello.hold
            );
            Failure::new(ErrorCode::Quota, BUDGET, message)
        })
    }
}

/// Why a reader is refused that would hold more than there is.
const BUDGET: &str = "share-budget";
