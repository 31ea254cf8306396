//! std or loom, by one switch: the models under `tests/loom.rs` run this crate's own source.
//!
//! Run them with `RUSTFLAGS="--cfg loom" cargo test -p beamline-arena --release --test loom`.

#[cfg(loom)]
pub use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicU64, Ordering, fence},
};
#[cfg(not(loom))]
pub use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicU64, Ordering, fence},
};

/// Locks, and goes on with the value when another thread panicked while it held the lock: every critical section of this
/// crate leaves its value whole at each step.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}

/// Stands between a `SeqCst` write and the `SeqCst` look that must come after it (see [`crate::wait`]).
///
/// Nothing outside of loom: the language has one total order of all `SeqCst` accesses. loom 0.7 takes them for `AcqRel` and knows
/// that order for fences alone, so the models get a fence.
pub fn total_order() {
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}
