//! Models of the ledger and the gate over the crate's own source: loom runs each through every order of its steps that the memory
//! model allows. Every rule has a twin with a planted fault that loom must find, so that we know it looks.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p beamline-arena --release --test loom --target-dir target/loom`
#![cfg(loom)]
#![expect(
    unsafe_code,
    reason = "a slot's bytes are shared between threads as the ledger says; loom's cell checks that"
)]

use beamline_arena::{ledger::Ledger, wait::Gate};
use loom::{cell::UnsafeCell, sync::Arc, thread};

/// The bytes of slots, for loom to watch: two who touch the same ones at once, one of them writing, end the model.
struct Slots(Vec<UnsafeCell<()>>);

// SAFETY: that it holds is what the models are there to show; loom panics where it does not.
unsafe impl Sync for Slots {}

struct Pool {
    ledger: Ledger,
    slots: Slots,
    gate: Gate,
}

impl Pool {
    fn new(slots: u32) -> Arc<Self> {
        Arc::new(Pool {
            ledger: Ledger::new(slots, false),
            slots: Slots((0..slots).map(|_| UnsafeCell::new(())).collect()),
            gate: Gate::default(),
        })
    }

    fn write(&self, slot: u32) {
        self.slots.0[slot as usize].with_mut(|_| ());
    }

    fn read(&self, slot: u32) {
        self.slots.0[slot as usize].with(|_| ());
    }

    /// As `Lease::drop` does it.
    fn release(&self, slot: u32) {
        if self.ledger.release(slot) {
            self.ledger.free(slot);
            self.gate.ring();
        }
    }

    /// Takes a slot, writes it, shows it.
    fn fill(&self) -> Option<(u32, u32)> {
        let taken = self.ledger.take()?;
        self.write(taken.index);
        self.ledger.share(taken.index);
        Some((taken.index, taken.generation))
    }
}

#[test]
fn no_slot_is_given_to_two() {
    loom::model(|| {
        let pool = Pool::new(2);
        let others: Vec<_> = (0..2)
            .map(|_| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || {
                    let (slot, _) = pool.fill().expect("there is one for each");
                    pool.read(slot);
                    pool.release(slot);
                })
            })
            .collect();
        others.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!((pool.ledger.in_use(), pool.ledger.uses()), (0, 2));
    });
}

/// Two readers let go of the only slot; a third waits to write it.
fn readers_before_the_next_writer(release: fn(&Pool, u32)) {
    loom::model(move || {
        let pool = Pool::new(1);
        let (slot, _) = pool.fill().expect("a slot is free");
        pool.ledger.retain(slot);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || {
                    pool.read(slot);
                    release(&pool, slot);
                })
            })
            .collect();
        if let Some((_, generation)) = pool.fill() {
            assert_eq!(generation, 1);
        }
        readers
            .into_iter()
            .for_each(|t| t.join().expect("the thread ends well"));
    });
}

#[test]
fn a_slot_is_written_again_only_after_its_last_reader() {
    readers_before_the_next_writer(Pool::release);
}

#[test]
#[should_panic]
fn planted_a_slot_that_every_reader_frees_is_found() {
    readers_before_the_next_writer(|pool, slot| {
        let _ = pool.ledger.release(slot);
        pool.ledger.free(slot);
    });
}

/// One holder lets go while another thread resolves by slot and generation, and a third takes what comes free.
fn resolving_beside_a_release(resolve: fn(&Pool, u32, u32) -> bool) {
    loom::model(move || {
        let pool = Pool::new(1);
        let (slot, generation) = pool.fill().expect("a slot is free");
        let resolver = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                if resolve(&pool, slot, generation) {
                    pool.read(slot);
                    pool.release(slot);
                }
            })
        };
        pool.release(slot);
        if let Some((slot, generation)) = pool.fill() {
            assert_eq!(generation, 1, "the generation rises at each free");
            assert!(!pool.ledger.resolve(slot, 0), "an old name is worth nothing");
            pool.release(slot);
        }
        resolver.join().expect("the thread ends well");
        assert_eq!(pool.ledger.in_use(), 0);
        assert!(!pool.ledger.resolve(slot, generation));
    });
}

#[test]
fn resolve_gives_only_the_use_that_was_named() {
    resolving_beside_a_release(|pool, slot, generation| pool.ledger.resolve(slot, generation));
}

#[test]
#[should_panic]
fn planted_a_resolve_in_two_steps_is_found() {
    resolving_beside_a_release(|pool, slot, generation| {
        let (references, now) = pool.ledger.look(slot);
        let same = references != 0 && now == generation;
        if same {
            pool.ledger.retain(slot);
        }
        same
    });
}

/// The only holder wants to write while another thread resolves the slot to read it.
fn writing_beside_a_resolve(try_exclusive: fn(&Pool, u32) -> bool) {
    loom::model(move || {
        let pool = Pool::new(1);
        let (slot, generation) = pool.fill().expect("a slot is free");
        let reader = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                if pool.ledger.resolve(slot, generation) {
                    pool.read(slot);
                    pool.release(slot);
                }
            })
        };
        if try_exclusive(&pool, slot) {
            pool.write(slot);
            pool.ledger.share(slot);
        }
        pool.release(slot);
        reader.join().expect("the thread ends well");
        assert_eq!((pool.ledger.in_use(), pool.ledger.uses()), (0, 1));
    });
}

#[test]
fn exclusive_and_resolved_exclude_each_other() {
    writing_beside_a_resolve(|pool, slot| pool.ledger.try_exclusive(slot));
}

#[test]
#[should_panic]
fn planted_a_look_instead_of_an_exchange_is_found() {
    writing_beside_a_resolve(|pool, slot| pool.ledger.look(slot).0 == 1);
}

#[test]
fn exclusive_comes_after_a_clone_that_another_thread_dropped() {
    loom::model(|| {
        let pool = Pool::new(1);
        let (slot, _) = pool.fill().unwrap();
        pool.ledger.retain(slot);
        let other = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || {
                pool.read(slot);
                pool.release(slot);
            })
        };
        if pool.ledger.try_exclusive(slot) {
            pool.write(slot);
        }
        pool.release(slot);
        other.join().unwrap();
        assert_eq!(pool.ledger.in_use(), 0);
    });
}

/// One thread waits for the only slot, another gives it back. A lost wake is a deadlock, which loom reports.
fn waiting_for_a_release(release: fn(&Pool, u32)) {
    loom::model(move || {
        let pool = Pool::new(1);
        let (slot, _) = pool.fill().expect("a slot is free");
        let holder = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || release(&pool, slot))
        };
        let found = pool.gate.wait(None, &|| false, || pool.ledger.take());
        assert_eq!(found.map(|t| t.generation), Ok(1));
        holder.join().expect("the thread ends well");
    });
}

#[test]
fn no_wake_is_lost_between_free_and_ring() {
    waiting_for_a_release(Pool::release);
}

/// Runs one of the faults below in a process of its own (a deadlock in loom ends the process) and expects it to be found.
fn expect_deadlock(fault: &str) {
    let me = std::env::current_exe().expect("the kernel plays along");
    let run = std::process::Command::new(me)
        .args(["--exact", fault, "--ignored", "--nocapture"])
        .output()
        .expect("the kernel plays along");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success() && said.contains("deadlock"), "{said}");
}

#[test]
fn planted_a_ring_before_the_free_is_found() {
    expect_deadlock("fault_ring_before_free");
}

#[test]
fn planted_a_free_without_a_ring_is_found() {
    expect_deadlock("fault_no_ring");
}

#[test]
#[ignore = "a planted fault, run by expect_deadlock"]
fn fault_ring_before_free() {
    waiting_for_a_release(|pool, slot| {
        if pool.ledger.release(slot) {
            pool.gate.ring();
            pool.ledger.free(slot);
        }
    });
}

#[test]
#[ignore = "a planted fault, run by expect_deadlock"]
fn fault_no_ring() {
    waiting_for_a_release(|pool, slot| {
        if pool.ledger.release(slot) {
            pool.ledger.free(slot);
        }
    });
}

#[test]
fn a_cancelled_wait_ends_when_it_is_rung() {
    loom::model(|| {
        let pool = Pool::new(1);
        let _held = pool.fill().unwrap();
        let wish = Arc::new(loom::sync::atomic::AtomicBool::new(false));
        let other = {
            let (pool, wish) = (Arc::clone(&pool), Arc::clone(&wish));
            thread::spawn(move || {
                wish.store(true, loom::sync::atomic::Ordering::SeqCst);
                pool.gate.ring();
            })
        };
        let cancelled = || wish.load(loom::sync::atomic::Ordering::SeqCst);
        let found = pool.gate.wait(None, &cancelled, || pool.ledger.take());
        assert!(found.is_err());
        other.join().unwrap();
    });
}
