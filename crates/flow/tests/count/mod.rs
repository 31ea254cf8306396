//! Counts blocks and mappings from a certain size on, over the whole process: the executable's malloc comes before libc's, for all
//! libraries that are linked into it. Nothing here allocates, locks or waits.

use std::{
    ffi::{CStr, c_char, c_int, c_long, c_void},
    ptr,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

static FROM: AtomicUsize = AtomicUsize::new(usize::MAX);
static BLOCKS: AtomicU64 = AtomicU64::new(0);
static MAPPINGS: AtomicU64 = AtomicU64::new(0);

/// What was counted so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) blocks: u64,
    pub(crate) mappings: u64,
}

/// Counts what has at least so many bytes, from now on and from 0.
pub(crate) fn from(bytes: usize) {
    FROM.store(bytes, Ordering::SeqCst);
    BLOCKS.store(0, Ordering::SeqCst);
    MAPPINGS.store(0, Ordering::SeqCst);
}

pub(crate) fn now() -> Counted {
    Counted {
        blocks: BLOCKS.load(Ordering::SeqCst),
        mappings: MAPPINGS.load(Ordering::SeqCst),
    }
}

fn note(counter: &AtomicU64, len: usize) {
    if len >= FROM.load(Ordering::Relaxed) {
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

// glibc's own functions behind the names that we take, with their signatures.
unsafe extern "C" {
    fn __libc_malloc(len: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, len: usize) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, len: usize) -> *mut c_void;
    fn __libc_memalign(align: usize, len: usize) -> *mut c_void;
    fn syscall(number: c_long, ...) -> c_long;
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// Of the kernel's table: `mmap`.
#[cfg(target_arch = "x86_64")]
const SYS_MMAP: c_long = 9;
#[cfg(target_arch = "aarch64")]
const SYS_MMAP: c_long = 222;

const ENOMEM: c_int = 12;
const EINVAL: c_int = 22;

// Stands for libc's function of that name and keeps its contract by handing the call on.
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(len: usize) -> *mut c_void {
    note(&BLOCKS, len);
    // SAFETY: the caller's call, handed on.
    unsafe { __libc_malloc(len) }
}

// As `malloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count: usize, len: usize) -> *mut c_void {
    note(&BLOCKS, count.saturating_mul(len));
    // SAFETY: the caller's call, handed on.
    unsafe { __libc_calloc(count, len) }
}

// As `malloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, len: usize) -> *mut c_void {
    note(&BLOCKS, len);
    // SAFETY: the caller's call, handed on.
    unsafe { __libc_realloc(block, len) }
}

// As `malloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memalign(align: usize, len: usize) -> *mut c_void {
    note(&BLOCKS, len);
    // SAFETY: the caller's call, handed on.
    unsafe { __libc_memalign(align, len) }
}

// As `malloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn aligned_alloc(align: usize, len: usize) -> *mut c_void {
    note(&BLOCKS, len);
    // SAFETY: the caller's call, handed on; glibc's `aligned_alloc` is its `memalign`.
    unsafe { __libc_memalign(align, len) }
}

// As `malloc`.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(into: *mut *mut c_void, align: usize, len: usize) -> c_int {
    note(&BLOCKS, len);
    if !align.is_power_of_two() || !align.is_multiple_of(size_of::<usize>()) {
        return EINVAL;
    }
    // SAFETY: the alignment is one that memalign takes.
    let block = unsafe { __libc_memalign(align, len) };
    if block.is_null() {
        return ENOMEM;
    }
    // SAFETY: the caller's pointer, to be written by contract.
    unsafe { ptr::write(into, block) };
    0
}

// As `malloc`; libc's `mmap` is the system call.
#[unsafe(no_mangle)]
unsafe extern "C" fn mmap(
    at: *mut c_void,
    len: usize,
    prot: c_int,
    flags: c_int,
    fd: c_int,
    offset: i64,
) -> *mut c_void {
    note(&MAPPINGS, len);
    // SAFETY: the caller's call, handed on; `syscall` sets errno and gives -1, which is MAP_FAILED.
    unsafe { ptr::with_exposed_provenance_mut(syscall(SYS_MMAP, at, len, prot, flags, fd, offset) as usize) }
}

// As `mmap`: on 64 bits they are the same.
#[unsafe(no_mangle)]
unsafe extern "C" fn mmap64(
    at: *mut c_void,
    len: usize,
    prot: c_int,
    flags: c_int,
    fd: c_int,
    offset: i64,
) -> *mut c_void {
    // SAFETY: the caller's call, handed on.
    unsafe { mmap(at, len, prot, flags, fd, offset) }
}

/// Which of the names mean something else than what stands here to a library that is bound at run time.
pub(crate) fn not_ours() -> Vec<&'static str> {
    let ours: [(&CStr, *const ()); 8] = [
        (c"malloc", malloc as *const ()),
        (c"calloc", calloc as *const ()),
        (c"realloc", realloc as *const ()),
        (c"memalign", memalign as *const ()),
        (c"aligned_alloc", aligned_alloc as *const ()),
        (c"posix_memalign", posix_memalign as *const ()),
        (c"mmap", mmap as *const ()),
        (c"mmap64", mmap64 as *const ()),
    ];
    ours.into_iter()
        // SAFETY: RTLD_DEFAULT is null, the names end with 0.
        .filter(|(name, own)| unsafe { dlsym(ptr::null_mut(), name.as_ptr()) }.cast_const().cast() != *own)
        .map(|(name, _)| name.to_str().unwrap_or("?"))
        .collect()
}
