//! What an output, its writers and its threads have in common, and how it ends.

use super::{
    encode::Counters,
    mux::{Mux, Track},
};
use crate::{Error, threads::Threads};
use beamline_container::Muxer;
use beamline_io::Cancel;
use serde::Serialize;
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// What was written, at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Bytes given to the sink.
    pub bytes: u64,
    /// Whole fragments in it (0 in the plain form).
    pub fragments: u64,
    /// Where the last picture or sound ends, in µs from the file's beginning.
    pub duration_us: i64,
    /// Whether the file is complete (`close`) or was broken off (`abort`).
    pub complete: bool,
    /// Whether what is there can be played; if not, the sink was discarded.
    pub playable: bool,
}

/// Told once, of the end.
pub(super) type Done = Box<dyn FnOnce(Result<Report, Error>) + Send>;

/// What the output, its writers and its threads share.
pub(super) struct Shared {
    pub(super) cancel: Cancel,
    pub(super) abort_asked: AtomicBool,
    pub(super) bytes: AtomicU64,
    pub(super) fragments: AtomicU64,
    /// What went wrong first: set before any queue closes, so that writers who find it closed can say why.
    failed: OnceLock<Arc<Error>>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    muxer: Option<Box<dyn Muxer>>,
    /// Tracks that were added and not yet handed to the mux thread.
    pub(super) tracks: Vec<Track>,
    pub(super) begun: bool,
    pub(super) counters: Vec<Arc<Counters>>,
    pub(super) enders: Vec<Box<dyn Fn() + Send>>,
    pub(super) done: Option<Done>,
    pub(super) result: Option<Result<Report, Arc<Error>>>,
    /// What was there when it was broken off, by a failure or by `abort`.
    pub(super) left: Option<Report>,
}

impl Shared {
    pub(super) fn new(muxer: Box<dyn Muxer>, cancel: Cancel) -> Self {
        Shared {
            cancel,
            abort_asked: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            fragments: AtomicU64::new(0),
            failed: OnceLock::new(),
            state: Mutex::new(State {
                muxer: Some(muxer),
                ..State::default()
            }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, bytes: u64, fragments: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.fragments.store(fragments, Ordering::Relaxed);
    }

    pub(super) fn aborted(&self, left: Report) {
        self.note(left.bytes, left.fragments);
        self.lock().left = Some(left);
    }

    /// Notes what went wrong; the first one stays.
    pub(super) fn fail(&self, error: Error) -> Error {
        let error = Arc::new(error);
        let _ = self.failed.set(Arc::clone(&error));
        Error::again(&error)
    }

    pub(super) fn was_asked_to_abort(&self) -> bool {
        self.abort_asked.load(Ordering::SeqCst)
    }

    pub(super) fn finish(&self, result: Result<Report, Error>) {
        let result = result.map_err(Arc::new);
        let (done, enders) = {
            let mut state = self.lock();
            if let Ok(report) = &result {
                self.note(report.bytes, report.fragments);
            }
            state.result = Some(result.clone());
            (state.done.take(), std::mem::take(&mut state.enders))
        };
        // Encode threads that wait for frames end now: when muxing ended first, nobody else will tell them.
        for end in &enders {
            end();
        }
        if let Some(done) = done {
            done(result.map_err(|e| Error::again(&e)));
        }
    }

    /// Why nobody takes anything any more.
    pub(super) fn why_gone(&self) -> Error {
        match self.failed.get() {
            Some(error) => Error::again(error),
            None => Error::Closed { what: "the output" },
        }
    }
}

/// Starts the mux thread, once; from then on the tracks are fixed.
pub(super) fn begin(shared: &Arc<Shared>, threads: &Threads) -> Result<(), Error> {
    let mut state = shared.lock();
    if state.begun {
        return Ok(());
    }
    state.begun = true;
    let Some(muxer) = state.muxer.take() else { return Ok(()) };
    let tracks = std::mem::take(&mut state.tracks);
    drop(state);
    let mux = Mux::new(muxer, tracks, Arc::clone(shared));
    threads.spawn("bl-mux", move || mux.run())
}
