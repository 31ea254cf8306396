//! The measuring side: clocks that Node does not show, and the peer of the wake figure, a bare ThreadsafeFunction.

use napi::{Env, JsValue, bindgen_prelude::Function, sys};
use napi_derive::napi;
use rustix::time::{ClockId, clock_gettime};
use std::{ffi::c_void, ptr, thread, time::Duration};

fn nanoseconds(clock: ClockId) -> f64 {
    let now = clock_gettime(clock);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// CPU that the calling thread has used, in ns: exact at the moment of the call, which `/proc` is not.
#[napi]
pub fn thread_cpu_ns() -> f64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

/// `CLOCK_MONOTONIC` in ns, the clock of the stamps.
#[napi]
pub fn monotonic_ns() -> f64 {
    nanoseconds(ClockId::Monotonic)
}

struct Bell(sys::napi_threadsafe_function);

// SAFETY: Node-API allows `napi_call_threadsafe_function` and `napi_release_threadsafe_function` from any thread.
unsafe impl Send for Bell {}

/// A thread calls `on_call(stamp)` `count` times by a ThreadsafeFunction, `interval_us` apart, with nothing in between: the stamp is
/// `monotonic_ns` right before the call. The callback is called a last time with −1.
#[napi]
pub fn ring_bare(env: Env, on_call: Function<'_, f64, ()>, count: u32, interval_us: u32) -> napi::Result<()> {
    let name = "bare";
    let (mut resource, mut bell) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: `env` is the environment of the running call; the string lives across the call.
    check(unsafe { sys::napi_create_string_utf8(env.raw(), name.as_ptr().cast(), name.len() as isize, &raw mut resource) })?;
    // SAFETY: all values belong to `env`; no context and no finalizer.
    check(unsafe {
        sys::napi_create_threadsafe_function(
            env.raw(),
            on_call.raw(),
            ptr::null_mut(),
            resource,
            0,
            1,
            ptr::null_mut(),
            None,
            ptr::null_mut(),
            Some(call_with_stamp),
            &raw mut bell,
        )
    })?;
    let bell = Bell(bell);
    thread::spawn(move || {
        let Bell(bell) = { bell };
        let call = |stamp: f64| {
            let data = Box::into_raw(Box::new(stamp)).cast::<c_void>();
            // SAFETY: the function lives until it is released below; the box is taken back by `call_with_stamp`.
            unsafe { sys::napi_call_threadsafe_function(bell, data, sys::ThreadsafeFunctionCallMode::nonblocking) };
        };
        for _ in 0..count {
            thread::sleep(Duration::from_micros(interval_us.into()));
            call(monotonic_ns());
        }
        call(-1.0);
        // SAFETY: released once, by the one thread that holds it.
        unsafe { sys::napi_release_threadsafe_function(bell, sys::ThreadsafeFunctionReleaseMode::release) };
    });
    Ok(())
}

extern "C" fn call_with_stamp(env: sys::napi_env, on_call: sys::napi_value, _context: *mut c_void, data: *mut c_void) {
    // SAFETY: the box that `ring_bare` gave away for this call.
    let stamp = unsafe { *Box::from_raw(data.cast::<f64>()) };
    if env.is_null() || on_call.is_null() {
        return;
    }
    let (mut undefined, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: `env` is live in this call.
    unsafe {
        sys::napi_get_undefined(env, &raw mut undefined);
        sys::napi_create_double(env, stamp, &raw mut value);
        sys::napi_call_function(env, undefined, on_call, 1, &raw const value, ptr::null_mut());
    }
}

fn check(status: sys::napi_status) -> napi::Result<()> {
    if status == sys::Status::napi_ok {
        Ok(())
    } else {
        Err(napi::Error::from_reason(format!("Node-API refused (status {status})")))
    }
}
