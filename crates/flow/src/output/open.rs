//! Opening, tracks, closing.

use super::{
    config::{OutputConfig, VideoTrackConfig},
    encode::{Counters, EncodeTrack, Job},
    mux::{Item, Mux, Track},
};
use crate::{
    Error, Runtime,
    channel::{Policy, Pop, Refused, Sender, channel},
    input::{Input, PacketsOptions},
    threads::Threads,
};
use beamline_container::{MuxTrack, Muxer, MuxerConfig, TrackInfo};
use beamline_io::{ByteSink, Cancel};
use beamline_media::{Frame, Packet};
use serde::Serialize;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Packets that may wait between an encoder and the mux thread.
const PACKET_QUEUE: usize = 64;

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

/// Numbers of an output; they only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputStats {
    /// Frames encoded, over all tracks.
    pub frames: u64,
    /// Packets that came out of encoders.
    pub packets: u64,
    /// Passes over pictures to make them fit the encoders.
    pub copies: u64,
    /// Bytes given to the sink.
    pub bytes: u64,
    /// Whole fragments that reached the sink.
    pub fragments: u64,
    /// Encoders in use, by the library's name.
    pub encoders: Vec<String>,
    /// Codec strings of what really comes out of them.
    pub codecs: Vec<String>,
}

/// Whether a write took the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It did.
    Yes,
    /// There is no room now: ask [`TrackWriter::arm_room`] and try again.
    Full,
}

type Done = Box<dyn FnOnce(Result<Report, Error>) + Send>;

/// What the output, its writers and its threads share.
pub(super) struct Shared {
    pub(super) cancel: Cancel,
    abort_asked: AtomicBool,
    bytes: AtomicU64,
    fragments: AtomicU64,
    /// What went wrong first: set before any queue closes, so that writers who find it closed can say why.
    failed: OnceLock<Arc<Error>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    muxer: Option<Box<dyn Muxer>>,
    /// Tracks that were added and not yet handed to the mux thread.
    tracks: Vec<Track>,
    begun: bool,
    counters: Vec<Arc<Counters>>,
    enders: Vec<Box<dyn Fn() + Send>>,
    done: Option<Done>,
    result: Option<Result<Report, Arc<Error>>>,
    discarded: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, bytes: u64, fragments: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.fragments.store(fragments, Ordering::Relaxed);
    }

    pub(super) fn aborted(&self, playable: bool) {
        self.lock().discarded = !playable;
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
    fn why_gone(&self) -> Error {
        match self.failed.get() {
            Some(error) => Error::again(error),
            None => Error::Closed { what: "the output" },
        }
    }
}

/// A file that is being written. Dropping it without [`Output::close`] keeps what is playable, as [`Output::abort`] does.
pub struct Output {
    runtime: Runtime,
    shared: Arc<Shared>,
    threads: Threads,
}

/// Writes one track. Frames for [`Output::add_video`], packets for [`Output::add_packets`].
pub struct TrackWriter {
    shared: Arc<Shared>,
    threads: Threads,
    lane: Lane,
}

enum Lane {
    Frames(Arc<Sender<Job>>),
    Packets(Arc<Sender<Item>>),
}

impl Output {
    /// Begins a file in `sink`. Nothing is written before the first frame or packet.
    ///
    /// # Errors
    /// [`Error::Argument`] for a container that nobody knows; [`Error::Container`].
    pub fn create(
        runtime: &Runtime,
        sink: Box<dyn ByteSink>,
        config: &OutputConfig,
        cancel: Cancel,
    ) -> Result<Self, Error> {
        let container = config.container_for(sink.name())?;
        let muxer = runtime.containers.create(
            sink,
            &MuxerConfig {
                container,
                fragmented: config.fragmented && container.fragments,
            },
            &cancel,
        )?;
        let state = State {
            muxer: Some(muxer),
            ..State::default()
        };
        Ok(Output {
            runtime: runtime.clone(),
            shared: Arc::new(Shared {
                cancel,
                abort_asked: AtomicBool::new(false),
                bytes: AtomicU64::new(0),
                fragments: AtomicU64::new(0),
                failed: OnceLock::new(),
                state: Mutex::new(state),
            }),
            threads: runtime.threads.within(),
        })
    }

    /// A track of pictures, encoded here. The encoder opens with the first frame.
    ///
    /// # Errors
    /// [`Error::Codec`], [`Error::Argument`]; [`Error::State`] after the first write.
    pub fn add_video(&self, config: VideoTrackConfig) -> Result<TrackWriter, Error> {
        let kind = config.check()?;
        // Found out now, not at the first frame.
        self.runtime.codecs.encoder_formats(kind)?;
        let counters = Arc::new(Counters::default());
        let (jobs, frames) = channel(config.queue.max(1), Policy::Block);
        let (packets, items) = channel(PACKET_QUEUE, Policy::Block);
        let jobs = Arc::new(jobs);
        let ender = Arc::clone(&jobs);
        self.add_track(
            Track::new(items, false, false),
            Box::new(move || ender.end(Ok(()))),
            Some(Arc::clone(&counters)),
        )?;
        let stop = self.shared.cancel.on_cancel(frames.stopper());
        let shared = Arc::clone(&self.shared);
        let track = EncodeTrack {
            runtime: self.runtime.clone(),
            config,
            kind,
            counters,
            shared,
        };
        self.threads.spawn("bl-encode", move || {
            let _until_the_end = stop;
            track.run(&frames, &packets);
        })?;
        Ok(self.writer(Lane::Frames(jobs)))
    }

    /// A track of packets that are written as they are.
    ///
    /// # Errors
    /// [`Error::State`] after the first write.
    pub fn add_packets(&self, track: MuxTrack) -> Result<TrackWriter, Error> {
        Ok(self.writer(Lane::Packets(self.packet_lane(track, false, false)?)))
    }

    fn packet_lane(&self, track: MuxTrack, pulled: bool, shortest: bool) -> Result<Arc<Sender<Item>>, Error> {
        let (sender, items) = channel(PACKET_QUEUE, Policy::Block);
        // The queue is new and empty: the format fits.
        let _ = sender.try_push(Item::Format(Box::new(track)));
        let sender = Arc::new(sender);
        let ender = Arc::clone(&sender);
        // A copy ends by itself, with its input.
        let end: Box<dyn Fn() + Send> = if pulled {
            Box::new(|| ())
        } else {
            Box::new(move || ender.end(Ok(())))
        };
        self.add_track(Track::new(items, pulled, shortest), end, None)?;
        Ok(sender)
    }

    /// Copies a track of `input` as it is, on a thread of its own, at the speed at which the other tracks are written. With `shortest` it
    /// ends where the last of the tracks that are written ends.
    ///
    /// # Errors
    /// As [`Input::packets`] and [`Output::add_packets`].
    pub fn copy(&self, input: &Input, track: usize, options: &PacketsOptions, shortest: bool) -> Result<(), Error> {
        let packets = input.packets(track, options)?;
        let info = input.tracks()[track].clone();
        let time_base = Some(info.time_base);
        let sender = self.packet_lane(
            MuxTrack {
                info: TrackInfo { id: 0, ..info },
                time_base,
            },
            true,
            shortest,
        )?;
        let cancel = self.shared.cancel.clone();
        self.threads.spawn("bl-copy", move || {
            let how = loop {
                match packets.pop_timeout(Duration::from_millis(100)) {
                    Pop::Item(packet) => {
                        if sender.push(Item::Packet(packet)).is_err() {
                            break Ok(());
                        }
                    }
                    Pop::Empty if cancel.is_cancelled() => break Err(Error::Cancelled),
                    Pop::Empty => {}
                    Pop::End(error) => break error.map_or(Ok(()), |e| Err(Error::again(&e))),
                }
            };
            sender.end(how);
        })
    }

    fn add_track(&self, track: Track, end: Box<dyn Fn() + Send>, counters: Option<Arc<Counters>>) -> Result<(), Error> {
        let mut state = self.shared.lock();
        if state.result.is_some() {
            return Err(Error::Closed { what: "the output" });
        }
        if state.begun {
            return Err(Error::State {
                what: "a track was added after the first write: expected all tracks before it".into(),
                reason: "tracks-fixed",
            });
        }
        state.tracks.push(track);
        state.enders.push(end);
        state.counters.extend(counters);
        Ok(())
    }

    fn writer(&self, lane: Lane) -> TrackWriter {
        TrackWriter {
            shared: Arc::clone(&self.shared),
            threads: self.threads.clone(),
            lane,
        }
    }

    /// Ends all tracks and completes the file; `done` is told, on the mux thread.
    pub fn close(&self, done: impl FnOnce(Result<Report, Error>) + Send + 'static) {
        self.end(Box::new(done));
    }

    /// Gives up: what is playable is kept, else the sink is discarded. `done` is told which.
    pub fn abort(&self, done: impl FnOnce(Result<Report, Error>) + Send + 'static) {
        self.shared.abort_asked.store(true, Ordering::SeqCst);
        self.shared.cancel.cancel();
        self.end(Box::new(done));
    }

    fn end(&self, done: Done) {
        let mut state = self.shared.lock();
        if let Some(result) = state.result.clone() {
            drop(state);
            return done(result.map_err(|e| Error::again(&e)));
        }
        // A second caller hears it with the first one.
        state.done = Some(match state.done.take() {
            None => done,
            Some(before) => Box::new(move |result: Result<Report, Error>| {
                let result = result.map_err(Arc::new);
                before(result.clone().map_err(|e| Error::again(&e)));
                done(result.map_err(|e| Error::again(&e)));
            }),
        });
        let enders = std::mem::take(&mut state.enders);
        drop(state);
        for end in &enders {
            end();
        }
        if let Err(error) = begin(&self.shared, &self.threads) {
            self.shared.finish(Err(error));
        }
    }

    /// Numbers.
    #[must_use]
    pub fn stats(&self) -> OutputStats {
        let state = self.shared.lock();
        let sum = |f: fn(&Counters) -> &AtomicU64| state.counters.iter().map(|c| f(c).load(Ordering::Relaxed)).sum();
        let names = |f: fn(&(String, String)) -> &String| {
            state
                .counters
                .iter()
                .filter_map(|c| c.encoder.get())
                .map(|n| f(n).clone())
                .collect()
        };
        OutputStats {
            frames: sum(|c| &c.frames),
            packets: sum(|c| &c.packets),
            copies: sum(|c| &c.copies),
            bytes: self.shared.bytes.load(Ordering::Relaxed),
            fragments: self.shared.fragments.load(Ordering::Relaxed),
            encoders: names(|n| &n.0),
            codecs: names(|n| &n.1),
        }
    }

    /// Whether what was written had to be thrown away, because nothing of it was playable.
    #[must_use]
    pub fn was_discarded(&self) -> bool {
        self.shared.lock().discarded
    }

    /// Waits until all threads of this output have ended.
    #[must_use]
    pub fn wait_closed(&self, timeout: Duration) -> bool {
        self.threads.wait(timeout)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.shared.lock().result.is_none() {
            self.abort(|_| ());
        }
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Starts the mux thread, once; from then on the tracks are fixed.
fn begin(shared: &Arc<Shared>, threads: &Threads) -> Result<(), Error> {
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

impl TrackWriter {
    /// Gives a frame to the encoder; takes its own hold on it. `key` asks for a key packet.
    ///
    /// # Errors
    /// What ended the output; [`Error::Argument`] on a track of packets.
    pub fn write_frame(&self, frame: &Frame, key: bool) -> Result<Written, Error> {
        let Lane::Frames(jobs) = &self.lane else {
            return Err(wrong_lane("a packet", "a frame"));
        };
        begin(&self.shared, &self.threads)?;
        self.written(
            jobs.try_push(Job {
                frame: frame.clone(),
                key,
            })
            .map_err(|r| matches!(r, Refused::Full(_))),
        )
    }

    /// Gives a packet to the file.
    ///
    /// # Errors
    /// What ended the output; [`Error::Argument`] on a track of frames.
    pub fn write_packet(&self, packet: Packet) -> Result<Written, Error> {
        let Lane::Packets(items) = &self.lane else {
            return Err(wrong_lane("a frame", "a packet"));
        };
        begin(&self.shared, &self.threads)?;
        self.written(
            items
                .try_push(Item::Packet(packet))
                .map_err(|r| matches!(r, Refused::Full(_))),
        )
    }

    fn written(&self, pushed: Result<(), bool>) -> Result<Written, Error> {
        match pushed {
            Ok(()) => Ok(Written::Yes),
            Err(true) => Ok(Written::Full),
            Err(false) => Err(self.shared.why_gone()),
        }
    }

    /// Once: how to tell that there is room again, or nobody to write for.
    pub fn on_room(&self, notify: impl Fn() + Send + Sync + 'static) {
        match &self.lane {
            Lane::Frames(jobs) => jobs.on_room(notify),
            Lane::Packets(items) => items.on_room(notify),
        }
    }

    /// Asks to be told, once. False: try again instead.
    #[must_use]
    pub fn arm_room(&self) -> bool {
        match &self.lane {
            Lane::Frames(jobs) => jobs.arm_room(),
            Lane::Packets(items) => items.arm_room(),
        }
    }
}

impl std::fmt::Debug for TrackWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrackWriter").finish_non_exhaustive()
    }
}

fn wrong_lane(expected: &str, got: &str) -> Error {
    Error::Argument {
        name: "track",
        expected: format!("{expected} for this track"),
        got: got.into(),
    }
}
