//! The life of a driver's slots.

use beamline_arena::{Arena, BoundPool, Error, PoolConfig};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{sync::mpsc, thread, time::Duration};

fn bound(slots: u32) -> (Arena, BoundPool) {
    let arena = Arena::default();
    let pool = BoundPool::new(&arena.pool(PoolConfig::new("camera")), 4096, slots).expect("the kernel plays along");
    (arena, pool)
}

/// Sleeps on the fd; false when nothing came for two seconds.
fn sleep(pool: &BoundPool) -> bool {
    let limit = Timespec { tv_sec: 2, tv_nsec: 0 };
    let mut fds = [PollFd::from_borrowed_fd(pool.fd(), PollFlags::IN)];
    poll(&mut fds, Some(&limit)).expect("the kernel plays along") > 0
}

#[test]
fn slots_begin_with_the_driver_lowest_first() {
    let (_arena, pool) = bound(3);
    assert!(pool.lend(0).is_none(), "it was not taken yet");
    assert_eq!([0; 4].map(|_| pool.take_returned()), [Some(0), Some(1), Some(2), None]);
    assert!(pool.lend(3).is_none(), "there is no such slot");
    let slot = pool.lend(1).unwrap();
    assert!(pool.lend(1).is_none(), "it is out as a frame");
    assert_eq!(slot.slot_index(), 1);
    drop(slot);
    assert!(pool.lend(1).is_none(), "it came back and was not taken");
    assert_eq!(pool.take_returned(), Some(1));
}

#[test]
fn a_slot_comes_back_at_the_last_release_only() {
    let (_arena, pool) = bound(1);
    let index = pool.take_returned().unwrap();
    let lease = pool.lend(index).unwrap().freeze();
    let other = lease.clone();
    drop(lease);
    assert_eq!(pool.take_returned(), None);
    drop(other);
    assert_eq!(pool.take_returned(), Some(index));
}

#[test]
fn the_drivers_thread_sleeps_until_a_slot_comes_back() {
    let (_arena, pool) = bound(2);
    let (send, frames) = mpsc::sync_channel(8);
    let rounds = 2000;
    let reader = thread::spawn(move || {
        let mut last = 0;
        for (i, frame) in frames.into_iter().enumerate() {
            let frame: beamline_arena::Lease = frame;
            last = frame.bytes()[0];
            assert_eq!(last, i as u8);
            drop(frame);
        }
        last
    });
    let mut slept = 0;
    for round in 0..rounds {
        let index = loop {
            if let Some(index) = pool.take_returned() {
                break index;
            }
            if pool.about_to_sleep() {
                slept += 1;
                assert!(sleep(&pool), "a wake was lost in round {round}");
            }
            pool.awake();
        };
        let mut slot = pool.lend(index).unwrap();
        slot[0] = round as u8;
        send.send(slot.freeze()).unwrap();
    }
    drop(send);
    assert_eq!(reader.join().unwrap(), (rounds - 1) as u8);
    assert!(slept > 0, "the test never slept");
    assert_eq!(pool.stats().allocations, rounds);
}

#[test]
fn a_release_wakes_only_who_asked() {
    let (_arena, pool) = bound(1);
    let lend = || pool.lend(pool.take_returned().unwrap()).unwrap();
    drop(lend());
    let mut fds = [PollFd::from_borrowed_fd(pool.fd(), PollFlags::IN)];
    assert_eq!(poll(&mut fds, Some(&Timespec::default())).unwrap(), 0);
    let out = lend();
    assert!(pool.about_to_sleep());
    let waker = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        drop(out);
    });
    assert!(sleep(&pool));
    waker.join().unwrap();
    assert!(!pool.about_to_sleep(), "something is there already");
    pool.awake();
    assert_eq!(pool.take_returned(), Some(0));
}

#[test]
fn frames_outlive_their_pool() {
    let (arena, pool) = bound(2);
    let index = pool.take_returned().unwrap();
    let mut slot = pool.lend(index).unwrap();
    slot[0] = 9;
    let lease = slot.freeze();
    drop(pool);
    assert_eq!(lease.bytes()[0], 9);
    assert_eq!(arena.stats().bytes, 2 * 4096);
    drop(lease);
    assert_eq!(arena.stats().bytes, 0);
}

#[test]
fn numbers_count_what_is_out() {
    let (_arena, pool) = bound(64);
    assert_eq!((pool.slots(), pool.stats().live), (64, 0));
    let index = pool.take_returned().unwrap();
    assert_eq!(pool.stats().live, 1, "with the driver");
    let slot = pool.lend(index).unwrap();
    assert_eq!((pool.stats().live, pool.stats().high_water), (1, 1));
    drop(slot);
    assert_eq!(pool.stats().live, 0);
}

#[test]
fn impossible_pools_are_refused() {
    let arena = Arena::with_budget(4096);
    let source = arena.pool(PoolConfig::new("camera"));
    for (len, slots) in [(0, 1), (4096, 0), (4096, 65)] {
        assert!(
            matches!(BoundPool::new(&source, len, slots), Err(Error::Size { .. })),
            "{len} × {slots}"
        );
    }
    assert!(matches!(BoundPool::new(&source, 4096, 2), Err(Error::Budget { .. })));
    assert!(BoundPool::new(&source, usize::MAX, 1).is_err());
}
