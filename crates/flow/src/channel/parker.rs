//! Sleep without a lock.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
};

/// Puts one thread to sleep until another says so, without a lock.
#[derive(Default)]
pub(super) struct Parker {
    waiting: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Parker {
    /// Sleeps until `ready`. Always called from the same thread. Whatever makes `ready` true must call [`Parker::wake`] after.
    pub(super) fn wait(&self, ready: impl Fn() -> bool) {
        self.thread.get_or_init(thread::current);
        loop {
            // SeqCst here and in `wake`: of "announce, then look" and "change, then look for an announcement" one sees the other.
            self.waiting.store(true, Ordering::SeqCst);
            if ready() {
                self.waiting.store(false, Ordering::SeqCst);
                return;
            }
            thread::park();
        }
    }

    /// Wakes the sleeper, if there is one. Without one: a load.
    pub(super) fn wake(&self) {
        if self.waiting.load(Ordering::SeqCst)
            && self.waiting.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}
