//! An output whose frames other processes read where they lie.
//!
//! The memory of a source is one segment or more, and a reader sees whole segments. So a frame is shown where it lies when its memory
//! holds pictures of one source alone; pictures of a common pool, and those of other processes, are copied into the output's own, once.

use super::{
    caps_of,
    config::{Patience, SharedOutputStats, SharedTrackConfig},
    guest::Guest,
    stage::{Own, Stage},
};
use crate::{Error, Runtime, still::copy_into};
use beamline_arena::{Error as ArenaError, Wait};
use beamline_io::Cancel;
use beamline_link::{Failure, Limits};
use beamline_media::{Caps, ErrorCode, Frame, FrameError, FrameInfo, FrameMut, Size, TIMESTAMP_MAX_US};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Frames of this process for others: `shared:NAME`. Clones are the same; dropping the last one without [`SharedOutput::close`] tells
/// readers that it was aborted.
#[derive(Clone)]
pub struct SharedOutput(Arc<Inner>);

struct Inner {
    stage: Box<dyn Stage>,
    runtime: Runtime,
    cancel: Cancel,
    copies: AtomicU64,
    state: Mutex<State>,
}

struct State {
    track: Option<SharedTrackConfig>,
    /// What readers were told of the pictures.
    told: Caps,
    last_us: Option<i64>,
    over: bool,
}

impl SharedOutput {
    /// Takes a name, or joins the process that hosts it (`fd:` and a number: over an end that was inherited from it): then its memory is
    /// what that one grants, and it shows the frames. `clients`: readers at once, at most; `None`: 64. What the pictures are is not known
    /// before [`SharedOutput::add_video`] or the first.
    ///
    /// Blocks: until a host has answered, 5 s at most.
    ///
    /// # Errors
    /// [`Error::Link`] for a name that cannot be or is taken, and when somebody else produces for the host; [`Error::Argument`] for
    /// `clients` of a hosted one, where it is the host's to say.
    pub fn create(runtime: &Runtime, name: &str, clients: Option<usize>) -> Result<Self, Error> {
        let default = Limits::default();
        let limits = Limits {
            clients: clients.unwrap_or(default.clients),
            ..default
        };
        let told = Caps::unknown();
        let stage: Box<dyn Stage> = match Guest::join(runtime, name, told.clone(), clients)? {
            Some(guest) => Box::new(guest),
            None => Box::new(Own::new(runtime, name, told.clone(), limits)?),
        };
        Ok(SharedOutput(Arc::new(Inner {
            stage,
            runtime: runtime.clone(),
            cancel: Cancel::new(),
            copies: AtomicU64::new(0),
            state: Mutex::new(State {
                track: None,
                told,
                last_us: None,
                over: false,
            }),
        })))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.stage.name()
    }

    /// Says what its pictures are: once, before the first.
    ///
    /// # Errors
    /// [`Error::Argument`] for sides that cannot be; [`Error::State`] a second time; [`Error::Closed`].
    pub fn add_video(&self, config: SharedTrackConfig) -> Result<(), Error> {
        let size = config.size()?;
        let mut state = self.0.open()?;
        if state.track.is_some() {
            return Err(Error::State {
                what: "a second track was added to a shared output: expected one of pictures".into(),
                reason: "one-track",
            });
        }
        state.track = Some(config);
        state.told.frame_rate = config.frame_rate;
        state.told.size = size.unwrap_or(state.told.size);
        self.0.stage.set_caps(&state.told);
        Ok(())
    }

    /// An empty picture in the output's own memory, which needs no copy to be shown; its bytes are those of an earlier picture.
    ///
    /// Waits, with some `patience`, while readers hold all that the output may have; without, it fails at once.
    ///
    /// # Errors
    /// [`Error::Held`] when nothing came back in time; [`Error::Cancelled`], [`Error::Closed`]; [`Error::Frame`] for a picture that cannot
    /// be.
    pub fn frame(&self, info: FrameInfo, patience: Option<&Patience>) -> Result<FrameMut, Error> {
        drop(self.0.open()?);
        self.0.acquire(info, patience)
    }

    /// The size of a picture of which nothing is said: the track's, or that of the picture before.
    #[must_use]
    pub fn size(&self) -> Option<Size> {
        let state = self.0.lock();
        let said = state.track.and_then(|t| t.size().ok().flatten());
        said.or_else(|| state.last_us.map(|_| state.told.size))
    }

    /// Whether this frame must be copied before readers may see it: then [`SharedOutput::write`] may wait for memory.
    #[must_use]
    pub fn must_copy(&self, frame: &Frame) -> bool {
        !self.0.stage.shows(frame)
    }

    /// Shows a frame to readers: at once, where it lies; whoever writes to it meanwhile changes what they see. Only a frame that must be
    /// copied waits for memory as [`SharedOutput::frame`] does.
    ///
    /// Thread: any, one at a time. Cost: as [`beamline_link::Publisher::publish`].
    ///
    /// # Errors
    /// [`Error::Order`] for a timestamp that does not rise, [`Error::Argument`] for none: the output lives on. [`Error::State`] before
    /// [`SharedOutput::add_video`]; [`Error::Closed`]; what [`SharedOutput::frame`] says.
    pub fn write(&self, frame: &Frame, patience: Option<&Patience>) -> Result<(), Error> {
        if !self.must_copy(frame) {
            return self.0.publish(frame);
        }
        // Before the work, too.
        self.0.open()?.check(frame)?;
        let copy = copy_into(frame, |info| self.0.acquire(info, patience))?;
        self.0.copies.fetch_add(1, Ordering::Relaxed);
        self.0.runtime.copies.add(1);
        if patience.is_some_and(|p| p.cancel.is_cancelled()) {
            return Err(Error::Cancelled);
        }
        self.0.publish(&copy)
    }

    /// Ends it: readers are told, after what they were shown; the name is free.
    pub fn close(&self) {
        self.0.end(None);
    }

    /// Gives it up: readers get an error (`output-aborted`), and the name is free.
    pub fn abort(&self) {
        self.0.end(Some(self.0.aborted()));
    }

    /// Waits until readers were given what waited for them, so that the process may end. What was given to a host is its to show.
    #[must_use]
    pub fn wait_shown(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let wait = || self.0.stage.stats().clients.iter().flatten().any(|c| c.waiting > 0);
        while wait() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Numbers, and who reads.
    #[must_use]
    pub fn stats(&self) -> SharedOutputStats {
        SharedOutputStats {
            copies: self.0.copies.load(Ordering::Relaxed),
            ..self.0.stage.stats()
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.lock();
        if state.over {
            return Err(Error::Closed { what: "the output" });
        }
        Ok(state)
    }

    fn acquire(self: &Arc<Self>, info: FrameInfo, patience: Option<&Patience>) -> Result<FrameMut, Error> {
        let full = |error: &Error| {
            use ArenaError::{Budget, Empty};
            matches!(error, Error::Frame(FrameError::Memory(Budget { .. } | Empty { .. })))
        };
        let (begin, patience) = match (self.stage.acquire(info, Wait::Grow), patience) {
            (Err(error), Some(patience)) if full(&error) => (Instant::now(), patience),
            (outcome, _) => return outcome,
        };
        let cancelled = || patience.cancel.is_cancelled() || self.cancel.is_cancelled();
        let waiting = Arc::clone(self);
        let _hook = patience.cancel.on_cancel(move || waiting.stage.interrupt());
        loop {
            // Now and then it looks for itself: its pool may be forgotten by now, for those of other pictures, and so not ring.
            let deadline = (Instant::now() + TURN).min(begin + patience.timeout);
            let wait = Wait::Until {
                deadline: Some(deadline),
                cancelled: &cancelled,
            };
            match self.stage.acquire(info, wait) {
                Err(Error::Frame(FrameError::Memory(ArenaError::Timeout { in_use, .. }))) => {
                    if begin.elapsed() >= patience.timeout {
                        return Err(self.held(in_use, patience.timeout));
                    }
                }
                Err(Error::Frame(FrameError::Memory(ArenaError::Cancelled))) => {
                    drop(self.open()?);
                    return Err(Error::Cancelled);
                }
                // A budget, of this process or of kinds that go: what comes back makes room.
                Err(error) if full(&error) && begin.elapsed() < patience.timeout => {
                    if cancelled() {
                        drop(self.open()?);
                        return Err(Error::Cancelled);
                    }
                    thread::sleep(Duration::from_millis(10));
                }
                other => return other,
            }
        }
    }

    fn held(&self, in_use: u32, waited: Duration) -> Error {
        let clients = self.stage.stats().clients;
        Error::Held {
            ms: waited.as_millis() as u64,
            frames: in_use,
            readers: clients.map(|all| all.iter().filter(|c| c.held > 0).count()),
        }
    }

    fn publish(&self, frame: &Frame) -> Result<(), Error> {
        let mut state = self.open()?;
        let at = state.check(frame)?;
        state.last_us = Some(at);
        let caps = caps_of(frame, state.told.clone());
        if caps != state.told {
            self.stage.set_caps(&caps);
            state.told = caps;
        }
        self.stage.publish(frame)
    }

    fn aborted(&self) -> Failure {
        let message = format!("the process that produces '{}' has given up", self.stage.name());
        Failure::new(ErrorCode::DeviceLost, "output-aborted", message)
    }

    fn end(&self, failure: Option<Failure>) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.over, true) {
            return;
        }
        self.cancel.cancel();
        self.stage.interrupt();
        self.stage.end(failure);
    }
}

/// How often one who waits for memory looks for himself whether he was cancelled.
const TURN: Duration = Duration::from_millis(250);

impl State {
    /// The frame's time, when it may come now.
    fn check(&self, frame: &Frame) -> Result<i64, Error> {
        if self.track.is_none() {
            return Err(Error::State {
                what: "a frame was written before addVideo(): expected a track first".into(),
                reason: "no-track",
            });
        }
        let at = frame.info().timestamp_us;
        let at_us = at
            .filter(|us| us.abs() <= TIMESTAMP_MAX_US)
            .ok_or_else(|| Error::Argument {
                name: "frame.timestamp",
                expected: "a timestamp in µs: readers need to know when a picture is shown".into(),
                got: format!("{at:?}"),
            })?;
        match self.last_us {
            Some(before_us) if at_us <= before_us => Err(Error::Order {
                what: "timestamp",
                before_us,
                at_us,
            }),
            _ => Ok(at_us),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let failure = self.aborted();
        self.end(Some(failure));
    }
}

impl std::fmt::Debug for SharedOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedOutput")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
