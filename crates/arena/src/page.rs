//! One small shared mapping with counters in it: the pages of a link.

use crate::{
    error::Error,
    grant::{PublishPage, ReturnPage, TellPage},
    segment::{Access, check_seals, map, page_size, seal_for_good, sealed_file},
};
use std::{
    ffi::c_void,
    fs::File,
    marker::PhantomData,
    ops::Deref,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
};

/// What may lie in a shared page.
///
/// # Safety
/// The type is `repr(C)` and consists of atomics alone: every bit pattern is a value of it, and another process may change it at any time.
pub unsafe trait PageContents: Sync {}

// SAFETY: `repr(C)`, atomics alone.
unsafe impl PageContents for TellPage {}
// SAFETY: `repr(C)`, atomics alone.
unsafe impl PageContents for ReturnPage {}
// SAFETY: `repr(C)`, atomics alone.
unsafe impl PageContents for PublishPage {}

/// A `T` that lies in shared memory. All zeros when it is made.
#[derive(Debug)]
pub struct SharedPage<T: PageContents> {
    file: File,
    base: NonNull<u8>,
    len: usize,
    contents: PhantomData<T>,
}

// SAFETY: it hands out `&T` alone, which is `Sync`, over a mapping that lives until drop.
unsafe impl<T: PageContents> Send for SharedPage<T> {}
// SAFETY: as above.
unsafe impl<T: PageContents> Sync for SharedPage<T> {}

impl<T: PageContents> SharedPage<T> {
    const LEN: usize = size_of::<T>();

    fn mapped_len() -> usize {
        Self::LEN.next_multiple_of(page_size())
    }

    /// A new page that this process writes. With `ours_alone` no other process can ever map it for writing.
    ///
    /// # Errors
    /// [`Error::Os`].
    pub fn new(name: &str, ours_alone: bool) -> Result<Self, Error> {
        let len = Self::mapped_len();
        let os = |source: std::io::Error| Error::Os { bytes: len, source };
        let file = sealed_file(name, len).map_err(os)?;
        let base = map(file.as_fd(), len, Access::Shared).map_err(os)?;
        let page = SharedPage {
            file,
            base,
            len,
            contents: PhantomData,
        };
        seal_for_good(&page.file, ours_alone).map_err(os)?;
        Ok(page)
    }

    /// A page that another process made, to be read or (`Access::Shared`) written.
    ///
    /// # Errors
    /// [`Error::Foreign`] when it is too small or could be cut short; [`Error::Os`].
    pub fn attach(fd: OwnedFd, access: Access) -> Result<Self, Error> {
        let len = Self::mapped_len();
        check_seals(fd.as_fd(), len)?;
        let base = map(fd.as_fd(), len, access).map_err(|source| match source.kind() {
            std::io::ErrorKind::PermissionDenied => Error::Foreign {
                what: "memory that may not be mapped as it must".into(),
            },
            _ => Error::Os { bytes: len, source },
        })?;
        Ok(SharedPage {
            file: fd.into(),
            base,
            len,
            contents: PhantomData,
        })
    }

    /// The fd, to be shown to another process.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl<T: PageContents> Deref for SharedPage<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the mapping has `size_of::<T>()` bytes and can not be cut short (sealed, or checked when attached), is page-aligned,
        // lives until drop, and any bytes are a `T` (`PageContents`). A read-only one is only read: writers of `T` are given `Shared`.
        unsafe { self.base.cast::<T>().as_ref() }
    }
}

impl<T: PageContents> Drop for SharedPage<T> {
    fn drop(&mut self) {
        // SAFETY: mapped with this length; nobody borrows from it any more.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast::<c_void>(), self.len) };
    }
}
