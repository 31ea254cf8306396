//! One memfd, sealed and mapped once: `slots` slots of `slot_size` bytes, each on a page.
//!
//! Seals: SHRINK and GROW (a peer that holds the fd can never make us fault), then, after our own writable mapping exists,
//! FUTURE_WRITE (nobody else can ever get a writable shared mapping) and SEAL. The fd is CLOEXEC. A segment for a producer gets the last
//! two when the producer has mapped it ([`Segment::close_to_writers`]): before anybody else learns of it.

use crate::error::Error;
use memfd::{FileSeal, MemfdOptions};
use rustix::{
    fs::SealFlags,
    mm::{MapFlags, MremapFlags, ProtFlags},
};
use std::{
    ffi::c_void,
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

/// Bytes of a page.
#[must_use]
pub fn page_size() -> usize {
    rustix::param::page_size()
}

/// How memory is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Readable and writable, seen by all: the owner's own.
    Shared,
    /// To be read; a store kills the process.
    Read,
    /// Readable and writable, but a store makes a page of our own that nobody else sees, and that no longer follows the owner's.
    Private,
}

pub(crate) fn map(file: BorrowedFd<'_>, len: usize, access: Access) -> std::io::Result<NonNull<u8>> {
    let write = if access == Access::Read {
        ProtFlags::empty()
    } else {
        ProtFlags::WRITE
    };
    let flags = if access == Access::Private {
        // Pages that are written for themselves are the rare case: nothing is set aside for them.
        MapFlags::PRIVATE | MapFlags::NORESERVE
    } else {
        MapFlags::SHARED
    };
    // SAFETY: a fresh mapping at an address that the kernel chooses; callers have seen to it that the file has `len` bytes for good.
    let base = unsafe { rustix::mm::mmap(std::ptr::null_mut(), len, ProtFlags::READ | write, flags, file, 0)? };
    NonNull::new(base.cast::<u8>()).ok_or_else(|| std::io::Error::other("mapped at address 0"))
}

/// What a memfd says that it lies in (`linux/magic.h`).
const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;

/// Whether a fd that came from elsewhere has `len` bytes for good: it can not be cut short under a mapping.
pub(crate) fn check_seals(fd: BorrowedFd<'_>, len: usize) -> Result<(), Error> {
    let os = |e: rustix::io::Errno| Error::Os {
        bytes: len,
        source: e.into(),
    };
    let size = rustix::fs::fstat(fd).map_err(os)?.st_size;
    if !usize::try_from(size).is_ok_and(|size| size >= len) {
        return Err(Error::Foreign {
            what: format!("{size} bytes where {len} are needed"),
        });
    }
    // Huge pages must be there when they are touched, else the toucher dies; these are made then.
    if rustix::fs::fstatfs(fd).map_err(os)?.f_type != TMPFS_MAGIC {
        return Err(Error::Foreign {
            what: "memory of another kind than a memfd's".into(),
        });
    }
    // Only memfds have seals: for anything else this fails.
    let seals = rustix::fs::fcntl_get_seals(fd).map_err(os)?;
    if !seals.contains(rustix::fs::SealFlags::SHRINK) {
        return Err(Error::Foreign {
            what: "memory that could be cut short".into(),
        });
    }
    Ok(())
}

/// A new memfd of `len` zeros that stays that long: not inherited by programs that are started.
pub(crate) fn sealed_file(name: &str, len: usize) -> std::io::Result<File> {
    let memfd = MemfdOptions::default()
        .close_on_exec(true)
        .allow_sealing(true)
        .create(name)
        .map_err(std::io::Error::other)?;
    memfd.as_file().set_len(len as u64)?;
    memfd
        .add_seals(&[FileSeal::SealShrink, FileSeal::SealGrow])
        .map_err(std::io::Error::other)?;
    Ok(memfd.into_file())
}

/// The last seals of a file that this process has mapped: nobody takes any back, and with `ours_alone` nobody else can ever map it for
/// writing.
pub(crate) fn seal_for_good(file: &File, ours_alone: bool) -> std::io::Result<()> {
    let write = if ours_alone {
        SealFlags::FUTURE_WRITE
    } else {
        SealFlags::empty()
    };
    Ok(rustix::fs::fcntl_add_seals(file, write | SealFlags::SEAL)?)
}

/// A sealed memfd and the owner's one mapping of it; or another process's, mapped to be read.
#[derive(Debug)]
pub struct Segment {
    file: File,
    base: NonNull<u8>,
    len: usize,
    slot_size: usize,
    access: Access,
    /// Whether another process may still map it for writing.
    open: AtomicBool,
}

// SAFETY: the mapping lives until drop, its address never changes, and this type only hands out addresses; who may read or
// write behind them is decided by the ledger.
unsafe impl Send for Segment {}
// SAFETY: as above; no method changes a field.
unsafe impl Sync for Segment {}

impl Segment {
    /// A new segment. `slot_size` must be a multiple of the page size. Nobody else can ever map it for writing, unless it is `open`.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel has no memfd, no memory or no address space for it.
    pub fn new(name: &str, slot_size: usize, slots: u32, open: bool) -> Result<Self, Error> {
        let len = slot_size.checked_mul(slots as usize).ok_or(Error::Size {
            got: slot_size,
            max: isize::MAX as usize,
        })?;
        let os = |source: std::io::Error| Error::Os { bytes: len, source };
        let file = sealed_file(name, len).map_err(os)?;
        let base = map(file.as_fd(), len, Access::Shared).map_err(os)?;
        let segment = Segment {
            file,
            base,
            len,
            slot_size,
            access: Access::Shared,
            open: AtomicBool::new(true),
        };
        if !open {
            segment.close_to_writers()?;
        }
        Ok(segment)
    }

    /// From now on nobody can map it for writing; mappings that exist stay as they are.
    ///
    /// # Errors
    /// [`Error::Os`] on kernels before 5.1, which do not know FUTURE_WRITE, and when the one who could write has seen to it that nothing
    /// can be sealed any more: such a segment must be shown to nobody.
    pub fn close_to_writers(&self) -> Result<(), Error> {
        if !self.open.load(Ordering::Relaxed) {
            return Ok(());
        }
        seal_for_good(&self.file, true).map_err(|source| Error::Os {
            bytes: self.len,
            source,
        })?;
        self.open.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Another process's segment, as its fd came over a socket.
    ///
    /// # Errors
    /// [`Error::Foreign`] when sizes or seals are not what they must be; [`Error::Os`].
    pub fn attach(fd: OwnedFd, slot_size: usize, slots: u32, access: Access) -> Result<Self, Error> {
        let whole = slot_size > 0 && slot_size.is_multiple_of(page_size());
        let len = slot_size
            .checked_mul(slots as usize)
            .filter(|len| whole && *len > 0 && *len < isize::MAX as usize)
            .ok_or_else(|| Error::Foreign {
                what: format!("{slots} slots of {slot_size} bytes"),
            })?;
        check_seals(fd.as_fd(), len)?;
        let base = map(fd.as_fd(), len, access).map_err(|source| Error::Os { bytes: len, source })?;
        Ok(Segment {
            file: fd.into(),
            base,
            len,
            slot_size,
            access,
            open: AtomicBool::new(false),
        })
    }

    /// How it is mapped here.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// How many slots it has.
    #[must_use]
    pub fn slots(&self) -> u32 {
        (self.len / self.slot_size) as u32
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
    /// after FUTURE_WRITE only a duplicate of the owner's own mapping can be had (`mremap` with an old size of 0). Another process's slot
    /// is mapped `MAP_PRIVATE`.
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
        if self.access != Access::Shared {
            let _ = self.slot(index);
            let offset = self.slot_offset(index) as u64;
            let target = target.as_ptr().cast::<c_void>();
            // SAFETY: the file can not be cut short (`check_seals`), the slot lies in it (`slot` has looked), and the target is the
            // caller's by this function's contract.
            unsafe {
                rustix::mm::mmap(
                    target,
                    self.slot_size,
                    ProtFlags::READ | ProtFlags::WRITE,
                    MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE,
                    &self.file,
                    offset,
                )?;
            }
            return Ok(());
        }
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
