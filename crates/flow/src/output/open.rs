//! Opening, tracks, closing.

use super::{
    config::{OutputConfig, VideoTrackConfig},
    encode::{Counters, EncodeTrack},
    mux::{Item, Track},
    shared::{Done, Report, Shared, begin},
    writer::{Lane, NEVER, TrackWriter},
};
use crate::{
    Error, Runtime,
    channel::{Policy, Pop, Sender, channel},
    input::{Input, PacketsOptions},
    threads::Threads,
};
use beamline_container::{MuxTrack, MuxerConfig, TrackInfo};
use beamline_io::{ByteSink, Cancel};
use beamline_media::EncodedKind;
use serde::Serialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Packets that may wait between an encoder and the mux thread.
const PACKET_QUEUE: usize = 64;

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

/// A file that is being written. Dropping it without [`Output::close`] keeps what is playable, as [`Output::abort`] does.
pub struct Output {
    runtime: Runtime,
    shared: Arc<Shared>,
    threads: Threads,
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
        Ok(Output {
            runtime: runtime.clone(),
            shared: Arc::new(Shared::new(muxer, cancel)),
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
        if track.info.encoded == EncodedKind::AAC && track.info.description.is_none() {
            return Err(Error::Container(beamline_container::Error::NotSupported {
                what: "a track of AAC without a description".into(),
                why: "expected an AudioSpecificConfig as its description, and packets without ADTS headers".into(),
            }));
        }
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
            last_us: AtomicI64::new(NEVER),
        }
    }

    /// Ends all tracks and completes the file; `done` is told, on the mux thread.
    pub fn close(&self, done: impl FnOnce(Result<Report, Error>) + Send + 'static) {
        self.end(Box::new(done));
    }

    /// Gives up: what is playable is kept, else the sink is discarded. `done` is told which, of an output that has failed before, too.
    pub fn abort(&self, done: impl FnOnce(Result<Report, Error>) + Send + 'static) {
        self.shared.abort_asked.store(true, Ordering::SeqCst);
        self.shared.cancel.cancel();
        let shared = Arc::clone(&self.shared);
        self.end(Box::new(move |result| {
            // Writers and `close` were told what went wrong; here counts what it has left.
            let left = shared.lock().left.clone();
            done(result.or_else(|error| left.ok_or(error)));
        }));
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
        self.shared.lock().left.as_ref().is_some_and(|left| !left.playable)
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
