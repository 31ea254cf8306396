//! Taking and releasing a slot makes no allocation and no syscall.
#![expect(
    unsafe_code,
    reason = "counts allocations in an allocator of its own; forks a child that may make no syscall"
)]

use beamline_arena::{Arena, PoolConfig, SizeClass, Wait};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread at its end has no counter left, and no test.
    let _ = COUNT.try_with(|c| c.set(c.get() + 1));
}

// SAFETY: passes everything on to the system's allocator; counting touches only a plain thread-local.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count();
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A class whose first segment is there.
fn warm() -> SizeClass {
    let class = Arena::default()
        .pool(PoolConfig::new("hot"))
        .class(4096)
        .expect("the kernel plays along");
    drop(class.acquire(Wait::Grow).expect("the kernel plays along").freeze());
    class
}

/// What a frame costs the arena: taken, written, shown, held twice, let go.
fn once(class: &SizeClass) -> bool {
    let Ok(mut slot) = class.acquire(Wait::Grow) else {
        return false;
    };
    slot[0] = 1;
    let lease = slot.freeze();
    let other = lease.clone();
    drop(lease);
    other.bytes()[0] == 1
}

#[test]
fn acquire_and_release_allocate_nothing() {
    let class = warm();
    let before = COUNT.get();
    let good = (0..10_000).all(|_| once(&class));
    let allocations = COUNT.get() - before;
    assert!(good);
    assert_eq!(allocations, 0);
    drop(vec![1u8; 100]);
    assert_ne!(COUNT.get(), before, "the allocator counts");
}

/// Runs `work` in a child that the kernel kills at any syscall but `exit`, `read` and `write`; true when it came to its end.
fn survives_without_syscalls(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child of a process with other threads does nothing but `work`, which takes no lock and allocates nothing (the
    // test above), and ends by a bare `exit`.
    unsafe {
        match libc::fork() {
            0 => {
                if libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) != 0 {
                    libc::_exit(2);
                }
                let code = i32::from(!work());
                // `exit_group`, which `_exit` would call, is not allowed.
                libc::syscall(libc::SYS_exit, code);
                unreachable!("exit does not come back");
            }
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                assert!(
                    !(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 2),
                    "the kernel has no seccomp"
                );
                libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
            }
        }
    }
}

#[test]
fn acquire_and_release_make_no_syscall() {
    let class = warm();
    assert!(survives_without_syscalls(|| (0..10_000).all(|_| once(&class))));
}

#[test]
fn planted_a_syscall_is_found() {
    let class = warm();
    assert!(!survives_without_syscalls(|| {
        let _ = rustix::process::getppid();
        once(&class)
    }));
}
