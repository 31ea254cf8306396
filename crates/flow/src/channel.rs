//! The one queue between a media thread and whoever consumes: bounded, with a named policy, without a lock on either side.
//!
//! ```text
//! producer thread ── Sender::push ──▶ [ArrayQueue] ──▶ Receiver::pop ── JavaScript thread, or any other
//!        ▲ parked while full (block)       │ notify(), once per Receiver::arm
//!        └────────── unparked ─────────────┘
//! ```
//!
//! Neither side ever waits for the other inside a call, but for `push` with [`Policy::Block`] and [`Receiver::pop_timeout`].

use crate::Error;
use crossbeam_queue::ArrayQueue;
use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// What happens when a queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The producer waits.
    Block,
    /// The oldest waiting item makes room.
    DropOldest,
    /// The new item is dropped.
    DropNewest,
    /// Only the newest item waits: a queue of one that drops the oldest.
    Latest,
}

impl Policy {
    /// Its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Policy::Block => "block",
            Policy::DropOldest => "drop-oldest",
            Policy::DropNewest => "drop-newest",
            Policy::Latest => "latest",
        }
    }

    /// The policy of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Policy::Block, Policy::DropOldest, Policy::DropNewest, Policy::Latest]
            .into_iter()
            .find(|p| p.name() == name)
    }
}

/// Puts one thread to sleep until another says so, without a lock.
#[derive(Default)]
pub(crate) struct Parker {
    waiting: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Parker {
    /// Sleeps until `ready`. Always called from the same thread. Whatever makes `ready` true must call [`Parker::wake`] after.
    pub(crate) fn wait(&self, ready: impl Fn() -> bool) {
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
    pub(crate) fn wake(&self) {
        if self.waiting.load(Ordering::SeqCst)
            && self.waiting.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}

type Notify = Box<dyn Fn() + Send + Sync>;

struct Shared<T> {
    queue: ArrayQueue<T>,
    policy: Policy,
    producer: Parker,
    /// Set once, by the producer: the last word.
    end: OnceLock<Result<(), Arc<Error>>>,
    consumer_gone: AtomicBool,
    stopped: AtomicBool,
    armed: AtomicBool,
    notify: OnceLock<Notify>,
    room_armed: AtomicBool,
    room: OnceLock<Notify>,
    pushed: AtomicU64,
    dropped: AtomicU64,
    dropped_told: AtomicU64,
}

/// The producer's end; not to be cloned: one thread produces.
pub struct Sender<T>(Arc<Shared<T>>);

/// The consumer's end.
pub struct Receiver<T>(Arc<Shared<T>>);

/// What [`Receiver::pop`] gives.
#[derive(Debug)]
pub enum Pop<T> {
    /// The next item.
    Item(T),
    /// Nothing now.
    Empty,
    /// Nothing any more; the error, if there was one.
    End(Option<Arc<Error>>),
}

/// What [`Sender::try_push`] gives back with an item that it did not take.
#[derive(Debug)]
pub enum Refused<T> {
    /// There is no room now.
    Full(T),
    /// Nobody will take it.
    Gone,
}

/// Nobody consumes any more, or the stream was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// A queue of `capacity` (at least 1; always 1 for [`Policy::Latest`]).
#[must_use]
pub fn channel<T>(capacity: usize, policy: Policy) -> (Sender<T>, Receiver<T>) {
    let capacity = if policy == Policy::Latest { 1 } else { capacity.max(1) };
    let shared = Arc::new(Shared {
        queue: ArrayQueue::new(capacity),
        policy,
        producer: Parker::default(),
        end: OnceLock::new(),
        consumer_gone: AtomicBool::new(false),
        stopped: AtomicBool::new(false),
        armed: AtomicBool::new(false),
        notify: OnceLock::new(),
        room_armed: AtomicBool::new(false),
        room: OnceLock::new(),
        pushed: AtomicU64::new(0),
        dropped: AtomicU64::new(0),
        dropped_told: AtomicU64::new(0),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Sender<T> {
    /// Puts one item in, by the policy.
    ///
    /// # Errors
    /// [`Gone`] when nobody will take it.
    pub fn push(&self, mut item: T) -> Result<(), Gone> {
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
        shared.ring();
        Ok(())
    }

    /// Puts one item in if there is room, whatever the policy: for producers that must not wait (the JavaScript thread).
    ///
    /// # Errors
    /// The item, when it was not taken.
    pub fn try_push(&self, item: T) -> Result<(), Refused<T>> {
        let shared = &*self.0;
        if shared.over() {
            return Err(Refused::Gone);
        }
        shared.queue.push(item).map_err(Refused::Full)?;
        shared.pushed.fetch_add(1, Ordering::Relaxed);
        shared.ring();
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
    }
}

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
            // Not at every item: a producer woken once per item would cost two context switches each, and whoever takes items a system
            // call. What is left in the queue is what the consumer has while the producer wakes.
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
    /// Stops the producer from elsewhere, as [`Receiver::stop`] does: a hook for `Cancel`.
    pub(crate) fn stopper(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = Arc::clone(&self.0);
        move || shared.stop()
    }
}

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

impl<T> Shared<T> {
    fn over(&self) -> bool {
        self.consumer_gone.load(Ordering::SeqCst) || self.stopped.load(Ordering::SeqCst)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.producer.wake();
        self.ring_room();
    }

    fn ring_room(&self) {
        if self.room_armed.load(Ordering::SeqCst)
            && self.room_armed.swap(false, Ordering::SeqCst)
            && let Some(room) = self.room.get()
        {
            room();
        }
    }

    fn ring(&self) {
        if self.armed.swap(false, Ordering::SeqCst)
            && let Some(notify) = self.notify.get()
        {
            notify();
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

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("waiting", &self.0.queue.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(rx: &Receiver<u32>) -> Vec<u32> {
        std::iter::from_fn(|| match rx.pop() {
            Pop::Item(n) => Some(n),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn each_policy_keeps_what_its_name_says_and_counts_the_rest() {
        for (policy, kept, lost) in [
            (Policy::DropOldest, vec![3, 4, 5], 3),
            (Policy::DropNewest, vec![0, 1, 2], 3),
            (Policy::Latest, vec![5], 5),
        ] {
            let (tx, rx) = channel(3, policy);
            (0..6).for_each(|n| tx.push(n).unwrap());
            assert_eq!(rx.counts().1, lost, "{policy:?}");
            assert_eq!(drain(&rx), kept, "{policy:?}");
        }
    }

    #[test]
    fn block_loses_nothing_and_the_end_comes_last() {
        let (tx, rx) = channel(2, Policy::Block);
        let producer = thread::spawn(move || {
            (0..10_000u32).for_each(|n| tx.push(n).unwrap());
            tx.end(Ok(()));
        });
        let mut next = 0;
        loop {
            match rx.pop_timeout(Duration::from_secs(5)) {
                Pop::Item(n) => {
                    assert_eq!(n, next);
                    next += 1;
                }
                Pop::End(None) => break,
                other => panic!("{other:?} after {next}"),
            }
        }
        assert_eq!(next, 10_000);
        producer.join().unwrap();
    }

    #[test]
    fn a_blocked_producer_ends_when_the_consumer_goes() {
        let (tx, rx) = channel(1, Policy::Block);
        let producer = thread::spawn(move || (0..).find(|n| tx.push(*n) == Err(Gone)));
        thread::sleep(Duration::from_millis(20));
        drop(rx);
        assert!(producer.join().unwrap().is_some());
    }

    #[test]
    fn a_producer_that_dies_is_an_error_and_not_a_silence() {
        let (tx, rx) = channel::<u32>(1, Policy::Block);
        drop(tx);
        assert!(matches!(rx.pop(), Pop::End(Some(_))));
    }
}
