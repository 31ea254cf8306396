//! Who holds which slot of one segment: private to the owner, lock-free, without a syscall or an allocation.
//!
//! One 64-bit word per slot and one free map of 64 bits per segment.
//!
//! ```text
//! word:  generation (32) | exclusive (1) | references (31)
//! free:  bit i set = slot i may be taken
//! ```
//!
//! | who | may touch |
//! |---|---|
//! | the thread that cleared the free bit, until it freezes | its word, by plain stores (`exclusive` is set) |
//! | everybody who holds a reference | its word, by `fetch_add`, `fetch_sub`, compare-exchange |
//! | nobody without a reference | nothing but [`Ledger::resolve`], which adds a reference only while there is one and the generation fits |
//!
//! SYNC POINT "freed": the release of a slot's last reference happens before its next `take`: `free.fetch_or(Release)` in
//! [`Ledger::release`] pairs with the `Acquire` of the exchange in [`Ledger::take`]. All reads of the slot's bytes by its last
//! holders come before it by the `AcqRel` of the `fetch_sub`.

use crate::sync::{AtomicU64, Ordering};

/// The most slots that one ledger (one segment) can hold: the width of the free map.
pub const MAX_SLOTS: u32 = 64;

const EXCLUSIVE: u64 = 1 << 31;
const REFERENCES: u64 = EXCLUSIVE - 1;
const GENERATION_SHIFT: u32 = 32;

/// The books of one segment.
#[derive(Debug)]
pub struct Ledger {
    words: Box<[AtomicU64]>,
    free: AtomicU64,
    /// Whether the slots are another process's: then these books count our own holds alone, and generations are the owner's.
    far: bool,
}

/// What [`Ledger::take`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Which slot, `0..slots`.
    pub index: u32,
    /// How often this slot was freed before (wraps).
    pub generation: u32,
    /// Slots of this segment in use after the take.
    pub in_use: u32,
}

impl Ledger {
    /// Books for `slots` slots (1 to [`MAX_SLOTS`], clamped); all free, or all lent to a driver when `all_taken`.
    #[must_use]
    pub fn new(slots: u32, all_taken: bool) -> Self {
        let slots = slots.clamp(1, MAX_SLOTS);
        let all = if slots == 64 { u64::MAX } else { (1 << slots) - 1 };
        Ledger {
            words: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            free: AtomicU64::new(if all_taken { 0 } else { all }),
            far: false,
        }
    }

    /// Books over slots of another process, which grants them ([`Ledger::receive`]); whether we may write them is the caller's to know.
    #[must_use]
    pub fn far(slots: u32) -> Self {
        Ledger {
            far: true,
            ..Ledger::new(slots, true)
        }
    }

    /// One more reference, by a grant of the owner's. True when it is the only one: then the grant is given back with the last release.
    /// Else the slot is held by an earlier grant already, and this one is to be given back at once.
    ///
    /// A release that falls to 0 at the same time is no trouble: each reference from 0 to 1 has a grant of its own.
    pub fn receive(&self, index: u32, generation: u32) -> bool {
        let word = &self.words[index as usize];
        let mut now = word.load(Ordering::Relaxed);
        loop {
            let references = (now & REFERENCES) + 1;
            let next = u64::from(generation) << GENERATION_SHIFT | references;
            match word.compare_exchange_weak(now, next, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return references == 1,
                Err(other) => now = other,
            }
        }
    }

    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.words.len() as u32
    }

    /// Slots that somebody holds. A snapshot.
    #[must_use]
    pub fn in_use(&self) -> u32 {
        self.slots() - self.free.load(Ordering::Relaxed).count_ones()
    }

    /// Takes the lowest free slot, exclusively. The lowest, because its pages are the warmest.
    pub fn take(&self) -> Option<Taken> {
        // `SeqCst` for a waiter that announced itself before it looks (see `free`); what a failed exchange reads below is newer.
        let mut free = self.free.load(Ordering::SeqCst);
        loop {
            if free == 0 {
                return None;
            }
            let index = free.trailing_zeros();
            // SYNC POINT "freed" (acquire side)
            match self
                .free
                .compare_exchange_weak(free, free & !(1 << index), Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => {
                    let in_use = self.slots() - (free.count_ones() - 1);
                    return Some(Taken {
                        index,
                        generation: self.occupy(index),
                        in_use,
                    });
                }
                Err(now) => free = now,
            }
        }
    }

    /// Takes one given slot whose bit is not in the free map (a driver held it). The caller is its only user.
    pub fn occupy(&self, index: u32) -> u32 {
        let word = &self.words[index as usize];
        let generation = (word.load(Ordering::Relaxed) >> GENERATION_SHIFT) as u32;
        word.store(
            u64::from(generation) << GENERATION_SHIFT | EXCLUSIVE | 1,
            Ordering::Relaxed,
        );
        generation
    }

    /// Ends exclusivity: from now on the slot may be read by many.
    pub fn share(&self, index: u32) {
        let word = &self.words[index as usize];
        // A plain store: while EXCLUSIVE is set nobody else changes the word (see `resolve`).
        word.store(word.load(Ordering::Relaxed) & !EXCLUSIVE, Ordering::Release);
    }

    /// One more reference, by somebody who holds one.
    pub fn retain(&self, index: u32) {
        self.words[index as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// One more reference, by somebody who only knows slot and generation. False when the slot was freed or is being written.
    pub fn resolve(&self, index: u32, generation: u32) -> bool {
        let Some(word) = self.words.get(index as usize) else {
            return false;
        };
        let mut now = word.load(Ordering::Relaxed);
        loop {
            if (now >> GENERATION_SHIFT) as u32 != generation || now & EXCLUSIVE != 0 || now & REFERENCES == 0 {
                return false;
            }
            match word.compare_exchange_weak(now, now + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
    }

    /// Takes the slot out of sharing when the caller holds its only reference: one atomic step.
    pub fn try_exclusive(&self, index: u32) -> bool {
        let word = &self.words[index as usize];
        let now = word.load(Ordering::Relaxed);
        now & (EXCLUSIVE | REFERENCES) == 1
            && word
                .compare_exchange(now, now | EXCLUSIVE, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }

    /// References that exist now, the generation. A snapshot for statistics and tests.
    #[must_use]
    pub fn look(&self, index: u32) -> (u32, u32) {
        let word = self.words[index as usize].load(Ordering::Relaxed);
        ((word & REFERENCES) as u32, (word >> GENERATION_SHIFT) as u32)
    }

    /// Gives one reference back. True when it was the last: the slot's generation has risen, and the caller passes the slot on
    /// by [`Ledger::free`] (or to its driver). Until then nobody can take it.
    #[must_use]
    pub fn release(&self, index: u32) -> bool {
        let word = &self.words[index as usize];
        let before = word.load(Ordering::Relaxed);
        if before & EXCLUSIVE == 0 {
            let before = word.fetch_sub(1, Ordering::AcqRel);
            if before & REFERENCES != 1 {
                return false;
            }
            if self.far {
                // The owner counts the generations, and may have granted the slot anew by now.
                return true;
            }
        }
        let generation = ((before >> GENERATION_SHIFT) as u32).wrapping_add(1);
        word.store(u64::from(generation) << GENERATION_SHIFT, Ordering::Relaxed);
        true
    }

    /// Puts a released slot into the free map.
    ///
    /// `SeqCst`, because whoever waits for a slot announces itself and then looks at the map (see [`crate::wait::Gate`]).
    pub fn free(&self, index: u32) {
        // SYNC POINT "freed" (release side)
        self.free.fetch_or(1 << index, Ordering::SeqCst);
    }

    /// How often slots were taken, all together. Never too many; for a moment one too few for each slot that is being released.
    #[must_use]
    pub fn uses(&self) -> u64 {
        let uses = |word: &AtomicU64| {
            let word = word.load(Ordering::Relaxed);
            (word >> GENERATION_SHIFT) + u64::from(word & REFERENCES != 0)
        };
        self.words.iter().map(uses).sum()
    }
}
