//! ArrayBuffers over slots of shared memory, and detaching them.

use beamline_arena::{Arena, Lease};
use napi::{
    Env,
    bindgen_prelude::{Float64Array, Uint8Array},
    sys,
};
use std::{
    ffi::c_void,
    ptr::{self, NonNull},
    sync::OnceLock,
};

/// A raw JavaScript value that is returned as it is.
pub struct RawValue(pub(crate) sys::napi_value);

impl napi::bindgen_prelude::ToNapiValue for RawValue {
    unsafe fn to_napi_value(_env: sys::napi_env, value: Self) -> napi::Result<sys::napi_value> {
        Ok(value.0)
    }
}

/// An ArrayBuffer over `len` bytes of the slot from `offset`. `None` where the runtime forbids such buffers (Electron's memory cage).
///
/// It has no finalizer, which would cost each frame a third of a microsecond: the table of frames holds the slot until the buffer is
/// detached, or until the collector has taken every frame and every buffer of its batch (`src/media/frame-registry.ts`).
pub(crate) fn external(env: &Env, lease: &Lease, offset: usize, len: usize) -> Option<RawValue> {
    let end = offset.checked_add(len)?;
    if end > lease.len() {
        return None;
    }
    lease.show();
    let mut buffer = ptr::null_mut();
    // SAFETY: the range lies inside the slot (checked above), which whoever called us keeps for as long as the buffer can be reached: see
    // above. Node calls nothing when it lets the memory go.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(
            env.raw(),
            lease.as_ptr().add(offset).as_ptr().cast::<c_void>(),
            len,
            None,
            ptr::null_mut(),
            &raw mut buffer,
        )
    };
    (status == sys::Status::napi_ok).then_some(RawValue(buffer))
}

/// Detaches an ArrayBuffer: its length is 0 from now on, views on it are empty.
pub(crate) fn detach(env: &Env, buffer: sys::napi_value) -> bool {
    // SAFETY: the value comes from the running call of this environment.
    unsafe { sys::napi_detach_arraybuffer(env.raw(), buffer) == sys::Status::napi_ok }
}

/// The bytes of an array that JavaScript has handed over to be filled within this call.
pub(crate) fn bytes_mut(array: &mut Uint8Array) -> &mut [u8] {
    // SAFETY: the array is alive for the call that it came with, its environment's thread is ours meanwhile, and no thread of ours
    // knows its memory. Only another worker that shares the buffer could write too, which it can also do to JavaScript itself.
    unsafe { array.as_mut() }
}

/// The numbers of an array that JavaScript keeps for us to fill.
pub(crate) fn numbers_mut(array: &mut Float64Array) -> &mut [f64] {
    // SAFETY: as above; the array is held by a reference, and TypeScript never gives its buffer away.
    unsafe { array.as_mut() }
}

/// Where an ArrayBuffer's bytes lie, and how many.
fn bytes_of(env: &Env, buffer: sys::napi_value) -> Option<(NonNull<u8>, usize)> {
    let mut data = ptr::null_mut();
    let mut len = 0;
    // SAFETY: the value comes from the running call of this environment.
    let status = unsafe { sys::napi_get_arraybuffer_info(env.raw(), buffer, &raw mut data, &raw mut len) };
    (status == sys::Status::napi_ok).then_some(())?;
    NonNull::new(data.cast::<u8>()).map(|data| (data, len))
}

/// Maps the slot over the first bytes of a `WebAssembly.Memory`'s buffer. False when it is not page-aligned, too small, or the kernel
/// refuses.
pub(crate) fn map_over(env: &Env, lease: &Lease, buffer: sys::napi_value) -> bool {
    let Some((target, len)) = bytes_of(env, buffer) else {
        return false;
    };
    let aligned = target.as_ptr().addr().is_multiple_of(beamline_arena::page_size());
    if !aligned || len < lease.len() || has_protection_key(target) {
        return false;
    }
    // SAFETY: the range is the start of a WebAssembly memory that TypeScript made for this and shows to nobody but through views of
    // frames; V8 reserves such memories as mappings of their own, never moves them, and unmaps the whole range at the end.
    unsafe { lease.segment().map_slot_over(lease.slot_index(), target).is_ok() }
}

/// Undoes what JavaScript has stored into the first `len` bytes of a memory that [`map_over`] has mapped over another process's slot; `part`
/// as in [`Arena::undo_strays`]. Gives whether there was anything.
pub(crate) fn undo_strays(env: &Env, arena: &Arena, buffer: sys::napi_value, len: usize, part: Option<u32>) -> bool {
    let Some((at, all)) = bytes_of(env, buffer) else {
        return false;
    };
    if !at.as_ptr().addr().is_multiple_of(beamline_arena::page_size()) || all < len {
        return false;
    }
    // SAFETY: TypeScript asks this of memories alone that `map_over` has mapped over a slot of so many bytes of another process (it said so),
    // and whose views it has just made empty; the buffer keeps the memory for this call.
    unsafe { arena.undo_strays(at, len, part) }
}

/// Whether V8 keeps such memories under a protection key. Looked up for the first of them, in a file that takes the kernel milliseconds to
/// write: V8 makes all of a process's alike.
fn has_protection_key(first: NonNull<u8>) -> bool {
    static ANY: OnceLock<bool> = OnceLock::new();
    *ANY.get_or_init(|| protection_key(first).is_some_and(|key| key != 0))
}

/// The memory protection key of the mapping at `at`, where the kernel tells: fresh mappings would not carry V8's.
fn protection_key(at: NonNull<u8>) -> Option<u32> {
    let maps = std::fs::read_to_string("/proc/self/smaps").ok()?;
    let address = at.as_ptr().addr();
    let mut inside = false;
    for line in maps.lines() {
        if let Some((range, _)) = line.split_once(' ')
            && let Some((from, to)) = range.split_once('-')
            && let (Ok(from), Ok(to)) = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16))
        {
            inside = (from..to).contains(&address);
        } else if inside && let Some(key) = line.strip_prefix("ProtectionKey:") {
            return key.trim().parse().ok();
        }
    }
    None
}
