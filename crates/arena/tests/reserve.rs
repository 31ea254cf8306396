//! Slots that are set aside.

use beamline_arena::{Arena, BoundPool, Error, PoolConfig, Reserve, SizeClass, Wait};

const SLOT: usize = 4096;

/// A class that begins with `first` slots and has bytes for `slots`, and where its slots are set aside.
fn class(first: u32, slots: u64) -> (Arena, SizeClass, Reserve) {
    let arena = Arena::default();
    let config = PoolConfig {
        slots: first,
        max_bytes: slots * SLOT as u64,
        ..PoolConfig::new("source")
    };
    let class = arena.pool(config).class(SLOT).expect("a size");
    let slot = class.acquire(Wait::Never).expect("the first").freeze();
    let reserve = Reserve::of(&slot).expect("it is ours");
    (arena, class, reserve)
}

fn free(reserve: &Reserve, wanted: u32) -> u32 {
    match reserve.set_aside(wanted) {
        Err(Error::Promised { free, .. }) => free,
        other => panic!("{other:?} instead of a refusal"),
    }
}

#[test]
fn a_class_grows_for_what_is_set_aside_and_not_again_for_the_next() {
    let (arena, _class, reserve) = class(8, 1000);
    let first = reserve.set_aside(20).expect("it grows");
    assert_eq!(arena.stats().slots, 8 + 20);
    drop(first);
    let _second = reserve.set_aside(20).expect("what was set free");
    assert_eq!(arena.stats().slots, 8 + 20);
    let _third = reserve.set_aside(100).expect("it grows again");
    assert_eq!(arena.stats().slots, 8 + 120, "in segments of at most 64");
}

#[test]
fn where_it_cannot_grow_the_source_keeps_half_of_its_own() {
    let (arena, _class, reserve) = class(8, 8 + 3);
    assert_eq!(free(&reserve, 8), 3 + 4);
    assert_eq!(arena.stats().slots, 8, "nothing was made for what was refused");
    let _some = reserve.set_aside(5).expect("three new ones and two of its own");
    assert_eq!(arena.stats().slots, 8 + 3);
    assert_eq!(free(&reserve, 3), 2);
    assert!(reserve.set_aside(2).is_ok());
}

#[test]
fn the_arenas_budget_holds_too() {
    let arena = Arena::with_budget(12 * SLOT as u64);
    let class = arena.pool(PoolConfig::new("source")).class(SLOT).expect("a size");
    let slot = class.acquire(Wait::Never).expect("the first").freeze();
    let reserve = Reserve::of(&slot).expect("it is ours");
    assert_eq!(free(&reserve, 100), 4 + 4);
}

#[test]
fn a_driver_keeps_two() {
    let arena = Arena::default();
    let pool = BoundPool::new(&arena.pool(PoolConfig::new("camera")), SLOT, 6).expect("the kernel plays along");
    let index = pool.take_returned().expect("all are there");
    let lease = pool.lend(index).expect("it is the driver's").freeze();
    let reserve = Reserve::of(&lease).expect("it is ours");
    assert!(reserve.is_bound());
    assert_eq!(lease.left_for_driver(), Some(5));
    assert_eq!(free(&reserve, 5), 4);
    let held = reserve.set_aside(3).expect("there are four");
    assert_eq!(free(&reserve, 2), 1);
    drop(held);
    assert!(reserve.set_aside(4).is_ok());
}

#[test]
fn it_keeps_no_memory_alive() {
    let (arena, class, reserve) = class(8, 1000);
    let held = reserve.set_aside(8).expect("it grows");
    drop(class);
    assert_eq!(arena.stats().bytes, 0);
    assert!(reserve.set_aside(1_000_000).is_ok(), "nothing of it can be held");
    drop(held);
}
