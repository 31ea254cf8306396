//! Waiting for a slot without a cost to those who do not wait.
//!
//! A waiter first announces itself, then looks, then sleeps. A releaser first frees, then looks whether somebody is
//! announced. Both look after they wrote, in one total order (`SeqCst`), so at least one sees the other: no wake is lost.

use crate::sync::{AtomicU32, Condvar, Mutex, Ordering, lock, total_order};
use std::time::{Duration, Instant};

/// Where threads sleep until something that they look for may have changed.
#[derive(Debug)]
pub struct Gate {
    waiters: AtomicU32,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            waiters: AtomicU32::new(0),
            lock: Mutex::new(()),
            changed: Condvar::new(),
        }
    }
}

/// How a wait ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// The deadline passed.
    TimedOut,
    /// `cancelled` said so.
    Cancelled,
}

impl Gate {
    /// `look` must begin with a `SeqCst` load of what a releaser writes with `SeqCst` before it rings.
    ///
    /// Sleeps until `look` gives something, `cancelled` is true (ring [`Gate::ring`] after it turned) or the deadline passes.
    ///
    /// # Errors
    /// [`GaveUp`] tells which of the two ended it.
    pub fn wait<T>(
        &self,
        deadline: Option<Instant>,
        cancelled: &dyn Fn() -> bool,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<T, GaveUp> {
        self.waiters.fetch_add(1, Ordering::SeqCst);
        total_order();
        let mut guard = lock(&self.lock);
        let outcome = loop {
            if let Some(found) = look() {
                break Ok(found);
            }
            if cancelled() {
                break Err(GaveUp::Cancelled);
            }
            guard = match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break Err(GaveUp::TimedOut),
                Some(left) => match self.changed.wait_timeout(guard, left) {
                    Ok((guard, _)) => guard,
                    Err(poisoned) => poisoned.into_inner().0,
                },
                None => match self.changed.wait(guard) {
                    Ok(guard) => guard,
                    Err(poisoned) => poisoned.into_inner(),
                },
            };
        };
        drop(guard);
        self.waiters.fetch_sub(1, Ordering::SeqCst);
        outcome
    }

    /// Tells all who sleep to look again. Without sleepers: one load.
    pub fn ring(&self) {
        total_order();
        if self.waiters.load(Ordering::SeqCst) != 0 {
            // Taking the lock orders this ring after the look of a waiter that is about to sleep.
            drop(lock(&self.lock));
            self.changed.notify_all();
        }
    }
}
