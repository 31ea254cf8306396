//! The consumer's end.

use super::{Pop, Shared};
use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

/// The consumer's end.
pub struct Receiver<T>(pub(super) Arc<Shared<T>>);

impl<T> Receiver<T> {
    /// Called once before the first [`Receiver::arm`]: how to tell that something is there. Runs on the producer's thread.
    pub fn on_ready(&self, notify: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.notify.set(Box::new(notify));
    }

    /// The next item, if there is one. Never waits.
    #[must_use]
    pub fn pop(&self) -> Pop<T> {
        let shared = &*self.0;
        if let Some(item) = shared.queue.pop() {
            // Not at every item: a producer woken once per item would cost two context switches each.
            if shared.queue.len() <= shared.queue.capacity() / 4 {
                shared.producer.wake();
            }
            shared.ring_room();
            return Pop::Item(item);
        }
        match shared.end.get() {
            // Items pushed before the end are seen now, if they came between the two looks.
            Some(end) => match shared.queue.pop() {
                Some(item) => Pop::Item(item),
                None => Pop::End(end.as_ref().err().cloned()),
            },
            None => Pop::Empty,
        }
    }

    /// Asks to be notified, once. False: something is there already, look again instead.
    #[must_use]
    pub fn arm(&self) -> bool {
        let shared = &*self.0;
        shared.armed.store(true, Ordering::SeqCst);
        let nothing = shared.queue.is_empty() && shared.end.get().is_none();
        if !nothing {
            shared.armed.store(false, Ordering::SeqCst);
        }
        nothing
    }

    /// The next item, waiting at most `timeout` for it. For consumers that are threads of their own; needs [`Receiver::on_ready`]
    /// not to be set to anything else.
    #[must_use]
    pub fn pop_timeout(&self, timeout: Duration) -> Pop<T> {
        let deadline = Instant::now() + timeout;
        let me = thread::current();
        let _ = self.0.notify.set(Box::new(move || me.unpark()));
        loop {
            match self.pop() {
                Pop::Empty => {}
                other => return other,
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Pop::Empty;
            }
            if self.arm() {
                thread::park_timeout(left);
            }
        }
    }

    /// The producer is to stop; what waits is let go when the receiver is dropped.
    pub fn stop(&self) {
        self.0.stop();
    }

    /// How many items were put in and how many of them dropped.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (
            self.0.pushed.load(Ordering::Relaxed),
            self.0.dropped.load(Ordering::Relaxed),
        )
    }

    /// Items that wait now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.queue.len()
    }

    /// Whether none waits now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.queue.is_empty()
    }
}

impl<T: Send + 'static> Receiver<T> {
    /// Wakes the producer when something that it waits for by [`Sender::wait`] has changed.
    pub(crate) fn waker(&self) -> Waker {
        let shared = Arc::clone(&self.0);
        Waker(Arc::new(move || shared.producer.wake()))
    }
}

impl<T: Send + 'static> Receiver<T> {
    /// [`Receiver::len`] for others.
    pub(crate) fn gauge(&self) -> Gauge {
        let shared = Arc::clone(&self.0);
        Arc::new(move || shared.queue.len())
    }

    /// Stops the producer from elsewhere, as [`Receiver::stop`] does: a hook for `Cancel`.
    pub(crate) fn stopper(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = Arc::clone(&self.0);
        move || shared.stop()
    }
}

/// How many items wait in a queue: without holding its end.
pub(crate) type Gauge = Arc<dyn Fn() -> usize + Send + Sync>;

/// See [`Receiver::waker`].
#[derive(Clone)]
pub(crate) struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    pub(crate) fn wake(&self) {
        (self.0)();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.consumer_gone.store(true, Ordering::SeqCst);
        self.0.producer.wake();
        self.0.ring_room();
        // What still waits is let go now, not when the producer goes.
        while self.0.queue.pop().is_some() {}
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("waiting", &self.0.queue.len())
            .finish_non_exhaustive()
    }
}
