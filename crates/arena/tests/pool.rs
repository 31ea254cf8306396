//! Pools and leases as their users see them.

use beamline_arena::{Arena, Error, Lease, Pool, PoolConfig, SlotRef, Wait, page_size};
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
fn nothing_is_mapped_before_the_first_slot() {
    let arena = Arena::default();
    let class = pool(&arena, 8).class(10_000).unwrap();
    assert_eq!(arena.stats().bytes, 0);
    let _slot = class.acquire(Wait::Never).unwrap();
    assert_eq!(arena.stats().bytes, 8 * class.slot_size() as u64);
}

#[test]
fn an_empty_pool_says_so_or_grows_within_its_budget() {
    let arena = Arena::default();
    let size = page_size();
    let config = PoolConfig {
        slots: 2,
        max_bytes: 4 * size as u64,
        ..PoolConfig::new("small")
    };
    let class = arena.pool(config).class(size).unwrap();
    let mut held: Vec<_> = (0..2).map(|_| class.acquire(Wait::Never).unwrap()).collect();
    assert!(matches!(class.acquire(Wait::Never), Err(Error::Empty { slots: 2, .. })));
    held.extend((0..2).map(|_| class.acquire(Wait::Grow).unwrap()));
    let Err(Error::Budget { pool, used, budget, .. }) = class.acquire(Wait::Grow) else {
        panic!("the budget is passed");
    };
    assert_eq!(
        (pool.as_str(), used, budget),
        ("small", 4 * size as u64, 4 * size as u64)
    );
    held.pop();
    assert!(class.acquire(Wait::Grow).is_ok(), "a free slot needs no budget");
}

#[test]
fn the_arenas_budget_holds_over_all_pools() {
    let size = page_size();
    let arena = Arena::with_budget(3 * size as u64);
    let first = pool(&arena, 2).class(size).unwrap();
    let second = pool(&arena, 2).class(size).unwrap();
    let slot = first.acquire(Wait::Grow).unwrap();
    assert!(matches!(second.acquire(Wait::Grow), Err(Error::Budget { .. })));
    drop((slot, first));
    assert!(
        second.acquire(Wait::Grow).is_ok(),
        "memory that went back can be used again"
    );
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
fn memory_goes_back_with_the_last_lease_after_the_pool_is_gone() {
    let arena = Arena::default();
    let source = pool(&arena, 2);
    let class = source.class(4096).unwrap();
    let mut slot = class.acquire(Wait::Never).unwrap();
    slot[0] = 7;
    let lease = slot.freeze();
    drop((class, source));
    assert_eq!((lease.bytes()[0], arena.stats().bytes), (7, 2 * 4096));
    drop(lease);
    let stats = arena.stats();
    assert_eq!(
        (stats.bytes, stats.slots, stats.live, stats.allocations),
        (0, 0, 0, 1),
        "counters never fall"
    );
}

#[test]
fn a_slots_name_is_worth_nothing_after_the_slot_was_freed_or_while_it_is_written() {
    let arena = Arena::default();
    let class = pool(&arena, 1).class(4096).unwrap();
    let lease = class.acquire(Wait::Never).unwrap().freeze();
    let name = lease.slot_ref();
    let again = class.resolve(name).expect("it is held");
    assert!(again.same_slot(&lease) && lease.holders() == 2);
    assert!(arena.resolve(name).is_some(), "the arena finds it too");
    drop(again);
    let writing = lease.try_into_mut().expect("the only holder");
    assert!(class.resolve(name).is_none(), "it is being written");
    let lease = writing.freeze();
    assert!(class.resolve(name).is_some(), "it was never freed");
    drop(lease);
    assert!(class.resolve(name).is_none() && arena.resolve(name).is_none());
    let next = class.acquire(Wait::Never).unwrap().freeze();
    assert_eq!(next.slot_ref().generation, name.generation + 1);
    assert!(class.resolve(name).is_none(), "another use of the same slot");
    for wrong in [
        SlotRef {
            arena: name.arena + 1,
            ..next.slot_ref()
        },
        SlotRef {
            segment: name.segment + 1,
            ..next.slot_ref()
        },
        SlotRef {
            slot: 99,
            ..next.slot_ref()
        },
    ] {
        assert!(
            class.resolve(wrong).is_none() && arena.resolve(wrong).is_none(),
            "{wrong:?}"
        );
    }
}

#[test]
fn a_slot_that_others_hold_cannot_be_written() {
    let class = pool(&Arena::default(), 1).class(4096).unwrap();
    let lease = class.acquire(Wait::Never).unwrap().freeze();
    let other = lease.clone();
    let lease = lease.try_into_mut().expect_err("two hold it");
    drop(other);
    assert!(lease.try_into_mut().is_ok());
}

#[test]
fn lengths_that_round_to_one_size_share_a_class_and_waste_little() {
    let source = pool(&Arena::default(), 1);
    for len in [1, 4095, 4096, 5000, 100_000, 3_110_400, 33_177_600] {
        let class = source.class(len).unwrap();
        let size = class.slot_size();
        assert!(size >= len && size.is_multiple_of(page_size()));
        assert!(size - len < page_size().max(len / 8 + 1), "{len} became {size}");
    }
    assert_eq!(
        source.class(4097).unwrap().slot_size(),
        source.class(8000).unwrap().slot_size()
    );
    for impossible in [0, usize::MAX, 1 << 41] {
        assert!(matches!(source.class(impossible), Err(Error::Size { .. })));
    }
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
