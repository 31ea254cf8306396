//! Stray stores into memory of another process, found and undone.
//!
//! JavaScript knows no read-only memory, so it sees another process's slots through a private mapping ([`crate::Access::Private`]): a store
//! makes a page of our own, which nobody else sees, and which no longer follows the owner's: later frames in that slot would show it. The
//! kernel's page map of this process tells such pages, and a page that is let go (`MADV_DONTNEED`) is the owner's again.
//!
//! | page of a private mapping of a file | present (63) | swapped (62) | of a file (61) |
//! |---|---|---|---|
//! | not touched | 0 | 0 | 0 |
//! | read | 1 | 0 | 1 |
//! | stored into | 1 | 0 | 0 |
//! | stored into, swapped out | 0 | 1 | 0 |
//!
//! (`Documentation/admin-guide/mm/pagemap.rst`; all but the last row are shown by `tests/stray.rs`.) Where `/proc` is not mounted nothing is
//! found.
//!
//! To look costs 1 µs and 30 ns per page, 27 µs for a 1080p frame. So a slot that JavaScript was shown is looked at, with its last release
//! and before its owner gets it back, wholly in development; else every [`TURNS`]th time, and then at the next [`PART_PAGES`] of its pages:
//! 60 ns per frame (`examples/stray_cost.rs`). Once something was found in a segment, all its slots are looked at, at once, and from then on wholly and always.
//!
//! Not here: other mappings of a slot (`Segment::map_slot_over`). Who makes them knows when nobody looks at them, and asks
//! [`crate::Arena::undo_strays`].

use crate::{
    segment::{Segment, page_size},
    sync::{AtomicU32, AtomicU64, Mutex, Ordering, lock},
};
use rustix::{
    fs::{Mode, OFlags},
    mm::Advice,
};
use std::{
    fmt,
    os::fd::OwnedFd,
    ptr::NonNull,
    sync::{OnceLock, atomic::AtomicBool},
};

/// Every so many releases of shown slots one is looked at. A prime: slots that come in turn are all met.
pub const TURNS: u32 = 61;
/// Pages that are looked at then: of a 1080p frame in I420 a twelfth.
pub const PART_PAGES: usize = 64;
/// Entries that are read at once; the kernel walks as many at a time.
const CHUNK: usize = 512;
const ENTRY: usize = size_of::<u64>();

const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_FILE: u64 = 1 << 61;

/// Whether a page of a private mapping of a file is one of our own.
fn is_ours(entry: u64) -> bool {
    entry & (PRESENT | SWAPPED) != 0 && entry & OF_FILE == 0
}

/// Tells that something was found. False when there is nobody to tell any more.
pub(crate) type Teller = Box<dyn Fn() -> bool + Send + Sync>;

/// What an arena knows of stray stores.
#[derive(Default)]
pub(crate) struct Strays {
    always: AtomicBool,
    found: AtomicU64,
    tellers: Mutex<Vec<Teller>>,
    pagemap: OnceLock<Option<OwnedFd>>,
}

impl fmt::Debug for Strays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strays")
            .field("always", &self.always)
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

impl Strays {
    /// Looks always and everywhere from now on, and tells of the first find.
    pub(crate) fn watch(&self, tell: Teller) {
        lock(&self.tellers).push(tell);
        self.always.store(true, Ordering::Relaxed);
    }

    /// How often something was found.
    pub(crate) fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    fn pagemap(&self) -> Option<&OwnedFd> {
        let open = || {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            rustix::fs::open("/proc/self/pagemap", flags, Mode::empty()).ok()
        };
        self.pagemap.get_or_init(open).as_ref()
    }

    /// Looks at `len` bytes from `at`, or at one part of them (of [`PART_PAGES`], counted around), and lets go of pages that were stored into.
    /// Gives whether there were any.
    ///
    /// # Safety
    /// `at .. at + len` are whole pages of a private mapping of a file, which stays mapped through the call; what they show may change.
    pub(crate) unsafe fn undo(&self, at: NonNull<u8>, len: usize, part: Option<u32>) -> bool {
        let pages = len / page_size();
        let (from, to) = part.map_or((0, pages), |part| {
            let from = part as usize % pages.div_ceil(PART_PAGES).max(1) * PART_PAGES;
            (from, pages.min(from + PART_PAGES))
        });
        let mut found = false;
        let mut page = from;
        while page < to {
            let count = (to - page).min(CHUNK);
            // SAFETY: pages of that range, by this function's contract.
            found |= unsafe { self.undo_chunk(at.add(page * page_size()), count) };
            page += count;
        }
        if found {
            self.found.fetch_add(1, Ordering::Relaxed);
            self.tell();
        }
        found
    }

    /// # Safety
    /// As [`Strays::undo`], for `count` pages, at most [`CHUNK`].
    unsafe fn undo_chunk(&self, at: NonNull<u8>, count: usize) -> bool {
        let mut bytes = [0; CHUNK * ENTRY];
        let bytes = &mut bytes[..count * ENTRY];
        let offset = (at.as_ptr().addr() / page_size() * ENTRY) as u64;
        let Some(Ok(read)) = self.pagemap().map(|map| rustix::io::pread(map, &mut *bytes, offset)) else {
            return false;
        };
        let entries = bytes[..read].chunks_exact(ENTRY);
        let mut ours = entries.map(|e| is_ours(u64::from_ne_bytes(e.try_into().unwrap_or_default())));
        let (mut page, mut found) = (0, false);
        while let Some(begin) = ours.position(|ours| ours) {
            let run = 1 + ours.by_ref().take_while(|ours| *ours).count();
            let begin = page + begin;
            // SAFETY: whole pages inside the range; a private page of a file that is let go is read from the file again, which cannot be
            // cut short (`check_seals`).
            let done = unsafe {
                let from = at.add(begin * page_size()).as_ptr().cast();
                rustix::mm::madvise(from, run * page_size(), Advice::LinuxDontNeed)
            };
            found |= done.is_ok();
            // The page behind a run was looked at with it.
            page = begin + run + 1;
        }
        found
    }

    #[cold]
    fn tell(&self) {
        // Once: who was told is forgotten with all others.
        let mut tellers = lock(&self.tellers);
        if tellers.iter().any(|tell| tell()) {
            tellers.clear();
        }
    }
}

/// Which slots of one far segment JavaScript was shown, and when they are looked at.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Bit i: slot i, since its last release.
    slots: AtomicU64,
    turn: AtomicU32,
    /// Which part of each slot is looked at next.
    parts: Box<[AtomicU32]>,
    /// Something was found.
    suspect: AtomicBool,
}

impl Shown {
    pub(crate) fn new(slots: u32) -> Self {
        Shown {
            slots: AtomicU64::new(0),
            turn: AtomicU32::new(0),
            // Slots begin at different parts: who stores always at the same place is met the sooner.
            parts: (0..slots).map(|slot| AtomicU32::new(slot * 5)).collect(),
            suspect: AtomicBool::new(false),
        }
    }

    /// JavaScript sees a slot.
    pub(crate) fn show(&self, slot: u32) {
        let bit = 1 << slot;
        if self.slots.load(Ordering::Relaxed) & bit == 0 {
            self.slots.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// The last release of a slot, which is not given back yet: nobody here looks at it.
    pub(crate) fn released(&self, strays: &Strays, segment: &Segment, slot: u32) {
        let bit = 1 << slot;
        // Who showed it has released it before us.
        if self.slots.load(Ordering::Relaxed) & bit == 0 {
            return;
        }
        self.slots.fetch_and(!bit, Ordering::Relaxed);
        let part = if strays.always.load(Ordering::Relaxed) || self.suspect.load(Ordering::Relaxed) {
            None
        } else if self.turn.fetch_add(1, Ordering::Relaxed) % TURNS == TURNS - 1 {
            Some(self.parts[slot as usize].fetch_add(1, Ordering::Relaxed))
        } else {
            return;
        };
        // SAFETY: a slot of a segment that is mapped privately (`FarPool::attach` makes a `Shown` for no other). Should a further grant of it
        // be read by now, its reader comes to see the owner's bytes, which are the ones he was granted.
        let found = unsafe { strays.undo(segment.slot(slot), segment.slot_size(), part) };
        if found && !self.suspect.swap(true, Ordering::Relaxed) {
            self.clean_up(strays, segment);
        }
    }

    /// Undoes what is left from before the first find. Slots that JavaScript sees now are looked at with their release.
    #[cold]
    fn clean_up(&self, strays: &Strays, segment: &Segment) {
        let seen = self.slots.load(Ordering::Relaxed);
        for slot in (0..segment.slots()).filter(|slot| seen & 1 << slot == 0) {
            // SAFETY: as in `released`. Should somebody of ours hold the slot, he comes to see the owner's bytes.
            unsafe { strays.undo(segment.slot(slot), segment.slot_size(), None) };
        }
    }
}
