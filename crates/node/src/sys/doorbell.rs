//! How threads tell one JavaScript environment that something waits for it.
//!
//! A ThreadsafeFunction without data: it only says "look". What there is to say waits in a queue of ours, so nothing that owns memory
//! ever rides inside a call that Node may drop. Rings are coalesced: one wake until JavaScript has drained.
//!
//! The queue has no bound of its own: each stream, writer and request has at most one event under way (they must be armed again).

use crate::events::Event;
use crossbeam_queue::SegQueue;
use napi::sys;
use std::{
    ffi::c_void,
    ptr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// One environment's doorbell. Threads hold it; it outlives the environment and is silent from then on.
pub(crate) struct Doorbell {
    events: SegQueue<Event>,
    /// The one event that was looked at when the ring was heard, and left for the drain. JavaScript thread alone.
    heard: SegQueue<Event>,
    rung: AtomicBool,
    /// `None` once the environment is being torn down. The lock is held only across one non-blocking call.
    gate: Mutex<Option<Bell>>,
}

#[derive(Clone, Copy)]
struct Bell(sys::napi_threadsafe_function);

// SAFETY: Node-API allows `napi_call_threadsafe_function` from any thread; the value is used for that alone outside the
// JavaScript thread, and only while the gate holds it.
unsafe impl Send for Bell {}

impl Doorbell {
    /// A doorbell that calls `on_ring(stream)` on the JavaScript thread when that stream is ready, and `on_ring()` when there is more to
    /// say ([`Doorbell::events`]). It does not keep the process alive until [`Doorbell::hold`].
    ///
    /// `at_exit` runs on the JavaScript thread when the environment ends, after the gate is closed.
    pub(crate) fn new(
        env: sys::napi_env,
        on_ring: sys::napi_value,
        at_exit: Box<dyn FnOnce()>,
    ) -> napi::Result<Arc<Self>> {
        let doorbell = Arc::new(Doorbell {
            events: SegQueue::new(),
            heard: SegQueue::new(),
            rung: AtomicBool::new(false),
            gate: Mutex::new(None),
        });
        let name = "beamline";
        let mut resource = ptr::null_mut();
        // SAFETY: `env` is the environment of the running call; the string lives across the call.
        check(unsafe {
            sys::napi_create_string_utf8(env, name.as_ptr().cast(), name.len() as isize, &raw mut resource)
        })?;
        let mut bell = ptr::null_mut();
        let context = Arc::into_raw(Arc::clone(&doorbell)).cast_mut().cast::<c_void>();
        // SAFETY: all values belong to `env`; the context is a count of the doorbell, which the finalizer takes back.
        let made = unsafe {
            sys::napi_create_threadsafe_function(
                env,
                on_ring,
                ptr::null_mut(),
                resource,
                0,
                1,
                context,
                Some(release_context),
                context,
                Some(call_on_ring),
                &raw mut bell,
            )
        };
        if made != sys::Status::napi_ok {
            // SAFETY: Node did not take it; this is the count from above.
            drop(unsafe { Arc::from_raw(context.cast_const().cast::<Doorbell>()) });
            check(made)?;
        }
        // SAFETY: just made, on its environment's thread.
        check(unsafe { sys::napi_unref_threadsafe_function(env, bell) })?;
        *doorbell.gate() = Some(Bell(bell));
        // The hook is added after the function is made: hooks run last in, first out, so the gate closes before Node takes the function.
        let exit = Box::new(Exit {
            doorbell: Arc::clone(&doorbell),
            at_exit,
        });
        // SAFETY: the box is taken back exactly once, by the hook.
        check(unsafe { sys::napi_add_env_cleanup_hook(env, Some(on_exit), Box::into_raw(exit).cast::<c_void>()) })?;
        Ok(doorbell)
    }

    fn gate(&self) -> std::sync::MutexGuard<'_, Option<Bell>> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an event in and rings. From any thread. After the environment's end the event is dropped.
    pub(crate) fn post(&self, event: Event) {
        self.events.push(event);
        if self.rung.swap(true, Ordering::SeqCst) {
            return;
        }
        match *self.gate() {
            Some(Bell(bell)) => {
                // SAFETY: the gate is held, so the function is alive (it is cleared before Node frees it).
                let _ = unsafe {
                    sys::napi_call_threadsafe_function(
                        bell,
                        ptr::null_mut(),
                        sys::ThreadsafeFunctionCallMode::nonblocking,
                    )
                };
            }
            None => while self.events.pop().is_some() {},
        }
    }

    /// Whether somebody hears it: not when its environment ends.
    pub(crate) fn is_open(&self) -> bool {
        self.gate().is_some()
    }

    /// What waits, oldest first. JavaScript thread.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event> {
        let heard = std::iter::from_fn(|| self.heard.pop());
        heard.chain(std::iter::from_fn(|| self.events.pop()))
    }

    /// Hears a ring: from now on a new event rings again. Gives the stream when all there is to say is that one is ready, the usual case;
    /// else everything is left for [`Doorbell::events`].
    fn answer(&self) -> Option<f64> {
        self.rung.store(false, Ordering::SeqCst);
        let first = self.events.pop()?;
        if let (Event::Ready(stream), true) = (&first, self.events.is_empty()) {
            return Some(*stream);
        }
        self.heard.push(first);
        None
    }

    /// Keeps the process alive (`true`) or lets it end (`false`). JavaScript thread.
    pub(crate) fn hold(&self, env: sys::napi_env, hold: bool) {
        if let Some(Bell(bell)) = *self.gate() {
            // SAFETY: alive by the gate; on its environment's thread by this function's contract.
            let _ = unsafe {
                if hold {
                    sys::napi_ref_threadsafe_function(env, bell)
                } else {
                    sys::napi_unref_threadsafe_function(env, bell)
                }
            };
        }
    }
}

struct Exit {
    doorbell: Arc<Doorbell>,
    at_exit: Box<dyn FnOnce()>,
}

extern "C" fn on_exit(data: *mut c_void) {
    // SAFETY: `data` is the box that `Doorbell::new` gave away, and Node calls a cleanup hook once.
    let exit = unsafe { Box::from_raw(data.cast::<Exit>()) };
    *exit.doorbell.gate() = None;
    exit.doorbell.events().for_each(drop);
    (exit.at_exit)();
}

extern "C" fn release_context(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: the count that `Doorbell::new` gave away; Node finalizes a function once.
    drop(unsafe { Arc::from_raw(data.cast_const().cast::<Doorbell>()) });
}

extern "C" fn call_on_ring(env: sys::napi_env, on_ring: sys::napi_value, context: *mut c_void, _data: *mut c_void) {
    // Both are null while the environment is being torn down.
    if env.is_null() || on_ring.is_null() {
        return;
    }
    // SAFETY: the count that `Doorbell::new` gave to the function, which is finalized after its last call.
    let doorbell = unsafe { &*context.cast_const().cast::<Doorbell>() };
    let ready = doorbell.answer();
    let (mut undefined, mut stream) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: `env` is live in this call; a failing JavaScript function leaves its exception pending, which Node reports.
    unsafe {
        sys::napi_get_undefined(env, &raw mut undefined);
        if let Some(ready) = ready {
            sys::napi_create_double(env, ready, &raw mut stream);
        }
        let count = usize::from(ready.is_some());
        sys::napi_call_function(env, undefined, on_ring, count, &raw const stream, ptr::null_mut());
    }
}

fn check(status: sys::napi_status) -> napi::Result<()> {
    if status == sys::Status::napi_ok {
        Ok(())
    } else {
        Err(napi::Error::from_reason(format!(
            "Node-API refused the doorbell (status {status})"
        )))
    }
}
