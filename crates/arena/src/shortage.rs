//! Who hears of it when memory does not fit into a budget.
//!
//! A share keeps memory of past formats alive for as long as its readers hold frames there. When a source then finds no room for the next
//! format, the share is told, and can part with a reader that holds such frames for too long: see `beamline_link`. The source itself does
//! not wait here: it gets its error, and may come again.
//!
//! It is the budget that is freed so. Pages that the reader still maps stay until it hears of it, or ends: a sealed memfd gives none back.

use crate::{
    lease::Lease,
    pool::{ArenaInner, PoolInner},
    sync::lock,
};
use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

/// A bell that rings when somebody was refused memory. Ringing it never waits, so it is rung under whatever locks.
#[derive(Debug)]
pub struct Shortage {
    eventfd: OwnedFd,
    rung: AtomicBool,
}

/// Bells, and the pool that each belongs to.
pub(crate) type Shortages = Vec<(Weak<PoolInner>, Weak<Shortage>)>;

impl Shortage {
    /// `eventfd` is written to (it must not block): once until somebody [takes](Shortage::take) it.
    #[must_use]
    pub fn new(eventfd: OwnedFd) -> Arc<Self> {
        Arc::new(Shortage {
            eventfd,
            rung: AtomicBool::new(false),
        })
    }

    /// Whether it was rung, and nobody has [taken](Shortage::take) it.
    #[must_use]
    pub fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed)
    }

    /// Whether it was rung since.
    #[must_use]
    pub fn take(&self) -> bool {
        self.is_rung() && self.rung.swap(false, Ordering::AcqRel)
    }

    /// Rings it: for whoever knows better than a pool whose readers may keep what is missed.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // A full counter means that its reader is to be woken already.
            let _ = rustix::io::write(&self.eventfd, &1u64.to_ne_bytes());
        }
    }
}

impl Lease {
    /// From now on `bell` rings when memory is refused to the pool of this slot, by its own budget or the arena's. Nothing for another
    /// process's slot.
    pub fn tell_of_shortage(&self, bell: &Arc<Shortage>) {
        let pool = &self.class().pool;
        if self.class().is_far() {
            return;
        }
        let mut bells = lock(&pool.arena.shortages);
        bells.retain(|(of, bell)| of.strong_count() != 0 && bell.strong_count() != 0);
        let known = |(of, known): &(Weak<PoolInner>, Weak<Shortage>)| {
            of.as_ptr() == Arc::as_ptr(pool) && known.as_ptr() == Arc::as_ptr(bell)
        };
        if !bells.iter().any(known) {
            bells.push((Arc::downgrade(pool), Arc::downgrade(bell)));
        }
    }
}

impl ArenaInner {
    /// Bytes were refused by the budget of all pools (`None`), or to one alone.
    #[cold]
    pub(crate) fn is_short(&self, pool: Option<&PoolInner>) {
        for (of, bell) in &*lock(&self.shortages) {
            if pool.is_none_or(|pool| std::ptr::eq(of.as_ptr(), pool))
                && let Some(bell) = bell.upgrade()
            {
                bell.ring();
            }
        }
    }
}
