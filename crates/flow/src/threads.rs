//! Threads of ours: named, counted, and never silent when they panic.

use crate::Error;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Counts the threads of one owner, so that whoever closes can tell when all are gone.
#[derive(Clone, Debug, Default)]
pub struct Threads(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    running: Mutex<u32>,
    fewer: Condvar,
    /// Counts them too.
    above: Option<Threads>,
}

impl Threads {
    /// No thread yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A group whose threads count here too.
    #[must_use]
    pub fn within(&self) -> Self {
        Threads(Arc::new(Inner {
            above: Some(self.clone()),
            ..Inner::default()
        }))
    }

    fn count(&self, by: i32) {
        let mut running = self.lock();
        *running = running.saturating_add_signed(by);
        drop(running);
        self.0.fewer.notify_all();
        if let Some(above) = &self.0.above {
            above.count(by);
        }
    }

    /// Starts one. `name` has at most 15 characters (the kernel's limit).
    ///
    /// # Errors
    /// [`Error::Internal`] when the system gives no more threads.
    pub fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        self.count(1);
        let me = self.clone();
        let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // What the body owns is dropped while it unwinds; queues end with an error by that (see `Sender::drop`).
            if catch_unwind(AssertUnwindSafe(body)).is_err() {
                tracing::error!("a media thread panicked");
            }
            me.count(-1);
        });
        started.map(drop).map_err(|e| {
            self.count(-1);
            Error::Internal {
                what: format!("cannot start a thread: {e}"),
            }
        })
    }

    /// How many run now.
    #[must_use]
    pub fn running(&self) -> u32 {
        *self.lock()
    }

    /// Waits until none runs, at most `timeout`. True when none runs. Never called on the JavaScript thread but at its very end.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut running = self.lock();
        while *running != 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            running = self
                .0
                .fewer
                .wait_timeout(running, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, u32> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
