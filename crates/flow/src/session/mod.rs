//! A capture that runs: one thread drives the source, decodes what comes as packets, and hands frames to any number of loops.
//!
//! ```text
//! Source::next ─┬─ Frame ────────────────────────────┐
//!               └─ Packet ─ cache? ─ VideoDecoder ────┴─ for each loop: policy, credits ─ FrameStream
//! ```
//!
//! Here is what users hold; `driver.rs` is the thread, `decode.rs` what it does with packets, `held_up.rs` who makes it
//! wait.

mod decode;
mod driver;
mod held_up;

use crate::{
    Error, Policy, Runtime,
    channel::channel,
    held::{Credits, OPEN_FRAMES_MAX},
    input::FrameStream,
    threads::Threads,
};
use beamline_capture::{Context, HandOver, Hosting, Request};
use beamline_io::Cancel;
use beamline_link::ClientInfo;
use beamline_media::{Caps, Frame, Layout};
use decode::Decode;
use driver::{Consumer, Driver};
pub use held_up::HeldUp;
use held_up::Neighbours;
pub(crate) use held_up::Seat;
use serde::Serialize;
use std::{
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread::Thread,
    time::Duration,
};

/// Slots of a source's memory: for two loops that hold as many frames as they may.
const SLOTS: u32 = 2 * OPEN_FRAMES_MAX;

/// How many frames fit into the source's memory, which its [`Context::frame_pool`] cuts by the same rule.
fn slots(context: &Context, caps: &Caps) -> u32 {
    let layout = caps
        .pixel_format
        .and_then(|format| Layout::aligned(format, caps.size).ok());
    let fit = layout.map_or(u64::MAX, |layout| context.max_bytes / (layout.len as u64).max(1));
    u32::try_from(fit).unwrap_or(u32::MAX).clamp(1, SLOTS)
}

/// How a loop over a capture is served.
#[derive(Clone, Debug, Default)]
pub struct CaptureOptions {
    /// Frames that may wait; `None`: 4.
    pub queue: Option<usize>,
    /// What happens when that many wait; `None`: `latest` for live sources, `block` for the others.
    pub policy: Option<Policy>,
    /// What the others call it when they have to wait for it ([`HeldUp`]): where it was made, say.
    pub label: Option<String>,
}

/// Numbers of a capture; they only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaptureStats {
    /// Pictures that the source gave.
    pub captured: u64,
    /// Pictures that the source itself lost.
    pub lost: u64,
    /// Pictures that loops did not get, by their policies or because too many frames were open.
    pub dropped: u64,
    /// Packets that were decoded.
    pub decoded: u64,
    /// Packets that were found decoded already.
    pub cached: u64,
    /// Passes over pictures on the way from the source.
    pub copies: u64,
}

/// An open capture. Clones are the same.
#[derive(Clone)]
pub struct CaptureSession(Arc<Shared>);

struct Shared {
    caps: Mutex<Caps>,
    changes: Changes,
    live: bool,
    copies_per_frame: u32,
    /// Frames that a loop may hold open: no more than the source's memory has slots, or it would wait for good.
    open_max: u32,
    /// Where other processes read the same source.
    hand_over: Option<Arc<dyn HandOver>>,
    /// Where we are their host.
    hosting: Option<Arc<dyn Hosting>>,
    /// Whether the source can wait for a loop: another process's cannot.
    waits: bool,
    cancel: Cancel,
    threads: Threads,
    loops: Mutex<Loops>,
    neighbours: Arc<Neighbours>,
    counters: Counters,
    driver: Mutex<Option<Thread>>,
}

/// Changes of the format.
#[derive(Default)]
struct Changes {
    count: AtomicU32,
    told: AtomicBool,
    notify: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Shared {
    fn change_to(&self, caps: Caps) {
        *lock(&self.caps) = caps;
        // SeqCst here and in `changes`: of "count, then look whether it was told" and "not told, then look at the count" one sees the other.
        self.changes.count.fetch_add(1, Ordering::SeqCst);
        if let Some(notify) = self.changes.notify.get()
            && !self.changes.told.swap(true, Ordering::SeqCst)
        {
            notify();
        }
    }
}

#[derive(Default)]
struct Loops {
    new: Vec<Consumer>,
    over: Option<Option<Arc<Error>>>,
}

#[derive(Default)]
struct Counters {
    captured: AtomicU64,
    lost: AtomicU64,
    dropped: AtomicU64,
    decoded: AtomicU64,
    cached: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CaptureSession {
    /// Opens a source. Blocks until its format is agreed: call it on a thread of its own.
    ///
    /// # Errors
    /// [`Error::Capture`]; [`Error::Codec`] when it gives packets that nobody decodes.
    pub fn open(runtime: &Runtime, request: &Request, cancel: Cancel) -> Result<Self, Error> {
        let context = Context {
            clock: Arc::clone(&runtime.clock),
            cancel: cancel.clone(),
            slots: SLOTS,
            ..Context::new(runtime.arena.clone())
        };
        let source = runtime.backends.open(request, &context)?;
        let caps = source.caps();
        let decode = Decode::new(runtime, &caps, &cancel)?;
        let slots = slots(&context, &caps);
        let shared = Arc::new(Shared {
            live: source.live(),
            copies_per_frame: source.copies_per_frame(),
            open_max: source.holds().unwrap_or(slots).min(OPEN_FRAMES_MAX),
            hand_over: source.hand_over(),
            hosting: source.hosting(),
            waits: source.holds().is_none(),
            caps: Mutex::new(caps),
            changes: Changes::default(),
            cancel,
            threads: runtime.threads.within(),
            loops: Mutex::default(),
            neighbours: Neighbours::new(Arc::clone(&runtime.clock), slots),
            counters: Counters::default(),
            driver: Mutex::default(),
        });
        let driver = Driver {
            shared: Arc::clone(&shared),
            source,
            decode,
            consumers: Vec::new(),
        };
        shared.threads.spawn("bl-capture", move || driver.run())?;
        Ok(CaptureSession(shared))
    }

    /// What was agreed, or what it has changed to.
    #[must_use]
    pub fn caps(&self) -> Caps {
        lock(&self.0.caps).clone()
    }

    /// How often [`CaptureSession::caps`] has changed since it was opened. Cost: two atomic steps.
    #[must_use]
    pub fn changes(&self) -> u32 {
        self.0.changes.told.store(false, Ordering::SeqCst);
        self.0.changes.count.load(Ordering::SeqCst)
    }

    /// Once: what to do when it has changed, on the source's thread, before the first frame of the new format is handed out. Not again
    /// until [`CaptureSession::changes`] was asked.
    pub fn on_change(&self, notify: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.changes.notify.set(Box::new(notify));
    }

    /// Whether pictures come at their own time.
    #[must_use]
    pub fn live(&self) -> bool {
        self.0.live
    }

    /// Passes over each picture on its way from the source into the slot.
    #[must_use]
    pub fn copies_per_frame(&self) -> u32 {
        self.0.copies_per_frame
    }

    /// The frames from now on, for one loop.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn frames(&self, options: CaptureOptions) -> Result<FrameStream, Error> {
        if self.0.cancel.is_cancelled() {
            return Err(Error::Closed { what: "the capture" });
        }
        let default = if self.0.live { Policy::Latest } else { Policy::Block };
        let policy = options.policy.unwrap_or(default);
        if policy == Policy::Block && !self.0.waits {
            return Err(Error::Argument {
                name: "policy",
                expected: "'latest', 'drop-oldest' or 'drop-newest' (a share never waits for its readers)".into(),
                got: "'block'".into(),
            });
        }
        let (sender, receiver) = channel(options.queue.unwrap_or(4), policy);
        let credits = Credits::new(receiver.waker(), self.0.open_max);
        let seat = self.0.neighbours.join(options.label, receiver.gauge(), &credits);
        let stop = self.0.cancel.on_cancel(receiver.stopper());
        let mut loops = lock(&self.0.loops);
        match &loops.over {
            Some(how) => sender.end(how.as_ref().map_or(Ok(()), |e| Err(Error::again(e)))),
            None => loops.new.push(Consumer {
                sender,
                credits: Arc::clone(&credits),
                policy,
                member: seat.member(),
                _stop: stop,
            }),
        }
        drop(loops);
        self.wake();
        Ok(FrameStream::new(receiver, credits).beside(seat))
    }

    /// What the other processes that read this source call us; `None` when it is nobody else's.
    #[must_use]
    pub fn client(&self) -> Option<u64> {
        self.0.hand_over.as_ref().map(|h| h.client())
    }

    /// Hands a frame of this capture to another process that reads its source. True when that one was granted it.
    ///
    /// Blocks: until the owner has answered, at most `timeout`, whether a loop is under way or not.
    ///
    /// # Errors
    /// [`Error::State`] when nobody else can read the source; [`Error::Capture`]; [`Error::Closed`].
    pub fn hand_over(&self, frame: &Frame, to: u64, timeout: Duration) -> Result<bool, Error> {
        if self.0.cancel.is_cancelled() {
            return Err(Error::Closed { what: "the capture" });
        }
        match &self.0.hand_over {
            Some(others) => Ok(others.hand_over(frame, to, timeout)?),
            None => Err(Error::State {
                what: "this capture is no reader of a share: expected one of `shared:…`".into(),
                reason: "not-shared",
            }),
        }
    }

    /// Who reads the share that this capture hosts, and who fills it; `None` when it hosts none.
    #[must_use]
    pub fn clients(&self) -> Option<Vec<ClientInfo>> {
        self.0.hosting.as_ref().map(|h| h.clients())
    }

    /// An end of the share that this capture hosts, for exactly one child that inherits it.
    ///
    /// # Errors
    /// [`Error::State`] when it hosts none; [`Error::Capture`]; [`Error::Closed`].
    pub fn invite(&self) -> Result<OwnedFd, Error> {
        if self.0.cancel.is_cancelled() {
            return Err(Error::Closed { what: "the capture" });
        }
        match &self.0.hosting {
            Some(hosting) => Ok(hosting.invite()?),
            None => Err(Error::State {
                what: "this capture hosts no share: expected one of `shared:…` with `host: true` (share() of any capture has                        an invite() of its own)"
                    .into(),
                reason: "not-hosted",
            }),
        }
    }

    fn wake(&self) {
        if let Some(driver) = &*lock(&self.0.driver) {
            driver.unpark();
        }
    }

    /// Numbers.
    #[must_use]
    pub fn stats(&self) -> CaptureStats {
        let get = |c: &AtomicU64| c.load(Ordering::Relaxed);
        let counters = &self.0.counters;
        let captured = get(&counters.captured);
        CaptureStats {
            captured,
            lost: get(&counters.lost),
            dropped: get(&counters.dropped),
            decoded: get(&counters.decoded),
            cached: get(&counters.cached),
            copies: captured * u64::from(self.0.copies_per_frame),
        }
    }

    /// Ends the source and all loops. Frames that were handed out live on.
    pub fn close(&self) {
        self.0.cancel.cancel();
        self.wake();
    }

    /// Waits until its threads have ended.
    #[must_use]
    pub fn wait_closed(&self, timeout: Duration) -> bool {
        self.0.threads.wait(timeout)
    }
}

impl std::fmt::Debug for CaptureSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CaptureSession")
            .field("caps", &self.caps())
            .finish_non_exhaustive()
    }
}
