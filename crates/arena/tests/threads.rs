//! Pools between threads: sharing, waiting, counting.

use beamline_arena::{Arena, Error, Lease, Pool, PoolConfig, Wait};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

fn pool(arena: &Arena, slots: u32) -> Pool {
    arena.pool(PoolConfig {
        slots,
        ..PoolConfig::new("test")
    })
}

const FOREVER: Wait<'static> = Wait::Until {
    deadline: None,
    cancelled: &|| false,
};

#[test]
fn many_threads_never_share_a_slot_that_is_written() {
    let arena = Arena::default();
    let class = pool(&arena, 3).class(4096).unwrap();
    let torn = AtomicU64::new(0);
    thread::scope(|scope| {
        for me in 1..=6u8 {
            let (class, torn) = (&class, &torn);
            scope.spawn(move || {
                for round in 0..3000u32 {
                    let mut slot = class.acquire(FOREVER).unwrap();
                    let mark = me.wrapping_mul(40).wrapping_add(round as u8);
                    slot[..64].fill(mark);
                    let lease = slot.freeze();
                    let clone = lease.clone();
                    drop(lease);
                    if clone.bytes()[..64].iter().any(|b| *b != mark) {
                        torn.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let stats = class.stats();
    assert_eq!(torn.into_inner(), 0);
    assert_eq!((stats.live, stats.allocations, stats.slots), (0, 18_000, 3));
    assert!((1..=3).contains(&stats.high_water));
}

#[test]
fn leases_that_are_passed_between_threads_come_back() {
    let arena = Arena::default();
    let class = pool(&arena, 4).class(4096).unwrap();
    let (send, receive) = std::sync::mpsc::channel::<Lease>();
    let reader = thread::spawn(move || {
        receive
            .into_iter()
            .map(|lease| u64::from(lease.bytes()[0]))
            .sum::<u64>()
    });
    for round in 0..2000u32 {
        let mut slot = class.acquire(FOREVER).unwrap();
        slot[0] = (round % 2) as u8;
        send.send(slot.freeze()).unwrap();
    }
    drop(send);
    assert_eq!(reader.join().unwrap(), 1000);
    assert_eq!(class.stats().live, 0);
}

#[test]
fn waits_end_at_their_deadline_and_are_counted() {
    let class = pool(&Arena::default(), 1).class(1).unwrap();
    let _held = class.acquire(Wait::Never).unwrap();
    let begin = Instant::now();
    let deadline = Some(begin + Duration::from_millis(30));
    let error = class
        .acquire(Wait::Until {
            deadline,
            cancelled: &|| false,
        })
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Timeout {
                in_use: 1,
                slots: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(begin.elapsed() >= Duration::from_millis(30));
    assert_eq!(class.stats().waits, 1);
}

#[test]
fn waits_end_when_they_are_cancelled() {
    let class = pool(&Arena::default(), 1).class(1).unwrap();
    let _held = class.acquire(Wait::Never).unwrap();
    let wish = AtomicBool::new(false);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let cancelled = || wish.load(Ordering::SeqCst);
            class
                .acquire(Wait::Until {
                    deadline: None,
                    cancelled: &cancelled,
                })
                .map(drop)
        });
        while class.stats().waits == 0 {
            thread::yield_now();
        }
        wish.store(true, Ordering::SeqCst);
        class.interrupt();
        assert!(matches!(waiter.join().unwrap(), Err(Error::Cancelled)));
    });
}

#[test]
fn a_waiter_gets_the_slot_that_comes_free() {
    let class = pool(&Arena::default(), 1).class(1).unwrap();
    let held = class.acquire(Wait::Never).unwrap().freeze();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| class.acquire(FOREVER).map(|slot| slot.slot_index()));
        while class.stats().waits == 0 {
            thread::yield_now();
        }
        drop(held);
        assert_eq!(waiter.join().unwrap().unwrap(), 0);
    });
}

#[test]
fn counters_only_grow() {
    let arena = Arena::default();
    let stop = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..2 {
            let (arena, stop) = (arena.clone(), Arc::clone(&stop));
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let class = pool(&arena, 2).class(4096).unwrap();
                    for _ in 0..50 {
                        drop(class.acquire(Wait::Grow).unwrap().freeze());
                    }
                }
            });
        }
        let mut last = arena.stats();
        for _ in 0..3000 {
            let now = arena.stats();
            if now.allocations < last.allocations || now.waits < last.waits {
                stop.store(true, Ordering::Relaxed);
                panic!("{now:?} after {last:?}");
            }
            last = now;
        }
        stop.store(true, Ordering::Relaxed);
    });
}
