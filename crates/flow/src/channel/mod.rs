//! The one queue between a media thread and whoever consumes: bounded, with a named policy, without a lock on either side.
//!
//! ```text
//! producer thread ── Sender::push ──▶ [ArrayQueue] ──▶ Receiver::pop ── JavaScript thread, or any other
//!        ▲ parked while full (block)       │ notify(), once per Receiver::arm
//!        └────────── unparked ─────────────┘
//! ```
//!
//! Neither side ever waits for the other inside a call, but for `push` with [`Policy::Block`] and [`Receiver::pop_timeout`].
//!
//! Here is what both ends share; `sender.rs` and `receiver.rs` are the ends, `parker.rs` is how a producer sleeps.

mod parker;
mod receiver;
mod sender;

pub(crate) use receiver::{Gauge, Waker};
pub use {receiver::Receiver, sender::Sender};

use crate::Error;
use crossbeam_queue::ArrayQueue;
use parker::Parker;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
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
    /// Items were put in of which the consumer was not told.
    untold: AtomicBool,
    notify: OnceLock<Notify>,
    room_armed: AtomicBool,
    room: OnceLock<Notify>,
    pushed: AtomicU64,
    dropped: AtomicU64,
    dropped_told: AtomicU64,
}

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
        untold: AtomicBool::new(false),
        notify: OnceLock::new(),
        room_armed: AtomicBool::new(false),
        room: OnceLock::new(),
        pushed: AtomicU64::new(0),
        dropped: AtomicU64::new(0),
        dropped_told: AtomicU64::new(0),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::{thread, time::Duration};

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
    fn a_consumer_is_told_of_items_once_and_of_none_never() {
        let (tx, rx) = channel(4, Policy::DropNewest);
        let rung = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&rung);
        rx.on_ready(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let rings = || rung.swap(0, Ordering::Relaxed);
        assert!(rx.arm());
        tx.ring();
        assert_eq!(rings(), 0, "nothing was put in");
        tx.put(1).unwrap();
        tx.put(2).unwrap();
        assert_eq!(rings(), 0, "more may come");
        tx.ring();
        tx.ring();
        assert_eq!(rings(), 1);
        assert_eq!(drain(&rx), [1, 2]);
        assert!(rx.arm());
        (0..4).for_each(|n| tx.put(n).unwrap());
        assert_eq!(rings(), 1, "a full queue waits for no more");
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
