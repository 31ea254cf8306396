//! The producer's end.

use super::{Gone, Policy, Refused, Shared};
use crate::Error;
use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

/// The producer's end; not to be cloned: one thread produces.
pub struct Sender<T>(pub(super) Arc<Shared<T>>);

impl<T> Sender<T> {
    /// Puts one item in, by the policy.
    ///
    /// # Errors
    /// [`Gone`] when nobody will take it.
    pub fn push(&self, item: T) -> Result<(), Gone> {
        self.put(item)?;
        self.ring();
        Ok(())
    }

    /// As [`Sender::push`], but where there is room for more a consumer that sleeps is not told: [`Sender::ring`] is to follow. For a
    /// producer that has several items at once: told of the first, the consumer would come for each alone.
    ///
    /// # Errors
    /// As [`Sender::push`].
    pub(crate) fn put(&self, mut item: T) -> Result<(), Gone> {
        let shared = &*self.0;
        loop {
            if shared.over() {
                return Err(Gone);
            }
            match shared.policy {
                Policy::Block => match shared.queue.push(item) {
                    Ok(()) => break,
                    Err(back) => {
                        item = back;
                        self.ring();
                        shared.producer.wait(|| !shared.queue.is_full() || shared.over());
                    }
                },
                Policy::DropNewest => {
                    if shared.queue.push(item).is_err() {
                        shared.dropped.fetch_add(1, Ordering::Relaxed);
                        return Ok(());
                    }
                    break;
                }
                Policy::DropOldest | Policy::Latest => {
                    if shared.queue.force_push(item).is_some() {
                        shared.dropped.fetch_add(1, Ordering::Relaxed);
                    }
                    break;
                }
            }
        }
        shared.pushed.fetch_add(1, Ordering::Relaxed);
        shared.untold.store(true, Ordering::Relaxed);
        if shared.queue.is_full() {
            self.ring();
        }
        Ok(())
    }

    /// Tells a consumer that sleeps of what was [put](Sender::put) in since. Where nothing was nobody is woken: a consumer whose frames are
    /// all open counts the time in which none comes.
    pub(crate) fn ring(&self) {
        // The producer's own note: no other thread looks at it.
        if self.0.untold.load(Ordering::Relaxed) {
            self.0.untold.store(false, Ordering::Relaxed);
            self.0.ring();
        }
    }

    /// Puts one item in if there is room, whatever the policy: for producers that must not wait (the JavaScript thread).
    ///
    /// # Errors
    /// The item, when it was not taken.
    pub fn try_push(&self, item: T) -> Result<(), Refused<T>> {
        self.try_put(item)?;
        self.ring();
        Ok(())
    }

    /// [`Sender::try_push`] and [`Sender::put`] at once.
    ///
    /// # Errors
    /// As [`Sender::try_push`].
    pub(crate) fn try_put(&self, item: T) -> Result<(), Refused<T>> {
        let shared = &*self.0;
        if shared.over() {
            return Err(Refused::Gone);
        }
        shared.queue.push(item).map_err(Refused::Full)?;
        shared.pushed.fetch_add(1, Ordering::Relaxed);
        shared.untold.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Once, before the first [`Sender::arm_room`]: how to tell that there is room, or nobody any more.
    pub fn on_room(&self, notify: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.room.set(Box::new(notify));
    }

    /// Asks to be told, once. False: try again instead.
    #[must_use]
    pub fn arm_room(&self) -> bool {
        let shared = &*self.0;
        shared.room_armed.store(true, Ordering::SeqCst);
        let nothing = shared.queue.is_full() && !shared.over();
        if !nothing {
            shared.room_armed.store(false, Ordering::SeqCst);
        }
        nothing
    }

    /// Sleeps until `ready`, or nobody consumes. What makes it ready must call [`Waker::wake`].
    pub(crate) fn wait(&self, ready: impl Fn() -> bool) {
        self.ring();
        self.0.producer.wait(|| ready() || self.0.over());
    }

    /// How many items the policy has dropped since this was last asked. For the producer.
    pub(crate) fn take_dropped(&self) -> u64 {
        let all = self.0.dropped.load(Ordering::Relaxed);
        all - self.0.dropped_told.swap(all, Ordering::Relaxed)
    }

    /// Whether nobody will take another item.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.over()
    }

    /// Says the last word; later words are ignored.
    pub fn end(&self, how: Result<(), Error>) {
        let _ = self.0.end.set(how.map_err(Arc::new));
        self.0.ring();
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // A producer that goes without a word has died: that is a fault, and the consumer must not wait for good.
        self.end(Err(Error::Internal {
            what: "a media thread ended without saying why".into(),
        }));
        // Put in while the consumer went: others may still keep the queue itself.
        if self.0.consumer_gone.load(Ordering::SeqCst) {
            while self.0.queue.pop().is_some() {}
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("waiting", &self.0.queue.len())
            .finish_non_exhaustive()
    }
}
