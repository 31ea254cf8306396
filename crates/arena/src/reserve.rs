//! Slots that are set aside for others, who hold frames for as long as they like: readers in other processes.
//!
//! The source and those who take its frames here have slots of their own. For what others may hold the class grows, at once and within the
//! budgets of bytes. Where it cannot (slots that belong to a driver, a budget that is used up), slots are set aside among those that there
//! are, and the source keeps half of its own, a driver [`LEFT_FOR_DRIVER`].
//!
//! It is a count, not a choice of slots: who was promised four may hold any four.

use crate::{
    class::{ClassInner, Home, SizeClass},
    error::Error,
    lease::Lease,
    ledger::MAX_SLOTS,
    sync::lock,
};
use std::sync::{Arc, Weak};

/// Slots that stay with a driver, whatever others were promised.
pub const LEFT_FOR_DRIVER: u32 = 2;
/// Slots by which a class grows at least, where the budget has as many: each segment costs whoever maps it.
const CHUNK: u32 = 16;

/// What was promised, under the class's lock.
#[derive(Debug, Default)]
pub(crate) struct SetAside {
    /// Slots promised now.
    promised: u32,
    /// Slots that the class has only for promises' sake.
    grown: u32,
}

/// Where slots like a frame's are set aside. It keeps no memory alive.
#[derive(Clone, Debug)]
pub struct Reserve(Weak<ClassInner>);

/// Slots that were set aside. Dropping it sets them free for the next promise.
#[derive(Debug)]
pub struct Reservation {
    class: Weak<ClassInner>,
    slots: u32,
}

impl Reserve {
    /// Where slots like this one are set aside; `None` for another process's.
    #[must_use]
    pub fn of(lease: &Lease) -> Option<Self> {
        let class = lease.class();
        (!class.is_far()).then(|| Reserve(Arc::downgrade(class)))
    }

    /// Whether the slots are a driver's: then there will never be more of them.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.0.upgrade().is_some_and(|c| matches!(c.home, Home::Driver(_)))
    }

    /// Sets slots aside, all or none. A class that is gone promises anything: nothing of it can be held.
    ///
    /// Blocks: never. Cost: some 20 µs where the class grows, else some 50 ns.
    ///
    /// # Errors
    /// [`Error::Promised`] with what is free.
    pub fn set_aside(&self, slots: u32) -> Result<Reservation, Error> {
        if let Some(class) = self.0.upgrade() {
            class.promise(slots)?;
        }
        Ok(Reservation {
            class: self.0.clone(),
            slots,
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(class) = self.class.upgrade() {
            let mut aside = lock(&class.set_aside);
            aside.promised = aside.promised.saturating_sub(self.slots);
        }
    }
}

impl ClassInner {
    fn promise(self: &Arc<Self>, slots: u32) -> Result<(), Error> {
        let mut aside = lock(&self.set_aside);
        let wanted = aside.promised.saturating_add(slots);
        let own = self.slots() - aside.grown;
        let kept = match self.home {
            Home::Driver(_) => LEFT_FOR_DRIVER,
            _ => own.div_ceil(2).max(LEFT_FOR_DRIVER),
        };
        let spare = own.saturating_sub(kept);
        let mut room = aside.grown + spare;
        if wanted > aside.grown && matches!(self.home, Home::Here) {
            let growable = self.growable();
            if wanted <= room + growable {
                let missing = wanted - aside.grown;
                let class = SizeClass(Arc::clone(self));
                aside.grown += class.grow_by(missing.max(CHUNK).min(growable));
            } else {
                // Nothing is made for what is refused.
                room += growable;
            }
            room = room.max(aside.grown + spare);
        }
        if wanted > room {
            return Err(Error::Promised {
                pool: self.label(),
                wanted: slots,
                free: room.saturating_sub(aside.promised),
            });
        }
        aside.promised = wanted;
        Ok(())
    }

    /// Slots for which there are bytes and segments.
    fn growable(&self) -> u32 {
        let segments = self.segments_left().saturating_mul(MAX_SLOTS);
        let slots = self.pool.bytes_left() / self.slot_size as u64;
        u32::try_from(slots).unwrap_or(u32::MAX).min(segments)
    }
}

impl SizeClass {
    /// Adds segments of so many slots together; gives how many came about.
    fn grow_by(&self, slots: u32) -> u32 {
        let _one_at_a_time = lock(&self.0.growing);
        let mut added = 0;
        while added < slots {
            let next = (slots - added).min(MAX_SLOTS);
            if self.add_bank(next, false).is_err() {
                break;
            }
            added += next;
        }
        added
    }
}
