//! A pool whose slots belong to a driver: V4L2 buffers, surfaces.
//!
//! Slots keep their index. The driver's thread lends a filled one out as a frame ([`BoundPool::lend`]); the last release hands the
//! index back to that thread, which takes it with [`BoundPool::take_returned`] and sleeps on [`BoundPool::fd`] in between.

use crate::{
    class::{HandBack, Home, SizeClass},
    error::Error,
    lease::SlotMut,
    pool::{MAX_SLOT, Pool},
    segment::page_size,
    stats::Stats,
    sync::{AtomicU32, AtomicU64, Ordering},
};
use rustix::event::{EventfdFlags, eventfd};
use std::{
    os::fd::{AsFd, BorrowedFd},
    ptr::NonNull,
};

/// One segment whose slots go to and fro between a driver and frames.
#[derive(Debug)]
pub struct BoundPool {
    class: SizeClass,
    slots: u32,
    /// Bit i: slot i is in the driver's hands, so that it may be lent.
    at_driver: AtomicU64,
}

impl BoundPool {
    /// `slots` (1 to 64) slots of at least `len` bytes, all in the driver's hands.
    ///
    /// # Errors
    /// As [`SizeClass::acquire`] with [`crate::Wait::Grow`], and [`Error::Os`] without an eventfd.
    pub fn new(pool: &Pool, len: usize, slots: u32) -> Result<Self, Error> {
        if len == 0 || len > MAX_SLOT || !(1..=crate::ledger::MAX_SLOTS).contains(&slots) {
            return Err(Error::Size {
                got: len.saturating_mul(slots as usize),
                max: MAX_SLOT,
            });
        }
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|e| Error::Os {
            bytes: 0,
            source: e.into(),
        })?;
        let hand_back = HandBack {
            returned: AtomicU64::new(0),
            wake_me: AtomicU32::new(0),
            eventfd,
        };
        let class = SizeClass::new(
            pool.inner().clone(),
            len.next_multiple_of(page_size()),
            Home::Driver(hand_back),
        );
        class.add_bank(slots, true)?;
        let all = if slots == 64 { u64::MAX } else { (1 << slots) - 1 };
        let bound = BoundPool {
            class,
            slots,
            at_driver: AtomicU64::new(0),
        };
        bound.hand_back().returned.store(all, Ordering::SeqCst);
        Ok(bound)
    }

    fn hand_back(&self) -> &HandBack {
        match &self.class.0.home {
            Home::Driver(hand_back) => hand_back,
            _ => unreachable!("made with one"),
        }
    }

    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// Where slot `index` lies, to be told to the driver.
    ///
    /// # Panics
    /// When there is no such slot.
    #[must_use]
    pub fn slot_ptr(&self, index: u32) -> NonNull<u8> {
        self.class.0.slot_ptr(0, index)
    }

    /// A slot that came back (all, at first), lowest first. Only the driver's thread calls this.
    pub fn take_returned(&self) -> Option<u32> {
        let returned = &self.hand_back().returned;
        let now = returned.load(Ordering::Acquire);
        (now != 0).then(|| {
            let index = now.trailing_zeros();
            returned.fetch_and(!(1 << index), Ordering::AcqRel);
            self.at_driver.fetch_or(1 << index, Ordering::AcqRel);
            index
        })
    }

    /// The slot that the driver has filled, as the one who may still write it. `None` when it is not the driver's now: it is out
    /// as a frame, or came back and was not taken.
    pub fn lend(&self, index: u32) -> Option<SlotMut> {
        if index >= self.slots {
            return None;
        }
        if self.at_driver.fetch_and(!(1 << index), Ordering::AcqRel) & 1 << index == 0 {
            return None;
        }
        self.class.0.bank(0).ledger.occupy(index);
        self.class.0.note_use(self.lent());
        Some(SlotMut::new(self.class.lease(0, index)))
    }

    fn lent(&self) -> u32 {
        let ledger = &self.class.0.bank(0).ledger;
        (0..self.slots).filter(|i| ledger.look(*i).0 != 0).count() as u32
    }

    /// Readable when a slot came back after [`BoundPool::about_to_sleep`].
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.hand_back().eventfd.as_fd()
    }

    /// Asks to be woken by [`BoundPool::fd`]. False when something has come back already: look again instead of sleeping.
    #[must_use]
    pub fn about_to_sleep(&self) -> bool {
        let hand_back = self.hand_back();
        hand_back.wake_me.store(1, Ordering::SeqCst);
        hand_back.returned.load(Ordering::SeqCst) == 0
    }

    /// Takes the wish to be woken back and empties the eventfd.
    pub fn awake(&self) {
        let hand_back = self.hand_back();
        hand_back.wake_me.store(0, Ordering::SeqCst);
        let _ = rustix::io::read(&hand_back.eventfd, &mut [0u8; 8]);
    }

    /// Numbers of this pool; `live` counts the slots that are out as frames or with the driver.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.class.stats()
    }
}
