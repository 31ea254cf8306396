//! Pools and leases as their users see them.

use beamline_arena::{Arena, Error, Pool, PoolConfig, SlotRef, Wait, page_size};
use std::{
    thread,
    time::{Duration, Instant},
};

fn pool(arena: &Arena, slots: u32) -> Pool {
    arena.pool(PoolConfig {
        slots,
        ..PoolConfig::new("test")
    })
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
fn a_segment_that_can_never_fit_is_cut_for_who_can_grow_it_and_refused_to_who_would_wait_for_himself() {
    let size = page_size();
    let arena = Arena::with_budget(3 * size as u64);
    let class = pool(&arena, 4).class(size).unwrap();
    let wait = Wait::Until {
        deadline: Some(Instant::now() + Duration::from_millis(20)),
        cancelled: &|| false,
    };
    for wait in [Wait::Never, wait] {
        assert!(matches!(class.acquire(wait), Err(Error::Budget { .. })));
        assert_eq!(arena.stats().slots, 0);
    }
    let slot = class.acquire(Wait::Grow).unwrap();
    assert_eq!(arena.stats().slots, 3);
    drop((slot, class));
    // Not by what others use now: that comes back.
    let others = pool(&arena, 1).class(size).unwrap();
    let held = others.acquire(Wait::Grow).unwrap();
    let class = pool(&arena, 4).class(size).unwrap();
    assert!(matches!(class.acquire(Wait::Grow), Err(Error::Budget { .. })));
    drop((held, others));
    assert!(class.acquire(Wait::Grow).is_ok());
}

#[test]
fn a_wait_for_bytes_ends_when_they_come_or_its_source_is_closed() {
    const LONG: Duration = Duration::from_secs(60);
    let size = page_size();
    for closes in [false, true] {
        let arena = Arena::with_budget(2 * size as u64);
        let others = pool(&arena, 2).class(size).unwrap();
        let held = others.acquire(Wait::Grow).unwrap();
        let source = pool(&arena, 2);
        let class = source.class(size).unwrap();
        thread::scope(|scope| {
            let waits = scope.spawn(|| class.acquire(Wait::GrowUntil(Instant::now() + LONG)).map(drop));
            thread::sleep(Duration::from_millis(20));
            assert!(!waits.is_finished(), "there were bytes");
            if closes {
                source.stop_waiting();
                assert!(matches!(waits.join().unwrap(), Err(Error::Cancelled)));
                assert!(matches!(
                    class.acquire(Wait::GrowUntil(Instant::now() + LONG)),
                    Err(Error::Cancelled)
                ));
                drop((held, others));
            } else {
                drop((held, others));
                let since = Instant::now();
                waits.join().unwrap().unwrap();
                assert!(since.elapsed() < LONG / 2, "{:?}", since.elapsed());
            }
        });
        assert!(class.acquire(Wait::Grow).is_ok(), "what is there is given out");
    }
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
fn the_high_water_mark_stays_when_pools_end_and_does_not_add_up_one_after_the_other() {
    let arena = Arena::default();
    let hold = |source: &Pool, count: usize| -> Vec<_> {
        let class = source.class(4096).unwrap();
        (0..count).map(|_| class.acquire(Wait::Never).unwrap()).collect()
    };
    let first = pool(&arena, 8);
    drop(hold(&first, 3));
    drop(first);
    let after = arena.stats();
    assert_eq!((after.slots, after.live, after.high_water), (0, 0, 3));
    let second = pool(&arena, 8);
    let held = hold(&second, 2);
    assert_eq!(arena.stats().high_water, 3, "two of one pool after three of another");
    let third = pool(&arena, 8);
    let more = hold(&third, 4);
    assert_eq!(arena.stats().high_water, 6, "two and four at once");
    drop((held, more));
    assert_eq!((arena.stats().slots, arena.stats().high_water), (0, 6));
    drop(hold(&second, 5));
    assert_eq!(arena.stats().high_water, 6, "five alone");
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
