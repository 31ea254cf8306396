//! The slots of one source that have one size: segments, each with its ledger, that grow within a budget.

use crate::{
    error::Error,
    far::WayBack,
    lease::{Lease, SlotMut, SlotRef},
    ledger::{Ledger, MAX_SLOTS},
    pool::{ArenaInner, PoolInner, Wait},
    reserve::SetAside,
    segment::Segment,
    stats::Stats,
    stray::Shown,
    sync::{AtomicU32, AtomicU64, Mutex, Ordering, lock},
    wait::Gate,
};
use std::{
    os::fd::OwnedFd,
    ptr::NonNull,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

/// How often bytes of a budget are looked for.
const TURN: Duration = Duration::from_millis(5);
/// How long a wait for a slot waits for the first ones: more would hide that the budget is too small.
const FIRST: Duration = Duration::from_secs(1);
/// The most segments of one size class: with 64 slots each, 4096 slots.
const MAX_BANKS: usize = 64;

/// One segment and its books.
#[derive(Debug)]
pub(crate) struct Bank {
    pub(crate) segment: Segment,
    pub(crate) ledger: Ledger,
    /// Number of the segment in its arena, for [`SlotRef`].
    pub(crate) id: u32,
}

/// How a bound pool learns that its slots came back.
#[derive(Debug)]
pub(crate) struct HandBack {
    /// Bit i: slot i came back. As many entries as slots, so it can never be full.
    pub(crate) returned: AtomicU64,
    /// Not 0 while the driver's thread sleeps.
    pub(crate) wake_me: AtomicU32,
    pub(crate) eventfd: OwnedFd,
}

#[derive(Debug)]
pub(crate) struct ClassInner {
    pub(crate) pool: Arc<PoolInner>,
    pub(crate) slot_size: usize,
    banks: [OnceLock<Bank>; MAX_BANKS],
    bank_count: AtomicU32,
    pub(crate) growing: Mutex<()>,
    pub(crate) set_aside: Mutex<SetAside>,
    pub(crate) gate: Gate,
    waits: AtomicU64,
    high_water: AtomicU32,
    /// `allocations` as they were last told: a slot that is just being released may be missing from the sum.
    told: AtomicU64,
    pub(crate) home: Home,
    /// [`crate::SegmentHold`]s on it.
    pub(crate) holds: AtomicU32,
    /// Its slots are used no more: some were taken from a client that may still read them.
    closed: AtomicBool,
}

/// Where slots go with their last release.
#[derive(Debug)]
pub(crate) enum Home {
    /// Into the free map.
    Here,
    /// Back to a driver.
    Driver(HandBack),
    /// Back to the process that granted them. `shown`: where JavaScript may see them.
    Far {
        way_back: Arc<WayBack>,
        segment: u32,
        shown: Option<Shown>,
        /// Bit i: slot i was granted to be filled, and is not yet shown to anybody.
        filling: AtomicU64,
    },
}

/// Slots of one size of one pool. Clones are the same class; it lives as long as anybody holds it or one of its slots, so a
/// source that changes its format drops the old class and its memory goes with the last frame.
#[derive(Clone, Debug)]
pub struct SizeClass(pub(crate) Arc<ClassInner>);

impl SizeClass {
    pub(crate) fn new(pool: Arc<PoolInner>, slot_size: usize, home: Home) -> Self {
        let class = SizeClass(Arc::new(ClassInner {
            pool,
            slot_size,
            banks: [const { OnceLock::new() }; MAX_BANKS],
            bank_count: AtomicU32::new(0),
            growing: Mutex::new(()),
            set_aside: Mutex::new(SetAside::default()),
            gate: Gate::default(),
            waits: AtomicU64::new(0),
            high_water: AtomicU32::new(0),
            told: AtomicU64::new(0),
            home,
            holds: AtomicU32::new(0),
            closed: AtomicBool::new(false),
        }));
        class.0.pool.arena.register(&class.0);
        class
    }

    /// Bytes per slot: what was asked for, rounded up to the class's size.
    #[must_use]
    pub fn slot_size(&self) -> usize {
        self.0.slot_size
    }

    /// Takes a slot; its bytes are whatever its last user left.
    ///
    /// Thread: any. Blocks: only with [`Wait::Until`]. Cost: some 25 ns when a slot is free, without a syscall or allocation.
    ///
    /// # Errors
    /// By the kind of wait: [`Error::Empty`], [`Error::Budget`], [`Error::Timeout`], [`Error::Cancelled`], [`Error::Os`].
    pub fn acquire(&self, wait: Wait<'_>) -> Result<SlotMut, Error> {
        if let Some(slot) = self.take() {
            return Ok(slot);
        }
        self.acquire_slowly(wait)
    }

    #[cold]
    fn acquire_slowly(&self, wait: Wait<'_>) -> Result<SlotMut, Error> {
        let inner = &self.0;
        let slots = inner.pool.config.slots;
        let more = inner.at_most((slots / 2).max(2));
        if inner.bank_count.load(Ordering::Acquire) == 0 {
            return match wait {
                // Who never grows it again gets all that he was promised, or none.
                Wait::Never => self.take_or_grow(slots),
                Wait::Grow => self.take_or_grow(inner.at_most(slots)),
                Wait::GrowUntil(deadline) => {
                    self.grow_until(inner.at_most(slots), deadline, &|| inner.pool.is_closing())
                }
                Wait::Until { deadline, cancelled } => {
                    let soon = Instant::now() + FIRST;
                    self.grow_until(slots, deadline.map_or(soon, |deadline| deadline.min(soon)), cancelled)
                }
            };
        }
        match wait {
            Wait::Never => Err(Error::Empty {
                pool: inner.label(),
                slots: inner.slots(),
            }),
            Wait::Grow => self.take_or_grow(more),
            Wait::GrowUntil(deadline) => self.grow_until(more, deadline, &|| inner.pool.is_closing()),
            Wait::Until { deadline, cancelled } => {
                inner.waits.fetch_add(1, Ordering::Relaxed);
                inner
                    .gate
                    .wait(deadline, cancelled, || self.take())
                    .map_err(|gave_up| Error::gave_up(gave_up, &inner.pool.config.label, inner.in_use(), inner.slots()))
            }
        }
    }

    /// Nobody rings when bytes come free: looks for them every few ms, where there can ever be enough.
    fn grow_until(&self, slots: u32, deadline: Instant, cancelled: &dyn Fn() -> bool) -> Result<SlotMut, Error> {
        loop {
            match self.take_or_grow(slots) {
                Err(Error::Budget { .. }) if cancelled() => return Err(Error::Cancelled),
                Err(Error::Budget { wanted, budget, .. }) if wanted <= budget && Instant::now() < deadline => {
                    thread::sleep(TURN);
                }
                outcome => return outcome,
            }
        }
    }

    fn take(&self) -> Option<SlotMut> {
        let inner = &self.0;
        let count = inner.bank_count.load(Ordering::Acquire);
        let mut before = 0;
        for (number, bank) in inner.banks.iter().take(count as usize).enumerate() {
            let Some(bank) = bank.get() else { break };
            if let Some(taken) = bank.ledger.take() {
                inner.note_use(before + taken.in_use);
                return Some(SlotMut::new(self.lease(number as u32, taken.index)));
            }
            before += bank.ledger.slots();
        }
        None
    }

    fn take_or_grow(&self, slots: u32) -> Result<SlotMut, Error> {
        let _one_at_a_time = lock(&self.0.growing);
        // Somebody else may have grown it, or freed a slot, while we waited for the lock.
        if let Some(slot) = self.take() {
            return Ok(slot);
        }
        self.add_bank(slots, false)?;
        self.take().ok_or_else(|| Error::Empty {
            pool: self.0.label(),
            slots: self.0.slots(),
        })
    }

    pub(crate) fn add_bank(&self, slots: u32, all_taken: bool) -> Result<(), Error> {
        let inner = &self.0;
        let number = inner.bank_count.load(Ordering::Acquire);
        let slots = slots.clamp(1, MAX_SLOTS);
        if number as usize == MAX_BANKS {
            return Err(Error::Empty {
                pool: inner.label(),
                slots: inner.slots(),
            });
        }
        let bytes = inner.slot_size as u64 * u64::from(slots);
        inner.pool.reserve(bytes)?;
        let config = &inner.pool.config;
        let segment = Segment::new(
            &format!("beamline:{}", config.label),
            inner.slot_size,
            slots,
            config.open,
        )
        .inspect_err(|_| inner.pool.unreserve(bytes))?;
        let bank = Bank {
            segment,
            ledger: Ledger::new(slots, all_taken),
            id: inner.pool.arena.next_segment(),
        };
        // Only one thread adds banks at a time (`growing`, or the constructor), so the cell is empty.
        let _ = inner.banks[number as usize].set(bank);
        inner.bank_count.store(number + 1, Ordering::Release);
        inner.gate.ring();
        Ok(())
    }

    /// A lease on a slot for which the ledger just counted one reference.
    pub(crate) fn lease(&self, bank: u32, slot: u32) -> Lease {
        Lease::new(Arc::clone(&self.0), bank, slot)
    }

    /// A further lease on the slot that `slot_ref` names, when it is still the same use of it.
    #[must_use]
    pub fn resolve(&self, slot_ref: SlotRef) -> Option<Lease> {
        if slot_ref.arena != self.0.pool.arena.id {
            return None;
        }
        let number = self.0.banks().position(|b| b.id == slot_ref.segment)? as u32;
        self.0
            .bank(number)
            .ledger
            .resolve(slot_ref.slot, slot_ref.generation)
            .then(|| self.lease(number, slot_ref.slot))
    }

    /// Wakes all who wait in [`SizeClass::acquire`], so that they look at their `cancelled` again.
    pub fn interrupt(&self) {
        self.0.gate.ring();
    }

    /// Numbers of this class alone.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }
}

impl ClassInner {
    pub(crate) fn banks(&self) -> impl Iterator<Item = &Bank> {
        self.banks.iter().map_while(OnceLock::get)
    }

    pub(crate) fn bank(&self, number: u32) -> &Bank {
        // Leases exist only for banks that were set.
        self.banks[number as usize]
            .get()
            .expect("a lease names a bank that exists")
    }

    /// As many of these slots as the budgets can hold beside those of this class when nothing else is there, one at least.
    fn at_most(&self, slots: u32) -> u32 {
        let fit = u32::try_from(self.pool.budget() / self.slot_size as u64).unwrap_or(u32::MAX);
        fit.saturating_sub(self.slots()).clamp(1, slots)
    }

    pub(crate) fn slot_ptr(&self, bank: u32, slot: u32) -> NonNull<u8> {
        self.bank(bank).segment.slot(slot)
    }

    pub(crate) fn note_use(&self, in_use: u32) {
        if in_use > self.high_water.load(Ordering::Relaxed) {
            let before = self.high_water.fetch_max(in_use, Ordering::Relaxed);
            if in_use > before {
                self.pool.arena.raise_high_water(u64::from(in_use - before));
            }
        }
    }

    /// Called with the last reference of a slot released: it is free again, or goes back to its driver.
    pub(crate) fn put_back(&self, bank: &Bank, slot: u32) {
        match &self.home {
            Home::Here => {
                bank.ledger.free(slot);
                self.gate.ring();
            }
            Home::Driver(hand_back) => {
                // SeqCst on both: the driver's thread stores `wake_me`, then looks at `returned` once more before it sleeps.
                hand_back.returned.fetch_or(1 << slot, Ordering::SeqCst);
                if hand_back.wake_me.load(Ordering::SeqCst) != 0 {
                    // A full counter means that the wake is already pending.
                    let _ = rustix::io::write(&hand_back.eventfd, &1u64.to_ne_bytes());
                }
            }
            Home::Far {
                way_back,
                segment,
                shown,
                filling,
            } => {
                if filling.load(Ordering::Relaxed) != 0 {
                    self.set_filling(slot, false);
                }
                if let Some(shown) = shown {
                    shown.released(&self.pool.arena.strays, &bank.segment, slot);
                }
                way_back.give_back(*segment, slot);
            }
        }
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whether no pool gives it out again.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub(crate) fn label(&self) -> String {
        self.pool.config.label.clone()
    }

    /// Segments that it may still get.
    pub(crate) fn segments_left(&self) -> u32 {
        MAX_BANKS as u32 - self.bank_count.load(Ordering::Acquire)
    }

    pub(crate) fn slots(&self) -> u32 {
        self.banks().map(|b| b.ledger.slots()).sum()
    }

    fn in_use(&self) -> u32 {
        let taken = || self.banks().map(|b| b.ledger.in_use()).sum::<u32>();
        match &self.home {
            Home::Here => taken(),
            Home::Driver(h) => taken() - h.returned.load(Ordering::Relaxed).count_ones(),
            Home::Far { .. } => self.far_in_use(),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        if let Home::Far { .. } = &self.home {
            // Memory and its counters are the owner's; what we hold of it is ours to tell.
            let live = u64::from(self.in_use());
            return Stats {
                live,
                ..Stats::default()
            };
        }
        let uses: u64 = self.banks().map(|b| b.ledger.uses()).sum();
        let told = self.told.fetch_max(uses, Ordering::Relaxed);
        Stats {
            slots: u64::from(self.slots()),
            live: u64::from(self.in_use()),
            high_water: u64::from(self.high_water.load(Ordering::Relaxed)),
            waits: self.waits.load(Ordering::Relaxed),
            bytes: self.banks().map(|b| b.segment.len() as u64).sum(),
            allocations: told.max(uses),
            stray_writes: 0,
        }
    }

    /// Whether the only holder of a slot may write it. Where another process may still write it too, what it would hold is nobody's.
    pub(crate) fn may_write(&self, slot: u32) -> bool {
        match &self.home {
            Home::Far { filling, .. } => filling.load(Ordering::Relaxed) & 1 << slot != 0,
            _ => !self.pool.config.open,
        }
    }

    /// Notes that a slot of another process is ours to fill, or no more.
    pub(crate) fn set_filling(&self, slot: u32, ours: bool) {
        if let Home::Far { filling, .. } = &self.home {
            if ours {
                filling.fetch_or(1 << slot, Ordering::Relaxed);
            } else {
                filling.fetch_and(!(1 << slot), Ordering::Relaxed);
            }
        }
    }

    /// Whether its memory is another process's.
    pub(crate) fn is_far(&self) -> bool {
        matches!(self.home, Home::Far { .. })
    }

    /// Slots that are not out as frames, where they are a driver's.
    pub(crate) fn left_for_driver(&self) -> Option<u32> {
        let Home::Driver(_) = &self.home else { return None };
        let ledger = &self.bank(0).ledger;
        Some((0..ledger.slots()).filter(|i| ledger.look(*i).0 == 0).count() as u32)
    }

    /// The one bank of a class whose memory another process has made.
    pub(crate) fn adopt_bank(&self, bank: Bank) {
        let _ = self.banks[0].set(bank);
        self.bank_count.store(1, Ordering::Release);
    }
}

impl Drop for ClassInner {
    fn drop(&mut self) {
        let stats = self.stats();
        self.pool.unreserve(stats.bytes);
        self.pool.arena.retire(stats);
    }
}

impl ArenaInner {
    fn register(&self, class: &Arc<ClassInner>) {
        let mut classes = lock(&self.classes);
        classes.retain(|c| c.strong_count() != 0);
        classes.push(Arc::downgrade(class));
    }
}
