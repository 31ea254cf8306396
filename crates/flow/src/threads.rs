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

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// All that have not ended.
    alive: u32,
    /// Those of them that have something left to do but to say that it is done.
    busy: u32,
}

#[derive(Debug, Default)]
struct Inner {
    running: Mutex<Counts>,
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

    /// Above first: who waits here and wakes finds it right there, too.
    fn count(&self, alive: i32, busy: i32) {
        if let Some(above) = &self.0.above {
            above.count(alive, busy);
        }
        let mut running = self.lock();
        running.alive = running.alive.saturating_add_signed(alive);
        running.busy = running.busy.saturating_add_signed(busy);
        drop(running);
        self.0.fewer.notify_all();
    }

    /// Starts one. `name` has at most 15 characters (the kernel's limit).
    ///
    /// # Errors
    /// [`Error::Internal`] when the system gives no more threads.
    pub fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        // The body's end is the end of the guard.
        self.spawn_job(name, |busy| {
            body();
            drop(busy);
        })
    }

    /// As [`Threads::spawn`], for a thread whose last act is to answer: dropping [`Busy`] before makes it one that
    /// [`Threads::running`] no longer counts, so that who hears the answer does not find the thread still there.
    ///
    /// # Errors
    /// As [`Threads::spawn`].
    pub fn spawn_job(&self, name: &str, body: impl FnOnce(Busy) + Send + 'static) -> Result<(), Error> {
        self.count(1, 1);
        let me = self.clone();
        let busy = Busy(self.clone());
        let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // What the body owns is dropped while it unwinds; queues end with an error by that (see `Sender::drop`).
            if catch_unwind(AssertUnwindSafe(|| body(busy))).is_err() {
                tracing::error!("a media thread panicked");
            }
            me.count(-1, 0);
        });
        // A thread that was not started drops its guard with its body.
        started.map(drop).map_err(|e| {
            self.count(-1, 0);
            Error::Internal {
                what: format!("cannot start a thread: {e}"),
            }
        })
    }

    /// How many run now and have more to do than to answer.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.lock().busy
    }

    /// Waits until none runs, at most `timeout`. True when none runs. Never called on the JavaScript thread but at its very end.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut running = self.lock();
        while running.alive != 0 {
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that has something to do.
#[derive(Debug)]
pub struct Busy(Threads);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.count(0, -1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn who_hears_an_answer_finds_the_thread_counted_out_and_who_waits_for_the_end_waits_longer() {
        let threads = Threads::new();
        for _ in 0..200 {
            let (answer, answered) = mpsc::channel();
            let (hold, held) = mpsc::channel::<()>();
            let job = move |busy| {
                drop(busy);
                answer.send(()).unwrap();
                let _ = held.recv();
            };
            threads.spawn_job("answers", job).unwrap();
            answered.recv().unwrap();
            assert_eq!(threads.running(), 0);
            assert!(!threads.wait(Duration::ZERO), "it has not ended");
            drop(hold);
            assert!(threads.wait(LONG));
        }
    }

    #[test]
    fn who_waits_for_a_group_finds_its_threads_counted_out_above_too() {
        let above = Threads::new();
        for _ in 0..200 {
            let group = above.within();
            for _ in 0..3 {
                group.spawn("works", || ()).unwrap();
            }
            assert!(group.wait(LONG));
            assert_eq!(above.running(), 0);
        }
        assert!(above.wait(LONG));
    }

    #[test]
    fn a_thread_that_panics_is_counted_out() {
        let threads = Threads::new();
        threads.spawn("panics", || panic!("as it should")).unwrap();
        threads.spawn_job("panics", |_busy| panic!("as it should")).unwrap();
        assert!(threads.wait(LONG));
        assert_eq!(threads.running(), 0);
    }
}
