//! One memfd, sealed and mapped once: `slots` slots of `slot_size` bytes, each on a page.
//!
//! Seals: SHRINK and GROW (a peer that holds the fd can never make us fault), then, after our own writable mapping exists,
//! FUTURE_WRITE (nobody else can ever get a writable shared mapping) and SEAL. The fd is CLOEXEC.

use crate::error::Error;
use memfd::{FileSeal, MemfdOptions};
use rustix::mm::{MapFlags, MremapFlags, ProtFlags};
use std::{
    ffi::c_void,
    fs::File,
    os::fd::{AsFd, BorrowedFd},
    ptr::NonNull,
};

/// Bytes of a page.
#[must_use]
pub fn page_size() -> usize {
    rustix::param::page_size()
}

/// A sealed memfd and the owner's one mapping of it.
#[derive(Debug)]
pub struct Segment {
    file: File,
    base: NonNull<u8>,
    len: usize,
    slot_size: usize,
}

// SAFETY: the mapping lives until drop, its address never changes, and this type only hands out addresses; who may read or
// write behind them is decided by the ledger.
unsafe impl Send for Segment {}
// SAFETY: as above; no method changes a field.
unsafe impl Sync for Segment {}

impl Segment {
    /// A new segment. `slot_size` must be a multiple of the page size.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel has no memfd, no memory or no address space for it.
    pub fn new(name: &str, slot_size: usize, slots: u32) -> Result<Self, Error> {
        let len = slot_size.checked_mul(slots as usize).ok_or(Error::Size {
            got: slot_size,
            max: isize::MAX as usize,
        })?;
        let os = |source: std::io::Error| Error::Os { bytes: len, source };
        let memfd = MemfdOptions::default()
            .close_on_exec(true)
            .allow_sealing(true)
            .create(name)
            .map_err(|e| os(std::io::Error::other(e)))?;
        memfd.as_file().set_len(len as u64).map_err(os)?;
        let seal = |seal| memfd.add_seal(seal).map_err(|e| os(std::io::Error::other(e)));
        seal(FileSeal::SealShrink)?;
        seal(FileSeal::SealGrow)?;
        // SAFETY: a fresh mapping at an address that the kernel chooses; the file has `len` bytes and can no longer shrink.
        let base = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                memfd.as_file(),
                0,
            )
        }
        .map_err(|e| os(e.into()))?;
        let base = NonNull::new(base.cast::<u8>()).ok_or_else(|| os(std::io::Error::other("mapped at address 0")))?;
        let segment = Segment {
            file: memfd.into_file(),
            base,
            len,
            slot_size,
        };
        // Kernels before 5.1 do not know FUTURE_WRITE; without it a peer could write, so such a segment is refused.
        rustix::fs::fcntl_add_seals(
            &segment.file,
            rustix::fs::SealFlags::FUTURE_WRITE | rustix::fs::SealFlags::SEAL,
        )
        .map_err(|e| os(e.into()))?;
        Ok(segment)
    }

    /// The fd, to be shown to another process. Whoever gets it can read every byte of the segment, free slots included.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Bytes of the whole segment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: a segment has at least one page.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes per slot.
    #[must_use]
    pub fn slot_size(&self) -> usize {
        self.slot_size
    }

    /// Where slot `index` begins in our mapping.
    ///
    /// # Panics
    /// When there is no such slot.
    #[must_use]
    pub fn slot(&self, index: u32) -> NonNull<u8> {
        let offset = self.slot_offset(index);
        assert!(
            offset + self.slot_size <= self.len,
            "slot {index} lies outside its segment"
        );
        // SAFETY: the assertion above keeps the offset inside the mapping.
        unsafe { self.base.add(offset) }
    }

    /// Where slot `index` begins in the file.
    #[must_use]
    pub fn slot_offset(&self, index: u32) -> usize {
        index as usize * self.slot_size
    }

    /// Maps slot `index` a second time, readable and writable, over the pages at `target` (`slot_size` bytes, page-aligned):
    /// after FUTURE_WRITE only a duplicate of the owner's own mapping can be had (`mremap` with an old size of 0).
    ///
    /// Cost: two syscalls, about 7 µs; pages are faulted in at first touch.
    ///
    /// # Errors
    /// What the kernel says.
    ///
    /// # Safety
    /// `target .. target + slot_size` must be a range of pages that belongs to the caller, whose present mapping may be replaced
    /// and which nothing but the caller's own readers uses.
    pub unsafe fn map_slot_over(&self, index: u32, target: NonNull<u8>) -> std::io::Result<()> {
        // SAFETY: the source is a live shared mapping of ours (old size 0 duplicates it, leaving it as it is); the target is the
        // caller's by this function's contract.
        unsafe {
            rustix::mm::mremap_fixed(
                self.slot(index).as_ptr().cast::<c_void>(),
                0,
                self.slot_size,
                MremapFlags::MAYMOVE,
                target.as_ptr().cast::<c_void>(),
            )?;
        }
        Ok(())
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `new` with this length; leases keep the segment alive, so nobody points into it now.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast::<c_void>(), self.len) };
    }
}
