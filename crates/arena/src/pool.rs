//! The arena of a process and the pools of its sources.
//!
//! ```text
//! Arena (byte budget, numbers) ─┬─ Pool (one source, own budget) ─┬─ SizeClass ─ segments of slots
//!                               └─ Pool …                         └─ SizeClass (after a change of format)
//! ```

use crate::{
    class::{ClassInner, Home, SizeClass},
    error::Error,
    lease::{Lease, SlotRef},
    segment::page_size,
    shortage::Shortages,
    stats::Stats,
    stray::Strays,
    sync::{Mutex, lock},
};
use std::{
    ptr::NonNull,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

/// Bytes of the largest slot: 2^40, far beyond any picture, far below where sums of a segment's bytes could overflow.
pub(crate) const MAX_SLOT: usize = 1 << 40;
/// Bytes that an arena may use unless told otherwise.
const DEFAULT_BUDGET: u64 = 4 << 30;

/// All shared memory of one runtime. A value, not a global; clones are the same arena.
#[derive(Clone, Debug)]
pub struct Arena(Arc<ArenaInner>);

#[derive(Debug)]
pub(crate) struct ArenaInner {
    pub(crate) id: u64,
    budget: u64,
    bytes: AtomicU64,
    segments: AtomicU32,
    pub(crate) classes: Mutex<Vec<Weak<ClassInner>>>,
    /// High-water marks of the classes that live, summed.
    high_waters: AtomicU64,
    /// The most that this sum ever was.
    high_water: AtomicU64,
    /// What classes that are gone had counted, so that counters never fall.
    retired: Mutex<Stats>,
    /// Counters as they were last told: a class that is just going away stands neither among the classes nor in `retired`.
    told: Mutex<Stats>,
    pub(crate) strays: Strays,
    pub(crate) shortages: Mutex<Shortages>,
}

/// The memory of one source. Clones are the same pool.
#[derive(Clone, Debug)]
pub struct Pool(Arc<PoolInner>);

#[derive(Debug)]
pub(crate) struct PoolInner {
    pub(crate) arena: Arc<ArenaInner>,
    pub(crate) config: PoolConfig,
    bytes: AtomicU64,
    classes: Mutex<Vec<Weak<ClassInner>>>,
    /// Its source is being closed: nobody waits for bytes.
    closing: AtomicBool,
}

/// How a pool is cut.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Who it belongs to, for messages and `/proc/PID/maps`.
    pub label: String,
    /// Slots of the first segment of each size, 1 to 64. Further segments have half as many. Where the budgets could never hold as many, a
    /// segment has fewer, for those who can grow it; what others use now is waited for instead.
    pub slots: u32,
    /// Bytes that the pool may use; the arena's budget holds besides.
    pub max_bytes: u64,
    /// Whether another process may write its segments: for a producer's slots alone. What lies in them can change at any time. Whoever
    /// shows one to a third process must close it first ([`crate::Segment::close_to_writers`]).
    pub open: bool,
    /// Whether pictures of several sources lie in it side by side. Such a pool's segments are shown to no other process: whoever may see
    /// one picture would see the others.
    pub mixed: bool,
}

impl PoolConfig {
    /// Eight slots at first, no budget but the arena's.
    #[must_use]
    pub fn new(label: impl Into<String>) -> Self {
        PoolConfig {
            label: label.into(),
            slots: 8,
            max_bytes: u64::MAX,
            open: false,
            mixed: false,
        }
    }
}

/// What to do when no slot is free.
#[derive(Clone, Copy)]
pub enum Wait<'a> {
    /// Fail with [`Error::Empty`].
    Never,
    /// Add a segment within the byte budget: for callers whom waiting would deadlock (a decoder that itself holds the slots)
    /// or who must not block (the JavaScript thread).
    Grow,
    /// As `Grow`, but where the budget is used up come again until then: memory of the format before is mostly on its way back, or has to
    /// be taken from a reader of a share that keeps it ([`crate::Shortage`]). [`Pool::stop_waiting`] ends it.
    GrowUntil(Instant),
    /// Sleep until a slot comes free.
    Until {
        /// When to give up; `None` waits for good.
        deadline: Option<Instant>,
        /// Whether to give up now. Ring [`SizeClass::interrupt`] after it turned true.
        cancelled: &'a dyn Fn() -> bool,
    },
}

impl std::fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Wait::Never => "Never",
            Wait::Grow => "Grow",
            Wait::GrowUntil(_) => "GrowUntil",
            Wait::Until { .. } => "Until",
        })
    }
}

impl Default for Arena {
    fn default() -> Self {
        Arena::with_budget(DEFAULT_BUDGET)
    }
}

impl Arena {
    /// An arena that never maps more than `bytes`.
    #[must_use]
    pub fn with_budget(bytes: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arena(Arc::new(ArenaInner {
            // Unique in the process by the counter, and hardly ever equal between two processes.
            id: NEXT.fetch_add(1, Ordering::Relaxed) | u64::from(std::process::id()) << 32,
            budget: bytes,
            bytes: AtomicU64::new(0),
            segments: AtomicU32::new(0),
            classes: Mutex::new(Vec::new()),
            high_waters: AtomicU64::new(0),
            high_water: AtomicU64::new(0),
            retired: Mutex::new(Stats::default()),
            told: Mutex::new(Stats::default()),
            strays: Strays::default(),
            shortages: Mutex::new(Shortages::new()),
        }))
    }

    /// A pool for one source. Nothing is mapped before its first slot is taken.
    #[must_use]
    pub fn pool(&self, config: PoolConfig) -> Pool {
        Pool(Arc::new(PoolInner {
            arena: Arc::clone(&self.0),
            config,
            bytes: AtomicU64::new(0),
            classes: Mutex::new(Vec::new()),
            closing: AtomicBool::new(false),
        }))
    }

    /// A further lease on the slot that `slot_ref` names, when it is still the same use of it.
    #[must_use]
    pub fn resolve(&self, slot_ref: SlotRef) -> Option<Lease> {
        let classes: Vec<_> = lock(&self.0.classes).iter().filter_map(Weak::upgrade).collect();
        classes.into_iter().find_map(|class| SizeClass(class).resolve(slot_ref))
    }

    /// In development: looks for stray stores with every release of another process's slot that JavaScript was shown, and calls `tell` at
    /// the first find, on whatever thread that is. It gives whether it could tell; of several the first that can is the only one.
    pub fn watch_strays(&self, tell: impl Fn() -> bool + Send + Sync + 'static) {
        self.0.strays.watch(Box::new(tell));
    }

    /// Looks at another process's slot where [`crate::Segment::map_slot_over`] has mapped it, and undoes what was stored there. `part`: only
    /// at that part of it ([`PART_PAGES`](crate::PART_PAGES) pages, counted around). Gives whether something was found.
    ///
    /// Cost: 1 µs, and 30 ns per page.
    ///
    /// # Safety
    /// `at .. at + len` are pages that `map_slot_over` has mapped over a slot of another process's, and that nobody has mapped anew or looks at
    /// now.
    pub unsafe fn undo_strays(&self, at: NonNull<u8>, len: usize, part: Option<u32>) -> bool {
        // SAFETY: the same contract; a foreign slot is mapped privately.
        unsafe { self.0.strays.undo(at, len, part) }
    }

    /// Numbers over all pools, past ones included in the counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut sum = *lock(&self.0.retired);
        let classes: Vec<_> = lock(&self.0.classes).iter().filter_map(Weak::upgrade).collect();
        for class in classes {
            sum += class.stats();
        }
        let mut told = lock(&self.0.told);
        sum.waits = sum.waits.max(told.waits);
        sum.allocations = sum.allocations.max(told.allocations);
        sum.high_water = self.0.high_water.load(Ordering::Relaxed);
        sum.stray_writes = self.0.strays.found();
        *told = sum;
        sum
    }
}

impl ArenaInner {
    pub(crate) fn next_segment(&self) -> u32 {
        self.segments.fetch_add(1, Ordering::Relaxed)
    }

    /// A class passed its high-water mark by so many slots. Off the hot path: only what never was before comes here.
    #[cold]
    pub(crate) fn raise_high_water(&self, by: u64) {
        let sum = self.high_waters.fetch_add(by, Ordering::Relaxed) + by;
        self.high_water.fetch_max(sum, Ordering::Relaxed);
    }

    /// Keeps the counters of a class that ends.
    pub(crate) fn retire(&self, stats: Stats) {
        self.high_waters.fetch_sub(stats.high_water, Ordering::Relaxed);
        *lock(&self.retired) += Stats {
            slots: 0,
            live: 0,
            high_water: 0,
            bytes: 0,
            ..stats
        };
    }
}

impl Pool {
    /// The slots of at least `len` bytes: the same class for all lengths that round up to the same size (a page, or an eighth
    /// of the next lower power of two: at most an eighth is wasted).
    ///
    /// # Errors
    /// [`Error::Size`] for 0 and for what no address space holds.
    pub fn class(&self, len: usize) -> Result<SizeClass, Error> {
        let slot_size = round_to_class(len)?;
        let mut classes = lock(&self.0.classes);
        classes.retain(|c| c.strong_count() != 0);
        if let Some(class) = classes
            .iter()
            .filter_map(Weak::upgrade)
            .find(|c| c.slot_size == slot_size && !c.is_closed())
        {
            return Ok(SizeClass(class));
        }
        let class = SizeClass::new(Arc::clone(&self.0), slot_size, Home::Here);
        classes.push(Arc::downgrade(&class.0));
        Ok(class)
    }

    /// Its source is being closed: whoever waits for bytes ([`Wait::GrowUntil`]) gets [`Error::Cancelled`] within a few ms, now and from
    /// now on. Slots that are there are still given out.
    ///
    /// Thread: any. Blocks: never.
    pub fn stop_waiting(&self) {
        self.0.closing.store(true, Ordering::Relaxed);
    }

    pub(crate) fn inner(&self) -> &Arc<PoolInner> {
        &self.0
    }
}

impl PoolInner {
    /// Closes a class when it is `unused`, which cannot change meanwhile: nobody is given it out.
    pub(crate) fn close_class(&self, class: &ClassInner, unused: impl FnOnce() -> bool) -> bool {
        let _given_out_by_nobody = lock(&self.classes);
        let unused = unused();
        if unused {
            class.close();
        }
        unused
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Takes `bytes` from both budgets, or from none; then whoever could give some back is told: of the budget of all pools everybody, but
    /// for what another process wishes to have, which costs nobody else's readers anything.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), Error> {
        let over = |used, budget| Error::Budget {
            pool: self.config.label.clone(),
            wanted: bytes,
            used,
            budget,
        };
        add_within(&self.bytes, bytes, self.config.max_bytes).map_err(|used| {
            self.arena.is_short(Some(self));
            over(used, self.config.max_bytes)
        })?;
        add_within(&self.arena.bytes, bytes, self.arena.budget).map_err(|used| {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.arena.is_short(self.config.open.then_some(self));
            over(used, self.arena.budget)
        })
    }

    /// What it may ever use.
    pub(crate) fn budget(&self) -> u64 {
        self.config.max_bytes.min(self.arena.budget)
    }

    /// What both budgets have left.
    pub(crate) fn bytes_left(&self) -> u64 {
        let left = |budget: u64, used: &AtomicU64| budget.saturating_sub(used.load(Ordering::Relaxed));
        left(self.config.max_bytes, &self.bytes).min(left(self.arena.budget, &self.arena.bytes))
    }

    pub(crate) fn unreserve(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.arena.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn add_within(counter: &AtomicU64, add: u64, limit: u64) -> Result<(), u64> {
    counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            now.checked_add(add).filter(|sum| *sum <= limit)
        })
        .map(|_| ())
}

fn round_to_class(len: usize) -> Result<usize, Error> {
    if len == 0 || len > MAX_SLOT {
        return Err(Error::Size {
            got: len,
            max: MAX_SLOT,
        });
    }
    let step = (len.next_power_of_two() / 16).max(page_size());
    Ok(len.next_multiple_of(step))
}
