//! Grants of slots to one other process: how they are told, how they come back, and what the owner keeps for itself.
//!
//! All truth is the owner's: [`Granted`] is private to it. Two pages are shared, each with one writer that counts:
//!
//! | page | the owner | the client |
//! |---|---|---|
//! | [`TellPage`] | writes: a ring of entries, "I sleep" | reads (its mapping is read-only) |
//! | [`ReturnPage`] | clears dirty bits and "I sleep", else reads | writes: `returned`, `dirty`, "I sleep", how far it has read |
//! | [`PublishPage`], of a producer | reads | writes: a ring of entries |
//!
//! What a client writes is used only as a clamped difference: it can give back no more than it was granted, and nobody else's. Nothing it
//! writes is waited for.
//!
//! ```text
//! owner:  granted += 1 ─ entry ─ written += 1 ─ fence ─ "client sleeps"? wake it
//! client: returned[slot] += 1 ─ dirty bit ─ fence ─ "owner sleeps"? wake it
//! ```
//!
//! SYNC POINT "told": the words of an entry happen before the client reads them: `written.store(Release)` in [`TellPage::tell`] pairs with
//! the `Acquire` load in [`TellPage::read`]; so do the slot's bytes, written long before.
//!
//! SYNC POINT "returned": the client's last read of a slot happens before the slot's next use: `returned.fetch_add(Release)` in
//! [`ReturnPage::give_back`] pairs with the `Acquire` load in [`Granted::drain`].
//!
//! A client that produces is granted slots to write, and tells by a ring of its own what it has filled. What it has told before it gave the
//! slot back is heard before: the owner looks at the returns first, then at the ring, and only then frees ([`Granted::drain`] gives what
//! came back, the caller puts the ring between).
//!
//! SYNC POINT "asleep": who sleeps says so, fences and looks once more; who has something to say says it, fences and looks whether the
//! other sleeps. Of the two looks at least one sees what the other side wrote.

use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// The most segments that one client knows.
#[cfg(not(loom))]
pub const SEGMENTS: usize = 64;
/// Slots per segment.
#[cfg(not(loom))]
pub const SLOTS: usize = crate::ledger::MAX_SLOTS as usize;
/// Entries of a ring: more than a client may hold, so it is full only for one that lies.
#[cfg(not(loom))]
pub const RING: usize = 128;
/// Words of an entry.
#[cfg(not(loom))]
pub const WORDS: usize = 24;

// The models need few of each.
/// As above.
#[cfg(loom)]
pub const SEGMENTS: usize = 1;
/// As above.
#[cfg(loom)]
pub const SLOTS: usize = 2;
/// As above.
#[cfg(loom)]
pub const RING: usize = 4;
/// As above.
#[cfg(loom)]
pub const WORDS: usize = 1;

/// What an entry of the ring carries; its meaning is that of the crates above.
pub type Entry = [u64; WORDS];

/// Alone on its cache line: what one side writes must not slow the other's line down.
#[derive(Debug)]
#[repr(C, align(64))]
struct Line<T>(T);

/// What the owner tells one client.
#[derive(Debug)]
#[repr(C)]
pub struct TellPage {
    ring: Ring,
    /// Not 0 while the owner sleeps.
    owner_sleeps: Line<AtomicU32>,
}

/// Entries in the order in which one side writes them, for the other to read.
#[derive(Debug)]
#[repr(C)]
struct Ring {
    /// Entries written so far (wraps).
    written: Line<AtomicU32>,
    entries: [Line<[AtomicU64; WORDS]>; RING],
}

/// What one client says to the owner.
#[derive(Debug)]
#[repr(C)]
pub struct ReturnPage {
    /// [`ReturnPage::ASLEEP`] while the client sleeps: on this word, as a futex. It lies here and not in the other page because a wait on
    /// memory that may only be read costs the kernel a second, slow look at the mapping.
    client_sleeps: Line<AtomicU32>,
    /// Entries that it has read (wraps): a hint for statistics.
    read: Line<AtomicU32>,
    /// Bit i of word s: slot i of segment s was given back since the owner looked.
    dirty: Line<[AtomicU64; SEGMENTS]>,
    /// How often each slot was given back (wraps).
    returned: [Line<[AtomicU32; SLOTS]>; SEGMENTS],
}

/// What one client that produces tells the owner: the same ring, the other way round.
#[derive(Debug, Default)]
#[repr(C)]
pub struct PublishPage {
    ring: Ring,
}

/// What [`TellPage::read`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing new.
    Nothing,
    /// The next entry: it was read.
    Entry,
    /// The owner has written over what was not read: this client gave back what it had not read.
    Overrun,
}

impl Default for Ring {
    fn default() -> Self {
        Ring {
            written: Line(AtomicU32::new(0)),
            entries: std::array::from_fn(|_| Line(std::array::from_fn(|_| AtomicU64::new(0)))),
        }
    }
}

impl Default for TellPage {
    fn default() -> Self {
        TellPage {
            ring: Ring::default(),
            owner_sleeps: Line(AtomicU32::new(0)),
        }
    }
}

impl Default for ReturnPage {
    fn default() -> Self {
        ReturnPage {
            client_sleeps: Line(AtomicU32::new(0)),
            read: Line(AtomicU32::new(0)),
            dirty: Line(std::array::from_fn(|_| AtomicU64::new(0))),
            returned: std::array::from_fn(|_| Line(std::array::from_fn(|_| AtomicU32::new(0)))),
        }
    }
}

impl Ring {
    fn tell(&self, number: u32, entry: &Entry) {
        // Behind it nothing of this entry may be seen before the count of the one before: a reader who meets a word of a newer entry
        // than it expects then also meets the count that says so.
        fence(Ordering::Release);
        for (word, value) in self.entries[number as usize % RING].0.iter().zip(entry) {
            word.store(*value, Ordering::Relaxed);
        }
        // SYNC POINT "told" (release side)
        self.written.0.store(number.wrapping_add(1), Ordering::Release);
    }

    #[inline]
    fn read(&self, number: u32, entry: &mut Entry) -> Told {
        // SYNC POINT "told" (acquire side)
        let ahead = self.written.0.load(Ordering::Acquire).wrapping_sub(number);
        if ahead == 0 {
            return Told::Nothing;
        }
        for (value, word) in entry.iter_mut().zip(&self.entries[number as usize % RING].0) {
            *value = word.load(Ordering::Relaxed);
        }
        fence(Ordering::Acquire);
        // At a whole ring ahead the other side may be writing over this entry now.
        if self.written.0.load(Ordering::Relaxed).wrapping_sub(number) as usize >= RING {
            return Told::Overrun;
        }
        Told::Entry
    }
}

impl TellPage {
    /// Owner: writes entry `number` (the count of those before it). What it grants must stand in [`Granted`] already, so it is mostly called by
    /// [`Granted::tell`].
    pub fn tell(&self, number: u32, entry: &Entry) {
        self.ring.tell(number, entry);
    }

    /// Client: reads entry `number` into `entry`, when it was told.
    #[inline]
    #[must_use]
    pub fn read(&self, number: u32, entry: &mut Entry) -> Told {
        self.ring.read(number, entry)
    }

    /// How many entries were told (wraps).
    #[must_use]
    pub fn written(&self) -> u32 {
        self.ring.written.0.load(Ordering::Acquire)
    }

    /// Client, after it has told something ([`PublishPage::tell`], [`ReturnPage::give_back`]): whether the owner says that it sleeps.
    #[must_use]
    pub fn must_wake_owner(&self) -> bool {
        // SYNC POINT "asleep"
        fence(Ordering::SeqCst);
        self.owner_sleeps.0.load(Ordering::Relaxed) != 0
    }

    /// Owner: says that it is about to sleep; it must drain once more before it does.
    pub fn owner_sleeps(&self) {
        self.owner_sleeps.0.store(1, Ordering::Relaxed);
        // SYNC POINT "asleep"
        fence(Ordering::SeqCst);
    }

    /// Owner: is awake.
    pub fn owner_wakes(&self) {
        self.owner_sleeps.0.store(0, Ordering::Relaxed);
    }
}

impl ReturnPage {
    /// Client: gives one grant of a slot back. True when the owner sleeps and is to be woken.
    #[must_use]
    pub fn give_back(&self, segment: usize, slot: usize, tell: &TellPage) -> bool {
        self.count_back(segment, slot);
        self.dirty.0[segment].fetch_or(1 << slot, Ordering::Release);
        tell.must_wake_owner()
    }

    /// The first half of [`ReturnPage::give_back`]: a client that dies here has given back nothing yet.
    #[doc(hidden)]
    pub fn count_back(&self, segment: usize, slot: usize) {
        // SYNC POINT "returned" (release side)
        self.returned[segment].0[slot].fetch_add(1, Ordering::Release);
    }

    /// What the word of [`ReturnPage::futex`] is while the client sleeps.
    pub const ASLEEP: u32 = 1;

    /// The word on which a client sleeps, while it is [`ReturnPage::ASLEEP`].
    #[must_use]
    pub fn futex(&self) -> &AtomicU32 {
        &self.client_sleeps.0
    }

    /// Client: says that it is about to sleep; it must look at the ring once more before it does.
    pub fn client_sleeps(&self) {
        self.client_sleeps.0.store(Self::ASLEEP, Ordering::Relaxed);
        // SYNC POINT "asleep"
        fence(Ordering::SeqCst);
    }

    /// Client: is awake, and has read so many entries.
    pub fn client_wakes(&self, read: u32) {
        self.client_sleeps.0.store(0, Ordering::Relaxed);
        self.read.0.store(read, Ordering::Relaxed);
    }

    /// Client: has read so many entries.
    pub fn has_read(&self, read: u32) {
        self.read.0.store(read, Ordering::Relaxed);
    }

    /// Owner, after [`TellPage::tell`]: whether the client says that it sleeps. Then it says so no more, so that one that is only about to
    /// sleep does not; and it is to be woken.
    #[must_use]
    pub fn must_wake_client(&self) -> bool {
        // SYNC POINT "asleep"
        fence(Ordering::SeqCst);
        // Mostly it is awake: a look costs less than an exchange.
        self.client_sleeps.0.load(Ordering::Relaxed) != 0 && self.client_sleeps.0.swap(0, Ordering::Release) != 0
    }

    /// Owner: entries of `written` that the client says it has not read, at most a ring of them.
    #[must_use]
    pub fn behind(&self, written: u32) -> u32 {
        written
            .wrapping_sub(self.read.0.load(Ordering::Relaxed))
            .min(RING as u32)
    }
}

impl PublishPage {
    /// Client: writes entry `number`. At most as many may be unread as it has slots, which is less than a ring.
    pub fn tell(&self, number: u32, entry: &Entry) {
        self.ring.tell(number, entry);
    }

    /// Owner: reads entry `number` into `entry`, when it was told. [`Told::Overrun`] from a client that lies.
    #[must_use]
    pub fn read(&self, number: u32, entry: &mut Entry) -> Told {
        self.ring.read(number, entry)
    }
}

/// What one client holds: the owner's own books, behind the owner's own lock.
#[derive(Debug)]
pub struct Granted {
    held: Box<[[u32; SLOTS]; SEGMENTS]>,
    seen: Box<[[u32; SLOTS]; SEGMENTS]>,
    outstanding: u32,
    refused: u64,
}

impl Default for Granted {
    fn default() -> Self {
        Granted {
            held: Box::new([[0; SLOTS]; SEGMENTS]),
            seen: Box::new([[0; SLOTS]; SEGMENTS]),
            outstanding: 0,
            refused: 0,
        }
    }
}

impl Granted {
    /// Grants slots (segment, slot), for each of which the owner holds a reference, and tells it by entry `number`. Noted first: whatever
    /// comes back stands in the books, whoever hears it.
    pub fn tell(
        &mut self,
        page: &TellPage,
        number: u32,
        entry: &Entry,
        slots: impl IntoIterator<Item = (usize, usize)>,
    ) {
        for (segment, slot) in slots {
            self.held[segment][slot] += 1;
            self.outstanding += 1;
        }
        page.tell(number, entry);
    }

    /// Grants that have not come back.
    #[must_use]
    pub fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// Returns that were claimed and not granted before: lies.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// How often a slot is granted now.
    #[must_use]
    pub fn held(&self, segment: usize, slot: usize) -> u32 {
        self.held.get(segment).and_then(|s| s.get(slot)).copied().unwrap_or(0)
    }

    /// Hears what was given back in the first `segments` segments: `free(segment, slot, how often)`, never more than was granted.
    pub fn drain(&mut self, page: &ReturnPage, segments: usize, mut free: impl FnMut(usize, usize, u32)) {
        for segment in 0..segments.min(SEGMENTS) {
            let dirty = &page.dirty.0[segment];
            // Mostly nothing: a look costs less than an exchange.
            if dirty.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut bits = dirty.swap(0, Ordering::Acquire);
            while bits != 0 {
                let slot = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                if slot < SLOTS {
                    self.drain_slot(page, segment, slot, &mut free);
                }
            }
        }
    }

    fn drain_slot(&mut self, page: &ReturnPage, segment: usize, slot: usize, free: &mut impl FnMut(usize, usize, u32)) {
        // SYNC POINT "returned" (acquire side)
        let returned = page.returned[segment].0[slot].load(Ordering::Acquire);
        let claimed = returned.wrapping_sub(self.seen[segment][slot]);
        self.seen[segment][slot] = returned;
        let held = &mut self.held[segment][slot];
        let count = claimed.min(*held);
        *held -= count;
        self.outstanding -= count;
        self.refused = self.refused.saturating_add(u64::from(claimed - count));
        if count > 0 {
            free(segment, slot, count);
        }
    }

    /// Takes one grant back that the client says it has not looked at. False when there is none.
    pub fn revoke(&mut self, segment: usize, slot: usize) -> bool {
        let Some(held) = self
            .held
            .get_mut(segment)
            .and_then(|s| s.get_mut(slot))
            .filter(|held| **held > 0)
        else {
            return false;
        };
        *held -= 1;
        self.outstanding -= 1;
        true
    }

    /// The client is gone: everything that it held, without a look at anything shared.
    pub fn sweep(&mut self, mut free: impl FnMut(usize, usize, u32)) {
        for (segment, slots) in self.held.iter_mut().enumerate() {
            for (slot, held) in slots.iter_mut().enumerate().filter(|(_, held)| **held > 0) {
                free(segment, slot, std::mem::take(held));
            }
        }
        self.outstanding = 0;
    }
}

/// Faults for the models to find: what the functions above would be without the step that each rule is about.
#[cfg(loom)]
#[doc(hidden)]
pub mod planted {
    use super::{Ordering, ReturnPage, TellPage};

    /// [`ReturnPage::give_back`] without the fence before the look at "I sleep".
    #[must_use]
    pub fn give_back_unfenced(page: &ReturnPage, segment: usize, slot: usize, tell: &TellPage) -> bool {
        page.returned[segment].0[slot].fetch_add(1, Ordering::Release);
        page.dirty.0[segment].fetch_or(1 << slot, Ordering::Release);
        tell.owner_sleeps.0.load(Ordering::Relaxed) != 0
    }
}
