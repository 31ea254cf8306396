//! One JavaScript environment's side of the engine: the tables of what it holds, and the drain of its doorbell.
//!
//! Everything here runs on that environment's thread. Threads of ours reach it only through the doorbell.

use crate::{
    desk::{Desk, FUNCTIONS},
    error::BindingError,
    events::{Event, Field, Outcome, bytes, kind, number, text},
    output::WriterEntry,
    runtime,
    sys::{buffer::RawValue, doorbell::Doorbell, raw},
    table::Table,
    token,
};
use beamline_arena::Lease;
use beamline_flow::{CaptureSession, Error, Held, Input, Output, Runtime, Share, SharedOutput};
use beamline_io::{Cancel, Failure, Reply, SinkRequest};
use beamline_media::{ErrorCode, FramePool};
use bytes::Bytes;
use napi::{
    Env,
    bindgen_prelude::{Float64Array, Function, JsValue, Uint8Array},
};
use napi_derive::napi;
use std::{
    cell::RefCell,
    ops::Deref,
    os::fd::OwnedFd,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How long an ending environment waits for its threads to leave the codec libraries.
const EXIT_PATIENCE: Duration = Duration::from_millis(500);

/// Threads of one environment beyond which no further job starts.
const THREADS_MAX: u32 = 256;

/// One environment's engine. Made by TypeScript at first use.
#[napi]
pub struct NativeRuntime {
    pub(crate) runtime: Runtime,
    pub(crate) doorbell: Arc<Doorbell>,
    /// Turns when the environment ends; everything that waits hangs on it.
    pub(crate) root: Cancel,
    /// Names this environment among those of the process.
    pub(crate) environment: u64,
    /// What the frame path works on; shared with its functions, which are no methods of this class.
    desk: Rc<Desk>,
    pub(crate) inputs: RefCell<Table<Input>>,
    pub(crate) captures: RefCell<Table<CaptureSession>>,
    pub(crate) shares: RefCell<Table<Share>>,
    /// Ends of shares that children are to inherit.
    pub(crate) ends: RefCell<Table<OwnedFd>>,
    pub(crate) outputs: RefCell<Table<Output>>,
    pub(crate) shared_outputs: RefCell<Table<SharedOutput>>,
    pub(crate) writers: RefCell<Table<WriterEntry>>,
    pub(crate) requests: RefCell<Table<Cancel>>,
    replies: RefCell<Table<PendingReply>>,
    /// What the probe of the way `external` shows.
    pub(crate) probed: RefCell<Option<Lease>>,
    /// Frames that JavaScript makes from bytes.
    pub(crate) pool: Arc<FramePool>,
}

impl Deref for NativeRuntime {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.desk
    }
}

enum PendingReply {
    Bytes(Reply<Bytes>),
    Unit(Reply<()>),
}

#[napi]
impl NativeRuntime {
    /// `on_ring(stream)` is called when that stream is ready, `on_ring()` when there is something to `drain()`. `scratch` has room for at
    /// least one frame's four numbers.
    #[napi(constructor)]
    pub fn new(env: Env, on_ring: Function<'_, (), ()>, scratch: Float64Array) -> napi::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let environment = NEXT.fetch_add(1, Ordering::Relaxed);
        let runtime = runtime::for_environment();
        let root = Cancel::new();
        let at_exit = {
            let (root, threads) = (root.clone(), runtime.threads.clone());
            Box::new(move || {
                root.cancel();
                token::expire_all_of(environment);
                // The one place where the JavaScript thread waits: nothing of it runs any more, and a process must not unload
                // libraries under threads that are inside them.
                let _ = threads.wait(EXIT_PATIENCE);
            })
        };
        let doorbell = Doorbell::new(env.raw(), on_ring.raw(), at_exit)?;
        let pool = runtime.mixed_pool("javascript");
        Ok(NativeRuntime {
            runtime,
            doorbell,
            root,
            environment,
            desk: Rc::new(Desk::new(scratch)),
            inputs: RefCell::default(),
            captures: RefCell::default(),
            shares: RefCell::default(),
            ends: RefCell::default(),
            outputs: RefCell::default(),
            shared_outputs: RefCell::default(),
            writers: RefCell::default(),
            requests: RefCell::default(),
            replies: RefCell::default(),
            probed: RefCell::default(),
            pool,
        })
    }

    /// In development: looks at every frame of another process for what JavaScript has stored there, and says so at the first find (STRAY), in
    /// one environment of the process.
    #[napi]
    pub fn watch_strays(&self) {
        let doorbell = Arc::downgrade(&self.doorbell);
        self.runtime.arena.watch_strays(move || {
            let open = doorbell.upgrade().filter(|doorbell| doorbell.is_open());
            open.inspect(|doorbell| doorbell.post(Event::Stray)).is_some()
        });
    }

    /// Keeps the process alive while something is awaited (`true`), or lets it end.
    #[napi]
    pub fn hold(&self, env: Env, hold: bool) {
        self.doorbell.hold(env.raw(), hold);
    }

    /// Everything that threads have said since the last time, as one flat list: see `events.rs`.
    #[napi]
    pub fn drain(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        for event in self.doorbell.events() {
            self.write_down(event, &mut fields);
        }
        fields
    }

    /// The functions of the frame path, which run once per frame or wake: `desk.rs`.
    #[napi(ts_return_type = "import('./frame-path.js').FramePath")]
    pub fn frame_path(&self, env: Env) -> napi::Result<RawValue> {
        raw::functions(&env, &self.desk, FUNCTIONS)
    }

    fn write_down(&self, event: Event, fields: &mut Vec<Field>) {
        match event {
            Event::Ready(id) => fields.extend([number(kind::READY), number(id)]),
            Event::Room(id) => fields.extend([number(kind::ROOM), number(id)]),
            Event::Format(id) => fields.extend([number(kind::FORMAT), number(id)]),
            Event::Done { request, outcome } => {
                let outcome = outcome.and_then(|o| self.settle(o));
                match outcome {
                    Ok(Settled::Text(json)) => fields.extend([number(kind::DONE), number(request), text(json)]),
                    Ok(Settled::Bytes(b)) => fields.extend([number(kind::BYTES), number(request), bytes(b)]),
                    Err(error) => {
                        let json = serde_json::to_string(&error).unwrap_or_default();
                        fields.extend([number(kind::FAILED), number(request), text(json)]);
                    }
                }
            }
            Event::Read {
                source,
                offset,
                len,
                reply,
            } => {
                let reply = self.replies.borrow_mut().insert(PendingReply::Bytes(reply));
                fields.extend([number(kind::READ), number(source), number(reply)]);
                fields.extend([number(offset as f64), number(len as f64)]);
            }
            Event::Sink { sink, request, reply } => {
                let reply = self.replies.borrow_mut().insert(PendingReply::Unit(reply));
                fields.extend([number(kind::SINK), number(sink), number(reply)]);
                fields.extend(match request {
                    SinkRequest::Write(b) => [number(0), bytes(b)],
                    SinkRequest::Seek(to) => [number(1), number(to as f64)],
                    SinkRequest::Finish => [number(2), number(0)],
                    SinkRequest::Discard => [number(3), number(0)],
                });
            }
            Event::Stray => fields.push(number(kind::STRAY)),
        }
    }

    fn settle(&self, outcome: Outcome) -> Result<Settled, BindingError> {
        Ok(match outcome {
            Outcome::Json(json) => Settled::Text(json),
            Outcome::Bytes(bytes) => Settled::Bytes(bytes.into()),
            Outcome::Frame(frame) => {
                let (id, layout) = self.adopt(Held::free(frame));
                Settled::Text(format!("[{id},{layout}]"))
            }
            Outcome::Input(input) => Settled::Text(self.adopt_input(input)),
            Outcome::Capture(session) => Settled::Text(self.adopt_capture(session)),
            Outcome::Share(share) => Settled::Text(self.adopt_share(share)),
            Outcome::SharedOutput(output) => Settled::Text(self.adopt_shared_output(output)),
        })
    }

    /// Answers a read request with bytes, or with the words of the failure and the number under which what was thrown is kept.
    #[napi]
    pub fn reply_read(&self, reply: f64, bytes: Option<Uint8Array>, failure: Option<String>, number: Option<u32>) {
        let pending = self.replies.borrow_mut().remove(reply);
        if let Some(PendingReply::Bytes(reply)) = pending {
            reply.give(match (bytes, failure) {
                (Some(bytes), None) => Ok(Bytes::copy_from_slice(&bytes)),
                (_, failure) => Err(Failure {
                    message: failure.unwrap_or_else(|| "read() gave no bytes".into()),
                    number,
                }),
            });
        }
    }

    /// Answers a sink request; a failure as in `replyRead`.
    #[napi]
    pub fn reply_sink(&self, reply: f64, failure: Option<String>, number: Option<u32>) {
        let pending = self.replies.borrow_mut().remove(reply);
        if let Some(PendingReply::Unit(reply)) = pending {
            reply.give(failure.map_or(Ok(()), |message| Err(Failure { message, number })));
        }
    }

    /// A number under which a request can be cancelled.
    #[napi]
    pub fn cancellable(&self) -> f64 {
        self.requests.borrow_mut().insert(self.root.child())
    }

    /// Cancels what runs under that number, and forgets it.
    #[napi]
    pub fn cancel(&self, id: f64) {
        let cancel = self.requests.borrow_mut().remove(id);
        if let Some(cancel) = cancel {
            cancel.cancel();
        }
    }

    /// Forgets the number without cancelling.
    #[napi]
    pub fn forget(&self, id: f64) {
        self.requests.borrow_mut().remove(id);
    }

    /// Probe of the way `external`: an ArrayBuffer over a slot whose first two bytes are 0xBE and 0xA3; `null` where the runtime
    /// forbids it.
    #[napi(ts_return_type = "ArrayBuffer | null")]
    pub fn probe_external(&self, env: Env) -> Option<RawValue> {
        let lease = self.probe_slot()?;
        let value = crate::sys::buffer::external(&env, &lease, 0, lease.len());
        // Until it is detached (`close_view`), which TypeScript does at once.
        *self.probed.borrow_mut() = Some(lease);
        value
    }

    /// Probe of the way `wasm`: maps such a slot over the memory's buffer.
    #[napi]
    pub fn probe_wasm(&self, env: Env, buffer: napi::bindgen_prelude::Unknown<'_>) -> bool {
        self.probe_slot()
            .is_some_and(|lease| crate::sys::buffer::map_over(&env, &lease, buffer.raw()))
    }

    fn probe_slot(&self) -> Option<Lease> {
        let class = self.pool.pool().class(1).ok()?;
        let mut slot = class.acquire(beamline_arena::Wait::Grow).ok()?;
        slot[..2].copy_from_slice(&[0xBE, 0xA3]);
        Some(slot.freeze())
    }
}

enum Settled {
    Text(String),
    Bytes(Vec<u8>),
}

impl NativeRuntime {
    /// The wish of a request, which lives on as that of what the request opens. Turns at the latest when the environment ends.
    pub(crate) fn cancel_of(&self, id: Option<f64>) -> Cancel {
        id.and_then(|id| self.requests.borrow().get(id).cloned())
            .unwrap_or_else(|| self.root.child())
    }

    /// Runs `job` on a thread of its own; its outcome settles `request`.
    pub(crate) fn run(&self, request: u32, job: impl FnOnce() -> Result<Outcome, Error> + Send + 'static) {
        let doorbell = Arc::clone(&self.doorbell);
        let answer = Answer {
            doorbell: Arc::clone(&doorbell),
            request,
            given: false,
        };
        if self.runtime.threads.running() >= THREADS_MAX {
            let error = BindingError::new(
                ErrorCode::Busy,
                "too-many-jobs",
                format!("{THREADS_MAX} jobs and streams run already"),
            );
            return answer.give(Err(error));
        }
        let started = self.runtime.threads.spawn_job("bl-job", move |busy| {
            let outcome = job().map_err(BindingError::from);
            // Who closes something and then counts threads must not find the one that closed it.
            drop(busy);
            answer.give(outcome);
        });
        if let Err(error) = started {
            doorbell.post(Event::Done {
                request,
                outcome: Err(error.into()),
            });
        }
    }
}

/// Settles a request in any case, a panic of its job included.
struct Answer {
    doorbell: Arc<Doorbell>,
    request: u32,
    given: bool,
}

impl Answer {
    fn give(mut self, outcome: Result<Outcome, BindingError>) {
        self.given = true;
        self.doorbell.post(Event::Done {
            request: self.request,
            outcome,
        });
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.given {
            let error = BindingError::new(
                ErrorCode::Internal,
                "internal",
                "a job ended without an answer; please report it",
            );
            self.doorbell.post(Event::Done {
                request: self.request,
                outcome: Err(error),
            });
        }
    }
}
