//! Holding a slot: alone and writing ([`SlotMut`]), or with others and reading ([`Lease`]).

use crate::{
    class::{ClassInner, Home},
    far::WayBack,
    segment::Segment,
    sync::Ordering,
};
use std::{
    fmt,
    ops::{Deref, DerefMut},
    ptr::NonNull,
    sync::Arc,
};

/// A name for one use of a slot: small, copyable, serialisable, and worth nothing until the owner's ledger agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotRef {
    /// Which arena (one per process and runtime).
    pub arena: u64,
    /// Which segment of it.
    pub segment: u32,
    /// Which slot of the segment.
    pub slot: u32,
    /// Which use of the slot: rises at each free.
    pub generation: u32,
}

/// A shared, read-only hold on a slot. Clones hold too; at the last drop the slot is free again (or its driver's).
///
/// Thread: any. Clone and drop cost a few nanoseconds, never block and never allocate.
pub struct Lease {
    class: Arc<ClassInner>,
    ptr: NonNull<u8>,
    bank: u32,
    slot: u32,
}

// SAFETY: the pointer leads into a mapping that `class` keeps alive; through a `Lease` it is only read.
unsafe impl Send for Lease {}
// SAFETY: as above.
unsafe impl Sync for Lease {}

impl Lease {
    pub(crate) fn new(class: Arc<ClassInner>, bank: u32, slot: u32) -> Self {
        let ptr = class.slot_ptr(bank, slot);
        Lease { class, ptr, bank, slot }
    }

    /// Bytes of the slot.
    #[must_use]
    pub fn len(&self) -> usize {
        self.class.slot_size
    }

    /// Never: a slot has at least one page.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Where the slot lies in our mapping. Whoever writes through it must know why nobody is disturbed (a decoder that goes on
    /// with a picture that it has not given out yet).
    #[must_use]
    pub fn as_ptr(&self) -> NonNull<u8> {
        self.ptr
    }

    /// The bytes.
    ///
    /// JavaScript of this process can be handed the same memory, and JavaScript knows no read-only memory: a script that
    /// writes into a frame it was only given to read changes these bytes. No invariant of Rust code may rest on them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the slot is mapped for as long as `class` lives and has `slot_size` initialised (zeroed by the kernel) bytes;
        // writers need a `SlotMut`, which the ledger gives only to the single holder.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.class.slot_size) }
    }

    /// To be called by who shows [`Lease::as_ptr`] to JavaScript, which knows no read-only memory: what it stores into another process's
    /// slot is then looked for, and undone, with the slot's last release here. Nothing for slots of our own.
    pub fn show(&self) {
        if let Home::Far { shown: Some(shown), .. } = &self.class.home {
            shown.show(self.slot);
        }
    }

    /// The name of this use of the slot.
    #[must_use]
    pub fn slot_ref(&self) -> SlotRef {
        let bank = self.class.bank(self.bank);
        let (_, generation) = bank.ledger.look(self.slot);
        SlotRef {
            arena: self.class.pool.arena.id,
            segment: bank.id,
            slot: self.slot,
            generation,
        }
    }

    /// The segment, for its fd and for mapping the slot elsewhere.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.class.bank(self.bank).segment
    }

    /// Index of the slot in its segment (in a bound pool: the driver's buffer index).
    #[must_use]
    pub fn slot_index(&self) -> u32 {
        self.slot
    }

    /// How many leases there are on this slot now. A snapshot: only a result of 1 with `&mut` in hand stays true.
    #[must_use]
    pub fn holders(&self) -> u32 {
        self.class.bank(self.bank).ledger.look(self.slot).0
    }

    /// The link that a slot of another process came by, and its segment there.
    pub(crate) fn far(&self) -> Option<(&Arc<WayBack>, u32)> {
        match &self.class.home {
            Home::Far { way_back, segment, .. } => Some((way_back, *segment)),
            _ => None,
        }
    }

    pub(crate) fn class(&self) -> &Arc<ClassInner> {
        &self.class
    }

    /// Tells slots of different size or source apart for as long as one of them, or a [`crate::Reserve`] of them, lives.
    #[must_use]
    pub fn class_id(&self) -> usize {
        Arc::as_ptr(&self.class).addr()
    }

    /// Slots that its driver has left, for one of a pool that is bound to one; else `None`, and there can be more.
    #[must_use]
    pub fn left_for_driver(&self) -> Option<u32> {
        self.class.left_for_driver()
    }

    pub(crate) fn set_filling(&self, ours: bool) {
        self.class.set_filling(self.slot, ours);
    }

    /// Whether both hold the same slot.
    #[must_use]
    pub fn same_slot(&self, other: &Lease) -> bool {
        self.ptr == other.ptr
    }

    /// The slot for writing, when nobody else holds it: one atomic step.
    ///
    /// # Errors
    /// The lease itself, unchanged, when somebody else holds the slot too, or another process may write it ([`crate::PoolConfig::open`]).
    pub fn try_into_mut(self) -> Result<SlotMut, Lease> {
        if self.class.may_write(self.slot) && self.class.bank(self.bank).ledger.try_exclusive(self.slot) {
            Ok(SlotMut(self))
        } else {
            Err(self)
        }
    }
}

/// A hold on a whole segment by an owner who grants its slots to others: the segment lives, and holds on its slots are counted without a
/// [`Lease`] each.
pub struct SegmentHold {
    class: Arc<ClassInner>,
    bank: u32,
}

impl SegmentHold {
    /// The segment that a slot lies in; `None` for another process's, which only its owner can grant, and for one of a mixed pool.
    #[must_use]
    pub fn of(lease: &Lease) -> Option<Self> {
        (!lease.class.is_far() && !lease.class.pool.config.mixed).then(|| {
            lease.class.holds.fetch_add(1, Ordering::Relaxed);
            SegmentHold {
                class: Arc::clone(&lease.class),
                bank: lease.bank,
            }
        })
    }

    /// Whether the slot lies in this segment.
    #[must_use]
    pub fn has(&self, lease: &Lease) -> bool {
        self.bank == lease.bank && Arc::ptr_eq(&self.class, &lease.class)
    }

    /// The segment.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.class.bank(self.bank).segment
    }

    /// The segment of a slot that is being written.
    #[must_use]
    pub fn of_mut(slot: &SlotMut) -> Option<Self> {
        Self::of(&slot.0)
    }

    /// Whether both are memory of one source and size: a pool that has grown.
    #[must_use]
    pub fn same_class(&self, other: &SegmentHold) -> bool {
        Arc::ptr_eq(&self.class, &other.class)
    }

    /// Whether a slot that is being written lies in this segment.
    #[must_use]
    pub fn has_mut(&self, slot: &SlotMut) -> bool {
        self.has(&slot.0)
    }

    /// A lease on a slot of this segment, when it is still the same use of it.
    #[must_use]
    pub fn lease(&self, slot: u32, generation: u32) -> Option<Lease> {
        let known = self.class.bank(self.bank).ledger.resolve(slot, generation);
        known.then(|| Lease::new(Arc::clone(&self.class), self.bank, slot))
    }

    /// One more hold on the slot of a lease of this segment, to be ended by [`SegmentHold::let_go`]. Gives the use of the slot.
    pub fn hold(&self, lease: &Lease) -> u32 {
        debug_assert!(self.has(lease), "a lease of another segment");
        let ledger = &self.class.bank(self.bank).ledger;
        ledger.retain(lease.slot);
        ledger.look(lease.slot).1
    }

    /// Ends `count` holds on a slot; with the last one it is free again, or its driver's.
    pub fn let_go(&self, slot: u32, count: u32) {
        let bank = self.class.bank(self.bank);
        for _ in 0..count {
            if bank.ledger.release(slot) {
                self.class.put_back(bank, slot);
            }
        }
    }

    /// Whether only holds keep the memory: its source is gone, or has changed its format, and no frame lies in it. A snapshot, and a
    /// hint: a false yes is possible while others come and go.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        let holds = self.class.holds.load(Ordering::Relaxed) as usize;
        Arc::strong_count(&self.class) == holds
    }
}

impl SegmentHold {
    /// When only holds keep the memory, for certain: its source gets other memory should it come back to this size, so that what is let go of
    /// here in spite of a client that may still read it is written by nobody. False when the source uses it.
    #[must_use]
    pub fn close_if_retired(&self) -> bool {
        self.class.pool.close_class(&self.class, || self.is_retired())
    }
}

impl Drop for SegmentHold {
    fn drop(&mut self) {
        self.class.holds.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for SegmentHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentHold")
            .field("segment", &self.class.bank(self.bank).id)
            .finish()
    }
}

impl Clone for Lease {
    fn clone(&self) -> Self {
        self.class.bank(self.bank).ledger.retain(self.slot);
        Lease {
            class: Arc::clone(&self.class),
            ptr: self.ptr,
            bank: self.bank,
            slot: self.slot,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let bank = self.class.bank(self.bank);
        if bank.ledger.release(self.slot) {
            self.class.put_back(bank, self.slot);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("at", &self.slot_ref())
            .field("holders", &self.holders())
            .finish()
    }
}

/// The only hold on a slot: its bytes may be written. [`SlotMut::freeze`] it to show it to others.
#[derive(Debug)]
pub struct SlotMut(Lease);

impl SlotMut {
    pub(crate) fn new(lease: Lease) -> Self {
        SlotMut(lease)
    }

    /// From now on the slot is to be read, by as many as like.
    #[must_use]
    pub fn freeze(self) -> Lease {
        self.0.class.bank(self.0.bank).ledger.share(self.0.slot);
        self.0
    }

    pub(crate) fn as_lease(&self) -> &Lease {
        &self.0
    }

    /// Where the slot lies in our mapping.
    #[must_use]
    pub fn as_mut_ptr(&mut self) -> NonNull<u8> {
        self.0.ptr
    }

    /// Index of the slot in its segment.
    #[must_use]
    pub fn slot_index(&self) -> u32 {
        self.0.slot
    }

    /// The name of this use of the slot.
    #[must_use]
    pub fn slot_ref(&self) -> SlotRef {
        self.0.slot_ref()
    }
}

impl Deref for SlotMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl DerefMut for SlotMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the ledger gave this slot to us alone (EXCLUSIVE is set until `freeze`), and `&mut self` keeps it to one borrower.
        unsafe { std::slice::from_raw_parts_mut(self.0.ptr.as_ptr(), self.0.class.slot_size) }
    }
}
