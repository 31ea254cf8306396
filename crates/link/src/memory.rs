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
    /// Frames that are set aside for all whose oldest waiting frame makes room: what waits for them are the newest frames, the same for
    /// each.
    newest: u32,
    newest_slots: Vec<Reservation>,
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
        Some(Memory {
            reserve,
            slots,
            newest: 0,
            newest_slots: Vec::new(),
        })
    }

    /// Sets aside what a reader may hold, and what may wait for it here. Frames of a driver wait only while it has enough of them, so
    /// for them nothing is set aside.
    pub(crate) fn set_aside(&mut self, hello: &Hello) -> Result<Reservation, Failure> {
        let (own, shared) = match hello.policy {
            _ if self.reserve.is_bound() => (0, 0),
            ClientPolicy::DropNewest => (hello.queue, 0),
            ClientPolicy::DropOldest => (0, hello.queue),
            ClientPolicy::Latest => (0, 1),
        };
        let more = shared.saturating_sub(self.newest);
        let newest = self.reserve.set_aside(more * self.slots);
        let newest = newest.map_err(|error| self.refusal(hello, more + own, &error))?;
        // What waits is set aside already: it is missing in what is free.
        let reservation = self.reserve.set_aside((hello.hold + own) * self.slots);
        let reservation = reservation.map_err(|error| self.refusal(hello, own, &error))?;
        if more > 0 {
            self.newest += more;
            self.newest_slots.push(newest);
        }
        Ok(reservation)
    }

    fn refusal(&self, hello: &Hello, waiting: u32, error: &Error) -> Failure {
        let free = match self.reserve.set_aside(u32::MAX) {
            Err(Error::Promised { free, .. }) => (free / self.slots).saturating_sub(waiting),
            _ => 0,
        };
        tracing::debug!(%error, "a reader is refused");
        let message = format!(
            "expected a reader that holds at most {free} frames, as many as this share can still set aside, but received one that may hold \
             {}",
            hello.hold
        );
        Failure::new(ErrorCode::Quota, BUDGET, message)
    }
}

/// Why a reader is refused that would hold more than there is.
const BUDGET: &str = "share-budget";
