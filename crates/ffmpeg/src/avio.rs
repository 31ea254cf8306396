//! Bytes between FFmpeg and `beamline_io`. FFmpeg only learns that something failed; what failed is kept here and given back.

use crate::{error, sys as ff};
use beamline_io::{ByteSource, Cancel, Error};
use std::{
    ffi::{c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::NonNull,
    sync::Arc,
};

/// Bytes that are asked of a source, or given to a sink, at once.
const BUFFER: usize = 64 << 10;

/// Where a file is written to; positions are the caller's matter.
pub(crate) trait Target: Send {
    /// Writes all at the present position.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error>;
    /// Goes to a position; `None` in a target that only goes forward.
    fn seek(&mut self, to: u64) -> Option<Result<(), Error>>;
    /// Where the end is.
    fn len(&self) -> u64;
    /// Where writing goes on.
    fn position(&self) -> u64;
}

/// Read side.
pub(crate) struct Source {
    pub(crate) source: Arc<dyn ByteSource>,
    pub(crate) cancel: Cancel,
    at: u64,
    /// What is read lands here first: at the end of the source FFmpeg goes on with what its own buffer held, so nothing else may be
    /// written there, and no source may see memory that was never written.
    scratch: Vec<u8>,
    failed: Option<Error>,
}

/// Write side.
pub(crate) struct Sink<T> {
    pub(crate) target: T,
    failed: Option<Error>,
}

/// An AVIOContext with what its callbacks use. Freed at drop; a format context that uses it must go first.
pub(crate) struct Avio<T> {
    ctx: NonNull<ff::AVIOContext>,
    state: NonNull<T>,
}

// SAFETY: the context has no thread of its own and the state may move between threads.
unsafe impl<T: Send> Send for Avio<T> {}

impl<T> Avio<T> {
    pub(crate) fn ptr(&self) -> *mut ff::AVIOContext {
        self.ctx.as_ptr()
    }

    /// The state, while no callback runs: FFmpeg calls back only inside calls that need `&mut` of whoever owns this.
    pub(crate) fn state(&mut self) -> &mut T {
        // SAFETY: the box is ours until drop; no callback runs now (see above).
        unsafe { self.state.as_mut() }
    }

    pub(crate) fn state_ptr(&self) -> *mut T {
        self.state.as_ptr()
    }
}

impl<T> Drop for Avio<T> {
    fn drop(&mut self) {
        let mut ctx = self.ptr();
        // SAFETY: the buffer is the context's (it may have been replaced, never shared); context and state are ours and not used
        // after this.
        unsafe {
            ff::av_freep((&raw mut (*ctx).buffer).cast());
            ff::avio_context_free(&raw mut ctx);
            drop(Box::from_raw(self.state.as_ptr()));
        }
    }
}

impl Avio<Source> {
    pub(crate) fn reader(source: Arc<dyn ByteSource>, cancel: Cancel) -> Option<Self> {
        let forward = source.one_pass();
        let state = Box::into_raw(Box::new(Source {
            source,
            cancel,
            at: 0,
            scratch: Vec::new(),
            failed: None,
        }));
        let seek = (!forward).then_some(seek_source as unsafe extern "C" fn(_, _, _) -> _);
        // SAFETY: the state outlives the context; callbacks have the types that FFmpeg asks for.
        unsafe { make(state, 0, Some(read), None, seek) }
    }

    /// What the source said, when it failed.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.state().failed.take()
    }
}

impl<T: Target> Avio<Sink<T>> {
    pub(crate) fn writer(target: T, seekable: bool) -> Option<Self> {
        let state = Box::into_raw(Box::new(Sink { target, failed: None }));
        let seek = seekable.then_some(seek_sink::<T> as unsafe extern "C" fn(_, _, _) -> _);
        // SAFETY: as in `reader`.
        unsafe { make(state, 1, None, Some(write::<T>), seek) }
    }

    /// What the sink said, when it failed.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.state().failed.take()
    }
}

type Read = unsafe extern "C" fn(*mut c_void, *mut u8, c_int) -> c_int;
type Write = unsafe extern "C" fn(*mut c_void, ff::WriteBuf, c_int) -> c_int;
type Seek = unsafe extern "C" fn(*mut c_void, i64, c_int) -> i64;

/// # Safety
/// `state` is a box that the callbacks know how to use.
unsafe fn make<T>(
    state: *mut T,
    writes: c_int,
    read: Option<Read>,
    write: Option<Write>,
    seek: Option<Seek>,
) -> Option<Avio<T>> {
    // SAFETY: the buffer is from av_malloc and BUFFER long, as avio_alloc_context asks; on failure both are freed.
    unsafe {
        let buffer = ff::av_malloc(BUFFER).cast::<u8>();
        let ctx = match buffer.is_null() {
            true => std::ptr::null_mut(),
            false => ff::avio_alloc_context(buffer, BUFFER as c_int, writes, state.cast(), read, write, seek),
        };
        match (NonNull::new(ctx), NonNull::new(state)) {
            (Some(ctx), Some(state)) => Some(Avio { ctx, state }),
            _ => {
                ff::av_free(buffer.cast());
                drop(Box::from_raw(state));
                None
            }
        }
    }
}

/// Runs `work` on the state of a callback; a panic in it stays here.
unsafe fn guarded<T, R: From<i32>>(opaque: *mut c_void, work: impl FnOnce(&mut T) -> R) -> R {
    // SAFETY: `opaque` is the state given to `make`; FFmpeg runs one callback of a context at a time, inside a call whose caller
    // holds `&mut` of the owner.
    let state = unsafe { &mut *opaque.cast::<T>() };
    catch_unwind(AssertUnwindSafe(|| work(state))).unwrap_or_else(|_| R::from(ff::AVERROR_EXTERNAL))
}

unsafe extern "C" fn read(opaque: *mut c_void, buf: *mut u8, size: c_int) -> c_int {
    let size = usize::try_from(size).unwrap_or(0);
    // SAFETY: this callback belongs to `Avio::<Source>::reader`; FFmpeg gives `size` bytes to be written, which overlap nothing of ours.
    unsafe {
        guarded(opaque, |state: &mut Source| {
            if state.scratch.len() < size {
                state.scratch.resize(size, 0);
            }
            let into = &mut state.scratch[..size];
            match state.source.read_at(state.at, into, &state.cancel) {
                Ok(0) => ff::AVERROR_EOF,
                Ok(n) => {
                    let n = n.min(size);
                    std::ptr::copy_nonoverlapping(into.as_ptr(), buf, n);
                    state.at += n as u64;
                    n as c_int
                }
                Err(failure) => {
                    let code = if matches!(failure, Error::Cancelled) {
                        ff::AVERROR_EXIT
                    } else {
                        error::IO
                    };
                    state.failed = Some(failure);
                    code
                }
            }
        })
    }
}

unsafe extern "C" fn write<T: Target>(opaque: *mut c_void, buf: ff::WriteBuf, size: c_int) -> c_int {
    let buf: *const u8 = buf;
    // SAFETY: FFmpeg gives `size` readable bytes.
    let bytes = unsafe { std::slice::from_raw_parts(buf, usize::try_from(size).unwrap_or(0)) };
    // SAFETY: this callback belongs to `Avio::<Sink<T>>::writer`.
    unsafe {
        guarded(opaque, |state: &mut Sink<T>| {
            if state.failed.is_some() {
                return error::IO;
            }
            match state.target.write(bytes) {
                Ok(()) => size,
                Err(failure) => {
                    state.failed = Some(failure);
                    error::IO
                }
            }
        })
    }
}

/// Where a seek goes, when it goes anywhere: position now, length if known.
fn destination(offset: i64, whence: c_int, at: u64, len: Option<u64>) -> Result<u64, i64> {
    let from = match whence & !(ff::AVSEEK_FORCE as c_int) {
        0 => 0,
        1 => at,
        2 => len.ok_or(i64::from(error::NOT_THERE))?,
        w if w == ff::AVSEEK_SIZE as c_int => {
            return Err(len
                .and_then(|len| i64::try_from(len).ok())
                .unwrap_or(i64::from(error::NOT_THERE)));
        }
        _ => return Err(i64::from(error::INVALID)),
    };
    from.checked_add_signed(offset).ok_or(i64::from(error::INVALID))
}

unsafe extern "C" fn seek_source(opaque: *mut c_void, offset: i64, whence: c_int) -> i64 {
    // SAFETY: this callback belongs to `Avio::<Source>::reader`.
    unsafe {
        guarded(opaque, |state: &mut Source| {
            match destination(offset, whence, state.at, state.source.len()) {
                Ok(to) => {
                    state.at = to;
                    i64::try_from(to).unwrap_or(i64::from(error::INVALID))
                }
                Err(answer) => answer,
            }
        })
    }
}

unsafe extern "C" fn seek_sink<T: Target>(opaque: *mut c_void, offset: i64, whence: c_int) -> i64 {
    // SAFETY: this callback belongs to `Avio::<Sink<T>>::writer`.
    unsafe {
        guarded(opaque, |state: &mut Sink<T>| {
            let (at, len) = (state.target.position(), state.target.len());
            let to = match destination(offset, whence, at, Some(len)) {
                Ok(to) => to,
                Err(answer) => return answer,
            };
            match state.target.seek(to) {
                Some(Ok(())) => i64::try_from(to).unwrap_or(i64::from(error::INVALID)),
                Some(Err(failure)) => {
                    state.failed = Some(failure);
                    i64::from(error::IO)
                }
                None => i64::from(error::NOT_THERE),
            }
        })
    }
}
